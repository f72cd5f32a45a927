"""Tiles and pictures that people labelled, with a list of labels, from a folder or a zip file.

The page of ``digitlens serve`` writes corrected digits so: ``labels.csv`` with the header
``file,label``, and the files that it names, 28 x 28 gray pixels, ink bright on dark. In the same
way whole pictures have their text as label. A zip file is read where it lies: nothing is unpacked
to disk, and nothing outside of it or the folder is opened.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import zipfile
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from digitlens.datasets.mnist import Split, Tiles
from digitlens.datasets.number_files import DAMAGED
from digitlens.errors import DataError, ImageError
from digitlens.files import sha256
from digitlens.imaging.image import Page, load_image
from digitlens.progress import note

LABELS = "labels.csv"
COLUMNS = ("file", "label")
MOST = 200_000  # tiles: three times MNIST
_ZIP_BYTES = 500_000_000
_LIST_BYTES = 20_000_000  # of labels.csv
_TILE_BYTES = 65_536  # of one PNG file: 28 x 28 pixels take less than a kilobyte
_PICTURE_BYTES = 100_000_000  # of one picture
_TOLD = 5  # problems in a message
_NO_DIGIT = "none"  # label of a picture without any digit, as the page has it
_PNG = b"\x89PNG\r\n\x1a\n"
_EXPECTED = f"expected {LABELS} with the header {','.join(COLUMNS)}, and the PNG files it names"


class _Source(NamedTuple):
    """Where files are read from."""

    name: str  # what to call it in errors
    root: Path | zipfile.Path  # the folder, or that of the list in a zip file


def load_labelled(path: str | os.PathLike[str]) -> Split:
    """Reads labelled tiles from a folder with ``labels.csv``, or a zip file of one.

    Raises DataError where there is nothing like it, or some of it is not as expected; the message
    lists what was found and nothing is left out silently.
    """
    return load_with_hash(path)[0]


def load_with_hash(path: str | os.PathLike[str]) -> tuple[Split, str]:
    """Labelled tiles with a hash: of the zip file, or of all files of a folder in order."""
    tiles, labels, problems = list[Tiles](), list[int](), list[str]()
    with _opened(Path(path)) as (source, whole):
        listing, rows = _listed(source)
        digest = hashlib.sha256(listing)
        for row, (name, label) in enumerate(rows, 2):
            tile = _tile(source, name, digest.update)
            if isinstance(tile, str):
                problems.append(f"line {row}: {name}: {tile}")
            elif label not in set("0123456789"):
                problem = f"expected a label from 0 to 9, found {label!r}"
                problems.append(f"line {row}: {name}: {problem}")
            else:
                tiles.append(tile)
                labels.append(int(label))
    _refuse(source, problems)
    if not tiles:
        raise DataError(f"{source.name}: {LABELS} lists no tiles: {_EXPECTED}")
    split = Split(np.stack(tiles), np.array(labels, np.uint8))
    return split, whole or digest.hexdigest()


class LabelledPicture(NamedTuple):
    """A picture whose text is known."""

    name: str  # of its file
    page: Page  # uint8[H, W] or uint8[H, W, 3]
    label: str  # what is written on it, with a line feed between two lines; empty where no digit is

    @property
    def is_tile(self) -> bool:
        """Whether it is a tile of one digit, as corrections of the page are."""
        return self.page.shape == (28, 28) and len(self.label) == 1


@dataclass(frozen=True)
class LabelledPictures:
    """Labelled pictures, decoded one by one."""

    path: Path  # the folder or zip file
    rows: tuple[tuple[str, str], ...]  # file and label of each
    sha256: str  # hash of the list of labels

    def __len__(self) -> int:
        """How many are listed."""
        return len(self.rows)

    def __iter__(self) -> Iterator[LabelledPicture]:
        """Those that can be decoded; of the others it is told why they cannot."""
        seen: dict[str, str] = {}
        with _opened(self.path) as (source, _):
            for name, label in self.rows:
                content = _fetch(source, name, _PICTURE_BYTES)
                try:
                    if isinstance(content, str):
                        raise ImageError(content)
                    same = seen.setdefault(sha256(content), name)
                    if same != name:  # a copy would count twice, or be both learned and held out
                        raise ImageError(f"the same picture as {same}")
                    page = load_image(content)
                except ImageError as error:
                    note(f"{self.path}: {name}: left out: {error}")
                else:
                    yield LabelledPicture(name, _gray(page), label)


def load_pictures(path: str | os.PathLike[str]) -> LabelledPictures:
    """Reads the labels of pictures or tiles from a folder with ``labels.csv``, or a zip file of it.

    A label is the text of its picture, ``none`` if no digit is there. Raises DataError where there
    is nothing like it, or a label is missing.
    """
    with _opened(Path(path)) as (source, _):
        listing, rows = _listed(source)
    problems = [
        f"line {row}: {name}: expected the text of the picture, or {_NO_DIGIT}, found {label!r}"
        for row, (name, label) in enumerate(rows, 2)
        if not (label == _NO_DIGIT or any(char.isdecimal() for char in label))
    ]
    _refuse(source, problems)
    if not rows:
        raise DataError(f"{source.name}: {LABELS} lists no pictures: {_EXPECTED}")
    texts = ((name, "" if label == _NO_DIGIT else label) for name, label in rows)
    return LabelledPictures(Path(path), tuple(texts), sha256(listing))


@contextmanager
def _opened(path: Path) -> Generator[tuple[_Source, str]]:
    """Where files are read from, and the hash of a zip file; empty for a folder."""
    if path.is_dir():
        yield _Source(str(path), path.resolve()), ""
        return
    try:
        if path.stat().st_size > _ZIP_BYTES:
            raise DataError(f"{path} is larger than {_ZIP_BYTES:,} bytes: split it, or unpack it")
        content = path.read_bytes()
    except OSError as error:
        reason = error.strerror or error
        raise DataError(f"{path} cannot be read ({reason}): {_EXPECTED}") from error
    try:
        opened = zipfile.ZipFile(io.BytesIO(content))
    except DAMAGED as error:
        raise DataError(f"{path} is no zip file, or damaged: {_EXPECTED}") from error
    with opened as archive:
        # People pack a folder as well as its content.
        names = archive.namelist()
        if wrong := [name for name in names if name.startswith("/") or "//" in name]:
            # zipfile.Path of Python before 3.11.10 does not come to an end on them.
            raise DataError(f"{path}: {wrong[0][:80]!r} is not a path inside: pack it again")
        lists = [name for name in names if PurePosixPath(name).name == LABELS]
        base = min(lists, key=len, default=LABELS).removesuffix(LABELS)
        archive.filename = str(path)  # the name of a member without one is asked of it
        yield _Source(str(path), zipfile.Path(archive, base)), sha256(content)


def _listed(source: _Source) -> tuple[bytes, list[tuple[str, str]]]:
    """The list of labels, as it is and as rows of file and label."""
    listing = _fetch(source, LABELS, _LIST_BYTES)
    if isinstance(listing, str):
        names = sorted(entry.name for entry in source.root.iterdir())
        found = ", ".join(names[:_TOLD]) or "nothing"
        raise DataError(f"{source.name}: {listing}: {_EXPECTED}; found {found}")
    return listing, _rows(source, listing)


def _refuse(source: _Source, problems: list[str]) -> None:
    if problems:
        told = [f"\n  {problem}" for problem in problems[:_TOLD]]
        if len(problems) > _TOLD:
            told.append(f"\n  and {len(problems) - _TOLD:,} more")
        raise DataError(f"{source.name}: mend or remove these rows of {LABELS}:{''.join(told)}")


def _fetch(source: _Source, name: str, most: int) -> bytes | str:
    """The content of a file, or in words what is wrong with it."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or "\0" in name:
        return "is not a path inside"
    file = source.root / name
    try:
        if isinstance(file, Path) and not file.resolve().is_relative_to(str(source.root)):
            raise FileNotFoundError  # a link leads out
        with file.open("rb") as stream:
            content = stream.read(most + 1)  # no more, whatever an archive says of its size
    except (FileNotFoundError, IsADirectoryError):
        return f"no {name} in it" if name == LABELS else "is missing"
    except DAMAGED as error:
        return f"cannot be read ({error})"
    return content if len(content) <= most else f"is larger than {most:,} bytes"


