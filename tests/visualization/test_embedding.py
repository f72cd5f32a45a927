import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from matplotlib.patches import Circle

from digitlens.visualization import embedding
from digitlens.visualization.embedding import draw_embedding
from digitlens.visualization.style import THEMES, contrast, themed


@pytest.mark.parametrize(("name", "suffix"), [("light", ".svg"), ("dark", ".png")])
def test_digits_are_named_and_mistakes_ringed(tiles, tmp_path, drawn, texts, name, suffix):
    labels = np.repeat([3, 8], 30)
    predicted = labels.copy()
    predicted[7] = 8
    points = np.random.default_rng(0).normal(size=(60, 2)) + 20 * (labels == 8)[:, None]
    with themed(name) as colours:
        draw_embedding(points, labels, predicted, tiles, tmp_path / f"map{suffix}", method="X")
    (axes,) = drawn[0].axes
    three, eight = (text for text in axes.texts if text.get_text() in "38")
    assert (three.get_text(), eight.get_text()) == ("3", "8")
    assert sum(three.get_position()) < sum(eight.get_position())
    (ring,) = (patch for patch in axes.patches if isinstance(patch, Circle))
    assert ring.get_edgecolor()[:3] == to_rgb(colours.red)
    place = embedding._fitted(points)[7]
    assert ring.center == pytest.approx(tuple(place))
    note = texts(axes)[-1]
    assert note.startswith("features in two dimensions by X; ")
    assert note.endswith("ringed: read wrong")


def test_a_thumbnail_stands_where_its_point_is(tmp_path, drawn):
    tiles = np.zeros((2, 28, 28), np.uint8)
    tiles[0, 10:18, 10:18] = 255
    labels = np.array([5, 5])
    draw_embedding(np.array([[0, 0], [9, 9]]), labels, labels, tiles, tmp_path / "map.png")
    picture = drawn[0].axes[0].images[0].get_array()
    rows, columns = np.nonzero(picture.min(axis=2) < 255)
    side = len(picture)
    # The first point is the lower left one.
    assert rows.mean() / side == pytest.approx(1 - embedding._EDGE, abs=0.002)
    assert columns.mean() / side == pytest.approx(embedding._EDGE, abs=0.002)
    np.testing.assert_allclose(picture[rows[0], columns[0]] / 255, embedding._colour(5), atol=0.01)


@given(st.integers(0, 1000))
def test_what_is_shown_keeps_apart_and_leaves_no_hole(seed):
    places = np.random.default_rng(seed).random((200, 2)) * 0.3
    order = np.arange(200)[::-1]
    shown = embedding._apart(places, order)
    room = embedding._ROOM * embedding._SIDE
    far = np.abs(places[:, None] - places[shown]).max(axis=2)
    assert shown[0] == 199
    assert (far[shown] + np.eye(len(shown)) > room).all()
    assert (far.min(axis=1) <= room).all()


@pytest.mark.parametrize("name", THEMES)
def test_every_digit_can_be_read_and_none_is_red_as_mistakes_are(name):
    with themed(name) as colours:
        found = [embedding._colour(digit) for digit in range(10)]
        assert len(set(found)) == 10
        for colour in found:
            assert contrast(colour, colours.ground) > 3
            assert np.abs(np.subtract(colour, to_rgb(colours.red))).max() > 0.1


def test_a_map_of_nothing_is_refused(tmp_path, tiles):
    none = np.zeros(0, int)
    with pytest.raises(ValueError, match="found none"):
        draw_embedding(np.zeros((0, 2)), none, none, tiles[:0], tmp_path / "map.png")
