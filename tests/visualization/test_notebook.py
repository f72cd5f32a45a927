"""Notebook output: images of a suitable size, and curves that are updated in place."""

import io

import numpy as np
import pytest
from PIL import Image as Pillow

from digitlens.visualization import notebook
from digitlens.visualization.theme import canvas


class Place:
    """Stands in for IPython's display handle, whose output can be updated."""

    def __init__(self):
        self.images = []

    def update(self, image):
        self.images.append(image)


@pytest.fixture
def displayed(monkeypatch, tmp_path):
    """What is displayed, as (image, handle); checks that no temporary file is left behind."""
    found = []

    def display(image, *, display_id=False):
        found.append((image, Place() if display_id else None))
        return found[-1][1]

    monkeypatch.setattr(notebook, "display", display)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    yield found
    assert not list(tmp_path.iterdir())


def opened(image):
    return Pillow.open(io.BytesIO(image.data)).convert("RGB")


def test_figure_function_receives_the_path_after_its_arguments(displayed):
    def draw(what, path, *, most=0):
        with canvas(path, 4, 2) as figure:
            figure.text(0, 0, f"{what} {most}")

    notebook.show(draw, "tiles", most=3)
    with pytest.raises(KeyError), notebook.inline(4, 2):
        raise KeyError
    with notebook.inline(20, 1):
        pass
    ((image, _), (wide, _)) = displayed  # the failed one is not shown
    assert opened(image).size == (480, 240)
    assert image.width == 304
    assert wide.width == notebook.WIDEST


def test_tiles_are_shown_in_rows_with_their_titles(displayed, drawn):
    tiles = np.zeros((5, 28, 28), np.uint8)
    notebook.show_tiles(tiles, list("abcde"), columns=3, red=[False, True])
    (figure,) = drawn
    titles = [axes.title for axes in figure.axes]
    assert [title.get_text() for title in titles] == ["a", "b", "c", "d", "e", ""]
    assert titles[1].get_color() != titles[0].get_color()
    assert not figure.axes[5].images
    assert len(displayed) == 1


@pytest.mark.parametrize(("side", "shown", "kept"), [(100, 100, 100), (3000, 640, 1280)])
def test_large_picture_is_shrunk_and_small_one_not_enlarged(displayed, side, shown, kept):
    notebook.show_page(np.zeros((side, side, 3), np.uint8))
    ((image, _),) = displayed
    assert image.width == shown
    assert opened(image).size == (kept, kept)


def test_live_curves_are_updated_in_place(displayed):
    live = notebook.LiveCurves()
    for epoch in (1, 2, 3):
        live({"epoch": epoch, "train_loss": 1 / epoch, "val_loss": 2 / epoch})
    ((first, place),) = displayed
    assert len(place.images) == 2
    assert len({image.data for image in (first, *place.images)}) == 3
    assert [row["epoch"] for row in live.history] == [1, 2, 3]
