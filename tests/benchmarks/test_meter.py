import re

from PIL import ImageFont

import meter


def test_reading_of_the_digit_wheels_is_right():
    assert meter.is_right(1234567, 1234567.4)
    assert meter.is_right(1234568, 1234567.4)
    assert not meter.is_right(1234566, 1234567.4)
    assert not meter.is_right(1234567, None)


def test_simulated_pictures_are_read_without_a_wrong_value(tmp_path):
    font = ImageFont.load_default(40)
    minutes = [600, *range(660, 675, 3)]  # one from the dead camera, then daylight
    told = meter.measure(meter.simulate(font, minutes=minutes), tmp_path, font)
    stored, wrong = re.search(r"(\d+) stored .*, (\d+) wrong", told).groups()
    assert told.startswith("6 pictures, 5 of the working camera")
    assert int(wrong) == 0
    assert int(stored) >= 3, told
