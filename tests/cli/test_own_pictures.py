"""``digitlens calibrate`` and ``digitlens adapt``: options and output."""

import json

import pytest

from digitlens.errors import DataError
from digitlens.training.thresholds import OwnAnswers, promise


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "labels.csv").write_text("file,label\na.png,12\n")
    return tmp_path


@pytest.fixture
def fitted(monkeypatch):
    """Replaces the calibration by the promises for 400 correct digits; reads nothing."""
    answers = OwnAnswers((0.99,) * 400, (True,) * 400, 410, 100)

    def calibrate(model, pictures, targets, folder):
        assert (model, len(pictures), folder.name) == ("swift", 1, "new")
        return answers, [promise(answers, answers.curve(), target) for target in targets]

    monkeypatch.setattr("digitlens.training.thresholds.calibrate_own", calibrate)


OWN = ("own", "--model", "swift", "--out", "new")


@pytest.mark.usefixtures("own", "fitted")
def test_target_has_a_threshold_or_the_number_of_digits_needed(run):
    done = run("calibrate", *OWN, "--target-error", "1%", "--target-error", "0.005")
    assert "100 pictures, 410 digits: 400 read, 0 of them wrong" in done.stdout
    assert "598 sure digits without an error, about 150 pictures" in done.stdout
    values = json.loads(run("calibrate", *OWN, "--target-error", "1%", "--json").stdout)
    assert (values["model"], values["digits"], values["wrong"]) == ("new", 410, 0)
    (target,) = values["targets"]
    assert target["threshold"] == pytest.approx(0.99)
    assert (target["digits_needed"], target["sure"]) == (299, 400)


@pytest.mark.usefixtures("own", "fitted")
def test_error_follows_the_results_if_no_target_can_be_met(run):
    done = run.fails(DataError, "", "calibrate", *OWN, "--target-error", "0.1%", "--json")
    assert json.loads(done.stdout)["model"] is None


@pytest.mark.usefixtures("fitted")
def test_nonempty_folder_and_impossible_target_are_refused(run, own):
    (own / "new").mkdir()
    (own / "new" / "diary.txt").write_text("mine")
    run.fails(DataError, "is not empty", "calibrate", *OWN)
    run("calibrate", *OWN, "--target-error", "7", code=2)


@pytest.mark.train
@pytest.mark.usefixtures("own")
def test_result_of_an_adaptation_is_printed(run, monkeypatch, own):
    from digitlens.training.adapt import LINES, Adapted, NetworkResult  # noqa: PLC0415  (torch)

    parts = (
        NetworkResult("recognizer", True, "", 0.7, 6, 1, 50, 0.964, 0.9655),
        NetworkResult("classifier", reason="its weights are not here"),
    )
    result = Adapted(own / "new", 40, 10, parts, 50, 6, 1)
    arguments = {}

    def adapt(*_, **options):
        arguments.update(options)
        return result

    monkeypatch.setattr("digitlens.training.adapt.adapt", adapt)
    output = run("adapt", *OWN).stdout
    assert "adapted; of 50 characters held out 6 wrong before, 1 after" in output
    assert "guard set 96.40 % before, 96.55 % after" in output
    assert "classifier   unchanged: its weights are not here" in output
    assert (arguments["recipe"], arguments["resume"]) == (LINES, False)
    values = json.loads(run("adapt", *OWN, "--json", "--steps", "5", "--resume").stdout)
    assert values["parts"][0]["share"] == 0.7
    assert (arguments["recipe"].steps, arguments["resume"]) == (5, True)

    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("digitlens.training.adapt.adapt", stopped)
    assert "--out new --resume" in run("adapt", *OWN, code=130).output
