"""The shipped reader, opened once, and a digit detector that sees rectangles."""

from collections import defaultdict
from itertools import groupby, product

import numpy as np
import pytest

from digitlens.alphabet import CLASS_OF, CLASSES
from digitlens.imaging.ink import connected_components
from digitlens.models.networks import DigitPredictions
from digitlens.reading.reader import DigitReader


class Rectangles:
    """A digit detector to which dark rectangles are digits: black is 0, gray 10 is 1, gray 90 is 9.

    ``pictures`` holds the shapes of what it was shown. Rectangles lower than ``lowest`` pixels are
    not seen.
    """

    def __init__(self, lowest=1, score=0.9):
        self.lowest, self.score = lowest, score
        self.pictures = []

    def predict(self, picture):
        assert picture.dtype == np.uint8
        assert picture.ndim == 3
        self.pictures.append(picture.shape)
        gray = picture[:, :, 1]
        found = connected_components(gray < 128).boxes
        found = found[found[:, 3] - found[:, 1] >= self.lowest]
        levels = [float(np.median(gray[y0:y1, x0:x1])) for x0, y0, x1, y1 in found]
        values = [min(9, round(level / 10)) for level in levels]
        return look_at(found, values, picture.shape[:2], self.score)


def look_at(boxes, values, size, score=0.9):
    """A look that found these digits, each of the other nine being 1 % probable."""
    count = len(values)
    return DigitPredictions(
        np.full(count, score, np.float32),
        (0.01 + 0.9 * np.eye(10)[np.array(values, int)]).astype(np.float32),
        np.array(boxes, np.float32).reshape(-1, 4),
        np.zeros((-(-size[0] // 4), -(-size[1] // 4)), np.float32),
        size,
    )


@pytest.fixture(scope="session", name="look_at")
def give_look_at():
    """Makes a look out of boxes, values, the picture's height and width, and a score."""
    return look_at


@pytest.fixture(scope="session")
def rectangles():
    """The class of digit detectors that see rectangles."""
    return Rectangles


@pytest.fixture(scope="session")
def reader():
    """The shipped reader, which no test may change."""
    return DigitReader(threads=1)


@pytest.fixture(scope="session")
def posteriors():
    """Makes the posteriors of a line: see ``_posteriors``."""
    return _posteriors


def _posteriors(path, sure=0.9):
    """float32[T, C]: the steps of a path, ``_`` for the blank, each so sure."""
    rows = np.full((len(path), CLASSES), (1 - sure) / (CLASSES - 1), np.float32)
    for step, char in enumerate(path):
        rows[step, 0 if char == "_" else CLASS_OF[char]] = sure
    return rows


@pytest.fixture(scope="session")
def ctc():
    """Sums over all ways through posteriors: see ``_ctc``."""
    return _ctc


def _ctc(posteriors, chars):
    """The probability of each text, summed over all ways along the steps."""
    found = defaultdict(float)
    for path in product(range(posteriors.shape[1]), repeat=len(posteriors)):
        kept = [value for value, _ in groupby(path) if value]
        chance = np.prod([row[value] for row, value in zip(posteriors, path, strict=True)])
        found["".join(chars[value - 1] for value in kept)] += chance
    return found
