"""``digitlens export``: the web page as a folder that reads in the browser, without any server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from digitlens.cli.options import Model, Pages
from digitlens.progress import note


def export(
    web: Annotated[
        Path, typer.Option(help="Folder to write; new, empty, or from an earlier export.")
    ],
    model: Model = "default",
    pages: Pages = "pages",
) -> None:
    """Write the web page with its networks as a folder that any static host can serve."""
    from digitlens.server.site import write_site

    write_site(web, model, pages)
    sizes = [path.stat().st_size for path in web.rglob("*") if path.is_file()]
    note(f"written to {web}: {len(sizes)} files, {sum(sizes) / 1e6:.1f} MB")
    note(f"to look at it: python -m http.server --bind 127.0.0.1 --directory {web}")
