"""What came of ``classifying.py``: figures to compare records by, and a table for people."""

from collections.abc import Iterator, Mapping
from typing import Any

from figures import median_of, of_peer, ratio

Row = dict[str, Any]
BASE = "Keras, predict"  # whom the others are compared with
KINDS = {
    "torch": "torch",
    "compiled": "torch, compiled",
    "predict": BASE,
    "on_batch": "Keras, predict_on_batch",
    "call": "Keras, called",
    "svc": "scikit-learn, SVC",
}
# What they are called in figures.
PEERS = {
    "torch": "torch",
    "compiled": "torch_compiled",
    "predict": "keras",
    "on_batch": "keras_on_batch",
    "call": "keras_called",
    "svc": "svc",
}


def figures(results: Mapping[str, Row]) -> list[Row]:
    """What two records are compared by.

    Args:
        results: By name; ``kind``, ``model``, ``cores``, the seconds of each call with ``one`` tile
            and the tiles a second of each call with ``many``.

    Returns:
        Of each classifier of digitlens the times with all cores and with one, and how many times as
        long the peers take; those of networks in PyTorch are beside the same network. Then the
        times of the peers.
    """
    rows = list(results.values())
    peers = [row for row in rows if row["kind"] in PEERS]
    found: list[Row] = []
    for row in rows:
        if row["kind"] == "digitlens":
            found += _times(f"classifying.{row['model']}{_cores(row, rows)}", row)
            if not _cores(row, rows):
                found += [each for peer in peers for each in _ratios(row, peer)]
    return found + [of_peer(each) for peer in peers for each in _times(_name(peer), peer)]


def _cores(row: Row, rows: list[Row]) -> str:
    """Part of a figure's name; nothing for as many cores as there are."""
    return "" if row["cores"] == max(each["cores"] for each in rows) else ".one_core"


def _name(peer: Row) -> str:
    model = f".{peer['model']}" if peer["model"] else ""
    return f"classifying.{PEERS[peer['kind']]}{model}"


def _times(name: str, row: Row) -> Iterator[Row]:
    yield median_of(f"{name}.one_tile", [1e6 * seconds for seconds in row["one"]], "µs")
    yield median_of(f"{name}.many_tiles", row["many"], "tiles/s", "higher")


def _ratios(ours: Row, peer: Row) -> Iterator[Row]:
    if peer["model"] in ("", ours["model"]):
        name, who = f"classifying.{ours['model']}", PEERS[peer["kind"]]
        one = peer["one_us"]["median"] / ours["one_us"]["median"]
        many = ours["per_second"]["median"] / peer["per_second"]["median"]
        yield ratio(f"{name}.one_tile.{who}", one)
        yield ratio(f"{name}.many_tiles.{who}", many)


def report(record: dict[str, Any]) -> str:
    results = record["results"]
    lines = [
        f"Tiles classified on {record['date']}, {record['processor'] or record['machine']}, "
        f"{record['cores']} cores, load before {record['load']}, {record['rounds']} rounds.\n",
        "| | one tile, µs | p90 | tiles a second | range | multiply-adds a tile | right "
        f"| one, beside {BASE} | many |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [_row(name, row, results.get(BASE)) for name, row in results.items()]
    lines.append("")
    lines += [
        f"- {name}: compiled in {row['compile_seconds']:.0f} s"
        for name, row in results.items()
        if "compile_seconds" in row
    ]
    lines.append(f"- {'; '.join(sorted({row['versions'] for row in results.values()}))}")
    lines.append("- Keras is not trained; SVC learned 10,000 tiles and was asked 1,000.")
    lines += [f"- {name}: not available, {reason}" for name, reason in record["missing"].items()]
    return "\n".join(lines) + "\n"


def _row(name: str, row: dict[str, Any], base: dict[str, Any] | None) -> str:
    one, many = row["one_us"], row["per_second"]
    right = "" if row["accuracy"] is None else f"{row['accuracy'] * 100:.2f} %"
    cost = f"{row['multiply_adds']:,}" if "multiply_adds" in row else "as above"
    cells = [
        name,
        f"{one['median']:,.0f}",
        f"{one['p90']:,.0f}",
        f"{many['median']:,.0f}",
        f"{many['least']:,.0f} to {many['most']:,.0f}",
        cost,
        right,
        f"{base['one_us']['median'] / one['median']:,.1f} x" if base else "",
        f"{many['median'] / base['per_second']['median']:,.1f} x" if base else "",
    ]
    return f"| {' | '.join(cells)} |"
