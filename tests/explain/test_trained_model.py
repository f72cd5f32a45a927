import dataclasses
import json

import numpy as np
import pytest
import torch

from digitlens.datasets import mnist
from digitlens.errors import DataError, ModelError
from digitlens.explain import evidence as known
from digitlens.explain.trained_model import TrainedModel, evaluated_tiles
from digitlens.models.bundle import Card
from digitlens.results import Outputs
from digitlens.training.export import export_classifier
from digitlens.training.recipe import Recipe
from digitlens.training.tasks.tile import new_network
from digitlens.visualization.report_page import gather


@pytest.fixture
def run(here, run_folder):
    """A run folder with the model that reads bars."""
    recipe = Recipe(validation="random", validation_share=0.5).as_dict()
    folder = here / run_folder("run", [{"epoch": 1}, {"epoch": 2}], recipe=recipe)
    (folder / "run.json").write_text(json.dumps({"name": "bars", "seed": 3}))
    return folder


def test_run_folder_gives_history_report_and_validation_tiles(run):
    subject = TrainedModel(run)
    assert subject.name == "bars"
    assert subject.run == run
    assert [row["epoch"] for row in subject.history] == [1, 2]
    assert subject.provenance["seed"] == 3
    assert subject.data_name == "MNIST test"
    assert subject.report.score.errors == 1
    assert subject.report is subject.report
    held = TrainedModel(run, on="validation")
    assert held.data_name == "MNIST validation, 50% by random, seed 0"
    assert len(held.split) + len(held.training) == 40
    assert held.report.n == len(held.split)


def test_a_model_without_its_run_has_no_history(here, bundle):
    subject = TrainedModel(here / bundle())
    assert subject.run is None
    assert subject.history == []
    assert subject.provenance == {}
    assert len(subject.training) == 40
    with pytest.raises(ModelError, match="does not record which tiles"):
        evaluated_tiles(subject.classifier, "validation", None)


def test_damaged_history_and_missing_model_are_reported(run):
    (run / "history.jsonl").write_text("{")
    with pytest.raises(DataError, match=r"history\.jsonl cannot be read"):
        _ = TrainedModel(run).history
    with pytest.raises(ModelError, match="no model"):
        TrainedModel(run / "nowhere")


def test_known_digits_are_the_training_digits(run, monkeypatch):
    subject = TrainedModel(run)
    with pytest.raises(ModelError, match="has no features output"):
        _ = subject.known

    def outputs(tiles):
        return Outputs(np.zeros((len(tiles), 10)), features=tiles.reshape(-1, 784)[:, 14:20])

    monkeypatch.setattr(known, "_EMBED_BATCH", 7)
    monkeypatch.setattr(subject.classifier, "outputs", outputs)
    assert np.array_equal(subject.known.labels, subject.training.labels)
    expected = subject.training.tiles.reshape(-1, 784)[:, 14:20]
    assert np.array_equal(subject.known.features, expected)
    assert subject.known.features.dtype == np.float32


def test_each_network_of_an_ensemble_votes_for_itself(tmp_path, small_split, monkeypatch):
    monkeypatch.setattr(mnist, "load_mnist", lambda _=None: mnist.Mnist(small_split, small_split))
    recipe = Recipe(architecture="fast", widths=(4,), dense=0, models=3)
    recipe = dataclasses.replace(recipe, validation="none", temperature=1.0)
    torch.manual_seed(0)
    network = new_network(recipe).eval()
    card = Card("three", "0", "", recipe=recipe.as_dict())
    export_classifier(network, card, small_split, tmp_path / "model")
    subject = TrainedModel(tmp_path / "model")
    tiles = small_split.tiles[:30]
    votes = subject.members.vote(tiles)
    alone = [one(torch.from_numpy(tiles)).argmax(1).numpy() for one in network.members]
    np.testing.assert_array_equal(votes, np.stack(alone, axis=1))
    assert len(np.unique(votes)) > 1
    told = gather(subject, quick=True)
    assert told.votes.shape == (len(told.neighbours.tiles), 3)
    assert told.neighbours.distances[:, 0] == pytest.approx(0, abs=1e-3)  # they are known digits
    assert TrainedModel("default").members is None
