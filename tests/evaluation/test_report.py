import json

import numpy as np
import pytest

from digitlens.datasets.corruptions import CORRUPTIONS, SWEEPS, corrupt
from digitlens.datasets.external import ExternalDigits
from digitlens.datasets.mnist import Split
from digitlens.errors import DataError, ModelError
from digitlens.evaluation import report as module
from digitlens.evaluation.metrics import wilson_interval
from digitlens.evaluation.report import (
    MNIST_ERRORS,
    MNIST_TEST_SHA256,
    ModelInfo,
    check_probabilities,
    data_sha256,
    evaluate,
    measure_robustness,
    measure_transfer,
    tiles_asked,
)


def split_of(labels):
    """Tiles with their label in the corner pixel."""
    labels = np.array(labels, np.uint8)
    tiles = np.zeros((len(labels), 28, 28), np.uint8)
    tiles[:, 0, 0] = labels
    return Split(tiles, labels)


def corner_reader(confidence=0.91, mistaken=()):
    """Reads the corner pixel; a digit in ``mistaken`` is read as the next one."""

    def predict_proba(tiles):
        digits = tiles[:, 0, 0].astype(int)
        digits = np.where(np.isin(digits, mistaken), (digits + 1) % 10, digits)
        answer = np.full((len(tiles), 10), (1 - confidence) / 9, np.float32)
        answer[np.arange(len(tiles)), digits] = confidence
        return answer

    return predict_proba


def test_report_of_a_classifier_that_misreads_fours():
    report = evaluate(corner_reader(mistaken=[4]), split_of([0, 1, 2, 3, 4, 4, 5, 6, 7, 8]))
    assert (report.n, report.score.errors, report.accuracy) == (10, 2, 0.8)
    assert report.interval == pytest.approx((0.4901625, 0.9433178), abs=1e-6)
    assert report.wrong.tolist() == [4, 5]
    assert report.confusion[4, 5] == 2
    assert [(p.truth, p.predicted, p.count) for p in report.confused_pairs] == [(4, 5, 2)]
    assert report.classes[4].recall == 0
    assert report.classes[5].precision == pytest.approx(1 / 3)
    assert report.classes[9].support == 0
    assert report.loss == pytest.approx(-(0.8 * np.log(0.91) + 0.2 * np.log(0.01)), rel=1e-5)
    assert report.ece == pytest.approx(0.11, abs=1e-6)
    assert report.without_label_errors is None


def test_json_report_lists_mistakes_and_omits_probabilities():
    info = ModelInfo("corner", "ab" * 32, {"pixels": "byte"})
    report = evaluate(
        corner_reader(mistaken=[4]), split_of([1, 4, 1]), model=info, data_name="corners"
    )
    found = json.loads(json.dumps(report.as_dict(), allow_nan=False))
    assert found["wrong"] == [{"index": 1, "truth": 4, "predicted": 5, "confidence": 0.91}]
    assert found["model"] == {"name": "corner", "sha256": "ab" * 32, "given": {"pixels": "byte"}}
    assert found["data"] == {"name": "corners", "sha256": data_sha256(split_of([1, 4, 1]))}
    assert (found["n"], found["errors"], found["accuracy"]) == (3, 1, 0.666667)
    assert found["without_label_errors"] is None
    assert np.shape(found["confusion"]) == (10, 10)
    assert len(found["classes"]) == 10
    assert len(found["calibration"]) == 15
    assert "probabilities" not in found


def test_known_label_errors_are_left_out_of_the_second_score(monkeypatch):
    split = split_of([1, 4, 1, 4])
    monkeypatch.setattr(module, "MNIST_TEST_SHA256", data_sha256(split))
    monkeypatch.setattr(module, "MNIST_ERRORS", (1, 2))
    report = evaluate(corner_reader(mistaken=[4]), split)
    assert (report.score.n, report.score.errors) == (4, 2)
    assert (report.without_label_errors.n, report.without_label_errors.errors) == (2, 1)
    assert report.as_dict()["without_label_errors"]["left_out"] == [1, 2]


