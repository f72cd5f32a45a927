import numpy as np
import pytest

from digitlens.visualization.heat import draw_heat


def brightness(picture):
    return picture.astype(float).mean(axis=2)


def test_the_map_shines_where_the_score_is_high():
    heat = np.zeros((50, 50), np.float32)
    heat[10:14, 30:34] = 0.9
    picture = draw_heat(np.full((200, 200, 3), 255, np.uint8), (200, 200), heat, "Look 1")
    assert picture.dtype == np.uint8
    grown = picture.shape[1] // 200
    light = brightness(picture[: 200 * grown])
    y, x = np.unravel_index(light.argmax(), light.shape)
    assert (y / grown, x / grown) == (pytest.approx(48, abs=8), pytest.approx(128, abs=8))


def test_higher_scores_are_brighter():
    heat = np.repeat(np.linspace(0.2, 1, 100, dtype=np.float32)[None], 100, 0)
    picture = draw_heat(np.zeros((400, 400), np.uint8), (400, 400), heat, "")
    row = brightness(picture)[200]
    assert np.all(np.diff(row[10::40]) > 0)


def test_the_picture_shows_where_there_is_nothing():
    page = np.full((800, 800), 255, np.uint8)
    page[:, 300:500] = 0
    picture = draw_heat(page, (800, 800), np.zeros((200, 200), np.float32), "")
    assert brightness(picture)[400, 400] < brightness(picture)[400, 100] - 50


@pytest.mark.parametrize("size", [(192, 5), (5, 192), (191, 107), (1, 1)])
def test_looks_of_all_sizes_are_drawn(size):
    width, height = size
    heat = np.full((-(-height // 4), -(-width // 4)), 0.5, np.float32)
    picture = draw_heat(np.zeros((3 * height, 3 * width, 3), np.uint8), size, heat, "a long title")
    assert picture.shape[2] == 3
    assert picture.shape[1] >= 240


def test_the_title_and_the_scale_stand_below():
    heat = np.zeros((200, 200), np.float32)
    one, other = (
        draw_heat(np.zeros((800, 800), np.uint8), (800, 800), heat, title)
        for title in ("Look 1", "Look 2")
    )
    assert np.array_equal(one[:800], other[:800])
    assert (one != other).any()
    scale = brightness(one)[812]
    assert np.all(np.diff(scale[200:780:40]) > 0)
