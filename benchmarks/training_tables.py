"""What came of ``training.py``, in short: summary, figures to compare records by, tables."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from figures import Row, figure

NAMES = {"pytorch": "basic MNIST example of PyTorch", "keras": "Keras `mnist_convnet`"}


def summary(record: Mapping[str, Any]) -> Row:
    """Of digitlens over its seeds, and of each peer beside it; without what is missing."""
    rows = [row for part in record["parts"] for row in part if "seed" in row]
    ours = _ours(record, rows) if rows else {}
    peers = {
        name: _peer(said, record["aim"], ours.get("seconds_to_aim"))
        for name, said in record["peers"].items()
        if said
    }
    return {"digitlens": ours, "peers": peers}


def _ours(record: Mapping[str, Any], rows: Sequence[Row]) -> Row:
    firsts = [part[0]["seconds"] for part in record["parts"] if part]
    keys = ("test_accuracy", "seconds", "compile_seconds", "loop_seconds")
    found = {key: spread([row[key] for row in rows]) for key in keys}
    reached = found["test_accuracy"]["mean"] >= record["aim"]
    return found | {
        # Who does not get there on average has no time in which others could be measured.
        "seconds_to_aim": found["seconds"]["mean"] if reached else None,
        "seeds": len(rows),
        "seeds_at_aim": sum(row["test_accuracy"] >= record["aim"] for row in rows),
        "first_seconds": statistics.mean(firsts),
        "parameters": rows[0]["parameters"],
        "memory_mb": _said(record["parts"], "memory_mb"),
        "versions": _said(record["parts"], "versions"),
        "device": _said(record["parts"], "device"),
    }


def spread(values: Sequence[float]) -> Row:
    """Mean, standard deviation (None of one value) and median."""
    return {
        "mean": statistics.mean(values),
        "sd": statistics.stdev(values) if len(values) > 1 else None,
        "median": statistics.median(values),
    }


def _said(parts: Sequence[Sequence[Row]], key: str) -> Any:
    """What the first of the processes said that said it."""
    return next((row[key] for part in parts for row in part if key in row), None)


def _peer(said: Sequence[Row], aim: float, ours: float | None) -> Row:
    epochs = [row for row in said if "epoch" in row]
    last = epochs[-1]
    reached = last["seconds"] if last["test_accuracy"] >= aim else None
    planned = _said([said], "planned_epochs")
    return {
        "epochs": last["epoch"],
        "test_accuracy": last["test_accuracy"],
        "seconds": last["seconds"],
        "seconds_to_aim": reached,
        "planned_epochs": planned,
        "planned_seconds": planned * last["seconds"] / last["epoch"],
        "ratio": reached / ours if reached and ours else None,
        # If it was stopped before it got there, it is slower by more than this.
        "ratio_at_least": last["seconds"] / ours if ours else None,
        "parameters": _said([said], "parameters"),
        "memory_mb": _said([said], "memory_mb"),
        "versions": _said([said], "versions"),
    }


def figures(record: Mapping[str, Any]) -> list[Row]:
    """What two records are compared by."""
    ours, found = record["summary"]["digitlens"], []
    if ours:
        accuracy, seconds, seeds = ours["test_accuracy"], ours["seconds"], ours["seeds"]
        mean, sd = 100 * accuracy["mean"], accuracy["sd"] and 100 * accuracy["sd"]
        found = [
            figure("training.accuracy", mean, sd, seeds, "%", better="higher"),
            figure("training.seconds", seconds["mean"], seconds["sd"], seeds, "s"),
            figure("training.memory", ours["memory_mb"], None, 1, "MB"),
        ]
    for name, peer in record["summary"]["peers"].items():
        theirs = peer["seconds_to_aim"]
        found += [
            figure(f"training.{name}.seconds", theirs, None, 1, "s") | {"peer": True},
            figure(f"training.{name}.memory", peer["memory_mb"], None, 1, "MB") | {"peer": True},
            figure(f"training.{name}.ratio", peer["ratio"], None, 1, "x", better="higher"),
        ]
    found += [
        figure(f"training.{row['recipe']}.{key}", factor * row[key], None, 1, unit, better="higher")
        for row in _recipes(record)
        for key, factor, unit in (("images_per_second", 1, "images/s"), ("share_of_peak", 100, "%"))
    ]
    return [each for each in found if each["value"] is not None]


def _recipes(record: Mapping[str, Any]) -> list[Row]:
    return [row for row in record["recipes"] if "recipe" in row]


def report(record: Mapping[str, Any]) -> str:
    """Both tables in Markdown, with what they mean."""
    lines = [
        f"Training on {record['date']}, {record['processor'] or record['machine']}, "
        f"{record['threads']} threads for each, load before {record['load']}"
        f"{''.join(f', {change}' for change in record['changes'])}.",
        "",
        *_comparison(record),
        "",
        *_throughput(record),
        "",
        *(f"- {name}: not measured, {reason}" for name, reason in record["missing"].items()),
    ]
    return "\n".join(lines).strip() + "\n"


def _comparison(record: Mapping[str, Any]) -> list[str]:
    ours, peers = record["summary"]["digitlens"], record["summary"]["peers"]
    aim = f"{100 * record['aim']:.1f} %"
    lines = [
        f"| network | s until {aim} | epochs | test accuracy | planned, s | memory, MB "
        "| times as long |",
        "|---|---|---|---|---|---|---|",
    ]
    if ours:
        lines.append(_our_line(record["recipe"], ours))
    lines += [_peer_line(NAMES[name], peer) for name, peer in peers.items()]
    return [*lines, "", *_notes(ours, peers, aim)]


def _our_line(recipe: str, ours: Row) -> str:
    until = _pm(ours["seconds"], 1, 2)
    if not ours["seconds_to_aim"]:
        until = f"not in {until}"
    return (
        f"| digitlens, `{recipe}`, {ours['seeds']} seeds | {until} |  "
        f"| {_pm(ours['test_accuracy'], 100, 3)} % | {ours['seconds']['mean']:.2f} "
        f"| {_whole(ours['memory_mb'])} | {'1' if ours['seconds_to_aim'] else ''} |"
    )


def _peer_line(name: str, peer: Row) -> str:
    reached = peer["seconds_to_aim"]
    until = f"{reached:.1f}" if reached else f"not in {peer['seconds']:.1f}"
    times = peer["ratio"] or peer["ratio_at_least"]
    more = "" if peer["ratio"] or not times else "> "
    return (
        f"| {name} | {until} | {peer['epochs']} | {100 * peer['test_accuracy']:.2f} % "
        f"| {peer['planned_seconds']:.0f} | {_whole(peer['memory_mb'])} "
        f"| {more}{_ratio(times)} |"
    )


def _notes(ours: Row, peers: Mapping[str, Row], aim: str) -> list[str]:
    lines: list[str] = []
    if ours:
        lines += [
            f"- digitlens: seconds of the whole training, for whose end its schedule is made; "
            f"{ours['seeds_at_aim']} of {ours['seeds']} seeds end at {aim} or more. First training "
            f"of a process {ours['first_seconds']:.2f} s; compiling, not counted, "
            f"{ours['compile_seconds']['mean']:.2f} s; {ours['parameters']:,} parameters; "
            f"{ours['versions']}, {ours['device']}",
        ]
    for name, peer in peers.items():
        lines.append(
            f"- {NAMES[name]}: one seed, stopped at the end of the first epoch with {aim} of the "
            f"{peer['planned_epochs']} planned; {peer['parameters']:,} parameters; "
            f"{peer['versions']}"
        )
    return lines


def _throughput(record: Mapping[str, Any]) -> list[str]:
    rows = _recipes(record)
    if not rows:
        return []
    lines = [
        "| recipe | images/s | million multiply-adds an image | TFLOP/s | share of peak | format |",
        "|---|---|---|---|---|---|",
    ]
    return lines + [
        f"| `{row['recipe']}` | {row['images_per_second']:,.0f} "
        f"| {row['multiply_adds'] / 1e6:.2f} | {row['flops'] / 1e12:.3f} "
        f"| {100 * row['share_of_peak']:.1f} % of {row['peak_flops'] / 1e12:.3f} "
        f"| {row['dtype']} |"
        for row in rows
    ]


def _pm(value: Mapping[str, Any], factor: float, digits: int) -> str:
    mean = f"{factor * value['mean']:.{digits}f}"
    return mean if value["sd"] is None else f"{mean} ± {factor * value['sd']:.{digits}f}"


def _whole(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}"


def _ratio(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"
