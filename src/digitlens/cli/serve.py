"""``digitlens serve`` and ``digitlens export``: the web page with a server, or as static files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from digitlens.cli.tables import Model, Pages
from digitlens.errors import needs_extra
from digitlens.progress import note

TOKEN = "DIGITLENS_TOKEN"
_MEGA = 1_000_000


def serve(
    host: Annotated[
        str, Option(help="Address to listen on; 0.0.0.0 allows access from other machines.")
    ] = "127.0.0.1",
    port: Annotated[
        int, Option(min=0, max=65535, help="Port to listen on; 0 picks a free one.")
    ] = 8000,
    model: Model = "default",
    pages: Pages = "pages",
    processes: Annotated[
        int,
        Option(
            min=1,
            help="Server processes, each with its own models; useful with more than two cores. "
            "Threads and queue are divided among them.",
        ),
    ] = 1,
    workers: Annotated[
        int | None,
        Option(min=1, show_default="one per core", help="Worker threads."),
    ] = None,
    queue: Annotated[
        int, Option(min=0, help="Maximum number of waiting requests; more are refused.")
    ] = 128,
    time_limit: Annotated[
        float, Option(metavar="SECONDS", help="Maximum time from a request to its answer.")
    ] = 30.0,
    body_limit: Annotated[float, Option(metavar="MB", help="Maximum size of a request.")] = 32.0,
    body_time: Annotated[
        float, Option(metavar="SECONDS", help="Maximum time for a request to arrive.")
    ] = 30.0,
    cors: Annotated[
        list[str] | None,
        Option(metavar="ORIGIN", help="Web site whose pages may use the API; repeatable."),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        Option(
            metavar="NAME",
            show_default="local names on 127.0.0.1 without a token, else any",
            help="Accepted host name of the server; repeatable.",
        ),
    ] = None,
) -> None:
    """Serve the web page and the API, until interrupted.

    If the environment variable DIGITLENS_TOKEN is set, the API requires it as a bearer token.
    Pictures are neither stored nor logged. /openapi.json describes the API, /metrics has counters.
    """
    with needs_extra("serve"):
        from digitlens.server.app import serve as run

    from digitlens.models.session import cores
    from digitlens.server.limits import Settings

    try:
        settings = Settings(
            host,
            port,
            model,
            pages,
            processes=processes,
            workers=workers or cores(),
            queue=queue,
            time_limit=time_limit,
            body_limit=round(body_limit * _MEGA),
            body_time=body_time,
            cors=tuple(cors or ()),
            hosts=tuple(allow_host or ()),
            token=os.environ.get(TOKEN, ""),
        )
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(str(error)) from error
    run(settings, lambda address: note(f"serving at {address} (stop with Ctrl-C)"))


def export(
    web: Annotated[Path, Option(help="Folder to write: new, empty, or from an earlier export.")],
    model: Model = "default",
    pages: Pages = "pages",
) -> None:
    """Write the web page with its networks as a folder that any static host can serve."""
    from digitlens.server.site import write_site

    write_site(web, model, pages)
    sizes = [path.stat().st_size for path in web.rglob("*") if path.is_file()]
    note(f"written to {web}: {len(sizes)} files, {sum(sizes) / 1e6:.1f} MB")
    note(f"to view it: python -m http.server --bind 127.0.0.1 --directory {web}")
