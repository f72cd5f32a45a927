"""What a part of a line may say, against the sums over all ways through it."""

from collections import defaultdict
from itertools import groupby, product

import numpy as np
import pytest

from digitlens.alphabet import BLANK, CLASS_OF, CLASSES
from digitlens.reading.lattice import likely_texts, text_odds


def posteriors(path, sure=0.9):
    """float32[T, C]: the steps of a path, ``_`` for the blank, each so sure."""
    rows = np.full((len(path), CLASSES), (1 - sure) / (CLASSES - 1), np.float32)
    for step, char in enumerate(path):
        rows[step, 0 if char == "_" else CLASS_OF[char]] = sure
    return rows


def ctc(posteriors, chars):
    """The probability of each text, summed over all ways along the steps."""
    found = defaultdict(float)
    for path in product(range(posteriors.shape[1]), repeat=len(posteriors)):
        kept = [value for value, _ in groupby(path) if value]
        chance = np.prod([row[value] for row, value in zip(posteriors, path, strict=True)])
        found["".join(chars[value - 1] for value in kept)] += chance
    return found


def test_texts_that_are_likely_have_the_odds_of_ctc():
    random = np.random.default_rng(5)
    rows = np.zeros((5, CLASSES), np.float32)
    rows[:, [BLANK, *map(CLASS_OF.get, "17/")]] = random.dirichlet([0.6] * 4, size=5)
    every = ctc(rows[:, [BLANK, *map(CLASS_OF.get, "17/")]], "17/")
    found = [each.text for each in likely_texts(rows, 8)]
    odds = text_odds(rows, found)
    top = max(filter(None, every), key=every.get)
    assert found[0] == top
    assert (odds / odds[0]).tolist() == pytest.approx([every[t] / every[top] for t in found], 1e-2)
    assert text_odds(rows, ["8"])[0] < 1e-3


def test_letters_around_a_likely_text_cost_nothing():
    text, letters = posteriors("12"), posteriors("_A_")
    rows = np.concatenate([letters, text, letters])
    assert likely_texts(rows, 4)[0].text == "12"
    assert text_odds(rows, ["12"]) == pytest.approx(text_odds(text, ["12"]), rel=0.1)
