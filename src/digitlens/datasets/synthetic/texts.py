"""Grammars of the text on a line: numbers in all common notations, words, and both together.

Two control characters affect the layout and are not part of the label: ``GAP`` is a wide space, as
between the columns of a table, and ``RAISE`` starts and ends a small raised part.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

from digitlens.datasets.synthetic.drawing import Rng, pick, pick_by_share, pick_text
from digitlens.datasets.synthetic.glyph_sources import ICON_FORMS

Grammar = Callable[[Rng], str]

GAP = "\t"
RAISE = "\v"


_TABLES = tomllib.loads(Path(__file__).with_name("words.toml").read_text(encoding="utf-8"))
_SHARES: dict[str, dict[str, float]] = _TABLES.pop("shares")  # weights of grammars, by kind of text
WORDS: dict[str, tuple[str, ...]] = {kind: tuple(text.split()) for kind, text in _TABLES.items()}


UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
LOWER = UPPER.lower()
_CURRENCIES = "$€£¥"
_CODES = ("EUR", "USD", "CHF", "GBP", "DM", "Fr.", "kr", "Rs")
_CODE_LETTERS = "ABCDEFGHJKLMNPQRTUVWXYZ"  # no O, I, S: too similar to 0, 1, 5
_SHAPES = "OIlSZBgqoisz"


def digits(rng: Rng, length: int) -> str:
    """``length`` digits; runs and trailing zeros are slightly more frequent than by chance."""
    kind = rng.random()
    if kind < 0.06:
        return str(rng.integers(10)) * length
    text = "".join(str(v) for v in rng.integers(0, 10, length))
    if kind < 0.16 and length > 2:
        zeros = int(rng.integers(1, length))
        return text[: length - zeros] + "0" * zeros
    return text


def natural(rng: Rng, low: int, high: int) -> str:
    """An integer of ``low`` to ``high`` digits, with leading zeros removed."""
    text = digits(rng, int(rng.integers(low, high + 1))).lstrip("0")
    return text or "0"


def integer(rng: Rng) -> str:
    """An integer of 1 to 8 or 10 digits, mostly short; some have leading zeros."""
    shares = [0.1, 0.22, 0.22, 0.18, 0.1, 0.08, 0.05, 0.03, 0.02]
    length = int(rng.choice([1, 2, 3, 4, 5, 6, 7, 8, 10], p=shares))
    return digits(rng, length) if rng.random() < 0.4 else natural(rng, length, length)


def digit(rng: Rng) -> str:
    """One digit."""
    return str(rng.integers(10))


def decimal(rng: Rng) -> str:
    """A number with a decimal point or comma."""
    decimals = int(rng.choice([1, 2, 3, 4], p=[0.35, 0.45, 0.14, 0.06]))
    whole = natural(rng, 1, 4) if rng.random() < 0.95 else ""
    return whole + pick(rng, "...,,") + digits(rng, decimals)


def thousands(rng: Rng) -> str:
    """A number with thousands separators: comma, point, space or apostrophe."""
    separator, mark = pick(rng, [",.", ".,", " ,", "'.", ",.", " ."])
    groups = int(rng.choice([1, 2, 3], p=[0.7, 0.25, 0.05]))
    text = natural(rng, 1, 3) + "".join(separator + digits(rng, 3) for _ in range(groups))
    return text + (mark + digits(rng, 2) if rng.random() < 0.45 else "")


def plain(rng: Rng) -> str:
    """A whole, decimal or grouped number."""
    kind = rng.random()
    return integer(rng) if kind < 0.45 else decimal(rng) if kind < 0.8 else thousands(rng)


def signed(rng: Rng) -> str:
    """A number with a leading or trailing sign, or in brackets as in accounting."""
    text, kind = plain(rng), rng.random()
    if kind < 0.55:
        return "-" + text
    if kind < 0.72:
        return "+" + text
    if kind < 0.82:
        return text + "-"
    return f"({text})" if kind < 0.95 else "- " + text


def percent(rng: Rng) -> str:
    """A percentage."""
    text = natural(rng, 1, 3) if rng.random() < 0.5 else decimal(rng)
    sign = pick(rng, ["", "", "", "-", "+", "-", "± "])
    return sign + text + pick(rng, ["%", "%", " %"])


def temperature(rng: Rng) -> str:
    """A temperature or an angle."""
    text = natural(rng, 1, 3) + (pick(rng, ".,") + digit(rng) if rng.random() < 0.45 else "")
    return pick(rng, ["", "", "-", "+"]) + text + pick(rng, ["°C", "°", " °C", "°F", "°", "° C"])


def money(rng: Rng) -> str:
    """An amount with its currency before or after it."""
    kind = rng.random()
    text = plain(rng) if kind < 0.3 else natural(rng, 1, 4) + pick(rng, "..,") + digits(rng, 2)
    if kind > 0.9:
        text = natural(rng, 1, 3) + pick(rng, [".-", ",-", ".--", ",--", "-"])
    currency = pick(rng, _CURRENCIES) if rng.random() < 0.75 else " " + pick(rng, _CODES)
    if rng.random() < 0.6:
        return (currency + text) if len(currency) == 1 else currency.strip() + " " + text
    return text + (pick(rng, ["", " "]) + currency.strip() if len(currency) == 1 else currency)


def raised_price(rng: Rng) -> str:
    """A price with small raised cents."""
    point = pick(rng, ["", ".", ",", "."])
    text = natural(rng, 1, 3) + point + RAISE + digits(rng, 2) + RAISE
    return pick(rng, ["", "", "$", "€", "£"]) + text + pick(rng, ["", "", "", "€", "-"])


def date(rng: Rng) -> str:
    """A date in one of the common notations."""
    day, month = int(rng.integers(1, 32)), int(rng.integers(1, 13))
    year = int(rng.integers(1900, 2040))
    kind = rng.random()
    if kind < 0.18:
        return f"{year}-{month:02d}-{day:02d}"
    if kind < 0.3:
        name = pick(rng, WORDS["months"])
        forms = (f"{day} {name} {year}", f"{name} {day}, {year}", f"{day}. {name} {year}", name)
        forms += (f"{name} {year}", f"{day:02d} {name.upper()} {year % 100:02d}")
        return pick(rng, forms)
    d, m = (f"{day:02d}", f"{month:02d}") if rng.random() < 0.65 else (str(day), str(month))
    y = str(year) if rng.random() < 0.6 else f"{year % 100:02d}"
    sign = pick(rng, ["/", "/", ".", ".", "-", " ", ". "])
    return sign.join((d, m, y)) if rng.random() < 0.85 else pick(rng, [f"{d}.{m}.", f"{m}/{y}"])


def time(rng: Rng) -> str:
    """A time of day or a duration."""
    hour, minute = int(rng.integers(0, 24)), int(rng.integers(0, 60))
    text = f"{hour:02d}" if rng.random() < 0.6 else str(hour)
    text += pick(rng, [":", ":", ":", ".", "h"]) + f"{minute:02d}"
    if rng.random() < 0.2:
        text += f":{int(rng.integers(60)):02d}"
    return text + pick(rng, ["", "", "", "", " Uhr", " am", " PM", "h", " h"])


def phone(rng: Rng) -> str:
    """A telephone number."""
    start = pick(rng, ["0", "+49 ", "+1 ", "(0", "+44 (0) ", "1-", "0"])
    text = start + digits(rng, int(rng.integers(2, 4))) + (")" if start == "(0" else "")
    separator = pick(rng, [" ", "-", "/", " ", "."])
    for _ in range(int(rng.integers(1, 4))):
        text += separator + digits(rng, int(rng.integers(2, 5)))
    return text


def grouped(rng: Rng) -> str:
    """Groups of digits, as in card and account numbers, some after a country code."""
    size, count = pick(rng, [2, 3, 4, 4, 5]), int(rng.integers(2, 5))
    separator = pick(rng, [" ", " ", "-", "."])
    start = pick(rng, ["", "", "", "DE" + digits(rng, 2) + " ", "CH" + digits(rng, 2) + " "])
    return start + separator.join(digits(rng, size) for _ in range(count))


def serial(rng: Rng) -> str:
    """Digits and capital letters mixed: serial, licence plate and article numbers."""
    kind = rng.random()
    if kind < 0.3:
        start = pick_text(rng, UPPER, int(rng.integers(1, 4)))
        return start + pick(rng, ["", "-", " "]) + digits(rng, int(rng.integers(1, 7)))
    if kind < 0.5:
        return natural(rng, 1, 4) + pick(rng, UPPER + "abc")
    if kind < 0.65:
        name = pick_text(rng, UPPER, 2)
        return f"{pick(rng, UPPER)}{pick(rng, ['', '-', ' '])}{name} {natural(rng, 1, 4)}"
    text = pick_text(rng, _CODE_LETTERS + "0123456789" * 3, int(rng.integers(3, 11)))
    cut = int(rng.integers(1, len(text)))
    return text[:cut] + pick(rng, ["", "", "-", "/", "."]) + text[cut:]


def dimension(rng: Rng) -> str:
    """Dimensions, such as 12 x 34."""
    separator = pick(rng, ["x", " x ", "×", " × ", "*", "X"])  # noqa: RUF001
    text = separator.join(natural(rng, 1, 4) for _ in range(2 if rng.random() < 0.75 else 3))
    return text + (" " + pick(rng, WORDS["units"]) if rng.random() < 0.25 else "")


def span(rng: Rng) -> str:
    """Two numbers as a range, ratio or list."""
    separator = pick(rng, ["-", "-", " - ", "–", "/", "..", ":", " : ", " & ", " & "])  # noqa: RUF001
    return natural(rng, 1, 4) + separator + natural(rng, 1, 4)


def fraction(rng: Rng) -> str:
    """A fraction, sometimes a mixed number."""
    whole = natural(rng, 1, 2) + " " if rng.random() < 0.3 else ""
    return whole + natural(rng, 1, 2) + "/" + natural(rng, 1, 2)


def exponent(rng: Rng) -> str:
    """A number with a power of ten."""
    start = digit(rng) + "." + digits(rng, int(rng.integers(1, 5)))
    power = pick(rng, ["e", "E", "e-", "e+", "E-", "E+"])
    if rng.random() < 0.2:
        return f"{pick(rng, ['10', digit(rng)])}^{natural(rng, 1, 2)}"
    if rng.random() < 0.7:
        return start + power + natural(rng, 1, 2)
    return f"{start}{pick(rng, ['×', ' × ', ' x '])}10"  # noqa: RUF001


def ordinal(rng: Rng) -> str:
    """An ordinal number, alone or with a word."""
    number = natural(rng, 1, 2)
    teens = len(number) == 2 and number[0] == "1"
    ending = "th" if teens else {"1": "st", "2": "nd", "3": "rd"}.get(number[-1], "th")
    text = number + pick(rng, [ending, ending, ending, ending.upper(), "."])
    return pick(rng, [text, f"{text} {word(rng)}", f"{word(rng)} {text}"])


def formula(rng: Rng) -> str:
    """Digits among letters: a chemical formula, or the name of a product."""
    if rng.random() < 0.4:
        return pick(rng, WORDS["formulas"])
    start = pick(rng, [*_CODE_LETTERS, "MP", "PS", *WORDS["words"][:20]])
    return start + pick(rng, ["", "", "-", " "]) + digit(rng)


def isbn(rng: Rng) -> str:
    """An ISBN."""
    parts = "978", digit(rng), digits(rng, 4), digits(rng, 4), digit(rng)
    start = pick(rng, ["ISBN ", "", "ISBN "])
    return start + pick(rng, ["-", "-", " "]).join(parts[int(rng.integers(2)) :])


def enumerated(rng: Rng) -> str:
    """A number of a section, step, note or article."""
    n = natural(rng, 1, 2)
    forms = (f"{n}.", f"{n})", f"({n})", f"§{n}", f"§ {n}", f"{n}.{digit(rng)}", f"#{n}")
    forms += (f"{n}.{digit(rng)}.{digit(rng)}", f"*{n}", f"{n}:", f"{n}*", f"[{n}]", f"-{n}-")
    return pick(rng, forms)


def marked(rng: Rng) -> str:
    """A number with a mark that is rare in the other grammars."""
    a, b = natural(rng, 1, 4), natural(rng, 1, 3)
    forms = (f"§{a}", f"§ {a}", f"#{a}", f"*{a}", f"*{a}*", f"({a})", f"{a}×{b}", f"{a} × {b}")  # noqa: RUF001
    forms += (f"{a}÷{b}", f"{a} ÷ {b}", f"={a}", f"{a}°", f"+{a}", f"{a}*{b}", f"({a}-{b})")
    forms += (f"{a}'{b}", f"{a}%", f"${a}", f"£{a}", f"¥{a}", f"€{a}", f"{a}+{b}", f"{a}:{b}")
    return pick(rng, forms)


def equation(rng: Rng) -> str:
    """A sum, difference, product or quotient, with or without its result."""
    a, b = int(rng.integers(1, 100)), int(rng.integers(1, 100))
    sign, result = (
        ("+", a + b),
        ("-", a - b),
        (pick(rng, "×x*"), a * b),  # noqa: RUF001
        (pick(rng, "÷:/"), a // b),
    )[int(rng.integers(4))]
    gap = pick(rng, ["", " "])
    end = pick(rng, [f"={gap}{result}", "=", f"={gap}{result}", "", "= ?"])
    return f"{a}{gap}{sign}{gap}{b}{gap}{end}"


def measured(rng: Rng) -> str:
    """A number with its unit."""
    return plain(rng) + pick(rng, ["", " ", " "]) + pick(rng, WORDS["units"])


def table_row(rng: Rng) -> str:
    """Several numbers separated by wide gaps."""
    count, cell = int(rng.integers(2, 6)), pick(rng, (integer, decimal, money, integer, percent))
    return GAP.join(cell(rng) for _ in range(count))


def receipt(rng: Rng) -> str:
    """A line of a receipt, such as words with a price far to the right."""
    words = " ".join(word(rng) for _ in range(int(rng.integers(1, 3))))
    words = words.upper() if rng.random() < 0.4 else words
    price = natural(rng, 1, 3) + pick(rng, ".,") + digits(rng, 2)
    kind = rng.random()
    if kind < 0.25:
        return f"{natural(rng, 1, 2)} {pick(rng, ['x ', '', 'X '])}{words}{GAP}{price}"
    if kind < 0.5:
        return f"{words}{GAP}{price}{pick(rng, ['', ' €', ' A', ' B', ' EUR', '-', ' *'])}"
    if kind < 0.7:
        return f"{natural(rng, 1, 2)} x {price}{GAP}{price}"
    return f"{pick(rng, WORDS['labels'])}{pick(rng, [':', '', ''])}{GAP}{money(rng)}"


def labelled(rng: Rng) -> str:
    """A label followed by a number."""
    value = pick(rng, (integer, plain, money, serial, date, integer))(rng)
    return pick(rng, WORDS["labels"]) + pick(rng, [" ", " ", ": ", ":"]) + value


def phrase(rng: Rng) -> str:
    """Words with a number among them."""
    words = [word(rng) for _ in range(int(rng.integers(1, 4)))]
    sign = ["&"] if rng.random() < 0.2 else []
    for inserted in (*sign, plain(rng)):
        words.insert(int(rng.integers(len(words) + 1)), inserted)
    return " ".join(words)


def word(rng: Rng) -> str:
    """A common word or random letters; lower case, upper case or capitalised."""
    kind = rng.random()
    if kind < 0.7:
        text = pick(rng, WORDS["words"])
    elif kind < 0.88:
        text = ""
        for _ in range(int(rng.integers(1, 5))):
            text += pick(rng, "bcdfghjklmnprstvwz")
            text += pick(rng, "aeiouäéö" if rng.random() < 0.1 else "aeiou")
    else:
        text = pick_text(rng, LOWER, int(rng.integers(1, 9)))
    case = rng.random()
    return text if case < 0.4 else text.capitalize() if case < 0.7 else text.upper()


def words(rng: Rng) -> str:
    """One to four words, some with a mark."""
    count = int(rng.choice([1, 2, 3, 4], p=[0.5, 0.25, 0.15, 0.1]))
    text = " ".join(word(rng) for _ in range(count))
    return text + pick(rng, ["", "", "", ".", ",", ":", "!", "?", ";", "-", ")"])


def joined(rng: Rng) -> str:
    """Words or initials joined by an ampersand or another sign outside the alphabet."""
    gap, sign = pick(rng, [" ", " ", " ", ""]), "&" if rng.random() < 0.7 else pick(rng, "@_~<>^")
    kind = rng.random()
    if kind < 0.6:
        return word(rng) + gap + sign + gap + word(rng)
    if kind < 0.85:
        return pick(rng, UPPER) + gap + sign + gap + pick(rng, UPPER)
    return pick(rng, [f"{word(rng)} {sign}", f"{sign} {word(rng)}", f'"{word(rng)}"', sign])


def leader(rng: Rng) -> str:
    """A line of contents: words or a label, a row of dots, and a number."""
    dots = pick(rng, [".", ".", ". ", " ."]) * int(rng.integers(4, 22))
    start = pick(rng, ["", "", f"{natural(rng, 1, 2)} ", f"{digit(rng)}.{digit(rng)} "])
    name = " ".join(word(rng) for _ in range(int(rng.integers(1, 3))))
    end = natural(rng, 1, 3)
    end += f".{digits(rng, 2)}" if rng.random() < 0.2 else ""
    return f"{start}{name}{pick(rng, ['', ' '])}{dots}{pick(rng, ['', ' '])}{end}"


def shapes(rng: Rng) -> str:
    """A word without digits, of letters that look like digits."""
    text = pick_text(rng, "OISZBGloiszgqb", int(rng.integers(2, 6)))
    return text.upper() if rng.random() < 0.6 else text.lower()


def letter(rng: Rng) -> str:
    """One letter or sign; letters that look like a digit are more frequent."""
    return pick(rng, _SHAPES if rng.random() < 0.3 else UPPER + LOWER + "&@?")


def pointed(rng: Rng) -> str:
    """An icon, such as an arrow, alone or with words and numbers."""
    icon, gap, kind = pick(rng, tuple(ICON_FORMS)), pick(rng, ["", " ", " ", "  "]), rng.random()
    if kind < 0.2:
        return icon * int(rng.integers(1, 4))
    text = word(rng) if kind < 0.6 else natural(rng, 1, 4)
    text = icon + gap + text if rng.random() < 0.7 else text + gap + icon
    return text + GAP + natural(rng, 1, 3) if kind < 0.35 else text


def foreign(rng: Rng) -> str:
    """A word of Greek or Cyrillic letters, sometimes followed by a number."""
    letters = pick(rng, ["αβγδεζθλμπρσφψωΓΔΘΛΞΠΣΦΨΩ", "бвгджийлнптфцчшщыэюяБГДЖИЛФЦЧШЩЭЮЯ"])
    text = pick_text(rng, letters, int(rng.integers(1, 8)))
    return text + (" " + natural(rng, 1, 4) if rng.random() < 0.35 else "")


def hand_number(rng: Rng) -> str:
    """A number as written by hand: plain digits, dates, amounts and others."""
    if rng.random() >= 0.35:
        return _HAND(rng)
    shares = [0.24, 0.24, 0.18, 0.12, 0.09, 0.05, 0.05, 0.03]
    return digits(rng, int(rng.choice([2, 3, 4, 5, 6, 7, 8, 10], p=shares)))


def amount(rng: Rng) -> str:
    """The amount field of a check; without a lone slash, which could be a handwritten 1."""
    length = int(rng.choice([2, 3, 4, 5, 6, 7], p=[0.1, 0.27, 0.28, 0.2, 0.1, 0.05]))
    text = digits(rng, length)
    if rng.random() < 0.35:
        zeros = min(length - 1, int(rng.integers(1, 4)))
        text = text[: length - zeros] + "0" * zeros
    elif rng.random() < 0.12:  # adjacent strokes, each of which must be read
        run, position = int(rng.integers(2, 4)), int(rng.integers(length))
        text = (text[:position] + "1" * run + text[position:])[:length]
    if length > 3 and rng.random() < 0.35:
        text = text[:-3] + pick(rng, [".", ",", "'", " ", "."]) + text[-3:]
    kind = rng.random()
    if kind < 0.18:
        text += RAISE + pick(rng, ["00", digits(rng, 2), "00"]) + RAISE
    elif kind < 0.42:
        text += pick(rng, ".,") + (digits(rng, 2) if rng.random() < 0.5 else "00")
    elif kind < 0.47:
        text += pick(rng, [" ", "."]) + pick(rng, ["00/100", "xx/100", digits(rng, 2) + "/100"])
    elif kind < 0.72:
        text += pick(rng, ["-", ".-", ",-", "=", " -", ".", "--", ".--", "*", "#", ".="])
    if rng.random() < 0.22:
        text = pick(rng, ["$", "-", "=", "#", "*", "$ ", "**", "€", "Fr. ", "£", "--"]) + text
    return text


def lone_letters(rng: Rng) -> str:
    """One letter, sometimes two or three, none of which could be a digit."""
    latin = "ACDEFGHJKLMNPQRTUVWXYadefhjkmnprtuvwxyABDHKMRTXY"
    letters = latin if rng.random() < 0.6 else "αβγδεθλμπσφψωβγδ"
    count = int(rng.choice([1, 2, 3], p=[0.75, 0.15, 0.1]))
    return pick_text(rng, letters, count)


_GRAMMARS: tuple[Grammar, ...] = (
    *(date, decimal, dimension, enumerated, equation, exponent, foreign, formula, fraction),
    *(
        grouped,
        integer,
        isbn,
        joined,
        labelled,
        leader,
        letter,
        marked,
        measured,
        money,
        percent,
        phone,
    ),
    *(ordinal, phrase, pointed, raised_price, receipt, serial, shapes, signed, span, table_row),
    *(temperature, thousands, time, word, words),
)
_BY_NAME = {grammar.__name__: grammar for grammar in _GRAMMARS}


def _mixture(kind: str) -> Grammar:
    """The mixture of grammars that ``words.toml`` specifies for a kind of text, with weights."""
    grammars = [(share, _BY_NAME[name]) for name, share in _SHARES[kind].items()]
    return lambda rng: pick_by_share(rng, grammars)(rng)


_HAND = _mixture("hand")
print_number = _mixture("print")  # numbers in print
print_words = _mixture("print_words")  # printed words, most with a number
hand_words = _mixture("hand_words")  # handwritten words, some with a number
only_words = _mixture("only_words")  # words and letters without numbers


def display(rng: Rng) -> str:
    """The text of a digit display; a space is a position that is off."""
    kind = rng.random()
    shares = [0.16, 0.18, 0.2, 0.2, 0.1, 0.08, 0.04, 0.04]
    length = int(rng.choice([1, 2, 3, 4, 5, 6, 7, 8], p=shares))
    text = digits(rng, length) if rng.random() < 0.5 else natural(rng, length, length)
    if kind < 0.12:
        hour, minute = int(rng.integers(0, 24)), int(rng.integers(0, 60))
        text = f"{hour:02d}:{minute:02d}" if rng.random() < 0.7 else f"{hour}:{minute:02d}"
        return text + (f":{int(rng.integers(60)):02d}" if rng.random() < 0.15 else "")
    if kind < 0.15:
        return pick(rng, ("Err", "-", "--", "---", "-- --", "P1", "F2", "E3", "A4", "no"))
    if kind < 0.2:  # the score of a game, or two values
        gap = pick(rng, [":", " ", "  ", "-"])
        return natural(rng, 1, 3) + gap + natural(rng, 1, 3)
    if kind < 0.52 and length > 1:
        decimals = int(rng.integers(1, min(4, length)))
        text = text[:-decimals] + "." + text[-decimals:]
    if kind > 0.9:
        text = "-" + text
    if 0.86 < kind < 0.95:
        text += pick(rng, ["°C", "°", "C", "°F", "F"])
    return " " * int(rng.choice([0, 1, 2, 3], p=[0.8, 0.1, 0.06, 0.04])) + text


def expiry(rng: Rng) -> str:
    """The text printed in dots on a package: a date, a lot number or a time."""
    kind = rng.random()
    text = date(rng).upper() if kind < 0.6 else serial(rng) if kind < 0.85 else time(rng)
    return pick(rng, ["", "", "EXP ", "LOT ", "L", "BB "]) + text


def plate(rng: Rng) -> str:
    """The text of a plate on a house, a vehicle or a door."""
    kind = rng.random()
    if kind < 0.5:
        return natural(rng, 1, 4)
    if kind < 0.62:
        return natural(rng, 1, 3) + pick(rng, "abcABC")
    return serial(rng)


def comb(rng: Rng) -> str:
    """The text in the boxes of a form, one character each."""
    text = digits(rng, int(rng.integers(2, 11)))
    return text if rng.random() < 0.85 else serial(rng).replace(" ", "")
