"""A network as it stands while it is trained: a copy that answers, and what it gets wrong.

Knows neither steps nor who looks.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from digitlens.datasets.mnist import Split
from digitlens.evaluation.metrics import confusion_matrix
from digitlens.outputs import Outputs
from digitlens.training.nets.tile_network import CLASSES, predict_logits

SAMPLE = 1000  # tiles: 10 ms of one core for a small network, and 3 % is 1 % either way


@dataclass(frozen=True)
class Mistake:
    """A tile of a sample that is answered wrong.

    Attributes:
        index: In the sample.
        truth: Its label.
        answer: The most probable digit.
        confidence: Its probability, before the temperature that is fitted at the end.
    """

    index: int
    truth: int
    answer: int
    confidence: float


@dataclass(frozen=True)
class Glance:
    """How a network did on a sample.

    Attributes:
        loss: Cross-entropy, of the kind that is trained.
        accuracy: Share of the tiles that were answered right.
        confusion: int64[10, 10]; the row is the truth.
        mistakes: All of them, the most confident first.
    """

    loss: float
    accuracy: float
    confusion: npt.NDArray[np.int64]
    mistakes: tuple[Mistake, ...]


class Snapshot:
    """A copy of a network, on the CPU in evaluation mode, that any thread may ask.

    It never changes: a newer one takes its place, so nobody waits for anybody.

    Attributes:
        network: The copy.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = copy.deepcopy(network).cpu().eval()

    def answers(self, tiles: npt.NDArray[np.uint8]) -> Outputs:
        """Probabilities of tiles uint8[N, 28, 28], and ``digit`` if the network knows none."""
        logits = self._logits(tiles)
        digit = None
        if logits.shape[1] > CLASSES:
            digit = (1 - torch.softmax(logits, dim=1)[:, CLASSES]).numpy()
        return Outputs(torch.softmax(logits[:, :CLASSES], dim=1).numpy(), digit=digit)

    def glance(self, sample: Split, smoothing: float) -> Glance:
        """How it does on a sample; the loss is smoothed as in training."""
        logits = self._logits(sample.tiles)
        labels = torch.from_numpy(sample.labels).long()
        loss = functional.cross_entropy(logits, labels, label_smoothing=smoothing)
        probabilities = torch.softmax(logits[:, :CLASSES], dim=1).numpy()
        answers = probabilities.argmax(axis=1)
        confidence = probabilities.max(axis=1)
        wrong = np.flatnonzero(answers != sample.labels)
        wrong = wrong[np.argsort(-confidence[wrong], kind="stable")]
        mistakes = tuple(
            Mistake(int(i), int(sample.labels[i]), int(answers[i]), float(confidence[i]))
            for i in wrong
        )
        confusion = confusion_matrix(sample.labels, answers)
        return Glance(float(loss), 1 - len(wrong) / len(answers), confusion, mistakes)

    def _logits(self, tiles: npt.NDArray[np.uint8]) -> torch.Tensor:
        # In evaluation mode nothing is drawn at random: a training goes on as if nobody had asked.
        return predict_logits(self.network, torch.from_numpy(tiles))


def sample_of(split: Split, most: int = SAMPLE) -> Split:
    """At most so many tiles of a split, spread evenly over it; the same each time."""
    return split.evenly(most)
