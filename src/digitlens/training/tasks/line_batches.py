"""Feeds the line recogniser: drawn lines, changed a little, in batches of similar width."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from digitlens.alphabet import encode
from digitlens.training.line_recipe import LineRecipe
from digitlens.training.nets.line_network import STRIDE
from digitlens.training.page_stream import view_batches

PADDING = 127  # grey that fills a batch on the right: a zero for the network
MULTIPLE = 32  # pixels; widths of batches, so that few differ

Pixels = npt.NDArray[np.uint8]


class Line(Protocol):
    """A line crop with its truth."""

    @property
    def pixels(self) -> Pixels:
        """uint8[48, W, 3], RGB, W a multiple of 8."""
        ...

    @property
    def text(self) -> str:
        """What it says."""
        ...

    @property
    def kind(self) -> str:
        """What kind of line it is."""
        ...


class Maker(Protocol):
    """Draws lines; what a line shows follows from its number."""

    def line(self, number: int, *, kind: str | None = None) -> Line:
        """One line."""
        ...


class LineBatch(NamedTuple):
    """Lines of similar width.

    Attributes:
        pictures: uint8[B, 3, 48, W], RGB, padded on the right.
        targets: int64[B, S], the classes of their characters, then zeros.
        lengths: int64[B], how many classes are a line's.
        kinds: int64[B], index of a line's kind, where it is known.
    """

    pictures: Tensor
    targets: Tensor
    lengths: Tensor
    kinds: Tensor


class Sample(NamedTuple):
    """A line to put into a batch: uint8[48, W, 3], its text, index of its kind."""

    pixels: Pixels
    text: str
    kind: int


def line_batch(samples: Sequence[Sample]) -> LineBatch:
    """Some lines in one batch, padded to the next multiple of 32 pixels."""
    width = -(-max(each.pixels.shape[1] for each in samples) // MULTIPLE) * MULTIPLE
    codes = [encode(each.text) for each in samples]
    longest = max(1, *map(len, codes))
    height = samples[0].pixels.shape[0]
    pictures = np.full((len(samples), 3, height, width), PADDING, np.uint8)
    targets = np.zeros((len(samples), longest), np.int64)
    for index, (sample, code) in enumerate(zip(samples, codes, strict=True)):
        pictures[index, :, :, : sample.pixels.shape[1]] = sample.pixels.transpose(2, 0, 1)
        targets[index, : len(code)] = code
    return LineBatch(
        torch.from_numpy(pictures),
        torch.from_numpy(targets),
        torch.tensor([len(code) for code in codes]),
        torch.tensor([each.kind for each in samples]),
    )


def batches_by_width(samples: Sequence[Sample], size: int) -> list[LineBatch]:
    """All lines in batches, from narrow to wide."""
    ordered = sorted(samples, key=lambda each: each.pixels.shape[1])
    return [line_batch(ordered[at : at + size]) for at in range(0, len(ordered), size)]


@dataclass(frozen=True)
class LineStream:
    """Batches of drawn lines to learn from.

    Attributes:
        maker: Draws the lines.
        recipe: How many at once, and what is done to them.
        workers: Processes that draw; 0 draws here.
    """

    maker: Maker
    recipe: LineRecipe
    workers: int

    def batches(self, skip: int) -> Iterator[LineBatch]:
        """The batches of a run, without ``skip`` at the start, whatever the number of workers."""
        return view_batches(
            _Pools(self.maker, self.recipe),
            _only,
            0,
            self.recipe.steps,
            size=1,
            views=self.recipe.pool,
            skip=skip,
            workers=self.workers,
        )


class _Pools(Dataset[list[LineBatch]]):
    """By number: lines for some batches, sorted by width; the batches are in any order."""

    def __init__(self, maker: Maker, recipe: LineRecipe) -> None:
        self.maker, self.recipe = maker, recipe

    def __getitem__(self, number: int) -> list[LineBatch]:
        count = self.recipe.pool * self.recipe.batch_size
        samples = [self._sample(each) for each in range(number * count, (number + 1) * count)]
        batches = batches_by_width(samples, self.recipe.batch_size)
        order = np.random.default_rng([self.recipe.seed, number, 1]).permutation(len(batches))
        return [batches[index] for index in order]

    def _sample(self, number: int) -> Sample:
        line = self.maker.line(number)
        rng = np.random.default_rng([self.recipe.seed, number, 2])
        return Sample(changed(line.pixels, self.recipe, rng), line.text, 0)


def _only(items: list[LineBatch]) -> LineBatch:
    return items[0]


def changed(pixels: Pixels, recipe: LineRecipe, rng: np.random.Generator) -> Pixels:
    """A line in other colours, a little wider or narrower, or with a patch painted over.

    Args:
        pixels: uint8[48, W, 3].
        recipe: Says how often and how much.
        rng: Decides.

    Returns:
        uint8[48, V, 3], V a multiple of 8.
    """
    pixels = _stretched(pixels, 1 + rng.uniform(-recipe.stretch, recipe.stretch))
    if rng.random() < recipe.invert:
        pixels = 255 - pixels
    if rng.random() < recipe.recolour:
        pixels = pixels[:, :, rng.permutation(3)]
    if rng.random() < recipe.grey:
        grey = pixels.mean(axis=2, dtype=np.float32).astype(np.uint8)
        pixels = np.repeat(grey[:, :, None], 3, 2)
    return _patched(pixels, rng) if rng.random() < recipe.cutout else pixels


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
