"""The part of ``digitlens train`` that is for autoencoders: trains, draws, exports."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from digitlens.data.mnist import Split
    from digitlens.model.autoencoder import Autoencoder
    from digitlens.training.autoencoder_recipe import AutoencoderRecipe
    from digitlens.training.device import Device
    from digitlens.training.steps import Learned


def train_digit_autoencoder(
    recipe: AutoencoderRecipe,
    splits: tuple[Split, Split],
    data: dict[str, str],
    folder: Path,
    device: Device,
    *,
    resume: bool,
) -> dict[str, Any]:
    """Trains, draws the curves, exports, and returns the result.

    Args:
        recipe: What to train.
        splits: Tiles to train and to validate with.
        data: Hashes of where they come from, by name.
        folder: The run folder.
        device: Where to train.
        resume: Go on from the state in the folder.
    """
    from digitlens.commands.curves import draw_run
    from digitlens.training.autoencoder_train import train_autoencoder

    trained = train_autoencoder(recipe, *splits, folder, resume=resume, device=device)
    draw_run(trained.history, folder)
    _export(trained, recipe, data, folder, splits[1])
    return {"run": str(folder), **_result(trained, recipe)}


def autoencoder_summary(result: dict[str, Any]) -> str:
    """The result as one line."""
    return (
        f"{result['run']}: on validation tiles a squared error of "
        f"{result['validation_error']:.4f} a pixel, loss {result['validation_loss']:.4f}, "
        f"{result['epochs']} epochs, {result['training_seconds']:.1f} s of training"
    )


def _export(
    trained: Learned[Autoencoder],
    recipe: AutoencoderRecipe,
    data: dict[str, str],
    folder: Path,
    validation: Split,
) -> None:
    from digitlens import __version__
    from digitlens.model.bundle import Card
    from digitlens.model.reconstructor import QUANTILES
    from digitlens.training.autoencoder_export import error_quantiles, export_autoencoder
    from digitlens.training.export import CHECKED_TILES
    from digitlens.training.run import MODEL, run_name

    usual = {QUANTILES: error_quantiles(trained.network, validation.tiles)}
    card = Card(
        name=run_name(folder),
        version=__version__,
        sha256="",
        recipe=recipe.as_dict(),
        data=data,
        results={**_result(trained, recipe), **usual},
    )
    compared = validation.tiles[:CHECKED_TILES]
    export_autoencoder(trained.network, card, compared, folder / MODEL)


def _result(trained: Learned[Autoencoder], recipe: AutoencoderRecipe) -> dict[str, Any]:
    """What was measured after the last epoch."""
    row = trained.history[-1]
    return {
        "epochs": recipe.epochs,
        "validation_loss": row["val_loss"],
        "validation_error": row["val_error"],
        "training_seconds": round(trained.seconds, 2),
    }
