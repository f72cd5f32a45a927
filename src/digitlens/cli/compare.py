"""``digitlens compare``: runs side by side on the same tiles, and whether one is really better."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digitlens.cli.evaluate import OutputKind, PixelScale
from digitlens.cli.options import DataDir, SplitName
from digitlens.cli.tables import write_part
from digitlens.progress import note

if TYPE_CHECKING:
    from digitlens.datasets.mnist import Split
    from digitlens.explain.measurements import ComparedModel

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
    ] = SplitName.VALIDATION,
    data_dir: DataDir = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER|ZIP", help="Labelled tiles of your own instead of MNIST."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for report and pictures.")] = Path("comparison"),
    pixels: Annotated[
        PixelScale | None, typer.Option(help="For .onnx files, as for `digitlens evaluate`.")
    ] = None,
    outputs: Annotated[
        OutputKind | None, typer.Option(help="For .onnx files, as for `digitlens evaluate`.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON.")] = False,
) -> None:
    """Compare runs on the same tiles, with McNemar's test for each pair."""
    if len(runs) < 2:
        raise typer.BadParameter(f"expected two or more runs to compare, found {len(runs)}")
    if data and (data_dir or split is not SplitName.VALIDATION):
        raise typer.BadParameter(
            "--data takes the place of MNIST: leave --data-dir and --split out"
        )
    from digitlens.cli.evaluation_tables import print_comparison
    from digitlens.explain.measurements import compare_models, open_compared

    models = open_compared(
        runs, pixels.value if pixels else None, outputs.value if outputs else None
    )
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
            typer.echo(json.dumps(comparison.as_dict(), indent=2))
        else:
            print_comparison(comparison)


def _load(
    models: list[ComparedModel], split: SplitName, data_dir: Path | None, data: Path | None
) -> tuple[Split, str]:
    from digitlens.datasets.labelled import load_labelled
    from digitlens.datasets.mnist import load_mnist
    from digitlens.explain.measurements import common_validation

    if data:
        return load_labelled(data), data.name
    if split is SplitName.TEST:
        return load_mnist(data_dir).test, "MNIST test"
    return common_validation(models, load_mnist(data_dir).train), "MNIST validation"
