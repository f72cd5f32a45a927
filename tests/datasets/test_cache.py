from pathlib import Path

import pytest

from digitlens import files
from digitlens.datasets.cache import cache_folder, store
from digitlens.datasets.folder import folder_sources


def test_the_environment_may_say_where_it_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DIGITLENS_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path / "mnist"

    monkeypatch.setenv("DIGITLENS_CACHE", "~/digits")
    assert cache_folder() == Path.home() / "digits" / "mnist"


def test_without_that_it_is_the_users_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("DIGITLENS_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))

    assert cache_folder().parts[-2:] == ("digitlens", "mnist")
    assert cache_folder().is_relative_to(tmp_path)


def test_what_is_stored_is_found_again(tiny_mnist, cache: Path) -> None:
    for file, content in tiny_mnist.contents.items():
        store(file, content)

    assert sorted(path.name for path in cache.iterdir()) == sorted(f.name for f in tiny_mnist.files)
    assert len(folder_sources(cache, tiny_mnist.files)) == 4


def test_an_interrupted_write_leaves_the_old_file(
    tiny_mnist, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tiny_mnist.files[0]
    store(file, b"old")

    def interrupt(_descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        store(file, tiny_mnist.contents[file])

    assert [path.name for path in cache.iterdir()] == [file.name]
    assert (cache / file.name).read_bytes() == b"old"


def test_what_a_killed_process_left_is_not_taken_for_a_file(tiny_mnist, cache: Path) -> None:
    file = tiny_mnist.files[0]
    with files.atomic_path(cache / file.name) as temporary:
        temporary.write_bytes(tiny_mnist.contents[file][:1000])

        assert folder_sources(cache, tiny_mnist.files) == []


def test_a_cache_that_cannot_be_written_is_noted_and_no_error(
    tiny_mnist, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog
) -> None:
    (tmp_path / "a file").touch()
    monkeypatch.setenv("DIGITLENS_CACHE", str(tmp_path / "a file"))

    store(tiny_mnist.files[0], b"content")

    assert "train-images-idx3-ubyte cannot be kept for the next time" in caplog.text
