"""Feeds networks with drawn pages and lines, in batches, from worker processes.

A page gives several views, cut and coloured otherwise, with what the digit detector should say of
them; lines are changed a little and sorted by width. What the number of a batch shows does not
depend on how many processes draw.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from typing import Any, NamedTuple, TypeVar

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from digitlens.alphabet import encode
from digitlens.datasets.synthetic.canvas import IGNORED
from digitlens.datasets.synthetic.lines import KINDS, Line
from digitlens.datasets.synthetic.pages import Page, PageMaker
from digitlens.training.page_networks import CELL, STRIDE
from digitlens.training.recipe import LineRecipe

MARGIN = 16  # pixels that a page is drawn larger, for two different cuts
NOTHING = -1  # value of a cell without a digit
PADDING = 127  # grey that fills a batch on the right: a zero for the network
MULTIPLE = 32  # pixels; widths of batches of lines, so that few differ
_SEEN = 0.55  # share of a box that must be left by a cut
_CORE = 0.16  # of a box's sides around its middle: these cells name the value and the box
_SPREAD = 0.11  # standard deviation of the hill around a centre, in sides of its box

B = TypeVar("B")
Pixels = npt.NDArray[np.uint8]


def _loaded(
    sets: Dataset[list[B]], views: int, count: int, *, skip: int, workers: int
) -> Iterator[B]:
    """The batches of sets 0, 1, ... of so many each, drawn by workers, 0 for this process.

    Of ``count`` batches the first ``skip`` are not wanted; sets of these alone are not drawn.
    """
    begun, used = divmod(skip, views)
    cv2.setNumThreads(0)  # a forked worker would wait for threads that stay with its parent
    loader: DataLoader[Any] = DataLoader(
        sets,
        batch_size=None,
        sampler=range(begun, -(-count // views)),
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        worker_init_fn=_give_way,
    )
    return islice(chain.from_iterable(loader), used, used + count - skip)


def worker_count(device: str) -> int:
    """Processes that draw pages fast enough for a device, ``cuda``, ``mps`` or ``cpu``.

    During a training on two cores, two workers are busy a fifth of the time; a GPU waits for pages
    however many cores draw them.
    """
    cores = os.cpu_count() or 1
    return max(2, cores // 2 if device == "cpu" else cores - 1)


def _give_way(_worker: int) -> None:
    """Lets the trainer go first: of its threads one held up by a worker holds up all."""
    if hasattr(os, "nice"):
        os.nice(5)
    cv2.setNumThreads(0)


class Targets(NamedTuple):
    """One page's cells, of 4 x 4 pixels."""

    # float16[h, w]; 1 in the cell of a digit's centre, falling off around it.
    centre: npt.NDArray[np.float16]
    weight: npt.NDArray[np.uint8]  # uint8[h, w]; 0 where the centre is not asked for
    value: npt.NDArray[np.int8]  # int8[h, w]; 0 to 9 around centres, else ``NOTHING``
    # float16[4, h, w]; logarithm of the distances to the box's sides, in cells.
    reach: npt.NDArray[np.float16]


