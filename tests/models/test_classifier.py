from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitlens import files
from digitlens.errors import ModelError
from digitlens.models.bundle import Card, write_bundle
from digitlens.models.classifier import BATCH, WORTH, Classifier, check_tiles


@pytest.fixture
def classifier(folder):
    return Classifier(folder, threads=1)


def test_tiles_become_probabilities(classifier, draw_bars):
    found = classifier.predict_proba(draw_bars([7, 0, 9]))
    assert found.dtype == np.float32
    assert found.shape == (3, 10)
    assert found.argmax(axis=1).tolist() == [7, 0, 9]
    assert found.sum(axis=1) == pytest.approx(1)


def test_batches_and_views_change_nothing(classifier, draw_bars):
    digits = np.arange(2 * BATCH + 3) % 10
    found = classifier.predict_proba(draw_bars(digits))
    assert np.array_equal(found.argmax(axis=1), digits)
    assert np.array_equal(found[-1:], classifier.predict_proba(draw_bars(digits[-1:])))
    wide = np.repeat(draw_bars([3, 8]), 2, axis=2)
    assert classifier.predict_proba(wide[:, :, ::2]).argmax(axis=1).tolist() == [3, 8]
    none = classifier.predict_proba(np.zeros((0, 28, 28), np.uint8))
    assert (none.shape, none.dtype) == ((0, 10), np.float32)


@pytest.fixture(scope="module")
def shipped():
    """The shipped classifier, alone and in a team of three."""
    return Classifier(threads=1), Classifier(threads=3)


@given(
    count=st.sampled_from([0, 1, 2, 3, BATCH - 1, BATCH, BATCH + 1]) | st.integers(0, 20),
    pace=st.floats(1e-6, WORTH),
)
def test_however_a_batch_is_split_the_answers_are_the_same(shipped, count, pace):
    alone, team = shipped
    team._pace = pace  # what the machine seems to take for a tile decides how many threads work
    tiles = np.random.default_rng(count).integers(0, 256, (count, 28, 28), np.uint8)
    whole = alone._session.run(["probabilities"], {"tiles": tiles})[0]
    assert np.array_equal(team.predict_proba(tiles), whole)
    assert np.array_equal(alone.predict_proba(tiles), whole)


def test_a_tile_that_is_quick_wakes_nobody_and_a_slow_one_does(classifier):
    classifier._team.size = 2
    classifier._pace = WORTH / 10
    assert classifier._split(19) == [0, 19]
    assert classifier._split(20) == [0, 10, 20]
    classifier._pace = WORTH
    assert classifier._split(2) == [0, 1, 2]
    assert classifier._split(1) == [0, 1]


def test_how_long_a_tile_takes_is_learned_from_calls(classifier, draw_bars):
    classifier.predict_proba(draw_bars([])[:0].reshape(0, 28, 28))
    assert classifier._pace == WORTH
    for _ in range(5):
        classifier.predict_proba(draw_bars(range(10)))
    assert 0 < classifier._pace < WORTH


@pytest.mark.parametrize("count", [1, 3 * BATCH])
def test_several_threads_may_use_one_classifier(folder, draw_bars, count):
    classifier = Classifier(folder, threads=3)

    def ask(digit):
        return set(classifier.predict_proba(draw_bars([digit] * count)).argmax(axis=1).tolist())

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(10), timeout=60)) == [{digit} for digit in range(10)]


def test_who_it_is(classifier, folder):
    assert classifier.name == classifier.card.name == "bars"
    assert classifier.sha256 == files.sha256((folder / "model.onnx").read_bytes())
    assert classifier.given.keys() == {"framing", "layout", "pixels", "outputs"}


@pytest.mark.parametrize(
    ("tiles", "error", "message"),
    [
        (np.zeros((1, 28, 28), np.float32), TypeError, "uint8, found float32"),
        (np.zeros((1, 28, 28), bool), TypeError, "uint8, found bool"),
        ([[0]], TypeError, "uint8, found list"),
        (np.zeros((28, 28), np.uint8), ValueError, r"\[N, 28, 28\], found \[28, 28\]"),
        (np.zeros((1, 1, 28, 28), np.uint8), ValueError, r"found \[1, 1, 28, 28\]"),
        (np.zeros((2, 28, 27), np.uint8), ValueError, r"found \[2, 28, 27\]"),
    ],
)
def test_what_is_no_tiles_is_refused(classifier, tiles, error, message):
    with pytest.raises(error, match=message):
        check_tiles(tiles)
    with pytest.raises(error, match=message):
        classifier.predict_proba(tiles)


def test_a_graph_that_is_none_is_refused_in_one_line(folder):
    graph = b"not a graph"
    write_bundle(folder, Card(name="bars", version="0", sha256=files.sha256(graph)), graph)
    with pytest.raises(ModelError, match="onnxruntime can load") as caught:
        Classifier(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"shape": ("N", 784)},
        {"dtype": "float32"},
        {"entry": "images"},
        {"weights": np.ones((784, 11), np.float32)},
    ],
)
def test_a_graph_that_breaks_the_contract_is_refused_when_loaded(folder, bar_graph, wrong):
    graph = bar_graph(**wrong).SerializeToString()
    card = Card(name="bars", version="0", sha256=files.sha256(graph))
    write_bundle(folder, card, graph)
    with pytest.raises(ModelError, match=r"expected a graph from tiles uint8\[N, 28, 28\]"):
        Classifier(folder)
