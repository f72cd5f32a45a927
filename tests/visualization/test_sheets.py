import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from digitlens.datasets.synthetic.pages import Page
from digitlens.models.networks import DigitPredictions
from digitlens.reading.layout import arrange
from digitlens.reading.multiscale import ScaleView
from digitlens.reading.orientation import turned_back
from digitlens.reading.reader import ReadResult
from digitlens.results import Reading
from digitlens.visualization import sheets as stages
from digitlens.visualization.overlay import draw_reading
from digitlens.visualization.sheets import (
    AMBIGUOUS,
    CELL,
    DIGIT,
    LABEL_WIDTH,
    MARGIN,
    MAX_REDRAWN,
    MAX_TILES,
    SAMPLE_GAP,
    SAMPLE_PAPER,
    draw_heat,
    draw_pages,
    draw_redrawn,
    draw_samples,
    draw_tiles,
    write_stages,
)

BLUE = (0, 92, 184)


def chances(*values):
    found = np.full((len(values), 10), 0.01, np.float32)
    found[range(len(values)), values] = 0.91
    return found


def sheet(*values, tile=None):
    tiles = np.zeros((len(values), 28, 28), np.uint8) if tile is None else tile
    return draw_tiles(tiles, chances(*values), [f"#{k}" for k, _ in enumerate(values, 1)])


def test_tiles_are_drawn_pixel_for_pixel():
    tile = np.random.default_rng(0).integers(0, 256, (1, 28, 28), dtype=np.uint8)
    picture = sheet(3, tile=tile)
    large = np.repeat(np.repeat(tile[0], 3, 0), 3, 1)
    found = [
        (y, x)
        for y in range(picture.shape[0] - 83)
        for x in range(20)
        if np.array_equal(picture[y : y + 84, x : x + 84, 0], large)
    ]
    assert len(found) == 1


def test_likeliest_digit_has_the_tallest_bar_at_its_position():
    blue = [(sheet(value) == BLUE).all(axis=2).any(axis=0) for value in range(10)]
    starts = [columns.argmax() for columns in blue]
    assert np.all(np.diff(starts) == 12)
    unsure = draw_tiles(
        np.zeros((1, 28, 28), np.uint8), np.array([[0.3] + [0.7 / 9] * 9], np.float32), ["#1"]
    )
    assert (unsure == BLUE).all(axis=2).sum() < 0.6 * (sheet(0) == BLUE).all(axis=2).sum()


def test_empty_sheet_has_a_notice_and_omitted_tiles_are_counted():
    assert (sheet() < 100).any()
    shown, more = (sheet(*[1] * count) for count in (MAX_TILES, MAX_TILES + 7))
    assert shown.shape[0] < more.shape[0] < 1.05 * shown.shape[0]
    rows = [draw_tiles(np.zeros((1, 28, 28), np.uint8), chances(1), [t]) for t in ("one", "two")]
    assert (rows[0] != rows[1]).any()  # titles differ


def cell(sheet: np.ndarray, row: int, column: int) -> np.ndarray:
    top = MARGIN + row * (CELL + SAMPLE_GAP)
    left = MARGIN + LABEL_WIDTH + column * (CELL + SAMPLE_GAP)
    return sheet[top : top + CELL, left : left + CELL]


def test_samples_have_a_row_per_digit_and_depend_on_the_seed(small_split):
    sheet = np.asarray(draw_samples(small_split, per_digit=5))
    ink = [[(cell(sheet, row, column) < 128).mean() for column in range(5)] for row in range(10)]
    assert sheet.shape[2] == 3
    assert np.min(ink) > 0.03
    assert np.argmin(np.mean(ink, axis=1)) == 1  # a one needs the least ink,
    assert np.argmax(np.mean(ink, axis=1)) == 8  # an eight the most
    first, again, other = (draw_samples(small_split, seed=seed).tobytes() for seed in (0, 0, 1))
    assert first == again
    assert first != other
    without = np.asarray(draw_samples(small_split.take(small_split.labels != 4), per_digit=3))
    assert (cell(without, 4, 0) == SAMPLE_PAPER).all()
    assert not (cell(without, 5, 0) == SAMPLE_PAPER).all()


