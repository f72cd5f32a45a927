from pathlib import Path

import pytest

from digitlens.datasets.folder import folder_sources, named_folder_sources
from digitlens.datasets.sources import gather


def found_in(sources):
    def keep(file, _content):
        raise AssertionError(f"{file.name} lies on disk and needs no copy")

    return gather(sources, keep=keep)


@pytest.mark.parametrize("subfolder", ["", "raw", "MNIST/raw"])
@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("dotted", [False, True])
def test_idx_files_are_found_where_people_have_them(
    tiny_mnist, tmp_path: Path, subfolder: str, compress: bool, dotted: bool
) -> None:
    tiny_mnist.write_idx(tmp_path / subfolder, compress=compress, dotted=dotted)

    assert found_in(folder_sources(tmp_path, tiny_mnist.files)).contents == tiny_mnist.contents


def test_archives_are_found_in_the_folder_or_named_themselves(tiny_mnist, tmp_path: Path) -> None:
    npz = tiny_mnist.write_npz(tmp_path / "keras" / "mnist.npz")
    pickled = tiny_mnist.write_pickle(tmp_path / "mnist.pkl.gz")

    for place in (npz, npz.parent, pickled, tmp_path):
        gathered = found_in(folder_sources(place, tiny_mnist.files))
        assert gathered.contents == tiny_mnist.contents
        assert set(gathered.origins.values()) == {str(npz if "keras" in str(place) else pickled)}


def test_one_damaged_file_spoils_no_other(tiny_mnist, tmp_path: Path, caplog) -> None:
    tiny_mnist.write_idx(tmp_path)
    bad = tmp_path / tiny_mnist.files[0].name
    bad.write_bytes(b"damaged")

    gathered = found_in(folder_sources(tmp_path, tiny_mnist.files))

    assert gathered.missing(tiny_mnist.files) == [tiny_mnist.files[0]]
    assert caplog.messages == [
        f"{bad}: train-images-idx3-ubyte is damaged: expected 23,536 bytes, found 7"
    ]


def test_a_damaged_file_is_made_up_for_by_its_gzip(tiny_mnist, tmp_path: Path) -> None:
    tiny_mnist.write_idx(tmp_path, compress=True)
    (tmp_path / tiny_mnist.files[0].name).write_bytes(b"damaged")

    assert found_in(folder_sources(tmp_path, tiny_mnist.files)).contents == tiny_mnist.contents


@pytest.mark.parametrize("exists", [False, True])
def test_a_folder_without_anything_gives_no_source(
    tiny_mnist, tmp_path: Path, exists: bool
) -> None:
    folder = tmp_path if exists else tmp_path / "nowhere"

    assert folder_sources(folder, tiny_mnist.files) == []


def test_a_folder_that_the_user_named_is_complained_about(
    tiny_mnist, tmp_path: Path, caplog
) -> None:
    tiny_mnist.write_idx(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()

    gathered = found_in(named_folder_sources(tmp_path, tiny_mnist.files))

    assert len(gathered.contents) == 3
    assert caplog.messages == [
        f"{tmp_path}: expected here, also as .gz or in mnist.npz or mnist.pkl.gz: "
        "t10k-labels-idx1-ubyte"
    ]


def test_a_whole_folder_that_the_user_named_is_not_complained_about(
    tiny_mnist, tmp_path: Path, caplog
) -> None:
    tiny_mnist.write_idx(tmp_path)

    found_in(named_folder_sources(tmp_path, tiny_mnist.files))

    assert caplog.messages == []
