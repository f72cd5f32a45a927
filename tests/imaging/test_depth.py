"""How many bits gray uses: what its file says, and else what its values say."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from digitlens.imaging.images import load_image


def chunk(name, content):
    check = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + check


def png(samples, significant=None):
    """A PNG of 16 bits, perhaps with the chunk sBIT."""
    height, width = samples.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    says = b"" if significant is None else chunk(b"sBIT", bytes([significant]))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 0, 0, 0, 0))
        + chunk(b"gAMA", struct.pack(">I", 45455))
        + says
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def tiff(samples, **tags):
    stream = io.BytesIO()
    numbers = {"largest": 281}
    info = {numbers[name]: value for name, value in tags.items()}
    Image.fromarray(samples).save(stream, "TIFF", tiffinfo=info)
    return stream.getvalue()


def packed_tiff(samples):
    """A TIFF of 12 bits a sample, two in three bytes."""
    height, width = samples.shape
    pairs = samples.reshape(-1, 2).astype(int)
    high, middle = pairs[:, 0] >> 4, (pairs[:, 0] & 15) << 4 | pairs[:, 1] >> 8
    data = np.stack([high, middle, pairs[:, 1] & 255], axis=1).astype(np.uint8).tobytes()
    tags = [(256, width), (257, height), (258, 12), (259, 1), (262, 1)]
    tags += [(273, 8), (277, 1), (278, height), (279, len(data))]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + directory


DARK = np.array([[0, 1000, 2000, 4000]], np.uint16)


@pytest.mark.parametrize(
    ("content", "full"),
    [
        (png(DARK), 4095),
        (png(DARK, 12), 4095),
        (png(DARK, 13), 8191),
        (png(DARK, 16), 65535),  # it says so: the picture is dark
        (png(16 * DARK, 12), 65535),  # scaled to 16 bits, as a PNG should be
        (png(DARK, 0), 4095),  # nonsense
        (tiff(DARK), 4095),
        (tiff(DARK, largest=16383), 16383),
        (tiff(DARK, largest=65535), 65535),
        (tiff(DARK, largest=255), 65535),  # wrong
        (tiff(DARK, largest=0), 4095),
        (packed_tiff(DARK // 8), 4095),
    ],
)
def test_the_file_is_asked_before_the_values(content, full):
    with Image.open(io.BytesIO(content)) as picture:
        samples = np.asarray(picture).astype(float)
    expected = np.floor(samples * 255 / full + 0.5)
    assert np.abs(load_image(content) - expected).max() <= 0
    assert np.array_equal(load_image(Image.open(io.BytesIO(content))), load_image(content))


def test_a_pgm_says_its_largest_value():
    samples = struct.pack(">4H", *DARK[0])
    assert load_image(b"P5 4 1 65535\n" + samples).tolist() == [[0, 4, 8, 16]]
    assert load_image(b"P5 4 1 4095\n" + samples).tolist() == [[0, 62, 125, 249]]
