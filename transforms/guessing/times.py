"""Dates and times, and the patterns that Spark reads them by. There is no calendar here: numbers and signs alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_CLOCK: Final = (
    r"(?:(?P<gap>T|, | )(?P<hour>\d{1,2}):(?P<minute>[0-5]\d)(?P<second>:[0-5]\d(?P<fraction>[.,]\d{1,9})?)?"
    r"(?P<half> ?[AaPp][Mm])?(?P<offset> ?(?:Z|UTC|[+-]\d{2}(?::?\d{2})?))?)?"
)
_ISO: Final = re.compile(
    r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})"
    r"(?P<time>[T ](?P<hour>\d{2}):[0-5]\d(:[0-5]\d(\.\d{1,9})?)?(?P<offset> ?(Z|UTC|[+-]\d{2}(:?\d{2})?))?)?"
)
_NUMBERS: Final = re.compile(
    rf"(?P<first>\d{{1,4}})(?P<sign>[./-])(?P<second_>\d{{1,2}})(?P=sign)(?P<third>\d{{4}}|\d{{1,2}}){_CLOCK}"
)
_DAY_FIRST: Final = re.compile(
    rf"(?P<day>\d{{1,2}})(?P<sign>[ ./-])(?P<month>[A-Za-z]{{3,9}})(?P=sign)(?P<year>\d{{4}}|\d{{2}}){_CLOCK}"
)
_MONTH_FIRST: Final = re.compile(
    rf"(?P<month>[A-Za-z]{{3,9}}) (?P<day>\d{{1,2}})(?P<sign>,? )(?P<year>\d{{4}}){_CLOCK}"
)
_COMPACT: Final = re.compile(r"(?P<year>(?:19|20)\d{2})(?P<month>\d{2})(?P<day>\d{2})(?P<clock>\d{6})?")
_MONTHS: Final = tuple(
    "january february march april may june july august september october november december".split()  # noqa: SIM905
)
_MOST_FORMS: Final = 4
_FEW: Final = 3
_LAST_MONTH, _LAST_DAY, _NOON, _LAST_HOUR = 12, 31, 12, 23
_YEAR_DIGITS: Final = 4
_DAY_DIGITS: Final = 2
_MIDNIGHT: Final = re.compile(r"(?:.*[ T])?(?:0?0:00(?::00(?:[.,]0+)?)?|12:00(?::00)? ?[Aa][Mm])(?: ?Z)?")

#: How long numbers since 1970 are, from 2001 to 2049, and their units.
_EPOCHS: Final = {10: "seconds", 13: "milliseconds", 16: "microseconds"}
_EPOCH_NUMBER: Final = re.compile(r"(?:1\d|2[0-4])\d{8}(?:\d{3}|\d{6})?")


@dataclass(frozen=True)
class Times:
    """What a column of dates or times is.

    ``type`` is ``date`` or ``timestamp``; ``formats`` are Spark's patterns, none for ISO 8601. ``day_first`` tells the
    order where it shows, ``open_order`` that no value shows it. ``with_offset`` says that each has an offset,
    ``years`` is the first and last year, by four digits.
    """

    type: str
    formats: tuple[str, ...] = ()
    day_first: bool | None = None
    open_order: bool = False
    with_offset: bool = False
    years: tuple[int, int] | None = None
    doubts: tuple[str, ...] = ()


def guess_times(values: Sequence[str], *, day_first: bool | None = None) -> Times | None:
    """Return what ``values`` are as dates or times, None where not all of them are.

    ``day_first`` is how other columns write, or the country does: it decides, with a doubt, where no number above 12
    tells days from months.
    """
    written = [value.replace("\u202f", " ").replace("\xa0", " ") for value in values]
    if not written:
        return None
    return _iso(written) or _compact(written) or _in_numbers(written, day_first) or _in_words(written)


def epoch_unit(values: Sequence[str]) -> str | None:
    """Return the unit of ``values`` that may be times as numbers since 1970, None where they cannot be."""
    lengths = {len(value) for value in values}
    if len(lengths) != 1 or not all(_EPOCH_NUMBER.fullmatch(value) for value in values):
        return None
    return _EPOCHS.get(lengths.pop())


def _is_day(month: str, day: str) -> bool:
    return 1 <= int(month) <= _LAST_MONTH and 1 <= int(day) <= _LAST_DAY


def _years(years: Sequence[str]) -> tuple[int, int] | None:
    numbers = [int(year) for year in years if len(year) == _YEAR_DIGITS]
    return (min(numbers), max(numbers)) if numbers else None


def _iso(values: list[str]) -> Times | None:
    found = [match for value in values if (match := _ISO.fullmatch(value)) and _is_day(match["month"], match["day"])]
    if len(found) < len(values) or any(int(match["hour"] or 0) > _LAST_HOUR for match in found):
        return None
    has_time = any(match["time"] for match in found)
    return Times(
        "timestamp" if has_time else "date",
        with_offset=all(match["offset"] for match in found),
        years=_years([match["year"] for match in found]),
        doubts=_midnight(values) if has_time else (),
    )


def _compact(values: list[str]) -> Times | None:
    found = [
        match for value in values if (match := _COMPACT.fullmatch(value)) and _is_day(match["month"], match["day"])
    ]
    clocks = {match["clock"] is not None for match in found}
    if len(found) < len(values) or len(clocks) != 1:
        return None
    has_time = clocks.pop()
    doubts = ("so few values might be numbers by chance",) if len(values) < _FEW else ()
    years = _years([match["year"] for match in found])
    if has_time:
        return Times("timestamp", ("yyyyMMddHHmmss",), years=years, doubts=doubts)
    return Times("date", ("yyyyMMdd",), years=years, doubts=doubts)


def _midnight(values: list[str]) -> tuple[str, ...]:
    if len(values) >= _FEW and all(_MIDNIGHT.fullmatch(value) for value in values):
        return ("every time of the sample is midnight: perhaps a date",)
    return ()


def _clock(match: re.Match[str], fraction: int) -> str | None:
    """Return the pattern of the time of day; empty where there is none, None where it cannot be one."""
    if match["hour"] is None:
        return ""
    hour = int(match["hour"])
    if hour > (_NOON if match["half"] else _LAST_HOUR):
        return None
    pattern = "'T'" if match["gap"] == "T" else match["gap"]
    pattern += "h:mm" if match["half"] else "H:mm"
    if match["second"]:
        pattern += ":ss" + (match["fraction"][0] + "S" * fraction if match["fraction"] else "")
    if match["half"]:
        pattern += " a" if match["half"].startswith(" ") else "a"
    return pattern + _offset(match["offset"] or "")


def _offset(text: str) -> str:
    sign = text.strip()
    if not sign:
        return ""
    letters = "'UTC'" if sign == "UTC" else {3: "X", 5: "XX"}.get(len(sign), "XXX")
    return (" " if text.startswith(" ") else "") + letters


def _fraction(found: Sequence[re.Match[str]]) -> int:
    return max((len(match["fraction"]) - 1 for match in found if match["fraction"]), default=0)


def _times(patterns: dict[str, None], found: list[re.Match[str]], values: list[str], years: list[str]) -> Times | None:
    """Put together what both ways of writing have in common."""
    if len(patterns) > _MOST_FORMS:
        return None
    has_time = any(match["hour"] for match in found)
    doubts = _midnight(values) if has_time else ()
    if any(len(year) < _YEAR_DIGITS for year in years):
        doubts += ("years of two digits are read as 2000 to 2099",)
    if len(patterns) > 1:
        doubts += (f"written in {len(patterns)} ways",)
    # The longest first: Spark refuses what is left over, but a person sees the usual one at once.
    formats = tuple(sorted(patterns, key=len, reverse=True))
    return Times(
        "timestamp" if has_time else "date",
        formats,
        with_offset=all(match["offset"] for match in found),
        years=_years(years),
        doubts=doubts,
    )


def _in_numbers(values: list[str], hint: bool | None) -> Times | None:  # noqa: FBT001  three states
    found = [match for value in values if (match := _NUMBERS.fullmatch(value))]
    others = [match for match in found if len(match["first"]) != _YEAR_DIGITS]
    order, is_open = _order(others, hint)
    if len(found) < len(values) or not all(_is_date(match, order) for match in found):
        return None
    fraction = _fraction(found)
    patterns: dict[str, None] = {}
    for match in found:
        sign, clock = match["sign"], _clock(match, fraction)
        if clock is None:
            return None
        year = "yyyy" if len(match["third"]) == _YEAR_DIGITS else "yy"
        parts = ("d", "M", year) if order else ("M", "d", year)
        if len(match["first"]) == _YEAR_DIGITS:
            parts = ("yyyy", "M", "d")
        patterns[sign.join(parts) + clock] = None
    years = [match["first" if len(match["first"]) == _YEAR_DIGITS else "third"] for match in found]
    times = _times(patterns, found, values, years)
    if times is None or not others:
        return times
    written = "days before months" if order else "months before days"
    doubts = (f"no number above 12 tells days from months: read as {written}", *times.doubts)
    return Times(
        times.type,
        times.formats,
        None if is_open else order,
        is_open,
        times.with_offset,
        times.years,
        doubts if is_open else times.doubts,
    )


def _order(found: list[re.Match[str]], hint: bool | None) -> tuple[bool | None, bool]:  # noqa: FBT001  three states
    """Return whether days stand first (None where both orders occur), and whether that is a mere guess."""
    day_first = any(int(match["first"]) > _LAST_MONTH for match in found)
    month_first = any(int(match["second_"]) > _LAST_MONTH for match in found)
    if day_first or month_first:
        return (None if day_first and month_first else day_first), False
    if found and all(match["sign"] == "." for match in found):
        return True, False  # nobody puts dots behind a month that comes first
    return (True if hint is None else hint), bool(found)


def _is_date(match: re.Match[str], day_first: bool | None) -> bool:  # noqa: FBT001  three states
    """Tell whether three numbers are a date with its year first, or days and months in this order before its year."""
    first, second, third = match["first"], match["second_"], match["third"]
    if len(first) == _YEAR_DIGITS:
        return len(third) <= _DAY_DIGITS and _is_day(second, third)
    if day_first is None or len(first) > _DAY_DIGITS or len(third) == 1:
        return False
    return _is_day(second, first) if day_first else _is_day(first, second)


def _in_words(values: list[str]) -> Times | None:
    found = [match for value in values if (match := _DAY_FIRST.fullmatch(value) or _MONTH_FIRST.fullmatch(value))]
    if len(found) < len(values):
        return None
    fraction = _fraction(found)
    patterns: dict[str, None] = {}
    for match in found:
        month, clock = _month_letters(match["month"].lower()), _clock(match, fraction)
        if month is None or clock is None or not _is_day("1", match["day"]):
            return None
        year, sign = "y" * len(match["year"]), match["sign"]
        date = f"{month} d{sign}{year}" if match.re is _MONTH_FIRST else sign.join(("d", month, year))
        patterns[date + clock] = None
    return _times(patterns, found, values, [match["year"] for match in found])


def _month_letters(name: str) -> str | None:
    """Return the pattern of an English name of a month: those of other languages Spark reads nowhere by itself."""
    if name in _MONTHS:
        return "MMM" if name == "may" else "MMMM"
    return "MMM" if any(month[:3] == name for month in _MONTHS) else None
