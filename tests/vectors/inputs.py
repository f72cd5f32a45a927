"""What the functions of the test vectors are tried on; draws the small pictures among it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

PICTURES = Path(__file__).with_name("pictures")
Value = dict[str, Any]
LARGE = (2300, 1500)  # pixels: more than a closer look needs


def draw_pictures() -> None:
    """Draws the pictures that the vectors name."""
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
    """A line of one pixel, bright on dark."""
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
    # Strokes of white, yellow, gray and black with soft edges, and a bright photo with corners.
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


def windows() -> Iterator[Value]:
    boxes = [[22.4, 18.1, 48.6, 81.9], [112, 88.5, 155.5, 104]]
    yield {"picture": "paper.png", "boxes": boxes}
    yield {"picture": "paper.png", "gray": True, "boxes": [[79.5, 18.5, 119.25, 86]]}
    yield {"picture": "large.png", "boxes": [[-20.5, 100.25, 480.75, 900.5]]}


def components() -> Iterator[Value]:
    yield {"mask": ["##...#", "..#..#", "...##.", "#.....", "#..#.#"]}
    yield {"mask": ["#.#.#", "#.#.#", "#####"]}
    yield {"mask": ["....", "...."]}


def ink_in() -> Iterator[Value]:
    for box in ([18, 15, 50, 83], [57.5, 22.5, 65.25, 85], [78, 18, 120, 86], [40, 15, 70, 85],
                [110, 85, 160, 120], [2, 90, 30, 108]):  # fmt: skip
        yield {"picture": "paper.png", "box": box}
        yield {"picture": "paper.png", "box": box, "gray": True}
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


def looks() -> Iterator[Value]:
    random = np.random.default_rng(2)
    boxes = [(20, 16, 50, 82), (57, 22, 66, 84), (79, 18, 120, 86)]
    yield {"picture": "paper.png", "answers": [seen(random, boxes, s / 150) for s in (96, 192)]}
    tiny = [(300 + 14 * k, 200, 307 + 14 * k, 212 + k % 3) for k in range(6)]
    answers = [seen(random, tiny[::2], s / 2300) for s in (96, 192, 448)]
    yield {"picture": "large.png", "answers": [*answers, seen(random, tiny, 1024 / 2300)]}
    yield {"picture": "large.png", "answers": []}
    tall = [(400 + 300 * k, 500, 580 + 300 * k, 760 + k % 3) for k in range(3)]
    for boxes in (tall, [*tall, (1500, 900, 1530, 950)]):
        answers = [seen(random, boxes, size / 2300) for size in (96, 192, 448, 1024)]
        yield {"picture": "large.png", "answers": answers}
    yield {"picture": "drawing.png", "gray": True, "answers": []}


def seen(random: np.random.Generator, boxes: list[Any], scale: float) -> list[Value]:
    """What a look says of boxes: each, a little off, and a second time fainter."""
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


def doubles() -> Iterator[Value]:
    boxes = [[0, 0, 10, 20], [2, 1, 11, 21], [3, 0, 12, 19], [30, 0, 40, 20]]
    for values in ([7, 7, 1, 7], [7, 7, 7, 7], [1, 2, 3, 4]):
        yield {"boxes": boxes, "values": values, "confidence": [0.7, 0.9, 0.8, 0.9]}


def row_of_boxes(random: np.random.Generator, count: int, gap: float = 30, slope: float = 0) -> Any:
    left = gap * np.arange(count) + random.normal(0, 1.5, count)
    top = 50 + slope * left + random.normal(0, 2, count)
    size = random.normal((18, 30), 1.5, (count, 2))
    return np.stack([left, top, left + size[:, 0], top + size[:, 1]], axis=1).round(2).tolist()


def support() -> Iterator[Value]:
    random = np.random.default_rng(3)
    boxes = [*row_of_boxes(random, 5), [300, 300, 320, 340], [65, 48, 70, 54]]
    yield {"boxes": boxes, "logits": random.normal(1, 4, 7).round(3).tolist()}


def confidence() -> Iterator[Value]:
    random = np.random.default_rng(4)
    votes = {
        "existence": numbers_like(random, 6),
        "digit": numbers_like(random, 6),
        "names": [[chances(random, k, s) for s in (0.9, 0.6, 0.99995)] for k in range(6)],
        "boxes": row_of_boxes(random, 6),
    }
    table = {"confidence": [3e-8, 0.02, 0.3, 0.8, 0.99999997],
             "probability": [0.002, 0.01, 0.4, 0.85, 0.999]}  # fmt: skip
    pool, weights = [0.46, 0.55, 0.12, 0.22, -0.2, 0.004], [0.3, 0.9, 0.66, 2, -0.2, -0.1, 0, -0.5]
    yield {"card": {}, **votes}
    yield {"card": {"pool": pool, "weights": weights}, **votes}
    context = [-0.03, 0.9, 0.25]
    full = {"pool": pool, "weights": weights, "context": context, "calibration": table}
    yield {"card": full, **votes}


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


def compose() -> Iterator[Value]:
    random = np.random.default_rng(6)
    boxes = [*row_of_boxes(random, 4), [150, 48, 170, 82], [40, 140, 60, 170]]
    found = [{"score": 0.8, "probabilities": chances(random, k), "box": box, "seen": 30.0}
             for k, box in enumerate(boxes)]  # fmt: skip
    rows = [chances(random, k, 0.75) for k in range(6)]
    base = {"found": found, "probabilities": rows, "size": [200, 220], "turn": 0, "expect": ""}
    mixed = [0.97, 0.93, 0.62, 0.31, 0.95, 0.08]
    yield {**base, "confidence": mixed}
    for turn in (1, 2, 3):
        yield {**base, "confidence": mixed, "turn": turn}
    for pattern in ("4", "5", "##-#", "0[7-9]#", "9" * 8 + "#"):
        yield {**base, "confidence": mixed, "expect": pattern}
    one = [{**found[0], "box": [20.5, 10.5, 120.5, 190]}]
    for sure in (0.4, 0.2):
        yield {**base, "found": one, "probabilities": rows[:1], "confidence": [sure]}
    yield {**base, "found": [], "probabilities": [], "confidence": []}


def pattern() -> Iterator[Value]:
    valid = ("4", " 12 ", "####-##", "20##", "# ### ###", "[0-2]#:[0-5]#", "[159]", "7-", "€ ##")
    refused = ("0", "100", "", "abc", "[]", "[9-1]#", "[0-]", "#]", "#\t#", "#" * 100)
    for text in (*valid, *refused):
        yield {"text": text}


def strokes() -> Iterator[Value]:
    for name in ("drawing.png", "hair.png", "paper.png", "large.png", "corner.png"):
        yield {"picture": name}
    yield {"picture": "drawing.png", "gray": True}
