"""Changes of light keep tiles in range and in place, and each does what it is called."""

import pytest
import torch

from digitlens.training.photometry import change_light, changes_light
from digitlens.training.recipe import Recipe


def _run(**fields: float) -> torch.Tensor:
    images = torch.zeros(400, 1, 28, 28)
    images[:, :, 8:20, 12:15] = 255.0
    return change_light(images, Recipe(**fields), torch.Generator().manual_seed(0))


@pytest.mark.parametrize("field", ["blur", "contrast", "noise", "filters", "erase", "lines"])
def test_pixels_stay_in_range_and_about_the_asked_share_changes(field):
    share = 0.5
    found = _run(**{field: 14.0 if field == "erase" else share})
    assert found.shape == (400, 1, 28, 28)
    assert found.min() >= 0
    assert found.max() <= 255
    changed = (found != _run()).flatten(1).any(1).float().mean()
    assert 0.1 < changed < 0.62  # a filter or square may leave a tile as it was


def test_nothing_asked_nothing_changed():
    assert not changes_light(Recipe())
    assert changes_light(Recipe(noise=0.1))


def test_erasing_only_takes_ink_away():
    before, after = _run(), _run(erase=14.0)
    assert (after <= before).all()
    assert after.sum() < 0.99 * before.sum()


def test_blur_keeps_the_ink_where_it_was():
    found = _run(blur=1.0).mean((0, 1))
    assert found[8:20, 12:15].sum() > 0.5 * found.sum()
    assert (found > 0).sum() > 3 * 12


def test_fading_keeps_ink_brighter_than_its_ground():
    found = _run(contrast=1.0)
    assert (found[:, :, 8:20, 12:15].amin((2, 3)) >= found[:, :, :, 12:15].amin((2, 3))).all()
    assert found[:, :, 0, 0].max() > 20


def test_a_line_goes_from_edge_to_edge_and_takes_no_ink_away():
    before, after = _run(), _run(lines=1.0)
    assert (after >= before).all()
    line = (after > before).squeeze(1)
    assert (line[:, :2].flatten(1).any(1) | line[:, :, :2].flatten(1).any(1)).all()
    assert 10 < line.flatten(1).sum(1).float().mean() < 120


def test_outlines_leave_the_inside_dark():
    found = _run(filters=1.0)
    outlined = (found[:, 0, 10, 13] == 0) & (found[:, 0, 10, 11] == 255)
    assert 0.15 < outlined.float().mean() < 0.45


def test_a_filter_may_turn_ink_dark():
    found = _run(filters=1.0)
    ink, ground = found[:, 0, 10:18, 13].mean(1), found[:, 0, 2, 2]
    assert 0.03 < (ink < ground).float().mean() < 0.6
