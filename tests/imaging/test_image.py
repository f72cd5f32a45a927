import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from digitlens.errors import ImageError
from digitlens.imaging.image import MAX_PIXELS, load_image, resize

COLOUR = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
GRAY = COLOUR[:, :, 0]
LOSSLESS = {"PNG": {}, "BMP": {}, "TIFF": {}, "PPM": {}, "WEBP": {"lossless": True}}


def encoded(array, form="PNG", mode=None, **options):
    picture = Image.fromarray(array)
    stream = io.BytesIO()
    (picture.convert(mode) if mode else picture).save(stream, form, **options)
    return stream.getvalue()


def chunk(name, content):
    check = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + check


def png(width, height, bits, pixels, *chunks):
    """A grayscale PNG, written chunk by chunk."""
    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    all_of_it = (b"IHDR", header), *chunks, (b"IDAT", zlib.compress(pixels)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in all_of_it)


@pytest.mark.parametrize("form", LOSSLESS)
def test_lossless_formats_are_decoded_exactly(form):
    assert np.array_equal(load_image(encoded(COLOUR, form, **LOSSLESS[form])), COLOUR)


@pytest.mark.parametrize(
    ("form", "mode", "most"),
    [
        ("JPEG", None, 3),
        ("GIF", None, 8),
        ("TIFF", "CMYK", 60),
        ("JPEG", "CMYK", 60),
        ("PNG", "P", 60),
    ],
)
def test_lossy_formats_and_other_colour_models_are_decoded_closely(form, mode, most):
    page = load_image(encoded(np.full((8, 8, 3), (200, 40, 90), np.uint8), form, mode))
    assert page.shape == (8, 8, 3)
    assert np.abs(page.astype(int) - (200, 40, 90)).max() <= most


def test_all_sources_give_the_same_page(tmp_path):
    content = encoded(COLOUR)
    path = tmp_path / "a picture.png"
    path.write_bytes(content)
    sources = [path, str(path), content, io.BytesIO(content), Image.fromarray(COLOUR), COLOUR]
    with path.open("rb") as stream:
        assert all(np.array_equal(load_image(source), COLOUR) for source in [*sources, stream])


def test_stream_is_read_from_its_position_even_if_it_cannot_seek():
    class Pipe(io.RawIOBase):
        content = io.BytesIO(encoded(COLOUR))

        def read(self, size=-1):
            return self.content.read(size)

    stream = io.BytesIO(b"before" + encoded(COLOUR, "BMP"))
    stream.seek(6)
    assert np.array_equal(load_image(Pipe()), COLOUR)
    assert np.array_equal(load_image(stream), COLOUR)


@pytest.mark.parametrize(
    ("orientation", "stored"),
    [
        (1, COLOUR),
        (2, COLOUR[:, ::-1]),
        (3, COLOUR[::-1, ::-1]),
        (4, COLOUR[::-1]),
        (5, COLOUR.transpose(1, 0, 2)),
        (6, np.rot90(COLOUR)),
        (7, np.rot90(COLOUR, 2).transpose(1, 0, 2)),
        (8, np.rot90(COLOUR, -1)),
    ],
)
@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP"])
def test_exif_orientation_is_applied(orientation, stored, form):
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(np.ascontiguousarray(stored), form, exif=exif, **LOSSLESS[form])
    assert np.array_equal(load_image(content), COLOUR)


def test_damaged_exif_is_ignored():
    content = encoded(COLOUR, exif=b"Exif\0\0MM\0*\0\0\0\xffdamaged")
    assert np.array_equal(load_image(content), COLOUR)


def test_transparency_of_gray_and_palette_is_flattened_on_white():
    gray = np.zeros((4, 4, 2), np.uint8)
    gray[0, :, 1] = 255
    page = load_image(encoded(gray))
    assert page.tolist() == [[0] * 4, *[[255] * 4] * 3]
    for ink, paper in ((255, 0), (0, 255)):
        strokes = np.uint8(np.where(np.eye(4), ink, paper))
        palette = Image.fromarray(strokes).convert("P")
        stream = io.BytesIO()
        palette.save(stream, "PNG", transparency=palette.getpixel((1, 0)))
        page = load_image(stream.getvalue())
        assert (page[0, 0].tolist(), page[0, 1].tolist()) == ([ink] * 3, [paper] * 3)


def drawn(*colours, size=(60, 40)):
    """Strokes of these colours side by side on a transparent canvas."""
    picture = Image.new("RGBA", size)
    pen = ImageDraw.Draw(picture)
    for k, colour in enumerate(colours):
        pen.line([(10 + 12 * k, 8), (14 + 12 * k, 32)], colour, 5)
    return picture


