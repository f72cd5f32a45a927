"""The part of ``digitlens train`` that is for networks that name digits: trains, draws, exports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from digitlens.cli.curves import draw_run
from digitlens.cli.train_pages import page_data

if TYPE_CHECKING:
    from digitlens.cli.job import Job, Result
    from digitlens.cli.watch import Followers
    from digitlens.training.recipe import Recipe
    from digitlens.training.train import Trained


def train_digit_network(recipe: Recipe, job: Job, followers: Followers) -> Result:
    """Trains, draws the curves, exports, and tells the result.

    Args:
        recipe: What to train.
        job: From what and where to.
        followers: Who follows each step.
    """
    from digitlens.training.committee import train_all
    from digitlens.training.export import export

    job = job.begun(recipe, _beside_tiles(recipe))
    followers.begin(recipe, job.folder, job.splits)
    trained = train_all(
        recipe,
        *job.splits,
        job.folder,
        resume=job.resume,
        device=job.device,
        on_step=followers.on_step,
        on_epoch=followers.on_epoch,
    )
    followers.end(trained)
    draw_run(trained.history, job.folder)
    training, validation = job.splits
    # Without validation tiles graph and network are compared on others; the temperature is given.
    compared = validation if len(validation) else training
    measured = _measured(trained)
    export(trained.network, job.card(recipe, measured), compared, job.model)
    result = {"run": str(job.folder), **measured}
    return result, _summary(result)


def _beside_tiles(recipe: Recipe) -> dict[str, str]:
    """SHA-256 of what a recipe learns from beside tiles: a teacher, and fonts for no digits."""
    from digitlens.models.bundle import load_bundle

    found: dict[str, str] = {}
    if recipe.teacher:
        found[f"teacher: {recipe.teacher}"] = load_bundle(recipe.teacher).card.sha256
    return found | (page_data() if recipe.none else {})


def _measured(trained: Trained) -> dict[str, Any]:
    scores = {
        f"validation_{name.removeprefix('val_')}": value for name, value in trained.scores.items()
    }
    return {
        "epochs": len(trained.history),
        "best_epoch": trained.best_epoch,
        **scores,
        "training_seconds": round(trained.seconds, 2),
    }


def _summary(result: dict[str, Any]) -> str:
    found = f"{result['epochs']} epochs on all tiles"
    if "validation_loss" in result:
        found = (
            f"validation accuracy {result['validation_accuracy']:.2%}, loss "
            f"{result['validation_loss']:.4f}, best of {result['epochs']} epochs: "
            f"{result['best_epoch']}"
        )
    return f"{result['run']}: {found}, {result['training_seconds']:.1f} s of training"
