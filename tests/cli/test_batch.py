"""``digitlens batch``: pictures to Parquet, options and progress messages."""

import shutil
import signal

import pandas
import pytest

from digitlens.cli import main
from digitlens.errors import DigitlensError
from digitlens.reading import shards
from digitlens.reading.shards import BatchJob, BatchStatus, RowOptions

COMMAND = "batch"


@pytest.fixture
def ran(monkeypatch):
    """Jobs passed to a fake ``run_batch``, each with its number of workers and SIGTERM handler."""
    jobs = []

    def run_batch(job, workers, tell):
        jobs.append((job, workers, signal.getsignal(signal.SIGTERM)))
        tell(BatchStatus(5, 0, 1, None))
        if job.source == "interrupted":
            raise KeyboardInterrupt
        return BatchStatus(1200, 3, 2, 2 if job.source == "all" else 4)

    monkeypatch.setattr(shards, "run_batch", run_batch)
    return jobs


def test_folder_is_written_as_parquet_and_not_read_twice(run, examples, tmp_path):
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    shutil.copy(examples / "drawing.png", source)
    (source / "torn.png").write_bytes(b"no picture")
    done = run(source, "--out", out, "--workers", "1")
    summary = "1 of 1 shards are in"
    assert done.stderr.startswith(f"2 pictures read here, 1 of them with errors; {summary} ")
    assert done.stdout == ""
    rows = pandas.read_parquet(out)
    assert rows["path"].tolist() == ["drawing.png", "torn.png"]
    assert rows["text"].tolist()[0] == "7"
    again = run(source, "--out", out, "--workers", "1")
    assert again.stderr.startswith(f"0 pictures read here; {summary} ")


def test_options_are_passed_to_the_job(run, ran):
    options = "--workers 3 --shard 7 --patience 5 --expect 4 --target-error 1% --decimal ,"
    run("all", "--out", "rows", *options.split(), "--model", "swift")
    expected = RowOptions(
        "swift",
        expect=("4",),
        target_error=0.01,
        notation={"decimal": ",", "grouping": None, "locale": None},
    )
    assert ran[0][:2] == (BatchJob("all", "rows", expected, shard=7, patience=5.0), 3)


def test_progress_and_unfinished_shards_are_reported(run, ran):
    assert run("all", "--out", "rows").stderr == (
        "1,200 pictures read here, 3 of them with errors; 2 of 2 shards are in rows\n"
    )
    done = run("some", "--out", "rows", code=1)
    assert "; 2 of 4 shards are in rows" in done.stderr
    assert len(ran) == 2


def test_sigterm_is_handled_as_an_interruption(run, ran):
    handler = signal.getsignal(signal.SIGTERM)
    done = run("interrupted", "--out", "rows", code=130)
    assert done.stderr == "digitlens: interrupted: run the same command again to resume\n"
    assert ran[0][2] is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is handler


@pytest.mark.usefixtures("ran")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--expect what", "--expect"),
        ("--target-error 2", "--target-error"),
        ("--decimal x", "--decimal"),
        ("--workers 0", "--workers"),
    ],
)
def test_invalid_option_value_is_refused_by_name(run, options, message):
    run.misused(message, "all", "--out", "rows", *options.split())


def test_unknown_address_is_a_one_line_error(run, monkeypatch, capsys):
    run.fails(DigitlensError, "found ftp://host/in", "ftp://host/in", "--out", "rows")
    monkeypatch.setattr("sys.argv", ["digitlens", "batch", "ftp://host/in", "--out", "rows"])
    with pytest.raises(SystemExit, match=r"^digitlens: expected a folder, s3://, gs:// or az://"):
        main.main()
    assert capsys.readouterr().out == ""
