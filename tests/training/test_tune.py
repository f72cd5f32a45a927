"""Studies: created, joined, searched, resumed and shared between processes."""

import os
import subprocess
import sys
import time
from types import SimpleNamespace

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.storages import InMemoryStorage

from digitlens.errors import DataError
from digitlens.files import write_bytes
from digitlens.training import tune as tune_module
from digitlens.training.search_space import parse_space
from digitlens.training.tune import local_storage, open_study, plan_of, result_of, search, space_of

pytestmark = pytest.mark.train
SPACE = parse_space("fast", [], ["epochs=1..3", "learning_rate=0.001..0.1:log"])
PLAN = plan_of(SPACE, 2, 60)


def test_joined_study_has_its_search_space(tmp_path):
    storage = local_storage(tmp_path)
    begun = open_study(storage, "mine", PLAN)
    for joined in (open_study(storage, "mine", PLAN), open_study(storage, "", None)):
        assert joined.study_name == begun.study_name
        assert space_of(joined) == SPACE
        assert (result_of(joined).seeds, result_of(joined).tiles) == (2, 60)
        assert result_of(joined).trials == ()


def test_different_or_missing_study_is_not_joined(tmp_path):
    storage = local_storage(tmp_path)
    with pytest.raises(DataError, match="it has none; start one with --search"):
        open_study(storage, "mine", None)
    open_study(storage, "mine", PLAN)
    other = parse_space("fast", ["batch_size=32"], ["epochs=1..4", "learning_rate=0.001..0.1:log"])
    with pytest.raises(DataError, match=r"another search \(search: .*batch_size: 256 there, 32"):
        open_study(storage, "mine", plan_of(other, 2, 60))
    with pytest.raises(DataError, match="expected one of mine"):
        open_study(storage, "yours", None)


@pytest.mark.parametrize(
    ("storage", "shown"),
    [
        ("nonsense", "the database"),
        ("sqlite:////nowhere/at/all.db", "sqlite:////nowhere/at/all.db"),
        ("oracle+nothing://me:secret@host/db", "oracle+nothing://me:***@host/db"),
        ("", "study.db"),  # a file that is not a database
    ],
)
def test_unusable_database_is_a_one_line_error_without_password(
    storage, shown, tmp_path, monkeypatch
):
    monkeypatch.setattr("digitlens.training.tune.PAUSE", 0)
    (tmp_path / "study.db").write_text("this is not a database, and quite long at that" * 99)
    with pytest.raises(DataError) as told:
        open_study(storage or local_storage(tmp_path), "mine", PLAN)
    assert "cannot be used" in str(told.value)
    assert "\n" not in str(told.value)
    assert shown in str(told.value)
    assert "expected the URL of a database" in str(told.value)


def test_foreign_study_is_refused(tmp_path, monkeypatch):
    study = open_study(local_storage(tmp_path), "mine", PLAN)
    monkeypatch.setattr("digitlens.training.tune.PLAN", "another attribute")
    with pytest.raises(DataError, match="not created by digitlens tune"):
        open_study(local_storage(tmp_path), study.study_name, None)


SMALL = ["widths=4,8", "kernels=3", "epochs=2", "validation=random", "seed=5"]


@pytest.fixture
def begin(tmp_path, small_split, monkeypatch):
    """Returns a function that opens a study with few tiles, split once by the recipe's seed."""
    memory = InMemoryStorage()  # a write to a file takes some hundredths of a second
    monkeypatch.setattr("digitlens.training.tune._connect", lambda _: memory)
    monkeypatch.setattr("digitlens.training.tune._create_local_study", lambda *_: False)

    def make(*searches: str, seeds: int = 1, changes: tuple[str, ...] = (), pruning: bool = True):
        space = parse_space("fast", [*SMALL, *changes], searches)
        splits = space.base.split(small_split)
        plan = plan_of(space, seeds, len(splits[1]))
        return open_study(local_storage(tmp_path), "mine", plan, pruning=pruning), splits

    return make


