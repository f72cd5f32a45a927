"""All texts that the part of a line with a number may hold, and how likely each is.

Sums over all paths through the recogniser's posteriors: A. Graves et al., "Connectionist temporal
classification" (ICML 2006).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from digitlens.alphabet import BLANK, CLASS_OF, DIGITS, MARKS, SPACE
from digitlens.reading.decode import Hypothesis, Step, search

_WRITTEN = DIGITS + MARKS + SPACE + "eECF"  # what a number may be written with
_CLASSES = [CLASS_OF[char] for char in _WRITTEN]
_PLACE = {char: k for k, char in enumerate(_WRITTEN)}
_SIGNS = slice(0, len(DIGITS + MARKS))  # of these, what counts before and after a number as well
_POSSIBLE = 1e-3  # probability from which a character is looked at
_EMPTY = 0.999  # probability of a blank from which a step says nothing
_NEVER = 1e-6  # least probability of a character

Floats = npt.NDArray[np.float32]


class _Anything:
    """Accepts every text."""

    start = 0

    def step(self, state: int, char: str) -> int:  # noqa: ARG002  (of all characters)
        return state

    def accepts(self, state: int) -> bool:  # noqa: ARG002  (everywhere)
        return True


def likely_texts(posteriors: Floats, width: int) -> list[Hypothesis]:
    """What the part of a line that holds a number may say, the most probable text first.

    Args:
        posteriors: float32[T, C]; letters and spaces count before and after the number only.
        width: Prefixes that are followed; at most so many texts are found.
    """
    said, outside = posteriors[:, _CLASSES].astype(float), _outside(posteriors).tolist()
    blank = posteriors[:, BLANK].tolist()
    likely: list[list[tuple[str, float]]] = [[] for _ in blank]
    rows, columns = np.nonzero(said > _POSSIBLE)
    entries = zip(rows.tolist(), columns.tolist(), said[rows, columns].tolist(), strict=True)
    for row, column, chance in entries:
        likely[row].append((_WRITTEN[column], chance))
    where = np.flatnonzero(_telling(posteriors)).tolist()
    steps = [Step(tuple(likely[k]), max(blank[k], _NEVER), outside[k], True) for k in where]
    found = search(steps, _Anything(), width)
    return [Hypothesis(each.text, each.odds, tuple(where[k] for k in each.steps)) for each in found]


def text_odds(posteriors: Floats, texts: Sequence[str]) -> npt.NDArray[np.float64]:
    """float64[N]: how likely the recogniser finds each text, all of them multiplied by one number.

    The forward algorithm of CTC, see ``likely_texts``.
    """
    count = max(map(len, texts))
    inner, outer = len(_WRITTEN), len(_WRITTEN) + 1  # blanks inside a number and around it
    labels = np.full((len(texts), 2 * count + 1), inner)
    labels[:, 0] = outer
    for row, text in zip(labels, texts, strict=True):
        row[1 : 2 * len(text) : 2] = [_PLACE[char] for char in text]
        row[2 * len(text)] = outer
    skips = np.zeros(labels.shape)  # where a blank between two characters may be left out
    skips[:, 3::2] = labels[:, 3::2] != labels[:, 1:-2:2]
    blanks = posteriors[:, BLANK], _outside(posteriors)
    said = np.maximum(np.c_[posteriors[:, _CLASSES], blanks[0], blanks[1]], _NEVER).astype(float)
    said /= said.max(axis=1, keepdims=True)
    first, *others = said[_telling(posteriors)][:, labels]
    framed = np.zeros((len(texts), 2 * count + 3))  # two more at the left, which nothing reaches
    before, beside, paths = framed[:, :-2], framed[:, 1:-1], framed[:, 2:]
    paths[:, :2] = first[:, :2]
    for chances in others:
        paths[:] = (paths + beside + skips * before) * chances
    ends = 2 * np.array([len(text) for text in texts])
    rows = np.arange(len(texts))
    return np.asarray(paths[rows, ends] + paths[rows, ends - 1])


def _telling(posteriors: Floats) -> npt.NDArray[np.bool_]:
    """bool[T]: the first step, and those but the first of a run of certain blanks."""
    blank = posteriors[:, BLANK]
    return np.r_[True, np.minimum(blank[1:], blank[:-1]) <= _EMPTY]


def _outside(posteriors: Floats) -> Floats:
    """float32[T]: that a step is neither a digit nor a mark."""
    return np.maximum(1 - posteriors[:, _CLASSES[_SIGNS]].sum(axis=1), _NEVER)
