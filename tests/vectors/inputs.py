"""Inputs for the functions of the test vectors, and the small pictures that they refer to."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from digitlens.alphabet import encode
from digitlens.reading.fusion import CONTEXT, POOL

PICTURES = Path(__file__).with_name("pictures")
Value = dict[str, Any]
LARGE = (2300, 1500)  # pixels: larger than any copy for digits


def draw_pictures() -> None:
    """Draws the pictures that the vectors refer to."""
    random = np.random.default_rng(0)
    PICTURES.mkdir(exist_ok=True)
    sheet = paper(random)
    pictures = {"paper.png": sheet, "corner.png": sheet.crop((100, 60, 124, 80)),
                "drawing.png": drawing(), "hair.png": hair(), "large.png": large()}  # fmt: skip
    for name, picture in pictures.items():
        picture.save(PICTURES / name, optimize=True)


def paper(random: np.random.Generator) -> Image.Image:
    """Strokes in two colours on sloping, grainy paper."""
    light = np.linspace(1, 0.7, 150)[None, :, None]
    sheet = np.full((110, 150, 3), (238, 232, 214)) * light
    sheet += 4 * random.integers(-1, 2, (110, 150, 1))
    picture = Image.fromarray(np.clip(sheet, 0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(picture)
    pen.line([(20, 20), (48, 18), (30, 80)], (30, 40, 110), 6)
    pen.line([(62, 25), (60, 82)], (30, 40, 110), 5)
    pen.ellipse((80, 20, 118, 84), outline=(150, 20, 30), width=3)
    pen.line([(118, 95), (149, 97)], (40, 40, 40), 9)
    return picture


def drawing() -> Image.Image:
    """Two strokes and a speck on white."""
    picture = Image.new("RGB", (420, 260), "white")
    pen = ImageDraw.Draw(picture)
    pen.line([(80, 50), (180, 50), (110, 210)], "black", 18)
    pen.arc((240, 60, 350, 210), 0, 300, (20, 20, 60), 14)
    pen.ellipse((390, 30, 394, 34), fill="black")
    return picture


def hair() -> Image.Image:
    """A line one pixel wide, bright on dark."""
    picture = Image.new("RGB", (230, 650), (20, 30, 40))
    ImageDraw.Draw(picture).line([(60, 120), (170, 110), (90, 560)], (240, 240, 230), 1)
    return picture


def large() -> Image.Image:
    """A large page with two patches of small marks, white elsewhere."""
    picture = Image.new("RGB", LARGE, "white")
    pen = ImageDraw.Draw(picture)
    for left, top in ((300, 200), (1800, 1250)):
        for k in range(6):
            x = left + 14 * k
            pen.rectangle((x, top, x + 7, top + 11 + k % 3), fill=(40 + 10 * k, 40, 60))
    return picture


def numbers_like(random: np.random.Generator, *shape: int, digits: int = 4) -> Any:
    return random.uniform(0, 1, shape).round(digits).tolist()


def chances(random: np.random.Generator, value: int, sure: float = 0.9) -> list[float]:
    row = random.uniform(0.05, 1, 10)
    row *= (1 - sure) / (row.sum() - row[value])
    row[value] = sure
    return row.round(5).tolist()


def picture_bytes(array: np.ndarray, channels: int) -> Value:
    text = base64.b64encode(array.astype(np.uint8).tobytes()).decode()
    height, width = array.shape[:2]
    return {"width": width, "height": height, "channels": channels, "bytes": text}


def flatten() -> Iterator[Value]:
    alpha, value = np.mgrid[0:256:5, 0:256:15]
    yield picture_bytes(np.stack([value, 255 - value, value // 2, alpha], axis=2), 4)
    # Strokes of white, yellow, gray and black with soft edges, a bright photo with clear corners.
    soft = np.zeros((9, 12), int)
    soft[1:8, 3:9], soft[2:7, 4:8] = 90, 255
    for ink in ((255, 255, 255), (255, 255, 0), (128, 128, 128), (0, 0, 0)):
        yield picture_bytes(np.dstack([np.full((*soft.shape, 3), ink), soft]), 4)
    photo = np.full((8, 8, 4), (250, 248, 240, 255))
    photo[:2, :2, 3] = photo[-2:, -2:, 3] = 0
    yield picture_bytes(photo, 4)


def resize() -> Iterator[Value]:
    base = {"picture": "paper.png", "box": None}
    for width, height in ((37, 27), (64, 47), (150, 12), (9, 110), (1, 1)):
        yield {**base, "filter": "box", "width": width, "height": height}
    for width, height in ((61, 50), (48, 7), (12, 33)):
        small = {"picture": "corner.png", "box": None, "filter": "bicubic"}
        yield {**small, "width": width, "height": height}
    for box in ([3.25, 7.5, 60.75, 65], [0, 0, 9.1, 9.1], [100.3, 20.4, 150, 70.1]):
        yield {**base, "filter": "bilinear", "width": 30, "height": 30, "box": box}


def reduce() -> Iterator[Value]:
    for factor in (3, 4, 7):
        yield {"picture": "paper.png", "factor": factor}


def resize_plane() -> Iterator[Value]:
    plane = numbers_like(np.random.default_rng(1), 9, 7)
    for width, height in ((7, 9), (5, 4), (20, 26), (3, 20), (80, 1)):
        yield {"plane": plane, "width": width, "height": height}


def crop_line() -> Iterator[Value]:
    quads = {
        "paper.png": ([[10, 10], [130, 10], [130, 90], [10, 90]],
                      [[60.5, 15.25], [160.5, 20.75], [158.0, 70.5], [58.0, 65.0]],
                      [[20, 90], [21, 20], [61, 20.6], [60, 90.6]]),
        "corner.png": ([[1, 1], [22, 4], [20.5, 14.5], [-0.5, 11.5]],),
        "drawing.png": ([[60.3, 20.2], [370.4, 20.2], [370.4, 240.9], [60.3, 240.9]],
                        [[50, 40], [380, 10], [398, 208], [68, 238]]),
    }  # fmt: skip
    for name, some in quads.items():
        for quad in some:
            yield {"picture": name, "quad": quad}


def text_lines() -> Iterator[Value]:
    for turn in (0, 8, -25):
        sheet = Image.new("L", (90, 60))
        pen = ImageDraw.Draw(sheet)
        pen.rectangle((10, 12, 70, 17), fill=230)
        pen.rectangle((30, 36, 50, 42), fill=120)
        pen.ellipse((70, 36, 76, 44), fill=255)
        pen.point((5, 50), 255)
        array = np.asarray(sheet.rotate(turn, Image.Resampling.BILINEAR))
        yield {**picture_bytes(array, 1), "scale": 3.5}
    yield {**picture_bytes(np.zeros((4, 5)), 1), "scale": 2}


def steps_of(text: str, sure: float = 0.9) -> list[list[list[float]]]:
    """Posteriors of a text: two steps per character, the second one more confident, and a blank."""
    steps: list[list[list[float]]] = [[]]
    for char, number in zip(text, encode(text), strict=True):
        # A digit may also be the next higher one.
        other = [[encode(str((int(char) + 1) % 10))[0], 0.05]] if char.isdigit() else []
        steps += [[[number, round(sure - 0.2, 3)], *other], [[number, sure], *other], []]
    return steps


def decode() -> Iterator[Value]:
    for text in ("12.5", "77", "", "a\N{REPLACEMENT CHARACTER} 8"):
        yield {"posteriors": steps_of(text)}
    seven = encode("7")[0]
    yield {"posteriors": [[[seven, 0.6]], [[seven, 0.8]], [[seven + 1, 0.7]], [], [[seven, 0.5]]]}


def numerals() -> Iterator[Value]:
    """Digits read as letters, in numbers and in words, with various probabilities of the digit."""
    looks = {"O": "0", "o": "0", "I": "1", "l": "1", "Z": "2", "g": "9"}
    for text, chance in (("l2.5O 58OBX", 0.03), ("2o H2O 8Z.5 5OS", 0.03), ("1O 2o", 0.005)):
        likely = {encode(char)[0]: [encode(digit)[0], chance] for char, digit in looks.items()}
        steps = [[*step, *(likely[k] for k, _ in step if k in likely)] for step in steps_of(text)]
        yield {"posteriors": steps}


def space_chances() -> Iterator[Value]:
    """Pairs of printed digits with narrow spaces, uncertain to the recogniser; a single pair."""
    random = np.random.default_rng(9)
    for count in (60, 9):
        sides, space = random.integers(0, 13, (count, 2)), random.random(count) < 0.3
        gaps = 0.1 + 0.02 * sides[:, 0] % 0.1 + 0.28 * space + random.normal(0, 0.03, count)
        said = np.where(space, 0.7, 0.2) + random.uniform(-0.3, 0.3, count)
        yield {"gaps": gaps.round(3).tolist(), "sides": sides.tolist(),
               "spaces": said.clip(0, 1).round(3).tolist()}  # fmt: skip
    yield {"gaps": [0.6], "sides": [[1, 1]], "spaces": [0.4]}


def number_spans() -> Iterator[Value]:
    texts = (
        "7.5%", "Room 101B", "No-12", "-12.50", "$ 1,234.00-", "(5)", "((5)", "5)", "6.022e23",
        "12:30", "3 + 4 = 7", "1e5a", "+-3", ".5", "a.5", "5 °", "12 34", "#7", "007-1/2", "1..2",
        "1...2", "x", "", "8\N{MULTIPLICATION SIGN}8", "12€ 5£", "e5", "1- 2", "1-a",
        "21.5°C", "7 °Fx", "3°C.", "$29.99 $19.99", "€59€39", "5 € 10 €", "129€50",
        "24.9917.49", "-129,0099,00 €", "1.234.56", "8:00-17:30", "1.3.24-5.3.24", "1:30-5",
        "-52-", "- 52 -", "-52 -", "- 52-", "-5 - 3", "--1,250.00--", "€ --7",
    )  # fmt: skip
    for text in texts:
        yield {"text": text}


def meanings() -> Iterator[Value]:
    texts = (
        "7", "007", "1234567890", "7.5%", "-12.50", "12.50-", "(12.50)", "(-1)", "--1", "+3", "$5",
        "$ 1,234.00-", "5 €", "$5€", "1.234", "1,234", "$1.234", "1.234,56", "1,234.56", "1'234.5",
        "1 234", "1'234", "1 234,5", "12,34,567", "1,23,4567", "1.234.56", "1.234.567", "12.34.567",
        "0.5", ".5", "-.05", "0,00", "1/2", "2/3", "999/7", "0/5", "1/0", "6.022e23", "1,5E-3",
        "0.00e-2", "0e5", "1e999", "12:30", "23:59:59", "24:00", "1:2", "27/04/2021", "4/5/21",
        "2021-04-27", "29.2.2020", "29.2.2021", "01-02-03", "13/13/2013", "1/1/0000", "31/12/69",
        "21.5°C", "-3 °F", "#7", "§ 12", "3+4=7", "1..2", "12-34", "0012.50", "-0", "x", "",
        "1.234'567", "1,5,0", "100 %", "1000/3",
    )  # fmt: skip
    for text in texts:
        yield {"text": text}


def values() -> Iterator[Value]:
    pages = (
        (["1.234", "17,50", "9.875"], ""), (["1.234", "17.50"], ""), (["1.234", "5"], ""),
        (["1.234", "17,50", "3.75"], ""), (["1.234"], ","), (["1.234"], "."), (["17,50"], "."),
        (["4/5/2021", "27/4/2021"], ""), (["4/5/2021", "4/27/2021"], ""), (["4/5/2021"], ""),
        (["$ 0123"], ""), (["1.234.56"], ""), (["31/31/2021"], ""), (["12:30", "7%", "x"], ""),
        (["$5.00", "4/5/2021"], ""), (["$5.00", "4/5/2021", "27/4/2021"], ""), ([], ""),
    )  # fmt: skip
    for texts, decimal in pages:
        yield {"texts": texts, "decimal": decimal}


def page_as_read(random: np.random.Generator) -> Value:
    """Two lines of a page, the digits detected on it, and the outputs of a classifier."""
    quads = (
        [[12, 14], [134, 14], [134, 84], [12, 84]],
        [[10, 90], [149, 96], [148, 109], [9.5, 103]],
    )
    lines = [
        {"quad": quad, "score": score, "posteriors": steps_of(text, sure)}
        for quad, text, score, sure in zip(
            quads, ("$71.0", "ab 3-45"), (0.9, 0.0), (0.9, 0.75), strict=True
        )
    ]
    boxes = [[18, 16, 50, 82], [57.5, 22.5, 65.25, 84], [79, 18, 120, 86], [112, 92, 124, 106],
             [60, 30, 66, 60], [140, 20, 148, 80]]  # fmt: skip
    digits = [
        {"score": score, "probabilities": chances(random, k, 0.7), "box": box, "seen": 30.0}
        for k, (box, score) in enumerate(zip(boxes, (0.9, 0.7, 0.5, 0.3, 0.2, 0.1), strict=True))
    ]
    return {
        "picture": "paper.png", "lines": lines, "digits": digits,
        "named": [chances(random, k, 0.8) for k in (7, 1, 0, 3)], "is_digit": [0.9, 0.97, 0.6, 0.2],
    }  # fmt: skip


def candidates_at(random: np.random.Generator, boxes: list[Any], scores: list[float]) -> Any:
    return [
        {"score": score, "probabilities": chances(random, k % 10, 0.7), "box": box, "seen": 30.0}
        for k, (box, score) in enumerate(zip(boxes, scores, strict=True))
    ]


def digit_parts() -> Iterator[Value]:
    """Lines with numbers alone, close together, at the ends or nowhere; long and squeezed lines."""
    texts = [
        "tot 12.50 and then some more words",
        "12 34",
        "no digit in all of this line",
        "7",
        "the first 1 and far from it the last 2",
        "end 99",
        "99 begins",
        "a b 1 c d e f g h",
    ]
    lines: list[Value] = []
    for number, text in enumerate(texts):
        spots = [[float(char.isdigit()) * 0.9, float(char == " ") * 0.8] for char in text]
        x, y, width = 10, 40 * number, 5 * len(text)
        quad = [[x, y], [x + width, y + number], [x + width, y + number + 30], [x, y + 30]]
        lines.append({"quad": quad, "score": 0.9, "spots": spots})
    longest = {"quad": [[0, 400], [900, 400], [900, 440], [0, 440]], "score": 0.8}
    whole = [{**longest, "spots": [[0.1, 0.0]] * 20} for _ in range(6)]
    spots = [[0.9 * (step == 90), 0.8 * (step % 20 == 0)] for step in range(160)]
    squeezed = {"quad": [[0, 450], [1000, 450], [1000, 480], [0, 480]], "score": 0.9}
    yield {"lines": [*lines, *whole, {**squeezed, "spots": spots}]}
    yield {"lines": lines[:3]}  # all are among the longest


def proposals() -> Iterator[Value]:
    """Digits on, off, partly on and across lines, and digits with lines for strokes."""
    random = np.random.default_rng(10)
    row = row_of_boxes(random, 5, slope=0.15)
    upright = {"quad": [[10, 10], [150, 10], [150, 40], [10, 40]], "score": 0.9}
    below = {"quad": [[10, 60], [150, 64], [149, 90], [9, 86]], "score": 0.8}
    for lines in ([], [upright], [upright, below]):
        yield {"lines": lines, "digits": candidates_at(random, row, [0.9, 0.8, 0.7, 0.4, 0.1])}
        boxes = [[30, 12, 48, 38], [60, 30, 78, 58], [40, 5, 120, 95], [140, 20, 170, 80],
                 [200, 10, 220, 40], [60, 80, 80, 106]]  # fmt: skip
        yield {
            "lines": lines,
            "digits": candidates_at(random, boxes, [0.9, 0.8, 0.6, 0.5, 0.4, 0.3]),
        }
    stroke = {"quad": [[50, 40], [70, 40], [70, 50], [50, 50]], "score": 0.7}
    yield {"lines": [stroke], "digits": candidates_at(random, [[40, 10, 90, 90]], [0.9])}
    rows = [
        {"quad": [[50, y], [70, y], [70, y + 10], [50, y + 10]], "score": 0.7}
        for y in (15, 35, 55, 75)
    ]
    for lines in (rows[:3], rows):  # strokes of one digit, and a column of numbers
        yield {"lines": lines, "digits": candidates_at(random, [[40, 10, 90, 90]], [0.9])}


def places() -> Iterator[Value]:
    random = np.random.default_rng(7)
    given = page_as_read(random)
    yield given
    yield {**given, "digits": []}
    yield {**given, "lines": []}
    # Digits across two characters, next to them, on one that is no digit, twice at one position.
    for text in ("71 8", "7%08", "11111", "o7Q"):
        line = {**given["lines"][0], "posteriors": steps_of(text)}
        boxes = [[15, 16, 68, 84], [56, 20, 70, 85], [60, 22, 66, 80], [79, 18, 120, 86],
                 [76, 15, 123, 83], [18, 30, 34, 70], [36, 20, 52, 82]]  # fmt: skip
        scores = [0.95, 0.6, 0.45, 0.7, 0.3, 0.2, 0.12]
        yield {**given, "lines": [line], "digits": candidates_at(random, boxes, scores)}


def cards(random: np.random.Generator) -> Iterator[Value]:
    """Fusions as in a line reader's card."""
    pool = random.uniform(0, 0.6, len(POOL)).round(3).tolist()
    drawn = {name: random.normal(0, 0.3, each).round(3) for name, each in sides(5).items()}
    layers = {name: layer.tolist() for name, layer in drawn.items()}
    yield {"pool": pool, "layers": layers}
    table = {"confidence": [3e-8, 0.02, 0.3, 0.8, 0.99999997],
             "probability": [0.002, 0.01, 0.4, 0.85, 0.999]}  # fmt: skip
    yield {"pool": pool, "layers": layers, "calibration": table}


