"""How long does a tile take to classify, and how many a second are, beside other libraries?

    python benchmarks/classifying.py [--model NAME=FOLDER] [--rounds N] [--out FOLDER]

In one run, in turns, each in a process of its own (``worker.py``), on tiles of the MNIST test set:

- digitlens: its shipped classifiers and those of ``--model``, with all cores and with one.
- torch: the same networks in PyTorch.
- Keras: its documentation's network for MNIST, by ``predict``. Not trained, which is as fast. What
  it needs is installed below ``build/`` by the first run.
- scikit-learn: ``SVC`` with its defaults, trained on 10,000 tiles, timed on 1,000.

digitlens and torch are handed uint8; Keras and scikit-learn numbers that were scaled beforehand,
which is not timed. One tile: microseconds of a call, median and 90 % quantile. Many: 10,000 tiles
in one call, tiles a second, median and range; 2,048 for torch; batches of 512 where the user has to
choose. Who is slow gets fewer calls: none is begun after two seconds. The machine should have
nothing else to do: networks in PyTorch, whose threads wait for each other, suffer most from it.
"""

import argparse
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cost_reading import graph_work
from digitlens.datasets.mnist import load_mnist
from digitlens.models.bundle import WEIGHTS, find_bundle, load_bundle
from digitlens.models.roles import shipped_classifiers
from digitlens.models.session import cores
from digitlens.progress import note
from harness import (
    KERAS,
    Figure,
    Row,
    UnavailableError,
    Worker,
    parser,
    percent,
    place,
    provenance,
    publish,
    start_worker,
    table,
)

ROUNDS, WARM, CALLS, MANY, TRAINING = 3, 5, 60, 10_000, 10_000
# Peers by kind of worker, which is their name in figures too.
KINDS = {"torch": "torch", "keras": "Keras, predict", "svc": "scikit-learn, SVC"}


class Entry(NamedTuple):
    """Whom to ask: a kind of worker, a model's name and folder (of digitlens), and cores."""

    kind: str
    model: str
    folder: str
    cores: int


@dataclass
class Timed:
    """Who is timed, and what came of it.

    Attributes:
        worker: Answers questions.
        entry: Whom it stands for.
        about: What the worker says of itself.
        one: Seconds of each call with one tile.
        many: Tiles a second of each call with many.
    """

    worker: Worker
    entry: Entry
    about: Row = field(default_factory=dict[str, Any])
    one: list[float] = field(default_factory=list[float])
    many: list[float] = field(default_factory=list[float])

    def get_ready(self) -> None:
        """Waits for what it says of itself; raises UnavailableError if it ends instead."""
        self.about = self.worker.reply()

    def ask(self, tiles: int, calls: int) -> list[float]:
        return self.worker.ask({"tiles": tiles, "calls": calls})["seconds"]


def main() -> None:
    made = parser(__doc__, environments=True)
    made.add_argument("--data-dir", type=Path, help="folder with the MNIST files")
    made.add_argument("--model", action="append", default=[], help="NAME=FOLDER of one more")
    made.add_argument("--rounds", type=int, default=ROUNDS, help="turns of each")
    options = made.parse_args()
    about = provenance() | {"rounds": options.rounds}
    models = _models(options.model)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        contenders, missing = start_all(models, options, folder, stack)
        measure(contenders, options.rounds)
        results = {name: summary(timed) for name, timed in contenders.items()}
    record = about | {"missing": missing, "results": results}
    publish(options.out, "classifying", record, report(record), figures(results))


def _models(more: list[str]) -> dict[str, str]:
    shipped = {name: name for name in shipped_classifiers()}
    return shipped | {name: path for name, _, path in (entry.partition("=") for entry in more)}


def start_all(
    models: dict[str, str], options: argparse.Namespace, folder: Path, stack: ExitStack
) -> tuple[dict[str, Timed], dict[str, str]]:
    """Who can be timed, and by name why others cannot; all start at once."""
    tiles, entries = _material(options.data_dir, folder), _entries(models)
    contenders: dict[str, Timed] = {}
    missing: dict[str, str] = {}
    note(f"starting {'; '.join(entries)}")
    for name, entry in entries.items():
        try:
            contenders[name] = _start(entry, tiles, options, stack)
        except UnavailableError as reason:
            missing[name] = str(reason)
    for name, timed in list(contenders.items()):
        try:
            timed.get_ready()
        except UnavailableError as reason:
            missing[name] = str(reason)
            del contenders[name]
    return contenders, missing


def _start(entry: Entry, tiles: str, options: argparse.Namespace, stack: ExitStack) -> Timed:
    packages = KERAS if entry.kind == "keras" else ()
    arguments = ("classify", entry.kind, entry.folder, entry.cores, tiles)
    worker = start_worker(packages, arguments, options, stack)
    return Timed(worker, entry)


def _material(data_dir: Path | None, folder: Path) -> str:
    mnist, path = load_mnist(data_dir), folder / "tiles.npz"
    np.savez(
        path,
        tiles=mnist.test.tiles,
        labels=mnist.test.labels,
        train_tiles=mnist.train.tiles[:TRAINING],
        train_labels=mnist.train.labels[:TRAINING],
    )
    return str(path)


