"""How well are drawn numbers read: print of every size, tables, pages, displays?

    python benchmarks/drawn.py [--peers] [--groups WORD ...] [--out FOLDER]

Pictures are drawn from a seed, in fonts held out from training. The numbers of a page are compared
as a multiset, regardless of position; ``harness.py`` has the details and RapidOCR's modes.

- right: fraction of the numbers that are read with all their marks.
- digits: the same, ignoring marks.
- spurious: numbers read that are not on their page, ignoring marks: misread or invented.
- ms: median time of reading a decoded picture.
"""

import io
import random
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache, partial
from itertools import product

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import harness
from digitlens.datasets.synthetic.displays import Segments, seven_segments
from digitlens.datasets.synthetic.glyph_sources import font_files, load_families
from harness import TEXTS, Case, Page, Result, Row, digits_only, numbers

FONTS = ("ubuntu", "noto-serif", "courier-prime")
HAND = "kalam"
HEIGHTS = (8, 10, 12, 14, 20, 32, 60)  # of digits, pixels
DPI = (100, 150, 200, 300)
A4 = (8.27, 11.69)  # inches
PAPER, INK = (250, 249, 246), (32, 32, 38)
COLUMNS = (
    "drawn | numbers | right | digits | spurious | ms",
    "{group} | {numbers} | {right:.1%} | {digits:.1%} | {not_there} | {milliseconds:.0f}",
)
PEERS = (
    "RapidOCR right | digits | spurious | ms | mode",
    "{best[right]:.1%} | {best[digits]:.1%} | {best[not_there]} | {best[milliseconds]:.0f}"
    " | {best[mode]}",
)


def main() -> None:
    cli = harness.parser(__doc__)
    cli.add_argument("--groups", nargs="+", default=[""], help="only groups with such a word")
    cli.add_argument("--seed", type=int, default=0)
    harness.add_options(cli)
    options = cli.parse_args()
    cases = list(drawings(options.seed, options.groups))
    _, scores, about = harness.read_all(options, cases, len(cases), summary)
    about |= {"seed": options.seed, "groups": scores}
    table = harness.compared(COLUMNS, PEERS, scores, "right", "exact")
    harness.publish(options.out, "drawn", about, f"{table}\n{harness.origin(about)}")


def summary(results: Sequence[Result]) -> Row:
    """Scores of one reader over all numbers, regardless of their positions."""
    texts = [(numbers(result.case.text), numbers(result.output.text)) for result in results]
    counts = [tuple(map(Counter, pair)) for pair in texts]
    digit_counts = [tuple(Counter(map(digits_only, found)) for found in pair) for pair in texts]
    n = sum(truth.total() for truth, _ in counts)
    return {
        "pictures": len(results),
        "numbers": n,
        "right": sum((a & b).total() for a, b in counts) / n if n else None,
        "digits": sum((a & b).total() for a, b in digit_counts) / n if n else None,
        "not_there": sum((b - a).total() for a, b in digit_counts),
        "exact": sum(a == b for a, b in counts) / len(results),
        "milliseconds": statistics.median(result.output.milliseconds for result in results),
    }


def drawings(seed: int, words: Sequence[str] = ("",)) -> Iterator[Case]:
    """Draws the groups with one of these words in their names; deterministic for a seed."""
    for name, draw in (
        ("number alone, 8 to 60 px", partial(_lines, FONTS, HEIGHTS, ("",))),
        *((f"table, {height} px", partial(_tables, height, False)) for height in HEIGHTS),
        *((f"ruled table, {height} px", partial(_tables, height, True)) for height in HEIGHTS),
        ("30 × 5 numbers, 14-pixel print", _dense),  # noqa: RUF001
        *((f"A4 page at {dpi} dpi", partial(_pages, dpi, TEXTS["phrases"])) for dpi in DPI),
        ("A4 page without numbers", partial(_pages, 150, ())),
        ("seven-segment display", _displays),
        ("number with marks", partial(_lines, (*FONTS, HAND), (32,), TEXTS["marked"])),
        ("words without numbers", partial(_lines, (*FONTS, HAND), (32,), TEXTS["words"])),
        ("upside down", _upside_down),
    ):
        if any(word in name for word in words):
            for i, (picture, text) in enumerate(draw(random.Random(f"{seed} {name}"))):
                yield Case(name, f"{name} {i}", np.asarray(picture), text)


Pair = tuple[int, int]
Drawings = Iterator[tuple[Image.Image, str]]


@cache
def font_file(family: str) -> str:
    """The file of a family's regular weight; downloads the fonts if missing."""
    chosen = next(f for f in load_families() if f.family == family and f.role == "validation")
    weights = font_files([chosen])[chosen]
    return str(next(files["latin"] for files in weights if "400" in files["latin"].name))