def fusion() -> Iterator[Value]:
    random = np.random.default_rng(8)
    given = page_as_read(random)
    for card in cards(random):
        yield {**given, "card": card}


def layout() -> Iterator[Value]:
    random = np.random.default_rng(9)
    given = page_as_read(random)
    base = {**given, "card": card_of(0.4, 2.5), "size": [150, 110], "turn": 0}
    for pool, existing in ((0.4, 2.5), (0.05, 1.0), (0.4, -3.0), (0.2, 0.6), (0.2, 3.0)):
        base = {**base, "card": card_of(pool, existing)}
        yield {**base, "expect": ""}
    for turn in (1, 2, 3):
        size = [110, 150] if turn % 2 else [150, 110]
        yield {**base, "expect": "", "turn": turn, "size": size}
    # As many digits as are read, two fewer, and a pattern that nothing seen satisfies.
    for pattern in ("8", "####-##", "0[7-9]#"):
        yield {**base, "expect": pattern}
    # Digits only in the posteriors: a faint 3 over two steps, and a 4 that may be two.
    steps = [[], [], [[5, 0.9]], [[5, 0.6]], [[5, 0.9]], [], [], [[4, 0.2]], [[4, 0.3]], [], [],
             [[8, 0.95]], [], []]  # fmt: skip
    faint = {"quad": [[10, 20], [80, 20], [80, 50], [10, 50]], "score": 0.9, "posteriors": steps}
    for pattern in ("2", "4", "43[1-7]"):
        yield {**base, "lines": [faint], "digits": [], "expect": pattern}
    yield {**base, "lines": [], "digits": [], "expect": ""}
    # A line that bends, and a line detected as two parts, close together or apart.
    bent = [{"quad": [[5, 8], [145, 62], [134, 90], [-6, 36]], "score": 0.9,
             "posteriors": steps_of("4 7 0 1 5 2 8")}]  # fmt: skip
    boxes = [[8, 12, 20, 32], [28, 36, 40, 58], [50, 22, 62, 46], [72, 52, 84, 74],
             [94, 38, 106, 62], [116, 66, 128, 88]]  # fmt: skip
    yield {**base, "lines": bent, "digits": candidates_at(random, boxes, [0.9] * 6), "expect": ""}
    for gap, down in ((2, 0), (12, 0), (30, 0), (2, 14)):
        parts = [
            {"quad": [[x, y], [x + 48, y], [x + 48, y + 30], [x, y + 30]], "score": 0.9,
             "posteriors": steps_of(text)}
            for x, y, text in ((4, 14, "41"), (52 + gap, 14 + down, "75"))
        ]  # fmt: skip
        boxes = [[x, y, x + 18, y + 22] for x, y in ((8, 18), (32, 18), (56 + gap, 18 + down),
                                                     (80 + gap, 18 + down))]  # fmt: skip
        digits = candidates_at(random, boxes, [0.9, 0.8, 0.7, 0.6])
        yield {**base, "lines": parts, "digits": digits, "expect": ""}
    # Lone digits in a grid.
    corners = [(6 + 36 * column, y) for column, y in ((0, 6), (1, 6), (3, 6), (0, 42), (1, 42))]
    cells = [
        {"quad": [[x, y], [x + 24, y], [x + 24, y + 30], [x, y + 30]], "score": 0.9,
         "posteriors": steps_of("4")}
        for x, y in corners
    ]  # fmt: skip
    boxes = [[x + 4, y + 4, x + 20, y + 26] for x, y in corners]
    digits = candidates_at(random, boxes, [0.9] * len(cells))
    yield {**base, "lines": cells, "digits": digits, "expect": ""}


