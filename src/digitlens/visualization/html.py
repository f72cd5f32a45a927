"""What self-contained pages have in common: pictures inside, and a strict policy."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image


def data_uri(picture: npt.NDArray[np.uint8], kind: str = "PNG", **options: int) -> str:
    """A picture as the address that holds it.

    Args:
        picture: uint8[H, W] or uint8[H, W, 3].
        kind: ``PNG``, which keeps every pixel, or ``JPEG``.
        **options: As for ``Image.save``.
    """
    stream = BytesIO()
    Image.fromarray(picture).save(stream, kind, optimize=True, **options)
    return f"data:image/{kind.lower()};base64,{b64encode(stream.getvalue()).decode()}"


def content_policy(style: str, script: str = "") -> str:
    """Lets a page fetch nothing, and have this style, this script and pictures inside it.

    Style and script are known by their hashes: "Content Security Policy Level 3", W3C.
    """
    scripts = f"; script-src '{_hash(script)}'" if script else ""
    return (
        "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; "
        f"style-src '{_hash(style)}'{scripts}"
    )


def _hash(text: str) -> str:
    return "sha256-" + b64encode(sha256(text.encode()).digest()).decode()
