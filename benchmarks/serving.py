"""How many drawings a second does ``digitlens serve`` read, and how long does each take?

    python benchmarks/serving.py [--data-dir FOLDER] [--seconds S] [--out FOLDER]

32 clients on this machine send drawings of 280 x 280 pixels as PNG: tiles of the MNIST test set
enlarged, half of them white on black and half black on white. In the same run, in turns, so are
asked the endpoints that tutorials write around Keras and torch (``tutorial_server.py``; what
Keras needs is installed below ``build/`` by the first run).

- a second: requests answered as they must be. p50 and p99: of pictures, in milliseconds, from
  sending to the whole answer.
- a third bad: every third request is empty, cut off, no picture, a decompression bomb, or bad
  JSON, and must be refused. Every other answer is an error.
- half load: half as many drawings a second as were read, sent evenly whether earlier ones are
  answered or not; time counts from when a drawing was due.
- memory: of the server's process before the first request and after the last one, in megabytes.
- right: digits read as they are labelled, and nothing else. The tutorials' networks are untrained.

Servers and clients share the machine's cores.
"""

import argparse
import base64
import io
import json
import os
import re
import socket
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np
import numpy.typing as npt
from PIL import Image

import load
from digitlens import files
from digitlens.datasets.mnist import load_mnist
from digitlens.progress import note
from load import Outcome, Shot
from peer_process import UnavailableError, environment
from provenance import provenance

CLIENTS, ROUNDS, SECONDS = 32, 3, 5.0
SIDE, PICTURES = 280, 200
START_TIME = 90.0  # seconds
ENVIRONMENTS = Path(__file__).parents[1] / "build" / "serving-venv"
KERAS = ("tensorflow-cpu==2.21.0", "fastapi", "uvicorn", "python-multipart", "pillow")
TUTORIAL = Path(__file__).with_name("tutorial_server.py")
ADDRESS = re.compile(rb"http://127\.0\.0\.1:(\d+)")
NAMES = {
    "digitlens": "`digitlens serve`",
    "digitlens, a third bad": "the same, a third bad",
    "digitlens, half load": "the same, half load",
    "keras": "tutorial, Keras",
    "torch": "tutorial, torch",
}


@dataclass
class Server:
    """A running server.

    Attributes:
        memory: Megabytes, before and after.
    """

    port: int
    pid: int
    versions: str = ""
    memory: list[float] = field(default_factory=list)

    def weigh(self) -> None:
        status = Path(f"/proc/{self.pid}/status").read_text()
        self.memory.append(round(int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1000, 1))


def main() -> None:
    options = _options()
    made = provenance() | {"clients": CLIENTS}
    pictures, labels = drawings(options.data_dir)
    with ExitStack() as stack:
        servers, missing = start_all(options.environments, stack)
        results, right = measure(servers, pictures, labels, options.seconds)
        about = {
            name: {"versions": server.versions, "memory_mb": server.memory}
            for name, server in servers.items()
        }
    record = made | {"servers": about, "missing": missing, "right": right, "results": results}
    text = report(record)
    print(text, end="")
    if options.out:
        files.write_json(options.out / "serving.json", record)
        files.write_bytes(options.out / "serving.md", text.encode())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, help="folder with the MNIST files")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of one load")
    parser.add_argument("--out", type=Path, help="folder for serving.json and serving.md")
    parser.add_argument("--environments", type=Path, default=ENVIRONMENTS, help="of the peers")
    return parser.parse_args()


def drawings(data_dir: Path | None) -> tuple[list[bytes], list[str]]:
    """PNG files and what is on them, spread over the test set."""
    test = load_mnist(data_dir).test
    chosen = np.linspace(0, len(test.tiles) - 1, PICTURES).astype(int)
    pictures = [png(test.tiles[i], dark=bool(k % 2)) for k, i in enumerate(chosen)]
    return pictures, [str(test.labels[i]) for i in chosen]


def png(tile: npt.NDArray[np.uint8], *, dark: bool) -> bytes:
    """A tile as a drawing, white on black or the other way round."""
    picture = Image.fromarray(255 - tile if dark else tile)
    out = io.BytesIO()
    picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(out, "PNG")
    return out.getvalue()


