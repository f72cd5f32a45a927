"""Batches of pages and lines: order, independence of the workers, targets and augmentation."""

import dataclasses

import numpy as np
import pytest
import torch

from digitlens.alphabet import encode
from digitlens.datasets.synthetic.lines import Line
from digitlens.datasets.synthetic.pages import Page
from digitlens.training.page_networks import CELL
from digitlens.training.recipe import LineRecipe
from digitlens.training.tasks.batches import (
    NOTHING,
    PageBatch,
    Targets,
    augment_line,
    batches_by_width,
    cut_view,
    line_batch,
    line_batches,
    page_batches,
    targets_of,
)

pytestmark = pytest.mark.train


def _drawn(maker, first: int, count: int, *, workers: int = 0, seed: int = 5) -> list[PageBatch]:
    stream = page_batches(
        maker(seed), first + count, batch_size=2, side=64, workers=workers, views=2, skip=first
    )
    return list(stream)


def _same(a: PageBatch, b: PageBatch) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_page_batches_resume_identically_with_any_workers(maker):
    whole, later = _drawn(maker, 0, 6), _drawn(maker, 2, 4)
    first = whole[0]
    assert (first.pages.shape, first.pages.dtype) == ((2, 3, 64, 64), torch.uint8)
    assert first.centre.shape == first.weight.shape == first.value.shape == (2, 16, 16)
    assert first.reach.shape == (2, 4, 16, 16)
    assert (len(whole), len(_drawn(maker, 0, 0))) == (6, 0)
    assert all(_same(a, b) for a, b in zip(whole[2:], later, strict=True))
    assert not _same(first, whole[2])
    assert not torch.equal(first.pages, whole[1].pages)  # views differ
    together = _drawn(maker, 0, 4, workers=2)
    assert all(_same(a, b) for a, b in zip(whole[:4], together, strict=True))
    assert not torch.equal(first.pages, _drawn(maker, 0, 1, seed=6)[0].pages)


def test_view_moves_boxes_and_drops_cut_digits():
    pixels = np.zeros((80, 80, 3), np.uint8)
    boxes = np.array([[30, 30, 40, 50], [0, 30, 17, 50], [0, 0, 2, 2]], np.float32)
    pixels[30:50, 30:40] = 200
    page = Page(pixels, boxes, np.array([8, 1, 2], np.int8))
    for seed in range(20):
        view = cut_view(page, 64, np.random.default_rng(seed))
        assert view.pixels.shape == (64, 64, 3)
        x0, y0, x1, y1 = view.boxes[0].astype(int)
        flat = view.pixels.reshape(-1, 3)
        inside = np.zeros((64, 64), bool)
        inside[y0:y1, x0:x1] = True
        assert len(np.unique(flat[inside.ravel()], axis=0)) == 1
        assert len(np.unique(flat[~inside.ravel()], axis=0)) == 1
        assert view.values[0] == 8
        assert (view.boxes >= 0).all()
        assert (view.boxes <= 64).all()
        left = np.zeros(3)
        left[: len(view.boxes)] = (view.boxes[:, 2] - view.boxes[:, 0])[:3]
        if len(view.values) > 1 and view.values[1] == 1:
            assert left[1] >= 0.55 * 17


def _targets(*digits: tuple[tuple[float, float, float, float], int]) -> Targets:
    boxes = np.array([box for box, _ in digits], np.float32).reshape(-1, 4)
    values = np.array([value for _, value in digits], np.int8)
    return targets_of(Page(np.zeros((64, 96, 3), np.uint8), boxes, values))


def test_empty_page_has_no_centres_but_full_weight():
    targets = _targets()
    assert targets.centre.shape == (16, 24)
    assert not targets.centre.any()
    assert targets.weight.all()
    assert (targets.value == NOTHING).all()


