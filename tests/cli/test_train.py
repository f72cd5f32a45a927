"""``digitlens train``: output, files, refusals and resuming."""

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFont
from typer.testing import CliRunner

from digitlens.cli.main import app
from digitlens.datasets.mnist import Mnist, Split
from digitlens.datasets.synthetic.glyph_sources import FontGlyphs
from digitlens.datasets.synthetic.lines import Line
from digitlens.datasets.synthetic.styles import Fonts
from digitlens.errors import DataError, ModelError, RecipeError
from digitlens.models.bundle import load_line_bundle
from digitlens.models.classifier import Classifier
from digitlens.training import loop, pipeline
from digitlens.training.tasks import detector, line
from digitlens.visualization.figures.curves import draw_curves

COMMAND = "train"
RUN = {
    *("recipe.toml", "run.json", "history.jsonl", "steps.jsonl", "state.safetensors"),
    *("curves.png", "model", "model/model.onnx", "model/model.json", "model/weights.safetensors"),
}

NO_MODEL = {name for name in RUN if "model" not in name}


def changed(recipe, *changes):
    return ["--recipe", recipe, *(f"--set={change}" for change in changes)]


SMALL = changed("fast", "widths=4,4,4", "epochs=2", "validation=random")
PAGES = changed(
    *("pages", "widths=4,4,4,4,4", "blocks=0,0,0,0", "paths=4,4,4", "side=64", "batch_size=2"),
    *("steps=3", "check_every=2", "validation_pages=2", "validation=random"),
)


@pytest.fixture
def halted(monkeypatch):
    """A context in which any training is interrupted at its first step."""

    def stop(*_):
        raise KeyboardInterrupt

    @contextmanager
    def halted():
        with monkeypatch.context() as patch:
            patch.setattr(loop, "descend", stop)
            yield

    return halted


