"""Sources of the ink of characters: fonts, writers of MNIST and pens.

The fonts are packages of the Fontsource project, each with its open licence: fetched, verified and
cached. They are needed for generating pages, never for reading.

``strokes.csv`` has the forms that pens draw: strokes separated by slashes, of points separated by
semicolons, x to the right and y down, in hundredths of a digit's frame. A stroke is a Catmull-Rom
curve through its points; a repeated point makes a corner. Lower case starts at 40, descenders end
below 100.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, Protocol, cast

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from digitlens.datasets.sources import NpmPackage, npm_archives, read_members
from digitlens.datasets.synthetic.drawing import (
    FAINT,
    Ink,
    Points,
    Rng,
    blur,
    crop,
    fill,
    load_table,
    log_uniform,
    pick,
    stroke,
)
from digitlens.errors import DataError
from digitlens.files import cache_folder
from digitlens.progress import work_bar

FONT_TABLE = Path(__file__).with_name("fonts.csv")
FONT_BATCH = 16  # packages fetched by one call of npm
FONT_SECONDS = 300.0  # time limit of one batch
Script = Literal[
    "latin", "greek", "cyrillic", "armenian", "devanagari", "georgian", "hebrew", "symbols", "thai"
]
Look = Literal["hand", "print"]
# Foreign fonts cover scripts outside the alphabet, as examples of non-digits.
Role = Literal["training", "validation", "foreign"]

SEGMENT_FONTS = frozenset({"dseg7"})  # seven-segment fonts, whose letters look like digits
SCRIPTS: tuple[Script, ...] = ("latin", "greek", "cyrillic")
FOREIGN: tuple[Script, ...] = ("armenian", "devanagari", "georgian", "hebrew", "symbols", "thai")
WEIGHTS = (200, 400, 700, 900)


@dataclass(frozen=True)
class Family:
    """One font family and its npm package."""

    family: str  # as in the name of the package
    version: str  # of the package
    kind: Look  # ``hand``: looks handwritten; ``print``: the others
    role: Role  # training and validation pages share no family
    sha256: str  # of the package's archive

    @property
    def scripts(self) -> tuple[Script, ...]:
        """The scripts that pages use from this family."""
        return ("latin", *FOREIGN) if self.role == "foreign" else SCRIPTS


def load_families() -> list[Family]:
    """All font families that pages are set in."""
    return [Family(**row) for row in load_table(FONT_TABLE)]


def font_files(families: Sequence[Family]) -> dict[Family, list[dict[Script, Path]]]:
    """The upright WOFF files of each family, by script, for each of up to four weights.

    Fetches missing packages with npm. Raises DataError if that fails, the hash of an archive is
    wrong, or the cache cannot be written.
    """
    missing = [family for family in families if not _folder(family).is_dir()]
    if missing:
        _fetch_all(missing)
    return {family: list(_weight_files(family)) for family in families}


def role_fonts(
    role: Role, some: slice = slice(None)
) -> Iterator[tuple[Family, dict[Script, Path]]]:
    """The files of each weight of the selected families of a role, ``SEGMENT_FONTS`` included."""
    families = [family for family in load_families() if family.role == role][some]
    for family, weights in font_files(families).items():
        for files in weights:
            yield family, files


def _weight_files(family: Family) -> Iterator[dict[Script, Path]]:
    for weight in WEIGHTS:
        paths: dict[Script, Path] = {
            script: _folder(family) / _file(family, script, weight) for script in family.scripts
        }
        if paths["latin"].is_file():
            yield {script: path for script, path in paths.items() if path.is_file()}


def _file(family: Family, script: Script, weight: int) -> str:
    return f"{family.family}-{script}-{weight}-normal.woff"


def _folder(family: Family) -> Path:
    return cache_folder("fonts") / f"{family.family}-{family.version}"


def _fetch_all(families: Sequence[Family]) -> None:
    subject = "the fonts that pages are set in come"
    with work_bar() as bar:
        task = bar.add_task("fonts", total=len(families))
        for start in range(0, len(families), FONT_BATCH):
            batch = families[start : start + FONT_BATCH]
            packages = [NpmPackage(f"@fontsource/{f.family}", f.version, f.sha256) for f in batch]
            with TemporaryDirectory(prefix="digitlens-") as folder:
                archives = npm_archives(packages, Path(folder), subject, FONT_SECONDS)
                for family, archive in zip(batch, archives, strict=True):
                    _unpack(family, archive)
            bar.advance(task, len(batch))


def _unpack(family: Family, archive: Path) -> None:
    """Moves the files that pages need to the cache, all or none."""
    files = (_file(family, script, weight) for script in family.scripts for weight in WEIGHTS)
    wanted, target = {f"package/files/{file}" for file in files}, _folder(family)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=target.parent) as folder:
            fonts = Path(folder) / "fonts"
            fonts.mkdir()
            for name, content in read_members(archive, wanted).items():
                (fonts / Path(name).name).write_bytes(content)
            fonts.rename(target)
    except OSError as error:
        if not target.is_dir():  # else another process has just unpacked it
            raise DataError(f"cannot cache fonts in {target.parent}: {error}") from error


SIDE = 128  # of the square canvas of a digit, in pixels
_MARGIN = 24
FRAME = SIDE - 2 * _MARGIN  # height of a digit on the canvas
Form = tuple[Points, ...]  # strokes, each float64[n, 2], 0..1


def _parse_form(text: str) -> Form:
    lines = [[point.split() for point in line.split(";")] for line in text.split("/")]
    return tuple(np.array(line, np.float64) / 100 for line in lines)


_FORMS: dict[str, dict[str, tuple[Form, ...]]] = {}  # set → character → all forms
for _row in load_table(Path(__file__).with_name("strokes.csv")):
    _known = _FORMS.setdefault(_row["set"], {})
    _known[_row["char"]] = (*_known.get(_row["char"], ()), _parse_form(_row["form"]))
FORMS = tuple(_FORMS["digit"].values())
# Digits of everyday handwriting, whose last stroke may join the next one. Forms that resemble
# another digit have a distinguishing stroke.
QUICK_FORMS = tuple(_FORMS["quick"].values())
# Letters and signs. Letters that many people write like a digit (o, l, i, s, z, g, q, and capitals
# O, I, S, Z) are left out: on their own they cannot be distinguished from one.
LETTERS = {char: forms[0] for char, forms in _FORMS["letter"].items()}
# Marks of numbers, and letters that look like digits.
MARK_FORMS = _FORMS["mark"]
# Outlines of icons on signs and screens; all but the first outline of a form are holes.
ICON_FORMS = _FORMS["icon"]


@dataclass(frozen=True)
class Pen:
    """The pen and handwriting of one person."""

    forms: tuple[int, ...]  # for each digit, the index of its usual form in ``FORMS``
    width: float  # of the stroke, in pixels of the canvas of side ``SIDE``
    jitter: float  # standard deviation of the control points, in such pixels
    aspect: float  # width / height of a digit's frame
    straight: bool  # whether strokes are straight lines between the points
    gaps: float  # fraction of each stroke that is left out


def draw_pen(rng: Rng) -> Pen:
    """A random pen, from a hairline to a broad marker."""
    return Pen(
        forms=tuple(int(rng.integers(len(forms))) for forms in FORMS),
        width=log_uniform(rng, 1.5, 20),
        jitter=rng.uniform(0.5, 4.0),
        aspect=rng.uniform(0.45, 0.95),
        straight=bool(rng.random() < 0.1),
        gaps=rng.uniform(0.02, 0.08) if rng.random() < 0.08 else 0.0,
    )


def draw_digit(value: int, pen: Pen, rng: Rng) -> Ink:
    """Draws one digit, occasionally in a form other than the pen's usual one.

    Returns uint8[SIDE, SIDE], 255 for ink, with a margin.
    """
    forms = FORMS[value]
    form = forms[pen.forms[value]] if rng.random() < 0.8 else pick(rng, forms)
    return draw_form(form, pen, rng)


def draw_form(form: Sequence[Points], pen: Pen, rng: Rng) -> Ink:
    """Draws the strokes of one form, see ``draw_digit``."""
    ink = np.zeros((SIDE, SIDE), np.uint8)
    for line in form:
        points = line * (FRAME * pen.aspect, FRAME)
        points = points + (SIDE - FRAME * pen.aspect) / 2 * np.array([1, 0]) + (0, _MARGIN)
        points = _jitter(points, pen.jitter, rng)
        path = points if pen.straight else _catmull_rom(points)
        for piece in _split_stroke(path, pen.gaps, rng):
            stroke(ink, piece, max(1, round(pen.width * rng.uniform(0.92, 1.08))))
    return ink


def _jitter(points: Points, jitter: float, rng: Rng) -> Points:
    jittered = points + rng.normal(0, jitter, points.shape)
    is_corner = (points[1:] == points[:-1]).all(axis=1)  # keep repeated points equal: corners
    jittered[1:][is_corner] = jittered[:-1][is_corner]
    if (points[0] == points[-1]).all():
        jittered[-1] = jittered[0] + rng.normal(0, jitter, 2)
    return jittered


def _catmull_rom(points: Points) -> Points:
    """A Catmull-Rom curve through the points (Catmull and Rom, 1974)."""
    padded, t = np.vstack([points[:1], points, points[-1:]]), np.linspace(0, 1, 9)[:, None]
    pieces = list[Points]()
    for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        if (b != c).any():  # the piece from b to c; a and d determine the tangents
            squared = 2 * a - 5 * b + 4 * c - d
            cubed = 3 * b - a - 3 * c + d
            pieces.append(0.5 * (2 * b + (c - a) * t + squared * t**2 + cubed * t**3))
    return np.vstack(pieces)


def _split_stroke(path: Points, gaps: float, rng: Rng) -> list[Points]:
    if not gaps or len(path) < 12:
        return [path]
    cut = int(rng.integers(4, len(path) - 4))
    width = max(1, round(gaps * len(path)))
    return [part for part in (path[:cut], path[cut + width :]) if len(part) > 1]


EM = 96  # font size of glyphs, in pixels; digits are about 70 high
DIGITS = "0123456789"
LATIN = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
MARKS = ".,:;-+=/$#%&()*!?'\"@<>[]_|~^"
CURRENCY = "€£¥§°\N{MULTIPLICATION SIGN}÷"
ON_DEMAND = "äöüÄÖÜßéèêàâçñíóúôÉÈ±Øµ–’•"  # drawn on demand  # noqa: RUF001
GREEK = "αβγδεζθλμπρσφψωΓΔΘΛΞΠΣΦΨΩ"
CYRILLIC = "бвгджзийлнптфцчшщыэюяБГДЖИЛФЦЧШЩЭЮЯ"


def _characters(*spans: tuple[int, int]) -> str:
    """All characters of Unicode ranges, both ends included."""
    return "".join(chr(code) for first, last in spans for code in range(first, last + 1))


CHARACTERS: dict[Script, str] = {
    "latin": DIGITS + LATIN + MARKS + CURRENCY,
    "greek": GREEK,
    "cyrillic": CYRILLIC,
    "armenian": _characters((0x531, 0x556), (0x561, 0x587)),
    "devanagari": _characters((0x905, 0x939)),
    "georgian": _characters((0x10D0, 0x10F0)),
    "hebrew": _characters((0x5D0, 0x5EA)),
    "thai": _characters((0xE01, 0xE2E)),
    # Arrows, mathematics, technical signs, shapes, miscellaneous, dingbats; none contains a digit.
    "symbols": _characters(
        *((0x2190, 0x22FF), (0x2300, 0x23FF), (0x25A0, 0x2672), (0x267A, 0x26FF), (0x2701, 0x2775))
    ),
}
# Characters that some fonts draw like a digit.
LIKE_DIGITS = frozenset("OoIl|зЗ")
_JOINING_DIGITS = (0, 2, 6, 8, 9)  # digits whose last stroke can continue to the next digit
_MAX_TAIL = 0.5  # maximum length of such a tail, in frames


@dataclass(frozen=True)
class Glyph:
    """The ink of one character."""

    char: str
    ink: Ink  # uint8[h, w], 255 for ink, cropped to the ink
    height: float  # of the ink, in digit heights of this source
    bottom: float  # end of the ink below the baseline, in digit heights; negative if above it
    advance: float  # width of the character on a line, in digit heights


class GlyphSource(Protocol):
    """Source of the glyphs of one style."""

    def glyph(self, char: str, rng: Rng) -> Glyph | None:
        """The glyph of a character, or None if this source lacks it."""
        ...

    @property
    def letters(self) -> str:
        """The characters other than digits that it can write; may be empty."""
        ...


class FontGlyphs:
    """Glyphs of one font."""

    def __init__(
        self, fonts: Mapping[Script, ImageFont.FreeTypeFont | Path], *, digits_only: bool = False
    ) -> None:
        """Stores a font or font file for each script; ``latin`` is required.

        All characters are drawn when the first glyph is requested. ``digits_only`` is for fonts
        whose letters look like digits.
        """
        # Files rather than fonts, because a font cannot be pickled for other processes.
        self._sources: dict[Script, str | bytes] = {s: _source(font) for s, font in fonts.items()}
        self._digits_only = digits_only

    @cached_property
    def glyphs(self) -> dict[str, Glyph]:
        """The glyphs of all characters except those of ``ON_DEMAND``."""
        unit, glyphs = _digit_height(self.font(EM)), dict[str, Glyph]()
        for script in self._sources:
            characters = DIGITS if self._digits_only else CHARACTERS[script]
            for char, glyph in _font_glyphs(self.font(EM, script), characters, unit):
                glyphs.setdefault(char, glyph)
        return glyphs

    @property
    def letters(self) -> str:
        """The characters other than digits that it can write, without those of ``ON_DEMAND``."""
        return "".join(char for char in self.glyphs if char not in DIGITS)

    def glyph(self, char: str, rng: Rng) -> Glyph | None:
        """The glyph of a character, always the same; None if the font lacks it."""
        del rng
        return self.glyphs.get(char) or (self._on_demand.get(char) if char in ON_DEMAND else None)

    def font(self, size: int, script: Script = "latin") -> ImageFont.FreeTypeFont:
        """The font at a size in pixels per em."""
        source = self._sources[script]
        return ImageFont.truetype(BytesIO(source) if isinstance(source, bytes) else source, size)

    @cached_property
    def space(self) -> float:
        """Width of a space in digit heights, limited to 0.28 to 1."""
        font = self.font(EM)
        return min(1.0, max(0.28, font.getlength(" ") / _digit_height(font)))

    @cached_property
    def capitals_only(self) -> bool:
        """Whether lower-case letters look like capitals: at least three of five do."""
        pairs = [(self.glyphs.get(char), self.glyphs.get(char.upper())) for char in "aerbg"]
        return sum(bool(a and b and _look_alike(a.ink, b.ink)) for a, b in pairs) >= 3

    @cached_property
    def _on_demand(self) -> dict[str, Glyph]:
        font = self.font(EM)
        return dict(_font_glyphs(font, "" if self._digits_only else ON_DEMAND, _digit_height(font)))


@dataclass(frozen=True, eq=False)
class MnistGlyphs:
    """Digits of one writer of MNIST."""

    digits: Sequence[Ink]  # for each value, tiles uint8[n, 28, 28] to choose from, n >= 1
    letters: str = ""  # digits only

    def glyph(self, char: str, rng: Rng) -> Glyph | None:
        """One of the writer's digits, enlarged four times with smooth edges."""
        if char not in DIGITS:
            return None
        tiles = self.digits[int(char)]
        tile = tiles[int(rng.integers(len(tiles)))]
        padded = np.pad(_cropped(tile), 1)
        size = padded.shape[1] * 4, padded.shape[0] * 4
        soft = blur(cv2.resize(padded, size, interpolation=cv2.INTER_CUBIC), 1.2)
        ink = _cropped(np.clip((soft - 128) * 2.2 + 128, 0, 255).astype(np.uint8))
        return _baseline_glyph(char, ink, rng.uniform(0.88, 1.1))


