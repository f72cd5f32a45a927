"""Recipes: the hyperparameters of each kind of network, by name or from a file, with overrides."""

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
from digitlens.training.settings import FLOOR, BaseRecipe, Schedule, build, change, format_value

PAGES, LINES, AUTOENCODER = "pages", "lines", "autoencoder"  # architectures that select the kind
Validation = Literal["writer", "random"]
HELD_OUT = 0.1  # fraction of MNIST's writers whose digits are used in validation lines only

Renamed = dict[str, str]


@dataclass(frozen=True, kw_only=True)
class TrainingRecipe(BaseRecipe):
    """The fields common to all kinds of recipe."""

    architecture: str = ""
    """Network."""
    batch_size: Annotated[int, (1, 60000)] = 32
    """Tiles, pages or lines in each training step."""
    learning_rate: Annotated[float, (1e-9, 100)] = 0.001
    """Peak learning rate."""
    weight_decay: Annotated[float, (0, 10)] = 0.0
    """Weight decay of AdamW, applied only to the weights of convolutions and linear layers."""
    ema_decay: Annotated[float, (0, 0.99999)] = 0.0
    """Decay of the moving average of the weights, which is validated and kept; 0 for none."""
    precision: Annotated[str, ("auto", "bfloat16", "float32")] = "auto"
    """auto (bfloat16 where the hardware has it), bfloat16 or float32."""
    seed: Annotated[int, (0, 2**31 - 1)] = 0
    """Random seed of the initial weights, order, augmentation and split."""

    renamed: ClassVar[Renamed] = {"average": "ema_decay"}


@dataclass(frozen=True, kw_only=True)
class _SplitRecipe(TrainingRecipe):
    """A recipe that splits MNIST's training tiles into training and validation tiles."""

    validation: Annotated[str, ("writer", "random")] = "writer"
    """Validation split: writer (no writer on both sides) or random (stratified)."""
    validation_share: Annotated[float, (0.01, 0.9)] = 0.1
    """Fraction of the 60,000 training tiles held out for validation."""

    def split(self, train: Split) -> tuple[Split, Split]:
        """Splits MNIST's whole training set, in original order, into (training, validation)."""
        if self.validation == "none":
            return train, Split(train.tiles[:0], train.labels[:0])
        validation: Validation = "random" if self.validation == "random" else "writer"
        return split_validation(train, validation, fraction=self.validation_share, seed=self.seed)


@dataclass(frozen=True, kw_only=True)
class _EpochRecipe(TrainingRecipe):
    """A recipe whose training makes several passes over the same tiles."""

    epochs: Annotated[int, (1, 10000)] = 10
    """Maximum number of passes over the training tiles."""
    warmup: Annotated[float, (0, 0.9)] = 0.1
    """Fraction of all steps in which the learning rate rises from zero."""

    def _plan(self, tiles: int, shape: str, floor: float, clip: float) -> Schedule:
        epoch = math.ceil(tiles / self.batch_size)
        steps, warmup = self.epochs * epoch, self.warmup * self.epochs * epoch
        peak, ema_decay = self.learning_rate, self.ema_decay
        return Schedule(steps, epoch, peak, warmup, shape, floor, clip, ema_decay, self.epochs)


@dataclass(frozen=True, kw_only=True)
class _StepRecipe(TrainingRecipe):
    """A recipe whose data is generated during training, without limit and so without epochs."""

    steps: Annotated[int, (1, 10_000_000)] = 1000
    """Training steps in total; generated data has no epochs."""
    warmup_steps: Annotated[int, (1, 10_000_000)] = 100
    """Steps in which the learning rate rises from zero, before it falls along a cosine."""
    clip: Annotated[float, (1e-6, 1e6)] = 5.0
    """Gradient norm above which gradients are clipped."""
    check_every: Annotated[int, (1, 10_000_000)] = 100
    """Steps between validations, each of which writes a checkpoint to resume from."""

    def plan(self) -> Schedule:
        """Returns the schedule of the training."""
        settings = self.steps, self.check_every, self.learning_rate, self.warmup_steps
        return Schedule(*settings, clip=self.clip, ema_decay=self.ema_decay)


