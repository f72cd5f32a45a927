"""The fuzz targets: the public entry points, each as a function of the bytes of one input.

A target may raise only ``DigitlensError``, which means that the input was refused; the server may
not answer with 5xx. Any other exception is a finding.
"""

import asyncio
import contextlib
import io
import json
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from digitlens import DigitReader, files
from digitlens.datasets.labelled import load_labelled, load_pictures
from digitlens.errors import DigitlensError
from digitlens.imaging.document import open_document
from digitlens.imaging.image import load_image
from digitlens.models.bundle import load_line_card
from digitlens.models.classifier import Classifier
from digitlens.reading.fusion import Fusion
from digitlens.reading.template import load_template, write_template
from digitlens.server.app import create_app
from digitlens.server.limits import Settings
from digitlens.server.service import make_service
from digitlens.training.recipe import load_recipe

MAX_PAGES = 3  # of a document that are decoded
MAX_READ_PIXELS = 100_000  # pixels up to which a picture is also read
PARTS = b"\n\0\n"  # separates the card and the graph of a model
HASH = b"$SHA256"  # placeholder in a card for the hash, so that a mutated graph passes the check
MAX_ITEMS = 2_000  # tiles or pictures read from one archive

Target = Callable[[bytes], None]


def decoder(data: bytes) -> None:
    """Decodes bytes to a page."""
    page = load_image(data)
    assert page.dtype == np.uint8
    assert page.size
    assert page.ndim == 2 or page.shape[2:] == (3,)


def documents(data: bytes) -> None:
    """Decodes the first pages of a file one by one."""
    with open_document(data) as document:
        for number in range(1, min(document.count, MAX_PAGES) + 1):
            with contextlib.suppress(DigitlensError):  # the next page may be intact
                assert document.page(number).size


def reader(data: bytes) -> None:
    """Reads a small picture as numbers and as a table."""
    page = load_image(data)
    if page.size > MAX_READ_PIXELS:
        return
    reading = _reader().read(page)
    json.dumps(reading.as_dict(), allow_nan=False)
    height, width = page.shape[:2]
    for digit in reading.digits:
        assert 0 <= digit.box.x0 < digit.box.x1 <= width
        assert 0 <= digit.box.y0 < digit.box.y1 <= height
        assert 0 <= digit.confidence <= 1
    with contextlib.suppress(DigitlensError):  # there is no table
        json.dumps(_reader().read_table(page).as_dict(), allow_nan=False)


def bundle(data: bytes) -> None:
    """Loads a card as that of a line reader, or else the card and its graph as a classifier."""
    card, _, graph = data.partition(PARTS)
    card = card.replace(HASH, files.sha256(graph).encode())
    folder = _folder()
    (folder / "model.json").write_bytes(card)
    (folder / "model.onnx").write_bytes(graph)
    try:
        lines = load_line_card(folder)
    except DigitlensError:
        chances = Classifier(folder, threads=1).predict_proba(np.zeros((2, 28, 28), np.uint8))
        assert chances.shape == (2, 10)
        return
    fusion = Fusion.from_dict(lines.fusion)
    if fusion.calibration:
        fusion.calibration.apply(np.linspace(0, 1, 5, dtype=np.float32))
    if fusion.risk:
        with contextlib.suppress(ValueError):  # the curve cannot guarantee this error
            fusion.risk.threshold_for(0.01)


def labels(data: bytes) -> None:
    """Loads a zip file as labelled tiles, or else as labelled pictures."""
    path = _folder() / "labelled.zip"
    path.write_bytes(data)
    with contextlib.redirect_stderr(io.StringIO()):  # silences reports of skipped files
        try:
            load_labelled(path)
        except DigitlensError:
            for _, _picture in zip(range(MAX_ITEMS), load_pictures(path), strict=False):
                pass


def template(data: bytes) -> None:
    """Loads a template, writes it and loads it again."""
    path = _folder() / "template.toml"
    path.write_bytes(data)
    loaded = load_template(path)
    path.write_text(write_template("reference.png", loaded.regions, loaded.time), encoding="utf-8")
    assert load_template(path).regions == loaded.regions


def recipe(data: bytes) -> None:
    """Loads a recipe."""
    path = _folder() / "recipe.toml"
    path.write_bytes(data)
    load_recipe(str(path))


def api(data: bytes) -> None:
    """Sends a request: first line without version, headers, an empty line, and the body."""
    head, _, body = data.partition(b"\n\n")
    first, *lines = head.split(b"\n")
    method, _, target = first.partition(b" ")
    path, _, query = target.partition(b"?")
    headers = [(name.lower(), value) for name, _, value in (x.partition(b": ") for x in lines)]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method.decode("latin-1").upper() or "POST",
        "scheme": "http",
        "path": path.decode("utf-8", "replace"),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
    }
    status, answer = _runner().run(_asked(_app(), scope, body))
    assert 200 <= status < 499, (status, answer[:500])
    if status >= 400:
        json.loads(answer)
        raise RefusedError(answer.decode())


class RefusedError(DigitlensError):
    """The HTTP counterpart of a ``DigitlensError``: a 4xx response."""


async def _asked(app: Any, scope: dict[str, Any], body: bytes) -> tuple[int, bytes]:
    """Status and body of an application's response."""
    begun = False
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        nonlocal begun
        if begun:
            await asyncio.sleep(3600)  # the client stays connected
        begun = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    parts = [message.get("body", b"") for message in sent if message["type"] != sent[0]["type"]]
    return sent[0]["status"], b"".join(parts)


@cache
def _reader() -> DigitReader:
    return DigitReader(threads=1)


@cache
def _app() -> Any:
    return create_app(make_service(Settings(workers=1), _reader()))


@cache
def _runner() -> asyncio.Runner:
    return asyncio.Runner()


@cache
def _folder() -> Path:
    """A folder for input files, in memory if possible, with a picture for the templates."""
    shared = Path("/dev/shm")
    kept = tempfile.TemporaryDirectory(
        prefix="digitlens-fuzz-", dir=shared if shared.is_dir() else None
    )
    _kept.append(kept)  # until the process ends
    folder = Path(kept.name)
    reference = Path(__file__).parent / "corpus" / "pictures" / "gray.png"
    (folder / "reference.png").write_bytes(reference.read_bytes())
    return folder


_kept: list[tempfile.TemporaryDirectory[str]] = []
# Each target with its corpus folder and its fraction of the inputs: cheap targets get more.
TARGETS: dict[str, tuple[Target, str, float]] = {
    "decoder": (decoder, "pictures", 0.42),
    "documents": (documents, "documents", 0.05),
    "bundle": (bundle, "bundles", 0.12),
    "api": (api, "requests", 0.08),
    "labels": (labels, "archives", 0.12),
    "template": (template, "templates", 0.11),
    "recipe": (recipe, "recipes", 0.095),
    "reader": (reader, "pictures", 0.005),
}


def attempt(name: str, data: bytes) -> bool:
    """Feeds an input to a target; returns whether it was accepted rather than properly refused."""
    try:
        TARGETS[name][0](data)
    except DigitlensError:
        return False
    return True
