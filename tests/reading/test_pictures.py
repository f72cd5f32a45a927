"""Readings of drawn pictures: numbers as they are written, without words."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from digitlens.datasets.synthetic.displays import Segments, seven_segments

INK, PAPER = 25, 240

WRITTEN = {
    "12.50": "12.50",
    "-37": "-37",
    "7.5%": "7.5%",
    "3/4": "3/4",
    "27/04/2021": "27/04/2021",
    "$6000.00": "$6000.00",
    "6.022e23": "6.022e23",
    "+49 30 90 18 20": "+49 30 90 18 20",
    "12:45": "12:45",
    "(8)": "(8)",
    "Room 101B": "101",
    "Total: 17,80": "17,80",
    "DE89 3704 0044 0532 0130 00": "89 3704 0044 0532 0130 00",
    "$29.99 $17.49": "$29.99 $17.49",
    "84 m², 37 m³": "84 37",
    "hello world": "",
    "Smith & Sons": "",
    "B&B, R&D 2024": "2024",
    "Sections 5 & 6": "5 6",
    "5 & 6": "5 6",
    "H2O": "2",
    "Yes [ ] No [ ]": "",
    "Rock & Roll 1958": "1958",
    "Q & A: ~12 [3]": "12 3",
    "BOISZ": "",
    "SILO": "",
}


def typed(text, height=40, margin=30):
    """A line of print in Pillow's own font: uint8[H, W]."""
    font = ImageFont.load_default(height)
    width = round(font.getlength(text))
    sheet = Image.new("L", (width + 2 * margin, 2 * height + margin), PAPER)
    ImageDraw.Draw(sheet).text((margin, height), text, INK, font, anchor="lm")
    return np.asarray(sheet)


def display(text, height=80):
    """Lit segments on a dark display: uint8[H, W]."""
    how = Segments(0.6, 0.12, 0.02, "square", 0.0, 0.82, (True, True, False))
    panel = seven_segments(text, how, np.random.default_rng(0))
    sheet = Image.new("L", (round(height * (panel.extent[2] + 0.6)), 2 * height), 30)
    for outline, lit in panel.segments:
        points = height * outline + (0.3 * height, 1.5 * height)
        ImageDraw.Draw(sheet).polygon([tuple(point) for point in points], 220 if lit else 30)
    return np.asarray(sheet)


@pytest.mark.parametrize("text", WRITTEN)
def test_numbers_are_read_as_they_are_written(reader, text):
    assert reader.read(typed(text)).text == WRITTEN[text]


@pytest.mark.parametrize("height", [14, 90])
@pytest.mark.parametrize("text", ["12.50", "27/04/2021", "Room 101B"])
def test_small_and_large_print_is_read_alike(reader, text, height):
    assert reader.read(typed(text, height)).text == WRITTEN[text]


@pytest.mark.parametrize("text", ["2000000", "5000000", "$6600.00", "1'000'000"])
def test_repeated_digits_in_narrow_print_are_all_read(reader, text):
    """Each digit is narrower than a step of the recogniser."""
    page = Image.fromarray(typed(text, margin=8))
    narrow = page.resize((round(0.42 * page.width), page.height))
    assert reader.read(np.asarray(narrow)).text == text


def test_dust_on_a_large_sheet_is_no_digit(reader):
    """An earlier reader returned ten of thirty specks as zeros, one of them as sure."""
    rng = np.random.default_rng(0)
    sheet = Image.new("L", (2400, 1700), PAPER)
    draw = ImageDraw.Draw(sheet)
    for x, y in rng.uniform((40, 40), (2360, 1660), (30, 2)):
        across, down = rng.uniform(6, 20, 2)
        draw.ellipse((x, y, x + across, y + down), round(rng.uniform(40, 140)))
    shown = [digit for digit in reader.read(np.asarray(sheet)).digits if digit.status != "rejected"]
    assert [digit.status for digit in shown] in ([], ["unsure"], ["unsure"] * 2)


def test_numbers_in_a_sentence_are_read_in_order(reader):
    page = typed("Of 250 pages, 12 are blank and 3.5% are torn", 32)
    assert reader.read(page).text == "250 12 3.5%"


