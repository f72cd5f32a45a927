"""How a network for tiles is trained, as one frozen value; the command line is derived from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from digitlens.datasets.mnist import Split
from digitlens.datasets.splits import split_validation
from digitlens.training.settings import PRECISIONS, VALIDATIONS, Settings, Validation, shown


@dataclass(frozen=True)
class Recipe(Settings):
    """Everything that decides the weights, except the data and the machine."""

    architecture: str = "classic"
    """Network: classic (convolution, ReLU, max pooling), fast (first convolution strided), residual
    (fast, and pairs of convolutions that add to what they are given) or swift (first convolution
    given by the tiles instead of trained, no padding in later ones)."""
    margin: int = 0
    """Pixels on each side of a tile that the network does not look at; MNIST leaves four blank,
    but for digits whose centre of mass is not in their middle."""
    widths: tuple[int, ...] = (32, 64)
    """Channels of each block; as many blocks as numbers."""
    kernels: tuple[int, ...] = (3,)
    """Kernel sizes in pixels, odd, of the first blocks; the last is that of all further ones."""
    convs: int = 1
    """Convolutions in each block; residual: pairs of them, after the one that widens."""
    pool: str = "max"
    """What halves the side in each block: max (pooling) or stride (of its first convolution)."""
    batch_norm: bool = False
    """Whether each convolution is followed by batch normalisation."""
    dense: int = 128
    """Units of the hidden dense layer; 0 for none."""
    dropout: float = 0.5
    """Share of units dropped before each dense layer while training."""
    depth_drop: float = 0.0
    """Share of the residual pairs left out of each training step, of the last; less before it."""
    optimizer: str = "adam"
    """adam, adamw, sgd (with Nesterov momentum 0.9) or muon (and adam where it does not apply)."""
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
    erase: float = 0.0
    """Augmentation: largest side, in pixels, of a square that is erased in half of the tiles."""
    blur: float = 0.0
    """Augmentation: share of tiles that are blurred, or shrunk and enlarged again."""
    contrast: float = 0.0
    """Augmentation: share of tiles whose ink gets fainter or whose ground gets brighter."""
    noise: float = 0.0
    """Augmentation: share of tiles with Gaussian noise."""
    filters: float = 0.0
    """Augmentation: share of tiles seen through a random filter of 3 x 3 pixels, or as outlines."""
    lines: float = 0.0
    """Augmentation: share of tiles that a thin line crosses, with a kink or without."""
    mixup: float = 0.0
    """Parameter of the beta distribution by which pairs of tiles are blended; 0 for none."""
    none: float = 0.0
    """Tiles of no digit in an epoch, as a share of its digits; above 0 there is a class for them.
    They show letters, shapes and scribbles, drawn with fonts that are fetched once."""
    teacher: str = ""
    """Model whose answers are learned instead of the labels: its name or folder."""
    soften: float = 1.0
    """Temperature by which a teacher's answers are made less sure."""
    repeat: int = 1
    """Epochs that see the same augmented tiles, for small networks that learn faster than they are
    drawn."""
    validation: Validation | Literal["none"] = "writer"
    """How validation tiles are split off: writer (none on both sides), random (stratified), or
    none: all tiles are trained with, and the last epoch is kept."""
    validation_share: float = 0.1
    """Share of the 60,000 training tiles that is kept for validation."""
    temperature: float = 0.0
    """Softmax temperature of the exported model; 0 fits it to the validation tiles."""
    members: int = 1
    """Networks that are trained, one after another from seeds of their own, and averaged."""
    views: int = 1
    """Versions of each tile whose answers the exported model averages: 1, or 5 with the tile moved
    by one pixel each way."""
    precision: str = "auto"
    """auto (bfloat16 where the hardware has it), bfloat16 or float32."""
    seed: int = 0
    """Decides first weights, order, dropout, augmentation and split."""

    limits: ClassVar[Mapping[str, tuple[float, float]]] = {
        "margin": (0, 4),
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
        "depth_drop": (0, 0.9),
        "erase": (0, 28),
        "blur": (0, 1),
        "contrast": (0, 1),
        "noise": (0, 1),
        "filters": (0, 1),
        "lines": (0, 1),
        "mixup": (0, 10),
        "none": (0, 2),
        "soften": (0.1, 100),
        "repeat": (1, 1000),
        "temperature": (0, 100),
        "members": (1, 100),
        "views": (1, 5),
        "validation_share": (0.01, 0.9),
        "seed": (0, 2**31 - 1),
    }
    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "architecture": ("classic", "fast", "residual", "swift"),
        "pool": ("max", "stride"),
        "optimizer": ("adam", "adamw", "sgd", "muon"),
        "schedule": ("constant", "cosine", "linear"),
        "validation": (*VALIDATIONS, "none"),
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
        if len(self.kernels) > len(self.widths):
            found.append(
                f"kernels: expected at most {len(self.widths)} sizes, one for each of widths, "
                f"found {len(self.kernels)}"
            )
        if any(kernel % 2 == 0 for kernel in self.kernels):
            found.append(f"kernels: expected odd sizes, found {shown(self.kernels)}")
        if self.views not in {1, 5}:
            found.append(f"views: expected 1 or 5, found {self.views}")
        if self.validation == "none" and not self.temperature:
            found.append("temperature: expected one above 0, since validation=none can fit none")
        if self.mixup and (self.none or self.teacher):
            found.append("mixup: expected 0 together with none or teacher")
        return found

    def block_kernels(self) -> tuple[int, ...]:
        """One kernel size for each block."""
        return self.kernels + self.kernels[-1:] * (len(self.widths) - len(self.kernels))

    def split(self, train: Split) -> tuple[Split, Split]:
        """The training tiles as (tiles to train with, tiles that choose the epoch).

        Args:
            train: The training split of MNIST, whole and in its order.
        """
        if self.validation == "none":
            return train, Split(train.tiles[:0], train.labels[:0])
        return split_validation(
            train, self.validation, fraction=self.validation_share, seed=self.seed
        )