def test_long_splits_are_predicted_in_chunks(monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 4)
    sizes, labels = [], [3, 1, 4, 1, 5, 9, 2, 6, 5]
    read = corner_reader()
    report = evaluate(lambda tiles: sizes.append(len(tiles)) or read(tiles), split_of(labels))
    assert sizes == [4, 4, 1]
    assert report.predicted.tolist() == labels


def row(**changes):
    answer = np.full((2, 10), 0.1, np.float32)
    for place, value in changes.items():
        answer[1, int(place[1:])] = value
    return answer


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (np.full((2, 9), 1 / 9, np.float32), r"\[2, 10\] for 2 tiles, found \[2, 9\]"),
        (np.full((1, 10), 0.1, np.float32), r"found \[1, 10\]"),
        (np.eye(10, dtype=np.int64)[:2], "floating point, found int64"),
        (row(_3=np.nan), "finite .*nan.* for tile 1"),
        (row(_3=np.inf), "finite .*inf.* for tile 1"),
        (row(_3=-0.1, _4=0.3), "from 0 to 1, found -0.1 to 0.3"),
        (row(_3=0.2), "rows sum to 1, found a sum of 1.1"),
    ],
)
def test_answers_that_are_not_probabilities_are_refused(answer, message):
    with pytest.raises(ModelError, match=message):
        evaluate(lambda _: answer, split_of([1, 2]))


def test_rounded_probabilities_are_accepted_and_an_empty_split_is_refused():
    check_probabilities(row().astype(np.float16), 2)
    with pytest.raises(DataError, match="empty"):
        evaluate(corner_reader(), split_of([]))


def test_data_hash_changes_with_tiles_labels_and_order():
    hashes = {data_sha256(split_of(labels)) for labels in ([1, 2], [2, 1], [1, 3])}
    relabelled = Split(split_of([1, 2]).tiles, np.array([1, 3], np.uint8))
    assert len(hashes | {data_sha256(relabelled)}) == 4


@pytest.mark.mnist
def test_mnist_test_set_is_recognised_and_its_label_errors_left_out(mnist):
    test = mnist.test
    assert data_sha256(test) == MNIST_TEST_SHA256
    places = iter(np.split(np.eye(10, dtype=np.float32)[test.labels], 10))

    def reads_as_labelled(tiles):
        assert len(tiles) == module.CHUNK
        return next(places)

    report = evaluate(reads_as_labelled, test)
    assert report.accuracy == 1
    assert report.without_label_errors.n == 9985
    assert report.data.label_errors == MNIST_ERRORS
    # The first of them is labelled 8 and shows a 9: indices count from 0.
    assert test.labels[list(MNIST_ERRORS)].tolist() == [8, 0, 9, 4, 2, 5, 6, 6, 5, 5, 0, 1, 4, 6, 5]


@pytest.fixture
def data():
    """Tiles whose first pixel is their digit if framed, and one more if not."""
    labels = np.array([0, 1, 2, 2, 8], np.uint8)
    tiles = np.zeros((5, 28, 28), np.uint8)
    tiles[:, 0, 0] = labels
    return ExternalDigits("usps", "USPS (usps.t)", Split(tiles, labels), Split(tiles + 1, labels))


def by_first_pixel(tiles):
    read = np.where(tiles[:, 0, 0] == 8, 3, tiles[:, 0, 0])  # an 8 is read as a 3
    return np.eye(10, dtype=np.float32)[read]


def test_framed_and_unframed_tiles_are_scored_separately(data):
    found = measure_transfer(by_first_pixel, data, model=ModelInfo("model", "abc"))
    assert found.data is data
    assert (found.framed.n, found.framed.score.errors) == (5, 1)
    assert found.unframed.score.errors == 5
    assert found.framed.interval == wilson_interval(4, 5)
    assert found.framed.data.name == "USPS (usps.t), framed"
    content = json.loads(json.dumps(found.as_dict()))
    assert content["n"] == 5
    assert content["model"]["name"] == "model"
    assert content["framed"]["accuracy"] == 0.8
    assert content["unframed"]["accuracy"] == 0
    assert content["confused_pairs"] == [{"truth": 8, "predicted": 3, "count": 1}]
    assert [row["recall"] for row in content["classes"]] == [1, 1, 1] + [0] * 7
    assert [row["index"] for row in content["wrong"]] == [4]