def targets_of(page: Page) -> Targets:
    """The targets of a page, whose sides are multiples of four."""
    height, width = (side // CELL for side in page.pixels.shape[:2])
    centre = np.zeros((height, width), np.float32)
    weight = np.ones((height, width), np.uint8)
    value = np.full((height, width), NOTHING, np.int8)
    reach = np.zeros((4, height, width), np.float32)
    y, x = np.arange(height, dtype=np.float32) + 0.5, np.arange(width, dtype=np.float32) + 0.5
    sizes = (page.boxes[:, 2:] - page.boxes[:, :2]).prod(axis=1)
    for index in np.argsort(-sizes):  # small digits have the last word
        x0, y0, x1, y1 = (float(v) / CELL for v in page.boxes[index])
        if page.values[index] < 0:
            rows, columns = slice(int(y0), int(y1) + 1), slice(int(x0), int(x1) + 1)
            weight[rows, columns] = 0
            continue
        mx, my = (x0 + x1) / 2, (y0 + y1) / 2
        sx, sy = max(0.45, _SPREAD * (x1 - x0)), max(0.45, _SPREAD * (y1 - y0))
        px, py = min(int(mx), width - 1), min(int(my), height - 1)
        down = np.exp(-(((y - py - 0.5) / sy) ** 2) / 2)
        across = np.exp(-(((x - px - 0.5) / sx) ** 2) / 2)
        np.maximum(centre, down[:, None] * across, out=centre)
        cx, cy = max(0.5, _CORE * (x1 - x0)), max(0.5, _CORE * (y1 - y0))
        left, right = max(0, int(mx - cx)), min(width, max(int(np.ceil(mx + cx)), px + 1))
        top, bottom = max(0, int(my - cy)), min(height, max(int(np.ceil(my + cy)), py + 1))
        core = np.s_[top:bottom, left:right]
        value[core] = page.values[index]
        weight[core] = 1
        reach[(0, *core)] = (x[left:right] - x0)[None, :]
        reach[(1, *core)] = (y[top:bottom] - y0)[:, None]
        reach[(2, *core)] = (x1 - x[left:right])[None, :]
        reach[(3, *core)] = (y1 - y[top:bottom])[:, None]
    reach = np.log(np.maximum(reach, 0.1))
    return Targets(centre.astype(np.float16), weight, value, reach.astype(np.float16))


class PageBatch(NamedTuple):
    """Pages and their targets, see ``Targets``; uint8[B, 3, H, W] and [B, ...]."""

    pages: Tensor
    centre: Tensor
    weight: Tensor
    value: Tensor
    reach: Tensor


class _PageSets(Dataset[list[PageBatch]]):
    """By number: the views of some pages, a batch of one view of each."""

    def __init__(self, maker: PageMaker, size: int, side: int, views: int) -> None:
        self.maker, self.size, self.side, self.views = maker, size, side, views

    def __getitem__(self, number: int) -> list[PageBatch]:
        drawn = map(self._views, range(number * self.size, (number + 1) * self.size))
        return [_stacked(pages) for pages in zip(*drawn, strict=True)]

    def _views(self, number: int) -> list[Page]:
        page = self.maker.page(number, side=self.side + MARGIN)
        rng = np.random.default_rng([self.maker.seed, number, 1])
        return [cut_view(page, self.side, rng) for _ in range(self.views)]


def _stacked(pages: Sequence[Page]) -> PageBatch:
    rows = [(page.pixels.transpose(2, 0, 1), *targets_of(page)) for page in pages]
    return PageBatch(*(torch.from_numpy(np.stack(part)) for part in zip(*rows, strict=True)))


def cut_view(page: Page, side: int, rng: np.random.Generator) -> Page:
    """Cuts a square out of a page, and now and then inverts it or swaps its colours."""
    x, y = (int(v) for v in rng.integers(0, page.pixels.shape[0] - side + 1, 2))
    pixels = page.pixels[y : y + side, x : x + side]
    pixels = _recoloured(pixels, rng, (0.25, 0.25, 0.1))
    moved = page.boxes - np.array([x, y, x, y], np.float32)
    boxes = np.clip(moved, 0, side)
    left = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    whole = (moved[:, 2:] - moved[:, :2]).prod(axis=1)
    values = np.where(left >= _SEEN * whole, page.values, IGNORED).astype(np.int8)
    some = left > 0
    return Page(np.ascontiguousarray(pixels), boxes[some], values[some])


def page_batches(  # noqa: PLR0913  (what is drawn, how much of it, and by whom)
    maker: PageMaker,
    count: int,
    *,
    batch_size: int,
    side: int,
    workers: int,
    views: int = 1,
    skip: int = 0,
) -> Iterator[PageBatch]:
    """Batches of views of pages 0, 1, ..., see ``_loaded``; sides are multiples of 32."""
    sets = _PageSets(maker, batch_size, side, views)
    return _loaded(sets, views, count, skip=skip, workers=workers)


ORDER = tuple(KINDS)


class LineBatch(NamedTuple):
    """Lines of similar width."""

    pictures: Tensor  # uint8[B, 3, 48, W], RGB, padded on the right
    targets: Tensor  # int64[B, S], the classes of their characters, then zeros
    lengths: Tensor  # int64[B], how many classes are a line's
    kinds: Tensor  # int64[B], index of a line's kind in ``ORDER``


def line_batch(lines: Sequence[Line]) -> LineBatch:
    """Some lines in one batch, padded to the next multiple of 32 pixels."""
    width = -(-max(each.pixels.shape[1] for each in lines) // MULTIPLE) * MULTIPLE
    codes = [encode(each.text) for each in lines]
    longest = max(1, *map(len, codes))
    height = lines[0].pixels.shape[0]
    pictures = np.full((len(lines), 3, height, width), PADDING, np.uint8)
    targets = np.zeros((len(lines), longest), np.int64)
    for index, (line, code) in enumerate(zip(lines, codes, strict=True)):
        pictures[index, :, :, : line.pixels.shape[1]] = line.pixels.transpose(2, 0, 1)
        targets[index, : len(code)] = code
    return LineBatch(
        torch.from_numpy(pictures),
        torch.from_numpy(targets),
        torch.tensor([len(code) for code in codes]),
        torch.tensor([ORDER.index(each.kind) for each in lines]),
    )


def batches_by_width(lines: Sequence[Line], size: int) -> list[LineBatch]:
    """All lines in batches, from narrow to wide."""
    ordered = sorted(lines, key=lambda each: each.pixels.shape[1])
    return [line_batch(ordered[at : at + size]) for at in range(0, len(ordered), size)]


LineSource = Callable[[int], Line]  # a line by its number, always the same


def line_batches(
    source: LineSource, recipe: LineRecipe, *, skip: int, workers: int
) -> Iterator[LineBatch]:
    """The batches of drawn lines that a run learns from, see ``_loaded``."""
    sets = _LineSets(source, recipe)
    return _loaded(sets, recipe.pool, recipe.steps, skip=skip, workers=workers)


class _LineSets(Dataset[list[LineBatch]]):
    """By number: lines for some batches, sorted by width; the batches are in any order."""

    def __init__(self, source: LineSource, recipe: LineRecipe) -> None:
        self.source, self.recipe = source, recipe

    def __getitem__(self, number: int) -> list[LineBatch]:
        count = self.recipe.pool * self.recipe.batch_size
        lines = [self._line(each) for each in range(number * count, (number + 1) * count)]
        batches = batches_by_width(lines, self.recipe.batch_size)
        order = np.random.default_rng([self.recipe.seed, number, 1]).permutation(len(batches))
        return [batches[index] for index in order]

    def _line(self, number: int) -> Line:
        line = self.source(number)
        rng = np.random.default_rng([self.recipe.seed, number, 2])
        return line._replace(pixels=augment_line(line.pixels, self.recipe, rng))


def augment_line(pixels: Pixels, recipe: LineRecipe, rng: np.random.Generator) -> Pixels:
    """A line uint8[48, W, 3] in other colours, a little wider or narrower, or with a patch over it.

    As often and as much as the recipe says; gives uint8[48, V, 3], V a multiple of 8.
    """
    pixels = _stretched(pixels, 1 + rng.uniform(-recipe.stretch, recipe.stretch))
    pixels = _recoloured(pixels, rng, (recipe.invert, recipe.recolour, recipe.grey))
    return _patched(pixels, rng) if rng.random() < recipe.cutout else pixels


def _recoloured(pixels: Pixels, rng: np.random.Generator, shares: Sequence[float]) -> Pixels:
    """Inverted, with its channels permuted, without colour: each as often as its share says."""
    invert, recolour, grey = shares
    if rng.random() < invert:
        pixels = 255 - pixels
    if rng.random() < recolour:
        pixels = pixels[:, :, rng.permutation(3)]
    if rng.random() < grey:
        mean = pixels.mean(axis=2, dtype=np.float32).astype(np.uint8)
        pixels = np.repeat(mean[:, :, None], 3, 2)
    return pixels


def _stretched(pixels: Pixels, factor: float) -> Pixels:
    height, width = pixels.shape[:2]
    wanted = max(2, round(width * factor / STRIDE)) * STRIDE
    if wanted == width:
        return pixels
    method = cv2.INTER_AREA if wanted < width else cv2.INTER_LINEAR
    return cv2.resize(pixels, (wanted, height), interpolation=method).astype(np.uint8, copy=False)


def _patched(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    # Small: a patch that hides a character would teach to guess it.
    height, width = pixels.shape[:2]
    tall, wide = (int(each) for each in rng.integers(2, 9, 2))
    y, x = int(rng.integers(0, height - tall)), int(rng.integers(0, max(1, width - wide)))
    patched = pixels.copy()
    patched[y : y + tall, x : x + wide] = rng.integers(0, 256, 3)
    return patched
