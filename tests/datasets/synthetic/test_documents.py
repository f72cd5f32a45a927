import numpy as np
import pytest

from digitlens.datasets.mnist import Split
from digitlens.datasets.synthetic.documents import (
    KINDS,
    NO_DIGITS,
    DocumentMaker,
    SyntheticDocument,
)
from digitlens.datasets.synthetic.styles import Fonts
from digitlens.datasets.synthetic.typesetting import SCAN, Dots, PrintedPage, SizedFont, Typesetter


@pytest.fixture(scope="module")
def maker(small_split: Split, fonts: Fonts) -> DocumentMaker:
    return DocumentMaker(small_split, fonts, seed=3)


@pytest.fixture(scope="module")
def documents(maker: DocumentMaker) -> dict[str, list[SyntheticDocument]]:
    return {kind: [maker.document(number, kind=kind) for number in range(3)] for kind in KINDS}


def canvas() -> PrintedPage:
    return PrintedPage(np.zeros((80, 300, 3), np.float32))


def test_document_is_determined_by_seed_number_and_kind(maker, small_split, fonts, documents):
    again = DocumentMaker(small_split, fonts, seed=3)
    other = DocumentMaker(small_split, fonts, seed=4)
    for kind in KINDS:
        first, second = documents[kind][1], again.document(1, kind=kind)
        assert np.array_equal(first.pixels, second.pixels)
        assert np.array_equal(first.boxes, second.boxes)
        assert [line.text for line in first.lines] == [line.text for line in second.lines]
        assert not np.array_equal(first.pixels, other.document(1, kind=kind).pixels)
    assert maker.document(0).kind in KINDS
    with pytest.raises(ValueError, match="found novel"):
        maker.document(0, kind="novel")


@pytest.mark.parametrize("kind", KINDS)
def test_lines_have_the_digits_of_the_boxes_and_boxes_are_on_the_page(documents, kind):
    found = 0
    for document in documents[kind]:
        height, width = document.pixels.shape[:2]
        assert document.pixels.dtype == np.uint8
        assert document.boxes.shape == (len(document.values), 4)
        assert (document.boxes.dtype, document.values.dtype) == (np.float32, np.int8)
        assert (document.boxes[:, :2] < document.boxes[:, 2:]).all()
        assert (document.boxes >= 0).all()
        assert (document.boxes[:, 2:] <= (width, height)).all()
        for line in document.lines:
            assert line.text == line.text.strip() != ""
            assert (line.quad.shape, line.quad.dtype) == ((4, 2), np.float32)
        written = [c for line in document.lines for c in line.text if c in "0123456789"]
        assert written == [str(value) for value in document.values if value >= 0]
        found += len(written)
    assert (found == 0) == (kind in NO_DIGITS)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in NO_DIGITS])
def test_every_box_contains_ink(documents, kind):
    spread = [
        float(np.ptp(document.pixels[int(y0) : int(y1 + 1), int(x0) : int(x1 + 1)].mean(2)))
        for document in documents[kind]
        for (x0, y0, x1, y1), value in zip(document.boxes, document.values, strict=True)
        if value >= 0
    ]
    assert np.quantile(spread, 0.02) > 12


@pytest.mark.parametrize("sort", ["screen", "scan", "dots"])
def test_boxes_are_tight(font_glyphs, sort):
    face: Typesetter = SizedFont(font_glyphs, 20, SCAN if sort == "scan" else 1)
    if sort == "dots":
        face = Dots(20, np.random.default_rng(0))
    page = canvas()
    for place, char in enumerate("308"):
        assert page.put(face.run(char), 20.4 + 60 * place, 50)
    boxes = page.labels(np.eye(3), 300, 80).boxes
    ink = page.layer("ink") > 70
    for place, (x0, y0, x1, y1) in enumerate(boxes.astype(int)):
        part = ink[:, 60 * place : 60 * place + 60]
        rows, columns = np.flatnonzero(part.any(1)), np.flatnonzero(part.any(0)) + 60 * place
        assert [x0, y0, x1, y1] == [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        assert abs(y1 - y0 - 20) <= 3


def test_cut_digits_and_lone_look_alikes_are_optional(font_glyphs):
    cut, lettered = canvas(), canvas()
    cut.put(SizedFont(font_glyphs, 30).run("1 7"), 10, 50)
    lettered.put(SizedFont(font_glyphs, 20).run("O 5 Ol"), 10, 50)
    x0, _, x1, _ = cut.labels(np.eye(3), 300, 80).boxes[1]
    found = cut.labels(np.eye(3), round(x0 + 0.3 * (x1 - x0)), 80)
    letters = lettered.labels(np.eye(3), 300, 80)
    assert found.values.tolist() == [1, -1]
    assert [line.text for line in found.lines] == ["1"]
    assert letters.values.tolist() == [-1, 5]
    assert letters.lines[0].text == "O 5 Ol"


def test_boxes_turn_with_the_page_and_text_without_room_is_omitted(font_glyphs):
    page = canvas()
    assert not page.put(SizedFont(font_glyphs, 20).run("1234567890" * 4), 5, 50)
    assert not page.put(SizedFont(font_glyphs, 20).run("12"), 5, 5)
    assert page.labels(np.eye(3), 300, 80).lines == ()
    page.put(SizedFont(font_glyphs, 20).run("8"), 100, 50)
    turn = np.array([[0, -1, 80], [1, 0, 0], [0, 0, 1]], float)
    x0, y0, x1, y1 = page.labels(np.eye(3), 300, 80).boxes[0]
    assert page.labels(turn, 80, 300).boxes[0].tolist() == [80 - y1, x0, 80 - y0, x1]
