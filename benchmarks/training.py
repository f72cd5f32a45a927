"""How long does it take to train a network for digits, beside the examples of PyTorch and Keras?

    python benchmarks/training.py [--seeds 30] [--no-peers] [--peer-epochs N] [--recipe fast]
                                  [--set FIELD=VALUE] [--device cpu|auto] [--out FOLDER]

All in one run, in turn, in processes of their own with the same number of threads.

- digitlens: the recipe with so many seeds. Each has its own split by writer, ends as its recipe
  says, and sees the test set once. Seconds are those of everything that comes after the data is in
  memory: augmentation, steps, validation, what is saved. Import, loading and export are not in
  them; what a recipe compiles is stated apart. The schedule is made for its end, so the time until
  99.0 % is that of the whole training.
- PyTorch's basic MNIST example and Keras's ``mnist_convnet``, written anew from what their
  documentation describes (``worker.py``), one seed each: their seconds until an epoch ends with
  99.0 % on the test set, the tests not counted. There they are stopped; ``planned`` is what all
  epochs of the example would take at the same pace.
- memory: the most that a process held in one training, libraries and data included.

The machine should have nothing else to do.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

import harness
from digitlens.datasets.mnist import Split, load_mnist
from digitlens.progress import note
from digitlens.training.loop import choose_device
from digitlens.training.recipe import Recipe, load_recipe
from digitlens.training.tasks.tile import train_classifier
from digitlens.training.tile_networks import count_parameters, predict_logits
from harness import Figure, Row
from worker import peak_memory

AIM = 0.99  # accuracy on the test set
PATIENCE = 1800.0  # seconds for one process


class Peer(NamedTuple):
    """What a peer is called, its epochs as its documentation has them, and what it needs."""

    title: str
    epochs: int
    packages: tuple[str, ...] = ()


PEERS = {
    "pytorch": Peer("basic MNIST example of PyTorch", 14),
    "keras": Peer("Keras `mnist_convnet`", 15, harness.KERAS),
}
COLUMNS = (
    "epochs | test accuracy | planned, s | memory, MB | times as long",
    "{epochs} | {accuracy} | {planned} | {memory_mb:.0f} | {times}",
)
OUR_NOTE = (
    "digitlens: seconds of the whole training, for whose end its schedule is made; {seeds_at_aim} "
    "of {seeds} seeds end at {aim} or more. First training of a process {first_seconds:.2f} s; "
    "compiling, not counted, {compile_seconds[mean]:.2f} s; {parameters:,} parameters; {versions}, "
    "{device}"
)
PEER_NOTE = (
    "{title}: one seed, stopped at the end of the first epoch with {aim} of the {planned_epochs} "
    "planned; {parameters:,} parameters; {versions}"
)


def main() -> None:
    options = parse_options()
    record = harness.provenance() | {"threads": options.threads, "aim": AIM}
    record |= {key: getattr(options, key) for key in ("recipe", "changes", "device")}
    record |= measure(options)
    record["summary"] = summary(record)
    found = figures(record["summary"])
    harness.publish(options.out, "training", record, report(record), found)


def parse_options() -> argparse.Namespace:
    made = harness.parser(__doc__, environments=True)
    made.add_argument("--seeds", type=int, default=30, help="of digitlens")
    made.add_argument("--recipe", default="fast", help="of digitlens")
    made.add_argument("--set", action="append", dest="changes", default=[], help="FIELD=VALUE")
    made.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True)
    made.add_argument("--peer-epochs", type=int, help="at most, instead of all that are planned")
    made.add_argument("--threads", type=int, default=os.cpu_count())
    made.add_argument("--device", choices=("cpu", "auto"), default="cpu", help="auto: a GPU")
    return made.parse_args()


def measure(options: argparse.Namespace) -> Row:
    """What the processes said, and why some of them said nothing.

    The seeds come in parts before, between and after the peers, so that a machine that gets slower
    does so for all.
    """
    found: Row = {"parts": [], "peers": {}, "missing": {}}
    peers = list(PEERS) if options.peers else []
    seeds = np.array_split(np.arange(options.seeds), len(peers) + 1)
    with tempfile.TemporaryDirectory() as folder:
        mnist = load_mnist()
        for part, split in (("train", mnist.train), ("test", mnist.test)):
            np.save(Path(folder) / f"{part}_tiles.npy", split.tiles)
            np.save(Path(folder) / f"{part}_labels.npy", split.labels)
        for part, peer in zip_longest(seeds, peers):
            if len(part):
                wanted = (options.recipe, f"{part[0]}:{part[-1] + 1}", *options.changes)
                found["parts"].append(rows_of("digitlens", wanted, options, found["missing"]))
            if peer:
                wanted = (folder, options.peer_epochs or PEERS[peer].epochs, AIM)
                found["peers"][peer] = rows_of(peer, wanted, options, found["missing"])
    return found


def rows_of(
    who: str, wanted: Sequence[Any], options: argparse.Namespace, missing: dict[str, str]
) -> list[Row]:
    """The rows of a process; none, and the reason in ``missing``, if it fails."""
    note(f"training: {who} {' '.join(map(str, wanted))}")
    hidden = {"CUDA_VISIBLE_DEVICES": ""} if options.device == "cpu" else {}
    arguments = ("train", who, options.threads, *wanted)
    packages = PEERS[who].packages if who in PEERS else ()

    def rows() -> list[Row]:
        with ExitStack() as stack:
            worker = harness.start_worker(packages, arguments, options, stack, **hidden)
            return worker.rows(PATIENCE)

    return harness.available({who: rows}, missing).get(who, [])


def train_seeds(
    name: str, changes: Sequence[str], seeds: Sequence[int], threads: int
) -> Iterator[Row]:
    """A row for each seed, and the memory after the first; then the versions and the device.

    ``seconds`` are those of the whole call with the data in memory: augmentation, steps,
    validation and what is saved; without what the recipe compiles, which is ``compile_seconds``.
    Neither import, loading, the split nor the test set is in them.
    """
    torch.set_num_threads(threads)
    mnist = load_mnist()
    device = choose_device()
    for seed in seeds:
        recipe = load_recipe(name, [*changes, f"seed={seed}"])
        assert isinstance(recipe, Recipe)
        yield {"seed": seed, **_train(recipe, *recipe.split(mnist.train), mnist.test)}
        if seed == seeds[0]:
            yield {"memory_mb": peak_memory()}
    yield {"versions": f"torch {torch.__version__}", "device": device.reason}


def _train(recipe: Recipe, training: Split, validation: Split, test: Split) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        done = train_classifier(recipe, training, validation, Path(folder))
        seconds = time.perf_counter() - start
    compiling = float(getattr(done, "compile_seconds", 0.0))
    answers = predict_logits(done.network, torch.from_numpy(test.tiles)).argmax(1).numpy()
    return {
        "seconds": seconds - compiling,
        "compile_seconds": compiling,
        "epochs": len(done.history),
        "parameters": count_parameters(done.network),
        "test_accuracy": float((answers == test.labels).mean()),
    }


def summary(record: Row) -> Row:
    """Of digitlens over its seeds, and of each peer beside it; without what is missing."""
    parts, aim = [part for part in record["parts"] if part], record["aim"]
    rows = [row for part in parts for row in part if "seed" in row]
    ours: Row = {}
    if rows:
        keys = ("test_accuracy", "seconds", "compile_seconds")
        ours = {key: harness.spread([row[key] for row in rows]) for key in keys}
        reached = ours["test_accuracy"]["mean"] >= aim
        ours |= _first(parts[0], "memory_mb", "versions", "device") | {
            # Who does not get there on average has no time in which others could be measured.
            "seconds_to_aim": ours["seconds"]["mean"] if reached else None,
            "seeds": len(rows),
            "seeds_at_aim": sum(row["test_accuracy"] >= aim for row in rows),
            "first_seconds": statistics.mean(part[0]["seconds"] for part in parts),
            "parameters": rows[0]["parameters"],
        }
    known = {name: said for name, said in record["peers"].items() if said}
    until = ours.get("seconds_to_aim")
    return {"digitlens": ours, "peers": {name: _peer(known[name], aim, until) for name in known}}


def _first(rows: Sequence[Row], *keys: str) -> Row:
    """Of each key what the first row says that has it."""
    return {key: next((row[key] for row in rows if key in row), None) for key in keys}


def _peer(said: Sequence[Row], aim: float, ours: float | None) -> Row:
    last = [row for row in said if "epoch" in row][-1]
    reached = last["seconds"] if last["test_accuracy"] >= aim else None
    about = _first(said, "planned_epochs", "parameters", "memory_mb", "versions")
    return about | {
        "epochs": last["epoch"],
        "test_accuracy": last["test_accuracy"],
        "seconds": last["seconds"],
        "seconds_to_aim": reached,
        "planned_seconds": about["planned_epochs"] * last["seconds"] / last["epoch"],
        "ratio": reached / ours if reached and ours else None,
        # If it was stopped before it got there, it is slower by more than this.
        "ratio_at_least": last["seconds"] / ours if ours else None,
    }


def figures(found: Row) -> list[Figure]:
    """What two records are compared by, from a summary."""
    rows: list[tuple[Any, ...]] = []
    if ours := found["digitlens"]:
        accuracy, seconds, n = ours["test_accuracy"], ours["seconds"], ours["seeds"]
        mean, sd = 100 * accuracy["mean"], accuracy["sd"] and 100 * accuracy["sd"]
        rows += [
            ("accuracy", mean, sd, n, "%", "higher"),
            ("seconds", seconds["mean"], seconds["sd"], n, "s", "lower"),
            ("memory", ours["memory_mb"], None, 1, "MB", "lower"),
        ]
    for name, peer in found["peers"].items():
        rows += [
            (f"{name}.seconds", peer["seconds_to_aim"], None, 1, "s", "lower", True),
            (f"{name}.memory", peer["memory_mb"], None, 1, "MB", "lower", True),
            (f"{name}.ratio", peer["ratio"], None, 1, "x", "higher"),
        ]
    return [Figure(f"training.{name}", *row) for name, *row in rows if row[0] is not None]


def report(record: Row) -> str:
    ours, peers = record["summary"]["digitlens"], record["summary"]["peers"]
    aim = f"{100 * record['aim']:.1f} %"
    lines = [_our_line(record["recipe"], ours)] if ours else []
    lines += [_peer_line(PEERS[name].title, peer) for name, peer in peers.items()]
    notes = [harness.show(OUR_NOTE, {**ours, "aim": aim})] if ours else []
    notes += [
        harness.show(PEER_NOTE, {**peer, "title": PEERS[name].title, "aim": aim})
        for name, peer in peers.items()
    ]
    notes += [f"{name}: not measured, {reason}" for name, reason in record["missing"].items()]
    changes = "".join(f", {change}" for change in record["changes"])
    head = f"Training on {harness.place(record, 'threads')}{changes}."
    columns = (f"network | s until {aim} | {COLUMNS[0]}", f"{{title}} | {{until}} | {COLUMNS[1]}")
    return harness.document(head, harness.table(columns, lines), notes=notes)


def _our_line(recipe: str, ours: Row) -> Row:
    until, reached = _pm(ours["seconds"], 1, 2), ours["seconds_to_aim"]
    return ours | {
        "title": f"digitlens, `{recipe}`, {ours['seeds']} seeds",
        "until": until if reached else f"not in {until}",
        "epochs": None,
        "accuracy": f"{_pm(ours['test_accuracy'], 100, 3)} %",
        "planned": f"{ours['seconds']['mean']:.2f}",
        "times": "1" if reached else "",
    }


def _peer_line(title: str, peer: Row) -> Row:
    reached, times = peer["seconds_to_aim"], peer["ratio"] or peer["ratio_at_least"]
    more = "" if peer["ratio"] else "> "
    return peer | {
        "title": title,
        "until": f"{reached:.1f}" if reached else f"not in {peer['seconds']:.1f}",
        "accuracy": f"{100 * peer['test_accuracy']:.2f} %",
        "planned": f"{peer['planned_seconds']:.0f}",
        "times": f"{more}{times:.{int(times < 10)}f}" if times else "",
    }


def _pm(value: Mapping[str, Any], factor: float, digits: int) -> str:
    mean = f"{factor * value['mean']:.{digits}f}"
    return mean if value["sd"] is None else f"{mean} ± {factor * value['sd']:.{digits}f}"


if __name__ == "__main__":
    main()
