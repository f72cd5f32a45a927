"""``digitlens compare``: runs side by side on the same tiles, and whether one is really better."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digitlens.cli.contenders import Contender, open_contenders
from digitlens.cli.evaluate import OutputKind, PixelScale
from digitlens.cli.options import DataDir, SplitName
from digitlens.cli.parts import write_part
from digitlens.cli.tables import plain_table, wide_console
from digitlens.errors import ModelError
from digitlens.progress import note, work_bar

if TYPE_CHECKING:
    from rich.table import Table

    from digitlens.datasets.mnist import Split
    from digitlens.evaluation.significance import Comparison, Pair

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
    contenders = open_contenders(
        runs, pixels.value if pixels else None, outputs.value if outputs else None
    )
    tiles, name = _load(contenders, split, data_dir, data)
    comparison = _compare(contenders, tiles, name)
    try:
        note(f"written to {out}: {', '.join(_write(comparison, tiles, out))}")
    finally:
        if as_json:
            typer.echo(json.dumps(comparison.as_dict(), indent=2))
        else:
            _print(comparison)


def _load(
    contenders: list[Contender], split: SplitName, data_dir: Path | None, data: Path | None
) -> tuple[Split, str]:
    from digitlens.datasets.labelled import load_labelled
    from digitlens.datasets.mnist import load_mnist

    if data:
        return load_labelled(data), data.name
    if split is SplitName.TEST:
        return load_mnist(data_dir).test, "MNIST test"
    return _validation(contenders, load_mnist(data_dir).train), "MNIST validation"


def _validation(contenders: list[Contender], train: Split) -> Split:
    """The tiles that none of the models has learned from."""
    from digitlens.evaluation.report import data_sha256

    # Somebody else's model may have learned from any of them.
    kept = [one.recipe.split(train)[1] if one.recipe else None for one in contenders]
    hashes = [data_sha256(tiles) if tiles else "" for tiles in kept]
    if kept[0] and hashes[0] and len(set(hashes)) == 1:
        return kept[0]
    held = "; ".join(f"{one.name}: {_held_back(one)}" for one in contenders)
    raise ModelError(
        f"the models did not keep back the same tiles ({held}), so that some have learned what "
        "others have not: compare on tiles that none of them knows, with --split test or "
        "--data FOLDER"
    )


def _held_back(one: Contender) -> str:
    if one.recipe is None:
        return "no recipe"
    if one.recipe.validation not in {"writer", "random"}:
        return "none"
    return f"{one.recipe.validation_share:.0%} by {one.recipe.validation}, seed {one.recipe.seed}"


def _compare(contenders: list[Contender], tiles: Split, name: str) -> Comparison:
    from digitlens.evaluation.report import evaluate
    from digitlens.evaluation.significance import compare as put_together

    with work_bar() as bar:
        task = bar.add_task("comparing", total=len(tiles) * len(contenders))
        reports = {
            one.name: evaluate(
                one.predict_proba,
                tiles,
                model=one.info,
                data_name=name,
                on_progress=lambda n: bar.advance(task, n),
            )
            for one in contenders
        }
    return put_together(name, reports, {one.name: one.facts for one in contenders})


def _write(comparison: Comparison, tiles: Split, folder: Path) -> list[str]:
    def draw() -> list[Path]:
        from digitlens.visualization.comparison import draw_comparison, draw_disagreements

        draw_comparison(comparison, folder / PICTURE)
        draw_disagreements(comparison, tiles.tiles, folder / SHEET)
        return [folder / PICTURE, folder / SHEET]

    return write_part(folder / REPORT, comparison.as_dict(), draw)


def _print(comparison: Comparison) -> None:
    console = wide_console()
    console.print(f"{comparison.data}, {comparison.n:,} tiles")
    console.print()
    console.print(_runs(comparison))
    if differences := comparison.recipe_differences():
        console.print()
        console.print(_recipes(comparison, differences))
    console.print()
    console.print(_pairs(comparison))
    console.print()
    for pair in comparison.pairs:
        console.print(_verdict(pair), soft_wrap=True)


def _runs(comparison: Comparison) -> Table:
    table = plain_table(
        *("run", "accuracy", "95 % interval", "wrong", "loss", "calibration error"),
        *("parameters", "KB", "training s"),
    )
    for name, report in comparison.reports.items():
        facts, (low, high) = comparison.facts[name], report.interval
        seconds = facts.training_seconds
        table.add_row(
            name,
            f"{report.accuracy:.2%}",
            f"{low:.2%} to {high:.2%}",
            f"{report.score.errors:,}",
            f"{report.loss:.4f}",
            f"{report.ece:.2%}",
            "-" if facts.parameters is None else f"{facts.parameters:,}",
            f"{facts.size / 1000:,.0f}",
            "-" if seconds is None else f"{seconds:,.1f}",
        )
    return table


def _recipes(comparison: Comparison, differences: dict[str, list[object]]) -> Table:
    from digitlens.training.settings import shown

    table = plain_table("recipe", *comparison.names)
    for name, values in differences.items():
        table.add_row(name, *("-" if value is None else shown(value) for value in values))
    return table


def _pairs(comparison: Comparison) -> Table:
    several = len(comparison.pairs) > 1
    headings = ("pair", "only first right", "only second right", "both wrong", "difference")
    more = ("p by Holm",) if several else ()
    table = plain_table(*headings, "95 % interval", "McNemar p", *more)
    for pair in comparison.pairs:
        low, high = pair.interval
        table.add_row(
            f"{pair.first} - {pair.second}",
            *(f"{count:,}" for count in (pair.only_first, pair.only_second, pair.both_wrong)),
            f"{pair.difference:+.2%}",
            f"{low:+.2%} to {high:+.2%}",
            f"{pair.p:.2g}",
            *((f"{pair.p_holm:.2g}",) if several else ()),
        )
    return table


def _verdict(pair: Pair) -> str:
    better, worse = (pair.first, pair.second) if pair.difference > 0 else (pair.second, pair.first)
    if pair.p_holm < 0.05:
        return f"{better} is better than {worse} (p = {pair.p_holm:.2g})"
    return f"{pair.first} and {pair.second} cannot be told apart on these tiles"
