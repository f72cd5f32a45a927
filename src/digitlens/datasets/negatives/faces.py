"""The characters of fonts as ink, drawn when asked for, and which of them surely are no digits.

Drawing every character of all fonts beforehand takes half a minute; a training needs a few thousand
characters and waits for none of the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from math import atan2, hypot, sin
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt
from PIL import ImageFont

from digitlens.datasets.negatives.shapes import FAINT, crop
from digitlens.datasets.synthetic.arrays import Ink
from digitlens.datasets.synthetic.drawing import blur
from digitlens.datasets.synthetic.fonts import Role, Script, font_files, load_families
from digitlens.datasets.synthetic.glyph_sources import CYRILLIC, DIGITS, GREEK, LATIN, MARKS
from digitlens.datasets.synthetic.strokes import LETTERS

EM = 72  # pixels of the type that characters are drawn in; its digits are some 50 high
ALIKE = 0.86  # from this cosine on, a face's letter looks like one of its digits
_SEGMENTS = frozenset({"dseg7"})  # a font whose letters are made like digits
_SIDE = 24  # of the blurred pictures that are compared


class Face:
    """One font in one weight."""

    def __init__(self, fonts: Mapping[Script, ImageFont.FreeTypeFont]) -> None:
        """Takes the opened font of each script that the face has; draws nothing yet."""
        self._fonts = fonts
        self._inks: dict[str, Ink | None] = {}

    def ink(self, char: str) -> Ink | None:
        """uint8[h, w], cropped, 255 where there is ink; None when the face lacks the character."""
        if char not in self._inks:
            drawn = (_drawn(font, char) for font in self._fonts.values())
            self._inks[char] = next((ink for ink in drawn if ink is not None), None)
        return self._inks[char]

    def is_like_a_digit(self, char: str) -> bool:
        """Whether the face draws a character as it draws one of its digits, or lacks it."""
        ink = self.ink(char)
        return ink is None or likeness(ink, self.digits) >= ALIKE

    @cached_property
    def digits(self) -> npt.NDArray[np.float32]:
        """float32[10, D]: the ten digits, to be compared with, see ``likeness``."""
        inks = [self.ink(digit) for digit in DIGITS]
        return np.stack([_blurred(np.zeros((8, 8), np.uint8) if i is None else i) for i in inks])


def load_faces(role: Role) -> tuple[Face, ...]:
    """The faces to train with or those to validate with; fetches the fonts that the cache lacks.

    Raises:
        DataError: They cannot be had.
    """
    families = [f for f in load_families() if f.role == role and f.family not in _SEGMENTS]
    return tuple(
        Face({script: ImageFont.truetype(str(path), EM) for script, path in scripts.items()})
        for weights in font_files(families).values()
        for scripts in weights
    )


def likeness(ink: Ink, digits: npt.NDArray[np.float32]) -> float:
    """How much cropped ink looks like the most similar of ``Face.digits``: a cosine, 0 to 1."""
    return float((digits @ _blurred(ink)).max())


def _drawn(font: ImageFont.FreeTypeFont, char: str) -> Ink | None:
    mask = font.getmask(char)
    content = bytes(cast("Iterable[int]", mask))
    if not content or content == bytes(cast("Iterable[int]", font.getmask("\uffff"))):
        return None
    ink = np.frombuffer(content, np.uint8).reshape(mask.size[1], mask.size[0])
    return crop(ink) if int(ink.max()) > FAINT else None


def _blurred(ink: Ink) -> npt.NDArray[np.float32]:
    """The ink in the middle of a small square, blurred, as a unit vector."""
    scale = (_SIDE - 4) / max(ink.shape)
    height, width = (max(1, round(side * scale)) for side in ink.shape)
    square = np.zeros((_SIDE, _SIDE), np.float32)
    top, left = (_SIDE - height) // 2, (_SIDE - width) // 2
    small = cv2.resize(ink, (width, height), interpolation=cv2.INTER_AREA)
    square[top : top + height, left : left + width] = small
    soft = blur(square, 1.0).ravel()
    return soft / max(float(np.linalg.norm(soft)), 1e-6)


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
    """Whether ink is one upright or slanted stroke, which is a 1 whatever it was drawn as."""
    moments = cv2.moments((ink > FAINT).view(np.uint8), binaryImage=True)
    xx, xy, yy = (moments[name] for name in ("mu20", "mu11", "mu02"))
    wide = hypot(xx - yy, 2 * xy)
    thin = xx + yy - wide < _THIN**2 * (xx + yy + wide)
    return thin and abs(sin(atan2(2 * xy, xx - yy) / 2)) > _LYING
