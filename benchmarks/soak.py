"""Does ``digitlens serve`` stay as it is under load for an hour, and then under three times it?

    python benchmarks/soak.py [--minutes M] [--overload M] [--data-dir FOLDER] [--out FOLDER]

A server with a process a core is sent the drawings of ``serving.py``, evenly, whether earlier ones
are answered or not: at 80 % of what it answers when it is asked for all it can; the same while
SIGHUP replaces each process; at 300 %; and at 80 % while SIGTERM stops it.

- answered, p50 and p99: as in ``serving.py``; a request counts from when it was due.
- 429: refused with ``Retry-After``, which is as it must be above 100 %.
- refused: connections, after the server has ended.
- errors: every other answer, and every connection that breaks: there must be none.
- memory: of all processes at the begin and the end, in megabytes, and the slope of a line through
  what was seen in the second half, which says little of a few minutes.
"""

import os
import signal
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

import harness
import serving
from digitlens.models.session import cores
from digitlens.progress import note
from harness import OURS, Row
from worker import memory_of

QUEUE = 32  # requests that may wait: more would only wait longer
CLIENTS = 4 * QUEUE
SHORT = 60.0  # seconds of the loads that do not grow with the options
PAUSE = 2.0  # seconds between two looks at the memory
FULL, DUE = "picture: 429", ("picture: ConnectionRefusedError", "picture: 429")
COLUMNS = (
    "load | minutes | asked a second | answered | p50, ms | p99, ms | 429 | refused | errors"
    " | memory, MB | slope, MB an hour",
    "{name} | {minutes:.1f} | {rate:.1f} | {answered} | {p50_ms:.0f} | {p99_ms:.0f} | {full}"
    " | {gone} | {wrong} | {first:.0f} → {last:.0f} | {slope:+.0f}",
)


class Load(NamedTuple):
    """A load at a share of what the server can, and a signal that it gets in the middle."""

    share: float
    seconds: float
    told: int = 0


def main() -> None:
    made = harness.parser(__doc__)
    made.add_argument("--data-dir", type=Path, help="folder with the MNIST files")
    made.add_argument("--minutes", type=float, default=60, help="at 80 %%")
    made.add_argument("--overload", type=float, default=10, help="minutes at 300 %%")
    options = made.parse_args()
    record, results = harness.provenance(), dict[str, Row]()
    record |= {"processes": cores(), "queue": QUEUE, "results": results}
    shots = serving.requests(serving.drawings(options.data_dir)[1])["drawings"]
    loads = {
        "all it can": Load(0, min(SHORT, 6 * options.minutes)),
        "80 %": Load(0.8, 60 * options.minutes),
        "80 %, replaced": Load(0.8, SHORT, signal.SIGHUP),
        "300 %": Load(3, 60 * options.overload),
        "80 %, stopped": Load(0.8, SHORT / 3, signal.SIGTERM),
    }
    more = "--processes", str(cores()), "--queue", str(QUEUE)
    with ExitStack() as stack:
        server = serving.start(OURS, options.environments, stack, *more)
        serving.load(serving.Outcome(), server["port"], shots, cores(), 5.0)
        able = 0.0
        for name, load in loads.items():
            before = processes(server["process"])
            row = one(server, shots, load, load.share * able)
            able = able or row["per_second"]
            results[name] = row | {"name": name, "minutes": load.seconds / 60}
            if load.told == signal.SIGHUP:
                kept = before & processes(server["process"])
                record["replaced"] = f"{len(before - kept)} of {len(before)}"
    harness.publish(options.out, "soak", record, report(record))


def one(server: Row, shots: list[serving.Shot], load: Load, rate: float) -> Row:
    """What came of a load at a rate, JSON-ready; 0 asks as soon as there is an answer."""
    note(f"{load.seconds:.0f} s at {rate:.1f} a second")
    found, process = serving.Outcome(), server["process"]
    start, seen, ended = time.monotonic(), list[tuple[float, float]](), threading.Event()

    def watch() -> None:
        while not ended.is_set():
            with suppress(OSError):  # of a process that has ended meanwhile
                held = sum(memory_of(each, "VmRSS") or 0 for each in processes(process))
                seen.append((time.monotonic() - start, held))
            ended.wait(PAUSE)

    watcher = threading.Thread(target=watch)
    watcher.start()
    if load.told:
        threading.Timer(load.seconds / 4, os.kill, (process, load.told)).start()
    clients = CLIENTS if rate else QUEUE // 2
    serving.load(found, server["port"], shots, clients, load.seconds, rate)
    ended.set()
    watcher.join()
    at, held = np.array(seen).T
    late = at > at[-1] / 2
    slope = None if load.told or sum(late) < 3 else 3600 * np.polyfit(at[late], held[late], 1)[0]
    row = found.summary()
    wrong = sum(count for name, count in row["errors"].items() if name not in DUE)
    full, gone = (row["errors"].get(name, 0) for name in reversed(DUE))
    row |= {"first": held[0], "last": held[-1], "slope": slope}
    return row | {"rate": rate or row["per_second"], "full": full, "gone": gone, "wrong": wrong}


def processes(parent: int) -> set[int]:
    """Those that answer: started by the server and with models in their memory."""
    listed = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return {each for each in map(int, listed) if (memory_of(each, "VmRSS") or 0) > 100}


def report(record: Row) -> str:
    where = harness.place(record).replace(" cores,", " cores shared with the clients,")
    head = f"{record['processes']} processes, {record['queue']} may wait, on {where}."
    notes = [f"Processes replaced under load: {record['replaced']}"]
    notes += [f"{name}: {row['errors']}" for name, row in record["results"].items() if row["wrong"]]
    return harness.document(head, harness.table(COLUMNS, record["results"].values()), notes=notes)


if __name__ == "__main__":
    main()
