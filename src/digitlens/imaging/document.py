"""Decodes the pages of a file one at a time: all of a PDF or TIFF, one of any other format.

Counts the pages before decoding the first, and keeps none in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from PIL import Image

from digitlens.errors import ImageError
from digitlens.imaging import photo
from digitlens.imaging.image import (
    Page,
    PictureFile,
    Source,
    damaged,
    decode,
    has_one_page,
    load_image,
    open_file,
    open_picture,
    quiet,
)

_SUBFILE_TYPE = 254  # the TIFF tag
_REDUCED = 1  # its bit for a reduced-resolution copy of another page


@dataclass(frozen=True)
class Document:
    """An open file and its pages."""

    name: str  # for errors
    count: int  # number of pages, at least 1
    _load: Callable[[int, str], Page]

    def page(self, number: int) -> Page:
        """Decodes one page, from 1; if it is damaged, others can still be decoded.

        Raises:
            ImageError: The page is damaged or too large.
            ValueError: There is no such page.
        """
        if not 1 <= number <= self.count:
            raise ValueError(f"expected a page from 1 to {self.count}, found {number}")
        return self._load(number - 1, page_name(self.name, number, self.count))


@contextmanager
def open_document(source: Source) -> Generator[Document]:
    """Opens a file within the block, without decoding any page.

    For formats with a single page, only the first bytes are read: errors in such a picture are
    detected when the page is decoded.

    The page of a GIF and of an animated WebP, PNG or AVIF is the first frame, that of a HEIC with
    several pictures the main one. Pages of a PDF are rendered, see ``photo.PDF_SIDE``.
    Reduced-resolution copies of pages in a TIFF are skipped.

    Args:
        source: See ``load_image``.

    Raises:
        ImageError: The file is missing, unreadable, empty, damaged or not a picture, needs a
            password, or has more than ``photo.MAX_PAGES`` pages.
        MissingExtraError: A HEIC photo or a PDF, and the extra ``photo`` is not installed.
        TypeError: ``source`` has none of the types of ``load_image``.
    """
    if isinstance(source, np.ndarray | Image.Image):
        yield Document("image", 1, lambda _index, _name: load_image(source))
        return
    with open_file(source) as file:
        if photo.is_pdf(file.start):
            with photo.open_pdf(file.stream, file.name) as pdf:
                yield Document(file.name, pdf.count, pdf.render)
        else:
            yield _picture_document(file)


def page_name(name: str, number: int, count: int) -> str:
    """Returns a page's name: the file's if it is the only page, else for example ``scan.pdf#2``."""
    return name if count == 1 else f"{name}#{number}"


def _picture_document(file: PictureFile) -> Document:
    image = None if has_one_page(file.start) else open_picture(file)
    if image is None or image.format != "TIFF":
        return Document(file.name, 1, lambda _index, name: decode(open_picture(file), name))
    frames = _page_frames(image, file.name)
    return Document(file.name, len(frames), lambda k, name: _decode_frame(image, frames[k], name))


def _page_frames(image: Image.Image, name: str) -> list[int]:
    """Returns the frames of a TIFF that are pages, up to and including the first damaged one."""
    frames = [0]
    for number in range(1, photo.MAX_PAGES + 1):
        try:
            with quiet():
                image.seek(number)
            reduced = int(getattr(image, "tag_v2", {}).get(_SUBFILE_TYPE, 0)) & _REDUCED
        except EOFError:
            return frames
        except Exception:  # the parser raises nearly everything on hostile bytes
            return [*frames, number]
        if not reduced:
            frames.append(number)
    raise ImageError(f"{name}: {photo.too_many('more')}")


def _decode_frame(image: Image.Image, number: int, name: str) -> Page:
    try:
        with quiet():
            image.seek(number)
    except Exception as error:  # the parser raises nearly everything on hostile bytes
        raise ImageError(f"{name}: {damaged(error)}") from error
    return decode(image, name)
