"""The fast path of ``digitlens read FILES`` behaves exactly like the full parser."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from digitlens.__main__ import are_files

EXAMPLES = Path(__file__).parents[1] / "examples"
LONG = "from digitlens.cli.main import main; main()"


def run(*arguments, long=False, **options):
    program = ["-c", LONG] if long else ["-m", "digitlens"]
    command = [sys.executable, *program, "read", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=False, **options)


@pytest.mark.parametrize(
    ("arguments", "short"),
    [
        *((["a.png"], True), (["-"], True), (["a", "b", "--json"], True), (["--csv", "a"], True)),
        *((["a b", "*.png"], True), ([], False), (["--json"], False), (["--help"], False)),
        *((["--json", "--csv", "a"], False), (["--json", "--json", "a"], False)),
        *((["a", "--model", "m"], False), (["--", "a"], False), (["-x", "a"], False)),
        (["--jso", "a"], False),
    ],
)
def test_plain_files_take_the_fast_path_and_anything_else_the_parser(arguments, short):
    assert are_files(arguments) == short


@pytest.mark.parametrize("flags", [[], ["--json"], ["--csv"]])
def test_fast_path_and_parser_print_the_same(tmp_path, flags):
    Image.new("L", (64, 64), 255).save(tmp_path / "blank.png")
    files = [EXAMPLES / "drawing.png", tmp_path / "none.png", tmp_path / "blank.png"]
    short, long = run(*flags, *files), run(*flags, *files, long=True)
    assert short.stdout == long.stdout
    assert short.stderr == long.stderr
    assert short.returncode == long.returncode == 1


UNNEEDED = {
    *("typer", "pydantic", "rich", "numpy.ma", "torch", "tempfile", "multiprocessing"),
    *("concurrent.futures.thread", "PIL.GifImagePlugin", "digitlens.evaluation.metrics"),
    *("digitlens.reading.constrained", "digitlens.reading.constraints"),
}


def test_fast_path_loads_no_parser_colours_or_threads():
    program = (
        "import os, sys; from digitlens import __main__;"
        "__main__._quit = lambda outcome: sys.exit(outcome or ' '.join(sys.modules));"
        f"sys.argv = ['digitlens', 'read', {str(EXAMPLES / 'drawing.png')!r}];"
        "__main__.main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    loaded = done.stderr.decode().split()
    assert "onnxruntime" in loaded
    assert not UNNEEDED & set(loaded)


@pytest.mark.usefixtures("interruptible")
def test_interruption_ends_reading_at_once(tmp_path):
    for number in range(2000):
        os.link(EXAMPLES / "note.jpg", tmp_path / f"{number}.jpg")
    command = [sys.executable, "-m", "digitlens", "read", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()  # reading has begun
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said == b""
    assert time.monotonic() - start < 5


def test_closed_pipe_prints_no_error(tmp_path):
    for number in range(200):
        os.link(EXAMPLES / "drawing.png", tmp_path / f"{number}.png")
    command = [sys.executable, "-m", "digitlens", "read", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


# Runs ``digitlens read`` with an audit hook that ends the process if any file is written or changed
# or a connection is opened.
WATCHED = """
import os, sys
def watch(event, arguments):
    flags = os.O_WRONLY | os.O_RDWR | os.O_CREAT
    writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & flags
    changes = event in ("os.mkdir", "os.rename", "os.remove", "shutil.move", "sqlite3.connect")
    if writes or changes or event.startswith(("socket.", "urllib.")):
        os.write(2, f"{event} {arguments}".encode())
        os._exit(3)
from digitlens.__main__ import main
sys.addaudithook(watch)
sys.argv = ["digitlens", "read", *sys.argv[1:]]
main()
"""


def test_reading_opens_no_connection_and_writes_no_file():
    files = [str(EXAMPLES / name) for name in ("note.jpg", "drawing.png")]
    command = [sys.executable, "-B", "-c", WATCHED, *files]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.stderr == b""
    assert done.returncode == 0
    assert b"2048" in done.stdout


MEASURED = """
import sys
from pathlib import Path
import digitlens
print(digitlens.read(sys.argv[1]).text)
print(next(line for line in Path("/proc/self/status").open() if line.startswith("VmHWM:")))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems tell it in other ways")
def test_a_large_photo_is_read_in_bounded_memory(tmp_path):
    with Image.open(EXAMPLES / "note.jpg") as note:
        note.resize((6000, 4000)).save(tmp_path / "photo.jpg")
    command = [sys.executable, "-c", MEASURED, str(tmp_path / "photo.jpg")]
    said = subprocess.run(command, capture_output=True, check=True).stdout.split()
    assert said[0] == b"2048"
    assert 50_000 < int(said[2]) < 600_000  # kB
