"""Training on pages learns, repeats itself bit for bit, and survives being stopped."""

import dataclasses
import json

import pytest
import torch

from digitlens.errors import DataError
from digitlens.training import page_train, steps
from digitlens.training.nets.detector_network import DetectorNetwork
from digitlens.training.page_train import train_pages
from digitlens.training.steps import Learned

pytestmark = pytest.mark.train


def _same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


def _without_times(history: list[dict[str, float]]) -> list[dict[str, float]]:
    return [{k: v for k, v in row.items() if k != "seconds"} for row in history]


@pytest.fixture(scope="module")
def run(maker):
    def trained(recipe, folder, **options) -> Learned[DetectorNetwork]:
        return train_pages(recipe, maker(recipe.seed), maker(1), folder, workers=0, **options)

    return trained


@pytest.fixture(scope="module")
def whole(run, tiny_pages, tmp_path_factory):
    """The tiny recipe, trained without interruption."""
    return run(tiny_pages, tmp_path_factory.mktemp("run"))


def test_it_learns(maker, tiny_pages, tmp_path):
    """The same few pages, over and over: so small a network learns little else."""
    recipe = dataclasses.replace(tiny_pages, steps=20, check_every=10, views=20, average=0.5)
    first, last = train_pages(recipe, maker(0), maker(0), tmp_path, workers=0).history
    assert last["train_loss"] < 0.8 * first["train_loss"]
    assert last["val_loss"] < first["val_loss"]


def test_the_history_says_what_was_promised(run, tiny_pages, whole, tmp_path):
    run(tiny_pages, tmp_path)
    lines = (tmp_path / "history.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert _without_times(rows) == _without_times(whole.history)
    assert [row["step"] for row in rows] == [3, 6, 7]
    for row in rows:
        parts = row["centre_loss"] + row["value_loss"] + row["box_loss"]
        assert row["train_loss"] == pytest.approx(parts, rel=1e-4)
        assert 0 <= row["found"] <= 1
        assert 0 <= row["right"] <= 1
        assert row["false_finds"] >= 0
        assert row["seconds"] > 0


def test_another_seed_gives_other_weights(run, tiny_pages, whole, tmp_path):
    assert not _same(whole.network, run(dataclasses.replace(tiny_pages, seed=3), tmp_path).network)


@pytest.mark.parametrize("step", [1, 4, 7])
def test_a_run_stopped_anywhere_ends_with_the_same_weights(
    step, run, tiny_pages, whole, tmp_path, monkeypatch
):
    calls = 0

    def interrupted(*args: object) -> None:
        nonlocal calls
        calls += 1
        if calls == step:
            raise KeyboardInterrupt
        update(*args)

    update = steps._update_average  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(steps, "_update_average", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(tiny_pages, tmp_path)
    monkeypatch.undo()
    resumed = run(tiny_pages, tmp_path, resume=True)
    assert _same(whole.network, resumed.network)
    assert _without_times(resumed.history) == _without_times(whole.history)


def test_a_finished_run_resumes_to_itself(run, tiny_pages, whole, tmp_path):
    run(tiny_pages, tmp_path)
    again = run(tiny_pages, tmp_path, resume=True)
    assert _same(whole.network, again.network)
    assert _without_times(again.history) == _without_times(whole.history)


def test_resuming_with_another_recipe_is_refused(run, tiny_pages, tmp_path):
    run(dataclasses.replace(tiny_pages, steps=1), tmp_path)
    with pytest.raises(DataError, match="belongs to another recipe"):
        run(tiny_pages, tmp_path, resume=True)


def test_the_moving_average_is_kept_and_not_the_last_weights(run, tiny_pages, whole, tmp_path):
    other = run(dataclasses.replace(tiny_pages, average=0.0), tmp_path)
    assert not _same(whole.network, other.network)
    assert not whole.network.training
    assert all(tensor.device.type == "cpu" for tensor in whole.network.state_dict().values())


def test_every_validation_page_is_seen_once(maker, tiny_pages):
    lesson = page_train._Pages(tiny_pages, maker(0), maker(1), 0)  # pyright: ignore[reportPrivateUsage]
    seen = lesson.held_out()
    assert [len(batch.pages) for batch in seen] == [3, 1]
