import json

import numpy as np
import pytest
from PIL import Image

from digitlens.datasets import mnist as data
from digitlens.errors import ModelError
from digitlens.visualization.figures import registry

COMMAND = "reconstruct"
DRAWING = "examples/drawing.png"


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch, examples):
    (tmp_path / "examples").symlink_to(examples)
    monkeypatch.chdir(tmp_path)


def test_drawing_is_reconstructed_with_its_error(run, tmp_path):
    run.fails(ModelError, "is not an autoencoder", DRAWING, "--model", "default")
    done = run(DRAWING, "--json")
    (row,) = json.loads(done.stdout)
    assert (row["picture"], row["value"], row["status"]) == (DRAWING, 7, "digit")
    assert 0 < row["error"] < 0.1
    assert 0 <= row["drawn_better"] < 0.9
    with Image.open(tmp_path / "reconstructions" / "drawing-reconstructed.png") as picture:
        colours = np.asarray(picture).reshape(-1, 3)
    assert (colours == 255).all(axis=1).any()
    assert (colours[:, 2].astype(int) - colours[:, 0] > 60).any()


def test_other_pictures_are_reconstructed_after_an_unreadable_one(run, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    done = run("broken.png", "examples/blank.jpg", DRAWING, "--out", "here", code=1)
    assert "broken.png" in done.stderr
    assert done.stdout.count("% sure") == 1
    names = {path.name for path in (tmp_path / "here").iterdir()}
    assert names == {"blank-reconstructed.png", "drawing-reconstructed.png"}


def test_mnist_digits_and_interpolations_are_drawn(run, tmp_path, small_split, monkeypatch):
    monkeypatch.setattr(data, "load_mnist", lambda _=None: data.Mnist(small_split, small_split))
    monkeypatch.setattr("digitlens.visualization.theme.DPI", 40)
    done = run("--out", "here", "--theme", "dark", "--json")
    found = json.loads(done.stdout)
    assert (found["digits"], len(found["by_digit"])) == (400, 10)
    assert found["error"] == pytest.approx(np.mean(found["by_digit"]), rel=1e-4)
    for name in (registry.RECONSTRUCTIONS, registry.INTERPOLATIONS):
        with Image.open(tmp_path / "here" / name) as picture:
            assert np.asarray(picture.convert("L")).std() > 8
