import json

import numpy as np
import pytest
from typer.testing import CliRunner

from digitlens.cli import app
from digitlens.data import mnist as data
from digitlens.data.mnist import Mnist
from digitlens.model.reconstructor import Reconstructor

SMALL = [
    f"--set={change}"
    for change in ("widths=4,4", "code=6", "epochs=2", "batch_size=64", "validation=random")
]


def _run(*arguments: object):
    return CliRunner().invoke(app, ["train", *map(str, arguments)])


@pytest.mark.train
def test_a_run_has_all_that_others_have_and_can_be_resumed_and_used(
    small_split, tmp_path, monkeypatch
):
    monkeypatch.setattr(data, "load_mnist", lambda _=None: Mnist(small_split, small_split))
    monkeypatch.setattr("digitlens.visualization.style.DPI", 40)
    run = tmp_path / "run"
    done = _run("--recipe", "autoencoder", *SMALL, "--out", run)
    assert done.exit_code == 0, done.output
    assert "on validation tiles a squared error of" in done.stdout
    names = {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}
    files = ("model.onnx", "decoder.onnx", "model.json", "weights.safetensors")
    kept = {"recipe.toml", "run.json", "history.jsonl", "state.safetensors", "curves.png"}
    assert names == kept | {f"model/{name}" for name in files}
    reconstructor = Reconstructor(run)
    assert reconstructor.card.name == "autoencoder"
    assert reconstructor.card.recipe["code"] == reconstructor.width == 6
    assert len(reconstructor.card.results["error_quantiles"]) == 101
    assert reconstructor.decode(np.zeros((1, 6), np.float32)).shape == (1, 28, 28)
    monkeypatch.setattr("digitlens.commands.train_autoencoder._export", lambda *_: None)
    again = json.loads(_run("--resume", run, "--json").stdout)
    assert (again["run"], again["epochs"]) == (str(run), 2)
    for key in ("validation_loss", "validation_error"):
        assert again[key] == reconstructor.card.results[key]
    refused = _run("--refit", run)
    assert "trained no classifier" in str(refused.exception)


def test_fields_explains_the_recipe():
    told = _run("--recipe", "autoencoder", "--fields", "--set", "code=8")
    assert told.exit_code == 0
    assert "code=8" in told.stdout
    assert "all that is left of the 784 pixels" in told.stdout
