"""Serves the files of the page, with their types, and has browsers ask whether they changed."""

from __future__ import annotations

import os
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

FOLDER = Path(__file__).parent / "static"
# Said here, because what Python says depends on its version and on the machine.
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".onnx": "application/octet-stream",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}


class Assets(StaticFiles):
    """The files below one folder; ``/`` is ``index.html``."""

    def __init__(self, folder: Path = FOLDER) -> None:
        super().__init__(directory=folder, html=True, check_dir=False)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file at a path; whatever is asked of a file that is not there is not found."""
        if not self._has(path):  # also where it is posted to: 404 rather than 405
            raise HTTPException(404)
        return await super().get_response(path, scope)

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        """A file with its type, or that it has not changed."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        known = _TYPES.get(Path(full_path).suffix, "application/octet-stream")
        if response.status_code == 200:
            response.headers["Content-Type"] = known
        # Kept by the browser, but asked for each time: a new version must not mix with an old one.
        response.headers["Cache-Control"] = "no-cache"
        return response

    def _has(self, path: str) -> bool:
        try:
            return bool(self.lookup_path("index.html" if path == "." else path)[0])
        except (OSError, ValueError):  # a name too long, or with a null character
            return False