@pytest.fixture(scope="module")
def small_run(small_split, tmp_path_factory):
    """Folder of a run of ``SMALL``, the result of its command and its files."""
    folder, few = tmp_path_factory.mktemp("small") / "run", Mnist(small_split, small_split)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("digitlens.datasets.mnist.load_mnist", lambda _folder=None: few)
        result = CliRunner().invoke(app, [COMMAND, *SMALL, "--out", str(folder)])
    assert result.exit_code == 0, result.output
    return folder, result, {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.mark.train
@pytest.mark.usefixtures("few_tiles")
def test_run_folder_is_complete_and_interruption_explains_resuming(
    run, small_run, tmp_path, halted, request
):
    folder, result, names = small_run
    assert "validation accuracy" in result.stdout
    assert "device: " in result.stderr
    assert names == RUN
    card = Classifier(folder).card
    assert card.name == "fast"
    assert card.recipe["widths"] == [4, 4, 4]
    assert card.data["train-images-idx3-ubyte"].startswith("ba891046")
    assert 0 <= card.results["validation_accuracy"] <= 1
    request.getfixturevalue("cards")  # not exported again
    told = json.loads(run("--resume", folder, "--json").stdout)
    assert (told["run"], told["epochs"]) == (str(folder), 2)
    with halted():
        result = run(*SMALL, "--out", tmp_path / "stopped", code=130)
    assert "digitlens train --resume" in result.stderr


@pytest.mark.train
@pytest.mark.usefixtures("few_tiles")
def test_ensemble_is_refitted_on_all_tiles(run, tmp_path, request):
    first, again = tmp_path / "first", tmp_path / "again"
    run(*SMALL, "--set", "models=2", "--out", first)
    cards = request.getfixturevalue("cards")  # the next one is not exported
    result = run("--refit", first, "--set", "seed=3", "--out", again, "--json")
    assert "validation_accuracy" not in json.loads(result.stdout)
    was, (now,) = Classifier(first).card, cards
    assert (now.name, now.recipe["temperature"]) == (was.name, was.temperature)
    assert now.recipe["validation"] == "none"
    assert (now.recipe["models"], now.recipe["seed"]) == (2, 3)
    run("--refit", first, "--recipe", "fast", code=2)


@pytest.fixture
def cards(monkeypatch):
    """Cards of the classifiers passed to a fake export; the real one takes seconds."""
    cards = []
    monkeypatch.setattr(pipeline, "export_classifier", lambda _, card, *__: cards.append(card))
    return cards


@pytest.mark.train
@pytest.mark.usefixtures("few_tiles")
def test_teacher_is_recorded_with_its_hash(run, small_run, cards, tmp_path):
    teacher, folder = small_run[0], tmp_path / "run"
    run(*SMALL, "--set", f"teacher={teacher}", "--out", folder)
    assert cards[0].data[f"teacher: {teacher}"] == Classifier(teacher).sha256
    run.fails(ModelError, "", *SMALL, "--set", "teacher=nobody", "--out", tmp_path / "x")
    assert not (tmp_path / "x").exists()


def _write_extra(folder: Path, label: int) -> Path:
    folder.mkdir()
    Image.fromarray(np.full((28, 28), 99, np.uint8)).save(folder / "one.png")
    (folder / "labels.csv").write_text(f"file,label\none.png,{label}\n")
    return folder


@pytest.mark.train
@pytest.mark.usefixtures("few_tiles")
def test_extra_tiles_are_used_for_training_but_not_validation(run, cards, tmp_path, monkeypatch):
    splits = []
    train_classifier = pipeline.train_classifier

    def watch(recipe: object, training: Split, validation: Split, *more: object, **named: object):
        splits.append((training, validation))
        return train_classifier(recipe, training, validation, *more, **named)

    monkeypatch.setattr(pipeline, "train_classifier", watch)
    extra, folder = _write_extra(tmp_path / "mine", 4), tmp_path / "run"
    result = run(*SMALL, "--out", folder, "--extra", extra)
    assert "1 more tiles" in result.stderr
    (training, validation) = splits[0]
    assert (training.tiles[-1] == 99).all()
    assert training.labels[-1] == 4
    assert not (validation.tiles == 99).all(axis=(1, 2)).any()
    for data in (json.loads((folder / "run.json").read_text())["data"], cards[0].data):
        assert len(data["extra: mine"]) == 64
    run.fails(DataError, "was begun with --extra mine", "--resume", folder)
    (extra / "labels.csv").write_text("file,label\none.png,5\n")
    run.fails(DataError, "", "--resume", folder, "--extra", extra)
    (extra / "labels.csv").write_text("file,label\none.png,4\n")
    run("--resume", folder, "--extra", extra)


@pytest.fixture
def exported(monkeypatch):
    """Arguments of a fake export: the real one takes seconds and has its own tests."""
    arguments = {}

    def export(network, card, tiles, folder):
        arguments.update(network=network, card=card, tiles=tiles, folder=folder)

    for name in ("export_detector", "export_autoencoder"):
        monkeypatch.setattr(pipeline, name, export)
    return arguments


@pytest.mark.train
@pytest.mark.usefixtures("few_tiles")
def test_interrupted_digit_detector_resumes_and_is_exported(
    run, exported, tmp_path, halted, monkeypatch
):
    hand = FontGlyphs({"latin": ImageFont.load_default(96)})
    monkeypatch.setattr(pipeline, "load_fonts", lambda _role: Fonts((hand,), (hand,)))
    monkeypatch.setattr(detector, "worker_count", lambda _device: 0)  # in this process
    folder = tmp_path / "run"
    with halted():
        result = run(*PAGES, "--out", folder, code=130)
    assert f"digitlens train --resume {folder}" in result.stderr
    result = run("--resume", folder)
    assert "false positives per page" in result.stdout
    assert {str(path.relative_to(folder)) for path in folder.rglob("*")} == NO_MODEL
    assert exported["folder"] == folder / "model"
    card = exported["card"]
    assert (card.name, card.recipe["steps"], card.results["steps"]) == ("pages", 3, 3)
    assert {"fonts.csv", "train-images-idx3-ubyte"} <= set(card.data)
    assert 0 <= card.results["found"] <= 1
    values = json.loads(run("--resume", folder, "--json").stdout)
    assert (values["run"], values["steps"]) == (str(folder), 3)


def test_recipe_errors_come_first_and_resume_keeps_the_recipe(run, tmp_path):
    told = ("did you mean epochs?", "dropout: expected 0 to 0.95")
    wrong = changed("fast", "epoch=3", "dropout=7")
    run.fails(RecipeError, told, *wrong, "--out", tmp_path / "run")
    for recipe in ("pages", "lines"):  # these are trained on generated pictures
        run("--recipe", recipe, "--extra", tmp_path, "--out", tmp_path / "run", code=2)
    assert not (tmp_path / "run").exists()
    run("--resume", tmp_path, "--set", "epochs=9", code=2)
    run.fails(DataError, "", "--resume", tmp_path)


DRAWER = changed(
    *("autoencoder", "widths=4,4", "code=6", "epochs=2", "batch_size=64", "validation=random")
)


@pytest.mark.train
@pytest.mark.usefixtures("few_tiles")
def test_autoencoder_is_trained_exported_and_resumed(run, exported, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("digitlens.visualization.theme.DPI", 40)
    folder = tmp_path / "run"
    done = run(*DRAWER, "--out", folder)
    assert "squared error on validation tiles" in done.stdout
    assert {str(path.relative_to(folder)) for path in folder.rglob("*")} == NO_MODEL
    assert exported["folder"] == folder / "model"
    assert exported["network"].code == exported["card"].recipe["code"] == 6
    assert exported["card"].name == "autoencoder"
    assert exported["card"].data["train-images-idx3-ubyte"].startswith("ba891046")
    results = exported["card"].results
    assert len(results["error_quantiles"]) == 101
    assert len(exported["tiles"]) == 40
    draw_curves(
        [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()],
        tmp_path / "again.png",
    )
    assert (tmp_path / "again.png").read_bytes() == (folder / "curves.png").read_bytes()
    again = json.loads(run("--resume", folder, "--json").stdout)
    assert (again["run"], again["epochs"]) == (str(folder), 2)
    for key in ("validation_loss", "validation_error"):
        assert again[key] == results[key]
    run.fails(DataError, "did not train a classifier", "--refit", folder)


class FewLines:
    """Draws lines that are dark on the left for a 1 and on the right for a 2."""

    def line(self, number: int, *, kind: str | None = None) -> Line:
        pixels = np.full((48, 32, 3), 210, np.uint8)
        one = number % 2 == 0
        pixels[8:40, 4 if one else 20 :][:, :8] = 20
        return Line(pixels, "1" if one else "2", kind or "tile")


@pytest.mark.train
@pytest.mark.usefixtures("few_tiles")
def test_run_of_a_line_recogniser_is_a_line_reader(run, tmp_path, monkeypatch, shallow):
    monkeypatch.setattr(line, "LineNetwork", shallow)
    monkeypatch.setattr(pipeline, "line_makers", lambda *_: (FewLines(), FewLines()))
    monkeypatch.setattr(pipeline.LineRecipe, "split", lambda _, train: (train, train))
    monkeypatch.setattr(line, "CHECKED", 2)
    monkeypatch.setattr(pipeline, "LineTask", partial(line.LineTask, workers=0))
    folder = tmp_path / "run"
    small = ("start=random", "batch_size=2", "pool=1", "steps=2", "check_every=1")
    done = run(*changed("lines", *small, "validation_lines=2"), "--out", folder)
    assert "of validation lines correctly" in done.stdout
    assert "digitlens.training.calibrate --lines" in done.stderr
    names = {path.name for path in folder.rglob("*") if path.is_file()}
    assert names == {
        *("recipe.toml", "run.json", "history.jsonl", "steps.jsonl", "state.safetensors"),
        *("latest.safetensors", "curves.png", "model.json"),
        *("detector.onnx", "recognizer.onnx", "spotter.onnx"),
    }
    bundle = load_line_bundle(folder / "model")
    assert (bundle.card.name, bundle.card.recipe["steps"]) == ("lines", 2)
    monkeypatch.setattr(pipeline, "line_graph_of", lambda *_: bundle.recognizer)  # takes seconds
    again = json.loads(run("--resume", folder, "--json").stdout)
    assert (again["run"], again["steps"]) == (str(folder), 2)
    assert bundle.card.results["validation"]["exact"] == again["exact"]


@pytest.mark.parametrize(
    ("recipe", "change", "words"),
    [
        ("fast", "epochs=2", ["architecture=swift", "Maximum number of passes over"]),
        ("pages", "widths=8,8,8,8,8", ["widths=8,8,8,8,8 ", "Training steps in total"]),
        ("lines", "steps=9", ["steps=9 ", "Fraction of lines converted to greyscale"]),
        ("autoencoder", "code=8", ["code=8", "represents the 784 pixels"]),
    ],
)
def test_fields_option_explains_the_recipe(run, recipe, change, words):
    result = run("--recipe", recipe, "--fields", "--set", change)
    assert all(word in result.stdout for word in words)


# A separate process with drawn tiles for MNIST that exports only weights. Arguments: commands, and
# last the step before which it kills itself, or 0.
PROGRAM = """
import os, signal, sys
from itertools import count
import numpy as np
from digitlens.datasets import mnist
digits = np.arange(600, dtype=np.uint8) % 10
tiles = np.random.default_rng(0).integers(0, 60, (600, 28, 28)).astype(np.uint8)
for tile, digit in zip(tiles, digits):
    tile[:, 2 * digit : 2 * digit + 4] = 220
split = mnist.Split(tiles, digits)
mnist.load_mnist = lambda _folder=None: mnist.Mnist(split, split)
from safetensors.torch import save_file
from digitlens.cli.main import app
from digitlens.training import loop, pipeline
def export(network, card, tiles, folder):
    folder.mkdir()
    save_file(network.state_dict(), folder / "weights.safetensors")
pipeline.export_classifier = export
*commands, last = sys.argv[1:]
steps, descend = count(1), loop.descend
def kill_or_descend(*arguments):
    if next(steps) == int(last):
        os.kill(os.getpid(), signal.SIGKILL)
    return descend(*arguments)
loop.descend = kill_or_descend
for command in commands:
    app(command.split(), standalone_mode=False)
"""


@pytest.mark.train
def test_killed_run_resumes_to_identical_weights(tmp_path):
    def launch(*commands, kill_at=0):
        command = [sys.executable, "-c", PROGRAM, *commands, str(kill_at)]
        return subprocess.call(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, cwd=tmp_path)

    train = f"train {' '.join(SMALL)} --set batch_size=128 --set epochs=4 --out"
    assert launch(f"{train} killed", kill_at=7) == -signal.SIGKILL  # in the second epoch of 5 steps
    assert len((tmp_path / "killed" / "history.jsonl").read_text().splitlines()) == 1
    assert not (tmp_path / "killed" / "model").exists()
    assert launch(f"{train} whole", "train --resume killed") == 0
    killed, complete = (tmp_path / run / "model/weights.safetensors" for run in ("killed", "whole"))
    assert killed.read_bytes() == complete.read_bytes()
