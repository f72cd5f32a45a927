import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from digitlens.errors import ModelError
from digitlens.evaluation.calibration import Calibration
from digitlens.evaluation.risk import RiskCoverage
from digitlens.model.bundle import Card
from digitlens.recognition.confidence import SIGNS, VOTE, Confidence, signs

CALIBRATION = {"confidence": [0.1, 0.5, 0.9], "probability": [0.02, 0.4, 0.99]}
WEIGHTS = [0.2, 1.1, 0.9, 1.3, 0.7]
RISK = {"threshold": [0.95, 0.8, 0.5], "stated": [5000, 9000, 9900], "wrong": [1, 60, 400],
        "total": 10000}  # fmt: skip


def card(**results):
    return Card(name="pages", version="0", sha256="", results=results)


def chances(*values, probable=0.91):
    rows = np.full((len(values), 10), (1 - probable) / 9)
    rows[np.arange(len(values)), values] = probable
    return rows.astype(np.float32)


def test_both_votes_are_multiplied_the_second_with_its_weight():
    network, classifier = chances(3, probable=0.55), chances(5, probable=0.82)
    found = Confidence(vote=0.5).together(network, classifier)
    expected = network * classifier**0.5
    assert found == pytest.approx(expected / expected.sum(), rel=1e-4)
    assert found.dtype == np.float32


@pytest.mark.parametrize(("vote", "value"), [(0.0, 3), (0.2, 3), (3.0, 5)])
def test_the_weight_decides_whose_value_it_is(vote, value):
    found = Confidence(vote).together(chances(3), chances(5))
    assert found.argmax() == value


def test_votes_that_agree_are_surer_than_each():
    found = Confidence().together(chances(7, probable=0.6), chances(7, probable=0.6))
    assert found[0, 7] > 0.61


def test_neither_vote_alone_rules_a_digit_out():
    certain = np.eye(10, dtype=np.float32)
    found = Confidence(vote=1).together(certain[[2]], certain[[6]])
    assert found[0, 2] == found[0, 6] == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize("results", [{}, {"weights": WEIGHTS, "calibration": CALIBRATION}])
def test_no_digits_have_no_confidence(results):
    none, score = np.zeros((0, 10), np.float32), np.zeros(0, np.float32)
    confidence = Confidence.of(card(**results))
    assert confidence.together(none, none).shape == (0, 10)
    assert confidence.raw(score, none, none).shape == (0,)
    assert confidence.values(score, none, none).shape == (0,)


@given(
    arrays.arrays(np.float32, (3, 10), elements=st.floats(0, 1, width=32)),
    arrays.arrays(np.float32, (3, 10), elements=st.floats(0, 1, width=32)),
    st.floats(0, 4),
)
def test_any_votes_give_probabilities(network, classifier, vote):
    found = Confidence(vote).together(network, classifier)
    assert found.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert ((found >= 0) & (found <= 1)).all()


def test_without_weights_raw_confidence_is_that_of_a_digit_and_of_its_value():
    existence, votes = np.array([0.5, 1], np.float32), chances(1, 2, probable=0.8)
    found = Confidence(vote=0).raw(existence, votes, chances(7, 7))
    assert found == pytest.approx([0.4, 0.8])
    assert found.dtype == np.float32


def test_signs_are_the_score_both_votes_for_the_value_and_their_agreement():
    network, classifier = chances(3, 4, probable=0.55), chances(3, 5, probable=0.82)
    both = np.eye(10, dtype=np.float32)[[3, 5]]
    found = signs(np.array([0.5, 0.9], np.float32), network, classifier, both)
    assert found.shape == (2, SIGNS)
    expected = [0, np.log(0.55), np.log(0.82), np.log(0.55 * 0.82 + 9 * 0.05 * 0.02)]
    assert found[0] == pytest.approx(expected, abs=1e-4)
    assert found[1, :3] == pytest.approx([np.log(9), np.log(0.05), np.log(0.82)], abs=1e-4)


def test_weights_make_a_confidence_out_of_signs():
    network, classifier = chances(3, probable=0.55), chances(3, probable=0.82)
    confidence = Confidence(weights=(0.5, 1.0, 0.0, 2.0, 0.0))
    found = confidence.raw(np.array([0.8], np.float32), network, classifier)
    logit = 0.5 + np.log(0.8 / 0.2) + 2 * np.log(0.82)
    assert found == pytest.approx([1 / (1 + np.exp(-logit))], abs=1e-4)


def test_what_speaks_for_a_digit_raises_its_confidence():
    confidence = Confidence(weights=WEIGHTS)
    agreed, other = chances(3), chances(5)
    weak, strong = np.array([0.2], np.float32), np.array([0.9], np.float32)
    assert confidence.raw(strong, agreed, agreed) > confidence.raw(weak, agreed, agreed)
    assert confidence.raw(weak, agreed, agreed) > confidence.raw(weak, agreed, other)


@given(
    st.floats(0, 1, width=32),
    arrays.arrays(np.float32, (2, 10), elements=st.floats(0, 1, width=32)),
)
def test_confidences_are_within_0_and_1_at_the_extremes(score, votes):
    existence = np.array([score], np.float32)
    for weights in ((), WEIGHTS, (50.0, -40.0, 30.0, 20.0, -60.0)):
        found = Confidence(weights=weights).raw(existence, votes[:1], votes[1:])
        assert 0 <= found[0] <= 1


def test_a_card_without_results_leaves_confidences_as_they_are():
    confidence = Confidence.of(card())
    assert confidence == Confidence(VOTE)
    votes = np.array([0.7, 0.2], np.float32), chances(1, 2), chances(1, 2)
    assert np.array_equal(confidence.values(*votes), confidence.raw(*votes))


def test_what_was_measured_comes_from_the_card():
    confidence = Confidence.of(card(vote=1.5, weights=WEIGHTS, calibration=CALIBRATION, risk=RISK))
    assert confidence.vote == 1.5
    assert confidence.weights == tuple(WEIGHTS)
    assert confidence.calibration == Calibration.from_dict(CALIBRATION)
    assert confidence.risk == RiskCoverage.from_dict(RISK)


def test_confidences_are_calibrated_in_their_order():
    confidence = Confidence.of(card(vote=0, calibration=CALIBRATION))
    existence = np.array([0.1, 0.5, 0.9, 1.0], np.float32)
    votes = np.eye(10, dtype=np.float32)[:4]
    found = confidence.values(existence, votes, votes)
    assert found[:3] == pytest.approx([0.02, 0.4, 0.99], abs=0.002)
    assert (np.diff(found) > 0).all()
    assert found.dtype == np.float32


@pytest.mark.parametrize(
    "results",
    [
        {"vote": "strong"},
        {"vote": None},
        {"vote": [1]},
        {"vote": float("nan")},
        {"vote": float("inf")},
        {"vote": -0.5},
        {"weights": None},
        {"weights": [1, 2]},
        {"weights": ["a"] * 5},
        {"weights": [1, 2, 3, 4, float("nan")]},
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
