"""Puts the application together: routes, refusals, and the middleware around them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from anyio import to_thread
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from digitlens import __version__
from digitlens.server import (
    classifying,
    document,
    health,
    problems,
    protocol,
    reading,
    reconstructing,
)
from digitlens.server.assets import Assets
from digitlens.server.gate import Gate
from digitlens.server.guard import Guard
from digitlens.server.service import Service


def create_app(service: Service) -> FastAPI:
    """The application of one server.

    Args:
        service: Settings, models, pool and counters; the pool is closed when the server stops.
    """
    app = FastAPI(
        title="digitlens",
        version=__version__,
        description="Reads digits from pictures, and says so when it is not sure.",
        docs_url=None,  # the pages of FastAPI load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
    )
    app.state.service = service
    for part in (reading, classifying, reconstructing, protocol, health):
        app.include_router(part.router, tags=[part.__name__.rpartition(".")[2]])
    app.router.default = Assets()  # after the routes, so that a wrong method of theirs is a 405
    problems.install(app)
    document.install(app)
    _surround(app, service)
    return app


def _surround(app: FastAPI, service: Service) -> None:
    """Middleware, the innermost first."""
    settings = service.settings
    app.add_middleware(Gate, settings=settings)
    if settings.cors:  # outside of the gate: browsers ask without the token whether they may ask
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type"],
        )
    app.add_middleware(Guard, metrics=service.metrics)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncGenerator[None]:
    service: Service = app.state.service
    yield
    service.stopping = True
    await to_thread.run_sync(service.pool.close)
