from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from digitlens import files
from digitlens.errors import ModelError
from digitlens.models.bundle import Card, write_bundle
from digitlens.models.classifier import (
    BATCH,
    MIN_WORK,
    MNIST_DEVIATION,
    MNIST_MEAN,
    Classifier,
    ForeignClassifier,
    check_tiles,
)


@pytest.fixture
def classifier(folder):
    return Classifier(folder, threads=1)


def test_tiles_become_probabilities(classifier, draw_bars):
    found = classifier.predict_proba(draw_bars([7, 0, 9]))
    assert found.dtype == np.float32
    assert found.shape == (3, 10)
    assert found.argmax(axis=1).tolist() == [7, 0, 9]
    assert found.sum(axis=1) == pytest.approx(1)


def test_batch_size_and_array_views_change_nothing(classifier, draw_bars):
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
    """The shipped classifier, with one thread and with three."""
    return Classifier(threads=1), Classifier(threads=3)


@given(
    count=st.sampled_from([0, 1, 2, 3, BATCH - 1, BATCH, BATCH + 1]) | st.integers(0, 20),
    pace=st.floats(1e-6, MIN_WORK),
)
def test_splitting_a_batch_does_not_change_the_probabilities(shipped, count, pace):
    alone, team = shipped
    team._pace = pace  # the measured time per tile decides how many threads work
    tiles = np.random.default_rng(count).integers(0, 256, (count, 28, 28), np.uint8)
    whole = alone._session.run(["probabilities"], {"tiles": tiles})[0]
    assert np.array_equal(team.predict_proba(tiles), whole)
    assert np.array_equal(alone.predict_proba(tiles), whole)


def test_batch_is_split_among_threads_only_if_it_takes_long_enough(classifier):
    classifier._threads = 2
    classifier._pace = MIN_WORK / 10
    assert classifier._split(19) == [0, 19]
    assert classifier._split(20) == [0, 10, 20]
    classifier._pace = MIN_WORK
    assert classifier._split(2) == [0, 1, 2]
    assert classifier._split(1) == [0, 1]


@pytest.mark.parametrize("count", [1, 3 * BATCH])
def test_several_threads_may_use_one_classifier(folder, draw_bars, count):
    classifier = Classifier(folder, threads=3)

    def ask(digit):
        return set(classifier.predict_proba(draw_bars([digit] * count)).argmax(axis=1).tolist())

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(10), timeout=60)) == [{digit} for digit in range(10)]


def test_classifier_has_a_name_a_hash_and_a_description_of_its_input(classifier, folder):
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
def test_invalid_tiles_are_refused(classifier, tiles, error, message):
    with pytest.raises(error, match=message):
        check_tiles(tiles)
    with pytest.raises(error, match=message):
        classifier.predict_proba(tiles)


@pytest.mark.parametrize(
    "wrong",
    [
        {"shape": ("N", 784)},
        {"dtype": "float32"},
        {"entry": "images"},
        {"weights": np.ones((784, 11), np.float32)},
        None,
    ],
)
def test_invalid_graph_is_refused_when_loaded(folder, bar_graph, wrong):
    graph = bar_graph(**wrong).SerializeToString() if wrong else b"not a graph"
    card = Card(name="bars", version="0", sha256=files.sha256(graph))
    write_bundle(folder, card, graph)
    with pytest.raises(ModelError) as caught:
        Classifier(folder)
    told = "expected a graph from tiles uint8[..., 28, 28]" if wrong else "is not an ONNX graph"
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


SHAPES = [("N", 28, 28), ("N", 1, 28, 28), ("N", 28, 28, 1), ("N", 784)]


def one_pixel_weights():
    """Weights that make the logit of digit 0 the first pixel and all other logits 0."""
    weights = np.zeros((784, 10), np.float32)
    weights[0, 0] = 1
    return weights


def value_given(probabilities):
    """The pixel value that has these probabilities as the softmax of (value, 0, …, 0)."""
    return np.log(probabilities[0]) - np.log(probabilities[1])


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
def test_layout_and_type_come_from_the_graph(bar_graph, save, draw_bars, shape, dtype):
    model = ForeignClassifier(save(bar_graph(shape, dtype)))
    found = model.predict_proba(draw_bars([4, 0, 9]))
    assert found.dtype == np.float32
    assert found.argmax(axis=1).tolist() == [4, 0, 9]
    assert found.sum(axis=1) == pytest.approx(1, abs=1e-6)
    assert model.given["layout"] == f"{dtype}[{', '.join(map(str, shape))}]"
    assert "28 x 28, ink bright on dark" in model.given["framing"]


