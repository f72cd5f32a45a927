"""Decodes pictures of all kinds into pages, safely, and resizes arrays.

Handles formats, size limits, orientation, transparency and bit depth, and names files that are not
pictures; knows no digits. Cameras and scanners store 10, 12 or 14 bits in 16-bit samples, and most
files do not declare it: this is the only place where a scale is inferred from the values, since
such pictures divided by 65535 would be black.
"""

from __future__ import annotations

import io
import logging
import os
import struct
import threading
import warnings
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError, features

from digitlens.errors import ImageError
from digitlens.imaging import photo

Page: TypeAlias = npt.NDArray[np.uint8]
Source: TypeAlias = "str | os.PathLike[str] | bytes | BinaryIO | Image.Image | npt.NDArray[Any]"

MAX_PIXELS = 100_000_000
MAX_BYTES = 600_000_000  # for decoding; a file of 12 kB can claim a hundred million pixels
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
# Signature, format and plug-in. Naming the format and importing its plug-in keeps Pillow from
# importing all forty of them.
_SIGNATURES = (
    (b"\x89PNG", "PNG", "PIL.PngImagePlugin"),
    (b"\xff\xd8\xff", "JPEG", "PIL.JpegImagePlugin"),
    (b"RIFF", "WEBP", "PIL.WebPImagePlugin"),
    (b"BM", "BMP", "PIL.BmpImagePlugin"),
    (b"GIF8", "GIF", "PIL.GifImagePlugin"),
    (b"II*\0", "TIFF", "PIL.TiffImagePlugin"),
    (b"MM\0*", "TIFF", "PIL.TiffImagePlugin"),
)
# Common formats are opened by the plug-in itself: ``Image.open`` first imports four others, 6 ms.
_DIRECT_FORMATS = (("PNG",), ("JPEG",))
_UNIDENTIFIED_ERRORS = (UnidentifiedImageError, SyntaxError, IndexError, TypeError, struct.error)
_EXPECTED = "expected PNG, JPEG, WebP, BMP, GIF, TIFF, PPM, HEIC or PDF"
_START_BYTES = 512  # bytes that identify a file
# Files that are often mistaken for pictures and not supported.
_UNSUPPORTED = (
    (b"<svg", "an SVG drawing: export it as PNG"),
    (b"<?xml", "an XML or SVG file: export it as PNG"),
    (b"%PDF", "a PDF with something else before it: save it as PDF again"),
    (b"ftypavif", "an AVIF picture: save it as PNG"),
    (b"<html", "a web page, not a picture"),
    (b"<!doctype", "a web page, not a picture"),
)
_MODES_16 = ("I;16", "I;16L", "I;16B", "I;16N")
_DECODER_BYTES = {"WEBP": 9, "AVIF": 9, "HEIF": 1}  # bytes per pixel used by the decoder, measured
_BAND_PIXELS = 2**18  # pixels copied at once: 64 rows of 12 megapixels stay in the cache
# Transparency is composited on black if at least a quarter of the pixels are half or more
# transparent (the corners around a round photo are 21 %) and the rest is bright: white strokes
# vanish on white. Yellow has luminance 226, orange 173; green (150) and gray show on white.
_CLEAR_ALPHA = 128  # alpha
_CLEAR_SHARE = 0.25  # of the pixels
_BRIGHT_LUMINANCE = 160  # mean luminance, weighted by opacity
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
_REVERSED, _TRANSPOSED = {3, 4, 6, 7}, {5, 6, 7, 8}  # stored rows are reversed; are columns
_MAX_BITS = 16  # bits
_USUAL_BITS = (8, 10, 12, 14, _MAX_BITS)  # bit depths of devices
_BITS_TAG, _MAX_TAGS = 258, (281, 341)  # TIFF tags: BitsPerSample, and (S)MaxSampleValue
_FIRST_CHUNK = 8  # byte of a PNG at which its chunks begin


