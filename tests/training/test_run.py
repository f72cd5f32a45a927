"""Run folders record what was trained and are never overwritten."""

import json
import os
from dataclasses import replace

import pytest

from digitlens.errors import DataError
from digitlens.files import sha256
from digitlens.models.bundle import Card, load_bundle, write_bundle
from digitlens.training.recipe import DetectorRecipe, Recipe
from digitlens.training.run import (
    free_folder,
    lock_run,
    refit_recipe,
    resume_run,
    run_name,
    start_run,
)


def test_new_run_writes_recipe_and_provenance(tmp_path):
    recipe = Recipe(epochs=3, seed=7)
    start_run(tmp_path / "run", "mine", recipe, {"train": "abc"}, "cpu, float32")
    told = json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))
    assert resume_run(tmp_path / "run") == recipe
    assert run_name(tmp_path / "run") == "mine"
    assert told["seed"] == 7
    assert told["data"] == {"train": "abc"}
    packages = {"numpy", "torch", "opencv-python-headless", "pillow"}
    assert set(told["versions"]) == {"python", *packages}


def test_nonempty_folder_and_existing_file_are_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(DataError, match="is not empty: name another folder"):
        start_run(tmp_path, "x", Recipe(), {}, "")
    with pytest.raises(DataError):
        start_run(tmp_path / "notes.txt", "x", Recipe(), {}, "")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    with pytest.raises(DataError, match="is not a run"):
        resume_run(tmp_path)


def test_refit_uses_the_epochs_and_temperature_of_validation(tmp_path):
    recipe = Recipe(epochs=9, patience=2, seed=7)
    start_run(tmp_path / "pages", "mine", DetectorRecipe(), {}, "")
    with pytest.raises(DataError, match="did not train a classifier"):
        refit_recipe(tmp_path / "pages")
    start_run(tmp_path / "run", "mine", recipe, {}, "")
    with pytest.raises(DataError, match="has no finished model"):
        refit_recipe(tmp_path / "run")
    card = Card("mine", "1", "", temperature=1.3, recipe=recipe.as_dict())
    graph = load_bundle("default").graph
    card = replace(card, sha256=sha256(graph), results={"best_epoch": 4})
    write_bundle(tmp_path / "run" / "model", card, graph)
    expected = replace(recipe, epochs=4, patience=0, validation="none", temperature=1.3)
    assert refit_recipe(tmp_path / "run") == expected


@pytest.mark.parametrize("content", ["{", "[]", "{}"])
def test_damaged_provenance_is_named(content, tmp_path):
    (tmp_path / "run.json").write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=r"run\.json cannot be read"):
        run_name(tmp_path)


def test_free_folder_counts_up(tmp_path):
    (tmp_path / "fast-1").mkdir()
    assert free_folder("fast", tmp_path) == tmp_path / "fast-2"


def test_killed_start_can_be_repeated(tmp_path):
    start_run(tmp_path / "run", "mine", Recipe(), {}, "")
    (tmp_path / "run" / "recipe.toml").rename(tmp_path / "run" / ".recipe-0.toml")
    start_run(tmp_path / "run", "other", Recipe(), {}, "")
    assert run_name(tmp_path / "run") == "other"
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "run.json").write_text("[1]", encoding="utf-8")
    with pytest.raises(DataError, match="is not empty"):
        start_run(tmp_path / "theirs", "x", Recipe(), {}, "")


def test_folder_is_locked_by_one_process_and_removed_if_empty(tmp_path):
    with lock_run(tmp_path / "run"):
        if os.name == "posix":
            with pytest.raises(DataError, match="is in use by another"), lock_run(tmp_path / "run"):
                pass
    assert not (tmp_path / "run").exists()
    with lock_run(tmp_path):
        pass
    assert tmp_path.exists()
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot be written"), lock_run(tmp_path / "file" / "run"):
        pass
