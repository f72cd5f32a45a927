"""The shipped autoencoder draws digits again, and says when it is not given what it expects."""

import json
import shutil

import numpy as np
import pytest

from digitlens.errors import ModelError
from digitlens.models.bundle import find_bundle
from digitlens.models.classifier import Classifier
from digitlens.models.networks import DigitDetector
from digitlens.models.reconstructor import Reconstructor


@pytest.fixture(scope="module")
def shipped():
    return Reconstructor(threads=1)


@pytest.fixture
def copy(tmp_path):
    """A copy of the shipped folder that may be damaged."""
    return shutil.copytree(find_bundle("autoencoder"), tmp_path / "copy")


@pytest.fixture(scope="module")
def strokes():
    """Tiles of one upright stroke, as a 1 is written, of different width."""
    tiles = np.zeros((6, 28, 28), np.uint8)
    for width, tile in enumerate(tiles, 1):
        tile[5:23, 14 - width // 2 : 14 - width // 2 + min(width, 4)] = 240
    return tiles


def test_reconstructions_are_near_and_decoding_their_codes_gives_them_again(shipped, strokes):
    found = shipped.reconstruct(strokes)
    assert (found.tiles.dtype, found.tiles.shape) == (np.uint8, (6, 28, 28))
    assert (found.error.dtype, found.error.shape) == (np.float32, (6,))
    assert (found.code.dtype, found.code.shape) == (np.float32, (6, shipped.width))
    assert np.abs(found.tiles / 255 - strokes / 255).mean() < 0.05
    again = shipped.decode(found.code)
    assert np.abs(again.astype(int) - found.tiles).max() <= 1
    squares = ((found.tiles / 255 - strokes / 255) ** 2).mean(axis=(1, 2))
    expected = squares / (strokes.mean(axis=(1, 2)) / 255 + 0.03)
    np.testing.assert_allclose(found.error, expected, rtol=0.05, atol=1e-3)


def test_batches_of_any_size_are_drawn_alike(shipped, strokes):
    many = np.tile(strokes, (50, 1, 1))
    whole = shipped.reconstruct(many)
    assert np.abs(whole.code[:6] - shipped.reconstruct(strokes).code).max() < 1e-4
    assert np.abs(whole.code[-6:] - whole.code[:6]).max() < 1e-4
    assert shipped.reconstruct(many[:0]).tiles.shape == (0, 28, 28)
    assert shipped.decode(whole.code[:0]).shape == (0, 28, 28)


def test_what_is_no_digit_is_drawn_worse_than_almost_every_digit(shipped, strokes):
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (20, 28, 28), dtype=np.uint8)
    stripes = np.zeros((1, 28, 28), np.uint8)
    stripes[:, 4:24:4, 4:24] = 255
    strange = shipped.error_of(np.concatenate([noise, stripes]))
    assert strange.min() > shipped.error_of(strokes).max()
    assert (shipped.share_below(strange) > 0.99).all()


@pytest.mark.parametrize(
    ("tiles", "error"),
    [
        ([[0]], TypeError),
        (np.zeros((1, 28, 28)), TypeError),
        (np.zeros((28, 28), np.uint8), ValueError),
    ],
)
def test_what_is_no_tile_is_misuse(shipped, tiles, error):
    with pytest.raises(error, match="expected tiles"):
        shipped.reconstruct(tiles)


def test_what_is_no_code_is_misuse(shipped):
    with pytest.raises(TypeError, match="expected codes"):
        shipped.decode(np.zeros((1, shipped.width)))
    with pytest.raises(ValueError, match=rf"expected codes of shape \[N, {shipped.width}\]"):
        shipped.decode(np.zeros((1, shipped.width + 1), np.float32))


def test_each_kind_of_model_says_what_it_is_when_taken_for_another():
    with pytest.raises(ModelError, match="is an autoencoder"):
        Classifier("autoencoder")
    with pytest.raises(ModelError, match="is no autoencoder"):
        Reconstructor("default")
    with pytest.raises(ModelError, match="is no autoencoder"):
        Reconstructor("pages")
    with pytest.raises(ModelError, match="is not a digit detector"):
        DigitDetector("autoencoder")


@pytest.mark.parametrize("name", ["model.onnx", "decoder.onnx"])
def test_a_changed_graph_is_noticed(copy, name):
    (copy / name).write_bytes((copy / name).read_bytes() + b"\0")
    with pytest.raises(ModelError, match=f"{name} was changed"):
        Reconstructor(copy)
    (copy / name).unlink()
    with pytest.raises(ModelError, match=f"{name} cannot be read"):
        Reconstructor(copy)


def test_graphs_in_each_others_place_and_a_card_without_quantiles_are_noticed(copy):
    card = json.loads((copy / "model.json").read_text(encoding="utf-8"))
    shutil.copy(copy / "model.onnx", copy / "decoder.onnx")
    card["decoder_sha256"] = card["sha256"]
    del card["results"]["error_quantiles"]
    (copy / "model.json").write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(ModelError, match="expected a decoder from code"):
        Reconstructor(copy).decode(np.zeros((1, Reconstructor(copy).width), np.float32))
    with pytest.raises(ModelError, match="does not say what errors are usual"):
        Reconstructor(copy).share_below(np.zeros(1, np.float32))
