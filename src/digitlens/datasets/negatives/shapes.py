"""Draws what people draw that is no character: signs, figures, scribbles, crossed-out places."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from digitlens.datasets.synthetic.arrays import Ink, Points

SIDE = 128  # of the square that is drawn in, in pixels
_SHIFT = 4  # fractional bits of cv2's coordinates
_MIDDLE = (SIDE // 2, SIDE // 2)

Draw = Callable[[Ink, int, np.random.Generator], None]


def draw_shape(rng: np.random.Generator) -> Ink:
    """One figure: uint8[SIDE, SIDE], 255 where there is ink."""
    return _drawn(_FIGURES[int(rng.integers(len(_FIGURES)))], rng)


def draw_scribble(rng: np.random.Generator) -> Ink:
    """Some strokes of a pen that mean nothing; uint8[SIDE, SIDE]."""
    return _drawn(_SCRIBBLES[int(rng.integers(len(_SCRIBBLES)))], rng)


def stroke(ink: Ink, points: Points, width: int, *, closed: bool = False) -> None:
    """Draws straight lines through points, float[n, 2] in pixels."""
    fixed = np.rint(points * (1 << _SHIFT)).astype(np.int32)
    cv2.polylines(ink, [fixed], closed, 255, width, cv2.LINE_AA, _SHIFT)


def smooth(points: Points) -> Points:
    """Rounds the corners of a line: Chaikin's corner cutting (1974)."""
    for _ in range(3):
        cut = np.empty((2 * len(points) - 2, 2))
        cut[0::2] = 0.75 * points[:-1] + 0.25 * points[1:]
        cut[1::2] = 0.25 * points[:-1] + 0.75 * points[1:]
        points = cut
    return points


def _drawn(draw: Draw, rng: np.random.Generator) -> Ink:
    ink = np.zeros((SIDE, SIDE), np.uint8)
    draw(ink, int(rng.integers(4, 14)), rng)
    return ink


def _at(angles: npt.NDArray[np.float64], radius: float | npt.NDArray[np.float64]) -> Points:
    """Points so far from the middle, at angles in radians."""
    return SIDE / 2 + np.stack([np.cos(angles), np.sin(angles)], axis=1) * np.reshape(
        radius, (-1, 1)
    )


def _box(ink: Ink, width: int, rng: np.random.Generator) -> None:
    """A box as wide as high or wider: a high one is a 0 of seven segments."""
    half = rng.uniform(28, 46, 2)
    half[0] = max(half)
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half + SIDE / 2
    stroke(ink, corners + rng.normal(0, 2, (4, 2)), width, closed=True)
    if rng.random() < 0.6:
        stroke(ink, corners[[0, 2]], width)
        stroke(ink, corners[[1, 3]], width)


def _filled(ink: Ink, width: int, rng: np.random.Generator) -> None:
    del width
    count = int(rng.integers(3, 9))
    points = _at(np.arange(count) * 2 * np.pi / count + rng.uniform(0, 6), 45.0)
    cv2.fillPoly(ink, [np.rint(points + rng.normal(0, 6, points.shape)).astype(np.int32)], 255)


def _polygon(ink: Ink, width: int, rng: np.random.Generator) -> None:
    count = int(rng.integers(3, 6))
    points = _at(np.arange(count) * 2 * np.pi / count + rng.uniform(0, 6), 46.0)
    stroke(ink, points + rng.normal(0, 3, points.shape), width, closed=True)
    if rng.random() < 0.4:
        stroke(ink, _at(np.arange(count) * 2 * np.pi / count, 18.0), width, closed=True)


def _star(ink: Ink, width: int, rng: np.random.Generator) -> None:
    count = int(rng.integers(4, 8))
    angles = np.arange(2 * count) * np.pi / count + rng.uniform(0, 6)
    radii = np.where(np.arange(2 * count) % 2, rng.uniform(12, 26), 48.0)
    stroke(ink, _at(angles, radii), width, closed=True)


def _rays(ink: Ink, width: int, rng: np.random.Generator) -> None:
    """Lines that cross in the middle: a plus, a cross, an asterisk."""
    count = int(rng.integers(2, 6))
    for angle in np.arange(count) * np.pi / count + rng.uniform(0, 3):
        stroke(ink, _at(np.array([angle, angle + np.pi]), rng.uniform(34, 50, 2)), width)


