"""Files are written completely or not at all."""

import json
import os
import stat
from pathlib import Path

import pytest

from digitlens.files import (
    atomic_path,
    cache_folder,
    is_file,
    is_unused,
    locked,
    sha256,
    temporary_folder,
    write_bytes,
    write_json,
)


def test_file_and_its_folders_are_created_with_the_usual_permissions(tmp_path):
    write_bytes(tmp_path / "a" / "b.bin", b"123")
    assert (tmp_path / "a" / "b.bin").read_bytes() == b"123"
    (tmp_path / "plain").touch()
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a/b.bin", "plain")]
    assert modes[0] == modes[1]


def test_error_leaves_only_the_old_file(tmp_path):
    path = tmp_path / "x.txt"
    write_bytes(path, b"old")

    def interrupted() -> None:
        with atomic_path(path) as temporary:
            temporary.write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_temporary_file_keeps_the_suffix_and_the_folder(tmp_path):
    with atomic_path(tmp_path / "plot.png") as temporary:
        assert temporary.suffix == ".png"
        assert temporary.parent == tmp_path


@pytest.mark.parametrize("name", ["taken/x.csv", "x" * 300 + ".csv", "taken/deep/x.csv"])
def test_error_names_the_requested_file(tmp_path, name):
    (tmp_path / "taken").touch()
    with pytest.raises(OSError, match=r"x\.csv") as caught:
        write_bytes(tmp_path / name, b"")
    assert caught.value.filename == str(tmp_path / name)


def test_folder_at_the_path_of_a_file_is_named_in_the_error(tmp_path):
    with pytest.raises(IsADirectoryError) as caught:
        write_bytes(tmp_path, b"")
    assert (caught.value.filename, caught.value.filename2) == (str(tmp_path), None)


def test_json_is_readable_and_keeps_non_ascii_characters(tmp_path):
    value = {"name": "größe [1,  2]", "rows": [[1, -2.5], [3e-7]], "empty": [], "texts": ["1", "2"]}
    write_json(tmp_path / "x.json", value)
    text = (tmp_path / "x.json").read_text(encoding="utf-8")
    assert "größe" in text
    assert "    [1, -2.5],\n    [3e-07]\n" in text
    assert json.loads(text) == value


def test_overlong_name_is_not_a_file(tmp_path):
    (tmp_path / "x").touch()
    assert is_file(tmp_path / "x")
    assert not is_file(tmp_path)
    assert not is_file(tmp_path / ("x" * 5000))


def test_sha256_matches_the_known_value():
    assert sha256(b"abc").startswith("ba7816bf8f01cfea")


def test_cache_folder_comes_from_the_environment_or_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("DIGITLENS_CACHE", str(tmp_path))
    assert cache_folder("mnist") == tmp_path / "mnist"
    monkeypatch.setenv("DIGITLENS_CACHE", "~/digits")
    assert cache_folder("mnist") == Path.home() / "digits" / "mnist"
    monkeypatch.delenv("DIGITLENS_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert cache_folder("mnist").parts[-2:] == ("digitlens", "mnist")
    assert cache_folder("mnist").is_relative_to(tmp_path)


posix = pytest.mark.skipif(os.name != "posix", reason="locks of files that may be replaced")


@posix
def test_leftover_of_a_killed_write_is_reused(tmp_path):
    with atomic_path(tmp_path / "x.txt") as temporary:
        name = temporary.name
    (tmp_path / name).write_bytes(b"half of something long")
    assert is_unused(tmp_path / "none")
    (tmp_path / "x.txt").unlink()
    assert is_unused(tmp_path)
    write_bytes(tmp_path / "x.txt", b"new")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"x.txt": b"new"}
    assert not is_unused(tmp_path)


@posix
def test_concurrent_writes_use_different_temporary_files(tmp_path):
    path = tmp_path / "x.txt"
    with atomic_path(path) as one:
        one.write_bytes(b"one")
        with atomic_path(path) as two:
            two.write_bytes(b"two")
        assert path.read_bytes() == b"two"
    assert path.read_bytes() == b"one"
    assert list(tmp_path.iterdir()) == [path]


@posix
def test_symlink_at_the_temporary_path_is_not_followed(tmp_path):
    with atomic_path(tmp_path / "x.txt") as temporary:
        pass
    (tmp_path / "precious").write_bytes(b"mine")
    temporary.symlink_to(tmp_path / "precious")
    write_bytes(tmp_path / "x.txt", b"new")
    assert (tmp_path / "precious").read_bytes() == b"mine"
    assert (tmp_path / "x.txt").read_bytes() == b"new"


@posix
def test_temporary_folder_is_empty_and_reused_unless_in_use(tmp_path):
    with temporary_folder(tmp_path / "site") as one, temporary_folder(tmp_path / "site") as two:
        assert one != two
    assert list(tmp_path.iterdir()) == []
    one.mkdir()
    (one / "half").write_bytes(b"")
    (one / "deep").mkdir()
    with temporary_folder(tmp_path / "site") as again:
        assert again == one
        assert list(again.iterdir()) == []
    assert list(tmp_path.iterdir()) == []


@posix
def test_folder_is_locked_for_the_block_and_no_lock_file_remains(tmp_path):
    with locked(tmp_path) as first, locked(tmp_path) as second:
        assert (first, second) == (True, False)
    with locked(tmp_path) as later, locked(tmp_path / "gone") as gone:
        assert (later, gone) == (True, False)
    assert list(tmp_path.iterdir()) == []
