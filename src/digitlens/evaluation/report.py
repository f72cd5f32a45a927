"""Evaluation of a classifier on labelled tiles, on other data sets and under corruptions."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from digitlens.datasets.corruptions import CORRUPTIONS, SWEEPS, corrupt, overlapping, sweep
from digitlens.datasets.mnist import Split
from digitlens.errors import DataError, ModelError
from digitlens.evaluation import metrics
from digitlens.evaluation.metrics import (
    Average,
    Bin,
    ClassScore,
    ConfusedPair,
    Counts,
    Floats,
    Labels,
    PredictProba,
    Uncertainty,
    measure_uncertainty,
)

if TYPE_CHECKING:
    from digitlens.datasets.external import ExternalDigits

DECIMALS = 6  # in JSON: more than 10,000 tiles can resolve, and equal on every machine


@dataclass(frozen=True)
class ModelInfo:
    """The model evaluated."""

    name: str  # its name
    sha256: str  # hash of its graph
    # descriptions of its input and of how its output is interpreted, by topic
    given: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class DataInfo:
    """The data set of an evaluation."""

    name: str
    sha256: str  # hash of all tiles followed by all labels
    label_errors: tuple[int, ...] = ()  # indices, from 0, of labels known to be wrong


@dataclass(frozen=True, slots=True)
class Score:
    """Accuracy of n predictions."""

    n: int  # tiles
    errors: int  # wrong predictions
    accuracy: float  # fraction that is right, 0 to 1
    interval: tuple[float, float]  # its 95 % Wilson interval


@dataclass(frozen=True, eq=False)
class Report:
    """Results of an evaluation."""

    model: ModelInfo
    data: DataInfo
    score: Score  # the official one, on every tile
    # without the tiles in ``data.label_errors``; None if no label errors are known
    without_label_errors: Score | None
    loss: float  # mean negative log-likelihood, in nats
    classes: tuple[ClassScore, ...]  # precision, recall, F1 and support of each digit
    macro: Average  # their unweighted mean
    weighted: Average  # their mean weighted by support
    confusion: Counts  # int64[10, 10]; rows by truth, columns by prediction
    confused_pairs: tuple[ConfusedPair, ...]  # the most frequent errors, in descending order
    bins: tuple[Bin, ...]  # of equal width, by confidence
    # uint8[N], the truth, and float32[N, 10], the answers: for figures, not written to JSON
    labels: Labels = field(repr=False)
    probabilities: Floats = field(repr=False)

    @property
    def n(self) -> int:
        """Tiles evaluated."""
        return self.score.n

    @property
    def accuracy(self) -> float:
        """Fraction of the predictions that are right, 0 to 1."""
        return self.score.accuracy

    @property
    def interval(self) -> tuple[float, float]:
        """95 % Wilson interval of the accuracy."""
        return self.score.interval

    @property
    def ece(self) -> float:
        """Expected calibration error, 0 to 1."""
        return metrics.calibration_error(self.bins)

    @cached_property
    def predicted(self) -> npt.NDArray[np.int64]:
        """int64[N]; the most probable digit of each tile."""
        return self.probabilities.argmax(axis=1)

    @cached_property
    def confidence(self) -> Floats:
        """float[N]; the probability of the predicted digit."""
        return self.probabilities.max(axis=1)

    @cached_property
    def wrong(self) -> npt.NDArray[np.int64]:
        """int64[K]; indices of the tiles that were misread, ascending."""
        return np.flatnonzero(self.predicted != self.labels)

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON-ready values, with all wrong predictions but no correct ones."""
        clean, left_out = self.without_label_errors, list(self.data.label_errors)
        return rounded(
            {
                "model": asdict(self.model),
                "data": {"name": self.data.name, "sha256": self.data.sha256},
                **asdict(self.score),
                "without_label_errors": clean and asdict(clean) | {"left_out": left_out},
                "loss": self.loss,
                "expected_calibration_error": self.ece,
                "macro_average": asdict(self.macro),
                "weighted_average": asdict(self.weighted),
                "classes": [asdict(row) for row in self.classes],
                "confused_pairs": [asdict(pair) for pair in self.confused_pairs],
                "confusion": self.confusion.tolist(),
                "calibration": [asdict(row) for row in self.bins],
                "wrong": [self._wrong(int(index)) for index in self.wrong],
            }
        )

    def _wrong(self, index: int) -> dict[str, Any]:
        return {
            "index": index,
            "truth": int(self.labels[index]),
            "predicted": int(self.predicted[index]),
            "confidence": float(self.confidence[index]),
        }


