"""The folder of one training run: its recipe, where it came from, and what came out; no torch here.

recipe.toml  run.json  history.jsonl  state.safetensors  curves.png  model/
"""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from itertools import count
from pathlib import Path

from digitlens import __version__, files
from digitlens.errors import DataError, ModelError
from digitlens.models.bundle import load_bundle
from digitlens.training.recipe import AnyRecipe, Recipe, load_recipe

RECIPE = "recipe.toml"
PROVENANCE = "run.json"
MODEL = "model"
CURVES = "curves.png"
PACKAGES = ("numpy", "torch", "opencv-python-headless", "pillow")  # decide weights and pages


def start_run(
    folder: Path, name: str, recipe: AnyRecipe, data: dict[str, str], device: str
) -> None:
    """Makes the folder and writes down what is about to be trained, from what and where.

    Data are SHA-256 of files by name; the device is the line that says where. Raises DataError,
    and touches nothing, unless the folder is new or empty, or has what a killed start left.
    """
    try:
        is_free = _is_free(folder)
    except OSError as error:
        raise DataError(f"{folder} cannot be looked into: {error}") from error
    if not is_free:
        raise DataError(
            f"{folder} is not empty: name another folder with --out, "
            f"or go on with  digitlens train --resume {folder}"
        )
    versions: dict[str, str] = {}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            versions[package] = version(package)
    provenance = {
        "name": name,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "seed": recipe.seed,
        "device": device,
        "machine": platform.platform(),
        "versions": {"python": platform.python_version()} | versions,
        "digitlens": __version__,
        "commit": source_commit(),
        "data": data,
    }
    try:
        files.write_json(folder / PROVENANCE, provenance)
        files.write_bytes(folder / RECIPE, recipe.as_toml().encode())  # last: with it, it is a run
    except OSError as error:
        raise DataError(f"{folder} cannot be written: {error}") from error


def _is_free(folder: Path) -> bool:
    """Whether a run may begin in a folder."""
    if files.is_unused(folder):
        return True
    with suppress(DataError, NotADirectoryError):
        names = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
        return names == {PROVENANCE} and bool(run_name(folder))
    return False


@contextmanager
def at_work(folder: Path) -> Generator[None]:
    """Keeps a folder, which is made, for one process while the block lasts.

    Raises DataError where another process is at work in it, or it cannot be made.
    """
    try:
        is_new = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder} cannot be written: {error}") from error
    try:
        with files.locked(folder) as is_free:
            if not is_free:
                raise DataError(f"{folder}: another digitlens is at work in it: wait for its end")
            yield
    finally:
        if is_new:
            with suppress(OSError):  # something is in it
                folder.rmdir()


def resume_run(folder: Path) -> AnyRecipe:
    """The recipe of a run that was stopped; raises DataError where the folder is none."""
    if not (folder / RECIPE).is_file():
        raise DataError(f"{folder} is not a run: expected a folder that has {RECIPE} in it")
    return load_recipe(str(folder / RECIPE))


def refit_recipe(folder: Path) -> Recipe:
    """The recipe of a finished run, to train anew with all tiles and what validation had chosen.

    Its epochs are those up to the best, and its temperature is that of its model. Raises DataError
    where the folder is no run, is not finished, or trained no classifier.
    """
    recipe = resume_run(folder)
    if not isinstance(recipe, Recipe):
        raise DataError(f"{folder} trained no classifier: --refit is for classifiers")
    try:
        card = load_bundle(folder / MODEL).card
        epochs = int(card.results["best_epoch"])
    except (ModelError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{folder} has no finished model: go on with --resume first") from error
    return replace(
        recipe, validation="none", epochs=epochs, patience=0, temperature=card.temperature
    )


def run_name(folder: Path) -> str:
    """The name that the run's model gets; raises DataError where ``run.json`` is damaged."""
    try:
        return str(json.loads((folder / PROVENANCE).read_text(encoding="utf-8"))["name"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder / PROVENANCE} cannot be read: {error!r}") from error


def free_folder(name: str, parent: Path = Path("runs")) -> Path:
    """The first of ``runs/NAME-1``, ``runs/NAME-2``, … that does not exist yet."""
    folders = (parent / f"{name}-{number}" for number in count(1))
    return next(folder for folder in folders if not folder.exists())


def source_commit() -> str:
    """The commit of the checkout that digitlens runs from; empty for an installed one."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