@pytest.fixture
def faked(monkeypatch):
    """Replaces training; accuracies come from a function of recipe and epoch."""
    seen = []

    def use(accuracy_of):
        def train(recipe, training, validation, folder, on_epoch):
            seen.append((recipe, training, validation))
            history = []
            for epoch in range(1, recipe.epochs + 1):
                accuracy = accuracy_of(recipe, epoch)
                row = {"epoch": epoch, "val_accuracy": accuracy, "val_loss": 1 - accuracy}
                history.append(row)
                (folder / "state.safetensors").touch()
                on_epoch(row)
            best = min(history, key=lambda row: row["val_loss"])["epoch"]
            return SimpleNamespace(history=history, best_epoch=best)

        monkeypatch.setattr(tune_module, "train_classifier", train)
        return seen

    return use


def test_trials_are_trained_and_leave_recipe_and_history(begin, tmp_path):
    study, splits = begin("learning_rate=0.01..0.5:log", "pool=max|stride")
    search(study, splits, tmp_path, trials=2)
    result = result_of(study)
    assert [trial.state for trial in result.trials] == ["complete"] * 2
    assert result.trials[0].chosen == {"learning_rate": 0.15, "pool": "max"}  # as in the recipe
    assert all(0 < trial.accuracy <= 1 for trial in result.trials)
    assert all(trial.seconds > 0 for trial in result.trials)
    names = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("seed-5/*")}
    kept = ("recipe.toml", "history.jsonl", "steps.jsonl")
    assert names == {f"trials/000{n}/seed-5/{name}" for n in (1, 2) for name in kept}


def test_accuracy_is_the_mean_over_seeds_of_the_kept_epochs(begin, faked, tmp_path):
    accuracies = {(5, 1): 0.5, (5, 2): 0.4, (6, 1): 0.7, (6, 2): 0.9}
    seen = faked(lambda recipe, epoch: accuracies[recipe.seed, epoch])
    study, splits = begin("learning_rate=0.001..0.05:log", seeds=2)
    search(study, splits, tmp_path, trials=1)
    (trial,) = result_of(study).trials
    assert trial.accuracies == (0.5, 0.9)
    assert trial.losses == pytest.approx((0.5, 0.1))
    assert trial.accuracy == pytest.approx(0.7)
    assert [recipe.seed for recipe, *_ in seen] == [5, 6]
    assert all(training is splits[0] for _, training, _ in seen)
    assert all(validation is splits[1] for *_, validation in seen)


def test_better_recipe_is_found(begin, faked, tmp_path):
    faked(lambda recipe, _: 1 - abs(recipe.dropout - 0.3))
    study, splits = begin("dropout=0..0.9")
    search(study, splits, tmp_path, trials=14)
    result = result_of(study)
    assert result.best_recipe.dropout == pytest.approx(0.3, abs=0.15)
    assert result.importance == {"dropout": pytest.approx(1.0)}


def test_trial_below_the_median_is_pruned_with_a_reason(begin, faked, tmp_path):
    faked(lambda recipe, epoch: 0.9 - 0.4 * (recipe.dropout > 0.2) + 0.001 * epoch)
    study, splits = begin("dropout=0..0.9", changes=("epochs=10",))
    for start in (0.0, 0.1, 0.15, 0.05, 0.12, 0.8):
        study.enqueue_trial({"dropout": start})
    search(study, splits, tmp_path, trials=7)
    last = result_of(study).trials[-1]
    assert (last.state, last.accuracy) == ("pruned", None)
    assert last.reason == "behind the median after epoch 3"
    assert last.latest == pytest.approx(0.503)
    assert not list(tmp_path.rglob("state.safetensors"))


def test_trainings_are_compared_at_the_same_fraction_of_epochs(begin, faked, tmp_path):
    # Both rise evenly to 0.9; compared by epoch number, the long ones would be far behind.
    faked(lambda recipe, epoch: 0.9 * epoch / recipe.epochs)
    study, splits = begin("epochs=5..40")
    for epochs in (5, 5, 5, 5, 5, 40):
        study.enqueue_trial({"epochs": epochs})
    search(study, splits, tmp_path, trials=6)
    assert result_of(study).count("complete") == 6
    assert max(study.trials[-1].intermediate_values) == 10


