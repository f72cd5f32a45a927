"""The accuracy benchmark: kept runs are not trained again, and tables say what was found."""

import dataclasses
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
    folder = tmp_path_factory.mktemp("runs")
    recipes = [dataclasses.replace(RECIPE, seed=seed) for seed in (0, 1)]
    return [accuracy.trained("best", one, mnist, folder / f"best-{one.seed}") for one in recipes]


def test_a_kept_run_is_not_trained_again(mnist, runs, monkeypatch):
    monkeypatch.setattr(accuracy, "train_run", None)
    assert accuracy.trained("best", RECIPE, mnist, runs[0].parent) == runs[0]


def test_the_ensemble_is_the_mean_of_its_members(mnist, runs, tmp_path):
    recipe = dataclasses.replace(RECIPE, models=2)
    model = accuracy.combined(runs, recipe, mnist, tmp_path / "ensemble")
    tiles = mnist.test.tiles[:40]
    mean = np.mean([Classifier(one).predict_proba(tiles) for one in runs], axis=0)
    np.testing.assert_allclose(Classifier(model).predict_proba(tiles), mean, atol=1e-4)


def test_a_teacher_sees_each_tile_once(mnist, runs, tmp_path):
    recipe = dataclasses.replace(RECIPE, tta_views=1)
    one = Classifier(accuracy.combined(runs[:1], recipe, mnist, tmp_path / "teacher"))
    assert one.card.recipe["tta_views"] == 1
    assert one.predict_proba(mnist.test.tiles[:3]).shape == (3, 10)


def test_seeds_are_summed_up(mnist, runs):
    rows = [accuracy.score(model, mnist, seed) for seed, model in enumerate(runs)]
    found = accuracy.summary("best", rows)
    mean = (rows[0]["test_accuracy"] + rows[1]["test_accuracy"]) / 2
    assert found["test_accuracy"]["mean"] == pytest.approx(mean)
    assert found["interval"][0] < mean < found["interval"][1]
    table = harness.table(accuracy.RECIPES, [found])
    assert f"| `best` | 2 | {rows[0]['parameters']:,} | {100 * mean:.3f} ± " in table


def test_tables_of_the_command_line_in_markdown():
    table = table_of(("corruption", "accuracy"), [("shot noise", Text("90.00%")), ("fog", "")])
    lines = ["| corruption | accuracy |", "| --- | --- |", "| shot noise | 90.00% |", "| fog |  |"]
    assert accuracy.markdown([table, table]).splitlines() == [*lines, "", *lines]
