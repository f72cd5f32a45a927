"""How fast are pictures read, from one in memory to a folder, and with how much memory?

    python benchmarks/reading.py [--only pages|starts|folder|cores ...] [--rounds N] [--count N]
                                 [--python PYTHON] [--peers] [--out FOLDER]

The pictures are generated, and compared programs take turns. The machine should be idle.

- pages: milliseconds to read a decoded picture with two threads, with RapidOCR for comparison if
  requested; peak memory of a fresh process that reads the largest from a JPEG file.
- starts: milliseconds of a program from start to exit, its processor time and its peak memory.
  ``--python`` is an interpreter with digitlens, by default that of the core install if it exists.
- folder: 80 % drawings of 280 x 280, 19 % photos of 640 x 480 and 1 % photos of 12 megapixels,
  read by ``digitlens read`` on one core and on more. ``busy`` is the fraction of the cores' time
  used; the memory is the peak of its largest process.
- cores, only if requested: as many drawings, and a tenth as many 12-megapixel photos, read by
  ``digitlens read`` on one core, and by ``digitlens batch`` with one process and with one per core.
  Measured is the processor time of the fastest round, minus that for a single picture.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import drawn
import harness
from digitlens.models.session import cores
from harness import Case, Figure, Page, Row, take_turns

Program = tuple[tuple[str, ...], str, str]  # arguments, end of what it prints, name in figures
CORE = harness.ROOT / ".venv-core" / "bin" / "python"
EXAMPLES = harness.ROOT / "examples"
NOTE = "2048"  # the number on the note
ROUNDS = {"pages": 30, "starts": 11, "folder": 1, "cores": 3}
WARM_UPS = 3
DRAWINGS, PHOTOS = 80, 19  # per hundred pictures; the rest has 12 megapixels
PAGES = (
    "picture | ms | ms, 90 % | read right",
    "{name} | {milliseconds!m:.1f} | {milliseconds!h:.1f} | {right}",
)
PEERS = ("RapidOCR ms | its recogniser alone", "{peers[default]!m:.1f} | {peers[line]!m:.1f}")
CHECK_CROP = (154, 54)  # width and height of a typical amount on a bank check
STARTS = (
    "program | wall, ms | 25 % | 75 % | CPU, ms | memory, MB",
    "{name} | {milliseconds!m:.0f} | {milliseconds!l:.0f} | {milliseconds!u:.0f}"
    " | {cpu_milliseconds:.0f} | {megabytes:.0f}",
)
FOLDER = (
    "pictures | cores | pictures/s | speed-up | busy | memory, MB | read right",
    "{pictures:,} | {cores} | {speed!m:.1f} | {gain:.2f} | {busy:.0%} | {megabytes:.0f}"
    " | {right:.1%}",
)
CORES = (
    "pictures | command | ms/picture | per core-hour | throughput | core-hours for 10^9",
    "{kind} | {job} | {ms:.1f} | {hourly:,.0f} | {share:.0%} | {billion:,.0f}",
)

# Runs a program on some or all cores and prints its cost, in a separate small process, since
# the peak memory of children is that of the largest so far and includes the forking parent's.
MEASURE = """
import json, os, resource, subprocess, sys, time
if int(sys.argv[1]):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:int(sys.argv[1])])
start = time.perf_counter()
done = subprocess.run(sys.argv[2:], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
wall = time.perf_counter() - start
used = resource.getrusage(resource.RUSAGE_CHILDREN)
unit = 1 if sys.platform == "darwin" else 1024
print(json.dumps(dict(
    wall=1000 * wall, cpu=1000 * (used.ru_utime + used.ru_stime),
    megabytes=unit * used.ru_maxrss / 1e6, said=done.stdout.decode(), failed=done.returncode,
)))
"""


def main() -> None:
    cli = harness.parser(__doc__)
    harness.add_options(cli)
    cli.add_argument("--only", nargs="+", choices=ROUNDS, default=list(ROUNDS)[:3])
    cli.add_argument("--rounds", type=int, help="rounds of each part")
    cli.add_argument("--count", type=int, default=1000, help="pictures in the folder")
    python = CORE if CORE.exists() else Path(sys.executable)
    cli.add_argument("--python", type=Path, default=python, help="interpreter with digitlens")
    options = cli.parse_args()
    source = max(each.stat().st_mtime for each in harness.ROOT.glob("src/**/*.py"))
    if options.python == CORE and (CORE.parents[1] / ".installed").stat().st_mtime < source:
        sys.exit(f"{CORE} has an older digitlens than src: run make .venv-core/.installed")
    rounds = {part: options.rounds or count for part, count in ROUNDS.items()}
    record = harness.provenance() | {"rounds": rounds}
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder)
        if "pages" in options.only:
            record |= measure_pages(options, cases(), rounds["pages"], target)
        if "starts" in options.only:
            record["starts"] = measure_starts(programs(target), options.python, rounds["starts"])
        if "folder" in options.only:
            record["folder"] = measure_folder(target, options.count, rounds["folder"])
        if "cores" in options.only:
            record["cores_each"] = measure_cores(target, options.count, rounds["cores"])
    harness.publish(options.out, "reading", record, report(record), figures(record))


def cases() -> list[Case]:
    """The measured pictures, grouped by their names in figures."""
    printed = next(drawn.drawings(0, ["A4 page at 150 dpi"]))
    return [
        Case("drawn_tile", "tile, 28 x 28", tile("3"), "3"),
        Case("drawing", "drawing, 280 x 280", drawing("3"), "3"),
        Case("check", "crop of a check, 154 x 54", crop(NOTE), NOTE),
        Case("note_640x480", "note, 640 x 480", photo(640, 480), NOTE),
        printed._replace(group="printed_a4", name="printed A4 page at 150 dpi"),
        Case("note_12mp", "note, 12 megapixels", photo(4000, 3000), NOTE),
        Case("note_24mp", "note, 24 megapixels", photo(6000, 4000), NOTE),
    ]


def crop(text: str) -> Page:
    """uint8[54, 154]: a number in a handwriting font held out from training."""
    picture = Image.new("L", CHECK_CROP, 235)
    face = drawn.font(drawn.HAND, height=30)
    centre = CHECK_CROP[0] // 2, CHECK_CROP[1] // 2
    ImageDraw.Draw(picture).text(centre, text, 40, face, anchor="mm")
    return np.asarray(picture)


def photo(width: int, height: int) -> Page:
    """uint8[height, width, 3]: the example photo of a note, resized."""
    with Image.open(EXAMPLES / "note.jpg") as picture:
        return np.asarray(picture.convert("RGB").resize((width, height), Image.Resampling.BICUBIC))


def tile(digit: str) -> Page:
    """uint8[28, 28]: one centred digit, bright on dark."""
    picture = Image.new("L", (28, 28))
    ImageDraw.Draw(picture).text((14, 14), digit, 255, ImageFont.load_default(24), anchor="mm")
    return np.asarray(picture)


def drawing(digit: str) -> Page:
    """uint8[280, 280]: one digit, dark on bright, ten times as large."""
    return np.kron(255 - tile(digit), np.ones((10, 10), np.uint8))


def measure_pages(options: Any, pictures: list[Case], rounds: int, folder: Path) -> Row:
    """Times of each picture, and the memory of reading the last from a file in a new process."""

    def summary(results: list[harness.Result]) -> Row:
        case, output = results[0]
        # Only numbers are compared, since a page may have words.
        right = harness.numbers(output.text) == harness.numbers(case.text)
        times = [result.output.milliseconds for result in results[WARM_UPS:]]
        return {"name": case.name, "right": right, "text": output.text, "milliseconds": times}

    cases, rows = pictures * (WARM_UPS + rounds), list[Row]()
    _, scores, about = harness.read_all(options, cases, len(cases), summary)
    for figure, by_reader in scores.items():
        rows.append({"figure": figure, **by_reader.pop(harness.OURS)})
        rows[-1]["peers"] = {mode: row["milliseconds"] for mode, row in by_reader.items()}
    file, largest = folder / "largest.jpg", pictures[-1].page
    assert largest is not None
    file.write_bytes(drawn.encoded(largest, quality=90))
    code = f"import sys; from digitlens import DigitReader as R\nprint(R(threads={harness.THREADS})"
    memory = cost([sys.executable, "-c", f"{code}.read(sys.argv[1]).text)", str(file)])
    rows[-1] |= {"megabytes": memory["megabytes"], "text_of_file": memory["said"].strip()}
    return {"threads": options.threads, "readers": about["readers"], "pages": rows}


def programs(folder: Path) -> dict[str, Program]:
    """Programs: two lower bounds for any Python program, and reading three kinds of pictures."""
    small, note = folder / "tile.png", folder / "note.jpg"
    Image.fromarray(tile("3")).save(small)
    Image.fromarray(photo(640, 480)).save(note, quality=90)
    read, drawing = ("-m", "digitlens", "read"), EXAMPLES / "drawing.png"
    return {
        "Python alone": (("-c", "pass"), "", ""),
        "import onnxruntime": (("-c", "import onnxruntime"), "", ""),
        "read a drawing": ((*read, str(drawing)), "\t7\n", "cold_start"),
        "read a tile, 28 x 28": ((*read, str(small)), "\t3\n", "cold_start.tile"),
        "read a note, 640 x 480": ((*read, str(note)), f"\t{NOTE}\n", "cold_start.note"),
    }


def measure_starts(started: Mapping[str, Program], python: Path, rounds: int) -> list[Row]:
    """The cost of each program; the first round is not counted."""
    jobs = {
        name: partial(cost, [str(python), *arguments], expected=end)
        for name, (arguments, end, _) in started.items()
    }
    return [
        {
            "name": name,
            "figure": started[name][2],
            "milliseconds": [run["wall"] for run in costs],
            "cpu_milliseconds": statistics.median(run["cpu"] for run in costs),
            "megabytes": max(run["megabytes"] for run in costs),
        }
        for name, (_, *costs) in take_turns(jobs, rounds + 1).items()
    ]


def cost(command: Sequence[str], number: int = 0, expected: str = "") -> Row:
    """The cost of a program on ``number`` cores (0: all), see ``MEASURE``; exits if it fails."""
    measure = [sys.executable, "-S", "-E", "-c", MEASURE, str(number), *command]
    # With this variable, modules that no installer compiled would be recompiled at each start.
    known = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    process = subprocess.run(measure, check=True, capture_output=True, text=True, env=known)
    run = json.loads(process.stdout)
    if run["failed"] or not run["said"].endswith(expected):
        sys.exit(f"{command}: expected {expected!r}, found {run}")
    return run


def measure_folder(folder: Path, count: int, rounds: int) -> list[Row]:
    """The cost of reading with each number of cores, doubling up to all of them."""
    if not hasattr(os, "sched_setaffinity"):
        sys.exit("this system cannot limit a process to a subset of the cores")
    pictures, most = write_pictures(folder / "all", count), len(os.sched_getaffinity(0))
    numbers = sorted({2**power for power in range(most.bit_length())} | {most})
    command = [sys.executable, "-m", "digitlens", "read", str(folder / "all")]
    runs = take_turns({number: partial(cost, command, number) for number in numbers}, rounds)
    rows: list[Row] = []
    for number, costs in runs.items():
        texts = [line.partition("\t")[2] for line in costs[0]["said"].splitlines()]
        right = [found == text for found, (_, text) in zip(texts, pictures, strict=True)]
        rows.append({"pictures": len(pictures), "cores": number, "right": sum(right) / len(right)})
        speed = [1000 * len(pictures) / run["wall"] for run in costs]
        rows[-1] |= {
            "seconds": [run["wall"] / 1000 for run in costs],
            "speed": speed,
            "gain": statistics.median(speed) / statistics.median(rows[0].get("speed", speed)),
            "busy": statistics.median(run["cpu"] / run["wall"] / number for run in costs),
            "megabytes": max(run["megabytes"] for run in costs),
        }
    return rows


def measure_cores(folder: Path, drawings: int, rounds: int) -> list[Row]:
    """Processor time per picture, by kind and command, and throughput derived from it."""
    rows, single_ms = list[Row](), 0.0
    for kind, count in {"drawings": drawings, "photos": drawings // 10}.items():
        target = folder / kind
        target.mkdir()
        for k in range(count):
            page = drawing(str(k % 10)) if kind == "drawings" else photo(4000, 3000)
            (target / f"{k}.jpg").write_bytes(drawn.encoded(page, quality=90))
        jobs = {"read": partial(cpu_seconds, target, "read", number=1)}
        for n in map(str, {1, cores()}):
            jobs[f"batch --workers {n}"] = partial(cpu_seconds, target, "batch", "--workers", n)
        times = take_turns(jobs, rounds)
        for path in target.glob("[1-9]*.jpg"):
            path.unlink()
        starts = take_turns(jobs, rounds)
        for job, seconds in times.items():
            ms = 1000 * (min(seconds) - min(starts[job])) / (count - 1)
            single_ms = ms if job == "read" else single_ms
            rates = {"share": single_ms / ms, "hourly": 3.6e6 / ms, "billion": ms / 3.6e-3}
            rows.append({"kind": kind, "job": job, "ms": ms, **rates})
    return rows


def cpu_seconds(target: Path, command: str, *options: str, number: int = 0) -> float:
    """Processor seconds of a command on ``number`` cores, or all for 0."""
    out = ("--out", tempfile.mkdtemp(dir=target)) if command == "batch" else ()
    program = [sys.executable, "-m", "digitlens", command, str(target), *options, *out]
    return cost(program, number)["cpu"] / 1000


def write_pictures(folder: Path, count: int) -> list[tuple[Path, str]]:
    """Writes a mixture of pictures in fixed proportions; returns paths and labels."""
    folder.mkdir()
    notes = [drawn.encoded(photo(*size), quality=90) for size in ((640, 480), (4000, 3000))]
    drawings = [drawn.encoded(drawing(digit), "PNG") for digit in "0123456789"]
    written: list[tuple[Path, str]] = []
    kinds = np.random.default_rng(0).permutation(np.arange(count) % 100).tolist()
    for number, kind in enumerate(kinds):
        if kind < DRAWINGS:
            path, text, content = f"{number:04}.png", str(number % 10), drawings[number % 10]
        else:
            path, text, content = f"{number:04}.jpg", NOTE, notes[kind >= DRAWINGS + PHOTOS]
        (folder / path).write_bytes(content)
        written.append((folder / path, text))
    return written


def figures(record: Row) -> list[Figure]:
    found: list[tuple[Any, ...]] = []
    for row in record.get("pages", ()):
        name = f"reading.{row['figure']}"
        found.append((name, row["milliseconds"], "ms"))
        for mode, times in row["peers"].items():
            found.append((f"{name}.rapidocr.{mode}", times, "ms", "lower", True))
        if "megabytes" in row:
            found.append(("reading.memory", [row["megabytes"]], "MB"))
    for row in (row for row in record.get("starts", ()) if row["figure"]):
        seconds = [each / 1000 for each in row["milliseconds"]]
        found.append((f"{row['figure']}.seconds", seconds, "s"))
        found.append((f"{row['figure']}.memory", [row["megabytes"]], "MB"))
    if rows := record.get("folder"):
        single, all_cores, name, unit = rows[0], rows[-1], "reading.folder", "pictures/s"
        found += [
            (f"{name}.pictures_per_second", all_cores["speed"], unit, "higher"),
            (f"{name}.busy", [100 * all_cores["busy"]], "%", "higher"),
            (f"{name}.memory", [all_cores["megabytes"]], "MB"),
        ]
        if all_cores is not single:
            found.append((f"{name}.one_core.pictures_per_second", single["speed"], unit, "higher"))
            found.append((f"{name}.scaling", [all_cores["gain"]], "times one core", "higher"))
    return [Figure.median(*each) for each in found]


def report(record: Row) -> str:
    blocks: list[str] = []
    if pages := record.get("pages"):
        peers = [PEERS] if any(row["peers"] for row in pages) else []
        file = f"{pages[-1]['name']}, from a JPEG file in a fresh process"
        blocks.append(harness.table(PAGES, pages, *peers))
        blocks.append(f"Reading {file}: {pages[-1]['megabytes']:.0f} MB in memory.\n")
    for part, columns in (("starts", STARTS), ("folder", FOLDER), ("cores_each", CORES)):
        if part in record:
            blocks.append(harness.table(columns, record[part]))
    return harness.document(f"Reading on {harness.machine(record)}.", *blocks)


if __name__ == "__main__":
    main()
