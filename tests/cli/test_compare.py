import json

import numpy as np
import pytest

from digitlens import files
from digitlens.datasets import mnist as data
from digitlens.datasets.mnist import Mnist, Split
from digitlens.errors import ModelError
from digitlens.evaluation.significance import mcnemar
from digitlens.explain.trained_model import parameters
from digitlens.models.bundle import Card, write_bundle
from digitlens.training.recipe import Recipe

COMMAND = "compare"
RECIPE = {"validation": "random", "validation_share": 0.5, "seed": 3}


@pytest.fixture
def here(here, monkeypatch, draw_bars):
    """An empty working folder; MNIST is replaced by 200 tiles, 100 of them the test set."""
    digits = (np.arange(200) % 10).astype(np.uint8)
    dark = 55 - np.arange(200, dtype=np.uint8) % 50
    tiles = draw_bars(digits)
    tiles -= np.minimum(tiles, dark[:, None, None])
    split = Split(tiles, digits)
    monkeypatch.setattr(data, "load_mnist", lambda _=None: Mnist(split, split.take(range(100))))
    return here


@pytest.fixture
def make(here, graph):
    """Writes models that misread the given digits."""

    def write(name, *blind, **changes):
        content = graph(blind)
        card = Card("bars", "0.0", files.sha256(content), **({"recipe": RECIPE} | changes))
        write_bundle(here / name, card, content)
        return name

    return write


def test_runs_are_compared_on_their_common_validation_tiles(run, here, make, graph):
    models = make("one", results={"training_seconds": 12.5}), make("runs/two", 4, 7)
    done = run(*models)
    assert "MNIST validation, 100 tiles" in done.stdout
    assert "one is better than two" in done.stdout
    lines = {line.split()[0]: line.split() for line in done.stdout.splitlines() if line.strip()}
    assert lines["two"][1] == "80.00%"
    assert "written to comparison: comparison.json, comparison.png" in done.stderr
    names = {path.name for path in (here / "comparison").iterdir()}
    assert names == {"comparison.json", "comparison.png", "disagreements.png"}
    values = json.loads((here / "comparison" / "comparison.json").read_text())
    assert values["pairs"][0]["only_first"] == 20
    assert values["pairs"][0]["p"] == pytest.approx(mcnemar(20, 0), rel=1e-3)
    assert values["runs"][0]["training_seconds"] == 12.5
    assert values["runs"][0]["bytes"] == len(graph([]))


def test_json_output_is_only_the_comparison(run, here, make):
    done = run(make("one"), make("two", 4), make("three", 5), "--json", "--out", "elsewhere")
    values = json.loads(done.stdout)
    assert values == json.loads((here / "elsewhere" / "comparison.json").read_text())
    assert [pair["first"] + pair["second"] for pair in values["pairs"]] == [
        *("onetwo", "onethree", "twothree")
    ]
    assert [pair["p_holm"] >= pair["p"] for pair in values["pairs"]] == [True] * 3


def test_equal_runs_are_not_ranked_and_differing_fields_are_shown(run, make):
    done = run(make("one"), make("two", recipe=RECIPE | {"epochs": 77}))
    assert "one and two do not differ" in done.stdout
    assert "read differently" not in done.stdout
    row = next(line.split() for line in done.stdout.splitlines() if line.startswith("epochs"))
    assert row == ["epochs", "10", "77"]  # 10 is the default: the card does not contain the field
    assert "dropout" not in done.stdout


def test_runs_with_different_validation_splits_are_refused(run, make):
    told = ("one: 50% by random, seed 3", "two: 50% by random, seed 4", "--split test")
    run.fails(ModelError, told, make("one"), make("two", recipe=RECIPE | {"seed": 4}))
    run("one", "two", "--split", "test")


def test_foreign_model_is_compared_only_on_the_test_set(run, here, make, graph):
    (here / "their.onnx").write_bytes(graph([3]))
    native = make("one")
    run.fails(ModelError, "their.onnx: no recipe", native, "their.onnx")
    done = run(native, "their.onnx", "--split", "test")
    assert "MNIST test, 100 tiles" in done.stdout
    assert "one is better than their.onnx (p = 0.002)" in done.stdout
    values = json.loads((here / "comparison" / "comparison.json").read_text())
    assert [entry["parameters"] for entry in values["runs"]] == [parameters(Recipe(**RECIPE)), None]


def test_models_with_the_same_folder_name_are_named_by_path(run, make):
    done = run(make("a/run"), make("b/run", 4))
    assert "a/run is better than b/run" in done.stdout


def test_a_single_run_or_a_duplicate_is_refused(run, make):
    run(make("one"), code=2)
    run.fails(ModelError, "one is given twice", "one", "one")
    run("one", "two", "--data", "x.zip", "--split", "test", code=2)


@pytest.mark.usefixtures("undrawn")
def test_numbers_are_written_without_the_plots_extra(run, here, make):
    done = run(make("one"), make("two", 4))
    assert "pip install 'digitlens[plots]'" in done.stderr
    assert [path.name for path in (here / "comparison").iterdir()] == ["comparison.json"]
