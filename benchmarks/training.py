"""How long does training a digit network take, compared with PyTorch's and Keras's examples?

    python benchmarks/training.py [--seeds 30] [--no-peers] [--peer-epochs N] [--recipe fast]
                                  [--set FIELD=VALUE] [--device cpu|auto] [--out FOLDER]

All in one run, in turn, in separate processes with the same number of threads.

- digitlens: the recipe with N seeds, each with its own split by writer, scored once on the test
  set. The time starts when the data is in memory and excludes the export. The schedule is made for
  its end, so the time to 99.0 % is that of the whole training.
- PyTorch's basic MNIST example and Keras's ``mnist_convnet``, reimplemented from their
  documentation (``worker.py``), one seed each: seconds until an epoch ends with 99.0 % on the test
  set, excluding the tests. Training stops there.
- memory: peak memory of a process in one training, including libraries and data.

The machine should be idle.
"""

import argparse
import os
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

import harness
from digitlens.datasets.mnist import load_mnist
from digitlens.progress import note
from harness import OURS, Figure, Row, spread

AIM = 0.99  # accuracy on the test set
# Name of each peer, epochs according to its documentation, and packages.
PEERS: dict[str, tuple[str, int, tuple[str, ...]]] = {
    "pytorch": ("basic MNIST example of PyTorch", 14, ()),
    "keras": ("Keras `mnist_convnet`", 15, harness.KERAS),
}
COLUMNS = (
    "network | seeds | seconds | seeds at 99.0 % | epochs | test accuracy | memory, MB"
    " | relative time",
    "{title} | {seeds} | {seconds:.2f} | {seeds_at_aim} | {epochs} | {test_accuracy:.3%}"
    " | {memory_mb:.0f} | {ratio:.3g}",
)
NOTE = "{title}: {parameters:,} parameters; {versions}"


def main() -> None:
    cli = parser(__doc__)
    cli.add_argument("--seeds", type=int, default=30, help="digitlens's seeds")
    cli.add_argument("--recipe", default="fast", help="digitlens's recipe")
    cli.add_argument("--set", action="append", dest="changes", help="FIELD=VALUE")
    options = cli.parse_args()
    facts = {key: getattr(options, key) for key in ("threads", "changes", "device")}
    record = harness.provenance() | facts | measure(options, AIM, options.recipe, options.seeds)
    harness.publish(options.out, "training", record, report(record), figures(record["summary"]))


def parser(doc: str | None) -> argparse.ArgumentParser:
    """A parser with the options of all training benchmarks."""
    cli = harness.parser(doc)
    cli.set_defaults(changes=[])  # of the recipe
    cli.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True)
    cli.add_argument("--peer-epochs", type=int, help="limit on the peers' epochs")
    cli.add_argument("--threads", type=int, default=os.cpu_count())
    cli.add_argument("--device", choices=("cpu", "auto"), default="cpu", help="auto: a GPU if any")
    return cli


def measure(options: argparse.Namespace, aim: float, recipe: str, seeds: int) -> Row:
    """The rows of all processes, the reasons for missing ones, and a summary.

    The seeds run in parts before, between and after the peers, so that a machine that slows down
    affects all alike. The peers' examples are measured only with their aim, ``AIM``.
    """
    rows: Row = {"aim": aim, "recipe": recipe, "parts": [], "peers": {}, "missing": {}}
    peers = list(PEERS) if options.peers and aim == AIM else []
    parts = np.array_split(np.arange(seeds), len(peers) + 1)
    with tempfile.TemporaryDirectory() as folder:
        tiles = harness.save_tiles(Path(folder), load_mnist())
        for part, peer in zip_longest(parts, peers):
            if len(part):
                wanted = (recipe, part[0], part[-1] + 1, *options.changes)
                rows["parts"].append(rows_of(OURS, wanted, options, rows["missing"]))
            if peer:
                wanted = (tiles, options.peer_epochs or PEERS[peer][1], aim)
                rows["peers"][peer] = rows_of(peer, wanted, options, rows["missing"])
    return rows | {"summary": summary(rows)}


