import numpy as np
import pytest

from digitlens.datasets.synthetic import layouts
from digitlens.datasets.synthetic.sheet import Sheet
from digitlens.datasets.synthetic.writers import Writers

SEEDS = range(40)


def drawn(layout: layouts.Layout, writers: Writers, size: tuple[int, int] = (120, 96)):
    sheets = []
    for seed in SEEDS:
        sheet = Sheet(*size, np.eye(3))
        layout(sheet, writers, np.random.default_rng(seed))
        sheets.append(sheet)
    return sheets


def heights(sheets: list[Sheet]) -> np.ndarray:
    return np.array([y1 - y0 for sheet in sheets for _, y0, _, y1 in sheet.boxes])


def test_a_single_digit_is_large_and_whole(writers: Writers):
    sheets = drawn(layouts.draw_single, writers)

    assert [len(sheet.values) for sheet in sheets] == [1] * len(SEEDS)
    assert np.mean([sheet.values[0] >= 0 for sheet in sheets]) > 0.95
    assert len({sheet.values[0] for sheet in sheets} - {-1}) >= 8
    tall = heights(sheets)
    assert tall.min() > 0.12 * 96
    assert np.median(tall) > 0.45 * 96


def test_numbers_stand_in_lines_on_the_sheet(writers: Writers):
    sheets = drawn(layouts.draw_numbers, writers)

    assert min(len(sheet.values) for sheet in sheets) >= 1
    assert np.mean([len(sheet.values) for sheet in sheets]) > 4
    cut = [value < 0 for sheet in sheets for value in sheet.values]
    assert np.mean(cut) < 0.1
    assert heights(sheets).max() > 60


def test_an_amount_fills_its_field(writers: Writers):
    sheets = drawn(layouts.draw_amount, writers, (160, 50))

    assert all(2 <= len(sheet.values) <= 7 for sheet in sheets)
    spans = [
        max(box[2] for box in sheet.boxes) - min(box[0] for box in sheet.boxes) for sheet in sheets
    ]
    full = [span > 80 or tall > 25 for span, tall in zip(spans, map(tallest, sheets), strict=True)]
    assert np.mean(full) > 0.9


def tallest(sheet: Sheet) -> float:
    return max(y1 - y0 for _, y0, _, y1 in sheet.boxes)


def test_a_grid_has_digits_in_rows_and_columns(writers: Writers):
    counts = [len(sheet.values) for sheet in drawn(layouts.draw_grid, writers)]

    assert np.mean(counts) > 8
    assert max(counts) > 30


def test_a_paragraph_has_digits_among_letters(writers: Writers):
    sheets = drawn(layouts.draw_paragraph, writers)

    assert np.mean([len(sheet.values) > 0 for sheet in sheets]) > 0.6
    outside = 0
    for sheet in sheets:
        for x0, y0, x1, y1 in np.array(sheet.boxes, int).reshape(-1, 4):
            sheet.ink[y0:y1, x0:x1] = 0
        outside += int((sheet.ink > 100).sum())
    assert outside > 10_000  # letters


def test_scattered_digits_keep_clear_of_each_other(writers: Writers):
    hidden: list[bool] = []
    for sheet in drawn(layouts.draw_scatter, writers):
        boxes = np.array(sheet.boxes).reshape(-1, 4)
        for number, box in enumerate(boxes):
            others = np.delete(boxes, number, axis=0)
            wide = np.minimum(box[2], others[:, 2]) - np.maximum(box[0], others[:, 0])
            high = np.minimum(box[3], others[:, 3]) - np.maximum(box[1], others[:, 1])
            shared = (np.clip(wide, 0, None) * np.clip(high, 0, None)).max(initial=0)
            hidden.append(shared > 0.5 * (box[2] - box[0]) * (box[3] - box[1]))

    assert len(hidden) > 100
    assert np.mean(hidden) < 0.03


@pytest.mark.parametrize("layout", [layouts.draw_words, layouts.draw_drawing])
def test_words_and_drawings_have_no_digit(writers: Writers, layout: layouts.Layout):
    sheets = drawn(layout, writers)

    assert all(value < 0 for sheet in sheets for value in sheet.values)
    assert np.mean([sheet.ink.any() for sheet in sheets]) > 0.9


@pytest.mark.parametrize(
    "layout", [layouts.draw_single, layouts.draw_numbers, layouts.draw_amount, layouts.draw_words]
)
def test_strips_to_be_enlarged_can_be_tiny(writers: Writers, layout: layouts.Layout):
    for sheet in drawn(layout, writers, (12, 5)):
        assert len(sheet.boxes) == len(sheet.values)
