import copy
import io
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice, repeat
from pathlib import Path

import numpy as np
import pytest

import digitlens
from digitlens.errors import ImageError, ModelError
from digitlens.models import bundle
from digitlens.models.bundle import (
    PAGES,
    SHIPPED_LINES,
    load_bundle,
    load_line_card,
    write_bundle,
    write_line_card,
)
from digitlens.reading import reader as module
from digitlens.reading.batch import ProcessPool
from digitlens.reading.constraints import Expectation
from digitlens.reading.reader import DigitReader, read

RISK = {"threshold": [0.97, 0.8, 0.5], "stated": [5000, 9000, 9900], "wrong": [1, 60, 400],
        "total": 10000}  # fmt: skip


@pytest.fixture(scope="module")
def readings(reader, examples, labels):
    """The reading of each example, by file name."""
    return {name: reader.read(examples / name) for name in labels}


@pytest.fixture
def page(printed):
    """4075 in dark print on light paper, small enough to be detected at a single scale."""
    return np.uint8(255 - 225 * printed("4075", x=10, height=50))


@pytest.fixture
def lines_with(tmp_path):
    """Copies the shipped line reader with changes to its card."""

    def lines_with(**changes):
        for graph in SHIPPED_LINES.glob("*.onnx"):
            shutil.copy(graph, tmp_path)
        write_line_card(tmp_path, replace(load_line_card(), **changes))
        return tmp_path

    return lines_with


def test_every_example_is_read_correctly(readings, examples, labels):
    assert {name: reading.text for name, reading in readings.items()} == labels
    assert set(labels) == {path.name for path in examples.iterdir()} - {
        "labels.csv", "make_examples.py", "__pycache__"
    }  # fmt: skip


def test_most_digits_of_clear_examples_are_sure(readings):
    names = ("board.jpg", "note.jpg", "sticky.jpg")
    digits = [digit for name in names for digit in readings[name].digits]
    assert sum(digit.status == "digit" for digit in digits) >= 7  # of 9


def test_nothing_is_found_beyond_the_edge_of_the_page(reader, page):
    cut = page[:56, 16:130]  # through three digits
    boxes = reader.analyze(cut).scores.boxes
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    assert len(boxes)
    assert (middle >= 0).all()
    assert (middle <= cut.shape[::-1]).all()


def test_reading_has_its_size_model_digits_and_boxes(reader, readings):
    reading = readings["note.jpg"]
    assert (reading.width, reading.height) == (1200, 700)
    assert (reading.model, reading.model_sha256) == ("default", reader.classifier.sha256)
    digits = reading.digits
    assert [digit.value for digit in digits] == [2, 0, 4, 8]
    assert [digit.box.x0 for digit in digits] == sorted(digit.box.x0 for digit in digits)
    assert all(180 < digit.box.height < 290 for digit in digits)
    assert all(sum(digit.probabilities) == pytest.approx(1, abs=1e-4) for digit in digits)


def shaded(page):
    return (page * np.linspace(1, 0.6, page.shape[1])).astype(np.uint8)


def test_examine_returns_the_intermediate_results(reader, page):
    page = shaded(page)
    found = reader.examine(page)
    view, count = found.view, len(found.view.scores)
    assert np.array_equal(found.page, page)
    assert found.turn == 0
    assert view.detections.views
    assert [line.symbols.text for line in view.lines] == ["4075"]
    assert view.lines[0].crop.shape[0] == 48
    assert view.tiles.shape == (count, 28, 28)
    assert view.scores.digits.shape == (count, 3, 10)
    assert view.probabilities.shape == (count, 10)
    assert view.confidence.shape == (count,)
    assert sorted(place for line in found.places for place in line) == list(range(count))
    assert found.reading == reader.read(page)


def test_each_digit_matches_its_place(reader, examples):
    found = reader.examine(examples / "ruled.jpg")
    for line, places in zip(found.reading.lines, found.places, strict=True):
        for digit, place in zip(line, places, strict=True):
            assert digit.value == found.view.probabilities[place].argmax()
            assert digit.confidence == pytest.approx(float(found.view.confidence[place]))
            assert digit.box.x0 == pytest.approx(found.view.scores.boxes[place, 0], abs=1)
            assert np.array_equal(digit.tile, found.view.tiles[place])


def test_characters_spell_the_text(reader, printed):
    page = np.uint8(255 - 225 * printed("-4.75", x=10, height=50))
    reading = reader.read(page)
    [line] = reading.characters
    assert "".join(each.char for each in line) == reading.text == "-4.75"
    assert (reading.digits_only, reading.numbers_digits) == ("475", ("475",))
    values = {digit.box: digit.value for digit in reading.digits}
    assert [values.get(each.box) for each in line] == [None, 4, None, 7, 5]
    middles = [each.box.x0 + each.box.x1 for each in line]  # the bar of a 7 may be over the point
    assert middles == sorted(middles), [each.box for each in line]


def test_box_encloses_a_digit_of_thin_strokes(readings):
    (digit,) = readings["thin.jpg"].digits
    assert digit.box.as_list() == pytest.approx([155, 103, 334, 487], abs=20)


