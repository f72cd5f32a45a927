import json
import time
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import binomtest
from sklearn import metrics as reference
from sklearn.metrics import brier_score_loss

from digitlens.evaluation import metrics
from digitlens.evaluation.metrics import (
    Speed,
    alignment,
    answers,
    brier_score,
    calibration_error,
    cheapest_pairs,
    count_edits,
    coverage_at_zero,
    describe_machine,
    equal_mass_bins,
    mean_uncertainty,
    measure_speed,
    measure_uncertainty,
    risk_curve,
)

DIGITS = list(range(10))


@st.composite
def labelled(draw):
    """Truth and predictions; few values make absent classes likely."""
    n = draw(st.integers(1, 60))
    digits = hnp.arrays(np.uint8, n, elements=st.integers(0, draw(st.integers(0, 9))))
    return draw(digits), draw(digits)


@st.composite
def scored(draw):
    """Truth and probabilities, some of them 0 or 1."""
    n = draw(st.integers(1, 40))
    truth = draw(hnp.arrays(np.uint8, n, elements=st.integers(0, 9)))
    raw = draw(hnp.arrays(np.float64, (n, 10), elements=st.floats(0, 1)))
    raw[raw.sum(axis=1) == 0, 3] = 1
    return truth, raw / raw.sum(axis=1, keepdims=True)


@given(labelled())
def test_confusion_agrees_with_scikit_learn(case):
    truth, predicted = case
    expected = reference.confusion_matrix(truth, predicted, labels=DIGITS)
    found = metrics.confusion_matrix(truth, predicted)
    assert found.dtype == np.int64
    assert np.array_equal(found, expected)


@given(labelled())
def test_class_scores_and_averages_agree_with_scikit_learn(case):
    truth, predicted = case
    scores = metrics.class_scores(metrics.confusion_matrix(truth, predicted))

    def expected(average):
        return reference.precision_recall_fscore_support(
            truth, predicted, labels=DIGITS, average=average, zero_division=0
        )

    rows = [(s.precision, s.recall, s.f1, s.support) for s in scores]
    assert np.array(rows) == pytest.approx(np.transpose(expected(None)))
    for average in ("macro", "weighted"):
        found = metrics.average(scores, weighted=average == "weighted")
        assert (found.precision, found.recall, found.f1) == pytest.approx(expected(average)[:3])


@given(scored(), st.sampled_from([np.float32, np.float64]))
def test_log_loss_agrees_with_scikit_learn(case, dtype):
    truth, probabilities = case[0], case[1].astype(dtype)
    # scikit-learn needs all classes in the truth or listed, and rows that sum to 1 in their dtype.
    expected = reference.log_loss(truth, probabilities, labels=DIGITS)
    assert metrics.log_loss(truth, probabilities) == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_log_loss_of_a_certain_mistake_is_finite_and_of_a_certain_hit_zero():
    sure = np.eye(10, dtype=np.float32)[[3, 3]]
    assert metrics.log_loss(np.array([4, 4]), sure) == pytest.approx(-np.log(2**-23))
    assert str(metrics.log_loss(np.array([3, 3]), sure)) == "0.0"


@given(scored(), st.integers(1, 20))
def test_calibration_agrees_with_a_loop_over_the_bins(case, bins):
    truth, probabilities = case
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == truth
    rows = metrics.equal_width_bins(*answers(truth, probabilities), bins)
    assert len(rows) == bins
    assert sum(row.count for row in rows) == len(truth)
    error = 0.0
    for number, row in enumerate(rows):
        place = np.ceil(confidence * bins).astype(int).clip(1, bins) - 1
        inside = place == number
        assert row.count == inside.sum()
        if row.count:
            assert row.low - 1e-9 <= row.confidence <= row.high + 1e-9
            assert row.confidence == pytest.approx(confidence[inside].mean())
            assert row.accuracy == pytest.approx(right[inside].mean())
            error += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    assert calibration_error(rows) == pytest.approx(error)


