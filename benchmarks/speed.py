"""How fast is digitlens? Runs every benchmark of speed, one after the other, into one record.

    python benchmarks/speed.py [--only NAME ...] [--with 'NAME OPTIONS' ...] [--out FOLDER]

The record has what each benchmark wrote (NAME.json, NAME.md), all of their figures by name in
speed.json, which ``check.py`` compares, tables in speed.md, the table of docs/results.md in
summary.md, and the ratios to peers as a picture. A benchmark that is missing, fails or gives no
figures is named there, and makes the exit code 1. With the default folder, docs/results.md gets
the new record's table. The machine should have nothing else to do; under 15 minutes on two cores.
"""

import argparse
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from digitlens import files
from provenance import provenance
from speed_record import RECORD, Figure, RecordError, as_mapping, gather
from speed_tables import draw_ratios, everything, summary

HERE = Path(__file__).parent
RESULTS = HERE.parent / "docs" / "results.md"
BENCHMARKS = ("training", "classifying", "reading", "cold_start", "folder", "cost")
PATIENCE = 1800.0  # seconds for one of them
TABLE = re.compile(
    r"<!-- table: benchmarks/records/[^/ ]+_speed/summary\.md -->\n.*?<!-- end -->", re.DOTALL
)


def main() -> int:
    options = _options()
    about = provenance() | {"threads": os.cpu_count()}
    about["versions"]["torch"] = version("torch")
    folder = options.out or HERE / "records" / f"{datetime.now(UTC):%Y-%m-%d}_speed"
    extra = {words[0]: words[1:] for words in map(shlex.split, options.extra)}
    about, figures = run_all(options.only or BENCHMARKS, folder, extra, about)
    write(folder, about, figures)
    if not options.out and not options.only:
        update_results(RESULTS, folder)
    return int(bool(about["failed"]))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, help="run these alone")
    parser.add_argument(
        "--with", action="append", dest="extra", default=[], help="'NAME OPTIONS' for one of them"
    )
    parser.add_argument("--out", type=Path, help="folder of the record")
    return parser.parse_args()


def run_all(
    names: Sequence[str], folder: Path, extra: dict[str, list[str]], about: dict[str, Any]
) -> tuple[dict[str, Any], list[Figure]]:
    """Runs the benchmarks; what is known of the run, and the figures of those that succeeded."""
    took: dict[str, float] = {}
    failed: dict[str, str] = {}
    figures: list[Figure] = []
    for name in names:
        print(f"\n== {name}, since {datetime.now(UTC):%H:%M:%S}", flush=True)
        start = time.perf_counter()
        try:
            figures += run(HERE / f"{name}.py", folder, extra.get(name, []))
        except RecordError as reason:
            failed[name] = str(reason)
        took[name] = round(time.perf_counter() - start, 1)
        print(f"== {name}: {failed.get(name, 'done')}, {took[name]:.0f} s", flush=True)
    return {**about, "seconds": took, "failed": failed}, figures


def run(script: Path, folder: Path, options: list[str]) -> list[Figure]:
    """Runs one benchmark and takes its figures.

    Raises:
        RecordError: It is missing, fails, takes too long, or gives no figures.
    """
    if not script.is_file():
        raise RecordError(f"there is no {script.name}")
    # Else a benchmark that fails would speak with what an earlier run left here.
    (folder / f"{script.stem}.json").unlink(missing_ok=True)
    command = [sys.executable, str(script), "--out", str(folder), *options]
    try:
        done = subprocess.run(command, check=False, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        raise RecordError(f"took longer than {PATIENCE:.0f} s") from None
    if done.returncode:
        raise RecordError(f"ended with exit code {done.returncode}")
    return gather(folder, script.stem)


def write(folder: Path, about: dict[str, Any], figures: list[Figure]) -> None:
    """speed.json, speed.md, summary.md and, where there are ratios, ratios.png."""
    files.write_json(folder / RECORD, {**about, "figures": as_mapping(figures)})
    files.write_bytes(folder / "speed.md", everything(about, figures).encode())
    text = summary(about, figures)
    files.write_bytes(folder / "summary.md", text.encode())
    ratios = [figure for figure in figures if figure.is_ratio]
    if ratios:
        draw_ratios(ratios, folder / "ratios.png")
    print(f"\n{text}\nwritten to {folder}")


def update_results(readme: Path, folder: Path) -> None:
    """Puts the summary of a record where the one of an older record is; nothing if none is."""
    table = (folder / "summary.md").read_text(encoding="utf-8")
    path = f"benchmarks/records/{folder.name}/summary.md"
    before = readme.read_text(encoding="utf-8")
    after = TABLE.sub(lambda _: f"<!-- table: {path} -->\n{table}<!-- end -->", before)
    if after != before:
        files.write_bytes(readme, after.encode())


if __name__ == "__main__":
    sys.exit(main())
