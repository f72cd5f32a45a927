"""Tiny ONNX graphs that read a digit off a drawn bar, and a model folder around one."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from digitlens import files
from digitlens.models.bundle import Card, write_bundle

TYPES = {
    "uint8": TensorProto.UINT8,
    "float16": TensorProto.FLOAT16,
    "float32": TensorProto.FLOAT,
    "float64": TensorProto.DOUBLE,
}


def bars(digits):
    """A tile for each digit: a bright bar, two columns wide, further right for a larger one."""
    tiles = np.zeros((len(digits), 28, 28), np.uint8)
    for tile, digit in zip(tiles, digits, strict=True):
        tile[:, 2 * digit : 2 * digit + 2] = 255
    return tiles


def bar_weights():
    """float32[784, 10]; the column of each digit adds up its bar."""
    return (bars(range(10)).reshape(10, 784).T / 255).astype(np.float32)


def graph_bytes(model):
    onnx.checker.check_model(model)
    return model.SerializeToString()


@pytest.fixture
def bar_graph():
    """Makes a graph: tiles of some shape and type → weights → scores, softmax or not."""

    def make(
        shape=("N", 28, 28),
        dtype="uint8",
        *,
        weights=None,
        last="Softmax",
        entry="tiles",
    ):
        weights = bar_weights() if weights is None else weights
        score_type = "float32" if dtype == "uint8" else dtype
        constants = {"flat": np.array([-1, 784]), "weights": weights.astype(score_type)}
        batch = shape[0] if shape else "N"
        nodes = [
            helper.make_node("Reshape", [entry, "flat"], ["pixels"]),
            helper.make_node("Cast", ["pixels"], ["numbers"], to=TYPES[score_type]),
            helper.make_node("MatMul", ["numbers", "weights"], ["sums"]),
            helper.make_node(last, ["sums"], ["probabilities"]),
        ]
        graph = helper.make_graph(
            nodes,
            "bars",
            [helper.make_tensor_value_info(entry, TYPES[dtype], shape)],
            [
                helper.make_tensor_value_info(
                    "probabilities", TYPES[score_type], (batch, weights.shape[1])
                )
            ],
            [numpy_helper.from_array(value, name) for name, value in constants.items()],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)

    return make


@pytest.fixture
def folder(tmp_path, bar_graph):
    """A whole model folder, named ``bars``."""
    graph = graph_bytes(bar_graph())
    path = tmp_path / "bars"
    write_bundle(path, Card(name="bars", version="0.0", sha256=files.sha256(graph)), graph)
    return path


@pytest.fixture
def draw_bars():
    return bars


@pytest.fixture
def weights():
    return bar_weights()


@pytest.fixture
def save(tmp_path):
    """Writes a graph to ``model.onnx`` and gives the path."""

    def write(model, name="model.onnx"):
        path = tmp_path / name
        path.write_bytes(graph_bytes(model))
        return path

    return write
