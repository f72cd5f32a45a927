"""Writes an explanation as one HTML file that asks for nothing else: pictures and style inside."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape
from importlib.resources import files as resources
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from digitlens import files
from digitlens.explain.explanation import DigitExplanation, Explanation, Neighbour
from digitlens.imaging.images import Page, shrink
from digitlens.results import Digit
from digitlens.visualization import words
from digitlens.visualization.overlay import draw_reading
from digitlens.visualization.why import blended, marked

_OVERVIEW = 1400  # pixels: longest side of the page's copy; JPEG, since it may be a photo
_LOOK, _LOOKS = 640, 6  # likewise of a look, and how many are shown
_QUALITY = 85
# Nothing is asked for, and nothing runs: what a file's name says stays text in any case.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def write_page(path: Path, story: Explanation, heat: Sequence[Page] = ()) -> None:
    """Writes the page, whole or not at all; arguments as below."""
    files.write_bytes(path, page(story, heat).encode())


def page(story: Explanation, heat: Sequence[Page] = ()) -> str:
    """The HTML of an explanation.

    Args:
        story: What is said.
        heat: Pictures of what the digit detector thinks of each place, one a look; the first six
            are shown.
    """
    style = resources("digitlens.visualization").joinpath("explanation.css").read_text("utf-8")
    body = "\n".join([
        _top(story),
        _heat(heat),
        *(_article(one) for one in (*story.digits, *story.rejected)),
        _foot(story),
    ])  # fmt: skip
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<title>{escape(story.name)}: {escape(words.headline(story))}</title>
<style>
{style}</style>
</head>
<body>
{body}
</body>
</html>
"""


def _top(story: Explanation) -> str:
    drawn = shrink(draw_reading(story.page, story.reading), _OVERVIEW)
    chips = "".join(
        f'<li><a class="{one.digit.status}" href="#digit-{one.number}">{one.digit.value}'
        f"{'?' if one.digit.status == 'unsure' else ''}</a></li>"
        for one in story.digits
    )
    return f"""<header>
<p class="soft">{escape(story.name)}</p>
<h1>{escape(words.headline(story))}</h1>
{_paragraphs(words.how(story))}
{f'<ul class="digits">{chips}</ul>' if chips else ""}
</header>
<figure class="overview"><img alt="The picture, with what was found framed" src="{_jpeg(drawn)}">
</figure>"""


def _heat(pictures: Sequence[Page]) -> str:
    if not pictures:
        return ""
    shown = "".join(
        f'<img alt="Look {number}" src="{_jpeg(shrink(picture, _LOOK))}">'
        for number, picture in enumerate(pictures[:_LOOKS], 1)
    )
    return f"""<section><h3>Where the digit detector sees digits, the brighter the surer</h3>
<div class="heat">{shown}</div></section>"""


def _article(account: DigitExplanation) -> str:
    rejected = account.digit.status == "rejected"
    title = (
        f"Not a {account.digit.value}"
        if rejected
        else f"{account.digit.value}, rather than {account.other}"
    )
    return f"""<article id="{"rejected" if rejected else "digit"}-{account.number}">
<header><h2>{title}</h2>{_chip(account.digit)}</header>
<p class="soft">{escape(words.found(account))}</p>
{_seen(account)}
{_paragraphs(words.why(account))}
{_alike(account)}
{_changes(account)}
</article>"""


def _chip(digit: Digit) -> str:
    said = {"digit": f"{digit.percent} % sure", "unsure": f"doubtful, {digit.percent} %"}
    return f'<span class="chip {digit.status}">{said.get(digit.status, "rejected")}</span>'


def _seen(account: DigitExplanation) -> str:
    figures = [_tile(account.tile, "What the classifier saw", "The digit as a tile")]
    if account.attributions:
        picture = blended(account.tile, account.attributions.evidence(account.tile))
        legend = (
            f'<span class="for">Blue</span> speaks for {account.digit.value}, '
            f'<span class="against">orange</span> for {account.other}'
        )
        figures.append(_tile(picture, legend, "What speaks for which digit"))
    said = "".join(
        f"<dt>The {escape(name)} sees {escape(sees)}</dt><dd>{escape(answer)}</dd>"
        for name, sees, answer in words.opinions(account)
    )
    alone = "" if account.attributions else " alone"
    return f'<div class="seen{alone}">{"".join(figures)}<dl>{said}</dl></div>'


def _alike(account: DigitExplanation) -> str:
    if account.alike is None:
        return ""
    rows = "".join(
        f'<div><p class="soft">The nearest {ones[0].label}s</p>{_row(ones)}</div>'
        for ones in account.alike.contrast
    )
    return f"""<h3>The training digits most like it</h3>
{_row(account.alike.nearest)}
{_paragraphs(words.alike(account))}
<div class="two">{rows}</div>"""


def _row(ones: Sequence[Neighbour]) -> str:
    shown = (_tile(one.tile, escape(words.neighbour(one)), f"A {one.label}") for one in ones)
    return f'<div class="row">{"".join(shown)}</div>'


def _changes(account: DigitExplanation) -> str:
    if account.attributions is None:
        return ""
    shown = [
        _tile(
            marked(one),
            f'{escape(words.change(one))}: <span class="against">{escape(words.outcome(one))}'
            "</span>",
            f"The tile, changed so that it is read as {one.value}",
        )
        for one in account.attributions.counterfactuals
    ]
    row = f'<div class="row changes">{"".join(shown)}</div>' if shown else ""
    return f"<h3>What would change the answer</h3>\n{row}\n{_paragraphs(words.changes(account))}"


def _foot(story: Explanation) -> str:
    model = f"{story.reading.model} ({story.reading.model_sha256[:12]})"
    return f"""<footer><p>Read by digitlens with {escape(model)}.
What is said of pixels, training digits and changes is said of the classifier, one of three networks
that are asked. Changes were searched for; there may be smaller ones. Distances are between what the
classifier makes of two tiles, from 0 to 2.</p></footer>"""


def _paragraphs(lines: Sequence[str]) -> str:
    return "\n".join(f"<p>{escape(line)}</p>" for line in lines)


def _tile(picture: npt.NDArray[np.uint8], caption: str, alt: str) -> str:
    """A figure of a tile; the caption is HTML, the description is not."""
    image = f'<img class="tile" alt="{escape(alt)}" src="{_png(picture)}">'
    return f"<figure>{image}<figcaption>{caption}</figcaption></figure>"


def _png(picture: npt.NDArray[np.uint8]) -> str:
    return _inside(picture, "PNG")


def _jpeg(picture: Page) -> str:
    return _inside(picture, "JPEG", quality=_QUALITY)


def _inside(picture: npt.NDArray[np.uint8], kind: str, **options: int) -> str:
    """A picture as the address that holds it."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, format=kind, optimize=True, **options)
    text = base64.b64encode(stream.getvalue()).decode("ascii")
    return f"data:image/{kind.lower()};base64,{text}"
