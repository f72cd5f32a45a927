from itertools import pairwise

import numpy as np
import pytest

from digitlens.models.layers import Layer
from digitlens.visualization.maps import MOST, draw_feature_maps
from digitlens.visualization.style import themed


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


@pytest.mark.parametrize(("name", "suffix"), [("light", ".svg"), ("dark", ".png")])
def test_the_strongest_maps_of_every_layer_are_shown(
    layers, tiles, tmp_path, drawn, texts, name, suffix
):
    with themed(name) as colours:
        draw_feature_maps(tiles[0], layers, tmp_path / f"maps{suffix}")
    (axes,) = drawn[0].axes
    assert axes.get_title(loc="left") == "How a network reads a 1, layer by layer"
    assert np.array_equal(axes.images[0].get_array(), tiles[0])
    maps = [image.get_array() for image in axes.images if image.get_array().shape == (6, 6)]
    assert len(maps) == MOST
    sums = [shown.sum() for shown in maps]
    assert sums == sorted(sums, reverse=True)
    expected = layers[1].maps / layers[1].maps.max()
    np.testing.assert_allclose(maps[0], expected[expected.sum(axis=(1, 2)).argmax()], rtol=1e-6)
    assert [image.get_array().shape for image in axes.images[-4:]] == [(3, 3)] * 3 + [(2, 64)]
    written = texts(axes)
    for layer in layers:
        assert layer.name in written
    for size in ("20 maps of 6 x 6", "100 values", "none", "> 99.9 %", "+4.0"):
        assert size in written
    assert written.count("< 0.1 %") == 9
    chosen = {text.get_text() for text in axes.texts if text.get_color() == colours.blue}
    assert chosen == {"1", "+4.0", "> 99.9 %"}


def test_nothing_lies_over_the_next_layer(layers, tiles, tmp_path, drawn):
    draw_feature_maps(tiles[0], layers, tmp_path / "maps.png")
    (axes,) = drawn[0].axes
    spans = {tuple(np.round(sorted(image.get_extent()[2:]), 6)) for image in axes.images}
    ordered = sorted(spans)
    assert all(above[1] < below[0] for above, below in pairwise(ordered))


def test_a_network_without_its_answer_is_refused(layers, tiles, tmp_path):
    with pytest.raises(ValueError, match="end in probabilities"):
        draw_feature_maps(tiles[0], layers[:-1], tmp_path / "maps.png")
