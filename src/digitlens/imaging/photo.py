"""Opens PDF and HEIC files, which Pillow does not support, with packages of the extra ``photo``.

The only module that uses PDFium and libheif. Returns rendered pages and undecoded Pillow images.
"""

from __future__ import annotations

import logging
import math
import re
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from digitlens.errors import ImageError, needs_extra

if TYPE_CHECKING:
    from PIL import Image

PDF_SIDE = 2000  # pixels of the longest side, A4 at 171 dpi; no page has more than its square
MAX_PAGES = 10_000  # a small file can claim a million
_PDF = re.compile(rb"(\xef\xbb\xbf)?\s*%PDF")
_HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
_AVIF = {b"avif", b"avis"}
_PASSWORD_ERROR = 4  # PDFium's code for a missing password

_pdfium_lock = threading.Lock()  # PDFium allows one call at a time, even for different documents
logging.getLogger("pypdfium2").addHandler(logging.NullHandler())


def is_pdf(start: bytes) -> bool:
    """Returns whether a file with these first bytes is a PDF."""
    return _PDF.match(start) is not None


def is_heic(start: bytes) -> bool:
    """Returns whether a file with these first bytes is a HEIF photo: HEIC, but not AVIF."""
    brands = _brands(start)
    return bool(brands & _HEIC) and not brands & _AVIF


def is_avif(start: bytes) -> bool:
    """Returns whether a file with these first bytes is an AVIF picture."""
    return bool(_brands(start) & _AVIF)


def open_heic(stream: BinaryIO, name: str) -> Image.Image:
    """Opens the main picture of a HEIC photo; its pixels are decoded when they are loaded.

    The stream is seekable; the name is for errors. The image is upright when loaded, and its EXIF
    no longer contains a rotation.

    Raises:
        ImageError: The photo is damaged.
        MissingExtraError: The extra ``photo`` is not installed.
    """
    with needs_extra("photo", f"{name}: is a HEIC photo, and this"):
        from pillow_heif import HeifImageFile  # noqa: PLC0415  (an extra)
    with _as_image_error(name, "photo"):
        return HeifImageFile(stream)


class Pdf:
    """An open PDF.

    Attributes:
        count: Number of pages, 1 to ``MAX_PAGES``.
    """

    def __init__(self, document: Any, name: str) -> None:
        self._document = document
        with _as_image_error(name, "PDF"):
            document.init_forms()  # required to render the values of form fields
            self.count = len(document)
        if self.count == 0:
            raise ImageError(f"{name}: is a PDF without pages, expected at least one")
        if self.count > MAX_PAGES:
            raise ImageError(f"{name}: {too_many(f'{self.count:,}')}")

    def render(self, index: int, name: str) -> npt.NDArray[np.uint8]:
        """Renders a page, from 0, on white, with ``PDF_SIDE`` pixels on its longest side.

        Raises ImageError if it is damaged or has no area.
        """
        with _pdfium_lock, _as_image_error(name, "page"):
            page = self._document[index]
            try:
                width, height = page.get_size()
                bitmap = page.render(scale=_scale(width, height, name), rev_byteorder=True)
                try:
                    return np.array(bitmap.to_numpy(), np.uint8)
                finally:
                    bitmap.close()
            finally:
                page.close()


@contextmanager
def open_pdf(stream: BinaryIO, name: str) -> Generator[Pdf]:
    """Opens a PDF from a seekable stream within the block.

    Raises:
        ImageError: The PDF needs a password, is damaged, or has no pages or too many.
        MissingExtraError: The extra ``photo`` is not installed.
    """
    with needs_extra("photo", f"{name}: is a PDF, and this"):
        import pypdfium2  # noqa: PLC0415  (an extra)
    content = stream if hasattr(stream, "readinto") else stream.read()
    with _pdfium_lock:
        with _as_image_error(name, "PDF"):
            document = pypdfium2.PdfDocument(content)
        try:
            pdf = Pdf(document, name)
        except BaseException:
            document.close()
            raise
    try:
        yield pdf
    finally:
        with _pdfium_lock:
            document.close()


def too_many(pages: str) -> str:
    """Returns the end of an error about a document with more than ``MAX_PAGES`` pages."""
    return f"claims {pages} pages, at most {MAX_PAGES:,} are read: split it"


def _scale(width: float, height: float, name: str) -> float:
    """Returns pixels per point, slightly less than for ``PDF_SIDE``, as PDFium rounds sides up."""
    longest = max(width, height)
    if not (math.isfinite(longest) and min(width, height) > 0):
        raise ImageError(f"{name}: is a page of {width:g} x {height:g} points, expected an area")
    return (PDF_SIDE - 0.5) / longest


def _brands(start: bytes) -> set[bytes]:
    """Returns the brands that a file of the ISO base media format declares."""
    if start[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(start[:4], "big"), len(start))
    return {start[8:12], *(start[k : k + 4] for k in range(16, end, 4))}


@contextmanager
def _as_image_error(name: str, what: str) -> Generator[None]:
    try:
        yield
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # also errors inside the libraries
        if getattr(error, "err_code", None) == _PASSWORD_ERROR:
            raise ImageError(
                f"{name}: is protected by a password: save a copy without one"
            ) from error
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(
            f"{name}: the {what} is damaged or cut off ({reason}): save or copy it again"
        ) from error
