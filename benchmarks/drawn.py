"""How well are numbers read that are drawn here: print of every size, tables, pages, displays?

    python benchmarks/drawn.py [--peers] [--groups WORD ...] [--out FOLDER] [--keep FOLDER]

Pictures are drawn from a seed, in fonts that no page to train with is set in. Numbers are compared
page by page as a multiset, wherever they stand; how, and RapidOCR's modes: ``readers.py``.

- right: share of the numbers that are read with all their marks.
- digits: the same with marks left out on both sides.
- not there: numbers read, marks left out, that do not stand on their page: misread or invented.
- ms: median time of reading a decoded picture.
"""

import random
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache, partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import harness
import readers
from digitlens.datasets.synthetic.glyph_sources import font_files, load_families
from harness import Row
from readers import TEXTS, Case, Result, digits_only, numbers

FONTS = ("ubuntu", "noto-serif", "courier-prime")
HAND = "kalam"
HEIGHTS = (8, 10, 12, 14, 20, 32, 60)  # of digits, pixels
DPI = (100, 150, 200, 300)
A4 = (8.27, 11.69)  # inches
PAPER, INK = (250, 249, 246), (32, 32, 38)
COLUMNS = (
    "drawn | numbers | right | digits | not there | ms",
    "{group} | {numbers} | {right:.1%} | {digits:.1%} | {not_there} | {milliseconds:.0f}",
)
BESIDE = (
    "RapidOCR right | digits | not there | ms | its mode",
    "{best[right]:.1%} | {best[digits]:.1%} | {best[not_there]} | {best[milliseconds]:.0f}"
    " | {best[mode]}",
)


def main() -> None:
    made = harness.parser(__doc__, environments=True)
    made.add_argument("--groups", nargs="+", default=[""], help="those with one of these words")
    made.add_argument("--keep", type=Path, help="folder for the pictures")
    made.add_argument("--seed", type=int, default=0)
    readers.add_options(made)
    options = made.parse_args()
    cases = list(drawings(options.seed, options.groups))
    results, about = readers.read_all(options, cases, len(cases))
    scores = readers.summaries(results, summary)
    about |= {"seed": options.seed, "groups": scores, "pictures": readers.pictures(results)}
    table = readers.table(COLUMNS, BESIDE, scores, "right", "exact")
    harness.publish(options.out, "drawn", about, f"{table}\n{readers.origin(about)}")
    for case in cases if options.keep else ():
        options.keep.mkdir(parents=True, exist_ok=True)
        Image.fromarray(case.page).save(options.keep / f"{case.name}.png")


def summary(results: Sequence[Result]) -> Row:
    """Scores of one reader, number by number, wherever they stand."""
    both = [
        (Counter(numbers(result.case.text)), Counter(numbers(result.said.text)))
        for result in results
    ]
    plain = [(_without_marks(there), _without_marks(read)) for there, read in both]
    n = sum(there.total() for there, _ in both)
    return {
        "pictures": len(results),
        "numbers": n,
        "right": sum((a & b).total() for a, b in both) / n if n else None,
        "digits": sum((a & b).total() for a, b in plain) / n if n else None,
        "not_there": sum((b - a).total() for a, b in plain),
        "exact": sum(a == b for a, b in both) / len(results),
        "milliseconds": statistics.median(result.said.milliseconds for result in results),
    }


def _without_marks(found: Counter[str]) -> Counter[str]:
    return Counter(digits_only(number) for number in found.elements())


def drawings(seed: int, words: Sequence[str] = ("",)) -> Iterator[Case]:
    """The pictures of all groups with one of these words in their names; the same for a seed."""
    for name, draw in (
        ("number alone, 8 to 60 px", _alone),
        *((f"table, {height} px", partial(_tables, height, False)) for height in HEIGHTS),
        *((f"ruled table, {height} px", partial(_tables, height, True)) for height in HEIGHTS),
        ("30 × 5 numbers, 14-pixel print", _dense),  # noqa: RUF001
        *((f"A4 page at {dpi} dpi", partial(_pages, dpi, TEXTS["phrases"])) for dpi in DPI),
        ("A4 page without numbers", partial(_pages, 150, ())),
        ("seven-segment display", _displays),
        ("number with marks", partial(_lines, TEXTS["marked"])),
        ("words without numbers", partial(_lines, TEXTS["words"])),
        ("upside down", _upside_down),
    ):
        if not any(word in name for word in words):
            continue
        for i, (picture, text) in enumerate(draw(random.Random(f"{seed} {name}"))):
            yield Case(name, f"{name} {i}", np.asarray(picture), text)


