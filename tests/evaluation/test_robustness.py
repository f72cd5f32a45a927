import json

import numpy as np
import pytest

from digitlens.datasets.corruptions import CORRUPTIONS, SWEEPS, corrupt
from digitlens.datasets.mnist import Split
from digitlens.evaluation.report import ModelInfo, evaluate, measure_robustness, tiles_asked

N = 30


@pytest.fixture(scope="module")
def split():
    """Bars that stand further right for a larger digit."""
    labels = np.arange(N, dtype=np.uint8) % 10
    tiles = np.zeros((N, 28, 28), np.uint8)
    for tile, label in zip(tiles, labels, strict=True):
        tile[6:22, 4 + 2 * label : 6 + 2 * label] = 255
    return Split(tiles, labels)


def read_bars(tiles):
    """Probabilities by the ink in each of ten pairs of columns."""
    ink = tiles[:, 6:22, 4:24].reshape(len(tiles), 16, 10, 2).sum(axis=(1, 3), dtype=np.float64)
    odds = np.exp((ink - ink.max(axis=1, keepdims=True)) / 1000)
    return (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def report(split):
    return evaluate(read_bars, split, model=ModelInfo("bars", "ab"), data_name="bars")


@pytest.fixture(scope="module")
def found(split, report):
    return measure_robustness(read_bars, split, report, recipe={"rotate": 5.0, "noise": 0.2})


def test_every_corruption_and_sweep_is_measured_on_corrupted_tiles(found, split):
    assert [row.name for row in found.corruptions] == list(CORRUPTIONS)
    assert [curve.name for curve in found.curves] == list(SWEEPS)
    assert found.clean.score.accuracy == 1
    for row in found.corruptions:
        answers = read_bars(corrupt(split.tiles, row.name, 0))
        assert np.array_equal(row.probabilities, answers)
        assert row.score.accuracy == np.mean(answers.argmax(axis=1) == split.labels)
        assert row.score.interval[0] <= row.score.accuracy <= row.score.interval[1]
        assert row.uncertainty.error == pytest.approx(1 - row.score.accuracy)
    accuracy = {row.name: row.score.accuracy for row in found.corruptions}
    assert accuracy["shot_noise"] == accuracy["brightness"] == 1
    assert accuracy["translate"] < 0.5


def test_curves_start_from_what_is_usual(found):
    for curve in found.curves:
        shares = dict(zip(curve.values, [score.accuracy for score in curve.scores], strict=True))
        assert shares[curve.usual] == 1
    rotation = next(curve for curve in found.curves if curve.name == "rotation")
    assert rotation.scores[0].accuracy < 0.9


def test_means_over_all_and_over_those_that_training_did_not_show(found):
    shares = {row.name: row.score.accuracy for row in found.corruptions}
    assert found.mean_accuracy == pytest.approx(sum(shares.values()) / 15)
    for name in ("rotate", "shot_noise", "impulse_noise"):
        shares.pop(name)
    assert {row.name for row in found.apart} == set(shares)
    assert found.mean_accuracy_apart == pytest.approx(sum(shares.values()) / 12)


def test_without_a_recipe_nobody_knows_what_training_showed_and_progress_adds_up(split, report):
    steps = []
    found = measure_robustness(read_bars, split, report, curve_tiles=5, on_progress=steps.append)
    assert sum(steps) == tiles_asked(N, 5)
    assert {row.overlaps for row in found.corruptions} == {None}
    assert found.mean_accuracy_apart is None
    assert {score.n for curve in found.curves for score in curve.scores} == {5}


def test_json_has_everything_but_the_answers(found):
    values = json.loads(json.dumps(found.as_dict()))
    assert values["model"]["name"] == values["data"]["name"] == "bars"
    assert values["mean_accuracy"] == pytest.approx(found.mean_accuracy, abs=1e-6)
    assert "probabilities" not in json.dumps(values)
    rotate = next(row for row in values["corruptions"] if row["name"] == "rotate")
    assert rotate["overlaps_training"] is True
    assert rotate["n"] == N
    assert set(rotate["uncertainty"]) >= {"nll", "ece", "brier"}
    assert len(values["sweeps"][0]["values"]) == len(values["sweeps"][0]["scores"]) == 9
