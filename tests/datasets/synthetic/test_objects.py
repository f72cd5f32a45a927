from functools import partial

import numpy as np
import pytest

from digitlens.datasets.synthetic import objects
from digitlens.datasets.synthetic.camera import choose_view
from digitlens.datasets.synthetic.canvas import Style, lay_out
from digitlens.datasets.synthetic.objects import (
    Looks,
    draw_ground,
    put_on_paper,
    readable_colours,
    soften,
)


@pytest.mark.parametrize(
    ("show", "pitch"),
    [
        (partial(put_on_paper, looks=Looks()), 0),
        (partial(put_on_paper, looks=Looks(checks=True, rules=1.0, boxed=1.0, neighbours=1.0)), 0),
        (partial(put_on_paper, looks=Looks(scene=1.0, stamped=1.0)), 0),
        (partial(put_on_paper, looks=Looks(relief=1.0)), 0),
        (objects.show_sign, 0),
        (objects.show_cell, 0),
        (lambda *what: objects.show_comb(*what[:2], 1.1, what[2]), 1.1),
    ],
)
def test_every_ground_returns_a_picture_and_the_text(font_glyphs, show, pitch):
    rng = np.random.default_rng(4)
    written = lay_out("12.50", Style(font_glyphs), rng, pitch=pitch)
    seen = []
    for _ in range(20):
        view = choose_view(written.extent, rng)
        plane, text = show(written, view, rng)
        seen.append(text)
        assert plane.shape == (view.height, view.width, 3)
    assert seen.count("12.50") > 13


@pytest.mark.parametrize("material", objects._MATERIALS)
def test_ink_is_visible_on_every_material_and_optional(monkeypatch, material):
    monkeypatch.setattr(objects, "_MATERIALS", (material,))
    ink = np.zeros((90, 120), np.uint8)
    ink[20:70, 50:60] = 255
    away = []
    for seed in range(20):
        plane = objects.draw_material(ink, np.random.default_rng(seed))
        assert plane.shape == (90, 120, 3)
        assert plane.dtype == np.float32
        stroke, beside = plane[25:65, 45:65], plane[25:65, 70:90]
        away.append(stroke.std(axis=(0, 1)).max() - beside.std(axis=(0, 1)).max())
        assert np.isfinite(objects.draw_material(0 * ink, np.random.default_rng(seed))).all()
    assert np.median(away) > 5


def test_ink_and_paper_have_enough_contrast(rng):
    apart = [np.abs(ink - paper).max() for paper, ink in (readable_colours(rng) for _ in range(99))]
    assert min(apart) > 25
    assert np.median(apart) > 90


def test_ground_varies_less_than_its_ink_and_calm_ground_is_unchanged(font_glyphs, rng):
    view = choose_view(lay_out("8888", Style(font_glyphs), rng).extent, rng)
    for _ in range(40):
        plane, paper, ink = draw_ground(view, rng)
        assert (plane - paper).std() <= 0.31 * np.abs(ink - paper).max()
    colour = np.full(3, 100, np.float32)
    plane = colour + np.random.default_rng(0).normal(0, 10, (20, 30, 3)).astype(np.float32)
    assert soften(plane, colour, 20) is plane
    assert (soften(plane, colour, 5) - colour).std() == pytest.approx(5, abs=0.1)


def test_wheels_show_mostly_the_digit_that_is_read(font_glyphs, rng):
    counters = [objects.draw_counter(font_glyphs, rng) for _ in range(100)]
    for number, counter in enumerate(counters):
        assert counter.text.isdigit()
        assert len(counter.text) == len(counter.wheels) <= 8
        assert all(abs(wheel.roll) < 0.5 * counter.turn for wheel in counter.wheels)
        assert counter.reds < len(counter.wheels)
        if number < 20:
            view = choose_view(counter.extent, rng)
            plane = objects.show_counter(counter, view, rng)
            assert plane.shape == (view.height, view.width, 3)
            assert plane.std() > 3
    assert 10 < sum(len(counter.wheels) == 1 for counter in counters) < 60
