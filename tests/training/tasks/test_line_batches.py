"""Batches hold lines of similar width, the same ones however many processes draw them."""

import dataclasses
from typing import NamedTuple

import numpy as np
import pytest
import torch

from digitlens.alphabet import encode
from digitlens.training.line_recipe import LineRecipe
from digitlens.training.tasks.line_batches import (
    LineStream,
    Sample,
    batches_by_width,
    changed,
    line_batch,
)

RECIPE = LineRecipe(batch_size=4, pool=3, steps=7)


class DrawnLine(NamedTuple):
    """A stand-in for a line of the generator."""

    pixels: np.ndarray
    text: str
    kind: str


class Maker:
    """Bars, as many as the digit says."""

    def line(self, number: int, *, kind: str | None = None) -> DrawnLine:
        rng = np.random.default_rng(number)
        digit = int(rng.integers(1, 10))
        pixels = rng.integers(180, 220, (48, 16 + 8 * digit, 3), np.uint8)
        for bar in range(digit):
            pixels[8:40, 8 + 8 * bar : 12 + 8 * bar] = 20
        return DrawnLine(pixels, str(digit), kind or ("odd" if digit % 2 else "even"))


def _sample(width: int, text: str = "1") -> Sample:
    return Sample(np.full((48, width, 3), width % 256, np.uint8), text, 0)


def test_lines_are_padded_with_grey_on_the_right():
    batch = line_batch([_sample(40), _sample(64, "2.5")])
    assert batch.pictures.shape == (2, 3, 48, 64)
    assert batch.pictures.dtype == torch.uint8
    assert (batch.pictures[0, :, :, :40] == 40).all()
    assert (batch.pictures[0, :, :, 40:] == 127).all()
    assert batch.targets.tolist() == [[*encode("1"), 0, 0], encode("2.5")]
    assert batch.lengths.tolist() == [1, 3]


def test_a_line_without_text_has_no_targets():
    batch = line_batch([_sample(32, "")])
    assert batch.lengths.tolist() == [0]
    assert batch.targets.shape == (1, 1)


def test_batches_go_from_narrow_to_wide():
    batches = batches_by_width([_sample(width) for width in (320, 32, 64, 256, 40)], 2)
    assert [batch.pictures.shape[3] for batch in batches] == [64, 256, 320]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_stream_goes_on_where_it_was_stopped(workers):
    whole = list(LineStream(Maker(), RECIPE, 0).batches(0))
    rest = list(LineStream(Maker(), RECIPE, workers).batches(4))
    assert len(whole) == 7
    assert len(rest) == 3
    for expected, found in zip(whole[4:], rest, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))


def test_changes_keep_the_contract():
    recipe = dataclasses.replace(RECIPE, invert=0.5, recolour=0.5, grey=0.5, cutout=0.5)
    pixels = Maker().line(3).pixels
    before = pixels.copy()
    widths = set()
    for seed in range(40):
        found = changed(pixels, recipe, np.random.default_rng(seed))
        assert found.dtype == np.uint8
        assert found.shape[::2] == (48, 3)
        assert found.shape[1] % 8 == 0
        widths.add(found.shape[1])
    assert len(widths) > 1
    np.testing.assert_array_equal(pixels, before)


def test_a_recipe_without_changes_leaves_lines_as_they_are():
    recipe = dataclasses.replace(RECIPE, invert=0.0, recolour=0.0, grey=0.0, cutout=0.0)
    recipe = dataclasses.replace(recipe, stretch=0.0)
    pixels = Maker().line(0).pixels
    np.testing.assert_array_equal(changed(pixels, recipe, np.random.default_rng(0)), pixels)
