"""The models that a comparison is between: opened, named apart, with what is known of each."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digitlens.errors import ModelError

if TYPE_CHECKING:
    from digitlens.evaluation.report import ModelInfo, PredictProba
    from digitlens.evaluation.significance import Facts
    from digitlens.training.recipe import Recipe

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")  # counted, not learned


@dataclass(frozen=True)
class Contender:
    """A model that takes part.

    Attributes:
        name: What tells it from the others.
        predict_proba: Tiles uint8[N, 28, 28] to probabilities float32[N, 10].
        info: Its name and hash, for the record.
        facts: What is known of it beside its answers.
        recipe: What it was trained from; None if unknown.
    """

    name: str
    predict_proba: PredictProba
    info: ModelInfo
    facts: Facts
    recipe: Recipe | None


def open_contenders(models: Sequence[str], pixels: Any, outputs: Any) -> list[Contender]:
    """Opens all models.

    Args:
        models: Names of shipped models, run or model folders, or ``.onnx`` files.
        pixels: For ``.onnx`` files, see ``ForeignClassifier``; None for the default.
        outputs: Likewise.

    Raises:
        ModelError: One is missing or damaged, or given twice.
    """
    names = _names(models)
    return [
        _foreign(model, name, pixels, outputs)
        if Path(model).suffix.lower() == ".onnx"
        else _own(model, name)
        for model, name in zip(models, names, strict=True)
    ]


def _names(models: Sequence[str]) -> list[str]:
    """The last part of each path where that tells them apart, else the whole of it."""
    for one in models:
        if models.count(one) > 1:
            raise ModelError(f"{one} is given twice: expected different models to compare")
    short = [Path(model).name or model for model in models]
    return short if len(set(short)) == len(short) else list(models)


def _own(model: str, name: str) -> Contender:
    from digitlens.evaluation.report import ModelInfo
    from digitlens.evaluation.significance import Facts
    from digitlens.models.bundle import GRAPH, WEIGHTS, find_bundle
    from digitlens.models.classifier import Classifier
    from digitlens.training.recipes import recipe_from

    classifier, folder = Classifier(model), find_bundle(model)
    card = classifier.card
    recipe = recipe_from(card.recipe) if card.recipe else None
    facts = Facts(
        _parameters(folder / WEIGHTS),
        (folder / GRAPH).stat().st_size,
        card.results.get("training_seconds"),
        recipe.as_dict() if recipe else {},  # with fields that are younger than the model
    )
    info = ModelInfo(card.name, card.sha256, classifier.given)
    return Contender(name, classifier.predict_proba, info, facts, recipe)


def _foreign(model: str, name: str, pixels: Any, outputs: Any) -> Contender:
    from digitlens.evaluation.report import ModelInfo
    from digitlens.evaluation.significance import Facts
    from digitlens.models.onnx_external import ForeignClassifier

    foreign = ForeignClassifier(model, pixels, outputs or "probabilities")
    # Large graphs keep their weights beside them.
    beside = Path(f"{model}.data")
    size = Path(model).stat().st_size + (beside.stat().st_size if beside.is_file() else 0)
    info = ModelInfo(foreign.name, foreign.sha256, foreign.given)
    return Contender(name, foreign.predict_proba, info, Facts(size=size), None)


def _parameters(weights: Path) -> int | None:
    """Numbers learned, from the head of a safetensors file: its length, then the shapes as JSON."""
    try:
        with weights.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            head = json.loads(stream.read(min(length, 10**7)))
        return sum(
            math.prod(entry["shape"])
            for name, entry in head.items()
            if name != "__metadata__" and not name.endswith(STATISTICS)
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # a wheel comes without weights
