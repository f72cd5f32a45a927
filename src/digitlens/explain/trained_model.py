"""A trained model with its run and its tiles, and what is measured of it, alone and among others.

Each measurement shows its progress on a terminal; the numbers are those of ``evaluation``.
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

SEED = 0  # of the tiles without a digit
CHOOSING_SEED = 60_001  # of tiles to choose a score by; no training draws with it
KNOWN = CHOOSING = 5000  # digits that distances of features are fitted to, and to choose by
DRAWN = 1000  # tiles in each set without digits that is drawn at random
CHOSEN_NEGATIVES = 2000

AnyClassifier: TypeAlias = Classifier | ForeignClassifier


class TrainedModel:
    """One model; each part is computed when it is first asked for, and kept.

    Attributes:
        model: As it was given: a shipped name, a run folder or a model folder.
        bundle: The model folder: graph, card, perhaps weights.
        run: The run folder; None of a model without the run that it came from.
        label: What it is called before it is opened: its run folder, or else its model folder.
        on: The tiles it is shown on: ``test``, or ``validation``, those its recipe kept back.
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
        """The model, ready to classify; raises ModelError where it is damaged."""
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
        """The recipe in the card; raises ModelError where it has none."""
        return recipe_of(self.classifier)

    @cached_property
    def history(self) -> list[dict[str, float]]:
        """One row an epoch; empty of a model without its run, DataError where it is damaged."""
        return _load_lines(self.run / "history.jsonl") if self.run else []

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """What ``run.json`` says of where the run came from; empty of a model without its run."""
        rows = _load_lines(self.run / PROVENANCE, whole=True) if self.run else []
        return rows[0] if rows else {}

    @property
    def split(self) -> Split:
        """The tiles it is shown on."""
        return self._evaluated[0]

    @property
    def data_name(self) -> str:
        """What they are called."""
        return self._evaluated[1]

    @cached_property
    def _evaluated(self) -> tuple[Split, str]:
        return evaluated_tiles(self.classifier, self.on, self.data_dir)

    @cached_property
    def report(self) -> Report:
        """Its evaluation on them."""
        return evaluate_model(self.classifier, self.split, self.data_name)

    @cached_property
    def training(self) -> Split:
        """The tiles it was trained with; all 60,000 of a model without recipe."""
        train = mnist.load_mnist(self.data_dir).train
        return self.recipe.split(train)[0] if self.card.recipe else train

    @cached_property
    def known(self) -> KnownDigits:
        """They, with the features that it has of them; raises ModelError where it has none."""
        return embed_known_digits(self.classifier, self.training)

    @cached_property
    def members(self) -> Members | None:
        """The networks that it averages; None of a model without weights, or without PyTorch."""
        try:
            return Members(self.bundle)
        except (ImportError, ModelError):
            return None


def _card_recipe(classifier: AnyClassifier) -> dict[str, Any] | None:
    """What a model's card has of its recipe; None without one."""
    return (isinstance(classifier, Classifier) and classifier.card.recipe) or None


def recipe_of(classifier: AnyClassifier) -> Recipe:
    """The recipe in a model's card; raises ModelError where it has none."""
    recipe = _card_recipe(classifier)
    if not recipe:
        raise ModelError(
            f"{classifier.name} does not say which tiles it was not trained on: "
            "expected a model with its recipe; use --split test"
        )
    return recipe_from(recipe)


def evaluated_tiles(classifier: AnyClassifier, on: str, data_dir: Path | None) -> tuple[Split, str]:
    """The tiles to evaluate a model on, and what they are called; ``on`` as of ``TrainedModel``.

    Raises ModelError where nobody knows which tiles its recipe kept back.
    """
    if on == "test":
        return mnist.load_mnist(data_dir).test, "MNIST test"
    recipe = recipe_of(classifier)
    _, validation = recipe.split(mnist.load_mnist(data_dir).train)
    if not len(validation):
        raise ModelError(
            f"{classifier.name} was trained with all tiles and kept none back: use --split test"
        )
    return validation, f"MNIST validation, {_held_back(recipe)}"


def evaluate_model(classifier: AnyClassifier, tiles: Split, data_name: str) -> Report:
    """Evaluates a model, with a bar on a terminal."""
    with _counted(classifier, "evaluating", len(tiles)) as ask:
        return evaluate(ask, tiles, model=_info(classifier), data_name=data_name)


