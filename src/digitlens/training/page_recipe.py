"""How a digit detector is trained, as one frozen value; the command line is derived from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from digitlens.datasets.mnist import Split
from digitlens.datasets.splits import split_validation
from digitlens.training.schedule import Schedule
from digitlens.training.settings import PRECISIONS, VALIDATIONS, Settings, Validation, shown

ARCHITECTURE = "pages"  # what tells a recipe of a digit detector from one of a tile network
_COUNTS = {"widths": 5, "blocks": 4, "paths": 3}  # numbers in each, one a stage
_MULTIPLE = 32  # pixels; the network halves a page five times


@dataclass(frozen=True)
class DetectorRecipe(Settings):
    """Everything that decides the weights, except the data and the machine."""

    architecture: str = ARCHITECTURE
    """Network: pages (the digit detector, which finds and names digits on whole pages)."""
    widths: tuple[int, ...] = (16, 32, 64, 128, 192)
    """Channels of the five stages, each at half the resolution of the one before."""
    blocks: tuple[int, ...] = (1, 2, 2, 1)
    """Residual blocks in each of the last four stages."""
    paths: tuple[int, ...] = (64, 96, 128)
    """Channels of the path back down, in cells of 4, 8 and 16 pixels."""
    side: int = 192
    """Width and height of the generated pages, in pixels."""
    batch_size: int = 32
    """Pages in a step."""
    views: int = 2
    """Steps that use the same pages, each cut and coloured anew."""
    steps: int = 15000
    """Steps of the whole run; generated pages have no epochs."""
    warmup_steps: int = 300
    """Steps in which the learning rate rises from zero."""
    learning_rate: float = 0.002
    """Highest learning rate; after the warm-up it falls along a cosine to a hundredth."""
    weight_decay: float = 0.02
    """Weight decay of AdamW, on the weights of convolutions alone."""
    clip: float = 5.0
    """Largest norm of the gradient; longer ones are shortened to it."""
    average: float = 0.998
    """Decay of the moving average of weights and statistics that is validated and kept."""
    check_every: int = 500
    """Steps between two validations, each with a checkpoint to go on from."""
    validation_pages: int = 768
    """Generated pages to validate with, of writers and fonts that are not trained with."""
    validation: Validation = "writer"
    """How validation tiles are split off: writer (none on both sides) or random (stratified)."""
    validation_share: float = 0.1
    """Share of the 60,000 training tiles that is kept for validation."""
    precision: str = "auto"
    """auto (bfloat16 where the hardware has it), bfloat16 or float32."""
    seed: int = 0
    """Decides first weights, pages and split."""

    limits: ClassVar[Mapping[str, tuple[float, float]]] = {
        "widths": (1, 4096),
        "blocks": (0, 64),
        "paths": (1, 4096),
        "side": (64, 1024),
        "batch_size": (1, 4096),
        "views": (1, 64),
        "steps": (1, 10_000_000),
        "warmup_steps": (1, 10_000_000),
        "learning_rate": (1e-9, 100),
        "weight_decay": (0, 10),
        "clip": (1e-6, 1e6),
        "average": (0, 0.99999),
        "check_every": (1, 10_000_000),
        "validation_pages": (1, 1_000_000),
        "validation_share": (0.01, 0.9),
        "seed": (0, 2**31 - 1),
    }
    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "architecture": (ARCHITECTURE,),
        "validation": VALIDATIONS,
        "precision": PRECISIONS,
    }

    def structure_problems(self, mistyped: set[str]) -> list[str]:
        """Stages that the network does not have, and pages that it cannot halve five times."""
        found: list[str] = []
        for name in _COUNTS.keys() - mistyped:
            value = getattr(self, name)
            if len(value) != _COUNTS[name]:
                found.append(f"{name}: expected {_COUNTS[name]} numbers, found {shown(value)}")
        if "side" not in mistyped and self.side % _MULTIPLE:
            found.append(f"side: expected a multiple of {_MULTIPLE}, found {self.side}")
        return sorted(found)

    def schedule(self) -> Schedule:
        """The steps in which the network learns."""
        return Schedule(
            self.steps,
            self.warmup_steps,
            self.learning_rate,
            self.weight_decay,
            self.clip,
            self.average,
            self.check_every,
        )

    def split(self, train: Split) -> tuple[Split, Split]:
        """The training tiles as (tiles to write training pages with, and validation pages).

        Args:
            train: The training split of MNIST, whole and in its order.
        """
        return split_validation(
            train, self.validation, fraction=self.validation_share, seed=self.seed
        )
