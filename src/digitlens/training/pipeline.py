"""A complete training of any kind of network: run folder, training, curves, export, results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from torch import nn

from digitlens import __version__, files
from digitlens.datasets.mnist import Split
from digitlens.datasets.sources import data_hashes
from digitlens.datasets.synthetic.glyph_sources import FONT_TABLE
from digitlens.datasets.synthetic.pages import PageMaker
from digitlens.datasets.synthetic.styles import load_fonts
from digitlens.models.bundle import (
    SHIPPED_LINES,
    Card,
    LineCard,
    load_bundle,
    load_line_bundle,
    write_line_bundle,
)
from digitlens.models.networks import QUANTILES
from digitlens.progress import note
from digitlens.training.export import (
    CHECKED_TILES,
    error_quantiles,
    export_autoencoder,
    export_classifier,
    export_detector,
)
from digitlens.training.loop import Device, OnCheck, OnStep, Task, Trained, fit
from digitlens.training.recipe import (
    AnyRecipe,
    AutoencoderRecipe,
    DetectorRecipe,
    LineRecipe,
    Recipe,
)
from digitlens.training.run import MODEL, lock_run, run_name, start_run
from digitlens.training.tasks.detector import DetectorTask
from digitlens.training.tasks.line import VALIDATION_SEED, LineTask, line_graph_of, line_makers
from digitlens.training.tasks.tile import AutoencoderTask, train_classifier

Draw = Callable[[Trained[Any], Path], object]
N = TypeVar("N", bound=nn.Module)


class TrainingHooks(Protocol):
    """Callbacks during the training of a classifier."""

    @property
    def on_step(self) -> OnStep | None:
        """Called after each step."""
        ...

    @property
    def on_epoch(self) -> OnCheck | None:
        """Called after each epoch."""
        ...

    def begin(self, recipe: Recipe, folder: Path, splits: tuple[Split, Split]) -> None:
        """Called when the run folder exists."""
        ...

    def end(self, trained: Trained[Any]) -> None:
        """Called when the network is trained."""
        ...


@dataclass(frozen=True)
class TrainingJob:
    """The inputs and settings of one training, apart from its recipe."""

    folder: Path  # the run folder
    name: str  # of the model
    splits: tuple[Split, Split]  # training and validation tiles
    data: dict[str, str]  # SHA-256 of the training data, by name
    device: Device  # to train on
    resume: bool  # whether to resume from the state in the folder
    draw: Draw  # draws the curves into a folder

    @property
    def model(self) -> Path:
        """The folder of the exported model."""
        return self.folder / MODEL

    def begun(self, recipe: AnyRecipe, more_data: dict[str, str] | None = None) -> TrainingJob:
        """Creates the run folder unless resuming, see ``start_run``; returns the updated job.

        ``more_data`` is the SHA-256 of further training data, by name.
        """
        job = replace(self, data=self.data | (more_data or {}))
        if not job.resume:
            start_run(job.folder, job.name, recipe, job.data, job.device.reason)
        return job

    def fit(self, task: Task[Any, N, Any]) -> Trained[N]:
        """Trains in the run folder and draws the curves."""
        trained = fit(task, self.folder, resume=self.resume)
        self.draw(trained, self.folder)
        return trained

    def card(self, recipe: AnyRecipe, results: dict[str, Any]) -> Card:
        """Returns the model's card, whose hashes the export fills in."""
        return Card(
            name=run_name(self.folder),  # a resumed run keeps its original name
            version=__version__,
            sha256="",
            recipe=recipe.as_dict(),
            data=self.data,
            results=results,
        )


@dataclass(frozen=True)
class Outcome:
    """The results of a training."""

    results: dict[str, Any]  # JSON-ready
    summary: str  # one line for the user


def train_run(recipe: AnyRecipe, job: TrainingJob, followers: TrainingHooks) -> Outcome:
    """Trains the network of a recipe, draws the curves and exports the model.

    ``followers`` are called during the training of a classifier.
    """
    with lock_run(job.folder):
        if isinstance(recipe, DetectorRecipe):
            results, summary = _train_detector(recipe, job)
        elif isinstance(recipe, LineRecipe):
            results, summary = _train_lines(recipe, job)
        elif isinstance(recipe, AutoencoderRecipe):
            results, summary = _train_autoencoder(recipe, job)
        else:
            results, summary = _train_classifier(recipe, job, followers)
    seconds = f"{results['training_seconds']:,.1f} s of training"
    return Outcome({"run": str(job.folder), **results}, f"{job.folder}: {summary}, {seconds}")


def page_data() -> dict[str, str]:
    """Returns the SHA-256 of the sources of pages: MNIST and the table of font hashes."""
    return {**data_hashes(), FONT_TABLE.name: files.sha256(FONT_TABLE.read_bytes())}