WHITE, BLACK, CLEAR = (255, 255, 255), (0, 0, 0), (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("colours", "paper"),
    [
        ([WHITE], 0),
        ([(255, 255, 0)], 0),
        ([(0, 255, 255)], 0),
        ([(190, 190, 190)], 0),
        ([(*WHITE, 100)], 0),
        ([WHITE, (*BLACK, 100)], 0),  # a shadow
        ([(128, 128, 128)], 255),
        ([(255, 0, 0)], 255),
        ([BLACK], 255),
        ([(*BLACK, 60)], 255),
        ([WHITE, BLACK], 255),
        ([], 255),
    ],
)
def test_transparency_is_flattened_on_a_contrasting_background(colours, paper):
    picture = drawn(*colours)
    page = load_image(picture)
    assert page[0, 0].tolist() == [paper] * 3
    assert np.array_equal(load_image(np.asarray(picture)), page)
    assert np.array_equal(load_image(encoded(np.asarray(picture))), page)
    below = Image.new("RGBA", picture.size, (paper, paper, paper, 255))
    assert np.array_equal(page, np.asarray(Image.alpha_composite(below, picture))[:, :, :3])


def test_gray_strokes_bright_photos_and_veils_are_flattened():
    gray = drawn(WHITE).convert("LA")
    assert np.array_equal(load_image(gray), np.asarray(gray)[:, :, 0])
    photo = Image.new("RGBA", (90, 90), CLEAR)  # with transparent corners
    ImageDraw.Draw(photo).ellipse((0, 0, 89, 89), fill=(250, 248, 240))
    assert load_image(photo)[0, 0].tolist() == [255] * 3
    veil = np.full((20, 20, 4), (255, 255, 255, 180), np.uint8)
    assert (load_image(veil) == 255).all()


