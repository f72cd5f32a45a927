"""How a network for tiles is trained, as one frozen value; the command line is derived from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from digitlens.data.mnist import Split
from digitlens.data.splits import split_validation
from digitlens.training.settings import PRECISIONS, VALIDATIONS, Settings, Validation, shown


@dataclass(frozen=True)
class Recipe(Settings):
    """Everything that decides the weights, except the data and the machine."""

    architecture: str = "classic"
    """Network: classic (convolution, ReLU, max pooling) or fast (first convolution strided)."""
    widths: tuple[int, ...] = (32, 64)
    """Channels of each block; as many blocks as numbers."""
    kernels: tuple[int, ...] = (3,)
    """Kernel size in pixels, odd; one for all blocks or one for each."""
    convs: int = 1
    """Convolutions in each block."""
    pool: str = "max"
    """What halves the side in each block: max (pooling) or stride (of its first convolution)."""
    batch_norm: bool = False
    """Whether each convolution is followed by batch normalisation."""
    dense: int = 128
    """Units of the hidden dense layer; 0 for none."""
    dropout: float = 0.5
    """Share of units dropped before each dense layer while training."""
    optimizer: str = "adam"
    """adam, adamw or sgd (with Nesterov momentum 0.9)."""
    learning_rate: float = 0.001
    """Highest learning rate."""
    weight_decay: float = 0.0
    """Weight decay as the optimiser defines it."""
    schedule: str = "cosine"
    """Learning rate after the warm-up: constant, cosine or linear (both down to zero)."""
    warmup: float = 0.1
    """Share of all steps in which the learning rate rises from zero."""
    batch_size: int = 128
    """Tiles in a step."""
    epochs: int = 10
    """Passes over the training tiles, at most."""
    patience: int = 5
    """Epochs without a better validation loss after which training stops; 0 never stops early."""
    label_smoothing: float = 0.0
    """Probability spread over all classes in the target."""
    average: float = 0.0
    """Decay of the moving average of the weights that is validated and kept; 0 for none."""
    shift: float = 0.0
    """Augmentation: largest shift, in pixels, in each direction."""
    rotate: float = 0.0
    """Augmentation: largest rotation, in degrees, either way."""
    scale: float = 0.0
    """Augmentation: largest relative change of width and height, drawn apart."""
    shear: float = 0.0
    """Augmentation: largest slant, in degrees, either way."""
    elastic: float = 0.0
    """Augmentation: standard deviation of the elastic displacement, in pixels."""
    thickness: float = 0.0
    """Augmentation: share of tiles whose strokes are made thicker or thinner."""
    validation: Validation = "writer"
    """How validation tiles are split off: writer (none on both sides) or random (stratified)."""
    validation_share: float = 0.1
    """Share of the 60,000 training tiles that is kept for validation."""
    precision: str = "auto"
    """auto (bfloat16 where the hardware has it), bfloat16 or float32."""
    seed: int = 0
    """Decides first weights, order, dropout, augmentation and split."""

    limits: ClassVar[Mapping[str, tuple[float, float]]] = {
        "widths": (1, 4096),
        "kernels": (1, 27),
        "convs": (1, 8),
        "dense": (0, 65536),
        "dropout": (0, 0.95),
        "learning_rate": (1e-9, 100),
        "weight_decay": (0, 10),
        "warmup": (0, 0.9),
        "batch_size": (1, 60000),
        "epochs": (1, 10000),
        "patience": (0, 10000),
        "label_smoothing": (0, 0.9),
        "average": (0, 0.99999),
        "shift": (0, 14),
        "rotate": (0, 180),
        "scale": (0, 0.9),
        "shear": (0, 60),
        "elastic": (0, 14),
        "thickness": (0, 1),
        "validation_share": (0.01, 0.9),
        "seed": (0, 2**31 - 1),
    }
    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "architecture": ("classic", "fast"),
        "pool": ("max", "stride"),
        "optimizer": ("adam", "adamw", "sgd"),
        "schedule": ("constant", "cosine", "linear"),
        "validation": VALIDATIONS,
        "precision": PRECISIONS,
    }

    def structure_problems(self, mistyped: set[str]) -> list[str]:
        """Blocks that 28 pixels cannot have, and kernels that do not fit them."""
        if mistyped & {"widths", "kernels"}:
            return []
        found: list[str] = []
        if len(self.widths) > 4:
            found.append(
                "widths: expected at most 4 blocks (each halves 28 pixels), "
                f"found {len(self.widths)}"
            )
        if len(self.kernels) not in {1, len(self.widths)}:
            found.append(
                f"kernels: expected 1 or {len(self.widths)} sizes, one for each of widths, "
                f"found {len(self.kernels)}"
            )
        if any(kernel % 2 == 0 for kernel in self.kernels):
            found.append(f"kernels: expected odd sizes, found {shown(self.kernels)}")
        return found

    def block_kernels(self) -> tuple[int, ...]:
        """One kernel size for each block."""
        return self.kernels * len(self.widths) if len(self.kernels) == 1 else self.kernels

    def split(self, train: Split) -> tuple[Split, Split]:
        """The training tiles as (tiles to train with, tiles that choose the epoch).

        Args:
            train: The training split of MNIST, whole and in its order.
        """
        return split_validation(
            train, self.validation, fraction=self.validation_share, seed=self.seed
        )
