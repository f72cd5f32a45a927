"""What an explanation holds: values found for a page and for each of its digits; says nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from digitlens.evaluation.changes import Change
from digitlens.imaging.images import Page
from digitlens.results import Digit, Reading

Tile = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating[Any]]
Evidence = npt.NDArray[np.float32]

NETWORKS = ("detector", "recognizer", "classifier")  # in the order of ``Account.scores``
_DECIMALS = 4  # of what an evidence map says in JSON


@dataclass(frozen=True, eq=False)
class Neighbour:
    """A training digit.

    Attributes:
        index: Its place among the tiles that the classifier was trained with.
        label: What it is said to be.
        distance: Between its features and those of the tile, 0 to 2.
        tile: uint8[28, 28].
    """

    index: int
    label: int
    distance: float
    tile: Tile

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready values, without the tile."""
        distance = round(self.distance, _DECIMALS)
        return {"index": self.index, "label": self.label, "distance": distance}


@dataclass(frozen=True, eq=False)
class Alike:
    """Training digits that look like a tile to the classifier, nearest first.

    Attributes:
        nearest: Of all.
        of_value: Of the digit that was answered.
        of_other: Of the runner-up.
        nearer: Share of usual digits that are nearer to their nearest training digit; None where
            nobody knows.
        usual: How many usual digits that is of: ones that the classifier was not trained with.
    """

    nearest: tuple[Neighbour, ...]
    of_value: tuple[Neighbour, ...]
    of_other: tuple[Neighbour, ...]
    nearer: float | None = None
    usual: int = 0

    @property
    def contrast(self) -> tuple[tuple[Neighbour, ...], ...]:
        """Of the answer and of the runner-up those that do not fill ``nearest`` anyway."""
        pairs = (self.of_value, self.of_other)
        labels = {one.label for one in self.nearest}
        return tuple(ones for ones in pairs if ones and labels != {ones[0].label})

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready values, without the tiles."""
        return {
            "nearest": [one.as_dict() for one in self.nearest],
            "of_value": [one.as_dict() for one in self.of_value],
            "of_runner_up": [one.as_dict() for one in self.of_other],
            "share_of_usual_nearer": self.nearer,
            "usual": self.usual,
        }


@dataclass(frozen=True, eq=False)
class Reasons:
    """Why one digit and not another, to the classifier of tiles.

    Attributes:
        ink: float32[28, 28], in nats; how far the log-odds of the answer against the runner-up fall
            when what is around a pixel is blanked.
        paper: float32[28, 28]; likewise when it is filled with ink.
        changes: The least changes found that make the classifier answer otherwise.
    """

    ink: Evidence
    paper: Evidence
    changes: tuple[Change, ...]

    def evidence(self, tile: Tile) -> Evidence:
        """float32[28, 28]: of each pixel what is there, ink or paper: above 0 for the answer."""
        share = tile.astype(np.float32) / np.float32(255)
        return (share * self.ink + (1 - share) * self.paper).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Account:
    """What is known of one digit, or of one thing that was rejected.

    Attributes:
        number: From 1, in reading order.
        digit: The answer.
        tile: uint8[28, 28]; what the classifier is shown.
        scores: float32[3, 10]; which digit, by detector, recogniser and classifier.
        exists: That a digit is there at all, by the same three.
        seen: Whether the detector found something there, and whether the recogniser read a
            character there; what the others say of which digit it is means nothing.
        line: All that was read on its line.
        other: The runner-up.
        reasons: Why this one; None of what was rejected.
        alike: None where no training digits are there to compare with.
    """

    number: int
    digit: Digit
    tile: Tile
    scores: Floats
    exists: tuple[float, float, float]
    seen: tuple[bool, bool]
    line: str
    other: int
    reasons: Reasons | None = None
    alike: Alike | None = None

    @property
    def own(self) -> Floats:
        """float32[10]: which digit, by the classifier, which looks at nothing but the tile."""
        return self.scores[2]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready values, the tile as rows of numbers."""
        said = zip(NETWORKS, self.scores, self.exists, (*self.seen, True), strict=True)
        scores = {
            name: {"exists": round(exists, 6), "digits": _rounded(row) if seen else None}
            for name, row, exists, seen in said
        }
        reasons = self.reasons
        return {
            "number": self.number,
            **self.digit.as_dict(),
            "runner_up": self.other,
            "line": self.line,
            "scores": scores,
            "tile": self.tile.tolist(),
            "evidence": None if reasons is None else _rounded(reasons.evidence(self.tile)),
            "changes": None if reasons is None else [one.as_dict() for one in reasons.changes],
            "alike": None if self.alike is None else self.alike.as_dict(),
        }


@dataclass(frozen=True, eq=False)
class Story:
    """How a page was read.

    Attributes:
        name: What the page is called.
        page: uint8[H, W] or uint8[H, W, 3].
        reading: The answer.
        turn: Quarter turns, counter-clockwise, after which it was read.
        looks: Width and height of each look of the digit detector.
        lines: What was read on each line.
        strongest: The highest score of any cell of any look.
        least: Score from which a place is looked into.
        threshold: Confidence from which a digit is given as sure.
        digits: Those explained.
        rejected: The most digit-like things that were rejected.
        left_out: How many more digits were read, and things rejected.
        note: Why something is missing; empty where nothing is.
    """

    name: str
    page: Page
    reading: Reading
    turn: int
    looks: tuple[tuple[int, int], ...]
    lines: tuple[str, ...]
    strongest: float
    least: float
    threshold: float
    digits: tuple[Account, ...]
    rejected: tuple[Account, ...]
    left_out: tuple[int, int] = (0, 0)
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        reading = self.reading
        return {
            "name": self.name,
            "text": reading.text,
            "digits_only": reading.digits_only,
            "numbers": list(reading.numbers),
            "width": reading.width,
            "height": reading.height,
            "turn": self.turn,
            "looks": [list(size) for size in self.looks],
            "lines": list(self.lines),
            "strongest": round(self.strongest, 6),
            "least": self.least,
            "threshold": self.threshold,
            "digits": [one.as_dict() for one in self.digits],
            "rejected": [one.as_dict() for one in self.rejected],
            "left_out": {"digits": self.left_out[0], "rejected": self.left_out[1]},
            "note": self.note,
            "model": reading.model,
            "model_sha256": reading.model_sha256,
        }


def _rounded(values: Floats) -> Any:
    return np.round(np.asarray(values, np.float64), 6).tolist()