class PenGlyphs:
    """Digits in forms that are rare in MNIST, and letters, drawn stroke by stroke."""

    def __init__(self, pen: Pen, *, marks: bool = False) -> None:
        """Stores the pen; ``marks`` adds the marks of numbers and letters that look like digits."""
        self.pen = pen
        self._marks = MARK_FORMS if marks else {}
        self.letters = "".join(dict.fromkeys([*LETTERS, *self._marks]))

    def glyph(self, char: str, rng: Rng) -> Glyph | None:
        """A newly drawn digit, letter or mark."""
        if char in DIGITS:
            ink = _cropped(draw_digit(int(char), self.pen, rng))
            return _baseline_glyph(char, ink, rng.uniform(0.88, 1.1))
        forms = self._marks.get(char)
        form = forms[self.pen.forms[0] % len(forms)] if forms else LETTERS.get(char)
        if form is None or not (drawn := self._draw_cropped(form, rng)):
            return None
        ink, below = drawn
        height, width = (float(side) / FRAME for side in ink.shape)
        return Glyph(char, ink, height, below / FRAME, width + 0.12)

    def _draw_cropped(self, form: Form, rng: Rng) -> tuple[Ink, float] | None:
        """Cropped ink and its end below the baseline in pixels; None if nothing was drawn."""
        drawn = draw_form(form, self.pen, rng)
        rows = np.flatnonzero((drawn > FAINT).any(axis=1))
        return (_cropped(drawn), float(rows[-1]) + 1 - (SIDE + FRAME) / 2) if len(rows) else None


