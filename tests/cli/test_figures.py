import json
from pathlib import Path

import pytest

from digitlens.errors import DataError, MissingExtraError, ModelError
from digitlens.visualization.figures import registry
from digitlens.visualization.figures.registry import FIGURES, SLOW

pytestmark = pytest.mark.usefixtures("unsaved")
COMMAND = "figures"
ROWS = [
    {"epoch": epoch, "train_loss": 0.5 / epoch, "val_loss": 0.4 / epoch, "learning_rate": 0.01}
    for epoch in (1, 2)
]


def test_all_available_figures_of_a_run_are_drawn(run, here, run_folder):
    done = run(run_folder("mine", ROWS), "--theme", "dark")
    printed = done.stdout.split()
    names = list(FIGURES)[: list(FIGURES).index("robustness")]
    assert set(printed) >= {f"figures-mine/{name}.png" for name in names}
    assert "no features: bars has no features output" in done.stderr  # drawn in other tests
    assert sorted(printed) == sorted(
        f"figures-mine/{path.name}" for path in (here / "figures-mine").iterdir()
    )
    assert f"take longer: {', '.join(SLOW)}" in done.stderr


def test_unavailable_figure_fails_only_if_requested(run, here, bundle):
    model = bundle()
    done = run(
        model, "--only", "classes", "--only", "curves", "--format", "svg", "--out", "here", code=1
    )
    assert done.stdout.split() == ["here/classes.svg"]
    assert "no curves: bars has no history: expected the run folder" in done.stderr
    assert [path.name for path in (here / "here").iterdir()] == ["classes.svg"]
    done = run(model, "--only", "coverage", "--only", "coverage", "--json")
    assert json.loads(done.stdout) == ["figures-bars/coverage.png"]


def test_runs_are_overlaid_and_one_without_history_is_named(run, here, run_folder, bundle):
    paths = [run_folder("one", ROWS), run_folder("two", [*ROWS, {**ROWS[0], "epoch": 3}])]
    done = run(*paths, bundle(), "--only", "curves", "--format", "svg")
    assert "skipping bars, which has no history" in done.stderr
    assert "the others only one" in done.stderr
    assert (here / "figures-one" / "curves.svg").is_file()


@pytest.mark.parametrize(
    ("rows", "message"), [([{"step": 1, "train_loss": 1.0}], "counts steps"), (ROWS, "found 7")]
)
def test_incompatible_or_too_many_runs_are_refused(run, run_folder, rows, message):
    paths = [run_folder(f"run-{number}", rows) for number in range(7 if rows is ROWS else 2)]
    done = run(*paths, "--only", "curves", code=1)
    assert message in done.stderr
    assert done.stdout == ""


def test_robustness_is_measured_once_for_both_figures(run, here, bundle, monkeypatch):
    calls = []
    measure = registry.measure_corrupted
    monkeypatch.setattr(
        registry, "measure_corrupted", lambda *arguments: calls.append(1) or measure(*arguments)
    )
    run(bundle(), *(word for name in SLOW for word in ("--only", name)), "--out", "out")
    assert len(calls) == 1
    assert {path.stem for path in (here / "out").iterdir()} == set(SLOW)


@pytest.mark.usefixtures("here")
def test_misuse_is_refused_with_the_valid_values(run, bundle):
    model = bundle()
    done = run.misused("'nonsense'", model, "--only", "nonsense")
    assert "coverage" in done.stderr
    run.fails(ModelError, "", "nowhere")
    run.fails(DataError, "an index below 40", model, "--digit", "40")
    Path("occupied").write_text("a file")
    run.fails(DataError, "name another --out", model, "--only", "classes", "--out", "occupied")


@pytest.mark.usefixtures("undrawn")
def test_missing_plots_extra_is_named(run, here, bundle):
    run.fails(MissingExtraError, "digitlens[plots]", bundle())
    assert not list(here.glob("figures-*"))


@pytest.mark.usefixtures("here")
def test_feature_map_method_is_selected_by_name(run, bundle, monkeypatch):
    methods = []
    monkeypatch.setitem(FIGURES, "features", lambda *args: methods.append(args[-1].method))
    run(bundle(), "--only", "features", "--map", "tsne")
    run(bundle(), "--only", "features")
    assert methods == ["tsne", "pca"]