def test_tiles_stay_with_their_digits_through_turns_and_patterns(reader, page):
    for source, pattern in ((np.rot90(shaded(page)), None), (page, "4###")):
        reading = reader.read(source, expect=pattern)
        assert reading.text == "4075"
        for digit in reading.digits:
            assert reader.classifier.predict_proba(digit.tile[None]).argmax() == digit.value


@pytest.mark.parametrize("workers", [1, 3, None])
def test_read_many_gives_the_same_readings_as_read(reader, page, workers):
    pages = [page, np.full((30, 40), 255, np.uint8), 255 - page, page[:, :110]]
    readings = 2 * [reader.read(one, expect="4") for one in pages]
    pages = 2 * pages
    assert list(reader.read_many(pages, expect="4", workers=workers)) == readings
    assert list(reader.read_many(iter(pages[:1]), expect="4", workers=workers)) == readings[:1]
    assert list(reader.read_many([], workers=workers)) == []


def test_processes_give_the_same_readings_as_threads(reader, page, monkeypatch):
    def start_and_wait(pool):
        start(pool)
        pools.append(pool)
        for worker in pool._workers:
            assert worker._connection.poll(30)

    start, pools = ProcessPool.start, []
    monkeypatch.setattr(ProcessPool, "start", start_and_wait)
    strict = copy.copy(reader)
    strict.thresholds = {"digit": 0.9999, "reject": 0.6}
    pages = [page, b"not a picture", page[:, :110], io.BytesIO(b"not one")]
    pages = [*pages, 255 - page] * 2
    readings = [
        list(strict.read_many(pages, expect="4", workers=2, processes=on, on_error=lambda *_: 0))
        for on in (False, True)
    ]
    assert readings[0] == readings[1]
    assert all(
        worker._is_prepared and not worker._process.is_alive() for worker in pools[0]._workers
    )
    assert list(reader.read_many([page], workers=1, processes=True)) == [reader.read(page)]
    assert len(pools) == 1


@pytest.mark.parametrize("workers", [1, 2])
def test_unbounded_stream_is_read_only_as_far_as_consumed(reader, page, workers):
    readings = reader.read_many(repeat(page), workers=workers)
    assert [reading.text for reading in islice(readings, 3)] == ["4075"] * 3
    readings.close()
    assert list(readings) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_unreadable_picture_is_reported_at_its_position(reader, page, workers):
    named = []
    pictures = [page, b"not a picture", page, b""]
    readings = reader.read_many(
        pictures, workers=workers, on_error=lambda *what: named.append(what)
    )
    assert [reading and reading.text for reading in readings] == ["4075", None, "4075", None]
    assert [picture for picture, _ in named] == [b"not a picture", b""]
    assert ["not a picture" in str(named[0][1]), "is empty" in str(named[1][1])] == [True] * 2


@pytest.mark.parametrize("workers", [1, 2])
def test_without_on_error_the_error_follows_the_earlier_readings(reader, page, workers):
    readings = reader.read_many([page, page, b"not a picture", page], workers=workers)
    assert [next(readings).text for _ in range(2)] == ["4075"] * 2
    with pytest.raises(ImageError, match="not a picture"):
        next(readings)


def test_misuse_is_raised_despite_on_error(reader):
    with pytest.raises(TypeError, match="expected a path"):
        list(reader.read_many([None], on_error=lambda *_: None))


def test_options_are_checked_before_a_picture_is_opened(reader):
    for ask in (reader.read, reader.read_many):
        with pytest.raises(ValueError, match="expected a number of digits"):
            ask("none.png", expect="many")
    with pytest.raises(ValueError, match="at least one worker, found 0"):
        reader.read_many([], workers=0)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"model": "none"}, "no model"),
        ({"pages": "none"}, "no model"),
        ({"pages": "default"}, "is not a digit detector"),
        ({"lines": Path()}, r"model\.json cannot be read"),
        ({"lines": "none"}, r"none.model\.json cannot be read"),
    ],
)
def test_missing_or_wrong_models_are_refused(tmp_path, monkeypatch, options, told):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=told):
        DigitReader(**options)


def test_a_damaged_line_reader_is_refused(lines_with):
    with pytest.raises(ModelError, match="was changed: expected SHA-256"):
        DigitReader(lines=lines_with(recognizer_sha256="0" * 64))
    with pytest.raises(ModelError, match="the fusion of the line reader is damaged"):
        DigitReader(lines=lines_with(fusion={"pool": ["strong"]}))


@pytest.mark.parametrize("expect", ["4", "4[01]##", "range 4000..5000", ["4", "one of 4075,12"]])
def test_digits_that_fit_the_constraint_are_sure(reader, page, expect):
    reading = reader.read(page, expect=expect)
    assert (reading.text, {digit.status for digit in reading.digits}) == ("4075", {"digit"})
    assert reading.constrained.fulfilled
    assert reading.constrained.decided_by == ()
    assert reading == reader.read(page, expect=Expectation.of(expect))