@pytest.mark.parametrize("level", [0, 130, 250])
def test_opaque_alpha_channel_changes_nothing(level):
    colour = np.clip(COLOUR // 8 + level, 0, 255).astype(np.uint8)
    opaque = np.dstack([colour, np.full(colour.shape[:2], 255, np.uint8)])
    assert np.array_equal(load_image(opaque), colour)
    assert np.array_equal(load_image(encoded(opaque)), colour)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_gray_in_16_bits_is_scaled_by_the_bits_it_uses(bits, form):
    full = (1 << bits) - 1
    samples = np.array([[0, full // 2, full]], np.uint16)
    assert load_image(encoded(samples, form)).tolist() == [[0, 127, 255]]
    assert load_image(Image.fromarray(samples)).tolist() == [[0, 127, 255]]
    assert load_image(samples)[0, 2] == round(full / 257)  # arrays are scaled by their dtype


def test_integers_of_32_bits_are_read_if_they_fit_16():
    samples = np.array([[0, 2048, 4095]], np.int32)
    assert load_image(encoded(samples, "TIFF")).tolist() == [[0, 128, 255]]
    for other in (-1, 65536):
        with pytest.raises(ImageError, match="no known scale"):
            load_image(encoded(np.array([[0, other]], np.int32), "TIFF"))


def test_array_is_copied_unless_the_caller_declines():
    assert not np.shares_memory(load_image(GRAY), GRAY)
    assert load_image(COLOUR, copy=False) is COLOUR
    flipped = load_image(COLOUR[:, :, ::-1], copy=False)
    assert flipped.flags.c_contiguous
    assert np.array_equal(load_image(GRAY[:, :, None], copy=False), GRAY)


@pytest.mark.parametrize("form", ["GIF", "TIFF"])
def test_only_the_first_frame_is_read(form):
    frames = [Image.fromarray(np.full((4, 4), value, np.uint8)) for value in (10, 200)]
    stream = io.BytesIO()
    frames[0].save(stream, form, save_all=True, append_images=frames[1:])
    assert load_image(stream.getvalue()).flat[0] == 10


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.array([[True, False]]), [[255, 0]]),
        (np.array([[0.0, 0.5, 1.0]]), [[0, 128, 255]]),
        (np.array([[0.0, 0.001]], np.float32), [[0, 0]]),  # dark, and not brightened
        (np.array([[[7], [9]]], np.uint8), [[7, 9]]),
    ],
)
def test_dtype_of_an_array_decides_its_scale(array, expected):
    page = load_image(array)
    assert page.dtype == np.uint8
    assert page.tolist() == expected


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (np.array([[0.0, 255.0]]), ValueError, "floats in 0..1"),
        (np.array([[np.nan]]), ValueError, "floats in 0..1"),
        (np.array([[1, 2]]), TypeError, "found int64"),
        (np.zeros(5, np.uint8), ValueError, r"found \[5\]"),
        (np.zeros((5, 5, 2), np.uint8), ValueError, r"found \[5, 5, 2\]"),
        (np.zeros((0, 5), np.uint8), ImageError, "no pixels"),
        (17, TypeError, "found int"),
        (io.StringIO("text"), TypeError, "expected a binary file object, image returns str"),
    ],
)
def test_invalid_arrays_and_objects_are_refused(source, error, message):
    with pytest.raises(error, match=message):
        load_image(source)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"Dear reader", "not a picture: expected PNG, JPEG"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG drawing: export it as PNG"),
        (encoded(np.tile(COLOUR, (20, 20, 1)))[:300], "damaged or cut off"),
        (encoded(np.tile(COLOUR, (20, 20, 1)), "JPEG")[:1500], "damaged or cut off"),
        (encoded(COLOUR)[:20], "damaged|not a picture"),
    ],
)
def test_files_that_are_not_pictures_are_refused_in_one_line(content, message, tmp_path):
    path = tmp_path / "file.png"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=message) as caught:
        load_image(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_missing_and_wrong_paths_are_refused(tmp_path, monkeypatch):
    with pytest.raises(ImageError, match=r"none\.png: no such file"):
        load_image(tmp_path / "none.png")
    with pytest.raises(ImageError, match="is a folder"):
        load_image(tmp_path)
    with pytest.raises(ImageError, match="is not a path"):
        load_image("a\0b")

    def refuse(*_args, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ImageError, match=r"cannot be read \(Permission denied\)"):
        load_image(tmp_path / "secret.png")


@pytest.mark.parametrize("size", [(50_000, 50_000), (MAX_PIXELS // 100, 101), (2**31 - 1, 1)])
def test_a_small_file_that_claims_an_absurd_size_is_refused(size):
    with pytest.raises(ImageError, match="at most 100,000,000 are decoded"):
        load_image(png(*size, 8, bytes(1000)))


def test_decoding_restores_the_warning_filters():
    before = list(warnings.filters)
    load_image(encoded(COLOUR))
    assert warnings.filters == before


def png_of_16_bits(samples, significant=None):
    """A PNG of 16 bits, optionally with the chunk sBIT."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    says = [] if significant is None else [(b"sBIT", bytes([significant]))]
    gamma = (b"gAMA", struct.pack(">I", 45455))
    return png(*samples.shape[::-1], 16, rows, gamma, *says)


def gray_tiff(samples, largest=None):
    return encoded(samples, "TIFF", tiffinfo={} if largest is None else {281: largest})


def raw_tiff(samples, bits, order="<", **tags):
    """A TIFF written tag by tag, for variants that no encoder here writes.

    Args:
        samples: [H, W, S], the samples of all pixels.
        bits: Bits per sample: 8, 12 (two samples in three bytes) or 16.
        order: Byte order, ``<`` or ``>``.
        tags: Additional tags, as ``t338=2``; they override the defaults of 259, 262 and so on.
    """
    height, width, count = samples.shape
    if bits == 12:
        pairs = samples.reshape(-1, 2).astype(int)
        high, middle = pairs[:, 0] >> 4, (pairs[:, 0] & 15) << 4 | pairs[:, 1] >> 8
        data = np.stack([high, middle, pairs[:, 1] & 255], axis=1).astype(np.uint8).tobytes()
    else:
        data = samples.astype(f"{order}u{bits // 8}").tobytes()
    data = zlib.compress(data) if tags.get("t259") == 8 else data
    usual = {256: width, 257: height, 258: bits, 259: 1, 262: 1, 273: 8, 277: count, 278: height}
    entries = usual | {279: len(data)} | {int(tag[1:]): value for tag, value in tags.items()}
    listed = b"".join(
        struct.pack(f"{order}HHII", tag, 4, 1, value) for tag, value in sorted(entries.items())
    )
    start = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}I", 8 + len(data))
    return start + data + struct.pack(f"{order}H", len(entries)) + listed + bytes(4)


DARK = np.array([[0, 1000, 2000, 4000]], np.uint16)


@pytest.mark.parametrize(
    ("content", "full"),
    [
        (png_of_16_bits(DARK), 4095),
        (png_of_16_bits(DARK, 12), 4095),
        (png_of_16_bits(DARK, 13), 8191),
        (png_of_16_bits(DARK, 16), 65535),  # as declared: the picture is dark
        (png_of_16_bits(16 * DARK, 12), 65535),  # scaled to 16 bits, as a PNG should be
        (png_of_16_bits(DARK, 0), 4095),  # invalid
        (gray_tiff(DARK), 4095),
        (gray_tiff(DARK, largest=16383), 16383),
        (gray_tiff(DARK, largest=65535), 65535),
        (gray_tiff(DARK, largest=255), 65535),  # too small
        (gray_tiff(DARK, largest=0), 4095),
        (raw_tiff((DARK // 8)[:, :, None], 12), 4095),
    ],
)
def test_bit_depth_declared_by_a_file_precedes_its_values(content, full):
    with Image.open(io.BytesIO(content)) as picture:
        samples = np.asarray(picture).astype(float)
    expected = np.floor(samples * 255 / full + 0.5)
    assert np.abs(load_image(content) - expected).max() <= 0
    assert np.array_equal(load_image(Image.open(io.BytesIO(content))), load_image(content))


def test_pgm_is_scaled_by_its_declared_maximum():
    samples = struct.pack(">4H", *DARK[0])
    assert load_image(b"P5 4 1 65535\n" + samples).tolist() == [[0, 4, 8, 16]]
    assert load_image(b"P5 4 1 4095\n" + samples).tolist() == [[0, 62, 125, 249]]


TRANSPARENT = np.dstack([GRAY, np.where(np.arange(9) < 5, 255, 0) + 0 * GRAY])
ON_WHITE = np.where(TRANSPARENT[:, :, 1] == 255, GRAY, 255)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("packing", [1, 8])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({}, GRAY),  # the file does not say what the second sample is
        ({"t338": 0}, GRAY),  # it says "unspecified"
        ({"t338": 2}, ON_WHITE),
        ({"t338": 2, "t262": 0}, np.where(TRANSPARENT[:, :, 1] == 255, 255 - GRAY, 255)),
        ({"t274": 6}, np.rot90(GRAY, -1)),
    ],
)
def test_second_sample_of_a_tiff_is_alpha_only_if_declared(order, packing, bits, tags, expected):
    samples = TRANSPARENT.astype(int) * (257 if bits == 16 else 1)
    page = load_image(raw_tiff(samples, bits, order, t259=packing, **tags))
    assert page.dtype == np.uint8
    assert np.array_equal(page, expected)


def test_premultiplied_gray_is_flattened_on_white():
    samples = TRANSPARENT.astype(int) * (TRANSPARENT[:, :, 1:] // 255)
    for bits, scale in ((8, 1), (16, 257)):
        assert np.array_equal(load_image(raw_tiff(samples * scale, bits, t338=1)), ON_WHITE)


@pytest.mark.parametrize("tags", [{"t284": 2}, {"t277": 3}, {"t258": 2}])
def test_unsupported_tiff_is_refused_as_such(tags):
    with pytest.raises(ImageError, match="unsupported TIFF: save it as PNG"):
        load_image(raw_tiff(TRANSPARENT, 8, **tags))


def is_page_or_refused(content):
    try:
        page = load_image(content)
    except ImageError as error:
        return "\n" not in str(error)
    return page.dtype == np.uint8 and page.ndim in (2, 3) and page.size > 0


SEEDS = [
    *(encoded(COLOUR, form, **options) for form, options in LOSSLESS.items()),
    encoded(COLOUR, "JPEG"),
    encoded(GRAY, "GIF"),
    encoded(GRAY, "TIFF", compression="tiff_lzw"),
    encoded(GRAY.astype(np.uint16), "PNG"),
    raw_tiff(TRANSPARENT, 8),
]


@given(st.binary(max_size=300))
def test_random_bytes_never_crash_the_decoder(content):
    assert is_page_or_refused(content)


@settings(max_examples=300)
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=6),
    st.integers(1, 600),
)
def test_damaged_files_never_crash_the_decoder(content, changes, length):
    damaged = bytearray(content)
    for place, value in changes:
        damaged[place % len(damaged)] = value
    assert is_page_or_refused(bytes(damaged[:length]))


def test_resize_averages_areas():
    plane = np.arange(24, dtype=np.float32).reshape(4, 6)
    means = plane.reshape(2, 2, 3, 2).mean(axis=(1, 3))
    assert np.allclose(resize(plane, 3, 2), means)
    assert resize(plane, 12, 8).shape == (8, 12)
