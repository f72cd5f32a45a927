"""``digitlens figures``, ``report`` and ``reconstruct``: figures and a report of a model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, TypeAlias

import typer
from typer import Argument, Option

from digitlens.cli import tables
from digitlens.cli.read_paths import find_pictures
from digitlens.cli.tables import AsJson, DataDir, SplitOf, Themed, print_json, safe_name, writing
from digitlens.errors import DataError, DigitlensError, ImageError, ModelError, needs_extra
from digitlens.progress import note
from digitlens.results import plain_fields

if TYPE_CHECKING:
    from digitlens.models.networks import Reconstructor
    from digitlens.results import Digit

Format: TypeAlias = Literal["png", "svg"]
MapName: TypeAlias = Literal["pca", "tsne", "umap"]  # projections of features to two dimensions


def figures(
    models: Annotated[
        list[str] | None,
        Argument(
            metavar="MODEL",
            help="Runs, model folders or names of shipped models. Figures that support it show all "
            "models, the others the first.",
            show_default="default",
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        Option(metavar="NAME", help="Draw only this figure; repeatable. A wrong name lists all."),
    ] = None,
    out: Annotated[
        Path | None, Option(help="Folder for the figures.", show_default="figures-MODEL")
    ] = None,
    form: Annotated[Format, Option("--format", help="File format.")] = "png",
    theme: Themed = "light",
    split: SplitOf = "test",
    data_dir: DataDir = None,
    digit: Annotated[
        int,
        Option(min=0, help="Index of the tile in figures of a single tile."),
    ] = 0,
    chart: Annotated[
        MapName,
        Option("--map", help="Projection of `features`; tsne and umap need the extra maps."),
    ] = "pca",
    as_json: AsJson = False,
) -> None:
    """Draw figures of a model: its training, scores and internals.

    Writes NAME.png or NAME.svg for each figure, and prints the paths. Figures for which a model has
    no data are skipped, with a reason on standard error.
    """
    with needs_extra("plots"):
        from digitlens.visualization.figures.registry import FIGURES, SEVERAL, FigureOptions
        from digitlens.visualization.theme import themed
    from digitlens.explain.trained_model import TrainedModel

    names = _figure_names(only)
    trained = [TrainedModel(model, on=split, data_dir=data_dir) for model in models or ["default"]]
    if len(trained) > 1:
        note(f"{' and '.join(SEVERAL)} show all models, the others only {trained[0].label}")
    if digit and digit >= len(trained[0].split):  # 0 is always valid: do not load the data for it
        raise DataError(
            f"--digit: expected an index below {len(trained[0].split):,}, the number of tiles of "
            f"{trained[0].data_name}, found {digit}"
        )
    folder = out or Path(f"figures-{safe_name(trained[0].label)}")
    options, written = FigureOptions(digit, chart), list[Path]()
    with themed(theme):
        for path in (folder / f"{name}.{form}" for name in names):
            with writing(path):
                draw = partial(FIGURES[path.stem], trained, path, options)
                is_drawn = tables.try_draw(draw, path.stem, DigitlensError)
            if is_drawn:
                written.append(path)
            if is_drawn and not as_json:
                typer.echo(str(path))
    if as_json:
        print_json([str(path) for path in written])
    if only and len(written) < len(names):
        raise typer.Exit(1)


def _figure_names(only: Sequence[str] | None) -> list[str]:
    """The requested names without duplicates, or all except the slow ones."""
    from digitlens.visualization.figures.registry import FIGURES, SLOW

    if not only:
        note(f"skipped, since they take longer: {', '.join(SLOW)} (--only NAME draws them)")
        return [name for name in FIGURES if name not in SLOW]
    if unknown := [name for name in only if name not in FIGURES]:
        raise typer.BadParameter(
            f"--only: expected one of {', '.join(FIGURES)}, found {', '.join(map(repr, unknown))}"
        )
    return list(dict.fromkeys(only))


PAGE = "report.html"


def report(
    model: Annotated[
        str,
        Argument(metavar="RUN|MODEL", help="Run folder, model folder or name of a shipped model."),
    ],
    out: Annotated[
        Path | None,
        Option(help="File to write.", show_default="RUN/report.html, or report-MODEL.html"),
    ] = None,
    split: SplitOf = "test",
    data_dir: DataDir = None,
    quick: Annotated[bool, Option("--quick", help="Skip robustness and speed.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a self-contained HTML report of a run or model.

    It covers the training, scores, confusions with their tiles, errors with the most similar
    training digits, calibration, robustness, speed, recipe and provenance.
    """
    from digitlens import files

    with needs_extra("plots"):
        from digitlens.visualization.report_page import gather, render
    from digitlens.explain.trained_model import TrainedModel

    _check_classifier(model)
    trained = TrainedModel(model, on=split, data_dir=data_dir)
    contents = gather(trained, quick=quick)
    path = (trained.run and trained.run / PAGE) or Path(f"report-{safe_name(trained.name)}.html")
    path, page = out or path, render(contents).encode()
    with writing(path):
        files.write_bytes(path, page)
    if as_json:
        extras = {"robustness": contents.robustness, "speed": contents.speed}
        sections = {name: each.as_dict() for name, each in extras.items() if each}
        print_json({"page": str(path), "bytes": len(page), **trained.report.as_dict(), **sections})
    else:
        typer.echo(path)


