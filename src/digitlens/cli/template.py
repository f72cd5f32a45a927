"""``digitlens template``: names the regions of a form or meter on a picture of it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from digitlens.cli.tables import AsJson, Model, Pages

if TYPE_CHECKING:
    from digitlens.reading.template import Region

_OPTION = re.compile(r"(kind|digits|decimals|unit|monotone|most_per_hour)=(.*)")
_SHAPE = "expected NAME=X0,Y0,X1,Y1[,EXPECT][,KEY=VALUE ...]"


def template(
    picture: Annotated[Path, typer.Argument(help="The reference: a sharp picture of it.")],
    region: Annotated[
        list[str],
        typer.Option(
            metavar="NAME=X0,Y0,X1,Y1[,EXPECT][,KEY=VALUE ...]",
            help="A part of the picture, in pixels or as fractions of its sides, what is expected "
            "there as in `digitlens read --expect`, and kind, digits, decimals, unit, monotone or "
            "most_per_hour; repeatable.",
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The template, a TOML file.")],
    time: Annotated[
        str,
        typer.Option(
            metavar="FORMAT",
            help="How names of pictures say when they were taken, as in %Y%m%d_%H%M; the time of "
            "the file otherwise.",
        ),
    ] = "",
    model: Model = "default",
    pages: Pages = "pages",
    as_json: AsJson = False,
) -> None:
    """Name the regions of a form or meter on a picture of it, for `digitlens watch`.

    Writes the template and prints what is read in each region of the picture itself.
    """
    import json
    import tomllib

    from digitlens.files import write_bytes
    from digitlens.reading.meter import TemplateReader
    from digitlens.reading.reader import DigitReader
    from digitlens.reading.template import parse_template, write_template

    relative = Path(os.path.relpath(picture.resolve(), out.resolve().parent)).as_posix()
    text = write_template(relative, [_parsed(text) for text in region], time)
    out.parent.mkdir(parents=True, exist_ok=True)  # the picture may be found from there
    made = parse_template(tomllib.loads(text), out)
    found = TemplateReader(made, DigitReader(model, pages=pages)).read(picture)
    write_bytes(out, text.encode())
    said = {
        name: each.candidates[0].text if each.candidates else "" for name, each in found.items()
    }
    if as_json:
        typer.echo(json.dumps(said))
        return
    for name, text in said.items():
        typer.echo(f"{name}\t{text}" if text else f"{name}\t({found[name].reason})")


def _parsed(text: str) -> Region:
    from digitlens.errors import TemplateError
    from digitlens.reading.template import make_region

    name, _, rest = text.partition("=")
    parts = rest.split(",")
    try:
        values: dict[str, Any] = {"box": [_number(part) for part in parts[:4]]}
    except ValueError as error:
        raise typer.BadParameter(f"{_SHAPE}, found {text!r}", param_hint="--region") from error
    expect: list[str] = []
    for part in parts[4:]:
        if option := _OPTION.fullmatch(part.strip()):
            values[option[1]] = _value(option[2])
        else:
            expect.append(part)
    if expect:
        values["expect"] = ",".join(expect).strip()
    try:
        return make_region(name.strip(), values)
    except TemplateError as error:
        raise typer.BadParameter(str(error), param_hint="--region") from error


def _number(text: str) -> float:
    return int(text) if text.strip().isdecimal() else float(text)


def _value(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    try:
        return _number(text)
    except ValueError:
        return text
