"""Recognises lines: those that the line detector found, and those that lone digits make up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from digitlens.data.images import Page
from digitlens.data.quantile import median, quantile
from digitlens.imaging.framing import HEIGHT, batch_lines, crop_line
from digitlens.models.line_recognizer import STEP, LineRecognizer
from digitlens.reading.decode import Symbols, decode
from digitlens.reading.multiscale import Detections
from digitlens.reading.text_lines import TextLine
from digitlens.recognition.candidates import Candidates
from digitlens.recognition.layout import lines_of

LIKELY = 0.15  # score of a digit from which a line of its own is read for it
_MARGIN = 0.12  # heights: paper around a line that digits make up
_APART = 2.0  # heights: a wider gap between digits begins a new line
_LOWER, _HIGHER = 0.4, 1.4  # heights of a line: a digit on it is between these
_INK = 0.35  # share of the strongest contrast in a line from which a pixel is ink

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class RecognizedLine:
    """A line and what the recogniser says of it.

    Attributes:
        line: Where it stands.
        crop: uint8[48, W, 3]; what the network saw.
        posteriors: float32[W / 8, C].
        symbols: Its characters.
    """

    line: TextLine
    crop: Pixels
    posteriors: Floats
    symbols: Symbols

    @property
    def scale(self) -> float:
        """Columns of the crop for each pixel of the page."""
        return HEIGHT / max(self.line.height, 1e-3)

    def place(self, points: Floats) -> Floats:
        """Where points of the page are in the crop.

        Args:
            points: float32[N, 2]; x, y.

        Returns:
            float32[N, 2]; column, row.
        """
        across, down = _axes(self.line)
        away = points - self.line.quad[0]
        return np.stack([away @ across, away @ down], axis=1).astype(np.float32) * self.scale

    def box(self, columns: tuple[float, float], rows: tuple[float, float]) -> Floats:
        """The upright box on the page around a part of the crop: float32[4]."""
        across, down = _axes(self.line)
        corners = [x * across + y * down for x in columns for y in rows]
        points = self.line.quad[0] + np.array(corners) / self.scale
        return np.concatenate([points.min(axis=0), points.max(axis=0)]).astype(np.float32)


def recognize(
    page: Page, lines: Sequence[TextLine], recognizer: LineRecognizer
) -> list[RecognizedLine]:
    """Reads lines.

    Args:
        page: uint8[H, W] or uint8[H, W, 3].
        lines: Where they stand.
        recognizer: Reads line crops.
    """
    crops = [crop_line(page, line.quad) for line in lines]
    posteriors: dict[int, Floats] = {}
    for indices, batch in batch_lines(crops):
        rows = recognizer.posteriors(batch)
        for index, row in zip(indices, rows, strict=True):
            posteriors[index] = row[: crops[index].shape[1] // STEP]
    return [
        RecognizedLine(line, crop, posteriors[index], decode(posteriors[index]))
        for index, (line, crop) in enumerate(zip(lines, crops, strict=True))
    ]


def line_proposals(found: Detections) -> list[TextLine]:
    """The lines to read: detected ones, and one for each group of digits that is on none."""
    digits = found.digits[found.digits.score > LIKELY]
    lines = [line for line in found.lines if not _is_part_of_digit(line, digits)]
    left = digits[~_covered(digits.boxes, lines)]
    return lines + [_line_of(left.boxes[group]) for group in _groups(left.boxes)]


def on_line(boxes: Floats, line: TextLine) -> npt.NDArray[np.bool_]:
    """Which boxes are of a size with a line and have their middle on it.

    Args:
        boxes: float32[N, 4]; on the page.
        line: The line.
    """
    across, down = _axes(line)
    away = (boxes[:, :2] + boxes[:, 2:]) / 2 - line.quad[0]
    x, y = away @ across, away @ down
    heights = boxes[:, 3] - boxes[:, 1]
    inside = (x > 0) & (x < line.width) & (y > 0) & (y < line.height)
    return inside & (heights > _LOWER * line.height) & (heights < _HIGHER * line.height)


def _covered(boxes: Floats, lines: Sequence[TextLine]) -> npt.NDArray[np.bool_]:
    covered = np.zeros(len(boxes), bool)
    for line in lines:
        covered |= on_line(boxes, line)
    return covered


def _is_part_of_digit(line: TextLine, digits: Candidates) -> bool:
    """Whether a line is but a stroke of a digit that is larger."""
    x0, y0 = line.quad.min(axis=0)
    x1, y1 = line.quad.max(axis=0)
    area = max(1e-3, (x1 - x0) * (y1 - y0))
    sure = digits.boxes[digits.score > 0.5]
    if not len(sure):
        return False
    wide = np.minimum(sure[:, 2], x1) - np.maximum(sure[:, 0], x0)
    high = np.minimum(sure[:, 3], y1) - np.maximum(sure[:, 1], y0)
    inside = np.clip(wide, 0, None) * np.clip(high, 0, None) / area
    larger = (sure[:, 3] - sure[:, 1]) > _HIGHER * (y1 - y0)
    return bool(((inside > 0.6) & larger).any())


def _groups(boxes: Floats) -> list[list[int]]:
    """Digits that stand together on a line."""
    groups: list[list[int]] = []
    for line in lines_of(boxes):
        group: list[int] = []
        for index in line:
            if group:
                last, box = boxes[group[-1]], boxes[index]
                height = max(last[3] - last[1], box[3] - box[1])
                lower = min(last[3] - last[1], box[3] - box[1])
                if box[0] - last[2] > _APART * height or lower < 0.5 * height:
                    groups.append(group)
                    group = []
            group.append(index)
        groups.append(group)
    return groups


def _line_of(boxes: Floats) -> TextLine:
    """A line around boxes, from left to right, along the direction in which they go on."""
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    across = np.array([1.0, 0.0])
    if len(boxes) > 1:
        way = middle[-1] - middle[0]
        if abs(way[1]) < abs(way[0]):
            across = way / np.hypot(*way)
    down = np.array([-across[1], across[0]])
    corners = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 2)
    if abs(across[1]) > 0.02:  # of a turned line the corners of upright boxes reach too far
        halves = (boxes[:, 2:] - boxes[:, :2]) / 2
        steps = [-across * halves[:, :1], across * halves[:, :1]]
        steps += [-down * halves[:, 1:], down * halves[:, 1:]]
        corners = np.concatenate([middle + step for step in steps])
    x, y = corners @ across, corners @ down
    margin = _MARGIN * (y.max() - y.min())
    left, right = x.min() - margin, x.max() + margin
    top, bottom = y.min() - margin, y.max() + margin
    quad = [
        a * across + b * down
        for a, b in ((left, top), (right, top), (right, bottom), (left, bottom))
    ]
    return TextLine(np.array(quad, np.float32), 0.0)


def _axes(line: TextLine) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Unit vectors along a line and across it."""
    right = (line.quad[1] - line.quad[0]).astype(np.float64)
    down = (line.quad[3] - line.quad[0]).astype(np.float64)
    return right / max(float(np.hypot(*right)), 1e-6), down / max(float(np.hypot(*down)), 1e-6)


