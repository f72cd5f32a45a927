"""Decodes what the line recogniser says of each step along a line into characters.

Best-path decoding of a CTC network (A. Graves et al., "Connectionist temporal classification", ICML
2006): the most probable class of each step, repetitions joined, blanks dropped.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from digitlens.alphabet import BLANK, CHARACTERS, CLASS_OF, DIGITS, LATIN, OTHER

STRIDE = 8  # columns of a line crop that each step of the posteriors covers
DIGIT_CLASSES = slice(1, 1 + len(DIGITS))
LETTER_CLASSES = slice(CLASS_OF[LATIN[0]], OTHER + 1)  # and ``OTHER``

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Symbols:
    """The characters of one line, from left to right.

    Attributes:
        text: K characters; ``OTHER_SIGN`` for those that are not in the alphabet.
        posteriors: float32[K, C]; of each, at the step that is surest of it.
        centres: float32[K]; where each stands, in columns of the line crop.
    """

    text: str
    posteriors: Floats
    centres: Floats

    def __len__(self) -> int:
        return len(self.text)

    @property
    def confidence(self) -> Floats:
        """float32[K]: the posterior of each character."""
        return self.posteriors.max(axis=1, initial=0)


def decode(posteriors: Floats) -> Symbols:
    """The most probable path.

    Args:
        posteriors: float32[T, C]; class 0 is the blank.
    """
    best = posteriors.argmax(axis=1)
    begins = np.flatnonzero((best != BLANK) & (best != np.r_[BLANK, best[:-1]]))
    ends = np.flatnonzero((best != BLANK) & (best != np.r_[best[1:], BLANK])) + 1
    if not len(begins):
        empty = np.zeros((0, posteriors.shape[1]), np.float32)
        return Symbols("", empty, np.zeros(0, np.float32))
    strength = posteriors[np.arange(len(best)), best]
    spans = list(zip(begins.tolist(), ends.tolist(), strict=True))
    surest = [begin + int(strength[begin:end].argmax()) for begin, end in spans]
    centres = [_middle(strength[begin:end], begin) for begin, end in spans]
    text = "".join(CHARACTERS[best[begin]] for begin in begins)
    return Symbols(text, posteriors[surest], STRIDE * np.asarray(centres, np.float32))


def _middle(strength: Floats, begin: int) -> float:
    """The mean of steps from ``begin`` on, in steps, weighed by their strength."""
    steps = begin + 0.5 + np.arange(len(strength))
    return float((steps * strength).sum() / strength.sum())


@dataclass(frozen=True)
class DigitEvidence:
    """What the recogniser says of a digit at one place.

    Attributes:
        mass: That there is a digit, 0..1.
        given: The same if there is a character at all.
        numeric: The same if that is no letter, as on a line of numbers.
        values: float32[10]; which digit, if there is one.
    """

    mass: float
    given: float
    numeric: float
    values: Floats


def digit_evidence(posteriors: Floats, begin: float, end: float) -> DigitEvidence:
    """What a line's posteriors say of a digit between two columns.

    Args:
        posteriors: float32[T, C].
        begin: First column of the line crop.
        end: The one after the last.
    """
    first = min(max(0, int(begin / STRIDE)), len(posteriors) - 1)
    last = min(max(first + 1, int(np.ceil(end / STRIDE))), len(posteriors))
    digits = posteriors[first:last, DIGIT_CLASSES]
    surest = int(digits.sum(axis=1).argmax())
    step, mass = digits[surest], float(digits[surest].sum())
    blank = float(posteriors[first + surest, BLANK])
    letters = float(posteriors[first + surest, LETTER_CLASSES].sum())
    values = (step + 1e-5) / (mass + 1e-4)
    return DigitEvidence(
        mass,
        mass / max(1 - blank, mass, 1e-6),
        mass / max(1 - blank - letters, mass, 1e-6),
        values.astype(np.float32),
    )