@dataclass(frozen=True, kw_only=True)
class Recipe(_EpochRecipe, _SplitRecipe):
    """How a network that classifies tiles is trained."""

    architecture: Annotated[
        str, ("classic", "fast", "pooled", "residual", "separable", "swift")
    ] = "classic"
    """Network: classic (convolution, ReLU, max pooling), fast (first convolution strided), pooled
    (a single first convolution, pooled), residual (fast, with residual pairs of convolutions),
    separable (pooled, depthwise separable convolutions, a learned weighted sum over each final
    feature map) or swift (first convolution computed from the tiles instead of trained, later ones
    unpadded)."""
    margin: Annotated[int, (0, 4)] = 0
    """Pixels cropped from each side of a tile; MNIST leaves four blank, except around digits whose
    centre of mass is off-centre."""
    widths: Annotated[tuple[int, ...], (1, 4096)] = (32, 64)
    """Channels of each block, one number per block."""
    kernels: Annotated[tuple[int, ...], (1, 27)] = (3,)
    """Odd kernel sizes of the blocks, in pixels; the last one applies to all further blocks."""
    convs: Annotated[int, (1, 8)] = 1
    """Convolutions in each block; for residual, pairs after the convolution that widens."""
    pool: Annotated[str, ("max", "stride")] = "max"
    """Downsampling in each block: max (pooling) or stride (of its first convolution)."""
    batch_norm: bool = False
    """Whether batch normalisation follows each convolution."""
    dense: Annotated[int, (0, 65536)] = 128
    """Units of the hidden dense layer; 0 for none."""
    dropout: Annotated[float, (0, 0.95)] = 0.5
    """Fraction of units dropped before each dense layer in training."""
    stochastic_depth: Annotated[float, (0, 0.9)] = 0.0
    """Probability of skipping the last residual pair in a training step; lower for earlier ones."""
    optimizer: Annotated[str, ("adam", "adamw", "sgd", "muon")] = "adam"
    """adam, adamw, sgd (Nesterov momentum 0.9) or muon (adam for parameters it cannot handle)."""
    weight_decay: float = 0.0
    """Weight decay as defined by the optimiser."""
    schedule: Annotated[str, ("constant", "cosine", "linear")] = "cosine"
    """Learning rate after the warm-up: constant, cosine or linear (both down to zero)."""
    batch_size: int = 128
    patience: Annotated[int, (0, 10000)] = 5
    """Epochs without a better validation loss before training stops early; 0 never stops early."""
    label_smoothing: Annotated[float, (0, 0.9)] = 0.0
    """Target probability spread evenly over all classes."""
    shift: Annotated[float, (0, 14)] = 0.0
    """Augmentation: maximum shift in each direction, in pixels."""
    rotate: Annotated[float, (0, 180)] = 0.0
    """Augmentation: maximum rotation either way, in degrees."""
    scale: Annotated[float, (0, 0.9)] = 0.0
    """Augmentation: maximum relative change of width and height, drawn independently."""
    shear: Annotated[float, (0, 60)] = 0.0
    """Augmentation: maximum slant either way, in degrees."""
    elastic: Annotated[float, (0, 14)] = 0.0
    """Augmentation: standard deviation of the elastic displacement, in pixels."""
    thickness: Annotated[float, (0, 1)] = 0.0
    """Augmentation: fraction of tiles whose strokes are thickened or thinned."""
    erase: Annotated[float, (0, 28)] = 0.0
    """Augmentation: maximum side, in pixels, of a square erased from half of the tiles."""
    blur: Annotated[float, (0, 1)] = 0.0
    """Augmentation: fraction of tiles that are blurred, or downsampled and upsampled."""
    contrast: Annotated[float, (0, 1)] = 0.0
    """Augmentation: fraction of tiles with fainter ink or a brighter background."""
    noise: Annotated[float, (0, 1)] = 0.0
    """Augmentation: fraction of tiles with Gaussian noise."""
    filters: Annotated[float, (0, 1)] = 0.0
    """Augmentation: fraction of tiles passed through a random 3 x 3 filter or drawn as outlines."""
    lines: Annotated[float, (0, 1)] = 0.0
    """Augmentation: fraction of tiles crossed by a thin line, straight or with a kink."""
    mixup: Annotated[float, (0, 10)] = 0.0
    """Parameter of the beta distribution of mixup weights; 0 disables mixup."""
    negatives: Annotated[float, (0, 2)] = 0.0
    """Negative tiles (letters, shapes and scribbles, drawn with fonts that are downloaded once) per
    digit in an epoch; above 0 adds a class for them."""
    teacher: str = ""
    """Name or folder of the model to distil; empty to learn the labels."""
    distillation_temperature: Annotated[float, (0.1, 100)] = 1.0
    """Temperature that softens the teacher's probabilities."""
    repeat: Annotated[int, (1, 1000)] = 1
    """Epochs that reuse the same augmented tiles, for small networks that train faster than tiles
    are augmented."""
    clean_epochs: Annotated[int, (0, 10000)] = 0
    """Final epochs without augmentation, to adapt the network to unaltered tiles."""
    validation: Annotated[str, ("writer", "random", "none")] = "writer"
    """Validation split: writer (no writer on both sides), random (stratified), or none (train on
    all tiles and keep the last epoch)."""
    temperature: Annotated[float, (0, 100)] = 0.0
    """Softmax temperature of the exported model; 0 fits it to the validation tiles."""
    models: Annotated[int, (1, 100)] = 1
    """Networks in the ensemble, trained in turn from different seeds and averaged."""
    tta_views: Annotated[int, (1, 5)] = 1
    """Test-time augmentation: versions of each tile averaged by the exported model, 1, or 5 (the
    tile and its shifts by one pixel each way)."""

    renamed: ClassVar[Renamed] = {
        "depth_drop": "stochastic_depth",
        "none": "negatives",
        "soften": "distillation_temperature",
        "members": "models",
        "views": "tta_views",
    }

    def structure_problems(self, mistyped: set[str]) -> list[str]:
        """Returns what is wrong with the blocks, kernels and combinations of fields."""
        if mistyped & {"widths", "kernels"}:
            return []
        deep, kernels = len(self.widths), len(self.kernels)
        sizes = f"{deep} sizes, one for each of widths"
        some_even = any(kernel % 2 == 0 for kernel in self.kernels)
        fits_none = self.validation == "none" and not self.temperature
        mixes_up = self.mixup and (self.negatives or self.teacher)
        checks = (
            (deep > 4, f"widths: expected at most 4 blocks (each halves 28 pixels), found {deep}"),
            (kernels > deep, f"kernels: expected at most {sizes}, found {kernels}"),
            (some_even, f"kernels: expected odd sizes, found {format_value(self.kernels)}"),
            (self.tta_views not in {1, 5}, f"tta_views: expected 1 or 5, found {self.tta_views}"),
            (fits_none, "temperature: expected above 0, as validation=none has no tiles to fit it"),
            (mixes_up, "mixup: expected 0 together with negatives or teacher"),
        )
        return [problem for is_wrong, problem in checks if is_wrong]

    @property
    def classes(self) -> int:
        """The number of classes: the ten digits, plus one for negatives if there are any."""
        return 10 + (self.negatives > 0)

    def blocks(self) -> list[tuple[int, int]]:
        """Channels and kernel size of each block."""
        repeated = self.kernels[-1:] * (len(self.widths) - len(self.kernels))
        return list(zip(self.widths, self.kernels + repeated, strict=True))

    def plan(self, tiles: int) -> Schedule:
        """Returns the schedule for a number of tiles, with a validation after each epoch."""
        return self._plan(tiles, self.schedule, floor=0.0, clip=0.0)


