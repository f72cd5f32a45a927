"""The picture of how a training went, where the packages that draw it are installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from digitlens.errors import MissingExtraError, needs_extra
from digitlens.progress import note


def draw_run(history: Sequence[Mapping[str, float]], folder: Path) -> None:
    """Draws ``curves.png`` into a run folder, or says which extra it needs.

    Args:
        history: One row for each epoch or, of a page reader or an autoencoder, for each validation.
        folder: The run folder.
    """
    from digitlens.training.run import CURVES

    try:
        with needs_extra("plots"):
            from digitlens.visualization.curves import draw_curves, draw_page_curves
            from digitlens.visualization.reconstructions import draw_learning
    except MissingExtraError as error:
        note(f"no {CURVES}: {error}")
        return
    draw = draw_curves if "epoch" in history[0] else draw_page_curves
    if "val_error" in history[0]:
        draw = draw_learning
    draw(history, folder / CURVES)
