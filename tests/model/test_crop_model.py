import shutil
from dataclasses import replace

import numpy as np
import pytest

from digitlens import files
from digitlens.errors import ModelError
from digitlens.model.bundle import PRETRAINED, load_bundle, write_bundle
from digitlens.model.crop_model import CLASSES, CropModel
from digitlens.model.page_model import PAGES


@pytest.fixture(scope="module")
def shipped():
    return CropModel(PAGES, threads=1)


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(PRETRAINED / PAGES, tmp_path / "pages")


def test_windows_become_probabilities_each_for_itself(shipped):
    windows = np.random.default_rng(0).integers(0, 256, (130, 56, 56, 3), dtype=np.uint8)
    found = shipped.predict_proba(windows)
    assert found.shape == (130, CLASSES)
    assert found.sum(axis=1) == pytest.approx(1, abs=1e-4)
    assert found[128:] == pytest.approx(shipped.predict_proba(windows[128:]), abs=1e-4)


def test_no_windows_have_no_probabilities(shipped):
    assert shipped.predict_proba(np.zeros((0, 56, 56, 3), np.uint8)).shape == (0, CLASSES)


def test_a_classifier_of_tiles_has_no_crop_network():
    with pytest.raises(ModelError, match=r"has no crops\.onnx"):
        CropModel("default")


def test_a_changed_graph_is_refused(folder):
    with (folder / "crops.onnx").open("ab") as graph:
        graph.write(b"!")
    with pytest.raises(ModelError, match=r"crops\.onnx was changed"):
        CropModel(folder)


def test_a_lost_graph_is_named(folder):
    (folder / "crops.onnx").unlink()
    with pytest.raises(ModelError, match=r"crops\.onnx cannot be read"):
        CropModel(folder)


def test_another_graph_in_its_place_is_refused(folder):
    bundle = load_bundle(folder)
    shutil.copy(folder / "model.onnx", folder / "crops.onnx")
    card = replace(bundle.card, crops_sha256=files.sha256(bundle.graph))
    write_bundle(folder, card, bundle.graph)
    with pytest.raises(ModelError, match="expected a graph from windows"):
        CropModel(folder)
