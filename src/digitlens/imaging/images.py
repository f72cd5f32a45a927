"""Decodes anything a person may call a picture into a page, safely, and resizes arrays.

The home of Pillow. Knows formats, orientation, transparency and size limits, but no digits.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from digitlens.errors import ImageError
from digitlens.imaging import photo
from digitlens.imaging.depth import said_bits, to_bytes
from digitlens.imaging.picture_files import (
    MAX_PIXELS,
    damaged,
    open_file,
    open_picture,
    quiet,
    too_large,
)

Page: TypeAlias = npt.NDArray[np.uint8]
Source: TypeAlias = "str | os.PathLike[str] | bytes | BinaryIO | Image.Image | npt.NDArray[Any]"

_MODES_16 = ("I;16", "I;16L", "I;16B", "I;16N")
_BAND = 2**18  # pixels that are copied at a time: 64 rows of 12 megapixels stay in the cache
# Transparency is laid on black where half transparent or clearer pixels make up a quarter of the
# picture (the corners around a round photo are 21 %) and what is left of it is bright: white
# strokes vanish on white. Yellow has luminance 226, orange 173; green (150) and gray show on white.
_CLEAR = 128  # alpha
_MUCH = 0.25  # of the pixels
_BRIGHT = 160  # mean luminance, each pixel counting as much as it is opaque
_WHITE, _BLACK = 255, 0
_ORIENTATION = 0x0112  # the EXIF tag
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def load_image(source: Source, *, copy: bool = True) -> Page:
    """Decodes a picture: upright, without transparency, first frame or page only.

    Transparent parts become white; black where large parts are transparent and what is drawn is
    bright, which white would swallow. Gray of 16 bits in a file or Pillow image is scaled by the
    bits that it uses, see ``depth``. HEIC photos and PDFs need the extra ``photo``; a page of a PDF
    is rendered, see ``photo.PDF_SIDE``.

    Args:
        source: A path, the bytes of a file, a binary file object, a Pillow image, or an array.
            An array is [H, W] gray, [H, W, 3] RGB or [H, W, 4] RGBA, and its dtype alone decides
            the scale: uint8 is 0..255, uint16 is 0..65535, bool is black and white, and floats
            are 0..1.
        copy: Whether an array is copied also where it is a page already. If not, the page may share
            its memory: for those who do not change either.

    Returns:
        uint8[H, W] for a gray picture, uint8[H, W, 3] for one in colour.

    Raises:
        ImageError: The file is missing, unreadable, empty, no picture, damaged, or has more than
            ``MAX_PIXELS`` pixels, which is checked before pixels are decoded.
        MissingExtraError: A HEIC photo or a PDF, and the extra ``photo`` is not installed.
        TypeError: ``source`` is of none of these types, or the array of none of these dtypes.
        ValueError: The array has none of these shapes, or floats outside 0..1.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source, copy=copy)
    if isinstance(source, Image.Image):
        return decode(source, "image")
    with open_file(source) as file:
        if photo.is_pdf(file.start):
            with photo.open_pdf(file.stream, file.name) as pdf:
                return pdf.render(0, file.name)
        return decode(open_picture(file), file.name)


def decode(image: Image.Image, name: str) -> Page:
    """Decodes an open picture, upright and without transparency, see ``load_image``.

    Args:
        image: A Pillow image, at the frame that is wanted.
        name: What to call it in errors.

    Returns:
        uint8[H, W] or uint8[H, W, 3].

    Raises:
        ImageError: It is damaged, or has no or more than ``MAX_PIXELS`` pixels.
    """
    with quiet():
        return _decode(image, name)


def resize(
    plane: npt.NDArray[np.floating[Any]], width: int, height: int
) -> npt.NDArray[np.float32]:
    """Resizes one plane: area average when it shrinks, bilinear when it grows.

    Args:
        plane: float32[H, W].
        width: New width in pixels, at least 1.
        height: New height in pixels, at least 1.

    Returns:
        float32[height, width].
    """
    if plane.shape == (height, width):
        return plane
    shrinks = height * width < plane.size
    method = Image.Resampling.BOX if shrinks else Image.Resampling.BILINEAR
    picture = Image.fromarray(np.ascontiguousarray(plane, np.float32))
    return np.asarray(picture.resize((width, height), method))


def shrink(page: Page, longest: int) -> Page:
    """A page scaled down by area averaging so that no side is longer than ``longest`` pixels."""
    height, width = page.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return page
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(page).resize(size, Image.Resampling.BOX))


