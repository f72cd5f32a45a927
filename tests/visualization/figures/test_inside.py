import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.patches import Circle

from digitlens.models.layers import Layer
from digitlens.visualization.figures import inside
from digitlens.visualization.theme import THEMES, blend, contrast, diverging, rising, themed


@pytest.mark.parametrize("name", THEMES)
def test_zero_has_the_background_colour_and_extremes_contrast_with_it(name):
    with themed(name) as colours:
        scale, heat = diverging(), rising(colours.green)
        assert scale(0.5)[:3] == pytest.approx(blend(colours.ground, colours.ink, 0), abs=0.01)
        assert contrast(scale(0.0)[:3], colours.ground) > 4.5
        assert contrast(scale(1.0)[:3], colours.ground) > 4.5
        assert contrast(heat(1.0)[:3], colours.pale) > 4.5
        steps = [contrast(heat(share)[:3], colours.ground) for share in np.linspace(0, 1, 9)]
        assert steps == sorted(steps), "the stronger, the further from the ground"


def test_filters_share_one_scale_and_all_zero_ones_are_drawn(tmp_path, drawn):
    filters = np.random.default_rng(0).normal(size=(11, 3, 3)).astype(np.float32)
    with themed("dark"):
        inside.draw_filters(np.zeros((1, 5, 5), np.float32), tmp_path / "filters.svg")
        inside.draw_filters(filters, tmp_path / "filters.svg")
    axes, scale = drawn[1].axes
    pictures = [image for image in axes.images if image.get_array().shape == (3, 3)]
    found = np.stack([image.get_array() for image in pictures])
    np.testing.assert_allclose(found, filters / np.abs(filters).max(), rtol=1e-6)
    assert {image.get_clim() for image in pictures} == {(-1, 1)}
    corners = {tuple(image.get_extent()[::2]) for image in pictures}
    assert len(corners) == 11
    assert axes.get_title(loc="left").startswith("11 filters of 3 x 3")
    assert [text.get_text() for text in scale.get_xticklabels()] == ["lowers", "0", "raises"]
    assert (tmp_path / "filters.svg").stat().st_size > 2000


@pytest.fixture
def layers(tiles):
    random = np.random.default_rng(0)
    strong = random.random((20, 6, 6)).astype(np.float32) * np.arange(20)[:, None, None]
    scores = np.array([-3, 4, 0, 1, -1, 0, 0, 0, 0, 0, 2], np.float32)
    return [
        Layer("tile", "tile", tiles[0][None] / np.float32(255)),
        Layer("convolution 1", "convolution", strong),
        Layer("max pooling", "pooling", strong[:3, ::2, ::2]),
        Layer("dense 1", "dense", random.random(100).astype(np.float32)),
        Layer("dense 2", "dense", scores),
        Layer("probabilities", "probabilities", np.eye(10, dtype=np.float32)[1]),
    ]


def test_strongest_maps_of_every_layer_are_shown(layers, tiles, tmp_path, drawn, texts):
    with themed("dark") as colours:
        inside.draw_feature_maps(tiles[0], layers, tmp_path / "maps.png")
    rows = drawn[0].axes
    assert rows[0].get_title(loc="left") == "How a network reads a 1, layer by layer"
    pictures = [[image.get_array() for image in axes.images] for axes in rows]
    assert np.array_equal(pictures[0][0], tiles[0])
    assert [len(found) for found in pictures] == [1, inside.MAX_MAPS, 3, 1, 0, 0]
    sums = [shown.sum() for shown in pictures[1]]
    assert sums == sorted(sums, reverse=True)
    expected = layers[1].maps / layers[1].maps.max()
    strongest = expected[expected.sum(axis=(1, 2)).argmax()]
    np.testing.assert_allclose(pictures[1][0], strongest, rtol=1e-6)
    assert pictures[3][0].shape == (2, 64)
    written = [texts(axes) for axes in rows]
    for layer, said in zip(layers, written, strict=True):
        assert layer.name in said
    assert "20 maps of 6 x 6" in written[1]
    assert "100 values" in written[3]
    assert {"none", "+4.0"} <= set(written[4])
    assert "> 99.9 %" in written[5]
    assert written[5].count("< 0.1 %") == 9
    ink = [text for axes in rows for text in axes.texts if text.get_color() == colours.blue]
    assert {text.get_text() for text in ink} == {"1", "+4.0", "> 99.9 %"}


