"""What a part of a line may say, against the sums over all ways through it."""

import numpy as np
import pytest

from digitlens.alphabet import BLANK, CLASS_OF, CLASSES
from digitlens.reading.lattice import likely_texts, text_odds


def test_texts_that_are_likely_have_the_odds_of_ctc(ctc):
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


def test_letters_around_a_likely_text_cost_nothing(posteriors):
    text, letters = posteriors("12"), posteriors("_A_")
    rows = np.concatenate([letters, text, letters])
    assert likely_texts(rows, 4)[0].text == "12"
    assert text_odds(rows, ["12"]) == pytest.approx(text_odds(text, ["12"]), rel=0.1)
