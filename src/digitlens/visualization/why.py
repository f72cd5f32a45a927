"""Draws why a digit was read: its tile, what speaks for it, digits like it, and what changes it.

Knows an account and pixels; what is said comes from ``words``.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from digitlens.explain.counterfactual import Counterfactual
from digitlens.explain.explanation import DigitExplanation, Evidence, Neighbour, Tile
from digitlens.imaging.images import Page
from digitlens.visualization import words
from digitlens.visualization.marks import font, write_picture

_WIDTH, _PAD, _GAP = 1200, 40, 16  # pixels
_PAPER, _TEXT, _SOFT, _FAINT = (250, 250, 247), (20, 22, 26), (98, 102, 110), (214, 214, 209)
FOR, AGAINST = (0, 114, 178), (213, 94, 0)  # blue and vermilion of Okabe and Ito, 2008
_FOR, _AGAINST = np.array(FOR, np.float32), np.array(AGAINST, np.float32)
_TITLE, _HEAD, _BODY, _SMALL = 36, 22, 19, 16  # pixels of type
_TILE, _SEEN = 112, 308  # pixels: four and eleven times a tile
_CONTRAST = 4  # training digits of the answer, and of the runner-up
_LINE = 1.45  # of the type's size
_GROUND = np.float32(0.75)  # as bright as ink is beneath its evidence


def write_why(path: Path, account: DigitExplanation) -> None:
    """Writes the picture of one digit as PNG, whole or not at all."""
    write_picture(path, draw_why(account))


def draw_why(account: DigitExplanation) -> Page:
    """Draws all that is known of one digit.

    Args:
        account: Of a digit or of something rejected.

    Returns:
        uint8[H, 1200, 3].
    """
    sheet = _Sheet(Image.new("RGB", (_WIDTH, 4000), _PAPER))
    sheet.text(_title(account), _TITLE)
    sheet.text(words.found(account), _BODY, _SOFT)
    sheet.down(_GAP)
    _draw_seen(sheet, account)
    for line in words.why(account):
        sheet.text(line, _BODY)
    _draw_alike(sheet, account)
    _draw_changes(sheet, account)
    return sheet.cut()


def blended(tile: Tile, evidence: Evidence) -> Page:
    """A tile with what speaks for the answer in blue, and what speaks for the runner-up in orange.

    Args:
        tile: uint8[28, 28].
        evidence: float32[28, 28].

    Returns:
        uint8[28, 28, 3]; the strongest evidence is full colour.
    """
    strength = np.abs(evidence) / max(float(np.abs(evidence).max()), 1e-6)
    colours = np.where(evidence[..., None] > 0, _FOR, _AGAINST)
    gray = np.repeat(tile[..., None].astype(np.float32) * _GROUND, 3, axis=2)
    share = strength[..., None] ** 0.7
    return (
        np.rint((1 - share) * gray + share * (0.75 * colours + 0.35 * gray))
        .clip(0, 255)
        .astype(np.uint8)
    )


def marked(change: Counterfactual) -> Page:
    """A changed tile; where a patch was erased or inked, that is framed.

    Returns:
        uint8[112, 112, 3].
    """
    tile = np.repeat(change.tile[..., None], 3, axis=2)
    picture = _enlarged(tile, _TILE)
    if change.kind in ("erase", "add") and change.place:
        step, (row, column) = _TILE // 28, change.place
        corner = (column * step - 1, row * step - 1)
        last = (
            corner[0] + int(change.amount) * step + 1,
            corner[1] + int(change.amount) * step + 1,
        )
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

    def text(self, text: str, size: int, colour: tuple[int, int, int] = _TEXT) -> None:
        """A line, or as many as it takes."""
        self.top = self.column(text, size, colour, (_PAD, self.top, _WIDTH - _PAD))

    def column(
        self,
        text: str,
        size: int,
        colour: tuple[int, int, int],
        place: tuple[float, float, float],
    ) -> float:
        """Text between two sides from a height on; gives where it ends."""
        left, top, right = place
        for line in _wrapped(text, size, right - left):
            self.draw.text((left, top), line, colour, font(size))
            top += _LINE * size
        return top

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


def _title(account: DigitExplanation) -> str:
    if account.digit.status == "rejected":
        return f"Rejected: not a {account.digit.value}"
    return f"{account.digit.value}, rather than {account.other}"


def _wrapped(text: str, size: int, width: float) -> list[str]:
    letters = max(10, int(width / (font(size).getlength("abcdefghij klmno") / 16)))
    lines = textwrap.wrap(text.replace(" %", "\0%"), letters)  # kept together
    return [line.replace("\0", " ") for line in lines]


def _enlarged(picture: npt.NDArray[np.uint8], side: int) -> Image.Image:
    return Image.fromarray(picture).resize((side, side), Image.Resampling.NEAREST)


def _draw_seen(sheet: _Sheet, account: DigitExplanation) -> None:
    """The tile, what speaks for whom on it, and what each network said."""
    top, left = sheet.top, _PAD
    captions = ["What the classifier saw"]
    pictures = [np.repeat(account.tile[..., None], 3, axis=2)]
    if account.attributions:
        pictures.append(blended(account.tile, account.attributions.evidence(account.tile)))
        captions.append(f"Blue speaks for {account.digit.value}, orange for {account.other}")
    for picture, caption in zip(pictures, captions, strict=True):
        sheet.image.paste(_enlarged(picture, _SEEN), (left, round(top)))
        sheet.draw.text((left, top + _SEEN + 6), caption, _SOFT, font(_SMALL))
        left += _SEEN + _GAP
    bottom = _draw_opinions(sheet, account, left + _GAP)
    sheet.top = max(top + _SEEN + 6 + _LINE * _SMALL, bottom) + _GAP


def _draw_opinions(sheet: _Sheet, account: DigitExplanation, left: float) -> float:
    top = sheet.top
    for name, sees, said in words.opinions(account):
        place = (left, top, _WIDTH - _PAD)
        top = sheet.column(f"The {name} sees {sees}", _SMALL, _SOFT, place)
        top = sheet.column(said, _BODY, _TEXT, (left, top, _WIDTH - _PAD)) + 10
    return top


def _draw_alike(sheet: _Sheet, account: DigitExplanation) -> None:
    if account.alike is None:
        return
    sheet.head("The training digits most like it")
    _draw_neighbours(sheet, account.alike.nearest)
    for line in words.alike(account):
        sheet.text(line, _BODY)
    sheet.down(_GAP)
    top, half, ends = sheet.top, (_WIDTH - 2 * _PAD) / 2, [sheet.top]
    for place, ones in enumerate(account.alike.contrast):
        sheet.top, left = top, _PAD + place * half
        sheet.draw.text((left, top), f"The nearest {ones[0].label}s", _SOFT, font(_SMALL))
        sheet.down(_LINE * _SMALL)
        _draw_neighbours(sheet, ones[:_CONTRAST], left)
        ends.append(sheet.top)
    sheet.top = max(ends)


def _draw_neighbours(sheet: _Sheet, ones: Sequence[Neighbour], left: float = _PAD) -> None:
    for place, one in enumerate(ones):
        x = round(left + place * (_TILE + _GAP))
        sheet.image.paste(_enlarged(one.tile, _TILE), (x, round(sheet.top)))
        caption = words.neighbour(one)
        sheet.draw.text((x, sheet.top + _TILE + 4), caption, _SOFT, font(_SMALL))
    sheet.down(_TILE + 8 + _LINE * _SMALL)


def _draw_changes(sheet: _Sheet, account: DigitExplanation) -> None:
    if account.attributions is None:
        return
    sheet.head("What would change the answer")
    step = (_WIDTH - 2 * _PAD) / 6
    ends = [sheet.top]
    for place, change in enumerate(account.attributions.counterfactuals):
        left = _PAD + place * step
        sheet.image.paste(Image.fromarray(marked(change)), (round(left), round(sheet.top)))
        below = (left, sheet.top + _TILE + 6, left + step - 8)
        end = sheet.column(words.change(change), _SMALL, _TEXT, below)
        into = f"then {words.outcome(change)}"
        ends.append(sheet.column(into, _SMALL, AGAINST, (left, end, left + step - 8)))
    sheet.top = max(ends) + 6
    for line in words.changes(account):
        sheet.text(line, _BODY)
