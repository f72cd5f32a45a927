"""A sheet: ink put on a page through a perspective, with the exact box of every digit."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from digitlens.datasets.synthetic.arrays import Ink, Matrix

IGNORED = -1  # value of a mark that is neither asked for nor counted as wrong
_SEEN = 0.55  # share of a digit's ink that must be on the sheet; less is ignored
_SOME = 0.08  # less than this is not even worth ignoring
_FAINT = 70  # ink below this level does not count for a box


@dataclass
class Sheet:
    """Ink, and what it means.

    Attributes:
        width: In pixels.
        height: In pixels.
        view: float64[3, 3]; the homography from the plane of the paper to the sheet.
        ink: uint8[height, width]; 255 where there is ink.
        boxes: x0, y0, x1, y1 of the ink of each mark that is on the sheet, in pixels, half-open.
        values: 0 to 9 of each mark, or ``IGNORED`` where much of the ink is off the sheet.
    """

    width: int
    height: int
    view: Matrix
    ink: Ink = field(init=False)
    boxes: list[tuple[float, float, float, float]] = field(init=False)
    values: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.ink = np.zeros((self.height, self.width), np.uint8)
        self.boxes, self.values = [], []
        self._is_plain = bool((self.view == np.eye(3)).all())

    def put(self, ink: Ink, matrix: Matrix, value: int | None) -> None:
        """Puts the ink of one character on the sheet, and marks where it is if it has a value.

        Of a digit partly off the sheet the part on it is marked: as the digit when that is most of
        its ink, else as ``IGNORED``, and not at all when next to nothing is left.

        Args:
            ink: uint8[h, w].
            matrix: float64[2, 3]; from pixels of the ink to the plane of the paper.
            value: 0 to 9, ``IGNORED``, or None for what is no digit.
        """
        ink, matrix = _reduced(ink, self._seen_from_above(ink, matrix))
        left, top, right, bottom = _span(ink, matrix)
        if right <= 0 or bottom <= 0 or left >= self.width or top >= self.height:
            return
        if max(right - left, bottom - top) > 4 * max(self.width, self.height):
            return
        patch = _warped(ink, matrix, (left, top), (right - left, bottom - top))
        x0, y0 = max(0, left), max(0, top)
        x1, y1 = min(self.width, right), min(self.height, bottom)
        inside = patch[y0 - top : y1 - top, x0 - left : x1 - left]
        if value is not None:
            self._mark(patch, inside, (x0, y0), value)
        target = self.ink[y0:y1, x0:x1]
        np.maximum(target, inside, out=target)

    def line(
        self, start: tuple[float, float], end: tuple[float, float], width: int, level: int = 255
    ) -> None:
        """Draws a straight rule between two points of the paper's plane."""
        a, b = self.at(start), self.at(end)
        fixed = [(int(np.clip(v, -9999, 9999) * 16)) for v in (*a, *b)]
        cv2.line(self.ink, fixed[:2], fixed[2:], level, width, cv2.LINE_AA, 4)

    def at(self, point: tuple[float, float]) -> tuple[float, float]:
        """Where a point of the paper's plane is on the sheet."""
        x, y, w = self.view @ (point[0], point[1], 1.0)
        return float(x / w), float(y / w)

    def _seen_from_above(self, ink: Ink, matrix: Matrix) -> Matrix:
        # Over one character the homography is an affine map: its derivative at the centre.
        if self._is_plain:
            return matrix
        centre = matrix[:, :2] @ (ink.shape[1] / 2, ink.shape[0] / 2) + matrix[:, 2]
        x, y, w = self.view @ (centre[0], centre[1], 1.0)
        place = np.array([x / w, y / w])
        slope = (self.view[:2, :2] - place[:, None] * self.view[2, :2]) / w
        seen = np.empty((2, 3))
        seen[:, :2] = slope @ matrix[:, :2]
        seen[:, 2] = place + slope @ (matrix[:, 2] - centre)
        return seen

    def _mark(self, patch: Ink, inside: Ink, corner: tuple[int, int], value: int) -> None:
        whole, seen = float(patch.sum(dtype=np.int64)), float(inside.sum(dtype=np.int64))
        if not whole or seen < _SOME * whole:
            return
        dark = inside > min(_FAINT, int(inside.max()) // 2)
        rows, columns = np.flatnonzero(dark.any(axis=1)), np.flatnonzero(dark.any(axis=0))
        if not len(rows):
            return
        x, y = corner
        x0, x1 = float(x + columns[0]), float(x + columns[-1] + 1)
        y0, y1 = float(y + rows[0]), float(y + rows[-1] + 1)
        self.boxes.append((x0, y0, x1, y1))
        self.values.append(value if seen >= _SEEN * whole else IGNORED)


def _span(ink: Ink, matrix: Matrix) -> tuple[int, int, int, int]:
    """What the mapped ink covers, in whole pixels: left, top, right, bottom."""
    height, width = ink.shape
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], float)
    x, y = matrix[:, :2] @ corners.T + matrix[:, 2:]
    left, top = int(np.floor(x.min())) - 1, int(np.floor(y.min())) - 1
    return left, top, int(np.ceil(x.max())) + 2, int(np.ceil(y.max())) + 2


def _warped(ink: Ink, matrix: Matrix, corner: tuple[int, int], size: tuple[int, int]) -> Ink:
    """The mapped ink within a frame: uint8[h, w] for a size (w, h)."""
    # cv2 counts from the centre of the first pixel, the boxes here from its corner.
    moved = matrix.copy()
    moved[:, 2] += moved[:, :2] @ (0.5, 0.5) - (0.5 + corner[0], 0.5 + corner[1])
    return np.asarray(cv2.warpAffine(ink, moved, size, flags=cv2.INTER_LINEAR), np.uint8)


def _reduced(ink: Ink, matrix: Matrix) -> tuple[Ink, Matrix]:
    """Shrinks the ink by area averaging where the map would skip pixels."""
    (a, b), (c, d) = matrix[:, :2].tolist()
    scale = abs(a * d - b * c) ** 0.5
    if scale >= 0.6 or scale == 0:
        return ink, matrix
    height, width = ink.shape
    new = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(ink, new, interpolation=cv2.INTER_AREA)
    matrix = matrix.copy()
    matrix[:, 0] *= width / new[0]
    matrix[:, 1] *= height / new[1]
    return np.asarray(small, np.uint8).reshape(new[1], new[0]), matrix
