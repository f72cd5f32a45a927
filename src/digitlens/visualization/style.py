"""The one look of all plots: colours, type and how a figure is made and saved, without pyplot."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from digitlens.files import atomic_path


@dataclass(frozen=True)
class Theme:
    """The colours of a figure: its ground, what is written and ruled on it, and four hues.

    The hues are those of Okabe and Ito ("Color universal design", 2008) or near them: told apart
    without red and green, and different in lightness too, so that a grey print keeps them apart.

    Attributes:
        ground: Behind everything.
        ink: Text and what counts.
        soft: Notes and axes.
        faint: Rules.
        pale: Areas that hold nothing.
        blue: The first series.
        orange: The second.
        green: The third.
        red: Mistakes, always.
        tiles: Colour map of tiles, whose ink is bright: ink as on paper, or as on a blackboard.
    """

    ground: str
    ink: str
    soft: str
    faint: str
    pale: str
    blue: str
    orange: str
    green: str
    red: str
    tiles: str


LIGHT = Theme(
    *("#FFFFFF", "#222222", "#666666", "#E2E2E2", "#F5F5F5"),
    *("#0072B2", "#E69F00", "#009E73", "#C1440E"),
    "gray_r",
)
DARK = Theme(
    *("#15181D", "#ECECEC", "#A2A8B1", "#353A43", "#1F232A"),
    *("#56B4E9", "#F0B73C", "#37C7A0", "#FF7F50"),
    "gray",
)
THEMES = {"light": LIGHT, "dark": DARK}

BLUE, ORANGE, GREEN, RED = LIGHT.blue, LIGHT.orange, LIGHT.green, LIGHT.red
INK, SOFT, FAINT, PALE = LIGHT.ink, LIGHT.soft, LIGHT.faint, LIGHT.pale

DPI = 200
SUFFIXES = (".png", ".svg")

_LOOK: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlepad": 28,  # leaves a line for the note
    "axes.titlesize": 15,
    "axes.titleweight": "bold",
    "axes.labelsize": 12,
    "font.family": "DejaVu Sans",  # ships with matplotlib, so that pictures agree on all machines
    "legend.frameon": False,
    "legend.fontsize": 11,
    "svg.hashsalt": "digitlens",
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
}

_theme: ContextVar[Theme] = ContextVar("theme", default=LIGHT)


def theme() -> Theme:
    """The colours in use; asked for when a figure is drawn, since they may change."""
    return _theme.get()


@contextmanager
def themed(name: str) -> Generator[Theme]:
    """Figures drawn in the block have the colours of a theme, ``light`` or ``dark``.

    Raises:
        ValueError: There is no such theme.
    """
    if name not in THEMES:
        raise ValueError(f"expected a theme of {', '.join(THEMES)}, found {name!r}")
    before = _theme.set(THEMES[name])
    try:
        yield THEMES[name]
    finally:
        _theme.reset(before)


def _look() -> dict[Any, Any]:
    colours = theme()
    inked = ("axes.labelcolor", "text.color", "xtick.color", "ytick.color")
    return _LOOK | {
        **dict.fromkeys(inked, colours.ink),
        "axes.edgecolor": colours.soft,
        "axes.facecolor": colours.ground,
        "grid.color": colours.faint,
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
    with mpl.rc_context(_look()):
        figure = Figure(figsize=(width, height), facecolor=theme().ground)
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
        color=theme().soft,
        fontsize=11,
        va="bottom",
    )


def percent(share: float, decimals: int = 1) -> str:
    """A share as text, for example ``98.2 %``."""
    return f"{share:.{decimals}%}".replace("%", " %")
