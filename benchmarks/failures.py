"""Which kinds of pictures are still read wrong? Draws some of each kind and reads them.

    python benchmarks/failures.py FILE.png [--pages P] [--seed N]

Each row is one kind, drawn with pens and papers of the generated pages; a green frame is a picture
read right, a red one is wrong, and the text below says what was read.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from digitlens import files
from digitlens.datasets.synthetic.canvas import Baseline, Canvas, Style, write
from digitlens.datasets.synthetic.glyph_sources import PenGlyphs
from digitlens.datasets.synthetic.papers import draw_paper
from digitlens.datasets.synthetic.strokes import draw_pen
from digitlens.reading.reader import DigitReader

COLUMNS, WIDTH, HEIGHT = 8, 168, 132  # pictures in a row; pixels of one cell
LETTERS = {
    "a": [[(0.9, 0.45), (0.5, 0.35), (0.1, 0.7), (0.5, 1), (0.85, 0.6)], [(0.88, 0.35), (0.9, 1)]],
    "b": [[(0.15, 0), (0.15, 1)], [(0.15, 0.6), (0.6, 0.45), (0.9, 0.75), (0.5, 1), (0.15, 0.85)]],
    "h": [[(0.15, 0), (0.15, 1)], [(0.15, 0.65), (0.5, 0.45), (0.8, 0.65), (0.82, 1)]],
    "t": [[(0.5, 0), (0.5, 0.85), (0.75, 1)], [(0.15, 0.3), (0.85, 0.3)]],
}

Drawn = tuple[np.ndarray, str]
Draw = Callable[[np.random.Generator], Drawn]


def number(  # noqa: PLR0913
    text: str,
    style: Style,
    size: tuple[int, int],
    height: float,
    rng: np.random.Generator,
    *,
    patterned: bool = False,
    ink: float = 30,
) -> Drawn:
    """A number on paper; gray, as a picture of that size."""
    canvas = Canvas(*size, np.eye(3))
    write(canvas, text, style, Baseline(0.06 * size[0], 0.5 * (size[1] + height), height), rng)
    colour = np.full(3, 205, np.float32)
    paper = draw_paper(*size, colour, rng, patterned=patterned)
    cover = (canvas.ink / 255)[:, :, None].astype(np.float32)
    return np.clip(paper + cover * (ink - paper), 0, 255).astype(np.uint8), text


def touching(rng: np.random.Generator) -> Drawn:
    style = Style(PenGlyphs(draw_pen(rng)), gap=-0.24, drift=0.05)
    return number("".join(rng.choice(list("0123456789"), 4)), style, (200, 70), 46, rng)


def patterned(rng: np.random.Generator) -> Drawn:
    style = Style(PenGlyphs(draw_pen(rng)), gap=-0.1, drift=0.05)
    text = "".join(rng.choice(list("0123456789"), 4))
    return number(text, style, (200, 70), 42, rng, patterned=True, ink=90)


def zeros(rng: np.random.Generator) -> Drawn:
    style = Style(PenGlyphs(draw_pen(rng)), stretch=1.7, gap=-0.1, wobble=0.2)
    return number(f"{rng.integers(1, 10)}000", style, (230, 60), 30, rng)


def hairline(rng: np.random.Generator) -> Drawn:
    source = PenGlyphs(draw_pen(rng))
    source.pen = type(source.pen)(**{**vars(source.pen), "width": 1.5})
    return number(str(rng.integers(10)), Style(source), (300, 480), 440, rng)


def slanted_one(rng: np.random.Generator) -> Drawn:
    source = PenGlyphs(draw_pen(rng))
    source.pen = type(source.pen)(**{**vars(source.pen), "forms": (0, 3, *source.pen.forms[2:])})
    return number("1", Style(source, stretch=1.8), (90, 90), 62, rng)


def letters(rng: np.random.Generator) -> Drawn:
    picture = Image.new("L", (260, 120), 235)
    draw = ImageDraw.Draw(picture)
    for place, letter in enumerate("bath"):
        for stroke in LETTERS[letter]:
            points = np.array(stroke) * (42, 62) + (20 + 58 * place, 28) + rng.normal(0, 1.5, 2)
            draw.line([tuple(p) for p in points.tolist()], 40, int(rng.integers(2, 6)), "curve")
    return np.asarray(picture), ""


KINDS: dict[str, Draw] = {
    "digits that run into each other": touching,
    "thin ink on a check's pattern": patterned,
    "flat zeros in a row": zeros,
    "one hairline digit that fills a tall picture": hairline,
    "1 with a long upstroke": slanted_one,
    "letters with wide gaps (nothing should be read)": letters,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--pages", default="pages")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    reader = DigitReader(pages=options.pages)
    font = ImageFont.load_default(13)
    sheet = Image.new("RGB", (COLUMNS * WIDTH, len(KINDS) * (HEIGHT + 20)), "white")
    draw = ImageDraw.Draw(sheet)
    for row, (kind, drawn) in enumerate(KINDS.items()):
        rng = np.random.default_rng([options.seed, row])
        right, top = 0, row * (HEIGHT + 20)
        for column in range(COLUMNS):
            pixels, truth = drawn(rng)
            text = reader.read(pixels).text.replace("\n", " ")
            right += text == truth
            picture = Image.fromarray(pixels).convert("RGB")
            picture.thumbnail((WIDTH - 12, HEIGHT - 30))
            x, y = column * WIDTH, top + 20
            sheet.paste(picture, (x + 6, y + 4))
            colour = (0, 130, 0) if text == truth else (200, 0, 0)
            draw.rectangle((x + 2, y, x + WIDTH - 4, y + HEIGHT - 4), outline=colour, width=2)
            draw.text((x + 6, y + HEIGHT - 22), f"read: {text or 'nothing'}", colour, font)
        draw.text((6, top + 2), f"{kind}: {right} of {COLUMNS} right", "black", font)
        print(f"{kind}: {right} of {COLUMNS} right")
    with files.atomic_path(options.file) as path:
        sheet.save(path, "PNG")


if __name__ == "__main__":
    main()