@dataclass(frozen=True, kw_only=True)
class DetectorRecipe(_StepRecipe, _SplitRecipe):
    """How a digit detector is trained."""

    architecture: Annotated[str, (PAGES,)] = PAGES
    """Network: pages (the digit detector, which locates and classifies digits on whole pages)."""
    widths: Annotated[tuple[int, ...], (1, 4096), 5] = (16, 32, 64, 128, 192)
    """Channels of the five stages, each at half the resolution of the previous one."""
    blocks: Annotated[tuple[int, ...], (0, 64), 4] = (1, 2, 2, 1)
    """Residual blocks in each of the last four stages."""
    paths: Annotated[tuple[int, ...], (1, 4096), 3] = (64, 96, 128)
    """Channels of the feature pyramid at strides of 4, 8 and 16 pixels."""
    side: Annotated[int, (64, 1024)] = 192
    """Width and height of the generated pages, in pixels."""
    batch_size: Annotated[int, (1, 4096)] = 32
    views: Annotated[int, (1, 64)] = 2
    """Steps that use the same pages, cropped and coloured differently in each."""
    steps: int = 15000
    warmup_steps: int = 300
    learning_rate: float = 0.002
    weight_decay: float = 0.02
    ema_decay: float = 0.998
    check_every: int = 500
    validation_pages: Annotated[int, (1, 1_000_000)] = 768
    """Generated validation pages, with writers and fonts held out from training."""

    def structure_problems(self, mistyped: set[str]) -> list[str]:
        """Returns a problem if the page side cannot be halved five times."""
        if "side" in mistyped or not self.side % 32:
            return []
        return [f"side: expected a multiple of 32, found {self.side}"]


