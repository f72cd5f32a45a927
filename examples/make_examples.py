"""Draws the example pictures: digits by an unsteady pen on paper, a board and a screen.

Run ``python examples/make_examples.py`` to redraw them; the result is deterministic.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

FOLDER = Path(__file__).parent
FINE = 3  # pixels of the pen's drawing per pixel of the picture

Plane = npt.NDArray[np.float64]
Colour = tuple[int, int, int]

# Control points of the pen's path in a unit box; a point given twice makes a sharp corner.
STROKES: dict[str, list[list[tuple[float, float]]]] = {
    "0": [[(0.5, 0.02), (0.2, 0.1), (0.08, 0.5), (0.2, 0.9), (0.5, 0.98), (0.82, 0.88),
           (0.92, 0.5), (0.8, 0.1), (0.45, 0.02), (0.3, 0.08)]],
    "1": [[(0.28, 0.28), (0.55, 0.03), (0.55, 0.03), (0.52, 0.97)]],
    "2": [[(0.12, 0.25), (0.3, 0.05), (0.7, 0.05), (0.85, 0.3), (0.5, 0.65), (0.1, 0.95),
           (0.1, 0.95), (0.92, 0.93)]],
    "3": [[(0.15, 0.1), (0.5, 0.02), (0.8, 0.2), (0.42, 0.46), (0.42, 0.46), (0.88, 0.7),
           (0.5, 0.99), (0.1, 0.86)]],
    "4": [[(0.55, 0.03), (0.1, 0.64), (0.1, 0.64), (0.92, 0.6)], [(0.7, 0.34), (0.66, 0.98)]],
    "5": [[(0.84, 0.05), (0.28, 0.06), (0.28, 0.06), (0.2, 0.45), (0.2, 0.45), (0.55, 0.37),
           (0.88, 0.68), (0.55, 0.98), (0.12, 0.88)]],
    "6": [[(0.72, 0.03), (0.32, 0.28), (0.12, 0.7), (0.45, 0.99), (0.85, 0.76), (0.52, 0.52),
           (0.16, 0.74)]],
    "7": [[(0.1, 0.07), (0.9, 0.05), (0.9, 0.05), (0.4, 0.97)]],
    "8": [[(0.8, 0.2), (0.5, 0.02), (0.2, 0.22), (0.5, 0.47), (0.87, 0.75), (0.5, 0.99),
           (0.13, 0.75), (0.5, 0.47), (0.82, 0.18)]],
    "9": [[(0.82, 0.24), (0.5, 0.03), (0.18, 0.26), (0.45, 0.52), (0.82, 0.26), (0.8, 0.6),
           (0.66, 0.98)]],
}  # fmt: skip


class Hand:
    """A pen that draws digits slightly differently each time."""

    def __init__(self, width: int, height: int, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.size = (width, height)
        self._sheet = Image.new("L", (width * FINE, height * FINE))
        self._draw = ImageDraw.Draw(self._sheet)

    def write(self, text: str, x: float, y: float, height: float, pen: float) -> None:
        """Writes a row of digits; x, y is its top left corner, all in pixels."""
        for character in text:
            if character != " ":
                lift = self.random.normal(0, 0.03 * height)
                self._digit(character, x, y + lift, height * self.random.normal(1, 0.04), pen)
            x += height * self.random.normal(0.82, 0.03)

    def ink(self) -> Plane:
        """float64[H, W]; 1 where the pen was, 0 elsewhere."""
        return np.asarray(self._sheet.resize(self.size, Image.Resampling.BOX)) / 255

    def _digit(self, character: str, x: float, y: float, height: float, pen: float) -> None:
        slant = self.random.normal(0.12, 0.05)
        for stroke in STROKES[character]:
            corners = np.array(stroke) + self.random.normal(0, 0.018, (len(stroke), 2))
            way = rounded(corners)
            way[:, 0] += slant * (0.5 - way[:, 1])
            self._follow(way * [0.6 * height, height] + [x, y], pen)

    def _follow(self, way: Plane, pen: float) -> None:
        pressure = 1 + 0.25 * np.sin(np.linspace(*self.random.uniform(0, 6, 2), len(way)))
        for (x, y), radius in zip(way * FINE, FINE * pen / 2 * pressure, strict=True):
            self._draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)


def rounded(corners: Plane) -> Plane:
    """A smooth path along control points: Chaikin's corner cutting, then dense resampling."""
    for _ in range(4):
        near, far = (
            0.75 * corners[:-1] + 0.25 * corners[1:],
            0.25 * corners[:-1] + 0.75 * corners[1:],
        )
        cut = np.stack([near, far], axis=1).reshape(-1, 2)
        corners = np.concatenate([corners[:1], cut, corners[-1:]])
    steps = np.linspace(0, len(corners) - 1, 12 * len(corners))
    return np.stack([np.interp(steps, np.arange(len(corners)), c) for c in corners.T], axis=1)