SEEN = len(POOL) + CONTEXT  # number of inputs per value


def sides(width: int) -> dict[str, tuple[int, int]]:
    """Rows and columns of the layers, with ``width`` hidden units."""
    first, second, last = (SEEN + 1, width), (width + 1, width), (width + 1, 1)
    return {"first": first, "second": second, "third": last, "exists": first, "existing": last}


def card_of(pool: float, existing: float) -> Value:
    """A card that weights all opinions by ``pool`` and gives all places the same existence."""
    layers = {name: np.zeros(each) for name, each in sides(1).items()}
    layers["existing"][-1] = existing
    return {"pool": [pool] * len(POOL), "layers": {k: v.tolist() for k, v in layers.items()}}


def components() -> Iterator[Value]:
    yield {"mask": ["##...#", "..#..#", "...##.", "#.....", "#..#.#"]}
    yield {"mask": ["#.#.#", "#.#.#", "#####"]}
    yield {"mask": ["....", "...."]}


def ink_in() -> Iterator[Value]:
    for box in ([18, 15, 50, 83], [57.5, 22.5, 65.25, 85], [78, 18, 120, 86], [40, 15, 70, 85],
                [110, 85, 160, 120], [2, 90, 30, 108]):  # fmt: skip
        yield {"picture": "paper.png", "box": box}
    yield {"picture": "drawing.png", "box": [228, 48, 362, 222]}
    yield {"picture": "large.png", "box": [290, 190, 400, 230]}


