"""Draws digits as pen strokes: European 1 and 7, closed and open 4, slashed 0, any pen width."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

SIDE = 128  # of the square that a digit is drawn in, in pixels
_MARGIN = 24
_SHIFT = 4  # fractional bits of cv2's coordinates

Stroke = list[tuple[float, float]]

# Forms of each digit: strokes of control points, x to the right and y down, both 0..1. A stroke
# is a Catmull-Rom curve through its points; a doubled point makes a corner.
FORMS: tuple[tuple[tuple[Stroke, ...], ...], ...] = (
    (
        ([(0.5, 0), (0.12, 0.25), (0.1, 0.7), (0.5, 1), (0.88, 0.72), (0.9, 0.28), (0.5, 0)],),
        ([(0.55, 0.02), (0.1, 0.4), (0.25, 0.95), (0.8, 0.8), (0.85, 0.2), (0.45, 0.05)],),
        (
            [(0.5, 0), (0.12, 0.25), (0.1, 0.7), (0.5, 1), (0.88, 0.72), (0.9, 0.28), (0.5, 0)],
            [(0.8, 0.12), (0.2, 0.9)],
        ),
    ),
    (
        ([(0.5, 0), (0.5, 1)],),
        ([(0.2, 0.3), (0.55, 0), (0.55, 0), (0.55, 1)],),
        ([(0.05, 0.55), (0.3, 0.35), (0.6, 0), (0.6, 0), (0.6, 1)],),
        ([(0.0, 0.75), (0.35, 0.4), (0.65, 0), (0.65, 0), (0.6, 0.5), (0.6, 1)],),
        ([(0.2, 0.25), (0.5, 0), (0.5, 0), (0.5, 1)], [(0.15, 1), (0.85, 1)]),
    ),
    (
        ([(0.12, 0.25), (0.45, 0), (0.85, 0.25), (0.5, 0.62), (0.1, 1), (0.1, 1), (0.92, 1)],),
        ([(0.15, 0.2), (0.5, 0), (0.8, 0.3), (0.1, 0.98), (0.3, 0.85), (0.6, 1), (0.92, 0.92)],),
        (
            [(0.15, 0.2), (0.55, 0), (0.8, 0.3), (0.3, 0.95), (0.05, 0.9)]
            + [(0.2, 0.75), (0.6, 0.95), (0.95, 0.9)],
        ),
    ),
    (
        (
            [(0.15, 0.15), (0.5, 0), (0.82, 0.22), (0.4, 0.47), (0.4, 0.47)]
            + [(0.88, 0.7), (0.5, 1), (0.1, 0.85)],
        ),
        (
            [(0.1, 0), (0.1, 0), (0.85, 0), (0.85, 0), (0.4, 0.42), (0.4, 0.42)]
            + [(0.88, 0.65), (0.55, 1), (0.08, 0.88)],
        ),
    ),
    (
        ([(0.3, 0), (0.08, 0.6), (0.08, 0.6), (0.95, 0.6)], [(0.7, 0.25), (0.68, 1)]),
        ([(0.65, 1), (0.65, 0), (0.65, 0), (0.05, 0.68), (0.05, 0.68), (0.95, 0.68)],),
        ([(0.15, 0), (0.12, 0.5), (0.15, 0.55), (0.85, 0.5)], [(0.85, 0), (0.8, 1)]),
        ([(0.55, 0), (0.05, 0.65), (0.05, 0.65), (0.9, 0.65)], [(0.55, 0.4), (0.5, 1)]),
    ),
    (
        (
            [(0.85, 0), (0.85, 0), (0.2, 0), (0.2, 0), (0.15, 0.42), (0.15, 0.42)]
            + [(0.6, 0.36), (0.88, 0.68), (0.5, 1), (0.08, 0.9)],
        ),
        (
            [(0.22, 0.02), (0.15, 0.42), (0.15, 0.42), (0.6, 0.36), (0.88, 0.68)]
            + [(0.5, 1), (0.08, 0.9)],
            [(0.22, 0.02), (0.9, 0)],
        ),
        ([(0.9, 0), (0.3, 0.05), (0.2, 0.4), (0.8, 0.6), (0.6, 0.95), (0.05, 0.95)],),
    ),
    (
        (
            [(0.75, 0.02), (0.3, 0.3), (0.1, 0.7), (0.45, 1), (0.85, 0.78), (0.6, 0.5)]
            + [(0.15, 0.68)],
        ),
        ([(0.45, 0), (0.12, 0.6), (0.45, 1), (0.8, 0.8), (0.55, 0.6), (0.15, 0.75)],),
    ),
    (
        ([(0.08, 0.02), (0.08, 0.02), (0.9, 0), (0.9, 0), (0.4, 1)],),
        ([(0.08, 0.02), (0.9, 0), (0.9, 0), (0.5, 0.5), (0.4, 1)], [(0.25, 0.5), (0.85, 0.48)]),
        ([(0.08, 0.18), (0.1, 0.02), (0.1, 0.02), (0.9, 0.04), (0.9, 0.04), (0.35, 1)],),
        ([(0.1, 0.15), (0.3, 0.02), (0.9, 0.05), (0.6, 0.45), (0.45, 1)],),
    ),
    (
        (
            [(0.8, 0.15), (0.5, 0), (0.18, 0.2), (0.5, 0.48), (0.85, 0.75), (0.5, 1)]
            + [(0.12, 0.75), (0.5, 0.48), (0.8, 0.15)],
        ),
        (
            [(0.5, 0), (0.2, 0.22), (0.5, 0.46), (0.8, 0.22), (0.5, 0)],
            [(0.5, 0.46), (0.1, 0.75), (0.5, 1), (0.9, 0.75), (0.5, 0.46)],
        ),
    ),
    (
        (
            [(0.85, 0.2), (0.5, 0), (0.15, 0.28), (0.45, 0.52), (0.82, 0.25), (0.82, 0.25)]
            + [(0.8, 0.6), (0.7, 1)],
        ),
        (
            [(0.82, 0.12), (0.4, 0.02), (0.15, 0.3), (0.5, 0.5), (0.83, 0.2)]
            + [(0.85, 0.7), (0.55, 1), (0.15, 0.92)],
        ),
        ([(0.8, 0.25), (0.45, 0), (0.15, 0.25), (0.5, 0.5), (0.8, 0.25), (0.8, 0.25), (0.8, 1)],),
    ),
)


@dataclass(frozen=True)
class Pen:
    """How one person draws: the form of each digit, the pen's width, and how unsteadily."""

    forms: tuple[int, ...]
    width: float  # pixels of the square that digits are drawn in
    jitter: float  # standard deviation of the control points, likewise
    aspect: float  # width over height of a digit's frame
    straight: bool  # strokes are straight lines between the points
    gaps: float  # share of each stroke that is left out


