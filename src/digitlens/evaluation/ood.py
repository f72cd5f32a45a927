"""Out-of-distribution detection: how well a classifier's scores separate digits from negatives.

Works on the outputs of a classifier, independent of the classifier and the origin of the tiles.
Every score is higher for tiles that look more like a digit.

Sources: maximum probability: D. Hendrycks and K. Gimpel, "A baseline for detecting misclassified
and out-of-distribution examples in neural networks", ICLR 2017. Energy: W. Liu et al.,
"Energy-based out-of-distribution detection", NeurIPS 2020. Class means with one covariance:
K. Lee et al., "A simple unified framework for detecting out-of-distribution samples and adversarial
attacks", NeurIPS 2018. The k-th nearest of known features of unit length: Y. Sun et al.,
"Out-of-distribution detection with deep nearest neighbors", ICML 2022.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from digitlens.datasets.corruptions import CORRUPTIONS, corrupt
from digitlens.datasets.mnist import Split
from digitlens.evaluation.calibration import ScalingScore, compare_scalings
from digitlens.evaluation.metrics import (
    CLASSES,
    Floats,
    Labels,
    Uncertainty,
    answers,
    mean_uncertainty,
    measure_uncertainty,
)
from digitlens.evaluation.report import rounded
from digitlens.results import Outputs, OutputsOf

_ROWS_AT_ONCE = 500  # rows compared at once: 120 MB of similarities to 60,000 known digits
ACCEPTED = 0.95  # fraction of digits accepted at which accepted negatives are counted
NEIGHBOURS = (1, 10, 50)

Scores = npt.NDArray[np.float64]
Score = Callable[[Outputs], Scores]
Tiles = npt.NDArray[np.uint8]
TileScore = Callable[[Tiles], Scores]
"""A score that does not come from the classifier, see ``measure_scores``."""


@dataclass(frozen=True, slots=True)
class Detection:
    """How well a score separates digits from one set of negatives."""

    n: int  # number of negatives
    auroc: float  # probability that a digit has the higher score; 0.5 is chance, 1 perfect
    fpr95: float  # fraction of negatives accepted at the threshold that accepts 95 % of digits


class Scored(NamedTuple):
    """Probabilities and scores of the tiles of one set."""

    probabilities: Floats  # float[N, 10]
    scores: dict[str, Scores]  # float64[N] by name of the score


Table = Mapping[str, Mapping[str, Detection]]
"""Results by score, then by set of negatives."""


def auroc(digits: Floats, negatives: Floats) -> float:
    """Area under the ROC curve: how often a digit scores higher, a tie counting half."""
    ascending = np.sort(negatives)
    below = np.searchsorted(ascending, digits, "left").sum(dtype=np.float64)
    upto = np.searchsorted(ascending, digits, "right").sum(dtype=np.float64)
    return float((below + upto) / 2 / (len(digits) * len(negatives)))


def detect(digits: Floats, negatives: Floats) -> Detection:
    """AUROC and FPR of one score on digits float[N] and negatives float[M], N and M at least 1.

    The threshold is the strictest that accepts a fraction ``ACCEPTED`` of the digits, inclusively.
    """
    threshold = -np.sort(-digits)[int(np.ceil(ACCEPTED * len(digits) - 1e-9)) - 1]
    accepted = float(np.mean(negatives >= threshold))
    return Detection(len(negatives), auroc(digits, negatives), accepted)


def maximum_probability(outputs: Outputs) -> Scores:
    """float64[N]: minus the sum of the other nine, which resolves values near 1 more finely."""
    descending = -np.sort(-outputs.probabilities.astype(np.float64), axis=1)
    return -descending[:, 1:].sum(axis=1)


def scores_for(known: Outputs, labels: Labels) -> dict[str, Score]:
    """The scores available for a classifier, by name; those of features are fitted.

    Args:
        known: Its outputs for digits that it was trained with, or similar ones.
        labels: int[N] of these; with features, ValueError unless all ten digits occur.
    """
    scores: dict[str, Score] = {"maximum probability": maximum_probability}
    if known.energy is not None:
        scores["energy"] = lambda outputs: -_required(outputs.energy)
    if known.digit is not None:
        scores["digit"] = lambda outputs: _required(outputs.digit)
        # Probability that the tile is a digit and the one that it is read as.
        scores["digit and value"] = lambda o: _required(o.digit) * o.probabilities.max(axis=1)
    if known.features is not None:
        scores |= _distance_scores(known.features, labels)
    return scores


def measure_scores(
    scores: Mapping[str, Score],
    outputs_of: OutputsOf,
    digits: Tiles,
    negatives: Mapping[str, Tiles],
    others: Mapping[str, TileScore] | None = None,
) -> tuple[Table, dict[str, Scored]]:
    """Measures every score on every set of negatives.

    Args:
        scores: See ``scores_for``.
        outputs_of: The classifier.
        digits: uint8[N, 28, 28], N >= 1.
        negatives: uint8[M, 28, 28], M >= 1, by name.
        others: Further scores by name, computed from the tiles: uint8[N, 28, 28] to float64[N],
            higher for tiles that look more like a digit.

    Returns:
        The table, and the probabilities and scores of each set, ``digits`` included.
    """
    others, scored = others or {}, dict[str, Scored]()
    for name, tiles in {"digits": digits, **negatives}.items():
        outputs = outputs_of(tiles)
        set_scores = {score: function(outputs) for score, function in scores.items()}
        set_scores |= {score: function(tiles) for score, function in others.items()}
        scored[name] = Scored(outputs.probabilities, set_scores)
    table = {
        score: {
            name: detect(scored["digits"].scores[score], scored[name].scores[score])
            for name in negatives
        }
        for score in [*scores, *others]
    }
    return table, scored


def best_score(table: Table) -> str:
    """The score with the highest mean AUROC over the sets; the first in case of a tie.

    The table must be of sets reserved for this choice, not of those whose results are reported.
    """
    means = {name: np.mean([one.auroc for one in sets.values()]) for name, sets in table.items()}
    return max(means, key=lambda name: float(means[name]))


def _distance_scores(features: Floats, labels: Labels) -> dict[str, Score]:
    means = fit_class_means(features, labels)
    scores: dict[str, Score] = {"Mahalanobis": lambda outputs: -means(_required(outputs.features))}

    def neighbour(k: int) -> Score:
        return lambda o: (
            -find_nearest(_required(o.features), features, k).distances[:, -1].astype(np.float64)
        )

    return scores | {f"neighbour {k}": neighbour(k) for k in NEIGHBOURS if k <= len(features)}


def _required(column: Floats | None) -> Scores:
    if column is None:
        raise ValueError("expected outputs of the classifier the scores were fitted to, found None")
    return column.astype(np.float64)


_SHRINKAGE = 1e-3  # of the covariance towards a sphere: constant features would make it singular


def fit_class_means(features: Floats, labels: Labels) -> Callable[[Floats], Scores]:
    """Returns a function from features float[N, D] to Mahalanobis distances float64[N].

    Distances are to the nearest class mean under one shared covariance, fitted to the arguments.
    Raises ValueError unless all ten digits occur in the labels, int[N].
    """
    if len(np.unique(labels)) != CLASSES:
        raise ValueError(f"expected all ten digits, found {np.unique(labels).tolist()}")
    x = features.astype(np.float64)
    means = np.stack([x[labels == digit].mean(axis=0) for digit in range(CLASSES)])
    centred = x - means[labels]
    covariance = centred.T @ centred / len(x)
    size = covariance.shape[0]
    covariance += _SHRINKAGE * (np.trace(covariance) / size + 1e-12) * np.eye(size)
    # Transforms features to unit covariance.
    whitening = np.linalg.inv(np.linalg.cholesky(covariance)).T
    centres = means @ whitening

    def distance(rows: Floats) -> Scores:
        white = rows.astype(np.float64) @ whitening
        squares = np.stack([((white - mean) ** 2).sum(axis=1) for mean in centres], axis=1)
        return np.sqrt(squares.min(axis=1))

    return distance


@dataclass(frozen=True, eq=False)
class Nearest:
    """The nearest known digits of N tiles, nearest first."""

    indices: npt.NDArray[np.int64]  # int64[N, k]; indices of known digits
    # float32[N, k]; Euclidean, between features scaled to length 1: from 0 to 2
    distances: npt.NDArray[np.float32]


def find_nearest(features: Floats, known: Floats, k: int) -> Nearest:
    """Finds the k known digits with the nearest features.

    Args:
        features: float[N, D]; inputs of the last dense layer.
        known: float[M, D]; features of the known digits.
        k: Number of neighbours, 1 to M.
    """
    norms = np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    queries, references = (features / norms).astype(np.float32), np.asarray(known, np.float32)
    # Scales the products rather than the rows, which are 190 MB for 54,000 digits.
    lengths = np.maximum(np.sqrt(np.einsum("ij,ij->i", references, references)), np.float32(1e-12))
    indices = np.empty((len(features), k), np.int64)
    distances = np.empty((len(features), k), np.float32)
    for start in range(0, len(features), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        similarity = queries[rows] @ references.T / lengths
        candidates = np.argpartition(-similarity, k - 1, axis=1)[:, :k]
        candidates.sort(axis=1)  # breaks ties by index
        similarities = np.take_along_axis(similarity, candidates, axis=1)
        order = np.argsort(-similarities, axis=1, kind="stable")
        indices[rows] = np.take_along_axis(candidates, order, axis=1)
        largest = np.take_along_axis(similarities, order, axis=1)
        distances[rows] = np.sqrt(np.maximum(2 - 2 * largest, 0))
    return Nearest(indices, distances)


CORRUPTION_TILES = 2000  # tiles per corruption, evenly spaced over the split
SEED = 0
CLEAN, CORRUPTED = "clean", "corrupted"

Answers = tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]


@dataclass(frozen=True, eq=False)
class Choice:
    """Tiles for fitting the scores and choosing one; never those of reported results."""

    known: Split  # digits like the training digits, for distances of features
    digits: Tiles  # uint8[N, 28, 28]; digits not used for training
    negatives: Mapping[str, Tiles]  # uint8[M, 28, 28] by name


@dataclass(frozen=True, eq=False)
class Rejection:
    """Result of ``measure_rejection``."""

    # for ``clean`` and ``corrupted``, the latter as the mean over the fifteen corruptions
    uncertainty: Mapping[str, Uncertainty]
    # confidence and correctness of each answer, by the same names
    answers: Mapping[str, Answers] = field(repr=False)
    scores: Table  # how well each score separates digits from each set of negatives
    recommended: str  # the best score on the tiles of ``Choice``
    chosen_by: Table  # the table on those tiles; empty if there is only one score
    # ways of scaling, compared on the tiles; empty unless requested
    scaling: Mapping[str, ScalingScore]
    negatives: Mapping[str, Tiles] = field(repr=False)  # tiles by name
    # probabilities and scores of the tiles of each set, ``digits`` included
    scored: Mapping[str, Scored] = field(repr=False)

    def as_dict(self) -> dict[str, Any]:
        """The results as JSON-ready values, without tiles and individual scores."""
        return {
            "uncertainty": {name: rounded(asdict(u)) for name, u in self.uncertainty.items()},
            "recommended": self.recommended,
            "scores": _table_dict(self.scores),
            "chosen_by": _table_dict(self.chosen_by),
            "scaling": {name: rounded(asdict(score)) for name, score in self.scaling.items()},
        }


def measure_rejection(
    outputs_of: OutputsOf,
    split: Split,
    negatives: Mapping[str, Tiles],
    choice: Callable[[], Choice],
    *,
    others: Mapping[str, TileScore] | None = None,
    scaling: bool = False,
) -> Rejection:
    """Measures uncertainty on digits, and how well scores separate them from negatives.

    Args:
        outputs_of: The classifier.
        split: Digits, N >= 1.
        negatives: uint8[M, 28, 28], M >= 1, by name; held out from training and model selection.
        choice: Returns tiles to choose by; called only if the classifier has several scores.
        others: Scores from elsewhere, see ``measure_scores``; measured as well, but never
            recommended, since the classifier does not provide them.
        scaling: Also compare ways of scaling; for a validation split only.
    """
    sample = outputs_of(split.tiles[:1])
    scores: dict[str, Score] = {"maximum probability": maximum_probability}
    chosen_by: Table = {}
    if not (sample.energy is None and sample.digit is None and sample.features is None):
        chosen = choice()
        scores = scores_for(outputs_of(chosen.known.tiles), chosen.known.labels)
        chosen_by, _ = measure_scores(scores, outputs_of, chosen.digits, chosen.negatives, others)
    own_scores = {name: chosen_by[name] for name in scores if name in chosen_by}
    table, scored = measure_scores(scores, outputs_of, split.tiles, negatives, others)
    probabilities = scored["digits"].probabilities
    uncertainty, answers_by_set = _uncertainties(outputs_of, split, probabilities)
    return Rejection(
        uncertainty=uncertainty,
        answers=answers_by_set,
        scores=table,
        recommended=best_score(own_scores) if own_scores else next(iter(scores)),
        chosen_by=chosen_by,
        scaling=compare_scalings(split.labels, probabilities) if scaling else {},
        negatives=negatives,
        scored=scored,
    )


def taken_for_digits(rejection: Rejection, name: str, most: int) -> npt.NDArray[np.int64]:
    """Indices of the negatives of a set most similar to digits by the recommended score."""
    return np.argsort(-rejection.scored[name].scores[rejection.recommended], kind="stable")[:most]


def _uncertainties(
    outputs_of: OutputsOf, split: Split, probabilities: Floats
) -> tuple[dict[str, Uncertainty], dict[str, Answers]]:
    sample = np.linspace(0, len(split) - 1, min(len(split), CORRUPTION_TILES)).astype(np.int64)
    labels = split.labels[sample]
    corrupted_tiles = (corrupt(split.tiles[sample], name, SEED) for name in CORRUPTIONS)
    corrupted = [outputs_of(tiles).probabilities for tiles in corrupted_tiles]
    uncertainty = {
        CLEAN: measure_uncertainty(split.labels, probabilities),
        CORRUPTED: mean_uncertainty([measure_uncertainty(labels, one) for one in corrupted]),
    }
    pooled = answers(np.tile(labels, len(corrupted)), np.concatenate(corrupted))
    return uncertainty, {CLEAN: answers(split.labels, probabilities), CORRUPTED: pooled}


def _table_dict(table: Table) -> dict[str, Any]:
    return {
        score: {name: rounded(asdict(one)) for name, one in sets.items()}
        for score, sets in table.items()
    }
