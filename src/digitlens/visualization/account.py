"""What an explanation holds: values found for a page and for each of its digits; says nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from digitlens.data.images import Page
from digitlens.evaluation.changes import Change
from digitlens.evaluation.votes import VOTERS
from digitlens.results import Digit, Reading

Tile = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating[Any]]
Evidence = npt.NDArray[np.float32]

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
        votes: float32[3, 10]; what page network, crop network and classifier say, as voted.
        exists: That a digit is there at all, by page network and crop network.
        asked: Which of the three networks were asked.
        own: float[10]; what the classifier says of the tile, whether it was asked or not.
        other: The runner-up.
        reasons: Why this one; None of what was rejected.
        alike: None where no training digits are there to compare with.
    """

    number: int
    digit: Digit
    tile: Tile
    votes: Floats
    exists: tuple[float, float]
    asked: tuple[bool, bool, bool]
    own: Floats
    other: int
    reasons: Reasons | None = None
    alike: Alike | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready values, the tile as rows of numbers."""
        asked = dict(zip(VOTERS, self.asked, strict=True))
        votes = {
            name: _rounded(self.votes[k]) if asked[name] else None for k, name in enumerate(VOTERS)
        }
        reasons = self.reasons
        return {
            "number": self.number,
            **self.digit.as_dict(),
            "runner_up": self.other,
            "votes": votes,
            "existence": {
                "pages": round(self.exists[0], 6) if self.asked[0] else None,
                "crop": round(self.exists[1], 6),
            },
            "classifier": _rounded(self.own),
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
        looks: Width and height of each look of the page network; none at a plain drawing.
        strongest: The highest score of any cell of any look; 0 without looks.
        least: Score from which a place is looked at closer.
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
            "numbers": list(reading.numbers),
            "width": reading.width,
            "height": reading.height,
            "turn": self.turn,
            "looks": [list(size) for size in self.looks],
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
