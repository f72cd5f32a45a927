"""How each kind of network is trained, as frozen values: by name, from a file, with changes."""

from __future__ import annotations

import dataclasses
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from digitlens.datasets.mnist import Split, split_validation
from digitlens.errors import RecipeError
from digitlens.training.settings import FLOOR, BaseRecipe, Schedule, built, changed, shown

PAGES, LINES, AUTOENCODER = "pages", "lines", "autoencoder"  # what tells the kinds apart
Validation = Literal["writer", "random"]
HELD_OUT = 0.1  # share of MNIST's writers by whose digits lines are validated

Renamed = dict[str, str]


@dataclass(frozen=True, kw_only=True)
class TrainingRecipe(BaseRecipe):
    """What the recipes of all kinds of networks have in common."""

    architecture: str = ""
    """Network."""
    batch_size: Annotated[int, (1, 60000)] = 32
    """What is shown in a step: so many tiles, pages or lines."""
    learning_rate: Annotated[float, (1e-9, 100)] = 0.001
    """Highest learning rate."""
    weight_decay: Annotated[float, (0, 10)] = 0.0
    """Weight decay of AdamW, on the weights of convolutions and linear layers alone."""
    ema_decay: Annotated[float, (0, 0.99999)] = 0.0
    """Decay of the moving average of the weights that is validated and kept; 0 for none."""
    precision: Annotated[str, ("auto", "bfloat16", "float32")] = "auto"
    """auto (bfloat16 where the hardware has it), bfloat16 or float32."""
    seed: Annotated[int, (0, 2**31 - 1)] = 0
    """Decides everything that is drawn at random: first weights, order, augmentation, split."""

    renamed: ClassVar[Renamed] = {"average": "ema_decay"}


@dataclass(frozen=True, kw_only=True)
class _SplitRecipe(TrainingRecipe):
    """Of a kind that learns from some of MNIST's training tiles and is validated with others."""

    validation: Annotated[str, ("writer", "random")] = "writer"
    """How validation tiles are split off: writer (none on both sides) or random (stratified)."""
    validation_share: Annotated[float, (0.01, 0.9)] = 0.1
    """Share of the 60,000 training tiles that is kept for validation."""

    def split(self, train: Split) -> tuple[Split, Split]:
        """The training tiles as (tiles to train with, tiles to validate with).

        Args:
            train: The training split of MNIST, whole and in its order.
        """
        if self.validation == "none":
            return train, Split(train.tiles[:0], train.labels[:0])
        validation: Validation = "random" if self.validation == "random" else "writer"
        return split_validation(train, validation, fraction=self.validation_share, seed=self.seed)


@dataclass(frozen=True, kw_only=True)
class _EpochRecipe(TrainingRecipe):
    """Of a kind that goes through the same tiles again and again."""

    epochs: Annotated[int, (1, 10000)] = 10
    """Passes over the training tiles, at most."""
    warmup: Annotated[float, (0, 0.9)] = 0.1
    """Share of all steps in which the learning rate rises from zero."""

    def _plan(self, tiles: int, shape: str, floor: float, clip: float) -> Schedule:
        epoch = math.ceil(tiles / self.batch_size)
        steps, warmup = self.epochs * epoch, self.warmup * self.epochs * epoch
        peak, ema_decay = self.learning_rate, self.ema_decay
        return Schedule(steps, epoch, peak, warmup, shape, floor, clip, ema_decay, self.epochs)


@dataclass(frozen=True, kw_only=True)
class _StepRecipe(TrainingRecipe):
    """Of a kind that learns from what is drawn as it goes, which has no end and so no epochs."""

    steps: Annotated[int, (1, 10_000_000)] = 1000
    """Steps of the whole run; what is generated has no epochs."""
    warmup_steps: Annotated[int, (1, 10_000_000)] = 100
    """Steps in which the learning rate rises from zero; then it falls along a cosine."""
    clip: Annotated[float, (1e-6, 1e6)] = 5.0
    """Largest norm of the gradient; longer ones are shortened to it."""
    check_every: Annotated[int, (1, 10_000_000)] = 100
    """Steps between two validations, each with a checkpoint to go on from."""

    def plan(self) -> Schedule:
        """The steps in which the network learns."""
        peak, warmup = self.learning_rate, self.warmup_steps
        every, clip, ema_decay = self.check_every, self.clip, self.ema_decay
        return Schedule(self.steps, every, peak, warmup, clip=clip, ema_decay=ema_decay)