@dataclass(frozen=True)
class MixedGlyphs:
    """Digits of a writer of MNIST, with marks and letters drawn by a pen."""

    digits: MnistGlyphs
    pen: PenGlyphs

    @property
    def letters(self) -> str:
        """The characters other than digits that it can write."""
        return self.pen.letters

    def glyph(self, char: str, rng: Rng) -> Glyph | None:
        """A digit of the writer, or another character drawn by the pen."""
        return self.digits.glyph(char, rng) or self.pen.glyph(char, rng)


class QuickGlyphs(PenGlyphs):
    """Digits in the forms of everyday handwriting, with the marks and letters of ``PenGlyphs``."""

    def __init__(self, pen: Pen, rng: Rng) -> None:
        """Draws the habits of the writer: forms, joins and the height of tails."""
        super().__init__(pen, marks=True)
        choices = zip(QUICK_FORMS, FORMS, strict=True)
        self._forms = [
            pick(rng, quick if rng.random() < 0.6 else usual) for quick, usual in choices
        ]
        # Fraction of the digits with a tail to the next one.
        self._joined = rng.uniform(0.3, 1) if rng.random() < 0.35 else 0.0
        # y at which tails end, 0 at the top of a digit and 1 at the bottom.
        self._tail = rng.uniform(0.0, 0.7)

    def glyph(self, char: str, rng: Rng) -> Glyph | None:
        """A newly drawn character."""
        if char not in DIGITS:
            return super().glyph(char, rng)
        form = self._forms[int(char)]
        if int(char) in _JOINING_DIGITS and rng.random() < self._joined:
            last = form[-1]  # extend it to the right
            x = max(1.0, float(last[-1, 0])) + rng.uniform(0.15, _MAX_TAIL)
            end = x, self._tail + rng.normal(0, 0.06)
            form = (*form[:-1], np.vstack([last, end]))
        if not (drawn := self._draw_cropped(form, rng)):
            return None
        (ink, below), scale = drawn, rng.uniform(0.88, 1.1) / FRAME
        height, width = (float(side) * scale for side in ink.shape)
        # Ink below the frame is below the baseline.
        return Glyph(char, ink, height, max(0.0, below) * scale, width + 0.1)


