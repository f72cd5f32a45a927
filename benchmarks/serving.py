"""How many drawings per second does ``digitlens serve`` read, and how long does each take?

    python benchmarks/serving.py [--data-dir FOLDER] [--seconds S] [--out FOLDER]
    python benchmarks/serving.py --soak [--minutes M] [--overload M] [--data-dir FOLDER] [...]

32 clients on this machine send drawings of 280 x 280 pixels as PNG: enlarged tiles of the MNIST
test set, half of them white on black. In the same run, in turns, the clients also load endpoints as
tutorials write them for Keras and torch (``worker.py serve``), with untrained networks. digitlens
runs one process per core, the tutorials' servers run one, as in the tutorials.

- requests/s: requests answered correctly. p50 and p99: for pictures, in milliseconds, from sending
  to the complete response.
- a third bad: every third request is empty, truncated, not a picture, a decompression bomb, or
  bad JSON, and must be refused. Any other response is an error.
- tiles: one per request, to ``/v1/classify``.
- half load: drawings at half the measured rate, sent evenly whether or not earlier ones are
  answered; the time starts when a drawing is due.
- memory: of the server's processes before the first and after the last request, in megabytes.
- right: drawings read as the labelled digit and nothing else.

With ``--soak`` it measures long-term stability. Drawings are sent evenly: at 80 % of the measured
maximum rate; the same while SIGHUP replaces each process; at 300 %; and at 80 % while SIGTERM stops
the server.

- 429: refused with ``Retry-After``, as expected above 100 %.
- refused: connections after the server has stopped.
- errors: any other response, and any broken connection: there must be none.
- memory: of all processes at the start and the end, in megabytes, and the slope of a line fitted to
  the second half, which is not meaningful for a run of a few minutes.
"""

import argparse
import json
import os
import signal
import socket
import struct
import threading
import time
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPConnection, HTTPException
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import NamedTuple
from urllib.request import urlopen

import numpy as np
from PIL import Image

import drawn
import harness
from digitlens.datasets.mnist import Split, load_mnist
from digitlens.models.session import cores
from digitlens.progress import note
from harness import OURS, WORKER, Page, Row, UnavailableError
from worker import memory_of

CLIENTS, ROUNDS, SECONDS = 32, 3, 5.0
TIMEOUT = 60.0  # seconds for one response
KEEP_ALIVE = 1.0  # seconds that an idle connection is kept open
SIDE, PICTURES = 280, 200
START_TIME = 90.0  # seconds
PIXELS, JSON = "application/octet-stream", "application/json"
PACKAGES: dict[str, Sequence[str]] = {OURS: (), "keras": harness.KERAS, "torch": ()}
FULL_LOAD = "`digitlens serve`"
# Server, kind of requests, and rate relative to that of the full load; 0: as fast as possible.
LOADS = {
    FULL_LOAD: (OURS, "drawings", 0.0),
    "the same, a third bad": (OURS, "a third bad", 0.0),
    "the same, half load": (OURS, "drawings", 0.5),
    "the same, tiles": (OURS, "tiles", 0.0),
    "tutorial, Keras": ("keras", "tutorial", 0.0),
    "tutorial, torch": ("torch", "tutorial", 0.0),
}
COLUMNS = (
    "server | requests/s | p50, ms | p99, ms | refused | errors | memory, MB",
    "{name} | {per_second:.0f} | {p50_ms:.0f} | {p99_ms:.0f} | {refused} | {wrong} | {memory}",
)
QUEUE = 32  # queued requests in a soak: a longer queue only adds waiting time
SHORT = 60.0  # seconds of a soak's loads of fixed length
PAUSE = 2.0  # seconds between two measurements of the memory
FULL, GONE = "picture: 429", "picture: ConnectionRefusedError"
SOAKED = (
    "load | minutes | sent/s | answered | p50, ms | p99, ms | 429 | refused | errors"
    " | memory, MB | slope, MB/h",
    "{name} | {minutes:.1f} | {rate:.1f} | {answered} | {p50_ms:.0f} | {p99_ms:.0f} | {full}"
    " | {gone} | {wrong} | {first:.0f} → {last:.0f} | {slope:+.0f}",
)


class Shot(NamedTuple):
    """A request; ``name`` identifies the picture, ``bad`` requests must be refused."""

    name: str
    body: bytes
    path: str = "/v1/read"
    kind: str = PIXELS
    bad: bool = False


