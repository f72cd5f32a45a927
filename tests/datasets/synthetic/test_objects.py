import numpy as np
import pytest

from digitlens.datasets.synthetic import objects
from digitlens.datasets.synthetic.hands import FontHand
from digitlens.datasets.synthetic.views import choose_view
from digitlens.datasets.synthetic.writing import Style
from digitlens.datasets.synthetic.written import lay_out


def test_wheels_show_more_of_what_is_read_than_of_its_neighbours(font_hand: FontHand, rng):
    counters = [objects.draw_counter(font_hand, rng) for _ in range(100)]

    for counter in counters:
        assert counter.text.isdigit()
        assert len(counter.text) == len(counter.wheels) <= 8
        assert all(abs(wheel.roll) <= 0.4 * counter.turn for wheel in counter.wheels)
        assert counter.reds < len(counter.wheels)
    assert 10 < sum(len(counter.wheels) == 1 for counter in counters) < 60


def test_a_counter_is_drawn_in_all_of_its_view(font_hand: FontHand, rng):
    for _ in range(20):
        counter = objects.draw_counter(font_hand, rng)
        view = choose_view(counter.extent, rng)
        plane = objects.show_counter(counter, view, rng)

        assert plane.shape == (view.height, view.width, 3)
        assert plane.std() > 3


@pytest.mark.parametrize("show", [objects.show_sign, objects.show_cell])
def test_signs_and_cells_show_their_text(font_hand: FontHand, show):
    rng = np.random.default_rng(4)
    written = lay_out("42", Style(font_hand), rng)
    seen = []
    for _ in range(20):
        view = choose_view(written.extent, rng)
        plane, text = show(written, view, rng)
        seen.append(text)

        assert plane.shape == (view.height, view.width, 3)
    assert seen.count("42") > 14


def test_forms_show_a_character_a_box(font_hand: FontHand):
    rng = np.random.default_rng(4)
    written = lay_out("1357", Style(font_hand), rng, pitch=1.1)
    texts = []
    for _ in range(20):
        view = choose_view(written.extent, rng)
        plane, text = objects.show_comb(written, view, 1.1, rng)
        texts.append(text)

        assert plane.shape == (view.height, view.width, 3)
    assert texts.count("1357") > 14
