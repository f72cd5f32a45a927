import numpy as np
import pytest

from digitlens.recognition.ink import WORK, separate_ink

COLOURS = {
    "black on white": ((0, 0, 0), (255, 255, 255)),
    "white on black": ((255, 255, 255), (0, 0, 0)),
    "pencil": ((176, 176, 176), (214, 214, 210)),
    "yellow on white": ((240, 225, 60), (250, 250, 250)),
    "red on green of the same gray": ((186, 70, 70), (70, 122, 70)),
    "blue on red": ((40, 60, 210), (200, 40, 40)),
}


def painted(ink, pen, paper):
    return ink[..., None] * np.array(pen) + (1 - ink[..., None]) * np.array(paper)


@pytest.mark.parametrize("colours", COLOURS.values(), ids=COLOURS)
def test_ink_of_any_colour_stands_out_from_its_paper(write, grain, colours):
    drawn = write("259", pen=12)
    ink = separate_ink(grain(painted(drawn, *colours)))
    marked = ink.strength > ink.threshold
    assert marked[drawn == 1].mean() > 0.95
    assert marked[drawn == 0].mean() < 0.01


@pytest.mark.parametrize("invert", [False, True])
def test_a_gray_page_is_read_in_both_polarities(write, grain, invert):
    drawn = write("61", pen=12)
    page = grain(220 - 180 * drawn)
    ink = separate_ink(255 - page if invert else page)
    assert (ink.strength[drawn == 1] > ink.threshold).mean() > 0.95


def test_noise_is_measured(write, grain):
    ink = separate_ink(grain(200 - 120 * write("3"), deviation=5))
    assert ink.noise == pytest.approx(5, rel=0.3)


def test_a_shadow_is_not_ink(write, grain):
    drawn = write("2048", 120, 160, 150, 9, size=(800, 500))
    down, across = np.mgrid[:500, :800]
    light = np.where(across + down / 2 > 460, 110, 215)
    ink = separate_ink(grain(light * (1 - 0.7 * drawn)))
    marked = ink.strength > ink.threshold
    assert marked[drawn == 1].mean() > 0.9
    assert marked[drawn == 0].mean() < 0.01


@pytest.mark.parametrize("value", [0, 128, 255])
def test_an_even_page_has_no_ink(value):
    assert separate_ink(np.full((90, 120), value, np.uint8)) is None


def test_large_pages_are_worked_on_at_a_smaller_size(write):
    drawn = write("5", 400, 300, 900, 60, size=(2600, 1300))
    ink = separate_ink((255 - 255 * drawn).astype(np.uint8))
    assert ink.strength.shape == (WORK // 2, WORK)
    assert ink.scale == pytest.approx(WORK / 2600)


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1), (2, 3, 3)])
def test_pages_of_a_few_pixels_are_no_trouble(shape):
    separate_ink(np.zeros(shape, np.uint8))
    noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    separate_ink(noise)
