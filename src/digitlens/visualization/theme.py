"""The common style of all plots: colours, type, axes, tile grids; and saving of figures."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from itertools import cycle, product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator, PercentFormatter

from digitlens.evaluation.metrics import Bin, Floats, wilson_interval
from digitlens.files import atomic_path


@dataclass(frozen=True)
class Theme:
    """The colours of a figure: background, text, rules, and four hues.

    The hues are close to those of M. Okabe and K. Ito ("Color universal design", 2008), but each
    has a contrast of at least 3:1 with the background, and ink and soft one of 4.5:1 (W3C, "Web
    content accessibility guidelines" 2.2, 1.4.3 and 1.4.11). Without red or green cones, any two
    are still 20 apart in CIELAB, where 2 is just noticeable; ``tests/visualization/test_theme.py``
    checks this.
    """

    ground: str  # background
    ink: str  # text and emphasis
    soft: str  # notes and axes
    faint: str  # rules
    pale: str  # empty areas
    blue: str  # the first series
    orange: str  # the second
    green: str  # the third
    red: str  # errors, always
    mistakes: tuple[str, str]  # the ends of the scale from few to many errors

    @property
    def tiles(self) -> LinearSegmentedColormap:
        """Colour map of tiles, whose ink is bright: dark on a light ground, bright on a dark one.

        It starts at the background colour, so that a tile has no visible edge.
        """
        full_ink = "#000000" if luminance(self.ground) > 0.5 else "#FFFFFF"
        return LinearSegmentedColormap.from_list("tiles", [self.ground, full_ink])

    @property
    def heat(self) -> LinearSegmentedColormap:
        """Colour map of error counts, from few, near the background, through red to many."""
        few, many = self.mistakes
        return LinearSegmentedColormap.from_list("mistakes", [few, self.red, many])


def luminance(colour: Any) -> float:
    """Relative luminance of a colour, 0 to 1 (W3C, "Web content accessibility guidelines" 2.2)."""
    channels = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return 0.2126 * channels[0] + 0.7152 * channels[1] + 0.0722 * channels[2]


def contrast(one: Any, other: Any) -> float:
    """Contrast ratio of two colours, 1 to 21 (same source)."""
    dark, bright = sorted((luminance(one), luminance(other)))
    return (bright + 0.05) / (dark + 0.05)


LIGHT = Theme(
    ground="#FFFFFF",
    ink="#222222",
    soft="#666666",
    faint="#E2E2E2",
    pale="#F5F5F5",
    blue="#0072B2",
    orange="#CC8400",
    green="#009E73",
    red="#AE2012",
    mistakes=("#FBE3D6", "#4A0A05"),
)
DARK = Theme(
    ground="#15181D",
    ink="#ECECEC",
    soft="#A2A8B1",
    faint="#353A43",
    pale="#1F232A",
    blue="#5AA9F0",
    orange="#F0B73C",
    green="#37C7A0",
    red="#F25C54",
    mistakes=("#47282A", "#FFE3DF"),
)
THEMES = {"light": LIGHT, "dark": DARK}
MAX_SERIES = 6

DPI = 200
SUFFIXES = (".png", ".svg")

_STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlepad": 28,  # leaves room for the note
    "axes.titlesize": 15,
    "axes.titleweight": "bold",
    "axes.labelsize": 12,
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same on all machines
    "legend.frameon": False,
    "legend.fontsize": 11,
    "svg.hashsalt": "digitlens",
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
}

_theme: ContextVar[Theme] = ContextVar("theme", default=LIGHT)


def theme() -> Theme:
    """The current colours; looked up whenever a figure is drawn, since they may change."""
    return _theme.get()


@contextmanager
def themed(name: str) -> Generator[Theme]:
    """Draws figures inside the block in the colours of a theme, ``light`` or ``dark``."""
    if name not in THEMES:
        raise ValueError(f"expected one of the themes {', '.join(THEMES)}, found {name!r}")
    token = _theme.set(THEMES[name])
    try:
        yield THEMES[name]
    finally:
        _theme.reset(token)


def _style() -> dict[Any, Any]:
    colours = theme()
    text_keys = ("axes.labelcolor", "text.color", "xtick.color", "ytick.color")
    return _STYLE | {
        **dict.fromkeys(text_keys, colours.ink),
        "axes.edgecolor": colours.soft,
        "axes.facecolor": colours.ground,
        "axes.prop_cycle": cycler(color=[colours.blue, colours.orange, colours.green]),
        "grid.color": colours.faint,
    }


@contextmanager
def canvas(path: Path, width: float, height: float) -> Generator[Figure]:
    """Yields an empty figure, sized in inches, and saves it atomically after the block.

    Raises ValueError unless the file ends in ``.png`` or ``.svg``.
    """
    if path.suffix not in SUFFIXES:
        raise ValueError(f"expected a file ending in .png or .svg, found {path.name}")
    with mpl.rc_context(_style()):
        figure = Figure(figsize=(width, height), facecolor=theme().ground)
        figure.set_layout_engine("constrained", w_pad=0.14, h_pad=0.14)
        FigureCanvasAgg(figure)
        yield figure
        # Without the date, equal figures give identical files.
        metadata = {"Date": None} if path.suffix == ".svg" else {"Software": None}
        with atomic_path(path) as temporary:
            figure.savefig(temporary, dpi=DPI, metadata=metadata)


@contextmanager
def plot(path: Path, width: float, height: float, **options: Any) -> Generator[Axes]:
    """Yields the only axes of a figure, created with the given options; see ``canvas``."""
    with canvas(path, width, height) as figure:
        yield figure.add_subplot(**options)


def draw_files(folder: Path, draws: Mapping[str, Callable[[Path], object]]) -> list[Path]:
    """Draws figures to PNG files in a folder, by name; returns the files."""
    paths = [folder / f"{name}.png" for name in draws]
    for path, draw in zip(paths, draws.values(), strict=True):
        draw(path)
    return paths


_hints: ContextVar[dict[str, Sequence[str]] | None] = ContextVar("hints", default=None)


def add_hints(axes: Axes, x: npt.ArrayLike, y: npt.ArrayLike, texts: Sequence[str]) -> None:
    """Adds a tooltip to each point of a figure in a page; does nothing for a figure in a file."""
    hints = _hints.get()
    if hints is not None:
        name = f"hints-{len(hints)}"
        hints[name] = texts
        axes.scatter(x, y, 200, alpha=0, zorder=9, gid=name)


def svg_element(draw: Callable[[Path], object], name: str, title: str) -> str:
    """A figure as an inline SVG element in the colours of its page.

    Colours of ``LIGHT`` become the variables of ``css_variables``; styles become attributes, which
    a strict policy allows; points of ``add_hints`` get titles. ``name``, unique in the page,
    prefixes all ids; ``title`` is for screen readers.
    """
    hints: dict[str, Sequence[str]] = {}
    token = _hints.set(hints)
    try:
        with TemporaryDirectory() as folder, themed("light"):
            path = Path(folder) / "figure.svg"
            draw(path)
            root = ElementTree.parse(path).getroot()
    finally:
        _hints.reset(token)
    for group in root.iter():
        points = (each for each in group.iter() if each.tag.endswith("}use"))
        for point, text in zip(points, hints.get(group.get("id", ""), ()), strict=False):
            point.set("class", "hit")
            ElementTree.SubElement(point, "title").text = text
    for parent in list(root.iter()):
        for child in [each for each in parent if each.tag.endswith(("}metadata", "}style"))]:
            parent.remove(child)
        _make_inline(parent, f"{name}-")
    root.attrib = {"viewBox": root.get("viewBox", ""), "class": "plot", "role": "img"}
    root.set("aria-label", title)
    text = ElementTree.tostring(root, encoding="unicode")
    for variable, colour in _named_colours(LIGHT).items():
        text = text.replace(f'"{colour.lower()}"', f'"var(--{variable})"')
    return text


def _make_inline(element: ElementTree.Element, prefix: str) -> None:
    """Strips namespaces, turns styles into attributes and prefixes the ids of an element."""
    element.tag = element.tag.rpartition("}")[2]
    attributes = {key.rpartition("}")[2]: text for key, text in element.attrib.items()}
    style = [rule.partition(":") for rule in attributes.pop("style", "").split(";") if rule]
    attributes |= {key.strip(): text.strip() for key, _, text in style}
    for key, text in attributes.items():
        if key == "id":
            attributes[key] = prefix + text
        elif key == "href":
            attributes[key] = f"#{prefix}{text[1:]}"
        else:
            attributes[key] = text.replace("url(#", f"url(#{prefix}")
    element.attrib = attributes


def css_variables() -> str:
    """CSS variables with the colours of figures, for light screens and print, and dark screens."""
    light, dark = (
        " ".join(f"--{name}: {colour};" for name, colour in _named_colours(each).items())
        for each in (LIGHT, DARK)
    )
    return (
        f":root {{ {light} }}\n"
        f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"
    )


def _named_colours(theme: Theme) -> dict[str, str]:
    return {name: colour for name, colour in asdict(theme).items() if isinstance(colour, str)}


def headline(axes: Axes, title: str, note: str) -> None:
    """Adds a title that states the result, and below it a note on how to read the figure."""
    axes.set_title(title)
    write_note(axes, note, 8, fontsize=11, va="bottom")


def write_note(axes: Axes, note: str, offset: float, **look: Any) -> None:
    """Adds a muted line of text at the left, ``offset`` points over the axes."""
    axes.annotate(
        note,
        (0, 1),
        (0, offset),
        xycoords="axes fraction",
        textcoords="offset points",
        color=theme().soft,
        **look,
    )


def percent(share: float, decimals: int = 1) -> str:
    """A fraction as text, for example ``98.2 %``."""
    return f"{share:.{decimals}%}".replace("%", " %")


def line_styles() -> Iterator[tuple[str, str]]:
    """Cycles through line styles and colours; the first six are easy to distinguish."""
    colours = theme()
    return cycle(product(("-", "--", ":"), (colours.blue, colours.orange, colours.green)))


def share_tick(value: float) -> str:
    """A fraction as the label of a tick, for example ``99.9 %``."""
    return f"{100 * value:.6g} %"


Colour = tuple[float, float, float]


def diverging() -> LinearSegmentedColormap:
    """Colour map around 0: blue above, red below, background at 0, darker away from it."""
    colours = theme()
    dark_red, dark_blue = (blend(hue, colours.ink, 0.5) for hue in (colours.red, colours.blue))
    ends = [dark_red, colours.red, colours.ground, colours.blue, dark_blue]
    return LinearSegmentedColormap.from_list("diverging", ends)


def rising(hue: str) -> LinearSegmentedColormap:
    """Colour map from pale through a hue towards ink; pale keeps empty areas visible."""
    colours = theme()
    dark = blend(hue, colours.ink, 0.75)
    return LinearSegmentedColormap.from_list("rising", [colours.pale, hue, dark])


def blend(one: str, other: str, share: float) -> Colour:
    """Interpolates two colours, from the first at share 0 to the second at 1."""
    ends = zip(to_rgb(one), to_rgb(other), strict=True)
    red, green, blue = (a + (b - a) * share for a, b in ends)
    return red, green, blue


Tile = npt.NDArray[np.uint8]
FRAME = 60  # level of a tile's frame, of 255: blank tiles would vanish on the background
_CAPTION_TOP, _CAPTION_STEP = 31, 7  # pixels from a cell's top to its first caption, and the next


class Caption(NamedTuple):
    """A line of text under a tile."""

    text: str
    colour: str
    weight: str = "normal"
    size: float = 10


class TileCell(NamedTuple):
    """A tile on a grid, with its captions."""

    tile: Tile
    captions: Sequence[Caption] = ()


def draw_tile_grid(
    axes: Axes,
    cells: Mapping[tuple[int, int], TileCell],
    grid: tuple[int, int],
    size: tuple[int, int],
    *,
    row_names: Sequence[str] = (),
    framed: bool = False,
) -> None:
    """Draws tiles, by row and column, on one mosaic at their original resolution.

    ``grid`` is the number of rows and columns, ``size`` the width and height of a cell in pixels.
    Rows may have names on their left; ``framed`` keeps blank tiles visible.
    """
    (rows, columns), (width, height) = grid, size
    mosaic = np.zeros((rows * height, columns * width), np.uint8)
    dy, dx = (1, 1) if framed else (2, (width - 28) // 2)
    for (row, column), cell in cells.items():
        top, left = row * height + dy, column * width + dx
        if framed:
            mosaic[top - 1 : top + 29, left - 1 : left + 29] = FRAME
        mosaic[top : top + 28, left : left + 28] = cell.tile
        for index, line in enumerate(cell.captions):
            axes.text(
                left + 14,
                row * height + _CAPTION_TOP + _CAPTION_STEP * index,
                line.text,
                ha="center",
                va="top",
                color=line.colour,
                weight=line.weight,
                fontsize=line.size,
            )
    for row, name in enumerate(row_names):
        middle = row * height + dy + 14
        axes.text(-3, middle, name, ha="right", va="center", color=theme().soft, fontsize=11)
    axes.imshow(mosaic, theme().tiles, vmin=0, vmax=255, interpolation="nearest")
    axes.set_axis_off()


def rounded_share(share: float) -> str:
    """A probability as text, never rounded to 100 % or 0 %."""
    if share > 0.9995:
        return "> 99.9 %"
    return percent(share) if share >= 0.0005 else "< 0.1 %"


def show_shares(*axes: Axis) -> None:
    """Formats ticks from 0 to 1 as whole percent."""
    for axis in axes:
        axis.set_major_formatter(PercentFormatter(1, symbol=" %"))


def show_logarithms(
    *axes: Axis, write: Callable[[float], str], steps: tuple[int, ...] = (1, 2, 5)
) -> None:
    """Sets a few labelled ticks on logarithmic axes, without minor ticks."""
    for axis in axes:
        axis.set_major_locator(LogLocator(subs=steps, numticks=12))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(tick_formatter(write))


def tick_formatter(write: Callable[[float], str]) -> FuncFormatter:
    """A tick formatter from a function of the value."""

    def text(value: float, _: int) -> str:
        return write(value)

    return FuncFormatter(text)


def round_ticks(most: int = 6, *, whole: bool = False) -> MaxNLocator:
    """A locator of ticks at round numbers."""
    return MaxNLocator(most, steps=[1, 2, 5, 10], integer=whole, min_n_ticks=1 if whole else 2)


def draw_bins(axes: Axes, bins: Sequence[Bin], ends: tuple[float, float], **look: Any) -> None:
    """Plots accuracy against confidence for non-empty bins, with 95 % intervals.

    Values beyond ``ends`` are drawn at the ends. ``look`` is passed to ``Axes.errorbar``.
    """
    intervals = [wilson_interval(round(row.accuracy * row.count), row.count) for row in bins]
    accuracy = np.clip([row.accuracy for row in bins], *ends)
    confidence, spread = np.clip([row.confidence for row in bins], *ends), np.clip(intervals, *ends)
    axes.errorbar(confidence, accuracy, interval_bars(accuracy, spread), capsize=3, **look)


def interval_bars(values: npt.ArrayLike, intervals: npt.ArrayLike) -> Floats:
    """float64[2, N]; distances of interval ends from their values, as ``errorbar`` expects."""
    low, high = np.array(intervals, np.float64).T
    return np.clip([np.asarray(values) - low, high - np.asarray(values)], 0, None)
