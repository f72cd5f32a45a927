"""How many drawings a second does ``digitlens serve`` read, and how long does each take?

    python benchmarks/serving.py [--data-dir FOLDER] [--seconds S] [--out FOLDER]

32 clients on this machine send drawings of 280 x 280 pixels as PNG: tiles of the MNIST test set
enlarged, half of them white on black. In the same run, in turns, so are asked the endpoints that
tutorials write around Keras and torch (``worker.py serve``), whose networks are not trained.

- a second: requests answered as they must be. p50 and p99: of pictures, in milliseconds, from
  sending to the whole answer.
- a third bad: every third request is empty, cut off, no picture, a decompression bomb, or bad
  JSON, and must be refused. Every other answer is an error.
- tiles: one in each request, for ``/v1/classify``.
- half load: half as many drawings a second as were read, sent evenly whether earlier ones are
  answered or not; time counts from when a drawing was due.
- memory: of the server's process before the first request and after the last one, in megabytes.
- right: digits read as they are labelled, and nothing else.
"""

import json
import socket
import struct
import threading
import time
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPConnection, HTTPException
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import NamedTuple
from urllib.request import urlopen

import numpy as np
import numpy.typing as npt
from PIL import Image

import drawn
import harness
from digitlens.datasets.mnist import Split, load_mnist
from digitlens.progress import note
from harness import OURS, WORKER, Row, UnavailableError
from worker import memory_of

CLIENTS, ROUNDS, SECONDS = 32, 3, 5.0
PATIENCE = 60.0  # seconds for one answer
KEPT = 1.0  # seconds that a connection is kept without a request
SIDE, PICTURES = 280, 200
START_TIME = 90.0  # seconds
Tile = npt.NDArray[np.uint8]
PIXELS, JSON = "application/octet-stream", "application/json"
PACKAGES: dict[str, Sequence[str]] = {OURS: (), "keras": harness.KERAS, "torch": ()}
# Which server is asked, with which requests, and at what share of its own speed; 0: all it can.
LOADS = {
    "`digitlens serve`": (OURS, "drawings", 0.0),
    "the same, a third bad": (OURS, "a third bad", 0.0),
    "the same, half load": (OURS, "drawings", 0.5),
    "the same, tiles": (OURS, "tiles", 0.0),
    "tutorial, Keras": ("keras", "tutorial", 0.0),
    "tutorial, torch": ("torch", "tutorial", 0.0),
}
COLUMNS = (
    "server | requests a second | p50, ms | p99, ms | refused | errors | memory, MB",
    "{name} | {per_second:.0f} | {p50_ms:.0f} | {p99_ms:.0f} | {refused} | {wrong} | {memory}",
)


class Shot(NamedTuple):
    """A request: what is asked, the same name for the same picture; whether it must be refused."""

    name: str
    body: bytes
    path: str = "/v1/read"
    kind: str = PIXELS
    bad: bool = False


@dataclass
class Outcome:
    """What came of many requests."""

    seconds: list[float] = field(default_factory=list)  # of those answered with 200, as they must
    elapsed: float = 0.0  # how long the load lasted
    errors: Counter[str] = field(default_factory=Counter)  # other answers, by what they were
    refused: int = 0  # how many bad requests were refused as they must be
    bodies: dict[str, bytes] = field(default_factory=dict)  # the last answer to each, by name

    def add(self, shot: Shot, status: int | str, body: bytes, seconds: float) -> None:
        """Counts an answer with a status, or the name of the error where there is none."""
        if shot.bad and status in range(400, 500):
            self.refused += 1
        elif not shot.bad and status == 200:
            self.seconds.append(seconds)
            self.bodies[shot.name] = body
        else:
            self.errors[f"{shot.name if shot.bad else 'picture'}: {status}"] += 1

    def summary(self) -> Row:
        """JSON-ready; requests a second are all that were answered as they must be."""
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
    found: Outcome, port: int, shots: Sequence[Shot], clients: int, seconds: float, rate: float = 0
) -> None:
    """Adds what comes of so many clients, each asking again as soon as it is answered.

    With a rate, requests are due evenly instead, so many a second, whether earlier ones are
    answered or not; time counts from when a request was due, so that a server cannot slow down its
    clients.
    """
    start, turns, lock = time.perf_counter(), count(), threading.Lock()

    def client() -> None:
        connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        while True:
            with lock:
                turn = next(turns)
            due = start + turn / rate if rate else time.perf_counter()
            if due >= start + seconds:
                return connection.close()
            if (idle := due - time.perf_counter()) > KEPT:
                connection.close()  # and opened anew: servers close what is idle
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
                found.add(shot, status, body, time.perf_counter() - due)

    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(lambda _: client(), range(clients)))
    found.elapsed += time.perf_counter() - start


def main() -> None:
    made = harness.parser(__doc__)
    made.add_argument("--data-dir", type=Path, help="folder with the MNIST files")
    made.add_argument("--seconds", type=float, default=SECONDS, help="of one load")
    options = made.parse_args()
    record = harness.provenance() | {"clients": CLIENTS, "missing": {}}
    test, pictures = drawings(options.data_dir)
    with ExitStack() as stack:
        starts = {name: partial(start, name, options.environments, stack) for name in PACKAGES}
        record["servers"] = harness.available(starts, record["missing"])
        outcomes = measure(record["servers"], requests(pictures, test.tiles), options.seconds)
    answers = outcomes[next(iter(LOADS))].bodies.items()
    texts = {int(name): json.loads(body)["readings"][0]["text"] for name, body in answers}
    right = sum(text == str(test.labels[k]) for k, text in texts.items())
    record["right"] = f"{right} of {len(texts)}"
    record["results"] = {name: outcome.summary() for name, outcome in outcomes.items()}
    harness.publish(options.out, "serving", record, report(record))