def _train_classifier(
    recipe: Recipe, job: TrainingJob, followers: TrainingHooks
) -> tuple[dict[str, Any], str]:
    more_data = {}
    if recipe.teacher:
        more_data[f"teacher: {recipe.teacher}"] = load_bundle(recipe.teacher).card.sha256
    job = job.begun(recipe, more_data | (page_data() if recipe.negatives else {}))
    followers.begin(recipe, job.folder, job.splits)
    trained = train_classifier(
        recipe,
        *job.splits,
        job.folder,
        resume=job.resume,
        device=job.device,
        on_step=followers.on_step,
        on_epoch=followers.on_epoch,
    )
    job.draw(trained, job.folder)
    followers.end(trained)
    # Without validation tiles, the export compares graph and network on training tiles.
    checked_tiles = job.splits[1] if len(job.splits[1]) else job.splits[0]
    epochs = len(trained.history)
    results = {
        "epochs": epochs,
        "best_epoch": trained.best_epoch,
        **{f"validation_{key.removeprefix('val_')}": v for key, v in trained.scores.items()},
        "training_seconds": round(trained.seconds, 2),
    }
    export_classifier(trained.network, job.card(recipe, results), checked_tiles, job.model)
    if "validation_loss" not in results:
        return results, f"trained on all tiles, {epochs} epochs"
    return results, (
        f"validation accuracy {results['validation_accuracy']:.2%}, loss "
        f"{results['validation_loss']:.4f}, best epoch of {epochs}: {trained.best_epoch}"
    )


def _train_detector(recipe: DetectorRecipe, job: TrainingJob) -> tuple[dict[str, Any], str]:
    """Does not calibrate the confidence, see ``training.calibrate``."""
    note("fonts: downloading those missing from the cache with npm")
    training, validation = job.splits
    maker = PageMaker(training, load_fonts("training"), recipe.seed)
    makers = maker, PageMaker(validation, load_fonts("validation"), VALIDATION_SEED)
    job = job.begun(recipe, page_data())
    note(f"pages: drawing {recipe.validation_pages:,} for validation, then training the detector")
    trained = job.fit(DetectorTask(recipe, *makers, job.device))
    results = _last_results(trained, "found", "right", "false_finds")
    pixels = makers[1].page(0).pixels
    export_detector(trained.network, job.card(recipe, results), pixels, job.model)
    return results, (
        f"on validation pages found {results['found']:.2%} of the digits, {results['right']:.2%} "
        f"of them classified correctly, {results['false_finds']:.2f} false positives per page, "
        f"loss {results['validation_loss']:.4f}, {results['steps']:,} steps"
    )


def _train_lines(recipe: LineRecipe, job: TrainingJob) -> tuple[dict[str, Any], str]:
    """Writes a line reader: the shipped line detector with the trained recogniser."""
    makers = line_makers(recipe, *job.splits)
    job = job.begun(recipe, page_data())
    note(f"lines: drawing {recipe.validation_lines:,} for validation, then training the recogniser")
    trained = job.fit(LineTask(recipe, makers[0].line, makers[1].line, job.device))
    results = _last_results(trained, "exact", "errors", "numeric_exact", "numeric_errors")
    graph = line_graph_of(trained.network, recipe, makers[1], job.folder)
    shipped = load_line_bundle(SHIPPED_LINES)  # its spotter was fitted on the same kinds of lines
    card = LineCard(
        name=run_name(job.folder),
        version=__version__,
        detector_sha256=shipped.card.detector_sha256,
        recognizer_sha256=files.sha256(graph),
        spotter_sha256=shipped.card.spotter_sha256,
        recipe=recipe.as_dict(),
        sources=shipped.card.sources,
        results={"validation": results},
    )
    write_line_bundle(job.model, replace(shipped, card=card, recognizer=graph))
    note(f"to calibrate it, run  python -m digitlens.training.calibrate --lines {job.model}")
    return results, (
        f"read {results['exact']:.2%} of validation lines correctly, {results['errors']:.2%} of "
        f"characters wrong, loss {results['validation_loss']:.4f}, {results['steps']:,} steps"
    )


def _train_autoencoder(recipe: AutoencoderRecipe, job: TrainingJob) -> tuple[dict[str, Any], str]:
    job = job.begun(recipe)
    trained = job.fit(AutoencoderTask(recipe, *job.splits, job.device))
    tiles, last_row = job.splits[1].tiles, _last_results(trained)
    results = {
        "epochs": recipe.epochs,
        "validation_loss": last_row["validation_loss"],
        "validation_error": trained.scores["val_error"],
        "training_seconds": last_row["training_seconds"],
    }
    quantiles = {QUANTILES: error_quantiles(trained.network, tiles)}
    card = job.card(recipe, results | quantiles)
    export_autoencoder(trained.network, card, tiles[:CHECKED_TILES], job.model)
    return results, (
        f"squared error on validation tiles: {results['validation_error']:.4f} per pixel, loss "
        f"{results['validation_loss']:.4f}, {results['epochs']} epochs"
    )


def _last_results(trained: Trained[Any], *names: str) -> dict[str, Any]:
    row = trained.history[-1]
    return {
        "steps": row["step"],
        **{name: row[name] for name in names},
        "validation_loss": row["val_loss"],
        "training_seconds": round(trained.seconds, 2),
    }
