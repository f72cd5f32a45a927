"""Folders and buckets behave alike, and each name can be created only once."""

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from digitlens.errors import DataError, MissingExtraError
from digitlens.reading.stores import UnreadableError, open_store


@pytest.fixture(params=["folder", "bucket"])
def store(request, tmp_path):
    if request.param == "folder":
        return open_store(str(tmp_path / "deep" / "folder"))
    request.getfixturevalue("bucket")
    return open_store("s3://bucket/deep/folder")


def test_objects_can_be_written_read_and_deleted(store):
    assert not store.has("a/b")
    store.delete("a/b")
    with pytest.raises(UnreadableError):
        store.get("a/b")
    store.put("a/b", b"one")
    store.put("a/b", b"two")
    assert store.has("a/b")
    assert store.get("a/b") == b"two"
    store.delete("a/b")
    assert not store.has("a/b")


def test_a_name_is_created_once(store):
    assert store.create("a/b", b"first")
    assert not store.create("a/b", b"second")
    assert store.get("a/b") == b"first"


def test_one_of_many_concurrent_creations_of_a_name_succeeds(store):
    together = threading.Barrier(8)

    def create(number):
        together.wait()
        return store.create("part", bytes([number]) * 100_000)

    with ThreadPoolExecutor(8) as pool:
        created = list(pool.map(create, range(8)))
    assert sum(created) == 1
    assert store.get("part") == bytes([created.index(True)]) * 100_000


def test_names_are_sorted_and_can_start_after_a_given_one(store):
    given = [f"{folder}{number}.png" for folder in ("", "a/", "a-b/") for number in range(9)]
    assert list(store.names()) == []
    for name in reversed(given):
        store.put(name, b"")
    assert list(store.names()) == sorted(given)
    later = [name for name in sorted(given) if name > "a/3.png"]
    assert list(store.names(after="a/3.png")) == later


def test_names_directly_in_a_folder_are_listed_with_times(store):
    assert store.written("state") == {}
    store.put("state/first", b"1")
    store.put("state/second", b"1")
    store.put("state/deeper/third", b"1")
    store.put("own", b"1")
    written = store.written("state")
    assert sorted(written) == ["first", "second"]
    assert 0 <= written["second"] - written["first"] < 10
    assert list(store.written()) == ["own"]


def test_times_come_from_the_clock_of_the_store(bucket, tmp_path):
    bucket.now = lambda: 1_000_000.5
    cloud, folder = open_store("s3://bucket"), open_store(str(tmp_path))
    for store in (cloud, folder):
        store.put("state/clock", b"")
    os.utime(tmp_path / "state/clock", (0, 2_000_000))
    assert cloud.written("state") == {"clock": 1_000_000.5}
    assert folder.written("state") == {"clock": 2_000_000}


def test_conflicting_creation_is_retried(bucket):
    store = open_store("s3://bucket")
    bucket.conflicts = 2
    assert store.create("name", b"")
    bucket.conflicts = 1
    assert not store.create("name", b"")
    bucket.conflicts = 100
    with pytest.raises(DataError, match="other cannot be written"):
        store.create("other", b"")


def test_failed_write_leaves_no_partial_file(tmp_path, monkeypatch):
    def crash(*_):
        raise OSError(28, "No space left on device")

    store = open_store(str(tmp_path))
    monkeypatch.setattr(os, "fsync", crash)
    with pytest.raises(DataError, match="No space left"):
        store.create("part", b"content")
    assert list(tmp_path.iterdir()) == []


def test_unsupported_addresses_are_refused():
    with pytest.raises(
        DataError, match="expected a folder, s3://, gs:// or az://, found ftp://x/y"
    ):
        open_store("ftp://x/y")


def test_error_for_a_cloud_address_names_the_missing_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(MissingExtraError, match=r"gs:// needs .* 'digitlens\[cloud\]'"):
        open_store("gs://bucket/pictures")


@pytest.mark.usefixtures("bucket")
def test_error_of_a_store_is_one_line():
    store = open_store("s3://nowhere/folder")
    with pytest.raises(DataError, match="s3://nowhere/folder") as caught:
        store.create("name", b"")
    assert "\n" not in str(caught.value)
