"""Feeds the digit detector: pages drawn by worker processes, each used twice in other lights."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, islice
from typing import Any, NamedTuple, TypeVar

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from digitlens.datasets.synthetic.pages import Page, PageMaker
from digitlens.datasets.synthetic.sheet import IGNORED
from digitlens.training.page_targets import Targets, targets_of

MARGIN = 16  # pixels that a page is drawn larger, for two different cuts
_SEEN = 0.55  # share of a box that must be left by a cut

T = TypeVar("T")
B = TypeVar("B")


class Batch(NamedTuple):
    """Pages and their targets, see ``Targets``; uint8[B, 3, H, W] and [B, ...]."""

    pages: Tensor
    centre: Tensor
    weight: Tensor
    value: Tensor
    reach: Tensor


class _Views(Dataset[list[tuple[npt.NDArray[np.uint8], Targets]]]):
    def __init__(self, maker: PageMaker, side: int, views: int) -> None:
        self.maker, self.side, self.views = maker, side, views

    def __getitem__(self, number: int) -> list[tuple[npt.NDArray[np.uint8], Targets]]:
        page = self.maker.page(number, side=self.side + MARGIN)
        rng = np.random.default_rng([self.maker.seed, number, 1])
        views = [view_of(page, self.side, rng) for _ in range(self.views)]
        return [(view.pixels.transpose(2, 0, 1), targets_of(view)) for view in views]


def view_of(page: Page, side: int, rng: np.random.Generator) -> Page:
    """Cuts a square out of a page, and now and then inverts it or swaps its colours.

    Args:
        page: At least so large.
        side: Of the square, in pixels.
        rng: Decides.
    """
    x, y = (int(v) for v in rng.integers(0, page.pixels.shape[0] - side + 1, 2))
    pixels = page.pixels[y : y + side, x : x + side]
    if rng.random() < 0.25:
        pixels = 255 - pixels
    if rng.random() < 0.25:
        pixels = pixels[:, :, rng.permutation(3)]
    if rng.random() < 0.1:
        pixels = np.repeat(pixels.mean(axis=2, dtype=np.float32).astype(np.uint8)[:, :, None], 3, 2)
    moved = page.boxes - np.array([x, y, x, y], np.float32)
    boxes = np.clip(moved, 0, side)
    left = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    whole = (moved[:, 2:] - moved[:, :2]).prod(axis=1)
    values = np.where(left >= _SEEN * whole, page.values, IGNORED).astype(np.int8)
    some = left > 0
    return Page(np.ascontiguousarray(pixels), boxes[some], values[some])


def batches(  # noqa: PLR0913  (what is drawn, how much of it, and by whom)
    maker: PageMaker,
    first: int,
    count: int,
    *,
    batch_size: int,
    side: int,
    workers: int,
    views: int,
    skip: int = 0,
) -> Iterator[Batch]:
    """Batches of pages ``first``, ``first + 1``, ... in order, whatever the number of workers.

    Args:
        maker: Draws the pages.
        first: Number of the first page.
        count: Batches; each set of ``batch_size`` pages gives ``views`` of them.
        batch_size: Pages in a batch.
        side: Of the pages, in pixels, a multiple of 32.
        workers: Processes; 0 draws here.
        views: How often each page is used.
        skip: Batches at the start that are not wanted.
    """
    return view_batches(
        _Views(maker, side, views),
        _stacked,
        first,
        count,
        size=batch_size,
        views=views,
        skip=skip,
        workers=workers,
    )


def view_batches(  # noqa: PLR0913  (what is drawn, how much of it, and by whom)
    drawn: Dataset[list[T]],
    stack: Callable[[list[T]], B],
    first: int,
    count: int,
    *,
    size: int,
    views: int,
    skip: int,
    workers: int,
) -> Iterator[B]:
    """Batches of the views of pages ``first``, ``first + 1``, ..., whatever the number of workers.

    Args:
        drawn: From the number of a page to its views.
        stack: Makes a batch of one view of each of some pages.
        first: Number of the first page.
        count: Batches; each set of ``size`` pages gives ``views`` of them.
        size: Pages in a batch.
        views: How often each page is used.
        skip: Batches at the start that are not wanted; only pages that follow them are drawn.
        workers: Processes; 0 draws here.
    """
    begun, used = divmod(skip, views)
    sets = -(-count // views)
    cv2.setNumThreads(0)  # a forked worker would wait for threads that stay with its parent
    loader: DataLoader[Any] = DataLoader(  # collated, its items are of another type
        drawn,
        batch_size=size,
        sampler=range(first + begun * size, first + sets * size),
        num_workers=workers,
        collate_fn=partial(_collated, stack),
        prefetch_factor=4 if workers else None,
        worker_init_fn=_give_way,
    )
    return islice(chain.from_iterable(loader), used, used + count - skip)


def worker_count(device: str) -> int:
    """Processes that draw pages fast enough for a device, ``cuda``, ``mps`` or ``cpu``.

    Beside a training on two cores, two workers are busy a fifth of the time; a GPU waits for pages
    however many cores draw them.
    """
    cores = os.cpu_count() or 1
    return max(2, cores // 2 if device == "cpu" else cores - 1)


def _give_way(worker: int) -> None:
    """Lets the trainer go first, in a worker that draws pages.

    Training threads wait for each other: one held up by a worker holds up all. Workers have the
    machine when the trainer has run out of pages.

    Args:
        worker: Its number.
    """
    del worker
    if hasattr(os, "nice"):
        os.nice(5)
    cv2.setNumThreads(0)


def _collated(stack: Callable[[list[T]], B], items: list[list[T]]) -> list[B]:
    return [stack([item[view] for item in items]) for view in range(len(items[0]))]


def _stacked(items: list[tuple[npt.NDArray[np.uint8], Targets]]) -> Batch:
    columns = [[pixels for pixels, _ in items], *zip(*(t for _, t in items), strict=True)]
    return Batch(*(torch.from_numpy(np.stack(column)) for column in columns))
