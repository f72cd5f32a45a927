"""Kills and disturbs commands at random moments, resumes, and compares with an undisturbed run.

    make chaos                    a few hundred cases; CHAOS_CASES=N for more or fewer
    python -m chaos --only watch  cases of ``watch`` alone, without a record

Each case is a process forked from this one, which has loaded everything, so that hundreds of cases
fit into the time; its file operations and its death are those of a separate process. ``faults.c``
injects the fault at the n-th file operation, n anywhere between the first and the last.
"""

import argparse
import ctypes
import io
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import NamedTuple

from chaos.commands import COMMANDS, Command, Result, contents, leftovers, shrink

from digitlens.__main__ import main as digitlens
from digitlens.cli.main import app
from digitlens.progress import note
from harness import Row, document, machine, provenance, publish, table

TIMEOUT = 300.0  # seconds for a command
ORPHAN_SECONDS = 15.0  # seconds by which the children of a killed command must have ended
NOTHING, KILL, FULL, BROKEN, READ_ONLY, CLOCK = range(6)  # as in faults.c
HOUR, YEAR = 3600, 365 * 86400
JUMPS = (-10 * YEAR, -40 * 86400, -HOUR, -60, 60, HOUR, 40 * 86400, 10 * YEAR)


@dataclass(frozen=True)
class Fault:
    """The kind of fault, and the file operation at which it is injected."""

    kind: int = NOTHING
    at: int = 0
    jump: int = 0  # seconds
    memory: int = 0  # limit in bytes above the memory at the start; 0 for none


@dataclass(frozen=True)
class Ending:
    """How a process ended."""

    code: int  # negative for a signal
    said: str
    complained: str
    calls: int = 0  # file operations
    seconds: float = 0.0
    memory: int = 0  # peak in bytes above the memory at the start
    written: int = 0  # bytes in its folder

    @property
    def last(self) -> str:
        """The exit code and the last lines of stderr."""
        return f"{self.code}: {' / '.join(self.complained.splitlines()[-2:])}"

    @property
    def refusal(self) -> str:
        """The error message of a clean refusal; empty after a success or a crash."""
        lines = [line for line in self.complained.splitlines() if line.startswith("digitlens: ")]
        crashed = "Traceback" in self.complained or self.code != 1
        return lines[-1] if lines and not crashed else ""


class Process:
    """A command in a process forked from this one, in its folder."""

    def __init__(self, folder: Path, line: Sequence[str], fault: Fault = Fault()) -> None:
        self._logs = Path(tempfile.mkdtemp(prefix="chaos-logs-"))
        self._begun = time.monotonic()
        self.pid = os.fork()
        if not self.pid:
            self._run(folder, line, fault)

    def _run(self, folder: Path, line: Sequence[str], fault: Fault) -> None:
        os.setsid()
        os.chdir(folder)
        for file, name in enumerate(("in", "out", "err")):
            os.dup2(os.open(self._logs / name, os.O_CREAT | os.O_RDWR), file)
        sys.stdout, sys.stderr = (os.fdopen(n, "w", closefd=False) for n in (1, 2))
        sys.argv = ["digitlens", *line]
        before = _status("VmSize")
        if fault.memory:
            resource.setrlimit(resource.RLIMIT_AS, (before + fault.memory,) * 2)
        library = ctypes.CDLL(None)
        library.chaos_arm(
            fault.kind, ctypes.c_long(fault.at), ctypes.c_long(fault.jump), str(folder).encode()
        )
        code = 0
        try:
            digitlens()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
            sys.stderr.write(f"{end.code}\n" if isinstance(end.code, str) else "")
        except BaseException:
            traceback.print_exc()
            code = 70
        with suppress(OSError, MemoryError):
            facts = (library.chaos_calls(), _status("VmPeak") - before)
            os.write(os.open(self._logs / "facts", os.O_CREAT | os.O_WRONLY), b"%d %d" % facts)
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)

    def wait(self) -> Ending:
        """Waits for the end; raises TimeoutError if the process or a child of it keeps running."""
        while not (status := os.waitpid(self.pid, os.WNOHANG))[0]:
            if time.monotonic() - self._begun > TIMEOUT:
                os.killpg(self.pid, signal.SIGKILL)
                raise TimeoutError(f"it did not end within {TIMEOUT:.0f} s")
            time.sleep(0.005)
        seconds = time.monotonic() - self._begun
        self._wait_for_orphans()
        output, errors, facts = (self._log(name) for name in ("out", "err", "facts"))
        shutil.rmtree(self._logs)
        calls, memory = map(int, facts.split() or (0, 0))
        code = os.waitstatus_to_exitcode(status[1])
        return Ending(code, output, errors, calls, seconds, memory)

    def _wait_for_orphans(self) -> None:
        last = time.monotonic() + ORPHAN_SECONDS
        with suppress(ProcessLookupError):
            while time.monotonic() < last:
                os.killpg(self.pid, 0)
                time.sleep(0.05)
            os.killpg(self.pid, signal.SIGKILL)
            raise TimeoutError("its child processes keep running")

    def _log(self, name: str) -> str:
        path = self._logs / name
        return path.read_text(errors="replace") if path.exists() else ""


