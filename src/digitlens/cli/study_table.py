"""A study as text on standard output: its best trials, and what came of the others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from digitlens.cli.tables import plain_table, wide_console

if TYPE_CHECKING:
    from rich.table import Table

    from digitlens.training.search_space import StudyResult, Trial

SHOWN = 10  # trials in the table


def print_study(result: StudyResult, best: Path) -> None:
    """Prints the best trials, how many there are, and how to train the best.

    Args:
        result: What was found.
        best: The file with the best recipe.
    """
    console = wide_console()
    if result.ranked:
        console.print(_table(result))
        console.print()
    console.print(_counts(result), soft_wrap=True)
    if result.importance:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in result.importance.items())
        console.print(f"what mattered: {shares}", soft_wrap=True)
    for trial in result.trials:
        if trial.state == "failed":
            reason = trial.reason or "its process ended"
            console.print(f"trial {trial.number} failed: {reason}", soft_wrap=True)
    if result.best:
        console.print(_best(result.best, result), soft_wrap=True)
        console.print(f"train the best with  digitlens train --recipe {best}", soft_wrap=True)


def _counts(result: StudyResult) -> str:
    counts = [
        f"{count} {state}"
        for state in ("complete", "pruned", "failed", "running")
        if (count := result.count(state))
    ]
    return f"{len(result.trials)} trials: {', '.join(counts)}" if counts else "no trials yet"


def _best(best: Trial, result: StudyResult) -> str:
    """The best trial, with Wilson's interval as if its seeds were one: they read the same tiles."""
    from digitlens.evaluation.metrics import wilson_interval

    accuracy = best.accuracy or 0.0
    low, high = wilson_interval(round(accuracy * result.tiles), result.tiles)
    # The more trials, the luckier the best of them: the interval is not of a choice.
    return (
        f"best: trial {best.number}, {accuracy:.2%} of {result.tiles:,} validation tiles (95 % "
        f"interval {low:.2%} to {high:.2%}); being the best of {result.count('complete')}, it "
        "reads other tiles somewhat worse"
    )


def _table(result: StudyResult) -> Table:
    names = [one.name for one in result.space.dimensions]
    table = plain_table("trial", "accuracy", "loss", "seconds", *names, left=0)
    for trial in result.ranked[:SHOWN]:
        loss = sum(trial.losses) / max(1, len(trial.losses))
        table.add_row(
            str(trial.number),
            f"{trial.accuracy or 0.0:.2%}",
            f"{loss:.4f}",
            f"{trial.seconds:.1f}",
            *(_short(trial.chosen[name]) for name in names),
        )
    return table


def chosen_text(trial: Trial) -> str:
    """What a trial chose, on one line."""
    return ", ".join(f"{name}={_short(value)}" for name, value in trial.chosen.items())


def _short(value: str | float) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