@contextmanager
def _counted(classifier: AnyClassifier, what: str, total: int) -> Generator[PredictProba]:
    """A model's answers, counted by a bar on a terminal, of so many tiles in all."""
    with work_bar() as bar:
        task = bar.add_task(what, total=total)

        def ask(tiles: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
            answers = classifier.predict_proba(tiles)
            bar.advance(task, len(tiles))
            return answers

        yield ask


def _info(classifier: AnyClassifier) -> ModelInfo:
    return ModelInfo(classifier.name, classifier.sha256, classifier.given)


def _load_lines(path: Path, *, whole: bool = False) -> list[dict[str, Any]]:
    """The objects of a file of JSON lines, or the only one of a JSON file; none without a file."""
    if not path.is_file():
        return []
    try:
        text = path.read_text(encoding="utf-8")
        return [json.loads(part) for part in ([text] if whole else text.splitlines())]
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error}): train the run anew") from error


class ComparedModel(NamedTuple):
    """A model of a comparison."""

    name: str  # what tells it from the others
    classifier: AnyClassifier
    facts: Facts  # what is known of it apart from its answers
    recipe: Recipe | None  # what it was trained from; None if unknown


def measure_external(classifier: AnyClassifier, texts: Sequence[str]) -> list[Transfer]:
    """Scores a model on other data sets, ``NAME`` or ``NAME=FILE`` each, in their order.

    Raises DataError where one is unknown, missing or damaged, MissingExtraError where its package
    is not installed, and ModelError where the model's answers are no probabilities.
    """
    found: list[Transfer] = []
    for data in map(load_external, texts):
        with _counted(classifier, data.title, 2 * len(data.framed)) as ask:
            found.append(measure_transfer(ask, data, model=_info(classifier)))
    return found


def measure_corrupted(
    classifier: AnyClassifier, split: Split, report: Report, curve_tiles: int = CURVE_TILES
) -> Robustness:
    """Measures a model on tiles that are made worse; ``report`` is what was found before.

    Raises ModelError where its answers are no probabilities.
    """
    recipe = _card_recipe(classifier)
    with _counted(classifier, "corrupting", tiles_asked(len(split), curve_tiles)) as ask:
        return measure_robustness(ask, split, report, recipe=recipe, curve_tiles=curve_tiles)


