"""The part of ``digitlens train`` that is for autoencoders: trains, draws, exports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from digitlens.cli.job import Job, Result
    from digitlens.training.autoencoder_recipe import AutoencoderRecipe
    from digitlens.training.nets.autoencoder_network import Autoencoder
    from digitlens.training.steps import Learned


def train_digit_autoencoder(recipe: AutoencoderRecipe, job: Job) -> Result:
    """Trains, draws the curves, exports, and tells the result.

    Args:
        recipe: What to train.
        job: From what and where to.
    """
    from digitlens.cli.curves import draw_run
    from digitlens.models.reconstructor import QUANTILES
    from digitlens.training.autoencoder_export import error_quantiles, export_autoencoder
    from digitlens.training.autoencoder_train import train_autoencoder
    from digitlens.training.export import CHECKED_TILES

    job = job.begun(recipe)
    trained = train_autoencoder(
        recipe, *job.splits, job.folder, resume=job.resume, device=job.device
    )
    draw_run(trained.history, job.folder)
    tiles, measured = job.splits[1].tiles, _measured(trained, recipe)
    usual = {QUANTILES: error_quantiles(trained.network, tiles)}
    card = job.card(recipe, measured | usual)
    export_autoencoder(trained.network, card, tiles[:CHECKED_TILES], job.model)
    result = {"run": str(job.folder), **measured}
    return result, _summary(result)


def _summary(result: dict[str, Any]) -> str:
    return (
        f"{result['run']}: on validation tiles a squared error of "
        f"{result['validation_error']:.4f} a pixel, loss {result['validation_loss']:.4f}, "
        f"{result['epochs']} epochs, {result['training_seconds']:.1f} s of training"
    )


def _measured(trained: Learned[Autoencoder], recipe: AutoencoderRecipe) -> dict[str, Any]:
    """What was measured after the last epoch."""
    row = trained.history[-1]
    return {
        "epochs": recipe.epochs,
        "validation_loss": row["val_loss"],
        "validation_error": row["val_error"],
        "training_seconds": round(trained.seconds, 2),
    }
