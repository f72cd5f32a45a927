"""The cost model as a page for people who learn, and as figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cost_model import ARITHMETIC, CALLS, MEMORY, Machine, Stage
from figures import median_of

HEAD = (
    "| stage | FLOPs | bytes | calls | threads | arithmetic | memory | calls, each | measured "
    "| share of the limit | bound by |"
)
WHAT = {
    "torch": "an operator of PyTorch on one number",
    "node": "an operator of a graph in onnxruntime on one number",
    "run": "a run of a graph, beside its operators",
    "import": "importing an empty module",
}
FORMULAS = """\
For each stage, three times are calculated that it cannot be faster than; the largest is its limit.

    arithmetic = FLOPs / FLOP/s of a large matrix product
    memory     = bytes / bytes/s of copying arrays as large as one operator's
    calls      = number of calls x seconds of a call that does next to nothing
    limit      = the largest of the three          share = limit / measured time

- **FLOPs** are additions and multiplications of convolutions and dense layers (and of matrix
  products in the optimiser). A convolution with kernels of k x k pixels from C to D channels, whose
  maps have H x W pixels, takes `2 · k · k · C · D · H · W` for each tile: a multiplication and an
  addition for each weight and each place. Going back takes as many again for the gradient of the
  weights, and as many for that of what the layer was given. Comparisons, lookups and additions of
  single numbers are not counted; they wait for memory.
- **Bytes** are what each operator has to read and write at least: inputs, weights and outputs,
  once each. A number in float32 has four bytes, so the same convolution moves
  `4 · (C · H' · W' + k · k · C · D + D · H · W)`, H' x W' being the pixels of what it is given.
  What one operator writes and the next reads is counted twice, though it may never leave a cache:
  copying is therefore measured with arrays that fit into the caches, too.
- **Calls** are of operators (one convolution, one addition of two tensors ...), for a cold start of
  modules that are imported. Each costs something before it does anything.

In training, each operator is timed by itself while a training runs, and the whole step in another
one without that; what is left of the whole is the time between the operators. Where nothing is
left, there is no such line.

The limits are bounds, not aims: no program gets to 100 %, and one that is small, or waits for what
comes before it, stays far below. A little more than 100 % is noise in what the machine was found to
do, or a cache that is faster than a copy. This is the roofline model (S. Williams et al., 2009)
with a third roof for calls."""
HEADINGS = {
    "fast": "Training, recipe `fast`: one step",
    "standard": "Training, recipe `standard`: one step",
    "reading": "Classifying and reading",
}


def page(about: Mapping[str, Any], machine: Machine, groups: Mapping[str, Sequence[Stage]]) -> str:
    """Markdown: formulas, machine, and a table with advice for each group of stages."""
    lines = [
        "# What digitlens costs, and what a machine allows",
        "",
        f"Measured on {about['date']}, {about['processor'] or about['machine']}, {about['cores']} "
        f"cores, load before {about['load']}, commit {about['commit'][:12]}. Written by "
        "`python benchmarks/cost.py --docs`.",
        "",
        "## How to read it",
        "",
        *FORMULAS.splitlines(),
        "",
        "## This machine",
        "",
        *machine_table(machine),
    ]
    for name, stages in groups.items():
        lines += ["", f"## {HEADINGS[name]}", "", *stage_table(stages, machine), ""]
        lines += [advice(stage, machine) for stage in stages]
    return "\n".join(lines) + "\n"


def machine_table(machine: Machine) -> list[str]:
    """What it can do at most."""
    lines = ["| what | measured |", "|---|---|"]
    for threads, peak in machine.peaks.items():
        lines.append(f"| matrix product, {_threads(threads)} | {scaled(peak)}FLOP/s |")
    for threads, found in machine.bandwidths.items():
        for size, speed in found.items():
            what = f"copying {size / 2**20:g} MiB, {_threads(threads)}"
            lines.append(f"| {what} | {scaled(speed)}B/s |")
    lines += [f"| {WHAT[what]} | {duration(each)} |" for what, each in machine.calls.items()]
    return lines


def stage_table(stages: Sequence[Stage], machine: Machine) -> list[str]:
    """A row for each stage."""
    return [HEAD, f"|{'---|' * HEAD.count(' | ')}---|", *(_row(stage, machine) for stage in stages)]


def _row(stage: Stage, machine: Machine) -> str:
    work = stage.work
    limits = machine.limits(work, stage.threads, stage.what)
    bound, limit = stage.limit(machine)
    cells = [
        stage.name,
        scaled(work.flops) if work.flops else "",
        scaled(work.bytes) if work.bytes else "",
        f"{work.calls:,.0f}" if work.calls >= 10 else f"{work.calls:.2g}" if work.calls else "",
        str(stage.threads),
        *(duration(limits[name]) if limits[name] else "" for name in (ARITHMETIC, MEMORY, CALLS)),
        duration(stage.median),
        f"{100 * limit / stage.median:.1f} %" if limit and stage.median else "",
        bound if limit else "",
    ]
    return f"| {' | '.join(cells)} |"


def advice(stage: Stage, machine: Machine) -> str:
    """What bounds a stage and what would help, in a line."""
    bound, limit = stage.limit(machine)
    if not limit or stage.parts:
        return f"- **{stage.name}**: {stage.advice}"
    share = limit / stage.median
    how = "Close to the limit of" if share > 0.6 else "Half-way to the limit of"
    how = how if share > 0.3 else "Far from all limits, of which the highest is"
    return f"- **{stage.name}**: {how} {bound}. {stage.advice}"


def figures(machine: Machine, groups: Mapping[str, Sequence[Stage]]) -> list[dict[str, Any]]:
    """The share of its limit for each stage that has one."""
    found: list[dict[str, Any]] = []
    for stage in (stage for stages in groups.values() for stage in stages):
        _, limit = stage.limit(machine)
        shares = [100 * limit / seconds for seconds in stage.seconds if seconds]
        if limit and shares:
            found.append(median_of(f"cost.{stage.key}.share_of_limit", shares, "%", "higher"))
    return found


def as_rows(machine: Machine, groups: Mapping[str, Sequence[Stage]]) -> list[dict[str, Any]]:
    """All that was counted and measured, JSON-ready."""
    return [
        {
            "key": stage.key,
            "name": stage.name,
            "flops": stage.work.flops,
            "bytes": stage.work.bytes,
            "calls": stage.work.calls,
            "threads": stage.threads,
            "limits": machine.limits(stage.work, stage.threads, stage.what),
            "limit": stage.limit(machine)[1],
            "bound": stage.limit(machine)[0],
            "seconds": stage.median,
            "n": len(stage.seconds),
        }
        for stages in groups.values()
        for stage in stages
    ]


def scaled(value: float) -> str:
    """Three digits and a prefix: 12.3 M."""
    for size, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{_three(value / size)} {prefix}"
    return f"{_three(value)} "


def duration(seconds: float) -> str:
    """Three digits in s, ms, µs or ns."""
    for size, unit in ((1, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= size:
            return f"{_three(seconds / size)} {unit}"
    return f"{_three(seconds / 1e-9)} ns"


def _three(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _threads(count: int) -> str:
    return f"{count} thread{'s' * (count > 1)}"