def rounded(value: Any) -> Any:
    """Rounds all numbers of a nested JSON-ready value to ``DECIMALS``."""
    if isinstance(value, float):
        return round(value, DECIMALS)
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    return value


CHUNK = 1000  # tiles per call
TOLERANCE = 1e-3  # for a sum of ten probabilities in float32 or rounded from float16


def evaluate(
    predict_proba: PredictProba,
    split: Split,
    *,
    model: ModelInfo | None = None,
    data_name: str = "",
) -> Report:
    """Evaluates a model on a split.

    For the MNIST test set, identified by its content, the report also has the score without labels
    known to be wrong.

    Args:
        predict_proba: uint8[N, 28, 28] to float32[N, 10] whose rows sum to 1; a torch network, a
            bundle or any other model.
        split: Tiles and labels.
        model: The model, for the record.
        data_name: Name of the split, for the record.

    Raises:
        DataError: The split is empty.
        ModelError: The answers are not ten probabilities per tile.
    """
    if not len(split.labels):
        raise DataError("nothing to evaluate: expected a split with tiles, found an empty one")
    probabilities = _predict(predict_proba, split.tiles)
    sha256, labels = data_sha256(split), split.labels
    data = DataInfo(data_name, sha256, MNIST_ERRORS if sha256 == MNIST_TEST_SHA256 else ())
    predicted = probabilities.argmax(axis=1)
    right = predicted == labels
    confusion = metrics.confusion_matrix(labels, predicted)
    classes = metrics.class_scores(confusion)
    clean = _score(np.delete(right, data.label_errors)) if data.label_errors else None
    return Report(
        model=model or ModelInfo("", ""),
        data=data,
        score=_score(right),
        without_label_errors=clean,
        loss=metrics.log_loss(labels, probabilities),
        classes=classes,
        macro=metrics.average(classes),
        weighted=metrics.average(classes, weighted=True),
        confusion=confusion,
        confused_pairs=metrics.confused_pairs(confusion),
        bins=metrics.equal_width_bins(*metrics.answers(labels, probabilities)),
        labels=labels,
        probabilities=probabilities,
    )


def data_sha256(split: Split) -> str:
    """Hash of all tiles, row by row, followed by all labels."""
    digest = hashlib.sha256(np.ascontiguousarray(split.tiles).data)
    digest.update(np.ascontiguousarray(split.labels).data)
    return digest.hexdigest()


def check_probabilities(answer: npt.NDArray[np.float32], n: int) -> None:
    """Raises ModelError unless it is float[n, 10], finite, within 0 to 1, rows summing to 1."""
    if answer.shape != (n, metrics.CLASSES):
        raise ModelError(
            f"expected probabilities of shape [{n}, 10] for {n} tiles, found {list(answer.shape)}"
        )
    if not np.issubdtype(answer.dtype, np.floating):
        raise ModelError(f"expected probabilities as floating point, found {answer.dtype}")
    if bad := np.flatnonzero(~np.isfinite(answer).all(axis=1)).tolist():
        found = f"{answer[bad[0]].tolist()} for tile {bad[0]}"
        raise ModelError(f"expected finite probabilities, found {found}")
    if answer.min() < -TOLERANCE or answer.max() > 1 + TOLERANCE:
        raise ModelError(
            f"expected probabilities from 0 to 1, found {answer.min():.4g} to {answer.max():.4g}"
        )
    sums = answer.sum(axis=1, dtype=np.float64)
    worst = sums[np.abs(sums - 1).argmax()]
    if abs(worst - 1) > TOLERANCE:
        raise ModelError(f"expected probabilities whose rows sum to 1, found a sum of {worst:.4g}")


