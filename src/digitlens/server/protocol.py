"""The classifier by the Open Inference Protocol, version 2, for clients that speak it already.

Reads tensors as JSON and as bytes after it (the extension for binary data); answers in JSON.
"""

from __future__ import annotations

import json
import math
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from digitlens import __version__
from digitlens.models.bundle import Card
from digitlens.server.classifying import Tiles, checked
from digitlens.server.pool import Job
from digitlens.server.problems import PROTOCOL, Refusal
from digitlens.server.service import Service, service_of
from digitlens.server.settings import TILES

INPUT, OUTPUT = "tiles", "probabilities"
_HEADER_LENGTH = "inference-header-content-length"

router = APIRouter(prefix=PROTOCOL)


class InferInput(BaseModel):
    """A tensor that a client sends."""

    name: str
    shape: Annotated[list[int], Field(min_length=1, max_length=8)]
    datatype: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    data: list[Any] | None = Field(None, description="Flat or nested; bytes may follow the JSON.")


class InferOutput(BaseModel):
    """A tensor that a client wants."""

    name: str
    parameters: dict[str, Any] = Field(default_factory=dict)


class InferRequest(BaseModel):
    """Tensors to infer from."""

    id: str | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    inputs: Annotated[list[InferInput], Field(max_length=16)]
    outputs: Annotated[list[InferOutput], Field(max_length=16)] | None = None


class ProtocolError(BaseModel):
    """What went wrong, in the protocol's own shape."""

    error: str


class Tensor(BaseModel):
    """A tensor in an answer."""

    name: Literal["probabilities"]
    shape: list[int]
    datatype: Literal["FP32"]
    data: list[float]


class InferAnswer(BaseModel):
    """What was inferred."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[Tensor]


_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ProtocolError}
    for status in (400, 401, 404, 408, 413, 415, 421, 422, 429, 500, 503, 504)
}


@router.get("", responses=_ERRORS, summary="The server")
async def server() -> dict[str, Any]:
    """Name, version and extensions."""
    return {"name": "digitlens", "version": __version__, "extensions": ["binary_tensor_data"]}


@router.get("/health/live", summary="Whether the server is alive")
async def live() -> dict[str, bool]:
    """Answers as long as the server runs at all."""
    return {"live": True}


@router.get("/health/ready", responses=_ERRORS, summary="Whether it takes requests")
async def ready(request: Request) -> dict[str, bool]:
    """Fails once the server is stopping."""
    if service_of(request).stopping:
        raise Refusal("stopping", "the server is stopping")
    return {"ready": True}


@router.get("/models/{name}", responses=_ERRORS, summary="A model")
async def model(request: Request, name: str) -> dict[str, Any]:
    """Name, version, inputs and outputs."""
    card = _card(request, name)
    return {
        "name": card.name,
        "versions": [card.sha256[:12]],
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": INPUT, "datatype": "UINT8", "shape": [-1, 28, 28]}],
        "outputs": [{"name": OUTPUT, "datatype": "FP32", "shape": [-1, 10]}],
    }


@router.get("/models/{name}/ready", responses=_ERRORS, summary="Whether a model is loaded")
async def model_ready(request: Request, name: str) -> dict[str, Any]:
    """Models are loaded before the server starts."""
    return {"name": _card(request, name).name, "ready": True}


@router.post(
    "/models/{name}/infer",
    response_class=Response,
    responses={200: {"model": InferAnswer}, **_ERRORS},
    summary="Classify tiles",
)
async def infer(request: Request, name: str) -> Response:
    """From `tiles`, UINT8 of shape [N, 28, 28], to `probabilities`, FP32 of shape [N, 10]."""
    service, card = service_of(request), _card(request, name)
    body = await request.body()
    length = request.headers.get(_HEADER_LENGTH, str(len(body)))
    if not length.isdecimal() or int(length) > len(body):
        raise Refusal("malformed", f"{_HEADER_LENGTH}: found {length[:20]!r}")
    split = int(length)
    return await service.answer(
        request, lambda job: _infer(service, card, (body[:split], body[split:]), job)
    )


def _card(request: Request, name: str) -> Card:
    card = service_of(request).reader.classifier.card
    if name != card.name:
        raise Refusal("not-found", f"expected the model {card.name!r}, found {name[:80]!r}")
    return card


def _infer(service: Service, card: Card, body: tuple[bytes, bytes], job: Job[bytes]) -> bytes:
    asked = InferRequest.model_validate_json(body[0])
    if asked.outputs is not None and {output.name for output in asked.outputs} - {OUTPUT}:
        raise Refusal("malformed", f"expected the output {OUTPUT!r} alone")
    tiles = _tiles(asked.inputs, body[1])
    job.check()
    found = service.reader.classifier.predict_proba(tiles)
    service.metrics.tiles(len(tiles))
    answer = {
        "model_name": card.name,
        "model_version": card.sha256[:12],
        **({"id": asked.id} if asked.id is not None else {}),
        "outputs": [_tensor(found)],
    }
    return json.dumps(answer, separators=(",", ":")).encode()


def _tensor(found: npt.NDArray[np.float32]) -> dict[str, Any]:
    data = found.ravel().tolist()
    return {"name": OUTPUT, "shape": list(found.shape), "datatype": "FP32", "data": data}


def _tiles(inputs: list[InferInput], after: bytes) -> Tiles:
    """uint8[N, 28, 28] of a request's one input."""
    if [one.name for one in inputs] != [INPUT]:
        raise Refusal("malformed", f"expected the input {INPUT!r} alone")
    given = inputs[0]
    if given.datatype != "UINT8" or given.shape[1:] != [28, 28] or given.shape[0] < 1:
        found = f"{given.datatype[:20]} {given.shape}"
        raise Refusal("malformed", f"{INPUT}: expected UINT8 of shape [N, 28, 28], found {found}")
    if given.shape[0] > TILES:
        raise Refusal("too-large", f"expected at most {TILES} tiles, found {given.shape[0]:,}")
    data = after if given.data is None else _bytes(given.data)
    if len(data) != math.prod(given.shape):
        expected = f"{math.prod(given.shape):,} values for shape {given.shape}"
        raise Refusal("malformed", f"{INPUT}: expected {expected}, found {len(data):,}")
    return checked(data)


def _bytes(data: list[Any]) -> bytes:
    """Whole numbers from 0 to 255, flat or nested to any depth."""
    try:
        values = np.array(data)
    except ValueError:  # ragged
        values = np.array("")
    if values.dtype.kind not in "iu" or values.min() < 0 or values.max() > 255:
        raise Refusal("malformed", f"{INPUT}: expected whole numbers from 0 to 255")
    return values.astype(np.uint8).tobytes()
