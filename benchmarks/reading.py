"""How quickly are pictures read, from one in memory to a folder of them, and with how much memory?

    python benchmarks/reading.py [--only pages|starts|folder ...] [--rounds N] [--count N]
                                 [--python PYTHON] [--out FOLDER]

It draws its pictures itself, and what is compared takes turns. The machine should have nothing else
to do.

- pages: milliseconds of reading a picture that is decoded already, with two threads; the most that
  a fresh process held in memory while it read the largest picture from a JPEG file.
- starts: milliseconds of a program from its start to its end, and how long its threads were busy;
  the most that it held. ``--python`` is an interpreter with digitlens: that of a core install,
  ``.venv-core/bin/python``, where ``make test`` put it, unless told otherwise.
- folder: of each hundred pictures 80 drawings of 280 x 280, 19 photos of 640 x 480 and 1 of 12
  megapixels, read by ``digitlens read`` on one core and on more. ``busy`` is the share of the
  cores' time that was used; the memory is that of all processes, what they share counted once
  (PSS, looked at every 0.4 seconds).
"""

import io
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

import harness
from digitlens import DigitReader
from harness import Figure, Row, take_turns, timed

Page = npt.NDArray[np.uint8]
Program = tuple[tuple[str, ...], str, str]  # arguments, end of what it prints, name in figures
CORE = harness.ROOT / ".venv-core" / "bin" / "python"
EXAMPLES = harness.ROOT / "examples"
NOTE = "2048"  # what the note says
THREADS = 2
ROUNDS = {"pages": 30, "starts": 11, "folder": 1}
WARM_UPS = 3
COUNT = 1000
DRAWINGS, PHOTOS = 80, 19  # of each hundred; the rest has 12 megapixels
EACH = 0.4  # seconds between looks at the memory, of which one takes 5 ms a process
PAGES = (
    "picture | ms | ms, 90 % | read right",
    "{name} | {ms[0]:.1f} | {ms[1]:.1f} | {read}",
)
STARTS = (
    "program | wall, ms | 25 % | 75 % | CPU, ms | memory, MB",
    "{name} | {ms[0]:.0f} | {ms[1]:.0f} | {ms[2]:.0f} | {cpu_milliseconds:.0f} | {megabytes:.0f}",
)
FOLDER = (
    "pictures | cores | pictures/s | speed-up | busy | memory, MB | read right",
    "{pictures:,} | {cores} | {speed:.1f} | {gain:.2f} | {busy:.0%} | {megabytes:.0f}"
    " | {right:.1%}",
)

# Runs a program and prints what it cost. A process of its own: the peak that is known of children
# is that of the largest so far, and counts what the parent held when it forked, which is little.
MEASURE = """
import json, os, resource, subprocess, sys, time
start = time.perf_counter()
done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
wall = time.perf_counter() - start
used = resource.getrusage(resource.RUSAGE_CHILDREN)
unit = 1 if sys.platform == "darwin" else 1024
print(json.dumps(dict(
    wall=1000 * wall, cpu=1000 * (used.ru_utime + used.ru_stime),
    megabytes=unit * used.ru_maxrss / 1e6, said=done.stdout.decode(), failed=done.returncode,
)))
"""


def main() -> None:
    made = harness.parser(__doc__)
    made.add_argument("--only", nargs="+", choices=ROUNDS, default=list(ROUNDS), help="parts")
    made.add_argument("--rounds", type=int, help="of each part")
    made.add_argument("--count", type=int, default=COUNT, help="pictures in the folder")
    python = CORE if CORE.exists() else Path(sys.executable)
    made.add_argument("--python", type=Path, default=python, help="with digitlens; see above")
    options = made.parse_args()
    rounds = {part: options.rounds or count for part, count in ROUNDS.items()}
    record = harness.provenance() | {"rounds": rounds}
    if "pages" in options.only:
        record["pages"] = measure_pages(cases(), rounds["pages"])
    with tempfile.TemporaryDirectory() as folder:
        if "starts" in options.only:
            started = programs(Path(folder))
            record["starts"] = measure_starts(started, options.python, rounds["starts"])
        if "folder" in options.only:
            record["folder"] = measure_folder(Path(folder), options.count, rounds["folder"])
    harness.publish(options.out, "reading", record, report(record), figures(record))


def cases() -> dict[str, tuple[str, Page, str]]:
    """By name in figures: the name in tables, the picture, and the text on it."""
    return {
        "drawn_tile": ("tile, 28 x 28", tile("3"), "3"),
        "note_640x480": ("note, 640 x 480", photo(640, 480), NOTE),
        "note_12mp": ("note, 12 megapixels", photo(4000, 3000), NOTE),
        "note_24mp": ("note, 24 megapixels", photo(6000, 4000), NOTE),
    }


