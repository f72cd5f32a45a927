import numpy as np
import pytest

from digitlens.visualization.labels import place_labels

AREA = (1000, 800)


def place(boxes, size=(30, 20), area=AREA):
    count = len(boxes)
    boxes = np.array(boxes, float).reshape(-1, 4)
    return place_labels(
        boxes, np.tile(np.array(size, float), (count, 1)), np.full(count, 3.0), area
    )


def common(one, other):
    """Area that two rectangles have in common."""
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    return float(np.clip(high - low, 0, None).prod())


def test_a_label_alone_is_centred_above_its_box():
    places, free = place([(400, 300, 440, 360)])
    assert places.tolist() == [[405, 277, 435, 297]]
    assert free.tolist() == [True]


def test_at_the_upper_edge_it_is_below():
    places, _ = place([(400, 5, 440, 60)])
    assert places[0, 1] == 63


@pytest.mark.parametrize("corner", [(0, 0), (960, 0), (0, 740), (960, 740)])
def test_labels_stay_inside(corner):
    x, y = corner
    [label], free = place([(x, y, x + 40, y + 60)], (120, 20))
    assert 0 <= label[0] < label[2] <= AREA[0]
    assert 0 <= label[1] < label[3] <= AREA[1]
    assert free[0]


def test_labels_wider_than_their_boxes_cover_neither_boxes_nor_each_other():
    boxes = [(100 + 34 * k, 300, 130 + 34 * k, 360) for k in range(12)]
    places, free = place(boxes, (44, 20))
    assert free.all()
    for k, label in enumerate(places):
        assert not any(common(label, np.array(box)) for box in boxes)
        assert not any(common(label, other) for other in places[:k])


def test_where_there_is_no_room_labels_say_so_and_still_miss_each_other():
    boxes = [(20 * column, 40 * row, 20 * column + 18, 40 * row + 38) for column in range(50)
             for row in range(20)]  # fmt: skip
    places, free = place(boxes, (16, 20))
    assert not free.any()
    assert len({tuple(label) for label in places.tolist()}) == len(boxes)


def test_nothing_to_place():
    places, free = place([])
    assert places.shape == (0, 4)
    assert free.shape == (0,)
