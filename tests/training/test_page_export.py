"""An exported digit detector sees what its network sees, or is not written."""

import dataclasses

import numpy as np
import onnx
import pytest
import torch

from digitlens.errors import ModelError, RecipeError
from digitlens.models.bundle import Card
from digitlens.models.page_model import PageModel
from digitlens.training import page_export
from digitlens.training.page_export import PageGraph, check_page_graph, export_pages
from digitlens.training.page_train import page_network

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def network(tiny_pages):
    """Random weights, with centres likely enough that scores differ."""
    torch.manual_seed(0)
    network = page_network(tiny_pages)
    with torch.no_grad():
        network.head.weight.normal_(std=3)
        network.head.get_parameter("bias").zero_()
    return network.eval()


@pytest.fixture(scope="module")
def card(tiny_pages):
    return Card(name="tiny", version="0", sha256="", recipe=tiny_pages.as_dict())


@pytest.fixture(scope="module")
def page(maker):
    return maker(1).page(0, side=128).pixels


@pytest.fixture(scope="module")
def graph(network):
    return page_export.page_graph(network)


@pytest.fixture
def exported(network, card, page, graph, tmp_path, monkeypatch):
    monkeypatch.setattr(page_export, "page_graph", lambda _: graph)
    return export_pages(network, card, page, tmp_path)


@pytest.mark.usefixtures("exported")
def test_the_folder_is_a_digit_detector_that_sees_what_the_network_sees(network, maker, tmp_path):
    wide = np.ascontiguousarray(maker(1).page(1, side=192).pixels[:160])
    look = PageModel(tmp_path, threads=1).look(wide)
    with torch.inference_mode():
        score, probabilities, boxes, heat = PageGraph(network)(torch.from_numpy(wide))
    assert len(look.score) >= 5
    # Further down, cells nearly as high as their neighbours are peaks in one of both alone.
    np.testing.assert_allclose(look.score[:5], score[:5], atol=0.02)
    np.testing.assert_allclose(look.heat, heat, atol=0.02)
    first = int(score.argmax())
    np.testing.assert_allclose(look.probabilities[0], probabilities[first], atol=0.02)
    np.testing.assert_allclose(look.boxes[0], boxes[first], atol=1)


def test_the_graph_keeps_its_weights_in_half_precision(graph):
    stored = onnx.load_from_string(graph).graph.initializer
    floats = [t for t in stored if t.data_type == onnx.TensorProto.FLOAT]
    assert all(np.prod(tensor.dims) <= 64 for tensor in floats)
    assert b".py" not in graph


def test_weights_come_back_as_the_same_network(network, exported, tmp_path):
    loaded = page_export.load_page_network(tmp_path)
    pairs = zip(loaded.state_dict().values(), network.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert exported.weights_sha256
    assert not loaded.training


def test_a_tile_network_is_no_page_network(network, card, page, graph, tmp_path, monkeypatch):
    monkeypatch.setattr(page_export, "page_graph", lambda _: graph)
    export_pages(network, dataclasses.replace(card, recipe={"epochs": 3}), page, tmp_path)
    with pytest.raises(RecipeError, match="epochs: no such field"):
        page_export.load_page_network(tmp_path)


def test_a_graph_that_disagrees_is_not_written(
    network, tiny_pages, card, page, graph, tmp_path, monkeypatch
):
    torch.manual_seed(1)
    monkeypatch.setattr(page_export, "page_graph", lambda _: graph)
    with pytest.raises(ModelError, match="differs from the network by"):
        export_pages(page_network(tiny_pages), card, page, tmp_path / "model")
    assert not (tmp_path / "model").exists()
    check_page_graph(network, graph, page)


def test_a_graph_that_is_too_large_is_not_written(
    network, card, page, graph, tmp_path, monkeypatch
):
    monkeypatch.setattr(page_export, "page_graph", lambda _: graph)
    monkeypatch.setattr(page_export, "LARGEST", len(graph) - 1)
    with pytest.raises(ModelError, match="bytes, expected at most"):
        export_pages(network, card, page, tmp_path / "model")
    assert not (tmp_path / "model").exists()