@given(st.integers(1, 10**6), st.data())
def test_wilson_interval_agrees_with_scipy_and_contains_the_proportion(n, data):
    right = data.draw(st.integers(0, n))
    expected = binomtest(right, n).proportion_ci(0.95, method="wilson")
    low, high = metrics.wilson_interval(right, n)
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert 0 <= low <= right / n <= high <= 1


def test_wilson_interval_of_no_data_is_0_to_1_and_more_right_than_n_is_refused():
    assert metrics.wilson_interval(0, 0) == (0.0, 1.0)
    with pytest.raises(ValueError, match="right = 11, n = 10"):
        metrics.wilson_interval(11, 10)


def test_confused_pairs_are_sorted_and_omit_the_diagonal_and_zeros():
    truth = np.array([4, 4, 7, 1, 1, 1, 1], np.uint8)
    predicted = np.array([9, 9, 1, 7, 1, 1, 1], np.uint8)
    confusion = metrics.confusion_matrix(truth, predicted)
    pairs = metrics.confused_pairs(confusion)
    assert [(p.truth, p.predicted, p.count) for p in pairs] == [(4, 9, 2), (1, 7, 1), (7, 1, 1)]
    assert metrics.confused_pairs(confusion, most=1) == pairs[:1]
    nines = np.full(300, 9, np.uint8)
    assert metrics.confusion_matrix(nines, nines)[9, 9] == 300  # more than a byte holds


@pytest.mark.parametrize(
    ("truth", "predicted", "message"),
    [
        ([], [], "N >= 1"),
        ([1, 2], [1], r"\[2\] and \[1\]"),
        ([1, 10], [1, 1], "found 1 to 10"),
        ([1, 1], [-1, 1], "found -1 to 1"),
    ],
)
def test_wrong_labels_and_shapes_are_refused(truth, predicted, message):
    with pytest.raises(ValueError, match=message):
        metrics.confusion_matrix(np.array(truth, np.int64), np.array(predicted, np.int64))
    with pytest.raises(ValueError, match=r"\[2, 10\], found \[2, 9\]"):
        metrics.log_loss(np.array([1, 2]), np.ones((2, 9)))


ANSWERS = st.lists(
    st.tuples(st.sampled_from([0.1, 0.5, 0.9, 0.99, 1.0]), st.booleans()), min_size=1, max_size=60
)


