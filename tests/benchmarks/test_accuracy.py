"""The accuracy benchmark: kept runs are not trained again, and tables say what was found."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import accuracy
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
    found = accuracy.summary(rows)
    mean = (rows[0]["test_accuracy"] + rows[1]["test_accuracy"]) / 2
    assert found["test_accuracy"]["mean"] == pytest.approx(mean)
    assert found["interval"][0] < mean < found["interval"][1]
    table = accuracy.recipes_table({"best": found})
    assert f"| `best` | 2 | {rows[0]['parameters']:,} | {100 * mean:.3f} ± " in table


def test_tables_of_a_model_say_what_was_found():
    score = {"accuracy": 0.9, "interval": (0.8, 0.95)}
    corruption = {"name": "shot_noise", "overlaps_training": True, **score}
    letters = {"letters": {"n": 1000, "auroc": 0.98, "fpr95": 0.1}}
    tables = accuracy.model_tables(
        {
            "robustness": {
                "corruptions": [corruption | {"uncertainty": {"ece": 0.01}}],
                "mean_accuracy": 0.9,
                "mean_accuracy_without_overlap": None,
            },
            "rejection": {
                "scores": {"energy": letters, "digit": letters},
                "recommended": "digit",
            },
            "transfer": [{"title": "USPS", "n": 2007, "framed": score, "unframed": score}],
        }
    )
    assert "| shot noise | yes | 90.0 % | 80.00 to 95.00 | 1.0 % |" in tables["robustness"]
    assert "| AUROC by score | n | energy | **digit** | FPR at 95 % |" in tables["rejection"]
    assert "| letters | 1,000 | 0.9800 | 0.9800 | 10.0 % |" in tables["rejection"]
    assert "| USPS | 2,007 | 90.00 % | 80.00 to 95.00 | 90.00 % |" in tables["transfer"]
