"""The HTTP routes: readings, tables, predictions and reconstructions; models, health and metrics.

``/v1`` is the API of digitlens. ``/v2`` serves the classifier by the Open Inference Protocol,
version 2; tensors are JSON, or bytes after the JSON (the binary tensor data extension).
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Coroutine
from functools import partial
from itertools import chain
from typing import Any, TypeVar

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.routing import APIRoute
from pydantic import BaseModel

from digitlens import __version__
from digitlens.imaging.document import open_document
from digitlens.imaging.image import Page
from digitlens.models.bundle import Card, LineCard
from digitlens.reading.constraints import Expectation
from digitlens.results import Reading
from digitlens.server import schemas
from digitlens.server.limits import PAGES, PROTOCOL, Refusal, responses
from digitlens.server.schemas import JSON, RAW, InferRequest, TableQuery
from digitlens.server.service import (
    INPUT,
    METRICS_TYPE,
    Job,
    Steps,
    Upload,
    options_of,
    receive_pictures,
    receive_tiles,
    service_of,
    tiles_of_tensor,
)

T = TypeVar("T", bound=Callable[..., Any])


class _DirectRoute(APIRoute):
    """A route that calls an endpoint that builds its own response directly.

    FastAPI's dependency resolution would take a tenth of the time of a small request.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        if self.response_class is not Response:
            return super().get_route_handler()

        async def answer(request: Request) -> Response:
            return await self.endpoint(request, **request.path_params)

        return answer


router = APIRouter(route_class=_DirectRoute)
protocol = APIRouter(prefix=PROTOCOL, tags=["protocol"], route_class=_DirectRoute)
OUTPUT = "probabilities"
_HEADER_LENGTH = "inference-header-content-length"
PROBLEMS = responses(
    *("malformed", "unauthorized", "slow-body", "too-large", "unsupported-type", "wrong-host"),
    *("invalid", "picture", "queue-full", "memory-full", "internal", "stopping", "time-limit"),
)
_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": schemas.ProtocolError}
    for status in (400, 401, 404, 408, 413, 415, 421, 422, 429, 500, 503, 504)
}


def _post(path: str, tag: str, answer: type[BaseModel], summary: str) -> Callable[[T], T]:
    """A route that accepts a body and answers with JSON, or with a problem."""
    docs: dict[int | str, dict[str, Any]] = {200: {"model": answer}, **PROBLEMS}
    return router.post(path, tags=[tag], response_class=Response, responses=docs, summary=summary)


@_post("/v1/read", "reading", schemas.ReadAnswer, "Read the digits on pictures")
async def read(request: Request) -> Response:
    """Reads one or many pictures, and every page of PDF and TIFF files.

    Send one picture as the request body, files as `multipart/form-data`, or base64 in JSON. Give
    options in the query, or, in forms and JSON, in fields of the same names.
    """
    service = service_of(request)
    # FastAPI would take longer to fill a query model than for the rest of the request.
    options = options_of(request.query_params.multi_items())
    receive = await receive_pictures(request, options)

    def read(job: Job[bytes]) -> bytes:
        upload = receive()
        options, notation = upload.options, upload.options.notation
        reader, expected = service.reader_at(options.target_error), Expectation.of(options.expect)

        def read_page(page: Page) -> dict[str, Any]:
            reading = reader.read(page, expect=expected, **notation)
            service.metrics.reading(reading)
            return _with_tiles(reading) if options.tiles else reading.as_dict()

        readings = _read_pages(upload, job, read_page)
        identities = {role: _identity(service.cards[role]) for role in ("pages", "lines")}
        return _encode_answer(service.cards["tiles"], job, **identities, readings=readings)

    return await service.answer(request, read)


def _identity(card: Card | LineCard) -> dict[str, str]:
    sha256 = card.recognizer_sha256 if isinstance(card, LineCard) else card.sha256
    return {"name": card.name, "sha256": sha256}


def _seconds_since(start: float) -> float:
    """Seconds since ``start`` on the clock of jobs, rounded to 0.1 ms."""
    return round(time.perf_counter() - start, 4)


def _encode(answer: dict[str, Any]) -> bytes:
    return json.dumps(answer, separators=(",", ":")).encode()


def _encode_answer(card: Card | LineCard, job: Job[bytes], **results: Any) -> bytes:
    """The JSON answer: model and time, followed by the results."""
    return _encode({"model": _identity(card), "seconds": _seconds_since(job.started), **results})


def _with_tiles(reading: Reading) -> dict[str, Any]:
    """A reading as JSON; digits have the classifier's input in base64, empty if it did not run."""
    values = reading.as_dict()
    for digit, entry in zip(chain(*reading.lines), chain(*values["lines"]), strict=True):
        tile = b"" if digit.tile is None else digit.tile.tobytes()
        entry["tile"] = base64.b64encode(tile).decode()
    return values