@dataclass
class Outcome:
    """The outcome of many requests."""

    seconds: list[float] = field(default_factory=list)  # of good requests answered with 200
    elapsed: float = 0.0  # duration of the load
    errors: Counter[str] = field(default_factory=Counter)  # wrong responses, by kind and status
    refused: int = 0  # number of bad requests that were refused
    bodies: dict[str, bytes] = field(default_factory=dict)  # the last response to each, by name

    def add(self, shot: Shot, status: int | str, body: bytes, seconds: float) -> None:
        """Counts a response by its status, or a failure by the name of its error."""
        if shot.bad and status in range(400, 500):
            self.refused += 1
        elif not shot.bad and status == 200:
            self.seconds.append(seconds)
            self.bodies[shot.name] = body
        else:
            self.errors[f"{shot.name if shot.bad else 'picture'}: {status}"] += 1

    def summary(self) -> Row:
        """JSON-ready; ``per_second`` counts the requests that were answered or refused rightly."""
        middle, high = np.percentile(self.seconds or [np.nan], (50, 99))
        return {
            "answered": len(self.seconds),
            "refused": self.refused,
            "per_second": round((len(self.seconds) + self.refused) / self.elapsed, 1),
            "p50_ms": round(1000 * float(middle), 1),
            "p99_ms": round(1000 * float(high), 1),
            "errors": dict(self.errors),
        }


def load(
    result: Outcome, port: int, shots: Sequence[Shot], clients: int, seconds: float, rate: float = 0
) -> None:
    """Adds the outcome of ``clients`` clients, each sending again as soon as it is answered.

    With a ``rate`` (per second), requests are due at regular times instead, whether or not earlier
    ones are answered; times count from when a request was due, so that a slow server cannot slow
    down the load.
    """
    start, turns, lock = time.perf_counter(), count(), threading.Lock()

    def client() -> None:
        connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
        while True:
            with lock:
                turn = next(turns)
            due = start + turn / rate if rate else time.perf_counter()
            if due >= start + seconds:
                return connection.close()
            if (idle := due - time.perf_counter()) > KEEP_ALIVE:
                connection.close()  # and reopened, since servers close idle connections
            time.sleep(max(0.0, idle))
            shot = shots[turn % len(shots)]
            try:
                connection.request("POST", shot.path, shot.body, {"Content-Type": shot.kind})
                answer = connection.getresponse()
                status, body = answer.status, answer.read()
                if status == 429 and not answer.headers["Retry-After"]:
                    status = "429 without Retry-After"
            except (OSError, HTTPException) as error:
                connection.close()
                status, body = type(error).__name__, b""
            with lock:
                result.add(shot, status, body, time.perf_counter() - due)

    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(lambda _: client(), range(clients)))
    result.elapsed += time.perf_counter() - start


def main() -> None:
    cli = harness.parser(__doc__)
    cli.add_argument("--data-dir", type=Path, help="folder with the MNIST files")
    cli.add_argument("--seconds", type=float, default=SECONDS, help="duration of one load")
    cli.add_argument("--soak", action="store_true", help="run a long load test")
    cli.add_argument("--minutes", type=float, default=60, help="soak at 80 %%")
    cli.add_argument("--overload", type=float, default=10, help="minutes at 300 %%")
    options = cli.parse_args()
    if options.soak:
        soak(options)
        return
    record = harness.provenance() | {"clients": CLIENTS, "missing": {}}
    test, pictures = drawings(options.data_dir)
    with ExitStack() as stack:
        starts = {name: partial(start, name, options.environments, stack) for name in PACKAGES}
        record["servers"] = harness.run_available(starts, record["missing"])
        outcomes = measure(record["servers"], requests(pictures, test.tiles), options.seconds)
    answers = outcomes[FULL_LOAD].bodies.items()
    texts = {int(name): json.loads(body)["readings"][0]["text"] for name, body in answers}
    right = sum(text == str(test.labels[k]) for k, text in texts.items())
    record["right"] = f"{right} of {len(texts)}"
    record["results"] = {name: outcome.summary() for name, outcome in outcomes.items()}
    harness.publish(options.out, "serving", record, report(record))


def drawings(folder: Path | None) -> tuple[Split, list[bytes]]:
    """Tiles of the test set, and a drawing of each."""
    test = load_mnist(folder).test.evenly(PICTURES)
    return test, [png(tile, dark=bool(k % 2)) for k, tile in enumerate(test.tiles)]


