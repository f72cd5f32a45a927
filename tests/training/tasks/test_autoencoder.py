"""An autoencoder learns to draw, repeats itself bit for bit, and is exported as it is."""

import numpy as np
import pytest
import torch

from digitlens import files
from digitlens.errors import ModelError, RecipeError
from digitlens.models.bundle import Card
from digitlens.models.reconstructor import Reconstructor
from digitlens.training.export import (
    check_autoencoder,
    error_quantiles,
    export_autoencoder,
    load_autoencoder,
)
from digitlens.training.nets.autoencoder_network import reconstruction_error
from digitlens.training.recipe import AutoencoderRecipe
from digitlens.training.tasks.autoencoder import new_autoencoder, pixel_loss, train_autoencoder

pytestmark = pytest.mark.train


TINY = AutoencoderRecipe(
    widths=(8, 4), code=8, epochs=3, batch_size=32, learning_rate=0.02, noise=0.1, ema_decay=0.5
)


@pytest.fixture(scope="module")
def splits(small_split):
    return small_split.take(range(330)), small_split.take(range(330, 400))


@pytest.fixture(scope="module")
def whole(splits, tmp_path_factory):
    """The tiny recipe, trained without interruption."""
    return train_autoencoder(TINY, *splits, tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def folder(whole, splits, tmp_path_factory):
    """It, exported."""
    folder = tmp_path_factory.mktemp("model")
    results = {"error_quantiles": error_quantiles(whole.network, splits[1].tiles)}
    card = Card("tiny", "1", "", recipe=TINY.as_dict(), results=results)
    export_autoencoder(whole.network, card, splits[1].tiles, folder)
    return folder


def test_it_learns_and_says_so(whole, splits):
    assert [row["step"] for row in whole.history] == [11, 22, 33]
    first, last = whole.history[0], whole.history[-1]
    assert last["train_loss"] < 0.8 * first["train_loss"]
    assert last["val_loss"] < first["val_loss"]
    pixels = torch.from_numpy(splits[1].tiles).float() / 255
    with torch.inference_mode():
        drawn = torch.sigmoid(whole.network(pixels))
    assert last["val_error"] == pytest.approx(float((drawn - pixels).square().mean()), rel=1e-4)


@pytest.mark.parametrize("step", [1, 14, 33])
def test_a_run_stopped_anywhere_ends_with_the_same_weights(
    step, splits, whole, tmp_path, same, stopped
):
    stopped(step, lambda: train_autoencoder(TINY, *splits, tmp_path))
    resumed = train_autoencoder(TINY, *splits, tmp_path, resume=True)
    assert same(whole.network, resumed.network)
    assert [row["val_loss"] for row in resumed.history] == [
        row["val_loss"] for row in whole.history
    ]


def test_losses_are_those_of_their_names():
    logits, pixels = torch.tensor([[[0.0, 2.0]]]), torch.tensor([[[1.0, 0.0]]])
    chance = torch.sigmoid(torch.tensor(2.0))
    binary = (np.log(2) - torch.log(1 - chance)) / 2
    assert float(pixel_loss(logits, pixels, "binary")) == pytest.approx(float(binary))
    squared = (0.25 + chance**2) / 2
    assert float(pixel_loss(logits, pixels, "squared")) == pytest.approx(float(squared))


def test_the_error_is_that_of_a_unit_of_ink():
    pixels = torch.zeros(3, 28, 28)
    pixels[1, :14], pixels[2] = 1.0, 1.0
    found = reconstruction_error(pixels, torch.zeros(3, 28, 28))
    np.testing.assert_allclose(found, [0, 0.5 / 0.53, 1 / 1.03], rtol=1e-5)


def test_the_graphs_draw_what_the_network_draws(whole, splits, folder):
    found = Reconstructor(folder).reconstruct(splits[1].tiles)
    pixels = torch.from_numpy(splits[1].tiles).float() / 255
    with torch.inference_mode():
        drawn = torch.sigmoid(whole.network(pixels)).numpy()
    assert np.abs(found.tiles / 255 - drawn).max() < 0.02
    assert Reconstructor(folder).share_below(found.error).mean() == pytest.approx(0.5, abs=0.02)


def test_the_folder_is_loaded_to_train_on_and_holds_all_hashes(whole, folder, same):
    assert same(load_autoencoder(folder), whole.network)
    card = Reconstructor(folder).card
    assert card.decoder_sha256 == files.sha256((folder / "decoder.onnx").read_bytes())
    assert card.weights_sha256 == files.sha256((folder / "weights.safetensors").read_bytes())
    with pytest.raises(RecipeError):
        load_autoencoder("default")


def test_graphs_of_another_network_are_not_written(splits, folder):
    graph, decoder = ((folder / name).read_bytes() for name in ("model.onnx", "decoder.onnx"))
    torch.manual_seed(5)
    with pytest.raises(ModelError, match="differs from the network"):
        check_autoencoder(new_autoencoder(TINY).eval(), graph, decoder, splits[1].tiles[:5])
