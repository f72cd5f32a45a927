"""``POST /v1/classify`` and ``GET /v1/models``: tiles in, predictions out; and who answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from fastapi import APIRouter, Request, Response

from digitlens.models.bundle import Card
from digitlens.models.line_bundle import LineCard
from digitlens.server.answers import ClassifyAnswer, ModelsAnswer
from digitlens.server.bodies import JSON, RAW, is_raw, media_type
from digitlens.server.pool import Job
from digitlens.server.problems import Refusal, responses
from digitlens.server.questions import TILE, ClassifyRequest
from digitlens.server.reading import PROBLEMS, identity, seconds_since
from digitlens.server.service import Service, service_of
from digitlens.server.settings import TILES

Tiles = npt.NDArray[np.uint8]

router = APIRouter()


@router.post(
    "/v1/classify",
    response_class=Response,
    responses={200: {"model": ClassifyAnswer}, **PROBLEMS},
    summary="Classify tiles",
)
async def classify(request: Request) -> Response:
    """Says of tiles, 28 x 28 pixels with ink bright on dark as in MNIST, which digits they are.

    Send rows of numbers or base64 in JSON, or the bytes of all tiles as the whole body.
    """
    service = service_of(request)
    tiles = await receive(request)
    return await service.answer(request, lambda job: _classify(service, tiles(), job))


@router.get(
    "/v1/models",
    responses={200: {"model": ModelsAnswer}, **responses("unauthorized")},
    response_class=Response,
    summary="Who answers",
)
async def models(request: Request) -> Response:
    """Names, hashes, thresholds and measured results of the models of this server."""
    cards = service_of(request).cards
    content = {"models": [_facts(role, card) for role, card in cards.items()]}
    return Response(json.dumps(content), media_type=JSON)


def checked(data: bytes) -> Tiles:
    """uint8[N, 28, 28]; the bytes of tiles, one after the other.

    Raises:
        Refusal: There is no tile, half a tile, or too many.
    """
    count, rest = divmod(len(data), TILE)
    if rest or not count:
        raise Refusal(
            "invalid", f"expected {TILE} bytes a tile, one tile at least, found {len(data):,} bytes"
        )
    if count > TILES:
        raise Refusal("too-large", f"expected at most {TILES} tiles, found {count:,}")
    return np.frombuffer(data, np.uint8).reshape(-1, 28, 28)


async def receive(request: Request) -> Callable[[], Tiles]:
    """What reads the tiles out of a request's body, in whatever form they came.

    Raises:
        Refusal: The body is empty or of another type; the function itself raises, too.
    """
    kind = media_type(request)
    body = await request.body()
    if not body:
        raise Refusal("malformed", "the body is empty, expected tiles")
    if kind == JSON:
        return lambda: _of_json(body)
    if is_raw(kind) and not kind.startswith("image/"):
        return lambda: checked(body)
    raise Refusal("unsupported-type", f"expected {JSON} or {RAW[1]}, found {kind[:80]}")


def _of_json(body: bytes) -> Tiles:
    tiles = ClassifyRequest.model_validate_json(body).tiles
    return checked(tiles) if isinstance(tiles, bytes) else np.array(tiles, np.uint8)


# Requests are not put together into batches: on one core the shipped classifier takes 0.58 ms for
# one tile and 0.57 ms a tile for 32, so that waiting for others gains nothing.
def _classify(service: Service, tiles: Tiles, job: Job[bytes]) -> bytes:
    rows = service.reader.classifier.predict_proba(tiles)
    service.metrics.tiles(len(tiles))
    answer = {
        "model": identity(service.cards["tiles"]),
        "seconds": seconds_since(job.started),
        "predictions": [_prediction(row) for row in rows.tolist()],
    }
    return json.dumps(answer, separators=(",", ":")).encode()


def _prediction(row: list[float]) -> dict[str, Any]:
    probabilities = [round(p, 6) for p in row]
    confidence = max(probabilities)
    value = probabilities.index(confidence)
    return {"value": value, "confidence": confidence, "probabilities": probabilities}


def _facts(role: str, card: Card | LineCard) -> dict[str, Any]:
    return {
        "role": role,
        **identity(card),
        "version": card.version,
        "framing": card.framing if isinstance(card, Card) else None,
        "temperature": card.temperature if isinstance(card, Card) else None,
        "thresholds": card.thresholds,
        "results": _brief(card.results),
    }


def _brief(results: dict[str, Any]) -> dict[str, Any]:
    """Results without the long lists that only the reader itself needs."""
    plain = {key: value for key, value in results.items() if isinstance(value, int | float | str)}
    parts = {
        key: brief
        for key, value in results.items()
        if isinstance(value, dict) and (brief := _brief(value))
    }
    return plain | parts
