"""``digitlens reconstruct``: digits as an autoencoder draws them again, MNIST's or a user's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from digitlens.cli.options import AsJson, DataDir, Themed
from digitlens.cli.pictures import find_pictures
from digitlens.cli.tables import print_json, table_of, wide_console
from digitlens.errors import ImageError, needs_extra
from digitlens.progress import note

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from digitlens.models.reconstructor import Reconstructor
    from digitlens.results import Digit


def reconstruct(
    pictures: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PICTURE]...",
            help="Pictures with digits, as for `digitlens read`; without any, digits of the MNIST "
            "test set are drawn again.",
        ),
    ] = None,
    model: Annotated[
        str, typer.Option(help="A shipped autoencoder's name, or a run or model folder.")
    ] = "autoencoder",
    out: Annotated[
        Path, typer.Option(metavar="DIR", file_okay=False, help="Folder for the pictures.")
    ] = Path("reconstructions"),
    theme: Themed = "light",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Draw digits again from the few numbers of an autoencoder's code.

    Of pictures it tells how well each digit found on them is drawn, which is one more sign of
    whether it is one; without pictures it draws digits of MNIST, and ways from one to another.
    """
    from digitlens.models.reconstructor import Reconstructor

    reconstructor = Reconstructor(model)
    if not pictures:
        with needs_extra("plots"):
            from digitlens.visualization.theme import themed
        from digitlens.visualization.figures.reconstruction import draw_mnist_digits

        with themed(theme):
            names, values = draw_mnist_digits(reconstructor, out, data_dir)
        note(f"written to {out}: {', '.join(names)}")
        _print_mnist(values, as_json)
        return
    files, problems = find_pictures(pictures, [out])
    rows: list[_Row] = []
    for name in files:
        try:
            rows += _redraw(name, reconstructor, out)
        except ImageError as error:
            problems.append(error)
    _print_pictures(rows, as_json)
    for problem in problems:
        note(f"digitlens: {problem}")
    if problems:
        raise typer.Exit(1)


@dataclass(frozen=True)
class _Row:
    """What is told of one digit of a picture; ``usual`` is the share of digits drawn better."""

    picture: str
    digit: Digit
    error: float
    usual: float

    def as_dict(self) -> dict[str, Any]:
        """The values by name, JSON-ready; ``drawn_better`` is a share from 0 to 1."""
        return {
            "picture": self.picture,
            "value": self.digit.value,
            "confidence": round(self.digit.confidence, 4),
            "status": self.digit.status,
            "box": self.digit.box.as_list(),
            "error": round(self.error, 5),
            "drawn_better": round(self.usual, 4),
        }


def _redraw(name: str, reconstructor: Reconstructor, out: Path) -> list[_Row]:
    """The digits of a picture, drawn again next to what was drawn; rejected ones too."""
    from digitlens.imaging.image import load_image
    from digitlens.visualization.sheets import draw_redrawn
    from digitlens.visualization.stages import write_picture

    found, tiles = _found(load_image(name))
    drawn = reconstructor.reconstruct(tiles)
    usual = reconstructor.share_below(drawn.error).tolist()
    rows = [
        _Row(name, digit, error, share)
        for digit, error, share in zip(found, drawn.error.tolist(), usual, strict=True)
    ]
    titles, notes = [_title(row) for row in rows], [_note(row) for row in rows]
    path = out / f"{Path(name).stem}-reconstructed.png"
    write_picture(path, draw_redrawn(tiles, drawn.tiles, titles, notes))
    note(f"written: {path}")
    return rows


def _found(page: npt.NDArray[np.uint8]) -> tuple[list[Digit], npt.NDArray[np.uint8]]:
    """What was found on a page, in reading order, and the tile of each."""
    import numpy as np

    from digitlens.reading.reader import DigitReader

    seen = DigitReader().examine(page)
    digits = [digit for line in seen.reading.lines for digit in line]
    places = [place for line in seen.places for place in line]
    return digits, seen.view.tiles[np.array(places, np.intp)]


def _title(row: _Row) -> str:
    digit = row.digit
    if digit.status == "rejected":
        return f"not a {digit.value}"
    return f"{digit.value}{'?' if digit.status == 'unsure' else ''}  {digit.percent} % sure"


def _note(row: _Row) -> str:
    return f"error {row.error:.3f}; {100 * row.usual:.0f} % are drawn better"


def _print_pictures(rows: Sequence[_Row], as_json: bool) -> None:
    if as_json:
        print_json([row.as_dict() for row in rows])
        return
    headings = ("picture", "read as", "error", "of MNIST drawn better")
    cells = [(row.picture, _title(row), f"{row.error:.4f}", f"{row.usual:.0%}") for row in rows]
    wide_console().print(table_of(headings, cells, left=2))


def _print_mnist(values: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(values)
        return
    rows = [(str(value), f"{error:.4f}") for value, error in enumerate(values["by_digit"])]
    rows.append((f"all {values['digits']:,}", f"{values['error']:.4f}"))
    wide_console().print(table_of(("digit", "mean error"), rows))
