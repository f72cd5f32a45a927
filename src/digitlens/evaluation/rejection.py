"""When a classifier should not answer: its uncertainty, and whether it knows what is no digit.

Is handed a function from tiles to everything a classifier says, digits and strangers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from digitlens.datasets.corruptions.corruptions import CORRUPTIONS, corrupt
from digitlens.datasets.mnist import Split
from digitlens.evaluation.metrics import Floats
from digitlens.evaluation.out_of_distribution import (
    Score,
    Scored,
    Table,
    TileScore,
    maximum_probability,
    measure_scores,
    recommended,
    scores_for,
)
from digitlens.evaluation.report import rounded
from digitlens.evaluation.scaling import ScalingScore, compare_scalings
from digitlens.evaluation.uncertainty import (
    Uncertainty,
    answers,
    mean_uncertainty,
    measure_uncertainty,
)
from digitlens.outputs import OutputsOf

CORRUPTED = 2000  # tiles under each corruption, evenly spread over the split
SEED = 0
CLEAN, SPOILT = "clean", "corrupted"

Tiles = npt.NDArray[np.uint8]
Answers = tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]


@dataclass(frozen=True, eq=False)
class Choice:
    """Tiles to fit scores to and to choose one by; never those that numbers are quoted on.

    Attributes:
        known: Digits like those trained with, for distances of features.
        digits: uint8[N, 28, 28]; digits that were not trained with.
        strangers: By name uint8[M, 28, 28].
    """

    known: Split
    digits: Tiles
    strangers: Mapping[str, Tiles]


@dataclass(frozen=True, eq=False)
class Rejection:
    """What was found.

    Attributes:
        uncertainty: By ``clean`` and ``corrupted``, the mean over the fifteen corruptions.
        answers: By the same names how sure each answer is, and whether it is right.
        scores: How well each score tells digits from each set of strangers.
        recommended: The score that does it best on tiles to choose by.
        chosen_by: How well each score does on those; empty where there is one score alone.
        scaling: Ways to calibrate, compared on the tiles; empty unless asked for.
        strangers: By name the tiles.
        found: By set (``digits`` among them) what its tiles are read as, and their scores.
    """

    uncertainty: Mapping[str, Uncertainty]
    answers: Mapping[str, Answers] = field(repr=False)
    scores: Table
    recommended: str
    chosen_by: Table
    scaling: Mapping[str, ScalingScore]
    strangers: Mapping[str, Tiles] = field(repr=False)
    found: Mapping[str, Scored] = field(repr=False)

    def as_dict(self) -> dict[str, Any]:
        """The numbers, JSON-ready; tiles and single scores are left out."""
        return {
            "uncertainty": {name: rounded(u.as_dict()) for name, u in self.uncertainty.items()},
            "recommended": self.recommended,
            "scores": _table_dict(self.scores),
            "chosen_by": _table_dict(self.chosen_by),
            "scaling": {name: rounded(asdict(score)) for name, score in self.scaling.items()},
        }


def measure_rejection(
    outputs_of: OutputsOf,
    split: Split,
    strangers: Mapping[str, Tiles],
    choice: Callable[[], Choice],
    *,
    beside: Mapping[str, TileScore] | None = None,
    scaling: bool = False,
) -> Rejection:
    """Measures uncertainty on digits and what tells them from strangers.

    Args:
        outputs_of: The classifier.
        split: Digits, N >= 1.
        strangers: By name uint8[M, 28, 28], M >= 1; held out of training and of every choice.
        choice: Gives tiles to choose by; called only when the classifier has more than one score.
        beside: Scores of others, see ``measure_scores``; measured beside those of the classifier,
            and never recommended, since it does not have them.
        scaling: Also compare ways to calibrate; for a validation split only.
    """
    first = outputs_of(split.tiles[:1])
    scores: dict[str, Score] = {"maximum probability": maximum_probability}
    chosen_by: Table = {}
    if not (first.energy is None and first.digit is None and first.features is None):
        given = choice()
        scores = scores_for(outputs_of(given.known.tiles), given.known.labels)
        chosen_by, _ = measure_scores(scores, outputs_of, given.digits, given.strangers, beside)
    own = {name: chosen_by[name] for name in scores if name in chosen_by}
    table, found = measure_scores(scores, outputs_of, split.tiles, strangers, beside)
    probabilities = found["digits"].probabilities
    uncertainty, sure = _uncertainties(outputs_of, split, probabilities)
    return Rejection(
        uncertainty=uncertainty,
        answers=sure,
        scores=table,
        recommended=recommended(own) if own else next(iter(scores)),
        chosen_by=chosen_by,
        scaling=compare_scalings(split.labels, probabilities) if scaling else {},
        strangers=strangers,
        found=found,
    )


def taken_for_digits(found: Rejection, name: str, most: int) -> npt.NDArray[np.int64]:
    """The strangers of a set that look most like a digit by the recommended score, worst first."""
    return np.argsort(-found.found[name].scores[found.recommended], kind="stable")[:most]


def _uncertainties(
    outputs_of: OutputsOf, split: Split, probabilities: Floats
) -> tuple[dict[str, Uncertainty], dict[str, Answers]]:
    few = np.linspace(0, len(split) - 1, min(len(split), CORRUPTED)).astype(np.int64)
    labels = split.labels[few]
    spoilt = [
        outputs_of(corrupt(split.tiles[few], name, SEED)).probabilities for name in CORRUPTIONS
    ]
    uncertainty = {
        CLEAN: measure_uncertainty(split.labels, probabilities),
        SPOILT: mean_uncertainty([measure_uncertainty(labels, one) for one in spoilt]),
    }
    every = np.tile(labels, len(spoilt))
    sure = {
        CLEAN: answers(split.labels, probabilities),
        SPOILT: answers(every, np.concatenate(spoilt)),
    }
    return uncertainty, sure


def _table_dict(table: Table) -> dict[str, Any]:
    return {
        score: {name: rounded(one.as_dict()) for name, one in sets.items()}
        for score, sets in table.items()
    }
