import numpy as np

from digitlens.evaluation.label_errors import MNIST_TEST, MNIST_TEST_SHA256, known_label_errors


def test_the_fifteen_are_known_for_the_test_set_only():
    known = known_label_errors(MNIST_TEST_SHA256)
    assert len(known) == len(set(MNIST_TEST)) == 15
    assert (np.diff(known) > 0).all()
    assert known[0] == 947
    assert known[-1] == 9729
    assert not len(known_label_errors("0" * 64))
