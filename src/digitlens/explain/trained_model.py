"""A trained model with its run and tiles, and its measurements, alone or compared with others.

Measurements show a progress bar on a terminal; ``evaluation`` computes the numbers.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from digitlens.datasets import mnist
from digitlens.datasets.external import load_external
from digitlens.datasets.mnist import Split
from digitlens.errors import DataError, ModelError, needs_extra
from digitlens.evaluation.metrics import PredictProba, Speed, measure_speed
from digitlens.evaluation.ood import Choice, Rejection, measure_rejection
from digitlens.evaluation.report import (
    CURVE_TILES,
    ModelInfo,
    Report,
    Robustness,
    Transfer,
    data_sha256,
    evaluate,
    measure_robustness,
    measure_transfer,
    tiles_asked,
)
from digitlens.evaluation.significance import Comparison, Facts, compare
from digitlens.explain.evidence import KnownDigits, Members, embed_known_digits
from digitlens.models.bundle import GRAPH, Card, find_bundle
from digitlens.models.classifier import Classifier, ForeignClassifier
from digitlens.models.networks import Reconstructor
from digitlens.progress import work_bar
from digitlens.results import Outputs
from digitlens.training.recipe import Recipe, recipe_from
from digitlens.training.run import PROVENANCE, RECIPE

SEED = 0  # of the negatives
CHOOSING_SEED = 60_001  # of the negatives for choosing a score; not used by any training
KNOWN = CHOOSING = 5000  # digits for fitting feature distances, and for choosing a score
DRAWN_NEGATIVES = 1000  # tiles in each randomly drawn set of negatives
CHOSEN_NEGATIVES = 2000  # negatives for choosing a score

AnyClassifier: TypeAlias = Classifier | ForeignClassifier


class TrainedModel:
    """One model; its properties are computed on first access and cached.

    Attributes:
        model: As given: the name of a shipped model, a run folder or a model folder.
        bundle: The model folder: graph, card, perhaps weights.
        run: The run folder; None for a model without its run.
        label: Its name before it is opened: that of its run folder, or else its model folder.
        on: The tiles it is evaluated on: ``test``, or ``validation``, those its recipe held out.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        on: Literal["test", "validation"] = "test",
        data_dir: Path | None = None,
    ) -> None:
        """Raises ModelError if there is no such model."""
        self.model, self.on, self.data_dir = model, on, data_dir
        self.bundle = find_bundle(model)
        folder = self.bundle.parent
        self.run = folder if (folder / RECIPE).is_file() else None
        self.label = (self.run or self.bundle).name

    @cached_property
    def classifier(self) -> Classifier:
        """The model, ready to classify; raises ModelError if it is damaged."""
        return Classifier(self.model)

    @property
    def card(self) -> Card:
        """The model's card."""
        return self.classifier.card

    @property
    def name(self) -> str:
        """The model's name."""
        return self.card.name

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe in the card; raises ModelError if it has none."""
        return recipe_of(self.classifier)

    @cached_property
    def history(self) -> list[dict[str, float]]:
        """One row per epoch; empty for a model without its run, DataError if it is damaged."""
        return _load_lines(self.run / "history.jsonl") if self.run else []

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """The provenance in ``run.json``; empty for a model without its run."""
        rows = _load_lines(self.run / PROVENANCE, whole=True) if self.run else []
        return rows[0] if rows else {}

    @property
    def split(self) -> Split:
        """The tiles it is evaluated on."""
        return self._evaluated[0]

    @property
    def data_name(self) -> str:
        """The name of these tiles."""
        return self._evaluated[1]

    @cached_property
    def _evaluated(self) -> tuple[Split, str]:
        return evaluated_tiles(self.classifier, self.on, self.data_dir)

    @cached_property
    def report(self) -> Report:
        """Its evaluation on these tiles."""
        return evaluate_model(self.classifier, self.split, self.data_name)

    @cached_property
    def training(self) -> Split:
        """The tiles it was trained on; all 60,000 for a model without a recipe."""
        train = mnist.load_mnist(self.data_dir).train
        return self.recipe.split(train)[0] if self.card.recipe else train

    @cached_property
    def known(self) -> KnownDigits:
        """Its training tiles with their features; raises ModelError if it has no features."""
        return embed_known_digits(self.classifier, self.training)

    @cached_property
    def members(self) -> Members | None:
        """The networks that it averages; None without weights, without PyTorch or if only one."""
        try:
            return Members(self.bundle)
        except (ImportError, ModelError):
            return None


def _card_recipe(classifier: AnyClassifier) -> dict[str, Any] | None:
    """The recipe values in a model's card; None without a card or recipe."""
    return (isinstance(classifier, Classifier) and classifier.card.recipe) or None


