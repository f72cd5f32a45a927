"""``digitlens template`` and ``watch``: define the regions of a form or meter, and read them."""

from __future__ import annotations

import json
import os
import re
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from digitlens.cli.tables import INTERRUPTED, AsJson, Model, Pages, checking
from digitlens.progress import note

if TYPE_CHECKING:
    from digitlens.reading.ledger import Row
    from digitlens.reading.template import Region

_OPTION = re.compile(r"(kind|digits|decimals|unit|monotone|most_per_hour)=(.*)")
_SHAPE = "expected NAME=X0,Y0,X1,Y1[,EXPECT][,KEY=VALUE ...]"


def template(
    picture: Annotated[Path, Argument(help="Reference: a sharp picture of the form or meter.")],
    region: Annotated[
        list[str],
        Option(
            metavar="NAME=X0,Y0,X1,Y1[,EXPECT][,KEY=VALUE ...]",
            help="Region of the picture, in pixels or as fractions of its sides; EXPECT as in "
            "`digitlens read --expect`; KEY is kind, digits, decimals, unit, monotone or "
            "most_per_hour; repeatable.",
        ),
    ],
    out: Annotated[Path, Option(metavar="FILE", help="Template to write, a TOML file.")],
    time: Annotated[
        str,
        Option(
            metavar="FORMAT",
            help="Format of the time in picture names, such as %Y%m%d_%H%M (default: use the time "
            "of the file).",
        ),
    ] = "",
    model: Model = "default",
    pages: Pages = "pages",
    as_json: AsJson = False,
) -> None:
    """Define the regions of a form or meter on a reference picture, for `digitlens watch`.

    Writes the template and prints what is read in each region of the reference picture.
    """
    import tomllib

    from digitlens.files import write_bytes
    from digitlens.reading.meter import TemplateReader
    from digitlens.reading.reader import DigitReader
    from digitlens.reading.template import parse_template, write_template

    relative = Path(os.path.relpath(picture.resolve(), out.resolve().parent)).as_posix()
    text = write_template(relative, [_parse_region(text) for text in region], time)
    out.parent.mkdir(parents=True, exist_ok=True)  # the reference may be resolved relative to it
    parsed = parse_template(tomllib.loads(text), out)
    readings = TemplateReader(parsed, DigitReader(model, pages=pages)).read(picture)
    write_bytes(out, text.encode())
    texts = {
        name: each.candidates[0].text if each.candidates else "" for name, each in readings.items()
    }
    if as_json:
        typer.echo(json.dumps(texts))
        return
    for name, text in texts.items():
        typer.echo(f"{name}\t{text}" if text else f"{name}\t({readings[name].reason})")


def _parse_region(text: str) -> Region:
    from digitlens.reading.template import make_region

    name, _, rest = text.partition("=")
    parts = rest.split(",")
    try:
        values: dict[str, Any] = {"box": [_parse_number(part) for part in parts[:4]]}
    except ValueError as error:
        raise typer.BadParameter(f"{_SHAPE}, found {text!r}", param_hint="--region") from error
    expect: list[str] = []
    for part in parts[4:]:
        if match := _OPTION.fullmatch(part.strip()):
            values[match[1]] = _parse_value(match[2])
        else:
            expect.append(part)
    if expect:
        values["expect"] = ",".join(expect).strip()
    with checking("--region"):
        return make_region(name.strip(), values)


def _parse_number(text: str) -> float:
    return int(text) if text.strip().isdecimal() else float(text)


def _parse_value(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    try:
        return _parse_number(text)
    except ValueError:
        return text


def watch(
    folder: Annotated[Path, Argument(exists=True, file_okay=False, help="Folder of new pictures.")],
    template: Annotated[
        Path, Option(metavar="FILE", help="Template written by `digitlens template`.")
    ],
    out: Annotated[
        Path,
        Option(metavar="FILE", help="Log of readings, .csv or .sqlite; appended to if it exists."),
    ] = Path("readings.csv"),
    mqtt: Annotated[
        list[str] | None,
        Option(metavar="URL", help="Post each reading to mqtt://[user:password@]host/topic."),
    ] = None,
    webhook: Annotated[
        list[str] | None,
        Option(metavar="URL", help="Post each reading to this URL, as JSON."),
    ] = None,
    wait: Annotated[
        int,
        Option(
            min=0,
            metavar="N",
            help="Decide a doubtful picture after up to N later ones, or an hour.",
        ),
    ] = 15,
    vote: Annotated[int | None, Option(min=1, hidden=True)] = None,
    once: Annotated[bool, Option("--once", help="Read existing pictures and exit.")] = False,
    every: Annotated[
        float, Option(min=0.1, metavar="SECONDS", help="Interval between checks for new pictures.")
    ] = 2.0,
    as_json: AsJson = False,
    model: Model = "default",
    pages: Pages = "pages",
) -> None:
    """Read pictures of a form or meter as they arrive in a folder; each is read once.

    Each reading is a row of the log and a line of output: time, picture, region, value with unit. A
    reading that cannot be trusted is doubtful or rejected, with a reason, and has no value.
    With --once the exit code is 1 if a picture could not be read, written to the log or posted;
    failures are reported on standard error.
    """
    from digitlens.cli.read_paths import find_pictures
    from digitlens.reading import ledger
    from digitlens.reading.meter import TemplateReader
    from digitlens.reading.reader import DigitReader
    from digitlens.reading.template import load_template
    from digitlens.reading.watching import Watch

    if vote is not None:
        note("watch --vote will be removed: use --wait with one less")
        wait = vote - 1
    with checking("--mqtt"):
        receivers = [ledger.mqtt(url) for url in mqtt or ()]
    with checking("--webhook"):
        receivers += map(ledger.webhook, webhook or ())
    reader = TemplateReader(load_template(template), DigitReader(model, pages=pages))
    with ledger.open_ledger(out) as log:
        deliveries = ledger.Deliveries(out, receivers)
        watching = Watch(folder, reader, log, deliveries, wait)
        try:
            while True:
                for row in watching.poll(find_pictures([str(folder)])[0], patient=not once):
                    typer.echo(json.dumps(asdict(row)) if as_json else _row_text(row))
                unwritten, undelivered = watching.write(), deliveries.flush()
                if once:
                    break
                time.sleep(every)
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
    if watching.unread:
        note(f"digitlens: could not be read: {', '.join(sorted(watching.unread))}")
    if unwritten:
        note(f"digitlens: {out}: {unwritten} pictures were not written to it: run this again")
    if undelivered:
        note(f"digitlens: {undelivered} readings were not posted: run this again")
    if watching.unread or unwritten or undelivered:
        raise typer.Exit(1)


def _row_text(row: Row) -> str:
    reading = f"{row.value} {row.unit}".rstrip() if row.status == "value" else row.status
    parts = [row.time, row.picture, row.region, reading]
    return "\t".join([*parts, row.reason] if row.reason else parts)
