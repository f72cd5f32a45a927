"""How quickly is a folder of pictures read, on one core and on more, and in how much memory?

    python benchmarks/folder.py [--count N] [--rounds N] [--out FOLDER]

Draws its pictures itself: of each hundred 80 drawings of 280 x 280, 19 photos of 640 x 480 and 1 of
12 megapixels. Each run is a program of its own that may use so many cores: ``digitlens read`` with
the folder, and ``DigitReader.read_many`` with a quarter of the files, in threads and in processes.
The runs take turns. The machine should have nothing else to do.

- pictures/s: median of the rounds, from the start of the program to its end.
- busy: share of the cores' time that the program and its processes used.
- memory: the most that all its processes held together, what they share counted once (PSS, looked
  at every 0.4 seconds), for a tenth of the pictures and for all of them.
"""

import argparse
import io
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image

import drawing
from digitlens.progress import work_bar
from figures import median_of, once
from provenance import provenance
from publish import publish

COUNT = 1000
ROUNDS = 1
DRAWINGS, PHOTOS = 80, 19  # of each hundred; the rest has 12 megapixels

COMMAND = "digitlens read"
THREADS, PROCESSES = "read_many, threads", "read_many, processes"
EACH = 0.4  # seconds between looks at the memory, of which one takes 5 ms a process

READ = """
import sys
from digitlens import DigitReader
readings = DigitReader(threads=1).read_many(sys.argv[2:], processes=sys.argv[1] == "processes")
for path, reading in zip(sys.argv[2:], readings):
    print(path, reading.text.replace(chr(10), " "), sep=chr(9))
"""
PROGRAMS = {
    COMMAND: ("-m", "digitlens", "read"),
    THREADS: ("-c", READ, "threads"),
    PROCESSES: ("-c", READ, "processes"),
}


def main() -> None:
    options = _options()
    if not hasattr(os, "sched_setaffinity"):
        sys.exit("this system cannot limit a process to some of the cores")
    with tempfile.TemporaryDirectory() as folder:
        few = draw(Path(folder, "few"), max(2, options.count // 10))
        pictures = draw(Path(folder, "all"), options.count)
        result = provenance() | curve(few, pictures, options.rounds)
    result["figures"] = figures(result)
    publish(options.out, "folder", result, table(result))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=COUNT, help="pictures in the folder")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="runs with each number of cores")
    parser.add_argument("--out", type=Path, help="folder of the record")
    return parser.parse_args()


def draw(folder: Path, count: int) -> list[tuple[Path, str]]:
    """Pictures with what is on them, the kinds mixed as in every hundred of them."""
    folder.mkdir()
    kinds = np.random.default_rng(0).permutation(np.arange(count) % 100)
    drawn: list[tuple[Path, str]] = []
    for number, kind in enumerate(kinds):
        if kind < DRAWINGS:
            path, text = folder / f"{number:04}.png", str(number % 10)
            path.write_bytes(_drawing(text))
        else:
            path, text = folder / f"{number:04}.jpg", "402867 193548"
            path.write_bytes(_photo((640, 480) if kind < DRAWINGS + PHOTOS else (4000, 3000)))
        drawn.append((path, text))
    return drawn


@cache
def _drawing(text: str) -> bytes:
    tile = Image.fromarray(255 - drawing.tile(text))
    return _file(tile.resize((280, 280), Image.Resampling.BICUBIC), "PNG")


@cache
def _photo(size: tuple[int, int]) -> bytes:
    return _file(Image.fromarray(drawing.photo(*size, "402867\n193548")), "JPEG")


def _file(picture: Image.Image, kind: str) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, quality=90)
    return file.getvalue()