def page_with(box: tuple[float, ...], value: int, gray: int = 0) -> Page:
    pixels = np.full((64, 64, 3), gray, np.uint8)
    return Page(pixels, np.array([box], np.float32), np.array([value], np.int8))


def on_sheet(sheet: np.ndarray, number: int = 0) -> np.ndarray:
    top, left = (SAMPLE_GAP + place * (64 + SAMPLE_GAP) for place in divmod(number, 8))
    return sheet[top : top + 64, left : left + 64]


def count(pixels: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((pixels == colour).all(axis=2).sum())


def test_pages_are_laid_out_in_rows():
    grays = range(10, 100, 10)
    sheet = np.asarray(draw_pages([page_with((10, 20, 30, 40), 7, gray) for gray in grays]))
    assert sheet.shape == (2 * 64 + 3 * SAMPLE_GAP, 8 * 64 + 9 * SAMPLE_GAP, 3)
    for number, gray in enumerate(grays):
        assert (on_sheet(sheet, number)[45:] == gray).all()  # below the frame
    assert (on_sheet(sheet, 9) == SAMPLE_PAPER).all()


def test_frame_surrounds_the_box_and_covers_no_ink():
    page = page_with((10, 20, 30, 40), 7)
    marked = on_sheet(np.asarray(draw_pages([page])))
    frame = marked[19:41, 9:31].copy()
    frame[1:-1, 1:-1] = DIGIT
    assert (frame == DIGIT).all()
    assert (marked[22:40, 10:30] == 0).all()
    assert marked[8:18, 9:20, 1].max() > 100  # the value is written above
    assert (page.pixels == 0).all()


def test_frames_of_optional_digits_are_red_and_frames_stay_on_the_page():
    marked = on_sheet(np.asarray(draw_pages([page_with((10, 20, 30, 40), -1)])))
    assert count(marked, AMBIGUOUS) == 2 * 22 + 2 * 20
    assert count(marked, DIGIT) == 0
    marked = on_sheet(np.asarray(draw_pages([page_with((0, 0, 64, 64), 3)])))
    assert (marked[0, 20:] == DIGIT).all()
    assert (marked[-1] == DIGIT).all()
    assert (marked[20:, [0, -1]] == DIGIT).all()


TILES = np.full((5, 28, 28), 255, np.uint8)


def _counts(picture):
    blue = (picture == np.array((86, 180, 233))).all(axis=2).sum()
    return int(blue), int((picture == 255).all(axis=2).sum())


def test_redrawn_tiles_are_blue_beside_the_white_originals_and_limited_in_number():
    picture = draw_redrawn(TILES, TILES, ["7"] * 5, ["error 0.1"] * 5)
    assert (picture.dtype, picture.shape[2]) == (np.uint8, 3)
    assert _counts(picture) == (5 * 112**2, 5 * 112**2)
    left, right = (
        np.flatnonzero((picture == c).all(axis=2).any(axis=0)) for c in (255, (86, 180, 233))
    )
    assert left.min() < right.min()
    assert draw_redrawn(TILES[:0], TILES[:0], [], []).std() > 5
    many = np.repeat(TILES[:1], MAX_REDRAWN + 5, axis=0)
    drawn = draw_redrawn(many, many, [""] * len(many), [""] * len(many))
    assert _counts(drawn)[0] == MAX_REDRAWN * 112**2
    assert (drawn[-24:] < 100).any()


THRESHOLDS = {"digit": 0.6, "reject": 0.3}
SCORES = (0.95, 0.5, 0.2)  # of the left, middle and right digit


def scale_view(size, page):
    width, height = size
    heat = np.zeros((-(-height // 4), -(-width // 4)), np.float32)
    nothing = np.zeros(0, np.float32)
    found = DigitPredictions(
        nothing, nothing.reshape(0, 10), nothing.reshape(0, 4), heat, (height, width)
    )
    return ScaleView(found, page)


@pytest.fixture
def examined(view_of):
    """Makes the result of reading a page with a sure, an unsure and a rejected digit."""

    def examined(*, turn=0, count=3, size=(200, 100)):
        width, height = size
        page = np.full((height, width) if turn % 2 == 0 else (width, height), 255, np.uint8)
        boxes = [(20 + 60 * k, 30, 50 + 60 * k, 80) for k in range(3)][:count]
        views = [scale_view(each, size) for each in ((192, 96), (64, 64), (64, 40))]
        view = view_of(boxes, SCORES[:count], chances(0, 1, 2)[:count], views)
        layout = arrange(view, (width, height), THRESHOLDS)
        back = turned_back(layout.lines, turn, page.shape[1], page.shape[0])
        reading = Reading(back, page.shape[1], page.shape[0], "default", "0" * 64)
        return ReadResult(page, turn, view, reading, layout.places)

    return examined


def written(folder, examination):
    write_stages(folder, examination, THRESHOLDS)
    return json.loads((folder / "explain.json").read_text(encoding="utf-8"))


def picture(path):
    with Image.open(path) as image:
        return np.array(image)


def test_folder_holds_a_picture_per_step_and_the_scores_as_json(tmp_path, examined):
    examination, folder = examined(), tmp_path / "new" / "page"
    view = examination.view
    others = {"detector": chances(5, 1, 2), "objectness": view.confidence / 2}
    scores = replace(view.scores, places=replace(view.scores.places, **others))
    scores = replace(scores, classifier=chances(7, 1, 2))
    told = written(folder, replace(examination, view=replace(view, scores=scores)))
    looks = ["2-heat-192.png", "2-heat-64.png", "2-heat-64-2.png"]
    steps = ["1-page.png", "3-lines.png", "4-places.png", "5-tiles.png", "6-answer.png"]
    assert {path.name for path in folder.iterdir()} == {*steps, *looks, "explain.json"}
    assert (told["width"], told["height"], told["turn"], told["text"]) == (200, 100, 0, "01")
    assert told["thresholds"] == THRESHOLDS
    assert [look["file"] for look in told["looks"]] == looks
    assert told["looks"][2]["region"] == [0, 0, 200, 100]
    assert (told["looks"][2]["width"], told["looks"][2]["height"]) == (64, 40)
    [line] = told["lines"]
    assert (line["text"], line["corners"][2]) == ("012", [170, 80])
    sure, doubtful, rejected = told["places"]
    assert (sure["number"], sure["box"], sure["line"]) == (1, [20, 30, 50, 80], 1)
    best = {name: int(np.argmax(says)) for name, says in sure["digits"].items()}
    assert best == {"detector": 5, "recognizer": 0, "classifier": 7, "together": 0}
    exists = {"detector": 0.475, "recognizer": 0.95, "classifier": 0.95}
    assert sure["exists"] == pytest.approx(exists)
    found = [one["answer"]["status"] for one in told["places"]]
    assert found == ["digit", "unsure", "rejected"]
    assert sure["answer"]["reason"] == ""
    assert "50 % sure" in doubtful["answer"]["reason"]
    assert rejected["confidence"] == 0.2


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_turned_page_is_explained_upright_and_answered_as_given(tmp_path, turn, examined):
    examination = examined(turn=turn)
    told = written(tmp_path, examination)
    assert told["turn"] == turn
    found = [one["answer"]["status"] for one in told["places"]]
    assert found == ["digit", "unsure", "rejected"]
    [line] = examination.reading.lines
    assert [one["box"] for one in told["places"]] == [one.box.as_list() for one in line]
    assert picture(tmp_path / "1-page.png").shape == examination.page.shape
    boxes = picture(tmp_path / "4-places.png")
    assert boxes.shape[1] > boxes.shape[0]  # in the orientation in which it was read
    answer = draw_reading(examination.page, examination.reading)
    assert np.array_equal(picture(tmp_path / "6-answer.png"), answer)


def test_all_candidates_are_drawn_and_an_empty_page_is_explained_too(tmp_path, examined):
    def blue(count):
        told = written(tmp_path, examined(count=count))
        assert len(told["places"]) == count
        return int((picture(tmp_path / "4-places.png") == BLUE).all(axis=2).sum())

    assert 0 < blue(1) < blue(2) < blue(3)
    assert blue(0) == 0
    told = json.loads((tmp_path / "explain.json").read_text(encoding="utf-8"))
    assert told["lines"] == told["numbers"] == told["numbers_digits"] == []
    assert told["text"] == told["digits_only"] == ""
    assert len(list(tmp_path.iterdir())) == 9


def test_tiles_are_shown_as_the_classifier_received_them(tmp_path, monkeypatch, examined):
    examination, shown = examined(), []
    tiles = np.random.default_rng(0).integers(0, 256, (3, 28, 28), dtype=np.uint8)
    monkeypatch.setattr(
        stages, "draw_tiles", lambda tiles, *_: shown.append(tiles) or np.zeros((9, 9), np.uint8)
    )
    written(tmp_path, replace(examination, view=replace(examination.view, tiles=tiles)))
    assert np.array_equal(shown[0], tiles)


def test_large_pages_are_scaled_down_and_other_files_kept(tmp_path, examined):
    for name in ("2-heat-1024.png", "mine.png"):
        (tmp_path / name).write_bytes(b"old")
    written(tmp_path, examined(size=(4000, 300)))
    assert picture(tmp_path / "1-page.png").shape == (150, 2000)
    names = {path.name for path in tmp_path.iterdir()}
    assert "mine.png" in names
    assert "2-heat-1024.png" not in names


def test_interruption_leaves_only_complete_files(tmp_path, monkeypatch, examined):
    save = Image.Image.save

    def interrupted(self, path, **options):
        if (tmp_path / "4-places.png").exists():
            path.write_bytes(b"half a picture")
            raise KeyboardInterrupt
        save(self, path, **options)

    monkeypatch.setattr(Image.Image, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        written(tmp_path, examined())
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names[-1] == "4-places.png"
    for name in names:
        assert picture(tmp_path / name).size


def brightness(picture):
    return picture.astype(float).mean(axis=2)


def test_heatmap_is_bright_at_high_scores_and_shows_the_picture_elsewhere():
    heat = np.zeros((50, 50), np.float32)
    heat[10:14, 30:34] = 0.9
    picture = draw_heat(np.full((200, 200, 3), 255, np.uint8), (200, 200), heat, "Look 1")
    assert picture.dtype == np.uint8
    grown = picture.shape[1] // 200
    light = brightness(picture[: 200 * grown])
    y, x = np.unravel_index(light.argmax(), light.shape)
    assert (y / grown, x / grown) == pytest.approx((48, 128), abs=8)
    rising = np.repeat(np.linspace(0.2, 1, 100, dtype=np.float32)[None], 100, 0)
    picture = draw_heat(np.zeros((400, 400), np.uint8), (400, 400), rising, "")
    assert np.all(np.diff(brightness(picture)[200][10::40]) > 0)
    page = np.full((800, 800), 255, np.uint8)
    page[:, 300:500] = 0
    picture = draw_heat(page, (800, 800), np.zeros((200, 200), np.float32), "")
    assert brightness(picture)[400, 400] < brightness(picture)[400, 100] - 50


@pytest.mark.parametrize("size", [(192, 5), (5, 192), (191, 107), (1, 1)])
def test_heatmaps_of_all_sizes_are_drawn(size):
    width, height = size
    heat = np.full((-(-height // 4), -(-width // 4)), 0.5, np.float32)
    picture = draw_heat(np.zeros((3 * height, 3 * width, 3), np.uint8), size, heat, "a long title")
    assert picture.shape[2] == 3
    assert picture.shape[1] >= 240