def photo(width: int, height: int) -> Page:
    """uint8[height, width, 3]: the photo of a note among the examples, at another size."""
    with Image.open(EXAMPLES / "note.jpg") as picture:
        return np.asarray(picture.convert("RGB").resize((width, height), Image.Resampling.BICUBIC))


def tile(digit: str) -> Page:
    """uint8[28, 28]: one digit, bright on dark, in the middle."""
    picture = Image.new("L", (28, 28))
    ImageDraw.Draw(picture).text((14, 14), digit, 255, ImageFont.load_default(24), anchor="mm")
    return np.asarray(picture)


def measure_pages(pictures: Mapping[str, tuple[str, Page, str]], rounds: int) -> list[Row]:
    """Times of each picture, and the memory for the last."""
    *_, (_, largest, _) = pictures.values()
    memory, reader = peak(largest), DigitReader(threads=THREADS)
    said = {figure: reader.read(page).text for figure, (_, page, _) in pictures.items()}
    jobs = {
        figure: lambda page=page: 1000 * timed(lambda: reader.read(page), 1, warm=0)[0]
        for figure, (_, page, _) in pictures.items()
    }
    times = take_turns(jobs, rounds, WARM_UPS)
    rows: list[Row] = [
        {
            "name": name,
            "figure": figure,
            "right": said[figure] == text,
            "text": said[figure],
            "milliseconds": times[figure],
        }
        for figure, (name, _, text) in pictures.items()
    ]
    rows[-1] |= {"megabytes": memory["megabytes"], "text_of_file": memory["said"].strip()}
    return rows


def peak(page: Page) -> Row:
    """What a fresh process needs to read a picture from a file, and what it reads."""
    code = f"import sys; from digitlens import DigitReader as R\nprint(R(threads={THREADS}).read"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "picture.jpg"
        Image.fromarray(page).save(file, quality=90)
        return cost([sys.executable, "-c", f"{code}(sys.argv[1]).text)", str(file)])


def programs(folder: Path) -> dict[str, Program]:
    """Floors that nothing in Python can go below, and readings of three kinds of pictures."""
    drawn, note = folder / "tile.png", folder / "note.jpg"
    Image.fromarray(tile("3")).save(drawn)
    Image.fromarray(photo(640, 480)).save(note, quality=90)
    read, drawing = ("-m", "digitlens", "read"), EXAMPLES / "drawing.png"
    return {
        "Python alone": (("-c", "pass"), "", ""),
        "import numpy": (("-c", "import numpy"), "", ""),
        "import onnxruntime": (("-c", "import onnxruntime"), "", ""),
        "read a drawing": ((*read, str(drawing)), "\t7\n", "cold_start"),
        "read a tile, 28 x 28": ((*read, str(drawn)), "\t3\n", "cold_start.tile"),
        "read a note, 640 x 480": ((*read, str(note)), f"\t{NOTE}\n", "cold_start.note"),
        "digitlens --version": (("-m", "digitlens", "--version"), "", ""),
    }


def measure_starts(started: Mapping[str, Program], python: Path, rounds: int) -> list[Row]:
    """What each program costs; a first round is not counted."""

    def start(name: str) -> Row:
        arguments, said, _ = started[name]
        run = cost([str(python), *arguments])
        if run["failed"] or not run["said"].endswith(said):
            sys.exit(f"{name}: expected {said!r}, found {run}")
        return run

    runs = take_turns({name: partial(start, name) for name in started}, rounds, 1)
    return [
        {
            "name": name,
            "figure": started[name][2],
            "milliseconds": [run["wall"] for run in known],
            "cpu_milliseconds": statistics.median(run["cpu"] for run in known),
            "megabytes": max(run["megabytes"] for run in known),
        }
        for name, known in runs.items()
    ]


def cost(command: list[str]) -> dict[str, Any]:
    measure = [sys.executable, "-S", "-E", "-c", MEASURE, *command]
    # Where modules may not be kept compiled, those that no installer compiled are at each start.
    known = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(measure, check=True, capture_output=True, text=True, env=known)
    return json.loads(done.stdout)


