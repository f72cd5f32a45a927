"""What got slower or faster between two records of speed, beyond noise?

    python benchmarks/check.py OLD NEW [--anyway]

OLD and NEW are folders written by ``benchmarks/speed.py``, or the speed.json in them. A difference
counts if it exceeds both

- three standard errors of the difference: by chance, one unchanged figure in 370 exceeds this. The
  standard error of a mean is sd/sqrt(n); for a median, IQR/sqrt(n) is 8 % above that of a normal
  distribution, so one formula serves both;
- and 5 %: the spread within a run does not capture differences between runs (clock, memory layout,
  neighbours on the host). Figures in % do not depend on the machine and need no such margin.

For a figure measured once the limit is 20 %. Peers' figures are shown but never count. A figure
that is no longer measured counts, since it may have got slower.

Records from different processors, or with different cores or threads, are compared only with
--anyway. Exit code 1 if something got worse, 2 if the records cannot be compared.
"""

import argparse
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import harness
from harness import Figure, RecordError, Row, load_record

STANDARD_ERRORS = 3.0
MIN_CHANGE, MIN_CHANGE_SINGLE = 0.05, 0.2  # of the old value
BUSY = 0.5  # mean number of processes before the run
WORSE, BETTER, SAME, GONE, NEW = "worse", "better", "same", "gone", "new"
ORDER = (WORSE, GONE, BETTER, NEW)
COLUMNS = (
    "figure | unit | old | new | change | noise | verdict",
    "{name} | {unit} | {old:,.4g} | {new:,.4g} | {share:+.1%} | {noise:.1%} | {verdict}{whose}",
)
MACHINE = ("processor", "cores", "threads")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--anyway", action="store_true", help="compare even if the machines differ")
    options = parser.parse_args()
    try:
        (old_facts, old), (new_facts, new) = load_record(options.old), load_record(options.new)
    except RecordError as error:
        parser.error(str(error))
    mismatches = differences(old_facts, new_facts, MACHINE)
    for line in [*mismatches, *warnings(old_facts, new_facts)]:
        print(line, file=sys.stderr)
    if mismatches and not options.anyway:
        parser.error("not compared: measure both on one machine, or add --anyway")
    changes = compare(old, new)
    print(table(changes), end="")
    return int(any(map(counts, changes)))


def differences(old: Row, new: Row, keys: Iterable[str]) -> list[str]:
    return [
        f"{key}: {old.get(key)} in the old record, {new.get(key)} in the new one"
        for key in keys
        if old.get(key) != new.get(key)
    ]


def warnings(old: Row, new: Row) -> list[str]:
    """Caveats: a machine that was not idle, different versions of libraries."""
    found = [
        f"the machine was busy before the {name} record: load {about['load']}"
        for name, about in (("old", old), ("new", new))
        if about.get("load", 0) > BUSY
    ]
    before, after = (about.get("versions", {}) for about in (old, new))
    return found + differences(before, after, sorted({*before, *after}))


def compare(old: Mapping[str, Figure], new: Mapping[str, Figure]) -> list[Row]:
    """Compares the figures of both records, in the order of the old; a new unit is a new figure."""
    befores = {(name, figure.unit): figure for name, figure in old.items()}
    afters = {(name, figure.unit): figure for name, figure in new.items()}
    return [judge(befores.get(key), afters.get(key)) for key in befores | afters]


def judge(old: Figure | None, new: Figure | None) -> Row:
    """The change of a figure, of which at least one version is given, in the same unit.

    ``share`` is the change and ``noise`` its limit, both relative to the old value.
    """
    figure = new or old
    assert figure is not None
    change: Row = {"name": figure.name, "unit": figure.unit, "peer": figure.peer}
    change |= {"old": old and old.value, "new": new and new.value, "share": None, "noise": None}
    if old is None or new is None:
        return change | {"verdict": NEW if old is None else GONE}
    scale = abs(old.value) or 1.0  # changes from 0 are absolute
    share, noise = (new.value - old.value) / scale, noise_of(old, new) / scale
    verdict = BETTER if (share > 0) == (new.better == "higher") else WORSE
    verdict = verdict if abs(share) > noise else SAME
    return change | {"share": share, "noise": noise, "verdict": verdict}


def noise_of(old: Figure, new: Figure) -> float:
    """The limit above which a change counts, in the unit of the figure."""
    if any(one.spread is None or one.n < 2 for one in (old, new)):
        return MIN_CHANGE_SINGLE * abs(old.value)
    chance = STANDARD_ERRORS * math.hypot(*(one.spread / math.sqrt(one.n) for one in (old, new)))
    return chance if new.unit == "%" else max(chance, MIN_CHANGE * abs(old.value))


def counts(change: Row) -> bool:
    """Whether a figure of digitlens got worse or is gone."""
    return not change["peer"] and change["verdict"] in {WORSE, GONE}


def table(changes: Sequence[Row]) -> str:
    """The changed figures, the worst first; then, in one line, the number of unchanged ones."""
    changed = [change for change in changes if change["verdict"] != SAME]
    changed.sort(key=lambda c: (c["peer"], ORDER.index(c["verdict"]), -abs(c["share"] or 0.0)))
    rows = [change | {"whose": " (peer)" * change["peer"]} for change in changed]
    found = harness.table(COLUMNS, rows) + "\n" if rows else ""
    worse, same = sum(map(counts, changes)), len(changes) - len(changed)
    return f"{found}{same} figures are the same; {worse} got worse or are gone\n"


if __name__ == "__main__":
    sys.exit(main())
