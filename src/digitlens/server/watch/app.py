"""Puts the application behind the page of a training together: routes, files, and who may ask."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from starlette.responses import Response
from starlette.types import Scope

from digitlens.server import problems
from digitlens.server.assets import FOLDER, Assets
from digitlens.server.gate import Gate
from digitlens.server.guard import Guard
from digitlens.server.metrics import Metrics
from digitlens.server.settings import Settings
from digitlens.server.watch.routes import MOST_PIXELS, Show, router

HOST = "127.0.0.1"
NAMES = (HOST, "localhost")  # with any other in its Host header, a request is of a page elsewhere
_PAGE = Path(__file__).with_name("page")
_SHARED = ("style.css", "icon.svg", "app/")  # what the page takes from that of the reader


def create_watch_app(show: Show) -> FastAPI:
    """The application of one training; it answers to this machine's own names only."""
    app = FastAPI(
        title="digitlens train --watch",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.state.show = show
    app.include_router(router)
    app.router.default = _Files()
    problems.install(app)
    app.add_middleware(Gate, settings=Settings(HOST, 0, hosts=NAMES, body_limit=MOST_PIXELS**2))
    app.add_middleware(Guard, metrics=Metrics())
    return app


class _Files(Assets):
    """The files of this page, and those that it shares with the page of the reader."""

    def __init__(self) -> None:
        super().__init__(_PAGE)
        self._shared = Assets(FOLDER)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file at a path."""
        if path.startswith(_SHARED):
            return await self._shared.get_response(path, scope)
        return await super().get_response(path, scope)
