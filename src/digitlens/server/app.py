"""Builds the server's application and OpenAPI document, and runs it in one or more processes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import AsyncGenerator, Callable
from functools import cache, partial
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import uvicorn
from anyio import to_thread
from fastapi import FastAPI
from fastapi.routing import APIRoute
from prometheus_client.multiprocess import mark_process_dead
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from digitlens import __version__
from digitlens.errors import DigitlensError
from digitlens.reading.batch import start_process
from digitlens.server import limits, routes, schemas
from digitlens.server.limits import REFUSED, Gate, Settings, answer_refusals
from digitlens.server.schemas import JSON, MULTIPART, RAW
from digitlens.server.service import COUNTERS, Metrics, Service, start
from digitlens.server.site import POLICY, STATIC

HEADERS = {
    "Content-Security-Policy": f"{POLICY}; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_HEADERS = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
_log = logging.getLogger("digitlens.server")
_GRACE = 5.0  # seconds beyond the time limit that running requests get when the server stops
_ACCEPT_TURNS = 3  # of the event loop, in which clients that have already connected are accepted
# Listed here, because Python's mimetypes depend on its version and on the machine.
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
}


def serve(settings: Settings, ready: Callable[[str], object]) -> None:
    """Loads the models and serves until SIGINT or SIGTERM, then finishes running requests.

    Calls ``ready`` with the address once requests are answered. Raises ModelError if a model is
    missing or damaged, and OSError if the address cannot be listened on.
    """
    if settings.processes > 1:
        Processes(settings).run(ready)
    else:
        Server(start(settings), ready).listen()


def _listener(settings: Settings) -> socket.socket:
    host = settings.host
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, settings.port), family=family, backlog=1024)


class Server(uvicorn.Server):
    """A uvicorn server for a service; reports when it is ready."""

    def __init__(self, service: Service, ready: Callable[[str], object]) -> None:
        self._service = service
        settings = service.settings
        config = uvicorn_config(
            create_app(service),
            settings.idle_time,
            lifespan="on",
            timeout_keep_alive=max(1, round(settings.idle_time)),
            timeout_graceful_shutdown=round(settings.time_limit + _GRACE),
        )
        super().__init__(config)
        self._ready = ready

    def listen(self, listener: socket.socket | None = None) -> None:
        """Serves until it is stopped."""
        with (
            listener or _listener(self._service.settings) as listening,
            contextlib.suppress(KeyboardInterrupt),  # uvicorn raises it again after shutdown
        ):
            self.run([listening])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts to listen, then passes the address to ``ready``."""
        await super().startup(sockets)
        host, port = (sockets or [])[0].getsockname()[:2]
        self._ready(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answers clients that have already connected, then stops."""
        self._service.stopping = True
        protocol: Any = self.config.http
        protocol.ending = True
        for _ in range(_ACCEPT_TURNS):
            await asyncio.sleep(0)
        await super().shutdown(sockets)


class Processes:
    """Server processes at one address; replaces a process that dies, and all of them on SIGHUP.

    This process holds the socket: the others accept connections while one is replaced.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._running: list[SpawnProcess] = []

    def run(self, ready: Callable[[str], object]) -> None:
        """Keeps the processes running until SIGINT or SIGTERM; see ``serve``."""
        receiver, sender = multiprocessing.Pipe(duplex=False)
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            signal.signal(getattr(signal, name), lambda number, _: sender.send(number))
        with (
            _listener(self._settings) as listener,
            tempfile.TemporaryDirectory(prefix="digitlens-") as counters,
        ):
            os.environ[COUNTERS] = counters
            try:
                started = [self._start(listener) for _ in range(self._settings.processes)]
                addresses = [self._await_address(*each) for each in started]
                ready(addresses[0])
                self._supervise(listener, receiver)
            finally:
                listener.close()  # otherwise new connections would wait without an answer
                for process in self._running:
                    process.terminate()
                for process in self._running:
                    process.join()
                del os.environ[COUNTERS]

    def _supervise(self, listener: socket.socket, receiver: Connection) -> None:
        while True:
            signalled = wait([receiver, *(each.sentinel for each in self._running)])
            if receiver in signalled:
                if receiver.recv() != signal.SIGHUP:
                    return
                self._restart_all(listener)
            for process in [each for each in self._running if not each.is_alive()]:
                _log.error("a process exited with code %s, starting a new one", process.exitcode)
                self._stop(process)
                self._await_address(*self._start(listener))

    def _restart_all(self, listener: socket.socket) -> None:
        """Replaces the processes one by one, which reloads the models; stops if a start fails."""
        for process in self._running.copy():
            try:
                self._await_address(*self._start(listener))
            except (DigitlensError, OSError) as error:
                _log.error("the new process failed to start, keeping the old one: %s", error)
                return
            self._stop(process)

    def _start(self, listener: socket.socket) -> tuple[SpawnProcess, Connection]:
        receiver, process = start_process(_run_process, (self._settings.per_process, listener))
        self._running.append(process)
        return process, receiver

    def _await_address(self, process: SpawnProcess, receiver: Connection) -> str:
        """Waits until a process serves and returns its address; raises its error if it fails."""
        try:
            message = receiver.recv()
        except EOFError:
            process.join()
            message = DigitlensError(f"a server process exited with code {process.exitcode}")
        if isinstance(message, Exception):
            self._running.remove(process)
            raise message
        return message

    def _stop(self, process: SpawnProcess) -> None:
        self._running.remove(process)
        process.terminate()
        process.join()
        mark_process_dead(process.pid)  # drops its live gauges, keeps its counters


def _run_process(sender: Connection, arguments: tuple[Settings, socket.socket]) -> None:
    """The main function of one server process."""
    settings, listener = arguments
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # terminals also send it to the parent
    try:
        service = start(settings)
    except Exception as error:
        sender.send(error)
        return
    threading.Thread(target=_end_with_parent, daemon=True).start()
    Server(service, sender.send).listen(listener)


def _end_with_parent() -> None:
    if parent := multiprocessing.parent_process():
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)