ANSWER = np.array([0.0001, 0.02, 0, 0, 0.6, 0, 0, 0, 0, 0.3799], np.float32)


@pytest.fixture
def tile():
    tile = np.zeros((28, 28), np.uint8)
    tile[4:24, 12:16] = 255
    return tile


def test_saliency_is_centred_on_zero_with_the_ink_outlined(tile, tmp_path, drawn, texts):
    found = {"ink": np.zeros((28, 28), np.float32), "nothing": np.zeros((28, 28), np.float32)}
    found["ink"][5, 13], found["ink"][9, 9] = 4, -2
    with themed("light") as colours:
        inside.draw_saliency(tile, 4, ANSWER, found, tmp_path / "why.png", truth=9)
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
    assert bars.patches[0].get_facecolor()[:3] == pytest.approx(to_rgb(colours.blue))
    title = drawn[0].get_suptitle()
    assert title == "Why a 4 instead of the true 9?  60.0 % sure"


def test_title_names_no_truth_if_right_or_unknown(tile, tmp_path, drawn):
    for truth in (4, None):
        inside.draw_saliency(tile, 4, ANSWER, {}, tmp_path / "why.png", truth=truth)
    assert [figure.get_suptitle() for figure in drawn] == ["Why a 4?  60.0 % sure"] * 2
    assert [len(figure.axes) for figure in drawn] == [2, 2]


def test_clusters_are_labelled_and_mistakes_ringed(tiles, tmp_path, drawn, texts):
    labels = np.repeat([3, 8], 30)
    predicted = labels.copy()
    predicted[7] = 8
    points = np.random.default_rng(0).normal(size=(60, 2)) + 20 * (labels == 8)[:, None]
    with themed("light") as colours:
        inside.draw_embedding(points, labels, predicted, tiles, tmp_path / "map.svg", method="X")
    (axes,) = drawn[0].axes
    three, eight = (text for text in axes.texts if text.get_text() in "38")
    assert (three.get_text(), eight.get_text()) == ("3", "8")
    assert sum(three.get_position()) < sum(eight.get_position())
    (ring,) = (patch for patch in axes.patches if isinstance(patch, Circle))
    assert ring.get_edgecolor()[:3] == to_rgb(colours.red)
    place = inside._fit_to_square(points)[7]
    assert ring.center == pytest.approx(tuple(place))
    note = texts(axes)[-1]
    assert note.startswith("features in two dimensions by X; ")
    assert note.endswith("ringed: errors")


def test_thumbnails_are_drawn_at_their_points(tmp_path, drawn):
    tiles = np.zeros((2, 28, 28), np.uint8)
    tiles[0, 10:18, 10:18] = 255
    labels = np.array([5, 5])
    inside.draw_embedding(np.array([[0, 0], [9, 9]]), labels, labels, tiles, tmp_path / "map.png")
    picture = drawn[0].axes[0].images[0].get_array()
    rows, columns = np.nonzero(picture.min(axis=2) < 255)
    side = len(picture)
    # The first point is the lower left one.
    assert rows.mean() / side == pytest.approx(1 - inside._EDGE, abs=0.002)
    assert columns.mean() / side == pytest.approx(inside._EDGE, abs=0.002)
    np.testing.assert_allclose(picture[rows[0], columns[0]] / 255, inside._colour(5), atol=0.01)


@pytest.mark.parametrize("name", THEMES)
def test_digit_colours_contrast_with_the_background_and_none_is_red(name):
    with themed(name) as colours:
        found = [inside._colour(digit) for digit in range(10)]
        assert len(set(found)) == 10
        for colour in found:
            assert contrast(colour, colours.ground) > 3
            assert np.abs(np.subtract(colour, to_rgb(colours.red))).max() > 0.1
