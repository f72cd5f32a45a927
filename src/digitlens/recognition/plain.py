"""Finds the digits of plain drawings without a network: strokes that stand apart on flat paper.

A drawing on a screen, a scan of clean paper, an enlarged tile: there each stroke is a candidate,
and all that is left to say is which digit it is. Everything else is left to looks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from digitlens.data.images import Page, shrink
from digitlens.data.quantile import median, quantile
from digitlens.data.tiles import stroke_width
from digitlens.recognition.components import connected_components

_LONGEST = 320  # pixels of the copy in which ink is looked for
_RIM = 2  # pixels at the edge that show the paper
_SMALLEST = 8  # pixels; smaller copies have no rim to speak of
_NEARLY_ALL = 0.99  # of the edge is paper
_CONTRAST = 64.0  # gray levels between paper and full ink
_INK = 0.4  # of full ink
_FLAT = 0.12  # of full ink: paper differs less from its median ...
_GRAIN = 12.0  # ... or by so many gray levels
_MOST_INK = 0.4  # of all pixels
_SOFT = 0.1  # of the largest stroke's longer side: so far from ink, gray is the edge of a stroke
_STRAY = 0.01  # of all pixels may be gray and far from ink
_SPECK = 0.2  # of the largest stroke's longer side: what is smaller is no digit
_SPECKS = 4  # with more of them, the paper is not plain
_DIGITS = 12  # with more strokes, it is a page
_LEAST = 14  # pixels in the copy: longer side of a digit
_GAP = 2  # columns between two digits
_REDUCED = 2  # pages so many times larger than the copy lose thin lines in it
_HAIR = 2.5  # pixels of the copy, each as dark as its darkest spot: a thin line there

Floats = npt.NDArray[np.float32]
_Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Strokes:
    """Strokes that stand side by side on flat paper.

    Attributes:
        boxes: float32[N, 4]; of each, from left to right, in page pixels.
        page: uint8[H, W] or uint8[H, W, 3]; the page, or where its pen is as thin as a hair a copy
            of it that still shows the pen, dark on bright.
        scale: Page pixels of a pixel of the copy; 1 for the page itself.
    """

    boxes: Floats
    page: Page
    scale: float


def isolated_strokes(page: Page) -> Strokes | None:
    """The strokes of a plain drawing.

    Args:
        page: uint8[H, W] or uint8[H, W, 3].

    Returns:
        One or more; None where the page is anything else: paper with a pattern or shadows, grays
        that belong to no stroke, strokes above one another, too many or too small.
    """
    factor = -(-max(page.shape[:2]) // _LONGEST)
    if min(page.shape[:2]) < _SMALLEST * factor:
        return None
    rim, paper = _rim(page[::factor, ::factor])
    if quantile(_distance(rim, paper), _NEARLY_ALL) > _FLAT * 255:
        return None
    if factor >= _REDUCED and (thin := _hairlines(page, factor, paper)) is not None:
        boxes = _strokes(thin)
        dark = np.rint(255 - thin * (255 / thin.max())).astype(np.uint8)
        return None if boxes is None else Strokes(boxes * np.float32(factor), dark, factor)
    copy = np.atleast_3d(shrink(page, _LONGEST))
    boxes = _strokes(_distance(copy, _rim(copy)[1]))
    scale = max(page.shape[:2]) / max(copy.shape[:2])
    return None if boxes is None else Strokes(boxes * np.float32(scale), page, 1)


def _hairlines(page: Page, factor: int, paper: Floats) -> Floats | None:
    """float32[h, w]: the farthest from the paper of factor x factor pixels, if strokes are thin.

    An average would leave next to nothing of a line of one pixel.
    """
    height, width = (side // factor for side in page.shape[:2])
    blocks = page[: height * factor, : width * factor].reshape(height, factor, width, factor, -1)
    ends = (blocks.max(axis=(1, 3)), blocks.min(axis=(1, 3)))
    away = np.maximum(*(_distance(end, paper) for end in ends))
    ink = away > _INK * away.max()
    return away if ink.any() and stroke_width(ink) < _HAIR else None


def _rim(copy: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.uint8], Floats]:
    """uint8[N, C], the pixels at the edge, and float32[C], the colour that most of them have."""
    rim = _edge(np.atleast_3d(copy))
    return rim, median(rim.T.astype(np.float32))


def _edge(plane: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The pixels of [H, W, ...] that are two or less from its edge: [N, ...]."""
    sides = (plane[:_RIM], plane[-_RIM:], plane[:, :_RIM], plane[:, -_RIM:])
    return np.concatenate([side.reshape(-1, *plane.shape[2:]) for side in sides])


def _distance(pixels: npt.NDArray[np.uint8], paper: Floats) -> Floats:
    return np.abs(pixels - paper).max(axis=-1)


def _strokes(away: Floats) -> Floats | None:
    """float32[N, 4]: boxes of strokes, if there is nothing beside them.

    Args:
        away: float32[h, w]; gray levels between the paper and each pixel.
    """
    full = float(away.max())
    flat = max(_GRAIN, _FLAT * full)
    if full < _CONTRAST or quantile(_edge(away), _NEARLY_ALL) > flat:
        return None
    ink = away > _INK * full
    boxes = connected_components(ink).boxes
    longer = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    largest = int(longer.max())
    large = longer >= _SPECK * largest
    boxes = boxes[large][np.argsort(boxes[large][:, 0], kind="stable")]
    alone = bool((boxes[1:, 0] >= np.maximum.accumulate(boxes[:, 2])[:-1] + _GAP).all())
    stray = (away > flat) & ~_around(ink, max(3, int(np.ceil(_SOFT * largest))))
    plain = (
        ink.mean() <= _MOST_INK
        and stray.mean() <= _STRAY
        and len(large) - len(boxes) <= _SPECKS
        and len(boxes) <= _DIGITS
        and longer[large].min() >= _LEAST
        and alone
    )
    return boxes.astype(np.float32) if plain else None


def _around(mask: _Mask, reach: int) -> _Mask:
    """The pixels of a mask and all that are within reach of it, in rows and columns."""
    height, width = mask.shape
    grown = np.zeros((height + 2 * reach, width + 2 * reach), np.bool_)
    grown[reach : reach + height, reach : reach + width] = mask
    return _gathered(_gathered(grown, 2 * reach + 1).T, 2 * reach + 1).T


def _gathered(mask: _Mask, count: int) -> _Mask:
    """bool[H - count + 1, W]: whether any of so many pixels below one another, from each on, is."""
    reached = 1
    while reached < count:  # twice as far each time
        step = min(reached, count - reached)
        mask = mask[:-step] | mask[step:]
        reached += step
    return mask