def drawings(folder: Path | None) -> tuple[Split, list[bytes]]:
    """Tiles of the test set, and a drawing of each."""
    test = load_mnist(folder).test.evenly(PICTURES)
    return test, [png(tile, dark=bool(k % 2)) for k, tile in enumerate(test.tiles)]


def png(tile: Tile, *, dark: bool) -> bytes:
    picture = Image.fromarray(255 - tile if dark else tile)
    large = picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    return drawn.encoded(np.asarray(large), "PNG")


def requests(pictures: Sequence[bytes], tiles: Iterable[Tile] = ()) -> dict[str, list[Shot]]:
    """By kind: drawings alone, every third bad, as the tutorials take them; a tile in each."""
    ours = [Shot(str(k), one) for k, one in enumerate(pictures)]
    bad = bad_shots(pictures[0])
    mixed = [bad[k // 3 % len(bad)] if k % 3 == 2 else shot for k, shot in enumerate(ours)]
    head = '--frontier\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n'
    head += "Content-Type: image/png\r\n\r\n"
    kind = "multipart/form-data; boundary=frontier"
    theirs = [
        Shot(str(k), head.encode() + one + b"\r\n--frontier--\r\n", "/predict", kind)
        for k, one in enumerate(pictures)
    ]
    small = [Shot(str(k), tile.tobytes(), "/v1/classify") for k, tile in enumerate(tiles)]
    return {"drawings": ours, "a third bad": mixed, "tutorial": theirs, "tiles": small}


def bad_shots(picture: bytes) -> list[Shot]:
    bodies = {
        "empty": b"",
        "cut off": picture[: len(picture) // 2],
        "no picture": b"not a picture" * 100,
        "bomb": bomb(picture),
        "bad JSON": b'{"image": {',
        "bad base64": b'{"image": {"data": "eHh4!"}}',
    }
    kinds = {name: JSON for name in bodies if name.startswith("bad")}
    return [Shot(key, one, kind=kinds.get(key, PIXELS), bad=True) for key, one in bodies.items()]


def bomb(picture: bytes) -> bytes:
    """A PNG that claims to have 50,000 x 50,000 pixels."""
    head = b"IHDR" + struct.pack(">II", 50_000, 50_000) + picture[24:29]
    return picture[:12] + head + struct.pack(">I", zlib.crc32(head)) + picture[33:]


def start(name: str, environments: Path, stack: ExitStack, *more: str) -> Row:
    """A server that answers, JSON-ready; it ends when ``stack`` is closed."""
    python = harness.environment(PACKAGES[name], environments)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    command = [python, str(WORKER), "serve", name, port]
    if name == OURS:
        command = [python, "-m", OURS, "serve", "--port", port, *more]
    server = harness.Worker(command, stack, DIGITLENS_TOKEN="")
    end = time.monotonic() + START_TIME
    while server.process.poll() is None and time.monotonic() < end:
        try:
            urlopen(f"http://127.0.0.1:{port}/openapi.json", timeout=5).close()
        except OSError:
            time.sleep(0.1)
        else:
            known = PACKAGES[name][0] if PACKAGES[name] else f"{name} {version(name)}"
            about = {"port": int(port), "process": server.process.pid, "memory_mb": []}
            return about | {"versions": known}
    late = server.process.poll() is None
    raise UnavailableError("did not start in time" if late else server.last_words())


def measure(
    servers: Mapping[str, Row], shots: Mapping[str, Sequence[Shot]], seconds: float
) -> dict[str, Outcome]:
    """What came of each load; servers are weighed before and after, in megabytes."""

    def weigh() -> None:
        for server in servers.values():
            server["memory_mb"].append(round(memory_of(server["process"], "VmRSS") or 0.0, 1))

    for name, server in servers.items():
        kind = "drawings" if name == OURS else "tutorial"
        load(Outcome(), server["port"], shots[kind], 2, 1.0)
    weigh()
    outcomes = {name: Outcome() for name, (who, *_) in LOADS.items() if who in servers}
    alone = {who: name for name, (who, _, share) in reversed(LOADS.items()) if not share}
    for number in range(ROUNDS):
        note(f"round {number + 1} of {ROUNDS}")
        for name, outcome in outcomes.items():
            who, kind, share = LOADS[name]
            rate = share * outcomes[alone[who]].summary()["per_second"] if share else 0
            clients = 2 * CLIENTS if rate else CLIENTS
            load(outcome, servers[who]["port"], shots[kind], clients, seconds, rate)
    weigh()
    return outcomes


def report(record: Row) -> str:
    where = harness.place(record).replace(" cores,", " cores shared with the clients,")
    servers, rows = record["servers"], list[Row]()
    memory = {
        name: " → ".join(f"{mb:.0f}" for mb in row["memory_mb"]) for name, row in servers.items()
    }
    for name, row in record["results"].items():
        rows.append(row | {"name": name, "wrong": sum(row["errors"].values())})
        rows[-1]["memory"] = memory.pop(LOADS[name][0], None)  # of all its loads
    notes = [f"Drawings read right by digitlens: {record['right']}"]
    notes += [f"{name}: {one['versions']}" for name, one in servers.items()]
    head = f"{record['clients']} clients on {where}."
    return harness.document(
        head, harness.table(COLUMNS, rows), notes=notes, missing=record["missing"]
    )


if __name__ == "__main__":
    main()
