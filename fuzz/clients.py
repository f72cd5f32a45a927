"""Sends a running server malformed requests, and requests generated from its OpenAPI document.

``digitlens serve`` runs in its own process. Requests of the corpus are mutated as HTTP text and
sent whole, in pieces, truncated, half-closed and pipelined, while 1,000 idle connections stay open.
Then schemathesis sends requests that the document allows and requests that it forbids.
"""

import argparse
import contextlib
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any
from urllib.request import urlopen

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import CHECKS, load_all_checks

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(Path(__file__).parent), str(ROOT / "benchmarks")]
from child import seeds_of
from harness import document, machine, provenance, publish, table
from mutate import mutate

COLUMNS = (
    "clients | sent | responses | 2xx | 4xx | 5xx | none | findings",
    "{kind} | {sent:,} | {answers:,} | {good:,} | {refused:,} | {bad:,} | {none:,} | {finds}",
)
MEMORY_LIMIT = 600_000_000  # limit in bytes above the server's memory at the start
TIMEOUT = 30  # seconds for a response
CROWD = 1000
LEFT_OUT = ("positive_data_acceptance", "negative_data_rejection")  # beyond what a schema states
WAYS = ("whole", "pieces", "cut off", "half closed", "pipelined")


def requests(count: int, seed: int) -> Iterator[tuple[str, bytes, float]]:
    """Yields for each request the way to send it, its text, and the timeout: short if malformed."""
    random, seeds = Random(seed), seeds_of("requests")
    for _ in range(count):
        data = mutate(random.choice(seeds), random, seeds)
        head, _, body = data.partition(b"\n\n")
        first, *lines = head.split(b"\n")
        length = random.choice((len(body),) * 30 + (0, len(body) + 9, 10**9))
        lines.append(b"content-length: %d" % length)
        text = b"\r\n".join([first + b" HTTP/1.1", *lines]) + b"\r\n\r\n" + body
        is_changed = random.random() < 0.2
        timeout = 0.3 if is_changed or length > len(body) else TIMEOUT
        yield random.choice(WAYS), mutate(text, random) if is_changed else text, timeout