def _read_pages(
    upload: Upload, job: Job[bytes], read: Callable[[Page], dict[str, Any]]
) -> list[dict[str, Any]]:
    """The results of all pages of all pictures, with file name and page number, up to a limit."""
    pages_left, results = PAGES, list[dict[str, Any]]()
    for picture in upload.pictures:
        job.check()
        with open_document(picture) as document:
            pages_left -= document.count
            if pages_left < 0:
                raise Refusal("too-large", f"expected at most {PAGES} pages, found more")
            for number in range(1, document.count + 1):
                job.check()
                source = {"name": picture.client_name, "page": number, "page_count": document.count}
                start = time.perf_counter()
                result = read(document.page(number))
                results.append({**source, "seconds": _seconds_since(start), **result})
    return results


@_post("/v1/table", "reading", schemas.TableAnswer, "Read the tables on pictures")
async def table(request: Request) -> Response:
    """Reads the largest table of each picture and page, cell by cell.

    Send pictures as for `/v1/read`, and the options of the table in the query.
    """
    service = service_of(request)
    options = TableQuery.model_validate(dict(request.query_params))
    receive = await receive_pictures(request, options_of(()))

    def work(job: Job[bytes]) -> bytes:
        upload = receive()
        reader, notation = service.reader_at(upload.options.target_error), upload.options.notation
        read = partial(
            reader.read_table,
            grid=options.shape,
            columns=options.columns,
            expect=options.rules,
            **notation,
        )
        tables = _read_pages(upload, job, lambda page: read(page).as_dict())
        return _encode_answer(service.cards["tiles"], job, tables=tables)

    return await service.answer(request, work)


@_post("/v1/classify", "classifying", schemas.ClassifyAnswer, "Classify tiles")
async def classify(request: Request) -> Response:
    """Classifies tiles of 28 x 28 pixels, ink bright on dark as in MNIST, as digits.

    Send rows of numbers or base64 in JSON, or the bytes of all tiles as the request body.
    """
    service = service_of(request)
    receive = await receive_tiles(request)

    def classify(job: Job[bytes]) -> Steps[bytes]:
        rows = yield receive()
        service.metrics.tiles.inc(len(rows))
        predictions: list[dict[str, Any]] = []
        for row in rows.tolist():
            scores = [round(chance, 6) for chance in row]
            answer = {"value": scores.index(max(scores)), "confidence": max(scores)}
            predictions.append({**answer, "probabilities": scores})
        return _encode_answer(service.cards["tiles"], job, predictions=predictions)

    return await service.answer(request, classify)


@router.get(
    "/v1/models",
    tags=["classifying"],
    responses={200: {"model": schemas.ModelsAnswer}, **responses("unauthorized")},
    response_class=Response,
    summary="The models of this server",
)
async def models(request: Request) -> Response:
    """Returns names, hashes, thresholds and measured results of the models of this server."""
    facts = [
        {
            "role": role,
            **_identity(card),
            "version": card.version,
            "framing": card.framing if isinstance(card, Card) else None,
            "temperature": card.temperature if isinstance(card, Card) else None,
            "thresholds": card.thresholds,
            "results": _without_lists(card.results),
        }
        for role, card in service_of(request).cards.items()
    ]
    return Response(json.dumps({"models": facts}), media_type=JSON)


def _without_lists(results: dict[str, Any]) -> dict[str, Any]:
    """Results without the long lists, which only the reader itself needs."""
    plain = {key: value for key, value in results.items() if isinstance(value, int | float | str)}
    parts = {k: _without_lists(part) for k, part in results.items() if isinstance(part, dict)}
    return plain | {key: part for key, part in parts.items() if part}


@_post("/v1/reconstruct", "reconstructing", schemas.ReconstructAnswer, "Reconstruct tiles")
async def reconstruct(request: Request) -> Response:
    """Reconstructs tiles with an autoencoder and returns the reconstruction errors.

    The less a tile looks like an MNIST digit, the larger its error. Send tiles as for
    `/v1/classify`.
    """
    service = service_of(request)
    receive = await receive_tiles(request)

    def draw(job: Job[bytes]) -> bytes:
        tiles, reconstructor = receive(), service.reconstructor()
        job.check()
        output = reconstructor.reconstruct(tiles)
        shares = reconstructor.share_below(output.error).tolist()
        entries = [
            {
                "tile": base64.b64encode(tile.tobytes()).decode(),
                "error": round(error, 6),
                "drawn_better": round(share, 4),
            }
            for tile, error, share in zip(output.tiles, output.error.tolist(), shares, strict=True)
        ]
        return _encode_answer(reconstructor.card, job, reconstructions=entries)

    return await service.answer(request, draw)


@router.get("/healthz", tags=["health"], summary="Whether the server is alive")
async def healthz() -> schemas.Health:
    """Succeeds as long as the server is running."""
    return schemas.Health()


