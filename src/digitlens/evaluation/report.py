"""What an evaluation found, as one frozen value; knows neither measuring nor drawing."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from digitlens.evaluation.metrics import (
    Average,
    Calibration,
    ClassScore,
    ConfusedPair,
    Counts,
    Floats,
    Labels,
)

DECIMALS = 6  # in JSON: beyond what 10,000 tiles can tell, and the same on every machine


@dataclass(frozen=True)
class ModelInfo:
    """Which model was evaluated.

    Attributes:
        name: Its name.
        sha256: Hash of its graph.
        given: What it was given and what its output was taken for, in words, by topic.
    """

    name: str
    sha256: str
    given: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class DataInfo:
    """Which data set it was evaluated on.

    Attributes:
        name: Its name.
        sha256: Hash of all tiles followed by all labels.
        label_errors: Indices, from 0, of labels that are known to be wrong.
    """

    name: str
    sha256: str
    label_errors: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Score:
    """How many of n predictions are right.

    Attributes:
        n: Tiles.
        errors: Wrong predictions.
        accuracy: Share that is right, 0 to 1.
        interval: Its Wilson interval of 95 %.
    """

    n: int
    errors: int
    accuracy: float
    interval: tuple[float, float]


@dataclass(frozen=True, eq=False)
class Report:
    """Everything one evaluation found.

    Attributes:
        model: The model.
        data: The data set.
        score: The official score, on every tile.
        without_label_errors: The score without the tiles in ``data.label_errors``; None when the
            data set has none that are known.
        loss: Mean negative log-likelihood, in nats.
        classes: Precision, recall, F1 and support of each digit.
        macro: Their mean, each digit counted the same.
        weighted: Their mean, each digit counted by its support.
        confusion: int64[10, 10]; the row is the truth, the column the prediction.
        confused_pairs: The most frequent mistakes, most frequent first.
        calibration: The expected calibration error and its bins.
        labels: uint8[N]; the truth, kept for pictures and not written to JSON.
        probabilities: float32[N, 10]; the answers, likewise.
    """

    model: ModelInfo
    data: DataInfo
    score: Score
    without_label_errors: Score | None
    loss: float
    classes: tuple[ClassScore, ...]
    macro: Average
    weighted: Average
    confusion: Counts
    confused_pairs: tuple[ConfusedPair, ...]
    calibration: Calibration
    labels: Labels = field(repr=False)
    probabilities: Floats = field(repr=False)

    @property
    def n(self) -> int:
        """Tiles evaluated."""
        return self.score.n

    @property
    def accuracy(self) -> float:
        """Share of the predictions that is right, 0 to 1."""
        return self.score.accuracy

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson interval of 95 % of the accuracy."""
        return self.score.interval

    @property
    def ece(self) -> float:
        """Expected calibration error, 0 to 1."""
        return self.calibration.error

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
        """int64[K]; indices of the tiles that were read wrong, ascending."""
        return np.flatnonzero(self.predicted != self.labels)

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON-ready values, with every wrong prediction but not all predictions."""
        return rounded(
            {
                "model": asdict(self.model),
                "data": {"name": self.data.name, "sha256": self.data.sha256},
                **asdict(self.score),
                "without_label_errors": self._without_label_errors(),
                "loss": self.loss,
                "expected_calibration_error": self.ece,
                "macro_average": asdict(self.macro),
                "weighted_average": asdict(self.weighted),
                "classes": [asdict(row) for row in self.classes],
                "confused_pairs": [asdict(pair) for pair in self.confused_pairs],
                "confusion": self.confusion.tolist(),
                "calibration": [asdict(row) for row in self.calibration.bins],
                "wrong": [self._wrong(int(index)) for index in self.wrong],
            }
        )

    def _without_label_errors(self) -> dict[str, Any] | None:
        if self.without_label_errors is None:
            return None
        return {**asdict(self.without_label_errors), "left_out": list(self.data.label_errors)}

    def _wrong(self, index: int) -> dict[str, Any]:
        return {
            "index": index,
            "truth": int(self.labels[index]),
            "predicted": int(self.predicted[index]),
            "confidence": float(self.confidence[index]),
        }


def rounded(value: Any) -> Any:
    """A JSON-ready value whose numbers have ``DECIMALS``, however deep they lie."""
    if isinstance(value, float):
        return round(value, DECIMALS)
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    return value
