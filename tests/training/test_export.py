import dataclasses
import json
import shutil

import numpy as np
import onnx
import pytest
import torch

from digitlens.alphabet import CLASSES
from digitlens.datasets.mnist import Split
from digitlens.errors import ModelError
from digitlens.models.bundle import Card, load_bundle
from digitlens.models.classifier import Classifier
from digitlens.models.networks import DigitDetector
from digitlens.models.session import open_session
from digitlens.training import export as export_module
from digitlens.training.export import (
    DetectorGraph,
    LineGraph,
    TileGraph,
    check_graph,
    check_lines,
    export_classifier,
    export_detector,
    fit_temperature,
    line_graph,
    load_network,
    quantise,
    store_int16,
)
from digitlens.training.tasks.detector import detector_network
from digitlens.training.tasks.tile import new_network
from digitlens.training.tile_networks import predict_logits

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
    export_classifier(network, card, more_bars, folder)
    return folder


def test_onnxruntime_and_torch_agree_for_any_batch_size(network, folder, more_bars):
    tiles = torch.from_numpy(more_bars.tiles)
    temperature = json.loads((folder / "model.json").read_text())["temperature"]
    logits = predict_logits(network, tiles)
    expected = torch.softmax(logits / temperature, 1).numpy()
    classifier = Classifier(folder)
    found = classifier.outputs(more_bars.tiles)
    assert found.probabilities.dtype == np.float32
    np.testing.assert_allclose(found.probabilities, expected, atol=1e-4)
    for count in (1, 3):
        some = classifier.predict_proba(more_bars.tiles[:count])
        np.testing.assert_allclose(some, expected[:count], atol=1e-4)
    assert found.digit is None
    energy = -torch.logsumexp(logits, 1).numpy()
    np.testing.assert_allclose(found.energy, energy, atol=1e-3)
    with torch.inference_mode():
        np.testing.assert_allclose(found.features, network.features(tiles).numpy(), atol=1e-3)


def test_graph_has_no_source_paths_and_weights_are_restored(network, folder, more_bars):
    graph = (folder / "model.onnx").read_bytes()
    assert b".py" not in graph
    assert not onnx.load_from_string(graph).metadata_props
    tiles = torch.from_numpy(more_bars.tiles[:50])
    assert torch.equal(predict_logits(load_network(folder), tiles), predict_logits(network, tiles))


def test_network_with_negatives_has_a_digit_output(tiny, more_bars, tmp_path):
    recipe = dataclasses.replace(tiny, negatives=0.5, temperature=2.0)
    torch.manual_seed(0)
    network = new_network(recipe).eval()
    card = Card(name="none", version="0", sha256="", recipe=recipe.as_dict())
    assert export_classifier(network, card, more_bars, tmp_path).temperature == 2.0
    found = Classifier(tmp_path).outputs(more_bars.tiles[:50])
    every = torch.softmax(predict_logits(network, torch.from_numpy(more_bars.tiles[:50])), 1)
    np.testing.assert_allclose(found.digit, 1 - every[:, 10].numpy(), atol=1e-4)
    np.testing.assert_allclose(found.probabilities.sum(1), 1, atol=1e-5)


@pytest.fixture(scope="module")
def ensemble(tiny):
    """Two networks that see five views each."""
    torch.manual_seed(0)
    recipe = dataclasses.replace(tiny, models=2, tta_views=5, temperature=1.0)
    return recipe, new_network(recipe).eval()


@pytest.fixture(scope="module")
def both(ensemble, more_bars, tmp_path_factory):
    """The folder of the exported ensemble."""
    recipe, networks = ensemble
    folder = tmp_path_factory.mktemp("both")
    card = Card(name="many", version="0", sha256="", recipe=recipe.as_dict())
    export_classifier(networks, card, more_bars, folder)
    return folder


