import gzip

import numpy as np
import pytest
from PIL import ImageFont

from digitlens.datasets.negative_inks import AMBIGUOUS, EM, MEASURED_LETTERS, Face
from digitlens.datasets.negatives import (
    face_ink,
    load_negatives,
    make_negatives,
    make_source,
    negative_sets,
)
from digitlens.datasets.number_files import encode_idx
from digitlens.errors import DataError


@pytest.fixture(scope="session")
def face() -> Face:
    return Face({"latin": ImageFont.load_default(EM)})


@pytest.fixture(scope="module")
def tiles(face, small_split):
    return make_negatives(300, [face], 0, small_split.tiles)


def test_negatives_are_framed_like_mnist(tiles):
    assert tiles.shape == (300, 28, 28)
    assert tiles.dtype == np.uint8
    drawn = tiles[(tiles[:, 0] == 0).all(axis=1) & (tiles.max(axis=(1, 2)) == 255)]
    assert len(drawn) > 200  # the others are surfaces
    y, x = np.mgrid[:28, :28] + 0.5
    mass = drawn.sum(axis=(1, 2), dtype=np.float64)
    for axis in (x, y):
        centre = (drawn * axis).sum(axis=(1, 2)) / mass
        assert (np.abs(centre - 14) < 2).all()


def test_negatives_are_determined_by_seed_independently_of_count(face, small_split, tiles):
    again = make_negatives(40, [face], 0, small_split.tiles)
    np.testing.assert_array_equal(again, tiles[:40])
    assert (make_negatives(40, [face], 1, small_split.tiles) != again).any(axis=(1, 2)).mean() > 0.9


def test_letters_drawn_like_digits_are_left_out(face):
    rng = np.random.default_rng(0)
    assert face_ink([face], "8", rng) is None
    assert face_ink([face], "\uffff", rng) is None  # missing in the font
    assert face_ink([face], "W", rng) is not None


def test_negatives_need_a_face(face):
    with pytest.raises(ValueError, match="one face or more"):
        make_negatives(1, [], 0)
    assert make_source([face], None).digits.shape == (0, 28, 28)


def test_sets_are_tiles_determined_by_the_seed(face):
    sets, again = negative_sets([face], 3, count=20), negative_sets([face], 3, count=20)
    assert list(sets) == ["letters", "look-alikes", "strokes", "noise", "textures", "blank"]
    for name, tiles in sets.items():
        assert tiles.dtype == np.uint8
        assert tiles.shape[1:] == (28, 28)
        np.testing.assert_array_equal(tiles, again[name])
    other = negative_sets([face], 4, count=20)
    assert (other["textures"] != sets["textures"]).any()
    np.testing.assert_array_equal(other["letters"], sets["letters"])


def test_letters_are_measured_or_look_alikes_and_random_tiles_differ(face):
    sets = negative_sets([face], 0, count=24)
    assert len(sets["letters"]) == len(MEASURED_LETTERS) == 52 - 16
    assert len(sets["look-alikes"]) == len(AMBIGUOUS) == 16
    assert not set(MEASURED_LETTERS) & set(AMBIGUOUS)
    for name in ("strokes", "noise", "textures"):
        assert len(np.unique(sets[name], axis=0)) == 24
    steps = np.abs(np.diff(sets["blank"].astype(int), axis=2)).mean(axis=(1, 2))
    assert steps.max() < 12  # no edges
    assert not sets["blank"][0].any()


IMAGES = np.random.default_rng(0).integers(0, 256, (26, 28, 28), dtype=np.uint8)


def test_idx_file_is_read_and_thinned_evenly_if_long(tmp_path, monkeypatch):
    path = tmp_path / "t10k-images-idx3-ubyte"
    path.write_bytes(gzip.compress(encode_idx(IMAGES)))
    found = load_negatives("fashion", path)
    assert list(found) == ["fashion"]
    np.testing.assert_array_equal(found["fashion"], IMAGES)
    monkeypatch.setattr("digitlens.datasets.negatives.MAX_TILES", 2)
    np.testing.assert_array_equal(load_negatives("some", path)["some"], IMAGES[[0, -1]])


def test_emnist_is_transposed_and_look_alikes_are_separated(tmp_path):
    path = tmp_path / "emnist-letters-test-images-idx3-ubyte"
    path.write_bytes(encode_idx(IMAGES))
    alone = load_negatives("letters", path)
    np.testing.assert_array_equal(alone["letters"], IMAGES.transpose(0, 2, 1))
    labels = np.arange(1, 27, dtype=np.uint8)
    beside = tmp_path / "emnist-letters-test-labels-idx1-ubyte"
    beside.write_bytes(encode_idx(labels))
    sets = load_negatives("EMNIST", path)
    assert [len(tiles) for tiles in sets.values()] == [18, 8]
    np.testing.assert_array_equal(sets["EMNIST look-alikes"][0], IMAGES[1].T)  # B
    beside.write_bytes(encode_idx(labels[:3]))
    with pytest.raises(DataError, match="labels of 26 images, found"):
        load_negatives("EMNIST", path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        (b"not an idx file", "expected an IDX file"),
        (encode_idx(IMAGES[0]), r"images of \[N, 28, 28\], found \[28, 28\]"),
        (encode_idx(IMAGES[:0]), r"found \[0, 28, 28\]"),
        (encode_idx(IMAGES), "more than the 1,000 bytes"),
    ],
)
def test_invalid_files_are_refused_by_name(tmp_path, monkeypatch, content, message):
    monkeypatch.setattr("digitlens.datasets.negatives.MAX_BYTES", 1000)
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        load_negatives("some", path)
    assert str(path) in str(caught.value)
