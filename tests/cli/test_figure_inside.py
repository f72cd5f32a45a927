"""Each figure of what a network sees comes out of a model that ships, on tiles drawn here."""

import subprocess
import sys

import numpy as np
import pytest

from digitlens.cli import figure_inside
from digitlens.cli.figure_inside import INSIDE, features
from digitlens.datasets import mnist as data
from digitlens.datasets.mnist import Mnist
from digitlens.errors import DataError, MissingExtraError, ModelError
from digitlens.explain.trained_model import TrainedModel
from digitlens.training import export


@pytest.fixture
def swift(monkeypatch, small_split, tmp_path):
    monkeypatch.setattr(data, "load_mnist", lambda _=None: Mnist(small_split, small_split))
    monkeypatch.chdir(tmp_path)
    return TrainedModel("swift")


@pytest.mark.parametrize("name", INSIDE)
def test_every_figure_is_drawn(swift, tmp_path, name):
    path = tmp_path / f"{name}.png"
    INSIDE[name]([swift], path, 7)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert path.stat().st_size > 10_000


def test_all_models_are_timed_in_turns(swift, tmp_path, monkeypatch):
    other, asked, points = TrainedModel("swift"), [], []
    for name, subject in (("one", swift), ("other", other)):
        answer = subject.classifier.predict_proba
        asking = lambda tiles, name=name, answer=answer: asked.append(name) or answer(tiles)  # noqa: E731
        monkeypatch.setattr(subject.classifier, "predict_proba", asking)
    monkeypatch.setattr(
        "digitlens.visualization.models.draw_models", lambda found, *_, **__: points.extend(found)
    )
    INSIDE["models"]([swift, other], tmp_path / "models.png", 0)
    rounds = 2 * (figure_inside.ROUNDS + 1)
    assert asked[:rounds] == ["one", "other"] * (figure_inside.ROUNDS + 1)
    assert [point.accuracy for point in points] == [swift.report.accuracy] * 2
    assert points[0].parameters == 7026
    assert points[0].bytes == len((swift.bundle / "model.onnx").read_bytes())
    assert all(point.microseconds > 0 for point in points)


def test_without_weights_the_map_by_gradients_is_left_out_with_the_reason(
    swift, tmp_path, monkeypatch, capsys
):
    def none(_):
        raise ModelError("the model has only a graph")

    shown = {}
    monkeypatch.setattr(export, "load_network", none)
    monkeypatch.setattr(
        "digitlens.visualization.saliency.draw_saliency",
        lambda *given, **_: shown.update(given[3]),
    )
    INSIDE["saliency"]([swift], tmp_path / "why.png", 3)
    assert len(shown) == 3
    assert "without the map by gradients: the model has only a graph" in capsys.readouterr().err


def test_what_cannot_be_drawn_says_why(swift, tmp_path, monkeypatch):
    with pytest.raises(DataError, match="a tile from 0 to 399, of MNIST test, found 400"):
        INSIDE["maps"]([swift], tmp_path / "maps.png", 400)
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(MissingExtraError, match=r"digitlens\[maps\]"):
        features([swift], tmp_path / "features.png", method="umap")
    outputs = swift.classifier.outputs(np.zeros((3, 28, 28), np.uint8))
    bare = type(outputs)(outputs.probabilities)
    monkeypatch.setattr(swift.classifier, "outputs", lambda _: bare)
    with pytest.raises(ModelError, match="gives no features"):
        features([swift], tmp_path / "features.png")


def test_figures_need_no_torch():
    names = ("filters", "maps", "saliency", "embedding", "models")
    imports = ";".join(f"import digitlens.visualization.{name}" for name in names)
    program = f"{imports}; import sys; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"torch", "onnx", "onnxruntime"} & set(loaded)