def recipe_of(classifier: AnyClassifier) -> Recipe:
    """The recipe in a model's card; raises ModelError if it has none."""
    recipe = _card_recipe(classifier)
    if not recipe:
        raise ModelError(
            f"{classifier.name} does not record which tiles it was not trained on: "
            "expected a model with its recipe; use --split test"
        )
    return recipe_from(recipe)


def evaluated_tiles(classifier: AnyClassifier, on: str, data_dir: Path | None) -> tuple[Split, str]:
    """The tiles to evaluate a model on, and their name; ``on`` as in ``TrainedModel``.

    Raises ModelError if the tiles that its recipe held out are unknown, or there are none.
    """
    if on == "test":
        return mnist.load_mnist(data_dir).test, "MNIST test"
    recipe = recipe_of(classifier)
    _, validation = recipe.split(mnist.load_mnist(data_dir).train)
    if not len(validation):
        raise ModelError(
            f"{classifier.name} was trained on all tiles and held none out: use --split test"
        )
    return validation, f"MNIST validation, {_held_back(recipe)}"


def evaluate_model(classifier: AnyClassifier, tiles: Split, data_name: str) -> Report:
    """Evaluates a model, with a progress bar on a terminal."""
    with _with_progress(classifier, "evaluating", len(tiles)) as ask:
        return evaluate(ask, tiles, model=_model_info(classifier), data_name=data_name)


@contextmanager
def _with_progress(classifier: AnyClassifier, label: str, total: int) -> Generator[PredictProba]:
    """A model's ``predict_proba`` that advances a progress bar over ``total`` tiles."""
    with work_bar() as bar:
        task = bar.add_task(label, total=total)

        def ask(tiles: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
            answers = classifier.predict_proba(tiles)
            bar.advance(task, len(tiles))
            return answers

        yield ask


def _model_info(classifier: AnyClassifier) -> ModelInfo:
    return ModelInfo(classifier.name, classifier.sha256, classifier.given)


def _load_lines(path: Path, *, whole: bool = False) -> list[dict[str, Any]]:
    """The objects of a JSON lines file, or, if ``whole``, of a JSON file; empty without a file."""
    if not path.is_file():
        return []
    try:
        text = path.read_text(encoding="utf-8")
        return [json.loads(part) for part in ([text] if whole else text.splitlines())]
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error}): repeat the training") from error


class ComparedModel(NamedTuple):
    """A model of a comparison."""

    name: str  # unique in the comparison
    classifier: AnyClassifier
    facts: Facts  # properties other than its answers
    recipe: Recipe | None  # its recipe; None if unknown


def measure_external(classifier: AnyClassifier, texts: Sequence[str]) -> list[Transfer]:
    """Scores a model on other data sets, each ``NAME`` or ``NAME=FILE``, in order.

    Raises DataError if one is unknown, missing or damaged, MissingExtraError if its package is not
    installed, and ModelError if the model's outputs are not probabilities.
    """
    transfers: list[Transfer] = []
    for data in map(load_external, texts):
        with _with_progress(classifier, data.title, 2 * len(data.framed)) as ask:
            transfers.append(measure_transfer(ask, data, model=_model_info(classifier)))
    return transfers


def measure_corrupted(
    classifier: AnyClassifier, split: Split, report: Report, curve_tiles: int = CURVE_TILES
) -> Robustness:
    """Measures a model on corrupted tiles; ``report`` is its evaluation on the clean ones.

    Raises ModelError if its outputs are not probabilities.
    """
    recipe = _card_recipe(classifier)
    with _with_progress(classifier, "corrupting", tiles_asked(len(split), curve_tiles)) as ask:
        return measure_robustness(ask, split, report, recipe=recipe, curve_tiles=curve_tiles)


def time_answers(classifier: AnyClassifier, tiles: npt.NDArray[np.uint8]) -> Speed:
    """Measures a model's speed on this machine."""
    with work_bar() as bar:
        bar.add_task("timing", total=None)
        return measure_speed(classifier.predict_proba, tiles)


