"""How a line recogniser is trained, as one frozen value; the command line is derived from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from digitlens.training.schedule import Schedule
from digitlens.training.settings import PRECISIONS, Settings

ARCHITECTURE = "lines"  # what tells a recipe of a line recogniser from others


@dataclass(frozen=True)
class LineRecipe(Settings):
    """Everything that decides the weights, except the data and the machine."""

    architecture: str = ARCHITECTURE
    """Network: lines (recognises the characters of line crops)."""
    start: str = "pp-ocr"
    """First weights: pp-ocr (those of PP-OCRv6 small), random, or a snapshot of another run."""
    batch_size: int = 32
    """Lines in a step, of similar width."""
    pool: int = 12
    """Batches that are drawn at once and sorted by width, so that little is padded."""
    steps: int = 2500
    """Steps of the whole run; generated lines have no epochs."""
    warmup_steps: int = 200
    """Steps in which the learning rate rises from zero."""
    learning_rate: float = 1.5e-4
    """Highest learning rate of the body; after the warm-up it falls along a cosine."""
    head_factor: float = 5.0
    """The head, whose classes are new, learns so many times faster."""
    weight_decay: float = 0.01
    """Weight decay of AdamW, on the weights of convolutions and linear layers alone."""
    clip: float = 50.0
    """Largest norm of the gradient; longer ones are shortened to it."""
    average: float = 0.998
    """Decay of the moving average of weights that is validated and kept."""
    check_every: int = 150
    """Steps between two validations, each with a checkpoint to go on from."""
    validation_lines: int = 600
    """Generated lines to validate with, of writers and fonts that are not trained with."""
    invert: float = 0.15
    """Share of lines whose brightness is inverted."""
    recolour: float = 0.25
    """Share of lines whose colour channels are permuted."""
    grey: float = 0.1
    """Share of lines that lose their colour."""
    cutout: float = 0.1
    """Share of lines of which a small patch is painted over."""
    stretch: float = 0.15
    """Largest share by which a line becomes wider or narrower."""
    precision: str = "auto"
    """auto (bfloat16 where the hardware has it), bfloat16 or float32."""
    seed: int = 0
    """Decides lines and what is done to them."""

    limits: ClassVar[Mapping[str, tuple[float, float]]] = {
        "batch_size": (1, 4096),
        "pool": (1, 4096),
        "steps": (1, 10_000_000),
        "warmup_steps": (1, 10_000_000),
        "learning_rate": (1e-9, 100),
        "head_factor": (1e-3, 1e3),
        "weight_decay": (0, 10),
        "clip": (1e-6, 1e6),
        "average": (0, 0.99999),
        "check_every": (1, 10_000_000),
        "validation_lines": (1, 1_000_000),
        "invert": (0, 1),
        "recolour": (0, 1),
        "grey": (0, 1),
        "cutout": (0, 1),
        "stretch": (0, 0.5),
        "seed": (0, 2**31 - 1),
    }
    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "architecture": (ARCHITECTURE,),
        "precision": PRECISIONS,
    }

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
