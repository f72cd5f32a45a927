"""Fetches the free fonts that generated pages are set in, verified, and keeps them in the cache.

The fonts are packages of the Fontsource project, each under an open licence that it carries. They
are needed to generate pages and never to read.
"""

from __future__ import annotations

import csv
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from digitlens.datasets.packages import NpmPackage, npm_archives
from digitlens.errors import DataError
from digitlens.files import cache_folder
from digitlens.progress import work_bar

TABLE = Path(__file__).with_name("fonts.csv")
BATCH = 16  # packages asked for at once
TIME_LIMIT = 300.0  # seconds for one batch
Script = Literal["latin", "greek", "cyrillic"]
Look = Literal["hand", "print"]
Role = Literal["training", "validation"]

SCRIPTS: tuple[Script, ...] = ("latin", "greek", "cyrillic")
WEIGHTS = (200, 400, 700, 900)


@dataclass(frozen=True)
class Family:
    """One font family and the package that carries it.

    Attributes:
        family: Its name, as in the package's.
        version: Of the package.
        kind: Looks written by ``hand`` or made for ``print``.
        role: Pages to train with and pages to validate with share no family.
        sha256: Of the package's archive.
    """

    family: str
    version: str
    kind: Look
    role: Role
    sha256: str

    @property
    def package(self) -> NpmPackage:
        """The package that carries it."""
        return NpmPackage(f"@fontsource/{self.family}", self.version, self.sha256)


def load_families() -> list[Family]:
    """All families that pages are set in."""
    with TABLE.open(encoding="utf-8", newline="") as stream:
        rows: list[dict[str, Any]] = list(csv.DictReader(stream))
    return [Family(**row) for row in rows]


def font_files(families: Sequence[Family]) -> dict[Family, list[dict[Script, Path]]]:
    """The WOFF files of each family, upright: for each of up to four weights those of its scripts.

    Fetches what the cache lacks with npm.

    Raises:
        DataError: npm is missing or fails, an archive is not the expected one, or the cache cannot
            be written.
    """
    missing = [family for family in families if not _folder(family).is_dir()]
    if missing:
        _fetch_all(missing)
    return {family: list(_weights(family)) for family in families}


def _weights(family: Family) -> Iterator[dict[Script, Path]]:
    for weight in WEIGHTS:
        paths: dict[Script, Path] = {
            script: _folder(family) / _file(family, script, weight) for script in SCRIPTS
        }
        if paths["latin"].is_file():
            yield {script: path for script, path in paths.items() if path.is_file()}


def _file(family: Family, script: Script, weight: int) -> str:
    return f"{family.family}-{script}-{weight}-normal.woff"


def _folder(family: Family) -> Path:
    return cache_folder("fonts") / f"{family.family}-{family.version}"


def _fetch_all(families: Sequence[Family]) -> None:
    what = "the fonts that pages are set in come"
    with work_bar() as bar:
        task = bar.add_task("fonts", total=len(families))
        for start in range(0, len(families), BATCH):
            batch = families[start : start + BATCH]
            packages = [family.package for family in batch]
            with TemporaryDirectory(prefix="digitlens-") as folder:
                archives = npm_archives(packages, Path(folder), what, TIME_LIMIT)
                for family, archive in zip(batch, archives, strict=True):
                    _unpack(family, archive)
            bar.advance(task, len(batch))


def _unpack(family: Family, archive: Path) -> None:
    """Puts the wanted files of a verified archive into the cache: all of them or none."""
    target = _folder(family)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=target.parent) as folder:
            fonts = Path(folder) / "fonts"
            fonts.mkdir()
            for name, content in _wanted(family, archive):
                (fonts / name).write_bytes(content)
            fonts.rename(target)
    except OSError as error:
        if not target.is_dir():  # else another process was faster
            raise DataError(f"cannot keep fonts in {target.parent}: {error}") from error


def _wanted(family: Family, archive: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of the files that pages need; licences and other formats stay behind."""
    names = {
        f"package/files/{_file(family, script, weight)}" for script in SCRIPTS for weight in WEIGHTS
    }
    with tarfile.open(archive) as package:
        for member in package.getmembers():
            stream = package.extractfile(member) if member.name in names else None
            if stream:
                yield Path(member.name).name, stream.read()
