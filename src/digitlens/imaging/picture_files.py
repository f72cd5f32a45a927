"""Opens a picture file without decoding it, and says what a file is that is no picture.

Knows names, streams and the formats that may be decoded, but neither pixels nor pages.
"""

from __future__ import annotations

import io
import logging
import os
import struct
import threading
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image, UnidentifiedImageError, features

from digitlens.errors import ImageError
from digitlens.imaging import photo

MAX_PIXELS = 100_000_000  # a 100-megapixel phone photo just passes; 300 MB when decoded
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
# How files of each format start. Pillow is told which one it is, and its plug-in is imported: asked
# for one that it has not imported yet, it imports all forty.
_SIGNATURES = (
    (b"\x89PNG", "PNG", "PIL.PngImagePlugin"),
    (b"\xff\xd8\xff", "JPEG", "PIL.JpegImagePlugin"),
    (b"RIFF", "WEBP", "PIL.WebPImagePlugin"),
    (b"BM", "BMP", "PIL.BmpImagePlugin"),
    (b"GIF8", "GIF", "PIL.GifImagePlugin"),
    (b"II*\0", "TIFF", "PIL.TiffImagePlugin"),
    (b"MM\0*", "TIFF", "PIL.TiffImagePlugin"),
)
# The usual ones are opened by their plug-in itself: ``Image.open`` imports four others first, 6 ms.
_ALONE = (("PNG",), ("JPEG",))
_UNIDENTIFIED = (UnidentifiedImageError, SyntaxError, IndexError, TypeError, struct.error)
_EXPECTED = "expected PNG, JPEG, WebP, BMP, GIF, TIFF, PPM, HEIC or PDF"
_START = 512  # bytes that tell what a file is
# Files that people take for pictures and that nothing here reads.
_NEIGHBOURS = (
    (b"<svg", "an SVG drawing: export it as PNG"),
    (b"<?xml", "an XML or SVG file: export it as PNG"),
    (b"%PDF", "a PDF with something else before it: save it as PDF again"),
    (b"ftypavif", "an AVIF picture: save it as PNG"),
    (b"<html", "a web page, not a picture"),
    (b"<!doctype", "a web page, not a picture"),
)


@dataclass(frozen=True)
class PictureFile:
    """A file that is open for reading.

    Attributes:
        stream: Can seek, and stands at its start.
        name: What to call it in errors.
        start: Its first bytes, at least one.
    """

    stream: BinaryIO
    name: str
    start: bytes


