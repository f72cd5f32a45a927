"""``digitlens report``: everything that is known of a classifier as one page to keep or send."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from digitlens.cli.options import AsJson, DataDir, SplitOf
from digitlens.cli.tables import cannot_write, print_json, safe_name
from digitlens.errors import ModelError, needs_extra

if TYPE_CHECKING:
    from digitlens.explain.trained_model import TrainedModel
    from digitlens.visualization.report.contents import Contents

PAGE = "report.html"


def report(
    model: Annotated[
        str,
        typer.Argument(metavar="RUN|MODEL", help="A run folder, a model folder or a shipped name."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="The file.", show_default="RUN/report.html, or report-MODEL.html"),
    ] = None,
    split: SplitOf = "test",
    data_dir: DataDir = None,
    quick: Annotated[bool, typer.Option("--quick", help="Leave robustness and speed out.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write one page in HTML that tells everything of a run or model, and needs nothing else.

    What was trained and how, scores, what was taken for what with the pictures behind it, errors
    with the training digits most alike, calibration, robustness, speed, recipe and provenance.
    """
    with needs_extra("plots"):
        from digitlens.visualization.report.contents import gather
        from digitlens.visualization.report.page import render
    from digitlens.explain.trained_model import TrainedModel

    _check(model)
    trained = TrainedModel(model, on=split, data_dir=data_dir)
    contents = gather(trained, quick=quick)
    path = out or _default(trained)
    page = render(contents).encode()
    _write(path, page)
    if as_json:
        print_json({"page": str(path), "bytes": len(page), **_values(contents)})
    else:
        typer.echo(path)


def _check(model: str) -> None:
    """Refuses what is no classifier of digitlens, before anything is measured."""
    from digitlens.models.bundle import find_bundle, load_card, pretrained_names
    from digitlens.training.recipe import Recipe
    from digitlens.training.run import MODEL, RECIPE

    if model not in pretrained_names() and Path(model).suffix.lower() == ".onnx":
        raise ModelError(
            f"{model} is a graph without a card: expected a run or model folder of digitlens; "
            f"digitlens evaluate --model {model}  scores it"
        )
    if (Path(model) / RECIPE).is_file() and not (Path(model) / MODEL).is_dir():
        raise ModelError(
            f"{model} has no finished model: go on with  digitlens train --resume {model}"
        )
    what = load_card(find_bundle(model)).recipe.get("architecture")
    if what and what not in Recipe.choices["architecture"]:
        raise ModelError(
            f"{model} is no classifier of tiles but one of {what}: expected a classifier, such as "
            "'default' or a run of  digitlens train"
        )


def _default(model: TrainedModel) -> Path:
    if model.run:
        return model.run / PAGE
    return Path(f"report-{safe_name(model.name)}.html")


def _write(path: Path, page: bytes) -> None:
    from digitlens import files

    try:
        files.write_bytes(path, page)
    except OSError as error:
        raise cannot_write(path, error) from error


def _values(contents: Contents) -> dict[str, Any]:
    """What was measured, JSON-ready."""
    values = contents.report.as_dict()
    if contents.robustness:
        values["robustness"] = contents.robustness.as_dict()
    if contents.speed:
        values["speed"] = contents.speed.as_dict()
    return values
