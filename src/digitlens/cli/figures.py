"""``digitlens figures``: any picture of how a model learned, what it does and what it sees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import typer

from digitlens.cli.options import AsJson, DataDir, SplitOf, Themed
from digitlens.cli.tables import cannot_write, print_json, safe_name
from digitlens.errors import DataError, DigitlensError, needs_extra
from digitlens.progress import note

if TYPE_CHECKING:
    from digitlens.explain.trained_model import TrainedModel


Format: TypeAlias = Literal["png", "svg"]
MapName: TypeAlias = Literal["pca", "tsne", "umap"]  # how features are brought to two dimensions


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
    form: Annotated[Format, typer.Option("--format", help="Kind of file.")] = "png",
    theme: Themed = "light",
    split: SplitOf = "test",
    data_dir: DataDir = None,
    digit: Annotated[
        int,
        typer.Option(min=0, help="Index of the tile that figures of a single one show."),
    ] = 0,
    chart: Annotated[
        MapName,
        typer.Option("--map", help="How `features` are mapped; tsne and umap: extra maps."),
    ] = "pca",
    as_json: AsJson = False,
) -> None:
    """Draw how a model learned, what it does and what it sees.

    Writes NAME.png or NAME.svg for each figure, and prints the paths. What a model has nothing to
    draw from is left out, and the reason told.
    """
    with needs_extra("plots"):
        from digitlens.visualization.figures.registry import FIGURES, SEVERAL, Shown
        from digitlens.visualization.theme import themed
    from digitlens.explain.trained_model import TrainedModel

    chosen = _chosen(only)
    trained = [TrainedModel(model, on=split, data_dir=data_dir) for model in models or ["default"]]
    if len(trained) > 1:
        note(f"{' and '.join(SEVERAL)} show all models, the other figures {trained[0].label}")
    _check_digit(trained[0], digit)
    folder = out or Path(f"figures-{safe_name(trained[0].label)}")
    shown, made = Shown(digit, chart), list[Path]()
    with themed(theme):
        for path in (folder / f"{name}.{form}" for name in chosen):
            if _is_drawn(partial(FIGURES[path.stem], trained, path, shown), path):
                made.append(path)
                if not as_json:
                    typer.echo(str(path))
    if as_json:
        print_json([str(path) for path in made])
    if only and len(made) < len(chosen):
        raise typer.Exit(1)


def _chosen(only: Sequence[str] | None) -> list[str]:
    """The names asked for, each once, or all but those that take long."""
    from digitlens.visualization.figures.registry import FIGURES, SLOW

    if not only:
        note(f"left out, since they take longer: {', '.join(SLOW)} (--only NAME makes them)")
        return [name for name in FIGURES if name not in SLOW]
    if unknown := [name for name in only if name not in FIGURES]:
        raise typer.BadParameter(
            f"--only: expected one of {', '.join(FIGURES)}, found {', '.join(map(repr, unknown))}"
        )
    return list(dict.fromkeys(only))


def _check_digit(model: TrainedModel, digit: int) -> None:
    if digit and digit >= len(model.split):  # 0 always is, and to look would load the data
        raise DataError(
            f"--digit: expected an index below {len(model.split):,}, the number of tiles of "
            f"{model.data_name}, found {digit}"
        )


def _is_drawn(draw: Callable[[], None], path: Path) -> bool:
    """Draws a figure; where that cannot be done, says why."""
    try:
        with needs_extra("plots"):
            draw()
    except DigitlensError as error:
        note(f"no {path.stem}: {error}")
        return False
    except OSError as error:
        raise cannot_write(path, error) from error
    return True
