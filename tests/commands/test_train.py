"""``digitlens train`` from the outside: what it prints, writes, refuses, and survives."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from digitlens.cli import app
from digitlens.data.mnist import Mnist
from digitlens.errors import DataError, RecipeError
from digitlens.model.classifier import Classifier
from digitlens.training import train as train_module

SMALL = ["widths=4,4,4", "epochs=2", "validation=random"]
CHANGES = [part for change in SMALL for part in ("--set", change)]


@pytest.fixture
def few_tiles(small_split, monkeypatch):
    """MNIST is a few drawn tiles, for the commands of this module."""
    few = Mnist(small_split, small_split)
    monkeypatch.setattr("digitlens.data.mnist.load_mnist", lambda _folder=None: few)


def _run(*arguments: str | Path):
    return CliRunner().invoke(app, ["train", *map(str, arguments)], catch_exceptions=True)


@pytest.mark.train
@pytest.mark.usefixtures("few_tiles")
def test_a_run_folder_has_all_that_was_promised(tmp_path):
    result = _run("--recipe", "fast", *CHANGES, "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert "validation accuracy" in result.stdout
    assert "device: " in result.stderr
    names = {str(path.relative_to(tmp_path / "run")) for path in (tmp_path / "run").rglob("*")}
    assert names == {
        "recipe.toml",
        "run.json",
        "history.jsonl",
        "state.safetensors",
        "curves.png",
        "model",
        "model/model.onnx",
        "model/model.json",
        "model/weights.safetensors",
    }
    card = Classifier(tmp_path / "run").card
    assert card.name == "fast"
    assert card.recipe["widths"] == [4, 4, 4]
    assert card.data["train-images-idx3-ubyte"].startswith("ba891046")
    assert 0 <= card.results["validation_accuracy"] <= 1


@pytest.mark.train
@pytest.mark.usefixtures("few_tiles")
def test_json_has_the_result(tmp_path):
    result = _run("--recipe", "fast", *CHANGES, "--out", tmp_path / "run", "--json")
    told = json.loads(result.stdout)
    assert told["run"] == str(tmp_path / "run")
    assert told["epochs"] == 2


@pytest.mark.train
@pytest.mark.usefixtures("few_tiles")
def test_ctrl_c_says_how_to_go_on_and_resume_does(tmp_path, monkeypatch):
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(train_module, "_learn", stop)
    result = _run("--recipe", "fast", *CHANGES, "--out", tmp_path / "run")
    assert result.exit_code == 130
    assert "digitlens train --resume" in result.stderr
    monkeypatch.undo()


@pytest.mark.train
@pytest.mark.usefixtures("few_tiles")
def test_a_folder_in_use_is_refused(tmp_path):
    (tmp_path / "notes").touch()
    result = _run("--recipe", "fast", *CHANGES, "--out", tmp_path)
    assert isinstance(result.exception, DataError)
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


def test_problems_of_the_recipe_come_before_any_work(tmp_path):
    result = _run("--set", "epoch=3", "--set", "dropout=7", "--out", tmp_path / "run")
    assert isinstance(result.exception, RecipeError)
    assert "did you mean epochs?" in str(result.exception)
    assert "dropout: expected 0 to 0.95" in str(result.exception)
    assert not (tmp_path / "run").exists()


def test_resume_keeps_recipe_and_folder(tmp_path):
    result = _run("--resume", tmp_path, "--set", "epochs=9")
    assert result.exit_code == 2
    assert isinstance(_run("--resume", tmp_path).exception, DataError)


def test_fields_explains_the_recipe():
    result = _run("--recipe", "fast", "--fields")
    assert result.exit_code == 0
    assert "architecture=fast" in result.stdout
    assert "Passes over the training tiles, at most." in result.stdout


@pytest.mark.mnist
@pytest.mark.train
def test_a_killed_run_resumes_to_the_same_weights_bit_for_bit(mnist, tmp_path):
    assert len(mnist.train) == 60000
    arguments = ["--recipe", "fast", "--set", "widths=4,4,4", "--set", "epochs=3"]
    arguments += ["--set", "validation_share=0.5"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert _start([*arguments, "--out", str(whole)]).wait() == 0
    process = _start([*arguments, "--out", str(killed)])
    while not (killed / "history.jsonl").exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (killed / "model").exists()
    assert _start(["--resume", str(killed)]).wait() == 0
    for name in ("weights.safetensors", "model.onnx"):
        assert (killed / "model" / name).read_bytes() == (whole / "model" / name).read_bytes()


def _start(arguments: list[str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "digitlens", "train", *arguments]
    return subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"})
