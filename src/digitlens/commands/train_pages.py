"""The part of ``digitlens train`` that is for page readers: draws pages, trains, exports."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from digitlens.errors import needs_extra
from digitlens.progress import note

if TYPE_CHECKING:
    from digitlens.commands.job import Job, Result
    from digitlens.data.mnist import Split
    from digitlens.data.pages.pages import PageMaker
    from digitlens.training.device import Device
    from digitlens.training.page_recipe import PageRecipe
    from digitlens.training.steps import Learned

CROPS = "crops"  # folder of the second training in that of the run
VALIDATION_SEED = 1  # of the validation pages: the same for all recipes, so that losses compare


def page_makers(
    recipe: PageRecipe, training: Split, validation: Split
) -> tuple[PageMaker, PageMaker]:
    """What draws the pages to train and to validate with; fetches the fonts if need be."""
    with needs_extra("train"):
        from digitlens.data.pages.pages import PageMaker, load_fonts

    note("fonts: fetched once with npm where the cache lacks them")
    return (
        PageMaker(training, load_fonts("training"), recipe.seed),
        PageMaker(validation, load_fonts("validation"), VALIDATION_SEED),
    )


def page_data() -> dict[str, str]:
    """SHA-256 of what pages are drawn from: MNIST, and the table that has the hash of each font."""
    from digitlens import files
    from digitlens.data.manifest import data_hashes
    from digitlens.data.pages.fonts import TABLE

    return {**data_hashes(), TABLE.name: files.sha256(TABLE.read_bytes())}


def train_page_reader(recipe: PageRecipe, job: Job) -> Result:
    """Trains both networks, draws the curves, exports, calibrates, and tells the result.

    Args:
        recipe: What to train.
        job: From what and where to.
    """
    from digitlens.commands.curves import draw_run
    from digitlens.commands.page_calibration import calibrate_pages
    from digitlens.training.page_export import export_pages
    from digitlens.training.page_train import train_pages

    makers = page_makers(recipe, *job.splits)
    job = job.begun(recipe, page_data())
    note(f"pages: drawing {recipe.validation_pages:,} to validate, then training to find digits")
    trained = train_pages(recipe, *makers, job.folder, resume=job.resume, device=job.device)
    draw_run(trained.history, job.folder)
    measured, pixels = _measured(trained), makers[1].page(0).pixels
    export_pages(trained.network, job.card(recipe, measured), pixels, job.model)
    named = _train_crops(recipe, makers, job.folder, job.device)
    note("calibrating on generated pages that nothing was trained or validated with")
    calibrated = calibrate_pages(job.model, makers[1])
    result = {"run": str(job.folder), **measured, "crops": named, "calibrated": calibrated}
    return result, _summary(result)


def _train_crops(
    recipe: PageRecipe, makers: tuple[PageMaker, PageMaker], folder: Path, device: Device
) -> dict[str, Any]:
    """Trains the crop network on what the exported page network finds, and adds it to the model."""
    import numpy as np

    from digitlens.commands.curves import draw_run
    from digitlens.data.windows import windows
    from digitlens.recognition.proposals import Proposals
    from digitlens.training.checkpoint import STATE
    from digitlens.training.crop_export import export_crops
    from digitlens.training.crop_train import train_crops
    from digitlens.training.run import MODEL

    note("crops: training to look at each of them once more")
    model, part = folder / MODEL, folder / CROPS
    find, begun = Proposals(model), (part / STATE).is_file()
    trained = train_crops(recipe, *makers, find, part, resume=begun, device=device)
    draw_run(trained.history, part)
    results = _measured(trained)
    page = makers[1].page(0).pixels
    whole = np.array([[0, 0, page.shape[1], page.shape[0]]], np.float32)
    boxes = np.concatenate([whole, find(page)[0]])
    export_crops(trained.network, results, windows(page, boxes), model)
    return results


def _summary(result: dict[str, Any]) -> str:
    return (
        f"{result['run']}: on validation pages found {result['found']:.2%} of the digits, read "
        f"{result['right']:.2%} of these right, {result['false_finds']:.2f} false finds a page, "
        f"loss {result['validation_loss']:.4f}, {result['steps']:,} steps, "
        f"{result['training_seconds']:,.0f} s of training; crops read "
        f"{result['crops']['right']:.2%} right, {result['crops']['training_seconds']:,.0f} s"
    )


def _measured(trained: Learned[Any]) -> dict[str, Any]:
    """What was measured at the last validation of either network."""
    row = trained.history[-1]
    shares = {name: row[name] for name in ("found", "right", "false_finds") if name in row}
    return {
        "steps": row["step"],
        **shares,
        "validation_loss": row["val_loss"],
        "training_seconds": round(trained.seconds, 2),
    }