def test_each_number_of_a_dense_page_is_read(reader):
    """Thirty lines of five numbers in print of 14 pixels."""
    random = np.random.default_rng(0)
    numbers = random.integers(100, 100_000, (30, 5)).astype(str)
    sheet = Image.new("L", (600, 800), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for row, line in enumerate(numbers):
        for column, number in enumerate(line):
            draw.text((20 + 115 * column, 12 + 26 * row), number, INK, font)
    reading = reader.read(np.asarray(sheet))
    assert reading.numbers_digits == tuple(numbers.ravel())
    assert reading.text.splitlines() == [" ".join(line) for line in numbers]


def column(*amounts, lost=()):
    """Right-aligned amounts in a column; rows in ``lost`` have a gap for their last character."""
    font = ImageFont.load_default(30)
    sheet = Image.new("L", (320, 60 * len(amounts) + 30), PAPER)
    pen = ImageDraw.Draw(sheet)
    for row, amount in enumerate(amounts):
        x, y = 290 - font.getlength(amount), 45 + 60 * row
        pen.text((x, y), amount[:-1] if row in lost else amount, INK, font, anchor="lm")
    return np.asarray(sheet)


def test_an_amount_that_may_have_lost_its_minus_is_unsure(reader):
    amounts = ("1,234.50", "56.40-", "7.80", "312.95", "88.10-", "41.25")
    whole, part = reader.read(column(*amounts)), reader.read(column(*amounts, lost=(4,)))
    assert [number.status for number in whole.numbers] == ["number"] * 6
    assert [str(number.value) for number in whole.numbers][4] == "-88.10"
    assert [number.status for number in part.numbers] == [*["number"] * 4, "unsure", "number"]


def test_small_cents_that_stand_apart_belong_to_their_price(reader):
    sheet = Image.new("L", (360, 140), PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((60, 100), "5.", INK, ImageFont.load_default(80), anchor="ls")
    pen.text((190, 75), "65", INK, ImageFont.load_default(50), anchor="ls")
    (number,) = reader.read(np.asarray(sheet)).numbers
    assert str(number.value) == "5.65"


def test_a_display_of_seven_segments_is_read(reader):
    assert reader.read(display("8307419526")).text == "8307419526"


def test_upside_down_line_is_turned(reader):
    page = np.ascontiguousarray(np.rot90(typed("2048", 60), 2))
    found = reader.examine(page)
    assert (found.turn, found.reading.text) == (2, "2048")


@pytest.mark.parametrize("width", [4, 8, 14, 26])
def test_a_lone_stroke_is_a_one(reader, width):
    sheet = Image.new("L", (640, 360), PAPER)
    ImageDraw.Draw(sheet).line((320, 100, 320, 280), INK, width)
    assert reader.read(np.asarray(sheet)).text == "1"


@pytest.mark.parametrize("turn", [1, 3])
def test_number_lying_on_its_side_is_read(reader, turn):
    assert reader.read(np.ascontiguousarray(np.rot90(typed("382", 60), turn))).text == "382"


@pytest.mark.parametrize("pen", [2, 5])
def test_a_large_ring_whose_ends_overlap_is_a_zero(reader, pen):
    sheet = Image.new("L", (226, 276), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.ellipse((28, 40, 196, 246), outline=INK, width=pen)
    draw.line((98, 44, 118, 54), INK, pen)
    assert reader.read(np.asarray(sheet)).text == "0"


def test_numbers_on_a_dial_are_read_and_not_its_ring(reader):
    """An earlier reader returned only the ring."""
    sheet = Image.new("L", (340, 340), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(30)
    draw.ellipse((12, 12, 328, 328), outline=INK, width=6)
    for hour in range(1, 13):
        away = 124 * np.exp(1j * np.pi * (hour / 6 - 0.5))
        draw.text((170 + away.real, 170 + away.imag), str(hour), INK, font, anchor="mm")
    numbers = [number.text for number in reader.read(np.asarray(sheet)).numbers]
    assert sorted(numbers, key=int) == [str(hour) for hour in range(1, 13)]


def test_digits_on_buttons_are_read_and_not_the_rims(reader):
    sheet = Image.new("L", (420, 150), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(34)
    for x, digit in ((75, "4"), (210, "7"), (345, "2")):
        draw.ellipse((x - 45, 30, x + 45, 120), 170)
        draw.text((x, 75), digit, INK, font, anchor="mm")
    assert reader.read(np.asarray(sheet)).text == "4 7 2"
