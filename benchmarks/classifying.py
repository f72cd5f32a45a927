"""How long does classifying a tile take, and how many tiles per second, next to other libraries?

    python benchmarks/classifying.py [--model NAME=FOLDER] [--rounds N] [--out FOLDER]

All in one run, taking turns, each in its own process (``worker.py``), on MNIST test tiles:

- digitlens: its shipped classifiers and those of ``--model``, with all cores and with one.
- torch: the same networks in PyTorch.
- Keras: the MNIST network of its documentation, with ``predict``; untrained, which is as fast.
- scikit-learn: ``SVC`` with its defaults, trained on 10,000 tiles, timed on 1,000.

digitlens and torch receive uint8, the others floats that were scaled beforehand, untimed. One
tile: microseconds per call. Many: tiles per second, 10,000 in one call, 2,048 for torch, in batches
of 512 where the user must choose. No call starts after two seconds. The machine should be idle:
PyTorch, whose threads wait for each other, suffers most from other load.
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
from harness import OURS, Figure, Row

ROUNDS, WARM_UPS, CALLS, MANY, TRAINING = 3, 5, 60, 10_000, 10_000
# Peers by kind of worker, which is also their name in figures.
KINDS = {"torch": "torch", "keras": "Keras, predict", "svc": "scikit-learn, SVC"}
PACKAGES = {"keras": harness.KERAS}
COLUMNS = (
    " | one tile, µs | tiles/s | right | speed-up over Keras, one tile | many tiles",
    "{name} | {one_us:,.0f} | {per_second:,.0f} | {accuracy:.2%} | {beside[0]:,.1f} x"
    " | {beside[1]:,.1f} x",
)


class Entry(NamedTuple):
    """A contender: kind of worker, a digitlens model's name and folder, and cores."""

    kind: str
    model: str
    folder: str
    cores: int


def main() -> None:
    cli = harness.parser(__doc__)
    cli.add_argument("--data-dir", type=Path, help="folder with the MNIST files")
    cli.add_argument("--model", action="append", default=[], help="NAME=FOLDER, another one")
    cli.add_argument("--rounds", type=int, default=ROUNDS, help="turns per contender")
    options = cli.parse_args()
    record = harness.provenance() | {"rounds": options.rounds, "missing": {}}
    contenders = entries(options.model)
    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        tiles = harness.save_tiles(Path(folder), load_mnist(options.data_dir), TRAINING)
        starts = {
            name: partial(start, entry, tiles, options, stack) for name, entry in contenders.items()
        }
        workers = harness.run_available(starts, record["missing"])
        jobs = {name: partial(measure, *each) for name, each in workers.items()}
        turns = harness.take_turns(jobs, options.rounds)
    record["results"] = {
        name: contenders[name]._asdict() | workers[name][1] | summary(turns[name]) for name in turns
    }
    harness.publish(options.out, "classifying", record, report(record), figures(record["results"]))


def entries(extra: list[str]) -> dict[str, Entry]:
    """Contenders by name: shipped classifiers, ``extra`` (NAME=FOLDER), and peers."""
    models = {name: name for name in shipped_classifiers()}
    models |= {name: path for name, _, path in (model.partition("=") for model in extra)}
    contenders: dict[str, Entry] = {}
    for name, model in models.items():
        for count in sorted({1, cores()}, reverse=True):
            title = f"{OURS}, {name}, {count} core{'s' * (count > 1)}"
            contenders[title] = Entry(OURS, name, model, count)
        if (find_bundle(model) / WEIGHTS).exists():
            contenders[f"torch, {name}"] = Entry("torch", name, model, cores())
    return contenders | {KINDS[kind]: Entry(kind, "", "", cores()) for kind in ("keras", "svc")}


def start(entry: Entry, tiles: Path, options: Any, stack: ExitStack) -> tuple[harness.Worker, Row]:
    """A worker and its description; raises UnavailableError if it ends instead."""
    arguments = ("classify", entry.kind, entry.folder, entry.cores, tiles)
    worker = harness.start_worker(PACKAGES.get(entry.kind, ()), arguments, options, stack)
    return worker, worker.reply()


def measure(worker: harness.Worker, about: Row) -> tuple[list[float], float]:
    """One turn: microseconds of each one-tile call, and tiles per second of a call with many."""
    count = about.get("most", MANY)
    worker.ask({"tiles": 1, "calls": WARM_UPS})
    one = worker.ask({"tiles": 1, "calls": CALLS})["seconds"]
    many = worker.ask({"tiles": count, "calls": 1})["seconds"]
    return [1e6 * seconds for seconds in one], count / many[0]


def summary(turns: list[tuple[list[float], float]]) -> Row:
    """JSON-ready: microseconds of one tile, tiles per second of many, and their medians."""
    one, many = [each for ones, _ in turns for each in ones], [speed for _, speed in turns]
    medians = {"one_us": float(np.median(one)), "per_second": float(np.median(many))}
    return {"one": one, "many": many} | medians


def figures(results: Mapping[str, Row]) -> list[Figure]:
    """The figures by which two records are compared.

    Times of all contenders, and the ratio of the peers' times to those of digitlens with all
    cores; PyTorch is compared on the same network.
    """
    rows = list(results.values())
    all_cores = max(row["cores"] for row in rows)
    found: list[Figure] = []
    for row in rows:
        peer, is_single_core = row["kind"] in KINDS, row["cores"] < all_cores
        parts = ("classifying", row["kind"] * peer, row["model"], "one_core" * is_single_core)
        one, many = (".".join(filter(None, (*parts, part))) for part in ("one_tile", "many_tiles"))
        found.append(Figure.median(one, row["one"], "µs", peer=peer))
        found.append(Figure.median(many, row["many"], "tiles/s", "higher", peer=peer))
        for other in () if peer or is_single_core else rows:
            if other["kind"] in KINDS and other["model"] in ("", row["model"]):
                for name, ratio in zip((one, many), _faster(row, other), strict=True):
                    found.append(Figure.ratio(f"{name}.{other['kind']}", ratio))
    return found


def _faster(row: Row, base: Row) -> tuple[float, float]:
    """The speed relative to another contender: with one tile, and with many."""
    return base["one_us"] / row["one_us"], row["per_second"] / base["per_second"]


def report(record: Row) -> str:
    results = record["results"]
    base = results.get(KINDS["keras"])
    rows = [{**row, "name": n, "beside": _faster(row, base or row)} for n, row in results.items()]
    notes = [
        "; ".join(sorted({row["versions"] for row in rows})),
        "Keras is not trained; SVC was trained on 10,000 tiles and timed on 1,000.",
    ]
    heading = f"Tiles classified on {harness.machine(record)}, {record['rounds']} rounds."
    table = harness.table(COLUMNS, rows)
    return harness.document(heading, table, notes=notes, missing=record["missing"])


if __name__ == "__main__":
    main()
