"""Arrays that pages are made of, and what all drawing shares: geometry, chance and blending."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

Rng = np.random.Generator
Ink = npt.NDArray[np.uint8]  # [h, w]; 255 where there is ink, 0 where there is none
Pixels = npt.NDArray[np.uint8]  # [H, W, 3]; a finished picture
Plane = npt.NDArray[np.float32]  # [h, w] or [h, w, 3]; on the way to one, not clipped to 0..255
Colour = npt.NDArray[np.float32]  # [3]; 0..255
Boxes = npt.NDArray[np.float32]  # [N, 4]; x0, y0, x1, y1 in pixels, half-open
Values = npt.NDArray[np.int8]  # [N]; the digit in each box, or -1 for what may be read or not
Points = npt.NDArray[np.float64]  # [n, 2] or [2]; x to the right, y down
Matrix = npt.NDArray[np.float64]  # [2, 3] affine or [3, 3] homography, for columns (x, y, 1)
Extent = tuple[float, float, float, float]  # x0, y0, x1, y1 in digit heights, baseline at 0

FAINT = 40  # ink up to this level does not count

T = TypeVar("T")


def load_table(path: Path) -> list[dict[str, Any]]:
    """The rows of a table that comes with the package, by column."""
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def pick(rng: Rng, options: Sequence[T]) -> T:
    """One of the options, each as likely."""
    return options[int(rng.integers(len(options)))]


def pick_by_share(rng: Rng, options: Sequence[tuple[float, T]]) -> T:
    """One of the options, each as often as its share of all says."""
    upto = np.cumsum([share for share, _ in options])
    return options[int(np.searchsorted(upto, rng.random() * upto[-1], "right"))][1]


def log_uniform(rng: Rng, low: float, high: float) -> float:
    """A number between two, small ones as likely as large ones."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def rotation(angle: float) -> Matrix:
    """A turn about the origin, clockwise on a picture; float64[3, 3]."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])


def about(matrix: Matrix, x: float, y: float) -> Matrix:
    """A homography about a point instead of the origin."""
    there = np.array([[1, 0, -x], [0, 1, -y], [0, 0, 1]])
    back = np.array([[1, 0, x], [0, 1, y], [0, 0, 1]])
    return back @ matrix @ there


def project(matrix: Matrix, points: Points) -> Points:
    """Points seen through a homography; float64[n, 2]."""
    x, y, w = matrix @ np.column_stack([points, np.ones(len(points))]).T
    return np.stack([x / w, y / w], axis=1)


def rectangle(x0: float, y0: float, x1: float, y1: float) -> Points:
    """The corners of a rectangle, clockwise from the top left; float64[4, 2]."""
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], float)


def extent_of(points: Points) -> Extent:
    """The least x and y of some points, and the largest."""
    (x0, y0), (x1, y1) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    return x0, y0, x1, y1


def fill(target: npt.NDArray[Any], outline: Points, value: object, bits: int = 0) -> None:
    """Fills a polygon with a value for each channel; corners have so many fractional bits."""
    corners = np.rint(outline * (1 << bits)).astype(np.int32)
    cv2.fillPoly(target, [corners], value, cv2.LINE_AA, bits)  # pyright: ignore[reportCallIssue, reportArgumentType]


def around(angles: npt.NDArray[np.float64]) -> Points:
    """Points of the unit circle at some angles, in radians; float64[n, 2]."""
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def curve(
    target: npt.NDArray[Any], points: Points, value: object, width: int, *, closed: bool = False
) -> None:
    """Draws lines through points float[n, 2], rounded to pixels, with a value for each channel."""
    fixed = np.rint(points).astype(np.int32)
    cv2.polylines(target, [fixed], closed, value, width, cv2.LINE_AA)  # pyright: ignore[reportCallIssue, reportArgumentType]


def stroke(ink: Ink, points: Points, width: int, *, closed: bool = False) -> None:
    """Draws straight lines through points, float[n, 2] in pixels."""
    fixed = np.rint(points * 16).astype(np.int32)
    cv2.polylines(ink, [fixed], closed, 255, width, cv2.LINE_AA, 4)


def crop(ink: Ink, faint: int = FAINT) -> Ink:
    """The part of uint8[h, w] with ink above a level; all of it when there is none."""
    left, top, width, height = cv2.boundingRect((ink > faint).view(np.uint8))
    if not width:
        return ink
    return np.ascontiguousarray(ink[top : top + height, left : left + width])


def blur(plane: npt.NDArray[Any], sigma: float) -> Plane:
    """Gaussian blur, in the precision of what comes in; float32."""
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma), np.float32)


def blend(below: Plane | Colour, above: Plane | Colour, cover: Plane) -> Plane:
    """What is seen of two where one covers the other; cover is float32[h, w], 0..1."""
    return np.asarray(below + cover[:, :, None] * (above - below), np.float32)


def covered(below: Plane | Colour, above: Plane | Colour, ink: Ink) -> Plane:
    """What is seen of two where one covers the other as ink does."""
    return blend(below, above, ink.astype(np.float32) / np.float32(255))


def tinted(below: Plane, colour: Colour, ink: Ink | Plane, strength: float = 1.0) -> Plane:
    """The same of ink that lets through what is below, as far as its strength, 0..1, says."""
    return blend(below, colour, ink.astype(np.float32) * np.float32(strength / 255))


def between(first: Colour, second: Colour, share: float) -> Colour:
    """The colour a share of the way from the first to the second; float32[3]."""
    return np.asarray(first + np.float32(share) * (second - first), np.float32)


def cast_shadow(ink: Ink, shift: Points, sigma: float) -> Plane:
    """Ink moved by so many pixels to the right and down, and blurred; float32[h, w], 0..255."""
    matrix = np.array([[1, 0, shift[0]], [0, 1, shift[1]]])
    return blur(cv2.warpAffine(ink, matrix, ink.shape[::-1]), max(0.3, sigma))


def as_colour(levels: object) -> Colour:
    """Gray levels, cut to 0..255; float32[3]."""
    return np.clip(np.asarray(levels, np.float32), 0, 255).astype(np.float32)