def png(tile: Page, *, dark: bool) -> bytes:
    picture = Image.fromarray(255 - tile if dark else tile)
    large = picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    return drawn.encoded(np.asarray(large), "PNG")


def requests(pictures: Sequence[bytes], tiles: Iterable[Page] = ()) -> dict[str, list[Shot]]:
    """Requests by kind: drawings, every third bad, in the tutorials' form, and single tiles."""
    ours = [Shot(str(k), one) for k, one in enumerate(pictures)]
    bad = bad_shots(pictures[0])
    mixed = [bad[k // 3 % len(bad)] if k % 3 == 2 else shot for k, shot in enumerate(ours)]
    head = '--frontier\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n'
    head += "Content-Type: image/png\r\n\r\n"
    kind = "multipart/form-data; boundary=frontier"
    tutorial = [
        Shot(str(k), head.encode() + one + b"\r\n--frontier--\r\n", "/predict", kind)
        for k, one in enumerate(pictures)
    ]
    small = [Shot(str(k), tile.tobytes(), "/v1/classify") for k, tile in enumerate(tiles)]
    return {"drawings": ours, "a third bad": mixed, "tutorial": tutorial, "tiles": small}


def bad_shots(picture: bytes) -> list[Shot]:
    """Requests that must be refused; the bomb's header claims 50,000 x 50,000 pixels."""
    head = b"IHDR" + struct.pack(">II", 50_000, 50_000) + picture[24:29]
    bodies = {
        "empty": b"",
        "cut off": picture[: len(picture) // 2],
        "no picture": b"not a picture" * 100,
        "bomb": picture[:12] + head + struct.pack(">I", zlib.crc32(head)) + picture[33:],
        "bad JSON": b'{"image": {',
        "bad base64": b'{"image": {"data": "eHh4!"}}',
    }
    kinds = {name: JSON for name in bodies if name.startswith("bad")}
    return [Shot(key, one, kind=kinds.get(key, PIXELS), bad=True) for key, one in bodies.items()]


def start(name: str, environments: Path, stack: ExitStack, *more: str) -> Row:
    """Starts a server and waits for it; JSON-ready facts; it stops when ``stack`` closes."""
    python = harness.environment(PACKAGES[name], environments)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    command = [python, str(WORKER), "serve", name, port]
    if name == OURS:
        command = [python, "-m", OURS, "serve", "--port", port, "--processes", str(cores()), *more]
    server = harness.Worker(command, stack, DIGITLENS_TOKEN="")
    end = time.monotonic() + START_TIME
    while server.process.poll() is None and time.monotonic() < end:
        try:
            urlopen(f"http://127.0.0.1:{port}/openapi.json", timeout=5).close()
        except OSError:
            time.sleep(0.1)
        else:
            versions = PACKAGES[name][0] if PACKAGES[name] else f"{name} {version(name)}"
            facts = {"process": server.process.pid, "memory_mb": [], "versions": versions}
            return {"port": int(port), **facts}
    timed_out = server.process.poll() is None
    raise UnavailableError("did not start in time" if timed_out else server.last_error())


def measure(
    servers: Mapping[str, Row], shots: Mapping[str, Sequence[Shot]], seconds: float
) -> dict[str, Outcome]:
    """The outcome of each load; measures the servers' memory before and after, in megabytes."""

    def measure_memory() -> None:
        for server in servers.values():
            server["memory_mb"].append(round(memory_held(server["process"]), 1))

    for name, server in servers.items():
        kind = "drawings" if name == OURS else "tutorial"
        load(Outcome(), server["port"], shots[kind], 2, 1.0)
    measure_memory()
    outcomes = {name: Outcome() for name, (who, *_) in LOADS.items() if who in servers}

    def send(name: str) -> None:
        who, kind, share = LOADS[name]
        rate = share * outcomes[FULL_LOAD].summary()["per_second"] if share else 0
        clients = 2 * CLIENTS if rate else CLIENTS
        load(outcomes[name], servers[who]["port"], shots[kind], clients, seconds, rate)

    harness.take_turns({name: partial(send, name) for name in outcomes}, ROUNDS)
    measure_memory()
    return outcomes


class LoadPhase(NamedTuple):
    """A load relative to the server's maximum, and a signal sent to the server meanwhile."""

    share: float
    seconds: float
    told: int = 0


def soak(options: argparse.Namespace) -> None:
    """Runs one server under a sequence of loads."""
    record, results = harness.provenance(), dict[str, Row]()
    record |= {"processes": cores(), "queue": QUEUE, "results": results}
    shots = requests(drawings(options.data_dir)[1])["drawings"]
    phases = {
        "all it can": LoadPhase(0, min(SHORT, 6 * options.minutes)),
        "80 %": LoadPhase(0.8, 60 * options.minutes),
        "80 %, replaced": LoadPhase(0.8, SHORT, signal.SIGHUP),
        "300 %": LoadPhase(3, 60 * options.overload),
        "80 %, stopped": LoadPhase(0.8, SHORT / 3, signal.SIGTERM),
    }
    with ExitStack() as stack:
        server = start(OURS, options.environments, stack, "--queue", str(QUEUE))
        load(Outcome(), server["port"], shots, cores(), 5.0)
        capacity = 0.0
        for name, phase in phases.items():
            before = processes(server["process"])
            row = run_phase(server, shots, phase, phase.share * capacity)
            capacity = capacity or row["per_second"]
            results[name] = row | {"name": name, "minutes": phase.seconds / 60}
            if phase.told == signal.SIGHUP:
                surviving = before & processes(server["process"])
                record["replaced"] = f"{len(before - surviving)} of {len(before)}"
    harness.publish(options.out, "soak", record, report_soak(record))


def run_phase(server: Row, shots: Sequence[Shot], phase: LoadPhase, rate: float) -> Row:
    """The outcome of a load at a rate, JSON-ready; rate 0 sends as fast as possible."""
    note(f"{phase.seconds:.0f} s at {rate:.1f} per second")
    outcome, process = Outcome(), server["process"]
    start, samples = time.monotonic(), list[tuple[float, float]]()
    if phase.told:
        threading.Timer(phase.seconds / 4, os.kill, (process, phase.told)).start()
    clients = 4 * QUEUE if rate else QUEUE // 2
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(load, outcome, server["port"], shots, clients, phase.seconds, rate)
        while not job.done():
            with suppress(OSError):  # the process has ended
                samples.append((time.monotonic() - start, memory_held(process)))
            wait([job], PAUSE)
    job.result()  # raises the error of a load that failed
    at, held = np.array(samples).T
    late = at > at[-1] / 2
    slope = None if phase.told or sum(late) < 3 else 3600 * np.polyfit(at[late], held[late], 1)[0]
    row = outcome.summary()
    full, gone = outcome.errors[FULL], outcome.errors[GONE]
    wrong = outcome.errors.total() - full - gone
    row |= {"first": held[0], "last": held[-1], "slope": slope}
    return row | {"rate": rate or row["per_second"], "full": full, "gone": gone, "wrong": wrong}


def processes(parent: int) -> set[int]:
    """The worker processes: children of the server with models in their memory."""
    listed = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return {each for each in map(int, listed) if (memory_of(each, "VmRSS") or 0) > 100}


def memory_held(parent: int) -> float:
    """Memory in megabytes of a server's worker processes, or of the server if it has none."""
    return sum(memory_of(each, "VmRSS") or 0.0 for each in processes(parent) or {parent})


def machine(record: Row) -> str:
    return harness.machine(record).replace(" cores,", " cores shared with the clients,")


def report_soak(record: Row) -> str:
    head = f"{record['processes']} processes, queue of {record['queue']}, on {machine(record)}."
    notes = [f"Processes replaced under load: {record['replaced']}"]
    notes += [f"{name}: {row['errors']}" for name, row in record["results"].items() if row["wrong"]]
    return harness.document(head, harness.table(SOAKED, record["results"].values()), notes=notes)


def report(record: Row) -> str:
    servers, rows = record["servers"], list[Row]()
    memory = {
        name: " → ".join(f"{mb:.0f}" for mb in row["memory_mb"]) for name, row in servers.items()
    }
    for name, row in record["results"].items():
        rows.append(row | {"name": name, "wrong": sum(row["errors"].values())})
        rows[-1]["memory"] = memory.pop(LOADS[name][0], None)  # of all its loads
    notes = [f"Drawings read right by digitlens: {record['right']}"]
    notes += [f"{name}: {one['versions']}" for name, one in servers.items()]
    head = f"{record['clients']} clients on {machine(record)}."
    table = harness.table(COLUMNS, rows)
    return harness.document(head, table, notes=notes, missing=record["missing"])


if __name__ == "__main__":
    main()
