import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from digitlens.datasets.formats import read_idx, read_npm_archive, read_npz, read_pickle, read_wheel
from digitlens.errors import DataError


def test_each_format_gives_the_same_idx_bytes(tiny_mnist, tmp_path: Path) -> None:
    files = tiny_mnist.files
    found = [
        read_npz(tiny_mnist.write_npz(tmp_path / "mnist.npz"), files),
        read_npz(tiny_mnist.write_npz(tmp_path / "wide.npz", np.int64), files),
        read_pickle(tiny_mnist.write_pickle(tmp_path / "mnist.pkl.gz"), files),
        read_wheel(tiny_mnist.write_wheel(tmp_path / "mnist.whl"), files),
        read_npm_archive(tiny_mnist.write_npm_archive(tmp_path / "mnist.tgz"), files),
    ]

    assert found == [tiny_mnist.contents] * 5


@pytest.mark.parametrize("compress", [False, True])
def test_idx_is_read_plain_and_gzipped(tiny_mnist, tmp_path: Path, compress: bool) -> None:
    tiny_mnist.write_idx(tmp_path, compress=compress)

    for file, content in tiny_mnist.contents.items():
        assert read_idx(tmp_path / (file.name + ".gz" * compress), file) == content


@pytest.mark.parametrize("name", ["mnist.npz", "mnist.pkl.gz", "mnist.whl", "mnist.tgz"])
@pytest.mark.parametrize("damage", ["missing", "empty", "text", "cut short"])
def test_damaged_files_are_named_in_the_error(
    tiny_mnist, tmp_path: Path, name: str, damage: str
) -> None:
    path = tmp_path / name
    write, read = {
        "mnist.npz": (tiny_mnist.write_npz, read_npz),
        "mnist.pkl.gz": (tiny_mnist.write_pickle, read_pickle),
        "mnist.whl": (tiny_mnist.write_wheel, read_wheel),
        "mnist.tgz": (tiny_mnist.write_npm_archive, read_npm_archive),
    }[name]
    whole = write(path).read_bytes()
    path.write_bytes({"empty": b"", "text": b"not found"}.get(damage, whole[: len(whole) // 2]))
    if damage == "missing":
        path.unlink()

    with pytest.raises(DataError, match=f"{name} cannot be read: ."):
        read(path, tiny_mnist.files)


def test_a_truncated_gzip_is_refused(tiny_mnist, tmp_path: Path) -> None:
    file = tiny_mnist.files[0]
    path = tmp_path / f"{file.name}.gz"
    path.write_bytes(gzip.compress(tiny_mnist.contents[file])[:-20])

    with pytest.raises(DataError, match="end-of-stream"):
        read_idx(path, file)


def test_a_bomb_is_not_read_to_its_end(tiny_mnist, tmp_path: Path) -> None:
    file = tiny_mnist.files[1]
    path = tmp_path / f"{file.name}.gz"
    with gzip.open(path, "wb") as stream:
        stream.write(tiny_mnist.contents[file])
        stream.write(bytes(10_000_000))

    with pytest.raises(DataError, match=f"more than the {file.size} bytes expected"):
        read_idx(path, file)


def test_bombs_in_containers_are_not_read_to_their_end(tiny_mnist, tmp_path: Path) -> None:
    zeros = bytes(10_000_000)
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x_train.npy", zeros)
    with gzip.open(tmp_path / "bomb.pkl.gz", "wb") as stream:
        stream.write(zeros)
    member = tarfile.TarInfo("package/large")
    member.size = len(zeros)
    tiny_mnist.write_npm_archive(tmp_path / "bomb.tgz", (member, zeros))

    for name, read in [
        ("bomb.npz", read_npz),
        ("bomb.pkl.gz", read_pickle),
        ("bomb.tgz", read_npm_archive),
    ]:
        with pytest.raises(DataError, match="it holds more than the"):
            read(tmp_path / name, tiny_mnist.files)


def test_an_npz_with_pickled_objects_is_refused(tiny_mnist, tmp_path: Path) -> None:
    np.savez(tmp_path / "mnist.npz", x_train=np.array([{}, {}], dtype=object))

    with pytest.raises(DataError, match="allow_pickle"):
        read_npz(tmp_path / "mnist.npz", tiny_mnist.files)


def test_an_npz_of_fractions_is_refused(tiny_mnist, tmp_path: Path) -> None:
    path = tiny_mnist.write_npz(tmp_path / "mnist.npz", np.float32)

    with pytest.raises(DataError, match="expected integers in x_train, found float32"):
        read_npz(path, tiny_mnist.files)


def test_an_npz_of_another_size_is_refused(tiny_mnist, tmp_path: Path) -> None:
    np.savez(tmp_path / "mnist.npz", x_train=np.zeros((29, 28, 28), np.uint8))

    with pytest.raises(
        DataError, match=r"expected x_train of \[30, 28, 28\], found \[29, 28, 28\]"
    ):
        read_npz(tmp_path / "mnist.npz", tiny_mnist.files)


@pytest.mark.parametrize(
    "name", ["../../escaped", "/tmp/digitlens-escaped", "package/data/../../up"]
)
def test_members_that_point_out_of_the_archive_are_left_alone(
    tiny_mnist, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    member = tarfile.TarInfo(name)
    member.size = 4
    path = tiny_mnist.write_npm_archive(inside / "mnist.tgz", (member, b"evil"))

    assert read_npm_archive(path, tiny_mnist.files) == tiny_mnist.contents
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == [path]
    assert not Path("/tmp/digitlens-escaped").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE])
def test_a_member_that_is_no_plain_file_is_refused(tiny_mnist, tmp_path: Path, kind: bytes) -> None:
    secret = tmp_path / "secret"
    secret.write_text("do not read")
    member = tarfile.TarInfo(f"package/data/{tiny_mnist.files[0].name}")
    member.type, member.linkname = kind, str(secret)
    with tarfile.open(tmp_path / "mnist.tgz", "w:gz") as archive:
        archive.addfile(member)

    with pytest.raises(DataError, match="is not a plain file"):
        read_npm_archive(tmp_path / "mnist.tgz", tiny_mnist.files)


def test_a_package_without_the_data_says_what_it_lacks(tiny_mnist, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "other.tgz", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("package/index.js"), io.BytesIO())

    with pytest.raises(DataError, match="train-images-idx3-ubyte"):
        read_npm_archive(tmp_path / "other.tgz", tiny_mnist.files)