def _check_classifier(model: str) -> None:
    """Raises ModelError unless ``model`` is a digitlens classifier, before anything is measured."""
    from digitlens.models.bundle import find_bundle, load_card, pretrained_names
    from digitlens.training.recipe import Recipe
    from digitlens.training.run import MODEL, RECIPE

    if model not in pretrained_names() and Path(model).suffix.lower() == ".onnx":
        raise ModelError(
            f"{model} is a graph without a card: expected a run or model folder of digitlens; to "
            f"score it, run  digitlens evaluate --model {model}"
        )
    if (Path(model) / RECIPE).is_file() and not (Path(model) / MODEL).is_dir():
        raise ModelError(
            f"{model} has no finished model: resume with  digitlens train --resume {model}"
        )
    kind = load_card(find_bundle(model)).recipe.get("architecture")
    if kind and kind not in Recipe.choices["architecture"]:
        raise ModelError(
            f"{model} is not a classifier but a network of kind {kind}: expected a classifier, "
            "such as 'default' or a run of  digitlens train"
        )


def reconstruct(
    pictures: Annotated[
        list[str] | None,
        Argument(
            metavar="[PICTURE]...",
            help="Pictures with digits, as for `digitlens read`; without any, reconstructs digits "
            "of the MNIST test set.",
        ),
    ] = None,
    model: Annotated[
        str, Option(help="Autoencoder: name of a shipped one, or a run or model folder.")
    ] = "autoencoder",
    out: Annotated[
        Path, Option(metavar="DIR", file_okay=False, help="Folder for the pictures.")
    ] = Path("reconstructions"),
    theme: Themed = "light",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Reconstruct digits with an autoencoder.

    With pictures, reports the reconstruction error of each digit found; a high error suggests that
    it is not a digit. Without pictures, draws digits of MNIST and interpolations between them.
    """
    from digitlens.models.networks import Reconstructor

    reconstructor = Reconstructor(model)
    if not pictures:
        with needs_extra("plots"):
            from digitlens.visualization.theme import themed
        from digitlens.visualization.figures.registry import draw_mnist_digits

        with themed(theme):
            names, values = draw_mnist_digits(reconstructor, out, data_dir)
        note(f"written to {out}: {', '.join(names)}")
        if as_json:
            print_json(values)
            return
        rows = [(str(value), f"{error:.4f}") for value, error in enumerate(values["by_digit"])]
        rows.append((f"all {values['digits']:,}", f"{values['error']:.4f}"))
        tables.wide_console().print(tables.table_of(("digit", "mean error"), rows))
        return
    files, problems = find_pictures(pictures, [out])
    redrawn: list[_Row] = []
    for name in files:
        try:
            redrawn += _redraw(name, reconstructor, out)
        except ImageError as error:
            problems.append(error)
    if as_json:
        print_json([row.as_dict() for row in redrawn])
    else:
        from digitlens.visualization.sheets import in_words

        headings = ("picture", "read as", "error", "MNIST digits below")
        rows = [
            (row.picture, in_words(row.digit), f"{row.error:.4f}", f"{row.share_below:.0%}")
            for row in redrawn
        ]
        tables.wide_console().print(tables.table_of(headings, rows, left=2))
    for problem in problems:
        note(f"digitlens: {problem}")
    if problems:
        raise typer.Exit(1)


class _Row(NamedTuple):
    """One reconstructed digit; ``share_below``: fraction of MNIST digits with a lower error."""

    picture: str
    digit: Digit
    error: float
    share_below: float

    def as_dict(self) -> dict[str, Any]:
        """The values by name, JSON-ready; ``drawn_better`` is ``share_below``, from 0 to 1."""
        return {
            "picture": self.picture,
            **plain_fields(self.digit, "value", "confidence", "status", "box"),
            "confidence": round(self.digit.confidence, 4),
            "error": round(self.error, 5),
            "drawn_better": round(self.share_below, 4),
        }


def _redraw(name: str, reconstructor: Reconstructor, out: Path) -> list[_Row]:
    """Reconstructs the digits of a picture, rejected ones included; writes both side by side."""
    import numpy as np

    from digitlens.imaging.image import load_image
    from digitlens.reading.reader import DigitReader
    from digitlens.visualization.sheets import draw_redrawn, in_words, write_picture

    seen = DigitReader().examine(load_image(name))
    digits = [digit for line in seen.reading.lines for digit in line]
    tiles = seen.view.tiles[np.array([place for line in seen.places for place in line], np.intp)]
    output = reconstructor.reconstruct(tiles)
    shares = reconstructor.share_below(output.error).tolist()
    rows = [_Row(name, *row) for row in zip(digits, output.error.tolist(), shares, strict=True)]
    titles = [in_words(row.digit) for row in rows]
    notes = [f"error {row.error:.3f}; {100 * row.share_below:.0f} % are lower" for row in rows]
    path = out / f"{Path(name).stem}-reconstructed.png"
    write_picture(path, draw_redrawn(tiles, output.tiles, titles, notes))
    note(f"written: {path}")
    return rows