def to_tile() -> Iterator[Value]:
    for pen, size in ((2, (40, 60)), (8, (40, 60)), (26, (64, 52)), (1, (9, 13)), (3, (30, 12))):
        sheet = Image.new("L", size)
        width, height = size
        way = [
            (0.2 * width, 0.2 * height),
            (0.8 * width, 0.25 * height),
            (0.4 * width, 0.8 * height),
        ]
        ImageDraw.Draw(sheet).line(way, 230, pen)
        yield picture_bytes(np.asarray(sheet), 1)
    yield picture_bytes(np.zeros((5, 4)), 1)


def scales() -> Iterator[Value]:
    random = np.random.default_rng(2)
    boxes = [(20, 16, 50, 82), (57, 22, 66, 84), (79, 18, 120, 86)]
    yield {"picture": "paper.png", "answers": [seen(random, boxes, s / 150) for s in (96, 192)]}
    tall = [(400 + 300 * k, 500, 580 + 300 * k, 760 + k % 3) for k in range(3)]
    for boxes in (tall, [*tall, (1500, 900, 1530, 950)]):
        answers = [seen(random, boxes, size / 2300) for size in (96, 192)]
        yield {"picture": "large.png", "answers": answers}
    yield {"picture": "drawing.png", "answers": []}
    # If all ink is in boxes of sure digits, one copy is enough.
    boxes = [(60, 110, 170, 565)]
    for sure in (1.0, 0.5):
        answer = [{**row, "score": sure * row["score"]} for row in seen(random, boxes, 96 / 650)]
        yield {"picture": "hair.png", "answers": [answer]}


