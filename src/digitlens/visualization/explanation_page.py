"""Draws an explanation: a picture of each digit, and a page with all of it inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageDraw

from digitlens import files
from digitlens.explain.evidence import Counterfactual
from digitlens.explain.explanation import DigitExplanation, Evidence, Explanation, Neighbour, Tile
from digitlens.imaging.image import Page, shrink
from digitlens.visualization import phrases
from digitlens.visualization.html import data_uri, render_page
from digitlens.visualization.overlay import draw_reading, font, wrap, write_picture

_WIDTH, _PAD, _GAP = 1200, 40, 16  # pixels
_PAPER, _TEXT, _SOFT, _FAINT = (250, 250, 247), (20, 22, 26), (98, 102, 110), (214, 214, 209)
FOR, AGAINST = (0, 114, 178), (213, 94, 0)  # blue and vermilion of Okabe and Ito, 2008
_FOR, _AGAINST = np.array(FOR, np.float32), np.array(AGAINST, np.float32)
_TITLE, _HEAD, _BODY, _SMALL = 36, 22, 19, 16  # pixels of type
_TILE, _SEEN = 112, 308  # pixels: four and eleven times a tile
_CONTRAST = 4  # training digits of the answer, and of the runner-up
_LINE = 1.45  # of the type's size
_Colour: TypeAlias = tuple[int, int, int]
_Shown: TypeAlias = tuple[Page, Sequence[tuple[str, _Colour]]]  # a picture and its captions
_GROUND = np.float32(0.75)  # as bright as ink is beneath its evidence


def write_digit_explanation(path: Path, explained: DigitExplanation) -> None:
    """Writes the picture of one digit as PNG, whole or not at all."""
    write_picture(path, draw_digit_explanation(explained))


def draw_digit_explanation(explained: DigitExplanation) -> Page:
    """Draws all that is known of one digit, or of something rejected: uint8[H, 1200, 3]."""
    sheet, value = _Sheet(Image.new("RGB", (_WIDTH, 4000), _PAPER)), explained.digit.value
    rejected = explained.digit.status == "rejected"
    title = f"Rejected: not a {value}" if rejected else f"{value}, rather than {explained.other}"
    sheet.text(title, _TITLE)
    sheet.text(phrases.found(explained), _BODY, _SOFT)
    sheet.down(_GAP)
    _draw_seen(sheet, explained)
    for line in phrases.why(explained):
        sheet.text(line, _BODY)
    _draw_alike(sheet, explained)
    _draw_changes(sheet, explained)
    return sheet.cut()


def blended(tile: Tile, evidence: Evidence) -> Page:
    """uint8[28, 28, 3]; a tile with what speaks for the answer in blue, against it in orange.

    The strongest of the evidence, float32[28, 28], is full colour.
    """
    strength = np.abs(evidence) / max(float(np.abs(evidence).max()), 1e-6)
    colours = np.where(evidence[..., None] > 0, _FOR, _AGAINST)
    gray = np.repeat(tile[..., None].astype(np.float32) * _GROUND, 3, axis=2)
    share = strength[..., None] ** 0.7
    picture = (1 - share) * gray + share * (0.75 * colours + 0.35 * gray)
    return np.rint(picture).clip(0, 255).astype(np.uint8)


def marked(change: Counterfactual) -> Page:
    """A changed tile; where a patch was erased or inked, that is framed.

    Returns:
        uint8[112, 112, 3].
    """
    picture = Image.fromarray(_gray(change.tile)).resize((_TILE, _TILE), Image.Resampling.NEAREST)
    if change.kind in ("erase", "add") and change.place:
        step, (row, column) = _TILE // 28, change.place
        corner = (column * step - 1, row * step - 1)
        side = int(change.amount) * step + 1
        last = (corner[0] + side, corner[1] + side)
        ImageDraw.Draw(picture).rectangle((*corner, *last), outline=AGAINST, width=2)
    return np.asarray(picture)


@dataclass
class _Sheet:
    """A sheet that is filled from top to bottom."""

    image: Image.Image
    top: float = _PAD

    @property
    def draw(self) -> ImageDraw.ImageDraw:
        """What draws on it."""
        return ImageDraw.Draw(self.image)

    def down(self, pixels: float) -> None:
        """Goes on further below."""
        self.top += pixels

    def text(self, text: str, size: int, colour: _Colour = _TEXT) -> None:
        """A line, or as many as it takes."""
        self.top = self.column(text, size, colour, (_PAD, self.top, _WIDTH - _PAD))

    def column(
        self, text: str, size: int, colour: _Colour, place: tuple[float, float, float]
    ) -> float:
        """Text between two sides from a height on; gives where it ends."""
        left, top, right = place
        for line in wrap(text, size, right - left):
            self.draw.text((left, top), line, colour, font(size))
            top += _LINE * size
        return top

    def row(
        self, shown: Sequence[_Shown], step: float, left: float = _PAD, side: int = _TILE
    ) -> None:
        """Pictures so far apart, with their captions below them."""
        ends = [self.top]
        for place, (picture, captions) in enumerate(shown):
            x, end = left + place * step, self.top + side + 6
            enlarged = Image.fromarray(picture).resize((side, side), Image.Resampling.NEAREST)
            self.image.paste(enlarged, (round(x), round(self.top)))
            for text, colour in captions:
                end = self.column(text, _SMALL, colour, (x, end, x + step - 8))
            ends.append(end)
        self.top = max(ends)

    def head(self, text: str) -> None:
        """The title of a part, with a rule above."""
        self.down(_GAP)
        self.draw.line((_PAD, self.top, _WIDTH - _PAD, self.top), _FAINT, 1)
        self.down(_GAP)
        self.text(text, _HEAD)
        self.down(4)

    def cut(self) -> Page:
        """What was filled."""
        return np.asarray(self.image.crop((0, 0, _WIDTH, round(self.top + _PAD))))


def _draw_seen(sheet: _Sheet, explained: DigitExplanation) -> None:
    """The tile, what speaks for whom on it, and what each network said."""
    top, step = sheet.top, _SEEN + _GAP
    shown: list[_Shown] = [(_gray(explained.tile), [("What the classifier saw", _SOFT)])]
    if explained.attributions:
        picture = blended(explained.tile, explained.attributions.evidence(explained.tile))
        caption = f"Blue speaks for {explained.digit.value}, orange for {explained.other}"
        shown.append((picture, [(caption, _SOFT)]))
    sheet.row(shown, step, side=_SEEN)
    left, right = _PAD + len(shown) * step + _GAP, _WIDTH - _PAD
    for name, sees, said in phrases.opinions(explained):
        top = sheet.column(f"The {name} sees {sees}", _SMALL, _SOFT, (left, top, right))
        top = sheet.column(said, _BODY, _TEXT, (left, top, right)) + 10
    sheet.top = max(sheet.top, top) + _GAP


def _draw_alike(sheet: _Sheet, explained: DigitExplanation) -> None:
    if explained.alike is None:
        return
    sheet.head("The training digits most like it")
    _draw_neighbours(sheet, explained.alike.nearest)
    for line in phrases.similar_digits(explained):
        sheet.text(line, _BODY)
    sheet.down(_GAP)
    top, half, ends = sheet.top, (_WIDTH - 2 * _PAD) / 2, [sheet.top]
    for place, ones in enumerate(explained.alike.contrast):
        sheet.top, left = top, _PAD + place * half
        sheet.draw.text((left, top), f"The nearest {ones[0].label}s", _SOFT, font(_SMALL))
        sheet.down(_LINE * _SMALL)
        _draw_neighbours(sheet, ones[:_CONTRAST], left)
        ends.append(sheet.top)
    sheet.top = max(ends)


def _draw_neighbours(sheet: _Sheet, ones: Sequence[Neighbour], left: float = _PAD) -> None:
    shown = [(_gray(one.tile), [(phrases.neighbour(one), _SOFT)]) for one in ones]
    sheet.row(shown, _TILE + _GAP, left)


def _draw_changes(sheet: _Sheet, explained: DigitExplanation) -> None:
    if explained.attributions is None:
        return
    sheet.head("What would change the answer")
    shown: list[_Shown] = [
        (
            marked(one),
            [(phrases.counterfactual(one), _TEXT), (f"then {phrases.outcome(one)}", AGAINST)],
        )
        for one in explained.attributions.counterfactuals
    ]
    sheet.row(shown, (_WIDTH - 2 * _PAD) / 6)
    sheet.down(6)
    for line in phrases.counterfactuals(explained):
        sheet.text(line, _BODY)


def _gray(tile: Tile) -> Page:
    """uint8[28, 28, 3]."""
    return np.repeat(tile[..., None], 3, axis=2)


_VIEWS = 6  # of the detector, at most, that are shown
_QUALITY = 85


def write_page(path: Path, explanation: Explanation, heat: Sequence[Page] = ()) -> None:
    """Writes the page, whole or not at all; arguments as below."""
    files.write_bytes(path, page(explanation, heat).encode())


def page(explanation: Explanation, heat: Sequence[Page] = ()) -> str:
    """The HTML of an explanation; of what the digit detector sees, six views are shown."""
    values = {
        "explanation": explanation,
        "overview": draw_reading(explanation.page, explanation.reading),
        "heat": heat[:_VIEWS],
        "say": phrases,
        "blended": blended,
        "marked": marked,
    }
    title = f"{explanation.name}: {phrases.headline(explanation)}"
    return render_page("explanation", title, values, filters=[photo])


def photo(picture: Page, side: int) -> str:
    """A picture made smaller, as the address that holds it; JPEG, since it may be a photo."""
    return data_uri(shrink(picture, side), "JPEG", quality=_QUALITY)
