import numpy as np
import pytest

from digitlens.datasets.synthetic.canvas import Canvas
from digitlens.datasets.synthetic.papers import (
    draw_colours,
    draw_paper,
    draw_ruling,
    draw_scribbles,
    draw_table,
    inked,
    noise_field,
    with_plate,
)

COLOUR = np.array([180, 160, 120], np.float32)


@pytest.mark.parametrize("size", [(64, 64), (101, 33), (9, 5)])
@pytest.mark.parametrize("way", [{}, {"patterned": True}, {"wild": True}])
def test_a_paper_fills_its_size_with_finite_levels(size, way):
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


def test_a_patterned_paper_is_rarely_plain_and_a_scene_has_nothing_of_the_paper():
    patterned, wild = (
        [draw_paper(64, 64, COLOUR, np.random.default_rng(seed), **way) for seed in range(60)]
        for way in ({"patterned": True}, {"wild": True})
    )
    assert np.mean([np.ptp(paper) > 60 for paper in patterned]) > 0.75
    assert np.std([scene.mean(axis=(0, 1)) for scene in wild], axis=0).min() > 15


def test_noise_is_smooth_at_its_scale():
    def roughness(cells: float) -> float:
        field = noise_field(96, 96, cells, np.random.default_rng(0))
        assert field.std() == pytest.approx(0.9, abs=0.3)
        return float(np.abs(np.diff(field, axis=1)).mean())

    assert roughness(4) < roughness(16) < roughness(64)


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


def test_without_ink_or_writing_the_paper_stays(rng):
    assert (inked(PAPER, np.zeros((60, 80), np.uint8), RED, rng) == PAPER).all()
    assert with_plate(PAPER, RED, np.zeros((0, 4), np.float32), rng) is PAPER


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_full_ink_brings_its_colour_by_its_strength(strength):
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


def sheets(draw, count: int = 40) -> list[Canvas]:
    drawn = []
    for seed in range(count):
        canvas = Canvas(90, 70, np.eye(3))
        draw(canvas, np.random.default_rng(seed))
        drawn.append(canvas)
    return drawn


def test_scribbles_are_ink_of_many_forms_and_no_digit():
    drawn = sheets(draw_scribbles)
    assert not any(canvas.values for canvas in drawn)
    assert np.mean([canvas.ink.any() for canvas in drawn]) > 0.9
    assert len({canvas.ink.tobytes() for canvas in drawn}) > 30


def test_ruling_is_an_underline_ruled_or_squared_paper():
    kinds = set()
    for canvas in sheets(draw_ruling, 60):
        dark = canvas.ink > 100
        rows, columns = dark.mean(axis=1) > 0.95, dark.mean(axis=0) > 0.95
        kinds.add((bool(rows.any()), bool(columns.any())))
        assert not canvas.values
    assert kinds >= {(False, False), (True, False), (True, True)}


def test_a_table_has_a_rule_around_each_cell(rng):
    canvas = Canvas(100, 100, np.eye(3))
    draw_table(canvas, (10, 20), (20, 15), (4, 3), rng)
    for x in (10, 30, 50, 70, 90):
        assert (canvas.ink[22:63, x - 1 : x + 2].max(axis=1) > 50).all()
    for y in (20, 35, 50, 65):
        assert (canvas.ink[y - 1 : y + 2, 12:88].max(axis=0) > 50).all()
    assert not canvas.ink[26:30, 18:22].any()
    assert not canvas.ink[75:].any()
