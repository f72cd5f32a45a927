"""Windows of drawn pages have the classes that they show; batches come in order."""

import numpy as np
import pytest
import torch

from digitlens.data.pages.pages import Page
from digitlens.model.crop_model import NONE
from digitlens.training.crop_stream import MOST, Crops, CropStream, samples

pytestmark = pytest.mark.train

PAGE = Page(
    np.random.default_rng(0).integers(0, 256, (100, 200, 3), dtype=np.uint8),
    np.array([[20, 20, 40, 60], [60, 20, 80, 60], [100, 20, 120, 60]], np.float32),
    np.array([3, 8, -1], np.int8),
)


def cut(boxes, scores=None, seed=0):
    found = np.array(boxes, np.float32).reshape(-1, 4)
    scores = np.ones(len(found), np.float32) if scores is None else np.array(scores, np.float32)
    return samples(PAGE, found, scores, np.random.default_rng(seed))


def find(pixels):
    """Takes the middle of every page for a digit."""
    middle = pixels.shape[0] / 2
    box = [middle - 9, middle - 9, middle + 9, middle + 9]
    return np.array([box], np.float32), np.array([0.7], np.float32)


def test_digits_are_shown_also_where_nothing_was_found():
    windows, classes = cut([])
    assert sorted(set(classes) - {NONE}) == [3, 8]
    assert windows.shape == (len(classes), 56, 56, 3)


def test_what_is_found_has_the_class_of_what_is_there():
    # On the 8, on paper, half on the 3, and on what does not count.
    found = [[61, 21, 81, 61], [150, 50, 170, 90], [30, 20, 50, 60], [100, 20, 120, 60]]
    classes = cut(found)[1].tolist()
    assert classes.count(8) == 2
    assert classes.count(3) == 1
    assert 1 <= classes.count(NONE) <= 2


def test_the_surest_mistakes_are_shown_most_often():
    paper = [[2 * k, 70, 2 * k + 9, 90] for k in range(60)]
    scores = [0.9] * 10 + [0.01] * 50
    shown = [cut(paper, scores, seed)[1].tolist().count(NONE) for seed in range(5)]
    assert all(MOST <= count <= MOST + 1 for count in shown)


def test_boxes_are_a_little_off_and_no_two_views_alike():
    first, second = cut([], seed=1)[0], cut([], seed=2)[0]
    assert first.shape != second.shape or not np.array_equal(first, second)


def drawn(maker, first, count, *, workers=0, views=2) -> list[Crops]:
    stream = CropStream(maker(5), find, side=64, size=2, workers=workers)
    return list(stream.batches(first, count, views))


def same(a: Crops, b: Crops) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_there_are_as_many_batches_as_asked_for(maker):
    assert [len(drawn(maker, 0, count)) for count in (0, 1, 3)] == [0, 1, 3]


def test_a_batch_has_a_class_for_each_window(maker):
    batch = drawn(maker, 0, 1)[0]
    assert batch.windows.shape == (len(batch.classes), 3, 56, 56)
    assert batch.windows.dtype == torch.uint8
    assert batch.classes.dtype == torch.int64


def test_a_stream_begun_later_goes_on_with_the_same_pages(maker):
    whole, later = drawn(maker, 0, 6), drawn(maker, 2, 4)
    assert all(same(a, b) for a, b in zip(whole[2:], later, strict=True))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_workers_draw_the_same_windows(maker):
    pairs = zip(drawn(maker, 0, 4), drawn(maker, 0, 4, workers=2), strict=True)
    assert all(same(a, b) for a, b in pairs)
