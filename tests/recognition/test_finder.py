import io

import numpy as np
import pytest
from PIL import Image

from digitlens.recognition.finder import find_digits

WHITE = (600, 800)


def boxes(page):
    return [[found.box for found in line] for line in find_digits(page)]


def on_paper(ink, paper=240.0, pen=0.2):
    return np.clip(paper * (1 - (1 - pen) * ink), 0, 255).astype(np.uint8)


def around(ink):
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    return [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]


@pytest.mark.parametrize(
    ("height", "pen", "x", "y"),
    [(24, 3, 770, 570), (40, 2, 10, 10), (60, 14, 700, 20), (520, 3, 100, 30), (520, 90, 150, 30)],
    ids=["tiny in a corner", "thin in a corner", "thick in a corner", "large, thin", "large, fat"],
)
@pytest.mark.parametrize("digit", "0123456789")
def test_one_digit_of_any_size_and_pen_is_found_whole(write, digit, height, pen, x, y):
    ink = write(digit, x, y, height, pen, size=WHITE[::-1])
    [[found]] = find_digits(on_paper(ink))
    assert np.abs(np.subtract(found.box.as_list(), around(ink > 0.5))).max() <= 2
    assert found.ink.max() == 255


def test_a_row_of_digits_is_one_line(write, grain):
    page = grain(on_paper(write("9876543210", size=(1100, 220))))
    [line] = boxes(page)
    assert len(line) == 10
    assert line == sorted(line)


def test_lines_come_from_top_to_bottom(write):
    ink = write("12", y=20, size=(600, 400)) + write("345", y=220, size=(600, 400))
    assert [len(line) for line in boxes(on_paper(ink))] == [2, 3]


def test_the_ink_of_a_digit_is_its_own(write):
    ink = write("8", 20, 10, 60, 6, size=(120, 80))
    crowded = ink.copy()
    crowded[10:70, 90:94] = 1  # a one beside it
    alone, beside = find_digits(on_paper(ink))[0][0], find_digits(on_paper(crowded))[0][0]
    assert np.abs(alone.ink.astype(int) - beside.ink).mean() < 2


def test_digits_on_ruled_paper_are_found_without_the_rules(write, grain):
    paper = np.full((400, 900), 240.0)
    paper[60::70] = paper[61::70] = 150
    page = grain(on_paper(write("31415", 80, 100, 160, 9, size=(900, 400)), paper))
    assert [len(line) for line in boxes(page)] == [5]


def test_boxes_are_in_pixels_of_the_page_however_large_it_is(write):
    ink = write("4", 1500, 900, 700, 50, size=(3000, 2000))
    [[box]] = boxes(on_paper(ink))
    assert np.abs(np.subtract(box.as_list(), around(ink > 0.5))).max() <= 6


def test_boxes_lie_within_the_page(write):
    for seed in range(5):
        ink = write("7", 80, -10, 260, 30, size=(333, 233), seed=seed)
        assert all(
            0 <= box.x0 < box.x1 <= 333 and 0 <= box.y0 < box.y1 <= 233
            for line in boxes(on_paper(ink))
            for box in line
        )


def blank_pages():
    random = np.random.default_rng(0)
    for height, width in ((28, 28), (300, 400), (900, 1200)):
        size = f"{width} x {height}"
        slope = np.add.outer(np.linspace(0, 60, height), np.linspace(0, 40, width))
        yield f"white {size}", np.full((height, width), 255.0)
        yield f"black {size}", np.zeros((height, width))
        yield f"slope {size}", 240 - slope
        for deviation in (2, 6, 15, 40):
            noise = random.normal(0, deviation, (height, width))
            yield f"noise of {deviation} {size}", 200 - slope + noise
        yield f"colour noise {size}", 180 + random.normal(0, 10, (height, width, 3))
        specks = np.where(random.random((height, width)) < 0.02, 0, 250)
        yield f"specks {size}", specks
        grain = Image.fromarray(np.uint8(200 - slope + random.normal(0, 8, (height, width))))
        stream = io.BytesIO()
        grain.save(stream, "JPEG", quality=50)
        yield f"compressed {size}", np.asarray(Image.open(stream))


BLANK = dict(blank_pages())


@pytest.mark.parametrize("page", BLANK.values(), ids=BLANK)
def test_blank_paper_has_no_digits(page):
    assert boxes(np.clip(page, 0, 255).astype(np.uint8)) == []