def time_answers(classifier: AnyClassifier, tiles: npt.NDArray[np.uint8]) -> Speed:
    """How fast a model answers on this machine, now."""
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
    """Measures when a model should not answer, and whether it knows what is no digit.

    Negatives are ``NAME=FILE`` of more sets of no digit. MNIST is needed when the model's graph
    gives features. Where the digits are those of validation, ways to calibrate are compared too.

    Raises DataError where fonts or a file cannot be had, or a name is taken, and MissingExtraError
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
        lambda: _choice(classifier, data_dir),
        # How well the shipped autoencoder draws tiles again.
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

    # Files first: a wrong name is found before fonts are fetched.
    more = [negatives.load_negatives(name, path) for name, path in files.items()]
    sets = negatives.negative_sets(load_faces("validation"), SEED, DRAWN)
    for one in more:
        if both := sets.keys() & one.keys():
            raise DataError(f"--negatives: {', '.join(both)} is the name of another set")
        sets |= one
    return sets


def _choice(classifier: AnyClassifier, data_dir: Path | None) -> Choice:
    """Digits of the training set and negatives like those trained with, to choose a score by."""
    from digitlens.datasets.negative_inks import load_faces  # noqa: PLC0415  (OpenCV)
    from digitlens.datasets.negatives import make_negatives  # noqa: PLC0415

    train = mnist.load_mnist(data_dir).train
    recipe = _card_recipe(classifier)
    known, held = recipe_from(recipe).split(train) if recipe else (train, None)
    if not held:  # somebody else's model, or one refitted with all of them
        known, held = train.take(range(KNOWN)), train.take(range(-CHOOSING, 0))
    made = make_negatives(CHOSEN_NEGATIVES, load_faces("training"), CHOOSING_SEED, known.tiles)
    return Choice(known.evenly(KNOWN), held.evenly(CHOOSING).tiles, {"as in training": made})


def open_classifier(model: str, pixels: Any, outputs: Any) -> AnyClassifier:
    """A shipped model by its name, a run or model folder, or somebody else's ``.onnx`` file.

    Of the last, ``pixels`` and ``outputs`` are as of ``ForeignClassifier``, None for the default.
    """
    if Path(model).suffix.lower() == ".onnx":
        return ForeignClassifier(model, pixels, outputs or "probabilities")
    return Classifier(model)


def open_compared(models: Sequence[str], pixels: Any, outputs: Any) -> list[ComparedModel]:
    """Opens all models of a comparison; ModelError where one is missing, damaged or given twice."""
    for one in models:
        if models.count(one) > 1:
            raise ModelError(f"{one} is given twice: expected different models to compare")
    # The last part of each path where that tells them apart, else the whole of it.
    short = [Path(model).name or model for model in models]
    names = short if len(set(short)) == len(short) else models
    found: list[ComparedModel] = []
    for model, name in zip(models, names, strict=True):
        classifier = open_classifier(model, pixels, outputs)
        values = _card_recipe(classifier)
        recipe = recipe_from(values) if values else None
        if isinstance(classifier, Classifier):
            facts = Facts(
                parameters(recipe) if recipe else None,
                (find_bundle(model) / GRAPH).stat().st_size,
                classifier.card.results.get("training_seconds"),
                recipe.as_dict() if recipe else {},  # with fields that are younger than the model
            )
        else:  # a large graph keeps its weights in a file of their own
            parts = (Path(model), Path(f"{model}.data"))
            facts = Facts(size=sum(part.stat().st_size for part in parts if part.is_file()))
        found.append(ComparedModel(name, classifier, facts, recipe))
    return found


def common_validation(models: Sequence[ComparedModel], train: Split) -> Split:
    """The tiles that no model has learned from; ModelError if they kept different ones."""
    # Somebody else's model may have learned from any of them.
    kept = [one.recipe.split(train)[1] if one.recipe else None for one in models]
    hashes = [data_sha256(tiles) if tiles else "" for tiles in kept]
    if kept[0] and hashes[0] and len(set(hashes)) == 1:
        return kept[0]
    held = "; ".join(
        f"{one.name}: {_held_back(one.recipe) if one.recipe else 'no recipe'}" for one in models
    )
    raise ModelError(
        f"the models did not keep back the same tiles ({held}), so that some have learned what "
        "others have not: compare on tiles that none of them knows, with --split test or "
        "--data FOLDER"
    )


def _held_back(recipe: Recipe) -> str:
    if recipe.validation not in {"writer", "random"}:
        return "none"
    return f"{recipe.validation_share:.0%} by {recipe.validation}, seed {recipe.seed}"


def compare_models(models: Sequence[ComparedModel], tiles: Split, data_name: str) -> Comparison:
    """Evaluates all models on the same tiles and compares each two."""
    reports = {one.name: evaluate_model(one.classifier, tiles, data_name) for one in models}
    return compare(data_name, reports, {one.name: one.facts for one in models})


SIDE = 28
_KNOWN = ("classic", "fast", "pooled", "residual", "separable", "swift")


@dataclass(frozen=True, slots=True)
class Stage:
    """What one block of layers does and gives: maps, or units where ``side`` is 0."""

    does: str
    channels: int
    side: int
    parameters: int


def stages(recipe: Recipe) -> list[Stage]:
    """The stages of one network of a recipe, from pixels to the answer.

    None of an architecture of a user's own, which only PyTorch knows.
    """
    if recipe.architecture not in _KNOWN:
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
    """Numbers that training can change, of all networks of a recipe; None as of ``stages``."""
    return recipe.models * sum(stage.parameters for stage in stages(recipe)) or None


def _stage(recipe: Recipe, number: int, channels: tuple[int, int], kernel: int, side: int) -> Stage:
    """A block of convolutions on maps of a side, as ``tile_networks`` builds it."""
    way, is_first, (given, width) = recipe.architecture, number == 0, channels
    is_stem = is_first and way in ("pooled", "separable")  # one convolution, pooled
    is_separable = way == "separable" and not is_stem
    is_fixed = is_first and way == "swift"
    if way == "swift":
        halves = number < 2
    else:
        strided = recipe.pool == "stride" and way in ("classic", "fast", "pooled")
        halves = (is_first and way in ("fast", "residual")) or (strided and not is_stem)
    pools = not halves and way != "swift"
    shrinks = way == "swift" and number > 1 and kernel <= side
    padding = 0 if shrinks else kernel // 2
    after = side // 2 if pools else (side + 2 * padding - kernel) // (2 if halves else 1) + 1

    count = 1 if is_stem or way == "residual" else recipe.convs
    has_norm = recipe.batch_norm or is_stem or way in ("residual", "separable", "swift")
    constants = 2 * width if has_norm else width  # factors and offsets, or biases
    weights = 0
    for maps in [given, *[width] * (count - 1)][1 if is_fixed else 0 :]:
        kernels = maps * (kernel**2 + width) if is_separable else maps * width * kernel**2
        weights += kernels + constants
    words = [_several(count, "separable convolution" if is_separable else "convolution", kernel)]
    words += ["stride 2"] if halves else []
    words += ["filters given"] if is_fixed else []
    if way == "residual":
        weights += 2 * recipe.convs * (9 * width * width + constants)
        words.append(_several(recipe.convs, "residual pair", 3))
    if pools:
        words.insert(0 if way == "residual" else len(words), "max pooling")
    return Stage(", ".join(words), width, after, weights)


def _several(count: int, what: str, side: int) -> str:
    return f"{what if count == 1 else f'{count} {what}s'} {side} \u00d7 {side}"
