import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from digitlens.imaging.framing import GRAY, batch_lines, crop_line


def upright(x0, y0, x1, y1):
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32)


def written(size, degrees):
    """A page uint8[500, 800, 3] with a number in its middle, turned clockwise, and its quad."""
    image = Image.new("RGB", (800, 500), (230, 225, 215))
    ImageDraw.Draw(image).text(
        (400, 250), "12345.67", (20, 20, 60), ImageFont.load_default(size), anchor="mm"
    )
    page = np.asarray(image.rotate(-degrees, Image.Resampling.BICUBIC, fillcolor=(230, 225, 215)))
    turn = np.radians(degrees)
    right, down = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
    half = np.array([[-2.5, -0.6], [2.5, -0.6], [2.5, 0.6], [-2.5, 0.6]]) * size
    quad = [400, 250] + half[:, :1] * right + half[:, 1:] * down
    return page, quad.astype(np.float32)


def reference(page, quad, columns, over=6):
    """The crop as the mean of 36 samples per pixel."""
    size = np.array([columns, 48]) * over
    target = (np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * size - 0.5).astype(np.float32)
    matrix = cv2.getPerspectiveTransform(quad - np.float32(0.5), target)
    large = cv2.warpPerspective(
        page, matrix, size.tolist(), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return cv2.resize(large, (columns, 48), interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize("degrees", [0, 3, -20, 40])
@pytest.mark.parametrize("size", [14, 30, 55, 75, 110])
def test_crop_matches_a_supersampled_reference(size, degrees):
    page, quad = written(size, degrees)
    crop = crop_line(page, quad)
    columns = round(48 * 5 / 1.2)
    assert crop.shape == (48, 200, 3)
    difference = crop[:, :columns] - reference(page, quad, columns).astype(float)
    assert np.sqrt((difference**2).mean()) < 9


@pytest.mark.parametrize(("across", "down", "columns"), [
    (100, 48, 104), (104, 48, 104), (5, 48, 16), (200, 20, 480), (2000, 10, 1280), (20, 200, 16),
])  # fmt: skip
def test_width_keeps_proportions_in_steps_of_8(across, down, columns):
    page = np.full((300, 2200, 3), 200, np.uint8)
    crop = crop_line(page, upright(50, 40, 50 + across, 40 + down))
    assert crop.shape == (48, columns, 3)


def test_missing_columns_are_gray_at_the_right():
    crop = crop_line(np.zeros((100, 100, 3), np.uint8), upright(10, 10, 20, 58))
    assert (crop[:, :10] == 0).all()
    assert (crop[:, 10:] == GRAY).all()
    assert crop.shape[1] == 16


@pytest.mark.parametrize("tilt", [0.0, 5.0])
@pytest.mark.parametrize("corner", [(-30, -20), (60, 50), (400, 300), (-500, -500)])
def test_edge_of_the_page_continues_beyond_it(corner, tilt):
    page = np.full((80, 120, 3), 90, np.uint8)
    x, y = corner
    quad = upright(x, y, x + 120, y + 48) + np.float32([[0, 0], [0, tilt], [0, tilt], [0, 0]])
    assert (crop_line(page, quad) == 90).all()


def test_perspective_is_straightened():
    page = np.zeros((200, 400, 3), np.uint8)
    quad = np.array([[50, 50], [350, 20], [350, 180], [50, 150]], np.float32)
    cv2.fillPoly(page, [quad.astype(int)], (255, 255, 255))
    crop = crop_line(page, quad)
    assert crop[2:-2, 2:90].min() > 200


@pytest.mark.parametrize("quad", [upright(10, 10, 10, 10), upright(20, 20, 10, 10)])
def test_empty_or_turned_quad_gives_a_crop(quad):
    assert crop_line(np.zeros((40, 40, 3), np.uint8), quad).shape[0] == 48


def test_crop_copies_only_the_pixels_near_the_line():
    page = np.broadcast_to(np.uint8(7), (50_000, 50_000, 3))  # 7.5 GB if it were copied
    assert (crop_line(page, upright(4000, 4000, 4096, 4048)) == 7).all()


def crops(*widths):
    return [np.full((48, width, 3), index, np.uint8) for index, width in enumerate(widths)]


def test_batches_contain_each_crop_once_padded_with_gray():
    lines = crops(64, 400, 72, 80, 16, 392)
    batches = batch_lines(lines)
    assert sorted(index for indices, _ in batches for index in indices) == list(range(6))
    for indices, batch in batches:
        assert batch.shape[0] == len(indices)
        for index, row in zip(indices, batch, strict=True):
            width = lines[index].shape[1]
            assert (row[:, :width] == index).all()
            assert (row[:, width:] == GRAY).all()
            assert width >= 0.8 * batch.shape[2] - 16


def test_batches_are_bounded():
    batches = batch_lines(crops(*[64] * 40, *[1280] * 7))
    assert [len(indices) for indices, _ in batches] == [3, 3, 1, 16, 16, 8]
    assert all(batch.shape[0] * batch.shape[2] <= 4096 for _, batch in batches)
