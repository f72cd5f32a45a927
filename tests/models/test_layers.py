"""Outputs of all layers, of the shipped models and of a small graph."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from digitlens.errors import ModelError
from digitlens.models.bundle import load_bundle
from digitlens.models.classifier import Classifier
from digitlens.models.layers import activations, count_parameters, filters

RANDOM = np.random.default_rng(0)
KERNELS = RANDOM.normal(size=(2, 1, 3, 3)).astype(np.float16)
DENSE = RANDOM.normal(size=(2, 10)).astype(np.float32)


@pytest.fixture
def tile(small_split):
    return small_split.tiles[7]


@pytest.fixture
def half_graph(make_model):
    """A convolution with float16 kernels, a shortcut, average pooling and a dense layer."""
    value, node = helper.make_tensor_value_info, helper.make_node
    nodes = [
        node("Unsqueeze", ["tiles", "one"], ["maps"]),
        node("Cast", ["maps"], ["pixels"], to=TensorProto.FLOAT),
        node("Cast", ["half"], ["kernels"], to=TensorProto.FLOAT),
        node("Conv", ["pixels", "kernels"], ["sums"], pads=[1, 1, 1, 1]),
        node("Add", ["sums", "pixels"], ["added"]),
        node("Relu", ["added"], ["positive"]),
        node("GlobalAveragePool", ["positive"], ["means"]),
        node("Flatten", ["means"], ["flat"]),
        node("MatMul", ["flat", "dense"], ["scores"]),
        node("Softmax", ["scores"], ["probabilities"]),
    ]
    model = make_model(
        nodes,
        [value("tiles", TensorProto.UINT8, ("N", 28, 28))],
        [value("probabilities", TensorProto.FLOAT, ("N", 10))],
        {"one": np.array([1]), "half": KERNELS, "dense": DENSE},
    )
    onnx.checker.check_model(model)
    return model.SerializeToString()


@pytest.mark.parametrize(
    ("name", "convolutions", "kernel"), [("default", 9, (32, 5, 5)), ("swift", 3, (8, 5, 5))]
)
def test_layers_of_shipped_models_lead_from_the_pixels_to_the_prediction(
    tile, name, convolutions, kernel
):
    graph = load_bundle(name).graph
    layers = activations(graph, tile)
    np.testing.assert_allclose(layers[0].maps[0], tile / 255, atol=1e-7)
    np.testing.assert_allclose(
        layers[-1].maps, Classifier(name).predict_proba(tile[None])[0], atol=1e-6
    )
    kinds = [layer.kind for layer in layers]
    assert kinds.count("convolution") == convolutions
    assert kinds[-2:] == ["dense", "probabilities"]
    sides = [layer.maps.shape[-1] for layer in layers if layer.maps.ndim == 3]
    assert sides == sorted(sides, reverse=True)
    # After the activation, as the next layer receives it.
    assert all(layer.maps.min() >= 0 for layer in layers if layer.kind == "convolution")
    assert filters(graph).shape == kernel
    assert all(layer.maps.dtype == np.float32 for layer in layers)


def test_layer_outputs_match_their_computation(half_graph, tile):
    layers = activations(half_graph, tile)
    assert [(layer.name, layer.size) for layer in layers] == [
        ("tile", "28 x 28 pixels"),
        ("convolution 1 + shortcut", "2 maps of 28 x 28"),
        ("average pooling", "2 maps of 1 x 1"),
        ("dense 1", "10 values"),
        ("probabilities", "10 probabilities"),
    ]
    kernels = KERNELS.astype(np.float32)[:, 0]
    np.testing.assert_array_equal(filters(half_graph), kernels)
    around = np.lib.stride_tricks.sliding_window_view(np.pad(tile.astype(np.float32), 1), (3, 3))
    sums = np.einsum("yxij,kij->kyx", around, kernels) + tile
    np.testing.assert_allclose(layers[1].maps, np.maximum(sums, 0), rtol=1e-4, atol=1e-2)
    np.testing.assert_allclose(layers[3].maps, layers[2].maps[:, 0, 0] @ DENSE, rtol=1e-4)


def test_graphs_and_tiles_of_another_kind_are_refused(tile):
    for read in (filters, count_parameters):
        with pytest.raises(ModelError, match="onnx cannot read it"):
            read(b"not a graph")
    with pytest.raises(ModelError, match="expected a graph from 'tiles' to 'probabilities'"):
        activations(load_bundle("pages").graph, tile)
    with pytest.raises(TypeError, match="expected tiles as a NumPy array of dtype uint8"):
        activations(load_bundle("swift").graph, tile / 255)