def draw_pen(rng: np.random.Generator) -> Pen:
    """Chooses a pen, from a hairline to a broad marker."""
    return Pen(
        forms=tuple(int(rng.integers(len(forms))) for forms in FORMS),
        width=float(np.exp(rng.uniform(np.log(1.5), np.log(20)))),
        jitter=float(rng.uniform(0.5, 4.0)),
        aspect=float(rng.uniform(0.45, 0.95)),
        straight=bool(rng.random() < 0.1),
        gaps=float(rng.uniform(0.02, 0.08)) if rng.random() < 0.08 else 0.0,
    )


def draw_digit(value: int, pen: Pen, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Draws one digit; uint8[SIDE, SIDE], 255 where there is ink."""
    forms = FORMS[value]
    form = forms[pen.forms[value]] if rng.random() < 0.8 else forms[int(rng.integers(len(forms)))]
    frame = SIDE - 2 * _MARGIN
    ink = np.zeros((SIDE, SIDE), np.uint8)
    for stroke in form:
        points = np.array(stroke) * (frame * pen.aspect, frame)
        points = points + (SIDE - frame * pen.aspect) / 2 * np.array([1, 0]) + (0, _MARGIN)
        points = _jittered(points, pen.jitter, rng)
        path = points if pen.straight else _curve(points)
        for part in _parts(path, pen.gaps, rng):
            fixed = np.rint(part * (1 << _SHIFT)).astype(np.int32)
            width = max(1, round(pen.width * float(rng.uniform(0.92, 1.08))))
            cv2.polylines(ink, [fixed], False, 255, width, cv2.LINE_AA, _SHIFT)
    return ink


def _jittered(
    points: npt.NDArray[np.float64], jitter: float, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    moved = points + rng.normal(0, jitter, points.shape)
    same = (points[1:] == points[:-1]).all(axis=1)  # a corner stays one
    moved[1:][same] = moved[:-1][same]
    if (points[0] == points[-1]).all():
        moved[-1] = moved[0] + rng.normal(0, jitter, 2)
    return moved


def _curve(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """A Catmull-Rom curve through the points (Catmull and Rom, 1974)."""
    t = np.linspace(0, 1, 9)[:, None]
    framed = np.vstack([points[:1], points, points[-1:]])
    pieces: list[npt.NDArray[np.float64]] = []
    for a, b, c, d in zip(framed, framed[1:], framed[2:], framed[3:], strict=False):
        if (b == c).all():
            continue
        a, d = (b if (a == b).all() else a), (c if (d == c).all() else d)  # noqa: PLW2901
        pieces.append(
            0.5
            * (
                2 * b
                + (c - a) * t
                + (2 * a - 5 * b + 4 * c - d) * t**2
                + (3 * b - a - 3 * c + d) * t**3
            )
        )
    return np.vstack(pieces)


def _parts(
    path: npt.NDArray[np.float64], gaps: float, rng: np.random.Generator
) -> list[npt.NDArray[np.float64]]:
    if not gaps or len(path) < 12:
        return [path]
    cut = int(rng.integers(4, len(path) - 4))
    width = max(1, round(gaps * len(path)))
    return [part for part in (path[:cut], path[cut + width :]) if len(part) > 1]
