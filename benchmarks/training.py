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
from typing import Any

import numpy as np
import torch

from digitlens.datasets.mnist import Split, load_mnist
from digitlens.progress import note
from digitlens.training.device import choose_device
from digitlens.training.nets.tile_network import count_parameters, predict_logits
from digitlens.training.recipe import Recipe
from digitlens.training.recipes import load_recipe
from digitlens.training.tasks.tile import train_classifier
from harness import (
    KERAS,
    Figure,
    Row,
    UnavailableError,
    parser,
    place,
    provenance,
    publish,
    start_worker,
    table,
)
from worker import peak_memory

Rows = list[Row]
AIM = 0.99  # accuracy on the test set
EPOCHS = {"pytorch": 14, "keras": 15}  # as their documentation has it
NAMES = {"pytorch": "basic MNIST example of PyTorch", "keras": "Keras `mnist_convnet`"}
PACKAGES: dict[str, tuple[str, ...]] = {"pytorch": (), "keras": KERAS}
PATIENCE = 1800.0  # seconds for one process


def main() -> None:
    options = _options()
    record = provenance() | {"threads": options.threads, "aim": AIM, "recipe": options.recipe}
    record |= {"changes": options.changes, "device": options.device} | measure(options)
    record["summary"] = summary(record)
    publish(options.out, "training", record, report(record), figures(record["summary"]))


def _options() -> argparse.Namespace:
    made = parser(__doc__, environments=True)
    made.add_argument("--seeds", type=int, default=30, help="of digitlens")
    made.add_argument("--recipe", default="fast", help="of digitlens")
    made.add_argument("--set", action="append", dest="changes", default=[], help="FIELD=VALUE")
    made.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True)
    made.add_argument("--peer-epochs", type=int, help="at most, instead of all that are planned")
    made.add_argument("--threads", type=int, default=os.cpu_count())
    made.add_argument("--device", choices=("cpu", "auto"), default="cpu", help="auto: a GPU")
    return made.parse_args()


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """What the processes said, and why some of them said nothing.

    The seeds come in parts before, between and after the peers, so that a machine that gets slower
    does so for all.
    """
    found: dict[str, Any] = {"parts": [], "peers": {}, "missing": {}}
    peers = list(EPOCHS) if options.peers else []
    seeds = np.array_split(np.arange(options.seeds), len(peers) + 1)
    with tempfile.TemporaryDirectory() as folder:
        _write_arrays(Path(folder))
        for part, peer in zip_longest(seeds, peers):
            if len(part):
                wanted = (options.recipe, f"{part[0]}:{part[-1] + 1}", *options.changes)
                found["parts"].append(_attempt("digitlens", wanted, options, found["missing"]))
            if peer:
                wanted = (folder, options.peer_epochs or EPOCHS[peer], AIM)
                found["peers"][peer] = _attempt(peer, wanted, options, found["missing"])
    return found


def _write_arrays(folder: Path) -> None:
    mnist = load_mnist()
    for part, split in (("train", mnist.train), ("test", mnist.test)):
        np.save(folder / f"{part}_tiles.npy", split.tiles)
        np.save(folder / f"{part}_labels.npy", split.labels)


def _attempt(
    who: str, wanted: Sequence[Any], options: argparse.Namespace, missing: dict[str, str]
) -> Rows:
    """The rows of a process; none, and the reason in ``missing``, if it fails."""
    note(f"training: {who} {' '.join(map(str, wanted))}")
    hidden = {"CUDA_VISIBLE_DEVICES": ""} if options.device == "cpu" else {}
    arguments = ("train", who, options.threads, *wanted)
    try:
        with ExitStack() as stack:
            worker = start_worker(PACKAGES.get(who, ()), arguments, options, stack, **hidden)
            return worker.rows(PATIENCE)
    except UnavailableError as reason:
        missing[who] = str(reason)
        note(f"{who}: {reason}")
        return []


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
        yield {"seed": seed, **_one(recipe, *recipe.split(mnist.train), mnist.test)}
        if seed == seeds[0]:
            yield {"memory_mb": peak_memory()}
    yield {"versions": f"torch {torch.__version__}", "device": device.reason}


def _one(recipe: Recipe, training: Split, validation: Split, test: Split) -> Row:
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


def summary(record: Mapping[str, Any]) -> Row:
    """Of digitlens over its seeds, and of each peer beside it; without what is missing."""
    rows = [row for part in record["parts"] for row in part if "seed" in row]
    ours = _ours(record, rows) if rows else {}
    peers = {
        name: _peer(said, record["aim"], ours.get("seconds_to_aim"))
        for name, said in record["peers"].items()
        if said
    }
    return {"digitlens": ours, "peers": peers}


