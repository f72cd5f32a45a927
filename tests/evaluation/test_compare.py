import json

import numpy as np
import pytest

from digitlens.datasets.mnist import Split
from digitlens.evaluation.compare import Facts, compare
from digitlens.evaluation.evaluate import evaluate
from digitlens.evaluation.paired import difference_interval, holm, mcnemar

LABELS = np.arange(100, dtype=np.uint8) % 10
TILES = Split(np.repeat(LABELS, 784).reshape(100, 28, 28), LABELS)


def report(wrong, confidence=0.9, split=TILES):
    """Of a model that reads the next digit on the tiles whose index is in ``wrong``."""
    read = split.labels.astype(int)
    read[list(wrong)] = (read[list(wrong)] + 1) % 10
    answers = np.full((len(read), 10), (1 - confidence) / 9, np.float32)
    answers[np.arange(len(read)), read] = confidence
    return evaluate(lambda _: answers, split)


@pytest.fixture
def three():
    reports = {"good": report([1, 2]), "fair": report([2, 3, 4], 0.8), "poor": report(range(30))}
    facts = {
        "good": Facts(1000, 4000, 12.5, {"epochs": 9, "widths": [4, 8]}),
        "fair": Facts(1000, 4000, 2.5, {"epochs": 3, "widths": [4, 8]}),
        "poor": Facts(size=99),
    }
    return compare("tiles", reports, facts)


def test_each_pair_is_counted_and_tested(three):
    assert [(pair.first, pair.second) for pair in three.pairs] == [
        ("good", "fair"),
        ("good", "poor"),
        ("fair", "poor"),
    ]
    first, second, third = three.pairs
    assert (first.only_first, first.only_second, first.both_wrong) == (2, 1, 1)
    assert (second.only_first, second.only_second, second.both_wrong) == (28, 0, 2)
    assert first.difference == pytest.approx(0.01)
    assert first.interval == difference_interval(2, 1, 100)
    assert second.p == mcnemar(28, 0)
    assert [pair.p_holm for pair in three.pairs] == holm([first.p, second.p, third.p])


def test_disagreements_come_with_the_surest_first():
    answers = {"one": report([5], 0.6), "two": report([7], 0.99)}
    both = compare("tiles", answers, {name: Facts() for name in answers})
    assert both.disagreements().tolist() == [5, 7]
    sure = compare(
        "tiles",
        answers | {"three": report([5, 9], 0.9)},
        dict.fromkeys(["one", "two", "three"], Facts()),
    )
    assert sure.disagreements().tolist() == [5, 7, 9]


def test_models_that_are_wrong_alike_do_not_disagree():
    answers = {"one": report([5]), "two": report([5])}
    both = compare("tiles", answers, {name: Facts() for name in answers})
    assert not len(both.disagreements())
    (pair,) = both.pairs
    assert (pair.both_wrong, pair.p, pair.p_holm, pair.difference) == (1, 1.0, 1.0, 0.0)


def test_only_fields_that_differ_are_told(three):
    assert three.recipe_differences() == {
        "epochs": [9, 3, None],
        "widths": [[4, 8], [4, 8], None],
    }


def test_json_has_runs_pairs_and_every_disagreement(three):
    told = json.loads(json.dumps(three.as_dict()))
    assert (told["data"], told["n"]) == ("tiles", 100)
    assert [run["errors"] for run in told["runs"]] == [2, 3, 30]
    assert told["runs"][0]["parameters"] == 1000
    assert told["runs"][2]["training_seconds"] is None
    assert told["pairs"][1]["p"] == pytest.approx(mcnemar(28, 0), rel=1e-3)
    assert len(told["disagreements"]) == 29  # all but tile 2, which all read as 3
    first = next(row for row in told["disagreements"] if row["index"] == 1)
    assert first == {"index": 1, "truth": 1, "read": {"good": 2, "fair": 1, "poor": 2}}


def test_other_tiles_and_single_models_are_refused():
    other = Split(TILES.tiles[:50], TILES.labels[:50])
    for reports in ({"a": report([1])}, {"a": report([1]), "b": report([1], split=other)}):
        with pytest.raises(ValueError, match="at least two reports on the same tiles"):
            compare("tiles", reports, {name: Facts() for name in reports})
