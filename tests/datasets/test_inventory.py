from pathlib import Path

import pytest

from digitlens.datasets import inventory as module
from digitlens.datasets import mnist
from digitlens.datasets.inventory import inventory


@pytest.fixture(autouse=True)
def tiny(tiny_mnist, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FILES", tiny_mnist.files)
    monkeypatch.setattr(mnist, "FILES", tiny_mnist.files)


def test_each_file_is_verified_damaged_or_missing(tiny_mnist, cache: Path) -> None:
    tiny_mnist.write_idx(cache)
    (cache / "train-labels-idx1-ubyte").write_bytes(b"damaged")
    (cache / "t10k-labels-idx1-ubyte").unlink()

    states = inventory()

    assert [(Path(state.where).name, state.status) for state in states] == [
        ("train-images-idx3-ubyte", "verified"),
        ("train-labels-idx1-ubyte", "damaged"),
        ("t10k-images-idx3-ubyte", "verified"),
        ("", "missing"),
    ]
    assert [state.name for state in states] == [file.name for file in tiny_mnist.files]
    assert [state.bytes for state in states] == [23_536, 38, 7856, 18]


def test_the_folder_that_the_user_names_is_where_they_are(tiny_mnist, tmp_path: Path) -> None:
    path = tiny_mnist.write_npz(tmp_path / "mnist.npz")

    assert {state.where for state in inventory(tmp_path)} == {str(path)}


def test_looking_writes_nothing(cache: Path) -> None:
    assert {state.status for state in inventory()} == {"missing"}
    assert not cache.exists()
