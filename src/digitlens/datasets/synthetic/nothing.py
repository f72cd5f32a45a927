"""Crops without any text: surfaces, edges, scenes, scribbles, rules and corners of boxes."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from digitlens.datasets.synthetic.arrays import Plane
from digitlens.datasets.synthetic.camera import light
from digitlens.datasets.synthetic.clutter import draw_scribbles
from digitlens.datasets.synthetic.inks import draw_colours, inked
from digitlens.datasets.synthetic.papers import draw_paper
from digitlens.datasets.synthetic.sheet import Sheet
from digitlens.datasets.synthetic.views import HEIGHT, STEP


def draw_nothing(rng: np.random.Generator) -> tuple[Plane, float]:
    """Draws a crop of something that is no text.

    Returns:
        float32[h, w, 3], and the height in pixels that a digit would have on it.
    """
    height = HEIGHT if rng.random() < 0.7 else int(rng.integers(12, HEIGHT))
    wide = min(40.0, 4.0 + float(rng.exponential(11)))
    width = max(1, round(STEP * wide * height / HEIGHT))
    draw = _DRAWINGS[int(rng.choice(len(_DRAWINGS), p=_SHARES))]
    return light(draw(width, height, rng), rng), height * 0.7


def _surface(width: int, height: int, rng: np.random.Generator) -> Plane:
    return draw_paper(width, height, draw_colours(rng)[0], rng, patterned=rng.random() < 0.3)


def _scene(width: int, height: int, rng: np.random.Generator) -> Plane:
    return draw_paper(width, height, np.zeros(3, np.float32), rng, wild=True)


def _edges(width: int, height: int, rng: np.random.Generator) -> Plane:
    """Two or three surfaces that meet in straight edges, or a gradient."""
    plane = _surface(width, height, rng)
    if rng.random() < 0.3:
        ramp = np.linspace(0, 1, width, dtype=np.float32)[None, :, None]
        return np.asarray(plane + ramp * (draw_colours(rng)[1] - plane.mean((0, 1))), np.float32)
    for _ in range(int(rng.integers(1, 3))):
        mask = np.zeros((height, width), np.float32)
        middle = rng.uniform(0, 1, 2) * (width, height)
        angle = float(rng.choice([0, np.pi / 2, np.pi])) + float(rng.normal(0, 0.15))
        along = np.array([np.cos(angle), np.sin(angle)]) * 999
        across = np.array([-along[1], along[0]])
        corners = np.array([middle - along, middle + along, middle + along + across])
        corners = np.vstack([corners, middle - along + across])
        cv2.fillPoly(mask, [np.rint(corners).astype(np.int32)], 1.0, cv2.LINE_AA)
        plane = np.asarray(
            plane + mask[:, :, None] * (_surface(width, height, rng) - plane), np.float32
        )
    return plane


def _rules(width: int, height: int, rng: np.random.Generator) -> Plane:
    """Underlines, ruled or squared paper, corners of boxes."""
    paper, ink = draw_colours(rng)
    sheet = Sheet(width, height, np.eye(3))
    thin = int(rng.choice([1, 1, 2, 3]))
    kind = rng.random()
    for _ in range(int(rng.integers(1, 4))):
        x, y = float(rng.uniform(0, width)), float(rng.uniform(0, height))
        if kind < 0.75:
            sheet.line((-9, y), (width + 9.0, y + float(rng.normal(0, 1.5))), thin)
        if kind > 0.35:
            sheet.line((x, -9), (x + float(rng.normal(0, 1.5)), height + 9.0), thin)
    if kind > 0.75:
        x, y = float(rng.uniform(0, width)), float(rng.uniform(0, height))
        sheet.line((x, y), (x + 999 * (-1) ** int(rng.integers(2)), y), thin)
        sheet.line((x, y), (x, y + 999 * (-1) ** int(rng.integers(2))), thin)
    return inked(draw_paper(width, height, paper, rng), sheet.ink, ink, rng)


def _scribbles(width: int, height: int, rng: np.random.Generator) -> Plane:
    """Scribbles larger than the crop, so that none stands there like a character."""
    paper, ink = draw_colours(rng)
    sheet = Sheet(max(width, 150), 150, np.eye(3))
    draw_scribbles(sheet, rng)
    y = int(rng.integers(0, 150 - height + 1))
    drawn = sheet.ink[y : y + height, :width]
    return inked(draw_paper(width, height, paper, rng), drawn, ink, rng)


_DRAWINGS: tuple[Callable[[int, int, np.random.Generator], Plane], ...] = (
    _surface,
    _scene,
    _edges,
    _rules,
    _scribbles,
)
_SHARES = (0.2, 0.3, 0.15, 0.2, 0.15)
