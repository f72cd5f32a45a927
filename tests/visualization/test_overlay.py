import numpy as np
import pytest
from PIL import Image

from digitlens.results import Box, Digit, Reading
from digitlens.visualization.overlay import draw_reading, write_reading

GREEN, AMBER, RED = (0, 122, 102), (201, 107, 0), (176, 42, 64)


def digit(box, status="digit", value=7, confidence=0.9):
    rest = (1 - confidence) / 9
    probabilities = tuple(confidence if k == value else rest for k in range(10))
    reason = "" if status == "digit" else "for a reason"
    return Digit(value, confidence, probabilities, Box(*box), status, reason)


def reading(*digits, size=(400, 300)):
    return Reading((digits,) if digits else (), *size, "model", "0" * 64)


def page(size=(400, 300)):
    return np.full((size[1], size[0]), 255, np.uint8)


def count(picture, colour):
    return int((picture == colour).all(axis=2).sum())


@pytest.mark.parametrize("size", [(1, 1), (28, 28), (300, 40), (40, 900), (4000, 3000)])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_pages_of_all_sizes_are_drawn_at_a_size_to_look_at(size, channels):
    blank = np.full((size[1], size[0], *channels), 200, np.uint8)
    picture = draw_reading(blank, reading(digit((0, 0, *size)), size=size))
    assert picture.dtype == np.uint8
    assert picture.shape[2] == 3
    assert 800 < max(picture.shape) < 2600


def test_the_picture_itself_is_in_the_drawing():
    colours = np.random.default_rng(0).integers(0, 256, (900, 1000, 3), dtype=np.uint8)
    picture = draw_reading(colours, reading(size=(1000, 900)))
    y, x = next(
        (y, x)
        for y in range(picture.shape[0] - 900)
        for x in range(picture.shape[1] - 1000)
        if (picture[y, x] == colours[0, 0]).all()
    )
    assert np.array_equal(picture[y : y + 900, x : x + 1000], colours)


def test_each_status_has_its_own_colour_and_line():
    box = (100, 100, 200, 250)
    drawn = {
        status: draw_reading(page(), reading(digit(box, status)))
        for status in ("digit", "unsure", "rejected")
    }
    colours = {"digit": GREEN, "unsure": AMBER, "rejected": RED}
    for status, picture in drawn.items():
        present = {name for name, colour in colours.items() if count(picture, colour)}
        assert present == {status}
    # A dashed line has gaps, so it takes fewer pixels of the colour than a solid one.
    assert count(drawn["unsure"], AMBER) < 0.9 * count(drawn["digit"], GREEN)


def test_a_box_is_drawn_around_the_digit_and_its_label_above():
    picture = draw_reading(page(), reading(digit((100, 100, 200, 250))))
    margin = (picture.shape[1] - 800) // 2
    rows, columns = np.nonzero((picture == GREEN).all(axis=2))
    assert columns.min() == pytest.approx(margin + 200, abs=8)
    assert columns.max() == pytest.approx(margin + 400, abs=8)
    assert rows.max() == pytest.approx(margin + 500, abs=8)
    assert margin + 100 < rows.min() < margin + 200 - 15


def test_labels_of_narrow_neighbours_do_not_hide_each_other():
    near = [digit((20 + 14 * k, 150, 30 + 14 * k, 180)) for k in range(3)]
    far = [digit((20 + 100 * k, 150, 30 + 100 * k, 180)) for k in range(3)]
    crowded, loose = (count(draw_reading(page(), reading(*row)), GREEN) for row in (near, far))
    assert crowded > 0.85 * loose


def test_different_values_and_confidences_look_different():
    box = (100, 100, 200, 250)
    pictures = [
        draw_reading(page(), reading(digit(box, value=value, confidence=confidence)))
        for value, confidence in ((7, 0.9), (3, 0.9), (7, 0.8))
    ]
    assert all((a != b).any() for a, b in zip(pictures, pictures[1:] + pictures[:1], strict=True))


def test_an_empty_reading_is_drawn_too():
    picture = draw_reading(page(), reading())
    assert count(picture, GREEN) == count(picture, AMBER) == count(picture, RED) == 0
    assert (picture < 60).any()  # the words below


def test_a_reading_of_another_page_is_refused():
    with pytest.raises(ValueError, match="expected a page of 400 x 300 pixels"):
        draw_reading(page((300, 400)), reading())


def test_the_page_stays_as_it_was():
    blank = page()
    draw_reading(blank, reading(digit((100, 100, 200, 250))))
    assert (blank == 255).all()


def test_the_file_holds_the_drawing(tmp_path):
    target = tmp_path / "new" / "folder" / "page.png"
    answer = reading(digit((100, 100, 200, 250)))
    write_reading(target, page(), answer)
    with Image.open(target) as picture:
        assert np.array_equal(np.asarray(picture), draw_reading(page(), answer))
    assert [path.name for path in target.parent.iterdir()] == ["page.png"]
