"""An exported crop network says what its network says, or is not written."""

import json
import shutil

import numpy as np
import pytest
import torch

from digitlens.errors import ModelError
from digitlens.model.bundle import PRETRAINED
from digitlens.model.crop_model import CropModel
from digitlens.training import crop_export
from digitlens.training.crop_export import CropGraph, crop_graph, export_crops
from digitlens.training.crop_train import crop_network

pytestmark = pytest.mark.train

WINDOWS = np.random.default_rng(0).integers(0, 256, (5, 56, 56, 3), dtype=np.uint8)


def network(recipe, seed=0):
    torch.manual_seed(seed)
    return crop_network(recipe).eval()


@pytest.fixture
def folder(tmp_path):
    """A page reader without its second graph."""
    shutil.copytree(PRETRAINED / "pages", tmp_path / "pages")
    (tmp_path / "pages" / "crops.onnx").unlink()
    return tmp_path / "pages"


def test_the_folder_has_a_second_graph_that_says_what_the_network_says(tiny_pages, folder):
    made = network(tiny_pages)
    card = export_crops(made, {"steps": 7}, WINDOWS, folder)
    told = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    assert told["crops_sha256"] == card.crops_sha256
    assert told["results"]["crops"] == {"steps": 7}
    found = CropModel(folder, threads=1).predict_proba(WINDOWS)
    with torch.inference_mode():
        expected = CropGraph(made)(torch.from_numpy(WINDOWS))
    np.testing.assert_allclose(found, expected, atol=0.02)


def test_a_graph_that_disagrees_is_not_written(tiny_pages, folder, monkeypatch):
    other = network(tiny_pages, seed=1)
    with torch.no_grad():
        other.head.weight.mul_(50)
    graph = crop_graph(other)
    monkeypatch.setattr(crop_export, "crop_graph", lambda _: graph)
    before = (folder / "model.json").read_bytes()
    with pytest.raises(ModelError, match="differs from the network by"):
        export_crops(network(tiny_pages), {}, WINDOWS, folder)
    assert not (folder / "crops.onnx").exists()
    assert (folder / "model.json").read_bytes() == before