def _entries(models: dict[str, str]) -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    for name, model in models.items():
        for count in sorted({1, cores()}, reverse=True):
            title = f"digitlens, {name}, {count} core{'s' * (count > 1)}"
            entries[title] = Entry("digitlens", name, model, count)
        if (find_bundle(model) / WEIGHTS).exists():
            entries[f"torch, {name}"] = Entry("torch", name, model, cores())
    return entries | {KINDS[kind]: Entry(kind, "", "", cores()) for kind in ("keras", "svc")}


def measure(contenders: dict[str, Timed], rounds: int) -> None:
    """Each in turn, as often as there are rounds; a few calls come first that are not counted."""
    for number in range(rounds):
        note(f"round {number + 1} of {rounds}")
        for timed in contenders.values():
            timed.ask(1, WARM)
            timed.one += timed.ask(1, CALLS)
            count = timed.about.get("most", MANY)
            timed.many += [count / seconds for seconds in timed.ask(count, 1)]


def summary(timed: Timed) -> Row:
    """JSON-ready: microseconds of one tile, tiles a second of many."""
    entry, about = timed.entry, dict(timed.about)
    if entry.kind == "digitlens":
        tile = {"tiles": np.zeros((1, 28, 28), np.uint8)}
        work = graph_work(load_bundle(entry.folder).graph, tile, ["probabilities"])
        about["multiply_adds"] = int(work.flops / 2)
    middle, high = (1e6 * float(value) for value in np.quantile(timed.one, (0.5, 0.9)))
    return about | {
        "kind": entry.kind,
        "model": entry.model,
        "cores": entry.cores,
        "one": timed.one,
        "many": timed.many,
        "one_us": {"median": middle, "p90": high},
        "per_second": {
            "median": float(np.median(timed.many)),
            "least": min(timed.many),
            "most": max(timed.many),
        },
    }


def figures(results: Mapping[str, Row]) -> list[Figure]:
    """What two records are compared by.

    Of each classifier of digitlens the times with all cores and with one, and how many times as
    long the peers take; those of networks in PyTorch are beside the same network. Then the times of
    the peers.
    """
    rows = list(results.values())
    most = max(row["cores"] for row in rows)
    peers = [row for row in rows if row["kind"] in KINDS]
    found: list[Figure] = []
    for row in rows:
        if row["kind"] == "digitlens":
            name = f"classifying.{row['model']}"
            found += _times(name if row["cores"] == most else f"{name}.one_core", row)
            if row["cores"] == most:
                found += [each for peer in peers for each in _ratios(name, row, peer)]
    for peer in peers:
        model = f".{peer['model']}" if peer["model"] else ""
        found += _times(f"classifying.{peer['kind']}{model}", peer, peer=True)
    return found


def _times(name: str, row: Row, *, peer: bool = False) -> list[Figure]:
    one = [1e6 * seconds for seconds in row["one"]]
    return [
        Figure.median(f"{name}.one_tile", one, "µs", peer=peer),
        Figure.median(f"{name}.many_tiles", row["many"], "tiles/s", "higher", peer=peer),
    ]


def _ratios(name: str, ours: Row, peer: Row) -> Iterator[Figure]:
    if peer["model"] in ("", ours["model"]):
        one = peer["one_us"]["median"] / ours["one_us"]["median"]
        many = ours["per_second"]["median"] / peer["per_second"]["median"]
        yield Figure.ratio(f"{name}.one_tile.{peer['kind']}", one)
        yield Figure.ratio(f"{name}.many_tiles.{peer['kind']}", many)


def report(record: dict[str, Any]) -> str:
    results = record["results"]
    head = ["", "one tile, µs", "p90", "tiles a second", "range", "multiply-adds a tile", "right"]
    rows = [_row(name, row, results.get(KINDS["keras"])) for name, row in results.items()]
    notes = [
        "; ".join(sorted({row["versions"] for row in results.values()})),
        "Keras is not trained; SVC learned 10,000 tiles and was asked 1,000.",
        *(f"{name}: not available, {reason}" for name, reason in record["missing"].items()),
    ]
    return (
        f"Tiles classified on {place(record)}, {record['rounds']} rounds.\n\n"
        + table([*head, f"one, beside {KINDS['keras']}", "many"], rows)
        + "".join(["\n", *(f"- {note}\n" for note in notes)])
    )


def _row(name: str, row: Row, base: Row | None) -> list[str]:
    one, many = row["one_us"], row["per_second"]
    return [
        name,
        f"{one['median']:,.0f}",
        f"{one['p90']:,.0f}",
        f"{many['median']:,.0f}",
        f"{many['least']:,.0f} to {many['most']:,.0f}",
        f"{row['multiply_adds']:,}" if "multiply_adds" in row else "as above",
        percent(row["accuracy"], 2),
        f"{base['one_us']['median'] / one['median']:,.1f} x" if base else "",
        f"{many['median'] / base['per_second']['median']:,.1f} x" if base else "",
    ]


if __name__ == "__main__":
    main()
