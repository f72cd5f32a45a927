import re
import sys

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import cost
import cost_reading
import cost_training
import roofline
from digitlens.training.recipe import load_recipe
from digitlens.training.tasks.tile import one_network

Work, Stage = roofline.Work, roofline.Stage
MACHINE = roofline.Machine(
    {1: 100.0, 2: 200.0},
    {1: {10: 50.0, 1000: 5.0}, 2: {10: 60.0, 1000: 70.0}},
    {"torch": 0.5, "node": 0.1, "run": 2.0, "import": 1.0},
)


def stage(key="a", work=None, seconds=(4.0,), threads=1, parts=()):
    return Stage(key, f"stage {key}", work or Work(), seconds, threads, "torch", parts)


def tally_of(function):
    tally = cost_training.Tally()
    with tally:
        function()
    return sum(tally.work.values(), Work())


def graph(nodes, given, gives, weights):
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (given, gives)
    ]
    stored = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    made = helper.make_graph(nodes, "small", values[:1], values[1:], stored)
    opset = [helper.make_opsetid("", 18)]
    return helper.make_model(made, opset_imports=opset, ir_version=10).SerializeToString()


def test_a_convolution_of_a_network_costs_what_it_costs_by_hand():
    layer = nn.Conv2d(3, 4, 3, bias=False)
    tiles = torch.zeros(2, 3, 8, 8)
    with torch.no_grad():
        work = tally_of(lambda: layer(tiles))
    out = 2 * 4 * 6 * 6
    assert work == Work(2 * out * 3 * 9, 4 * (tiles.numel() + 4 * 3 * 9 + out), 1)


def test_back_through_a_convolution_are_two_more():
    layer = nn.Conv2d(3, 4, 3, bias=False)
    tiles = torch.zeros(2, 3, 8, 8, requires_grad=True)
    tally = cost_training.Tally()
    with tally:
        with tally.during("forward"):
            out = layer(tiles)
        with tally.during("backward"):
            out.sum().backward()
    forward = tally.work["first_convolution"].flops
    assert forward == 2 * out.numel() * 27
    assert tally.work["convolutions_backward"].flops == 2 * forward


def test_what_moves_bytes():
    many, some = torch.zeros(100, 8), torch.arange(5)
    add = tally_of(lambda: many.add_(1.0))
    assert add == Work(0, 2 * many.nbytes, 1)
    assert tally_of(lambda: many.view(8, 100)) == Work(0, 0, 1)
    assert tally_of(lambda: torch.empty(1000)) == Work(0, 0, 1)
    chosen = tally_of(lambda: many[some])
    assert chosen.bytes == 2 * 5 * 8 * 4 + some.nbytes
    expanded = torch.zeros(1).expand(1000)
    assert tally_of(lambda: expanded + 1).bytes == 4 + 4000


def test_a_graph_costs_what_it_costs_by_hand():
    product = graph(
        [helper.make_node("MatMul", ["in", "weights"], ["out"])],
        ("in", ["N", 3]),
        ("out", ["N", 2]),
        {"weights": np.zeros((3, 2), np.float32)},
    )
    work = cost_reading.graph_work(product, {"in": np.zeros((5, 3), np.float32)})
    assert work == Work(2 * 5 * 3 * 2, 4 * (5 * 3 + 3 * 2 + 5 * 2), 1, 1)


def test_a_graph_is_counted_for_the_size_that_it_is_given():
    node = helper.make_node("Conv", ["in", "weights"], ["out"])
    weights = {"weights": np.zeros((4, 3, 3, 3), np.float32)}
    free = graph([node], ("in", [1, 3, "H", "W"]), ("out", [1, 4, "h", "w"]), weights)
    work = cost_reading.graph_work(free, {"in": np.zeros((1, 3, 10, 20), np.float32)})
    assert work.flops == 2 * 4 * 8 * 18 * 27
    assert work.runs == 1


def test_a_step_of_a_recipe_is_the_sum_of_its_parts(small_split, monkeypatch):
    recipe = load_recipe("fast")
    some = small_split.take(np.arange(64) % len(small_split))
    monkeypatch.setattr(cost_training, "_tiles", lambda *_: (some, some))
    monkeypatch.setattr(cost_training, "ROUNDS", 1)
    stages = cost_training.training_stages("fast", torch.get_num_threads(), 64)
    by_key = {stage.key.removeprefix("fast."): stage for stage in stages}
    step = by_key["step"]
    assert step.parts == [stage for key, stage in by_key.items() if key not in ("step", "between")]
    assert step.work.calls == sum(part.work.calls for part in step.parts)
    network = one_network(recipe)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.eval()(torch.from_numpy(some.tiles))
    forward = counter.get_total_flops()
    known = by_key["first_convolution"].work.flops + by_key["convolutions"].work.flops
    assert by_key["validation"].work.flops == forward
    dense = 2 * 64 * network.body[-1].weight.numel()
    assert known == forward - dense
    assert by_key["dense"].work.flops == 3 * dense
    assert by_key["optimiser"].work.calls > 0
    assert all(stage.median > 0 for stage in stages)


