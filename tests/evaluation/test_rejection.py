import json

import numpy as np
import pytest

from digitlens.evaluation.rejection import Choice, measure_rejection, taken_for_digits
from digitlens.outputs import Outputs

STRANGERS = {
    "black": np.zeros((30, 28, 28), np.uint8),
    "noise": np.random.default_rng(0).integers(0, 256, (20, 28, 28), dtype=np.uint8),
}


def probabilities_of(tiles):
    """Sure of what has much ink on the left; the value is any."""
    ink = tiles[:, :, :14].mean(axis=(1, 2)) / 255
    chances = np.full((len(tiles), 10), 0.05, np.float32)
    chances[:, 3] += 10 * ink
    return chances / chances.sum(axis=1, keepdims=True)


def plain(tiles):
    return Outputs(probabilities_of(tiles))


def with_digit(tiles):
    """A graph that knows noise by its few dark pixels, and takes black tiles for digits."""
    dark = (tiles < 40).mean(axis=(1, 2))
    return Outputs(probabilities_of(tiles), digit=dark.astype(np.float32))


def never():
    pytest.fail("nothing is to be chosen")


@pytest.fixture(autouse=True)
def _few(monkeypatch):
    monkeypatch.setattr("digitlens.evaluation.rejection.CORRUPTED", 20)


def test_with_probabilities_alone_nothing_is_chosen(small_split):
    found = measure_rejection(plain, small_split, STRANGERS, never)
    assert found.recommended == "maximum probability"
    assert list(found.scores) == ["maximum probability"]
    assert found.scores["maximum probability"]["black"].auroc == 1
    assert (found.chosen_by, found.scaling) == ({}, {})


def test_uncertainty_is_measured_clean_and_under_all_corruptions(small_split):
    found = measure_rejection(plain, small_split, STRANGERS, never)
    assert found.uncertainty["clean"].n == len(small_split)
    assert found.uncertainty["corrupted"].n == 15 * 20
    confidence, right = found.answers["corrupted"]
    assert len(confidence) == len(right) == 300
    assert found.uncertainty["corrupted"].error == pytest.approx(1 - right.mean())


def test_the_score_is_chosen_on_other_tiles_than_it_is_quoted_on(small_split):
    def choice(strangers):
        return lambda: Choice(small_split, small_split.tiles, {"as in training": strangers})

    # What is there to choose by decides, not what is quoted: there black tiles are easy.
    by_noise = measure_rejection(with_digit, small_split, STRANGERS, choice(STRANGERS["noise"]))
    assert by_noise.recommended == "digit"
    by_black = measure_rejection(with_digit, small_split, STRANGERS, choice(STRANGERS["black"]))
    assert by_black.recommended == "maximum probability"
    assert list(by_black.chosen_by["digit"]) == ["as in training"]
    assert by_black.scores == by_noise.scores


def test_ways_to_calibrate_are_compared_when_asked_for(small_split):
    found = measure_rejection(plain, small_split, STRANGERS, never, scaling=True)
    assert "temperature" in found.scaling


def test_worst_strangers_come_first_and_the_numbers_are_json(small_split):
    found = measure_rejection(plain, small_split, STRANGERS, never)
    worst = taken_for_digits(found, "noise", 5)
    scores = found.found["noise"].scores["maximum probability"]
    assert scores[worst[0]] == scores.max()
    assert (np.diff(scores[worst]) <= 0).all()
    values = json.loads(json.dumps(found.as_dict()))
    assert values["recommended"] == "maximum probability"
    assert values["scores"]["maximum probability"]["black"] == {"n": 30, "auroc": 1, "fpr95": 0}
    assert set(values["uncertainty"]) == {"clean", "corrupted"}


def test_a_score_of_somebody_else_is_measured_everywhere_and_never_recommended(small_split):
    def bright(tiles):
        """Knows digits by what noise lacks: more ink than black, less than noise."""
        ink = tiles.mean(axis=(1, 2)).astype(np.float64)
        return -np.abs(ink - small_split.tiles.mean())

    def choice():
        return Choice(small_split, small_split.tiles, STRANGERS)

    found = measure_rejection(with_digit, small_split, STRANGERS, choice, beside={"ink": bright})
    assert list(found.scores)[-1] == list(found.chosen_by)[-1] == "ink"
    assert found.scores["ink"]["noise"].auroc == 1
    assert found.found["noise"].scores["ink"].shape == (20,)
    assert found.recommended in {"maximum probability", "digit", "digit and value"}
    assert "ink" in found.as_dict()["scores"]
    alone = measure_rejection(plain, small_split, STRANGERS, never, beside={"ink": bright})
    assert list(alone.scores) == ["maximum probability", "ink"]
    assert alone.recommended == "maximum probability"
