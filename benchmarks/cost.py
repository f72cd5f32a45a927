"""What does each stage cost, what would the machine allow, and how close is it?

    python benchmarks/cost.py [--threads N] [--tiles N] [--docs] [--out FOLDER]

Counts FLOPs, bytes and calls of a step of training (recipes ``fast`` and ``standard``), of
classifying, of the networks that read pages and of a cold start while they run, measures how long
they take and what the machine can do at most, and writes a page about it: ``--docs`` makes it
``docs/cost.md``. The machine should have nothing else to do; half a minute.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from cost_machine import measure_machine, measured_again
from cost_model import Stage
from cost_reading import (
    classifying_stages,
    core_python,
    drawing_stage,
    page_stages,
    picture_stages,
    start_stage,
)
from cost_tables import as_rows, figures, page
from cost_training import TILES, training_stages
from digitlens import files
from digitlens.models.roles import shipped_classifiers
from digitlens.models.session import cores
from digitlens.progress import note
from digitlens.training.device import choose_device
from provenance import provenance

DOCS = Path(__file__).parents[1] / "docs" / "cost.md"


def main() -> None:
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # the limits are those of the processor
    options = _options()
    about = provenance() | {"threads": options.threads}
    note("cost: what the machine can do")
    machine = measure_machine({1, cores(), options.threads}, choose_device().dtype)
    groups = measure(options.threads, options.tiles)
    machine = measured_again(machine, choose_device().dtype)
    text = page(about, machine, groups)
    print(text, end="")
    if options.docs:
        files.write_bytes(DOCS, text.encode())
    if options.out:
        found = {"stages": as_rows(machine, groups), "figures": figures(machine, groups)}
        limits = {
            "peaks": machine.peaks,
            "bandwidths": machine.bandwidths,
            "calls": machine.calls,
        }
        files.write_json(options.out / "cost.json", about | {"machine_limits": limits} | found)
        files.write_bytes(options.out / "cost.md", text.encode())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=cores(), help="of training")
    parser.add_argument("--tiles", type=int, help="to train with, instead of some thousand")
    parser.add_argument("--docs", action="store_true", help="write docs/cost.md")
    parser.add_argument("--out", type=Path, help="folder for cost.json and cost.md")
    return parser.parse_args()


def measure(threads: int, tiles: int | None) -> Mapping[str, Sequence[Stage]]:
    """The stages, by the section of the page they belong to."""
    groups: dict[str, Sequence[Stage]] = {}
    for name in TILES:
        note(f"cost: a step of {name}")
        groups[name] = training_stages(name, threads, tiles)
    note("cost: classifying and reading")
    groups["reading"] = [
        *classifying_stages(shipped_classifiers()),
        *page_stages(),
        *picture_stages(),
        drawing_stage(),
        start_stage(core_python(sys.executable)),
    ]
    return groups


if __name__ == "__main__":
    main()