def icon_glyph(char: str) -> Glyph | None:
    """A filled icon, independent of fonts, or None for other characters."""
    forms = ICON_FORMS.get(char)
    if not forms:
        return None
    ink = np.zeros((SIDE, SIDE), np.uint8)
    for number, outline in enumerate(forms[0]):
        fill(ink, outline * FRAME + _MARGIN, 0 if number else 255)
    return _baseline_glyph(char, _cropped(ink), 1.0)


def _baseline_glyph(char: str, ink: Ink, height: float) -> Glyph:
    width = height * ink.shape[1] / ink.shape[0]
    return Glyph(char, ink, height, 0.0, width + 0.12)


def _source(font: ImageFont.FreeTypeFont | Path) -> str | bytes:
    """The path of a font file, or its content if it was opened from memory."""
    path = font if isinstance(font, Path) else cast("str | bytes | BytesIO", font.path)
    return path.getvalue() if isinstance(path, BytesIO) else os.fsdecode(path)


def _font_glyphs(
    font: ImageFont.FreeTypeFont, characters: str, unit: float
) -> Iterator[tuple[str, Glyph]]:
    """The given characters that a font has; ``unit`` is the height of its digits in pixels."""
    for char in characters:
        if drawn := char_ink(font, char):
            full_ink, _, top = drawn
            ink = crop(full_ink)
            bottom = (np.flatnonzero((full_ink > FAINT).any(axis=1))[-1] + 1 + top) / unit
            yield char, Glyph(char, ink, ink.shape[0] / unit, bottom, font.getlength(char) / unit)


