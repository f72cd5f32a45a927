"""Feeds inputs to one target, in a process that may die of them.

Run by ``run.py``. With atheris the inputs are guided by their line coverage in digitlens and
Pillow; without it they are mutations of the seeds. The current input and the progress are kept in
a memory-mapped file, so that they survive the process.
"""

import argparse
import mmap
import resource
import struct
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parent))
from mutate import LIMIT, mutate

CORPUS = Path(__file__).parent / "corpus"
# Inputs tried and accepted, longest time in µs, peak memory in kB, size of the current input.
STATE = struct.Struct("<QQQQI")
STATE_BYTES = STATE.size + LIMIT
MEMORY_LIMIT = 600_000  # limit in kB above the memory after the warm-up
ADDRESS_SPACE = 8 << 30  # bytes of address space, so that the machine stays usable
WARM_UP_SEEDS = 30  # seeds tried before memory is measured


class MemoryFindError(Exception):
    """An input used more memory than allowed."""


class Trial:
    """One target, with the file that records its state."""

    def __init__(self, name: str, path: Path) -> None:
        from targets import attempt

        self._attempt, self._name = attempt, name
        self.tried = self.taken = self.longest = 0
        with path.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), STATE_BYTES)
        self._base = 0

    def warm_up(self, seeds: list[bytes]) -> None:
        """Tries some seeds, so that lazily loaded models and modules are loaded."""
        for seed in seeds[:WARM_UP_SEEDS]:
            self._attempt(self._name, seed)
        self._base = _peak_memory()

    def __call__(self, data: bytes) -> None:
        """Tries one input; any exception is a finding."""
        data = data[:LIMIT]
        self._record(len(data))
        self._shared[STATE.size : STATE.size + len(data)] = data
        start = time.process_time()
        self.taken += self._attempt(self._name, data)
        self.longest = max(self.longest, round(1e6 * (time.process_time() - start)))
        self.tried += 1
        self._record(len(data))
        if (excess := _peak_memory() - self._base) > MEMORY_LIMIT:
            raise MemoryFindError(f"{excess:,} kB more than before")

    def _record(self, size: int) -> None:
        state = (self.tried, self.taken, self.longest, max(0, _peak_memory() - self._base), size)
        STATE.pack_into(self._shared, 0, *state)


def _peak_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def seeds_of(folder: str) -> list[bytes]:
    """The contents of a corpus folder."""
    return [path.read_bytes() for path in sorted((CORPUS / folder).iterdir())]


def inputs(seeds: list[bytes], seed: int, count: int) -> Iterator[bytes]:
    """Yields ``count`` mutations of the seeds, the same for the same ``seed``."""
    random = Random(seed)
    for _ in range(count):
        yield mutate(random.choice(seeds), random, seeds)


def guided(trial: Trial, seeds: list[bytes], folder: Path, options: argparse.Namespace) -> None:
    """Runs atheris on a target; never returns."""
    import atheris  # pyright: ignore[reportMissingImports]

    for number, seed in enumerate(seeds):
        (folder / f"seed-{number}").write_bytes(seed)

    def mutated(data: bytes, most: int, seed: int) -> bytes:
        random = Random(seed)
        if random.random() < 0.2:
            return atheris.Mutate(data, most)
        return mutate(data, random, seeds, most)

    switches = (
        *(f"-runs={options.count}", f"-seed={options.seed}", f"-max_len={LIMIT}", "-len_control=0"),
        *("-rss_limit_mb=0", "-malloc_limit_mb=0", "-timeout=1200", "-print_final_stats=1"),
        *("-handle_abrt=0", "-handle_segv=0", f"-artifact_prefix={folder}/"),
    )
    atheris.Setup([sys.argv[0], *switches, str(folder)], trial, custom_mutator=mutated)
    atheris.Fuzz()


def main() -> None:
    """Tries the requested number of inputs on a target."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("corpus")
    parser.add_argument("state", type=Path)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--guided", type=Path, help="corpus folder of atheris")
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if options.guided:
        import atheris  # pyright: ignore[reportMissingImports]

        with atheris.instrument_imports(include=["digitlens", "PIL"]):
            trial = Trial(options.name, options.state)
    else:
        trial = Trial(options.name, options.state)
    seeds = seeds_of(options.corpus)
    try:
        trial.warm_up(seeds)
        if options.guided:
            guided(trial, seeds, options.guided, options)
        for data in inputs(seeds, options.seed, options.count):
            trial(data)
    except Exception:
        traceback.print_exc()
        sys.exit(3)


if __name__ == "__main__":
    main()
