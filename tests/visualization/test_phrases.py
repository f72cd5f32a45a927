from dataclasses import replace

import numpy as np
import pytest

from digitlens.explain.evidence import Counterfactual
from digitlens.explain.explanation import (
    Attributions,
    DigitExplanation,
    Explanation,
    Neighbour,
    SimilarDigits,
)
from digitlens.results import Box, Digit, Reading
from digitlens.visualization import phrases

TILE = np.zeros((28, 28), np.uint8)
TILE[4:24, 12:16] = 255


def chances(**shares):
    found = np.full(10, (1 - sum(shares.values())) / 10)
    for name, share in shares.items():
        found[int(name[1])] += share
    return found


def account(**changed):
    own = chances(d4=0.9, d9=0.09)
    digit = Digit(4, 0.97, tuple(own.tolist()), Box(10, 20, 40, 80))
    exists, seen = (0.8, 0.9, 0.95), (True, True)
    scores = np.stack([changed.pop("own", own)] * 3)
    return replace(DigitExplanation(1, digit, TILE, scores, exists, seen, "4", 9), **changed)


def reasons(*found):
    ink, paper = np.zeros((28, 28), np.float32), np.zeros((28, 28), np.float32)
    ink[5, 13], paper[22, 4] = 3, -2
    return Attributions(ink, paper, found)


def change(kind, amount=3.0, place=None, ink=0.0):
    return Counterfactual(kind, amount, place, ink, 9, 0.62, TILE)


def alike(nearer, *labels):
    def ones(*values):
        return tuple(Neighbour(k, v, 0.1 + k / 10, TILE) for k, v in enumerate(values))

    return SimilarDigits(ones(*labels), ones(4, 4), ones(9), nearer, 1000)


def story(**changed):
    page = np.full((90, 120), 255, np.uint8)
    reading = Reading(((account().digit,),), 120, 90, "default", "0" * 64)
    given = Explanation(
        "a", page, reading, 0, ((96, 64),), ("4",), 0.07, 0.15, 0.6, (account(),), ()
    )
    return replace(given, **changed)


EMPTY = Reading((), 120, 90, "default", "0" * 64)


@pytest.mark.parametrize(
    ("share", "said"), [(1.0, "99 %"), (0.996, "99 %"), (0.5, "50 %"), (0.004, "under 1 %")]
)
def test_percent_is_never_0_or_100(share, said):
    assert phrases.percent(share) == said


def test_headline_and_description_of_how_a_page_was_read():
    assert phrases.headline(story()) == "Read: 4"
    assert phrases.headline(story(reading=EMPTY)) == "No digits were read"
    assert phrases.how(story()) == [
        "The digit detector ran once on the picture, at up to 96 pixels a side.",
        "1 line found and read: “4”.",
    ]
    many = phrases.how(story(lines=("a", "", *"bcdefg")))
    assert many[1] == "8 lines found and read: “a”, nothing, “b”, “c”, “d”, “e”, 2 more."
    said = phrases.how(story(turn=1, lines=(), left_out=(2, 1), note="No MNIST."))
    assert said[1:] == [
        "No line of text was found.",
        "It reads best turned by 90° anticlockwise and was read that way.",
        "2 more digits are not explained here.",
        "1 more candidate is rejected and not shown.",
        "No MNIST.",
    ]


def test_reason_for_an_empty_reading_is_given():
    blank = story(reading=EMPTY, digits=(), lines=())
    assert "was 0.07 of 1, and candidates are examined from 0.15" in phrases.how(blank)[2]
    rejected = replace(blank, rejected=(account(),), left_out=(0, 2))
    assert phrases.how(rejected)[2].startswith("3 candidates were rejected")
    assert phrases.how(replace(blank, lines=("abc",)))[2] == "No character on them is a digit."


def test_opinions_list_each_networks_scores():
    assert [said for _, _, said in phrases.opinions(account())] == [
        "a digit: 80 %; its value: 4 (90 %), 9 (9 %)",
        "a digit: 90 %; its value: 4 (90 %), 9 (9 %); the line reads “4”",
        "a digit: 95 %; its value: 4 (90 %), 9 (9 %)",
    ]
    few = phrases.opinions(account(seen=(False, False), line=""))
    assert few[0][2] == "nothing detected"
    assert few[1][2] == "no character read; the line is empty"


