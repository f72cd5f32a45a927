import numpy as np
import pytest

from digitlens.datasets.synthetic.hands import FontHand
from digitlens.datasets.synthetic.on_paper import (
    Looks,
    calmer,
    draw_ground,
    put_on_paper,
    readable_colours,
)
from digitlens.datasets.synthetic.views import choose_view
from digitlens.datasets.synthetic.writing import Style
from digitlens.datasets.synthetic.written import lay_out


@pytest.mark.parametrize(
    "looks",
    [
        Looks(),
        Looks(checks=True, rules=1.0, boxed=1.0, neighbours=1.0),
        Looks(scene=1.0, stamped=1.0),
        Looks(relief=1.0),
    ],
)
def test_every_look_gives_a_picture_and_the_text(font_hand: FontHand, looks: Looks):
    rng = np.random.default_rng(2)
    written = lay_out("12.50", Style(font_hand), rng)
    texts = []
    for _ in range(15):
        view = choose_view(written.extent, rng)
        plane, text = put_on_paper(written, view, rng, looks)
        texts.append(text)

        assert plane.shape == (view.height, view.width, 3)
    assert texts.count("12.50") > 10


def test_ink_can_be_told_from_paper(rng: np.random.Generator):
    apart = [np.abs(ink - paper).max() for paper, ink in (readable_colours(rng) for _ in range(99))]

    assert min(apart) > 25
    assert np.median(apart) > 90


def test_a_ground_is_calmer_than_its_ink(font_hand: FontHand, rng: np.random.Generator):
    view = choose_view(lay_out("8888", Style(font_hand), rng).extent, rng)
    for _ in range(40):
        plane, paper, ink = draw_ground(view, rng)

        assert (plane - paper).std() <= 0.31 * np.abs(ink - paper).max()


def test_calm_papers_stay_as_they_are():
    colour = np.full(3, 100, np.float32)
    plane = colour + np.random.default_rng(0).normal(0, 10, (20, 30, 3)).astype(np.float32)

    assert calmer(plane, colour, 20) is plane
    assert (calmer(plane, colour, 5) - colour).std() == pytest.approx(5, abs=0.1)
