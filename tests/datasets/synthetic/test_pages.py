import pickle

import numpy as np
import pytest

from digitlens.datasets.synthetic import pages
from digitlens.datasets.synthetic.canvas import Canvas
from digitlens.datasets.synthetic.pages import KINDS, Page, PageKind, PageMaker
from digitlens.datasets.synthetic.styles import Styles

SEEDS = range(40)


def drawn(layout: pages.Layout, styles: Styles, size: tuple[int, int] = (120, 96)):
    sheets = []
    for seed in SEEDS:
        canvas = Canvas(*size, np.eye(3))
        layout(canvas, styles, np.random.default_rng(seed))
        sheets.append(canvas)
    return sheets


def test_single_digit_is_large_and_complete(styles):
    sheets = drawn(pages.draw_single, styles)
    assert [len(canvas.values) for canvas in sheets] == [1] * len(SEEDS)
    assert np.mean([canvas.values[0] >= 0 for canvas in sheets]) > 0.95
    assert len({canvas.values[0] for canvas in sheets} - {-1}) >= 8
    tall = np.array([y1 - y0 for canvas in sheets for _, y0, _, y1 in canvas.boxes])
    assert tall.min() > 0.12 * 96
    assert np.median(tall) > 0.45 * 96


def test_amount_fills_its_field(styles):
    sheets = drawn(pages.draw_amount, styles, (160, 50))
    assert all(2 <= len(canvas.values) <= 7 for canvas in sheets)
    boxes = [np.array(canvas.boxes) for canvas in sheets]
    spans = [box[:, 2].max() - box[:, 0].min() for box in boxes]
    tallest = [(box[:, 3] - box[:, 1]).max() for box in boxes]
    full = [span > 80 or tall > 25 for span, tall in zip(spans, tallest, strict=True)]
    assert np.mean(full) > 0.9


def test_paragraph_has_digits_among_letters(styles):
    sheets = drawn(pages.draw_paragraph, styles)
    assert np.mean([len(canvas.values) > 0 for canvas in sheets]) > 0.6
    outside = 0
    for canvas in sheets:
        for x0, y0, x1, y1 in np.array(canvas.boxes, int).reshape(-1, 4):
            canvas.ink[y0:y1, x0:x1] = 0
        outside += int((canvas.ink > 100).sum())
    assert outside > 10_000  # letters


def test_scattered_digits_rarely_overlap(styles):
    hidden: list[bool] = []
    for canvas in drawn(pages.draw_scatter, styles):
        boxes = np.array(canvas.boxes).reshape(-1, 4)
        for number, box in enumerate(boxes):
            others = np.delete(boxes, number, axis=0)
            wide = np.minimum(box[2], others[:, 2]) - np.maximum(box[0], others[:, 0])
            high = np.minimum(box[3], others[:, 3]) - np.maximum(box[1], others[:, 1])
            shared = (np.clip(wide, 0, None) * np.clip(high, 0, None)).max(initial=0)
            hidden.append(shared > 0.5 * (box[2] - box[0]) * (box[3] - box[1]))
    assert len(hidden) > 100
    assert np.mean(hidden) < 0.03


SIDES = (64, 100, 208)


def same(first: Page, second: Page) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def of_kind(page_maker: PageMaker, kind: str, count: int = 30, side: int = 100) -> list[Page]:
    return [page_maker.page(number, side=side, kind=kind) for number in range(count)]


@pytest.mark.parametrize("kind", [None, *KINDS])
def test_page_is_determined_by_seed_and_number_even_after_pickling(
    page_maker, small_split, fonts, kind
):
    sent = pickle.loads(pickle.dumps(page_maker))
    again, other = PageMaker(small_split, fonts, seed=5), PageMaker(small_split, fonts, seed=6)
    for number in range(2):
        page = page_maker.page(number, side=96, kind=kind)
        assert same(page, again.page(number, side=96, kind=kind))
        assert same(page, sent.page(number, side=96, kind=kind))
        assert not same(page, other.page(number, side=96, kind=kind))
        assert not same(page, page_maker.page(number + 1, side=96, kind=kind))


def test_boxes_are_finite_and_on_the_page(page_maker):
    for number in range(60):
        side = SIDES[number % 3]
        page = page_maker.page(number, side=side)
        assert page.pixels.shape == (side, side, 3)
        assert page.pixels.dtype == np.uint8
        assert page.boxes.shape == (len(page.values), 4)
        assert page.boxes.dtype == np.float32
        assert page.values.dtype == np.int8
        assert np.isfinite(page.boxes).all()
        assert (page.boxes[:, :2] < page.boxes[:, 2:]).all()
        assert (page.boxes >= 0).all()
        assert (page.boxes <= side + 1e-3).all()
        assert np.isin(page.values, range(-1, 10)).all()


