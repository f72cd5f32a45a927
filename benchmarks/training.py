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
  documentation describes (``peer_pytorch.py``, ``peer_keras.py``), one seed each: their seconds
  until an epoch ends with 99.0 % on the test set, the tests not counted. There they are stopped;
  ``planned`` is what all epochs of the example would take at the same pace.
- memory: the most that a process held in one training, libraries and data included.
- images/s of other recipes in the middle of a training, and the share of the machine's peak that
  their arithmetic is: multiply-adds of convolutions and dense layers, by two, by three for forward
  and backward; the peak is a large matrix product in the same number format, in the same process.

The machine should have nothing else to do.
"""

import argparse
import json
import os
import subprocess
import tempfile
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from digitlens import files
from digitlens.datasets.mnist import load_mnist
from digitlens.progress import note
from peer_process import UnavailableError, environment
from provenance import provenance
from serving import ENVIRONMENTS, KERAS
from training_tables import figures, report, summary

Rows = list[dict[str, Any]]
WORKER = Path(__file__).with_name("training_worker.py")
AIM = 0.99  # accuracy on the test set
EPOCHS = {"pytorch": 14, "keras": 15}  # as their documentation has it
PACKAGES: dict[str, tuple[str, ...]] = {"pytorch": (), "keras": KERAS}
RECIPES = ("fast", "standard", "best", "pages")
PATIENCE = 1800.0  # seconds for one process
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def main() -> None:
    options = _options()
    record = provenance() | {"threads": options.threads, "aim": AIM, "recipe": options.recipe}
    record |= {"changes": options.changes, "device": options.device} | measure(options)
    record["summary"] = summary(record)
    record["figures"] = figures(record)
    text = report(record)
    print(text, end="")
    if options.out:
        files.write_json(options.out / "training.json", record)
        files.write_bytes(options.out / "training.md", text.encode())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=30, help="of digitlens")
    parser.add_argument("--recipe", default="fast", help="of digitlens")
    parser.add_argument("--set", action="append", dest="changes", default=[], help="FIELD=VALUE")
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--peer-epochs", type=int, help="at most, instead of all that are planned")
    parser.add_argument("--recipes", nargs="*", default=list(RECIPES), help="for images/s")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--device", choices=("cpu", "auto"), default="cpu", help="auto: a GPU")
    parser.add_argument("--environments", type=Path, default=ENVIRONMENTS, help="of the peers")
    parser.add_argument("--out", type=Path, help="folder for training.json and training.md")
    return parser.parse_args()


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """What the processes said, and why some of them said nothing.

    The seeds come in parts before, between and after the peers, so that a machine that gets slower
    does so for all.
    """
    found: dict[str, Any] = {"parts": [], "peers": {}, "recipes": [], "missing": {}}
    peers = list(EPOCHS) if options.peers else []
    seeds = np.array_split(np.arange(options.seeds), len(peers) + 1)
    with tempfile.TemporaryDirectory() as folder:
        _write_arrays(Path(folder))
        for part, peer in zip_longest(seeds, peers):
            if len(part):
                found["parts"].append(_seeds(part[0], part[-1] + 1, options, found["missing"]))
            if peer:
                found["peers"][peer] = _peer(peer, folder, options, found["missing"])
    for name in options.recipes:
        found["recipes"] += _attempt(name, ["recipes", "--recipe", name], options, found["missing"])
    return found


def _write_arrays(folder: Path) -> None:
    """MNIST as arrays, for processes that have no digitlens."""
    mnist = load_mnist()
    for part, split in (("train", mnist.train), ("test", mnist.test)):
        np.save(folder / f"{part}_tiles.npy", split.tiles)
        np.save(folder / f"{part}_labels.npy", split.labels)


def _seeds(first: int, beyond: int, options: argparse.Namespace, missing: dict[str, str]) -> Rows:
    changes = [word for change in options.changes for word in ("--set", change)]
    wanted = ["digitlens", "--recipe", options.recipe, "--seeds", f"{first}:{beyond}", *changes]
    return _attempt("digitlens", wanted, options, missing)


def _peer(name: str, data: str, options: argparse.Namespace, missing: dict[str, str]) -> Rows:
    epochs = options.peer_epochs or EPOCHS[name]
    wanted = [name, "--data", data, "--epochs", str(epochs), "--until", str(AIM)]
    return _attempt(name, wanted, options, missing)


def _attempt(
    who: str, wanted: list[str], options: argparse.Namespace, missing: dict[str, str]
) -> Rows:
    """The rows of a process; none, and the reason in ``missing``, if it fails."""
    note(f"training: {' '.join(wanted)}")
    try:
        python = environment(PACKAGES.get(who, ()), options.environments)
        return _run([python, str(WORKER), *wanted], options.threads, options.device)
    except UnavailableError as reason:
        missing[who] = str(reason)
        note(f"{who}: {reason}")
        return []


def _run(command: list[str], threads: int, device: str) -> Rows:
    hidden = {"CUDA_VISIBLE_DEVICES": ""} if device == "cpu" else {}
    alone = {**os.environ, **dict.fromkeys(THREADS, str(threads)), **hidden}
    command = [*command, "--threads", str(threads)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=alone, timeout=PATIENCE
        )
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"took longer than {PATIENCE:.0f} s") from None
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"ended with exit code {done.returncode}"]
        raise UnavailableError(said[-1])
    return [json.loads(line) for line in done.stdout.splitlines()]


if __name__ == "__main__":
    main()
