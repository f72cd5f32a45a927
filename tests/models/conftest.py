"""A model folder with a small graph, and graph files."""

import onnx
import pytest

from digitlens import files
from digitlens.models.bundle import Card, write_bundle


def graph_bytes(model):
    onnx.checker.check_model(model)
    return model.SerializeToString()


@pytest.fixture
def folder(tmp_path, bar_graph):
    """A complete model folder, named ``bars``."""
    graph = graph_bytes(bar_graph())
    path = tmp_path / "bars"
    write_bundle(path, Card(name="bars", version="0.0", sha256=files.sha256(graph)), graph)
    return path


@pytest.fixture
def save(tmp_path):
    """Writes a graph to ``model.onnx`` and returns its path."""

    def write(model, name="model.onnx"):
        path = tmp_path / name
        path.write_bytes(graph_bytes(model))
        return path

    return write
