"""The one look of all plots: colours, type and how a figure is made and saved, without pyplot."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from digitlens.files import atomic_path

# Three of the colour-blind safe hues of Okabe and Ito that differ in lightness too, so that they
# stay apart in a grey print.
BLUE, ORANGE, GREEN = "#0072B2", "#E69F00", "#009E73"
RED = "#C1440E"  # mistakes, always
INK, SOFT, FAINT = "#222222", "#666666", "#E2E2E2"
PALE = "#F5F5F5"

DPI = 200
SUFFIXES = (".png", ".svg")

_LOOK: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlepad": 28,  # leaves a line for the note
    "axes.titlesize": 15,
    "axes.titleweight": "bold",
    "axes.labelsize": 12,
    "font.family": "DejaVu Sans",  # ships with matplotlib, so that pictures agree on all machines
    "grid.color": FAINT,
    "legend.frameon": False,
    "legend.fontsize": 11,
    "svg.hashsalt": "digitlens",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
}


@contextmanager
def canvas(path: Path, width: float, height: float) -> Generator[Figure]:
    """Gives an empty figure and saves it, whole or not at all, when the block succeeds.

    Args:
        path: The ``.png`` or ``.svg`` file to write.
        width: In inches; 7 fill a page.
        height: In inches.

    Raises:
        ValueError: Another suffix.
    """
    if path.suffix not in SUFFIXES:
        raise ValueError(f"expected a file ending in .png or .svg, found {path.name}")
    with mpl.rc_context(_LOOK):
        figure = Figure(figsize=(width, height), facecolor="white")
        figure.set_layout_engine("constrained", w_pad=0.14, h_pad=0.14)
        FigureCanvasAgg(figure)
        yield figure
        # Without the date, the same figure is the same file.
        metadata = {"Date": None} if path.suffix == ".svg" else {"Software": None}
        with atomic_path(path) as temporary:
            figure.savefig(temporary, dpi=DPI, metadata=metadata)


def headline(axes: Axes, title: str, note: str) -> None:
    """A title that says what was found, and under it a quiet line that says how to read it."""
    axes.set_title(title)
    axes.annotate(
        note,
        (0, 1),
        (0, 8),
        xycoords="axes fraction",
        textcoords="offset points",
        color=SOFT,
        fontsize=11,
        va="bottom",
    )


def percent(share: float, decimals: int = 1) -> str:
    """A share as text, for example ``98.2 %``."""
    return f"{share:.{decimals}%}".replace("%", " %")
