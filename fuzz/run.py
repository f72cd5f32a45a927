"""Fuzzes digitlens with malformed inputs and reports the outcome: ``python fuzz/run.py``.

Every target runs in its own process. It is a finding if the process dies, hangs, uses too much
memory or raises anything but a ``DigitlensError``: the input is saved in ``build/fuzz``, and a new
process continues. The record is written at intervals, and an interrupted run resumes from it.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(Path(__file__).parent), str(ROOT / "benchmarks")]
from child import STATE, STATE_BYTES
from digitlens import files
from harness import document, machine, provenance, table
from targets import TARGETS

FINDS = ROOT / "build" / "fuzz"
CHILD = Path(__file__).with_name("child.py")
CPU_SECONDS = 10  # processor time for one input
WALL = 1800  # wall-clock seconds for one input, even on a busy machine
POLL_SECONDS = 0.25  # seconds between checks of a process
MAX_FINDS = 20  # findings after which a target is abandoned
MUTATION, GUIDED = "mutation", "atheris"  # sources of inputs
INPUTS_PER_WRITE = 50_000  # inputs of a target between two writes of the record
COLUMNS = (
    "target | source | inputs | accepted | refused | longest, s | memory, MB | coverage | findings",
    "{name} | {engine} | {tried:,} | {taken:,} | {refused:,} | {longest:.2f} | {memory:.0f} "
    "| {coverage} | {found}",
)


@dataclass
class Result:
    """The outcome of the inputs of one target."""

    name: str
    engine: str
    tried: int = 0
    taken: int = 0  # accepted; the others were refused with a ``DigitlensError``
    longest: float = 0.0  # seconds of processor time for one input
    memory: float = 0.0  # MB above the memory before the first input
    coverage: int | None = None  # branches that atheris covered, the maximum over processes
    finds: list[str] = field(default_factory=list)  # the problem, and the file with the input

    @property
    def row(self) -> dict[str, Any]:
        return asdict(self) | {"refused": self.tried - self.taken, "found": len(self.finds)}


class Process:
    """A child process and the state that it records."""

    def __init__(self, name: str, count: int, seed: int, guided: bool, folder: Path) -> None:
        corpus, guided_corpus = TARGETS[name][1], FINDS / "corpus" / name
        self._state = folder / "state"
        self._state.write_bytes(bytes(STATE_BYTES))
        self._log = folder / f"log-{seed}"
        command = [sys.executable, str(CHILD), name, corpus]
        command += [str(self._state), f"--count={count}", f"--seed={seed}"]
        if guided:
            guided_corpus.mkdir(parents=True, exist_ok=True)
            command.append(f"--guided={guided_corpus}")
        settings = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=settings)

    def wait(self) -> str:
        """Waits until it ends or has to be killed; returns the problem, or an empty text."""
        last, since, spent = -1, time.monotonic(), 0.0
        while (code := self._process.poll()) is None:
            tried, used = self.state[0], _processor_time(self._process.pid)
            if tried != last:
                last, since, spent = tried, time.monotonic(), used
            elif used - spent > CPU_SECONDS + 60 * (not tried) or time.monotonic() > since + WALL:
                self._process.kill()
                self._process.wait()
                return f"hangs: {used - spent:.0f} s of a processor"
            time.sleep(POLL_SECONDS)
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


def fuzz_target(result: Result, count: int, seed: int) -> None:
    """Feeds a target until it has tried ``count`` inputs, restarting the process as needed."""
    name, guided = result.name, result.engine == GUIDED
    with tempfile.TemporaryDirectory(prefix="digitlens-fuzz-") as folder:
        while result.tried < count and len(result.finds) < MAX_FINDS:
            # The seed differs, so that the next piece, or a restart, has new inputs.
            remaining = count - result.tried
            process = Process(name, remaining, seed + result.tried, guided, Path(folder))
            problem = process.wait()
            tried, taken, longest, memory, _ = process.state
            result.tried += tried + bool(problem)
            result.taken += taken
            result.longest = max(result.longest, longest / 1e6)
            result.memory = max(result.memory, memory / 1000)
            result.coverage = max(filter(None, (result.coverage, process.coverage)), default=None)
            if problem:
                result.finds.append(f"{problem}: {_save_find(name, process.input)}")
                print(f"{name}: {result.finds[-1]}", file=sys.stderr, flush=True)
            elif not tried:
                break


def _save_find(name: str, data: bytes) -> str:
    path = FINDS / f"{name}-{sha256(data).hexdigest()[:12]}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return str(path.relative_to(ROOT))


def _processor_time(pid: int) -> float:
    """Processor seconds used by a process; 0 once it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    failures = [line for line in lines if "Error" in line and not line.startswith("==")]
    return (failures or lines or ["no output"])[-1][:200]


def _load_results(folder: Path | None, seed: int) -> dict[tuple[str, str], Result]:
    """The results of an earlier record with the same seed, from which a run resumes."""
    path = folder and folder / "inputs.json"
    record = json.loads(path.read_bytes()) if path and path.exists() else {}
    rows = record["targets"] if record.get("seed") == seed else []
    return {(row["name"], row["engine"]): Result(**row) for row in rows}


def _write(folder: Path | None, about: dict[str, Any], results: Sequence[Result]) -> None:
    if folder:
        record = about | {"targets": [asdict(each) for each in results]}
        files.write_json(folder / "inputs.json", record)
        files.write_bytes(folder / "inputs.md", _report(about, results).encode())


def _report(about: dict[str, Any], results: Sequence[Result]) -> str:
    notes = [f"{result.name}: {find}" for result in results for find in result.finds]
    return document(machine(about), table(COLUMNS, [each.row for each in results]), notes=notes)


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzzes the chosen targets; returns exit code 1 if there was a finding."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--inputs", type=int, default=1_000_000, help="inputs over all targets")
    parser.add_argument("--only", nargs="*", choices=[*TARGETS], help="targets; all by default")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--blind", action="store_true", help="without atheris")
    parser.add_argument("--out", type=Path, help="folder for the record")
    options = parser.parse_args(arguments)
    engines = [MUTATION]
    if not options.blind and importlib.util.find_spec("atheris"):
        engines.append(GUIDED)  # half of the inputs
    about = provenance() | {"seed": options.seed}
    results = _load_results(options.out, options.seed)
    chosen = options.only or [*TARGETS]
    share = options.inputs / sum(TARGETS[name][2] for name in chosen) / len(engines)
    for name, engine in product(chosen, engines):
        result = results.setdefault((name, engine), Result(name, engine))
        total = round(share * TARGETS[name][2])
        for count in (*range(INPUTS_PER_WRITE, total, INPUTS_PER_WRITE), total):
            if result.tried < count:
                fuzz_target(result, count, options.seed)
                _write(options.out, about, list(results.values()))
    print(_report(about, list(results.values())), end="")
    return int(any(share.finds for share in results.values()))


if __name__ == "__main__":
    sys.exit(main())
