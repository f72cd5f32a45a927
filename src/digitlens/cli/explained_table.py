"""Prints an explanation: a few lines of plain words for each digit, and what each network said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from digitlens.cli.tables import plain_table, wide_console
from digitlens.visualization import words

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from digitlens.explain.explanation import DigitExplanation, Explanation


def print_story(story: Explanation) -> None:
    """Prints how a page was read, and why each of its digits was."""
    console = wide_console()
    console.print(f"{story.name}: {words.headline(story)}", style="bold")
    for line in words.how(story):
        console.print(line)
    for account in (*story.digits, *story.rejected):
        console.print()
        _print_account(console, account)


def _print_account(console: Console, account: DigitExplanation) -> None:
    rejected = account.digit.status == "rejected"
    console.print(
        f"{'rejected' if rejected else 'digit'} {account.number}: {words.found(account)}",
        style="bold yellow" if account.digit.status == "unsure" else "bold",
    )
    console.print(_opinions(account))
    for line in (*words.why(account), *words.alike(account)):
        console.print(f"  {line}")
    if account.attributions and account.attributions.counterfactuals:
        console.print(_changes(account))
    for line in words.changes(account):
        console.print(f"  {line}")


def _opinions(account: DigitExplanation) -> Table:
    table = plain_table("  network", "looks at", "says", left=3)
    for name, sees, said in words.opinions(account):
        table.add_row(f"  {name}", sees, said)
    return table


def _changes(account: DigitExplanation) -> Table:
    table = plain_table("  what would change the answer", "into", left=2)
    for change in account.attributions.counterfactuals if account.attributions else ():
        table.add_row(f"  {words.change(change)}", words.outcome(change))
    return table