def test_reasons_for_the_answer_and_against_the_runner_up():
    said = phrases.why(account(attributions=reasons()))
    assert said == [
        "All three networks read 4.",
        "To the classifier, 4 is 9.9 times as likely as 9.",
        "The strongest evidence for 4 is the ink at the top.",
        "The strongest evidence for 9 is the absence of ink at the bottom left.",
    ]
    scores = np.stack([chances(d4=0.9), chances(d4=0.9), chances(d9=0.9)])
    split = phrases.why(account(scores=scores))
    assert split == ["The networks disagree: 2 of 3 read 4, else 9."]
    sure = phrases.why(account(own=chances(d4=0.999998)))
    assert sure[1] == "To the classifier, 4 is over a million times as likely as 9."
    two = phrases.why(account(seen=(False, True)))
    assert two[0] == "Both networks that saw it read 4."
    one = phrases.why(account(seen=(False, False)))
    assert one[0] == "The only network that saw it reads 4."


def test_reasons_for_rejecting_a_candidate():
    digit = replace(account().digit, status="rejected", confidence=0.14, reason="hardly a digit")
    given = account(digit=digit, exists=(0.3, 0.2, 0.1))
    assert (
        phrases.found(given) == "Not a digit: 30 x 60 pixels at column 10, row 20; hardly a digit."
    )
    (said,) = phrases.why(given)
    assert "30 % by the digit detector, 20 % by the line recogniser, 10 % by the" in said
    assert "Fused probability of a 4: 14 %" in said


def test_found_phrase_of_a_sure_and_an_unsure_digit():
    sure = "A 4, 97 % sure; 30 x 60 pixels at column 10, row 20."
    assert phrases.found(account()) == sure
    unsure = replace(account().digit, status="unsure", reason="60 % sure, could be 9 (30 %)")
    assert "uncertain: 60 % sure, could be 9" in phrases.found(account(digit=unsure))


def test_similar_digits_are_counted_and_typicality_described():
    said = phrases.similar_digits(account(alike=alike(0.43, 4, 4, 9)))
    assert said[0] == "2 of the 3 training digits most like it are 4s."
    assert said[1].startswith("The nearest 4 is 0.10 away, the nearest 9 is 0.10 away")
    assert said[2].startswith("It is as usual as other digits: of 1,000 held-out digits, 43 %")
    assert phrases.similar_digits(account(alike=alike(None, 9)))[0].startswith("None of the 1 ")
    assert "All the 2" in phrases.similar_digits(account(alike=alike(None, 4, 4)))[0]
    assert phrases.similar_digits(account()) == []
    assert phrases.similar_digits(account(alike=alike(0.99, 4)))[-1].startswith(
        "It is unusual: farther"
    )
    assert "than 99.4 % of 1,000" in phrases.similar_digits(account(alike=alike(0.9949, 4)))[-1]
    assert "than all of 1,000" in phrases.similar_digits(account(alike=alike(1.0, 4)))[-1]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (change("erase", 3, (4, 5), 0.101), "erase 3 x 3 pixels (10 % of its ink)"),
        (change("add", 1, (4, 5), 0.001), "add a pixel (1 % of its ink)"),
        (change("turn", -12), "turn 12° clockwise"),
        (change("turn", 12), "turn 12° anticlockwise"),
        (change("move", 3.6, (-2, 3)), "move 2 px up, 3 px right"),
        (change("move", 3, (0, -3)), "move 3 px left"),
        (change("thicken", 1.5), "strokes 1.5 px thicker"),
        (change("thin", 1), "strokes 1 px thinner"),
    ],
)
def test_counterfactuals_are_described(given, said):
    assert phrases.counterfactual(given) == said
    assert phrases.outcome(given) == "9 (62 %)"


def test_changes_without_effect_and_a_classifier_that_disagrees_are_mentioned():
    assert phrases.counterfactuals(account()) == []
    (nothing,) = phrases.counterfactuals(account(attributions=reasons()))
    assert nothing.startswith("No change that was tried alters the answer: erasing a patch")
    some = [change(kind) for kind in ("erase", "add", "turn", "move", "thicken")]
    assert phrases.counterfactuals(account(attributions=reasons(*some))) == [
        "Thinner strokes would not change it."
    ]
    other = account(attributions=reasons(*some, change("thin")), own=chances(d9=0.9))
    assert phrases.counterfactuals(other) == [
        "The classifier alone reads 9 here; the changes are of that answer."
    ]