def _status(name: str) -> int:
    """Reads a memory field of /proc/self/status, in bytes."""
    (line,) = (x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith(name))
    return 1024 * int(line.split()[1])


def run(folder: Path, line: Sequence[str], fault: Fault = Fault()) -> Ending:
    """Runs a command to its end."""
    return Process(folder, line, fault).wait()


class Failure(Exception):  # noqa: N818  (a finding, not an error of this program)
    """A command broke a guarantee; the message says which."""


@dataclass(frozen=True)
class Case:
    """A command in its own folder, with the ending and the result of an undisturbed run."""

    command: Command
    folder: Path
    random: random.Random
    place: float  # 0 to 1: position of the fault, so that cases cover the whole command
    usual: Ending
    wanted: Result

    def strike(self, kind: int, line: Sequence[str] = (), jump: int = 0) -> Ending:
        """Runs the command with a fault at one of its file operations."""
        at = 1 + int(self.place * self.usual.calls)
        return run(self.folder, line or self.command.line, Fault(kind, at, jump))

    def killed_in_time(self) -> list[Ending]:
        process = Process(self.folder, self.command.line)
        time.sleep(self.place * self.usual.seconds)
        os.kill(process.pid, signal.SIGKILL)
        return [process.wait()]

    def small_disk(self) -> list[Ending]:
        before = _size(self.folder)
        free = int(self.place * (self.usual.written - before))
        _mount(self.folder, f"remount,size={max(4096, before + free)}")
        ended = run(self.folder, self.command.line)
        _mount(self.folder, "remount,size=1g")
        return [ended]

    def mounted_read_only(self) -> list[Ending]:
        _mount(self.folder, "remount,ro")
        ended = run(self.folder, self.command.line)
        _mount(self.folder, "remount,rw")
        return [ended]

    def little_memory(self) -> list[Ending]:
        limit = (1 << 20) + int(self.place * self.usual.memory)
        ended = run(self.folder, self.command.line, Fault(memory=limit))
        # A library may abort when it gets no memory; that counts as killed by the system.
        died = ended.code < 0 or "terminate called" in ended.complained
        return [replace(ended, code=-signal.SIGKILL) if died else ended]

    def clock_jumps(self) -> list[Ending]:
        jump = self.random.choice(JUMPS)
        if self.random.random() < 0.5:
            return [self.strike(CLOCK, jump=jump)]
        return [self.strike(KILL), run(self.folder, self.command.again, Fault(CLOCK, 0, jump))]

    def two_at_once(self) -> list[Ending]:
        one = Process(self.folder, self.command.line)
        time.sleep(self.random.choice((0, self.place)) * self.usual.seconds)
        two = Process(self.folder, self.random.choice((self.command.line, self.command.again)))
        return [one.wait(), two.wait()]

    def resume_and_check(self, endings: list[Ending]) -> str:
        """Resumes until the work is done; returns the outcome, or raises Failure."""
        for ended in endings:
            if ended.code not in {0, -signal.SIGKILL} and not ended.refusal:
                raise Failure(f"no one-line message: {ended.last}")
        self._check_intact()
        ended = endings[-1]
        if len(endings) == 1 and not ended.code and (reason := self._difference(ended)):
            raise Failure(f"it succeeded, but {reason}")
        for line in (self.command.again, self.command.line):
            if not self._defect(ended):
                break
            ended = run(self.folder, line)
            if ended.code not in {0, 1} or (ended.code == 1 and not ended.refusal):
                raise Failure(f"the resumed run reports: {ended.last}")
        if reason := self._defect(ended):
            raise Failure(f"after resuming, {reason}; it reports: {ended.last}")
        codes = {each.code for each in endings}
        return "refused" if 1 in codes else "resumed" if codes - {0} else "unharmed"

    def _check_intact(self) -> None:
        """Checks a copy of the folder, since opening a SQLite database repairs it."""
        with tempfile.TemporaryDirectory(prefix="chaos-copy-") as copy:
            shutil.copytree(self.folder, copy, dirs_exist_ok=True)
            try:
                contents(Path(copy))
            except Exception as error:
                raise Failure(f"torn: {type(error).__name__}: {error}") from error

    def _defect(self, ended: Ending) -> str:
        """Describes the differences from an undisturbed run; empty if there are none."""
        if reason := self._difference(ended):
            return reason
        remains = leftovers(self.folder)
        return f"it leaves {', '.join(remains[:3])}" if remains else ""

    def _difference(self, ended: Ending) -> str:
        """As ``_missing``, of the results alone: the next run reuses leftover files."""
        try:
            found = self.command.result(self.folder, ended.said)
        except (OSError, KeyError, ValueError) as error:
            return f"there is no result ({error!r})"
        names = sorted(n for n in {*found, *self.wanted} if found.get(n) != self.wanted.get(n))
        return f"it differs in {', '.join(names[:3])}" if names else ""