def load_image(source: Source, *, copy: bool = True) -> Page:
    """Decodes a picture: upright, without transparency, first frame or page only.

    Transparent parts become white; if large parts are transparent and the drawing is bright, and
    would vanish on white, they become black. 16-bit gray in a file or Pillow image is scaled by the
    bits that it uses. HEIC photos and PDFs need the extra ``photo``; a page of a PDF is rendered,
    see ``photo.PDF_SIDE``.

    Args:
        source: A path, the bytes of a file, a binary file object, a Pillow image, or an array.
            An array is [H, W] gray, [H, W, 3] RGB or [H, W, 4] RGBA, and its dtype alone
            determines the scale: uint8 is 0..255, uint16 is 0..65535, bool is black and white, and
            floats are 0..1.
        copy: Whether to copy an array that is already a page. If not, the page may share its
            memory: change neither.

    Returns:
        uint8[H, W] for a gray picture, uint8[H, W, 3] for one in colour.

    Raises:
        ImageError: The file is missing, unreadable, empty, damaged, not a picture, or has more than
            ``MAX_PIXELS`` pixels, which is checked before decoding.
        MissingExtraError: A HEIC photo or a PDF, and the extra ``photo`` is not installed.
        TypeError: The type of ``source``, or the dtype of the array, is not listed above.
        ValueError: The shape of the array is not listed above, or it has floats outside 0..1.
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
    """Decodes the current frame of a Pillow image, see ``load_image``; ``name`` is for errors.

    Raises ImageError if it is damaged, has no pixels, or more than ``MAX_PIXELS``.
    """
    with quiet():
        return _decode(image, name)


def resize(
    plane: npt.NDArray[np.floating[Any]], width: int, height: int
) -> npt.NDArray[np.float32]:
    """Resizes a plane to float32[height, width]: area average, or bilinear if it is enlarged."""
    if plane.shape == (height, width):
        return plane
    shrinks = height * width < plane.size
    method = Image.Resampling.BOX if shrinks else Image.Resampling.BILINEAR
    picture = Image.fromarray(np.ascontiguousarray(plane, np.float32))
    return np.asarray(picture.resize((width, height), method))


def shrink(page: Page, longest: int) -> Page:
    """Scales a page down by area averaging so that no side is longer than ``longest`` pixels."""
    height, width = page.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return page
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(page).resize(size, Image.Resampling.BOX))


@dataclass(frozen=True)
class PictureFile:
    """A file that is open for reading."""

    stream: BinaryIO  # seekable, at its start
    name: str  # for errors
    start: bytes  # its first bytes, at least one


@contextmanager
def open_file(source: str | os.PathLike[str] | bytes | BinaryIO) -> Generator[PictureFile]:
    """Opens a path, the bytes of a file or a binary file object; closes what it opened itself.

    Raises:
        ImageError: The file is missing, unreadable or empty.
        TypeError: ``source`` has another type.
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
    """Returns whether a file with these first bytes has a single page, unlike TIFF and PDF.

    Returns False if the format is unknown: the picture has to be opened then.
    """
    if photo.is_heic(start) or photo.is_avif(start):
        return True
    return any(start.startswith(mark) for mark, name, _ in _SIGNATURES if name != "TIFF")


def open_picture(file: PictureFile) -> Image.Image:
    """Opens a picture without decoding its pixels.

    Raises:
        ImageError: The file is damaged or not a picture.
        MissingExtraError: A HEIC photo, and the extra ``photo`` is not installed.
    """
    with quiet():
        if photo.is_heic(file.start):
            return photo.open_heic(file.stream, file.name)
        return _open(file)


def too_large(size: str) -> str:
    """Returns the end of an error about a picture of more than ``MAX_PIXELS`` pixels."""
    return f"claims {size} pixels, at most {MAX_PIXELS:,} are decoded: make it smaller"


def damaged(error: Exception) -> str:
    """Returns the end of an error about a file that cannot be decoded."""
    reason = " ".join(str(error).split()) or type(error).__name__
    return f"is damaged or cut off ({reason}): save or copy it again"


_null_handler = logging.NullHandler()
_quiet_lock = threading.Lock()
_quiet_state: dict[str, Any] = {"depth": 0, "saved": None}


@contextmanager
def quiet() -> Generator[None]:
    """Suppresses Pillow's warnings and logging within the block, in any number of threads."""
    # Pillow warns and logs on odd files; here they decode or raise. `catch_warnings` alone would
    # disable warnings permanently if two threads leave it in the order in which they entered.
    logging.getLogger("PIL").addHandler(_null_handler)
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


