import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitlens.reading.nms import Candidates, fuse_boxes, scale_weight

SAME, WITHIN = 0.4, 0.75  # limits of intersection over the union, and over the smaller box


def found(*rows):
    """Candidates from rows of score, value, box and height in the scaled copy."""
    chances = 0.01 + 0.9 * np.eye(10)[[row[1] for row in rows]]
    return Candidates(
        np.array([row[0] for row in rows], np.float32),
        chances.astype(np.float32),
        np.array([row[2] for row in rows], np.float32).reshape(-1, 4),
        np.array([row[3] for row in rows], np.float32),
    )


def overlaps(one, other):
    common = np.prod(np.clip(np.minimum(one, other)[2:] - np.maximum(one, other)[:2], 0, None))
    areas = [float(np.prod(box[2:] - box[:2])) for box in (one, other)]
    return common / (sum(areas) - common), common / min(areas)


WHOLE, LOOP = (0.9, 8, (0, 0, 40, 80), 80), (0.6, 0, (2, 2, 38, 36), 34)


@pytest.mark.parametrize(
    ("rows", "left"),
    [
        ([(0.9, 3, (0, 0, 20, 40), 4), (0.8, 3, (1, 1, 21, 41), 40)], [1]),
        ([WHOLE, LOOP], [0]),
        ([(0.6, 0, (0, 0, 90, 82), 82), (0.9, 6, (0, 0, 40, 80), 80)], [1]),
        ([(0.9, 1, (0, 0, 20, 40), 40), (0.8, 2, (18, 0, 40, 40), 40)], [0, 1]),
    ],
    ids=["seen best", "not its part", "not what is around a surer one", "neighbours"],
)
def test_one_of_several_duplicates_is_kept(rows, left):
    kept = fuse_boxes(found(*rows))
    assert kept.boxes.tolist() == [list(rows[k][2]) for k in left]
    assert kept.seen.tolist() == [rows[k][3] for k in left]
    assert kept.score.tolist() == pytest.approx([rows[k][0] for k in left])


def test_values_of_duplicates_are_combined_by_the_geometric_mean():
    box = (0, 0, 20, 40)
    both = fuse_boxes(found((0.6, 4, box, 40), (0.6, 9, box, 40)))
    expected = np.full(10, 0.01)
    expected[[4, 9]] = (0.91 * 0.01) ** 0.5
    assert both.probabilities[0] == pytest.approx(expected / expected.sum(), rel=1e-4)


def test_more_reliable_detection_counts_more():
    box = (0, 0, 20, 40)
    assert fuse_boxes(found((0.5, 4, box, 40), (0.6, 9, box, 40))).probabilities.argmax() == 9
    assert fuse_boxes(found((0.9, 4, box, 3), (0.6, 9, box, 40))).probabilities.argmax() == 9


def test_part_of_a_digit_does_not_affect_the_value_of_the_whole():
    alone, both = fuse_boxes(found(WHOLE)), fuse_boxes(found(WHOLE, (0.89, *LOOP[1:])))
    assert np.array_equal(both.probabilities, alone.probabilities)


def test_tiny_and_huge_digits_are_weighted_less():
    heights = np.arange(0, 2000, 0.5, dtype=np.float32)
    found = scale_weight(heights)
    best = heights[found == 1]
    assert (np.diff(found)[heights[1:] <= best[0]] >= 0).all()
    assert (np.diff(found)[heights[1:] > best[-1]] <= 0).all()
    assert best[0] < 28  # pixels
    assert best[-1] > 100
    assert 0 < found[0] == found[-1] == found.min() < 0.5


def test_empty_boxes_are_harmless():
    rows = [(0.9, 1, (5, 5, 5, 5), 30), (0.8, 2, (5, 5, 5, 5), 30), (0.7, 3, (0, 0, 20, 40), 40)]
    left = fuse_boxes(found(*rows))
    assert np.isfinite(left.probabilities).all()
    assert [0, 0, 20, 40] in left.boxes.tolist()


SIDES = st.integers(1, 12)
BOXES = st.tuples(st.integers(0, 12), st.integers(0, 12), SIDES, SIDES).map(
    lambda v: (v[0], v[1], v[0] + v[2], v[1] + v[3])
)
ROWS = st.tuples(st.floats(0.05, 1), st.integers(0, 9), BOXES, st.integers(1, 300))


@given(st.lists(ROWS, max_size=12))
def test_kept_boxes_do_not_overlap_much(rows):
    before = found(*rows)
    left = fuse_boxes(before)
    assert bool(len(left)) == bool(rows)
    assert (np.diff(left.score) <= 0).all()
    assert left.probabilities.sum(axis=1) == pytest.approx(1, abs=1e-5)
    for k, box in enumerate(left.boxes):
        assert box.tolist() in before.boxes.tolist()
        for other in left.boxes[:k]:
            union, part = overlaps(box, other)
            assert union <= SAME + 1e-6
            assert part <= WITHIN + 1e-6


@given(st.lists(ROWS, max_size=12))
def test_removed_boxes_overlap_a_kept_one(rows):
    before = found(*rows)
    left = fuse_boxes(before)
    for box in before.boxes:
        most = [overlaps(box, other) for other in left.boxes]
        assert any(union > SAME - 1e-6 or part > WITHIN - 1e-6 for union, part in most)


@given(st.lists(ROWS, max_size=8))
def test_fusing_boxes_again_changes_no_box(rows):
    once = fuse_boxes(found(*rows))
    assert sorted(fuse_boxes(once).boxes.tolist()) == sorted(once.boxes.tolist())