def _decode(image: Image.Image, name: str) -> Page:
    if image.width * image.height > MAX_PIXELS:
        raise ImageError(f"{name}: {too_large(f'{image.width} x {image.height}')}")
    try:
        bits = said_bits(image) if image.mode.startswith("I") else None
        image.load()
        orientation = _orientation(image)
        if orientation in _UPRIGHT:
            image = image.transpose(_UPRIGHT[orientation])
        page = _to_page(image, bits)
    except Exception as error:  # decoders raise nearly everything on hostile bytes
        raise ImageError(f"{name}: {damaged(error)}") from error
    if page.size == 0:
        raise ImageError(f"{name}: has no pixels")
    return page


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # damaged EXIF says nothing about the pixels, which are fine
        return 1


def _to_page(image: Image.Image, bits: int | None) -> Page:
    if image.mode == "I" or image.mode in _MODES_16:
        return to_bytes(np.asarray(image), bits)
    if image.mode == "F":
        return _from_array(np.asarray(image))
    if "A" in image.mode or "a" in image.mode or "transparency" in image.info:
        return _flatten(image)
    mode = "L" if image.mode in ("1", "L") else "RGB"
    return _pixels(image if image.mode == mode else image.convert(mode), mode)


def _pixels(image: Image.Image, mode: str, paper: int | None = None) -> Page:
    """The pixels of an image in mode L or RGB, as an array of their own.

    A band at a time: ``np.array`` of all of it holds three copies at once, and takes 125 ms for 12
    megapixels instead of 30.

    Args:
        image: Of that mode, or RGBA.
        mode: L or RGB.
        paper: What RGBA is laid on, as a gray level.
    """
    page = np.empty((image.height, image.width, 3)[: 2 + (mode == "RGB")], np.uint8)
    top = 0
    for band in _bands(image):
        if paper is not None:
            below = Image.new("RGBA", band.size, (paper, paper, paper, 255))
            band = Image.alpha_composite(below, band)  # noqa: PLW2901
        page[top : top + band.height] = np.asarray(
            band if band.mode == mode else band.convert(mode)
        )
        top += band.height
    return page


def _bands(image: Image.Image) -> Iterator[Image.Image]:
    rows = max(1, _BAND // max(1, image.width))
    for top in range(0, image.height, rows):
        yield image.crop((0, top, image.width, min(top + rows, image.height)))


def _flatten(image: Image.Image) -> Page:
    gray = image.mode in ("1", "L", "LA", "La")
    rgba = image.convert("RGBA")
    opaque = rgba.getchannel("A").getextrema() == (255, 255)
    return _pixels(rgba, "L" if gray else "RGB", None if opaque else _paper_below(rgba))


def _paper_below(rgba: Image.Image) -> int:
    """The gray level on which what an RGBA image shows stands out: 255 or 0."""
    alphas = np.array(rgba.getchannel("A").histogram())
    if alphas[:_CLEAR].sum() < _MUCH * rgba.width * rgba.height:
        return _WHITE
    light = sum(map(_light, _bands(rgba)))
    return _BLACK if light > _BRIGHT * int(alphas @ np.arange(256)) else _WHITE


def _light(rgba: Image.Image) -> int:
    """The sum of luminance times alpha; exact, as it is far below 2 to the 53rd."""
    luminance, alpha = (
        np.asarray(plane, np.float64).ravel() for plane in (rgba.convert("L"), rgba.getchannel("A"))
    )
    return int(luminance @ alpha)


def _from_array(array: npt.NDArray[Any], *, copy: bool = True) -> Page:
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim != 2 and not (array.ndim == 3 and array.shape[2] in (3, 4)):
        raise ValueError(
            f"expected an array [H, W], [H, W, 3] or [H, W, 4], found {list(array.shape)}"
        )
    if array.size == 0:
        raise ImageError("image: has no pixels")
    if array.shape[0] * array.shape[1] > MAX_PIXELS:
        raise ImageError(f"image: {too_large(f'{array.shape[1]} x {array.shape[0]}')}")
    page = _to_uint8(array)
    if page.ndim == 3 and page.shape[2] == 4:
        return _flatten(Image.fromarray(np.ascontiguousarray(page)))
    return np.array(page) if copy and page is array else np.ascontiguousarray(page)


def _to_uint8(array: npt.NDArray[Any]) -> Page:
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype == np.uint16:
        return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if array.dtype.kind != "f":
        raise TypeError(
            f"expected an array of uint8, uint16, bool or floats in 0..1, found {array.dtype}"
        )
    if not bool(np.all((array >= 0) & (array <= 1))):
        raise ValueError("expected floats in 0..1: divide by the largest possible value")
    return np.rint(array * 255).astype(np.uint8)
