"""Array types of generated pages, and helpers for geometry, random choice and blending."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

Rng = np.random.Generator
Ink = npt.NDArray[np.uint8]  # [h, w]; 255 for full ink, 0 for none
Pixels = npt.NDArray[np.uint8]  # [H, W, 3]; a finished picture
Plane = npt.NDArray[np.float32]  # [h, w] or [h, w, 3]; unfinished, not clipped to 0..255
Colour = npt.NDArray[np.float32]  # [3]; 0..255
Boxes = npt.NDArray[np.float32]  # [N, 4]; x0, y0, x1, y1 in pixels, half-open
Values = npt.NDArray[np.int8]  # [N]; the digit in each box, or -1 for "ignore"
Points = npt.NDArray[np.float64]  # [n, 2] or [2]; x to the right, y down
Matrix = npt.NDArray[np.float64]  # [2, 3] affine or [3, 3] homography, for columns (x, y, 1)
Extent = tuple[float, float, float, float]  # x0, y0, x1, y1 in digit heights, baseline at 0

FAINT = 40  # ink up to this level counts as none

T = TypeVar("T")


def load_table(path: Path) -> list[dict[str, Any]]:
    """The rows of a CSV table of the package, as dictionaries by column name."""
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def pick(rng: Rng, options: Sequence[T]) -> T:
    """One of the options, with equal probability."""
    return options[int(rng.integers(len(options)))]


def pick_text(rng: Rng, characters: str, length: int) -> str:
    """A text of ``length`` of the characters, with equal probability."""
    return "".join(pick(rng, characters) for _ in range(length))


def pick_by_share(rng: Rng, options: Sequence[tuple[float, T]]) -> T:
    """One of the options, with a probability proportional to its weight."""
    cumulative = np.cumsum([share for share, _ in options])
    return options[int(np.searchsorted(cumulative, rng.random() * cumulative[-1], "right"))][1]


def log_uniform(rng: Rng, low: float, high: float) -> float:
    """A random number from ``low`` to ``high``, uniform in the logarithm."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def rotation(angle: float) -> Matrix:
    """A rotation about the origin by radians, clockwise on a picture; float64[3, 3]."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])


def about_point(matrix: Matrix, x: float, y: float) -> Matrix:
    """The homography applied about the point (x, y) instead of the origin."""
    to_origin = np.array([[1, 0, -x], [0, 1, -y], [0, 0, 1]])
    from_origin = np.array([[1, 0, x], [0, 1, y], [0, 0, 1]])
    return from_origin @ matrix @ to_origin


def project(matrix: Matrix, points: Points) -> Points:
    """Points transformed by a homography; float64[n, 2]."""
    x, y, w = matrix @ np.column_stack([points, np.ones(len(points))]).T
    return np.stack([x / w, y / w], axis=1)


def rectangle(x0: float, y0: float, x1: float, y1: float) -> Points:
    """The corners of a rectangle, clockwise from the top left; float64[4, 2]."""
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], float)


def extent_of(points: Points) -> Extent:
    """The bounding box of points."""
    (x0, y0), (x1, y1) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    return x0, y0, x1, y1


def fill(target: npt.NDArray[Any], outline: Points, value: object, bits: int = 0) -> None:
    """Fills a polygon with a value per channel; corners are rounded to ``bits`` fractional bits."""
    corners = np.rint(outline * (1 << bits)).astype(np.int32)
    cv2.fillPoly(target, [corners], value, cv2.LINE_AA, bits)  # pyright: ignore[reportCallIssue, reportArgumentType]


def unit_circle(angles: npt.NDArray[np.float64] | float) -> Points:
    """Points of the unit circle at angles in radians; float64[n, 2], or [2] for a single angle."""
    return np.stack([np.cos(angles), np.sin(angles)], axis=-1)


def curve(
    target: npt.NDArray[Any], points: Points, value: object, width: int, *, closed: bool = False
) -> None:
    """Draws a polyline through float[n, 2] points, rounded to pixels, with a value per channel."""
    pixels = np.rint(points).astype(np.int32)
    cv2.polylines(target, [pixels], closed, value, width, cv2.LINE_AA)  # pyright: ignore[reportCallIssue, reportArgumentType]


def stroke(ink: Ink, points: Points, width: int, *, closed: bool = False) -> None:
    """Draws a polyline of full ink through float[n, 2] points in pixels, to 1/16 pixel."""
    sixteenths = np.rint(points * 16).astype(np.int32)
    cv2.polylines(ink, [sixteenths], closed, 255, width, cv2.LINE_AA, 4)


def crop(ink: Ink, faint: int = FAINT) -> Ink:
    """The bounding box of ink above a level in uint8[h, w]; all of it if there is none."""
    left, top, width, height = cv2.boundingRect((ink > faint).view(np.uint8))
    if not width:
        return ink
    return np.ascontiguousarray(ink[top : top + height, left : left + width])


def blur(plane: npt.NDArray[Any], sigma: float) -> Plane:
    """Gaussian blur, computed in the precision of the input; float32."""
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma), np.float32)


def blend(below: Plane | Colour, above: Plane | Colour, alpha: Plane) -> Plane:
    """Alpha blending of ``above`` over ``below``; ``alpha`` is float32[h, w], 0..1."""
    return np.asarray(below + alpha[:, :, None] * (above - below), np.float32)


def blend_ink(below: Plane | Colour, above: Plane | Colour, ink: Ink) -> Plane:
    """Alpha blending of ``above`` over ``below`` with ink as the alpha, 255 for opaque."""
    return blend(below, above, ink.astype(np.float32) / np.float32(255))


def blend_tint(below: Plane, colour: Colour, ink: Ink | Plane, strength: float = 1.0) -> Plane:
    """Blends a colour over ``below`` with ink as the alpha, scaled by ``strength``, 0..1."""
    return blend(below, colour, ink.astype(np.float32) * np.float32(strength / 255))


def mix_colours(first: Colour, second: Colour, fraction: float) -> Colour:
    """Linear interpolation from the first colour to the second; float32[3]."""
    return np.asarray(first + np.float32(fraction) * (second - first), np.float32)


def cast_shadow(ink: Ink, shift: Points, sigma: float) -> Plane:
    """Ink shifted by (right, down) pixels and blurred; float32[h, w], 0..255."""
    matrix = np.array([[1, 0, shift[0]], [0, 1, shift[1]]])
    return blur(cv2.warpAffine(ink, matrix, ink.shape[::-1]), max(0.3, sigma))


def as_colour(levels: object) -> Colour:
    """Levels clipped to 0..255; float32[3]."""
    return np.clip(np.asarray(levels, np.float32), 0, 255).astype(np.float32)