def _rows(source: _Source, listing: bytes) -> list[tuple[str, str]]:
    try:
        rows = list(csv.reader(io.StringIO(listing.decode("utf-8-sig")), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{source.name}: {LABELS} is damaged ({error}): {_EXPECTED}") from error
    header = tuple(cell.strip() for cell in rows[0]) if rows else ()
    if header[:2] != COLUMNS:
        raise DataError(f"{source.name}: {_EXPECTED}; its header is {','.join(header)!r}")
    rows = [row for row in rows[1:] if any(row)]
    if len(rows) > MOST:
        raise DataError(f"{source.name}: {len(rows):,} tiles, at most {MOST:,} are read: split it")
    named = [(row[0].strip(), row[1].strip() if len(row) > 1 else "") for row in rows]
    first: dict[PurePosixPath, int] = {}
    again = [
        f"line {row}: {name}: is listed in line {before} already"
        for row, (name, _) in enumerate(named, 2)
        if (before := first.setdefault(PurePosixPath(name), row)) != row
    ]
    _refuse(source, again)
    return named


def _tile(source: _Source, name: str, seen: Callable[[bytes], object]) -> Tiles | str:
    if isinstance(content := _fetch(source, name, _TILE_BYTES), str):
        return content
    seen(content)
    if not content.startswith(_PNG):
        return "is not a PNG file"
    # The size is in the header: what is no tile is not decoded, however many pixels it claims.
    width, height = (int.from_bytes(content[at : at + 4], "big") for at in (16, 20))
    if (width, height) == (28, 28):
        try:
            page = _gray(load_image(content))
        except ImageError as error:
            return str(error).removeprefix("image: ")
        if page.ndim != 2:
            return "expected gray pixels, found colours"
        if page.shape == (28, 28):
            return page
        height, width = page.shape  # another chunk stood where the header should
    return f"expected 28 x 28 pixels, found {width} x {height}"


def _gray(page: Page) -> Page:
    """A page uint8[H, W] where it is gray that was saved as colour, else as it is."""
    is_gray = page.ndim == 3 and (page == page[:, :, :1]).all()
    return page[:, :, 0] if is_gray else page