@pytest.mark.parametrize("batch", [1, 4])
def test_tiles_are_padded_to_a_fixed_batch_size(bar_graph, save, draw_bars, batch):
    fixed = ForeignClassifier(save(bar_graph((batch, 1, 28, 28), "float32")))
    free = ForeignClassifier(save(bar_graph(("N", 1, 28, 28), "float32"), "free.onnx"))
    digits = [1, 2, 3, 4, 5, 6, 7, 8, 9, 0]
    found = fixed.predict_proba(draw_bars(digits))
    assert found.argmax(axis=1).tolist() == digits
    assert found == pytest.approx(free.predict_proba(draw_bars(digits)))


@pytest.mark.parametrize(
    ("pixels", "value", "given"),
    [
        (None, 51, 0.2),
        ("unit", 51, 0.2),
        ("byte", 3, 3),
        ("mnist", 51, (0.2 - MNIST_MEAN) / MNIST_DEVIATION),
        ("mnist", 0, -MNIST_MEAN / MNIST_DEVIATION),
    ],
)
def test_pixels_are_scaled_as_requested(bar_graph, save, pixels, value, given):
    graph = bar_graph(("N", 784), "float32", weights=one_pixel_weights())
    model = ForeignClassifier(save(graph), pixels)
    tile = np.zeros((1, 28, 28), np.uint8)
    tile[0, 0, 0] = value
    assert value_given(model.predict_proba(tile)[0]) == pytest.approx(given, abs=1e-5)
    assert model.given["pixels"].startswith(pixels or "unit")


def test_uint8_input_receives_bytes_and_no_other_scale(bar_graph, save):
    path = save(bar_graph(weights=one_pixel_weights()))
    tile = np.zeros((1, 28, 28), np.uint8)
    tile[0, 0, 0] = 3
    assert value_given(ForeignClassifier(path).predict_proba(tile)[0]) == pytest.approx(3, abs=1e-5)
    assert ForeignClassifier(path).given["pixels"] == "byte (0 to 255)"
    with pytest.raises(ModelError, match="expected --pixels byte, found --pixels unit"):
        ForeignClassifier(path, "unit")


@pytest.mark.parametrize("last", ["Identity", "LogSoftmax"])
def test_logits_and_log_probabilities_go_through_a_softmax(bar_graph, save, draw_bars, last):
    tiles = draw_bars([2, 5])
    graph = bar_graph(("N", 784), "float64", last=last)
    found = ForeignClassifier(save(graph), outputs="logits").predict_proba(tiles)
    proper = ForeignClassifier(save(bar_graph(("N", 784), "float64"), "proper.onnx"))
    assert found == pytest.approx(proper.predict_proba(tiles), abs=1e-7)
    assert "softmax is applied" in ForeignClassifier(save(graph), outputs="logits").given["outputs"]


@pytest.mark.parametrize(
    ("last", "outputs", "message"),
    [
        *((last, None, r"row that sums to .* pass --outputs logits")
          for last in ("Identity", "LogSoftmax", "Sigmoid")),
        ("Softmax", "logits", "already probabilities: pass --outputs probabilities"),
    ],
)  # fmt: skip
def test_error_for_scores_of_another_kind_names_the_option(
    bar_graph, save, draw_bars, last, outputs, message
):
    options = {"outputs": outputs} if outputs else {}
    model = ForeignClassifier(save(bar_graph(("N", 784), "float32", last=last)), **options)
    with pytest.raises(ModelError, match=message):
        model.predict_proba(draw_bars([1]))


@pytest.mark.parametrize("outputs", ["probabilities", "logits"])
def test_scores_of_nan_are_refused(bar_graph, save, draw_bars, outputs):
    graph = bar_graph(("N", 784), "float32", weights=-np.ones((784, 10)), last="Log")
    with pytest.raises(ModelError, match="found NaN"):
        ForeignClassifier(save(graph), outputs=outputs).predict_proba(draw_bars([1]))


