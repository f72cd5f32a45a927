"""Downloads the files of MNIST from public HTTPS mirrors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from digitlens.datasets.formats import read_idx
from digitlens.datasets.manifest import MnistFile
from digitlens.datasets.sources import Source
from digitlens.errors import DataError, MissingExtraError, needs_extra
from digitlens.progress import work_bar

if TYPE_CHECKING:
    from rich.progress import Progress

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
CONNECT_SECONDS = 5.0
SILENCE_SECONDS = 10.0
KIB = 1024


def mirror_sources(
    files: Sequence[MnistFile],
    mirrors: Sequence[str] = MIRRORS,
    timeout: tuple[float, float] = (CONNECT_SECONDS, SILENCE_SECONDS),
) -> list[Source]:
    """One source for each mirror; the next mirror is the retry.

    Args:
        files: The files that the mirrors have, as ``<mirror><name>.gz``.
        mirrors: Addresses that end in a slash.
        timeout: Seconds to wait for a connection, and for more data once connected.
    """

    def source(mirror: str) -> Source:
        def fetch(wanted: Sequence[MnistFile]) -> Iterator[tuple[MnistFile, bytes]]:
            for file in wanted:
                yield file, _download(mirror, file, timeout)

        return Source(mirror, tuple(files), fetch)

    return [source(mirror) for mirror in mirrors]


def _download(mirror: str, file: MnistFile, timeout: tuple[float, float]) -> bytes:
    """The IDX bytes of one file; the gzip file lives only as long as this takes."""
    try:
        with needs_extra("train"):
            from pooch import HTTPDownloader  # noqa: PLC0415  (an extra; its home is here)
    except MissingExtraError as error:
        raise DataError(str(error)) from error
    with TemporaryDirectory(prefix="digitlens-") as folder, work_bar() as bar:
        path = Path(folder) / f"{file.name}.gz"
        meter: Any = _Meter(bar, file)  # pooch takes any such object, says its documentation
        download = HTTPDownloader(progressbar=meter, chunk_size=64 * KIB, timeout=timeout)
        try:
            download(mirror + path.name, str(path), None)
        except OSError as error:  # requests' errors are OSErrors
            raise DataError(_first_cause(error)) from error
        return read_idx(path, file)


class _Meter:
    """What pooch reports to: shows the progress, and stops a download that grows too large."""

    total = 0  # bytes, set by pooch from the answer's header

    def __init__(self, bar: Progress, file: MnistFile) -> None:
        self._bar = bar
        self._task = bar.add_task(f"{file.name} (KiB)", total=None)
        self._limit = file.size
        self._received = 0

    def update(self, size: int) -> None:
        """Counts ``size`` bytes more."""
        self._received += size
        if self._received > self._limit + 64 * KIB:
            raise DataError(f"the answer is longer than the {self._limit:,} bytes expected")
        self._bar.update(self._task, completed=self._received // KIB, total=self.total // KIB)

    def reset(self) -> None:
        """Starts the count again, as pooch does once at the end."""
        self._received = 0

    def close(self) -> None:
        """Nothing to close: the bar is closed by who opened it."""


def _first_cause(error: BaseException) -> str:
    """The innermost reason: requests wraps the one sentence that says something in four others."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
    return str(error) or type(error).__name__