def uvicorn_config(app: FastAPI, idle_time: float, **more: Any) -> uvicorn.Config:
    """The uvicorn configuration of all servers here, without access logs, which cost time."""
    return uvicorn.Config(
        app,
        http=limits.http_protocol(idle_time),
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # no answer depends on the client's address
        server_header=False,
        **more,
    )


def create_app(service: Service) -> FastAPI:
    """The application of one server; closes the service's pool when it stops."""
    app = FastAPI(
        title="digitlens",
        version=__version__,
        description="Reads the numbers on pictures, and says so when it is not sure.",
        docs_url=None,  # FastAPI's pages load scripts from other hosts
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
    )
    app.state.service = service
    app.router.routes += [*routes.router.routes, *routes.protocol.routes]
    app.router.default = Assets()  # after the routes, so that a wrong method on them is a 405
    answer_refusals(app)
    app.openapi = cache(partial(_openapi_document, app))
    settings = service.settings  # middleware is added from the innermost to the outermost
    app.add_middleware(Gate, settings=settings)
    if settings.cors:  # outside the gate: browsers send preflight requests without the token
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type"],
        )
    app.add_middleware(Guard, metrics=service.metrics)
    return app


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncGenerator[None]:
    service: Service = app.state.service
    yield
    service.stopping = True
    await to_thread.run_sync(service.pool.close)