def _open_path(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise ImageError(f"{path}: no such file") from error
    except IsADirectoryError as error:
        raise ImageError(f"{path}: is a folder, expected a picture") from error
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror or error})") from error
    except ValueError as error:  # a path with a null character
        raise ImageError(f"{str(path)!r}: is not a path ({error})") from error


def _picture_file(stream: BinaryIO, name: str) -> PictureFile:
    try:
        if not stream.seekable() or stream.tell() != 0:  # Pillow reads from the very start
            stream = io.BytesIO(_checked_bytes(stream.read(), name))
        start = _checked_bytes(stream.read(_START_BYTES), name)
        stream.seek(0)
    except OSError as error:
        raise ImageError(f"{name}: cannot be read ({error.strerror or error})") from error
    if not start:
        raise ImageError(f"{name}: is empty, expected a picture")
    return PictureFile(stream, name, start)


def _checked_bytes(content: object, name: str) -> bytes:
    if not isinstance(content, bytes):
        raise TypeError(f"expected a binary file object, {name} returns {type(content).__name__}")
    return content


def _open(file: PictureFile) -> Image.Image:
    has_avif = "avif" in features.modules and features.check_module("avif")  # not in Pillow 11.0
    avif = photo.is_avif(file.start) and has_avif
    try:
        return _open_image(file.stream, ("AVIF",) if avif else _formats(file.start))
    except _UNIDENTIFIED_ERRORS as error:
        what = "is a damaged AVIF picture: copy it again" if avif else _describe_file(file.start)
        raise ImageError(f"{file.name}: {what}") from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"{file.name}: {too_large('far more')}") from error
    except Exception as error:  # decoders raise nearly everything on hostile bytes
        raise ImageError(f"{file.name}: {damaged(error)}") from error


def _open_image(stream: BinaryIO, formats: tuple[str, ...]) -> Image.Image:
    if formats in _DIRECT_FORMATS:
        stream.seek(0)
        return Image.OPEN[formats[0]][0](stream, "")
    if formats == ("TIFF",):
        from digitlens.imaging.tiff import TiffFile  # noqa: PLC0415  (its plug-in is slow to load)

        return TiffFile(stream)
    return Image.open(stream, formats=formats)


def _formats(start: bytes) -> tuple[str, ...]:
    """Returns the format of a file with these first bytes; all allowed formats if unknown."""
    for signature, name, plugin in _SIGNATURES:
        if start.startswith(signature):
            import_module(plugin)
            return (name,)
    return FORMATS


def _describe_file(start: bytes) -> str:
    if start.startswith((b"II*\0", b"MM\0*")):
        return "is a damaged or unsupported TIFF: save it as PNG"
    head = start.lower()
    unsupported = next((what for mark, what in _UNSUPPORTED if mark.lower() in head), None)
    return f"is {unsupported}" if unsupported else f"is not a picture: {_EXPECTED}"


def _decode(image: Image.Image, name: str) -> Page:
    size = f"{image.width} x {image.height}"
    if image.width * image.height > MAX_PIXELS:
        raise ImageError(f"{name}: {too_large(size)}")
    if (needed := image.width * image.height * _bytes_per_pixel(image)) > MAX_BYTES:
        raise ImageError(
            f"{name}: claims {size} pixels, which take {needed / 1e6:.0f} MB to decode, at most "
            f"{MAX_BYTES / 1e6:.0f} MB are allowed: make it smaller"
        )
    try:
        bits = _declared_bits(image) if image.mode.startswith("I") else None
        image.load()
        orientation = 1
        with suppress(Exception):  # the pixels are usable even if EXIF is damaged
            orientation = int(image.getexif().get(_ORIENTATION, 1))
        if getattr(image, "second", None) is not None:
            image = _split_samples(image, bits)
        page = _to_page(image, bits, orientation)
    except Exception as error:  # decoders raise nearly everything on hostile bytes
        raise ImageError(f"{name}: {damaged(error)}") from error
    if page.size == 0:
        raise ImageError(f"{name}: has no pixels")
    return page