def test_only_cells_at_the_centre_of_a_digit_have_its_value_and_box():
    box = (20.0, 8.0, 44.0, 56.0)
    targets = _targets((box, 7))
    row, column = np.unravel_index(targets.centre.argmax(), targets.centre.shape)
    assert (row, column) == (8, 8)
    assert targets.centre[row, column] == 1
    assert targets.value[row, column] == 7
    assert 0 < targets.centre[row + 1, column] < 1
    assert set(np.unique(targets.value)) == {NOTHING, 7}
    rows, columns = np.nonzero(targets.value == 7)
    assert 0 < len(rows) < 12
    reach = np.exp(targets.reach[:, rows, columns].astype(np.float32))
    middle = np.stack([columns, rows]) + 0.5
    found = np.concatenate([middle - reach[:2], middle + reach[2:]]) * CELL
    np.testing.assert_allclose(found.T, np.tile(box, (len(rows), 1)), atol=0.1)


@pytest.mark.parametrize("digits", [[0, 1], [1, 0]])
def test_small_digit_on_a_large_one_has_its_own_cell(digits):
    both = [((0, 0, 64, 64), 5), ((29, 29, 35, 36), 2)]
    targets = _targets(*(both[index] for index in digits))
    assert targets.value[8, 8] == 2
    assert (targets.value == 5).any()


def test_optional_digits_have_no_weight_unless_another_overlaps():
    targets = _targets(((0, 0, 20, 30), -1))
    assert not targets.weight[:7, :5].any()
    assert targets.weight[9:, 7:].all()
    assert not targets.centre.any()
    targets = _targets(((0, 0, 60, 60), -1), ((20, 20, 30, 40), 4))
    assert targets.weight[targets.value == 4].all()


RECIPE = LineRecipe(batch_size=4, pool=3, steps=7)


def bars(number: int) -> Line:
    """Draws as many bars as the digit's value."""
    rng = np.random.default_rng(number)
    digit = int(rng.integers(1, 10))
    pixels = rng.integers(180, 220, (48, 16 + 8 * digit, 3), np.uint8)
    for bar in range(digit):
        pixels[8:40, 8 + 8 * bar : 12 + 8 * bar] = 20
    return Line(pixels, str(digit), "tile" if digit % 2 else "letter")


def _line(width: int, text: str = "1") -> Line:
    return Line(np.full((48, width, 3), width % 256, np.uint8), text, "tile")


def test_lines_are_padded_on_the_right_and_ordered_by_width():
    batch = line_batch([_line(40), _line(64, "2.5")])
    assert batch.pictures.shape == (2, 3, 48, 64)
    assert batch.pictures.dtype == torch.uint8
    assert (batch.pictures[0, :, :, :40] == 40).all()
    assert (batch.pictures[0, :, :, 40:] == 127).all()
    assert batch.targets.tolist() == [[*encode("1"), 0, 0], encode("2.5")]
    assert batch.lengths.tolist() == [1, 3]
    batches = batches_by_width([_line(width) for width in (320, 32, 64, 256, 40)], 2)
    assert [batch.pictures.shape[3] for batch in batches] == [64, 256, 320]
    without = line_batch([_line(32, "")])
    assert (without.lengths.tolist(), without.targets.shape) == ([0], (1, 1))


@pytest.mark.parametrize("workers", [0, 1])
def test_line_batches_resume_after_skipped_ones(workers):
    whole = list(line_batches(bars, RECIPE, skip=0, workers=0))
    rest = list(line_batches(bars, RECIPE, skip=4, workers=workers))
    assert len(whole) == 7
    assert len(rest) == 3
    for expected, found in zip(whole[4:], rest, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))


def test_augmented_lines_are_valid_and_zero_strength_changes_nothing():
    recipe = dataclasses.replace(RECIPE, invert=0.5, recolour=0.5, grey=0.5, cutout=0.5)
    pixels = bars(3).pixels
    before, widths = pixels.copy(), set()
    for seed in range(40):
        found = augment_line(pixels, recipe, np.random.default_rng(seed))
        assert found.dtype == np.uint8
        assert found.shape[::2] == (48, 3)
        assert found.shape[1] % 8 == 0
        widths.add(found.shape[1])
    assert len(widths) > 1
    np.testing.assert_array_equal(pixels, before)
    none = dict.fromkeys(("invert", "recolour", "grey", "cutout", "stretch"), 0.0)
    same = augment_line(pixels, dataclasses.replace(RECIPE, **none), np.random.default_rng(0))
    np.testing.assert_array_equal(same, pixels)
