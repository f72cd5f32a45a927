from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

from digitlens.alphabet import OTHER, encode
from digitlens.datasets.synthetic.lines import KINDS, Line, LineMaker, draw_nothing


def test_crops_without_text_vary_in_shape(rng):
    planes = [draw_nothing(rng)[0] for _ in range(60)]
    assert len({plane.shape for plane in planes}) > 20
    assert all(plane.dtype == np.float32 and plane.shape[2] == 3 for plane in planes)
    assert min(plane.shape[0] for plane in planes) >= 12
    assert max(plane.shape[0] for plane in planes) == 48


WITHOUT_DIGITS = {"letter", "words", "nothing"}


def same(a: Line, b: Line) -> bool:
    return a.text == b.text and a.kind == b.kind and np.array_equal(a.pixels, b.pixels)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_returns_valid_line_crops(maker, kind):
    lines = [maker.line(number, kind=kind) for number in range(30)]
    for line in lines:
        height, width, channels = line.pixels.shape
        assert line.pixels.dtype == np.uint8
        assert (height, channels) == (48, 3)
        assert width % 8 == 0
        assert 32 <= width <= 512
        assert line.kind == kind
        assert line.text == " ".join(line.text.split())
        assert line.text.isprintable()
    assert len({line.pixels.tobytes() for line in lines}) == 30
    texts = "".join(line.text for line in lines)
    assert bool(texts) == (kind != "nothing")
    assert any(char.isdigit() for char in texts) == (kind not in WITHOUT_DIGITS)


@pytest.mark.parametrize("kind", ["hand digit", "print digit"])
def test_lone_digits_have_at_most_one_character(maker, kind):
    texts = [maker.line(number, kind=kind).text for number in range(40)]
    assert all(len(text) <= 1 for text in texts)
    assert sum(text.isdigit() for text in texts) > 36


def test_almost_all_characters_are_in_the_alphabet(maker):
    classes = [c for number in range(200) for c in encode(maker.line(number).text)]
    assert len(classes) > 800
    assert classes.count(OTHER) < 0.05 * len(classes)


def test_line_is_determined_by_seed_and_unknown_kind_refused(maker, small_split, fonts):
    again = LineMaker(small_split, fonts, seed=3)
    other = LineMaker(small_split, fonts, seed=4)
    assert all(same(maker.line(number), again.line(number)) for number in range(20))
    assert same(maker.line(5, kind="amount"), again.line(5, kind="amount"))
    assert not same(maker.line(5, kind="amount"), other.line(5, kind="amount"))
    assert not same(maker.line(5, kind="amount"), maker.line(6, kind="amount"))
    with pytest.raises(ValueError, match=r"expected one of hand digit, .*, found poem"):
        maker.line(0, kind="poem")


def test_maker_draws_the_same_in_another_process(maker):
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert same(
            pool.submit(maker.line, 7, kind="screen").result(), maker.line(7, kind="screen")
        )


def test_kinds_are_drawn_in_proportion(maker):
    kinds = [maker.line(number).kind for number in range(300)]
    assert sum(KINDS.values()) == pytest.approx(1)
    assert set(kinds) <= set(KINDS)
    share = kinds.count("hand digit") / len(kinds)
    assert share == pytest.approx(KINDS["hand digit"], abs=0.06)
