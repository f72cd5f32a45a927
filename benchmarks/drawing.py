"""Draws numbers as a pen would, on paper as a camera sees it; the same for the same size."""

import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

Page = npt.NDArray[np.uint8]
Points = list[tuple[float, float]]


def photo(width: int, height: int, text: str) -> Page:
    """Blue pen on paper with uneven light and the noise of a sensor.

    Args:
        width: Pixels.
        height: Pixels.
        text: Digits, one line of the picture for each line.

    Returns:
        uint8[height, width, 3].
    """
    paper = Image.new("RGB", (width, height), (226, 221, 210))
    lines = text.splitlines()
    size = min(height / (2.4 * len(lines) + 1), 0.8 * width / max(map(len, lines)))
    rng = np.random.default_rng(0)
    for i, line in enumerate(lines):
        top = height / 2 + (1.6 * (i - len(lines) / 2) + 0.3) * size
        for k, digit in enumerate(line):
            left = width / 2 + (k - len(line) / 2 + 0.15) * size
            shift = rng.normal(0, 0.04 * size, 2)
            _write(paper, digit, (left + shift[0], top + shift[1]), size, (38, 44, 92))
    return _seen(np.asarray(paper), rng)


def tile(digit: str) -> Page:
    """uint8[28, 28]: one digit, bright on dark, in a box of about 20 x 20."""
    picture = Image.new("L", (280, 280))
    _write(picture, digit, (85, 50), 180, 255)
    return np.asarray(picture.resize((28, 28), Image.Resampling.BOX))


def _seen(paper: Page, rng: np.random.Generator) -> Page:
    """Light that falls off to one corner, and noise; in place of floats for all pixels, by row."""
    height, width = paper.shape[:2]
    across = np.linspace(1, 0.8, width, dtype=np.float32)[:, None]
    noise = rng.normal(0, 3, (64, width, 3)).astype(np.float32)
    seen = np.empty_like(paper)
    for y in range(height):
        light = across * (1 - 0.15 * y / height)
        seen[y] = np.clip(paper[y] * light + noise[rng.integers(64)], 0, 255)
    return seen


def _write(
    picture: Image.Image,
    digit: str,
    corner: tuple[float, float],
    size: float,
    ink: int | tuple[int, int, int],
) -> None:
    """Draws the strokes of a digit ``size`` high and a little slanted, with round ends."""
    pen, radius = ImageDraw.Draw(picture), 0.05 * size
    for stroke in STROKES[digit]:
        points = [
            (corner[0] + size * (0.62 * x + 0.12 * (1 - y)), corner[1] + size * y)
            for x, y in stroke
        ]
        pen.line(points, fill=ink, width=round(2 * radius), joint="curve")
        for x, y in (points[0], points[-1]):
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=ink)


def _arc(
    centre: tuple[float, float], radii: tuple[float, float], start: int, end: int
) -> Iterable[tuple[float, float]]:
    """Points of an ellipse; degrees grow from the right over the bottom, as in Pillow."""
    for degrees in range(start, end + 1, 6):
        angle = math.radians(degrees)
        yield centre[0] + radii[0] * math.cos(angle), centre[1] + radii[1] * math.sin(angle)


# x to the right and y down, from 0 to 1 in the box of the digit.
STROKES: dict[str, list[Points]] = {
    "0": [[*_arc((0.5, 0.5), (0.42, 0.5), -80, 280)]],
    "1": [[(0.5, 0), (0.5, 1)]],
    "2": [[*_arc((0.5, 0.28), (0.4, 0.28), 190, 390), (0.08, 1), (0.95, 1)]],
    "3": [
        [
            *_arc((0.45, 0.25), (0.4, 0.25), 200, 440),
            *_arc((0.45, 0.74), (0.45, 0.26), 280, 515),
        ]
    ],
    "4": [[(0.5, 0), (0.08, 0.62), (0.95, 0.62)], [(0.72, 0.3), (0.72, 1)]],
    "5": [[(0.9, 0), (0.25, 0), (0.2, 0.44), *_arc((0.46, 0.68), (0.42, 0.32), 235, 500)]],
    "6": [[(0.75, 0), (0.3, 0.35), *_arc((0.5, 0.7), (0.38, 0.3), 200, 560)]],
    "7": [[(0.08, 0), (0.92, 0), (0.35, 1)]],
    "8": [[*_arc((0.5, 0.25), (0.34, 0.25), 90, 450), *_arc((0.5, 0.75), (0.42, 0.25), 270, 630)]],
    "9": [[*_arc((0.5, 0.3), (0.36, 0.3), 0, 360), (0.78, 1)]],
}
