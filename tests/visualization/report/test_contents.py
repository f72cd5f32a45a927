import pytest

from digitlens.visualization.report import contents as words


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (words.percent(0.98742), "98.74 %"),
        (words.percent(0.999999), "99.99 %"),  # less than all is not all
        (words.percent(1.0), "100.00 %"),
        (words.rough(0.97), "97 %"),
        (words.rough(0.9984), "99.8 %"),
        (words.rough(0.004), "0.4 %"),
        (words.rough(1.0), "100 %"),
        (words.rough(1 - 1e-7), "99.999 %"),
        (words.tick(0.0025), "0.25 %"),
        (words.duration(0.000312), "0.312 ms"),
        (words.duration(24.94), "24.9 s"),
        (words.duration(1614), "27 min"),
        (words.duration(8000), "2 h 13 min"),
        (words.plural(1, "error"), "1 error"),
        (words.plural(1226, "error"), "1,226 errors"),
        (words.value((16, 32)), "16, 32"),
        (words.value(True), "yes"),
        (words.value(""), "\u2013"),
    ],
)
def test_written(call, expected):
    assert call.replace(words.THIN, " ") == expected