def measure_ood(
    classifier: AnyClassifier,
    split: Split,
    *,
    negatives: Sequence[str] = (),
    data_dir: Path | None = None,
    is_validation: bool = False,
) -> Rejection:
    """Measures a model's uncertainty, and how well it separates digits from negatives.

    ``negatives`` are further sets of negatives as ``NAME=FILE``. MNIST is needed if the model's
    graph has a features output. On validation digits, calibration methods are compared too.

    Raises DataError if fonts or a file cannot be obtained or a name is taken, and MissingExtraError
    without OpenCV, which draws negatives.
    """
    reconstructor = Reconstructor()

    def outputs_of(tiles: npt.NDArray[np.uint8]) -> Outputs:
        if isinstance(classifier, Classifier):
            return classifier.outputs(tiles)
        return Outputs(classifier.predict_proba(tiles))

    return measure_rejection(
        outputs_of,
        split,
        _negatives(negatives),
        lambda: _choice_data(classifier, data_dir),
        # The reconstruction error of the shipped autoencoder.
        others={"reconstruction": lambda tiles: -reconstructor.error_of(tiles).astype(np.float64)},
        scaling=is_validation,
    )


def _negatives(texts: Sequence[str]) -> dict[str, npt.NDArray[np.uint8]]:
    files: dict[str, Path] = {}
    for text in texts:
        name, _, path = text.partition("=")
        if not (name and path) or name in files:
            raise DataError(f"--negatives: expected NAME=FILE, each name once, found {text!r}")
        files[name] = Path(path)
    with needs_extra("train"):
        from digitlens.datasets import negatives  # noqa: PLC0415
        from digitlens.datasets.negative_inks import load_faces  # noqa: PLC0415

    # Files first: a wrong name is found before fonts are downloaded.
    file_sets = [negatives.load_negatives(name, path) for name, path in files.items()]
    sets = negatives.negative_sets(load_faces("validation"), SEED, DRAWN_NEGATIVES)
    for file_set in file_sets:
        if shared := sets.keys() & file_set.keys():
            raise DataError(f"--negatives: {', '.join(shared)} is the name of another set")
        sets |= file_set
    return sets


def _choice_data(classifier: AnyClassifier, data_dir: Path | None) -> Choice:
    """Training digits, and negatives like those used in training, for choosing a score."""
    from digitlens.datasets.negative_inks import load_faces  # noqa: PLC0415  (OpenCV)
    from digitlens.datasets.negatives import make_negatives  # noqa: PLC0415

    train = mnist.load_mnist(data_dir).train
    recipe = _card_recipe(classifier)
    known, held_out = recipe_from(recipe).split(train) if recipe else (train, None)
    if not held_out:  # a foreign model, or one refitted on all tiles
        known, held_out = train.take(range(KNOWN)), train.take(range(-CHOOSING, 0))
    negatives = make_negatives(CHOSEN_NEGATIVES, load_faces("training"), CHOOSING_SEED, known.tiles)
    return Choice(
        known.evenly(KNOWN), held_out.evenly(CHOOSING).tiles, {"as in training": negatives}
    )


def open_classifier(model: str, pixels: Any, outputs: Any) -> AnyClassifier:
    """Opens a shipped model by name, a run or model folder, or a foreign ``.onnx`` file.

    For the last, ``pixels`` and ``outputs`` are as in ``ForeignClassifier``, None for the default.
    """
    if Path(model).suffix.lower() == ".onnx":
        return ForeignClassifier(model, pixels, outputs or "probabilities")
    return Classifier(model)


def open_compared(models: Sequence[str], pixels: Any, outputs: Any) -> list[ComparedModel]:
    """Opens all models of a comparison; ModelError if one is missing, damaged or given twice."""
    for one in models:
        if models.count(one) > 1:
            raise ModelError(f"{one} is given twice: expected different models to compare")
    # The last part of each path if these are unique, else the whole paths.
    short_names = [Path(model).name or model for model in models]
    names = short_names if len(set(short_names)) == len(short_names) else models
    opened: list[ComparedModel] = []
    for model, name in zip(models, names, strict=True):
        classifier = open_classifier(model, pixels, outputs)
        values = _card_recipe(classifier)
        recipe = recipe_from(values) if values else None
        if isinstance(classifier, Classifier):
            facts = Facts(
                parameters(recipe) if recipe else None,
                (find_bundle(model) / GRAPH).stat().st_size,
                classifier.card.results.get("training_seconds"),
                recipe.as_dict() if recipe else {},  # with fields newer than the model
            )
        else:  # large graphs keep their weights in a separate file
            parts = (Path(model), Path(f"{model}.data"))
            facts = Facts(size=sum(part.stat().st_size for part in parts if part.is_file()))
        opened.append(ComparedModel(name, classifier, facts, recipe))
    return opened


