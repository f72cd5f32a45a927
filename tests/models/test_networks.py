import json
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image, ImageDraw, ImageFont, ImageOps

from digitlens import files
from digitlens.errors import ModelError
from digitlens.models.bundle import DETECTOR, SHIPPED_LINES, Card, find_bundle, write_bundle
from digitlens.models.classifier import Classifier
from digitlens.models.networks import (
    MIN_SCORE,
    MIN_SIDE,
    PAGES,
    STEP,
    DigitDetector,
    LineDetector,
    Reconstructor,
)

SIZES = [(1, 1), (1, 40), (31, 33), (128, 128), (129, 160), (300, 700), (700, 300)]
OUTPUTS = {"score": (4,), "probabilities": (4, 10), "box": (4, 4), "heat": ("h", "w")}


class Recorder:
    """A fake session: records its inputs and returns digits with the given scores."""

    def __init__(self, score):
        self.score, self.given = np.array(score, np.float32), []

    def run(self, names, feed):
        assert names is None
        [page] = feed.values()
        self.given.append(page)
        count, (height, width) = len(self.score), page.shape[:2]
        heat = np.zeros((height // 4, width // 4), np.float32)
        boxes = np.arange(4 * count, dtype=np.float32).reshape(count, 4)
        return self.score, np.full((count, 10), 0.1, np.float32), boxes, heat


@pytest.fixture(scope="module")
def shipped():
    return DigitDetector(PAGES, threads=1)


@pytest.fixture
def recorder(monkeypatch, shipped):
    recorder = Recorder([0.9, 0.5, 0.0301, 0.0299])
    monkeypatch.setattr(shipped, "_session", lambda: recorder)
    return recorder


def picture(height, width, seed=0):
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(("height", "width"), [*SIZES, (160, 192)])
def test_pictures_are_padded_at_the_right_and_bottom(shipped, recorder, height, width):
    before = picture(height, width)
    shipped.predict(before)
    [page] = recorder.given
    assert page.dtype == np.uint8
    fitting = [max(MIN_SIDE, -(-side // STEP) * STEP) for side in (height, width)]
    assert page.shape == (*fitting, 3)
    assert np.array_equal(page[:height, :width], before)
    assert (page[height:, :width] == before[-1:]).all()
    assert (page[:height, width:] == before[:, -1:]).all()


def test_digits_below_the_minimum_score_are_dropped(shipped, recorder):
    look = shipped.predict(picture(130, 70))
    assert look.score == pytest.approx([0.9, 0.5, 0.0301])
    assert look.probabilities.shape == (3, 10)
    assert look.boxes.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert look.size == (130, 70)
    assert look.heat.shape == (33, 18)
    recorder.score = np.zeros(4, np.float32)
    assert len(shipped.predict(picture(130, 70)).score) == 0


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_shipped_digit_detector_accepts_any_size(shipped, height, width):
    look = shipped.predict(picture(height, width))
    count = len(look.score)
    assert look.score.shape == (count,)
    assert look.probabilities.shape == (count, 10)
    assert look.boxes.shape == (count, 4)
    assert look.heat.shape == (-(-height // 4), -(-width // 4))
    assert look.size == (height, width)
    for values in (look.score, look.probabilities, look.boxes, look.heat):
        assert values.dtype == np.float32
        assert np.isfinite(values).all()
    assert ((look.score > MIN_SCORE) & (look.score <= 1)).all()
    assert (np.diff(look.score) <= 0).all()
    assert look.probabilities.sum(axis=1) == pytest.approx(1, abs=1e-4)
    assert (look.boxes[:, :2] < look.boxes[:, 2:]).all()
    assert ((look.heat >= 0) & (look.heat <= 1)).all()


def test_digit_is_found_at_its_position_and_none_on_blank_pictures(shipped):
    page = Image.new("RGB", (224, 160), "white")
    font = ImageFont.load_default(size=64)
    ImageDraw.Draw(page).text((110, 50), "3", fill="black", font=font, anchor="lt")
    x0, y0, x1, y1 = ImageOps.invert(page).getbbox()
    look = shipped.predict(np.asarray(page))
    assert look.score[0] > 0.5
    assert look.probabilities[0].argmax() == 3
    assert np.abs(look.boxes[0] - [x0, y0, x1, y1]).max() < 8
    row, column = np.unravel_index(look.heat.argmax(), look.heat.shape)
    assert (4 * column, 4 * row) == pytest.approx(((x0 + x1) / 2, (y0 + y1) / 2), abs=8)
    for level in (0, 90, 255):
        look = shipped.predict(np.full((128, 128, 3), level, np.uint8))
        assert look.score.max(initial=0) < 0.5


def test_the_same_picture_gives_the_same_digits_in_any_thread(shipped):
    pictures = [picture(140, 150, seed) for seed in range(3)] * 2
    alone = [shipped.predict(one).boxes for one in pictures]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda one: shipped.predict(one).boxes, pictures))
    assert all(np.array_equal(*pair) for pair in zip(alone, together, strict=True))


@pytest.fixture
def page_graph(make_model):
    """Builds a graph with the inputs and outputs of a digit detector; it finds nothing."""
    value, zero = (
        helper.make_tensor_value_info,
        helper.make_tensor("z", TensorProto.FLOAT, [1], [0]),
    )

    def make(entry="page", dtype=TensorProto.UINT8, outputs=OUTPUTS):
        sides = {
            f"{name}.shape": np.array([32 if isinstance(side, str) else side for side in shape])
            for name, shape in outputs.items()
        }
        nodes = [
            helper.make_node("ConstantOfShape", [f"{name}.shape"], [name], value=zero)
            for name in outputs
        ]
        found = [value(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()]
        model = make_model(nodes, [value(entry, dtype, ("h", "w", 3))], found, sides)
        onnx.checker.check_model(model)
        return model.SerializeToString()

    return make


def saved(path, graph, **more):
    write_bundle(path, Card("other", "0", files.sha256(graph), **more), graph)
    return path


@pytest.mark.parametrize(
    "wrong",
    [
        {"entry": "tiles"},
        {"dtype": TensorProto.FLOAT},
        {"outputs": {"probabilities": (4, 10)}},
        {"outputs": dict(reversed(OUTPUTS.items()))},
        {"outputs": {**OUTPUTS, "more": (4,)}},
    ],
)
def test_a_graph_that_breaks_the_contract_is_refused(page_graph, tmp_path, wrong):
    with pytest.raises(ModelError, match="is not a digit detector: train one") as caught:
        DigitDetector(saved(tmp_path, page_graph(**wrong)))
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("lazy", [False, True])
def test_missing_damaged_or_other_models_are_refused_at_once(page_graph, tmp_path, folder, lazy):
    with pytest.raises(ModelError, match="is not a digit detector"):
        DigitDetector(folder, lazy=lazy)
    with pytest.raises(ModelError, match="no model"):
        DigitDetector(tmp_path / "none", lazy=lazy)
    (saved(tmp_path / "page", b"graph") / "model.onnx").write_bytes(page_graph())
    with pytest.raises(ModelError, match="was changed"):
        DigitDetector(tmp_path / "page", lazy=lazy)
    path = saved(tmp_path, b"no graph", recipe={"architecture": "pages"})
    with pytest.raises(ModelError, match="is not an ONNX graph"):
        DigitDetector(path)


def test_lazy_detector_is_opened_by_the_first_picture(tmp_path):
    model = DigitDetector(saved(tmp_path, b"\x08\x09", recipe={"architecture": "pages"}), lazy=True)
    assert model.card.name == "other"
    for _ in range(2):
        with pytest.raises(ModelError, match="onnxruntime can load"):
            model.predict(picture(40, 50))


# Lines


LINES_OF_ALL = LineDetector(threads=1)


def text_page(size, *texts):
    """A white page uint8[H, W, 3] with texts: x, y, words."""
    image = Image.new("RGB", size, "white")
    for x, y, words in texts:
        ImageDraw.Draw(image).text((x, y), words, "black", ImageFont.load_default(24))
    return np.asarray(image)


@pytest.mark.parametrize("size", [(320, 160), (317, 131), (64, 40)])
def test_text_map_has_half_the_size_of_the_page_and_is_bright_on_text(size):
    (text_map,) = LINES_OF_ALL.text_maps([text_page(size)])
    assert text_map.shape == ((size[1] + 1) // 2, (size[0] + 1) // 2)
    assert text_map.dtype == np.float32
    assert text_map.max() < 0.3
    (text_map,) = LINES_OF_ALL.text_maps([text_page((320, 160), (40, 60, "4711  2024"))])
    y, x = np.nonzero(text_map > 0.3)
    assert len(y) > 200
    assert 20 <= x.min() <= 30
    assert 30 <= y.min() <= y.max() <= 45


def test_text_maps_are_the_same_with_several_threads():
    shown = [text_page((160, 96), (20, 30, words)) for words in ("4711", "2024", "words")]
    for pages in (shown[:2], shown, shown[:1], []):
        maps = LineDetector(threads=2).text_maps(pages)
        alone = [text for page in pages for text in LINES_OF_ALL.text_maps([page])]
        assert len(maps) == len(pages)
        for one, other in zip(maps, alone, strict=True):
            assert np.abs(one - other).max() < 1e-5


def test_line_detector_is_small_lazy_and_checked(tmp_path):
    assert (SHIPPED_LINES / DETECTOR).stat().st_size < 3_000_000
    detector = LineDetector(tmp_path / "missing.onnx")
    with pytest.raises(ModelError, match=r"missing\.onnx is not a graph"):
        detector.text_maps([text_page((32, 32))])
    other = next(SHIPPED_LINES.parent.glob("*/model.onnx"))
    with pytest.raises(ModelError, match="is not a line detector"):
        LineDetector(other).text_maps([text_page((32, 32))])


@pytest.fixture(scope="module")
def autoencoder():
    return Reconstructor(threads=1)


@pytest.fixture
def copied(tmp_path):
    """A copy of the shipped autoencoder that tests may damage."""
    return shutil.copytree(find_bundle("autoencoder"), tmp_path / "copy")


@pytest.fixture(scope="module")
def strokes():
    """Tiles of one upright stroke, like a 1, of different widths."""
    tiles = np.zeros((6, 28, 28), np.uint8)
    for width, tile in enumerate(tiles, 1):
        tile[5:23, 14 - width // 2 : 14 - width // 2 + min(width, 4)] = 240
    return tiles


def test_reconstructions_are_close_and_decoding_their_codes_repeats_them(autoencoder, strokes):
    found = autoencoder.reconstruct(strokes)
    assert (found.tiles.dtype, found.tiles.shape) == (np.uint8, (6, 28, 28))
    assert (found.error.dtype, found.error.shape) == (np.float32, (6,))
    assert (found.code.dtype, found.code.shape) == (np.float32, (6, autoencoder.width))
    assert np.abs(found.tiles / 255 - strokes / 255).mean() < 0.05
    again = autoencoder.decode(found.code)
    assert np.abs(again.astype(int) - found.tiles).max() <= 1
    squares = ((found.tiles / 255 - strokes / 255) ** 2).mean(axis=(1, 2))
    expected = squares / (strokes.mean(axis=(1, 2)) / 255 + 0.03)
    np.testing.assert_allclose(found.error, expected, rtol=0.05, atol=1e-3)


def test_batch_size_does_not_change_reconstructions(autoencoder, strokes):
    many = np.tile(strokes, (50, 1, 1))
    whole = autoencoder.reconstruct(many)
    assert np.abs(whole.code[:6] - autoencoder.reconstruct(strokes).code).max() < 1e-4
    assert np.abs(whole.code[-6:] - whole.code[:6]).max() < 1e-4
    assert autoencoder.reconstruct(many[:0]).tiles.shape == (0, 28, 28)
    assert autoencoder.decode(whole.code[:0]).shape == (0, 28, 28)


def test_tiles_without_a_digit_are_reconstructed_worse_than_digits(autoencoder, strokes):
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (20, 28, 28), dtype=np.uint8)
    stripes = np.zeros((1, 28, 28), np.uint8)
    stripes[:, 4:24:4, 4:24] = 255
    strange = autoencoder.error_of(np.concatenate([noise, stripes]))
    assert strange.min() > autoencoder.error_of(strokes).max()
    assert (autoencoder.share_below(strange) > 0.99).all()


@pytest.mark.parametrize(
    ("tiles", "error"),
    [
        ([[0]], TypeError),
        (np.zeros((1, 28, 28)), TypeError),
        (np.zeros((28, 28), np.uint8), ValueError),
    ],
)
def test_invalid_tiles_and_codes_are_refused(autoencoder, tiles, error):
    with pytest.raises(error, match="expected tiles"):
        autoencoder.reconstruct(tiles)
    with pytest.raises(TypeError, match="expected codes"):
        autoencoder.decode(np.zeros((1, autoencoder.width)))
    with pytest.raises(ValueError, match=rf"expected codes of shape \[N, {autoencoder.width}\]"):
        autoencoder.decode(np.zeros((1, autoencoder.width + 1), np.float32))


@pytest.mark.parametrize(
    ("load", "name", "message"),
    [
        (Classifier, "autoencoder", "is an autoencoder"),
        (Reconstructor, "default", "is not an autoencoder"),
        (Reconstructor, "pages", "is not an autoencoder"),
        (DigitDetector, "autoencoder", "is not a digit detector"),
        (DigitDetector, "default", "is not a digit detector"),
    ],
)
def test_model_of_the_wrong_kind_is_refused(load, name, message):
    with pytest.raises(ModelError, match=message):
        load(name)


@pytest.mark.parametrize("name", ["model.onnx", "decoder.onnx"])
def test_changed_or_missing_graph_is_refused(copied, name):
    (copied / name).write_bytes((copied / name).read_bytes() + b"\0")
    with pytest.raises(ModelError, match=f"{name} was changed"):
        Reconstructor(copied)
    (copied / name).unlink()
    with pytest.raises(ModelError, match=f"{name} cannot be read"):
        Reconstructor(copied)


def test_swapped_graphs_and_a_card_without_quantiles_are_refused(copied):
    card = json.loads((copied / "model.json").read_text(encoding="utf-8"))
    shutil.copy(copied / "model.onnx", copied / "decoder.onnx")
    card["decoder_sha256"] = card["sha256"]
    del card["results"]["error_quantiles"]
    (copied / "model.json").write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(ModelError, match=r"the decoder of .* is not an autoencoder"):
        Reconstructor(copied).decode(np.zeros((1, Reconstructor(copied).width), np.float32))
    with pytest.raises(ModelError, match="has no usual errors"):
        Reconstructor(copied).share_below(np.zeros(1, np.float32))
