import numpy as np
import pytest

from digitlens.datasets.external.registry import DATA_SETS, load_foreign
from digitlens.errors import DataError


@pytest.fixture
def semeion(random, labels, table, write, tmp_path):
    ink = random.integers(0, 2, (4, 256))
    return write(tmp_path / "semeion.data", table(ink, np.eye(10)[labels]))


def test_a_data_set_comes_framed_and_unframed(semeion, labels):
    data = load_foreign(f"semeion={semeion}")
    assert (data.name, data.title) == ("semeion", "Semeion (semeion.data)")
    for split in (data.framed, data.unframed):
        assert split.tiles.shape == (4, 28, 28)
        assert (split.labels == labels).all()
    assert (data.framed.tiles != data.unframed.tiles).any()


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(DataError, match=r"called 'mnst': expected digits, usps=FILE, semeion=FILE"):
        load_foreign("mnst")


@pytest.mark.parametrize("name", [name for name, one in DATA_SETS.items() if one.expects])
def test_a_data_set_without_its_file_says_which(name, tmp_path):
    with pytest.raises(DataError, match=f"expected {name}=FILE, with "):
        load_foreign(name)
    with pytest.raises(DataError, match="is missing: expected"):
        load_foreign(f"{name}={tmp_path / 'nowhere'}")
    with pytest.raises(DataError, match=r"expected .* in this folder"):
        load_foreign(f"{name}={tmp_path}")


@pytest.mark.parametrize("name", [name for name, one in DATA_SETS.items() if one.expects])
@pytest.mark.parametrize("content", [b"", b"nothing of the kind\n", bytes(range(256)) * 3])
def test_a_file_of_something_else_is_refused(name, content, tmp_path):
    for ending in ("a-images-idx3", "a-labels-idx1", "b2828.csv", "blabels.csv"):
        (tmp_path / ending).write_bytes(content)
    file = {"emnist": "a-images-idx3", "ardis": "b2828.csv"}.get(name, "b2828.csv")
    with pytest.raises(DataError):
        load_foreign(f"{name}={tmp_path / file}")


def test_digits_come_without_a_file(tmp_path):
    with pytest.raises(DataError, match="come without a file: expected digits"):
        load_foreign(f"digits={tmp_path}")
