"""A record of speed as tables for people, and its ratios to peers as a picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from digitlens.visualization.theme import canvas, headline, theme
from speed_record import Figure

SPREAD = "± is the standard deviation of a mean's values, the interquartile range of a median's."
NOTE = "digitlens is 1; same machine, same run; logarithmic"
# What the README shows: what it is called, the figure, and beside it ratios to peers.
SUMMARY: tuple[tuple[str, str, dict[str, str]], ...] = (
    (
        "training, recipe `fast`",
        "training.seconds",
        {"PyTorch's example": "training.pytorch.ratio", "Keras's": "training.keras.ratio"},
    ),
    ("its accuracy on the test set", "training.accuracy", {}),
    *(
        (
            f"classifier `{model}`, {what}",
            f"classifying.{model}.{key}",
            {
                "Keras `predict`": f"classifying.{model}.{key}.keras.ratio",
                "PyTorch": f"classifying.{model}.{key}.torch.ratio",
                "scikit-learn's SVC": f"classifying.{model}.{key}.svc.ratio",
            },
        )
        for model in ("swift", "default")
        for what, key in (("one tile", "one_tile"), ("10,000 tiles", "many_tiles"))
    ),
    ("`digitlens read one.png`, from start to end", "cold_start.seconds", {}),
    ("photo of 12 megapixels", "reading.photo_12mp", {}),
    ("folder of 1,000 pictures", "folder.pictures_per_second", {}),
)


def summary(about: Mapping[str, Any], figures: Sequence[Figure]) -> str:
    """The README's table in Markdown; what was not measured says so."""
    named = {figure.name: figure for figure in figures}
    lines = [
        _head(about),
        "",
        "| what | digitlens | times as long |",
        "|---|---|---|",
        *(_summary_line(named, *row) for row in SUMMARY),
        "",
        SPREAD,
    ]
    return "\n".join(lines) + "\n"


def _summary_line(named: Mapping[str, Figure], what: str, name: str, peers: dict[str, str]) -> str:
    beside = [
        f"{peer} {number(named[ratio].value)}" for peer, ratio in peers.items() if ratio in named
    ]
    value = measured(named[name]) if name in named else "not measured"
    return f"| {what} | {value} | {', '.join(beside)} |"


def everything(about: Mapping[str, Any], figures: Sequence[Figure]) -> str:
    """Every figure, by benchmark, and how long each took."""
    lines = [_head(about), ""]
    for name, seconds in about["seconds"].items():
        reason = about["failed"].get(name)
        lines.append(f"- {name}: {f'failed, {reason}' if reason else f'{seconds:.0f} s'}")
    lines += ["", "| figure | value | n | better |", "|---|---|---|---|"]
    lines += [
        f"| {figure.name} | {measured(figure)} | {figure.n} | {figure.better} |"
        for figure in figures
    ]
    lines += ["", SPREAD]
    return "\n".join(lines) + "\n"


def _head(about: Mapping[str, Any]) -> str:
    return (
        f"Speed on {about['date']}, {about['processor'] or about['machine']}, "
        f"{about['threads']} threads, load before {about['load']}."
    )


def measured(figure: Figure) -> str:
    """Value, spread and unit."""
    unit = "" if figure.is_ratio else f" {figure.unit}"
    if figure.unit == "%":
        spread = "" if figure.spread is None else f" ± {figure.spread:.2f}"
        return f"{figure.value:.2f}{spread}{unit}"
    spread = "" if figure.spread is None else f" ± {number(figure.spread, 2)}"
    return f"{number(figure.value)}{spread}{unit}"


def number(value: float, digits: int = 3) -> str:
    """The digits that count, whole thousands with commas."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.{digits}g}"


def draw_ratios(ratios: Sequence[Figure], path: Path) -> None:
    """Bars from 1, which is digitlens, on a logarithmic axis; the longest on top."""
    ordered = sorted(ratios, key=lambda figure: figure.value)
    names = [figure.name.replace(".ratio", "").replace(".", " · ") for figure in ordered]
    with canvas(path, 9, 1.8 + 0.42 * len(ordered)) as figure:
        axes = figure.subplots()
        for place, ratio in enumerate(ordered):
            _bar(axes, place, ratio.value)
        values = [ratio.value for ratio in ordered]
        axes.set_xscale("log")
        axes.set_xlim(min(0.9, 0.8 * min(values)), 2.5 * max(*values, 2))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
        axes.axvline(1, color=theme().soft, linewidth=1)
        axes.set_ylim(-0.7, len(names) - 0.3)
        axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x")
        headline(axes, "How many times as long others take", NOTE)


def _bar(axes: Axes, place: int, value: float) -> None:
    """From 1 to the right where the other takes longer, else to the left and in orange."""
    axes.barh(place, value - 1, 0.7, left=1, color=theme().blue if value >= 1 else theme().orange)
    axes.annotate(
        number(value),
        (max(value, 1), place),
        (6, 0),
        textcoords="offset points",
        va="center",
        color=theme().ink,
    )
