import numpy as np
import pytest

from digitlens.visualization.saliency import draw_saliency
from digitlens.visualization.style import themed

ANSWER = np.array([0.0001, 0.02, 0, 0, 0.6, 0, 0, 0, 0, 0.3799], np.float32)


@pytest.fixture
def tile():
    tile = np.zeros((28, 28), np.uint8)
    tile[4:24, 12:16] = 255
    return tile


@pytest.mark.parametrize(("name", "suffix"), [("light", ".png"), ("dark", ".svg")])
def test_maps_are_drawn_about_zero_with_the_ink_outlined(
    tile, tmp_path, drawn, texts, name, suffix
):
    found = {"ink": np.zeros((28, 28), np.float32), "nothing": np.zeros((28, 28), np.float32)}
    found["ink"][5, 13], found["ink"][9, 9] = 4, -2
    with themed(name) as colours:
        draw_saliency(tile, 4, ANSWER, found, tmp_path / f"why{suffix}", truth=9)
    shown, ink, nothing, bars = drawn[0].axes
    assert np.array_equal(shown.images[0].get_array(), tile)
    assert ink.images[0].get_array()[5, 13] == 1
    assert ink.images[0].get_array()[9, 9] == -0.5
    assert ink.images[0].get_clim() == (-1, 1)
    edges = np.concatenate(ink.collections[0].get_paths()[0].to_polygons())
    assert edges.min(axis=0) == pytest.approx([11.5, 3.5], abs=0.5)
    assert edges.max(axis=0) == pytest.approx([15.5, 23.5], abs=0.5)
    assert not nothing.images[0].get_array().any()
    labels = [label.get_text() for label in bars.get_yticklabels()]
    assert labels[:4] == ["4", "9", "1", "0"]
    assert texts(bars)[:4] == ["60.0 %", "38.0 %", "2.0 %", "< 0.1 %"]
    assert bars.patches[0].get_facecolor()[:3] == pytest.approx(
        tuple(int(colours.blue[at : at + 2], 16) / 255 for at in (1, 3, 5))
    )
    title = drawn[0].get_suptitle()
    assert title == "Why a 4, and not the 9 that it is?  60.0 % sure"


def test_what_is_right_or_unknown_is_not_doubted(tile, tmp_path, drawn):
    for truth in (4, None):
        draw_saliency(tile, 4, ANSWER, {}, tmp_path / "why.png", truth=truth)
    assert [figure.get_suptitle() for figure in drawn] == ["Why a 4?  60.0 % sure"] * 2
    assert [len(figure.axes) for figure in drawn] == [2, 2]
