"""Ink as different people would have left it: slanted, stretched, thick or thin, scanned coarsely.

The strokes get the widths that MNIST's have, so that a network cannot tell digits from what is none
by the pen.
"""

from __future__ import annotations

import cv2
import numpy as np

from digitlens.datasets.synthetic.arrays import Ink
from digitlens.imaging.tiles import Tile, to_tile

FAINT = 40  # ink up to this level does not count
FINE = 80  # longest side of varied ink, in pixels: four to one of a tile
_STEP = 4  # such pixels to a pixel of the tile
# Of stroke widths in tile pixels; MNIST's have the median 2.7 and 98 % within 1.5 and 4.8.
_WIDTH, _SPREAD = 2.7, 0.28
_SCANNED = 0.5  # share that is scanned coarsely in black and white, as MNIST's forms were


def vary(ink: Ink, rng: np.random.Generator) -> Ink:
    """One way that the same form could have been drawn.

    Args:
        ink: uint8[h, w], 255 where there is ink, with some ink.
        rng: Decides.

    Returns:
        uint8[H, W], cropped, the longer side about ``FINE``.
    """
    turned = crop(_warped(crop(ink), rng))
    width = _WIDTH * float(np.exp(_SPREAD * rng.standard_normal()))
    drawn = with_strokes(scaled(turned, FINE), width * _STEP)
    return crop(_scanned(drawn, rng) if rng.random() < _SCANNED else drawn)


def varied_tile(ink: Ink, rng: np.random.Generator) -> Tile:
    """The tile uint8[28, 28] of one way to draw the ink."""
    return to_tile(vary(ink, rng))


def crop(ink: Ink) -> Ink:
    """The part of uint8[H, W] with ink above ``FAINT``; all of it when there is none."""
    left, top, width, height = cv2.boundingRect((ink > FAINT).view(np.uint8))
    if not width:
        return ink
    return np.ascontiguousarray(ink[top : top + height, left : left + width])


def scaled(ink: Ink, longest: int) -> Ink:
    """The ink with its longer side that many pixels."""
    scale = longest / max(ink.shape)
    size = max(1, round(ink.shape[1] * scale)), max(1, round(ink.shape[0] * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(ink, size, interpolation=how), np.uint8).reshape(size[::-1])


def with_strokes(ink: Ink, width: float) -> Ink:
    """The ink with strokes of about that mean width, in pixels.

    It stays as it is where holes would be filled or strokes would break, which makes another sign.
    """
    change = (width - _stroke_width(ink)) / 2
    reach = round(min(abs(change), 0.12 * max(ink.shape)))
    if not reach:
        return ink
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    morph, frame = (cv2.dilate, reach + 1) if change > 0 else (cv2.erode, 1)
    changed = np.asarray(morph(_framed(ink, frame), kernel), np.uint8)
    return changed if _parts(changed) == _parts(_framed(ink, 1)) else ink


def _parts(ink: Ink) -> tuple[int, int]:
    """How many pieces of ink there are, and how many holes and other pieces of paper."""
    mask = (ink > 127).view(np.uint8)
    pieces, paper = cv2.connectedComponents(mask)[0], cv2.connectedComponents(1 - mask)[0]
    return pieces, paper


def _stroke_width(ink: Ink) -> float:
    mask = _framed((ink > 127).view(np.uint8), 1)
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    area, inside = cv2.countNonZero(mask), cv2.countNonZero(cv2.erode(mask, cross))
    return 2 * area / max(area - inside, 1)


def _framed(ink: Ink, by: int) -> Ink:
    return np.asarray(cv2.copyMakeBorder(ink, by, by, by, by, cv2.BORDER_CONSTANT), np.uint8)


def _warped(ink: Ink, rng: np.random.Generator) -> Ink:
    """Turned, slanted and stretched a little, about the middle."""
    turn, slant = rng.normal(0, 0.1), rng.normal(0.03, 0.16)
    stretch = float(np.exp(rng.normal(0, 0.15)))
    cos, sin = np.cos(turn), np.sin(turn)
    linear = np.array([[cos, -sin], [sin, cos]]) @ np.array([[stretch, -slant], [0, 1]])
    linear *= FINE / max(ink.shape)
    side = 2 * FINE
    matrix = np.empty((2, 3))
    matrix[:, :2] = linear
    matrix[:, 2] = side / 2 - linear @ (ink.shape[1] / 2, ink.shape[0] / 2)
    return np.asarray(cv2.warpAffine(ink, matrix, (side, side), flags=cv2.INTER_LINEAR), np.uint8)


def _scanned(ink: Ink, rng: np.random.Generator) -> Ink:
    small = scaled(ink, int(rng.integers(28, 50)))
    return np.where(small > rng.integers(90, 166), 255, 0).astype(np.uint8)