def test_recipe_is_not_trained_twice(begin, faked, tmp_path):
    seen = faked(lambda _recipe, _epoch: 0.8)
    study, splits = begin("pool=max|stride")
    search(study, splits, tmp_path, trials=6)
    assert len(seen) == 2
    result = result_of(study)
    assert result.count("complete") == 6
    assert sum(trial.reason.startswith("the same as trial") for trial in result.trials) == 4


def test_failed_trials_are_kept_with_their_reason(begin, faked, tmp_path):
    def fail(recipe, _epoch):
        if recipe.dropout > 0.5:
            raise RuntimeError("no memory\nand a long story")
        return float("nan") if recipe.dropout > 0.4 else 0.9

    faked(fail)
    study, splits = begin("dropout=0..0.9")
    for dropout in (0.6, 0.45):
        study.enqueue_trial({"dropout": dropout})
    told = []
    search(study, splits, tmp_path, trials=3, on_trial=told.append)
    first, second, third = result_of(study).trials
    assert first.state == "complete"
    assert (second.state, second.reason) == ("failed", "RuntimeError: no memory")
    assert (third.state, third.reason) == ("pruned", "diverged in epoch 1")
    assert [trial.state for trial in told] == [
        *("running", "complete", "running", "failed", "running", "pruned")
    ]


def test_study_stops_if_all_trials_fail_and_at_its_time_limit(begin, faked, tmp_path):
    def fail(*_):
        raise RuntimeError("no memory")

    faked(fail)
    study, splits = begin("dropout=0..0.9")
    search(study, splits, tmp_path, trials=9, timeout=0.0)
    assert not result_of(study).trials
    with pytest.raises(DataError, match=r"first 3 trials .* failed, .* RuntimeError: no memory"):
        search(study, splits, tmp_path, trials=30)
    assert result_of(study).count("failed") == 3


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError("disk is full")])
def test_interrupted_study_resumes(error, begin, faked, tmp_path):
    def stop(*_: object) -> float:
        raise error

    faked(stop)
    study, splits = begin("dropout=0..0.9")
    with pytest.raises((KeyboardInterrupt, OSError)):
        search(study, splits, tmp_path, trials=3)
    assert [trial.reason for trial in result_of(study).trials] == ["interrupted"]
    faked(lambda _recipe, _epoch: 0.9)
    again = open_study(local_storage(tmp_path), "mine", None)
    search(again, splits, tmp_path, trials=3)
    assert [trial.state for trial in result_of(again).trials] == ["failed", *["complete"] * 3]
    search(again, splits, tmp_path, trials=3)
    assert len(result_of(again).trials) == 4


PROGRAM = """
import sys
from pathlib import Path
import numpy as np
from digitlens.datasets.mnist import Split
from digitlens.training.search_space import parse_space
from digitlens.training.tune import local_storage, open_study, plan_of
from digitlens.training.tune import search

labels = np.arange(100, dtype=np.uint8) % 10
split = Split(np.repeat(labels * 25, 784).reshape(100, 28, 28), labels)
space = parse_space("fast", ["widths=4", "kernels=3", "epochs=1"], ["dropout=0..0.9"])
study = open_study(local_storage(Path(sys.argv[1])), "shared", plan_of(space, 1, 100))
mine = []
search(study, (split, split), Path(sys.argv[1]), trials=6, on_trial=mine.append)
print(*(trial.number for trial in mine if trial.state == "complete"))
"""


def test_two_processes_share_a_study(tmp_path, monkeypatch, capsys):
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        while not list(tmp_path.glob("trials/*")):  # the first trial has begun
            assert other.poll() is None
            time.sleep(0.01)
        monkeypatch.setattr(sys, "argv", ["", str(tmp_path)])
        exec(PROGRAM, {})  # another process would take seconds to import
        stdout, _ = other.communicate(timeout=100)
    assert other.returncode == 0
    done = [int(number) for number in (stdout + capsys.readouterr().out).split()]
    study = open_study(local_storage(tmp_path), "", None)
    trials = result_of(study).trials
    assert sorted(done) == [trial.number for trial in trials]
    assert 6 <= len(trials) <= 7  # both may start the last one
    assert len({str(trial.chosen) for trial in trials}) == len(trials)
    assert all(trial.state == "complete" for trial in trials)


