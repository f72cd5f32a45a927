"""One training in a process of its own, told line by line in JSON.

    python training_worker.py digitlens --recipe fast --seeds 0:10 [--set FIELD=VALUE]
    python training_worker.py pytorch --data FOLDER --epochs 14 --until 0.99
    python training_worker.py keras --data FOLDER --epochs 15 --until 0.99
    python training_worker.py recipes --recipe standard

A peer runs in the environment of its library, so this module needs no more than NumPy. It says of
each seed or epoch what it knows; the last line has ``versions`` and ``memory_mb``, the most that
the process held. Threads are those of ``--threads`` in all of them.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from memory import peak_memory

Row = dict[str, Any]
PEERS = ("pytorch", "keras")


def main() -> None:
    stdout = _own_stdout()
    options = _options()
    for row in WORK[options.who](options):
        stdout.write(json.dumps(row).encode() + b"\n")
        stdout.flush()
    if options.who in PEERS:
        stdout.write(json.dumps({"memory_mb": peak_memory()}).encode() + b"\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("who", choices=WORK)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--data", type=Path, help="folder with the four arrays of MNIST")
    parser.add_argument("--epochs", type=int, default=1, help="at most")
    parser.add_argument("--until", type=float, default=1.0, help="accuracy on the test set")
    parser.add_argument("--recipe", default="fast")
    parser.add_argument("--set", action="append", dest="changes", default=[], help="FIELD=VALUE")
    parser.add_argument("--seeds", default="0:1", help="FIRST:BEYOND")
    return parser.parse_args()


def digitlens(options: argparse.Namespace) -> Iterator[Row]:
    _wait_as_the_command_does()
    from digitlens_training import train_seeds  # noqa: PLC0415  (not there for the peers)

    first, _, beyond = options.seeds.partition(":")
    seeds = range(int(first), int(beyond))
    return train_seeds(options.recipe, options.changes, seeds, options.threads)


def recipes(options: argparse.Namespace) -> Iterator[Row]:
    _wait_as_the_command_does()
    from digitlens_training import throughput  # noqa: PLC0415

    return throughput(options.recipe, options.threads)


def _wait_as_the_command_does() -> None:
    from digitlens.cli.options import use_patient_threads  # noqa: PLC0415

    use_patient_threads()


def pytorch(options: argparse.Namespace) -> Iterator[Row]:
    from peer_pytorch import train  # noqa: PLC0415

    return train(options.data, options.epochs, options.until, options.threads)


def keras(options: argparse.Namespace) -> Iterator[Row]:
    from peer_keras import train  # noqa: PLC0415

    return train(options.data, options.epochs, options.until, options.threads)


WORK: dict[str, Callable[[argparse.Namespace], Iterator[Row]]] = {
    "digitlens": digitlens,
    "recipes": recipes,
    "pytorch": pytorch,
    "keras": keras,
}


def _own_stdout() -> BinaryIO:
    """Standard output for the rows alone: what libraries print there goes to standard error."""
    kept = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return kept


if __name__ == "__main__":
    sys.exit(main())
