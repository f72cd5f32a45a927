import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import ImageFont

from digitlens.datasets.mnist import Split
from digitlens.datasets.synthetic import pages
from digitlens.datasets.synthetic.fonts import Family
from digitlens.datasets.synthetic.hands import EM
from digitlens.datasets.synthetic.pages import KINDS, Kind, Page, PageMaker, load_fonts
from digitlens.datasets.synthetic.writers import Fonts

SIDES = (64, 100, 208)


def same(first: Page, second: Page) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def of_kind(page_maker: PageMaker, kind: str, count: int = 30, side: int = 100) -> list[Page]:
    return [page_maker.page(number, side=side, kind=kind) for number in range(count)]


@pytest.mark.parametrize("kind", [None, *KINDS])
def test_seed_and_number_decide_a_page(
    page_maker: PageMaker, small_split: Split, fonts: Fonts, kind: str | None
):
    again, other = PageMaker(small_split, fonts, seed=5), PageMaker(small_split, fonts, seed=6)
    for number in range(4):
        page = page_maker.page(number, side=96, kind=kind)

        assert same(page, again.page(number, side=96, kind=kind))
        assert not same(page, other.page(number, side=96, kind=kind))
        assert not same(page, page_maker.page(number + 1, side=96, kind=kind))


def test_a_maker_sent_to_another_process_draws_the_same(page_maker: PageMaker):
    sent = pickle.loads(pickle.dumps(page_maker))

    assert all(same(page_maker.page(number), sent.page(number)) for number in range(6))


def test_any_page_has_finite_boxes_that_lie_on_it(page_maker: PageMaker):
    for number in range(240):
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


@pytest.mark.parametrize("kind", ["words", "scribbles", "empty"])
def test_pages_without_digits_have_none(page_maker: PageMaker, kind: str):
    drawn = of_kind(page_maker, kind)

    assert all((page.values < 0).all() for page in drawn)
    assert np.mean([np.ptp(page.pixels) > 20 for page in drawn]) > 0.6


def test_a_single_digit_is_the_only_one(page_maker: PageMaker):
    drawn = of_kind(page_maker, "single", 60)

    assert {len(page.values) for page in drawn} == {1}
    assert np.mean([page.values[0] >= 0 for page in drawn]) > 0.9
    assert {int(page.values[0]) for page in drawn} >= set(range(10))


@pytest.mark.parametrize(
    ("kind", "least"),
    [("numbers", 3), ("amount", 2.5), ("grid", 6), ("paragraph", 4), ("scatter", 2)],
)
def test_pages_with_digits_have_several(page_maker: PageMaker, kind: str, least: float):
    counts = [int((page.values >= 0).sum()) for page in of_kind(page_maker, kind)]

    assert np.mean(counts) > least
    assert np.mean(np.array(counts) > 0) > 0.55  # small paragraphs may be words alone


@pytest.mark.parametrize("kind", ["single", "numbers"])
def test_boxes_are_where_the_ink_is_also_on_enlarged_pages(page_maker: PageMaker, kind: str):
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


def test_strips_are_wide_and_their_last_row_goes_on_below(page_maker: PageMaker):
    drawn = of_kind(page_maker, "amount", 60)
    strips = [page for page in drawn if (page.pixels[70:] == page.pixels[-1]).all()]

    assert len(strips) / 60 == pytest.approx(KINDS["amount"].strips, abs=0.15)
    assert all(page.boxes[:, 3].max() <= 70 for page in strips)
    assert np.mean([np.ptp(page.pixels[:20]) > 20 for page in strips]) > 0.8


def test_kinds_come_as_often_as_their_shares_say(
    page_maker: PageMaker, monkeypatch: pytest.MonkeyPatch
):
    drawn: list[Kind] = []

    def note(self: PageMaker, width: int, height: int, kind: Kind, rng: np.random.Generator):
        del self, rng
        drawn.append(kind)
        return Page(np.zeros((height, width, 3), np.uint8), np.zeros((0, 4)), np.zeros(0, np.int8))

    monkeypatch.setattr(PageMaker, "_drawn", note)
    for number in range(1000):
        assert page_maker.page(number, side=64).pixels.shape == (64, 64, 3)

    shares = {name: kind.share for name, kind in KINDS.items()}
    assert sum(shares.values()) == pytest.approx(1)
    assert {name: drawn.count(kind) / 1000 for name, kind in KINDS.items()} == pytest.approx(
        shares, abs=0.04
    )


@pytest.mark.parametrize("kind", ["plain tile", "plain single", "plain numbers", "plain words"])
def test_plain_kinds_are_one_ink_on_flat_paper(page_maker: PageMaker, kind: str):
    for page in of_kind(page_maker, kind, 10):
        pixels = page.pixels.reshape(-1, 3) - page.pixels.reshape(-1, 3).mean(axis=0)
        spread = np.linalg.svd(pixels, compute_uv=False) / len(pixels) ** 0.5
        assert spread[1] < 1  # gray levels: all colours lie between two
        assert (len(page.values) > 0) == (kind != "plain words") or (page.values == -1).all()


def test_pages_are_of_any_brightness_and_of_any_colour(page_maker: PageMaker):
    means = np.array(
        [page_maker.page(number, side=64).pixels.mean(axis=(0, 1)) for number in range(80)]
    )

    assert means.mean(axis=0) == pytest.approx(135, abs=30)
    assert means.std(axis=0).min() > 35
    assert np.mean(np.ptp(means, axis=1) > 40) > 0.15


def test_what_cannot_be_drawn_is_refused(page_maker: PageMaker):
    with pytest.raises(ValueError, match="at least 64 pixels, found 40"):
        page_maker.page(0, side=40)
    with pytest.raises(ValueError, match=r"one of single, .*empty, .*found letters"):
        page_maker.page(0, kind="letters")


def test_fonts_come_by_role_look_and_weight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    file = tmp_path / "font"
    file.write_bytes(ImageFont.load_default(EM).font_bytes)
    families = [
        Family("script", "1", "hand", "training", "0"),
        Family("serif", "1", "print", "training", "0"),
        Family("dseg7", "1", "print", "training", "0"),
        Family("other", "1", "print", "validation", "0"),
    ]
    asked: list[Family] = []

    def font_files(wanted: list[Family]):
        asked.extend(wanted)
        weights = {"serif": 3}
        return {family: [{"latin": file}] * weights.get(family.family, 1) for family in wanted}

    monkeypatch.setattr(pages, "load_families", lambda: families)
    monkeypatch.setattr(pages, "font_files", font_files)

    fonts = load_fonts("training")

    assert asked == families[:3]
    assert len(fonts.hand) == 1
    assert len(fonts.print) == 3 + 1
    assert fonts.print[0].letters
    assert fonts.print[-1].letters == ""  # a seven-segment font writes its letters like digits
