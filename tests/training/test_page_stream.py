"""Batches of pages come in order, the same whoever draws them; a view keeps what it shows."""

import numpy as np
import pytest
import torch

from digitlens.datasets.synthetic.pages import Page
from digitlens.training.page_stream import Batch, batches, view_of, worker_count

pytestmark = pytest.mark.train


def _drawn(maker, first: int, count: int, *, workers: int = 0, seed: int = 5) -> list[Batch]:
    stream = batches(maker(seed), first, count, batch_size=2, side=64, workers=workers, views=2)
    return list(stream)


def _same(a: Batch, b: Batch) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_a_batch_has_pages_and_a_target_for_each_cell(maker):
    batch = _drawn(maker, 0, 1)[0]
    assert batch.pages.shape == (2, 3, 64, 64)
    assert batch.pages.dtype == torch.uint8
    assert batch.centre.shape == batch.weight.shape == batch.value.shape == (2, 16, 16)
    assert batch.reach.shape == (2, 4, 16, 16)


def test_there_are_as_many_batches_as_asked_for(maker):
    assert [len(_drawn(maker, 0, count)) for count in (0, 1, 3, 4)] == [0, 1, 3, 4]


def test_a_stream_begun_later_goes_on_with_the_same_pages(maker):
    whole, later = _drawn(maker, 0, 6), _drawn(maker, 2, 4)
    assert all(_same(a, b) for a, b in zip(whole[2:], later, strict=True))
    assert not _same(whole[0], whole[2])


def test_views_of_a_page_differ(maker):
    first, second = _drawn(maker, 0, 2)
    assert not torch.equal(first.pages, second.pages)


def test_seeds_give_other_pages(maker):
    assert not torch.equal(_drawn(maker, 0, 1)[0].pages, _drawn(maker, 0, 1, seed=6)[0].pages)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_workers_draw_the_same_pages(maker):
    alone, together = _drawn(maker, 0, 4), _drawn(maker, 0, 4, workers=2)
    assert all(_same(a, b) for a, b in zip(alone, together, strict=True))


def test_a_gpu_is_given_more_workers(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 16)
    assert (worker_count("cpu"), worker_count("cuda")) == (8, 15)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    assert (worker_count("cpu"), worker_count("cuda")) == (2, 2)


def test_a_view_moves_boxes_and_lets_cut_digits_go():
    pixels = np.zeros((80, 80, 3), np.uint8)
    boxes = np.array([[30, 30, 40, 50], [0, 30, 17, 50], [0, 0, 2, 2]], np.float32)
    pixels[30:50, 30:40] = 200
    page = Page(pixels, boxes, np.array([8, 1, 2], np.int8))
    for seed in range(20):
        view = view_of(page, 64, np.random.default_rng(seed))
        assert view.pixels.shape == (64, 64, 3)
        x0, y0, x1, y1 = view.boxes[0].astype(int)
        flat = view.pixels.reshape(-1, 3)
        inside = np.zeros((64, 64), bool)
        inside[y0:y1, x0:x1] = True
        assert len(np.unique(flat[inside.ravel()], axis=0)) == 1
        assert len(np.unique(flat[~inside.ravel()], axis=0)) == 1
        assert view.values[0] == 8
        assert (view.boxes >= 0).all()
        assert (view.boxes <= 64).all()
        left = np.zeros(3)
        left[: len(view.boxes)] = (view.boxes[:, 2] - view.boxes[:, 0])[:3]
        if len(view.values) > 1 and view.values[1] == 1:
            assert left[1] >= 0.55 * 17
