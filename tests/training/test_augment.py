"""Augmentation changes shape and light by the amounts in the recipe."""

import pytest
import torch

from digitlens.training.augment import augment, augments, change_light, changes_light
from digitlens.training.recipe import Recipe


def _bar(thickness: int = 2) -> torch.Tensor:
    tiles = torch.zeros(64, 28, 28, dtype=torch.uint8)
    tiles[:, 6:22, 14 - thickness // 2 : 14 - thickness // 2 + thickness] = 255
    return tiles


def _run(recipe: Recipe, seed: int = 0, tiles: torch.Tensor | None = None) -> torch.Tensor:
    tiles = _bar() if tiles is None else tiles
    return augment(tiles, recipe, torch.Generator().manual_seed(seed))


def _centre(tiles: torch.Tensor) -> torch.Tensor:
    """Returns the centre of mass of each tile, float[N, 2], as row and column."""
    mass = tiles.double()
    total = mass.sum((1, 2))
    places = torch.arange(28, dtype=torch.float64)
    rows, columns = mass.sum(2) @ places / total, mass.sum(1) @ places / total
    return torch.stack([rows, columns], 1)


def test_without_augmentation_tiles_are_unchanged():
    tiles = _bar()
    assert not augments(Recipe())
    assert augment(tiles, Recipe(), torch.Generator()) is tiles
    assert not changes_light(Recipe())
    assert changes_light(Recipe(noise=0.1))


@pytest.mark.parametrize("field", ["shift", "rotate", "scale", "shear", "elastic", "thickness"])
def test_each_field_changes_tiles_but_keeps_their_shape(field):
    recipe = Recipe(**{field: {"rotate": 20.0, "shear": 20.0, "shift": 3.0}.get(field, 0.5)})
    result = _run(recipe)
    assert augments(recipe)
    assert result.dtype == torch.uint8
    assert result.shape == (64, 28, 28)
    assert (result != _bar()).any(2).any(1).float().mean() > 0.4
    assert result.float().sum() > 0.3 * _bar().float().sum()


def test_generator_determines_the_result_and_tiles_differ():
    recipe = Recipe(shift=2.0, rotate=10.0, elastic=0.5, thickness=0.5)
    assert torch.equal(_run(recipe, seed=1), _run(recipe, seed=1))
    assert not torch.equal(_run(recipe, seed=1), _run(recipe, seed=2))
    result = _run(Recipe(rotate=30.0))
    assert len(torch.unique(result.flatten(1), dim=0)) > 60


def test_shift_rotation_and_scale_stay_within_their_limits():
    moved = (_centre(_run(Recipe(shift=3.0))) - _centre(_bar())).abs()
    assert 2 < moved.max() <= 3.05
    result = _run(Recipe(rotate=15.0)).double()
    offset = result.new_tensor(range(28)) - 13.5
    covariance = torch.einsum("nhw,h,w->n", result, offset, offset)
    vertical = torch.einsum("nhw,h->n", result, offset**2)
    slope = torch.rad2deg(torch.atan(covariance / vertical)).abs()
    assert 10 < slope.max() <= 15.5
    heights = (_run(Recipe(scale=0.2)).amax(2) > 127).sum(1)
    assert heights.min() >= 16 / 1.2 - 1
    assert heights.max() <= 16 / 0.8 + 1
    assert len(heights.unique()) > 3


def test_thickness_makes_strokes_wider_and_narrower():
    mass = _run(Recipe(thickness=1.0), tiles=_bar(4)).float().sum((1, 2))
    before = _bar(4).float().sum((1, 2))
    assert (mass > 1.2 * before).any()
    assert (mass < 0.95 * before).any()
    assert (mass > 0.4 * before).all()


def _lit(**fields: float) -> torch.Tensor:
    images = torch.zeros(400, 1, 28, 28)
    images[:, :, 8:20, 12:15] = 255.0
    return change_light(images, Recipe(**fields), torch.Generator().manual_seed(0))


@pytest.mark.parametrize("field", ["blur", "contrast", "noise", "filters", "erase", "lines"])
def test_pixels_stay_in_range_and_the_given_fraction_changes(field):
    share = 0.5
    found = _lit(**{field: 14.0 if field == "erase" else share})
    assert found.shape == (400, 1, 28, 28)
    assert found.min() >= 0
    assert found.max() <= 255
    changed = (found != _lit()).flatten(1).any(1).float().mean()
    assert 0.1 < changed < 0.62  # a filter or square may have no effect


def test_erasing_only_removes_ink_and_lines_only_add_it():
    before, erased, lined = _lit(), _lit(erase=14.0), _lit(lines=1.0)
    assert (erased <= before).all()
    assert erased.sum() < 0.99 * before.sum()
    assert (lined >= before).all()
    line = (lined > before).squeeze(1)
    assert (line[:, :2].flatten(1).any(1) | line[:, :, :2].flatten(1).any(1)).all()
    assert 10 < line.flatten(1).sum(1).float().mean() < 120


def test_filters_leave_outlines_or_darken_ink():
    found = _lit(filters=1.0)
    outlined = (found[:, 0, 10, 13] == 0) & (found[:, 0, 10, 11] == 255)
    assert 0.15 < outlined.float().mean() < 0.45
    ink, ground = found[:, 0, 10:18, 13].mean(1), found[:, 0, 2, 2]
    assert 0.03 < (ink < ground).float().mean() < 0.6
