"""Labelled tiles and pictures from a folder or zip file with a list of labels.

The page of ``digitlens serve`` writes corrected digits in this form: ``labels.csv`` with the header
``file,label``, and the files it names, 28 x 28 gray pixels, ink bright on dark. For whole pictures
the label is the text. Zip files are read in memory: nothing is unpacked to disk, and no file
outside the folder or zip file is opened.
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
MOST = 200_000  # rows: three times MNIST
_ZIP_BYTES = 500_000_000
_LIST_BYTES = 20_000_000  # of labels.csv
_TILE_BYTES = 65_536  # of one PNG file; 28 x 28 pixels need less than a kilobyte
_PICTURE_BYTES = 100_000_000  # of one picture
_MAX_LISTED = 5  # problems listed in a message
_NO_DIGIT = "none"  # label of a picture without digits, as written by the page
_PNG = b"\x89PNG\r\n\x1a\n"
_EXPECTED = f"expected {LABELS} with the header {','.join(COLUMNS)}, and the PNG files it names"


class _Source(NamedTuple):
    """The folder or zip file that files are read from."""

    name: str  # for error messages
    root: Path | zipfile.Path  # the folder; in a zip file, the folder that holds labels.csv


def load_labelled(path: str | os.PathLike[str]) -> Split:
    """Reads labelled tiles from a folder with ``labels.csv``, or a zip file of such a folder.

    Raises DataError if there is no such list or any row is invalid; the message lists the problems.
    No row is skipped silently.
    """
    return load_with_hash(path)[0]


def load_with_hash(path: str | os.PathLike[str]) -> tuple[Split, str]:
    """Labelled tiles and a SHA-256: of the zip file, or of the list and its files in order."""
    tiles, labels, problems = list[Tiles](), list[int](), list[str]()
    with _open_source(Path(path)) as (source, zip_hash):
        listing, rows = _read_listing(source)
        digest = hashlib.sha256(listing)
        for row, (name, label) in enumerate(rows, 2):
            tile = _read_tile(source, name, digest.update)
            if isinstance(tile, str):
                problems.append(f"line {row}: {name}: {tile}")
            elif label not in set("0123456789"):
                problem = f"expected a label from 0 to 9, found {label!r}"
                problems.append(f"line {row}: {name}: {problem}")
            else:
                tiles.append(tile)
                labels.append(int(label))
    _raise_problems(source, problems)
    if not tiles:
        raise DataError(f"{source.name}: {LABELS} lists no tiles: {_EXPECTED}")
    split = Split(np.stack(tiles), np.array(labels, np.uint8))
    return split, zip_hash or digest.hexdigest()


class LabelledPicture(NamedTuple):
    """A picture with its text."""

    name: str  # file name
    page: Page  # uint8[H, W] or uint8[H, W, 3]
    label: str  # the text, lines separated by line feeds; empty if there is no digit

    @property
    def is_tile(self) -> bool:
        """Whether it is a tile of one digit, such as a correction saved from the page."""
        return self.page.shape == (28, 28) and len(self.label) == 1


@dataclass(frozen=True)
class LabelledPictures:
    """Labelled pictures, decoded one by one during iteration."""

    path: Path  # the folder or zip file
    rows: tuple[tuple[str, str], ...]  # (file, label) of each picture
    sha256: str  # of the list of labels

    def __len__(self) -> int:
        """Number of pictures listed, decodable or not."""
        return len(self.rows)

    def __iter__(self) -> Iterator[LabelledPicture]:
        """Yields the pictures; skips duplicates and undecodable files with a note of the reason."""
        first_names: dict[str, str] = {}
        with _open_source(self.path) as (source, _):
            for name, label in self.rows:
                content = _read_content(source, name, _PICTURE_BYTES)
                try:
                    if isinstance(content, str):
                        raise ImageError(content)
                    first_name = first_names.setdefault(sha256(content), name)
                    if first_name != name:  # would count twice, or be in training and held-out data
                        raise ImageError(f"the same picture as {first_name}")
                    page = load_image(content)
                except ImageError as error:
                    note(f"{self.path}: {name}: skipped: {error}")
                else:
                    yield LabelledPicture(name, _gray(page), label)


def load_pictures(path: str | os.PathLike[str]) -> LabelledPictures:
    """Reads the labels of pictures or tiles from a folder or zip file with ``labels.csv``.

    A label is the text of its picture, or ``none`` if it has no digits. Raises DataError if there
    is no such list, or a label is missing or has no digit.
    """
    with _open_source(Path(path)) as (source, _):
        listing, rows = _read_listing(source)
    problems = [
        f"line {row}: {name}: expected the text of the picture, or {_NO_DIGIT}, found {label!r}"
        for row, (name, label) in enumerate(rows, 2)
        if not (label == _NO_DIGIT or any(char.isdecimal() for char in label))
    ]
    _raise_problems(source, problems)
    if not rows:
        raise DataError(f"{source.name}: {LABELS} lists no pictures: {_EXPECTED}")
    texts = ((name, "" if label == _NO_DIGIT else label) for name, label in rows)
    return LabelledPictures(Path(path), tuple(texts), sha256(listing))


@contextmanager
def _open_source(path: Path) -> Generator[tuple[_Source, str]]:
    """The source of the files, and the SHA-256 of a zip file or "" for a folder."""
    if path.is_dir():
        yield _Source(str(path), path.resolve()), ""
        return
    try:
        if path.stat().st_size > _ZIP_BYTES:
            raise DataError(f"{path} is larger than {_ZIP_BYTES:,} bytes: split or unpack it")
        content = path.read_bytes()
    except OSError as error:
        reason = error.strerror or error
        raise DataError(f"{path} cannot be read ({reason}): {_EXPECTED}") from error
    try:
        zip_file = zipfile.ZipFile(io.BytesIO(content))
    except DAMAGED as error:
        raise DataError(f"{path} is not a zip file, or damaged: {_EXPECTED}") from error
    with zip_file as archive:
        # The list may be at the top level or in a folder that was zipped as a whole.
        names = archive.namelist()
        if invalid := [name for name in names if name.startswith("/") or "//" in name]:
            # zipfile.Path loops forever on them in Python before 3.11.10.
            raise DataError(f"{path}: {invalid[0][:80]!r} is not a relative path: zip it again")
        lists = [name for name in names if PurePosixPath(name).name == LABELS]
        base = min(lists, key=len, default=LABELS).removesuffix(LABELS)
        archive.filename = str(path)  # zipfile.Path needs it for the name of its root
        yield _Source(str(path), zipfile.Path(archive, base)), sha256(content)


def _read_listing(source: _Source) -> tuple[bytes, list[tuple[str, str]]]:
    """The bytes of ``labels.csv`` and its rows as (file, label)."""
    listing = _read_content(source, LABELS, _LIST_BYTES)
    if isinstance(listing, str):
        names = sorted(entry.name for entry in source.root.iterdir())
        found = ", ".join(names[:_MAX_LISTED]) or "nothing"
        raise DataError(f"{source.name}: {listing}: {_EXPECTED}; found {found}")
    return listing, _parse_rows(source, listing)


def _raise_problems(source: _Source, problems: list[str]) -> None:
    if problems:
        rows = [f"\n  {problem}" for problem in problems[:_MAX_LISTED]]
        if len(problems) > _MAX_LISTED:
            rows.append(f"\n  and {len(problems) - _MAX_LISTED:,} more")
        raise DataError(f"{source.name}: correct or remove these rows of {LABELS}:{''.join(rows)}")


def _read_content(source: _Source, name: str, limit: int) -> bytes | str:
    """The content of a file as bytes, or a description of the problem as text."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or "\0" in name:
        return "is not a relative path inside the folder"
    file = source.root / name
    try:
        if isinstance(file, Path) and not file.resolve().is_relative_to(str(source.root)):
            raise FileNotFoundError  # a link to outside the folder
        with file.open("rb") as stream:
            content = stream.read(limit + 1)  # the size in a zip header cannot be trusted
    except (FileNotFoundError, IsADirectoryError):
        return f"{name} is missing" if name == LABELS else "is missing"
    except DAMAGED as error:
        return f"cannot be read ({error})"
    return content if len(content) <= limit else f"is larger than {limit:,} bytes"