def test_empty_input_and_an_unambiguous_layout_are_accepted(bar_graph, save, draw_bars):
    found = ForeignClassifier(save(bar_graph())).predict_proba(np.zeros((0, 28, 28), np.uint8))
    assert found.shape == (0, 10)
    model = ForeignClassifier(save(bar_graph(("N", 1, "H", "W"), "float32")))
    assert model.predict_proba(draw_bars([3])).argmax() == 3


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (("N", 32, 32), r"\['N', 32, 32\]"),
        (("N", 3, 28, 28), r"\['N', 3, 28, 28\]"),
        ((28, 28), r"\[28, 28\]"),
        (("N", "C", "H", "W"), "fits several of these: export it with fixed sizes"),
    ],
)
def test_graph_whose_input_is_not_a_tile_is_refused(bar_graph, save, shape, message):
    with pytest.raises(ModelError, match=message):
        ForeignClassifier(save(bar_graph(shape, "float32")))


def test_number_of_classes_known_only_at_run_time_is_checked(bar_graph, save, draw_bars):
    model = bar_graph()
    nine = onnx.numpy_helper.from_array(np.arange(10) < 9, "nine")
    model.graph.initializer.append(nine)
    pick = helper.make_node("Compress", ["probabilities", "nine"], ["picked"], axis=1)
    model.graph.node.append(pick)
    del model.graph.output[:]
    picked = helper.make_tensor_value_info("picked", TensorProto.FLOAT, ("N", "classes"))
    model.graph.output.append(picked)
    with pytest.raises(ModelError, match=r"scores of shape \[1, 10\] for 1 tiles, found \[1, 9\]"):
        ForeignClassifier(save(model)).predict_proba(draw_bars([1]))


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("input", "expected one input, found 2 .* single input"),
        ("output", "expected one output, found 2 .* single output"),
        ("labels", r"output of float16, float or double, found .*int64"),
        ("operator", r"onnxruntime can load: .*Dream"),
    ],
)
def test_unsupported_inputs_outputs_and_operators_are_refused_in_one_line(
    bar_graph, save, kind, message
):
    model = bar_graph()
    value = helper.make_tensor_value_info
    if kind == "input":
        model.graph.input.append(value("extra", TensorProto.FLOAT, ("N", 10)))
    elif kind == "output":
        model.graph.output.append(value("sums", TensorProto.FLOAT, ("N", 10)))
    elif kind == "labels":  # in place of scores
        cast = helper.make_node("Cast", ["sums"], ["labels"], to=TensorProto.INT64)
        model.graph.node.append(cast)
        del model.graph.output[:]
        model.graph.output.append(value("labels", TensorProto.INT64, ("N", 10)))
    else:
        model.graph.node[-1].op_type, model.graph.node[-1].domain = "Dream", "somewhere.else"
        model.opset_import.append(helper.make_opsetid("somewhere.else", 1))
    with pytest.raises(ModelError, match=message) as caught:
        ForeignClassifier(save(model))
    assert "\n" not in str(caught.value)


def test_graph_that_fails_when_run_is_reported_in_one_line(bar_graph, save, draw_bars):
    model = bar_graph()
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(np.array([3, 784]), "flat"))
    with pytest.raises(ModelError, match="fails on 2 tiles") as caught:
        ForeignClassifier(save(model)).predict_proba(draw_bars([1, 2]))
    assert "\n" not in str(caught.value)


def test_files_that_are_no_graphs_are_refused(tmp_path):
    (tmp_path / "text.onnx").write_text("hello")
    (tmp_path / "folder.onnx").mkdir()
    for name, message in [
        ("text.onnx", "not a graph that onnxruntime can load"),
        ("folder.onnx", "cannot be read .*expected an .onnx file"),
        ("missing.onnx", "cannot be read .*No such file"),
    ]:
        with pytest.raises(ModelError, match=message):
            ForeignClassifier(tmp_path / name)


def test_external_weights_are_loaded_and_hashed(bar_graph, tmp_path, draw_bars):
    path = tmp_path / "big.onnx"
    onnx.save_model(
        bar_graph(), path, save_as_external_data=True, location="big.onnx.data", size_threshold=1024
    )
    model = ForeignClassifier(path)
    assert model.predict_proba(draw_bars([8])).argmax() == 8
    weights = (tmp_path / "big.onnx.data").read_bytes()
    assert weights
    assert model.sha256 == files.sha256(path.read_bytes() + weights)


def test_a_model_of_digitlens_works_as_a_plain_file(folder, draw_bars):
    model = ForeignClassifier(folder / "model.onnx")
    assert model.name == "model"
    assert model.sha256 == files.sha256((folder / "model.onnx").read_bytes())
    assert model.predict_proba(draw_bars([5])).argmax() == 5