def symbol_boxes(read: RecognizedLine) -> Floats:
    """The box of each character: between its neighbours, around the ink there.

    Returns:
        float32[K, 4]; on the page.
    """
    count = len(read.symbols)
    if not count:
        return np.zeros((0, 4), np.float32)
    centres = read.symbols.centres
    between = (centres[1:] + centres[:-1]) / 2
    left = np.r_[max(0.0, float(centres[0]) - HEIGHT / 2), between]
    right = np.r_[between, min(float(read.crop.shape[1]), float(centres[-1]) + HEIGHT / 2)]
    left = np.maximum(left, centres - 0.6 * HEIGHT)
    right = np.minimum(right, centres + 0.6 * HEIGHT)
    ink = _ink(read.crop)
    return np.stack([read.box(*_tight(ink, a, b)) for a, b in zip(left, right, strict=True)])


def _tight(
    ink: npt.NDArray[np.bool_], left: float, right: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Columns and rows of the ink between two columns; all of the part if there is none."""
    first, last = int(left), max(int(left) + 1, int(np.ceil(right)))
    part = ink[:, first:last]
    columns, rows = np.flatnonzero(part.any(axis=0)), np.flatnonzero(part.any(axis=1))
    if not len(columns):
        return (left, right), (0.1 * HEIGHT, 0.9 * HEIGHT)
    return (
        (float(first + columns[0]), float(first + columns[-1] + 1)),
        (float(rows[0]), float(rows[-1] + 1)),
    )


def _ink(crop: Pixels) -> npt.NDArray[np.bool_]:
    """bool[48, W]: where a line differs from its paper."""
    pixels = crop.astype(np.float32)
    paper = median(pixels.reshape(-1, 3).T)
    away = np.abs(pixels - paper).max(axis=2)
    strongest = float(quantile(away, 0.98))
    return away > max(12.0, _INK * strongest)
