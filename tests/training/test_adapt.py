"""Networks trained further on a user's pictures: when they are taken, and when not."""

import dataclasses
import shutil

import pytest
import torch
from torch import nn

from digitlens.datasets.labelled import load_pictures
from digitlens.datasets.synthetic.styles import Fonts
from digitlens.errors import DataError
from digitlens.models.bundle import load_bundle, load_line_bundle
from digitlens.reading.reader import DigitReader
from digitlens.training import adapt as adapting
from digitlens.training.adapt import LINES, Part, Replay, adapt, judge
from digitlens.training.loop import STATE, Trained, choose_device

pytestmark = pytest.mark.train
RECIPE = dataclasses.replace(LINES, batch_size=2, pool=1, steps=2, check_every=1, warmup_steps=1)


class Weight(nn.Module):
    """A network of one number."""

    def __init__(self, value):
        super().__init__()
        self.value = nn.Parameter(torch.tensor(float(value)))


@pytest.mark.parametrize(
    ("lost", "gained", "kept", "share", "reason"),
    [
        (0.0005, 4, True, 1.0, ""),
        (0.0012, 4, True, 0.7, ""),
        (0.0020, 4, True, 0.4, ""),
        (0.0100, 4, False, 0.4, "it would lose too much of what it knew"),
        (0.0000, 0, False, 1.0, "what was held out does not gain"),
    ],
)
def test_new_weights_are_taken_as_far_as_the_guard_set_allows(lost, gained, kept, share, reason):
    network, part = judge(
        Part("recognizer"),
        (Weight(0), Weight(1)),
        (lambda network: round(5 - gained * network.value.item()), 20),
        lambda network: 0.99 - lost * network.value.item(),
    )
    assert (part.kept, part.share, part.reason) == (kept, share, reason)
    assert network.value.item() == pytest.approx(share if kept else 0)
    assert (part.wrong_before, part.held_out) == (5, 20)


@pytest.fixture(scope="module")
def replay(small_split, maker):
    fonts: Fonts = maker(0)._styles.fonts
    return lambda: Replay((small_split, small_split), (fonts, fonts))


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Everything that is drawn or repeated is little."""
    monkeypatch.setattr(adapting, "GUARD_LINES", 3)
    monkeypatch.setattr(adapting, "CHECKED", 1)
    monkeypatch.setattr(adapting, "_REPLAYED", 40)
    monkeypatch.setitem(adapting.TILES, "epochs", 1)
    monkeypatch.setattr(
        "digitlens.training.tasks.tile._without_digit",
        lambda count, _: torch.zeros(count, 28, 28, dtype=torch.uint8),
    )


def folder_of(examples, path, label):
    """Eight copies of a picture, all with the same label."""
    rows = [f"{number}.jpg,{label}\n" for number in range(8)]
    path.mkdir()
    for number in range(8):
        shutil.copy(examples / "thin.jpg", path / f"{number}.jpg")
    (path / "labels.csv").write_text("".join(["file,label\n", *rows]))
    return load_pictures(path)


@pytest.fixture
def run(tmp_path, replay):
    def run(pictures, **changes):
        device = choose_device("float32")
        settings = {"recipe": RECIPE, "device": device, "workers": 0}
        return adapt("swift", pictures, replay, tmp_path / "new", **settings | changes)

    return run


def test_what_is_read_right_already_is_left_alone(run, examples, tmp_path):
    text = DigitReader("swift").read(examples / "thin.jpg").text
    found = run(folder_of(examples, tmp_path / "own", text))
    assert (found.folder, found.parts, found.wrong_before) == (None, (), 0)
    assert (found.pictures, found.held_out) == (6, 2)


def test_a_stopped_adaptation_goes_on_and_what_gains_nothing_leaves_nothing(
    run, examples, tmp_path, monkeypatch
):
    own = folder_of(examples, tmp_path / "own", "0")
    tuned = adapting.fine_tune
    monkeypatch.setattr(adapting, "fine_tune", _stop)
    with pytest.raises(KeyboardInterrupt):
        run(own)
    assert (tmp_path / "new" / "run" / "lines" / STATE).is_file()
    with pytest.raises(DataError, match="is not empty"):
        run(own)
    with pytest.raises(DataError, match="other labels"):
        run(folder_of(examples, tmp_path / "others", "1"), resume=True)
    monkeypatch.setattr(adapting, "fine_tune", tuned)
    found = run(own, resume=True)
    assert found.folder is None
    assert [part.name for part in found.parts] == ["recognizer", "classifier"]
    assert not any(part.kept for part in found.parts)
    assert not (tmp_path / "new").exists()
    with pytest.raises(DataError, match="nothing to go on with"):
        run(own, resume=True)


def _stop(*_, **__):
    raise KeyboardInterrupt


def test_networks_that_gain_are_written_as_a_model(run, examples, tmp_path, monkeypatch):
    shipped = load_line_bundle()

    def trained(*_, start=None, **__):
        return Trained(start, [], 0, 0.0, {})

    def tuned(network, *_, **__):
        return Trained(network, [], 0, 0.0, {})

    def gains(part, networks, *_):
        return networks[1], dataclasses.replace(part, kept=True, held_out=2, wrong_before=2)

    monkeypatch.setattr(adapting, "train_lines", trained)
    monkeypatch.setattr(adapting, "fine_tune", tuned)
    monkeypatch.setattr(adapting, "judge", gains)
    monkeypatch.setattr(adapting, "export_lines", lambda *_: shipped.recognizer)
    found = run(folder_of(examples, tmp_path / "own", "0"))
    assert found.folder == tmp_path / "new"
    assert found.wrong_after == found.wrong_before > 0
    bundle = load_bundle(found.folder)
    assert (bundle.card.name, bundle.card.results["adapted"]["kept"]) == ("new", True)
    assert (found.folder / "weights.safetensors").is_file()  # to be adapted again
    reader = DigitReader(found.folder)
    assert reader.card.results["adapted"]["name"] == "recognizer"
    assert (
        reader.read(examples / "thin.jpg").text
        == DigitReader("swift").read(examples / "thin.jpg").text
    )
    with pytest.raises(Exception, match="digitlens calibrate"):
        reader.at(0.01)  # what was promised of other weights


def test_too_few_pictures_are_refused(examples, tmp_path, replay):
    own = folder_of(examples, tmp_path / "own", "12")
    few = dataclasses.replace(own, rows=own.rows[:3])
    with pytest.raises(DataError, match="expected 8 labelled pictures or more, found 3"):
        adapt("swift", few, replay, tmp_path / "new")
    assert not (tmp_path / "new").exists()