Drawn = Iterator[tuple[Image.Image, str]]


@cache
def _file(family: str) -> str:
    """Its regular weight; the fonts are fetched if they are not there."""
    chosen = next(f for f in load_families() if f.family == family and f.role == "validation")
    weights = font_files([chosen])[chosen]
    return str(next(files["latin"] for files in weights if "400" in files["latin"].name))


def font(family: str, *, height: float = 0, size: float = 0) -> ImageFont.FreeTypeFont:
    if not size:
        _, top, _, bottom = ImageFont.truetype(_file(family), 1000).getbbox("0")
        size = 1000 * height / (bottom - top)
    return ImageFont.truetype(_file(family), size)


def _number(rng: random.Random, least: int = 1, most: int = 6) -> str:
    return "".join(rng.choices("0123456789", k=rng.randint(least, most)))


def _line(text: str, face: ImageFont.FreeTypeFont) -> tuple[Image.Image, str]:
    left, top, right, bottom = face.getbbox(text)
    margin = round(face.size * 0.7)
    size = round(right - left) + 2 * margin, round(bottom - top) + 2 * margin
    picture = Image.new("RGB", size, PAPER)
    ImageDraw.Draw(picture).text((margin - left, margin - top), text, INK, face)
    return picture, text


def _alone(rng: random.Random) -> Drawn:
    for height in HEIGHTS:
        for family in FONTS:
            yield _line(_number(rng), font(family, height=height))


def _tables(height: int, ruled: bool, rng: random.Random) -> Drawn:
    for family in FONTS:
        face = font(family, height=height)
        cell = round(face.getlength("000000") + 1.6 * height), round(2.4 * height)
        yield _table(rng, face, (4, 6), cell, ruled)