class Plan(NamedTuple):
    """A case to run."""

    command: Command
    kind: str  # of the disturbance
    number: int  # index among the cases of this command and kind, from 0
    count: int  # number of cases of this command and kind


KINDS: dict[str, Callable[[Case], list[Ending]]] = {
    "kill -9 at a file call": lambda case: [case.strike(KILL)],
    "kill -9 at any time": Case.killed_in_time,
    "disk full from a call on": lambda case: [case.strike(FULL)],
    "a small disk": Case.small_disk,
    "one call fails (EIO)": lambda case: [case.strike(BROKEN)],
    "read-only from a call on": lambda case: [case.strike(READ_ONLY)],
    "a read-only disk": Case.mounted_read_only,
    "little memory": Case.little_memory,
    "clock jumps": Case.clock_jumps,
    "two processes": Case.two_at_once,
}
MOUNTED = {"a small disk", "a read-only disk"}
SHARES = {"kill -9 at a file call": 4, "disk full from a call on": 2, "a read-only disk": 0.5}


def _mount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "chaos", str(folder)], check=True)


def _size(folder: Path) -> int:
    return sum(-(-path.lstat().st_size // 4096) * 4096 + 4096 for path in folder.rglob("*"))


@contextmanager
def prepare_folder(command: Command, *, mounted: bool = False) -> Iterator[Path]:
    """Yields a folder with the inputs of a command."""
    with tempfile.TemporaryDirectory(prefix="chaos-") as name:
        folder = Path(name).resolve() / "case"
        folder.mkdir()
        if mounted:
            _mount(folder, "size=1g")
        try:
            command.prepare(folder)
            yield folder
        finally:
            if mounted:
                subprocess.run(["umount", str(folder)], check=True)


def run_undisturbed(command: Command) -> tuple[Ending, Result]:
    """The ending and the result of a command; raises Failure unless two runs agree."""
    silence = io.StringIO()
    with (
        prepare_folder(command) as folder,
        chdir(folder),
        redirect_stderr(silence),
        redirect_stdout(silence),
    ):  # In this process, so that everything it loads and caches is inherited by later forks.
        app(list(command.line), standalone_mode=False)
    results: list[tuple[Ending, Result]] = []
    for _ in range(2):
        with prepare_folder(command) as folder:
            ended = run(folder, command.line)
            if ended.code:
                raise Failure(f"it fails undisturbed: {ended.last}")
            found = command.result(folder, ended.said)
            results.append((replace(ended, written=_size(folder)), found))
    (_, first), (ended, second) = results
    if first != second:
        names = [name for name in first if first[name] != second[name]]
        raise Failure(f"two undisturbed runs differ in {names}")
    note(f"{command.name}: {ended.calls} file calls, {ended.seconds:.1f} s")
    return ended, second


def plan_cases(commands: Sequence[Command], kinds: Sequence[str], cases: int) -> list[Plan]:
    """The cases of each command and kind, with positions spread over the whole command."""
    shares, found = {kind: SHARES.get(kind, 1) for kind in kinds}, list[Plan]()
    for command in commands:
        for kind, share in shares.items():
            count = max(1, round(cases / len(commands) * share / sum(shares.values())))
            found += [Plan(command, kind, number, count) for number in range(count)]
    return found


def run_case(plan: Plan, known: dict[str, tuple[Ending, Result]], seed: int) -> Row:
    """Runs a case and returns its row; ``known`` caches the undisturbed runs."""
    command, kind, number, count = plan
    rng = random.Random(f"{seed} {command.name} {kind} {number}")
    place = (number + rng.random()) / count
    row = {"command": command.name, "kind": kind, "place": round(place, 4)}
    with prepare_folder(command, mounted=kind in MOUNTED) as folder:
        endings: list[Ending] = []
        try:
            if command.name not in known:
                known[command.name] = run_undisturbed(command)
            case = Case(command, folder, rng, place, *known[command.name])
            endings = KINDS[kind](case)
            row |= {"outcome": case.resume_and_check(endings)}
        except (Failure, TimeoutError) as failure:
            row |= {"outcome": "failed", "why": str(failure).replace(str(folder), "")}
            note(f"{command.name}, {kind} at {place:.4f}: {row['why']}")
        return row | {"said": [each.refusal.replace(str(folder), "") for each in endings]}


OUTCOMES = ("unharmed", "resumed", "refused", "failed")


def count_outcomes(rows: Sequence[Row], by: str) -> list[Row]:
    """Counts the outcomes of each command or kind."""
    found: list[Row] = []
    for name in (*dict.fromkeys(row[by] for row in rows), "all"):
        tally = Counter(row["outcome"] for row in rows if name in (row[by], "all"))
        found.append({by: name, "cases": tally.total(), **{each: tally[each] for each in OUTCOMES}})
    return found


def main() -> None:
    """Runs the cases, prints the tables, and writes the record."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cases", type=int, default=600)
    parser.add_argument("--minutes", type=float, default=inf, help="start no case after this time")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="part of a command's name")
    parser.add_argument("--kind", default="", help="part of a disturbance's name")
    parser.add_argument("--out", type=Path, help="folder for the record")
    options = parser.parse_args()
    if not hasattr(ctypes.CDLL(None), "chaos_arm"):
        parser.error("build/faults.so is not preloaded: run  make chaos")
    shrink()
    is_root = os.geteuid() == 0
    kinds = [kind for kind in KINDS if options.kind in kind and (is_root or kind not in MOUNTED)]
    commands = [command for command in COMMANDS if options.only in command.name]
    about, start, rows = provenance(), time.monotonic(), list[Row]()
    plans = plan_cases(commands, kinds, options.cases)
    random.Random(options.seed).shuffle(plans)
    known: dict[str, tuple[Ending, Result]] = {}
    for plan in plans:
        if time.monotonic() - start > 60 * options.minutes:
            break
        rows.append(run_case(plan, known, options.seed))
    rows.sort(key=lambda row: (row["command"], list(KINDS).index(row["kind"]), row["place"]))
    notes = [
        "unharmed: it ended as usual. resumed: it was killed, and the same command, or the one "
        "with --resume, ended as if undisturbed. refused: it ended with a one-line reason, and "
        "resumed once the disturbance was over. All results are compared bit for bit.",
    ]
    if len(rows) < len(plans):
        notes.append(f"{len(rows)} of {len(plans)} cases in the time given")
    if not is_root:
        notes.append("small and read-only disks need root to mount: left out")
    failed = [row for row in rows if row["outcome"] == "failed"]
    notes += [f"failed: {r['command']}, {r['kind']} at {r['place']}: {r['why']}" for r in failed]
    columns = "cases | unharmed | resumed | refused with a message | failures"
    cells = " | ".join(f"{{{name}}}" for name in ("cases", *OUTCOMES))
    tables = [
        table((f"{by} | {columns}", f"{{{by}}} | {cells}"), count_outcomes(rows, by))
        for by in ("command", "kind")
    ]
    record = {**about, "seed": options.seed, "minutes": round((time.monotonic() - start) / 60, 1)}
    text = document(f"{machine(about)}, seed {options.seed}", *tables, notes=notes)
    publish(options.out, "chaos", {**record, "cases": rows}, text)
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
