import numpy as np
import pytest

from digitlens.datasets.synthetic.inks import draw_colours, inked, with_plate

PAPER = np.full((60, 80, 3), 200, np.float32)
RED = np.array([150, 20, 30], np.float32)


def test_paper_and_ink_can_be_told_apart():
    pairs = [draw_colours(np.random.default_rng(seed)) for seed in range(500)]

    apart = [float(np.abs(paper - ink).max()) for paper, ink in pairs]
    assert min(apart) > 20
    assert np.median(apart) > 90
    for colour in (colour for pair in pairs for colour in pair):
        assert colour.shape == (3,)
        assert colour.dtype == np.float32
        assert colour.min() >= 0
        assert colour.max() <= 255
    darker = [paper.mean() > ink.mean() for paper, ink in pairs]
    assert 0.55 < np.mean(darker) < 0.8


def test_without_ink_the_paper_stays(rng):
    assert (inked(PAPER, np.zeros((60, 80), np.uint8), RED, rng) == PAPER).all()


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_full_ink_brings_its_colour_by_its_strength(strength: float):
    ink = np.zeros((60, 80), np.uint8)
    ink[10:20, 10:20] = 255
    expected = 200 + strength * (RED - 200)

    pages = [inked(PAPER, ink, RED, np.random.default_rng(s), strength) for s in range(40)]

    solid = [np.allclose(page[10:20, 10:20], expected, atol=0.1) for page in pages]
    assert 0.5 < np.mean(solid) < 0.95  # the others are pencils and dry pens, with gaps
    for page in pages:
        assert page.dtype == np.float32
        assert (page[30:] == 200).all()
        inside = page[10:20, 10:20]
        assert (inside >= np.floor(expected)).all()
        assert inside.mean() < 200


def test_a_sign_lies_under_all_the_writing(rng):
    boxes = np.array([[20, 20, 30, 40], [35, 22, 45, 42]], np.float32)

    page = with_plate(PAPER, RED, boxes, rng)

    assert page.dtype == np.float32
    assert page[22:40, 22:43].mean(axis=(0, 1)) == pytest.approx(RED, abs=40)
    assert page[:2, :2] == pytest.approx(200)
    assert (PAPER == 200).all()


def test_without_writing_there_is_no_sign(rng):
    assert with_plate(PAPER, RED, np.zeros((0, 4), np.float32), rng) is PAPER
