"""A classifier small enough to be written down, and tiles for it, for commands that ask one."""

from collections.abc import Callable, Sequence

import numpy as np
import onnx
import pytest
from matplotlib.figure import Figure
from onnx import TensorProto, helper, numpy_helper

from digitlens import files
from digitlens.datasets import mnist as data
from digitlens.datasets.mnist import Mnist, Split
from digitlens.models.bundle import Card, write_bundle


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working folder, and for MNIST forty bars of which the first is labelled wrong."""
    digits = np.arange(40) % 10
    tiles = np.zeros((40, 28, 28), np.uint8)
    for tile, digit in zip(tiles, digits, strict=True):
        tile[:, 2 * digit : 2 * digit + 2] = 255
    labels = digits.astype(np.uint8)
    labels[0] = 9
    split = Split(tiles, labels)
    monkeypatch.setattr(data, "load_mnist", lambda _=None: Mnist(split, split))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def bundle(tmp_path, graph):
    """Writes a model that reads bars, with what its card shall say, and gives its folder."""

    def make(**changes):
        card = Card(name="bars", version="0.0", sha256=files.sha256(graph()), **changes)
        write_bundle(tmp_path / "model" / "bars", card, graph())
        return "model/bars"

    return make


@pytest.fixture
def unsaved(monkeypatch):
    """Plots are made and nothing is drawn into their files, which takes seconds."""
    monkeypatch.setattr(Figure, "savefig", lambda _, path, **__: path.touch())


@pytest.fixture(scope="session")
def graph() -> Callable[..., bytes]:
    return _graph


def _graph(blind: Sequence[int] = (), last: str = "Softmax") -> bytes:
    """Reads a digit off a bright bar that stands further right for a larger digit, but for some."""
    weights = np.zeros((28, 28, 10), np.float32)
    for digit in set(range(10)) - set(blind):
        weights[:, 2 * digit : 2 * digit + 2, digit] = 1 / 1000
    constants = {"flat": np.array([-1, 784]), "weights": weights.reshape(784, 10)}
    nodes = [
        helper.make_node("Reshape", ["tiles", "flat"], ["pixels"]),
        helper.make_node("Cast", ["pixels"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["numbers", "weights"], ["sums"]),
        helper.make_node(last, ["sums"], ["probabilities"]),
    ]
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "bars",
            [helper.make_tensor_value_info("tiles", TensorProto.UINT8, ("N", 28, 28))],
            [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ("N", 10))],
            [numpy_helper.from_array(value, name) for name, value in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=9,
    )
    onnx.checker.check_model(model)
    return model.SerializeToString()