def rows_of(name: str, wanted: Sequence[Any], options: Any, missing: dict[str, str]) -> list[Row]:
    """The rows of a process; none, and the reason in ``missing``, if it fails."""
    note(f"training: {name} {' '.join(map(str, wanted))}")
    variables = {"CUDA_VISIBLE_DEVICES": ""} if options.device == "cpu" else {}
    task = ("train_seeds",) if name == OURS else ("train", name)
    arguments = (*task, options.threads, *wanted)
    packages = PEERS[name][2] if name in PEERS else ()

    def rows() -> list[Row]:
        with ExitStack() as stack:
            worker = harness.start_worker(packages, arguments, options, stack, **variables)
            return worker.rows()

    return harness.run_available({name: rows}, missing).get(name, [])


def summary(record: Row) -> dict[str, Row]:
    """Summary of digitlens over its seeds and of each peer, except missing ones."""
    summaries: dict[str, Row] = {}
    ours = [row for part in record["parts"] for row in part]
    for name, reported in {OURS: ours, **record["peers"]}.items():
        rows = [row for row in reported if "seconds" in row]
        if not rows:
            continue
        rows = rows if name == OURS else rows[-1:]  # a peer has a row after each epoch
        facts = {key: value for row in reversed(reported) for key, value in row.items()}
        shares = [row["test_accuracy"] for row in rows]
        summaries[name] = {
            "seconds": spread([row["seconds"] for row in rows]),
            "test_accuracy": spread(shares),
            "seeds": len(rows),
            "seeds_at_aim": sum(share >= record["aim"] for share in shares),
            "epochs": rows[0].get("epoch") or facts["epochs"],
            **{key: facts.get(key) for key in ("parameters", "memory_mb", "versions")},
            "ratio": None,
        }
        # Times are compared only if both reach the accuracy on average.
        both = summaries.get(OURS), summaries[name]
        if both[0] and min(one["test_accuracy"]["mean"] for one in both) >= record["aim"]:
            summaries[name]["ratio"] = both[1]["seconds"]["mean"] / both[0]["seconds"]["mean"]
    return summaries


def figures(found: dict[str, Row]) -> list[Figure]:
    """The figures of a summary by which two records are compared."""
    rows: list[Figure] = []
    for name, row in found.items():
        peer, n, seconds, share = name != OURS, row["seeds"], row["seconds"], row["test_accuracy"]
        head = f"training.{name}" if peer else "training"
        if row["ratio"] and peer:
            rows.append(Figure.ratio(head, row["ratio"]))
        if not peer:
            sd = share["sd"] and 100 * share["sd"]
            rows.append(Figure(f"{head}.accuracy", 100 * share["mean"], sd, n, "%", "higher"))
        if not peer or row["seeds_at_aim"]:
            mean = seconds["mean"], seconds["sd"], n
            rows.append(Figure(f"{head}.seconds", *mean, "s", "lower", peer))
        if row["memory_mb"]:
            rows.append(Figure(f"{head}.memory", row["memory_mb"], None, 1, "MB", "lower", peer))
    return rows


def titled(record: Row) -> list[Row]:
    """The summaries of a record, each with the title of its network."""
    titles = {name: title for name, (title, *_) in PEERS.items()}
    titles[OURS] = f"{OURS}, `{record['recipe']}`"
    return [row | {"title": titles[name]} for name, row in record["summary"].items()]


def report(record: Row) -> str:
    rows = titled(record)
    notes = [harness.show(NOTE, row) for row in rows]
    changes = "".join(f", {change}" for change in record["changes"])
    head = f"Training on {harness.machine(record, 'threads')}{changes}."
    table = harness.table(COLUMNS, rows)
    return harness.document(head, table, notes=notes, missing=record["missing"])


if __name__ == "__main__":
    main()
