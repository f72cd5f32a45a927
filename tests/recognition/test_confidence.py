from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from digitlens.errors import ModelError
from digitlens.evaluation.calibration import Calibration
from digitlens.evaluation.risk import RiskCoverage
from digitlens.evaluation.votes import Votes
from digitlens.model.bundle import Card
from digitlens.recognition.confidence import POOL, SIGNS, Confidence, signs

CALIBRATION = {"confidence": [0.1, 0.5, 0.9], "probability": [0.02, 0.4, 0.99]}
WEIGHTS = [0.2, 1.1, 0.9, 1.3, 0.7, 0.6, 0.5, -0.1]
RISK = {"threshold": [0.95, 0.8, 0.5], "stated": [5000, 9000, 9900], "wrong": [1, 60, 400],
        "total": 10000}  # fmt: skip


def card(**results):
    return Card(name="pages", version="0", sha256="", results=results)


def chances(*values, probable=0.91):
    rows = np.full((len(values), 10), (1 - probable) / 9)
    rows[np.arange(len(values)), values] = probable
    return rows.astype(np.float32)


def votes(*names, existence=0.9, digit=0.8, height=28.0):
    """What the three networks say of candidates, each a row of values."""
    rows = np.stack([row if isinstance(row, np.ndarray) else chances(*row) for row in names], 1)
    count = len(rows)
    return Votes(
        np.full(count, existence, np.float32),
        np.full(count, digit, np.float32),
        rows.astype(np.float32),
        np.array([[0, 0, 9, height]] * count, np.float32).reshape(-1, 4),
    )


def pool(*weights):
    return Confidence((*weights, 0.0, 0.0, 0.0))


def test_votes_are_multiplied_each_with_its_weight():
    rows = chances(3, probable=0.55), chances(5, probable=0.82), chances(4)
    found = pool(1.0, 0.5, 0.0).probabilities(votes(*rows))
    expected = rows[0] * rows[1] ** 0.5
    assert found == pytest.approx(expected / expected.sum(), rel=1e-4)
    assert found.dtype == np.float32


@pytest.mark.parametrize(("weights", "value"), [((1, 0, 0), 3), ((1, 3, 0), 5), ((1, 1, 3), 7)])
def test_the_weights_decide_whose_value_it_is(weights, value):
    assert pool(*weights).probabilities(votes([3], [5], [7])).argmax() == value


def test_how_far_a_network_is_trusted_depends_on_the_size():
    """The second network counts for large digits, the first for small ones."""
    confidence = Confidence((1.0, 1.0, 0.0, -0.9, 0.9, 0.0))
    rows = [3], [5], [1]
    assert confidence.probabilities(votes(*rows, height=7)).argmax() == 3
    assert confidence.probabilities(votes(*rows, height=112)).argmax() == 5


def test_votes_that_agree_are_surer_than_each():
    rows = [chances(7, probable=0.6)] * 3
    assert Confidence().probabilities(votes(*rows))[0, 7] > 0.61


def test_no_vote_alone_rules_a_digit_out():
    certain = np.eye(10, dtype=np.float32)
    found = pool(1.0, 1.0, 0.0).probabilities(votes(certain[[2]], certain[[6]], certain[[1]]))
    assert found[0, 2] == found[0, 6] == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize("results", [{}, {"weights": WEIGHTS, "calibration": CALIBRATION}])
def test_no_digits_have_no_confidence(results):
    none, confidence = votes([], [], []), Confidence.of(card(**results))
    rows = confidence.probabilities(none)
    assert rows.shape == (0, 10)
    assert confidence.raw(none, rows).shape == (0,)
    assert confidence.values(none, rows).shape == (0,)


@given(
    arrays.arrays(np.float32, (3, 3, 10), elements=st.floats(0, 1, width=32)),
    arrays.arrays(np.float32, 2, elements=st.floats(0, 1, width=32)),
    st.floats(0, 20000, width=32),
    st.lists(st.floats(-4, 4), min_size=6, max_size=6),
)
def test_any_votes_give_probabilities_and_confidences(names, scores, height, weights):
    cast = votes(*names.transpose(1, 0, 2), existence=scores[0], digit=scores[1], height=height)
    for signs_weighed in ((), WEIGHTS, (50.0, -40.0, 30.0, 20.0, -60.0, 9.0, -9.0, 4.0)):
        confidence = Confidence(tuple(weights), signs_weighed)
        found = confidence.probabilities(cast)
        assert found.sum(axis=1) == pytest.approx(1, abs=1e-5)
        raw = confidence.raw(cast, found)
        assert ((raw >= 0) & (raw <= 1)).all()


def test_without_weights_raw_confidence_is_that_of_a_digit_and_of_its_value():
    cast = votes(*[chances(1, 2, probable=0.8)] * 3, existence=0.5, digit=0.5)
    found = pool(1.0, 0.0, 0.0).raw(cast, chances(1, 2, probable=0.8))
    assert found == pytest.approx([0.4, 0.4])
    assert found.dtype == np.float32


def test_signs_are_both_scores_all_votes_for_the_value_and_the_size():
    rows = chances(3, probable=0.55), chances(3, probable=0.82), chances(5, probable=0.82)
    cast = votes(*rows, existence=0.9, digit=0.5, height=56)
    found = signs(cast, chances(3, probable=0.64))
    expected = [np.log(9), 0, np.log(0.64), np.log(0.55), np.log(0.82), np.log(0.02), 0.5]
    assert found.shape == (1, SIGNS)
    assert found[0] == pytest.approx(expected, abs=1e-4)


