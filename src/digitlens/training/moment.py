"""One step of a training, as it is told to who follows it while it goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from digitlens.training.checkpoint import Row


@dataclass(frozen=True)
class Moment:
    """A training just after one of its steps.

    Losses are left where they are computed: to fetch each would have a GPU wait for it.

    Attributes:
        step: Steps done, from 1, those before a stop included.
        steps: All steps of the recipe; a run whose validation loss stops falling takes fewer.
        epoch: Of this step, from 1.
        epochs: Of the recipe.
        loss: float32[]; mean over the batch.
        accuracy: float32[]; share of the batch, before the step, that was answered right.
        learning_rate: Of this step.
        images_per_second: Since the epoch began.
        network: The one that will be kept, averaged if the recipe averages; it goes on changing,
            and is not to be changed by who looks at it.
        history: Rows of the epochs done.
        member: Of a committee, from 1.
        members: Of the committee; 1 for a network alone.
    """

    step: int
    steps: int
    epoch: int
    epochs: int
    loss: Tensor
    accuracy: Tensor
    learning_rate: float
    images_per_second: float
    network: nn.Module
    history: Sequence[Row]
    member: int = 1
    members: int = 1


OnStep = Callable[[Moment], None]
OnEpoch = Callable[[Row], None]
