import cv2
import numpy as np
import pytest

from digitlens.reading.text_lines import core_rectangles, find_lines


def drawn(shape, boxes, value=0.9):
    """A map with rotated boxes: centre, size, degrees."""
    text_map = np.zeros(shape, np.float32)
    for box in boxes:
        cv2.fillPoly(text_map, [np.rint(cv2.boxPoints(box)).astype(int)], value)
    return text_map


def test_line_grows_by_area_over_perimeter_and_is_scaled():
    text_map = np.zeros((60, 200), np.float32)
    text_map[20:30, 40:140] = 0.8

    (line,) = find_lines(text_map, 2.0)

    out = 1.6 * 10 * 100 / 220
    x0, y0, x1, y1 = 2 * np.array([40 - out, 20 - out, 140 + out, 30 + out])
    np.testing.assert_allclose(line.quad, [[x0, y0], [x1, y0], [x1, y1], [x0, y1]], rtol=1e-5)
    assert line.quad.dtype == np.float32
    assert line.score == pytest.approx(0.8)
    assert not line.is_tall


@pytest.mark.parametrize("degrees", [-40, -10, -2, 3, 25, 44])
def test_quad_of_a_tilted_line_starts_at_its_left(degrees):
    (line,) = find_lines(drawn((300, 300), [((150.0, 150.0), (160.0, 14.0), degrees)]), 1.0)

    right = line.quad[1] - line.quad[0]
    assert np.degrees(np.arctan2(right[1], right[0])) == pytest.approx(degrees, abs=1.0)
    down = line.quad[3] - line.quad[0]
    assert abs(right @ down) < 1e-2 * line.width * line.height
    assert right[0] * down[1] - right[1] * down[0] > 0
    np.testing.assert_allclose(line.quad.mean(axis=0), [150.5, 150.5], atol=1)


def test_tall_line_stays_upright_and_is_marked():
    text_map = np.zeros((100, 100), np.float32)
    text_map[20:80, 40:50] = 0.9

    (line,) = find_lines(text_map, 1.0)

    assert line.is_tall
    assert line.quad[0, 1] == line.quad[1, 1]
    assert line.height > line.width


def test_round_spot_has_no_tilt():
    text_map = np.zeros((60, 60), np.float32)
    cv2.circle(text_map, (30, 30), 9, 0.9, -1)

    (line,) = find_lines(text_map, 1.0)

    assert line.quad[0, 1] == line.quad[1, 1]
    assert line.width == pytest.approx(line.height)


def test_faint_and_thin_spots_are_not_lines():
    text_map = np.zeros((60, 200), np.float32)
    text_map[10:20, 10:90] = 0.4  # faint
    text_map[30, 10:90] = 0.9  # one cell thick
    text_map[40:50, 10:90] = 0.9

    (line,) = find_lines(text_map, 1.0)

    assert line.score > 0.8


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (32, 32)])
def test_empty_map_has_no_lines(shape):
    assert find_lines(np.zeros(shape, np.float32), 2.0) == []


def test_full_map_is_one_line():
    assert len(find_lines(np.ones((20, 64), np.float32), 2.0)) == 1


def test_lines_are_ordered_from_the_top():
    boxes = [((100.0, y), (120.0, 8.0), 0.0) for y in (20.0, 60.0, 100.0)]

    tops = [line.quad[0, 1] for line in find_lines(drawn((130, 200), boxes), 1.0)]

    assert tops == sorted(tops)
    assert len(tops) == 3


def test_rectangles_have_minimum_area():
    rng = np.random.default_rng(1)
    for _ in range(60):
        mask = np.zeros((90, 130), np.uint8)
        cv2.fillPoly(mask, [rng.integers(5, 85, (5, 2))], 1)
        cv2.circle(mask, (105, 45), int(rng.integers(3, 20)), 1, -1)
        expected = sorted(smallest_areas(mask))
        found = core_rectangles(mask > 0)
        upright = (found.axis[:, 1] == 0) & (found.size.prod(axis=1) > 0)
        slack = np.where(upright, 1.1, 1 + 1e-6)
        areas = found.size.prod(axis=1)
        for area, most, exact in sorted(zip(areas, areas / slack, areas, strict=True)):
            assert any(most <= want * (1 + 1e-5) and exact >= want * (1 - 1e-5)
                       for want in expected), (area, expected)  # fmt: skip


def smallest_areas(mask):
    """Areas of the smallest rectangles around the cells of each connected component."""
    count, labels = cv2.connectedComponents(mask, connectivity=8)
    for part in range(1, count):
        y, x = np.nonzero(labels == part)
        corners = [np.stack([x + right, y + down], 1) for right in (0, 1) for down in (0, 1)]
        _, (width, height), _ = cv2.minAreaRect(np.concatenate(corners).astype(np.float32))
        yield width * height


def test_each_of_150_lines_of_a_page_is_found():
    boxes = [
        ((150.0 + 280 * column, 8.0 + 12 * row), (200.0, 5.0), 0.3)
        for row in range(50)
        for column in range(3)
    ]
    assert len(find_lines(drawn((620, 880), boxes), 2.0)) == 150


def test_number_of_lines_is_limited():
    rows, columns = np.indices((400, 400)) % 5 < 3
    spots = (rows & columns).astype(np.float32)

    assert len(find_lines(spots, 2.0)) == 3000
