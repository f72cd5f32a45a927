"""How an autoencoder of digits is trained, as one frozen value; see ``training.recipe``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from digitlens.datasets.mnist import Split
from digitlens.datasets.splits import split_validation
from digitlens.training.schedule import Schedule
from digitlens.training.settings import PRECISIONS, VALIDATIONS, Settings, Validation, shown

ARCHITECTURE = "autoencoder"  # what tells its recipe from those of other networks
_STAGES = 2


@dataclass(frozen=True)
class AutoencoderRecipe(Settings):
    """Everything that decides the weights, except the data and the machine."""

    architecture: str = ARCHITECTURE
    """Network: autoencoder (from a tile to a short code, and from the code back to the tile)."""
    widths: tuple[int, ...] = (32, 16)
    """Channels of the convolutions next to the pixels, and of those next to the code."""
    code: int = 16
    """Numbers in the code, all that is left of the 784 pixels of a tile."""
    loss: str = "binary"
    """What is made small: binary (cross-entropy of each pixel) or squared (its squared error)."""
    noise: float = 0.0
    """Standard deviation of the noise added to what the network is shown, as a share of full ink;
    what it should draw has none of it."""
    batch_size: int = 128
    """Tiles in a step."""
    epochs: int = 3
    """Passes over the training tiles."""
    warmup: float = 0.05
    """Share of all steps in which the learning rate rises from zero."""
    learning_rate: float = 0.01
    """Highest learning rate of Adam; after the warm-up it falls along a cosine to a hundredth."""
    weight_decay: float = 0.0
    """Weight decay of AdamW, which without any is Adam."""
    clip: float = 5.0
    """Largest norm of the gradient; longer ones are shortened to it."""
    average: float = 0.99
    """Decay of the moving average of the weights that is validated and kept."""
    validation: Validation = "writer"
    """How validation tiles are split off: writer (none on both sides) or random (stratified)."""
    validation_share: float = 0.1
    """Share of the 60,000 training tiles that is kept for validation."""
    precision: str = "auto"
    """auto (bfloat16 where the hardware has it), bfloat16 or float32."""
    seed: int = 0
    """Decides first weights, order, noise and split."""

    limits: ClassVar[Mapping[str, tuple[float, float]]] = {
        "widths": (1, 1024),
        "code": (1, 784),
        "noise": (0, 1),
        "batch_size": (1, 60000),
        "epochs": (1, 10000),
        "warmup": (0, 0.9),
        "learning_rate": (1e-9, 1),
        "weight_decay": (0, 10),
        "clip": (0.01, 1000),
        "average": (0, 0.99999),
        "validation_share": (0.01, 0.9),
        "seed": (0, 2**31 - 1),
    }
    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "architecture": (ARCHITECTURE,),
        "loss": ("binary", "squared"),
        "validation": VALIDATIONS,
        "precision": PRECISIONS,
    }

    def structure_problems(self, mistyped: set[str]) -> list[str]:
        """As many widths as the network has stages."""
        if "widths" in mistyped or len(self.widths) == _STAGES:
            return []
        return [f"widths: expected {_STAGES} numbers, found {shown(self.widths)}"]

    def schedule(self, tiles: int) -> Schedule:
        """The steps in which it learns from so many tiles; validated after each epoch.

        The learning rate ends near zero, so that the last epoch is the best but for chance: there
        is no patience, and no epoch is chosen.
        """
        epoch = math.ceil(tiles / self.batch_size)
        return Schedule(
            steps=self.epochs * epoch,
            warmup_steps=max(1, round(self.warmup * self.epochs * epoch)),
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            clip=self.clip,
            average=self.average,
            check_every=epoch,
        )

    def split(self, train: Split) -> tuple[Split, Split]:
        """The training tiles as (tiles to train with, tiles to validate with).

        Args:
            train: The training split of MNIST, whole and in its order.
        """
        return split_validation(
            train, self.validation, fraction=self.validation_share, seed=self.seed
        )
