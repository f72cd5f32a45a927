"""Attacks digitlens with inputs that lie, and tells what became of them: ``python fuzz/run.py``.

Every target works in a process of its own. One that dies, hangs, takes too much memory or raises
what is not ours is a find: the input is kept in ``build/fuzz``, and another process goes on.
"""

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(Path(__file__).parent), str(ROOT / "benchmarks")]
from child import ROOM, STATE
from harness import document, place, provenance, publish, table
from targets import TARGETS

FINDS = ROOT / "build" / "fuzz"
CHILD = Path(__file__).with_name("child.py")
SECONDS = 10  # of a processor for one input
WALL = 180  # seconds for one input, whatever else the machine does
LOOK = 0.25  # seconds between looks at a process
MOST_FINDS = 20  # of a target, after which it is given up
COLUMNS = (
    "target | inputs by | inputs | taken | refused | longest, s | memory, MB | coverage | finds",
    "{name} | {engine} | {tried:,} | {taken:,} | {refused:,} | {longest:.2f} | {memory:.0f} "
    "| {coverage} | {found}",
)


@dataclass
class Result:
    """What became of the inputs of one target."""

    name: str
    engine: str
    tried: int = 0
    taken: int = 0  # the others were refused with an error of ours
    longest: float = 0.0  # seconds of a processor for one input
    memory: float = 0.0  # MB more than before the first input
    coverage: int | None = None  # branches that atheris saw, the most of one process
    finds: list[str] = field(default_factory=list)  # what, and the file with the input

    @property
    def row(self) -> dict[str, Any]:
        return asdict(self) | {"refused": self.tried - self.taken, "found": len(self.finds)}


class Process:
    """A child and what it has noted."""

    def __init__(self, name: str, count: int, seed: int, guided: bool, folder: Path) -> None:
        self._state = folder / "state"
        self._state.write_bytes(bytes(ROOM))
        self._log = folder / f"log-{seed}"
        corpus = TARGETS[name][1]
        command = [sys.executable, str(CHILD), name, corpus]
        command += [str(self._state), f"--count={count}", f"--seed={seed}"]
        if guided:
            (folder / "corpus").mkdir(exist_ok=True)
            command.append(f"--guided={folder / 'corpus'}")
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=_environment())

    def wait(self) -> str:
        """Until it ends or has to be ended; why, or nothing."""
        last, since, spent = -1, time.monotonic(), 0.0
        while (code := self._process.poll()) is None:
            tried, used = self.state[0], _processor_time(self._process.pid)
            if tried != last:
                last, since, spent = tried, time.monotonic(), used
            elif used - spent > SECONDS + 60 * (not tried) or time.monotonic() > since + WALL:
                self._process.kill()
                self._process.wait()
                return f"hangs: {used - spent:.0f} s of a processor"
            time.sleep(LOOK)
        return "" if code == 0 else f"{_last_line(self._log)} (exit code {code})"

    @property
    def state(self) -> tuple[int, ...]:
        with self._state.open("rb") as file:
            return STATE.unpack(file.read(STATE.size))

    @property
    def input(self) -> bytes:
        return self._state.read_bytes()[STATE.size :][: self.state[4]]

    @property
    def coverage(self) -> int | None:
        words = self._log.read_bytes().split()
        seen = [words[at + 1] for at, word in enumerate(words[:-1]) if word == b"cov:"]
        return int(seen[-1]) if seen else None


def attack(name: str, count: int, seed: int, guided: bool) -> Result:
    """So many inputs for a target, in as many processes as it takes."""
    result = Result(name, "atheris" if guided else "mutation")
    with tempfile.TemporaryDirectory(prefix="digitlens-fuzz-") as folder:
        while result.tried < count and len(result.finds) < MOST_FINDS:
            process = Process(name, count - result.tried, seed, guided, Path(folder))
            why = process.wait()
            tried, taken, longest, memory, _ = process.state
            result.tried += tried + bool(why)
            result.taken += taken
            result.longest = max(result.longest, longest / 1e6)
            result.memory = max(result.memory, memory / 1000)
            result.coverage = max(filter(None, (result.coverage, process.coverage)), default=None)
            seed += 1
            if why:
                result.finds.append(f"{why}: {_kept(name, process.input)}")
                print(f"{name}: {result.finds[-1]}", file=sys.stderr, flush=True)
            elif not tried:
                break
    return result


def _kept(name: str, data: bytes) -> str:
    path = FINDS / f"{name}-{sha256(data).hexdigest()[:12]}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return str(path.relative_to(ROOT))


def _environment() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}


def _processor_time(pid: int) -> float:
    """Seconds that a process has worked; 0 once it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    said = [line for line in lines if "Error" in line and not line.startswith("==")]
    return (said or lines or ["no word"])[-1][:200]


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code is 1 where there was a find."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--inputs", type=int, default=1_000_000, help="of all targets together")
    parser.add_argument("--only", nargs="*", choices=[*TARGETS], help="targets; all by default")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--blind", action="store_true", help="without atheris")
    parser.add_argument("--out", type=Path, help="folder of the record")
    options = parser.parse_args(arguments)
    engines = [False]
    if not options.blind and importlib.util.find_spec("atheris"):
        engines.append(True)  # half of the inputs
    about = provenance()
    chosen = options.only or [*TARGETS]
    each = options.inputs / sum(TARGETS[name][2] for name in chosen) / len(engines)
    results = [
        attack(name, round(each * TARGETS[name][2]), options.seed, guided)
        for name in chosen
        for guided in engines
    ]
    notes = [f"{result.name}: {find}" for result in results for find in result.finds]
    text = document(place(about), table(COLUMNS, [each.row for each in results]), notes=notes)
    rows = [asdict(each) for each in results]
    publish(options.out, "inputs", about | {"seed": options.seed, "targets": rows}, text)
    return int(any(each.finds for each in results))


if __name__ == "__main__":
    sys.exit(main())
