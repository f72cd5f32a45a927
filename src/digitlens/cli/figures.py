"""``digitlens figures``: any picture of how a model learned, what it does and what it sees."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from digitlens.cli.options import DataDir, SplitName, SplitOf, Themed, ThemeName
from digitlens.cli.parts import safe_name
from digitlens.errors import DataError, DigitlensError, needs_extra
from digitlens.progress import note

if TYPE_CHECKING:
    from digitlens.cli.figure_results import Draw
    from digitlens.explain.trained_model import TrainedModel

SEVERAL = ("curves", "models")  # figures of all models that are given; the others are of the first


class Format(StrEnum):
    """The files of figures."""

    PNG = "png"
    SVG = "svg"


class MapName(StrEnum):
    """How features are brought to two dimensions."""

    PCA = "pca"
    TSNE = "tsne"
    UMAP = "umap"


def figures(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL",
            help="Runs, model folders or names of shipped models. Several are drawn into one "
            "figure where it can show them, the others are of the first.",
            show_default="default",
        ),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="This figure; may be repeated. A wrong name lists all."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the figures.", show_default="figures-MODEL")
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="Kind of file.")] = Format.PNG,
    theme: Themed = ThemeName.LIGHT,
    split: SplitOf = SplitName.TEST,
    data_dir: DataDir = None,
    digit: Annotated[
        int,
        typer.Option(min=0, help="Index of the tile that figures of a single one show."),
    ] = 0,
    chart: Annotated[
        MapName,
        typer.Option("--map", help="How `features` are mapped; tsne and umap: extra maps."),
    ] = MapName.PCA,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the files as a list in JSON.")
    ] = False,
) -> None:
    """Draw how a model learned, what it does and what it sees.

    Writes NAME.png or NAME.svg for each figure, and prints the paths. What a model has nothing to
    draw from is left out, and the reason told.
    """
    known = _known_figures(chart)
    chosen = _chosen(known, only)
    subjects = _subjects(models or ["default"], split.value, data_dir)
    with needs_extra("plots"):
        from digitlens.visualization.style import themed
    _check_digit(subjects[0], digit)
    folder = out or Path(f"figures-{safe_name(_label(subjects[0]))}")
    with themed(theme.value):
        files = [folder / f"{name}.{form.value}" for name in chosen]
        made = [
            path
            for path in files
            if _draw(known[path.stem], subjects, path, digit, tell=not as_json)
        ]
    if as_json:
        typer.echo(json.dumps([str(path) for path in made]))
    if only and len(made) < len(files):
        raise typer.Exit(1)


def _known_figures(chart: MapName) -> Mapping[str, Draw]:
    from digitlens.cli.figure_inside import INSIDE, features
    from digitlens.cli.figure_results import RESULTS

    return RESULTS | INSIDE | {"features": partial(features, method=chart.value)}


def _chosen(known: Mapping[str, Draw], only: Sequence[str] | None) -> list[str]:
    """The names asked for, each once, or all but those that take long."""
    from digitlens.cli.figure_results import SLOW

    if not only:
        note(f"left out, since they take longer: {', '.join(SLOW)} (--only NAME makes them)")
        return [name for name in known if name not in SLOW]
    if unknown := [name for name in only if name not in known]:
        raise typer.BadParameter(
            f"--only: expected one of {', '.join(known)}, found {', '.join(map(repr, unknown))}"
        )
    return list(dict.fromkeys(only))


def _subjects(
    models: Sequence[str], on: Literal["test", "validation"], data_dir: Path | None
) -> list[TrainedModel]:
    from digitlens.explain.trained_model import TrainedModel

    subjects = [TrainedModel(model, on=on, data_dir=data_dir) for model in models]
    if len(subjects) > 1:
        note(f"{' and '.join(SEVERAL)} show all models, the other figures {_label(subjects[0])}")
    return subjects


def _label(subject: TrainedModel) -> str:
    from digitlens.cli.figure_results import label

    return label(subject)


def _check_digit(subject: TrainedModel, digit: int) -> None:
    if digit and digit >= len(subject.split):  # 0 always is, and to look would load the data
        raise DataError(
            f"--digit: expected an index below {len(subject.split):,}, the number of tiles of "
            f"{subject.data_name}, found {digit}"
        )


def _draw(
    draw: Draw, subjects: Sequence[TrainedModel], path: Path, digit: int, *, tell: bool
) -> bool:
    """Whether a figure was made; if not, the reason is told."""
    try:
        with needs_extra("plots"):
            draw(subjects, path, digit)
    except DigitlensError as error:
        note(f"no {path.stem}: {error}")
        return False
    except OSError as error:
        raise DataError(f"{path} cannot be written ({error}): name another --out") from error
    if tell:
        typer.echo(str(path))
    return True
