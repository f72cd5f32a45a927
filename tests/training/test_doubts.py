"""Fitting the confidence of doubtful numbers: weights learned from few examples."""

import numpy as np
import pytest

from digitlens.datasets.synthetic.typesetting import TextRow
from digitlens.reading import doubt
from digitlens.reading.layout import Layout
from digitlens.reading.numbers import Spot
from digitlens.results import Box, Digit
from digitlens.training.doubts import Sample, count_results, drop_signs, fit_choices, fit_weights


def test_informative_feature_gets_the_weight():
    rng = np.random.default_rng(0)
    choices = []
    for _ in range(60):
        features = rng.normal(size=(4, 2))
        choices.append((features, int((features[:, 0] + 0.2 * rng.normal(size=4)).argmax())))
    first, second = fit_choices(choices)
    assert first > 2 > abs(second)


def seen(rng, *, tag, parted=False):
    """Returns a page with two numbers; on a tag the first has small, raised cents without a mark.

    With ``parted`` the last two digits of the first are a separate number.
    """
    digits, numbers, lines = {}, [], []
    for row, text in enumerate(("999", "12.50" if tag else "864")):
        spots = []
        for k, char in enumerate(text):
            small = tag and row == 0 and k > 0
            high = (10 if small else 20) + int(rng.integers(-1, 2))
            box = Box(10 * k, 40 * row, 10 * k + high // 2, 40 * row + high)
            place = len(digits) if char.isdigit() else -1
            sure = float(rng.uniform(0.9, 1))
            if place >= 0:
                digits[place] = Digit(int(char), sure, (0.1,) * 10, box)
            spots.append(Spot(char, sure, box, place))
        numbers.append([spots[:1], spots[1:]] if parted and row == 0 else [spots])
        right = text if rng.random() < 0.8 else "1" + text
        top, end = 40 * row, 10 * len(text)
        corners = [[0, top], [end, top], [end, top + 20], [0, top + 20]]
        lines.append(TextRow("9.99" if tag and row == 0 else right, np.array(corners, np.float32)))
    everything = tuple(digits)
    layout = Layout((tuple(digits.values()),), (), (everything,), tuple(map(tuple, numbers)))
    return Sample("tags" if tag else "lists", tuple(lines), layout)


def pages(seed, count, **how):
    rng = np.random.default_rng(seed)
    return [seen(rng, tag=k % 2 == 0, **how) for k in range(count)]


def test_every_other_trailing_minus_is_removed():
    box = Box(0, 0, 9, 20)
    debit = [Spot("5", 0.9, box, 0), Spot("-", 0.9, box)]
    rows = (tuple([debit] * 5), (debit[:1], debit, debit[::-1]))
    (page,) = drop_signs([Sample("statements", (), Layout((), (), (), rows))])
    texts = [
        ["".join(spot.char for spot in number) for number in row] for row in page.layout.numbers
    ]
    assert texts == [["5", "5-", "5", "5-", "5"], ["5", "5-", "-5"]]


@pytest.fixture(scope="module")
def weights():
    return fit_weights(pages(1, 40))


def test_all_weights_are_fitted(weights):
    assert len(weights["changes"]) == len(doubt.CHANGES)
    assert len(weights["signs"]) == 1 + len(doubt.SIGNS)
    assert len(weights["cents"]) == 1 + len(doubt.CENTS)
    assert len(weights["sizes"]) == 1 + len(doubt.SIZES)
    assert np.isfinite([weight for fitted in weights.values() for weight in fitted]).all()
    assert {name: len(fitted) for name, fitted in weights.items()} == {
        name: len(fitted) for name, fitted in doubt.shipped().items()
    }


def test_fit_does_not_depend_on_the_previous_weights(weights, monkeypatch):
    every = [*pages(1, 20), *pages(2, 20, parted=True)]
    before = fit_weights(every)
    likely = {name: (40.0, *[0.0] * (len(each) - 1)) for name, each in weights.items()}
    monkeypatch.setattr(doubt, "shipped", lambda: likely)
    assert fit_weights(every) == before


def test_judgement_is_counted_by_kind(weights):
    counts = count_results(pages(2, 20), weights)
    assert {kind: found["numbers"] for kind, found in counts.items()} == {"tags": 20, "lists": 20}
    assert all(found["wrong"] <= found["sure"] <= found["numbers"] for found in counts.values())


def test_number_covering_two_is_compared_with_the_nearer_one():
    spots = [Spot("7", 1.0, Box(10 * k, 0, 10 * k + 8, 20), k) for k in range(4)]
    corners = [np.array([[x, 0], [x + 8, 0], [x + 8, 20], [x, 20]], np.float32) for x in (0, 10)]
    lines = (TextRow("7", corners[0]), TextRow("8", corners[1]))
    digits = {k: Digit(7, 1.0, (0.1,) * 10, spots[k].box) for k in range(4)}
    layout = Layout((tuple(digits.values()),), (), (tuple(digits),), ((spots,),))
    (counts,) = count_results([Sample("wide", lines, layout, (7, 8))], doubt.shipped()).values()
    assert (counts["numbers"], counts["right"]) == (1, 0)