def curve(
    few: list[tuple[Path, str]], pictures: list[tuple[Path, str]], rounds: int
) -> dict[str, Any]:
    """What reading costs with each number of cores, doubling up to all there are."""
    most = len(os.sched_getaffinity(0))
    cores = sorted({2**power for power in range(most.bit_length()) if 2**power <= most} | {most})
    quarter = pictures[: max(2, len(pictures) // 4)]
    plan = [(COMMAND, pictures, number) for number in cores]
    plan += [(THREADS, quarter, number) for number in cores]
    plan += [(PROCESSES, quarter, number) for number in cores if number > 1]
    held = {number: read(COMMAND, few, number)["megabytes"] for number in cores}
    runs: list[list[dict[str, Any]]] = [[] for _ in plan]
    with work_bar() as bar:
        for _ in bar.track(range(rounds), description="reading"):
            for (way, some, number), known in zip(plan, runs, strict=True):
                known.append(read(way, some, number))
    rows = [
        _row(way, len(some), number, known)
        for (way, some, number), known in zip(plan, runs, strict=True)
    ]
    commands = [row | {"megabytes_some": held[row["cores"]]} for row in rows[: len(cores)]]
    return {
        "pictures": len(pictures),
        "few": len(few),
        "rounds": rounds,
        "cores_used": commands,
        "read_many": rows[len(cores) :],
    }


def _row(way: str, count: int, cores: int, runs: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "way": way,
        "pictures": count,
        "cores": cores,
        "pictures_per_second": count / statistics.median(_all(runs, "seconds")),
        "seconds": _all(runs, "seconds"),
        "busy": statistics.median(_all(runs, "busy")),
        "megabytes": max(_all(runs, "megabytes")),
        "right": runs[0]["right"],
    }


def read(way: str, pictures: list[tuple[Path, str]], cores: int) -> dict[str, Any]:
    """Has pictures read: seconds, megabytes, how busy the cores are and the share that is right."""
    whole = way == COMMAND and len(list(pictures[0][0].parent.iterdir())) == len(pictures)
    files = [pictures[0][0].parent] if whole else [path for path, _ in pictures]
    command = [sys.executable, *PROGRAMS[way], *map(str, files)]
    with tempfile.TemporaryFile("w+") as said:
        run = _watched(command, said, cores)
        said.seek(0)
        texts = [line.rstrip("\n").partition("\t")[2] for line in said]
    right = [found == text for found, (_, text) in zip(texts, pictures, strict=True)]
    return run | {"right": sum(right) / len(right)}


def _watched(command: list[str], said: IO[str], cores: int) -> dict[str, float]:
    """Runs a program on so many cores, and looks at its memory until it ends."""
    everywhere = os.sched_getaffinity(0)
    before, start, most = _used(), time.perf_counter(), 0.0
    os.sched_setaffinity(0, sorted(everywhere)[:cores])  # which the program inherits
    try:
        program = subprocess.Popen(command, stdout=said)
    finally:
        os.sched_setaffinity(0, everywhere)
    while True:
        most = max(most, held_by(program.pid))
        with suppress(subprocess.TimeoutExpired):
            if program.wait(EACH):
                raise subprocess.CalledProcessError(program.returncode, command)
            break
    seconds = time.perf_counter() - start
    return {
        "seconds": seconds,
        "busy": (_used() - before) / seconds / cores,
        "megabytes": most,
    }


def _used() -> float:
    """Seconds of the processor that programs which have ended used, with theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def held_by(process: int) -> float:
    """Megabytes that a process and all that it started hold together; 0 where it has ended."""
    here, own, others = Path(f"/proc/{process}"), 0.0, []
    with suppress(OSError):
        lines = (here / "smaps_rollup").read_text().splitlines()
        own = next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024 / 1e6
        tasks = [task / "children" for task in (here / "task").iterdir()]
        others = [int(child) for task in tasks for child in task.read_text().split()]
    return own + sum(map(held_by, others))


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
    lines = [
        f"Reading a folder on {result['date']}, {where}, load before {result['load']}; "
        f"{count:,} pictures, n = {result['rounds']}.\n",
        "| program | pictures | cores | pictures/s | speed-up | busy "
        f"| MB | MB, {result['few']:,} pictures | read right |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    alone = result["cores_used"][0]["pictures_per_second"]
    slow = [row["pictures_per_second"] for row in result["read_many"][:1]]
    for row in result["cores_used"] + result["read_many"]:
        speed = row["pictures_per_second"]
        gain = speed / (alone if row["way"] == COMMAND else slow[0])
        few = f"{row['megabytes_some']:.0f}" if "megabytes_some" in row else ""
        lines.append(
            f"| {row['way']} | {row['pictures']:,} | {row['cores']} | {speed:.1f} | {gain:.2f} "
            f"| {100 * row['busy']:.0f} % | {row['megabytes']:.0f} | {few} "
            f"| {100 * row['right']:.1f} % |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