def test_the_limit_is_the_slowest_of_three():
    assert stage(work=Work(300, 10, 1)).limit(MACHINE) == ("arithmetic", 3.0)
    assert stage(work=Work(300, 10, 1), threads=2).limit(MACHINE) == ("arithmetic", 1.5)
    assert stage(work=Work(0, 4000, 1)).limit(MACHINE) == ("memory", 800.0)
    assert stage(work=Work(0, 4000, 200)).limit(MACHINE) == ("calls", 100.0)
    assert MACHINE.limits(Work(0, 0, 3, 2), 1, "node")["calls"] == pytest.approx(4.3)
    whole = stage(parts=(stage(work=Work(300, 10, 1)), stage(work=Work(0, 4000, 200))))
    assert whole.limit(MACHINE) == ("its parts", 103.0)


def test_small_arrays_are_as_fast_as_their_cache_and_the_better_of_two_peaks_counts(monkeypatch):
    assert MACHINE.bandwidth(1, 5) == MACHINE.bandwidth(1, 1999) == 50
    assert MACHINE.bandwidth(1, 2000) == 5
    assert MACHINE.bandwidth(2, 5) == 70  # what large arrays reach, small ones can
    monkeypatch.setattr(roofline, "peak_flops", lambda _, count: {1: 90.0, 2: 250.0}[count])
    again = roofline.measured_again(MACHINE, torch.float32)
    assert again.peaks == {1: 100.0, 2: 250.0}
    assert again.calls == MACHINE.calls


def test_calls_that_do_nothing_take_time(monkeypatch):
    monkeypatch.setattr(roofline, "REPEATS", 3)
    monkeypatch.setattr(roofline, "MODULES", 2)
    assert roofline.torch_call() > 0
    assert roofline.import_call(sys.executable) > 0
    found = roofline.graph_calls()
    assert found.keys() == {"node", "run"}
    assert min(found.values()) >= 0
    session = roofline._chain(4)
    assert session.run(None, {"in": np.array([2], np.float32)})[0] == [2]


ABOUT = {"date": "2030-01-01", "processor": "P", "cores": 2, "load": 0.1, "commit": "c" * 40}


def test_a_row_for_each_stage_and_a_block_for_each_table():
    near = stage("near", Work(300, 10, 1), (4.0, 5.0, 6.0))
    far, nothing = stage("far", Work(0, 4000, 200), (1000.0,)), stage("nothing")
    groups = {"reading": [near, far, nothing]}
    blocks = cost.tables(ABOUT, MACHINE, groups)
    assert "on 2030-01-01, P, 2 cores, load before 0.1, commit cccccccccccc." in blocks["head"]
    rows = list(map(cells, blocks["reading"].splitlines()))
    assert {len(row) for row in rows} == {11}
    assert rows[2] == ["stage near", "300", "10", "1", "1", "3 s", "200 ms", "500 ms", "5 s",
                       "60.0 %", "arithmetic"]  # fmt: skip
    assert rows[4][5:] == ["", "", "", "4 s", "", ""]
    page = "a\n<!-- cost: head -->\nold\n<!-- end -->\nb\n"
    new = cost.filled(page, blocks)
    assert new == f"a\n<!-- cost: head -->\n{blocks['head']}<!-- end -->\nb\n"
    record = {"stages": [cost.as_row(one, MACHINE) for one in groups["reading"]]}
    assert record["stages"][0]["limit"] == 3.0
    shares = {figure.name: figure for figure in cost.figures(record)}
    assert shares.keys() == {"cost.near.share_of_limit", "cost.far.share_of_limit"}
    assert shares["cost.near.share_of_limit"].value == 60
    assert shares["cost.near.share_of_limit"].n == 3


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_page_in_docs_has_all_blocks_and_parses():
    names = [name for _, name, _ in cost.BLOCK.findall(cost.DOCS.read_text(encoding="utf-8"))]
    assert names == ["head", "machine", "fast", "standard", "reading"]
    tables = re.findall(r"(?:^\|.*\|\n)+", cost.DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    found = [[cells(line) for line in table.splitlines()] for table in tables]
    assert len(found) == 4
    assert all(len({len(row) for row in table}) == 1 for table in found)
    assert {"a step, all of it", "first convolution"} <= {row[0] for row in found[1]}
    shares = [row[9] for table in found[1:] for row in table[2:] if row[9]]
    # More: while the limits were measured, the machine had something else to do.
    assert all(0 < float(share.removesuffix(" %")) < 150 for share in shares)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *((cost.scaled(0), "0 "), (cost.scaled(999), "999 "), (cost.scaled(61_234), "61.2 k")),
        *((cost.scaled(7.67e9), "7.67 G"), (cost.duration(2.5), "2.5 s")),
        *((cost.duration(0.0183), "18.3 ms"), (cost.duration(3e-5), "30 µs")),
        (cost.duration(5.57e-7), "557 ns"),
    ],
)
def test_numbers_have_prefixes_and_times_units(text, expected):
    assert text == expected


def test_limits_are_measured_with_the_threads_that_were_asked_for(monkeypatch):
    monkeypatch.setattr(roofline, "SIDE", 64)
    threads, used = torch.get_num_threads(), []

    def watched(work, times, **_):
        work()
        used.append(torch.get_num_threads())
        return [1.0] * times

    monkeypatch.setattr(roofline, "timed", watched)
    assert roofline.peak_flops(torch.float32, 2) == 2 * 64**3
    assert roofline.bandwidth(1, 1 << 12) == 2 << 12
    assert used == [2, 1]
    assert torch.get_num_threads() == threads
