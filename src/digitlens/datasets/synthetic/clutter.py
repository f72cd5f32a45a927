"""Clutter: what people draw that is no character, and the rules that paper comes with."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from digitlens.datasets.synthetic.arrays import Points
from digitlens.datasets.synthetic.sheet import Sheet


def draw_scribbles(sheet: Sheet, rng: np.random.Generator) -> None:
    """Curves, zigzags, arcs and frames, drawn with any pen."""
    for _ in range(int(rng.choice([1, 2, 5, 10]))):
        size = float(np.exp(rng.uniform(np.log(10), np.log(0.9 * sheet.width))))
        centre = rng.uniform(0, 1, 2) * (sheet.width, sheet.height)
        thick = max(1, round(size * float(np.exp(rng.uniform(np.log(0.01), np.log(0.15))))))
        kind = rng.random()
        if kind < 0.5:
            cv2.polylines(sheet.ink, *_path(centre, size, kind, rng), 255, thick, cv2.LINE_AA)
        elif kind < 0.75:
            _arc(sheet, centre, size, thick, rng)
        else:
            _frame(sheet, centre, size, thick, rng)


def draw_ruling(sheet: Sheet, rng: np.random.Generator) -> None:
    """An underline, or ruled or squared paper."""
    kind = rng.random()
    if kind < 0.35:
        y = sheet.height * float(rng.uniform(0.55, 1))
        x = sorted(float(v) for v in rng.uniform(-0.1, 1.1, 2) * sheet.width)
        sheet.line((x[0], y), (x[1], y + float(rng.normal(0, 2))), int(rng.integers(1, 4)))
        return
    pitch = float(np.exp(rng.uniform(np.log(7), np.log(70))))
    start = -float(rng.uniform(0, pitch))
    for k in range(int(max(sheet.width, sheet.height) / pitch) + 2):
        at = start + k * pitch
        sheet.line((-sheet.width, at), (2.0 * sheet.width, at), 1)
        if kind > 0.65:
            sheet.line((at, -sheet.height), (at, 2.0 * sheet.height), 1)


def draw_table(
    sheet: Sheet,
    start: tuple[float, float],
    cell: tuple[float, float],
    count: tuple[int, int],
    rng: np.random.Generator,
) -> None:
    """The rules of a table, each third stronger in some.

    Args:
        sheet: What is drawn on.
        start: x and y of the table's corner, in the plane of the paper.
        cell: Width and height of a cell, likewise.
        count: Columns and rows.
        rng: Decides width and darkness.
    """
    thick, level = int(rng.choice([1, 1, 2, 3])), int(rng.choice([255, 160, 90]))
    end = start[0] + cell[0] * count[0], start[1] + cell[1] * count[1]
    for k in range(count[1] + 1):
        y = start[1] + k * cell[1]
        sheet.line((start[0], y), (end[0], y), thick + 2 * (k % 3 == 0 and thick > 1), level)
    for k in range(count[0] + 1):
        x = start[0] + k * cell[0]
        sheet.line((x, start[1]), (x, end[1]), thick + 2 * (k % 3 == 0 and thick > 1), level)


def _path(
    centre: Points, size: float, kind: float, rng: np.random.Generator
) -> tuple[list[npt.NDArray[np.int32]], bool]:
    """A walk below 0.25, else jumps about the centre; with corners from 0.4; and if it closes."""
    steps = rng.normal(0, 0.45, (int(rng.integers(2, 9)), 2)) * size
    points = centre + (np.cumsum(steps, axis=0) if kind < 0.25 else steps)
    fixed = np.rint(_smooth(points) if kind < 0.4 else points).astype(np.int32)
    return [fixed], bool(rng.random() < 0.2)


def _arc(sheet: Sheet, centre: Points, size: float, thick: int, rng: np.random.Generator) -> None:
    wide, high = (max(1, int(v)) for v in rng.uniform(0.1, 0.5, 2) * size)
    start, end = sorted(float(v) for v in rng.uniform(0, 360, 2))
    place = (int(centre[0]), int(centre[1]))
    angle = float(rng.uniform(0, 180))
    cv2.ellipse(sheet.ink, place, (wide, high), angle, start, end, 255, thick, cv2.LINE_AA)


def _frame(sheet: Sheet, centre: Points, size: float, thick: int, rng: np.random.Generator) -> None:
    a = (centre - size * rng.uniform(0.1, 0.5, 2)).astype(int).tolist()
    b = (centre + size * rng.uniform(0.1, 0.5, 2)).astype(int).tolist()
    cv2.rectangle(sheet.ink, a, b, 255, -1 if rng.random() < 0.2 else thick)


def _smooth(points: Points) -> Points:
    for _ in range(3):  # Chaikin's corner cutting (1974)
        cut = np.empty((2 * len(points) - 2, 2))
        cut[0::2] = 0.75 * points[:-1] + 0.25 * points[1:]
        cut[1::2] = 0.25 * points[:-1] + 0.75 * points[1:]
        points = cut
    return points