def talk(port: int, way: str, text: bytes, timeout: float) -> list[int]:
    """Sends a request in the given way; returns the statuses of the responses."""
    last = text.replace(b" HTTP/1.1\r\n", b" HTTP/1.1\r\nConnection: close\r\n", 1)
    sent = {"cut off": last[: len(last) // 2], "pipelined": 2 * text + last}.get(way, last)
    size = len(sent) if way != "pieces" else 1 + len(sent) // 10
    data = b""
    with (
        socket.create_connection(("127.0.0.1", port), timeout) as connection,
        contextlib.suppress(ConnectionError, TimeoutError),
    ):
        for start in range(0, len(sent), size):
            connection.sendall(sent[start : start + size])
        if way in {"cut off", "half closed"}:
            connection.shutdown(socket.SHUT_WR)
        while chunk := connection.recv(65536):
            data += chunk
    return [int(each) for each in re.findall(rb"HTTP/1\.1 (\d{3}) ", data)]


class Server:
    """``digitlens serve`` in a process."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "digitlens", "serve", "--port", "0"]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr
        self.port = 0
        while not self.port:
            line = self._process.stderr.readline()
            assert line, "the server did not start"
            found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
            self.port = int(found[1]) if found else 0
        self._base = self.memory

    @property
    def memory(self) -> int:
        """Peak memory so far, in bytes."""
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="utf-8")
        return 1024 * int(re.search(r"VmHWM:\s+(\d+)", status)[1])  # pyright: ignore

    def problems(self) -> list[str]:
        """Problems of the server: no answer, 5xx statuses, too much memory."""
        address = f"http://127.0.0.1:{self.port}"
        try:
            with (
                urlopen(f"{address}/healthz", timeout=TIMEOUT),
                urlopen(f"{address}/metrics") as stream,
            ):
                metrics = stream.read().decode()
        except OSError as error:
            return [f"no response: {error}"]
        found = re.findall(r'.*(?:status="5\d\d"|cause="internal").*', metrics)
        growth = self.memory - self._base
        return found + ([f"{growth / 1e6:.0f} MB more"] if growth > MEMORY_LIMIT else [])

    def stop(self) -> int:
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(60)


def summarise(kind: str, statuses: list[list[int]], finds: list[str]) -> dict[str, Any]:
    by_class = Counter(status // 100 for each in statuses for status in each)
    none = sum(not each for each in statuses)
    row = {"kind": kind, "sent": len(statuses), "answers": by_class.total(), "none": none}
    row |= {"good": by_class[2] + by_class[3], "refused": by_class[4], "bad": by_class[5]}
    return row | {"finds": len(finds), "told": finds}


def send_mutated(server: Server, count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Sends mutated requests while idle clients stay connected; yields a row for each way."""
    idle = [socket.create_connection(("127.0.0.1", server.port), TIMEOUT) for _ in range(CROWD)]
    by_way: dict[str, list[list[int]]] = {way: [] for way in WAYS}
    for way, text, timeout in requests(count, seed):
        by_way[way].append(talk(server.port, way, text, timeout))
    for connection in idle:
        connection.close()
    problems = server.problems()
    yield summarise(f"{CROWD:,} idle", [[] for _ in idle], problems)
    yield from (summarise(way, statuses, []) for way, statuses in by_way.items())


def send_generated(server: Server, count: int) -> Iterator[dict[str, Any]]:
    """Runs schemathesis with requests that the document allows, and that it forbids."""
    load_all_checks()
    skipped = [CHECKS.get_one(name) for name in LEFT_OUT]
    schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{server.port}/openapi.json")
    operations = [result.ok() for result in schema.get_all_operations()]
    for mode in schemathesis.GenerationMode:
        statuses: list[list[int]] = []
        finds: list[str] = []
        for operation in operations:
            ask = _make_test(operation, mode, count // (2 * len(operations)), skipped, statuses)
            try:
                with contextlib.suppress(Unsatisfiable):  # no invalid request exists
                    ask()
            except Exception as error:
                finds.append(f"{operation.label}: {str(error).splitlines()[0]}")
        yield summarise(f"schemathesis, {mode.value}", statuses, finds + server.problems())


def _make_test(
    operation: Any, mode: Any, count: int, skipped: list[Any], statuses: list[list[int]]
) -> Callable[[], None]:
    quick = {"max_examples": max(1, count), "deadline": None, "database": None, "derandomize": True}

    @settings(**quick, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        statuses.append([case.call_and_validate(excluded_checks=skipped).status_code])

    return ask


def main() -> int:
    """Attacks a server; returns exit code 1 if there was a finding."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--inputs", type=int, default=20_000, help="requests, half by schemathesis")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="folder for the record")
    options = parser.parse_args()
    about, start = provenance(), time.monotonic()
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    server = Server()
    rows = [
        *send_mutated(server, options.inputs // 2, options.seed),
        *send_generated(server, options.inputs // 2),
    ]
    peak, code = server.memory, server.stop()
    notes = [f"{row['kind']}: {find}" for row in rows for find in row["told"]]
    if code not in (0, -signal.SIGTERM):  # uvicorn re-raises the signal after its shutdown
        notes.append(f"the server ended with exit code {code}")
    notes_of_run = [f"Peak memory of the server: {peak / 1e6:.0f} MB"]
    text = document(machine(about), table(COLUMNS, rows), notes=notes + notes_of_run)
    facts = {"seed": options.seed, "seconds": round(time.monotonic() - start), "memory": peak}
    publish(options.out, "clients", about | facts | {"clients": rows}, text)
    return int(bool(notes))


if __name__ == "__main__":
    sys.exit(main())
