import dataclasses
import json
import math

import numpy as np
import pytest
import torch
from PIL import ImageFont
from torch.nn import functional

from digitlens import files
from digitlens.datasets.mnist import Split
from digitlens.datasets.negative_inks import Face
from digitlens.errors import DataError, ModelError
from digitlens.models.bundle import Card, load_bundle
from digitlens.models.networks import Reconstructor
from digitlens.training.export import (
    check_autoencoder,
    error_quantiles,
    export_autoencoder,
    export_classifier,
    load_weights,
)
from digitlens.training.loop import HISTORY, STEPS, fit
from digitlens.training.recipe import AutoencoderRecipe
from digitlens.training.tasks.tile import (
    FLAT,
    AutoencoderTask,
    EpochData,
    mix_up,
    models_of,
    one_network,
    pixel_loss,
    train_classifier,
    whiten,
)
from digitlens.training.tile_networks import (
    MEAN,
    SD,
    Autoencoder,
    DigitNetwork,
    Ensemble,
    predict_logits,
    reconstruction_error,
)

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def whole(tiny, bars, more_bars, tmp_path_factory):
    """The uninterrupted training of the tiny recipe."""
    return train_classifier(tiny, bars, more_bars, tmp_path_factory.mktemp("run"))


def test_seed_determines_the_weights_and_finished_runs_resume(
    whole, tiny, bars, more_bars, tmp_path, same, without_times
):
    begun = train_classifier(
        tiny, bars, more_bars, tmp_path / "a", resume=True
    )  # nothing to resume
    assert same(whole.network, begun.network)
    rows = [json.loads(line) for line in (tmp_path / "a" / HISTORY).read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    assert without_times(rows) == without_times(whole.history)
    steps = (tmp_path / "a" / STEPS).read_bytes()
    (tmp_path / "a" / STEPS).unlink()  # as if killed before writing it
    again = train_classifier(tiny, bars, more_bars, tmp_path / "a", resume=True)
    assert same(whole.network, again.network)
    assert (tmp_path / "a" / STEPS).read_bytes() == steps
    recipe = dataclasses.replace(tiny, seed=1)
    other = train_classifier(recipe, bars, more_bars, tmp_path / "b").network
    assert not same(whole.network, other)
    with pytest.raises(DataError, match="belongs to another recipe"):
        train_classifier(tiny, bars, more_bars, tmp_path / "b", resume=True)


@pytest.mark.parametrize(
    ("changes", "step"),
    [
        ({}, 3),
        ({"optimizer": "adamw"}, 23),
        ({"optimizer": "sgd", "learning_rate": 0.05}, 23),
        ({"optimizer": "muon", "learning_rate": 0.1}, 23),
        ({"models": 2, "epochs": 2}, 25),  # the second network
        ({"architecture": "swift", "widths": (9, 8), "kernels": (5, 3), "epochs": 2}, 14),
    ],
)
def test_interrupted_run_resumes_to_identical_weights(
    changes, step, tiny, bars, more_bars, tmp_path, same, without_times, stopped
):
    recipe = dataclasses.replace(tiny, **changes)
    whole = train_classifier(recipe, bars, more_bars, tmp_path / "whole")
    first, *_, last = whole.history  # all optimisers learn
    assert last["train_loss"] < 0.8 * first["train_loss"]
    assert last["val_accuracy"] > 0.8
    stopped(step, lambda: train_classifier(recipe, bars, more_bars, tmp_path / "parts"))
    resumed = train_classifier(recipe, bars, more_bars, tmp_path / "parts", resume=True)
    assert same(whole.network, resumed.network)
    assert without_times(resumed.history) == without_times(whole.history)
    assert resumed.steps == whole.steps


def test_best_epoch_is_kept_and_training_stops_early(tiny, bars, more_bars, tmp_path):
    recipe = dataclasses.replace(
        tiny, epochs=40, patience=2, learning_rate=30.0, optimizer="sgd", schedule="constant"
    )
    trained = train_classifier(recipe, bars, more_bars, tmp_path)
    losses = [row["val_loss"] for row in trained.history]
    finite = [float("inf") if math.isnan(loss) else loss for loss in losses]
    assert trained.best_epoch == finite.index(min(finite)) + 1
    assert len(losses) == trained.best_epoch + 2


@pytest.mark.parametrize("content", [None, b"", b"\xff" * 100])
def test_missing_or_damaged_state_is_named(content, tiny, bars, more_bars, tmp_path):
    (tmp_path / HISTORY).write_text("{}\n", encoding="utf-8")
    if content is not None:
        (tmp_path / "state.safetensors").write_bytes(content)
    with pytest.raises(DataError, match=r"state\.safetensors cannot be read"):
        train_classifier(tiny, bars, more_bars, tmp_path, resume=True)


@pytest.fixture
def few_faces(monkeypatch):
    """Sets letters in Pillow's own font."""
    face = Face({"latin": ImageFont.load_default(96)})
    monkeypatch.setattr("digitlens.datasets.negative_inks.load_faces", lambda _role: (face,))


@pytest.fixture(scope="module")
def teacher(tiny, bars, tmp_path_factory):
    """An untrained model, whose answers differ from the labels."""
    folder = tmp_path_factory.mktemp("teacher")
    torch.manual_seed(3)
    card = Card(name="teacher", version="0", sha256="", recipe=tiny.as_dict())
    export_classifier(one_network(tiny).eval(), card, bars, folder)
    return str(folder)


def test_targets_are_the_labels_and_tiles_differ_by_epoch(tiny, bars):
    data = EpochData(tiny, bars, "cpu")
    (first, targets), (second, _) = data.epoch(0), data.epoch(1)
    assert torch.equal(targets.argmax(1), torch.from_numpy(bars.labels).long())
    assert targets.shape == (len(bars), 10)
    assert not torch.equal(first, second)
    assert torch.equal(first, EpochData(tiny, bars, "cpu").epoch(0)[0])


def test_last_epochs_are_not_augmented(tiny, bars):
    recipe = dataclasses.replace(tiny, epochs=5, repeat=2, clean_epochs=2, shift=2.0)
    data = EpochData(recipe, bars, "cpu")
    tiles = [data.epoch(number)[0] for number in range(5)]
    clean = [torch.equal(each, torch.from_numpy(bars.tiles)) for each in tiles]
    assert clean == [False, False, False, True, True]
    assert torch.equal(tiles[0], tiles[1])
    assert torch.equal(data.epoch(2)[0], tiles[2])  # epochs can be repeated, as on resuming


@pytest.mark.usefixtures("few_faces")
def test_negatives_are_the_eleventh_class_and_need_a_matching_teacher(tiny, bars, teacher):
    recipe = dataclasses.replace(tiny, negatives=0.1)
    data = EpochData(recipe, bars, "cpu")
    tiles, targets = data.epoch(0)
    assert len(data) == len(tiles) == 660
    assert targets.shape == (660, 11)
    assert (targets[600:].argmax(1) == 10).all()
    assert (targets[:600].argmax(1) < 10).all()
    with pytest.raises(ModelError, match="was trained without negatives"):
        EpochData(dataclasses.replace(recipe, teacher=teacher), bars, "cpu").epoch(0)


@pytest.mark.usefixtures("few_faces")
def test_network_learns_to_recognise_negatives(tiny, bars, more_bars, tmp_path):
    recipe = dataclasses.replace(tiny, negatives=0.3, epochs=8)
    network = train_classifier(recipe, bars, more_bars, tmp_path).network
    data = EpochData(dataclasses.replace(recipe, seed=5), bars, "cpu")
    with torch.inference_mode():
        answers = network(data.tiles).argmax(1)
    assert (answers[600:] == 10).float().mean() > 0.7
    assert (answers[:600] == 10).float().mean() < 0.1


def test_teachers_probabilities_are_the_targets_and_softened(tiny, bars, teacher):
    taught = dataclasses.replace(tiny, teacher=teacher)
    _, sure = EpochData(taught, bars, "cpu").epoch(0)
    softer = dataclasses.replace(taught, distillation_temperature=5.0)
    _, soft = EpochData(softer, bars, "cpu").epoch(0)
    np.testing.assert_allclose(sure.sum(1), 1, atol=1e-5)
    assert (sure.argmax(1).numpy() != bars.labels).mean() > 0.5
    assert torch.equal(sure.argmax(1), soft.argmax(1))
    assert (soft.max(1).values < sure.max(1).values).all()


def test_mixup_blends_tiles_and_targets_alike():
    torch.manual_seed(0)
    tiles = torch.zeros(2, 28, 28, dtype=torch.uint8)
    tiles[0] = 200
    targets = torch.eye(2)
    blended, soft = mix_up(tiles, targets, 1.0)
    np.testing.assert_allclose(blended[:, 0, 0] / 200, soft[:, 0], atol=0.01)
    assert 0 < soft[0, 0] < 1
    same = mix_up(tiles, targets, 0.0)
    assert same[0] is tiles


def test_models_of_ensembles_have_distinct_seeds(tiny):
    pairs = [dataclasses.replace(tiny, models=3, seed=seed) for seed in (0, 1)]
    seeds = [model.seed for pair in pairs for model in models_of(pair)]
    assert seeds == [0, 1, 2, 3, 4, 5]
    assert all(model.models == 1 for model in models_of(pairs[0]))


def test_ensemble_averages_its_members(tiny, bars, more_bars, tmp_path):
    recipe = dataclasses.replace(tiny, models=2, epochs=2)
    done = train_classifier(recipe, bars, more_bars, tmp_path / "both")
    tiles = torch.from_numpy(more_bars.tiles[:100])
    alone = [
        train_classifier(model, bars, more_bars, tmp_path / f"{model.seed}").network
        for model in models_of(recipe)
    ]
    mean = torch.stack([torch.softmax(predict_logits(one, tiles), 1) for one in alone]).mean(0)
    assert isinstance(done.network, Ensemble)
    found = torch.softmax(predict_logits(done.network, tiles), 1)
    np.testing.assert_allclose(found, mean, atol=1e-5)
    assert (tmp_path / "both" / "member-2" / HISTORY).is_file()
    assert len(done.history) == 2
    answers = predict_logits(done.network, torch.from_numpy(more_bars.tiles)).argmax(1).numpy()
    right = (answers == more_bars.labels).mean()
    assert done.scores["val_accuracy"] == pytest.approx(right, abs=1e-6)


def test_training_keeps_the_whitening_filters(swift, bars, more_bars, tmp_path):
    recipe = dataclasses.replace(swift, epochs=1, learning_rate=0.05)
    expected = one_network(recipe)
    whiten(expected, bars.tiles)
    trained = train_classifier(recipe, bars, more_bars, tmp_path).network
    assert torch.equal(trained.fixed.weight, expected.fixed.weight)


def test_without_validation_the_last_epoch_is_kept_unscored(tiny, bars, tmp_path):
    recipe = dataclasses.replace(tiny, validation="none", temperature=1.0, patience=1)
    nothing = Split(bars.tiles[:0], bars.labels[:0])
    done = train_classifier(recipe, bars, nothing, tmp_path)
    assert done.scores == {}
    assert done.best_epoch == len(done.history) == recipe.epochs
    assert "val_loss" not in done.history[0]


@pytest.fixture
def swift(tiny):
    return dataclasses.replace(
        tiny, architecture="swift", widths=(9, 8), kernels=(5, 3), margin=2, optimizer="muon"
    )


def _strokes(count: int) -> np.ndarray:
    """Returns tiles with soft blobs: adjacent pixels are strongly correlated."""
    rng = torch.Generator().manual_seed(0)
    knots = torch.rand(count, 1, 9, 9, generator=rng) ** 3 * 255
    blobs = functional.interpolate(knots, size=28, mode="bilinear")[:, 0]
    return blobs.to(torch.uint8).numpy()


def _responses(network: DigitNetwork, tiles: np.ndarray) -> torch.Tensor:
    """Returns the filters' responses to patches with ink, float[P, C]."""
    assert network.fixed is not None
    inner = ((torch.from_numpy(tiles[:, 2:26, 2:26]).float() / 255 - MEAN) / SD).unsqueeze(1)
    patches = functional.unfold(inner, 5, padding=2, stride=2).transpose(1, 2).reshape(-1, 25)
    return patches[patches.std(1) > FLAT] @ network.fixed.weight.data.flatten(1).T


def test_whitening_gives_uncorrelated_components_of_unit_variance(swift, tiny):
    network, tiles = one_network(swift), _strokes(300)
    whiten(network, tiles)
    found = _responses(network, tiles)[:, :5]
    moments = found.T @ found / len(found)
    torch.testing.assert_close(moments, torch.eye(5), atol=0.1, rtol=0)
    filters = network.fixed.weight.data
    assert torch.equal(filters[5:], -filters[:4])
    assert (filters.flatten(1).norm(dim=1) > 0).all()
    whiten(network, np.zeros((4, 28, 28), np.uint8))
    assert torch.isfinite(network.fixed.weight).all()  # also without ink
    network = one_network(tiny)  # without a fixed convolution
    before = {name: value.clone() for name, value in network.state_dict().items()}
    whiten(network, tiles)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


TINY = AutoencoderRecipe(
    widths=(8, 4), code=8, epochs=3, batch_size=32, learning_rate=0.02, noise=0.1, ema_decay=0.5
)


@pytest.fixture(scope="module")
def splits(small_split):
    return small_split.take(range(330)), small_split.take(range(330, 400))


@pytest.fixture(scope="module")
def trained(splits, tmp_path_factory):
    """The uninterrupted training of the tiny autoencoder recipe."""
    return fit(AutoencoderTask(TINY, *splits), tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def folder(trained, splits, tmp_path_factory):
    """The folder of the exported autoencoder."""
    folder = tmp_path_factory.mktemp("model")
    results = {"error_quantiles": error_quantiles(trained.network, splits[1].tiles)}
    card = Card("tiny", "1", "", recipe=TINY.as_dict(), results=results)
    export_autoencoder(trained.network, card, splits[1].tiles, folder)
    return folder


def test_autoencoder_learns_and_records_its_error(trained, splits):
    assert [row["step"] for row in trained.history] == [11, 22, 33]
    first, last = trained.history[0], trained.history[-1]
    assert last["train_loss"] < 0.8 * first["train_loss"]
    assert last["val_loss"] < first["val_loss"]
    pixels = torch.from_numpy(splits[1].tiles).float() / 255
    with torch.inference_mode():
        drawn = torch.sigmoid(trained.network(pixels))
    assert last["val_error"] == pytest.approx(float((drawn - pixels).square().mean()), rel=1e-4)


@pytest.mark.parametrize("step", [1, 14, 33])
def test_interrupted_autoencoder_resumes_to_identical_weights(
    step, splits, trained, tmp_path, same, stopped
):
    stopped(step, lambda: fit(AutoencoderTask(TINY, *splits), tmp_path))
    resumed = fit(AutoencoderTask(TINY, *splits), tmp_path, resume=True)
    assert same(trained.network, resumed.network)
    assert [row["val_loss"] for row in resumed.history] == [
        row["val_loss"] for row in trained.history
    ]


def test_pixel_losses_and_reconstruction_error_per_ink():
    logits, pixels = torch.tensor([[[0.0, 2.0]]]), torch.tensor([[[1.0, 0.0]]])
    chance = torch.sigmoid(torch.tensor(2.0))
    binary = (np.log(2) - torch.log(1 - chance)) / 2
    assert float(pixel_loss(logits, pixels, "binary")) == pytest.approx(float(binary))
    squared = (0.25 + chance**2) / 2
    assert float(pixel_loss(logits, pixels, "squared")) == pytest.approx(float(squared))
    tiles = torch.zeros(3, 28, 28)
    tiles[1, :14], tiles[2] = 1.0, 1.0
    found = reconstruction_error(tiles, torch.zeros(3, 28, 28))
    np.testing.assert_allclose(found, [0, 0.5 / 0.53, 1 / 1.03], rtol=1e-5)


def test_graphs_match_the_network_and_others_are_refused(trained, splits, folder):
    found = Reconstructor(folder).reconstruct(splits[1].tiles)
    pixels = torch.from_numpy(splits[1].tiles).float() / 255
    with torch.inference_mode():
        drawn = torch.sigmoid(trained.network(pixels)).numpy()
    assert np.abs(found.tiles / 255 - drawn).max() < 0.02
    assert Reconstructor(folder).share_below(found.error).mean() == pytest.approx(0.5, abs=0.02)
    graph, decoder = ((folder / name).read_bytes() for name in ("model.onnx", "decoder.onnx"))
    torch.manual_seed(5)
    with pytest.raises(ModelError, match="differs from the network"):
        check_autoencoder(
            Autoencoder(TINY.widths, TINY.code).eval(), graph, decoder, splits[1].tiles[:5]
        )


def test_exported_weights_are_loaded_and_hashes_recorded(trained, folder, same):
    loaded = Autoencoder(TINY.widths, TINY.code)
    load_weights(loaded, load_bundle(folder))
    assert same(loaded, trained.network)
    card = Reconstructor(folder).card
    assert card.decoder_sha256 == files.sha256((folder / "decoder.onnx").read_bytes())
    assert card.weights_sha256 == files.sha256((folder / "weights.safetensors").read_bytes())
