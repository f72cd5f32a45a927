import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitlens.datasets import mnist as module
from digitlens.datasets.mnist import (
    Split,
    inventory,
    load_mnist,
    load_writers,
    split_validation,
    stratified_split,
    writer_split,
)
from digitlens.datasets.sources import Source
from digitlens.errors import DataError

TILES = np.zeros((3, 28, 28), np.uint8)
LABELS = np.array([1, 2, 9], np.uint8)


@pytest.fixture
def offline(tiny_mnist, monkeypatch):
    """Replaces MNIST by the tiny data set; returns the list of remote sources, which is empty."""
    sources = []
    monkeypatch.setattr(module, "FILES", tiny_mnist.files)
    monkeypatch.setattr(module, "mirror_sources", lambda _files: sources)
    monkeypatch.setattr(module, "package_sources", lambda _files: [])
    return sources


def web(tiny_mnist):
    return Source("web", tiny_mnist.files, lambda _wanted: tiny_mnist.contents.items())


@pytest.mark.parametrize(
    ("tiles", "labels", "error", "message"),
    [
        (TILES.astype(np.float32), LABELS, TypeError, "tiles of dtype uint8, found float32"),
        (TILES, LABELS.astype(np.int64), TypeError, "labels of dtype uint8, found int64"),
        (TILES.reshape(3, 784), LABELS, ValueError, r"\[3, 28, 28\], found \[3, 784\]"),
        (TILES, LABELS[:2], ValueError, r"labels of shape \[3\], found \[2\]"),
        (TILES, LABELS + 1, ValueError, "labels from 0 to 9, found 10"),
    ],
)
def test_invalid_split_is_refused_with_the_expectation(tiles, labels, error, message):
    with pytest.raises(error, match=message):
        Split(tiles, labels)


def test_rows_are_copied_by_index_or_mask_or_taken_evenly():
    split = Split(TILES.copy(), LABELS)
    by_index = split.take([2, 0])
    by_mask = split.take(LABELS > 1)
    by_index.tiles[:] = 7
    assert by_index.labels.tolist() == [9, 1]
    assert by_mask.labels.tolist() == [2, 9]
    assert len(by_mask) == 2
    assert split.tiles.max() == 0
    assert len(split.take([False] * 3)) == 0
    many = Split(np.zeros((50, 28, 28), np.uint8), np.repeat(np.arange(10), 5).astype(np.uint8))
    assert many.evenly(10).labels.tolist() == [*range(10)]
    assert len(many.evenly(1000)) == 50


@pytest.mark.usefixtures("offline")
def test_given_folder_precedes_the_environment(tiny_mnist, tmp_path, cache, monkeypatch):
    folder = tiny_mnist.write_idx(tmp_path / "mine", compress=True)
    monkeypatch.setenv("DIGITLENS_DATA", str(tmp_path / "another"))
    train, test = load_mnist(folder)
    np.testing.assert_array_equal(train.tiles, tiny_mnist.arrays["x_train"])
    np.testing.assert_array_equal(test.labels, tiny_mnist.arrays["y_test"])
    path = tiny_mnist.write_npz(tmp_path / "k" / "mnist.npz")
    monkeypatch.setenv("DIGITLENS_DATA", str(path))
    assert len(load_mnist().train) == 30
    assert {state.where for state in inventory(path)} == {str(path)}
    assert not cache.exists()  # a folder is used in place


def test_cache_is_used_unless_damaged(tiny_mnist, offline, cache, caplog):
    offline.append(web(tiny_mnist))
    load_mnist()
    offline.clear()
    np.testing.assert_array_equal(load_mnist().train.tiles, tiny_mnist.arrays["x_train"])
    path = cache / tiny_mnist.files[2].name
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    offline.append(web(tiny_mnist))
    np.testing.assert_array_equal(load_mnist().test.tiles, tiny_mnist.arrays["x_test"])
    assert path.read_bytes() == content == tiny_mnist.contents[tiny_mnist.files[2]]
    assert caplog.messages[0].startswith(f"{path}: t10k-images-idx3-ubyte is damaged")


