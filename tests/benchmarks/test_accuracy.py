"""The accuracy benchmark: stored runs are not retrained, and tables match their records."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from rich.text import Text

import accuracy
import harness
from digitlens.cli.tables import table_of
from digitlens.datasets.mnist import Mnist, Split
from digitlens.models.classifier import Classifier
from digitlens.training.recipe import Recipe

RECIPE = Recipe(
    architecture="fast",
    widths=(4,),
    dense=0,
    epochs=1,
    tta_views=5,
    validation="none",
    temperature=1.0,
)


@pytest.fixture(scope="module")
def mnist() -> Mnist:
    rng = np.random.default_rng(0)
    tiles = rng.integers(0, 256, (300, 28, 28)).astype(np.uint8)
    split = Split(tiles, np.arange(300, dtype=np.uint8) % 10)
    return Mnist(split, split)


@pytest.fixture(scope="module")
def runs(mnist, tmp_path_factory) -> list[Path]:
    """Runs trained into the folders in which ``run_jobs`` looks for them."""
    folder = tmp_path_factory.mktemp("runs")
    recipes = [dataclasses.replace(RECIPE, seed=seed) for seed in (0, 1)]
    names = [f"best-{one.seed}-{accuracy.digest(one)}" for one in recipes]
    both = zip(recipes, names, strict=True)
    return [accuracy.train_once("best", one, mnist, folder / name) for one, name in both]


def test_stored_run_is_not_retrained(mnist, runs, monkeypatch):
    monkeypatch.setattr(accuracy, "train_run", None)
    assert accuracy.train_once("best", RECIPE, mnist, runs[0].parent) == runs[0]


def test_queue_is_ordered_by_seed_first():
    assert accuracy.queue(["a:2", "b", "c:3"]) == [
        *(("a", 0), ("b", 0), ("c", 0)),
        *(("a", 1), ("c", 1), ("c", 2)),
    ]


@pytest.fixture
def small(monkeypatch):
    """Makes every published recipe the small one, apart from the seed."""
    recipes = {"": RECIPE}
    monkeypatch.setattr(
        accuracy, "as_scored", lambda _, seed: dataclasses.replace(recipes[""], seed=seed)
    )
    return recipes


def test_recorded_recipe_is_not_retrained(mnist, runs, tmp_path, monkeypatch, small):
    jobs, folder = [("best", 0), ("best", 1)], runs[0].parents[1]
    accuracy.run_jobs(jobs, folder, tmp_path / "record", mnist)
    names = {path.name for path in (tmp_path / "record").iterdir()}
    assert names == {"best-0.json", "best-1.json", "committee-0.json", "recipes.md"}
    tiles, (committee,) = mnist.test.tiles[:40], folder.glob("committee-*")
    mean = np.mean([Classifier(one).predict_proba(tiles) for one in runs], axis=0)
    found = Classifier(committee).predict_proba(tiles)
    np.testing.assert_allclose(found, mean, atol=1e-4)
    row = json.loads((tmp_path / "record" / "best-1.json").read_text())
    assert row["test_errors"] == len(row["wrong"].split())
    monkeypatch.setattr(accuracy, "train_once", lambda *_: pytest.fail("it is trained"))
    accuracy.run_jobs(jobs, tmp_path / "elsewhere", tmp_path / "record", mnist)
    small[""] = dataclasses.replace(RECIPE, epochs=2)
    with pytest.raises(pytest.fail.Exception, match="it is trained"):  # another recipe
        accuracy.run_jobs(jobs, tmp_path / "elsewhere", tmp_path / "record", mnist)


def test_table_has_only_runs_of_the_current_recipes(mnist, runs, tmp_path, small):
    for seed, model in enumerate(runs):
        recipe = dataclasses.replace(RECIPE, seed=seed)
        accuracy.save_run(tmp_path / f"best-{seed}.json", recipe, mnist, lambda model=model: model)
    old = dataclasses.replace(RECIPE, seed=2, epochs=9)
    accuracy.save_run(tmp_path / "best-2.json", old, mnist, lambda: runs[0])
    (found,) = accuracy.summaries(tmp_path)
    assert (found["seeds"], found["aim"], found["reached"]) == (2, 0.9978, False)
    assert (tmp_path / "recipes.md").read_text() == harness.table(accuracy.RECIPES, [found])
    small[""] = dataclasses.replace(RECIPE, epochs=2)
    assert list(accuracy.summaries(tmp_path)) == []


def test_default_fields_do_not_change_the_digest():
    plain = dataclasses.replace(Recipe(), seed=3)
    assert accuracy.digest(plain) != accuracy.digest(Recipe())
    assert accuracy.digest(plain) == accuracy.digest(dataclasses.replace(plain, mixup=0.0))


def test_committed_table_matches_the_committed_runs():
    rows = accuracy.summaries(accuracy.RECORD)
    assert harness.table(accuracy.RECIPES, rows) == (accuracy.RECORD / "recipes.md").read_text()


def test_summary_over_seeds(mnist, runs):
    rows = [accuracy.score(model, mnist, seed) for seed, model in enumerate(runs)]
    rows = [row | {"processor": "P", "device": "cpu, float32, 1 threads"} for row in rows]
    found = accuracy.summary("best", rows)
    mean = (rows[0]["test_accuracy"] + rows[1]["test_accuracy"]) / 2
    assert found["test_accuracy"]["mean"] == pytest.approx(mean)
    assert found["interval"][0] < mean < found["interval"][1]
    assert found["machine"] == "P, cpu, float32"


def test_command_line_tables_are_rendered_as_markdown():
    table = table_of(("corruption", "accuracy"), [("shot noise", Text("90.00%")), ("fog", "")])
    lines = ["| corruption | accuracy |", "| --- | --- |", "| shot noise | 90.00% |", "| fog |  |"]
    assert accuracy.markdown([table, table]).splitlines() == [*lines, "", *lines]
