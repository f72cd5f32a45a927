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

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import harness
from cost_reading import graph_work
from digitlens.datasets.mnist import load_mnist
from digitlens.models.bundle import WEIGHTS, find_bundle, load_bundle, shipped_classifiers
from digitlens.models.session import cores
from digitlens.progress import note
from harness import Figure, Row

ROUNDS, WARM, CALLS, MANY, TRAINING = 3, 5, 60, 10_000, 10_000
# Peers by kind of worker, which is their name in figures too.
KINDS = {"torch": "torch", "keras": "Keras, predict", "svc": "scikit-learn, SVC"}
PACKAGES = {"keras": harness.KERAS}
COLUMNS = (
    " | one tile, µs | p90 | tiles a second | range | multiply-adds a tile | right"
    " | one, beside Keras, predict | many",
    "{name} | {one_us[median]:,.0f} | {one_us[p90]:,.0f} | {per_second[median]:,.0f}"
    " | {per_second[least]:,.0f} to {per_second[most]:,.0f} | {adds} | {accuracy:.2%}"
    " | {beside[0]} | {beside[1]}",
)


class Entry(NamedTuple):
    """Whom to ask: a kind of worker, a model's name and folder (of digitlens), and cores."""

    kind: str
    model: str
    folder: str
    cores: int


@dataclass
class Timed:
    """Seconds of each call with one tile, and tiles a second of each call with many."""

    worker: harness.Worker
    one: list[float] = field(default_factory=list[float])
    many: list[float] = field(default_factory=list[float])
    about: Row = field(default_factory=dict[str, Any])

    def get_ready(self) -> "Timed":
        """Waits for what it says of itself; raises UnavailableError if it ends instead."""
        self.about = self.worker.reply()
        return self

    def ask(self, tiles: int, calls: int) -> list[float]:
        return self.worker.ask({"tiles": tiles, "calls": calls})["seconds"]

    def measure(self) -> None:
        """One turn; a few calls come first that are not counted."""
        self.ask(1, WARM)
        self.one += self.ask(1, CALLS)
        count = self.about.get("most", MANY)
        self.many += [count / seconds for seconds in self.ask(count, 1)]


def main() -> None:
    made = harness.parser(__doc__, environments=True)
    made.add_argument("--data-dir", type=Path, help="folder with the MNIST files")
    made.add_argument("--model", action="append", default=[], help="NAME=FOLDER of one more")
    made.add_argument("--rounds", type=int, default=ROUNDS, help="turns of each")
    options = made.parse_args()
    record = harness.provenance() | {"rounds": options.rounds, "missing": {}}
    contenders = entries(options.model)
    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        tiles = write_tiles(options.data_dir, Path(folder))
        jobs = {
            name: partial(start, entry, tiles, options, stack) for name, entry in contenders.items()
        }
        # All start at once: each is waited for after the last has begun.
        begun = harness.available(jobs, record["missing"])
        waits = {name: timed.get_ready for name, timed in begun.items()}
        ready = harness.available(waits, record["missing"])
        for number in range(options.rounds):
            note(f"round {number + 1} of {options.rounds}")
            for timed in ready.values():
                timed.measure()
    results = {name: summary(contenders[name], timed) for name, timed in ready.items()}
    record["results"] = results
    harness.publish(options.out, "classifying", record, report(record), figures(results))


def entries(more: list[str]) -> dict[str, Entry]:
    """Contenders by name: shipped classifiers and more (NAME=FOLDER), and peers."""
    models = {name: name for name in shipped_classifiers()}
    models |= {name: path for name, _, path in (model.partition("=") for model in more)}
    found: dict[str, Entry] = {}
    for name, model in models.items():
        for count in sorted({1, cores()}, reverse=True):
            title = f"digitlens, {name}, {count} core{'s' * (count > 1)}"
            found[title] = Entry("digitlens", name, model, count)
        if (find_bundle(model) / WEIGHTS).exists():
            found[f"torch, {name}"] = Entry("torch", name, model, cores())
    return found | {KINDS[kind]: Entry(kind, "", "", cores()) for kind in ("keras", "svc")}


def write_tiles(data_dir: Path | None, folder: Path) -> Path:
    mnist, path = load_mnist(data_dir), folder / "tiles.npz"
    train = {"tiles": mnist.train.tiles[:TRAINING], "labels": mnist.train.labels[:TRAINING]}
    parts = {f"train_{name}": values for name, values in train.items()}
    np.savez(path, tiles=mnist.test.tiles, labels=mnist.test.labels, **parts)
    return path


def start(entry: Entry, tiles: Path, options: Any, stack: ExitStack) -> Timed:
    arguments = ("classify", entry.kind, entry.folder, entry.cores, tiles)
    return Timed(harness.start_worker(PACKAGES.get(entry.kind, ()), arguments, options, stack))


def summary(entry: Entry, timed: Timed) -> Row:
    """JSON-ready: microseconds of one tile, tiles a second of many."""
    about = dict(timed.about)
    if entry.kind == "digitlens":
        tile = {"tiles": np.zeros((1, 28, 28), np.uint8)}
        work = graph_work(load_bundle(entry.folder).graph, tile, ["probabilities"])
        about["multiply_adds"] = int(work.flops / 2)
    middle, high = (1e6 * float(value) for value in np.quantile(timed.one, (0.5, 0.9)))
    many = {"median": float(np.median(timed.many))}
    return about | {
        "kind": entry.kind,
        "model": entry.model,
        "cores": entry.cores,
        "one": timed.one,
        "many": timed.many,
        "one_us": {"median": middle, "p90": high},
        "per_second": many | {"least": min(timed.many), "most": max(timed.many)},
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
    for row in (row for row in rows if row["kind"] == "digitlens"):
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
        for key, times in zip(("one_tile", "many_tiles"), _faster(ours, peer), strict=True):
            yield Figure.ratio(f"{name}.{key}.{peer['kind']}", times)


def _faster(row: Row, base: Row) -> tuple[float, float]:
    """How many times as fast as another: with one tile, and with many."""
    return (
        base["one_us"]["median"] / row["one_us"]["median"],
        row["per_second"]["median"] / base["per_second"]["median"],
    )


def report(record: Row) -> str:
    results = record["results"]
    base = results.get(KINDS["keras"])
    rows = [
        {
            **row,
            "name": name,
            "adds": f"{row['multiply_adds']:,}" if "multiply_adds" in row else "as above",
            "beside": [f"{times:,.1f} x" for times in _faster(row, base)] if base else ["", ""],
        }
        for name, row in results.items()
    ]
    notes = [
        "; ".join(sorted({row["versions"] for row in rows})),
        "Keras is not trained; SVC learned 10,000 tiles and was asked 1,000.",
        *(f"{name}: not available, {reason}" for name, reason in record["missing"].items()),
    ]
    where = f"Tiles classified on {harness.place(record)}, {record['rounds']} rounds."
    return harness.document(where, harness.table(COLUMNS, rows), notes=notes)


if __name__ == "__main__":
    main()