def _parse_rows(source: _Source, listing: bytes) -> list[tuple[str, str]]:
    try:
        rows = list(csv.reader(io.StringIO(listing.decode("utf-8-sig")), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{source.name}: {LABELS} is damaged ({error}): {_EXPECTED}") from error
    header = tuple(cell.strip() for cell in rows[0]) if rows else ()
    if header[:2] != COLUMNS:
        raise DataError(f"{source.name}: {_EXPECTED}; found the header {','.join(header)!r}")
    rows = [row for row in rows[1:] if any(row)]
    if len(rows) > MOST:
        raise DataError(f"{source.name}: {len(rows):,} rows, expected at most {MOST:,}: split it")
    named = [(row[0].strip(), row[1].strip() if len(row) > 1 else "") for row in rows]
    first_lines: dict[PurePosixPath, int] = {}
    repeats = [
        f"line {row}: {name}: is already listed in line {first_line}"
        for row, (name, _) in enumerate(named, 2)
        if (first_line := first_lines.setdefault(PurePosixPath(name), row)) != row
    ]
    _raise_problems(source, repeats)
    return named


def _read_tile(source: _Source, name: str, update_hash: Callable[[bytes], object]) -> Tiles | str:
    if isinstance(content := _read_content(source, name, _TILE_BYTES), str):
        return content
    update_hash(content)
    if not content.startswith(_PNG):
        return "is not a PNG file"
    # Check the size in the header before decoding, against decompression bombs.
    width, height = (int.from_bytes(content[offset : offset + 4], "big") for offset in (16, 20))
    if (width, height) == (28, 28):
        try:
            page = _gray(load_image(content))
        except ImageError as error:
            return str(error).removeprefix("image: ")
        if page.ndim != 2:
            return "expected gray pixels, found colour"
        if page.shape == (28, 28):
            return page
        height, width = page.shape  # the first chunk was not the header
    return f"expected 28 x 28 pixels, found {width} x {height}"


def _gray(page: Page) -> Page:
    """The page as uint8[H, W] if all its channels are equal, else unchanged."""
    is_gray = page.ndim == 3 and (page == page[:, :, :1]).all()
    return page[:, :, 0] if is_gray else page
