"""How long does it take to train a network for digits, beside the examples of PyTorch and Keras?

    python benchmarks/training.py [--seeds 30] [--no-peers] [--peer-epochs N] [--recipe fast]
                                  [--set FIELD=VALUE] [--device cpu|auto] [--out FOLDER]

All in one run, in turn, in processes of their own with the same number of threads.

- digitlens: the recipe with so many seeds, each with its own split by writer, scored once on the
  test set. Seconds are those of everything that comes after the data is in memory, without export.
  The schedule is made for its end, so the time until 99.0 % is that of the whole training.
- PyTorch's basic MNIST example and Keras's ``mnist_convnet``, written anew from what their
  documentation describes (``worker.py``), one seed each: their seconds until an epoch ends with
  99.0 % on the test set, the tests not counted. There they are stopped.
- memory: the most that a process held in one training, libraries and data included.

The machine should have nothing else to do.
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
# Of each peer its name, its epochs as its documentation has them, and what it needs.
PEERS: dict[str, tuple[str, int, tuple[str, ...]]] = {
    "pytorch": ("basic MNIST example of PyTorch", 14, ()),
    "keras": ("Keras `mnist_convnet`", 15, harness.KERAS),
}
COLUMNS = (
    "network | seeds | seconds | of them at 99.0 % | epochs | test accuracy | memory, MB"
    " | times as long",
    "{title} | {seeds} | {seconds:.2f} | {seeds_at_aim} | {epochs} | {test_accuracy:.3%}"
    " | {memory_mb:.0f} | {ratio:.3g}",
)
NOTE = "{title}: {parameters:,} parameters; {versions}"


def main() -> None:
    options = parse_options()
    record = harness.provenance() | {"threads": options.threads, "aim": AIM}
    record |= {key: getattr(options, key) for key in ("recipe", "changes", "device")}
    record |= measure(options)
    record["summary"] = summary(record)
    found = figures(record["summary"])
    harness.publish(options.out, "training", record, report(record), found)


def parse_options() -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--seeds", type=int, default=30, help="of digitlens")
    made.add_argument("--recipe", default="fast", help="of digitlens")
    made.add_argument("--set", action="append", dest="changes", default=[], help="FIELD=VALUE")
    return made.parse_args()


def parser(doc: str | None) -> argparse.ArgumentParser:
    """A parser with the options of all benchmarks of training."""
    made = harness.parser(doc)
    made.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True)
    made.add_argument("--peer-epochs", type=int, help="at most, instead of all that are planned")
    made.add_argument("--threads", type=int, default=os.cpu_count())
    made.add_argument("--device", choices=("cpu", "auto"), default="cpu", help="auto: a GPU")
    return made


def measure(options: argparse.Namespace) -> Row:
    """What the processes said, and why some of them said nothing.

    The seeds come in parts before, between and after the peers, so that a machine that gets slower
    does so for all.
    """
    found: Row = {"parts": [], "peers": {}, "missing": {}}
    peers = list(PEERS) if options.peers else []
    seeds = np.array_split(np.arange(options.seeds), len(peers) + 1)
    with tempfile.TemporaryDirectory() as folder:
        tiles = harness.save_tiles(Path(folder), load_mnist())
        for part, peer in zip_longest(seeds, peers):
            if len(part):
                wanted = (options.recipe, part[0], part[-1] + 1, *options.changes)
                found["parts"].append(rows_of(OURS, wanted, options, found["missing"]))
            if peer:
                wanted = (tiles, options.peer_epochs or PEERS[peer][1], AIM)
                found["peers"][peer] = rows_of(peer, wanted, options, found["missing"])
    return found


def rows_of(who: str, wanted: Sequence[Any], options: Any, missing: dict[str, str]) -> list[Row]:
    """The rows of a process; none, and the reason in ``missing``, if it fails."""
    note(f"training: {who} {' '.join(map(str, wanted))}")
    hidden = {"CUDA_VISIBLE_DEVICES": ""} if options.device == "cpu" else {}
    task = ("train_seeds",) if who == OURS else ("train", who)
    arguments = (*task, options.threads, *wanted)
    packages = PEERS[who][2] if who in PEERS else ()

    def rows() -> list[Row]:
        with ExitStack() as stack:
            worker = harness.start_worker(packages, arguments, options, stack, **hidden)
            return worker.rows()

    return harness.available({who: rows}, missing).get(who, [])


def summary(record: Row) -> dict[str, Row]:
    """Of digitlens over its seeds, and of each peer beside it; without what is missing."""
    found: dict[str, Row] = {}
    ours = [row for part in record["parts"] for row in part]
    for name, said in {OURS: ours, **record["peers"]}.items():
        rows = [row for row in said if "seconds" in row]
        if not rows:
            continue
        rows = rows if name == OURS else rows[-1:]  # a peer has a row after each epoch
        known = {key: value for row in reversed(said) for key, value in row.items()}
        shares = [row["test_accuracy"] for row in rows]
        found[name] = {
            "seconds": spread([row["seconds"] for row in rows]),
            "test_accuracy": spread(shares),
            "seeds": len(rows),
            "seeds_at_aim": sum(share >= record["aim"] for share in shares),
            "epochs": rows[0].get("epoch") or known["epochs"],
            **{key: known.get(key) for key in ("parameters", "memory_mb", "versions")},
            "ratio": None,
        }
        # Who does not get there on average has no time in which others could be measured.
        both = found.get(OURS), found[name]
        if both[0] and min(one["test_accuracy"]["mean"] for one in both) >= record["aim"]:
            found[name]["ratio"] = both[1]["seconds"]["mean"] / both[0]["seconds"]["mean"]
    return found


def figures(found: dict[str, Row]) -> list[Figure]:
    """What two records are compared by, from a summary."""
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


def title(name: str, recipe: str) -> str:
    return PEERS[name][0] if name in PEERS else f"{name}, `{recipe}`"


def report(record: Row) -> str:
    found = record["summary"].items()
    rows = [row | {"title": title(name, record["recipe"])} for name, row in found]
    notes = [harness.show(NOTE, row) for row in rows]
    changes = "".join(f", {change}" for change in record["changes"])
    head = f"Training on {harness.place(record, 'threads')}{changes}."
    table = harness.table(COLUMNS, rows)
    return harness.document(head, table, notes=notes, missing=record["missing"])


if __name__ == "__main__":
    main()
