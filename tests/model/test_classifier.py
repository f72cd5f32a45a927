from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from digitlens import files
from digitlens.errors import ModelError
from digitlens.model.bundle import Card, write_bundle
from digitlens.model.classifier import BATCH, Classifier, check_tiles, open_session


@pytest.fixture
def classifier(folder):
    return Classifier(folder, threads=1)


def test_tiles_become_probabilities(classifier, draw_bars):
    found = classifier.predict_proba(draw_bars([7, 0, 9]))
    assert found.dtype == np.float32
    assert found.shape == (3, 10)
    assert found.argmax(axis=1).tolist() == [7, 0, 9]
    assert found.sum(axis=1) == pytest.approx(1)


def test_batches_change_nothing(classifier, draw_bars):
    digits = np.arange(2 * BATCH + 3) % 10
    found = classifier.predict_proba(draw_bars(digits))
    assert np.array_equal(found.argmax(axis=1), digits)
    assert np.array_equal(found[-1:], classifier.predict_proba(draw_bars(digits[-1:])))


def test_no_tiles_give_no_rows(classifier):
    found = classifier.predict_proba(np.zeros((0, 28, 28), np.uint8))
    assert found.shape == (0, 10)
    assert found.dtype == np.float32


def test_a_view_that_is_not_contiguous_is_read_as_what_it_shows(classifier, draw_bars):
    wide = np.repeat(draw_bars([3, 8]), 2, axis=2)
    assert classifier.predict_proba(wide[:, :, ::2]).argmax(axis=1).tolist() == [3, 8]


def test_several_threads_may_use_one_classifier(classifier, draw_bars):
    with ThreadPoolExecutor(4) as pool:
        answers = pool.map(lambda d: classifier.predict_proba(draw_bars([d])).argmax(), range(10))
    assert list(answers) == list(range(10))


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
    write_bundle(folder, replace(card), graph)
    with pytest.raises(ModelError, match=r"expected a graph from tiles uint8\[N, 28, 28\]"):
        Classifier(folder)


def test_a_file_can_be_opened_too(folder):
    session = open_session(folder / "model.onnx", name="bars")
    assert session.get_inputs()[0].name == "tiles"