@dataclass(frozen=True, kw_only=True)
class LineRecipe(_StepRecipe):
    """How a line recogniser is trained."""

    architecture: Annotated[str, (LINES,)] = LINES
    """Network: lines (recognises the characters of line crops)."""
    start: str = "pp-ocr"
    """Initial weights: pp-ocr (PP-OCRv6 small), random, or the path of another run's snapshot."""
    batch_size: Annotated[int, (1, 4096)] = 32
    pool: Annotated[int, (1, 4096)] = 12
    """Batches that are generated together and sorted by width, to reduce padding."""
    steps: int = 2500
    warmup_steps: int = 200
    learning_rate: float = 1.5e-4
    """Peak learning rate of the body."""
    head_factor: Annotated[float, (1e-3, 1e3)] = 5.0
    """Learning rate of the head, which has new classes, as a multiple of the body's."""
    weight_decay: float = 0.01
    distil: Annotated[float, (0, 1e3)] = 1.0
    """Weight of the loss that preserves what the published network reads correctly; 0 for none."""
    anchor: Annotated[float, (0, 1e3)] = 3.0
    """Decay of weights towards the published ones, decoupled as in AdamW; 0 for none."""
    clip: float = 50.0
    ema_decay: float = 0.998
    check_every: int = 150
    validation_lines: Annotated[int, (1, 1_000_000)] = 600
    """Generated validation lines, with writers and fonts held out from training."""
    invert: Annotated[float, (0, 1)] = 0.15
    """Fraction of lines whose brightness is inverted."""
    recolour: Annotated[float, (0, 1)] = 0.25
    """Fraction of lines whose colour channels are permuted."""
    grey: Annotated[float, (0, 1)] = 0.1
    """Fraction of lines converted to greyscale."""
    cutout: Annotated[float, (0, 1)] = 0.1
    """Fraction of lines in which a small patch is painted over."""
    stretch: Annotated[float, (0, 0.5)] = 0.15
    """Maximum relative change of a line's width."""

    @property
    def validation(self) -> str:
        """The validation split, which is fixed so that ``training.calibrate`` can reproduce it."""
        return "writer"

    def split(self, train: Split) -> tuple[Split, Split]:
        """Splits the tiles into those for training lines and those for validation lines."""
        return split_validation(train, "writer", fraction=HELD_OUT, seed=0)


