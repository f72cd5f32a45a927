"""``/healthz``, ``/readyz`` and ``/metrics``: for who watches, starts and stops servers."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel

from digitlens.server.metrics import MEDIA_TYPE
from digitlens.server.problems import Refusal, responses
from digitlens.server.service import service_of

router = APIRouter()


class Health(BaseModel):
    """That all is well; otherwise a problem is answered."""

    status: Literal["ok"] = "ok"


@router.get("/healthz", summary="Whether the server is alive")
async def healthz() -> Health:
    """Answers as long as the server runs at all."""
    return Health()


@router.get("/readyz", responses=responses("stopping"), summary="Whether it takes requests")
async def readyz(request: Request) -> Health:
    """Answers with a problem once the server is stopping; models are loaded before it starts."""
    if service_of(request).stopping:
        raise Refusal("stopping", "the server is stopping")
    return Health()


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}, **responses("unauthorized")},
    summary="Counters for Prometheus",
)
async def metrics(request: Request) -> Response:
    """Latency by route, digits by status, rejects by reason, queue depth, refusals by cause."""
    text = await run_in_threadpool(service_of(request).metrics.text)
    return Response(text, media_type=MEDIA_TYPE)