def _predict(predict_proba: PredictProba, tiles: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    answers: list[npt.NDArray[np.float32]] = []
    for start in range(0, len(tiles), CHUNK):
        chunk = tiles[start : start + CHUNK]
        answer = np.asarray(predict_proba(chunk))
        check_probabilities(answer, len(chunk))
        answers.append(answer)
    return np.concatenate(answers)


def _score(right: npt.NDArray[np.bool_]) -> Score:
    n, right_count = len(right), int(right.sum())
    return Score(n, n - right_count, right_count / n, metrics.wilson_interval(right_count, n))


MNIST_TEST_SHA256 = "c3f9adf9c66efb572b1f9326c3a511b45910c7173b97be66ceceeeeaef6b802b"
"""``data_sha256`` of the MNIST test set in its original order."""

MNIST_ERRORS = (
    *(947, 1621, 1901, 2130, 2462, 2597, 2654, 3520),
    *(3558, 5937, 6651, 6783, 8527, 9679, 9729),
)
"""Indices of its wrong labels."""


SCORE = ("errors", "accuracy", "interval", "loss", "expected_calibration_error")
DETAIL = ("classes", "confused_pairs", "wrong")


@dataclass(frozen=True, eq=False)
class Transfer:
    """Results of a model on another data set than it was trained on."""

    data: ExternalDigits
    framed: Report  # on tiles framed as in MNIST, which the model expects
    unframed: Report  # on pictures only resized to tiles

    def as_dict(self) -> dict[str, Any]:
        """Both scores as JSON-ready values, and classes, confusions and errors on framed tiles."""
        framed, unframed = self.framed.as_dict(), self.unframed.as_dict()
        return {
            "name": self.data.name,
            "title": self.data.title,
            "model": framed["model"],
            "n": self.framed.n,
            "framed": {key: framed[key] for key in SCORE} | {"sha256": framed["data"]["sha256"]},
            "unframed": {key: unframed[key] for key in SCORE},
            **{key: framed[key] for key in DETAIL},
        }


def measure_transfer(
    predict_proba: PredictProba, data: ExternalDigits, *, model: ModelInfo | None = None
) -> Transfer:
    """Evaluates a model on another data set, framed and unframed; see ``evaluate``."""
    framed, unframed = (
        evaluate(predict_proba, split, model=model, data_name=f"{data.title}, {framing}")
        for split, framing in ((data.framed, "framed"), (data.unframed, "unframed"))
    )
    return Transfer(data, framed, unframed)


CURVE_TILES = 2000  # per point of a curve: an accuracy of 99 % is then known to half a point
SEED = 0
Tiles = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Condition:
    """Results of a classifier under one corruption."""

    name: str  # name of the corruption; ``clean`` for none
    score: Score  # errors, accuracy and its interval
    # loss, calibration, and the gain from rejecting the least confident answers
    uncertainty: Uncertainty
    # whether training covered changes of this kind; None if unknown
    overlaps: bool | None
    # float32[N, 10]; the answers, for figures, not written to JSON
    probabilities: Floats = field(repr=False)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        values = {"name": self.name, "overlaps_training": self.overlaps, **asdict(self.score)}
        return values | {"uncertainty": asdict(self.uncertainty)}


@dataclass(frozen=True, slots=True)
class SweepCurve:
    """Scores as one quantity varies."""

    name: str  # name of the sweep
    axis: str  # the quantity and its unit
    usual: float  # the value that leaves tiles unchanged
    values: tuple[float, ...]  # values of the quantity, ascending
    scores: tuple[Score, ...]  # one for each value


@dataclass(frozen=True, eq=False)
class Robustness:
    """Results under every corruption and along every sweep."""

    model: ModelInfo
    data: DataInfo  # the unchanged tiles
    clean: Condition  # without any change
    corruptions: tuple[Condition, ...]  # one for each corruption, in the order of the paper
    curves: tuple[SweepCurve, ...]  # one for each sweep, on a sample of the tiles

    @property
    def mean_accuracy(self) -> float:
        """Unweighted mean over all corruptions."""
        return float(np.mean([row.score.accuracy for row in self.corruptions]))

    @property
    def untrained(self) -> tuple[Condition, ...]:
        """The corruptions of a kind not covered by training; empty if unknown."""
        return tuple(row for row in self.corruptions if row.overlaps is False)

    @property
    def mean_accuracy_untrained(self) -> float | None:
        """Mean accuracy over ``untrained``; None if that is empty."""
        shares = [row.score.accuracy for row in self.untrained]
        return float(np.mean(shares)) if shares else None

    def as_dict(self) -> dict[str, Any]:
        """The results as JSON-ready values, without individual answers."""
        return rounded(
            {
                "model": asdict(self.model),
                "data": {"name": self.data.name, "sha256": self.data.sha256},
                "seed": SEED,
                "mean_accuracy": self.mean_accuracy,
                "mean_accuracy_without_overlap": self.mean_accuracy_untrained,
                "clean": self.clean.as_dict(),
                "corruptions": [row.as_dict() for row in self.corruptions],
                "sweeps": [asdict(row) for row in self.curves],
            }
        )


def measure_robustness(
    predict_proba: PredictProba,
    split: Split,
    clean: Report,
    *,
    recipe: Mapping[str, object] | None = None,
    curve_tiles: int = CURVE_TILES,
) -> Robustness:
    """Evaluates a model under the fifteen corruptions of MNIST-C and along sweeps.

    All randomness comes from ``SEED``, so that all models get the same tiles.

    Args:
        predict_proba: uint8[N, 28, 28] to float32[N, 10] whose rows sum to 1; else ModelError.
        split: Tiles and labels.
        clean: The report of ``evaluate`` on this split.
        recipe: The recipe of the model, which determines the corruptions covered by training; None
            if unknown.
        curve_tiles: At most this many tiles per point of a sweep, evenly spaced.
    """
    covered = None if recipe is None else overlapping(recipe)
    conditions: list[Condition] = []
    for name in CORRUPTIONS:
        corrupted = Split(corrupt(split.tiles, name, SEED), split.labels)
        overlaps = None if covered is None else name in covered
        conditions.append(_condition(name, evaluate(predict_proba, corrupted), overlaps))
    curves: list[SweepCurve] = []
    sample = split.evenly(curve_tiles)
    for name, spec in SWEEPS.items():
        changed = (Split(sweep(sample.tiles, name, x, SEED), sample.labels) for x in spec.values)
        scores = tuple(evaluate(predict_proba, each).score for each in changed)
        curves.append(SweepCurve(name, spec.axis, spec.usual, spec.values, scores))
    first = _condition("clean", clean, None)
    return Robustness(clean.model, clean.data, first, tuple(conditions), tuple(curves))


def tiles_asked(n: int, curve_tiles: int = CURVE_TILES) -> int:
    """Number of tiles that a model classifies when its robustness is measured on n tiles."""
    points = sum(len(line.values) for line in SWEEPS.values())
    return n * len(CORRUPTIONS) + min(n, curve_tiles) * points


def _condition(name: str, report: Report, overlaps: bool | None) -> Condition:
    uncertainty = measure_uncertainty(report.labels, report.probabilities)
    return Condition(name, report.score, uncertainty, overlaps, report.probabilities)
