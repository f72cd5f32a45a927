"""Explains a reading: why each digit was read, and what would change the result.

Collects the evidence from networks and training digits; does not phrase or draw it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from digitlens.errors import DataError, ModelError
from digitlens.explain.evidence import (
    Counterfactual,
    KnownDigits,
    answers_and_features,
    find_counterfactuals,
    find_nearest,
    measure_usual_distances,
    occlude,
)
from digitlens.explain.trained_model import TrainedModel
from digitlens.imaging.image import Page
from digitlens.models.classifier import Classifier
from digitlens.progress import work_bar
from digitlens.reading.places import UNSEEN
from digitlens.reading.reader import DigitReader, ReadResult
from digitlens.reading.recognize import MIN_LINE_SCORE
from digitlens.results import Digit, Reading, plain_fields

Tile = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating[Any]]
Evidence = npt.NDArray[np.float32]

NETWORKS = ("detector", "recognizer", "classifier")  # in the order of ``DigitExplanation.scores``
MAX_DIGITS = 12  # maximum number of explained digits; half as many rejected objects
NEAREST, OF_EACH = 8, 5  # training digits shown: overall, and for the value and the runner-up each
_DOUBT = 0.01  # probability from which another digit counts
_FETCH_HINT = "to find the nearest training digits, run  digitlens data --fetch"
_DECIMALS = 4  # of distances in JSON


@dataclass(frozen=True, eq=False)
class Neighbour:
    """A training digit."""

    index: int  # among the classifier's training tiles
    label: int
    distance: float  # between its features and those of the tile, 0 to 2
    tile: Tile  # uint8[28, 28]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready values, without the tile."""
        distance = round(self.distance, _DECIMALS)
        return {"index": self.index, "label": self.label, "distance": distance}


@dataclass(frozen=True, eq=False)
class SimilarDigits:
    """Training digits whose features are similar to those of a tile, nearest first."""

    nearest: tuple[Neighbour, ...]  # of all training digits
    of_value: tuple[Neighbour, ...]  # of those with the predicted value
    of_other: tuple[Neighbour, ...]  # of those with the runner-up's value
    # fraction of held-out digits that are nearer to their nearest training digit; None if unknown
    nearer: float | None = None
    # number of held-out digits that were compared
    usual: int = 0

    @property
    def contrast(self) -> tuple[tuple[Neighbour, ...], ...]:
        """``of_value`` and ``of_other``, without those that ``nearest`` consists of entirely."""
        pairs = (self.of_value, self.of_other)
        labels = {one.label for one in self.nearest}
        return tuple(ones for ones in pairs if ones and labels != {ones[0].label})

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready values, without the tiles."""
        return {
            **plain_fields(self, "nearest", "of_value"),
            "of_runner_up": [one.as_dict() for one in self.of_other],
            "share_of_usual_nearer": self.nearer,
            "usual": self.usual,
        }


@dataclass(frozen=True, eq=False)
class Attributions:
    """Why the classifier predicted one digit and not the runner-up."""

    # float32[28, 28], in nats; drop in the log-odds of the value against the runner-up when the
    # area around a pixel is blanked
    ink: Evidence
    paper: Evidence  # float32[28, 28]; the same when the area is filled with ink
    # the smallest changes found that change the prediction
    counterfactuals: tuple[Counterfactual, ...]

    def evidence(self, tile: Tile) -> Evidence:
        """float32[28, 28]: evidence of each pixel, as ink or paper; positive for the value."""
        share = tile.astype(np.float32) / np.float32(255)
        return (share * self.ink + (1 - share) * self.paper).astype(np.float32)


@dataclass(frozen=True, eq=False)
class DigitExplanation:
    """The explanation of one digit, or of one rejected object."""

    number: int  # from 1, in reading order
    digit: Digit  # the result
    tile: Tile  # uint8[28, 28]; the classifier's input
    scores: Floats  # float32[3, 10]; digit probabilities of detector, recogniser and classifier
    exists: tuple[float, float, float]  # probability that a digit is there, by the same three
    # whether the detector found something there, and whether the recogniser read a character there;
    # the scores of a network that did not are meaningless
    seen: tuple[bool, bool]
    line: str  # the recognised text of its line
    other: int  # the runner-up
    attributions: Attributions | None = None  # None for rejected objects
    alike: SimilarDigits | None = None  # None without training digits to compare with

    @property
    def own(self) -> Floats:
        """float32[10]: digit probabilities of the classifier, which sees only the tile."""
        return self.scores[2]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready values, the tile as rows of numbers."""
        rows = zip(NETWORKS, self.scores, self.exists, (*self.seen, True), strict=True)
        scores = {
            name: {"exists": round(exists, 6), "digits": _rounded(row) if seen else None}
            for name, row, exists, seen in rows
        }
        found = self.attributions
        return {
            "number": self.number,
            **self.digit.as_dict(),
            "runner_up": self.other,
            "line": self.line,
            "scores": scores,
            "tile": self.tile.tolist(),
            "evidence": None if found is None else _rounded(found.evidence(self.tile)),
            "changes": None if found is None else [one.as_dict() for one in found.counterfactuals],
            "alike": None if self.alike is None else self.alike.as_dict(),
        }


