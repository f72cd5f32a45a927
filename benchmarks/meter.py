"""Does a watched meter store the right values? A day of pictures, one per minute, from a seed.

    python benchmarks/meter.py [--every MINUTES] [--font FAMILY] [--seed N] [--keep FOLDER]
                               [--out FOLDER]

The wheels of a water meter stop between digits, the camera shakes and is knocked once, the light
changes, glare moves across the glass, and for an hour the camera is dead: frames are black, grey,
noise or truncated. Pictures are read through a template by ``digitlens watch``.

- stored: fraction of the working camera's pictures whose value is stored.
- wrong: stored values further from the shown value than the next digit of the last wheel.
"""

import csv
import math
import os
from collections import Counter as Tally
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

import drawn
import harness
from digitlens.cli.main import app
from digitlens.datasets.synthetic.camera import CameraView
from digitlens.datasets.synthetic.canvas import Style
from digitlens.datasets.synthetic.glyph_sources import FontGlyphs
from digitlens.datasets.synthetic.objects import Counter, Wheel, draw_wheel, show_counter

SIZE = (640, 480)
WHEELS, DECIMALS = 8, 3
DIGIT = 44  # pixels, height of a digit on a wheel
CORNER = (118, 150)  # top left of the windows on the face
PITCH, TURN, WINDOW = 1.15, 1.35, (0.95, 1.5)
START = 1_234_567.4  # litres
DAY = 1440  # minutes
DEAD = range(600, 660)
KNOCKED = 900  # minute at which the camera is knocked
BOX = (*CORNER, CORNER[0] + round(DIGIT * PITCH * WHEELS), CORNER[1] + round(DIGIT * WINDOW[1]))
REGION = (
    f"main={','.join(map(str, BOX))},kind=counter,digits=8,decimals=3,unit=m³,most_per_hour=0.9"
)
START_SECONDS = 1_700_000_000  # seconds of the epoch
# Minute, content of the picture file, and litres shown; None for a dead camera.
Frame = tuple[int, bytes, float | None]


def main() -> None:
    cli = harness.parser(__doc__)
    cli.add_argument("--every", type=int, default=1, help="minutes between pictures")
    cli.add_argument("--font", default="barlow", help="one of the validation fonts")
    cli.add_argument("--seed", type=int, default=0)
    cli.add_argument("--keep", type=Path, help="folder for pictures, template and log")
    options = cli.parse_args()
    font = Path(drawn.font_file(options.font))
    frames = simulate(font, options.seed, range(0, DAY, options.every))
    facts = harness.provenance() | {"font": options.font, "seed": options.seed}
    with TemporaryDirectory() as folder:
        text = measure(frames, options.keep or Path(folder), font)
    harness.publish(options.out, "meter", facts | {"told": text}, f"{text}\n")


def measure(frames: Iterable[Frame], folder: Path, font: ImageFont.FreeTypeFont | Path) -> str:
    """Reads pictures with ``digitlens watch``; returns a line comparing stored and shown values."""
    (folder / "in").mkdir(parents=True, exist_ok=True)
    reference = np.clip(Meter(font).face(START), 0, 255).astype(np.uint8)
    (folder / "meter.jpg").write_bytes(drawn.encoded(reference, quality=95))
    shown: dict[str, float | None] = {}
    for minute, content, litres in frames:
        path = folder / "in" / f"{minute:04}.jpg"
        path.write_bytes(content)
        os.utime(path, (START_SECONDS + 60 * minute,) * 2)
        shown[path.name] = litres
    template, log = str(folder / "meter.toml"), folder / "log.csv"
    for command in (
        ["template", str(folder / "meter.jpg"), "--region", REGION, "--out", template],
        ["watch", str(folder / "in"), "--template", template, "--out", str(log), "--once"],
    ):
        app(command, standalone_mode=False)
    rows = list(csv.DictReader(log.read_text(encoding="utf-8").splitlines()))
    working = sum(litres is not None for litres in shown.values())
    values = [(row["picture"], 1000 * float(row["value"])) for row in rows if row["value"]]
    wrong = [name for name, value in values if not is_right(value, shown[name])]
    kinds = sorted(Tally(row["status"] for row in rows).items())
    return (
        f"{len(shown)} pictures, {working} of the working camera: {len(values)} stored "
        f"({len(values) / working:.1%}), {len(wrong)} wrong {wrong}; "
        f"rows: {', '.join(f'{count} {status}' for status, count in kinds)}"
    )


def simulate(
    font: ImageFont.FreeTypeFont | Path, seed: int = 0, minutes: Iterable[int] = range(DAY)
) -> Iterator[Frame]:
    """Yields the pictures of the given minutes of a day."""
    meter = Meter(font, seed)
    litres = START + np.cumsum(_flows(np.random.default_rng([seed, 1])))
    for minute in minutes:
        rng, value = np.random.default_rng([seed, 2, minute]), float(litres[minute])
        if minute in DEAD:
            yield minute, _dead_frame(rng), None
        else:
            yield minute, drawn.encoded(photograph(meter.face(value), minute, rng)), value


def is_right(value: float, litres: float | None) -> bool:
    """Whether a value in litres matches the wheels, of which the last may be between digits."""
    return litres is not None and math.floor(litres - 0.05) <= value <= math.floor(litres + 1.05)


