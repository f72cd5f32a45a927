import csv
import io
from threading import Thread

import numpy as np
import pytest
from PIL import Image

import digitlens
from digitlens.errors import ImageError, ModelError
from digitlens.recognition import reader as module
from digitlens.recognition.reader import DigitReader, judge, read
from digitlens.results import Box

THRESHOLDS = {"digit": 0.8, "reject": 0.4}
UPRIGHT, WIDE = Box(0, 0, 10, 20), Box(0, 0, 40, 20)


def scores(value, confidence, second=9):
    values = np.full(10, (1 - confidence) / 10)
    values[value], values[second] = confidence, (1 - confidence) / 5
    return values.astype(np.float32)


@pytest.fixture(scope="module")
def reader():
    return DigitReader()


@pytest.fixture(scope="module")
def labels(examples):
    with (examples / "labels.csv").open(newline="", encoding="utf-8") as stream:
        return {row["file"]: row["text"] for row in csv.DictReader(stream)}


def test_every_example_is_read_right(reader, examples, labels):
    assert {name: reader.read(examples / name).text for name in labels} == labels


def test_the_examples_are_those_of_the_folder(examples, labels):
    assert set(labels) == {path.name for path in examples.iterdir()} - {
        "labels.csv", "make_examples.py", "__pycache__"
    }  # fmt: skip


def test_a_reading_says_what_was_read_where_and_by_whom(reader, examples):
    reading = reader.read(examples / "note.jpg")
    assert (reading.width, reading.height) == (1200, 700)
    assert (reading.model, reading.model_sha256) == ("default", reader.classifier.sha256)
    [line] = reading.lines
    assert [digit.value for digit in line] == [2, 0, 4, 8]
    assert [digit.box.x0 for digit in line] == sorted(digit.box.x0 for digit in line)
    assert all(sum(digit.probabilities) == pytest.approx(1, abs=1e-4) for digit in line)


def test_a_blank_picture_gives_an_empty_reading(reader):
    reading = reader.read(np.full((40, 60), 255, np.uint8))
    assert reading.lines == ()
    assert reading.text == ""


def test_all_kinds_of_sources_are_read(reader, examples):
    path = examples / "drawing.png"
    content = path.read_bytes()
    with Image.open(path) as opened:
        picture = opened.copy()
    for source in (path, str(path), content, io.BytesIO(content), picture, np.asarray(picture)):
        assert reader.read(source).text == "7"


def test_many_are_read_as_one_by_one_and_in_one_batch(reader, examples, monkeypatch):
    paths = [examples / name for name in ("board.jpg", "blank.jpg", "ruled.jpg")]
    alone = [reader.read(path) for path in paths]
    batches = []
    predict = reader.classifier.predict_proba
    monkeypatch.setattr(
        reader.classifier,
        "predict_proba",
        lambda tiles: batches.append(len(tiles)) or predict(tiles),
    )
    together = reader.read_many(paths)
    assert batches == [14]
    assert [reading.text for reading in together] == [reading.text for reading in alone]
    assert reader.read_many([]) == []


def test_what_is_no_picture_is_refused(reader, tmp_path):
    with pytest.raises(ImageError, match="no such file"):
        reader.read(tmp_path / "none.png")
    with pytest.raises(ModelError, match="no model"):
        DigitReader(tmp_path / "none")


def test_several_threads_may_read_at_once(reader, examples):
    texts = []
    threads = [
        Thread(target=lambda: texts.append(reader.read(examples / "note.jpg").text))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == ["2048"] * 4


def test_read_loads_the_model_once(examples, monkeypatch):
    loaded = []
    monkeypatch.setattr(
        module, "DigitReader", lambda model: loaded.append(model) or DigitReader(model)
    )
    module._reader.cache_clear()
    assert [digitlens.read(examples / "corner.png").text for _ in range(2)] == ["3", "3"]
    assert read(examples / "corner.png", model="default").text == "3"
    assert loaded == ["default"]
    module._reader.cache_clear()


@pytest.mark.parametrize(
    ("confidence", "status", "reason"),
    [
        (0.95, "digit", ""),
        (0.8001, "digit", ""),
        (0.6, "unsure", "60 % sure, could be 9 (8 %)"),
        (0.3, "rejected", "unlike any digit, closest to 4 (30 %)"),
    ],
)
def test_thresholds_decide_between_digit_unsure_and_rejected(confidence, status, reason):
    digit = judge(scores(4, confidence), UPRIGHT, THRESHOLDS)
    assert (digit.value, digit.box) == (4, UPRIGHT)
    assert digit.confidence == pytest.approx(confidence)
    assert (digit.status, digit.reason) == (status, reason)


def test_thresholds_are_those_of_the_model():
    strict = {"digit": 0.99, "reject": 0.9}
    assert judge(scores(4, 0.95), UPRIGHT, strict).status == "unsure"
    assert judge(scores(4, 0.85), UPRIGHT, strict).status == "rejected"


def test_what_is_wider_than_any_digit_is_rejected_however_sure_the_model():
    digit = judge(scores(4, 0.99), WIDE, THRESHOLDS)
    assert digit.status == "rejected"
    assert "wider than any digit" in digit.reason


@pytest.mark.mnist
def test_enlarged_mnist_is_read_as_well_as_its_tiles(reader, mnist):
    tiles, labels = mnist.train.tiles[:150], mnist.train.labels[:150]
    right = (reader.classifier.predict_proba(tiles).argmax(axis=1) == labels).sum()
    pages = [np.kron(np.pad(tile, 6), np.ones((8, 8), np.uint8)) for tile in tiles]
    pages[::2] = [255 - page for page in pages[::2]]
    texts = [reading.text for reading in reader.read_many(pages)]
    enlarged = sum(text == str(label) for text, label in zip(texts, labels, strict=True))
    assert enlarged >= right - 1