def _ring(ink: Ink, width: int, rng: np.random.Generator) -> None:
    """A circle with a cross, another circle or a face in it; an empty one is a 0."""
    cv2.circle(ink, _MIDDLE, 46, 255, width, cv2.LINE_AA)
    kind = int(rng.integers(4))
    if kind == 0:
        start = float(rng.uniform(0, 3))
        for angle in (start, start + np.pi / 2):
            stroke(ink, _at(np.array([angle, angle + np.pi]), 46.0), width)
    elif kind == 1:
        cv2.circle(ink, _MIDDLE, int(rng.integers(14, 28)), 255, width, cv2.LINE_AA)
    elif kind == 2:
        for x in (48, 80):
            cv2.circle(ink, (x, 50), width // 2 + 2, 255, -1, cv2.LINE_AA)
        cv2.ellipse(ink, (64, 72), (22, 14), 0, 20, 160, 255, max(2, width // 2), cv2.LINE_AA)
    else:
        stroke(ink, _at(np.arange(3) * 2 * np.pi / 3 + rng.uniform(0, 6), 30.0), width, closed=True)


def _spiral(ink: Ink, width: int, rng: np.random.Generator) -> None:
    turns = float(rng.uniform(2.2, 4)) * 2 * np.pi
    angles = np.linspace(0, turns, 90)
    mirror = 1 if rng.random() < 0.5 else -1
    stroke(ink, _at(mirror * angles + rng.uniform(0, 6), 4 + 46 * angles / turns), min(width, 6))


def _hatching(ink: Ink, width: int, rng: np.random.Generator) -> None:
    count, slope = int(rng.integers(3, 7)), float(rng.uniform(-40, 40))
    places = np.linspace(16, SIDE - 16, count)
    lines = [np.array([[x, 20 - slope / 4], [x + slope / 2, SIDE - 20]]) for x in places]
    if rng.random() < 0.5:
        lines = [line[:, ::-1] for line in lines]
    if rng.random() < 0.5:
        lines += [line[:, ::-1] for line in lines]
    for line in lines:
        stroke(ink, line + rng.normal(0, 2, (2, 2)), min(width, 8))


def _arrow(ink: Ink, width: int, rng: np.random.Generator) -> None:
    angle = float(rng.uniform(0, 2 * np.pi))
    ends = _at(np.array([angle, angle + np.pi]), 48.0)
    stroke(ink, ends, width)
    for side in (-1, 1):
        barb = angle + np.pi + side * rng.uniform(0.5, 0.9)
        tip = ends[0] + 32 * np.array([np.cos(barb), np.sin(barb)])
        stroke(ink, np.stack([ends[0], tip]), width)


def _tick(ink: Ink, width: int, rng: np.random.Generator) -> None:
    points = np.array([[20.0, 70], [48, 104], [112, 22]]) + rng.normal(0, 5, (3, 2))
    stroke(ink, points, width)


def _wave(ink: Ink, width: int, rng: np.random.Generator) -> None:
    x = np.linspace(8, SIDE - 8, 80)
    high, waves = rng.uniform(12, 28), rng.uniform(1.5, 4)
    y = SIDE / 2 + high * np.sin(x / SIDE * 2 * np.pi * waves + rng.uniform(0, 6))
    stroke(ink, np.stack([x, y], axis=1), width)


def _heart(ink: Ink, width: int, rng: np.random.Generator) -> None:
    t = np.linspace(0, 2 * np.pi, 60)
    x = 16 * np.sin(t) ** 3
    y = -(13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))
    stroke(ink, SIDE / 2 + np.stack([x, y], axis=1) * rng.uniform(2.2, 2.8), width, closed=True)


def _bracket(ink: Ink, width: int, rng: np.random.Generator) -> None:
    """A square bracket, or one brace above another's point."""
    points = np.array([[84.0, 14], [44, 14], [44, 114], [84, 114]])
    if rng.random() < 0.5:
        points = np.array(
            [[84.0, 10], [60, 18], [60, 56], [38, 64], [60, 72], [60, 110], [84, 118]]
        )
    stroke(ink, points if rng.random() < 0.5 else SIDE - points, min(width, 10))


def _dots(ink: Ink, width: int, rng: np.random.Generator) -> None:
    for x, y in rng.integers(14, SIDE - 14, (int(rng.integers(3, 12)), 2)):
        cv2.circle(ink, (int(x), int(y)), width // 2 + 2, 255, -1, cv2.LINE_AA)


def _walk(ink: Ink, width: int, rng: np.random.Generator) -> None:
    """One curve with so many bends that it is no digit."""
    points = rng.uniform(14, SIDE - 14, (int(rng.integers(8, 18)), 2))
    stroke(ink, smooth(points) if rng.random() < 0.7 else points, min(width, 8))


def _strokes(ink: Ink, width: int, rng: np.random.Generator) -> None:
    """Short strokes that do not belong together."""
    for _ in range(int(rng.integers(3, 8))):
        start = rng.uniform(16, SIDE - 16, 2)
        points = start + np.cumsum(rng.normal(0, 14, (int(rng.integers(2, 5)), 2)), axis=0)
        stroke(ink, smooth(points) if len(points) > 2 else points, min(width, 9))


def _zigzag(ink: Ink, width: int, rng: np.random.Generator) -> None:
    """Struck out: a line to and fro."""
    count = int(rng.integers(6, 14))
    x = np.linspace(14, SIDE - 14, count) + rng.normal(0, 4, count)
    y = SIDE / 2 + np.where(np.arange(count) % 2, 1, -1) * rng.uniform(20, 46, count)
    points = np.stack([x, y], axis=1)
    stroke(ink, points if rng.random() < 0.5 else points[:, ::-1], min(width, 8))


def _tangle(ink: Ink, width: int, rng: np.random.Generator) -> None:
    """Loop upon loop."""
    t = np.linspace(0, 2 * np.pi * rng.uniform(2, 5), 160)
    a, b = rng.permutation([1, 2, 3])[:2] + rng.normal(0, 0.1, 2)  # the same twice is a 0
    x, y = np.cos(a * t + rng.uniform(0, 6)), np.sin(b * t + rng.uniform(0, 6))
    stroke(ink, SIDE / 2 + 46 * np.stack([x, y], axis=1), min(width, 7))


_FIGURES: tuple[Draw, ...] = (
    _box,
    _filled,
    _polygon,
    _star,
    _rays,
    _ring,
    _spiral,
    _hatching,
    _arrow,
    _tick,
    _wave,
    _heart,
    _bracket,
    _dots,
)
_SCRIBBLES: tuple[Draw, ...] = (_walk, _strokes, _strokes, _zigzag, _tangle)
