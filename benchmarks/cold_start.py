"""How long does ``digitlens read`` take from its start to the answer, and how much memory?

    python benchmarks/cold_start.py [--python PYTHON] [--rounds N] [--out FOLDER]

Each round starts every program once, in turns, in a process of its own; the files lie in the
memory of the system, as after a first start. The machine should have nothing else to do.

- wall: median and interquartile range of the milliseconds from start to end.
- CPU: median of the milliseconds that its threads were busy, which other work disturbs less.
- memory: the most that a process held, in any round.

``--python`` is an interpreter with digitlens: that of a core install, ``.venv-core/bin/python``,
where ``make test`` put it, unless told otherwise.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import drawing
from digitlens.progress import work_bar
from figures import median_of, once
from provenance import provenance
from publish import publish

CORE = Path(__file__).parents[1] / ".venv-core" / "bin" / "python"
EXAMPLES = Path(__file__).parents[1] / "examples"
ROUNDS = 11
MILLISECONDS, MEGABYTES = 250, 120  # at most, for a plain drawing

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


@dataclass(frozen=True)
class Program:
    """What is started; ``said`` is the end of what it prints, ``figure`` its name in records."""

    name: str
    arguments: tuple[str, ...]
    said: str = ""
    bounded: bool = False
    figure: str = ""


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        result = provenance() | measured(programs(Path(folder)), options.python, options.rounds)
    result["figures"] = figures(result)
    publish(options.out, "cold_start", result, table(result))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    python = CORE if CORE.exists() else Path(sys.executable)
    parser.add_argument("--python", type=Path, default=python, help="with digitlens; see above")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="starts of each program")
    parser.add_argument("--out", type=Path, help="folder of the record")
    return parser.parse_args()


def programs(folder: Path) -> list[Program]:
    """Floors that nothing in Python can go below, and readings of three kinds of pictures."""
    tile, photo = folder / "tile.png", folder / "photo.jpg"
    Image.fromarray(drawing.tile("3")).save(tile)
    Image.fromarray(drawing.photo(640, 480, "402867\n193548")).save(photo, quality=90)
    return [
        Program("Python alone", ("-c", "pass")),
        Program("import numpy", ("-c", "import numpy")),
        Program("import onnxruntime", ("-c", "import onnxruntime")),
        _reading("a drawing", EXAMPLES / "drawing.png", "7", "cold_start", bounded=True),
        _reading("a tile, 28 x 28", tile, "3", "cold_start.tile", bounded=True),
        _reading("a photo, 640 x 480", photo, "402867 193548", "cold_start.photo"),
        Program("digitlens --version", ("-m", "digitlens", "--version")),
    ]


def _reading(what: str, path: Path, text: str, figure: str, *, bounded: bool = False) -> Program:
    arguments = ("-m", "digitlens", "read", str(path))
    return Program(f"read {what}", arguments, f"\t{text}\n", bounded, figure)


def measured(started: list[Program], python: Path, rounds: int) -> dict[str, Any]:
    """What each program costs, the programs taking turns; a first round is not counted."""
    runs: list[list[dict[str, Any]]] = [[] for _ in started]
    with work_bar() as bar:
        for number in bar.track(range(rounds + 1), description="starting"):
            for program, known in zip(started, runs, strict=True):
                run = cost([str(python), *program.arguments])
                if run["failed"] or not run["said"].endswith(program.said):
                    sys.exit(f"{program.name}: expected {program.said!r}, found {run}")
                if number:
                    known.append(run)
    rows = [_row(program, known) for program, known in zip(started, runs, strict=True)]
    return {"rounds": rounds, "programs": rows}


def cost(command: list[str]) -> dict[str, Any]:
    """Milliseconds, megabytes and output of one start."""
    measure = [sys.executable, "-S", "-E", "-c", MEASURE, *command]
    # Where modules may not be kept compiled, those that no installer compiled are at each start.
    known = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(measure, check=True, capture_output=True, text=True, env=known)
    return json.loads(done.stdout)


def _row(program: Program, runs: list[dict[str, Any]]) -> dict[str, Any]:
    wall = [run["wall"] for run in runs]
    low, high = np.percentile(wall, (25, 75))
    return {
        "name": program.name,
        "figure": program.figure,
        "seconds": [milliseconds / 1000 for milliseconds in wall],
        "milliseconds": statistics.median(wall),
        "quartiles": [float(low), float(high)],
        "deviation": statistics.pstdev(wall),
        "cpu_milliseconds": statistics.median(run["cpu"] for run in runs),
        "megabytes": max(run["megabytes"] for run in runs),
        "target": [MILLISECONDS, MEGABYTES] if program.bounded else None,
    }


def figures(result: dict[str, Any]) -> list[dict[str, Any]]:
    """What two records are compared by."""
    return [
        figure
        for row in result["programs"]
        if row["figure"]
        for figure in (
            median_of(f"{row['figure']}.seconds", row["seconds"], "s"),
            once(f"{row['figure']}.memory", row["megabytes"], "MB"),
        )
    ]


def table(result: dict[str, Any]) -> str:
    where = f"{result['processor'] or result['machine']}, {result['cores']} cores"
    lines = [
        f"Starts on {result['date']}, {where}, load before {result['load']}; "
        f"n = {result['rounds']} each.\n",
        "| program | wall, ms | quartiles | CPU, ms | memory, MB | target |",
        "|---|---|---|---|---|---|",
    ]
    for row in result["programs"]:
        low, high = row["quartiles"]
        target = "at most {} ms, {} MB".format(*row["target"]) if row["target"] else ""
        lines.append(
            f"| {row['name']} | {row['milliseconds']:.0f} | {low:.0f} to {high:.0f} "
            f"| {row['cpu_milliseconds']:.0f} | {row['megabytes']:.0f} | {target} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
