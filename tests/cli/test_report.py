"""``digitlens report``: the file, its contents, refusals."""

import json
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from digitlens import files
from digitlens.datasets import mnist as data
from digitlens.errors import DataError, MissingExtraError, ModelError
from digitlens.evaluation.metrics import SINGLE_CALLS
from digitlens.explain.trained_model import TrainedModel
from digitlens.models.bundle import Card, write_bundle
from digitlens.training.recipe import Recipe
from digitlens.training.run import start_run
from digitlens.visualization import report_page as contents

COMMAND = "report"
RECIPE = Recipe(epochs=1, validation="random", validation_share=0.25)
ROW = {"epoch": 1, "train_loss": 0.5, "train_accuracy": 0.8, "val_loss": 0.4, "val_accuracy": 0.9}


@pytest.fixture
def knowing(graph):
    """A graph that reads bars and outputs features: the sums of its ten columns."""
    model = onnx.load_from_string(graph())
    features = helper.make_tensor_value_info("sums", TensorProto.FLOAT, ("N", 10))
    model.graph.output.append(features)
    for node in model.graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                if name == "sums":
                    names[place] = "features"
    model.graph.output[1].name = "features"
    return model.SerializeToString()


@pytest.fixture
def a_run(here, knowing, monkeypatch):
    """A finished run whose model outputs features; the cache is in the working folder."""
    monkeypatch.setenv("DIGITLENS_CACHE", str(here / "cache"))
    start_run(here / "run", "bars <b>", RECIPE, {"tiles": "ab" * 32}, "cpu, in a test")
    row = ROW | {"learning_rate": 0.001, "seconds": 1.5, "images_per_second": 20.0}
    (here / "run" / "history.jsonl").write_text(json.dumps(row) + "\n")
    card = Card(
        name="bars <b>",
        version="0.1.0",
        sha256=files.sha256(knowing),
        recipe=RECIPE.as_dict(),
        results={"epochs": 1, "best_epoch": 1, "training_seconds": 1.5},
    )
    write_bundle(here / "run" / "model", card, knowing)
    return "run"


def test_page_of_a_run_has_all_sections(run, here, a_run):
    done = run(a_run)
    assert done.stdout == "run/report.html\n"
    page = (here / "run" / "report.html").read_text(encoding="utf-8").replace("\u202f", " ")
    for section in ("trained", "training", "errors", "robustness", "speed", "provenance"):
        assert f'<section id="{section}"' in page
    assert "bars &lt;b&gt;" in page
    assert "It reads 97.50 % of the MNIST test set correctly" in page
    assert "cpu, in a test" in page
    assert "epoch 1: loss 0.4 in validation" in page
    # The mislabelled tile, a 0 labelled 9, is shown next to 0s from the training data.
    assert page.count('class="tile big"') == 1
    assert "training digit 0 at distance 0.00" in page
    assert [path.name for path in (here / "run").glob("*.html")] == ["report.html"]


def test_page_of_a_bare_model_states_what_is_missing(run, here, bundle):
    done = run(bundle(), "--quick")
    assert done.stdout == "report-bars.html\n"
    page = (here / "report-bars.html").read_text(encoding="utf-8")
    assert "There is no training history" in page
    assert "gives no features" in page
    assert '<section id="robustness"' not in page
    assert '<section id="speed"' not in page
    ensemble = bundle(recipe=replace(RECIPE, models=3).as_dict())
    run(ensemble, "--quick", "--out", "page.html")
    assert "averages several answers" in (here / "page.html").read_text(encoding="utf-8")


def test_json_contains_the_measurements(run, here, a_run):
    done = run(a_run, "--json", "--out", "deep/page.html", "--split", "validation")
    found = json.loads(done.stdout)
    assert found["page"] == "deep/page.html"
    assert found["bytes"] == (here / "deep" / "page.html").stat().st_size
    assert found["data"]["name"].startswith("MNIST validation")
    assert found["n"] == 10
    assert len(found["robustness"]["corruptions"]) == 15
    assert found["speed"]["calls"] == SINGLE_CALLS


def test_unsupported_models_are_refused_before_measuring(run, here, bundle, monkeypatch):
    monkeypatch.setattr(data, "load_mnist", lambda _=None: pytest.fail("looked for tiles"))
    (here / "net.onnx").write_bytes(b"")
    start_run(here / "begun", "begun", RECIPE, {}, "cpu")
    pages = bundle(recipe={"architecture": "pages"})
    for model, message in {
        "net.onnx": "a graph without a card: expected a run or model folder",
        pages: "is not a classifier but a network of kind pages",
        "begun": "has no finished model: resume with  digitlens train --resume begun",
        "nothing": "no model 'nothing'",
    }.items():
        run.fails(ModelError, message, model)
    assert not list(here.glob("*.html"))


def test_unwritable_path_and_missing_extra_are_named(run, here, bundle, request):
    (here / "file").write_text("")
    model = bundle()
    run.fails(DataError, "name another --out", model, "--quick", "--out", "file/page.html")
    request.getfixturevalue("undrawn")
    run.fails(MissingExtraError, "pip install 'digitlens[plots]'", model)


def test_robustness_tiles_are_spread_over_the_test_set(a_run, monkeypatch, small_split):
    monkeypatch.setattr(data, "load_mnist", lambda _=None: data.Mnist(small_split, small_split))
    monkeypatch.setattr(contents, "CORRUPTED", 3)
    monkeypatch.setattr(contents, "SWEEP_TILES", 3)
    found = contents.gather(TrainedModel(a_run))
    assert found.robustness.clean.score.n == 3
    np.testing.assert_array_equal(found.worse.tiles[-1], small_split.tiles[-1])
