"""Charts as vector pictures inside a page; their colours are classes, which the page decides on.

Every mark says its values when it is pointed at, and every chart says in words what it shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from math import ceil, floor, log10

from markupsafe import Markup

TICKS = 4  # about


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis.

    Attributes:
        label: What it measures, with its unit.
        low: Where it starts.
        high: Where it ends.
        ticks: Values that are written, and how.
        is_log: Whether equal steps are equal ratios.
    """

    label: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    is_log: bool = False

    def share(self, value: float) -> float:
        """Where a value lies, 0 at the start to 1 at the end; beyond them it is put at them."""
        low, high, at = self.low, self.high, min(max(value, self.low), self.high)
        if self.is_log:
            low, high, at = log10(low), log10(high), log10(at)
        return (at - low) / (high - low)


def linear(
    label: str,
    values: Iterable[float],
    write: Callable[[float], str],
    *,
    low: float | None = None,
    high: float | None = None,
    whole: bool = False,
) -> Axis:
    """An axis with even steps that holds some values.

    Args:
        label: What it measures.
        values: Any number; those outside 0 to 1 widen an axis that has no ends given.
        write: How a tick is written.
        low: Where it starts; None chooses a tick below all values.
        high: Where it ends; None chooses a tick above all values.
        whole: Whether only whole numbers may be ticks.
    """
    held = list(values) or [0.0, 1.0]
    start = min(held) if low is None else low
    end = max(held) if high is None else high
    if end <= start:
        start, end = (start - 0.5, end + 0.5) if low is None else (start, start + 1)
    step = max(_step((end - start) / TICKS), 1 if whole else 0)
    first = floor(start / step + 1e-9) * step if low is None else start
    last = ceil(end / step - 1e-9) * step if high is None else end
    begin, stop = ceil(first / step - 1e-9), floor(last / step + 1e-9)
    ticks = [round(number * step, 12) for number in range(begin, stop + 1)]
    return Axis(label, first, last, tuple((tick, write(tick)) for tick in ticks))


def logarithmic(label: str, values: Iterable[float], write: Callable[[float], str]) -> Axis:
    """An axis with even ratios: ticks at 1, 2 and 5 times powers of ten, or at the powers alone.

    Args:
        label: What it measures.
        values: Above 0.
        write: How a tick is written.
    """
    held = list(values)
    powers = range(floor(log10(min(held))) - 1, ceil(log10(max(held))) + 2)
    all_ticks = sorted(step * 10.0**power for power in powers for step in (1, 2, 5))
    low = max(tick for tick in all_ticks if tick <= min(held))
    high = min(tick for tick in all_ticks if tick >= max(held))
    if high <= low:
        low, high = low / 2, high * 2
    ticks = [tick for tick in all_ticks if low <= tick <= high]
    if len(ticks) > TICKS + 2:
        ticks = [tick for tick in ticks if log10(tick) % 1 < 1e-9]
    return Axis(label, low, high, tuple((tick, write(tick)) for tick in ticks), is_log=True)


def _step(least: float) -> float:
    """The least of 1, 2, 2.5 and 5 times a power of ten that is not below a number."""
    power = 10.0 ** floor(log10(least))
    return next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= least * (1 - 1e-9))


WIDTH, HEIGHT = 360, 230
LEFT, RIGHT, TOP, BOTTOM = 50, 14, 20, 40
Point = tuple[float, float]


@dataclass(frozen=True)
class Series:
    """Points that belong together.

    Attributes:
        name: For the legend; empty keeps it out.
        colour: ``blue``, ``orange``, ``green``, ``red`` or ``soft``.
        points: In the order in which a line joins them.
        hints: What each point says when it is pointed at; fewer than points: none say anything.
        spreads: By point, the lower and upper end of a whisker.
        is_dashed: Whether the line is dashed.
        has_line: Whether there is one.
        has_dots: Whether points are dots.
    """

    name: str
    colour: str
    points: Sequence[Point]
    hints: Sequence[str] = ()
    spreads: Sequence[Point] = ()
    is_dashed: bool = False
    has_line: bool = True
    has_dots: bool = True


@dataclass(frozen=True)
class Chart:
    """A chart.

    Attributes:
        name: Its anchor, unique in the page.
        title: What it shows.
        description: What is to be seen in it, for screen readers.
        x: To the right.
        y: Upwards.
        series: Drawn one over the other.
        mark: A value of x that a vertical line marks, and what it says; None for none.
    """

    name: str
    title: str
    description: str
    x: Axis
    y: Axis
    series: Sequence[Series] = field(default_factory=list[Series])
    mark: tuple[float, str] | None = None

    @property
    def legend(self) -> list[Series]:
        """The series that have a name."""
        return [each for each in self.series if each.name]

    @property
    def drawn(self) -> Markup:
        """The picture."""
        return draw(self)


def draw(chart: Chart) -> Markup:
    """A chart as an element ``svg``; everything written in it is escaped."""
    parts = [_grid(chart), _mark(chart)]
    parts += [_series(chart, each) for each in chart.series]
    head = Markup(
        '<svg class="plot" viewBox="0 0 {w} {h}" role="img" aria-labelledby="{n}-t {n}-d">'
        '<title id="{n}-t">{t}</title><desc id="{n}-d">{d}</desc>'
    ).format(w=WIDTH, h=HEIGHT, n=chart.name, t=chart.title, d=chart.description)
    return Markup("").join([head, *parts, Markup("</svg>")])