@pytest.mark.skipif(os.name != "posix", reason="folders cannot be locked")
def test_trial_of_a_killed_process_does_not_count(tmp_path, monkeypatch):
    monkeypatch.setattr(tune_module, "train_classifier", _trained)
    study = open_study(local_storage(tmp_path), "mine", PLAN)
    chosen = {"epochs": 2, "learning_rate": 0.05}
    study.enqueue_trial(chosen)
    with pytest.warns(UserWarning, match="Heartbeat"):
        study.ask()  # by a killed process
    torn = tmp_path / "trials" / "0001" / "seed-0" / ".state-0.safetensors"
    write_bytes(torn, b"half")
    search(study, (None, None), tmp_path, trials=1)
    assert not torn.exists()
    assert [trial.state for trial in result_of(study).trials] == ["failed", "complete"]
    assert result_of(study).trials[1].chosen == chosen
    with pytest.warns(UserWarning, match="Heartbeat"):
        dead = study.ask()
    with tune_module._shared_lock(study, tmp_path):  # of another process: the trial may be its own
        with pytest.warns(UserWarning, match="Heartbeat"):
            study.ask()
        search(study, (None, None), tmp_path, trials=0)
        states = [trial.state for trial in result_of(study).trials]
    assert states == ["failed", "complete", "failed", "running"]
    assert dead.number == 2


def _trained(*_, **__):
    return SimpleNamespace(history=[{"val_accuracy": 0.5, "val_loss": 1.0}], best_epoch=1)


@pytest.mark.parametrize("broken", [["_suggest"], ["_suggest", "_enqueue_again"]])
def test_trial_that_failed_before_choosing_is_repeated(broken, tmp_path, monkeypatch):
    def full(*_):
        raise OSError("disk is full")

    monkeypatch.setattr(tune_module, "train_classifier", _trained)
    chosen = {"epochs": 3, "learning_rate": 0.02}
    study = open_study(local_storage(tmp_path), "mine", PLAN)
    study.enqueue_trial(chosen)
    with monkeypatch.context() as patched:
        for name in broken:
            patched.setattr(tune_module, name, full)
        with pytest.raises(OSError, match="disk is full"):
            search(study, (None, None), tmp_path, trials=1)
    left = tmp_path / "trials" / "0001" / "seed-0" / ".history-0.jsonl"
    write_bytes(left, b"half")
    search(study, (None, None), tmp_path, trials=2)
    assert not left.exists()
    assert [trial.state for trial in result_of(study).trials] == ["failed", "complete", "complete"]
    assert result_of(study).trials[1].chosen == chosen


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_failed_heartbeat_prints_no_traceback(tmp_path, monkeypatch, capsys):
    def full(*_):
        raise StorageInternalError("An exception is raised.")

    monkeypatch.setattr(tune_module, "train_classifier", _trained)
    study = open_study(local_storage(tmp_path), "mine", PLAN)
    monkeypatch.setattr(study._storage._backend, "record_heartbeat", full)
    search(study, (None, None), tmp_path, trials=1)
    assert result_of(study).trials[0].state == "complete"
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "call", ["create_new_trial", "set_trial_user_attr", "set_trial_state_values"]
)
def test_database_that_becomes_unwritable_is_a_one_line_error(call, tmp_path, monkeypatch):
    def full(*_, **__):
        raise StorageInternalError("An exception is raised.") from OSError("disk is full")

    study = open_study(local_storage(tmp_path), "mine", PLAN)
    monkeypatch.setattr(tune_module, "train_classifier", _trained)
    monkeypatch.setattr(study._storage, call, full)
    with pytest.raises(DataError, match=r"database of the study cannot be used \(disk is full\)"):
        search(study, (None, None), tmp_path, trials=1)


def test_study_is_created_atomically(tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(optuna.Study, "set_user_attr", killed)
    with pytest.raises(KeyboardInterrupt):
        open_study(local_storage(tmp_path), "mine", PLAN)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    assert space_of(open_study(local_storage(tmp_path), "mine", PLAN)) == SPACE
