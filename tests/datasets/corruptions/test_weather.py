import numpy as np
import pytest

from digitlens.datasets.corruptions.corruptions import corrupt
from digitlens.datasets.corruptions.weather import plasma


def test_brightness_adds_half_and_cuts_off(tiles):
    brighter = corrupt(tiles, "brightness").astype(float)
    assert np.abs(brighter - np.minimum(tiles + 127.5, 255)).max() <= 0.5


def test_stripe_inverts_a_quarter_on_either_side(tiles):
    striped = corrupt(tiles, "stripe")
    assert np.array_equal(striped[:, :, 7:21], tiles[:, :, 7:21])
    assert np.array_equal(striped[:, :, :7], 255 - tiles[:, :, :7])
    assert np.array_equal(striped[:, :, 21:], 255 - tiles[:, :, 21:])


def test_fog_leaves_a_quarter_of_the_ink_above_smooth_clouds():
    tiles = np.zeros((200, 28, 28), np.uint8)
    tiles[:, 14, 14] = 255
    foggy = corrupt(tiles, "fog").astype(float)
    around = (foggy[:, 14, 13] + foggy[:, 14, 15] + foggy[:, 13, 14] + foggy[:, 15, 14]) / 4
    assert (foggy[:, 14, 14] - around).mean() == pytest.approx(255 / 4, abs=3)
    assert not corrupt(np.zeros((2, 28, 28), np.uint8), "fog").any()  # as bright as the ink: not


def test_plasma_is_smooth_rough_at_every_scale_and_within_range():
    clouds = plasma(300, np.random.default_rng(0))
    assert clouds.min() >= 0
    assert clouds.max() <= 1
    assert 0.15 < clouds.mean(axis=(1, 2)).std() < 0.25  # thick fog and thin
    steps = [np.abs(clouds[:, :, by:] - clouds[:, :, :-by]).mean() for by in (1, 4, 16)]
    assert 0.004 < steps[0] < steps[1] / 2 < steps[2] / 4 < 0.1


def test_spatter_covers_some_with_mud_and_leaves_the_rest():
    full = np.full((200, 28, 28), 255, np.uint8)
    covered = corrupt(full, "spatter")
    assert 0.05 < (covered < 255).mean() < 0.3
    assert covered.min() == 63
    assert np.unique(covered[covered < 255]).max() <= 255 - round(0.8 * (255 - 63))
    dark = corrupt(np.zeros_like(full), "spatter")
    assert np.array_equal(dark > 0, covered < 255)  # the same mud on paper as on ink