@dataclass(frozen=True, kw_only=True)
class Recipe(_EpochRecipe, _SplitRecipe):
    """How a network that classifies tiles is trained."""

    architecture: Annotated[
        str, ("classic", "fast", "pooled", "residual", "separable", "swift")
    ] = "classic"
    """Network: classic (convolution, ReLU, max pooling), fast (first convolution strided), pooled
    (a single first convolution, pooled), residual (fast, and pairs of convolutions that add to what
    they are given), separable (pooled, each convolution over places and then over channels, and of
    each last map a weighted sum) or swift (first convolution given by the tiles instead of trained,
    no padding in later ones)."""
    margin: Annotated[int, (0, 4)] = 0
    """Pixels on each side of a tile that the network does not look at; MNIST leaves four blank,
    but for digits whose centre of mass is not in their middle."""
    widths: Annotated[tuple[int, ...], (1, 4096)] = (32, 64)
    """Channels of each block; as many blocks as numbers."""
    kernels: Annotated[tuple[int, ...], (1, 27)] = (3,)
    """Kernel sizes in pixels, odd, of the first blocks; the last is that of all further ones."""
    convs: Annotated[int, (1, 8)] = 1
    """Convolutions in each block; residual: pairs of them, after the one that widens."""
    pool: Annotated[str, ("max", "stride")] = "max"
    """What halves the side in each block: max (pooling) or stride (of its first convolution)."""
    batch_norm: bool = False
    """Whether each convolution is followed by batch normalisation."""
    dense: Annotated[int, (0, 65536)] = 128
    """Units of the hidden dense layer; 0 for none."""
    dropout: Annotated[float, (0, 0.95)] = 0.5
    """Share of units dropped before each dense layer while training."""
    stochastic_depth: Annotated[float, (0, 0.9)] = 0.0
    """Share of the residual pairs left out of each training step, of the last; less before it."""
    optimizer: Annotated[str, ("adam", "adamw", "sgd", "muon")] = "adam"
    """adam, adamw, sgd (with Nesterov momentum 0.9) or muon (and adam where it does not apply)."""
    weight_decay: float = 0.0
    """Weight decay as the optimiser defines it."""
    schedule: Annotated[str, ("constant", "cosine", "linear")] = "cosine"
    """Learning rate after the warm-up: constant, cosine or linear (both down to zero)."""
    batch_size: int = 128
    patience: Annotated[int, (0, 10000)] = 5
    """Epochs without a better validation loss after which training stops; 0 never stops early."""
    label_smoothing: Annotated[float, (0, 0.9)] = 0.0
    """Probability spread over all classes in the target."""
    shift: Annotated[float, (0, 14)] = 0.0
    """Augmentation: largest shift, in pixels, in each direction."""
    rotate: Annotated[float, (0, 180)] = 0.0
    """Augmentation: largest rotation, in degrees, either way."""
    scale: Annotated[float, (0, 0.9)] = 0.0
    """Augmentation: largest relative change of width and height, drawn apart."""
    shear: Annotated[float, (0, 60)] = 0.0
    """Augmentation: largest slant, in degrees, either way."""
    elastic: Annotated[float, (0, 14)] = 0.0
    """Augmentation: standard deviation of the elastic displacement, in pixels."""
    thickness: Annotated[float, (0, 1)] = 0.0
    """Augmentation: share of tiles whose strokes are made thicker or thinner."""
    erase: Annotated[float, (0, 28)] = 0.0
    """Augmentation: largest side, in pixels, of a square that is erased in half of the tiles."""
    blur: Annotated[float, (0, 1)] = 0.0
    """Augmentation: share of tiles that are blurred, or shrunk and enlarged again."""
    contrast: Annotated[float, (0, 1)] = 0.0
    """Augmentation: share of tiles whose ink gets fainter or whose ground gets brighter."""
    noise: Annotated[float, (0, 1)] = 0.0
    """Augmentation: share of tiles with Gaussian noise."""
    filters: Annotated[float, (0, 1)] = 0.0
    """Augmentation: share of tiles seen through a random filter of 3 x 3 pixels, or as outlines."""
    lines: Annotated[float, (0, 1)] = 0.0
    """Augmentation: share of tiles that a thin line crosses, with a kink or without."""
    mixup: Annotated[float, (0, 10)] = 0.0
    """Parameter of the beta distribution by which pairs of tiles are blended; 0 for none."""
    negatives: Annotated[float, (0, 2)] = 0.0
    """Tiles of no digit in an epoch, as a share of its digits; above 0 there is a class for them.
    They show letters, shapes and scribbles, drawn with fonts that are fetched once."""
    teacher: str = ""
    """Model whose answers are learned instead of the labels: its name or folder."""
    distillation_temperature: Annotated[float, (0.1, 100)] = 1.0
    """Temperature by which a teacher's answers are made less sure."""
    repeat: Annotated[int, (1, 1000)] = 1
    """Epochs that see the same augmented tiles, for small networks that learn faster than they are
    drawn."""
    clean_epochs: Annotated[int, (0, 10000)] = 0
    """Last epochs, of tiles as they are: what is learned from augmented ones is brought closer."""
    validation: Annotated[str, ("writer", "random", "none")] = "writer"
    """How validation tiles are split off: writer (none on both sides), random (stratified), or
    none: all tiles are trained with, and the last epoch is kept."""
    temperature: Annotated[float, (0, 100)] = 0.0
    """Softmax temperature of the exported model; 0 fits it to the validation tiles."""
    models: Annotated[int, (1, 100)] = 1
    """Networks that are trained, one after another from seeds of their own, and averaged."""
    tta_views: Annotated[int, (1, 5)] = 1
    """Test-time augmentation: versions of each tile whose answers the exported model averages, 1,
    or 5 with the tile moved by one pixel each way."""

    renamed: ClassVar[Renamed] = {
        "depth_drop": "stochastic_depth",
        "none": "negatives",
        "soften": "distillation_temperature",
        "members": "models",
        "views": "tta_views",
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
        if self.tta_views not in {1, 5}:
            found.append(f"tta_views: expected 1 or 5, found {self.tta_views}")
        if self.validation == "none" and not self.temperature:
            found.append("temperature: expected one above 0, since validation=none can fit none")
        if self.mixup and (self.negatives or self.teacher):
            found.append("mixup: expected 0 together with negatives or teacher")
        return found

    @property
    def classes(self) -> int:
        """What the network tells apart: the ten digits, and no digit if it is trained with such."""
        return 10 + (self.negatives > 0)

    def blocks(self) -> list[tuple[int, int]]:
        """Channels and kernel size of each block."""
        more = self.kernels[-1:] * (len(self.widths) - len(self.kernels))
        return list(zip(self.widths, self.kernels + more, strict=True))

    def plan(self, tiles: int) -> Schedule:
        """The steps in which it learns from so many tiles; validated after each epoch."""
        return self._plan(tiles, self.schedule, floor=0.0, clip=0.0)


@dataclass(frozen=True, kw_only=True)
class DetectorRecipe(_StepRecipe, _SplitRecipe):
    """How a digit detector is trained."""

    architecture: Annotated[str, (PAGES,)] = PAGES
    """Network: pages (the digit detector, which finds and names digits on whole pages)."""
    widths: Annotated[tuple[int, ...], (1, 4096), 5] = (16, 32, 64, 128, 192)
    """Channels of the five stages, each at half the resolution of the one before."""
    blocks: Annotated[tuple[int, ...], (0, 64), 4] = (1, 2, 2, 1)
    """Residual blocks in each of the last four stages."""
    paths: Annotated[tuple[int, ...], (1, 4096), 3] = (64, 96, 128)
    """Channels of the path back down, in cells of 4, 8 and 16 pixels."""
    side: Annotated[int, (64, 1024)] = 192
    """Width and height of the generated pages, in pixels."""
    batch_size: Annotated[int, (1, 4096)] = 32
    views: Annotated[int, (1, 64)] = 2
    """Steps that use the same pages, each cut and coloured anew."""
    steps: int = 15000
    warmup_steps: int = 300
    learning_rate: float = 0.002
    weight_decay: float = 0.02
    ema_decay: float = 0.998
    check_every: int = 500
    validation_pages: Annotated[int, (1, 1_000_000)] = 768
    """Generated pages to validate with, of writers and fonts that are not trained with."""

    def structure_problems(self, mistyped: set[str]) -> list[str]:
        """Pages that cannot be halved five times."""
        if "side" in mistyped or not self.side % 32:
            return []
        return [f"side: expected a multiple of 32, found {self.side}"]


@dataclass(frozen=True, kw_only=True)
class LineRecipe(_StepRecipe):
    """How a line recogniser is trained."""

    architecture: Annotated[str, (LINES,)] = LINES
    """Network: lines (recognises the characters of line crops)."""
    start: str = "pp-ocr"
    """First weights: pp-ocr (those of PP-OCRv6 small), random, or a snapshot of another run."""
    batch_size: Annotated[int, (1, 4096)] = 32
    pool: Annotated[int, (1, 4096)] = 12
    """Batches that are drawn at once and sorted by width, so that little is padded."""
    steps: int = 2500
    warmup_steps: int = 200
    learning_rate: float = 1.5e-4
    """Highest learning rate of the body."""
    head_factor: Annotated[float, (1e-3, 1e3)] = 5.0
    """The head, whose classes are new, learns so many times faster."""
    weight_decay: float = 0.01
    distil: Annotated[float, (0, 1e3)] = 1.0
    """Weight of the loss that keeps what the published network reads right; 0 for none."""
    anchor: Annotated[float, (0, 1e3)] = 3.0
    """Decay of weights towards the published ones, decoupled as AdamW's; 0 for none."""
    clip: float = 50.0
    ema_decay: float = 0.998
    check_every: int = 150
    validation_lines: Annotated[int, (1, 1_000_000)] = 600
    """Generated lines to validate with, of writers and fonts that are not trained with."""
    invert: Annotated[float, (0, 1)] = 0.15
    """Share of lines whose brightness is inverted."""
    recolour: Annotated[float, (0, 1)] = 0.25
    """Share of lines whose colour channels are permuted."""
    grey: Annotated[float, (0, 1)] = 0.1
    """Share of lines that lose their colour."""
    cutout: Annotated[float, (0, 1)] = 0.1
    """Share of lines of which a small patch is painted over."""
    stretch: Annotated[float, (0, 0.5)] = 0.15
    """Largest share by which a line becomes wider or narrower."""

    @property
    def validation(self) -> str:
        """How tiles are split: always the same, for ``training.calibrate`` to keep to it."""
        return "writer"

    def split(self, train: Split) -> tuple[Split, Split]:
        """The training tiles as (tiles to draw lines with, tiles to draw validation lines with)."""
        return split_validation(train, "writer", fraction=HELD_OUT, seed=0)


@dataclass(frozen=True, kw_only=True)
class AutoencoderRecipe(_EpochRecipe, _SplitRecipe):
    """How an autoencoder of digits is trained."""

    architecture: Annotated[str, (AUTOENCODER,)] = AUTOENCODER
    """Network: autoencoder (from a tile to a short code, and from the code back to the tile)."""
    widths: Annotated[tuple[int, ...], (1, 1024), 2] = (32, 16)
    """Channels of the convolutions next to the pixels, and of those next to the code."""
    code: Annotated[int, (1, 784)] = 16
    """Numbers in the code, all that is left of the 784 pixels of a tile."""
    loss: Annotated[str, ("binary", "squared")] = "binary"
    """What is made small: binary (cross-entropy of each pixel) or squared (its squared error)."""
    noise: Annotated[float, (0, 1)] = 0.0
    """Standard deviation of the noise added to what the network is shown, as a share of full ink;
    what it should draw has none of it."""
    batch_size: int = 128
    epochs: int = 3
    warmup: float = 0.05
    learning_rate: Annotated[float, (1e-9, 1)] = 0.01
    clip: Annotated[float, (0.01, 1000)] = 5.0
    """Largest norm of the gradient; longer ones are shortened to it."""
    ema_decay: float = 0.99

    def plan(self, tiles: int) -> Schedule:
        """The steps in which it learns from so many tiles; validated after each epoch."""
        return self._plan(tiles, "cosine", FLOOR, self.clip)


AnyRecipe = Recipe | DetectorRecipe | LineRecipe | AutoencoderRecipe

_RENAMED = {"committee": "ensemble"}  # recipes of version 0.1
# Kinds of recipe that are no classifier's, by the architecture that tells them.
_KINDS: dict[str, type[DetectorRecipe | LineRecipe | AutoencoderRecipe]] = {
    one.architecture: one for one in (DetectorRecipe, LineRecipe, AutoencoderRecipe)
}
T = TypeVar("T", bound=TrainingRecipe)


def _shipped() -> dict[str, AnyRecipe]:
    """The recipes of ``recipes.toml``, which says how they are written."""
    tables = tomllib.loads(Path(__file__).with_name("recipes.toml").read_text(encoding="utf-8"))
    for table in tables.values():
        table |= {**tables.get(table.pop("like", ""), {}), **table}
    return {
        name: built(_KINDS.get(str(table.get("architecture")), Recipe), table, [])
        for name, table in tables.items()
        if not name.startswith("_")
    }


RECIPES = _shipped()


def load_recipe(recipe: str, changes: list[str] | None = None) -> AnyRecipe:
    """A named recipe or a TOML file, with some fields changed.

    Args:
        recipe: A name in ``RECIPES``, or the path of a ``.toml`` file whose missing fields take
            their defaults. Its ``architecture`` tells what it trains: ``pages`` a digit detector,
            ``lines`` a line recogniser, ``autoencoder`` an autoencoder, any other a classifier.
        changes: Texts such as ``"epochs=3"`` or ``"widths=16,32,64"``.

    Raises:
        RecipeError: The recipe is unknown, or fields are unknown or impossible; lists all of them.
    """
    values = _named_values(_RENAMED.get(recipe, recipe))
    kind = _KINDS.get(str(values.get("architecture")), Recipe)
    return changed(kind, values, changes or [])


def changed_recipe(recipe: Recipe, changes: list[str]) -> Recipe:
    """A recipe with some fields changed, as in ``load_recipe``."""
    return changed(Recipe, recipe.as_dict(), changes)


def recipe_from(values: Mapping[str, Any], kind: type[T] = Recipe) -> T:
    """A recipe from plain values, such as those in a model's card.

    Args:
        values: By field name; missing ones take their defaults, lists stand for tuples, whole
            numbers for numbers. Those of a second network, which digit detectors of version 0.1
            had, are left out.
        kind: Of the recipe.

    Raises:
        RecipeError: Fields are unknown or impossible; lists all of them.
    """
    return built(kind, {k: v for k, v in values.items() if not k.startswith("crop_")}, [])


def _named_values(recipe: str) -> dict[str, Any]:
    if recipe in RECIPES:
        return dataclasses.asdict(RECIPES[recipe])
    path = Path(recipe)
    if path.suffix != ".toml":
        raise RecipeError(
            f"no recipe {recipe!r}: expected one of {', '.join(RECIPES)}, "
            "or the path of a .toml file"
        )
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RecipeError(f"{path} cannot be read as a recipe: {error}") from error