class Meter:
    """A water meter: a face that is drawn once, and turning wheels."""

    def __init__(self, font: ImageFont.FreeTypeFont | Path, seed: int = 0) -> None:
        self._glyphs, self._seed = FontGlyphs({"latin": font}), seed
        self._style = Style(self._glyphs)
        rng = np.random.default_rng([seed, 3])
        face = Image.new("RGB", SIZE, (206, 208, 204))
        pen = ImageDraw.Draw(face)
        pen.ellipse((20, -60, 620, 540), fill=(238, 238, 234), outline=(70, 70, 75), width=6)
        write = self._glyphs.font
        pen.text((250, 84), "AQUA 20", (40, 40, 60), write(30))
        pen.text((118, 120), "Q3 2,5  R160  T30", (40, 40, 60), write(18))
        pen.text((540, 170), "m³", (20, 20, 20), write(30))
        pen.text((170, 400), "No. 8 RKG 4471 9036", (50, 50, 50), write(22))
        for x, y in ((170, 330), (320, 350), (470, 330)):
            pen.ellipse((x - 42, y - 42, x + 42, y + 42), outline=(150, 30, 30), width=3)
            angle = float(rng.uniform(0, 2 * np.pi))
            tip = x + 34 * math.cos(angle), y + 34 * math.sin(angle)
            pen.line((x, y, *tip), (150, 30, 30), 5)
        for x, y in ((60, 60), (585, 60), (60, 420), (585, 420)):
            pen.ellipse((x - 12, y - 12, x + 12, y + 12), fill=(120, 120, 125))
        self._face = np.asarray(face, np.float32)

    def face(self, litres: float) -> np.ndarray:
        """Draws the meter at a reading: float32[480, 640, 3]."""
        wheels: list[Wheel] = []
        for unit in (10**place for place in reversed(range(WHEELS))):
            # A wheel advances while those to its right go from 9 to 0.
            at = litres if unit == 1 else litres // unit + max(0.0, litres % unit - (unit - 1))
            nearest, rng = round(at), np.random.default_rng(0)
            wheels.append(draw_wheel(nearest % 10, (nearest - at) * TURN, TURN, self._style, rng))
        extent = 0.0, -0.5 - WINDOW[1] / 2, PITCH * WHEELS, -0.5 + WINDOW[1] / 2
        counter = Counter(tuple(wheels), PITCH, TURN, WINDOW, False, DECIMALS, extent)
        width, height = round(DIGIT * PITCH * WHEELS), round(DIGIT * WINDOW[1])
        matrix = np.array([[DIGIT, 0, 0], [0, DIGIT, -extent[1] * DIGIT], [0, 0, 1.0]])
        view = CameraView(width, height, matrix, extent, DIGIT)
        plane, (x, y) = self._face.copy(), CORNER
        shown = show_counter(counter, view, np.random.default_rng([self._seed, 4]))
        plane[y : y + height, x : x + width] = shown
        return plane


def photograph(plane: np.ndarray, minute: int, rng: np.random.Generator) -> np.ndarray:
    """Simulates a camera in a cellar (shake, light, blur, noise): uint8[480, 640, 3]."""
    width, height = SIZE
    angle, scale = float(rng.normal(0, 0.012)), 1 + float(rng.normal(0, 0.012))
    offset = rng.normal(0, 4, 2) + ((26, -17) if minute >= KNOCKED else (0, 0))
    if minute >= KNOCKED:
        angle += 0.05
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), math.degrees(angle), scale)
    matrix[:, 2] += offset
    homography = np.vstack([matrix, [*rng.normal(0, 2e-5, 2), 1]])
    plane = cv2.warpPerspective(plane, homography, SIZE, borderMode=cv2.BORDER_REPLICATE)
    hour = minute / 60
    brightness = 0.55 + 0.45 * math.exp(-(((hour - 13) / 4) ** 2)) + float(rng.normal(0, 0.06))
    plane = plane * max(0.25, brightness)
    if 8 <= hour < 16 and rng.random() < 0.6:  # sunlight on the glass
        y, x = np.mgrid[0:height, 0:width].astype(np.float32)
        centre = 80 + 60 * (hour - 8) + float(rng.normal(0, 25)), 175 + float(rng.normal(0, 35))
        size = rng.uniform(15, 60, 2)
        spot = np.exp(-(((x - centre[0]) / size[0]) ** 2) - ((y - centre[1]) / size[1]) ** 2)
        plane = plane + (float(rng.uniform(40, 190)) * spot)[:, :, None]
    plane = cv2.GaussianBlur(plane, (0, 0), float(rng.uniform(0.3, 1.3)))
    plane = plane + rng.normal(0, float(rng.uniform(1, 7)), plane.shape)
    return np.clip(plane, 0, 255).astype(np.uint8)


def _flows(rng: np.random.Generator) -> np.ndarray:
    """Litres in each minute: taps, showers and a leak."""
    flows = np.full(DAY, 0.02)
    for _ in range(60):
        start = int(np.clip(rng.choice([420, 760, 1200]) + rng.normal(0, 90), 0, DAY - 20))
        flows[start : start + int(rng.integers(1, 9))] += float(rng.uniform(1, 9))
    return np.minimum(flows, 12.0)


def _dead_frame(rng: np.random.Generator) -> bytes:
    kind, shape = int(rng.integers(4)), (*SIZE[::-1], 3)
    if kind == 3:
        return b"\xff\xd8\xff\xe0" + rng.bytes(900)
    low, high = ((dark := int(rng.integers(12)), dark + 4), (128, 129), (0, 256))[kind]
    return drawn.encoded(rng.integers(low, high, shape).astype(np.uint8))


if __name__ == "__main__":
    main()