def coloured(ink: Plane, pen: Colour, paper: Colour) -> Plane:
    """float64[H, W, 3]; coloured ink on coloured paper."""
    return ink[..., None] * np.array(pen) + (1 - ink[..., None]) * np.array(paper)


def photographed(picture: Plane, light: Plane, noise: float, seed: int) -> Plane:
    """The picture under uneven light, with camera noise."""
    grain = np.random.default_rng(seed).normal(0, noise, picture.shape)
    return picture * light[..., None] + grain


def lamp(width: int, height: int, x: float, y: float, dim: float) -> Plane:
    """float64[H, W]; light of 1 around a point, falling to ``dim`` far from it."""
    down, across = np.mgrid[:height, :width]
    far = ((across / width - x) ** 2 + (down / height - y) ** 2) / 0.6
    return dim + (1 - dim) * np.exp(-far)


def drawing() -> Plane:
    """A thick pen on a screen."""
    hand = Hand(280, 280, 1)
    hand.write("7", 65, 30, 215, 22)
    return 255 * (1 - hand.ink())


def corner() -> Plane:
    """A small digit in the corner of a page."""
    hand = Hand(900, 640, 2)
    hand.write("3", 838, 572, 42, 4)
    return coloured(hand.ink(), (40, 40, 46), (252, 251, 247))


def thin() -> Plane:
    """A hard pencil, large, under a lamp."""
    hand = Hand(500, 620, 3)
    hand.write("8", 110, 60, 480, 3)
    picture = coloured(hand.ink(), (96, 96, 100), (228, 226, 220))
    return photographed(picture, lamp(500, 620, 0.3, 0.2, 0.75), 2.5, 3)


def board() -> Plane:
    """Chalk on a board: light on dark."""
    hand = Hand(760, 420, 4)
    hand.write("365", 120, 90, 230, 17)
    chalk = hand.ink() * np.random.default_rng(4).uniform(0.72, 1, (420, 760))
    return photographed(
        coloured(chalk, (244, 240, 222), (38, 66, 54)), lamp(760, 420, 0.6, 0.3, 0.8), 5, 4
    )


def note() -> Plane:
    """A blue pen on cream paper, half in the shade."""
    hand = Hand(1200, 700, 5)
    hand.write("2048", 240, 220, 240, 15)
    picture = coloured(hand.ink(), (32, 54, 140), (246, 240, 226))
    down, across = np.mgrid[:700, :1200]
    shadow = 1 - 0.4 / (1 + np.exp((across + 0.5 * down - 900) / 25))
    return photographed(picture, shadow * lamp(1200, 700, 0.8, 0.1, 0.7), 4, 5)


def ruled() -> Plane:
    """Two lines of digits on ruled paper, across the rules."""
    hand = Hand(1000, 560, 6)
    hand.write("555 0199", 110, 96, 120, 8)
    hand.write("1864", 110, 316, 120, 8)
    lines = np.where(np.arange(560) % 110 < 3, 0.0, 1.0)[:, None, None]
    paper = lines * np.array((250, 249, 244)) + (1 - lines) * np.array((176, 198, 224))
    picture = hand.ink()[..., None] * (-170.0) + paper
    return photographed(picture, lamp(1000, 560, 0.4, 0.4, 0.85), 3, 6)


def sticky() -> Plane:
    """A red marker on a yellow note."""
    hand = Hand(520, 520, 7)
    hand.write("96", 80, 110, 280, 34)
    picture = coloured(hand.ink(), (214, 52, 70), (250, 226, 90))
    return photographed(picture, lamp(520, 520, 0.5, 0.3, 0.8), 5, 7)


def blank() -> Plane:
    """Empty paper with camera noise."""
    paper = np.full((480, 640, 3), 226.0)
    return photographed(paper, lamp(640, 480, 0.7, 0.2, 0.6), 6, 8)


EXAMPLES: dict[str, tuple[str, Callable[[], Plane]]] = {
    "drawing.png": ("7", drawing),
    "corner.png": ("3", corner),
    "thin.jpg": ("8", thin),
    "board.jpg": ("365", board),
    "note.jpg": ("2048", note),
    "ruled.jpg": ("555 0199\n1864", ruled),
    "sticky.jpg": ("96", sticky),
    "blank.jpg": ("", blank),
}


def main() -> None:
    """Draws every picture and writes their texts to ``labels.csv``."""
    for name, (_, draw) in EXAMPLES.items():
        picture = Image.fromarray(np.clip(np.rint(draw()), 0, 255).astype(np.uint8))
        picture.save(FOLDER / name, quality=88, optimize=True)
    with (FOLDER / "labels.csv").open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream, lineterminator="\n")
        rows.writerow(("file", "label"))
        rows.writerows((name, text or "none") for name, (text, _) in EXAMPLES.items())


if __name__ == "__main__":
    main()