@router.get(
    "/readyz", tags=["health"], responses=responses("stopping"), summary="Whether it is ready"
)
async def readyz(request: Request) -> schemas.Health:
    """Fails once the server is stopping; models are loaded before it starts."""
    if service_of(request).stopping:
        raise Refusal("stopping", "the server is stopping")
    return schemas.Health()


@router.get(
    "/metrics",
    tags=["health"],
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}, **responses("unauthorized")},
    summary="Metrics for Prometheus",
)
async def metrics(request: Request) -> Response:
    """Returns latency by route, digits by status, rejects by reason, queue depth, refusals."""
    text = await run_in_threadpool(service_of(request).metrics.text)
    return Response(text, media_type=METRICS_TYPE)


@protocol.get("", responses=_ERRORS, summary="The server")
async def server() -> dict[str, Any]:
    """Returns the server's name, version and extensions."""
    return {"name": "digitlens", "version": __version__, "extensions": ["binary_tensor_data"]}


@protocol.get("/health/live", summary="Whether the server is alive")
async def live() -> dict[str, bool]:
    """Succeeds as long as the server is running."""
    return {"live": True}


@protocol.get("/health/ready", responses=_ERRORS, summary="Whether the server is ready")
async def ready(request: Request) -> dict[str, bool]:
    """Fails once the server is stopping."""
    if service_of(request).stopping:
        raise Refusal("stopping", "the server is stopping")
    return {"ready": True}


@protocol.get("/models/{name}", responses=_ERRORS, summary="A model")
async def model(request: Request, name: str) -> dict[str, Any]:
    """Returns the model's name, version, inputs and outputs."""
    card = _card(request, name)
    return {
        "name": card.name,
        "versions": [card.sha256[:12]],
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": INPUT, "datatype": "UINT8", "shape": [-1, 28, 28]}],
        "outputs": [{"name": OUTPUT, "datatype": "FP32", "shape": [-1, 10]}],
    }


@protocol.get("/models/{name}/ready", responses=_ERRORS, summary="Whether a model is loaded")
async def model_ready(request: Request, name: str) -> dict[str, Any]:
    """Succeeds if the model exists: models are loaded before the server starts."""
    return {"name": _card(request, name).name, "ready": True}


@protocol.post(
    "/models/{name}/infer",
    response_class=Response,
    responses={200: {"model": schemas.InferAnswer, "content": {RAW[1]: {}}}, **_ERRORS},
    summary="Classify tiles",
)
async def infer(request: Request, name: str) -> Response:
    """Maps `tiles`, UINT8 of shape [N, 28, 28], to `probabilities`, FP32 of shape [N, 10].

    The bytes of `tiles` may follow the JSON. Those of `probabilities` do if the request's parameter
    `binary_data_output` or the output's `binary_data` is true. The header
    `Inference-Header-Content-Length` gives the length of the JSON.
    """
    service, card = service_of(request), _card(request, name)
    body = await request.body()
    length = request.headers.get(_HEADER_LENGTH, str(len(body)))
    if not length.isdecimal() or int(length) > len(body):
        raise Refusal("malformed", f"{_HEADER_LENGTH}: expected a length, found {length[:20]!r}")
    split = int(length)

    def classify(job: Job[tuple[bytes, bytes]]) -> Steps[tuple[bytes, bytes]]:
        query = InferRequest.model_validate_json(body[:split])
        if query.outputs is not None and {output.name for output in query.outputs} - {OUTPUT}:
            raise Refusal("malformed", f"expected only the output {OUTPUT!r}")
        binary = query.parameters.get("binary_data_output", False)
        for output in query.outputs or ():
            binary = output.parameters.get("binary_data", binary)
        tiles = tiles_of_tensor(query.inputs, body[split:])
        job.check()
        scores = yield tiles
        service.metrics.tiles.inc(len(tiles))
        tensor: dict[str, Any] = {"name": OUTPUT, "shape": list(scores.shape), "datatype": "FP32"}
        tail = scores.astype("<f4").tobytes() if binary else b""
        if tail:
            tensor["parameters"] = {"binary_data_size": len(tail)}
        else:
            tensor["data"] = scores.ravel().tolist()
        answer = {
            "model_name": card.name,
            "model_version": card.sha256[:12],
            **({"id": query.id} if query.id is not None else {}),
            "outputs": [tensor],
        }
        return _encode(answer), tail

    head, tail = await service.run(request, classify)
    if not tail:
        return Response(head, media_type=JSON)
    return Response(head + tail, 200, {_HEADER_LENGTH: str(len(head))}, RAW[1])


def _card(request: Request, name: str) -> Card:
    card = service_of(request).reader.classifier.card
    if name != card.name:
        raise Refusal("not-found", f"expected the model {card.name!r}, found {name[:80]!r}")
    return card