def common_validation(models: Sequence[ComparedModel], train: Split) -> Split:
    """The tiles that no model was trained on; ModelError if their held-out tiles differ."""
    # A foreign model may have been trained on any of them.
    splits = [one.recipe.split(train)[1] if one.recipe else None for one in models]
    hashes = [data_sha256(tiles) if tiles else "" for tiles in splits]
    if splits[0] and hashes[0] and len(set(hashes)) == 1:
        return splits[0]
    held = "; ".join(
        f"{one.name}: {_held_back(one.recipe) if one.recipe else 'no recipe'}" for one in models
    )
    raise ModelError(
        f"the models did not hold out the same tiles ({held}), so some were trained on tiles that "
        "others were not: compare on tiles that none was trained on, with --split test or "
        "--data FOLDER"
    )


def _held_back(recipe: Recipe) -> str:
    if recipe.validation not in {"writer", "random"}:
        return "none"
    return f"{recipe.validation_share:.0%} by {recipe.validation}, seed {recipe.seed}"


def compare_models(models: Sequence[ComparedModel], tiles: Split, data_name: str) -> Comparison:
    """Evaluates all models on the same tiles and compares each pair."""
    reports = {one.name: evaluate_model(one.classifier, tiles, data_name) for one in models}
    return compare(data_name, reports, {one.name: one.facts for one in models})


SIDE = 28
_ARCHITECTURES = ("classic", "fast", "pooled", "residual", "separable", "swift")


@dataclass(frozen=True, slots=True)
class Stage:
    """One block of layers: its operations and output, feature maps or, if ``side`` is 0, units."""

    does: str
    channels: int
    side: int
    parameters: int


def stages(recipe: Recipe) -> list[Stage]:
    """The stages of one network of a recipe, from the pixels to the probabilities.

    Empty for a user's own architecture, which is only known to PyTorch.
    """
    if recipe.architecture not in _ARCHITECTURES:
        return []
    side, channels, found = SIDE - 2 * recipe.margin, 1, list[Stage]()
    for number, (width, kernel) in enumerate(recipe.blocks()):
        found.append(_stage(recipe, number, (channels, width), kernel, side))
        channels, side = width, found[-1].side
    features, answers = channels * side * side, recipe.classes
    if recipe.architecture == "separable":
        found.append(Stage(f"weighted sum {side} \u00d7 {side}", channels, 1, features))
        features = channels
    if recipe.dense:
        found.append(Stage("dense layer", recipe.dense, 0, (features + 1) * recipe.dense))
        features = recipe.dense
    return [*found, Stage("dense layer, softmax", answers, 0, (features + 1) * answers)]


def parameters(recipe: Recipe) -> int | None:
    """Trainable parameters of all networks of a recipe; None for a user's own architecture."""
    return recipe.models * sum(stage.parameters for stage in stages(recipe)) or None


def _stage(recipe: Recipe, number: int, channels: tuple[int, int], kernel: int, side: int) -> Stage:
    """A block of convolutions on maps of ``side`` pixels, as ``tile_networks`` builds it."""
    kind, is_first, (inputs, width) = recipe.architecture, number == 0, channels
    is_stem = is_first and kind in ("pooled", "separable")  # one convolution, pooled
    is_separable = kind == "separable" and not is_stem
    is_fixed = is_first and kind == "swift"
    if kind == "swift":
        halves = number < 2
    else:
        strided = recipe.pool == "stride" and kind in ("classic", "fast", "pooled")
        halves = (is_first and kind in ("fast", "residual")) or (strided and not is_stem)
    pools = not halves and kind != "swift"
    shrinks = kind == "swift" and number > 1 and kernel <= side
    padding = 0 if shrinks else kernel // 2
    side_after = side // 2 if pools else (side + 2 * padding - kernel) // (2 if halves else 1) + 1

    count = 1 if is_stem or kind == "residual" else recipe.convs
    has_norm = recipe.batch_norm or is_stem or kind in ("residual", "separable", "swift")
    constants = 2 * width if has_norm else width  # factors and offsets, or biases
    weights = 0
    for maps in [inputs, *[width] * (count - 1)][1 if is_fixed else 0 :]:
        kernels = maps * (kernel**2 + width) if is_separable else maps * width * kernel**2
        weights += kernels + constants
    words = [_layers(count, "separable convolution" if is_separable else "convolution", kernel)]
    words += ["stride 2"] if halves else []
    words += ["fixed filters"] if is_fixed else []
    if kind == "residual":
        weights += 2 * recipe.convs * (9 * width * width + constants)
        words.append(_layers(recipe.convs, "residual pair", 3))
    if pools:
        words.insert(0 if kind == "residual" else len(words), "max pooling")
    return Stage(", ".join(words), width, side_after, weights)


def _layers(count: int, noun: str, side: int) -> str:
    return f"{noun if count == 1 else f'{count} {noun}s'} {side} \u00d7 {side}"
