"""The crop network learns what stands in the middle, and survives being stopped."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from digitlens.model.crop_model import NONE
from digitlens.training import steps
from digitlens.training.crop_stream import Crops
from digitlens.training.crop_train import crop_score, train_crops

pytestmark = pytest.mark.train


def find(pixels):
    middle = pixels.shape[0] / 2
    box = [middle - 9, middle - 9, middle + 9, middle + 9]
    return np.array([box], np.float32), np.array([0.7], np.float32)


@pytest.fixture(scope="module")
def run(maker):
    def trained(recipe, folder, **options):
        return train_crops(recipe, maker(0), maker(1), find, folder, workers=0, **options)

    return trained


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr("digitlens.training.crop_train.VALIDATION_BATCHES", 2)


def test_it_learns_and_says_how_well(run, tiny_pages, tmp_path):
    recipe = dataclasses.replace(
        tiny_pages, crop_steps=24, crop_views=24, check_every=12, average=0.5
    )
    first, last = run(recipe, tmp_path).history
    assert last["train_loss"] < first["train_loss"]
    assert [first["step"], last["step"]] == [12, 24]
    assert 0 <= last["right"] <= 1
    assert 0 <= last["found"] <= 1


def test_a_run_that_was_stopped_ends_with_the_same_weights(run, tiny_pages, tmp_path, monkeypatch):
    whole = run(tiny_pages, tmp_path / "whole")
    calls = 0

    def interrupted(*args: object) -> None:
        nonlocal calls
        calls += 1
        if calls == 5:
            raise KeyboardInterrupt
        update(*args)

    update = steps._update_average  # pyright: ignore[reportPrivateUsage]
    with monkeypatch.context() as stopped:
        stopped.setattr(steps, "_update_average", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(tiny_pages, tmp_path / "part")
    resumed = run(tiny_pages, tmp_path / "part", resume=True)
    pairs = zip(
        whole.network.state_dict().values(), resumed.network.state_dict().values(), strict=True
    )
    assert all(torch.equal(a, b) for a, b in pairs)


class Told(nn.Module):
    """Says of each window what is written in its first pixels."""

    def forward(self, windows):
        return windows[:, 0, 0, :11].float()


def test_scores_count_names_and_what_is_surer_than_most_that_is_none():
    rows = torch.zeros(24, 3, 56, 56, dtype=torch.uint8)
    classes = torch.tensor([3, 3, 3, 3] + [NONE] * 20)
    rows[:3, 0, 0, 3] = 9  # three are named, the fourth is taken for a 5 ...
    rows[3, 0, 0, 5] = 9
    rows[4:, 0, 0, NONE] = 9  # ... and all that is none is known, but for one
    rows[4, 0, 0, NONE] = 0
    told = crop_score(Told(), [Crops(rows, classes)])  # pyright: ignore[reportArgumentType]
    assert told["right"] == pytest.approx(0.75)
    assert told["found"] == pytest.approx(1.0)
