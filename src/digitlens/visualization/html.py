"""Shared parts of self-contained pages: frame, embedded pictures, strict security policy."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Sequence
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

TEMPLATES = Path(__file__).with_name("templates")


def render_page(
    name: str,
    title: str,
    values: dict[str, Any],
    *,
    filters: Sequence[Callable[..., Any]] = (),
    style: str = "",
) -> str:
    """Renders a complete page that fetches nothing and runs only its own style and script.

    The policy allows these by hash ("Content Security Policy Level 3", W3C). ``name`` is that of
    the template, its style sheet and, if present, its script. Values are escaped; filters,
    ``data_uri`` among them, go by the names of their functions.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for each in (data_uri, *filters):
        environment.filters[each.__name__] = each
    body = environment.get_template(f"{name}.html").render(values)
    style += (TEMPLATES / f"{name}.css").read_text(encoding="utf-8")
    source = TEMPLATES / f"{name}.js"
    script = source.read_text(encoding="utf-8") if source.is_file() else ""
    policy = "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'"
    for kind, text in (("style", style), ("script", script)):
        digest = b64encode(sha256(text.encode()).digest()).decode()
        policy += f"; {kind}-src 'sha256-{digest}'" if text else ""
    frame = environment.get_template("frame.html")
    return frame.render(
        title=title,
        policy=Markup(policy),
        body=Markup(body),
        style=Markup(style),
        script=Markup(script),
    )


def data_uri(picture: npt.NDArray[np.uint8], kind: str = "PNG", **options: int) -> str:
    """A data URI of a picture, uint8[H, W] or uint8[H, W, 3].

    ``PNG`` is lossless, ``JPEG`` is not; options are those of ``Image.save``.
    """
    stream = BytesIO()
    Image.fromarray(picture).save(stream, kind, optimize=True, **options)
    return f"data:image/{kind.lower()};base64,{b64encode(stream.getvalue()).decode()}"