@dataclass(frozen=True, kw_only=True)
class AutoencoderRecipe(_EpochRecipe, _SplitRecipe):
    """How an autoencoder of digits is trained."""

    architecture: Annotated[str, (AUTOENCODER,)] = AUTOENCODER
    """Network: autoencoder (encodes a tile as a short code and decodes the code)."""
    widths: Annotated[tuple[int, ...], (1, 1024), 2] = (32, 16)
    """Channels of the convolutions next to the pixels, and of those next to the code."""
    code: Annotated[int, (1, 784)] = 16
    """Size of the code that represents the 784 pixels of a tile."""
    loss: Annotated[str, ("binary", "squared")] = "binary"
    """Loss of each pixel: binary (cross-entropy) or squared (squared error)."""
    noise: Annotated[float, (0, 1)] = 0.0
    """Standard deviation, relative to full ink, of noise added to the input but not the target."""
    batch_size: int = 128
    epochs: int = 3
    warmup: float = 0.05
    learning_rate: Annotated[float, (1e-9, 1)] = 0.01
    clip: Annotated[float, (0.01, 1000)] = 5.0
    """Gradient norm above which gradients are clipped."""
    ema_decay: float = 0.99

    def plan(self, tiles: int) -> Schedule:
        """Returns the schedule for a number of tiles, with a validation after each epoch."""
        return self._plan(tiles, "cosine", FLOOR, self.clip)


AnyRecipe = Recipe | DetectorRecipe | LineRecipe | AutoencoderRecipe

_RENAMED_RECIPES = {"committee": "ensemble"}  # recipes of version 0.1
# Recipe class by architecture; all other architectures are classifiers.
_RECIPE_CLASSES: dict[str, type[DetectorRecipe | LineRecipe | AutoencoderRecipe]] = {
    one.architecture: one for one in (DetectorRecipe, LineRecipe, AutoencoderRecipe)
}
T = TypeVar("T", bound=TrainingRecipe)


def _load_shipped() -> dict[str, AnyRecipe]:
    """Loads the recipes of ``recipes.toml``, which describes its format."""
    tables = tomllib.loads(Path(__file__).with_name("recipes.toml").read_text(encoding="utf-8"))
    for table in tables.values():
        table |= {**tables.get(table.pop("like", ""), {}), **table}
    return {
        name: build(_RECIPE_CLASSES.get(str(table.get("architecture")), Recipe), table, [])
        for name, table in tables.items()
        if not name.startswith("_")
    }


RECIPES = _load_shipped()


def load_recipe(recipe: str, changes: list[str] | None = None) -> AnyRecipe:
    """Loads a recipe by name or from a ``.toml`` file, with changes such as ``"widths=16,32,64"``.

    Missing fields get their defaults. ``architecture`` selects the kind of recipe: ``pages`` for a
    digit detector, ``lines`` for a line recogniser, ``autoencoder``, anything else a classifier.
    Raises RecipeError if the recipe is unknown, or with a list of all unknown or invalid fields.
    """
    values = _named_values(_RENAMED_RECIPES.get(recipe, recipe))
    kind = _RECIPE_CLASSES.get(str(values.get("architecture")), Recipe)
    return change(kind, values, changes or [])


def changed_recipe(recipe: Recipe, changes: list[str]) -> Recipe:
    """Returns a recipe with some fields changed, as in ``load_recipe``."""
    return change(Recipe, recipe.as_dict(), changes)


def recipe_from(values: Mapping[str, Any], kind: type[T] = Recipe) -> T:
    """Returns a recipe from plain values, such as those in a model's card; see ``build``.

    Values for the second network that digit detectors had in version 0.1 are ignored.
    """
    return build(kind, {k: v for k, v in values.items() if not k.startswith("crop_")}, [])


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
