"""The part of ``digitlens train`` that is for digit detectors: draws pages, trains, exports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from digitlens.errors import needs_extra
from digitlens.progress import note

if TYPE_CHECKING:
    from digitlens.cli.job import Job, Result
    from digitlens.datasets.mnist import Split
    from digitlens.datasets.synthetic.pages import PageMaker
    from digitlens.training.nets.detector_network import DetectorNetwork
    from digitlens.training.recipe import DetectorRecipe
    from digitlens.training.steps import Learned

VALIDATION_SEED = 1  # of the validation pages: the same for all recipes, so that losses compare


def page_makers(
    recipe: DetectorRecipe, training: Split, validation: Split
) -> tuple[PageMaker, PageMaker]:
    """What draws the pages to train and to validate with; fetches the fonts if need be."""
    with needs_extra("train"):
        from digitlens.datasets.synthetic.pages import PageMaker, load_fonts

    note("fonts: fetched once with npm where the cache lacks them")
    return (
        PageMaker(training, load_fonts("training"), recipe.seed),
        PageMaker(validation, load_fonts("validation"), VALIDATION_SEED),
    )


def page_data() -> dict[str, str]:
    """SHA-256 of what pages are drawn from: MNIST, and the table that has the hash of each font."""
    from digitlens import files
    from digitlens.datasets.mnist_sources import data_hashes
    from digitlens.datasets.synthetic.fonts import TABLE

    return {**data_hashes(), TABLE.name: files.sha256(TABLE.read_bytes())}


def train_digit_detector(recipe: DetectorRecipe, job: Job) -> Result:
    """Trains the network, draws the curves, exports, and tells the result.

    Scores are not calibrated here: the fusion is, for all networks of a reader together, by
    ``digitlens.training.calibrate``.

    Args:
        recipe: What to train.
        job: From what and where to.
    """
    from digitlens.cli.curves import draw_run
    from digitlens.training.page_export import export_pages
    from digitlens.training.page_train import train_pages

    makers = page_makers(recipe, *job.splits)
    job = job.begun(recipe, page_data())
    note(f"pages: drawing {recipe.validation_pages:,} to validate, then training to find digits")
    trained = train_pages(recipe, *makers, job.folder, resume=job.resume, device=job.device)
    draw_run(trained.history, job.folder)
    measured, pixels = _measured(trained), makers[1].page(0).pixels
    export_pages(trained.network, job.card(recipe, measured), pixels, job.model)
    result = {"run": str(job.folder), **measured}
    return result, _summary(result)


def _summary(result: dict[str, Any]) -> str:
    return (
        f"{result['run']}: on validation pages found {result['found']:.2%} of the digits, read "
        f"{result['right']:.2%} of these right, {result['false_finds']:.2f} false finds a page, "
        f"loss {result['validation_loss']:.4f}, {result['steps']:,} steps, "
        f"{result['training_seconds']:,.0f} s of training"
    )


def _measured(trained: Learned[DetectorNetwork]) -> dict[str, Any]:
    """What was measured at the last validation."""
    row = trained.history[-1]
    return {
        "steps": row["step"],
        **{name: row[name] for name in ("found", "right", "false_finds")},
        "validation_loss": row["val_loss"],
        "training_seconds": round(trained.seconds, 2),
    }
