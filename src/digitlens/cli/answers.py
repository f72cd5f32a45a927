"""Prints what was read: a table, lines of text, JSON lines or CSV."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TextIO, TypeAlias

if TYPE_CHECKING:
    from rich.text import Text

    from digitlens.results import Box, Digit, Reading

Form: TypeAlias = Literal["table", "text", "json", "csv"]

COLUMNS = (
    *("path", "page", "line", "index", "value", "confidence", "status", "x0", "y0", "x1", "y1"),
    *("starts_number", "reason"),
    *("number", "number_text", "number_value", "number_kind", "number_unit", "number_status"),
)
MOST = 3  # doubts of a picture in the table, and values
COLOURS = {"digit": "", "unsure": "bold yellow"}


@dataclass(frozen=True)
class Answer:
    """What was read on one page of a file, counted from 1."""

    path: str
    page: int
    count: int
    reading: Reading

    @property
    def name(self) -> str:
        """The path, with the page where there are several: ``scan.pdf#2``."""
        from digitlens.imaging.document import page_name

        return page_name(self.path, self.page, self.count)


def print_answers(answers: Iterable[Answer], form: Form, out: TextIO) -> None:
    """Prints answers, each as soon as it is there; only a table waits for the last.

    A line of text or JSON is a page; a row of CSV is a digit, also a rejected one. What ``out``
    cannot encode is written as an escape.
    """
    if form == "table":
        _print_table(list(answers))
    elif form == "csv":
        _print_csv(answers, out)
    else:
        _print_lines(answers, out, _json_line if form == "json" else _text_line)


def _printable(text: str, out: TextIO) -> str:
    encoding = out.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _print_lines(answers: Iterable[Answer], out: TextIO, line: Callable[[Answer], str]) -> None:
    for answer in answers:
        print(_printable(line(answer), out), file=out, flush=True)


def _text_line(answer: Answer) -> str:
    return f"{answer.name}\t{answer.reading.text.replace(chr(10), ' ')}"


def _json_line(answer: Answer) -> str:
    return json.dumps({"path": answer.path, "page": answer.page, **answer.reading.as_dict()})


def _print_csv(answers: Iterable[Answer], out: TextIO) -> None:
    import csv

    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for answer in answers:
        place = (_printable(answer.path, out), answer.page)
        numbers = _number_columns(answer.reading, out)
        for number, line in enumerate(answer.reading.lines):
            for index, digit in enumerate(line):
                what = (digit.value, f"{digit.confidence:.6f}", digit.status)
                more = (int(digit.starts_number), digit.reason)
                own = digit.status != "rejected" and numbers.get(digit.box)
                last = own or ("",) * 6
                writer.writerow((*place, number, index, *what, *digit.box.as_list(), *more, *last))


def _number_columns(reading: Reading, out: TextIO) -> dict[Box, tuple[object, ...]]:
    """What the number of each digit says, by the box of the digit."""
    from digitlens.results import told

    return {
        digit.box: (
            *(k, _printable(each.text, out), told(each.value) or ""),
            *(each.kind, _printable(each.unit, out), each.status),
        )
        for k, each in enumerate(reading.numbers)
        for digit in each.digits
    }


def _print_table(answers: list[Answer]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    values = [_values(answer.reading) for answer in answers]
    for heading in ("picture", "numbers", *(["values"] * any(values)), "least sure", "doubts"):
        table.add_column(heading, overflow="fold")
    for answer, value in zip(answers, values, strict=True):
        reading = answer.reading
        least = min((digit.percent for digit in reading.digits), default=None)
        sure = "" if least is None else f"{least} %"
        name = Text(_printable(answer.name, sys.stdout))
        shown = (name, _numbers(reading), *([Text(value)] * any(values)))
        table.add_row(*shown, sure, Text(_doubts(reading)))
    Console(highlight=False).print(table)


def _numbers(reading: Reading) -> Text:
    from rich.text import Text

    if reading.characters:
        colours = {digit.box: COLOURS[digit.status] for digit in reading.digits}
        lines = [
            Text.assemble(*((one.char, colours.get(one.box, "")) for one in line))
            for line in reading.characters
        ]
    else:
        lines = [Text.assemble(*_pieces(line)) for line in reading.lines]
    lines = [line for line in lines if line]
    return Text("\n").join(lines) if lines else Text("no digits", "dim")


def _values(reading: Reading) -> str:
    """What numbers say that are written otherwise: ``1.234,56 = 1234.56``."""
    from digitlens.results import told

    values = [(number.text, told(number.value)) for number in reading.numbers]
    return "\n".join(
        _first([f"{text} = {value}" for text, value in values if value and value != text])
    )


def _first(lines: list[str]) -> list[str]:
    more = [f"and {len(lines) - MOST} more"] if len(lines) > MOST else []
    return lines[:MOST] + more


def _pieces(line: Sequence[Digit]) -> Iterator[tuple[str, str]]:
    """The digits of a line in their colours, with a space between numbers; no rejected ones."""
    begun = gap = False
    for digit in line:
        gap = gap or digit.starts_number  # also of a rejected one: the gap is there nevertheless
        if digit.status == "rejected":
            continue
        if begun and gap:
            yield " ", ""
        yield str(digit.value), COLOURS[digit.status]
        begun, gap = True, False


def _doubts(reading: Reading) -> str:
    doubts = [_doubt(k, digit) for k, digit in enumerate(reading.digits, 1) if digit.reason]
    numbers = (number for number in reading.numbers if number.reason)
    doubts += [f"{n.text}: {n.reason}" for n in numbers if not any(d.reason for d in n.digits)]
    rejected = sum(len(line) for line in reading.lines) - len(reading.digits)
    return "\n".join(_first(doubts) + ([f"{rejected} rejected"] if rejected else []))


def _doubt(place: int, digit: Digit) -> str:
    return f"{digit.value}, no. {place}: {digit.reason}"
