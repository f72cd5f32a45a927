import numpy as np
import pytest

from digitlens.datasets.synthetic.papers import draw_paper, noise_field

COLOUR = np.array([180, 160, 120], np.float32)


@pytest.mark.parametrize("size", [(64, 64), (101, 33), (9, 5)])
@pytest.mark.parametrize("way", [{}, {"patterned": True}, {"wild": True}])
def test_a_paper_fills_its_size_with_finite_levels(size: tuple[int, int], way: dict[str, bool]):
    for seed in range(30):
        paper = draw_paper(*size, COLOUR, np.random.default_rng(seed), **way)

        assert paper.shape == (size[1], size[0], 3)
        assert paper.dtype == np.float32
        assert np.isfinite(paper).all()


def test_a_paper_has_its_colour_on_average():
    papers = [draw_paper(64, 64, COLOUR, np.random.default_rng(seed)) for seed in range(60)]

    means = np.array([paper.mean(axis=(0, 1)) for paper in papers])
    assert means.mean(axis=0) == pytest.approx(COLOUR, abs=6)
    plain = [np.ptp(paper, axis=(0, 1)).max() == 0 for paper in papers]
    assert 0.2 < np.mean(plain) < 0.6


def test_a_patterned_paper_is_rarely_plain():
    papers = [
        draw_paper(64, 64, COLOUR, np.random.default_rng(seed), patterned=True)
        for seed in range(60)
    ]

    assert np.mean([np.ptp(paper) > 60 for paper in papers]) > 0.75


def test_a_scene_has_nothing_of_the_paper():
    means = [
        draw_paper(64, 64, COLOUR, np.random.default_rng(seed), wild=True).mean(axis=(0, 1))
        for seed in range(30)
    ]

    assert np.std(means, axis=0).min() > 15


def test_noise_is_smooth_at_its_scale():
    def roughness(cells: float) -> float:
        field = noise_field(96, 96, cells, np.random.default_rng(0))
        assert field.std() == pytest.approx(0.9, abs=0.3)
        return float(np.abs(np.diff(field, axis=1)).mean())

    assert roughness(4) < roughness(16) < roughness(64)