def _ours(record: Mapping[str, Any], rows: Sequence[Row]) -> Row:
    keys = ("test_accuracy", "seconds", "compile_seconds")
    found = {key: spread([row[key] for row in rows]) for key in keys}
    reached = found["test_accuracy"]["mean"] >= record["aim"]
    said = {key: _said(record["parts"], key) for key in ("memory_mb", "versions", "device")}
    return (
        found
        | said
        | {
            # Who does not get there on average has no time in which others could be measured.
            "seconds_to_aim": found["seconds"]["mean"] if reached else None,
            "seeds": len(rows),
            "seeds_at_aim": sum(row["test_accuracy"] >= record["aim"] for row in rows),
            "first_seconds": statistics.mean(
                part[0]["seconds"] for part in record["parts"] if part
            ),
            "parameters": rows[0]["parameters"],
        }
    )


def spread(values: Sequence[float]) -> Row:
    return {
        "mean": statistics.mean(values),
        "sd": statistics.stdev(values) if len(values) > 1 else None,
        "median": statistics.median(values),
    }


def _said(parts: Sequence[Sequence[Row]], key: str) -> Any:
    return next((row[key] for part in parts for row in part if key in row), None)


def _peer(said: Sequence[Row], aim: float, ours: float | None) -> Row:
    last = [row for row in said if "epoch" in row][-1]
    reached = last["seconds"] if last["test_accuracy"] >= aim else None
    keys = ("planned_epochs", "parameters", "memory_mb", "versions")
    about = {key: _said([said], key) for key in keys}
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


def report(record: Mapping[str, Any]) -> str:
    ours, peers = record["summary"]["digitlens"], record["summary"]["peers"]
    aim = f"{100 * record['aim']:.1f} %"
    head = ["network", f"s until {aim}", "epochs", "test accuracy", "planned, s", "memory, MB"]
    lines = [_our_line(record["recipe"], ours)] if ours else []
    lines += [_peer_line(NAMES[name], peer) for name, peer in peers.items()]
    changes = "".join(f", {change}" for change in record["changes"])
    missing = [f"- {name}: not measured, {reason}" for name, reason in record["missing"].items()]
    blocks = [
        f"Training on {place(record, 'threads')}{changes}.\n",
        table([*head, "times as long"], lines),
        "\n".join([*_notes(ours, peers, aim), ""]),
        "\n".join([*missing, ""]),
    ]
    return "\n".join(block for block in blocks if block.strip())


def _our_line(recipe: str, ours: Row) -> list[str]:
    until, reached = _pm(ours["seconds"], 1, 2), ours["seconds_to_aim"]
    return [
        f"digitlens, `{recipe}`, {ours['seeds']} seeds",
        until if reached else f"not in {until}",
        "",
        f"{_pm(ours['test_accuracy'], 100, 3)} %",
        f"{ours['seconds']['mean']:.2f}",
        _whole(ours["memory_mb"]),
        "1" if reached else "",
    ]


def _peer_line(name: str, peer: Row) -> list[str]:
    reached, times = peer["seconds_to_aim"], peer["ratio"] or peer["ratio_at_least"]
    more = "" if peer["ratio"] or not times else "> "
    return [
        name,
        f"{reached:.1f}" if reached else f"not in {peer['seconds']:.1f}",
        peer["epochs"],
        f"{100 * peer['test_accuracy']:.2f} %",
        f"{peer['planned_seconds']:.0f}",
        _whole(peer["memory_mb"]),
        f"{more}{_ratio(times)}",
    ]


def _notes(ours: Row, peers: Mapping[str, Row], aim: str) -> list[str]:
    lines: list[str] = []
    if ours:
        lines += [
            f"- digitlens: seconds of the whole training, for whose end its schedule is made; "
            f"{ours['seeds_at_aim']} of {ours['seeds']} seeds end at {aim} or more. First training "
            f"of a process {ours['first_seconds']:.2f} s; compiling, not counted, "
            f"{ours['compile_seconds']['mean']:.2f} s; {ours['parameters']:,} parameters; "
            f"{ours['versions']}, {ours['device']}"
        ]
    for name, peer in peers.items():
        lines.append(
            f"- {NAMES[name]}: one seed, stopped at the end of the first epoch with {aim} of the "
            f"{peer['planned_epochs']} planned; {peer['parameters']:,} parameters; "
            f"{peer['versions']}"
        )
    return lines


def _pm(value: Mapping[str, Any], factor: float, digits: int) -> str:
    mean = f"{factor * value['mean']:.{digits}f}"
    return mean if value["sd"] is None else f"{mean} ± {factor * value['sd']:.{digits}f}"


def _whole(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}"


def _ratio(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"


if __name__ == "__main__":
    main()