def _split_samples(tiff: Any, declared: int | None) -> Image.Image:
    """Converts a loaded ``TiffFile`` with two samples per pixel to mode L, LA or La."""
    samples = np.asarray(tiff).astype(np.uint32)
    low, high = samples & ((1 << tiff.bits) - 1), samples >> tiff.bits
    gray, second = (high, low) if tiff.gray_is_high else (low, high)
    if tiff.bits > 8:
        gray, second = _to_bytes(gray, declared), _to_bytes(second, _MAX_BITS)
    level, alpha = (Image.fromarray(plane.astype(np.uint8)) for plane in (gray, second))
    if tiff.white_is_zero:
        level = level.point(range(255, -1, -1))
    mode = {1: "La", 2: "LA"}.get(tiff.second)
    return Image.merge(mode, (level, alpha)) if mode else level


def _to_page(image: Image.Image, bits: int | None, orientation: int) -> Page:
    if image.mode in ("I", "F", *_MODES_16):
        array = np.asarray(_turn_upright(image, orientation))
        return _from_array(array) if image.mode == "F" else _to_bytes(array, bits)
    if "A" in image.mode or "a" in image.mode or "transparency" in image.info:
        return _flatten(image, orientation)
    return _pixels(image, "L" if image.mode in ("1", "L") else "RGB", orientation)


def _turn_upright(image: Image.Image, orientation: int) -> Image.Image:
    turn = _UPRIGHT.get(orientation)
    return image if turn is None else image.transpose(turn)


def _bytes_per_pixel(image: Image.Image) -> int:
    """Returns the peak memory of decoding: Pillow's copies, the decoder's buffers, the page."""
    image_bytes = {"1": 1, "L": 1, "P": 1}.get(image.mode, 2 if image.mode in _MODES_16 else 4)
    page_bytes = 1 if image.mode in ("1", "L", "LA", "La", *_MODES_16) else 3
    decoder_bytes = _DECODER_BYTES.get(image.format or "", 0)
    if "progressive" in image.info:  # a JPEG whose coefficients are all kept in memory
        decoder_bytes = 2 * len(image.getbands())
    elif image_bytes == 2 or image.mode in "IF":
        decoder_bytes = 3 if image_bytes == 2 else 12
    return image_bytes + decoder_bytes + page_bytes


def _pixels(image: Image.Image, mode: str, orientation: int, paper: int | None = None) -> Page:
    """Returns upright pixels in mode L or RGB, composited on the gray level ``paper`` if given.

    Works on one band of rows at a time: ``np.array`` of the whole image holds three copies at once,
    and takes 125 ms for 12 megapixels instead of 30.
    """
    columns, height = orientation in _TRANSPOSED, image.height
    size = (image.width, height) if columns else (height, image.width)
    page = np.empty((*size, 3)[: 2 + (mode == "RGB")], np.uint8)
    rows = page.swapaxes(0, 1) if columns else page  # indexed by stored rows
    top = 0
    for band in _bands(image):
        flat = band
        if paper is not None:
            backdrop = Image.new("RGBA", band.size, (paper, paper, paper, 255))
            flat = Image.alpha_composite(backdrop, _with_alpha(band))
        flat = _turn_upright(flat if flat.mode == mode else flat.convert(mode), orientation)
        end = top + band.height
        start = height - end if orientation in _REVERSED else top
        pixels = np.asarray(flat)
        rows[start : start + band.height] = pixels.swapaxes(0, 1) if columns else pixels
        top = end
    return page


