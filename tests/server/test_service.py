import pytest

from digitlens.results import Box, Digit, Reading
from digitlens.server.service import Metrics


@pytest.mark.parametrize(
    ("reason", "label"),
    [
        ("hardly a digit, closest to 3 (12 %)", "unlike a digit"),
        ("hardly a digit, closest to 8 (39 %)", "unlike a digit"),
        ("more than the digits that were expected", "not expected"),
        ("because a client could make this up", "other"),
    ],
)
def test_rejects_have_few_labels(reason, label):
    digit = Digit(3, 0.1, (0.1,) * 10, Box(0, 0, 1, 1), "rejected", reason)
    metrics = Metrics()
    metrics.readings([Reading(((digit,),), 1, 1, "m", "x")])
    assert f'digitlens_rejects_total{{reason="{label}"}} 1.0' in metrics.text().decode()


def test_a_number_that_is_watched_is_shown_as_it_is():
    metrics, values = Metrics(), [3, 5]
    metrics.watch("queue_depth", "Waiting.", values.pop)
    assert "digitlens_queue_depth 5.0" in metrics.text().decode()
    assert "digitlens_queue_depth 3.0" in metrics.text().decode()
