import csv
import json
import sys
from types import SimpleNamespace

import pytest

from digitlens.errors import DataError, MissingExtraError, RecipeError
from digitlens.training import tune as tune_module
from digitlens.training.recipe import load_recipe

pytestmark = pytest.mark.train

COMMAND = "tune"
CHANGES = ["widths=4,8", "kernels=3", "epochs=2", "validation=random", "dropout=0.1"]
SMALL = ["--recipe", "fast", *(f"--set={change}" for change in CHANGES)]
SEARCH = ["--search", "dropout=0..0.9"]


@pytest.fixture
def few_tiles(small_split, monkeypatch):
    """Replaces MNIST by a few drawn tiles without a test set."""
    few = SimpleNamespace(train=small_split)
    monkeypatch.setattr("digitlens.datasets.mnist.load_mnist", lambda _folder=None: few)


@pytest.fixture
def faked(few_tiles, monkeypatch):
    """Replaces training: it takes no time, and less dropout is better."""
    del few_tiles

    def train(recipe, training, validation, folder, on_epoch):
        del training, validation, folder
        row = {"epoch": 1, "val_accuracy": 1 - recipe.dropout, "val_loss": recipe.dropout}
        on_epoch(row)
        return SimpleNamespace(history=[row], best_epoch=1)

    monkeypatch.setattr(tune_module, "train_classifier", train)


@pytest.mark.usefixtures("few_tiles")
def test_study_folder_is_complete_and_the_test_set_is_not_used(run, tmp_path):
    folder = tmp_path / "study"
    search = [*SEARCH, "--search", "pool=max|stride", "--seeds", "2"]
    done = run(*SMALL, *search, "--trials", "2", "--out", folder)
    assert "2 trials: 2 complete" in done.stdout
    assert f"digitlens train --recipe {folder / 'best.toml'}" in done.stdout
    assert "360 to train, 40 to validate, the same for all trials" in done.stderr
    assert "trial 1 of" not in done.stderr  # quiet in a pipe
    names = {path.name for path in folder.iterdir()}
    assert names == {"best.toml", "study.db", "trials", "trials.csv", "tuning.png"}
    rows = list(csv.DictReader((folder / "trials.csv").read_text().splitlines()))
    best = max(rows, key=lambda row: float(row["accuracy"]))
    recipe = load_recipe(str(folder / "best.toml"))
    assert (recipe.dropout, recipe.pool) == (float(best["dropout"]), best["pool"])
    assert (recipe.widths, recipe.seed) == ((4, 8), 0)
    assert len(list(folder.rglob("seed-1/history.jsonl"))) == 2


@pytest.mark.usefixtures("faked")
def test_study_is_resumed_and_interruption_explains_how(run, tmp_path, monkeypatch):
    folder = tmp_path / "study"
    values = json.loads(run(*SMALL, *SEARCH, "--trials", "2", "--out", folder, "--json").stdout)
    assert values["best"]["accuracy"] == max(trial["accuracy"] for trial in values["trials"])
    assert values["trials"][0]["chosen"] == {"dropout": 0.1}  # the recipe itself comes first
    assert (values["folder"], values["search"]) == (str(folder), ["dropout=0.0..0.9"])
    (folder / "tuning.png").unlink()
    result = run("--resume", folder, "--trials", "0")
    assert "2 trials: 2 complete" in result.stdout
    assert (folder / "tuning.png").is_file()
    assert "3 trials: 3 complete" in run("--resume", folder, "--trials", "3").stdout

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tune_module, "train_classifier", stop)
    done = run("--resume", folder, "--trials", "5", code=130)
    assert f"resume with  digitlens tune --resume {folder}" in done.stderr
    assert "4 trials: 3 complete, 1 failed" in done.stdout
    assert "trial 4 failed: interrupted" in done.stdout
    assert (folder / "best.toml").is_file()


@pytest.mark.usefixtures("faked")
def test_shared_database_is_created_and_joined(run, tmp_path):
    shared = ["--storage", f"sqlite:///{tmp_path / 'shared.db'}", "--name", "ours"]
    one, two = tmp_path / "one", tmp_path / "two"
    run(*SMALL, *SEARCH, *shared, "--trials", "1", "--out", one)
    joined = run(*shared, "--trials", "2", "--out", two)
    assert "2 trials: 2 complete" in joined.stdout
    again = run(*SMALL, *SEARCH, *shared, "--trials", "3", "--out", one)
    assert "3 trials: 3 complete" in again.stdout
    run.fails(
        DataError, "another search", *SMALL, "--search", "dropout=0..0.5", *shared, "--out", one
    )


def test_missing_study_is_reported_before_tiles_are_fetched(run, tmp_path, monkeypatch):
    def load_mnist(_folder=None):
        raise DataError("MNIST is not here")

    monkeypatch.setattr("digitlens.datasets.mnist.load_mnist", load_mnist)
    shared = ["--storage", f"sqlite:///{tmp_path / 'shared.db'}", "--name", "ours"]
    run.fails(DataError, "ours", *shared, "--out", tmp_path / "one")


def test_all_recipe_errors_come_before_any_work(run, tmp_path):
    told = ("did you mean epochs?", "dropout: expected 0 to 0.95, found 7")
    options = ["--set", "epoch=3", "--search", "dropout=0..7", "--out"]
    run.fails(RecipeError, told, *options, tmp_path / "study")
    run.fails(RecipeError, "nothing to search", "--out", tmp_path / "study")
    assert not (tmp_path / "study").exists()


def test_invalid_folders_and_options_are_refused(run, tmp_path):
    (tmp_path / "notes").touch()
    run.fails(DataError, f"digitlens tune --resume {tmp_path}", *SMALL, *SEARCH, "--out", tmp_path)
    run.fails(DataError, "is not a study", "--resume", tmp_path)
    run("--resume", tmp_path, *SEARCH, code=2)
    run(*SEARCH, "--storage", "sqlite:///x.db", code=2)
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


def test_missing_optuna_names_the_extra(run, tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "digitlens.training.tune", raising=False)
    monkeypatch.setitem(sys.modules, "optuna", None)  # as if not installed
    options = (*SMALL, *SEARCH, "--out", tmp_path / "study")
    run.fails(MissingExtraError, "pip install 'digitlens[tune]'", *options)
    assert not (tmp_path / "study").exists()