def _dense(rng: random.Random) -> Drawn:
    for family in FONTS:
        picture, text = _table(rng, font(family, size=14), (5, 30), (112, 25), False)
        page = Image.new("RGB", (600, 800), PAPER)
        page.paste(picture, ((600 - picture.width) // 2, (800 - picture.height) // 2))
        yield page, text


def _table(
    rng: random.Random,
    face: ImageFont.FreeTypeFont,
    shape: tuple[int, int],
    cell: tuple[int, int],
    ruled: bool,
) -> tuple[Image.Image, str]:
    """Numbers in columns, flush right; ``shape`` is columns and rows, ``cell`` in pixels."""
    (columns, rows), (width, height) = shape, cell
    margin = height // 2
    picture = Image.new("RGB", (columns * width + 2 * margin, rows * height + 2 * margin), PAPER)
    pen, lines = ImageDraw.Draw(picture), []
    for row in range(rows):
        lines.append([_number(rng, 2) for _ in range(columns)])
        for column, number in enumerate(lines[-1]):
            place = margin + (column + 1) * width - height // 4, margin + (row + 0.75) * height
            pen.text(place, number, INK, face, anchor="rs")
    right, bottom = margin + columns * width, margin + rows * height
    for y in range(margin, bottom + 1, height) if ruled else ():
        pen.line((margin, y, right, y), INK)
    for x in range(margin, right + 1, width) if ruled else ():
        pen.line((x, margin, x, bottom), INK)
    return picture, "\n".join(" ".join(line) for line in lines)


def _pages(dpi: int, phrases: Sequence[str], _rng: random.Random) -> Drawn:
    for family in FONTS[:2]:
        rng = random.Random(f"{family} {len(phrases)}")  # the same text for each resolution
        lines = [_sentence(rng, phrases) for _ in range(40)]
        picture = Image.new("RGB", (round(A4[0] * dpi), round(A4[1] * dpi)), PAPER)
        face, pen = font(family, size=10 * dpi / 72), ImageDraw.Draw(picture)
        for i, line in enumerate(lines):
            pen.text((dpi, (1.2 + 0.235 * i) * dpi), line, INK, face, anchor="ls")
        yield picture, "\n".join(lines)


def _sentence(rng: random.Random, phrases: Sequence[str]) -> str:
    before, after = (
        " ".join(rng.choices(TEXTS["prose"].split(), k=rng.randint(4, 7))) for _ in range(2)
    )
    if not phrases or rng.random() < 0.2:
        return f"{before} {after}"
    parts = {"n": rng.randint(10000, 99999), "r": rng.randint(100, 999), "e": rng.randint(0, 9)}
    parts |= {"d": f"{rng.randint(1, 28):02}", "m": f"{rng.randint(1, 12):02}"}
    return f"{before} {rng.choice(phrases).format(**parts, h=rng.randint(10, 23))} {after}"


def _lines(texts: Sequence[str], _rng: random.Random) -> Drawn:
    for text in texts:
        for family in (*FONTS, HAND):
            yield _line(text, font(family, height=32))


def _upside_down(rng: random.Random) -> Drawn:
    for family in FONTS:
        for text in ("2048", _number(rng, 5), _number(rng, 5)):
            picture, _ = _line(text, font(family, height=32))
            yield picture.rotate(180), text


# Segments a to g as lines in a box of 1 x 2, y down; then those that each digit lights.
SEGMENTS = {
    "a": (0, 0, 1, 0), "b": (1, 0, 1, 1), "c": (1, 1, 1, 2), "d": (0, 2, 1, 2),
    "e": (0, 1, 0, 2), "f": (0, 0, 0, 1), "g": (0, 1, 1, 1),
}  # fmt: skip
LIT = ("abcdef", "bc", "abdeg", "abcdg", "bcfg", "acdfg", "acdefg", "abc", "abcdefg", "abcdfg")
# Behind, off and on: red and green light, a liquid crystal with and without a trace of what is off.
DISPLAYS = (
    ((14, 10, 10), (14, 10, 10), (255, 48, 30)),
    ((10, 16, 12), (20, 34, 24), (70, 255, 120)),
    ((168, 178, 152), (168, 178, 152), (30, 34, 30)),
    ((168, 178, 152), (156, 166, 141), (38, 42, 38)),
)


def _displays(rng: random.Random) -> Drawn:
    texts = ["8307419526", "12.50", "0.7"] + [_number(rng, 3, 6) for _ in range(9)]
    for i, text in enumerate(texts):
        yield _display(text, rng.randint(30, 90), rng.uniform(0, 0.2), DISPLAYS[i % 4])


def _display(
    text: str, height: int, slant: float, colours: tuple[tuple[int, int, int], ...]
) -> tuple[Image.Image, str]:
    """Digits ``height`` pixels high that lean by ``slant`` of it; a point takes no place."""
    behind, off, on = colours
    half, margin, step = height / 2, height // 2, 0.8 * height
    count = sum(character != "." for character in text)
    width = round(2 * margin + step * count + slant * height)
    picture = Image.new("RGB", (width, height + 2 * margin), behind)
    pen, x = ImageDraw.Draw(picture), float(margin)
    for character in text:
        if character == ".":
            pen.circle((x - 0.16 * height, margin + height), 0.07 * height, on)
            continue
        for name, ends in SEGMENTS.items():
            colour = on if name in LIT[int(character)] else off
            pen.polygon(_segment(ends, (x, margin), half, slant), fill=colour)
        x += step
    return picture, text


def _segment(
    ends: tuple[int, ...], corner: tuple[float, float], half: float, slant: float
) -> list[tuple[float, float]]:
    """A hexagon along one side of half a digit's box."""
    x0, y0, x1, y1 = ends
    dx, dy = x1 - x0, y1 - y0
    thick, gap = 0.13, 0.04  # of half the height: half a segment's width, the gap at its ends
    inner = gap + thick
    outline = ((gap, 0), (inner, 1), (1 - inner, 1), (1 - gap, 0), (1 - inner, -1), (inner, -1))
    return [
        (
            corner[0] + half * (x0 + t * dx - s * thick * dy + slant * (2 - y0 - t * dy)),
            corner[1] + half * (y0 + t * dy + s * thick * dx),
        )
        for t, s in outline
    ]


if __name__ == "__main__":
    main()