class Guard:
    """The outermost middleware: security headers, unexpected exceptions, request metrics."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on; adds headers to the answer and counts it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status = time.perf_counter(), 0

        async def send_counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        try:
            await self._app(scope, receive, send_counted)
        except Exception as error:  # no request may end in a broken connection
            _log.exception("%s %r failed", scope["method"], scope["path"])
            refusal = limits.refusal_of(error)
            scope[REFUSED] = refusal.kind
            if not status:
                await limits.refused(refusal, scope["path"])(scope, receive, send_counted)
        # The declared path, never the requested one: clients could invent any number of labels.
        route: Any = scope.get("route")
        path = route.path if isinstance(route, APIRoute) else "other"
        self._metrics.request(path, status, time.perf_counter() - start)
        if cause := scope.get(REFUSED):
            self._metrics.refused.labels(cause).inc()


class Assets(StaticFiles):
    """Serves the files below one folder; ``/`` is ``index.html``."""

    def __init__(self, folder: Path = STATIC) -> None:
        super().__init__(directory=folder, html=True, check_dir=False)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file at a path; 404 if it does not exist, for every method."""
        if not self._has_file(path):  # also for POST: 404 rather than 405
            raise HTTPException(404)
        return await super().get_response(path, scope)

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        """A file with its content type, or 304 if it has not changed."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        content_type = _TYPES.get(Path(full_path).suffix, "application/octet-stream")
        if response.status_code == 200:
            response.headers["Content-Type"] = content_type
        # Cached but revalidated each time: files of two versions must not mix.
        response.headers["Cache-Control"] = "no-cache"
        return response

    def _has_file(self, path: str) -> bool:
        try:
            return bool(self.lookup_path("index.html" if path == "." else path)[0])
        except (OSError, ValueError):  # too long, or with a null character
            return False


_MODELS = (
    schemas.ReadRequest,
    schemas.ReadOptions,
    schemas.TableQuery,
    schemas.ClassifyRequest,
    schemas.InferRequest,
    limits.Problem,
)
_REF = "#/components/schemas/"
_BYTES = {"schema": {"type": "string", "format": "binary"}}
# Black, 1 x 1: the smallest example.
_PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)
_TILES = {"tiles": [[[0] * 28] * 28]}
_TENSOR = {"name": "tiles", "shape": [1, 28, 28], "datatype": "UINT8", "data": [0] * 784}
_PUBLIC_PATHS = ("/healthz", "/readyz", "/v2/health/live", "/v2/health/ready")


def _openapi_document(app: FastAPI) -> dict[str, Any]:
    document = FastAPI.openapi(app)
    components = document.setdefault("components", {}).setdefault("schemas", {})
    models = [(model, "validation") for model in _MODELS]
    _, definitions = models_json_schema(models, ref_template=_REF + "{model}")  # pyright: ignore[reportArgumentType]
    components |= definitions["$defs"]
    for name in ("HTTPValidationError", "ValidationError"):  # FastAPI's own, never returned here
        components.pop(name, None)
    for path, body in _bodies(components["ReadOptions"]).items():
        document["paths"][path]["post"]["requestBody"] = {"required": True, "content": body}
    for path, options in (("/v1/read", "ReadOptions"), ("/v1/table", "TableQuery")):
        document["paths"][path]["post"]["parameters"] = _parameters(components[options])
    _describe_token(document)
    return document


def _bodies(options: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The request bodies of each POST route by content type; in forms, options are fields."""
    files = {"type": "array", "items": _BYTES["schema"], "minItems": 1, "maxItems": limits.PICTURES}
    fields = options["properties"] | {"file": files}
    form = options | {"title": "ReadForm", "properties": fields, "required": ["file"]}
    pictures = {
        "one": {"value": {"image": {"data": _PNG, "name": "dot.png"}}},
        "many": {"value": {"images": [{"data": _PNG}, {"data": _PNG}], "expect": "4"}},
    }
    request = {"schema": {"$ref": _REF + "ReadRequest"}}
    raw = dict.fromkeys(RAW, _BYTES)
    tiles = {"schema": {"$ref": _REF + "ClassifyRequest"}, "example": _TILES}
    infer = {"schema": {"$ref": _REF + "InferRequest"}, "example": {"inputs": [_TENSOR]}}
    return {
        "/v1/read": {MULTIPART: {"schema": form}, JSON: request | {"examples": pictures}, **raw},
        "/v1/table": {MULTIPART: {"schema": form}, JSON: request, **raw},
        "/v1/classify": {JSON: tiles, RAW[1]: _BYTES},
        "/v1/reconstruct": {JSON: tiles, RAW[1]: _BYTES},
        "/v2/models/{name}/infer": {JSON: infer},
    }


def _parameters(options: dict[str, Any]) -> list[dict[str, Any]]:
    """Options as query parameters."""
    return [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": schema["description"],
            "schema": {key: value for key, value in schema.items() if key != "description"},
        }
        for name, schema in options["properties"].items()
    ]


def _describe_token(document: dict[str, Any]) -> None:
    scheme = {"type": "http", "scheme": "bearer", "description": "If the server has a token."}
    document["components"]["securitySchemes"] = {"token": scheme}
    for path, operations in document["paths"].items():
        for operation in operations.values():
            operation["security"] = [] if path in _PUBLIC_PATHS else [{}, {"token": []}]
            if path in _PUBLIC_PATHS:
                operation["responses"].pop("422", None)