@dataclass(frozen=True, eq=False)
class Explanation:
    """How a page was read."""

    name: str  # name of the page
    page: Page  # uint8[H, W] or uint8[H, W, 3]
    reading: Reading  # the result
    turn: int  # quarter turns, counter-clockwise, after which it was read
    views: tuple[tuple[int, int], ...]  # width and height of each view of the digit detector
    lines: tuple[str, ...]  # the recognised text of each line
    strongest: float  # the highest score of any cell of any view
    least: float  # score from which a location is a candidate
    threshold: float  # confidence from which a digit is sure
    digits: tuple[DigitExplanation, ...]  # the explained digits
    rejected: tuple[DigitExplanation, ...]  # the most digit-like rejected objects
    left_out: tuple[int, int] = (0, 0)  # numbers of further digits and rejected objects
    note: str = ""  # why something is missing; empty if nothing is

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        read = "text", "digits_only", "numbers", "numbers_digits", "width", "height"
        return {
            "name": self.name,
            **plain_fields(self.reading, *read),
            "turn": self.turn,
            "looks": [list(size) for size in self.views],
            "lines": list(self.lines),
            "strongest": round(self.strongest, 6),
            "least": self.least,
            "threshold": self.threshold,
            **plain_fields(self, "digits", "rejected"),
            "left_out": {"digits": self.left_out[0], "rejected": self.left_out[1]},
            "note": self.note,
            **plain_fields(self.reading, "model", "model_sha256"),
        }


def _rounded(values: Floats) -> Any:
    return np.round(np.asarray(values, np.float64), 6).tolist()


