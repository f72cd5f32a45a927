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
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import harness
from digitlens.datasets.mnist import load_mnist
from digitlens.models.bundle import WEIGHTS, find_bundle, shipped_classifiers
from digitlens.models.session import cores
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


class Asked(NamedTuple):
    """A contender in its process: what it says of itself, and what was measured."""

    worker: harness.Worker
    about: Row
    one: list[float]  # seconds of each call with one tile
    many: list[float]  # tiles a second of each call with many

    def seconds(self, tiles: int, calls: int) -> list[float]:
        return self.worker.ask({"tiles": tiles, "calls": calls})["seconds"]

    def measure(self) -> None:
        """One turn; a few calls come first that are not counted."""
        self.seconds(1, WARM)
        self.one.extend(self.seconds(1, CALLS))
        count = self.about.get("most", MANY)
        self.many.extend(count / seconds for seconds in self.seconds(count, 1))


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
        ready = harness.available(jobs, record["missing"])
        harness.take_turns({name: asked.measure for name, asked in ready.items()}, options.rounds)
    record["results"] = {name: summary(contenders[name], asked) for name, asked in ready.items()}
    found = figures(record["results"])
    harness.publish(options.out, "classifying", record, report(record), found)


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


def start(entry: Entry, tiles: Path, options: Any, stack: ExitStack) -> Asked:
    """Waits until it is ready; raises UnavailableError if it ends instead."""
    arguments = ("classify", entry.kind, entry.folder, entry.cores, tiles)
    worker = harness.start_worker(PACKAGES.get(entry.kind, ()), arguments, options, stack)
    return Asked(worker, worker.reply(), [], [])


def summary(entry: Entry, timed: Asked) -> Row:
    """JSON-ready: microseconds of one tile, tiles a second of many."""
    middle, high = (1e6 * float(value) for value in np.quantile(timed.one, (0.5, 0.9)))
    least, many, most = (float(value) for value in np.quantile(timed.many, (0, 0.5, 1)))
    return timed.about | {
        "kind": entry.kind,
        "model": entry.model,
        "cores": entry.cores,
        "one": timed.one,
        "many": timed.many,
        "one_us": {"median": middle, "p90": high},
        "per_second": {"median": many, "least": least, "most": most},
    }


def figures(results: Mapping[str, Row]) -> list[Figure]:
    """What two records are compared by.

    Times of all, and how many times as long the peers take as digitlens with all cores; those of
    networks in PyTorch are beside the same network.
    """
    rows = list(results.values())
    most = max(row["cores"] for row in rows)
    found: list[Figure] = []
    for row in rows:
        peer, slow = row["kind"] in KINDS, row["cores"] < most
        words = ("classifying", row["kind"] * peer, row["model"], "one_core" * slow)
        name = ".".join(filter(None, words))
        one = [1e6 * seconds for seconds in row["one"]]
        found.append(Figure.median(f"{name}.one_tile", one, "µs", peer=peer))
        many = row["many"]
        found.append(Figure.median(f"{name}.many_tiles", many, "tiles/s", "higher", peer=peer))
        others = [] if peer or slow else [other for other in rows if other["kind"] in KINDS]
        for other in others:
            if other["model"] in ("", row["model"]):
                one_tile, many_tiles = _faster(row, other)
                found.append(Figure.ratio(f"{name}.one_tile.{other['kind']}", one_tile))
                found.append(Figure.ratio(f"{name}.many_tiles.{other['kind']}", many_tiles))
    return found


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
            "adds": f"{row['multiply_adds']:,}" if "multiply_adds" in row else "as in torch",
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