def drawn(n=2000, seed=0):
    """Labels drawn from the returned probabilities."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, (n, 10))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (probabilities.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return labels, probabilities


def columns(pairs):
    confidence, right = zip(*pairs, strict=True)
    return np.array(confidence), np.array(right)


def test_brier_score_is_scikit_learns_summed_over_the_digits():
    labels, probabilities = drawn()
    each = [brier_score_loss(labels == k, probabilities[:, k]) for k in range(10)]
    assert brier_score(labels, probabilities) == pytest.approx(sum(each))


@given(ANSWERS, st.integers(0, 100))
def test_risk_curve_averages_over_the_order_of_ties(pairs, seed):
    confidence, right = columns(pairs)
    curve = risk_curve(confidence, right)
    order = np.random.default_rng(seed).permutation(len(right))
    np.testing.assert_allclose(risk_curve(confidence[order], right[order]), curve)
    assert curve[-1] == pytest.approx(1 - right.mean())
    for threshold in np.unique(confidence):  # at whole groups of ties, the curve is plain counting
        stated = confidence >= threshold
        assert curve[stated.sum() - 1] == pytest.approx((~right[stated]).mean())


@given(ANSWERS)
def test_coverage_at_zero_contains_no_mistake(pairs):
    confidence, right = columns(pairs)
    covered = coverage_at_zero(confidence, right)
    surest = np.argsort(-confidence, kind="stable")[: round(covered * len(right))]
    assert right[surest].all()
    assert covered == 1 or covered <= right.mean()


@given(ANSWERS, st.integers(1, 20))
def test_equal_mass_bins_split_the_answers_evenly(pairs, bins):
    confidence, right = columns(pairs)
    rows = equal_mass_bins(confidence, right, bins)
    counts = [row.count for row in rows]
    assert sum(counts) == len(right)
    assert max(counts) - min(counts) <= 1
    assert sum(row.count * row.accuracy for row in rows) == pytest.approx(right.sum())
    assert 0 <= calibration_error(rows) <= 1


def test_scores_of_known_answers():
    probabilities = np.full((4, 10), 0.0)
    probabilities[:, 3] = [1.0, 0.9, 0.8, 0.7]
    probabilities[:, 4] = [0.0, 0.1, 0.2, 0.3]
    found = measure_uncertainty(np.array([3, 3, 4, 3]), probabilities)
    assert (found.n, found.error, found.coverage_at_zero) == (4, 0.25, 0.5)
    assert found.aurc == pytest.approx((0 + 0 + 1 / 3 + 1 / 4) / 4)
    assert found.error_at_99 == 0.25
    assert found.brier == pytest.approx((0 + 0.02 + 2 * 0.64 + 0.18) / 4)
    assert found.adaptive_ece == pytest.approx((0 + 0.1 + 0.8 + 0.3) / 4)
    assert found.nll == pytest.approx(-np.log([0.9, 0.2, 0.7]).sum() / 4)
    assert json.loads(json.dumps(asdict(found)))["n"] == 4


def test_mean_uncertainty_weights_each_set_equally():
    one, other = (measure_uncertainty(*drawn(n, seed=n)) for n in (10, 200))
    mean = mean_uncertainty([one, other])
    assert mean.n == 210
    assert mean.brier == pytest.approx((one.brier + other.brier) / 2)


@pytest.mark.parametrize(
    ("truth", "read", "edits", "right"),
    [
        ("", "", 0, ""),
        ("12", "", 2, ""),
        ("", "12", 2, "00"),
        ("1234", "1284", 1, "1101"),
        ("1234", "124", 1, "111"),
        ("124", "1924", 1, "1011"),
        ("11", "111", 1, "011"),
        ("77", "17", 1, "01"),
    ],
)
def test_characters_are_aligned_with_the_fewest_edits(truth, read, edits, right):
    assert count_edits(truth, read) == (edits, [flag == "1" for flag in right])


@pytest.mark.parametrize(
    ("truth", "read", "pairs"),
    [
        ("372", "3+2", [(0, 0), (1, 1), (2, 2)]),
        ("1234", "134", [(0, 0), (2, 1), (3, 2)]),
        ("", "1", []),
    ],
)
def test_substituted_characters_are_paired(truth, read, pairs):
    assert alignment(truth, read) == pairs


def test_cheapest_pairs_keep_the_order_and_leave_distant_items_unpaired():
    far = float("inf")
    assert cheapest_pairs([[0.9, 0.1], [far, 0.2]], [0.5, 1]) == [(0, 0), (1, 1)]
    assert cheapest_pairs([[0.9, 0.1], [far, far]], [0.5, 1]) == [(0, 1)]


TILES = np.zeros((30, 28, 28), np.uint8)


def test_speed_is_the_median_and_the_95th_percentile():
    speed = Speed(single=(0.001,) * 19 + (1.0,), batch=(0.1, 0.2, 9.0), batch_size=100)
    assert speed.single_median == 0.001
    assert speed.single_p95 == pytest.approx(0.95, abs=0.01)
    assert speed.per_second == pytest.approx(500)
    values = speed.as_dict()
    assert (values["calls"], values["rounds"], values["batch_size"]) == (20, 3, 100)


def test_single_tiles_and_whole_batches_are_timed():
    sizes = []

    def predict(tiles):
        sizes.append(len(tiles))
        time.sleep(0.002 if len(tiles) > 1 else 0)
        return np.full((len(tiles), 10), 0.1, np.float32)

    speed = measure_speed(predict, TILES, calls=4, rounds=2)
    assert sizes == [1] * 5 + [30] * 3  # the first of each is a warm-up
    assert (len(speed.single), len(speed.batch)) == (4, 2)
    assert min(speed.batch) >= 0.002


def test_machine_description_has_the_processor(tmp_path):
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Abacus 3\nflags\t: all\n")
    assert describe_machine(tmp_path / "cpuinfo").startswith("Abacus 3, ")
    assert describe_machine(tmp_path / "none")