def test_weights_make_a_confidence_out_of_signs():
    confidence = Confidence(weights=(0.5, 1.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0))
    found = confidence.raw(votes([3], [3], [3], existence=0.8), chances(3, probable=0.82))
    logit = 0.5 + np.log(0.8 / 0.2) + 2 * np.log(0.82)
    assert found == pytest.approx([1 / (1 + np.exp(-logit))], abs=1e-4)


def test_what_speaks_for_a_digit_raises_its_confidence():
    confidence = Confidence(weights=WEIGHTS)
    row = chances(3)
    strong = confidence.raw(votes([3], [3], [3]), row)
    assert strong > confidence.raw(votes([3], [3], [3], existence=0.2), row)
    assert strong > confidence.raw(votes([3], [3], [3], digit=0.2), row)
    assert strong > confidence.raw(votes([3], [5], [3]), row)


def test_neighbours_that_are_digits_speak_for_a_candidate():
    confidence = Confidence(weights=WEIGHTS, context=(0.0, 1.0, 0.5))
    cast = votes([3, 3], [3, 3], [3, 3])
    alone = Confidence(weights=WEIGHTS).raw(cast, chances(3, 3))
    beside = replace(cast, boxes=np.array([[0, 0, 20, 30], [25, 0, 45, 30]], np.float32))
    apart = replace(cast, boxes=np.array([[0, 0, 20, 30], [500, 0, 520, 30]], np.float32))
    assert confidence.raw(apart, chances(3, 3)) == pytest.approx(alone, abs=1e-3)
    assert (confidence.raw(beside, chances(3, 3)) > alone).all()


def test_plain_drawings_have_a_part_of_the_card_to_themselves():
    both = card(weights=WEIGHTS, plain={"weights": WEIGHTS[::-1], "calibration": CALIBRATION})
    assert Confidence.of(both, "plain").weights == tuple(WEIGHTS[::-1])
    assert Confidence.of(both, "plain").calibration is not None
    assert Confidence.of(both).calibration is None
    assert Confidence.of(card(weights=WEIGHTS), "plain") == Confidence()
    with pytest.raises(ModelError, match="damaged"):
        Confidence.of(card(plain=[1]), "plain")


def test_a_card_without_results_leaves_confidences_as_they_are():
    confidence = Confidence.of(card())
    assert confidence == Confidence(POOL)
    cast, rows = votes([1, 2], [1, 2], [1, 2]), chances(1, 2)
    assert np.array_equal(confidence.values(cast, rows), confidence.raw(cast, rows))


def test_what_was_measured_comes_from_the_card():
    weights = [0.5, 0.4, 0.3, 0.2, 0.1, 0.0]
    confidence = Confidence.of(
        card(
            pool=weights,
            weights=WEIGHTS,
            context=[0.1, 0.9, 0.2],
            calibration=CALIBRATION,
            risk=RISK,
        )
    )
    assert confidence.pool == tuple(weights)
    assert confidence.weights == tuple(WEIGHTS)
    assert confidence.context == (0.1, 0.9, 0.2)
    assert confidence.calibration == Calibration.from_dict(CALIBRATION)
    assert confidence.risk == RiskCoverage.from_dict(RISK)


def test_confidences_are_calibrated_in_their_order():
    confidence = Confidence.of(card(calibration=CALIBRATION))
    score = np.array([0.1, 0.5, 0.9, 1.0], np.float32)
    certain = np.eye(10, dtype=np.float32)[:4]
    boxes = np.zeros((4, 4), np.float32)
    cast = Votes(score, score, np.repeat(certain[:, None], 3, axis=1), boxes)
    found = confidence.values(cast, certain)
    assert found[:3] == pytest.approx([0.02, 0.4, 0.99], abs=0.002)
    assert (np.diff(found) >= 0).all()
    assert found.dtype == np.float32


@pytest.mark.parametrize(
    "results",
    [
        {"pool": "strong"},
        {"pool": None},
        {"pool": [1]},
        {"pool": [1, 2, 3, 4, 5, float("nan")]},
        {"weights": None},
        {"weights": [1, 2]},
        {"weights": ["a"] * 8},
        {"weights": [1, 2, 3, 4, 5, 6, 7, float("nan")]},
        {"context": [1, 2]},
        {"context": [1, 2, float("inf")]},
        {"calibration": None},
        {"calibration": {"confidence": [0.1, 0.2]}},
        {"calibration": {**CALIBRATION, "probability": [0.4, 0.4, 0.4]}},
        {"calibration": {**CALIBRATION, "confidence": ["a", "b", "c"]}},
        {"risk": []},
        {"risk": {**RISK, "wrong": [1, 60, 20000]}},
        {"risk": {**RISK, "total": "many"}},
        {"risk": {**RISK, "threshold": [0.5, 0.8, 0.95]}},
    ],
)
def test_a_damaged_card_is_refused(results):
    with pytest.raises(ModelError, match="the card of pages is damaged: ") as caught:
        Confidence.of(card(**results))
    assert "\n" not in str(caught.value)


def test_the_threshold_keeps_the_target():
    confidence = Confidence.of(card(risk=RISK))
    assert confidence.threshold_for(0.01) == 0.8
    assert confidence.threshold_for(0.002) == 0.95
    assert confidence.threshold_for(0.5) == 0.5


def test_what_the_curve_cannot_promise_is_refused():
    with pytest.raises(ValueError, match="the least that the curve can promise"):
        Confidence.of(card(risk=RISK)).threshold_for(0.0001)
    with pytest.raises(ValueError, match="above 0 and below 1"):
        Confidence.of(card(risk=RISK)).threshold_for(1.5)
    with pytest.raises(ModelError, match="never calibrated: use a shipped one"):
        Confidence.of(card()).threshold_for(0.01)
