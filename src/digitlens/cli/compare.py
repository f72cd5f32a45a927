"""``digitlens compare``: runs side by side on the same tiles, and whether one is really better."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digitlens.cli.options import AsJson, DataDir, Labelled, Outputs, Pixels, SplitName
from digitlens.cli.tables import print_comparison, print_json, write_part
from digitlens.progress import note

if TYPE_CHECKING:
    from digitlens.datasets.mnist import Split
    from digitlens.explain.trained_model import ComparedModel

REPORT, PICTURE, SHEET = "comparison.json", "comparison.png", "disagreements.png"


def compare(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...",
            help="Two or more run or model folders, names of shipped models, or .onnx files.",
        ),
    ],
    split: Annotated[
        SplitName, typer.Option(help="validation: the tiles that all of their recipes kept back.")
    ] = "validation",
    data_dir: DataDir = None,
    data: Labelled = None,
    out: Annotated[Path, typer.Option(help="Folder for report and pictures.")] = Path("comparison"),
    pixels: Pixels = None,
    outputs: Outputs = None,
    as_json: AsJson = False,
) -> None:
    """Compare runs on the same tiles, with McNemar's test for each pair."""
    if len(runs) < 2:
        raise typer.BadParameter(f"expected two or more runs to compare, found {len(runs)}")
    if data and (data_dir or split != "validation"):
        raise typer.BadParameter(
            "--data takes the place of MNIST: leave --data-dir and --split out"
        )
    from digitlens.explain.trained_model import compare_models, open_compared

    models = open_compared(runs, pixels, outputs)
    tiles, name = _load(models, split, data_dir, data)
    comparison = compare_models(models, tiles, name)

    def draw(folder: Path) -> list[Path]:
        from digitlens.visualization.figures.scores import draw_comparison, draw_disagreements

        draw_comparison(comparison, folder / PICTURE)
        draw_disagreements(comparison, tiles.tiles, folder / SHEET)
        return [folder / PICTURE, folder / SHEET]

    try:
        names = write_part(REPORT, comparison.as_dict(), draw, out)
        note(f"written to {out}: {', '.join(names)}")
    finally:
        if as_json:
            print_json(comparison.as_dict())
        else:
            print_comparison(comparison)


def _load(
    models: list[ComparedModel], split: SplitName, data_dir: Path | None, data: Path | None
) -> tuple[Split, str]:
    from digitlens.datasets.labelled import load_labelled
    from digitlens.datasets.mnist import load_mnist
    from digitlens.explain.trained_model import common_validation

    if data:
        return load_labelled(data), data.name
    if split == "test":
        return load_mnist(data_dir).test, "MNIST test"
    return common_validation(models, load_mnist(data_dir).train), "MNIST validation"