def seen(random: np.random.Generator, boxes: list[Any], scale: float) -> list[Value]:
    """Detections of boxes: each a little off, and a second time with a lower score."""
    found = [
        {
            "score": round(float(0.9 - 0.05 * k - 0.4 * again), 4),
            "probabilities": chances(random, k, 0.8 - 0.3 * again),
            "box": (np.array(box) * scale + random.normal(0, 0.3, 4)).round(3).tolist(),
        }
        for again in (0, 1)
        for k, box in enumerate(boxes)
    ]
    return sorted(found, key=lambda row: -row["score"])


def row_of_boxes(random: np.random.Generator, count: int, gap: float = 30, slope: float = 0) -> Any:
    left = gap * np.arange(count) + random.normal(0, 1.5, count)
    top = 50 + slope * left + random.normal(0, 2, count)
    size = random.normal((18, 30), 1.5, (count, 2))
    return np.stack([left, top, left + size[:, 0], top + size[:, 1]], axis=1).round(2).tolist()


def lines() -> Iterator[Value]:
    random = np.random.default_rng(5)
    first, second = row_of_boxes(random, 5, slope=0.2), row_of_boxes(random, 4, slope=0.2)
    below = np.add(second, [12, 45, 12, 45]).tolist()
    mixed = [*first, *below]
    for boxes in ([], first, mixed, [mixed[i] for i in random.permutation(9)], mixed[::4]):
        yield {"boxes": boxes}


def numbers() -> Iterator[Value]:
    for gaps in ([4, 5, 4], [4, 20, 5, 4], [30, 28, 31], [65], [67], [], [2, 2, 9, 2, 14, 2]):
        left = np.concatenate([[0], np.cumsum(np.array(gaps) + 18)])
        yield {"boxes": [[float(x), 0.0, float(x) + 18, 30.0] for x in left]}


def pattern() -> Iterator[Value]:
    valid = ("4", " 12 ", "####-##", "20##", "# ### ###", "[0-2]#:[0-5]#", "[159]", "7-", "€ ##")
    refused = ("0", "100", "", "abc", "[]", "[9-1]#", "[0-]", "#]", "#\t#", "#" * 100)
    for text in (*valid, *refused):
        yield {"text": text}
