import matplotlib as mpl
from PIL import Image

from digitlens.visualization import figures


def test_every_picture_of_a_report_is_written_and_large_enough_for_a_talk(report, tiles, tmp_path):
    settings = dict(mpl.rcParams)
    written = figures.draw_report(report, tiles, tmp_path / "new")
    names = ["confusion", "classes", "calibration", "wrong", "correct"]
    assert [path.name for path in written] == [f"{name}.png" for name in names]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(
        f"{name}.png" for name in names
    )
    for path in written:
        with Image.open(path) as picture:
            assert min(picture.size) >= 400
            assert max(picture.size) >= 1400
            assert len(picture.convert("L").getcolors()) > 20  # something is drawn
    assert dict(mpl.rcParams) == settings


def test_nothing_wrong_and_nothing_right_can_be_drawn(reported, tiles, tmp_path):
    perfect = reported({})
    hopeless = reported({i: (i + 1) % 10 for i in range(60)})
    for name, one in (("perfect", perfect), ("hopeless", hopeless)):
        assert len(figures.draw_report(one, tiles, tmp_path / name)) == 5
