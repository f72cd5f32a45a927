"""An exported model answers as its network does, or is not written."""

import dataclasses
import json

import numpy as np
import onnx
import pytest
import torch

from digitlens.datasets.mnist import Split
from digitlens.errors import ModelError
from digitlens.models.bundle import Card
from digitlens.models.classifier import Classifier
from digitlens.training import export as export_module
from digitlens.training.export import export, fit_temperature, load_network
from digitlens.training.nets.tile_network import predict_logits
from digitlens.training.train import new_network

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def network(tiny):
    torch.manual_seed(0)
    return new_network(tiny).eval()


@pytest.fixture(scope="module")
def card(tiny):
    return Card(name="tiny", version="0", sha256="", recipe=tiny.as_dict())


@pytest.fixture(scope="module")
def folder(network, card, more_bars, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    export(network, card, more_bars, folder)
    return folder


def test_onnxruntime_and_torch_agree(network, folder, more_bars):
    temperature = json.loads((folder / "model.json").read_text())["temperature"]
    logits = predict_logits(network, torch.from_numpy(more_bars.tiles))
    expected = torch.softmax(logits / temperature, 1).numpy()
    found = Classifier(folder).predict_proba(more_bars.tiles)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_graph_says_more_than_probabilities(network, folder, more_bars):
    tiles = torch.from_numpy(more_bars.tiles)
    logits = predict_logits(network, tiles)
    found = Classifier(folder).outputs(more_bars.tiles)
    assert found.digit is None
    energy = -torch.logsumexp(logits, 1).numpy()
    np.testing.assert_allclose(found.energy, energy, atol=1e-3)
    with torch.inference_mode():
        np.testing.assert_allclose(found.features, network.features(tiles).numpy(), atol=1e-3)


def test_a_network_that_knows_none_says_whether_it_is_a_digit(tiny, more_bars, tmp_path):
    recipe = dataclasses.replace(tiny, none=0.5, temperature=2.0)
    torch.manual_seed(0)
    network = new_network(recipe).eval()
    card = Card(name="none", version="0", sha256="", recipe=recipe.as_dict())
    assert export(network, card, more_bars, tmp_path).temperature == 2.0
    found = Classifier(tmp_path).outputs(more_bars.tiles[:50])
    every = torch.softmax(predict_logits(network, torch.from_numpy(more_bars.tiles[:50])), 1)
    np.testing.assert_allclose(found.digit, 1 - every[:, 10].numpy(), atol=1e-4)
    np.testing.assert_allclose(found.probabilities.sum(1), 1, atol=1e-5)


@pytest.mark.parametrize(("members", "views"), [(2, 1), (2, 5)])
def test_a_committee_is_one_graph(members, views, tiny, more_bars, tmp_path):
    recipe = dataclasses.replace(tiny, members=members, views=views, temperature=1.0)
    torch.manual_seed(0)
    committee = new_network(recipe).eval()
    card = Card(name="many", version="0", sha256="", recipe=recipe.as_dict())
    export(committee, card, more_bars, tmp_path)
    tiles = torch.from_numpy(more_bars.tiles[:50])
    moves = [(0, 0), (0, 1), (0, -1), (1, 0), (-1, 0)][:views]
    padded = torch.nn.functional.pad(tiles, (1, 1, 1, 1))
    answers = [
        torch.softmax(predict_logits(one, padded[:, 1 + y : 29 + y, 1 + x : 29 + x]), 1)
        for one in committee.members
        for y, x in moves
    ]
    found = Classifier(tmp_path).predict_proba(more_bars.tiles[:50])
    np.testing.assert_allclose(found, torch.stack(answers).mean(0).numpy(), atol=1e-4)
    again = load_network(tmp_path)
    assert torch.equal(predict_logits(again, tiles), predict_logits(committee, tiles))


def test_the_graph_carries_no_trace_of_the_machine(folder):
    graph = (folder / "model.onnx").read_bytes()
    assert b".py" not in graph
    assert not onnx.load_from_string(graph).metadata_props


def test_any_batch_size_goes_in(folder, more_bars):
    classifier = Classifier(folder)
    one = classifier.predict_proba(more_bars.tiles[:1])
    np.testing.assert_allclose(one, classifier.predict_proba(more_bars.tiles[:3])[:1], atol=1e-6)


def test_weights_come_back_as_the_same_network(network, folder, more_bars):
    tiles = torch.from_numpy(more_bars.tiles[:50])
    loaded = load_network(folder)
    assert torch.equal(predict_logits(loaded, tiles), predict_logits(network, tiles))


def test_a_graph_that_disagrees_is_not_written(network, card, more_bars, tmp_path, monkeypatch):
    torch.manual_seed(1)
    other = export_module.to_onnx(
        export_module.Calibrated(new_network(export_module.recipe_from(card.recipe)), 0.1).eval()
    )
    monkeypatch.setattr(export_module, "to_onnx", lambda _: other)
    with pytest.raises(ModelError, match="differs from the network by"):
        export(network, card, more_bars, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_changed_weights_are_refused(network, card, more_bars, tmp_path):
    export(network, card, more_bars, tmp_path)
    path = tmp_path / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match="was changed"):
        load_network(tmp_path)


def test_missing_weights_are_named(network, card, more_bars, tmp_path):
    export(network, card, more_bars, tmp_path)
    (tmp_path / "weights.safetensors").unlink()
    with pytest.raises(ModelError, match="the model has only a graph"):
        load_network(tmp_path)


def test_the_temperature_undoes_overconfidence(network, more_bars):
    """Labels drawn from the network's own probabilities need no correction; sharper ones do."""
    tiles = torch.from_numpy(more_bars.tiles)
    logits = predict_logits(network, tiles)
    drawn = torch.multinomial(
        torch.softmax(logits, 1), 1, generator=torch.Generator().manual_seed(0)
    )
    labels = drawn.squeeze(1).numpy().astype(np.uint8)
    split = Split(more_bars.tiles, labels)
    honest = fit_temperature(network, split)
    sharper = _Sharper(network)
    assert fit_temperature(sharper, split) == pytest.approx(3 * honest, rel=0.05)  # pyright: ignore[reportArgumentType]


class _Sharper(torch.nn.Module):
    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, tiles: torch.Tensor) -> torch.Tensor:
        return 3 * self.network(tiles)


def test_a_card_with_an_impossible_recipe_is_refused(network, card, more_bars, tmp_path):
    bad = dataclasses.replace(card, recipe={**card.recipe, "widths": [5, 6]})
    export(network, bad, more_bars, tmp_path)
    with pytest.raises(ModelError, match="does not fit the recipe"):
        load_network(tmp_path)