def measure_folder(folder: Path, count: int, rounds: int) -> list[Row]:
    """What reading costs with each number of cores, doubling up to all there are."""
    if not hasattr(os, "sched_setaffinity"):
        sys.exit("this system cannot limit a process to some of the cores")
    pictures, most = draw(folder / "all", count), len(os.sched_getaffinity(0))
    cores = sorted({2**power for power in range(most.bit_length()) if 2**power <= most} | {most})
    runs = take_turns({str(number): partial(read, pictures, number) for number in cores}, rounds)
    return [
        {
            "pictures": len(pictures),
            "cores": int(number),
            "seconds": [run["seconds"] for run in known],
            "busy": statistics.median(run["busy"] for run in known),
            "megabytes": max(run["megabytes"] for run in known),
            "right": known[0]["right"],
        }
        for number, known in runs.items()
    ]


def draw(folder: Path, count: int) -> list[tuple[Path, str]]:
    """Pictures with what is on them, the kinds mixed as in every hundred of them."""
    folder.mkdir()
    notes = [_file(Image.fromarray(photo(*size)), "JPEG") for size in ((640, 480), (4000, 3000))]
    drawings = [
        _file(Image.fromarray(255 - tile(digit)).resize((280, 280)), "PNG")
        for digit in "0123456789"
    ]
    drawn: list[tuple[Path, str]] = []
    for number, kind in enumerate(np.random.default_rng(0).permutation(np.arange(count) % 100)):
        if kind < DRAWINGS:
            path, text, content = f"{number:04}.png", str(number % 10), drawings[number % 10]
        else:
            path, text, content = f"{number:04}.jpg", NOTE, notes[kind >= DRAWINGS + PHOTOS]
        (folder / path).write_bytes(content)
        drawn.append((folder / path, text))
    return drawn


def _file(picture: Image.Image, kind: str) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, quality=90)
    return file.getvalue()


def read(pictures: list[tuple[Path, str]], cores: int) -> Row:
    """Seconds and megabytes of reading their folder, how busy cores are, the share read right."""
    command = [sys.executable, "-m", "digitlens", "read", str(pictures[0][0].parent)]
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
    return {"seconds": seconds, "busy": (_used() - before) / seconds / cores, "megabytes": most}


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


def figures(record: Row) -> list[Figure]:
    found: list[Figure] = []

    def add(name: str, values: list[float], unit: str, better: str = "lower") -> None:
        found.append(Figure.median(name, values, unit, better))

    for row in record.get("pages", ()):
        add(f"reading.{row['figure']}", row["milliseconds"], "ms")
        if "megabytes" in row:
            add("reading.memory", [row["megabytes"]], "MB")
    for row in record.get("starts", ()):
        if row["figure"]:
            add(f"{row['figure']}.seconds", [ms / 1000 for ms in row["milliseconds"]], "s")
            add(f"{row['figure']}.memory", [row["megabytes"]], "MB")
    if rows := record.get("folder"):
        one, every, name, unit = rows[0], rows[-1], "reading.folder", "pictures/s"
        add(f"{name}.pictures_per_second", _speeds(every), unit, "higher")
        add(f"{name}.busy", [100 * every["busy"]], "%", "higher")
        add(f"{name}.memory", [every["megabytes"]], "MB")
        if every is not one:
            gain = statistics.median(_speeds(every)) / statistics.median(_speeds(one))
            add(f"{name}.one_core.pictures_per_second", _speeds(one), unit, "higher")
            add(f"{name}.scaling", [gain], "times one core", "higher")
    return found


def _speeds(row: Row) -> list[float]:
    return [row["pictures"] / seconds for seconds in row["seconds"]]


def report(record: Row) -> str:
    blocks: list[str] = []
    if pages := record.get("pages"):
        lines = [
            row | {"ms": _quantiles(row, 50, 90), "read": "yes" if row["right"] else "no"}
            for row in pages
        ]
        memory = f"{pages[-1]['megabytes']:.0f} MB in memory"
        file = f"{pages[-1]['name']}, from a JPEG file in a fresh process"
        blocks += [harness.table(PAGES, lines), f"Reading {file}: {memory}.\n"]
    if starts := record.get("starts"):
        lines = [row | {"ms": _quantiles(row, 50, 25, 75)} for row in starts]
        blocks.append(harness.table(STARTS, lines))
    if rows := record.get("folder"):
        speeds = [statistics.median(_speeds(row)) for row in rows]
        lines = [
            row | {"speed": speed, "gain": speed / speeds[0]}
            for row, speed in zip(rows, speeds, strict=True)
        ]
        blocks.append(harness.table(FOLDER, lines))
    return harness.document(f"Reading on {harness.place(record)}.", *blocks)


def _quantiles(row: Row, *which: float) -> npt.NDArray[np.float64]:
    return np.percentile(row["milliseconds"], which)


if __name__ == "__main__":
    main()
