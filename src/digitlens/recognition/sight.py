"""What a reader saw on a page, and the reading with all that led to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from digitlens.data.images import Page
from digitlens.data.windows import Windows
from digitlens.evaluation.votes import Votes
from digitlens.recognition.candidates import Candidates
from digitlens.recognition.looks import Glance
from digitlens.recognition.turns import turned_page
from digitlens.results import Reading


@dataclass(frozen=True)
class Sight:
    """What was seen on a page, before it is judged.

    Attributes:
        glances: The looks at it; none at a plain drawing whose every stroke is a digit.
        candidates: Places that may hold a digit, with what the page network makes of them.
        windows: uint8[N, 56, 56, 3]; each candidate as the crop network saw it.
        votes: What the page network, the crop network and the classifier make of them.
        probabilities: float32[N, 10]; of all votes.
        confidence: float32[N]; calibrated.
        tiles: uint8[28, 28] for each candidate, as the classifier was shown it; None where it was
            not asked.
    """

    glances: list[Glance]
    candidates: Candidates
    windows: Windows
    votes: Votes
    probabilities: npt.NDArray[np.float32]
    confidence: npt.NDArray[np.float32]
    tiles: Sequence[npt.NDArray[np.uint8] | None]

    @property
    def lowest(self) -> float:
        """Height of the lowest candidate, in page pixels; at least one candidate."""
        boxes = self.candidates.boxes
        return float((boxes[:, 3] - boxes[:, 1]).min())

    @property
    def evidence(self) -> float:
        """How much speaks for digits: the squares of all confidences above one half."""
        return float((self.confidence[self.confidence > 0.5] ** 2).sum())

    def __getitem__(self, chosen: npt.NDArray[np.intp]) -> Sight:
        """The same looks, with some of the candidates."""
        return Sight(
            self.glances,
            self.candidates[chosen],
            self.windows[chosen],
            self.votes[chosen],
            self.probabilities[chosen],
            self.confidence[chosen],
            [self.tiles[k] for k in chosen],
        )


@dataclass(frozen=True)
class Examination:
    """A reading and all that led to it.

    Attributes:
        page: uint8[H, W] or uint8[H, W, 3]; upright.
        turn: Quarter turns, counter-clockwise, after which the page was read.
        sight: What was seen on the turned page.
        reading: The answer, in coordinates of the page.
    """

    page: Page
    turn: int
    sight: Sight
    reading: Reading

    @property
    def turned(self) -> Page:
        """The page as it was read: after the turn."""
        return turned_page(self.page, self.turn)