def test_alternatives_fit_the_constraint(reader, page):
    free, held = (reader.read(page, expect=expect).numbers[0] for expect in (None, "[4]0[7]5"))
    assert any(re.fullmatch("4.7.", other.text) is None for other in free.alternatives)
    assert all(re.fullmatch("4.7.", other.text) for other in held.alternatives)


@pytest.mark.parametrize("expect", ["2", "9", "range 1000000..2000000", "one of 99,12", "iban"])
def test_constraint_that_nothing_fits_leaves_the_reading_unsure(reader, page, expect):
    reading = reader.read(page, expect=expect)
    assert (reading.text, {digit.status for digit in reading.digits}) == ("4075", {"unsure"})
    assert not reading.constrained.fulfilled
    assert reading.constrained.as_dict() == {
        "expected": [expect],
        "decided_by": [],
        "unconstrained": "4075",
        "fulfilled": False,
    }
    assert expect in reading.digits[0].reason


def test_several_threads_may_read_at_once(reader, page):
    pages = [page, 255 - page, page[:, :110], page[:, 100:]] * 2
    alone = [reader.read(one) for one in pages]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(reader.read, pages)) == alone


def test_read_loads_the_models_once(page, monkeypatch):
    loaded = []
    monkeypatch.setattr(
        module, "DigitReader", lambda model: loaded.append(model) or DigitReader(model, threads=1)
    )
    module._reader.cache_clear()
    assert [digitlens.read(page).text for _ in range(2)] == ["4075", "4075"]
    assert read(page, model="default", expect="4").text == "4075"
    assert loaded == ["default"]
    module._reader.cache_clear()


def test_thresholds_come_from_the_line_reader(page, lines_with):
    def statuses(**thresholds):
        reading = DigitReader(lines=lines_with(thresholds=thresholds), threads=1).read(page)
        return {digit.status for line in reading.lines for digit in line}, reading.text

    assert statuses(digit=1.1, reject=0.05) == ({"unsure"}, "4075")
    assert statuses(digit=2.5, reject=2.4) == ({"rejected"}, "")
    assert statuses(digit=0.3, reject=0.2) == ({"digit"}, "4075")


def test_target_error_sets_the_digit_threshold(lines_with):
    fusion = {**load_line_card().fusion, "risk": RISK}
    folder = lines_with(fusion=fusion, thresholds={"digit": 0.7, "reject": 0.3})
    assert DigitReader(lines=folder).thresholds == {"digit": 0.7, "reject": 0.3}
    reader = DigitReader(lines=folder, target_error=0.01)
    assert reader.thresholds == {"digit": 0.8, "reject": 0.3}
    with pytest.raises(ValueError, match="the least that the curve can promise"):
        DigitReader(lines=folder, target_error=0.00001)
    with pytest.raises(ValueError, match="above 0 and below 1"):
        DigitReader(lines=folder, target_error=2)
    with pytest.raises(ModelError, match="never calibrated"):
        DigitReader(lines=lines_with(fusion={}), target_error=0.01)


def test_the_shipped_line_reader_is_calibrated():
    reader = DigitReader(threads=1)
    assert reader.fusion.calibration is not None
    assert reader.fusion.risk is not None
    strict, loose = (reader.at(target).thresholds["digit"] for target in (0.005, 0.05))
    assert strict > loose > 0.2


def test_digit_detector_given_as_the_model_is_used_as_the_detector(tmp_path):
    shipped = load_bundle(PAGES)
    write_bundle(tmp_path, replace(shipped.card, name="other"), shipped.graph)
    reader = DigitReader(tmp_path, threads=1)
    assert (reader.classifier.name, reader.finder.card.name) == ("default", "other")
    with pytest.raises(ModelError, match="pass only one of them"):
        DigitReader(tmp_path, pages="another")


def test_each_card_is_read_once(monkeypatch):
    def read_card(path, kind):
        cards.append(path.parent.name)
        return read(path, kind)

    cards, read = [], bundle._read_card
    monkeypatch.setattr(bundle, "_read_card", read_card)
    DigitReader(threads=1)
    assert cards == ["default", "pages", "lines"]
    classifier, detector = bundle.open_roles()
    cards.clear()
    DigitReader(classifier, pages=detector, threads=1)  # opened bundles are not read again
    assert cards == ["lines"]


def test_page_is_neither_copied_nor_modified(reader, page):
    for one in (page, np.repeat(page[:, :, None], 3, 2)):
        one.flags.writeable = False
        found = reader.examine(one)
        assert found.reading.text == "4075"
        assert np.shares_memory(found.page, one)


@pytest.mark.mnist
def test_enlarged_mnist_is_read_nearly_as_well_as_its_tiles(reader, mnist):
    tiles, labels = mnist.train.tiles[:50], mnist.train.labels[:50]
    right = (reader.classifier.predict_proba(tiles).argmax(axis=1) == labels).sum()
    pages = [np.kron(np.pad(tile, 6), np.ones((4, 4), np.uint8)) for tile in tiles]
    pages[::2] = [255 - page for page in pages[::2]]
    texts = [reading.text for reading in reader.read_many(pages)]
    enlarged = sum(text == str(label) for text, label in zip(texts, labels, strict=True))
    assert enlarged >= right - 2