def test_ensemble_with_five_views_is_one_graph(ensemble, both, more_bars):
    _, networks = ensemble
    tiles = torch.from_numpy(more_bars.tiles[:50])
    moves = [(0, 0), (0, 1), (0, -1), (1, 0), (-1, 0)]
    padded = torch.nn.functional.pad(tiles, (1, 1, 1, 1))
    answers = [
        torch.softmax(predict_logits(one, padded[:, 1 + y : 29 + y, 1 + x : 29 + x]), 1)
        for one in networks.members
        for y, x in moves
    ]
    found = Classifier(both).predict_proba(more_bars.tiles[:50])
    np.testing.assert_allclose(found, torch.stack(answers).mean(0).numpy(), atol=1e-4)
    again = load_network(both)
    assert torch.equal(predict_logits(again, tiles), predict_logits(networks, tiles))


def test_normalisation_is_folded_into_kernels_without_changing_outputs(
    network, folder, ensemble, both, more_bars
):
    tiles = more_bars.tiles[:9].copy()
    tiles[0], tiles[1] = 0, 255  # at the border, padding must still equal the mean
    for one, place, kernels in ((network, folder, 1), (ensemble[1], both, 2 * 5)):
        graph = (place / "model.onnx").read_bytes()
        temperature = Classifier(place).card.temperature
        model = TileGraph(one, temperature).eval()
        check_graph(model, graph, tiles, model.outputs, 1e-5)
        nodes = onnx.load_from_string(graph).graph.node
        before = {node.output[0]: node.op_type for node in nodes}
        first = [node for node in nodes if node.op_type == "Conv" and "body.0." in node.input[1]]
        assert [before[node.input[0]] for node in first] == ["Sub"] * kernels
        assert [*before.values()].count("Div") == (temperature != 1)


def test_graph_that_differs_from_the_network_is_not_written(
    tiny, folder, card, more_bars, tmp_path, monkeypatch
):
    graph = (folder / "model.onnx").read_bytes()
    monkeypatch.setattr(export_module, "tile_graph", lambda _: graph)
    torch.manual_seed(1)
    with pytest.raises(ModelError, match="differs from the network by"):
        export_classifier(new_network(tiny).eval(), card, more_bars, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_changed_missing_and_mismatched_weights_are_refused(folder, tmp_path):
    model = shutil.copytree(folder, tmp_path / "model")
    card = json.loads((model / "model.json").read_text())
    card["recipe"]["widths"] = [5, 6]
    (model / "model.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match="does not fit the recipe"):
        load_network(model)
    path = model / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match="was changed"):
        load_network(model)
    path.unlink()
    with pytest.raises(ModelError, match="the model has only a graph"):
        load_network(model)


def test_temperature_corrects_overconfidence(network, more_bars):
    """Labels sampled from the network's own probabilities are calibrated, sharper logits not."""
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


@pytest.fixture(scope="module")
def detector(tiny_pages):
    """Random weights with centres likely enough for scores to differ."""
    torch.manual_seed(0)
    detector = detector_network(tiny_pages)
    with torch.no_grad():
        detector.head.weight.normal_(std=3)
        detector.head.get_parameter("bias").zero_()
    return detector.eval()


@pytest.fixture(scope="module")
def detector_card(tiny_pages):
    return Card(name="tiny", version="0", sha256="", recipe=tiny_pages.as_dict())


@pytest.fixture(scope="module")
def page(maker):
    return maker(1).page(0, side=128).pixels


@pytest.fixture(scope="module")
def detector_bytes(detector):
    return export_module.detector_graph(detector)


def test_exported_digit_detector_matches_the_network(
    detector, detector_card, tiny_pages, page, detector_bytes, maker, tmp_path, monkeypatch, same
):
    monkeypatch.setattr(export_module, "detector_graph", lambda _: detector_bytes)
    assert export_detector(detector, detector_card, page, tmp_path).weights_sha256
    wide = np.ascontiguousarray(maker(1).page(1, side=192).pixels[:160])
    look = DigitDetector(tmp_path, threads=1).predict(wide)
    with torch.inference_mode():
        score, probabilities, boxes, heat = DetectorGraph(detector)(torch.from_numpy(wide))
    assert len(look.score) >= 5
    # Below these, cells nearly as high as their neighbours may be peaks in only one of the two.
    np.testing.assert_allclose(look.score[:5], score[:5], atol=0.02)
    np.testing.assert_allclose(look.heat, heat, atol=0.02)
    first = int(score.argmax())
    np.testing.assert_allclose(look.probabilities[0], probabilities[first], atol=0.02)
    np.testing.assert_allclose(look.boxes[0], boxes[first], atol=1)
    loaded = detector_network(tiny_pages)
    export_module.load_weights(loaded, load_bundle(tmp_path))
    assert same(loaded, detector)
    stored = onnx.load_from_string(detector_bytes).graph.initializer  # half precision
    floats = [t for t in stored if t.data_type == onnx.TensorProto.FLOAT]
    assert all(np.prod(tensor.dims) <= 64 for tensor in floats)
    assert b".py" not in detector_bytes


def test_detector_that_differs_or_is_too_large_is_not_written(
    detector, tiny_pages, detector_card, page, detector_bytes, tmp_path, monkeypatch
):
    torch.manual_seed(1)
    monkeypatch.setattr(export_module, "detector_graph", lambda _: detector_bytes)
    with pytest.raises(ModelError, match="differs from the network by"):
        export_detector(detector_network(tiny_pages), detector_card, page, tmp_path / "model")
    check_graph(DetectorGraph(detector), detector_bytes, page, ["", "", "", "heat"], 0.02)
    monkeypatch.setattr(export_module, "LARGEST_DETECTOR", len(detector_bytes) - 1)
    with pytest.raises(ModelError, match="bytes, expected at most"):
        export_detector(detector, detector_card, page, tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.fixture(scope="module")
def recogniser(shallow):
    torch.manual_seed(0)
    return shallow(CLASSES).eval()


@pytest.fixture(scope="module")
def line_bytes(recogniser):
    """The recogniser's graph with float32 weights."""
    return line_graph(LineGraph(recogniser))


@pytest.fixture(scope="module")
def lines():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (48, width, 3), np.uint8) for width in (16, 200)]