@contextmanager
def open_file(source: str | os.PathLike[str] | bytes | BinaryIO) -> Generator[PictureFile]:
    """Opens a path, the bytes of a file or a binary file object; closes what it opened itself.

    Raises:
        ImageError: The file is missing, unreadable or empty.
        TypeError: ``source`` is of none of these types.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        yield _picture_file(io.BytesIO(source), "image")
    elif isinstance(source, str | os.PathLike):
        with _open_path(Path(source)) as stream:
            yield _picture_file(stream, str(Path(source)))
    elif hasattr(source, "read"):
        yield _picture_file(source, str(getattr(source, "name", "image")))
    else:
        raise TypeError(
            "expected a path, bytes, a binary file object, a Pillow image or an array, "
            f"found {type(source).__name__}"
        )


def has_one_page(start: bytes) -> bool:
    """Whether a file that starts like this is of a format without pages, as all but TIFF and PDF.

    Says no where the start does not tell: the picture has to be opened then.
    """
    if photo.is_heic(start) or photo.is_avif(start):
        return True
    return any(start.startswith(mark) for mark, name, _ in _SIGNATURES if name != "TIFF")


def open_picture(file: PictureFile) -> Image.Image:
    """Opens a picture without decoding its pixels.

    Raises:
        ImageError: It is no picture or damaged.
        MissingExtraError: A HEIC photo, and the extra ``photo`` is not installed.
    """
    with quiet():
        if photo.is_heic(file.start):
            return photo.open_heic(file.stream, file.name)
        return _open(file)


def _open_path(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise ImageError(f"{path}: no such file") from error
    except IsADirectoryError as error:
        raise ImageError(f"{path}: is a folder, expected a picture") from error
    except OSError as error:
        raise ImageError(f"{path}: {_unreadable(error)}") from error
    except ValueError as error:  # a path with a null character
        raise ImageError(f"{str(path)!r}: is not a path ({error})") from error


def _picture_file(stream: BinaryIO, name: str) -> PictureFile:
    try:
        if not stream.seekable() or stream.tell() != 0:  # Pillow reads from the very start
            stream = io.BytesIO(_content(stream.read(), name))
        start = _content(stream.read(_START), name)
        stream.seek(0)
    except OSError as error:
        raise ImageError(f"{name}: {_unreadable(error)}") from error
    if not start:
        raise ImageError(f"{name}: is empty, expected a picture")
    return PictureFile(stream, name, start)


def _content(content: object, name: str) -> bytes:
    if not isinstance(content, bytes):
        raise TypeError(f"expected a binary file object, {name} gives {type(content).__name__}")
    return content


def _open(file: PictureFile) -> Image.Image:
    avif = photo.is_avif(file.start) and _has_avif()
    try:
        return _opened(file.stream, ("AVIF",) if avif else _formats(file.start))
    except _UNIDENTIFIED as error:
        what = "is a damaged AVIF picture: copy it again" if avif else _what_it_is(file.start)
        raise ImageError(f"{file.name}: {what}") from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"{file.name}: {too_large('far more')}") from error
    except Exception as error:  # decoders raise nearly everything on hostile bytes
        raise ImageError(f"{file.name}: {damaged(error)}") from error


def _opened(stream: BinaryIO, formats: tuple[str, ...]) -> Image.Image:
    if formats in _ALONE:
        stream.seek(0)
        return Image.OPEN[formats[0]][0](stream, "")
    return Image.open(stream, formats=formats)


def _formats(start: bytes) -> tuple[str, ...]:
    """The format of a file that starts like this; all that are allowed where that does not tell."""
    for signature, name, plugin in _SIGNATURES:
        if start.startswith(signature):
            import_module(plugin)
            return (name,)
    return FORMATS


def _has_avif() -> bool:
    return "avif" in features.modules and features.check_module("avif")  # not in Pillow 11.0


def _what_it_is(start: bytes) -> str:
    head = start.lower()
    found = next((what for mark, what in _NEIGHBOURS if mark.lower() in head), None)
    return f"is {found}" if found else f"is not a picture: {_EXPECTED}"


def too_large(size: str) -> str:
    """The end of an error about a picture of more than ``MAX_PIXELS`` pixels."""
    return f"claims {size} pixels, at most {MAX_PIXELS:,} are decoded: make it smaller"


def _unreadable(error: OSError) -> str:
    return f"cannot be read ({error.strerror or error})"


def damaged(error: Exception) -> str:
    """The end of an error about a file that a decoder gave up on."""
    reason = " ".join(str(error).split()) or type(error).__name__
    return f"is damaged or cut off ({reason}): save or copy it again"


_silent = logging.NullHandler()
_quiet_lock = threading.Lock()
_quiet_state: dict[str, Any] = {"depth": 0, "saved": None}


@contextmanager
def quiet() -> Generator[None]:
    """Keeps Pillow from warning and logging within the block, in any number of threads."""
    # Pillow warns and logs on odd files; here they decode or raise. `catch_warnings` alone leaves
    # warnings switched off for good when two threads leave it in the order they came in.
    logging.getLogger("PIL").addHandler(_silent)
    with _quiet_lock:
        if _quiet_state["depth"] == 0:
            _quiet_state["saved"] = warnings.catch_warnings()
            _quiet_state["saved"].__enter__()
            warnings.simplefilter("ignore")
        _quiet_state["depth"] += 1
    try:
        yield
    finally:
        with _quiet_lock:
            _quiet_state["depth"] -= 1
            if _quiet_state["depth"] == 0:
                _quiet_state["saved"].__exit__(None, None, None)
