"""How small is the core install, and how quickly does it start? Writes a record.

    python benchmarks/footprint.py [--out FOLDER]

Builds the wheel, installs it into an empty environment, adds up wheels and installed files (those
of pip and setuptools left out), and starts it several times. Seconds depend on the network and on
what else the machine does.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from digitlens import files

ROOT = Path(__file__).parents[1]
RECORDS = Path(__file__).parent / "records"
STARTS = 15
PIP = ("-m", "pip", "--quiet", "--disable-pip-version-check")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="folder of the record")
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    folder = parser.parse_args().out or RECORDS / f"{today}_footprint"
    with tempfile.TemporaryDirectory() as scratch:
        result = {"date": today, **_measure(Path(scratch))}
    files.write_json(folder / "footprint.json", result)
    print(json.dumps(result, indent=2))


def _measure(scratch: Path) -> dict[str, float]:
    _run(sys.executable, "-m", "build", "--wheel", "--outdir", str(scratch / "own"), str(ROOT))
    wheel = next((scratch / "own").glob("*.whl"))
    constraints = ("--constraint", str(ROOT / "constraints.txt"))
    wheels = scratch / "wheels"
    _run(sys.executable, *PIP, "download", *constraints, "--dest", str(wheels), str(wheel))
    _run(sys.executable, "-m", "venv", str(scratch / "venv"))
    python = str(scratch / "venv" / "bin" / "python")
    start = time.perf_counter()
    _run(python, *PIP, "install", *constraints, str(wheel))
    seconds = time.perf_counter() - start
    site = next((scratch / "venv" / "lib").glob("*/site-packages"))
    bare = _median(python, "-c", "import numpy")
    return {
        "own_wheel_mb": _megabytes([wheel]),
        "all_wheels_mb": _megabytes(wheels.iterdir()),
        "installed_mb": _megabytes(
            path
            for path in site.rglob("*")
            if path.relative_to(site).parts[0].split("-")[0] not in {"pip", "setuptools"}
        ),
        "install_seconds": round(seconds, 1),
        "import_numpy_ms": round(1000 * bare, 1),
        "import_digitlens_ms": round(1000 * _median(python, "-c", "import digitlens"), 1),
        "import_both_minus_numpy_ms": round(
            1000 * (_median(python, "-c", "import numpy, digitlens") - bare), 1
        ),
        "help_ms": round(1000 * _median(python, "-m", "digitlens", "--help"), 1),
        "read_one_picture_ms": round(
            1000
            * _median(python, "-m", "digitlens", "read", str(ROOT / "examples" / "drawing.png")),
            1,
        ),
    }


def _megabytes(paths: Iterable[Path]) -> float:
    return round(sum(p.stat().st_size for p in paths if p.is_file()) / 1e6, 1)


def _median(*command: str) -> float:
    """Seconds from start to end of a process, median of several after a first one."""
    seconds: list[float] = []
    for _ in range(STARTS + 1):
        start = time.perf_counter()
        _run(*command)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


if __name__ == "__main__":
    main()
