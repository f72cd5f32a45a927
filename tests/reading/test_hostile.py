"""The reader returns a valid reading of any page; files are tested in tests/imaging."""

import numpy as np
import pytest

from digitlens.results import Reading

MOST_SURE = 1 / 12  # fraction of noise pages on which any digit may be stated as sure


def is_whole(reading):
    """Whether the boxes, probabilities, statuses and reasons of a reading are valid."""
    return isinstance(reading, Reading) and all(
        0 <= digit.box.x0 < digit.box.x1 <= reading.width
        and 0 <= digit.box.y0 < digit.box.y1 <= reading.height
        and 0 <= digit.confidence <= 1
        and abs(sum(digit.probabilities) - 1) < 1e-3
        and (digit.status == "digit") == (not digit.reason)
        for line in reading.lines
        for digit in line
    )


@pytest.mark.parametrize("shape", [(1, 1), (1, 4000), (4000, 1), (28, 28, 3), (2, 4000, 3), (3, 2)])
@pytest.mark.parametrize("level", [None, 0, 255])
def test_single_pixels_and_strips_are_read(reader, shape, level):
    random = np.random.default_rng(0)
    page = random.integers(0, 256, shape, np.uint8) if level is None else np.full(shape, level)
    reading = reader.read(page.astype(np.uint8))
    assert is_whole(reading)
    assert (reading.height, reading.width) == shape[:2]
    assert level is None or (reading.digits, reading.text) == ((), "")


def test_pages_of_one_gray_hold_no_digits(reader):
    levels = range(0, 256, 5)
    readings = reader.read_many(np.full((40, 50), level, np.uint8) for level in levels)
    assert [reading.digits for reading in readings] == [()] * len(levels)


@pytest.mark.parametrize("colour", [(255, 0, 0), (0, 0, 255), (250, 240, 200), (1, 254, 3)])
def test_pages_of_one_colour_hold_no_digits(reader, colour):
    page = np.broadcast_to(np.array(colour, np.uint8), (90, 160, 3))
    assert reader.read(page).digits == ()


def noise_pages():
    """Grain, specks, blots and stripes, without anything that a person would read."""
    random = np.random.default_rng(0)
    for k, shape in enumerate([(120, 180), (150, 150), (200, 90)] * 2):
        yield random.integers(0, 256, shape)
        yield random.normal(200, 4 * 2**k, shape)
        yield np.where(random.random((*shape, 1)) < 0.02 * (k + 1), 0, random.normal(240, 3, 3))
        yield np.repeat(random.normal(160, 40, (1, shape[1])), shape[0], axis=0)
        yield 128 + 50 * blurred(random.normal(0, 1, shape), 3 + k)
        yield np.add.outer(np.linspace(250, 20 * k, shape[0]), random.normal(0, 9, shape[1]))


def blurred(noise, reach):
    """Noise blurred by a Gaussian of ``reach`` pixels, with a standard deviation of 1."""
    rows, columns = (np.fft.fftfreq(side) ** 2 for side in noise.shape)
    fine = np.exp(-2 * (np.pi * reach) ** 2 * np.add.outer(rows, columns))
    soft = np.fft.ifft2(np.fft.fft2(noise) * fine).real
    return (soft - soft.mean()) / soft.std()


def test_hardly_any_digit_is_stated_as_sure_on_noise(reader):
    pages = [np.clip(page, 0, 255).astype(np.uint8) for page in noise_pages()]
    readings = list(reader.read_many(pages))
    assert all(is_whole(reading) for reading in readings)
    stated = [any(digit.status == "digit" for digit in reading.digits) for reading in readings]
    assert np.mean(stated) <= MOST_SURE