NOTHING = ("sign", "held sign", "held nothing", "clutter", "soiled")


@pytest.mark.parametrize("kind", ["words", "scribbles", "empty", *NOTHING])
def test_pages_without_digits_have_none(page_maker, kind):
    drawn = of_kind(page_maker, kind)
    assert all((page.values < 0).all() for page in drawn)
    assert np.mean([np.ptp(page.pixels) > 20 for page in drawn]) > 0.6


@pytest.mark.parametrize(
    ("kind", "least"),
    [("numbers", 3), ("amount", 2.5), ("grid", 6), ("paragraph", 4), ("scatter", 2)],
)
def test_pages_with_digits_have_several_mostly_complete_ones(page_maker, kind, least):
    values = [page.values for page in of_kind(page_maker, kind)]
    counts = [int((each >= 0).sum()) for each in values]
    assert np.mean(counts) > least
    assert np.mean(np.array(counts) > 0) > 0.55  # small paragraphs may have only words
    assert np.mean(np.concatenate(values) < 0) < 0.3


@pytest.mark.parametrize("kind", ["single", "numbers"])
def test_boxes_contain_the_ink(page_maker, kind):
    inside, outside = [], []
    for page in of_kind(page_maker, kind, 60):
        gray = page.pixels.astype(float).mean(axis=2)
        edges = np.hypot(*np.gradient(gray))
        mask = np.zeros(gray.shape, bool)
        for x0, y0, x1, y1 in np.rint(page.boxes).astype(int):
            mask[y0:y1, x0:x1] = True
        if mask.any() and not mask.all():
            inside.append(edges[mask].mean())
            outside.append(edges[~mask].mean())
    assert np.mean(np.array(inside) > np.array(outside)) > 0.8
    assert np.median(inside) > 2.5 * np.median(outside)


@pytest.mark.parametrize("kind", ["held", "soiled number"])
def test_lone_objects_vary_in_size_and_stand_out(page_maker, kind):
    drawn = of_kind(page_maker, kind, 60, side=160)
    tall = [np.ptp(page.boxes[:, 1::2]) / 160 for page in drawn if len(page.boxes)]
    assert len(tall) > 55
    assert np.quantile(tall, 0.1) < 0.25
    assert np.quantile(tall, 0.9) > 0.8
    assert np.mean([len(page.values) == 1 for page in drawn]) == pytest.approx(0.6, abs=0.15)
    spread = []
    for page in drawn:
        x0, y0, x1, y1 = np.rint(page.boxes[0]).astype(int)
        spread.append(page.pixels[y0:y1, x0:x1].std() / max(page.pixels.std(), 1))
    assert np.median(spread) > 1.1


def test_characters_that_look_like_digits_in_their_font_are_left_out(fonts):
    (font, *_) = fonts.printed
    assert pages._unlike_digits(font, "OoAM8%") == "AM%"


def test_strips_are_padded_with_their_last_row(page_maker):
    drawn = of_kind(page_maker, "amount", 60)
    strips = [page for page in drawn if (page.pixels[70:] == page.pixels[-1]).all()]
    assert len(strips) / 60 == pytest.approx(KINDS["amount"].strips, abs=0.15)
    assert all(page.boxes[:, 3].max() <= 70 for page in strips)
    assert np.mean([np.ptp(page.pixels[:20]) > 20 for page in strips]) > 0.8


def test_kinds_are_drawn_in_proportion(page_maker, monkeypatch):
    drawn: list[PageKind] = []

    def note(self: PageMaker, width: int, height: int, kind: PageKind, rng: np.random.Generator):
        del self, rng
        drawn.append(kind)
        return Page(np.zeros((height, width, 3), np.uint8), np.zeros((0, 4)), np.zeros(0, np.int8))

    monkeypatch.setattr(PageMaker, "_draw", note)
    for number in range(1000):
        assert page_maker.page(number, side=64).pixels.shape == (64, 64, 3)
    shares = {name: kind.share for name, kind in KINDS.items()}
    assert sum(shares.values()) == pytest.approx(1)
    assert {name: drawn.count(kind) / 1000 for name, kind in KINDS.items()} == pytest.approx(
        shares, abs=0.04
    )


def test_invalid_size_and_kind_are_refused(page_maker):
    with pytest.raises(ValueError, match="at least 64 pixels, found 40"):
        page_maker.page(0, side=40)
    with pytest.raises(ValueError, match=r"one of single, .*empty, .*found letters"):
        page_maker.page(0, kind="letters")
