import numpy as np
import pytest

from digitlens.recognition.paper import broad_paper, edge_level, fine_contrast


def bent_light(height, width):
    down, across = np.mgrid[:height, :width] / max(height, width)
    return (230 - 90 * across**2 - 60 * down + 40 * across * down).astype(np.float32)


@pytest.mark.parametrize("ink", [-120, 20], ids=["dark ink", "light ink"])
def test_broad_paper_is_the_light_under_the_ink(write, ink):
    light = bent_light(220, 600)
    paper, seen = broad_paper((light + ink * write("358", pen=14))[None])
    assert np.abs(paper[0] - light).max() < 4
    assert not seen[write("358", pen=14) == 1].any()


def test_broad_paper_sees_a_digit_that_covers_nearly_half_of_the_page(write):
    ink = write("8", 12, 8, 60, 16, size=(64, 76))
    assert 0.4 < ink.mean() < 0.5
    paper, _ = broad_paper((200 - 150 * ink).astype(np.float32)[None])
    assert np.abs(paper - 200).max() < 25


def test_each_colour_has_its_own_paper(write):
    planes = np.stack([value - 60 * write("7") for value in (250, 180, 90)]).astype(np.float32)
    paper, _ = broad_paper(planes)
    assert paper.mean(axis=(1, 2)) == pytest.approx([250, 180, 90], abs=2)


@pytest.mark.parametrize("ink", [-60, 60], ids=["dark ink", "light ink"])
def test_fine_contrast_keeps_strokes_and_loses_the_edge_of_a_shadow(write, ink):
    strokes = write("407", 80, 60, 150, 8, size=(700, 280))
    shade = np.where(np.arange(700) > 300, 90, 180).astype(np.float32)
    contrast = fine_contrast((shade + ink * strokes)[None])[0]
    near_edge = np.abs(np.arange(700) - 300) < 20
    mistaken = (np.sign(ink) * contrast)[:, near_edge][strokes[:, near_edge] == 0]
    assert np.quantile(mistaken, 0.95) < 5  # the rest are soft edges of strokes
    assert np.median(contrast[strokes == 1]) == pytest.approx(ink, abs=20)


@pytest.mark.parametrize("share", [0.01, 0.2, 0.5])
def test_edge_level_is_half_way_up_whatever_the_share_of_ink(share):
    plane = np.zeros((200, 200), np.float32)
    plane[:, : int(200 * share)] = 80
    assert edge_level(plane, least=4) == pytest.approx(40)


def test_edge_level_is_none_where_nothing_rises():
    assert edge_level(np.full((5, 5), 3, np.float32), least=4) is None