def _bands(image: Image.Image) -> Iterator[Image.Image]:
    rows = max(1, _BAND_PIXELS // max(1, image.width))
    for top in range(0, image.height, rows):
        yield image.crop((0, top, image.width, min(top + rows, image.height)))


def _flatten(image: Image.Image, orientation: int = 1) -> Page:
    alphas = np.zeros(256, np.int64)
    for band in map(_with_alpha, _bands(image)):
        alphas += band.getchannel("A").histogram()
    mode = "L" if image.mode in ("1", "L", "LA", "La") else "RGB"
    if image.mode in ("LA", "RGBA") and alphas[-1] == image.width * image.height:
        return _pixels(image, mode, orientation)  # fully opaque
    return _pixels(image, mode, orientation, _background_for(image, alphas))


def _with_alpha(image: Image.Image) -> Image.Image:
    return (image.convert("LA") if image.mode == "La" else image).convert("RGBA")


def _background_for(image: Image.Image, alphas: npt.NDArray[np.int64]) -> int:
    """Returns the background on which an image is visible, 255 or 0, given its alpha histogram."""
    if alphas[:_CLEAR_ALPHA].sum() < _CLEAR_SHARE * image.width * image.height:
        return _WHITE
    light = 0  # luminance times alpha; exact, as it is far below 2**53
    for band in map(_with_alpha, _bands(image)):
        planes = (band.convert("L"), band.getchannel("A"))
        luminance, alpha = (np.asarray(plane, np.float64).ravel() for plane in planes)
        light += int(luminance @ alpha)
    return _BLACK if light > _BRIGHT_LUMINANCE * int(alphas @ np.arange(256)) else _WHITE


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


def _declared_bits(image: Any) -> int | None:
    """Returns the significant bits of samples as declared by the file; None if undeclared.

    PNG declares them by ``sBIT``, TIFF by ``BitsPerSample`` or ``MaxSampleValue``; for PPM, Pillow
    has already scaled the samples to 16 bits. Must be called before the pixels are loaded, which
    closes the file.
    """
    if image.format == "PPM":
        return _MAX_BITS
    if image.format == "PNG":
        return _significant_bits(image.fp)
    if image.format == "TIFF":
        return _tagged_bits(image.tag_v2)
    return None


def _to_bytes(samples: npt.NDArray[np.integer[Any]], declared: int | None) -> Page:
    """Scales gray int[H, W], 0..65535, so that the largest value of its depth becomes 255.

    The depth is that declared by the file, unless there are larger values: a PNG of 12 bits may
    have been scaled to 16, as it should. If undeclared, it is the smallest usual depth that holds
    all values. A dark 16-bit picture that uses at most 14 bits becomes brighter, which is harmless:
    only contrast matters. Raises ValueError for other values.
    """
    lowest, highest = int(samples.min(initial=0)), int(samples.max(initial=0))
    if lowest < 0 or highest >= 1 << _MAX_BITS:
        raise ValueError("32-bit integers have no known scale; save it with 8 or 16 bits")
    bits = _usual_bits(highest) if declared is None else declared
    full_scale = (1 << (bits if highest < 1 << bits else _MAX_BITS)) - 1
    page, rows = np.empty(samples.shape, np.uint8), max(1, _BAND_PIXELS // max(1, samples.shape[1]))
    for top in range(0, len(samples), rows):
        band = samples[top : top + rows].astype(np.uint32)
        page[top : top + rows] = (band * 255 + full_scale // 2) // full_scale
    return page


def _usual_bits(highest: int) -> int:
    return next(bits for bits in _USUAL_BITS if highest < 1 << bits)


def _significant_bits(file: Any) -> int | None:
    """Reads the chunk sBIT, which Pillow ignores; restores the position in the file."""
    if file is None:
        return None
    position, offset, name, head = file.tell(), _FIRST_CHUNK, b"", b""
    while name not in {b"sBIT", b"IDAT"}:
        file.seek(offset)
        head = file.read(9)
        if len(head) < 9:
            break
        name = head[4:8]
        offset += 12 + int.from_bytes(head[:4], "big")
    file.seek(position)
    return head[8] if name == b"sBIT" and 1 <= head[8] <= _MAX_BITS else None


def _tagged_bits(tags: Any) -> int | None:
    bits = max(_integers(tags.get(_BITS_TAG)), default=_MAX_BITS)
    if 1 <= bits < _MAX_BITS:
        return bits
    largest = max((number for tag in _MAX_TAGS for number in _integers(tags.get(tag))), default=0)
    return _usual_bits(largest) if 0 < largest < 1 << _MAX_BITS else None


def _integers(value: Any) -> list[int]:
    """Returns the integers in the value of a tag, which may be of any type."""
    return [v for v in (value if isinstance(value, tuple) else (value,)) if isinstance(v, int)]
