import numpy as np
from PIL import Image

from digitlens.explain.counterfactual import Counterfactual
from digitlens.visualization.why import AGAINST, FOR, blended, draw_why, marked, write_why

TILE = np.zeros((28, 28), np.uint8)
TILE[4:24, 12:16] = 255


def test_a_picture_is_written(tmp_path, account):
    write_why(tmp_path / "sub" / "1.png", account())
    with Image.open(tmp_path / "sub" / "1.png") as picture:
        assert (np.asarray(picture) == draw_why(account())).all()


def test_a_picture_holds_tile_evidence_neighbours_and_changes(account):
    full, bare = draw_why(account()), draw_why(account(1, "rejected"))
    assert full.shape[1] == bare.shape[1] == 1200
    assert full.shape[0] > bare.shape[0] + 150  # what would change the answer
    white = [(picture == 255).all(axis=2).sum() for picture in (full, bare)]
    ink = (TILE == 255).sum()
    # The tile eleven times as large, and at least eight neighbours four times as large.
    assert white[1] >= ink * (11 * 11 + 8 * 4 * 4)
    assert white[0] > white[1] - 5 * ink
    for picture in (full, bare):  # nothing is cut off at the edge
        assert len({tuple(row) for row in picture[:, -20:].reshape(-1, 3).tolist()}) == 1
        assert (picture[-30:] == picture[-1, -1]).all()


def test_what_speaks_for_the_answer_is_blue_and_for_the_other_orange():
    evidence = np.zeros((28, 28), np.float32)
    evidence[2, 3], evidence[20, 20] = 1, -1
    picture = blended(TILE, evidence).astype(int)
    assert np.abs(picture[2, 3] - 0.75 * np.array(FOR)).max() <= 1
    assert np.abs(picture[20, 20] - 0.75 * np.array(AGAINST)).max() <= 1
    assert (picture[0, 0] == 0).all()
    assert len(set(picture[10, 13].tolist())) == 1  # ink without evidence is gray
    assert (blended(TILE, 0 * evidence) == blended(TILE, 0 * evidence)[..., :1]).all()


def test_the_patch_is_framed():
    framed = marked(Counterfactual("add", 3, (4, 12), 0.1, 9, 0.7, TILE))
    rows, columns = np.nonzero((framed == AGAINST).all(axis=2))
    assert (rows.min(), columns.min()) == (15, 47)
    assert (rows.max(), columns.max()) == (15 + 13, 47 + 13)
    turned = marked(Counterfactual("turn", 3, None, 0.0, 9, 0.7, TILE))
    assert not (turned == AGAINST).all(axis=2).any()
