import numpy as np
import pytest

from digitlens.datasets.corruptions.corruptions import corrupt


def test_shot_noise_counts_photons_and_leaves_the_dark_dark():
    half = np.full((500, 28, 28), 128, np.uint8)
    half[:, :14] = 0
    noisy = corrupt(half, "shot_noise")
    assert set(np.unique(noisy)) == {0, 85, 170, 255}
    assert not noisy[:, :14].any()
    assert (noisy[:, 14:] == 0).mean() == pytest.approx(np.exp(-3 * 128 / 255), abs=0.01)


def test_impulse_noise_fails_one_pixel_in_six_half_of_them_full():
    noisy = corrupt(np.full((500, 28, 28), 100, np.uint8), "impulse_noise")
    assert (noisy == 255).mean() == pytest.approx(0.085, abs=0.002)
    assert (noisy == 0).mean() == pytest.approx(0.085, abs=0.002)
    assert set(np.unique(noisy)) == {0, 100, 255}
