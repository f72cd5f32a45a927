"""How quickly is a folder of pictures read, on one core and on more, and in how much memory?

    python benchmarks/folder.py [--count N] [--rounds N] [--out FOLDER]

Draws its pictures itself: of each hundred 80 drawings of 280 x 280, 19 photos of 640 x 480 and 1 of
12 megapixels. Each run is a process of its own that may use so many cores, and has
``DigitReader.read_many`` read the files; the first pictures are read before time is taken. The runs
take turns. The machine should have nothing else to do.

- pictures/s: median of the rounds, from the first picture to the last reading.
- busy: share of the cores' time that the process used.
- memory: the most that it held, for a tenth of the pictures and for all of them.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import drawing
from digitlens import files
from digitlens.progress import work_bar
from figures import median_of, once
from provenance import provenance

COUNT = 1000
ROUNDS = 2
DRAWINGS, PHOTOS = 80, 19  # of each hundred; the rest has 12 megapixels

READ = """
import json, os, sys, time
cores, paths = int(sys.argv[1]), sys.stdin.read().split()
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
from digitlens import DigitReader
reader = DigitReader(threads=1)
for _ in reader.read_many(paths[:2] + paths[-2:]):
    pass
start, busy = time.perf_counter(), time.process_time()
texts = [reading.text for reading in reader.read_many(paths)]
seconds, busy = time.perf_counter() - start, time.process_time() - busy
status = open("/proc/self/status").read()
peak = int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6
print(json.dumps(dict(seconds=seconds, busy=busy / seconds / cores, megabytes=peak, texts=texts)))
"""


def main() -> None:
    options = _options()
    if not hasattr(os, "sched_setaffinity"):
        sys.exit("this system cannot limit a process to some of the cores")
    with tempfile.TemporaryDirectory() as folder:
        pictures = draw(Path(folder), options.count)
        result = provenance() | curve(pictures, options.rounds)
    result["figures"] = figures(result)
    print(table(result), end="")
    if options.out:
        files.write_json(options.out / "folder.json", result)
        files.write_bytes(options.out / "folder.md", table(result).encode())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=COUNT, help="pictures in the folder")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="runs with each number of cores")
    parser.add_argument("--out", type=Path, help="folder of the record")
    return parser.parse_args()


def draw(folder: Path, count: int) -> list[tuple[Path, str]]:
    """Pictures with what is on them, the kinds mixed as in every hundred of them."""
    kinds = np.random.default_rng(0).permutation(np.arange(count) % 100)
    paper = {size: drawing.photo(*size, "402867\n193548") for size in [(640, 480), (4000, 3000)]}
    drawn: list[tuple[Path, str]] = []
    for number, kind in enumerate(kinds):
        if kind < DRAWINGS:
            path, text = folder / f"{number:04}.png", str(number % 10)
            tile = Image.fromarray(255 - drawing.tile(text))
            tile.resize((280, 280), Image.Resampling.BICUBIC).save(path)
        else:
            path, text = folder / f"{number:04}.jpg", "402867\n193548"
            size = (640, 480) if kind < DRAWINGS + PHOTOS else (4000, 3000)
            Image.fromarray(paper[size]).save(path, quality=90)
        drawn.append((path, text))
    return drawn


def curve(pictures: list[tuple[Path, str]], rounds: int) -> dict[str, Any]:
    """What reading costs with each number of cores, doubling up to all there are."""
    most = len(os.sched_getaffinity(0))
    cores = sorted({2**power for power in range(most.bit_length()) if 2**power <= most} | {most})
    runs: dict[int, list[dict[str, Any]]] = {number: [] for number in cores}
    some = [read(pictures[: max(2, len(pictures) // 10)], number) for number in cores]
    with work_bar() as bar:
        for _ in bar.track(range(rounds), description="reading"):
            for number, known in runs.items():
                known.append(read(pictures, number))
    rows = [
        {
            "cores": number,
            "pictures_per_second": len(pictures) / statistics.median(_all(known, "seconds")),
            "seconds": _all(known, "seconds"),
            "busy": statistics.median(_all(known, "busy")),
            "megabytes_some": few["megabytes"],
            "megabytes": max(_all(known, "megabytes")),
            "right": known[0]["right"],
        }
        for (number, known), few in zip(runs.items(), some, strict=True)
    ]
    return {"pictures": len(pictures), "rounds": rounds, "cores_used": rows}


def read(pictures: list[tuple[Path, str]], cores: int) -> dict[str, Any]:
    """Reads pictures in a process of its own: seconds, megabytes and the share that is right."""
    paths = "\n".join(str(path) for path, _ in pictures)
    command = [sys.executable, "-c", READ, str(cores)]
    done = subprocess.run(command, input=paths, check=True, capture_output=True, text=True)
    run = json.loads(done.stdout)
    right = [said == text for said, (_, text) in zip(run.pop("texts"), pictures, strict=True)]
    return run | {"right": sum(right) / len(right)}


def figures(result: dict[str, Any]) -> list[dict[str, Any]]:
    """What two records are compared by: all cores, and one beside it."""
    rows, count = result["cores_used"], result["pictures"]
    speeds = [[count / seconds for seconds in row["seconds"]] for row in rows]
    alone, all_of_them = rows[0], rows[-1]
    found = [
        median_of("folder.pictures_per_second", speeds[-1], "pictures/s", "higher"),
        once("folder.busy", 100 * all_of_them["busy"], "%", "higher"),
        once("folder.memory", all_of_them["megabytes"], "MB"),
    ]
    if len(rows) > 1:
        gain = all_of_them["pictures_per_second"] / alone["pictures_per_second"]
        found += [
            median_of("folder.one_core.pictures_per_second", speeds[0], "pictures/s", "higher"),
            once("folder.scaling", gain, "times one core", "higher"),
        ]
    return found


def _all(runs: list[dict[str, Any]], name: str) -> list[float]:
    return [run[name] for run in runs]


def table(result: dict[str, Any]) -> str:
    where = f"{result['processor'] or result['machine']}, {result['cores']} cores"
    count = result["pictures"]
    few = max(2, count // 10)
    lines = [
        f"Reading a folder on {result['date']}, {where}, load before {result['load']}; "
        f"{count:,} pictures, n = {result['rounds']}.\n",
        f"| cores | pictures/s | speed-up | busy | MB, {few:,} | MB, {count:,} | read right |",
        "|---|---|---|---|---|---|---|",
    ]
    alone = result["cores_used"][0]["pictures_per_second"]
    for row in result["cores_used"]:
        speed = row["pictures_per_second"]
        memory = f"{row['megabytes_some']:.0f} | {row['megabytes']:.0f}"
        lines.append(
            f"| {row['cores']} | {speed:.1f} | {speed / alone:.2f} | {100 * row['busy']:.0f} % "
            f"| {memory} | {100 * row['right']:.1f} % |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
