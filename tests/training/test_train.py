"""Training learns, repeats itself bit for bit, stops in time, and survives being stopped."""

import dataclasses
import json
import math

import pytest
import torch

from digitlens.errors import DataError
from digitlens.training import train as train_module
from digitlens.training.recipe import Recipe
from digitlens.training.train import learning_rate, train

pytestmark = pytest.mark.train


def _same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


@pytest.fixture(scope="module")
def whole(tiny, bars, more_bars, tmp_path_factory):
    """The tiny recipe, trained without interruption."""
    return train(tiny, bars, more_bars, tmp_path_factory.mktemp("run"))


def test_it_learns(tiny, bars, more_bars, tmp_path):
    recipe = dataclasses.replace(tiny, epochs=6)
    assert train(recipe, bars, more_bars, tmp_path).history[-1]["val_accuracy"] > 0.95


def test_the_same_seed_gives_the_same_weights(whole, tiny, bars, more_bars, tmp_path):
    assert _same(whole.network, train(tiny, bars, more_bars, tmp_path).network)


def test_another_seed_gives_others(whole, tiny, bars, more_bars, tmp_path):
    recipe = dataclasses.replace(tiny, seed=1)
    assert not _same(whole.network, train(recipe, bars, more_bars, tmp_path).network)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("step", [3, 23])
def test_a_run_stopped_anywhere_ends_with_the_same_weights(
    step, optimizer, tiny, bars, more_bars, tmp_path, monkeypatch
):
    recipe = dataclasses.replace(tiny, optimizer=optimizer)
    whole = train(recipe, bars, more_bars, tmp_path / "whole")
    calls = 0

    def interrupted(*args: float) -> float:
        nonlocal calls
        calls += 1
        if calls > step:
            raise KeyboardInterrupt
        return learning_rate(*args)

    monkeypatch.setattr(train_module, "learning_rate", interrupted)
    stopped = tmp_path / "stopped"
    stopped.mkdir()
    with pytest.raises(KeyboardInterrupt):
        train(recipe, bars, more_bars, stopped)
    monkeypatch.undo()
    resumable = (stopped / "state.safetensors").exists()
    resumed = train(recipe, bars, more_bars, stopped, resume=resumable)
    assert resumable == (step > 10)
    assert _same(whole.network, resumed.network)
    assert _without_times(resumed.history) == _without_times(whole.history)


def _without_times(history: list[dict[str, float]]) -> list[dict[str, float]]:
    return [{k: v for k, v in row.items() if "second" not in k} for row in history]


def test_the_best_epoch_is_kept_and_training_stops_early(tiny, bars, more_bars, tmp_path):
    recipe = dataclasses.replace(
        tiny, epochs=40, patience=2, learning_rate=30.0, optimizer="sgd", schedule="constant"
    )
    trained = train(recipe, bars, more_bars, tmp_path)
    losses = [row["val_loss"] for row in trained.history]
    finite = [float("inf") if math.isnan(loss) else loss for loss in losses]
    assert trained.best_epoch == finite.index(min(finite)) + 1
    assert len(losses) == trained.best_epoch + 2


def test_the_history_is_json_lines(whole, tiny, bars, more_bars, tmp_path):
    train(tiny, bars, more_bars, tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    assert _without_times(rows) == _without_times(whole.history)


def test_a_finished_run_resumes_to_itself(whole, tiny, bars, more_bars, tmp_path):
    train(tiny, bars, more_bars, tmp_path)
    again = train(tiny, bars, more_bars, tmp_path, resume=True)
    assert _same(whole.network, again.network)


def test_resuming_with_another_recipe_is_refused(tiny, bars, more_bars, tmp_path):
    train(dataclasses.replace(tiny, epochs=1), bars, more_bars, tmp_path)
    with pytest.raises(DataError, match="belongs to another recipe"):
        train(tiny, bars, more_bars, tmp_path, resume=True)


@pytest.mark.parametrize("content", [None, b"", b"\xff" * 100])
def test_a_missing_or_damaged_state_is_named(content, tiny, bars, more_bars, tmp_path):
    if content is not None:
        (tmp_path / "state.safetensors").write_bytes(content)
    with pytest.raises(DataError, match=r"state\.safetensors cannot be read"):
        train(tiny, bars, more_bars, tmp_path, resume=True)


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_the_learning_rate_rises_then_follows_its_schedule(schedule):
    recipe = Recipe(learning_rate=0.1, warmup=0.25, schedule=schedule)
    rates = [learning_rate(recipe, step, 100) for step in range(100)]
    assert rates[0] < 0.005
    assert rates[:25] == sorted(rates[:25])
    assert max(rates) == pytest.approx(0.1)
    assert rates[25:] == sorted(rates[25:], reverse=True)
    assert rates[-1] == (0.1 if schedule == "constant" else pytest.approx(0, abs=0.002))
