"""The picture of how a training went, where the packages that draw it are installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from digitlens.errors import MissingExtraError, needs_extra
from digitlens.progress import note


def draw_run(history: Sequence[Mapping[str, float]], folder: Path) -> None:
    """Draws ``curves.png`` into a run folder, or says which extra it needs.

    Args:
        history: One row for each epoch or, of a digit detector or an autoencoder, for each
            validation.
        folder: The run folder.
    """
    from digitlens.training.run import CURVES

    try:
        with needs_extra("plots"):
            draw_history(history, folder / CURVES)
    except MissingExtraError as error:
        note(f"no {CURVES}: {error}")


def draw_history(history: Sequence[Mapping[str, float]], path: Path) -> None:
    """Draws the curves of whatever was trained.

    Args:
        history: As for ``draw_run``; by what its rows say, classifiers, digit detectors and
            autoencoders are told apart.
        path: The ``.png`` or ``.svg`` file to write.
    """
    from digitlens.visualization.curves import draw_curves, draw_page_curves
    from digitlens.visualization.reconstructions import draw_learning

    if "val_error" in history[0]:
        draw_learning(history, path)
    elif "epoch" in history[0]:
        draw_curves(history, path)
    else:
        draw_page_curves(history, path)
