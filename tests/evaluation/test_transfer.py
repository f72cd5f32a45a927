import json

import numpy as np
import pytest

from digitlens.datasets.external.registry import Foreign
from digitlens.datasets.mnist import Split
from digitlens.evaluation.metrics import wilson_interval
from digitlens.evaluation.report import ModelInfo
from digitlens.evaluation.transfer import measure_transfer


@pytest.fixture
def data():
    """Tiles whose first pixel is their digit when they are framed, and one more when not."""
    labels = np.array([0, 1, 2, 2, 8], np.uint8)
    tiles = np.zeros((5, 28, 28), np.uint8)
    tiles[:, 0, 0] = labels
    return Foreign("usps", "USPS (usps.t)", Split(tiles, labels), Split(tiles + 1, labels))


def by_first_pixel(tiles):
    read = np.where(tiles[:, 0, 0] == 8, 3, tiles[:, 0, 0])  # an 8 is taken for a 3
    return np.eye(10, dtype=np.float32)[read]


def test_framed_and_unframed_are_scored_apart(data):
    found = measure_transfer(by_first_pixel, data)
    assert (found.name, found.title) == ("usps", "USPS (usps.t)")
    assert (found.framed.n, found.framed.score.errors) == (5, 1)
    assert found.unframed.score.errors == 5
    assert found.framed.interval == wilson_interval(4, 5)
    assert found.framed.data.name == "USPS (usps.t), framed"


def test_json_has_both_scores_and_the_mistakes_of_the_framed(data):
    info = ModelInfo("model", "abc")
    found = measure_transfer(by_first_pixel, data, model=info)
    content = json.loads(json.dumps(found.as_dict()))
    assert content["n"] == 5
    assert content["model"]["name"] == "model"
    assert content["framed"]["accuracy"] == 0.8
    assert content["unframed"]["accuracy"] == 0
    assert content["confused_pairs"] == [{"truth": 8, "predicted": 3, "count": 1}]
    assert [row["recall"] for row in content["classes"]] == [1, 1, 1] + [0] * 7
    assert [row["index"] for row in content["wrong"]] == [4]


def test_progress_comes_to_twice_the_tiles(data):
    seen = []
    measure_transfer(by_first_pixel, data, on_progress=seen.append)
    assert sum(seen) == 10
