import numpy as np

from digitlens.datasets.synthetic.clutter import draw_ruling, draw_scribbles, draw_table
from digitlens.datasets.synthetic.sheet import Sheet


def sheets(draw, count: int = 40) -> list[Sheet]:
    drawn = []
    for seed in range(count):
        sheet = Sheet(90, 70, np.eye(3))
        draw(sheet, np.random.default_rng(seed))
        drawn.append(sheet)
    return drawn


def test_scribbles_are_ink_of_many_forms_and_no_digit():
    drawn = sheets(draw_scribbles)

    assert not any(sheet.values for sheet in drawn)
    assert np.mean([sheet.ink.any() for sheet in drawn]) > 0.9
    assert len({sheet.ink.tobytes() for sheet in drawn}) > 30


def test_ruling_is_an_underline_ruled_or_squared_paper():
    kinds = set()
    for sheet in sheets(draw_ruling, 60):
        dark = sheet.ink > 100
        rows, columns = dark.mean(axis=1) > 0.95, dark.mean(axis=0) > 0.95
        kinds.add((bool(rows.any()), bool(columns.any())))
        assert not sheet.values

    assert kinds >= {(False, False), (True, False), (True, True)}


def test_a_table_has_a_rule_around_each_cell(rng):
    sheet = Sheet(100, 100, np.eye(3))

    draw_table(sheet, (10, 20), (20, 15), (4, 3), rng)

    for x in (10, 30, 50, 70, 90):
        assert (sheet.ink[22:63, x - 1 : x + 2].max(axis=1) > 50).all()
    for y in (20, 35, 50, 65):
        assert (sheet.ink[y - 1 : y + 2, 12:88].max(axis=0) > 50).all()
    assert not sheet.ink[26:30, 18:22].any()
    assert not sheet.ink[75:].any()