def encoded(pixels: Page, form: str = "JPEG", quality: int = 82) -> bytes:
    """Encodes pixels as a picture file."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, form, quality=quality)
    return stream.getvalue()


def font(family: str, *, height: float = 0, size: float = 0) -> ImageFont.FreeTypeFont:
    if not size:
        _, top, _, bottom = ImageFont.truetype(font_file(family), 1000).getbbox("0")
        size = 1000 * height / (bottom - top)
    return ImageFont.truetype(font_file(family), size)


def _number(rng: random.Random, low: int = 1, high: int = 6) -> str:
    return "".join(rng.choices("0123456789", k=rng.randint(low, high)))


def _line(text: str, face: ImageFont.FreeTypeFont) -> tuple[Image.Image, str]:
    left, top, right, bottom = face.getbbox(text)
    margin = round(face.size * 0.7)
    size = round(right - left) + 2 * margin, round(bottom - top) + 2 * margin
    picture = Image.new("RGB", size, PAPER)
    ImageDraw.Draw(picture).text((margin - left, margin - top), text, INK, face)
    return picture, text


def _tables(height: int, ruled: bool, rng: random.Random) -> Drawings:
    for family in FONTS:
        face = font(family, height=height)
        cell = round(face.getlength("000000") + 1.6 * height), round(2.4 * height)
        yield _table(rng, face, (4, 6), cell, ruled)


def _dense(rng: random.Random) -> Drawings:
    for family in FONTS:
        picture, text = _table(rng, font(family, size=14), (5, 30), (112, 25), False)
        page = Image.new("RGB", (600, 800), PAPER)
        page.paste(picture, ((600 - picture.width) // 2, (800 - picture.height) // 2))
        yield page, text


def _table(
    rng: random.Random, face: ImageFont.FreeTypeFont, shape: Pair, cell: Pair, ruled: bool
) -> tuple[Image.Image, str]:
    """Draws right-aligned numbers; ``shape`` is columns and rows, ``cell`` is in pixels."""
    (columns, rows), (width, height) = shape, cell
    margin = height // 2
    right, bottom = margin + columns * width, margin + rows * height
    picture = Image.new("RGB", (right + margin, bottom + margin), PAPER)
    pen = ImageDraw.Draw(picture)
    lines = [[_number(rng, 2) for _ in range(columns)] for _ in range(rows)]
    for row, line in enumerate(lines):
        for column, number in enumerate(line):
            corner = margin + (column + 1) * width - height // 4, margin + (row + 0.75) * height
            pen.text(corner, number, INK, face, anchor="rs")
    for y in range(margin, bottom + 1, height) if ruled else ():
        pen.line((margin, y, right, y), INK)
    for x in range(margin, right + 1, width) if ruled else ():
        pen.line((x, margin, x, bottom), INK)
    return picture, "\n".join(map(" ".join, lines))


def _pages(dpi: int, phrases: Sequence[str], _rng: random.Random) -> Drawings:
    for family in FONTS[:2]:
        rng = random.Random(f"{family} {len(phrases)}")  # the same text for each resolution
        lines = [_sentence(rng, phrases) for _ in range(40)]
        picture = Image.new("RGB", (round(A4[0] * dpi), round(A4[1] * dpi)), PAPER)
        face, pen = font(family, size=10 * dpi / 72), ImageDraw.Draw(picture)
        for i, line in enumerate(lines):
            pen.text((dpi, (1.2 + 0.235 * i) * dpi), line, INK, face, anchor="ls")
        yield picture, "\n".join(lines)


def _sentence(rng: random.Random, phrases: Sequence[str]) -> str:
    prose = TEXTS["prose"].split()
    before, after = (" ".join(rng.choices(prose, k=rng.randint(4, 7))) for _ in range(2))
    if not phrases or rng.random() < 0.2:
        return f"{before} {after}"
    parts = {"n": rng.randint(10000, 99999), "r": rng.randint(100, 999), "e": rng.randint(0, 9)}
    parts |= {"d": f"{rng.randint(1, 28):02}", "m": f"{rng.randint(1, 12):02}"}
    return f"{before} {rng.choice(phrases).format(**parts, h=rng.randint(10, 23))} {after}"


def _lines(
    families: Sequence[str], heights: Sequence[int], texts: Sequence[str], rng: random.Random
) -> Drawings:
    """Draws each text, or a random number for an empty one, in each family and height."""
    for text, height, family in product(texts, heights, families):
        yield _line(text or _number(rng), font(family, height=height))


def _upside_down(rng: random.Random) -> Drawings:
    for family in FONTS:
        for text in ("2048", _number(rng, 5), _number(rng, 5)):
            yield _line(text, font(family, height=32))[0].rotate(180), text


# Background, off and on: red and green light, LCDs without and with visible unlit segments.
DISPLAYS = (
    ((14, 10, 10), (14, 10, 10), (255, 48, 30)),
    ((10, 16, 12), (20, 34, 24), (70, 255, 120)),
    ((168, 178, 152), (168, 178, 152), (30, 34, 30)),
    ((168, 178, 152), (156, 166, 141), (38, 42, 38)),
)


def _displays(rng: random.Random) -> Drawings:
    """Draws slanted seven-segment digits."""
    texts = ["8307419526", "12.50", "0.7"] + [_number(rng, 3, 6) for _ in range(9)]
    for i, text in enumerate(texts):
        height, slant, (ground, off, on) = rng.randint(30, 90), rng.uniform(0, 0.2), DISPLAYS[i % 4]
        geometry = Segments(0.63, 0.13, 0.02, "pointed", slant, 0.8, (True, True, False))
        panel = seven_segments(text, geometry, np.random.default_rng(len(text)))
        left, top, right, bottom = (height * edge for edge in panel.extent)
        size = round(right - left) + height, round(bottom - top) + height
        picture = Image.new("RGB", size, ground)
        for outline, lit in panel.segments:
            points = height * (outline + 0.5) - (left, top)
            ImageDraw.Draw(picture).polygon([tuple(at) for at in points], fill=on if lit else off)
        yield picture, text


if __name__ == "__main__":
    main()
