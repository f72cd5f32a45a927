"""The folder of a training run: recipe, provenance and results; imports no torch.

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
PACKAGES = ("numpy", "torch", "opencv-python-headless", "pillow")  # that affect weights and pages


def start_run(
    folder: Path, name: str, recipe: AnyRecipe, data: dict[str, str], device: str
) -> None:
    """Creates the folder and records what is about to be trained, with which data and where.

    ``data`` maps file names to SHA-256; ``device`` is one line about the device. Raises DataError,
    and changes nothing, unless the folder is new, empty, or left by a start that was killed.
    """
    try:
        is_free = _can_start(folder)
    except OSError as error:
        raise DataError(f"{folder} cannot be listed: {error}") from error
    if not is_free:
        raise DataError(
            f"{folder} is not empty: name another folder with --out, "
            f"or resume with  digitlens train --resume {folder}"
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
        files.write_bytes(folder / RECIPE, recipe.as_toml().encode())  # last: it marks a run
    except OSError as error:
        raise DataError(f"{folder} cannot be written: {error}") from error


def _can_start(folder: Path) -> bool:
    """Returns whether a run may start in a folder."""
    if files.is_unused(folder):
        return True
    with suppress(DataError, NotADirectoryError):
        names = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
        return names == {PROVENANCE} and bool(run_name(folder))
    return False


@contextmanager
def lock_run(folder: Path) -> Generator[None]:
    """Creates a folder if needed and locks it for this process within the block.

    Raises DataError if another process holds the lock, or the folder cannot be created.
    """
    try:
        is_new = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder} cannot be written: {error}") from error
    try:
        with files.locked(folder) as is_free:
            if not is_free:
                raise DataError(f"{folder} is in use by another digitlens: wait until it has ended")
            yield
    finally:
        if is_new:
            with suppress(OSError):  # the folder is not empty
                folder.rmdir()


def resume_run(folder: Path) -> AnyRecipe:
    """Returns the recipe of a stopped run; raises DataError if the folder is not a run."""
    if not (folder / RECIPE).is_file():
        raise DataError(f"{folder} is not a run: expected a folder with {RECIPE}")
    return load_recipe(str(folder / RECIPE))


def refit_recipe(folder: Path) -> Recipe:
    """Returns the recipe of a finished run, changed to train on all tiles without validation.

    The epochs are those up to the best one, and the temperature is that of the model. Raises
    DataError if the folder is not a run, is not finished, or did not train a classifier.
    """
    recipe = resume_run(folder)
    if not isinstance(recipe, Recipe):
        raise DataError(f"{folder} did not train a classifier: --refit expects a classifier's run")
    try:
        card = load_bundle(folder / MODEL).card
        epochs = int(card.results["best_epoch"])
    except (ModelError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{folder} has no finished model: finish it with --resume") from error
    return replace(
        recipe, validation="none", epochs=epochs, patience=0, temperature=card.temperature
    )


def run_name(folder: Path) -> str:
    """Returns the name of the run's model; raises DataError if ``run.json`` is damaged."""
    try:
        return str(json.loads((folder / PROVENANCE).read_text(encoding="utf-8"))["name"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder / PROVENANCE} cannot be read: {error!r}") from error


def free_folder(name: str, parent: Path = Path("runs")) -> Path:
    """Returns the first of ``runs/NAME-1``, ``runs/NAME-2``, … that does not exist yet."""
    folders = (parent / f"{name}-{number}" for number in count(1))
    return next(folder for folder in folders if not folder.exists())


def source_commit() -> str:
    """Returns the commit of the checkout that digitlens runs from; empty if it is installed."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
