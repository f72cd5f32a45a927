import numpy as np

from digitlens.evaluation.votes import Votes, all_votes


def votes(*existence):
    count = len(existence)
    score = np.array(existence, np.float32)
    boxes = np.stack([score, score, 2 * score, 3 * score], axis=1)
    return Votes(score, score / 2, np.full((count, 3, 10), 0.1, np.float32), boxes)


def test_votes_are_chosen_together():
    chosen = votes(0.1, 0.2, 0.3)[np.array([True, False, True])]
    assert len(chosen) == 2
    assert np.allclose(chosen.digit, [0.05, 0.15])
    assert np.allclose(chosen.height, [0.2, 0.6])
    assert chosen.names.shape == (2, 3, 10)


def test_votes_of_pages_follow_each_other_also_where_a_page_has_none():
    whole = all_votes([votes(0.1), votes(), votes(0.2, 0.3)])
    assert np.allclose(whole.existence, [0.1, 0.2, 0.3])
    assert whole.names.shape == (3, 3, 10)
