"""How well a score tells digits from what is none, and which score does it best.

Is handed what a classifier says of tiles; knows neither the classifier nor the tiles' origin. Every
score is higher for what looks more like a digit.

Sources: maximum probability: D. Hendrycks and K. Gimpel, "A baseline for detecting misclassified
and out-of-distribution examples in neural networks", ICLR 2017. Energy: W. Liu et al.,
"Energy-based out-of-distribution detection", NeurIPS 2020. Distances: see ``feature_distance``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from digitlens.evaluation.feature_distance import fit_class_means, fit_neighbours
from digitlens.evaluation.metrics import Floats, Labels
from digitlens.outputs import Outputs, OutputsOf

KEPT = 0.95  # share of digits that are accepted where the share of strangers is quoted
NEIGHBOURS = (1, 10, 50)

Scores = npt.NDArray[np.float64]
Score = Callable[[Outputs], Scores]
Tiles = npt.NDArray[np.uint8]
TileScore = Callable[[Tiles], Scores]
"""A score that somebody else than the classifier gives, see ``measure_scores``."""


@dataclass(frozen=True, slots=True)
class Detection:
    """How well a score tells digits from one set of strangers.

    Attributes:
        n: Strangers.
        auroc: Probability that a digit has the higher score; 0.5 is chance, 1 perfect.
        fpr95: Share of the strangers accepted at the threshold that accepts 95 % of the digits.
    """

    n: int
    auroc: float
    fpr95: float

    def as_dict(self) -> dict[str, Any]:
        """The values by name, JSON-ready."""
        return asdict(self)


class Scored(NamedTuple):
    """What was found for the tiles of one set.

    Attributes:
        probabilities: float[N, 10]; what they are read as.
        scores: By the name of the score float64[N].
    """

    probabilities: Floats
    scores: dict[str, Scores]


Table = Mapping[str, Mapping[str, Detection]]
"""By score, then by set of strangers."""


def auroc(digits: Floats, strangers: Floats) -> float:
    """Area under the ROC curve: how often a digit scores higher, a tie counting half.

    Args:
        digits: float[N], N >= 1.
        strangers: float[M], M >= 1.
    """
    _check_scores(digits, strangers)
    rising = np.sort(strangers)
    below = np.searchsorted(rising, digits, "left").sum(dtype=np.float64)
    upto = np.searchsorted(rising, digits, "right").sum(dtype=np.float64)
    return float((below + upto) / 2 / (len(digits) * len(strangers)))


def false_positive_rate(digits: Floats, strangers: Floats, kept: float = KEPT) -> float:
    """Share of strangers accepted by the strictest threshold that accepts so many digits.

    Args:
        digits: float[N], N >= 1.
        strangers: float[M], M >= 1.
        kept: Share of the digits, above 0 and at most 1; what scores the threshold is accepted.
    """
    _check_scores(digits, strangers)
    return float(np.mean(strangers >= threshold_for(digits, kept)))


def threshold_for(digits: Floats, kept: float = KEPT) -> float:
    """The strictest threshold that accepts so many digits; see ``false_positive_rate``."""
    return float(-np.sort(-digits)[int(np.ceil(kept * len(digits) - 1e-9)) - 1])


def detect(digits: Floats, strangers: Floats) -> Detection:
    """Both measures of one score on digits float[N] and strangers float[M]."""
    return Detection(
        len(strangers), auroc(digits, strangers), false_positive_rate(digits, strangers)
    )


def maximum_probability(outputs: Outputs) -> Scores:
    """float64[N]: minus what the other nine digits get, which near 1 is finer than the maximum."""
    falling = -np.sort(-outputs.probabilities.astype(np.float64), axis=1)
    return -falling[:, 1:].sum(axis=1)


def scores_for(known: Outputs, labels: Labels) -> dict[str, Score]:
    """The scores that a classifier allows, by name; those of its features are fitted.

    Args:
        known: What it says of digits it was trained with, or of others like them.
        labels: int[N] of these.

    Raises:
        ValueError: There are features, but not of all ten digits.
    """
    scores: dict[str, Score] = {"maximum probability": maximum_probability}
    if known.energy is not None:
        scores["energy"] = lambda outputs: -_given(outputs.energy)
    if known.digit is not None:
        scores["digit"] = lambda outputs: _given(outputs.digit)
        scores["digit and value"] = _digit_and_value
    if known.features is not None:
        scores |= _distances(known.features, labels)
    return scores


def measure_scores(
    scores: Mapping[str, Score],
    outputs_of: OutputsOf,
    digits: Tiles,
    strangers: Mapping[str, Tiles],
    beside: Mapping[str, TileScore] | None = None,
) -> tuple[Table, dict[str, Scored]]:
    """Every score on every set of strangers.

    Args:
        scores: See ``scores_for``.
        outputs_of: The classifier.
        digits: uint8[N, 28, 28], N >= 1.
        strangers: By name uint8[M, 28, 28], M >= 1.
        beside: By name further scores, which look at the tiles themselves: uint8[N, 28, 28] to
            float64[N], higher for what looks more like a digit.

    Returns:
        The table, and by set, ``digits`` among them, what its tiles are read as and their scores.
    """
    others = beside or {}
    found = {
        name: _scored(scores, outputs_of(tiles), {key: one(tiles) for key, one in others.items()})
        for name, tiles in {"digits": digits, **strangers}.items()
    }
    return {name: _detections(name, found) for name in [*scores, *others]}, found


def recommended(table: Table) -> str:
    """The score with the highest mean AUROC over the sets; of equal ones the first.

    The table must be one of sets that are there to choose by, not of those to be quoted.
    """
    means = {name: np.mean([one.auroc for one in sets.values()]) for name, sets in table.items()}
    return max(means, key=lambda name: float(means[name]))


def _scored(scores: Mapping[str, Score], outputs: Outputs, beside: Mapping[str, Scores]) -> Scored:
    own = {name: one(outputs) for name, one in scores.items()}
    return Scored(outputs.probabilities, {**own, **beside})


def _detections(score: str, found: Mapping[str, Scored]) -> dict[str, Detection]:
    digits = found["digits"].scores[score]
    return {n: detect(digits, one.scores[score]) for n, one in found.items() if n != "digits"}


def _digit_and_value(outputs: Outputs) -> Scores:
    """Probability that the tile is a digit and the one that it is read as."""
    return _given(outputs.digit) * outputs.probabilities.max(axis=1)


def _distances(features: Floats, labels: Labels) -> dict[str, Score]:
    means = fit_class_means(features, labels)
    scores: dict[str, Score] = {"Mahalanobis": lambda outputs: -means(_given(outputs.features))}
    for k in NEIGHBOURS:
        if k <= len(features):
            near = fit_neighbours(features, k)
            # Bound now, since all of them are called after the loop.
            scores[f"neighbour {k}"] = lambda outputs, near=near: -near(_given(outputs.features))
    return scores


def _given(column: Floats | None) -> Scores:
    if column is None:
        raise ValueError("expected the outputs that the scores were made for, found None")
    return column.astype(np.float64)


def _check_scores(*columns: Floats) -> None:
    for column in columns:
        if column.ndim != 1 or not len(column):
            raise ValueError(f"expected scores of shape [N] with N >= 1, found {column.shape}")
