"""Feeds the crop network: windows around what the page reader takes for digits on drawn pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from digitlens.data.pages.pages import Page, PageMaker
from digitlens.data.pages.sheet import IGNORED
from digitlens.data.windows import windows
from digitlens.evaluation.overlap import overlaps
from digitlens.model.crop_model import NONE
from digitlens.training.page_stream import view_batches

MOST = 10  # windows of one page with a digit in the middle, and as many without
_SAME, _OTHER = 0.5, 0.3  # overlap from which a box is a digit's, and below which it is not
_ALONE = 0.1  # share of windows without a digit that lie anywhere
_WORDS = 0.2  # share of pages with words, beside those that the maker draws: most mistakes

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]
Samples = tuple[Pixels, npt.NDArray[np.int8]]
Find = Callable[[Pixels], tuple[Floats, Floats]]
"""From pixels of a page to float32[N, 4] boxes and float32[N] scores of what may be digits."""


class Crops(NamedTuple):
    """A batch: uint8[B, 3, 56, 56] windows and int64[B] classes, 10 for none."""

    windows: Tensor
    classes: Tensor


class _Views(Dataset[list[Samples]]):
    def __init__(self, maker: PageMaker, find: Find, side: int, views: int) -> None:
        self.maker, self.find, self.side, self.views = maker, find, side, views

    def __getitem__(self, number: int) -> list[Samples]:
        rng = np.random.default_rng([self.maker.seed, number, 2])
        kind = "words" if rng.random() < _WORDS else None
        page = self.maker.page(number, side=self.side, kind=kind)
        boxes, scores = self.find(page.pixels)
        return [samples(page, boxes, scores, rng) for _ in range(self.views)]


def samples(page: Page, found: Floats, scores: Floats, rng: np.random.Generator) -> Samples:
    """Windows of a page with their classes.

    Args:
        page: With its digits.
        found: float32[N, 4]; boxes of what was found on it.
        scores: float32[N]; how surely each is a digit.
        rng: Decides which of them are taken and how far their boxes are off.

    Returns:
        uint8[K, 56, 56, 3] and int8[K].
    """
    digits, values = page.boxes, page.values
    best = np.zeros(len(found), np.float32)
    place = np.zeros(len(found), np.intp)
    if len(digits):
        for index, box in enumerate(found):
            union, _ = overlaps(box, digits)
            best[index], place[index] = union.max(), union.argmax()
    hit = best >= _SAME
    boxes = np.concatenate([found[hit], digits])
    named = np.concatenate([values[place[hit]], values])
    known = named != IGNORED
    boxes, named = boxes[known], named[known]
    chosen = rng.permutation(len(boxes))[:MOST]
    right, classes = _moved(boxes[chosen], rng), named[chosen]
    wrong, weight = found[best < _OTHER], scores[best < _OTHER]
    count = min(MOST, len(wrong))
    chance = weight / weight.sum()
    some = rng.choice(len(wrong), count, replace=False, p=chance) if count else []
    none = _moved(wrong[np.array(some, np.intp)], rng)
    if rng.random() < MOST * _ALONE:
        none = np.concatenate([none, _anywhere(page, rng)])
    boxes = np.concatenate([right, none]).astype(np.float32)
    classes = np.concatenate([classes, np.full(len(none), NONE)]).astype(np.int8)
    return _coloured(windows(page.pixels, boxes), rng), classes


def _moved(boxes: Floats, rng: np.random.Generator) -> Floats:
    """Boxes as a page reader that is a little off would draw them."""
    size = boxes[:, 2:] - boxes[:, :2]
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2 + rng.normal(0, 0.04, size.shape) * size.max(
        axis=1, keepdims=True, initial=0
    )
    size = size * np.exp(rng.normal(0, 0.06, (len(boxes), 1)))
    return np.concatenate([middle - size / 2, middle + size / 2], axis=1).astype(np.float32)


def _anywhere(page: Page, rng: np.random.Generator) -> Floats:
    """One box that no digit is in, or none when the place that was drawn has one."""
    height, width = page.pixels.shape[:2]
    tall = float(np.exp(rng.uniform(np.log(8), np.log(height))))
    size = np.array([tall * rng.uniform(0.3, 1), tall])
    corner = rng.uniform(0, 1, 2) * np.maximum(1, (width, height) - size)
    box = np.concatenate([corner, corner + size]).astype(np.float32)
    if len(page.boxes) and overlaps(box, page.boxes)[1].max() > 0.2:
        return np.zeros((0, 4), np.float32)
    return box[None]


def _coloured(cut: npt.NDArray[np.uint8], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Windows of one page in other colours now and then."""
    if rng.random() < 0.25:
        cut = 255 - cut
    if rng.random() < 0.25:
        cut = cut[..., rng.permutation(3)]
    if rng.random() < 0.2:
        cut = np.repeat(cut.mean(axis=3, dtype=np.float32).astype(np.uint8)[..., None], 3, 3)
    return cut


@dataclass(frozen=True)
class CropStream:
    """Windows of drawn pages.

    Attributes:
        maker: Draws the pages.
        find: Finds the candidates of a page.
        side: Of the pages, in pixels.
        size: Pages whose windows are in a batch.
        workers: Processes; 0 draws here.
    """

    maker: PageMaker
    find: Find
    side: int
    size: int
    workers: int

    def batches(self, first: int, count: int, views: int, skip: int = 0) -> Iterator[Crops]:
        """Batches of windows of the pages ``first``, ``first + 1``, ... in order.

        Args:
            first: Number of the first page.
            count: Batches.
            views: Batches that use the same pages, other windows or the same ones a little moved.
            skip: Batches at the start that are not wanted.
        """
        return view_batches(
            _Views(self.maker, self.find, self.side, views),
            _stacked,
            first,
            count,
            size=self.size,
            views=views,
            skip=skip,
            workers=self.workers,
        )


def _stacked(items: list[Samples]) -> Crops:
    cut = np.concatenate([windows for windows, _ in items]).transpose(0, 3, 1, 2)
    classes = np.concatenate([classes for _, classes in items]).astype(np.int64)
    return Crops(torch.from_numpy(np.ascontiguousarray(cut)), torch.from_numpy(classes))
