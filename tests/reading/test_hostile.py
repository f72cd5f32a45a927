"""Whatever it is given, the reader answers with a reading or with an error that says why."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from digitlens.errors import ImageError
from digitlens.reading.reader import DigitReader
from digitlens.results import Reading

MOST_SURE = 1 / 12  # share of noise pages on which anything at all may be stated as sure

FORMS = {
    "PNG": {}, "JPEG": {}, "GIF": {}, "BMP": {}, "PPM": {}, "WEBP": {"lossless": True},
    "TIFF": {"compression": "tiff_lzw"},
}  # fmt: skip


@pytest.fixture(scope="module")
def reader():
    return DigitReader(threads=1)


@pytest.fixture(scope="module")
def answered(reader):
    """Whether bytes are read, or refused in one line."""

    def answered(content):
        try:
            reading = reader.read(content)
        except ImageError as error:
            return "\n" not in str(error)
        return is_whole(reading)

    return answered


def is_whole(reading):
    """Whether a reading holds what it should, wherever it comes from."""
    return isinstance(reading, Reading) and all(
        0 <= digit.box.x0 < digit.box.x1 <= reading.width
        and 0 <= digit.box.y0 < digit.box.y1 <= reading.height
        and 0 <= digit.confidence <= 1
        and abs(sum(digit.probabilities) - 1) < 1e-3
        and (digit.status == "digit") == (not digit.reason)
        for line in reading.lines
        for digit in line
    )


def encoded(form):
    """A small picture with a digit of sorts, as a file."""
    page = np.full((24, 32), 240, np.uint8)
    page[4:20, 14:18] = 10
    Image.fromarray(page).save(stream := io.BytesIO(), form, **FORMS[form])
    return stream.getvalue()


FILES = [encoded(form) for form in FORMS]


@pytest.mark.parametrize("content", FILES, ids=FORMS)
def test_the_files_that_are_damaged_below_are_read_when_whole(reader, content):
    assert is_whole(reader.read(content))


@given(content=st.binary(max_size=200))
def test_no_bytes_crash_it(answered, content):
    assert answered(content)


@settings(max_examples=60)
@given(content=st.sampled_from(FILES), share=st.floats(0, 1))
def test_no_file_that_is_cut_off_crashes_it(answered, content, share):
    assert answered(content[: round(share * len(content))])


@settings(max_examples=120)
@given(
    content=st.sampled_from(FILES),
    flips=st.lists(st.tuples(st.integers(0, 999), st.integers(0, 7)), min_size=1, max_size=8),
)
def test_no_flipped_bits_crash_it(answered, content, flips):
    damaged = bytearray(content)
    for place, bit in flips:
        damaged[place % len(damaged)] ^= 1 << bit
    assert answered(bytes(damaged))


def png_claiming(width, height):
    """A PNG of a few bytes whose header claims any size."""

    def chunk(name, content):
        check = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(50_000, 50_000), (10_001, 10_000), (2**31 - 1, 1)])
def test_absurd_sizes_are_refused_before_they_are_decoded(reader, monkeypatch, size):
    def decode(*_arguments):
        raise AssertionError("pixels were decoded")

    monkeypatch.setattr(Image.Image, "load", decode)
    with pytest.raises(ImageError, match="at most 100,000,000 are decoded"):
        reader.read(png_claiming(*size))


@pytest.mark.parametrize("shape", [(1, 1), (1, 4000), (4000, 1), (1, 1, 3), (2, 4000, 3), (3, 2)])
@pytest.mark.parametrize("level", [None, 0, 255])
def test_pages_of_a_pixel_and_strips_are_read(reader, shape, level):
    random = np.random.default_rng(0)
    page = random.integers(0, 256, shape, np.uint8) if level is None else np.full(shape, level)
    reading = reader.read(page.astype(np.uint8))
    assert is_whole(reading)
    assert (reading.height, reading.width) == shape[:2]


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -0.1, 255.0])
def test_floats_that_are_no_gray_levels_are_refused(reader, wrong):
    with pytest.raises(ValueError, match=r"expected floats in 0\.\.1"):
        reader.read(np.full((20, 30), wrong))


@pytest.mark.parametrize("start", range(16))
def test_pages_of_one_gray_hold_no_digits(reader, start):
    levels = range(start, 256, 16)
    readings = reader.read_many(np.full((40, 50), level, np.uint8) for level in levels)
    assert [reading.digits for reading in readings] == [()] * 16


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 0, 255), (250, 240, 200), (1, 254, 3)])
def test_pages_of_one_colour_hold_no_digits(reader, colour):
    page = np.broadcast_to(np.array(colour, np.uint8), (90, 160, 3))
    assert reader.read(page).digits == ()


def noise_pages():
    """Grain, specks, blots and stripes, none of which a person would read."""
    random = np.random.default_rng(0)
    for k, shape in enumerate([(120, 180), (150, 150), (200, 90)] * 2):
        yield random.integers(0, 256, shape)
        yield random.normal(200, 4 * 2**k, shape)
        yield np.where(random.random((*shape, 1)) < 0.02 * (k + 1), 0, random.normal(240, 3, 3))
        yield np.repeat(random.normal(160, 40, (1, shape[1])), shape[0], axis=0)
        yield 128 + 50 * blurred(random.normal(0, 1, shape), 3 + k)
        yield np.add.outer(np.linspace(250, 20 * k, shape[0]), random.normal(0, 9, shape[1]))


def blurred(noise, reach):
    """Noise without what is finer than so many pixels, with a deviation of 1."""
    rows, columns = (np.fft.fftfreq(side) ** 2 for side in noise.shape)
    fine = np.exp(-2 * (np.pi * reach) ** 2 * np.add.outer(rows, columns))
    soft = np.fft.ifft2(np.fft.fft2(noise) * fine).real
    return (soft - soft.mean()) / soft.std()


def test_next_to_nothing_is_stated_as_sure_on_noise(reader):
    pages = [np.clip(page, 0, 255).astype(np.uint8) for page in noise_pages()]
    readings = list(reader.read_many(pages))
    assert all(is_whole(reading) for reading in readings)
    stated = [any(digit.status == "digit" for digit in reading.digits) for reading in readings]
    assert np.mean(stated) <= MOST_SURE
