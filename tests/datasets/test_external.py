import bz2
import gzip
import sys
import zipfile

import numpy as np
import pytest
from scipy.io import savemat
from sklearn.datasets import load_digits

from digitlens.datasets import external
from digitlens.datasets.number_files import encode_idx
from digitlens.errors import DataError, MissingExtraError
from digitlens.files import sha256
from digitlens.models.classifier import Classifier

LABELS = np.array([3, 0, 9, 5], np.uint8)
RANDOM = np.random.default_rng(0)
IMAGES, IMAGES16 = (RANDOM.integers(0, 256, (4, side, side), np.uint8) for side in (28, 16))


def write(path, content):
    """Writes bytes to a path, compressed according to its suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pack = {".bz2": bz2.compress, ".gz": gzip.compress}.get(path.suffix, bytes)
    path.write_bytes(pack(content))
    return path


def table(*columns):
    """Returns rows of numbers as text, with a space after each number."""
    rows = np.concatenate(columns, axis=1).tolist()
    lines = [" ".join(f"{value:.4f}" for value in row) + " " for row in rows]
    return ("\n".join(lines) + "\n").encode()


def test_data_set_has_framed_and_unframed_tiles(tmp_path):
    ink = RANDOM.integers(0, 2, (4, 16, 16))
    content = table(ink.reshape(4, -1), np.eye(10)[LABELS])  # a column names the digit
    file = write(tmp_path / "semeion.data", content)
    assert (external.load_semeion(file).images == ink * 255).all()
    data = external.load_external(f"semeion={file}")
    assert (data.name, data.title) == ("semeion", "Semeion (semeion.data)")
    for split in (data.framed, data.unframed):
        assert split.tiles.shape == (4, 28, 28)
        assert (split.labels == LABELS).all()
    assert (data.framed.tiles != data.unframed.tiles).any()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mnst", r"unknown data set 'mnst': expected digits, usps=FILE, semeion=FILE"),
        ("digits=somewhere", "need no file: expected digits"),
    ],
)
def test_unknown_data_set_is_refused_with_the_known_names(text, message):
    with pytest.raises(DataError, match=message):
        external.load_external(text)


@pytest.mark.parametrize("name", [name for name, one in external.DATA_SETS.items() if one.expects])
def test_missing_file_of_a_data_set_is_named(name, tmp_path):
    with pytest.raises(DataError, match=f"expected {name}=FILE, where "):
        external.load_external(name)
    with pytest.raises(DataError, match="is missing: expected"):
        external.load_external(f"{name}={tmp_path / 'nowhere'}")
    with pytest.raises(DataError, match=r"expected .* in this folder"):
        external.load_external(f"{name}={tmp_path}")


@pytest.mark.parametrize("name", [name for name, one in external.DATA_SETS.items() if one.expects])
@pytest.mark.parametrize("content", [b"", b"nothing of the kind\n", bytes(range(256)) * 3])
def test_files_of_other_content_are_refused(name, content, tmp_path):
    for ending in ("a-images-idx3", "a-labels-idx1", "b2828.csv", "blabels.csv"):
        (tmp_path / ending).write_bytes(content)
    file = {"emnist": "a-images-idx3", "ardis": "b2828.csv"}.get(name, "b2828.csv")
    with pytest.raises(DataError):
        external.load_external(f"{name}={tmp_path / file}")


def test_scikit_digits_are_complete_and_scaled_from_sixteen():
    pictures = external.load_scikit()
    assert pictures.images.shape == (1797, 8, 8)
    assert pictures.images.max() == 255
    digits = load_digits()
    assert (np.rint(pictures.images / 255 * 16) == digits.images).all()
    assert (pictures.labels == digits.target).all()


def test_missing_scikit_learn_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(MissingExtraError, match=r"digitlens\[offline\]"):
        external.load_scikit()


@pytest.mark.parametrize("row", [[0] * 10, [1, 1] + [0] * 8, [0.5, 0.5] + [0] * 8])
def test_rows_with_no_or_two_labels_are_refused(row, tmp_path):
    content = table(np.zeros((2, 256)), np.stack([np.eye(10)[0], row]))
    with pytest.raises(DataError, match=r"one of them 1 .* in row 2"):
        external.load_semeion(write(tmp_path / "semeion.data", content))


def values(images):
    return images.reshape(len(images), -1) / 127.5 - 1


def libsvm(images, labels):
    """Returns LIBSVM text: labels from 1 to 10, pairs of index and value."""
    rows = []
    for label, row in zip(labels.tolist(), values(images).tolist(), strict=True):
        pairs = " ".join(f"{at}:{value:.4f}" for at, value in enumerate(row, 1))
        rows.append(f"{label + 1} {pairs} \n")
    return "".join(rows).encode()


@pytest.mark.parametrize("name", ["usps.t.bz2", "usps.t", "zip.test.gz", "zip.test"])
def test_both_formats_of_usps_are_read(name, tmp_path):
    if name.startswith("usps"):  # with labels from 1
        content = libsvm(IMAGES16, LABELS)
    else:
        content = table(LABELS[:, None], values(IMAGES16))
    pictures = external.load_usps(write(tmp_path / name, content))
    assert (pictures.images == IMAGES16).all()
    assert (pictures.labels == LABELS).all()


def test_usps_test_file_in_a_folder_is_preferred(tmp_path):
    write(tmp_path / "usps.bz2", libsvm(IMAGES16[:1], LABELS[:1]))
    write(tmp_path / "usps.t.bz2", libsvm(IMAGES16, LABELS))
    assert len(external.load_usps(tmp_path).labels) == 4


def test_hdf5_is_refused_with_the_expected_files(tmp_path):
    path = write(tmp_path / "usps.h5", b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(DataError, match=r"HDF5 file, .*usps\.t\.bz2 or zip\.test\.gz"):
        external.load_usps(path)


@pytest.mark.parametrize("wrong", [-1.1, 2, np.nan, np.inf])
def test_pixels_out_of_range_are_refused(wrong, tmp_path):
    pixels = values(IMAGES16)
    pixels[3, 200] = wrong
    path = write(tmp_path / "zip.test.gz", table(LABELS[:, None], pixels))
    with pytest.raises(DataError, match=r"zip.test.gz: expected pixels from -1 to 1, found"):
        external.load_usps(path)


@pytest.mark.parametrize("wrong", [-1, 10, 1.5, np.nan])
def test_invalid_labels_are_refused_with_their_position(wrong, tmp_path):
    content = table(np.array([[3], [wrong], [0], [1]]), values(IMAGES16))
    path = write(tmp_path / "zip.test", content)
    with pytest.raises(DataError, match=r"expected labels from 0 to 9, found .* for picture 2"):
        external.load_usps(path)


IMAGE_FILE = "emnist-digits-test-images-idx3-ubyte"
LABEL_FILE = "emnist-digits-test-labels-idx1-ubyte"


@pytest.fixture
def contents():
    """Contents of the two files; pictures are transposed, as in EMNIST."""
    turned = np.ascontiguousarray(IMAGES.transpose(0, 2, 1))
    return {IMAGE_FILE: encode_idx(turned), LABEL_FILE: encode_idx(LABELS)}


@pytest.mark.parametrize("form", ["plain", "gz", "zip"])
def test_emnist_is_read_upright_from_files_or_zip(form, contents, tmp_path):
    ending = "" if form == "plain" else ".gz"
    for name, content in contents.items():
        write(tmp_path / (name + ending), content)
    file = tmp_path / (IMAGE_FILE + ending)
    if form == "zip":
        file = tmp_path / "gzip.zip"
        with zipfile.ZipFile(file, "w") as archive:
            for name in contents:
                archive.write(tmp_path / f"{name}.gz", f"gzip/{name}.gz")
                (tmp_path / f"{name}.gz").unlink()
    for path in (file, tmp_path):
        pictures = external.load_emnist(path)
        assert (pictures.images == IMAGES).all()
        assert (pictures.labels == LABELS).all()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({LABEL_FILE: encode_idx(np.zeros(3, np.uint8))}, r"found \[4, 28, 28\] and \[3\]"),
        (
            {LABEL_FILE: encode_idx(np.array([0, 1, 2, 10], np.uint8))},
            "expected labels from 0 to 9, found 10 for picture 4",
        ),
        ({IMAGE_FILE: encode_idx(np.zeros((4, 28, 28), np.uint8))[:-1]}, "expected 3,136 bytes"),
    ],
)
def test_mismatched_or_missing_labels_are_refused(wrong, said, contents, tmp_path):
    for name, content in (contents | wrong).items():
        write(tmp_path / name, content)
    with pytest.raises(DataError, match=said):
        external.load_emnist(tmp_path)
    path = write(tmp_path / "digits.gz", contents[IMAGE_FILE])
    with pytest.raises(DataError, match="images-idx3 in the file name"):
        external.load_emnist(path)


def test_svhn_is_read_with_ten_as_zero_and_verified_by_hash(tmp_path, monkeypatch):
    photos = RANDOM.integers(0, 256, (3, 32, 32, 3), np.uint8)
    path = tmp_path / "test_32x32.mat"
    y = np.array([[10], [1], [9]], np.uint8)
    savemat(path, {"X": np.moveaxis(photos, 0, 3), "y": y}, do_compression=True)
    with pytest.raises(DataError, match=r"expected test_32x32\.mat .* another SHA-256"):
        external.load_svhn(tmp_path)
    monkeypatch.setitem(external.SVHN, "test_32x32.mat", sha256(path.read_bytes()))
    pictures = external.load_svhn(tmp_path)
    assert pictures.labels.tolist() == [0, 1, 9]
    assert (pictures.images == photos).all()


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "ARDIS_test_2828.csv", table(IMAGES.reshape(4, -1)))
    write(tmp_path / "ARDIS_test_labels.csv", table(np.eye(10)[LABELS]))
    return tmp_path


@pytest.mark.parametrize("inside", ["", "ARDIS_test_2828.csv"])
def test_ardis_reads_pixels_and_labels_from_two_files(inside, folder):
    pictures = external.load_ardis(folder / inside)
    assert (pictures.images == IMAGES).all()
    assert (pictures.labels == LABELS).all()


def test_ardis_labels_of_another_part_or_missing_are_refused(folder):
    write(folder / "ARDIS_test_labels.csv", table(np.eye(10)))
    with pytest.raises(DataError, match=r"4 rows and ARDIS_test_labels\.csv 10"):
        external.load_ardis(folder)
    (folder / "ARDIS_test_labels.csv").unlink()
    with pytest.raises(DataError, match=r"ARDIS_test_labels\.csv is missing"):
        external.load_ardis(folder)


STROKE = (slice(4, 28), slice(14, 18))


def photo(paper, ink):
    """Returns a photo of a stroke in the middle and a neighbour at the edge, on plain paper."""
    picture = np.empty((32, 32, 3))
    picture[...] = paper
    picture[STROKE] = ink
    picture[4:28, 29:] = ink
    noise = np.random.default_rng(0).normal(0, 3, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


COLOURS = [((30, 40, 90), (200, 190, 90)), ((220, 210, 200), (120, 20, 30)), (90, 130)]


@pytest.mark.parametrize(("paper", "ink"), COLOURS)
def test_ink_is_the_middle_stroke_and_bright_in_gray_for_any_colours(paper, ink):
    found = external.ink_of_photos(photo(paper, ink)[None])[0]
    expected = np.zeros((32, 32), bool)
    expected[STROKE] = True
    assert ((found > 128) == expected).all()
    assert (found[~expected] == 0).all()
    gray = external.photos_in_gray(photo(paper, ink)[None])[0]
    assert gray[STROKE].min() > np.median(gray)


def test_photos_are_independent_of_each_other(monkeypatch):
    photos = np.stack([photo(*colours) for colours in COLOURS])
    monkeypatch.setattr("digitlens.datasets.external._CHUNK_SIZE", 2)
    alone = np.concatenate([external.ink_of_photos(one[None]) for one in photos])
    assert (external.ink_of_photos(photos) == alone).all()


def test_uniform_photo_has_no_ink_and_an_empty_tile():
    assert not external.ink_of_photos(np.full((1, 32, 32, 3), 77, np.uint8)).any()
    assert not external.framed(np.zeros((1, 8, 8), np.uint8)).any()


@pytest.mark.parametrize("side", [8, 16, 28, 64])
def test_tiles_are_framed_like_mnist(side):
    images = np.zeros((1, side, side), np.uint8)
    images[0, : side // 2, 0 : max(2, side // 8)] = 200
    tile = external.framed(images)[0]
    rows, columns = np.flatnonzero(tile.any(axis=1)), np.flatnonzero(tile.any(axis=0))
    assert tile.max() == 255
    assert len(rows) == 20
    assert rows[0] == 4
    assert columns[0] <= 13 <= columns[-1]


@pytest.mark.parametrize("side", [8, 28, 32])
def test_unframed_pictures_are_only_resized(side):
    images = np.zeros((1, side, side), np.uint8)
    images[0, : side // 2] = 200
    tiles = external.unframed(images)
    assert (tiles[0, :12] == 200).all()
    assert (tiles[0, 16:] == 0).all()
    assert side != 28 or (tiles == images).all()


def test_framing_makes_scikit_digits_readable():
    """At least 96 % right, on every fourth digit, since framing one takes a millisecond."""
    pictures = external.load_scikit()
    images, labels = pictures.images[::4], pictures.labels[::4]
    classifier = Classifier()
    as_mnist, plain = (
        float((classifier.predict_proba(tiles).argmax(axis=1) == labels).mean())
        for tiles in (external.framed(images), external.unframed(images))
    )
    assert as_mnist >= 0.96
    assert plain < as_mnist - 0.05
