"""``POST /v1/reconstruct``: tiles in, the same tiles as the autoencoder draws them."""

from __future__ import annotations

import base64
import json
from typing import Any

from fastapi import APIRouter, Request, Response

from digitlens.server.answers import ReconstructAnswer
from digitlens.server.classifying import Tiles, receive
from digitlens.server.pool import Job
from digitlens.server.reading import PROBLEMS, identity, seconds_since
from digitlens.server.service import Service, service_of

router = APIRouter()


@router.post(
    "/v1/reconstruct",
    response_class=Response,
    responses={200: {"model": ReconstructAnswer}, **PROBLEMS},
    summary="Draw tiles again",
)
async def reconstruct(request: Request) -> Response:
    """Draws tiles again from a short code, and says how far from them that is.

    The less like a digit of MNIST a tile is, the worse it is drawn. Send tiles as for
    `/v1/classify`.
    """
    service = service_of(request)
    tiles = await receive(request)
    return await service.answer(request, lambda job: _reconstruct(service, tiles(), job))


def _reconstruct(service: Service, tiles: Tiles, job: Job[bytes]) -> bytes:
    reconstructor = service.reconstructor()
    job.check()
    drawn = reconstructor.reconstruct(tiles)
    better = reconstructor.share_below(drawn.error).tolist()
    rows = zip(drawn.tiles, drawn.error.tolist(), better, strict=True)
    answer = {
        "model": identity(reconstructor.card),
        "seconds": seconds_since(job.started),
        "reconstructions": [_as_dict(tile, error, share) for tile, error, share in rows],
    }
    return json.dumps(answer, separators=(",", ":")).encode()


def _as_dict(tile: Tiles, error: float, share: float) -> dict[str, Any]:
    return {
        "tile": base64.b64encode(tile.tobytes()).decode(),
        "error": round(error, 6),
        "drawn_better": round(share, 4),
    }
