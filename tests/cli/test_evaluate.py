import io
import json
import zipfile

import pytest
from PIL import Image

from digitlens import files
from digitlens.cli import evaluate as module
from digitlens.cli.tables import Part
from digitlens.datasets import external
from digitlens.errors import DataError, ModelError
from digitlens.explain import trained_model
from digitlens.visualization.figures import registry

pytestmark = pytest.mark.usefixtures("unsaved")
COMMAND = "evaluate"
PICTURES = ["calibration.png", "classes.png", "confusion.png", "correct.png", "wrong.png"]


@pytest.fixture
def foreign(here, graph):
    def make(last="Softmax"):
        (here / "their net.onnx").write_bytes(graph(last=last))
        return "their net.onnx"

    return make


def test_numbers_go_to_stdout_and_written_files_are_named_on_stderr(run, here, bundle, graph):
    done = run("--model", bundle())
    assert "97.50% (95 % interval 87.12% to 99.56%), 1 wrong" in done.stdout
    assert "most confused: 9 as 0 (1)" in done.stdout
    assert "written" not in done.stdout
    assert "written to evaluation-bars: report.json, confusion.png" in done.stderr
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert done.stdout.isascii()  # readable in any encoding
    assert "\x1b" not in done.stdout
    table = {line.split()[0]: line.split()[1:] for line in lines if line.strip()}
    assert table["macro"][-1] == table["weighted"][-1] == "40"
    assert len([line for line in lines if line.split()[:1] == ["9"]]) == 2
    folder = here / "evaluation-bars"
    assert sorted(path.name for path in folder.iterdir()) == sorted([*PICTURES, "report.json"])
    report = json.loads((folder / "report.json").read_text())
    assert report["model"]["name"] == "bars"
    assert report["model"]["sha256"] == files.sha256(graph())
    assert report["data"]["name"] == "MNIST test"
    assert [row["index"] for row in report["wrong"]] == [0]


def test_input_of_a_foreign_model_is_printed_and_logits_need_an_option(run, here, foreign):
    run.fails(ModelError, "--outputs logits", "--model", foreign("Identity"))
    assert not (here / "evaluation-their-net").exists()
    run("--model", foreign("Identity"), "--outputs", "logits")
    done = run("--model", foreign())
    for part in ("MNIST (28 x 28", "layout uint8[N, 28, 28]", "byte (0 to 255)", "probabilities"):
        assert part in done.stderr
    report = json.loads((here / "evaluation-their-net" / "report.json").read_text())
    assert report["model"]["name"] == "their net"
    assert report["model"]["given"]["pixels"] == "byte (0 to 255)"
    assert report["accuracy"] == 0.975


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--pixels", "unit"], "--pixels"),
        (["--negatives", "coats=coats.idx"], "--negatives requires --rejection"),
        (["--data", "a.zip", "--split", "validation"], "--data replaces MNIST"),
        (["--data", "a.zip", "--data-dir", "."], "--data replaces MNIST"),
    ],
)
@pytest.mark.usefixtures("here")
def test_conflicting_options_are_refused(run, bundle, options, words):
    run.misused(words, "--model", bundle(), *options)


def test_validation_uses_the_split_of_the_models_recipe(run, here, bundle, foreign):
    recipe = {"validation": "random", "validation_share": 0.25, "seed": 3}
    run("--model", bundle(recipe=recipe), "--split", "validation")
    report = json.loads((here / "evaluation-bars" / "report.json").read_text())
    assert report["data"]["name"] == "MNIST validation, 25% by random, seed 3"
    assert 0 < report["n"] < 40
    refitted = {"validation": "none", "temperature": 1.0}
    for changes in ({}, {"recipe": refitted}, None):
        model = foreign() if changes is None else bundle(**changes)
        run.fails(ModelError, "use --split test", "--model", model, "--split", "validation")


def test_unwritable_folder_is_reported_after_the_numbers(run, here, bundle):
    (here / "occupied").write_text("a file")
    done = run.fails(
        DataError, "occupied cannot be written", "--model", bundle(), "--out", "occupied"
    )
    assert "97.50%" in done.stdout


@pytest.fixture
def write_tiles(here, draw_bars):
    def write(name, labels):
        with zipfile.ZipFile(here / name, "w") as archive:
            rows = ["file,label\n"]
            for index, tile in enumerate(draw_bars(labels)):
                stream = io.BytesIO()
                Image.fromarray(tile).save(stream, "PNG")
                archive.writestr(f"tiles/{index}.png", stream.getvalue())
                rows.append(f"tiles/{index}.png,{labels[index]}\n")
            archive.writestr("labels.csv", "".join(rows))

    return write


