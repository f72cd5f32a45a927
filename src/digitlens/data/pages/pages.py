"""Draws whole pages from a seed: writing on paper under some light, and where each digit is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from PIL import ImageFont

from digitlens.data.mnist import Split
from digitlens.data.pages import layouts
from digitlens.data.pages.camera import expose, light
from digitlens.data.pages.fonts import Role, font_files, load_families
from digitlens.data.pages.hands import EM, FontHand, Hand, PenHand, WriterHand
from digitlens.data.pages.papers import draw_paper
from digitlens.data.pages.sheet import Sheet

Colour = npt.NDArray[np.float32]
Plane = npt.NDArray[np.float32]

SIDE = 192  # of a page, in pixels, unless asked otherwise
_SEGMENTS = frozenset({"dseg7"})  # fonts whose letters are made like digits


@dataclass(frozen=True)
class Fonts:
    """Hands that write in fonts; at least one of each.

    Attributes:
        hand: Those that look handwritten.
        print: The others.
    """

    hand: tuple[FontHand, ...]
    print: tuple[FontHand, ...]


def load_fonts(role: Role) -> Fonts:
    """The fonts to train with or those to validate with; fetches those that the cache lacks.

    Raises:
        DataError: They cannot be had.
    """
    hands: dict[str, list[FontHand]] = {"hand": [], "print": []}
    families = [family for family in load_families() if family.role == role]
    for family, weights in font_files(families).items():
        for scripts in weights:
            fonts = {s: ImageFont.truetype(str(path), EM) for s, path in scripts.items()}
            hands[family.kind].append(FontHand(fonts, digits_only=family.family in _SEGMENTS))
    return Fonts(tuple(hands["hand"]), tuple(hands["print"]))


class Page(NamedTuple):
    """A generated page.

    Attributes:
        pixels: uint8[H, W, 3].
        boxes: float32[N, 4]; x0, y0, x1, y1 of each digit in pixels, half-open.
        values: int8[N]; 0 to 9, or -1 for what may be read or not: cut digits, a lone letter O.
    """

    pixels: npt.NDArray[np.uint8]
    boxes: npt.NDArray[np.float32]
    values: npt.NDArray[np.int8]


@dataclass(frozen=True)
class Kind:
    """One kind of page: its layouts drawn one over the other, and how often it is drawn."""

    share: float
    parts: tuple[str, ...]


KINDS: dict[str, Kind] = {
    "single": Kind(0.20, ("single",)),
    "numbers": Kind(0.36, ("numbers",)),
    "grid": Kind(0.10, ("grid",)),
    "paragraph": Kind(0.09, ("paragraph",)),
    "scatter": Kind(0.10, ("scatter",)),
    "words": Kind(0.08, ("words",)),
    "scribbles": Kind(0.04, ("scribbles",)),
    "empty": Kind(0.03, ()),
}


class PageMaker:
    """Draws pages; the same seed, number and side give the same page."""

    def __init__(self, tiles: Split, fonts: Fonts, seed: int = 0) -> None:
        """Takes the hands.

        Args:
            tiles: MNIST digits to write with, each of the ten among them; never the test set.
            fonts: To write with as well, see ``load_fonts``.
            seed: Decides all pages.
        """
        self.seed = seed
        self._fonts = fonts
        self._digits = [tiles.tiles[tiles.labels == value] for value in range(10)]
        self._writers = layouts.Writers(self._digit_hand, self._word_hand)

    def page(self, number: int, *, side: int = SIDE, kind: str | None = None) -> Page:
        """Draws one page.

        Args:
            number: Which one.
            side: Width and height, in pixels.
            kind: A name in ``KINDS``; None draws one.
        """
        rng = np.random.default_rng([self.seed, number])
        if kind is None:
            shares = np.array([kind.share for kind in KINDS.values()])
            kind = str(rng.choice(list(KINDS), p=shares / shares.sum()))
        coarse = kind in ("single", "numbers", "words") and rng.random() < 0.22
        drawn = (
            round(side / float(rng.uniform(1.5, 6 if kind == "single" else 3))) if coarse else side
        )
        page = self._drawn(drawn, kind, rng)
        return _enlarged(page, side, rng) if coarse else page

    def _drawn(self, side: int, kind: str, rng: np.random.Generator) -> Page:
        view = _view(side, rng)
        writing, printed = Sheet(side, side, view), Sheet(side, side, view)
        for part in KINDS[kind].parts:
            getattr(layouts, f"draw_{part}")(writing, self._writers, rng)
        if rng.random() < 0.16 or (kind == "empty" and rng.random() < 0.3):
            layouts.draw_ruling(printed, rng)
        if rng.random() < (0.1 if kind != "single" else 0.04):
            layouts.draw_scribbles(printed, self._writers, rng)
        if rng.random() < 0.06:
            layouts.draw_words(printed, self._writers, rng)
        pixels = self._coloured(writing, printed, kind, rng)
        boxes = np.array(writing.boxes, np.float32).reshape(-1, 4)
        return Page(expose(pixels, rng), boxes, np.array(writing.values, np.int8))

    def _coloured(
        self, writing: Sheet, printed: Sheet, kind: str, rng: np.random.Generator
    ) -> Plane:
        paper_colour, ink_colour = _colours(rng)
        side = writing.width
        wild = rng.random() < (0.75 if kind == "empty" else 0.06)
        paper = draw_paper(side, side, paper_colour, rng, wild=wild)
        if wild and kind != "empty":
            paper = _with_plate(paper, paper_colour, writing, rng)
        if rng.random() < 0.05:  # show-through from the other side
            self._show_through(paper, ink_colour, rng)
        second = ink_colour
        if rng.random() < 0.6:
            second = paper_colour + float(rng.uniform(0.15, 1.2)) * (ink_colour - paper_colour)
        paper = _inked(paper, printed.ink, second, rng)
        contrast = float(np.abs(ink_colour - paper_colour).max())
        faintest = min(1.0, max(0.35, 26 / contrast))
        strength = 1.0 if rng.random() < 0.6 else float(rng.uniform(faintest, 1))
        return light(_inked(paper, writing.ink, ink_colour, rng, strength), rng)

    def _show_through(self, paper: Plane, ink: Colour, rng: np.random.Generator) -> None:
        back = Sheet(paper.shape[1], paper.shape[0], np.eye(3))
        layouts.draw_paragraph(back, self._writers, rng)
        ghost = cv2.GaussianBlur(back.ink[:, ::-1].astype(np.float32) / 255, (0, 0), 1.5)
        paper += (float(rng.uniform(0.03, 0.12)) * ghost)[:, :, None] * (ink - paper)

    def _digit_hand(self, rng: np.random.Generator) -> tuple[Hand, bool]:
        kind = rng.random()
        if kind < 0.42:
            return self._writer(rng), True
        if kind < 0.6:
            return PenHand(rng), True
        return self._word_hand(rng)

    def _word_hand(self, rng: np.random.Generator) -> tuple[Hand, bool]:
        by_hand = rng.random() < 0.45
        return _one(self._fonts.hand if by_hand else self._fonts.print, rng), by_hand

    def _writer(self, rng: np.random.Generator) -> WriterHand:
        # A few tiles of each digit, so that a number repeats its forms now and then.
        return WriterHand([tiles[rng.integers(len(tiles), size=3)] for tiles in self._digits])


def _one(hands: Sequence[FontHand], rng: np.random.Generator) -> FontHand:
    return hands[int(rng.integers(len(hands)))]


def _view(side: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """A homography: none, a turn, or a modest perspective."""
    if rng.random() < 0.55:
        return np.eye(3)
    middle = np.array([[1, 0, -side / 2], [0, 1, -side / 2], [0, 0, 1]])
    angle = float(np.clip(rng.normal(0, 0.12), -0.45, 0.45))
    turn = np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    )
    if rng.random() < 0.5:
        tilt = np.eye(3)
        tilt[2, :2] = rng.uniform(-0.35, 0.35, 2) / side
        turn = tilt @ turn
    return np.linalg.inv(middle) @ turn @ middle


def _colours(rng: np.random.Generator) -> tuple[Colour, Colour]:
    """Paper and ink: usually dark on light, any other pair that can be told apart as well."""
    kind = rng.random()
    if kind < 0.5:
        paper = np.full(3, rng.uniform(140, 255)) + rng.normal(0, 8, 3)
        ink = np.full(3, rng.uniform(0, 70)) + rng.normal(0, 12, 3)
        if rng.random() < 0.35:  # a coloured pen
            ink = ink + rng.uniform(0, 110, 3) * (rng.random(3) < 0.4)
    elif kind < 0.68:
        paper = np.full(3, rng.uniform(0, 60)) + rng.normal(0, 8, 3)
        ink = np.full(3, rng.uniform(150, 255)) + rng.normal(0, 12, 3)
    else:
        paper, ink = rng.uniform(0, 255, 3), rng.uniform(0, 255, 3)
    weights = np.array([0.299, 0.587, 0.114])
    least = float(rng.choice([28, 50, 80]))
    if abs(weights @ (ink - paper)) < least and np.abs(ink - paper).max() < 1.8 * least:
        ink = np.where(weights @ paper > 128, paper - 1.6 * least, paper + 1.6 * least)
    return (np.clip(paper, 0, 255).astype(np.float32), np.clip(ink, 0, 255).astype(np.float32))


def _inked(
    paper: Plane,
    ink: npt.NDArray[np.uint8],
    colour: Colour,
    rng: np.random.Generator,
    strength: float = 1.0,
) -> Plane:
    if not ink.any():
        return paper
    cover = ink.astype(np.float32) * np.float32(strength / 255)
    if rng.random() < 0.25:  # pencil and dry pens leave gaps
        grain = rng.standard_normal(cover.shape, np.float32) * np.float32(rng.uniform(0.05, 0.35))
        cover *= np.clip(1 - np.abs(cv2.GaussianBlur(grain, (0, 0), 0.7) * 1.5), 0.15, 1)
    return paper + cover[:, :, None] * (colour - paper)


def _with_plate(paper: Plane, colour: Colour, writing: Sheet, rng: np.random.Generator) -> Plane:
    """A sign of one colour under the writing, as house numbers have it."""
    if not writing.boxes:
        return paper
    boxes = np.array(writing.boxes)
    pad = float(rng.uniform(0.1, 0.6)) * float(np.median(boxes[:, 3] - boxes[:, 1]))
    x0, y0 = boxes[:, :2].min(axis=0) - pad
    x1, y1 = boxes[:, 2:].max(axis=0) + pad
    mask = np.zeros(paper.shape[:2], np.float32)
    cv2.rectangle(mask, (int(x0), int(y0)), (int(x1), int(y1)), 1.0, -1)
    mask = cv2.GaussianBlur(mask, (0, 0), 0.7).astype(np.float32)
    plate = draw_paper(paper.shape[1], paper.shape[0], colour, rng)
    return paper + mask[:, :, None] * (plate - paper)


def _enlarged(page: Page, side: int, rng: np.random.Generator) -> Page:
    methods = [cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_CUBIC]
    method = int(rng.choice(methods, p=[0.15, 0.35, 0.5]))
    pixels = cv2.resize(page.pixels, (side, side), interpolation=method)
    boxes = page.boxes * np.float32(side / page.pixels.shape[0])
    return Page(np.asarray(pixels, np.uint8), boxes, page.values)