def test_incomplete_folder_falls_back_to_other_sources(tiny_mnist, offline, tmp_path, caplog):
    offline.append(web(tiny_mnist))
    assert len(load_mnist(tmp_path / "empty").train) == 30
    assert caplog.messages[0].startswith(f"{tmp_path / 'empty'}: expected here")


def test_error_lists_all_sources_and_remedies(tiny_mnist, offline, tmp_path, cache):
    def refuse(_wanted):
        raise DataError("no network")

    offline.extend([Source("mirror 1", tiny_mnist.files, refuse), web(tiny_mnist)])
    offline[1] = Source("mirror 2", tiny_mnist.files, lambda _wanted: [])
    file = tiny_mnist.files[1]
    cache.mkdir(parents=True)
    (cache / file.name).write_bytes(b"")
    with pytest.raises(DataError) as caught:
        load_mnist(tmp_path / "mine")
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[0].strip() for line in lines[1:-1]] == [
        str(tmp_path / "mine"),
        str(cache / file.name),
        f"cache {cache}",
        "mirror 1",
        "mirror 2",
    ]
    assert "no network" in lines[4]
    assert all(each in lines[-1] for each in [file.name, str(cache), "--data-dir", "mnist.npz"])


def test_two_processes_can_fetch_concurrently(tiny_mnist, tmp_path, cache):
    folder = tiny_mnist.write_idx(tmp_path / "from")
    script = tmp_path / "fetch.py"
    script.write_text(
        "import time\n"
        "from digitlens.datasets import mnist\n"
        "from digitlens.datasets.sources import MnistFile, Source\n"
        f"mnist.FILES = {tiny_mnist.files!r}\n"
        "def fetch(wanted):\n"
        "    for file in wanted:\n"
        f"        content = open({str(folder)!r} + '/' + file.name, 'rb').read()\n"
        "        time.sleep(0.02)\n"
        "        yield file, content\n"
        "for _ in range(10):\n"
        "    train, test = mnist.load_mnist(sources=[Source('slow', mnist.FILES, fetch)])\n"
        "    again = mnist.load_mnist(sources=mnist.local_sources())\n"
        "    assert (again.train.tiles == train.tiles).all()\n"
    )
    both = [subprocess.Popen([sys.executable, "-W", "error", str(script)]) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    assert sorted(path.name for path in cache.iterdir()) == sorted(f.name for f in tiny_mnist.files)


@pytest.mark.mnist
def test_real_data_are_mnist(mnist):
    train, test = mnist
    assert (len(train), len(test)) == (60_000, 10_000)
    assert train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert np.bincount(test.labels).tolist() == [
        *(980, 1135, 1032, 1010, 982),
        *(892, 958, 1028, 974, 1009),
    ]
    assert round(float(train.tiles.mean()), 4) == 33.3184


def test_cache_is_written_atomically_or_not_at_all(tiny_mnist, offline, cache, monkeypatch, caplog):
    offline.append(web(tiny_mnist))

    def interrupt(_descriptor):
        raise KeyboardInterrupt

    with monkeypatch.context() as interrupted:
        interrupted.setattr(module.files.os, "fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            load_mnist()
    assert list(cache.iterdir()) == []
    cache.rmdir()
    cache.parent.rmdir()
    cache.parent.touch()
    assert len(load_mnist().train) == 30
    assert "train-images-idx3-ubyte cannot be cached" in caplog.text


@pytest.mark.usefixtures("offline")
def test_inventory_gives_the_status_of_files_without_writing(tiny_mnist, cache):
    assert {state.status for state in inventory()} == {"missing"}
    assert not cache.exists()
    tiny_mnist.write_idx(cache)
    (cache / "train-labels-idx1-ubyte").write_bytes(b"damaged")
    (cache / "t10k-labels-idx1-ubyte").unlink()
    states = inventory()
    assert [state.status for state in states] == ["verified", "damaged", "verified", "missing"]
    names = [file.name for file in tiny_mnist.files]
    assert [state.name for state in states] == names
    assert [Path(state.where).name for state in states] == [*names[:3], ""]
    assert [state.bytes for state in states] == [file.size for file in tiny_mnist.files]


fractions = st.floats(0.01, 0.99)
seeds = st.integers(0, 1000)


@given(st.lists(st.integers(0, 9), max_size=300), fractions, seeds)
def test_random_split_keeps_the_fraction_of_each_label(labels, fraction, seed):
    array = np.array(labels, np.uint8)
    chosen = stratified_split(array, fraction, seed)
    for label in set(labels):
        theirs = array == label
        assert abs((theirs & chosen).sum() - fraction * theirs.sum()) <= 0.5


@given(st.lists(st.integers(0, 20), min_size=1, max_size=300), fractions, seeds)
def test_no_writer_is_in_both_splits(names, fraction, seed):
    writers = np.array(names, np.uint16)
    series = np.where(writers % 3 == 0, 4, 0).astype(np.uint8)
    chosen = writer_split(writers, series, fraction, seed)
    assert not set(writers[~chosen]) & set(writers[chosen])
    for one in (0, 4):
        theirs = series == one
        if theirs.any():
            most = np.unique(writers[theirs], return_counts=True)[1].max()
            assert abs((theirs & chosen).sum() - fraction * theirs.sum()) <= most / 2


def test_splits_are_determined_by_the_seed():
    table, labels = load_writers(), np.arange(60_000) % 10

    def draw(seed: int) -> list[bytes]:
        by_writer = writer_split(table.train_writer, table.train_series, 0.1, seed)
        return [rows.tobytes() for rows in (by_writer, stratified_split(labels, 0.1, seed))]

    assert draw(3) == draw(3)
    assert not set(draw(3)) & set(draw(4))


def test_table_of_writers_matches_mnist():
    table = load_writers()
    assert [len(column) for column in table] == [60_000, 60_000, 10_000, 10_000]
    assert len(np.unique(table.train_writer)) == 539
    assert len(np.unique(table.test_writer)) == 297
    assert not set(table.train_writer) & set(table.test_writer)
    assert set(table.train_series) == set(table.test_series) == {0, 4}
    for fraction, seed in itertools.product((0.05, 0.1, 0.2), range(5)):
        chosen = writer_split(table.train_writer, table.train_series, fraction, seed)
        assert chosen.sum() == pytest.approx(60_000 * fraction, abs=120)
        students = (table.train_series[chosen] == 4).mean()
        assert students == pytest.approx(29_050 / 60_000, abs=0.02)


@pytest.mark.parametrize(
    ("how", "fraction", "said"),
    [
        *(("random", wrong, "a fraction above 0 and below 1") for wrong in (0, 1, -0.1, 5000)),
        ("writer", 0.1, "60,000 training tiles of MNIST .* found 400"),
        ("series", 0.1, "expected 'writer' or 'random', found 'series'"),
    ],
)
def test_invalid_splits_are_refused(small_split, how, fraction, said):
    with pytest.raises(ValueError, match=said):
        split_validation(small_split, how, fraction=fraction)


@pytest.mark.mnist
def test_mnist_is_split_by_writer_only_in_original_order(mnist):
    train, validation = split_validation(mnist.train, fraction=0.1, seed=0)
    assert len(train) + len(validation) == 60_000
    assert len(validation) == pytest.approx(6000, abs=120)
    assert np.bincount(validation.labels).min() > 500
    shuffled = mnist.train.take(np.random.default_rng(0).permutation(60_000))
    with pytest.raises(ValueError, match="split them with 'random'"):
        split_validation(shuffled)
