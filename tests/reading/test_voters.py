import numpy as np

from digitlens.reading.voters import tiles_of


def test_what_stands_in_each_box_is_a_tile():
    page = np.full((60, 60), 255, np.uint8)
    page[20:40, 28:32] = 0
    boxes = np.array([[20, 15, 40, 45], [0, 0, 12, 12]], np.float32)
    tiles = tiles_of(page, boxes)
    assert tiles.shape == (2, 28, 28)
    assert tiles[0].max() == 255
    assert tiles[1].max() == 0


def test_no_boxes_are_no_tiles():
    none = np.zeros((0, 4), np.float32)
    assert tiles_of(np.zeros((9, 9, 3), np.uint8), none).shape == (0, 28, 28)
