"""How quickly are pictures read, and with how much memory? Draws its pictures itself.

    python benchmarks/reading.py [--rounds N] [--out FOLDER]
    python benchmarks/reading.py --mnist280 [DATA_DIR] [--enlarge nearest] [--limit N]
                                 [--out FOLDER]

- ms: median and 90th percentile of reading a picture that is decoded already, with two threads,
  the pictures taking turns. The machine should have nothing else to do.
- memory: the most that a fresh process held in memory while it read the largest picture from a
  JPEG file, decoding, Python and the libraries included.

``--mnist280`` measures no time: it enlarges the tiles of the MNIST test set to 280 x 280 pixels,
has them read as pictures, once bright on dark and once dark on bright, and counts how many answers
are the label and nothing else.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

import drawing
from digitlens import DigitReader
from digitlens.datasets.mnist import Split, load_mnist
from digitlens.evaluation.metrics import wilson_interval
from digitlens.progress import work_bar
from figures import median_of, once
from provenance import provenance
from publish import publish

Page = npt.NDArray[np.uint8]
THREADS = 2
ROUNDS = 30
WARM_UPS = 3
BATCH = 100
SIDE = 280
MEGABYTES = 600  # at most, for the largest picture
ENLARGE = {"bicubic": Image.Resampling.BICUBIC, "nearest": Image.Resampling.NEAREST}

# What the process itself has held. `getrusage` also counts what its parent held when it forked,
# so that is for systems without /proc only; there it counts bytes.
PEAK = f"""
import json, resource, sys
from pathlib import Path
from digitlens import DigitReader
text = DigitReader(threads={THREADS}).read(sys.argv[1]).text
status = Path("/proc/self/status")
lines = status.read_text().splitlines() if status.exists() else []
own = [1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM")]
peak = own[0] if own else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps(dict(text=text, megabytes=peak / 1e6)))
"""


@dataclass(frozen=True)
class Case:
    """A picture to read, named in records by ``figure``; ``target``: milliseconds at most."""

    name: str
    figure: str
    page: Page
    text: str
    target: float | None = None


def main() -> None:
    options = _options()
    made = provenance() | {"threads": THREADS}
    if options.mnist280 is not None:
        split = load_mnist(options.mnist280 or None).test
        result = made | enlarged(split, options.enlarge, options.limit)
        name, text = "mnist280", enlarged_table(result)
    else:
        result = made | speed(cases(), options.rounds)
        result["figures"] = figures(result)
        name, text = "reading", table(result)
    publish(options.out, name, result, text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="readings of each picture")
    parser.add_argument("--mnist280", nargs="?", const="", metavar="DATA_DIR", help="see above")
    parser.add_argument("--enlarge", choices=ENLARGE, default="bicubic", help="of MNIST tiles")
    parser.add_argument("--limit", type=int, help="at most so many MNIST tiles")
    parser.add_argument("--out", type=Path, help="folder of the record")
    return parser.parse_args()


def cases() -> list[Case]:
    text = "402867\n193548"
    return [
        Case("tile, 28 x 28", "tile", drawing.tile("3"), "3"),
        Case("page, 640 x 480", "page_640x480", drawing.photo(640, 480, text), text, 25),
        Case("photo, 12 megapixels", "photo_12mp", drawing.photo(4000, 3000, text), text, 150),
        Case("photo, 24 megapixels", "photo_24mp", drawing.photo(6000, 4000, text), text),
    ]


def speed(pictures: list[Case], rounds: int) -> dict[str, Any]:
    """Times of each picture, and the memory for the last."""
    memory = peak(pictures[-1].page)
    reader = DigitReader(threads=THREADS)
    said = [reader.read(case.page).text for case in pictures for _ in range(WARM_UPS)][::WARM_UPS]
    times: list[list[float]] = [[] for _ in pictures]
    with work_bar() as bar:
        for _ in bar.track(range(rounds), description="reading"):
            for case, taken in zip(pictures, times, strict=True):
                start = time.perf_counter()
                reader.read(case.page)
                taken.append(1000 * (time.perf_counter() - start))
    return {
        "rounds": rounds,
        "pictures": [
            {
                "name": case.name,
                "figure": case.figure,
                "right": text == case.text,
                "text": text,
                "all_milliseconds": taken,
                "milliseconds": statistics.median(taken),
                "milliseconds_90": float(np.percentile(taken, 90)),
                "target": case.target,
            }
            for case, text, taken in zip(pictures, said, times, strict=True)
        ],
        "memory": {"name": pictures[-1].name, **memory, "target": MEGABYTES},
    }


def peak(page: Page) -> dict[str, Any]:
    """Megabytes that a fresh process needs to read a picture from a file, and what it reads."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "picture.jpg"
        Image.fromarray(page).save(file, quality=90)
        command = [sys.executable, "-c", PEAK, str(file)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def figures(result: dict[str, Any]) -> list[dict[str, Any]]:
    """What two records are compared by."""
    found = [
        median_of(f"reading.{row['figure']}", row["all_milliseconds"], "ms")
        for row in result["pictures"]
    ]
    return [*found, once("reading.memory", result["memory"]["megabytes"], "MB")]


def table(result: dict[str, Any]) -> str:
    lines = [
        title(result),
        "| picture | ms | ms, 90 % | target | read right |",
        "|---|---|---|---|---|",
    ]
    for row in result["pictures"]:
        target = f"at most {row['target']:.0f} ms" if row["target"] else ""
        times = f"{row['milliseconds']:.1f} | {row['milliseconds_90']:.1f}"
        lines.append(f"| {row['name']} | {times} | {target} | {'yes' if row['right'] else 'no'} |")
    memory = result["memory"]
    held = f"{memory['megabytes']:.0f} MB in memory (target: less than {memory['target']} MB)"
    lines += ["", f"Reading {memory['name']}, from a JPEG file in a fresh process: {held}."]
    return "\n".join(lines) + "\n"


def title(result: dict[str, Any]) -> str:
    where = f"{result['processor'] or result['machine']}, {result['threads']} threads"
    return f"Reading on {result['date']}, {where}, load before {result['load']}.\n"


def enlarged(split: Split, method: str, limit: int | None) -> dict[str, Any]:
    """How MNIST tiles are read as pictures; with a limit, tiles spread over all of them."""
    n = len(split) if limit is None else min(limit, len(split))
    chosen = split.take(np.arange(n) * len(split) // n)
    reader = DigitReader(threads=THREADS)
    polarities = {"white on black": 0, "black on white": 255}
    rows = {name: _read_tiles(reader, chosen, method, flip) for name, flip in polarities.items()}
    return {"enlarged": method, "side": SIDE, "n": n, "polarities": rows}


def _read_tiles(reader: DigitReader, split: Split, method: str, flip: int) -> dict[str, Any]:
    lengths: Counter[int] = Counter()
    exact = 0
    with work_bar() as bar:
        for start in bar.track(range(0, len(split), BATCH), description="reading"):
            some = split.take(np.arange(start, min(start + BATCH, len(split))))
            pages = [enlarge(tile, method) ^ np.uint8(flip) for tile in some.tiles]
            texts = [reading.text for reading in reader.read_many(pages)]
            exact += sum(text == str(label) for text, label in zip(texts, some.labels, strict=True))
            lengths.update(len(text.replace("\n", "")) for text in texts)
    return {
        "right": exact,
        "exact": exact / len(split),
        "interval": wilson_interval(exact, len(split)),
        "nothing_read": lengths[0],
        "one_digit_wrong": lengths[1] - exact,
        "several_read": len(split) - lengths[0] - lengths[1],
    }


def enlarge(tile: Page, method: str) -> Page:
    """uint8[28, 28] -> uint8[280, 280]."""
    return np.asarray(Image.fromarray(tile).resize((SIDE, SIDE), ENLARGE[method]))


def enlarged_table(result: dict[str, Any]) -> str:
    how = f"MNIST test tiles, {SIDE} x {SIDE}, {result['enlarged']}"
    lines = [
        title(result),
        f"| {how} | n | exact | 95 % interval | nothing read | wrong digit | several digits |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in result["polarities"].items():
        low, high = (f"{100 * end:.2f}" for end in row["interval"])
        wrong = f"{row['nothing_read']} | {row['one_digit_wrong']} | {row['several_read']}"
        share = f"{100 * row['exact']:.2f} % | {low} to {high}"
        lines.append(f"| {name} | {result['n']} | {share} | {wrong} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