def bad_shots(picture: bytes) -> list[Shot]:
    """Requests that must be refused."""
    path, raw = "/v1/read", "application/octet-stream"
    return [
        Shot("empty", load.request(path, b"", raw), bad=True),
        Shot("cut off", load.request(path, picture[: len(picture) // 2], raw), bad=True),
        Shot("no picture", load.request(path, b"not a picture" * 100, raw), bad=True),
        Shot("bomb", load.request(path, bomb(), raw), bad=True),
        Shot("bad JSON", load.request(path, b'{"image": {', "application/json"), bad=True),
        Shot("bad base64", load.request(path, _bad_base64(), "application/json"), bad=True),
    ]


def bomb() -> bytes:
    """A PNG of a few bytes that claims 50,000 x 50,000 pixels."""
    head = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(b"\0"))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _bad_base64() -> bytes:
    return json.dumps({"image": {"data": base64.b64encode(b"x" * 100).decode() + "!"}}).encode()


def start_all(environments: Path, stack: ExitStack) -> tuple[dict[str, Server], dict[str, str]]:
    """The servers that run, and by name why the others do not."""
    servers = {"digitlens": start_digitlens(stack)}
    missing: dict[str, str] = {}
    for name, packages in (("keras", KERAS), ("torch", ())):
        try:
            servers[name] = start_tutorial(name, environment(packages, environments), stack)
        except UnavailableError as reason:
            missing[name] = str(reason)
    return servers, missing


def start_digitlens(stack: ExitStack) -> Server:
    process, errors = _start([sys.executable, "-m", "digitlens", "serve", "--port", "0"], stack)
    end = time.monotonic() + START_TIME
    while not (found := ADDRESS.search(Path(errors.name).read_bytes())):
        _wait(process, errors, end)
    return Server(int(found[1]), process.pid)


def start_tutorial(name: str, python: str, stack: ExitStack) -> Server:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process, errors = _start([python, str(TUTORIAL), name, str(port)], stack)
    end = time.monotonic() + START_TIME
    while True:
        try:
            with urlopen(f"http://127.0.0.1:{port}/versions", timeout=5) as answer:
                return Server(port, process.pid, json.load(answer))
        except URLError:
            _wait(process, errors, end)


def _start(command: list[str], stack: ExitStack) -> tuple[subprocess.Popen[bytes], IO[bytes]]:
    errors = stack.enter_context(tempfile.NamedTemporaryFile())  # noqa: SIM115
    alone = {**os.environ, "DIGITLENS_TOKEN": ""}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors, env=alone)
    stack.callback(process.wait)
    stack.callback(process.terminate)
    return process, errors


def _wait(process: subprocess.Popen[bytes], errors: IO[bytes], end: float) -> None:
    if process.poll() is not None or time.monotonic() > end:
        said = Path(errors.name).read_text(errors="replace").strip().splitlines()
        raise UnavailableError((said or ["did not start in time"])[-1])
    time.sleep(0.1)


def measure(
    servers: dict[str, Server], pictures: list[bytes], labels: list[str], seconds: float
) -> tuple[dict[str, Any], str]:
    """What came of each load, and how many drawings were read as they are labelled."""
    shots = _shots(pictures)
    for server in servers.values():
        load.closed(server.port, shots[_path_of(servers, server)], 2, 1.0)
        server.weigh()
    outcomes = {name: Outcome() for name in NAMES if name.partition(",")[0] in servers}
    for number in range(ROUNDS):
        note(f"round {number + 1} of {ROUNDS}")
        for name, before in outcomes.items():
            server = servers[name.partition(",")[0]]
            outcome = _load(name, server, shots, outcomes["digitlens"], seconds)
            outcomes[name] = before.merged(outcome)
    for server in servers.values():
        server.weigh()
    right = _right(outcomes["digitlens"], labels)
    return {name: outcome.summary() for name, outcome in outcomes.items()}, right


def _path_of(servers: dict[str, Server], server: Server) -> str:
    return "digitlens" if server is servers["digitlens"] else "tutorial"


def _shots(pictures: list[bytes]) -> dict[str, list[Shot]]:
    ours = [
        Shot(str(k), load.request("/v1/read", one, "image/png")) for k, one in enumerate(pictures)
    ]
    bad = bad_shots(pictures[0])
    mixed = [bad[k // 3 % len(bad)] if k % 3 == 2 else shot for k, shot in enumerate(ours)]
    theirs = [Shot(str(k), load.multipart("/predict", one)) for k, one in enumerate(pictures)]
    return {"digitlens": ours, "mixed": mixed, "tutorial": theirs}


def _load(
    name: str, server: Server, shots: dict[str, list[Shot]], full: Outcome, seconds: float
) -> Outcome:
    if name.endswith("half load"):
        rate = full.summary()["per_second"] / 2
        return load.open_loop(server.port, shots["digitlens"], rate, seconds)
    if name.endswith("bad"):
        return load.closed(server.port, shots["mixed"], CLIENTS, seconds)
    kind = "digitlens" if name == "digitlens" else "tutorial"
    return load.closed(server.port, shots[kind], CLIENTS, seconds)


def _right(outcome: Outcome, labels: list[str]) -> str:
    texts = {name: json.loads(body)["readings"][0]["text"] for name, body in outcome.bodies.items()}
    return f"{sum(text == labels[int(name)] for name, text in texts.items())} of {len(texts)}"


def report(record: dict[str, Any]) -> str:
    where = f"{record['processor'] or record['machine']}, {record['cores']} cores"
    lines = [
        f"{record['clients']} clients on {record['date']}, {where} shared with the clients, "
        f"load before {record['load']}.\n",
        "| server | requests a second | p50, ms | p99, ms | refused | errors | memory, MB |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [_line(name, row, record["servers"]) for name, row in record["results"].items()]
    lines += ["", f"- Drawings read right by digitlens: {record['right']}"]
    lines += [f"- {name}: {facts['versions']}" for name, facts in _versions(record)]
    lines += [f"- {name}: not available, {reason}" for name, reason in record["missing"].items()]
    return "\n".join(lines) + "\n"


def _versions(record: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(name, facts) for name, facts in record["servers"].items() if facts["versions"]]


def _line(name: str, row: dict[str, Any], servers: dict[str, Any]) -> str:
    errors = sum(row["errors"].values())
    facts = servers.get(name, {"memory_mb": []})
    memory = " → ".join(f"{size:.0f}" for size in facts["memory_mb"])
    numbers = f"{row['per_second']:.0f} | {row['p50_ms']:.0f} | {row['p99_ms']:.0f}"
    return f"| {NAMES[name]} | {numbers} | {row['refused']} | {errors} | {memory} |"


if __name__ == "__main__":
    main()
