"""Scores whatever gives probabilities for tiles; knows only the function it is handed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from digitlens.errors import DataError, ModelError
from digitlens.evaluation import metrics
from digitlens.evaluation.label_errors import known_label_errors
from digitlens.evaluation.report import DataInfo, ModelInfo, Report, Score

if TYPE_CHECKING:
    from digitlens.datasets.mnist import Split

CHUNK = 1000  # tiles between two steps of a progress bar
TOLERANCE = 1e-3  # of a sum of ten probabilities in float32 or rounded from float16

PredictProba = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]


def evaluate(
    predict_proba: PredictProba,
    split: Split,
    *,
    model: ModelInfo | None = None,
    data_name: str = "",
    on_progress: Callable[[int], object] | None = None,
) -> Report:
    """Runs a model over a split and measures its answers.

    On the MNIST test set, which is known by its content, the report also has the score without the
    labels that are known to be wrong.

    Args:
        predict_proba: uint8[N, 28, 28] to float32[N, 10] whose rows sum to 1; a torch network, a
            bundle or somebody else's model.
        split: Tiles and labels.
        model: Who answers, for the record.
        data_name: What the split is called, for the record.
        on_progress: Called after every chunk with its number of tiles.

    Raises:
        DataError: The split is empty.
        ModelError: The answers are not probabilities of ten digits for every tile.
    """
    if not len(split.labels):
        raise DataError("nothing to evaluate: expected a split with tiles, found an empty one")
    probabilities = _predict(predict_proba, split.tiles, on_progress)
    sha256 = data_sha256(split)
    left_out = known_label_errors(sha256)
    data = DataInfo(data_name, sha256, tuple(left_out.tolist()))
    return _report(model or ModelInfo("", ""), data, split.labels, probabilities)


def data_sha256(split: Split) -> str:
    """Hash of all tiles, row by row, followed by all labels."""
    digest = hashlib.sha256(np.ascontiguousarray(split.tiles).data)
    digest.update(np.ascontiguousarray(split.labels).data)
    return digest.hexdigest()


def check_probabilities(answer: npt.NDArray[np.float32], n: int) -> None:
    """Makes sure of float[n, 10], finite, within 0 to 1, rows summing to 1.

    Raises:
        ModelError: Something else; the message says what was found.
    """
    if answer.shape != (n, metrics.CLASSES):
        raise ModelError(
            f"expected probabilities of shape [{n}, 10] for {n} tiles, found {list(answer.shape)}"
        )
    if not np.issubdtype(answer.dtype, np.floating):
        raise ModelError(f"expected probabilities as floating point, found {answer.dtype}")
    if not np.isfinite(answer).all():
        raise ModelError(f"expected finite probabilities, found {_first_bad_row(answer)}")
    if answer.min() < -TOLERANCE or answer.max() > 1 + TOLERANCE:
        raise ModelError(
            f"expected probabilities from 0 to 1, found {answer.min():.4g} to {answer.max():.4g}"
        )
    sums = answer.sum(axis=1, dtype=np.float64)
    worst = sums[np.abs(sums - 1).argmax()]
    if abs(worst - 1) > TOLERANCE:
        raise ModelError(f"expected probabilities that sum to 1 a row, found a sum of {worst:.4g}")


def _first_bad_row(answer: npt.NDArray[np.float32]) -> str:
    row = int(np.flatnonzero(~np.isfinite(answer).all(axis=1))[0])
    return f"{answer[row].tolist()} for tile {row}"


def _predict(
    predict_proba: PredictProba,
    tiles: npt.NDArray[np.uint8],
    on_progress: Callable[[int], object] | None,
) -> npt.NDArray[np.float32]:
    answers: list[npt.NDArray[np.float32]] = []
    for start in range(0, len(tiles), CHUNK):
        chunk = tiles[start : start + CHUNK]
        answer = np.asarray(predict_proba(chunk))
        check_probabilities(answer, len(chunk))
        answers.append(answer)
        if on_progress:
            on_progress(len(chunk))
    return np.concatenate(answers)


def _report(
    model: ModelInfo, data: DataInfo, labels: metrics.Labels, probabilities: metrics.Floats
) -> Report:
    predicted = probabilities.argmax(axis=1)
    right = predicted == labels
    confusion = metrics.confusion_matrix(labels, predicted)
    classes = metrics.class_scores(confusion)
    kept = np.delete(right, data.label_errors) if data.label_errors else None
    return Report(
        model=model,
        data=data,
        score=_score(right),
        without_label_errors=None if kept is None else _score(kept),
        loss=metrics.log_loss(labels, probabilities),
        classes=classes,
        macro=metrics.macro_average(classes),
        weighted=metrics.weighted_average(classes),
        confusion=confusion,
        confused_pairs=metrics.confused_pairs(confusion),
        calibration=metrics.calibration(labels, probabilities),
        labels=labels,
        probabilities=probabilities,
    )


def _score(right: npt.NDArray[np.bool_]) -> Score:
    n, hits = len(right), int(right.sum())
    return Score(n, n - hits, hits / n, metrics.wilson_interval(hits, n))
