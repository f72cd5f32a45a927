"""Notation of numbers and dates, and all values that a text may have.

Knows single texts only, neither pages nor other numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, time
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from digitlens.results import Kind, Value

CURRENCIES = "$€£¥"
SIGNS = f"{CURRENCIES}§#"  # signs before a number
MIN_CODE_DIGITS = 10  # without marks this many are a code, such as a phone number
_PIVOT = 69  # two-digit years below this are 20xx, others 19xx, as in POSIX

# Locales by decimal mark, grouping mark and order of dates (Unicode CLDR).
_LOCALE_NAMES = {
    ".,MDY": "en_US en_PH",
    ".,DMY": "en_GB en_AU en_IE en_IN en_NZ en_SG es_MX he_IL hi_IN ms_MY th_TH",
    ".,YMD": "ja_JP en_CA ko_KR zh_CN zh_TW",
    ".'DMY": "de_CH de_LI en_CH fr_CH it_CH",
    ",.DMY": "de_DE de_AT da_DK el_GR es_AR es_ES hr_HR id_ID it_IT nl_BE nl_NL pt_BR ro_RO "
    "sl_SI sr_RS tr_TR vi_VN",
    ", DMY": "fr_FR bg_BG cs_CZ fi_FI fr_BE nb_NO pl_PL pt_PT ru_RU sk_SK uk_UA",
    ", YMD": "sv_SE fr_CA hu_HU lt_LT",
}
LOCALES = {
    name: conventions for conventions, names in _LOCALE_NAMES.items() for name in names.split()
}


class NotationOptions(TypedDict, total=False):
    """How numbers are written, as options of a reader; see ``Notation.of``."""

    decimal: str | None
    grouping: str | None
    locale: str | None


@dataclass(frozen=True)
class Notation:
    """How numbers are written, as far as known."""

    decimal: str = ""  # the decimal mark, point or comma; empty if unknown
    # The mark between groups of three digits: one of ``.,'`` or a space; empty if unknown.
    grouping: str = ""
    order: str = ""  # order of dates: ``DMY``, ``MDY`` or ``YMD``; empty if unknown
    likely: str = ""  # the preferred order of dates if ``order`` is unknown

    @classmethod
    def of(
        cls, decimal: str | None = None, grouping: str | None = None, locale: str | None = None
    ) -> Notation:
        """Makes a notation from marks and a locale.

        Args:
            decimal: ``"."`` or ``","``; overrides the locale.
            grouping: One of ``". , '"`` or a space; overrides the locale.
            locale: Such as ``"de_DE"`` or ``"en"``, see ``LOCALES``.

        Raises:
            ValueError: A mark is none of these, both are the same, or the locale is unknown.
        """
        conventions = _conventions(locale) if locale else ("", "", "")
        grouping = _normalized_mark(grouping)
        if decimal not in {None, ".", ","}:
            raise ValueError(f"decimal: expected . or , found {decimal!r}")
        if grouping not in {None, ".", ",", "'", " "}:
            raise ValueError(f"grouping: expected . or , or ' or a space, found {grouping!r}")
        if decimal and decimal == grouping:
            raise ValueError(f"decimal, grouping: expected two marks, found {decimal!r} for both")
        other = {".": ",", ",": "."}
        # A given mark that the locale uses in the other role swaps the two.
        point = decimal or (other[grouping] if grouping in other else conventions[0])
        group = grouping or (other[point] if point and conventions[1] == point else conventions[1])
        return cls(point, group, conventions[2])


UNKNOWN = Notation()


def _normalized_mark(mark: str | None) -> str | None:
    return re.sub("[\u2019`]", "'", re.sub("[\u00a0\u2009\u202f]", " ", mark)) if mark else None


def _conventions(locale: str) -> tuple[str, str, str]:
    """Decimal mark, grouping mark and order of dates of a locale or a language."""
    name = locale.split(".", maxsplit=1)[0].replace("-", "_")
    language, _, country = name.partition("_")
    name = f"{language.lower()}_{country.upper()}" if country else language.lower()
    conventions = LOCALES.get(name) or LOCALES.get(f"{name}_{name.upper()}")
    same_language = [LOCALES[each] for each in LOCALES if each.split("_")[0] == name]
    if not conventions and not same_language:
        known = ", ".join(sorted(LOCALES))
        raise ValueError(f"locale: expected a language or one of {known}; found {locale!r}")
    if name == "en":  # dates are written in three orders
        return ".", ",", ""
    decimal, grouping, *order = conventions or same_language[0]
    return decimal, grouping, "".join(order)


@dataclass(frozen=True)
class Meaning:
    """One interpretation of a text."""

    value: Value | None  # None for a code without value
    kind: Kind  # see ``Number``
    unit: str = ""  # see ``Number``
    notation: Notation = Notation()  # the notation that this interpretation requires

    def fits(self, known: Notation) -> bool:
        """Whether it is compatible with a known notation."""
        ours, grouping = self.notation, known.grouping if self.notation.grouping in ".," else ""
        pairs = (ours.decimal, known.decimal), (ours.order, known.order), (ours.grouping, grouping)
        return all(not one or not other or one == other for one, other in pairs)


_SIGNS = re.escape(SIGNS)
_PARTS = re.compile(
    rf"(?P<lead>[-+({_SIGNS} ]*)(?P<core>[.]?\d.*?)(?P<trail>(?: ?[%{CURRENCIES}]| ?°[CF]?|[-)])*)"
)
_DATE = re.compile(r"(\d{4}|\d{1,2})([-/.])(\d{1,2})\2(\d{4}|\d{1,2})")
LIKE_DATE = re.compile(r"(?:\d{4}|\d{1,2})([-/.])\d{1,2}\1\d{2,4}")
_TIME = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?")
_FRACTION = re.compile(r"(0|[1-9]\d{0,2})/([1-9]\d{0,2})")
_SCIENTIFIC = re.compile(r"(\d+(?:[.,]\d+)?)[eE]([+-]?\d{1,3})")
ONE_MARK = re.compile(r"\d{1,3}([.,])(?:\d{3}\1)+\d{1,2}")  # 1.234.56: a mark was misread
_ORDERS = {"/": ("DMY", "MDY", "YMD"), "-": ("DMY", "MDY", "YMD"), ".": ("DMY", "YMD")}


@lru_cache(4096)
def meanings(text: str) -> tuple[Meaning, ...]:
    """All meanings of a text of ``number_spans``, the likeliest first; a code if it has none."""
    parts = _PARTS.fullmatch(text)
    sign = _sign_of(parts["lead"], parts["trail"]) if parts else None
    if parts is None or sign is None:
        return (Meaning(None, "code"),)
    core, affixes = parts["core"], parts["lead"] + parts["trail"]
    is_bare = not affixes.strip()
    if _DATE.fullmatch(core) and is_bare and (dates := tuple(_dates_of(core))):
        return dates
    if (clock := _TIME.fullmatch(core)) and is_bare:
        return (_time_of(clock),)
    quantities = list(_quantities(core))
    if not quantities:
        return (Meaning(None, "code"),)
    unit = "".join(char for char in affixes if char not in "+-() ")
    if unit and unit in CURRENCIES:  # money seldom has three decimals
        quantities.sort(key=lambda each: each.kind == "decimal")
    return tuple(_with_sign(each, sign, unit) for each in quantities)


def _sign_of(lead: str, trail: str) -> int | None:
    """The sign of a number, 1 or -1; None if it has too many signs, brackets or units."""
    affixes = lead + trail
    brackets = (lead.count("("), trail.count(")"))
    signs = [char for char in affixes if char in "+-"]
    units = re.findall(rf"[%{_SIGNS}]|°[CF]?", affixes)
    if brackets not in {(0, 0), (1, 1)} or len(signs) + brackets[0] > 1 or len(units) > 1:
        return None
    return -1 if "-" in signs or brackets[0] else 1


def _with_sign(meaning: Meaning, sign: int, unit: str) -> Meaning:
    is_money = unit and unit in CURRENCIES
    kind: Kind = "percent" if unit == "%" else "currency" if is_money else meaning.kind
    value = meaning.value
    if isinstance(value, Decimal) and sign < 0:
        value = value.copy_negate()
    return replace(meaning, value=value, kind=kind, unit=unit)


def _quantities(core: str) -> Iterator[Meaning]:
    """The meanings of a text of digits and marks."""
    if core.isdecimal():
        is_code = len(core) >= MIN_CODE_DIGITS or (len(core) > 1 and core[0] == "0")
        yield Meaning(Decimal(core), "code" if is_code else "integer")
    elif match := _FRACTION.fullmatch(core):
        yield Meaning(Decimal(match[1]) / Decimal(match[2]), "fraction")
    elif match := _SCIENTIFIC.fullmatch(core):
        yield Meaning(Decimal(f"{match[1].replace(',', '.')}E{match[2]}"), "decimal")
    elif ONE_MARK.fullmatch(core):
        yield Meaning(Decimal(re.sub(r"[.,](?=.*[.,])", "", core).replace(",", ".")), "decimal")
    else:
        for decimal in ".,":
            yield from _marked_values(core, decimal)


def _marked_values(core: str, decimal: str) -> Iterator[Meaning]:
    """The meaning of digits with grouping and decimal marks, for one decimal mark."""
    whole, mark, decimals = core.partition(decimal)
    other_mark = "," if decimal == "." else "."
    group = next((char for char in f"{other_mark}' " if char in whole), "")
    group_pattern = rf"[1-9]\d{{0,2}}(?:{group}\d{{3}})+"
    if group == ",":  # also Indian ones, as in 12,34,567
        group_pattern += r"|[1-9]\d?(?:,\d\d)+,\d{3}"
    if group and not re.fullmatch(group_pattern, whole):
        return
    if (mark and not decimals.isdecimal()) or (whole and not group and not whole.isdecimal()):
        return
    if not mark and group in {"'", " "}:  # the same for both decimal marks: yield it once
        if decimal == ".":
            yield Meaning(Decimal(re.sub(r"\D", "", whole)), "integer", "", Notation("", group))
        return
    value = Decimal(re.sub(r"\D", "", whole) + (f".{decimals}" if mark else ""))
    kind: Kind = "decimal" if mark else "integer"
    yield Meaning(value, kind, "", Notation(decimal, group))


def _time_of(match: re.Match[str]) -> Meaning:
    try:
        hour, minute, second = (int(part or 0) for part in match.groups())
        return Meaning(time(hour, minute, second), "time")
    except ValueError:
        return Meaning(None, "code")


def _dates_of(core: str) -> Iterator[Meaning]:
    """Yields each possible date of a text once."""
    parts, orders = re.split("[-/.]", core), dict[date, str]()
    mark = core[len(parts[0])]
    for order in _ORDERS[mark]:
        fields = dict(zip(order, parts, strict=True))
        is_long = [len(part) == 4 for part in parts]
        if any(is_long) and len(fields["Y"]) != 4:
            continue
        if not any(is_long) and (len(fields["Y"]) != 2 or (order == "YMD" and mark != "-")):
            continue
        try:
            day = date(_full_year(fields["Y"]), int(fields["M"]), int(fields["D"]))
        except ValueError:
            continue
        orders[day] = "" if day in orders else order
    yield from (Meaning(day, "date", "", Notation(order=order)) for day, order in orders.items())


def _full_year(text: str) -> int:
    year = int(text)
    return year if len(text) == 4 else year + (2000 if year < _PIVOT else 1900)
