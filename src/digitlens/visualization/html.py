"""What self-contained pages have in common: their frame, pictures inside, and a strict policy."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from html import escape
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image


def render_page(title: str, body: str, style: str, script: str = "") -> str:
    """A whole page, which fetches nothing and runs nothing but this style and script.

    Both are known to it by their hashes: "Content Security Policy Level 3", W3C. The title is text;
    in the body, which is HTML, everything is escaped.
    """
    policy = (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src '{_hash(style)}'"
    )
    if script:
        policy += f"; script-src '{_hash(script)}'"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>{escape(title)}</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
{body}
{f"<script>{script}</script>" if script else ""}
</body>
</html>
"""


def data_uri(picture: npt.NDArray[np.uint8], kind: str = "PNG", **options: int) -> str:
    """A picture, uint8[H, W] or uint8[H, W, 3], as the address that holds it.

    ``PNG`` keeps every pixel, ``JPEG`` does not; options are those of ``Image.save``.
    """
    stream = BytesIO()
    Image.fromarray(picture).save(stream, kind, optimize=True, **options)
    return f"data:image/{kind.lower()};base64,{b64encode(stream.getvalue()).decode()}"


def _hash(text: str) -> str:
    return "sha256-" + b64encode(sha256(text.encode()).digest()).decode()