def test_exported_corrections_are_scored_even_if_digits_are_missing(run, here, bundle, write_tiles):
    write_tiles("corrections.zip", [3, 3, 7])
    done = run("--model", bundle(), "--data", "corrections.zip")
    assert "corrections.zip, 3 tiles" in done.stdout
    folder = here / "evaluation-bars"
    report = json.loads((folder / "report.json").read_text())
    assert (report["n"], report["accuracy"]) == (3, 1.0)
    assert [row["support"] for row in report["classes"]] == [0, 0, 0, 2, 0, 0, 0, 1, 0, 0]
    assert sorted(path.name for path in folder.iterdir()) == sorted([*PICTURES, "report.json"])
    write_tiles("one.zip", [5])
    run("--model", bundle(), "--data", "one.zip")


def test_robustness_prints_a_table_and_writes_its_own_files(run, here, bundle, monkeypatch):
    monkeypatch.setattr(registry, "draw_evaluation", lambda *_: [])  # takes seconds, tested above
    done = run("--model", bundle(recipe={"rotate": 5.0}), "--robustness")
    assert max(map(len, done.stdout.splitlines())) <= 80
    trained = {line.split("  ")[0]: line.split()[-1] for line in done.stdout.splitlines() if line}
    assert (trained["rotate"], trained["shot noise"]) == ("yes", "no")
    assert "mean of untrained" in trained
    assert "rotation, degrees anticlockwise" in trained
    folder = here / "evaluation-bars"
    names = ["robustness.json", "corruptions.png", "sweeps.png", "corrupted.png"]
    assert ", ".join(names) in done.stderr
    written = sorted(path.name for path in folder.iterdir())
    assert written == sorted(["report.json", *names])
    values = json.loads((folder / "robustness.json").read_text())
    assert (values["model"]["name"], values["clean"]["accuracy"]) == ("bars", 0.975)
    assert [row["name"] for row in values["corruptions"] if row["overlaps_training"]] == ["rotate"]


@pytest.mark.usefixtures("undrawn")
def test_json_of_all_parts_is_one_object_even_without_the_plots_extra(
    run, here, foreign, monkeypatch
):
    digits = external.load_scikit()
    few = external.Pictures(digits.images[:100], digits.labels[:100])  # framing each takes 1 ms
    monkeypatch.setattr(external, "load_scikit", lambda: few)
    options = ("--robustness", "--on", "digits", "--json", "--out", "elsewhere")
    done = run("--model", foreign(), *options)
    values, folder = json.loads(done.stdout), here / "elsewhere"
    for name in ("robustness", "transfer"):
        written = json.loads((folder / f"{name}.json").read_text())
        assert written.get(name, written) == values.pop(name)
    assert values == json.loads((folder / "report.json").read_text())
    assert len(list(folder.iterdir())) == 3
    assert not (here / "evaluation-their-net").exists()
    assert "pip install 'digitlens[plots]'" in done.stderr


@pytest.mark.usefixtures("undrawn", "here")
def test_training_corruptions_of_a_foreign_model_are_unknown(run, foreign):
    done = run("--model", foreign(), "--robustness")
    lines = done.stdout.splitlines()
    assert next(line for line in lines if line.startswith("shear")).split()[-1] == "?"
    assert "mean of untrained" not in done.stdout


@pytest.mark.parametrize(
    ("options", "name"), [(["--on", "letters"], "letters"), (["--data", "no.zip"], "no.zip")]
)
def test_unknown_data_set_is_refused_and_nothing_written(run, here, bundle, options, name):
    run.fails(DataError, name, "--model", bundle(), *options)
    assert not (here / "evaluation-bars").exists()


@pytest.mark.usefixtures("undrawn", "here")
def test_rejection_options_are_passed_on(run, bundle, monkeypatch):
    arguments = {}

    def measure(classifier, tiles, **options):
        arguments.update(options, n=len(tiles), name=classifier.name)

    monkeypatch.setattr(trained_model, "measure_ood", measure)
    part = Part({"rejection": "values"}, ["tables"], lambda _: ["rejection.json"])
    monkeypatch.setattr(module, "ood_part", lambda _: part)
    done = run("--model", bundle(), "--rejection", "--strange", "coats=coats.idx", "--json")
    assert json.loads(done.stdout)["rejection"] == "values"
    assert "rejection.json" in done.stderr
    expected = {"negatives": ["coats=coats.idx"], "data_dir": None, "is_validation": False}
    assert arguments == {**expected, "n": 40, "name": "bars"}