def explain(
    name: str,
    reader: DigitReader,
    result: ReadResult,
    model: str | Path,
    *,
    digit: int | None = None,
    data_dir: Path | None = None,
) -> Explanation:
    """Explains the ``result`` that ``reader`` returned for the page ``name``.

    ``model`` is the classifier, as for ``DigitReader``. ``digit`` is the one to explain, from 1
    in reading order, ValueError if it does not exist; None explains the first twelve.
    """
    explanations = _collect(result)
    digits = [one for one in explanations if one.digit.status != "rejected"]
    rejected = [one for one in explanations if one.digit.status == "rejected"]
    likeliest = sorted(rejected, key=lambda one: -one.digit.confidence)[: MAX_DIGITS // 2]
    chosen, shown_rejected = digits[:MAX_DIGITS], sorted(likeliest, key=lambda one: one.number)
    if digit is not None:
        if not 1 <= digit <= len(digits):
            where = f"from 1 to {len(digits)}" if digits else "on a page with digits"
            raise ValueError(f"expected a digit {where}, found {digit}")
        chosen, shown_rejected = [digits[digit - 1]], []
    shown = chosen + shown_rejected
    alike, note = _find_similar(shown, model, data_dir)
    with work_bar() as bar:
        for index, one in enumerate(bar.track(chosen, description="explaining")):
            shown[index] = _attribute(one, reader.classifier)
    shown = [replace(one, alike=near) for one, near in zip(shown, alike, strict=True)]
    views = result.view.detections.views
    return Explanation(
        name,
        result.page,
        result.reading,
        result.turn,
        tuple((view.predictions.size[1], view.predictions.size[0]) for view in views),
        tuple(line.symbols.text for line in result.view.lines),
        max((float(view.predictions.heat.max(initial=0)) for view in views), default=0.0),
        MIN_LINE_SCORE,
        reader.thresholds["digit"],
        tuple(shown[: len(chosen)]),
        tuple(shown[len(chosen) :]),
        (len(digits) - len(chosen), len(rejected) - len(shown_rejected)),
        note,
    )


def _collect(result: ReadResult) -> list[DigitExplanation]:
    """Explanations of all digits and rejected objects from ``result`` alone, in reading order."""
    view, scores, places = result.view, result.view.scores, result.view.scores.places
    counts, explanations = Counter[bool](), list[DigitExplanation]()
    digits, place_indices = chain(*result.reading.lines), chain(*result.places)
    for digit, index in zip(digits, place_indices, strict=True):
        if index >= len(scores):
            continue
        counts[digit.status == "rejected"] += 1
        exists = (places.objectness[index], places.mass[index], scores.is_digit[index])
        explanations.append(
            DigitExplanation(
                counts[digit.status == "rejected"],
                digit,
                view.tiles[index],
                scores.digits[index],
                (float(exists[0]), float(exists[1]), float(exists[2])),
                (bool(places.objectness[index] > UNSEEN), bool(places.symbol[index] >= 0)),
                view.lines[int(places.line[index])].symbols.text,
                _runner_up(digit.value, digit.probabilities, scores.digits[index, -1]),
            )
        )
    return explanations


def _runner_up(value: int, chances: tuple[float, ...], own: Floats) -> int:
    """The runner-up by all networks; if they leave no doubt, by the classifier."""
    others = [k for k in range(10) if k != value]
    return max(others, key=lambda k: (chances[k] if chances[k] >= _DOUBT else 0, float(own[k])))


def _attribute(one: DigitExplanation, classifier: Classifier) -> DigitExplanation:
    predict, value = classifier.predict_proba, one.digit.value
    relevance = partial(occlude, predict, one.tile, value, against=one.other)
    changes = tuple(find_counterfactuals(predict, one.tile))
    return replace(one, attributions=Attributions(relevance(ink=0), relevance(ink=255), changes))


def _find_similar(
    digits: list[DigitExplanation], name: str | Path, data_dir: Path | None
) -> tuple[list[SimilarDigits | None], str]:
    """For each explanation the similar training digits; a note if they cannot be found."""
    no_results: list[SimilarDigits | None] = [None] * len(digits)
    if not digits:
        return no_results, ""
    try:
        model = TrainedModel(name, on="validation", data_dir=data_dir)
        known = model.known
    except DataError:
        return no_results, f"MNIST is not on this machine; {_FETCH_HINT}."
    except ModelError as error:
        return no_results, f"There are no training digits to compare with: {error}."
    _, features = answers_and_features(model.classifier, np.stack([one.tile for one in digits]))
    try:
        held_out = measure_usual_distances(model.classifier, known, model.split)
    except ModelError:  # its recipe held none out
        held_out = np.zeros(0, np.float32)
    nearest = find_nearest(features, known.features, min(NEAREST, len(known.features)))
    # Fraction of held-out digits nearer to their nearest: 0.99 is farther away than 99 % of them.
    nearer = np.searchsorted(held_out, nearest.distances[:, 0]) / max(len(held_out), 1)
    return [
        SimilarDigits(
            _neighbours(nearest.indices[row], nearest.distances[row], known),
            _nearest_of_value(features[row : row + 1], known, one.digit.value),
            _nearest_of_value(features[row : row + 1], known, one.other),
            float(nearer[row]) if len(held_out) else None,
            len(held_out),
        )
        for row, one in enumerate(digits)
    ], ""


def _nearest_of_value(features: Floats, known: KnownDigits, value: int) -> tuple[Neighbour, ...]:
    """The nearest training digits of one value."""
    rows = np.flatnonzero(known.labels == value)
    if not len(rows):
        return ()
    nearest = find_nearest(features, known.features[rows], min(OF_EACH, len(rows)))
    return _neighbours(rows[nearest.indices[0]], nearest.distances[0], known)


def _neighbours(
    indices: npt.NDArray[np.int64], distances: Floats, known: KnownDigits
) -> tuple[Neighbour, ...]:
    pairs = zip(indices.tolist(), distances.tolist(), strict=True)
    return tuple(Neighbour(k, int(known.labels[k]), far, known.tiles[k]) for k, far in pairs)