def _across(axis: Axis, value: float) -> float:
    return round(LEFT + axis.share(value) * (WIDTH - LEFT - RIGHT), 1)


def _up(axis: Axis, value: float) -> float:
    return round(HEIGHT - BOTTOM - axis.share(value) * (HEIGHT - TOP - BOTTOM), 1)


def _grid(chart: Chart) -> Markup:
    """Rules with the ticks of y, ticks of x, and what x measures."""
    rule = Markup('<path class="rule" d="M{} {}H{}"/><text class="tick y" x="{}" y="{}">{}</text>')
    tick = Markup('<text class="tick" x="{}" y="{}">{}</text>')
    rows = [
        rule.format(LEFT, at, WIDTH - RIGHT, LEFT - 8, at + 4, text)
        for at, text in ((_up(chart.y, value), text) for value, text in chart.y.ticks)
    ]
    base = HEIGHT - BOTTOM
    columns = [
        tick.format(_across(chart.x, value), base + 17, text) for value, text in chart.x.ticks
    ]
    floor = Markup('<path class="base" d="M{} {}H{}"/>').format(LEFT, base, WIDTH - RIGHT)
    label = Markup('<text class="axis" x="{}" y="{}">{}</text>').format(
        (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, chart.x.label
    )
    return Markup("").join([*rows, floor, *columns, label])


def _mark(chart: Chart) -> Markup:
    if chart.mark is None:
        return Markup("")
    at, text = _across(chart.x, chart.mark[0]), chart.mark[1]
    return Markup(
        '<path class="mark" d="M{0} {1}V{2}"/><text class="tick" x="{0}" y="{3}">{4}</text>'
    ).format(at, TOP - 2, HEIGHT - BOTTOM, TOP - 7, text)


def _series(chart: Chart, series: Series) -> Markup:
    places = [(_across(chart.x, x), _up(chart.y, y)) for x, y in series.points]
    parts = [
        _whisker(chart, x, spread) for (x, _), spread in zip(places, series.spreads, strict=False)
    ]
    if series.has_line and len(places) > 1:
        path = "M" + "L".join(f"{x} {y}" for x, y in places)
        dashed = " dashed" if series.is_dashed else ""
        parts.append(Markup('<path class="line{}" d="{}"/>').format(dashed, path))
    if series.has_dots or len(places) == 1:
        dot = Markup('<circle class="dot" cx="{}" cy="{}" r="{}"/>')
        parts += [dot.format(x, y, 3 if len(places) <= 30 else 2) for x, y in places]
    hit = Markup('<circle class="hit" cx="{}" cy="{}" r="9"><title>{}</title></circle>')
    parts += [hit.format(x, y, hint) for (x, y), hint in zip(places, series.hints, strict=False)]
    return Markup('<g class="{}">{}</g>').format(series.colour, Markup("").join(parts))


def _whisker(chart: Chart, x: float, spread: Point) -> Markup:
    low, high = (_up(chart.y, end) for end in spread)
    return Markup('<path class="whisker" d="M{0} {1}V{2}M{3} {1}h6M{3} {2}h6"/>').format(
        x, low, high, round(x - 3, 1)
    )


def bar(low: float, value: float, spread: Point | None = None, colour: str = "blue") -> Markup:
    """A bar for a row of a table, from ``low`` at its left end to 1 at its right, with a whisker.

    Args:
        low: Where it starts, below 1.
        value: What it shows; below ``low`` it is empty.
        spread: Ends of the whisker.
        colour: As of ``Series``.
    """

    def at(share: float) -> float:
        return round(100 * min(max((share - low) / (1 - low), 0), 1), 2)

    parts = [Markup('<rect class="track" width="100" height="8" y="2"/>')]
    parts.append(Markup('<rect class="fill" width="{}" height="8" y="2"/>').format(at(value)))
    if spread:
        start, end = at(spread[0]), at(spread[1])
        parts.append(Markup('<path class="whisker" d="M{} 6H{}"/>').format(start, end))
    return Markup(
        '<svg class="bar {}" viewBox="0 0 100 12" preserveAspectRatio="none" aria-hidden="true">'
        "{}</svg>"
    ).format(colour, Markup("").join(parts))


def columns(shares: Sequence[float], colours: Sequence[str]) -> Markup:
    """Ten columns, one for each digit, with the digits below.

    Args:
        shares: 0 to 1, of the digits 0 to 9.
        colours: As of ``Series``.
    """
    column = Markup('<rect class="{}" x="{}" y="{}" width="9" height="{}"/>')
    digit = Markup('<text class="tick{}" x="{}" y="43">{}</text>')
    parts: list[Markup] = []
    for place, (share, colour) in enumerate(zip(shares, colours, strict=True)):
        height = round(max(share * 30, 0.6), 1)
        parts.append(column.format(colour, 12 * place + 2, round(32 - height, 1), height))
        strong = " strong" if colour != "soft" else ""
        parts.append(digit.format(strong, 12 * place + 6.5, place))
    return Markup('<svg class="columns" viewBox="0 0 122 46" aria-hidden="true">{}</svg>').format(
        Markup("").join(parts)
    )
