import numpy as np
import pytest

from digitlens.cli.known import known_digits, usual_distances
from digitlens.errors import ModelError
from digitlens.outputs import Outputs


class Model:
    """Its features are the columns' sums; counts the tiles that it is asked for."""

    name, sha256 = "sums", "ab" * 32

    def __init__(self):
        self.asked = 0

    def outputs(self, tiles):
        self.asked += len(tiles)
        chances = np.full((len(tiles), 10), 0.1, np.float32)
        return Outputs(chances, features=tiles.sum(axis=1, dtype=np.float32) / 255)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("DIGITLENS_CACHE", str(tmp_path))
    return tmp_path / "known"


def test_what_was_computed_is_loaded_the_next_time(folder, small_split):
    model = Model()
    first = known_digits(model, small_split)
    assert (first.features == small_split.tiles.sum(axis=1, dtype=np.float32) / 255).all()
    assert first.labels is small_split.labels
    asked, (file,) = model.asked, folder.iterdir()
    assert asked > len(small_split)
    again = known_digits(model, small_split)
    assert model.asked == asked + 1  # for their width
    assert again.features.dtype == np.float32
    assert (again.features == first.features).all()
    assert not first.features.flags.writeable
    assert not again.features.flags.writeable
    # Other tiles, and another model, are something else.
    known_digits(model, small_split.take(range(40)))
    model.sha256 = "cd" * 32
    known_digits(model, small_split)
    assert len(list(folder.iterdir())) == 3
    assert file.exists()


def wrong(kind, shape):
    values = np.ones(shape, kind)
    if kind is np.float32 and shape == (400, 28):
        values[7, 7] = np.nan
    return values


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"no numbers", b"\x93NUMPY\x01\x00v\x00{'descr': '<f4'"),
        *(wrong(np.float32, (400, 28)), wrong(np.float64, (400, 28)), wrong(np.float32, (400, 27))),
        np.array([{"a": 1}], object),
    ],
    ids=["empty", "text", "cut", "nan", "double", "narrow", "pickled"],
)
def test_a_damaged_file_is_computed_anew(folder, small_split, content):
    model = Model()
    right = np.array(known_digits(model, small_split).features)
    (file,) = folder.iterdir()
    good = file.read_bytes()
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        np.save(file, content, allow_pickle=True)
    asked = model.asked
    assert (known_digits(model, small_split).features == right).all()
    assert model.asked == asked + 1 + len(small_split)
    assert file.read_bytes() == good


def test_a_cache_that_cannot_be_written_is_only_noted(tmp_path, monkeypatch, small_split, capsys):
    (tmp_path / "file").write_text("here no folder can be")
    monkeypatch.setenv("DIGITLENS_CACHE", str(tmp_path / "file"))
    assert len(known_digits(Model(), small_split).features) == 400
    assert "cannot be kept for the next time" in capsys.readouterr().err


@pytest.mark.usefixtures("folder")
def test_usual_distances_are_those_of_other_digits_in_order_and_kept(small_split):
    model = Model()
    known = known_digits(model, small_split.take(range(300)))
    others = small_split.take(range(300, 400))
    found = usual_distances(model, known, others)
    assert found.shape == (100,)
    assert (np.diff(found) >= 0).all()
    assert 0 < found[0] < found[-1] < 1
    asked = model.asked
    assert (usual_distances(model, known, others) == found).all()
    assert model.asked == asked
    assert usual_distances(model, known, others.take(np.zeros(100, bool))).shape == (0,)


def test_a_model_without_features_is_refused(folder, small_split):
    model = Model()
    model.outputs = lambda tiles: Outputs(np.full((len(tiles), 10), 0.1))
    with pytest.raises(ModelError, match="sums gives no features: expected one network"):
        known_digits(model, small_split)
    assert not folder.exists()
