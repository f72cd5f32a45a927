"""Draws whole pages from a seed: writing on paper under some light, and where each digit is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from digitlens.datasets.mnist import Split
from digitlens.datasets.synthetic import layouts
from digitlens.datasets.synthetic.arrays import Boxes, Colour, Ink, Matrix, Pixels, Plane, Values
from digitlens.datasets.synthetic.camera import expose, light
from digitlens.datasets.synthetic.clutter import draw_ruling, draw_scribbles
from digitlens.datasets.synthetic.fonts import Role, font_files, load_families
from digitlens.datasets.synthetic.hands import FontHand
from digitlens.datasets.synthetic.inks import draw_colours, inked, with_plate
from digitlens.datasets.synthetic.papers import draw_paper
from digitlens.datasets.synthetic.sheet import Sheet
from digitlens.datasets.synthetic.writers import Fonts, Writers

SIDE = 192  # of a page, in pixels, unless asked otherwise
SMALLEST_SIDE = 64
_SEGMENTS = frozenset({"dseg7"})  # fonts whose letters are made like digits
_ENLARGED = 0.22  # share of pages that are drawn small, of the kinds that may be


def load_fonts(role: Role) -> Fonts:
    """The fonts to train with or those to validate with; fetches those that the cache lacks.

    Raises:
        DataError: They cannot be had.
    """
    hands: dict[str, list[FontHand]] = {"hand": [], "print": []}
    families = [family for family in load_families() if family.role == role]
    for family, weights in font_files(families).items():
        for scripts in weights:
            hands[family.kind].append(FontHand(scripts, digits_only=family.family in _SEGMENTS))
    return Fonts(tuple(hands["hand"]), tuple(hands["print"]))


class Page(NamedTuple):
    """A generated page.

    Attributes:
        pixels: uint8[H, W, 3].
        boxes: float32[N, 4]; x0, y0, x1, y1 of each digit in pixels, half-open.
        values: int8[N]; 0 to 9, or -1 for what may be read or not: cut digits, a lone letter O.
    """

    pixels: Pixels
    boxes: Boxes
    values: Values


@dataclass(frozen=True)
class Kind:
    """One kind of page: what is written on it, how often it is drawn, and what befalls it.

    Attributes:
        share: Of all pages, when no kind is asked for.
        layout: What is written; None leaves the page empty.
        strips: Share that is wider than high, as cut from a form.
        enlarged: At most how many times those that are drawn small are enlarged; 0 for none.
        scribbled: Share with scribbles under the writing.
        ruled: Share that gets rules when it would have none by the share of all kinds.
        scene: Share that is on anything but paper.
        checks: The paper has fine lines most often, as a check.
        plain: Nothing befalls it: one ink on flat paper, as drawn on a screen.
    """

    share: float
    layout: layouts.Layout | None
    strips: float = 0.0
    enlarged: float = 0.0
    scribbled: float = 0.1
    ruled: float = 0.0
    scene: float = 0.05
    checks: bool = False
    plain: bool = False


# Every second page shows one digit or a few lines of numbers, what people read most. Words,
# scribbles and empty pages teach what is no digit; the others what digits stand next to. Plain ones
# are drawn only if asked for.
KINDS: dict[str, Kind] = {
    "single": Kind(0.24, layouts.draw_single, enlarged=6.0, scribbled=0.04),
    "numbers": Kind(0.26, layouts.draw_numbers, strips=0.3, enlarged=3.0),
    "amount": Kind(0.14, layouts.draw_amount, strips=0.7, checks=True),
    "grid": Kind(0.06, layouts.draw_grid),
    "paragraph": Kind(0.03, layouts.draw_paragraph),
    "scatter": Kind(0.05, layouts.draw_scatter),
    "words": Kind(0.14, layouts.draw_words, strips=0.2, enlarged=3.0),
    "scribbles": Kind(0.04, layouts.draw_drawing),
    "empty": Kind(0.04, None, ruled=0.3, scene=0.75),
    "plain tile": Kind(0.0, layouts.draw_tile, plain=True),
    "plain single": Kind(0.0, layouts.draw_single, enlarged=8.0, plain=True),
    "plain numbers": Kind(0.0, layouts.draw_numbers, enlarged=4.0, plain=True),
    "plain words": Kind(0.0, layouts.draw_words, enlarged=4.0, plain=True),
}


class PageMaker:
    """Draws pages; the same seed, number, side and kind give the same page."""

    def __init__(self, tiles: Split, fonts: Fonts, seed: int = 0) -> None:
        """Takes the hands.

        Args:
            tiles: MNIST digits to write with, each of the ten among them; never the test set.
            fonts: To write with as well, see ``load_fonts``.
            seed: Decides all pages.
        """
        self.seed = seed
        self._writers = Writers(tiles, fonts)

    def page(self, number: int, *, side: int = SIDE, kind: str | None = None) -> Page:
        """Draws one page.

        Args:
            number: Which one.
            side: Width and height, in pixels, at least ``SMALLEST_SIDE``.
            kind: A name in ``KINDS``; None draws one.

        Raises:
            ValueError: The side is too small, or there is no such kind.
        """
        if side < SMALLEST_SIDE:
            raise ValueError(f"expected a side of at least {SMALLEST_SIDE} pixels, found {side}")
        if kind is not None and kind not in KINDS:
            raise ValueError(f"expected one of {', '.join(KINDS)}, found {kind}")
        rng = np.random.default_rng([self.seed, number])
        chosen = KINDS[_drawn_kind(rng) if kind is None else kind]
        height = width = side
        if chosen.strips and rng.random() < chosen.strips:
            height = round(side * float(rng.uniform(0.2, 0.7)))
        if chosen.enlarged and rng.random() < _ENLARGED:
            small = float(rng.uniform(1.5, chosen.enlarged))
            page = self._drawn(round(width / small), round(height / small), chosen, rng)
            page = _enlarged(page, width, height, rng)
        else:
            page = self._drawn(width, height, chosen, rng)
        below = ((0, side - height), (0, 0), (0, 0))
        return page._replace(pixels=np.pad(page.pixels, below, mode="edge"))

    def _drawn(self, width: int, height: int, kind: Kind, rng: np.random.Generator) -> Page:
        view = _view(width, height, rng)
        writing, printed = Sheet(width, height, view), Sheet(width, height, view)
        if kind.layout:
            kind.layout(writing, self._writers, rng)
        if kind.plain:
            return _plain_page(writing, rng)
        if rng.random() < 0.16 or (kind.ruled and rng.random() < kind.ruled):
            draw_ruling(printed, rng)
        if rng.random() < kind.scribbled:
            draw_scribbles(printed, rng)
        if rng.random() < 0.06:
            layouts.draw_words(printed, self._writers, rng)
        boxes = np.array(writing.boxes, np.float32).reshape(-1, 4)
        pixels = self._coloured(writing.ink, printed.ink, boxes, kind, rng)
        return Page(expose(pixels, rng), boxes, np.array(writing.values, np.int8))

    def _coloured(
        self, writing: Ink, printed: Ink, boxes: Boxes, kind: Kind, rng: np.random.Generator
    ) -> Plane:
        paper_colour, ink_colour = draw_colours(rng)
        height, width = writing.shape
        scene = rng.random() < kind.scene
        paper = draw_paper(width, height, paper_colour, rng, wild=scene, patterned=kind.checks)
        if scene:
            paper = with_plate(paper, paper_colour, boxes, rng)
        if rng.random() < 0.05:
            paper = self._shown_through(paper, ink_colour, rng)
        second = ink_colour
        if rng.random() < 0.6:
            second = _mixed(paper_colour, ink_colour, float(rng.uniform(0.15, 1.2)))
        paper = inked(paper, printed, second, rng)
        contrast = float(np.abs(ink_colour - paper_colour).max())
        faintest = min(1.0, max(0.35, 26 / contrast))
        strength = 1.0 if rng.random() < 0.6 else float(rng.uniform(faintest, 1))
        return light(inked(paper, writing, ink_colour, rng, strength), rng)

    def _shown_through(self, paper: Plane, ink: Colour, rng: np.random.Generator) -> Plane:
        """The paper with writing of its other side."""
        back = Sheet(paper.shape[1], paper.shape[0], np.eye(3))
        layouts.draw_paragraph(back, self._writers, rng)
        mirrored = back.ink[:, ::-1].astype(np.float32) / 255
        ghost = np.asarray(cv2.GaussianBlur(mirrored, (0, 0), 1.5), np.float32)
        cover = float(rng.uniform(0.03, 0.12)) * ghost
        return np.asarray(paper + cover[:, :, None] * (ink - paper), np.float32)


def _plain_page(writing: Sheet, rng: np.random.Generator) -> Page:
    """Writing in one ink on flat paper."""
    paper, ink = draw_colours(rng)
    cover = writing.ink[:, :, None].astype(np.float32) / 255
    pixels = np.rint(paper + cover * (ink - paper)).astype(np.uint8)
    boxes = np.array(writing.boxes, np.float32).reshape(-1, 4)
    return Page(pixels, boxes, np.array(writing.values, np.int8))


def _drawn_kind(rng: np.random.Generator) -> str:
    shares = np.array([kind.share for kind in KINDS.values()])
    return str(rng.choice(list(KINDS), p=shares / shares.sum()))


def _mixed(paper: Colour, ink: Colour, share: float) -> Colour:
    return np.asarray(paper + share * (ink - paper), np.float32)


def _view(width: int, height: int, rng: np.random.Generator) -> Matrix:
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
