"""What to train and how, as one frozen value; the command line is derived from it. No torch."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import math
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any, Literal

from digitlens.data.mnist import Split
from digitlens.data.splits import split_validation
from digitlens.errors import RecipeError

Validation = Literal["writer", "random"]


@dataclass(frozen=True)
class Recipe:
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

    def __post_init__(self) -> None:
        mistyped = _type_problems(self)
        problems = [*mistyped.values(), *_range_problems(self, set(mistyped))]
        if not mistyped.keys() & {"widths", "kernels"}:
            problems += _structure_problems(self)
        if problems:
            raise RecipeError(listed(problems))

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

    def as_dict(self) -> dict[str, Any]:
        """The fields as JSON-ready values."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in dataclasses.asdict(self).items()
        }

    def as_toml(self) -> str:
        """The recipe as TOML, each field under its explanation; ``load_recipe`` reads it back."""
        docs = field_docs()
        # Every value of a recipe is written the same in JSON and TOML.
        lines = [
            f"# {docs[name]}\n{name} = {json.dumps(value)}"
            for name, value in self.as_dict().items()
        ]
        return "\n".join(lines) + "\n"


_LIMITS: dict[str, tuple[float, float]] = {
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

_CHOICES: dict[str, tuple[str, ...]] = {
    "architecture": ("classic", "fast"),
    "pool": ("max", "stride"),
    "optimizer": ("adam", "adamw", "sgd"),
    "schedule": ("constant", "cosine", "linear"),
    "validation": ("writer", "random"),
    "precision": ("auto", "bfloat16", "float32"),
}


@cache
def field_docs() -> dict[str, str]:
    """The explanation under each field of ``Recipe``, read from its source."""
    tree = ast.parse(inspect.getsource(Recipe))
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    return {
        field.target.id: text.value.value
        for field, text in pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }


@cache
def defaults() -> dict[str, Any]:
    """The default of each field of ``Recipe``, by name."""
    return {field.name: field.default for field in dataclasses.fields(Recipe)}


def kind(default: Any) -> str:
    """What a value of the same type as ``default`` looks like, in words."""
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "a name"}
    return names.get(type(default), "whole numbers separated by commas")


def _type_problems(recipe: Recipe) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, default in defaults().items():
        value = getattr(recipe, name)
        right = type(value) is type(default)
        if isinstance(default, tuple):
            right = right and len(value) > 0 and all(type(item) is int for item in value)
        if isinstance(value, float):
            right = right and math.isfinite(value)
        if not right:
            found[name] = f"{name}: expected {kind(default)}, found {value!r}"
    return found


def _range_problems(recipe: Recipe, mistyped: set[str]) -> list[str]:
    found: list[str] = []
    for name in _LIMITS.keys() - mistyped:
        low, high = _LIMITS[name]
        value = getattr(recipe, name)
        if not all(
            low <= item <= high for item in (value if isinstance(value, tuple) else [value])
        ):
            found.append(f"{name}: expected {low:g} to {high:g}, found {_shown(value)}")
    for name in _CHOICES.keys() - mistyped:
        value = getattr(recipe, name)
        if value not in _CHOICES[name]:
            found.append(f"{name}: expected {' or '.join(_CHOICES[name])}, found {value!r}")
    return sorted(found)


def _structure_problems(recipe: Recipe) -> list[str]:
    found: list[str] = []
    if len(recipe.widths) > 4:
        found.append(
            f"widths: expected at most 4 blocks (each halves 28 pixels), found {len(recipe.widths)}"
        )
    if len(recipe.kernels) not in {1, len(recipe.widths)}:
        found.append(
            f"kernels: expected 1 or {len(recipe.widths)} sizes, one for each of widths, "
            f"found {len(recipe.kernels)}"
        )
    if any(kernel % 2 == 0 for kernel in recipe.kernels):
        found.append(f"kernels: expected odd sizes, found {_shown(recipe.kernels)}")
    return found


def _shown(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def listed(problems: list[str]) -> str:
    """One message for all problems."""
    return "the recipe cannot be used:\n  - " + "\n  - ".join(problems)
