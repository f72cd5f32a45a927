import numpy as np
import pytest

from digitlens.datasets.synthetic.camera import expose, light

STRIPES = np.repeat(np.repeat([[40.0, 210.0] * 4], 20, axis=1).reshape(1, -1, 1), 50, axis=0)
PAGE = np.repeat(STRIPES, 3, axis=2).astype(np.float32)


@pytest.mark.parametrize("shape", [(50, 160), (7, 9), (33, 101)])
def test_light_and_exposure_keep_the_size(shape: tuple[int, int]):
    page = np.resize(PAGE, (*shape, 3))
    for seed in range(40):
        random = np.random.default_rng(seed)
        lit = light(page, random)
        pixels = expose(lit, random)

        assert lit.shape == page.shape
        assert lit.dtype == np.float32
        assert np.isfinite(lit).all()
        assert pixels.shape == page.shape
        assert pixels.dtype == np.uint8


def test_light_is_uneven_on_some_pages_and_leaves_most_of_it():
    flat = np.full((64, 64, 3), 180, np.float32)
    lit = [light(flat, np.random.default_rng(seed)) for seed in range(100)]

    even = [np.ptp(page) == 0 for page in lit]
    assert 0.2 < np.mean(even) < 0.6
    assert np.mean([page.mean() for page in lit]) == pytest.approx(180, abs=25)
    assert (flat == 180).all()


def test_what_was_on_the_page_is_still_there_after_exposure():
    kept = []
    for seed in range(60):
        pixels = expose(PAGE, np.random.default_rng(seed)).astype(float)
        kept.append(pixels[:, 30].mean() - pixels[:, 10].mean())  # in the middle of stripes

    assert np.median(kept) == pytest.approx(170, abs=10)
    assert min(kept) > 80


def test_too_bright_and_too_dark_are_cut_off_and_do_not_wrap(rng):
    bright, dark = np.full((20, 20, 3), 900, np.float32), np.full((20, 20, 3), -900, np.float32)

    assert expose(bright, rng).min() == 255
    assert expose(dark, rng).max() == 0
