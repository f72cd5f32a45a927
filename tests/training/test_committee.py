"""A committee's members are trained apart, and resumed where they were stopped."""

import dataclasses

import numpy as np
import pytest
import torch

from digitlens.datasets.mnist import Split
from digitlens.training import committee as committee_module
from digitlens.training.checkpoint import HISTORY
from digitlens.training.committee import members_of, train_all
from digitlens.training.nets.tile_network import Ensemble, predict_logits
from digitlens.training.train import train


def test_members_have_seeds_of_their_own(tiny):
    pairs = [dataclasses.replace(tiny, members=3, seed=seed) for seed in (0, 1)]
    seeds = [member.seed for pair in pairs for member in members_of(pair)]
    assert seeds == [0, 1, 2, 3, 4, 5]
    assert all(member.members == 1 for member in members_of(pairs[0]))


def test_a_committee_is_the_mean_of_its_members(tiny, bars, more_bars, tmp_path):
    recipe = dataclasses.replace(tiny, members=2, epochs=2)
    done = train_all(recipe, bars, more_bars, tmp_path / "both")
    tiles = torch.from_numpy(more_bars.tiles[:100])
    alone = [
        train(member, bars, more_bars, tmp_path / f"{member.seed}").network
        for member in members_of(recipe)
    ]
    mean = torch.stack([torch.softmax(predict_logits(one, tiles), 1) for one in alone]).mean(0)
    assert isinstance(done.network, Ensemble)
    found = torch.softmax(predict_logits(done.network, tiles), 1)
    np.testing.assert_allclose(found, mean, atol=1e-5)
    assert (tmp_path / "both" / "member-2" / HISTORY).is_file()
    assert len(done.history) == 2
    assert done.scores["val_accuracy"] == pytest.approx(
        (
            predict_logits(done.network, torch.from_numpy(more_bars.tiles)).argmax(1).numpy()
            == more_bars.labels
        ).mean(),
        abs=1e-6,
    )


def test_a_stopped_committee_goes_on(tiny, bars, more_bars, tmp_path, monkeypatch):
    recipe = dataclasses.replace(tiny, members=2, epochs=2)
    whole = train_all(recipe, bars, more_bars, tmp_path / "whole").network.state_dict()

    def stopped(member, *args, **kwargs):
        if member.seed == 1:
            raise KeyboardInterrupt
        return train(member, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(committee_module, "train", stopped)
        with pytest.raises(KeyboardInterrupt):
            train_all(recipe, bars, more_bars, tmp_path / "parts")
    parts = train_all(recipe, bars, more_bars, tmp_path / "parts", resume=True).network
    assert all(torch.equal(whole[k], v) for k, v in parts.state_dict().items())


def test_without_validation_the_last_epoch_is_kept_and_nothing_is_scored(tiny, bars, tmp_path):
    recipe = dataclasses.replace(tiny, validation="none", temperature=1.0, patience=1)
    nothing = Split(bars.tiles[:0], bars.labels[:0])
    done = train_all(recipe, bars, nothing, tmp_path)
    assert done.scores == {}
    assert done.best_epoch == len(done.history) == recipe.epochs
    assert "val_loss" not in done.history[0]


def test_views_are_averaged_without_more_training(tiny, bars, more_bars, tmp_path):
    recipe = dataclasses.replace(tiny, views=5, epochs=1)
    done = train_all(recipe, bars, more_bars, tmp_path)
    assert isinstance(done.network, Ensemble)
    assert (len(done.network.members), done.network.views) == (1, 5)
