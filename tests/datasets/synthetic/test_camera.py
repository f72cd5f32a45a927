import numpy as np
import pytest

from digitlens.datasets.synthetic.camera import choose_view, expose, photograph, soil

STRIPES = np.repeat(np.repeat([[40.0, 210.0] * 4], 20, axis=1).reshape(1, -1, 1), 50, axis=0)
PAGE = np.repeat(STRIPES, 3, axis=2).astype(np.float32)


@pytest.mark.parametrize("shape", [(50, 160), (400, 300)])
def test_dirt_covers_little_of_a_page_but_some_of_most(shape):
    page = np.full((*shape, 3), 230, np.float32)
    changed = []
    for seed in range(40):
        soiled = soil(page, np.random.default_rng(seed))
        assert soiled.shape == page.shape
        assert np.isfinite(soiled).all()
        changed.append((np.abs(soiled - page).max(axis=2) > 40).mean())
    assert (page == 230).all()
    assert np.mean(changed) < 0.15
    assert np.mean(np.array(changed) > 0) > 0.6


def test_exposure_keeps_contrast_and_clips(rng):
    kept = []
    for seed in range(60):
        pixels = expose(PAGE, np.random.default_rng(seed)).astype(float)
        kept.append(pixels[:, 30].mean() - pixels[:, 10].mean())  # middle of stripes
    assert np.median(kept) == pytest.approx(170, abs=10)
    assert min(kept) > 80
    assert expose(np.full((20, 20, 3), 900, np.float32), rng).min() == 255
    assert expose(np.full((20, 20, 3), -900, np.float32), rng).max() == 0


WORD = (0.0, -1.0, 4.0, 0.2)


def corners(view, extent):
    x0, y0, x1, y1 = extent
    points = view.matrix @ np.array([[x0, x1, x1, x0], [y0, y0, y1, y1], [1, 1, 1, 1]])
    return points[:2] / points[2]


def test_text_is_almost_completely_in_the_crop(rng):
    for _ in range(200):
        view = choose_view(WORD, rng)
        x, y = corners(view, WORD)
        assert x.min() > -0.15 * view.width
        assert x.max() < 1.15 * view.width
        assert y.min() > -0.12 * view.height
        assert y.max() < 1.12 * view.height
        assert np.ptp(y) > 0.4 * view.height


def test_flat_mark_is_framed_like_a_digit_and_finer_views_scale(rng):
    view = choose_view((0.0, -0.5, 0.6, -0.4), rng)
    assert view.window[3] - view.window[1] > 0.9
    view = choose_view(WORD, rng)
    assert view.finer(2).width == 2 * view.width
    np.testing.assert_allclose(corners(view.finer(2), WORD), 2 * corners(view, WORD))


@pytest.mark.parametrize("digit", [7.0, 40.0])
def test_photograph_keeps_the_writing(digit):
    plane = np.full((48, 80, 3), 220, np.float32)
    plane[10:40, 30:42] = 20
    for seed in range(30):
        pixels = photograph(plane.copy(), digit, np.random.default_rng(seed)).astype(float)
        assert pixels.shape == plane.shape
        assert pixels[12:38, 33:39].mean() + 100 < pixels[:, :20].mean()