def font_ink(font: ImageFont.FreeTypeFont, char: str, mode: str = "L") -> tuple[Ink, int, int]:
    """Ink with a margin, and its left and top relative to the baseline's start, in pixels."""
    x0, y0, x1, y1 = (int(v) for v in font.getbbox(char, anchor="ls"))
    picture = Image.new(mode, (max(1, x1 - x0) + 2, max(1, y1 - y0) + 2))
    lit = 255 if mode == "L" else 1
    ImageDraw.Draw(picture).text((1 - x0, 1 - y0), char, lit, font=font, anchor="ls")
    return np.asarray(picture.convert("L"), np.uint8), x0 - 1, y0 - 1


def char_ink(font: ImageFont.FreeTypeFont, char: str) -> tuple[Ink, int, int] | None:
    """``font_ink``, or None if the font lacks the character."""
    drawn = font_ink(font, char)
    is_missing = np.array_equal(drawn[0], _missing_ink(font)) or int(drawn[0].max()) <= FAINT
    return None if is_missing else drawn


@lru_cache(maxsize=16)
def _missing_ink(font: ImageFont.FreeTypeFont) -> Ink:
    """The ink that a font draws for a missing character."""
    return font_ink(font, "\uffff")[0]


def _look_alike(ink: Ink, other: Ink) -> bool:
    """Whether two characters look the same apart from their size."""
    size = other.shape[1], other.shape[0]
    resized = np.asarray(cv2.resize(ink, size, interpolation=cv2.INTER_AREA), np.float32)
    return float(np.abs(resized - other).mean()) < 30


def _digit_height(font: ImageFont.FreeTypeFont) -> float:
    boxes = [font.getbbox(digit, anchor="ls") for digit in DIGITS]
    return float(np.median([y1 - y0 for _, y0, _, y1 in boxes])) or float(EM)


def _cropped(ink: Ink) -> Ink:
    return crop(ink) if int(ink.max(initial=0)) > FAINT else np.full((1, 1), 255, np.uint8)
