"""Which characters and strokes nobody could tell from a digit, and which are surely none."""

from __future__ import annotations

from math import atan2, hypot, sin

import cv2
import numpy as np

from digitlens.datasets.negatives.variation import FAINT
from digitlens.datasets.synthetic.arrays import Ink
from digitlens.datasets.synthetic.glyph_sources import CYRILLIC, GREEK, LATIN, MARKS
from digitlens.datasets.synthetic.strokes import LETTERS

# Letters left out of the measured sets, in both cases: O I L S Z B G Q, as is usual for letters
# against digits. What looks like a digit in one font only, ``Face.is_like_a_digit`` finds.
AMBIGUOUS = "OILSZBGQoilszbgq"
# To train with, these too: written by hand D is a 0, Y and y are an open 4.
_LATIN = frozenset("OISZBGQDYoilszbgqy") - frozenset("L")
_GREEK = frozenset("σθΘβδξφΦ")
_CYRILLIC = frozenset("бБзЗэЭчЧвюфФд")
# A sign is enlarged until it fills the tile: a comma becomes a 1 with a flag, a degree sign a 0.
_MARKS = frozenset("|/!'\",()$°§;.")

LETTERS_OF_NO_DIGIT = "".join(c for c in LATIN if c not in _LATIN)
FOREIGN_OF_NO_DIGIT = "".join(c for c in GREEK + CYRILLIC if c not in _GREEK | _CYRILLIC)
SIGNS_OF_NO_DIGIT = "".join(c for c in MARKS + "€£¥×÷¶©®±≠√∞" if c not in _MARKS)  # noqa: RUF001
PENNED_OF_NO_DIGIT = "".join(c for c in LETTERS if c not in _LATIN | frozenset("βJγ"))  # noqa: RUF001
MEASURED_LETTERS = "".join(c for c in LATIN if c not in AMBIGUOUS)

_THIN = 0.22  # of a stroke: its width over its length, as standard deviations
_LYING = 0.35  # sine of the angle below which a stroke lies too flat for a 1


def is_one_stroke(ink: Ink) -> bool:
    """Whether ink is one upright or slanted stroke, which is a 1 whatever it was drawn as.

    Args:
        ink: uint8[h, w].
    """
    moments = cv2.moments((ink > FAINT).view(np.uint8), binaryImage=True)
    xx, xy, yy = (moments[name] for name in ("mu20", "mu11", "mu02"))
    wide = hypot(xx - yy, 2 * xy)
    thin = xx + yy - wide < _THIN**2 * (xx + yy + wide)
    return thin and abs(sin(atan2(2 * xy, xx - yy) / 2)) > _LYING
