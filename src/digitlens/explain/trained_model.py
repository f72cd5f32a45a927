"""A trained model with its run and its tiles; what is measured of it is measured once."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeAlias

from digitlens.datasets import mnist
from digitlens.datasets.mnist import Split
from digitlens.errors import DataError, ModelError
from digitlens.evaluation.report import ModelInfo, Report, evaluate
from digitlens.explain.neighbours import KnownDigits, embed_known_digits
from digitlens.models.bundle import Card, find_bundle
from digitlens.models.classifier import Classifier
from digitlens.models.onnx_external import ForeignClassifier
from digitlens.progress import work_bar
from digitlens.training.recipe import Recipe
from digitlens.training.recipes import recipe_from
from digitlens.training.run import PROVENANCE, RECIPE

AnyClassifier: TypeAlias = Classifier | ForeignClassifier


class TrainedModel:
    """One model; each part is computed when it is first asked for, and kept.

    Attributes:
        model: As it was given: a shipped name, a run folder or a model folder.
        bundle: The model folder: graph, card, perhaps weights.
        data_dir: Folder with the MNIST files; None looks where ``load_mnist`` does.
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

    @property
    def label(self) -> str:
        """What it is called before it is opened: its run folder, or else its model folder."""
        return (self.run or self.bundle).name

    @property
    def run(self) -> Path | None:
        """The run folder; None of a model without the run that it came from."""
        folder = self.bundle.parent
        return folder if (folder / RECIPE).is_file() else None

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


def recipe_of(classifier: AnyClassifier) -> Recipe:
    """The recipe in a model's card.

    Raises:
        ModelError: It has none.
    """
    recipe = classifier.card.recipe if isinstance(classifier, Classifier) else None
    if not recipe:
        raise ModelError(
            f"{classifier.name} does not say which tiles it was not trained on: "
            "expected a model with its recipe; use --split test"
        )
    return recipe_from(recipe)


def evaluated_tiles(classifier: AnyClassifier, on: str, data_dir: Path | None) -> tuple[Split, str]:
    """The tiles to evaluate a model on, and what they are called.

    Args:
        classifier: The model.
        on: ``test``, or ``validation``: the tiles that the model's recipe kept back.
        data_dir: Folder with the MNIST files.

    Raises:
        ModelError: Nobody knows which tiles the model was not trained on.
    """
    if on == "test":
        return mnist.load_mnist(data_dir).test, "MNIST test"
    recipe = recipe_of(classifier)
    _, validation = recipe.split(mnist.load_mnist(data_dir).train)
    if not len(validation):
        raise ModelError(
            f"{classifier.name} was trained with all tiles and kept none back: use --split test"
        )
    name = f"MNIST validation, {recipe.validation_share:.0%} by {recipe.validation}"
    return validation, f"{name}, seed {recipe.seed}"


def evaluate_model(classifier: AnyClassifier, tiles: Split, data_name: str) -> Report:
    """Evaluates a model, with a bar on a terminal."""
    info = ModelInfo(classifier.name, classifier.sha256, classifier.given)
    with work_bar() as bar:
        task = bar.add_task("evaluating", total=len(tiles))
        return evaluate(
            classifier.predict_proba,
            tiles,
            model=info,
            data_name=data_name,
            on_progress=lambda n: bar.advance(task, n),
        )


def _load_lines(path: Path, *, whole: bool = False) -> list[dict[str, Any]]:
    """The objects of a file of JSON lines, or the only one of a JSON file; none without a file."""
    if not path.is_file():
        return []
    try:
        text = path.read_text(encoding="utf-8")
        return [json.loads(part) for part in ([text] if whole else text.splitlines())]
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error}): train the run anew") from error