N = 30


@pytest.fixture(scope="module")
def split(draw_bars):
    labels = np.arange(N, dtype=np.uint8) % 10
    return Split(draw_bars(labels), labels)


def read_bars(tiles):
    """Probabilities from the ink in each of ten pairs of columns."""
    ink = tiles[:, :, :20].reshape(len(tiles), 28, 10, 2).sum(axis=(1, 3), dtype=np.float64)
    odds = np.exp((ink - ink.max(axis=1, keepdims=True)) / 1000)
    return (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def report(split):
    return evaluate(read_bars, split, model=ModelInfo("bars", "ab"), data_name="bars")


@pytest.fixture(scope="module")
def found(split, report):
    return measure_robustness(read_bars, split, report, recipe={"rotate": 5.0, "noise": 0.2})


def test_every_corruption_and_sweep_is_measured_on_corrupted_tiles(found, split):
    assert [row.name for row in found.corruptions] == list(CORRUPTIONS)
    assert [curve.name for curve in found.curves] == list(SWEEPS)
    assert found.clean.score.accuracy == 1
    for row in found.corruptions:
        answers = read_bars(corrupt(split.tiles, row.name, 0))
        assert np.array_equal(row.probabilities, answers)
        assert row.score.accuracy == np.mean(answers.argmax(axis=1) == split.labels)
        assert row.score.interval[0] <= row.score.accuracy <= row.score.interval[1]
        assert row.uncertainty.error == pytest.approx(1 - row.score.accuracy)
    accuracy = {row.name: row.score.accuracy for row in found.corruptions}
    assert accuracy["shot_noise"] == accuracy["brightness"] == 1
    assert accuracy["translate"] < 0.5


def test_sweeps_are_perfect_at_the_usual_value(found):
    for curve in found.curves:
        shares = dict(zip(curve.values, [score.accuracy for score in curve.scores], strict=True))
        assert shares[curve.usual] == 1
    rotation = next(curve for curve in found.curves if curve.name == "rotation")
    assert rotation.scores[0].accuracy < 0.9


def test_means_over_all_corruptions_and_over_those_unseen_in_training(found):
    shares = {row.name: row.score.accuracy for row in found.corruptions}
    assert found.mean_accuracy == pytest.approx(sum(shares.values()) / 15)
    for name in ("rotate", "shot_noise", "impulse_noise"):
        shares.pop(name)
    assert {row.name for row in found.untrained} == set(shares)
    assert found.mean_accuracy_untrained == pytest.approx(sum(shares.values()) / 12)


def test_overlap_with_training_is_unknown_without_a_recipe(split, report):
    steps = []
    ask = lambda tiles: steps.append(len(tiles)) or read_bars(tiles)  # noqa: E731
    found = measure_robustness(ask, split, report, curve_tiles=5)
    assert sum(steps) == tiles_asked(N, 5)
    assert {row.overlaps for row in found.corruptions} == {None}
    assert found.mean_accuracy_untrained is None
    assert {score.n for curve in found.curves for score in curve.scores} == {5}


def test_robustness_json_omits_only_the_probabilities(found):
    values = json.loads(json.dumps(found.as_dict()))
    assert values["model"]["name"] == values["data"]["name"] == "bars"
    assert values["mean_accuracy"] == pytest.approx(found.mean_accuracy, abs=1e-6)
    assert "probabilities" not in json.dumps(values)
    rotate = next(row for row in values["corruptions"] if row["name"] == "rotate")
    assert rotate["overlaps_training"] is True
    assert rotate["n"] == N
    assert set(rotate["uncertainty"]) >= {"nll", "ece", "brier"}
    assert len(values["sweeps"][0]["values"]) == len(values["sweeps"][0]["scores"]) == 9