def test_line_graph_accepts_any_number_and_width_of_lines(line_bytes, recogniser, lines):
    session = open_session(line_bytes.SerializeToString(), name="lines")
    for line in lines:
        batch = np.stack([line, line[::-1], line[:, ::-1]])
        found = session.run(None, {"lines": batch})[0]
        with torch.inference_mode():
            expected = torch.softmax(recogniser(torch.from_numpy(batch)), dim=2).numpy()
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_int16_graph_is_half_the_size_and_close_to_the_network(
    line_bytes, recogniser, lines, shallow
):
    copy = onnx.load_from_string(line_bytes.SerializeToString())
    small = store_int16(copy).SerializeToString()
    assert len(small) < 0.53 * line_bytes.ByteSize()
    check_lines(LineGraph(recogniser), small, lines)
    torch.manual_seed(1)
    with pytest.raises(ModelError, match="differs from the network"):
        check_lines(LineGraph(shallow(CLASSES).eval()), small, lines)


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 3, 3), (1, 4), (3, 2, 1, 1)])
def test_two_scales_preserve_rows_and_columns_of_different_magnitude(shape):
    rng = np.random.default_rng(0)
    weight = rng.normal(size=shape).astype(np.float32)
    weight[:, 0] *= 1000
    weight[-1] *= 0.01
    codes, first, second = quantise(weight)
    assert codes.dtype == np.int16
    assert first.shape == (shape[0], *[1] * (len(shape) - 1))
    assert second.shape == (1, shape[1], *[1] * (len(shape) - 2))
    error = np.abs(codes * first * second - weight)
    assert (error <= 0.51 * first * second).all()
    codes, first, second = quantise(0 * weight)
    assert not (codes * first * second).any()
