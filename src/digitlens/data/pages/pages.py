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
from digitlens.data.pages.inks import draw_colours, inked, with_plate
from digitlens.data.pages.papers import draw_paper
from digitlens.data.pages.sheet import Sheet

Boxes = npt.NDArray[np.float32]
Colour = npt.NDArray[np.float32]
Ink = npt.NDArray[np.uint8]
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
    "numbers": Kind(0.29, ("numbers",)),
    "amount": Kind(0.12, ("amount",)),
    "grid": Kind(0.09, ("grid",)),
    "paragraph": Kind(0.05, ("paragraph",)),
    "scatter": Kind(0.07, ("scatter",)),
    "words": Kind(0.10, ("words",)),
    "scribbles": Kind(0.04, ("scribbles",)),
    "empty": Kind(0.04, ()),
}
# Share of pages that are strips, wider than high, as cut from a form.
STRIPS = {"numbers": 0.3, "amount": 0.7, "words": 0.2}
# Kinds that are drawn small and enlarged now and then, and by how much at most.
COARSE = {"single": 6.0, "numbers": 3.0, "words": 3.0}


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
        height = width = side
        if kind in STRIPS and rng.random() < STRIPS[kind]:
            height = round(side * float(rng.uniform(0.2, 0.7)))
        if kind in COARSE and rng.random() < 0.22:
            small = float(rng.uniform(1.5, COARSE[kind]))
            page = self._drawn(round(width / small), round(height / small), kind, rng)
            page = _enlarged(page, width, height, rng)
        else:
            page = self._drawn(width, height, kind, rng)
        return page._replace(
            pixels=np.pad(page.pixels, ((0, side - height), (0, 0), (0, 0)), mode="edge")
        )

    def _drawn(self, width: int, height: int, kind: str, rng: np.random.Generator) -> Page:
        view = _view(width, height, rng)
        writing, printed = Sheet(width, height, view), Sheet(width, height, view)
        for part in KINDS[kind].parts:
            getattr(layouts, f"draw_{part}")(writing, self._writers, rng)
        if rng.random() < 0.16 or (kind == "empty" and rng.random() < 0.3):
            layouts.draw_ruling(printed, rng)
        if rng.random() < (0.1 if kind != "single" else 0.04):
            layouts.draw_scribbles(printed, self._writers, rng)
        if rng.random() < 0.06:
            layouts.draw_words(printed, self._writers, rng)
        boxes = np.array(writing.boxes, np.float32).reshape(-1, 4)
        pixels = self._coloured(writing.ink, printed.ink, boxes, kind, rng)
        return Page(expose(pixels, rng), boxes, np.array(writing.values, np.int8))

    def _coloured(
        self, writing: Ink, printed: Ink, boxes: Boxes, kind: str, rng: np.random.Generator
    ) -> Plane:
        paper_colour, ink_colour = draw_colours(rng)
        height, width = writing.shape
        wild = rng.random() < (0.75 if kind == "empty" else 0.05)
        paper = draw_paper(width, height, paper_colour, rng, wild=wild, patterned=kind == "amount")
        if wild and kind != "empty":
            paper = with_plate(paper, paper_colour, boxes, rng)
        if rng.random() < 0.05:  # show-through from the other side
            self._show_through(paper, ink_colour, rng)
        second = ink_colour
        if rng.random() < 0.6:
            second = paper_colour + float(rng.uniform(0.15, 1.2)) * (ink_colour - paper_colour)
        paper = inked(paper, printed, second, rng)
        contrast = float(np.abs(ink_colour - paper_colour).max())
        faintest = min(1.0, max(0.35, 26 / contrast))
        strength = 1.0 if rng.random() < 0.6 else float(rng.uniform(faintest, 1))
        return light(inked(paper, writing, ink_colour, rng, strength), rng)

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


def _view(width: int, height: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """A homography: none, a turn, or a modest perspective."""
    if rng.random() < 0.55:
        return np.eye(3)
    middle = np.array([[1, 0, -width / 2], [0, 1, -height / 2], [0, 0, 1]])
    angle = float(np.clip(rng.normal(0, 0.12), -0.45, 0.45)) * min(1.0, 1.5 * height / width)
    turn = np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    )
    if rng.random() < 0.5:
        tilt = np.eye(3)
        tilt[2, :2] = rng.uniform(-0.35, 0.35, 2) / width
        turn = tilt @ turn
    return np.linalg.inv(middle) @ turn @ middle


def _enlarged(page: Page, width: int, height: int, rng: np.random.Generator) -> Page:
    methods = [cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_CUBIC]
    method = int(rng.choice(methods, p=[0.15, 0.35, 0.5]))
    pixels = cv2.resize(page.pixels, (width, height), interpolation=method)
    x, y = width / page.pixels.shape[1], height / page.pixels.shape[0]
    boxes = page.boxes * np.array([x, y, x, y], np.float32)
    return Page(np.asarray(pixels, np.uint8), boxes, page.values)
