import subprocess
import sys
from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from digitlens.datasets import mnist as data
from digitlens.datasets.mnist import Mnist, Split
from digitlens.errors import DataError, MissingExtraError, ModelError
from digitlens.explain.trained_model import TrainedModel
from digitlens.models.networks import Reconstruction
from digitlens.training import export
from digitlens.visualization.figures import registry
from digitlens.visualization.figures.registry import (
    FIGURES,
    FigureOptions,
    draw_evaluation,
    draw_interpolations,
    draw_reconstructions,
)
from digitlens.visualization.theme import LIGHT, themed


@pytest.mark.parametrize("misread", [{4: 9, 7: 1}, {}, {i: (i + 1) % 10 for i in range(60)}])
def test_every_report_figure_is_written_and_large_enough_for_a_talk(
    reported, tiles, tmp_path, misread, request
):
    if has_all := 0 < len(misread) < 60:  # every figure has something to show
        request.getfixturevalue("for_a_talk")
    settings = dict(mpl.rcParams)
    written = draw_evaluation(reported(misread), tiles, tmp_path / "new")
    names = ["confusion", "classes", "calibration", "wrong", "correct"]
    assert [path.name for path in written] == [f"{name}.png" for name in names]
    assert set((tmp_path / "new").iterdir()) == set(written)
    for path in written if has_all else ():
        with Image.open(path) as picture:
            assert min(picture.size) >= 400
            assert max(picture.size) >= 1400
            assert len(picture.convert("L").getcolors()) > 20  # something is drawn
    assert dict(mpl.rcParams) == settings


@pytest.fixture
def swift(monkeypatch, small_split, tmp_path):
    monkeypatch.setattr(data, "load_mnist", lambda _=None: Mnist(small_split, small_split))
    monkeypatch.chdir(tmp_path)
    return TrainedModel("swift")


@pytest.mark.parametrize("name", ["filters", "maps", "saliency", "features", "models"])
def test_every_figure_is_drawn(swift, tmp_path, name):
    path = tmp_path / f"{name}.png"
    FIGURES[name]([swift], path, FigureOptions(7))
    assert path.read_bytes().startswith(b"\x89PNG")
    assert path.stat().st_size > 3_000


def test_models_are_timed_in_turns(swift, tmp_path, monkeypatch):
    other, asked, points = TrainedModel("swift"), [], []
    for name, subject in (("one", swift), ("other", other)):
        answer = subject.classifier.predict_proba
        asking = lambda tiles, name=name, answer=answer: asked.append(name) or answer(tiles)  # noqa: E731
        monkeypatch.setattr(subject.classifier, "predict_proba", asking)
    monkeypatch.setattr(
        registry.scores, "draw_models", lambda found, *_, **__: points.extend(found)
    )
    FIGURES["models"]([swift, other], tmp_path / "models.png", FigureOptions())
    rounds = 2 * (registry.ROUNDS + 1)
    assert asked[:rounds] == ["one", "other"] * (registry.ROUNDS + 1)
    assert [point.accuracy for point in points] == [swift.report.accuracy] * 2
    assert points[0].parameters == 7026
    assert points[0].bytes == len((swift.bundle / "model.onnx").read_bytes())
    assert all(point.microseconds > 0 for point in points)


def test_gradient_map_is_omitted_with_the_reason_without_weights(
    swift, tmp_path, monkeypatch, capsys
):
    def none(_):
        raise ModelError("the model has only a graph")

    shown = {}
    monkeypatch.setattr(export, "load_network", none)
    drawing = lambda *given, **_: shown.update(given[3])  # noqa: E731
    monkeypatch.setattr(registry.inside, "draw_saliency", drawing)
    FIGURES["saliency"]([swift], tmp_path / "why.png", FigureOptions(3))
    assert len(shown) == 3
    assert "without the gradient map: the model has only a graph" in capsys.readouterr().err


def test_impossible_figures_are_refused_with_the_reason(swift, tmp_path, monkeypatch):
    with pytest.raises(DataError, match="a tile from 0 to 399, of MNIST test, found 400"):
        FIGURES["maps"]([swift], tmp_path / "maps.png", FigureOptions(400))
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(MissingExtraError, match=r"digitlens\[maps\]"):
        FIGURES["features"]([swift], tmp_path / "features.png", FigureOptions(method="umap"))
    outputs = swift.classifier.outputs(np.zeros((3, 28, 28), np.uint8))
    bare = type(outputs)(outputs.probabilities)
    monkeypatch.setattr(swift.classifier, "outputs", lambda _: bare)
    with pytest.raises(ModelError, match="has no features output"):
        FIGURES["features"]([swift], tmp_path / "features.png", FigureOptions())


def test_figures_need_no_torch():
    names = ("curves", "scores", "reliability", "inside")
    imports = ";".join(f"import digitlens.visualization.figures.{name}" for name in names)
    program = f"{imports}; import sys; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"torch", "onnx", "onnxruntime"} & set(loaded)


TILES = np.zeros((10, 28, 28), np.uint8)
TILES[:, 6:22, 10:18] = 255
BLUE = tuple(int(LIGHT.blue[k : k + 2], 16) for k in (1, 3, 5))


def _pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def _share(pixels, colour):
    return float((np.abs(pixels - np.array(colour)).max(axis=2) < 24).mean())


def test_reconstructions_are_blue_and_originals_in_ink(tmp_path):
    split = Split(TILES, np.arange(len(TILES), dtype=np.uint8))
    error, code = np.linspace(0.1, 0.4, len(TILES)), np.zeros((len(TILES), 2), np.float32)
    shares = []
    for drawn in (TILES, np.zeros_like(TILES)):
        again = Reconstruction(drawn, error, code)
        draw_reconstructions(split, again, tmp_path / "again.png", note="from 16 numbers")
        shares.append(_share(_pixels(tmp_path / "again.png"), BLUE))
    assert shares[0] > 0.01
    assert shares[1] == 0
    pixels = _pixels(tmp_path / "again.png")
    assert _share(pixels, (0, 0, 0)) + _share(pixels, (34, 34, 34)) > 0.01


def test_interpolations_follow_the_dark_theme_and_field_corners_are_the_digits(tmp_path):
    codes = np.zeros((len(TILES), 2), np.float32)
    autoencoder = SimpleNamespace(
        reconstruct=lambda tiles: Reconstruction(tiles, np.zeros(len(tiles)), codes),
        decode=lambda codes: np.repeat(TILES[:1], len(codes), axis=0),
    )
    with themed("dark") as dark:
        draw_interpolations(TILES, autoencoder, tmp_path / "ways.png")
        ground = tuple(int(dark.ground[k : k + 2], 16) for k in (1, 3, 5))
    pixels = _pixels(tmp_path / "ways.png")
    assert _share(pixels, ground) > 0.4
    assert _share(pixels, BLUE) < 0.01
    corners = np.arange(8, dtype=np.float32).reshape(4, 2)
    field = registry.field_codes(corners)
    assert field.shape == (registry.STEPS, registry.STEPS, 2)
    np.testing.assert_allclose(field[[0, 0, -1, -1], [0, -1, 0, -1]], corners, atol=1e-6)
    np.testing.assert_allclose(field.mean(axis=(0, 1)), corners.mean(axis=0), rtol=1e-5)
