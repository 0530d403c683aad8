"""Which type the values of a column have, in the words of table files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from transforms.guessing.times import Times, epoch_unit, guess_times

#: Words for no value. The doubtful ones may also be values: of a choice, of a name.
_NULL_WORDS: Final = ("NULL", "null", "\\N", "(null)", "<null>")
_DOUBTFUL_NULL_WORDS: Final = ("Null", "None", "N/A", "n/a", "#N/A", "NA", "NaN", "nan", "-", "--")

_YES: Final = frozenset({"true", "t", "yes", "y"})
_NO: Final = frozenset({"false", "f", "no", "n"})
#: Words of other languages, for yes and for no, which a connector's ``values`` translate.
_PAIRS: Final = (
    ("ja", "nein"),
    ("j", "n"),
    ("wahr", "falsch"),
    ("oui", "non"),
    ("o", "n"),
    ("vrai", "faux"),
    ("si", "no"),
    ("sí", "no"),
    ("s", "n"),
    ("sim", "não"),
    ("sim", "nao"),
    ("verdadero", "falso"),
    ("vero", "falso"),
    ("ja", "nee"),
    ("tak", "nie"),
)
_WHOLE: Final = re.compile(r"[+-]?\d{1,18}")
_LEADING_ZERO: Final = re.compile(r"[+-]?0\d+")
_POINT: Final = re.compile(r"[+-]?(\d*)\.(\d+)|[+-]?(\d+)\.?")
_COMMA: Final = re.compile(r"[+-]?(\d{1,3}(?:\.\d{3})+|\d*),(\d+)|[+-]?(\d{1,3}(?:\.\d{3})+|\d+)")
_POINT_GROUPS: Final = re.compile(r"[+-]?\d{1,3}(\.\d{3})+|[+-]?\d{1,3}")
_COMMA_GROUPS: Final = re.compile(r"[+-]?\d{1,3}(,\d{3})+|[+-]?\d{1,3}")
_ENGLISH_GROUPS: Final = re.compile(r"[+-]?\d{1,3}(,\d{3})*(\.\d+)?")
_SCIENTIFIC: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?")
_DIGITS, _MOST_DIGITS = 18, 38
_MOST_SCALE, _LONG_SCALE = 18, 6
_MOSTLY: Final = 0.9


@dataclass(frozen=True)
class ValueType:
    """The type of a column, and how its values say it.

    ``times`` is there for dates and timestamps in text, ``epoch`` for those that are numbers. ``decimal`` is the sign
    before a fraction where one is needed, ``words`` are translations to words that are understood. ``open_groups`` says
    that a sign may stand before a fraction or between thousands.
    """

    type: str
    times: Times | None = None
    epoch: str | None = None
    decimal: str | None = None
    words: Mapping[str, str] = field(default_factory=dict)
    open_groups: bool = False
    doubts: tuple[str, ...] = ()


def null_words(cells: Mapping[str, int]) -> dict[str, str]:
    """Return the words for no value among ``cells`` (texts with their counts), each with a doubt or an empty text."""
    found = {word: "" for word in _NULL_WORDS if word in cells}
    for word in _DOUBTFUL_NULL_WORDS:
        if word in cells:
            found[word] = f"in {cells[word]} cells of the sample: taken for no value"
    return found


def guess_type(
    values: Sequence[str],
    *,
    is_time: bool = False,
    is_flag: bool = False,
    decimal: str | None = None,
    day_first: bool | None = None,
) -> ValueType:
    """Return the type of ``values``, which has no empty ones.

    Args:
        values: the texts of a column, trimmed, without words for no value.
        is_time: whether the column is named like a time, so that numbers may be times since 1970.
        is_flag: whether it is named like a switch, so that 0 and 1 are its positions.
        decimal: the sign that other columns have before fractions.
        day_first: whether other columns, or the country, write days before months.
    """
    if not values:
        return ValueType("string", doubts=("no value in the sample",))
    distinct = list(dict.fromkeys(values))
    found = _boolean(distinct, is_flag=is_flag)
    if found is None and is_time and (unit := epoch_unit(distinct)) is not None:
        found = ValueType("timestamp", epoch=unit, doubts=("the unit is told by the number of digits",))
    if found is None and (times := guess_times(distinct, day_first=day_first)) is not None:
        found = ValueType(times.type, times=times, doubts=times.doubts)
    return found or _number(distinct, decimal) or _text(distinct)


def _boolean(values: list[str], *, is_flag: bool) -> ValueType | None:
    folded = {value.lower() for value in values}
    if folded <= {"0", "1"}:
        if is_flag:
            return ValueType("boolean")
        return ValueType("bigint", doubts=("nothing but 0 and 1: perhaps a boolean",))
    if len(folded) == 1 and not is_flag:  # the code of Norway, say
        return None
    doubts = ("one word alone in the sample: is it a switch?",) if len(folded) == 1 else ()
    if folded <= _YES | _NO:
        return ValueType("boolean", doubts=doubts)
    for yes, no in _PAIRS:
        if folded <= {yes, no}:
            words = {value: "yes" if value.lower() == yes else "no" for value in sorted(values)}
            if len(yes) == 1 and not is_flag:
                doubts = ("letters that may stand for yes and no",)
            return ValueType("boolean", words=words, doubts=doubts)
    return None


def _number(values: list[str], decimal: str | None) -> ValueType | None:
    if any(_LEADING_ZERO.fullmatch(value) for value in values):
        return ValueType("string")
    if all(_WHOLE.fullmatch(value) for value in values):
        return ValueType("bigint")
    return _grouped(values, decimal) or _fraction(values)


def _fraction(values: list[str]) -> ValueType | None:
    for sign, pattern in ((".", _POINT), (",", _COMMA)):
        if all(pattern.fullmatch(value) for value in values):
            if max(_parts(value, pattern)[0] for value in values) > _DIGITS:
                return ValueType("string")  # no amount has so many digits
            kind = _decimal_type(values, pattern)
            return ValueType(kind, decimal=sign, doubts=_scale_doubts(values, pattern))
    if all(_SCIENTIFIC.fullmatch(value) for value in values):
        return ValueType("float", decimal=".", doubts=("some numbers have an exponent: seven digits are kept",))
    return None


def _grouped(values: list[str], decimal: str | None) -> ValueType | None:
    """Return what numbers are whose only signs have three digits behind them, None where they are not all like that."""
    if all(_POINT_GROUPS.fullmatch(value) for value in values):
        return _with_points(values, decimal)
    if all(_COMMA_GROUPS.fullmatch(value) for value in values):
        if decimal == "," and all(value.count(",") <= 1 for value in values):
            return ValueType(_decimal_type(values, _COMMA), decimal=",", open_groups=True)
        doubts = ("always three digits behind a comma: a fraction, or thousands, which no type reads",)
        return ValueType("string", open_groups=True, doubts=doubts)
    if all(_ENGLISH_GROUPS.fullmatch(value) for value in values) and any("," in value for value in values):
        return ValueType("string", doubts=("numbers with commas between thousands, which no type reads: left as text",))
    return None


def _with_points(values: list[str], decimal: str | None) -> ValueType:
    if any(value.count(".") > 1 for value in values):
        return ValueType("bigint", decimal=",")
    if decimal == ",":
        doubts = ("points are taken for signs between thousands",)
        return ValueType("bigint", decimal=",", open_groups=True, doubts=doubts)
    doubts = ("always three digits behind the point: perhaps a sign between thousands",)
    return ValueType(_decimal_type(values, _POINT), decimal=".", open_groups=True, doubts=doubts)


def _parts(value: str, pattern: re.Pattern[str]) -> tuple[int, int]:
    """Return how many digits stand before and behind the decimal sign."""
    match = pattern.fullmatch(value)
    if match is None:
        return 0, 0
    before, behind, alone = match.groups()
    return len((before or alone or "").replace(".", "")), len(behind or "")


def _decimal_type(values: list[str], pattern: re.Pattern[str]) -> str:
    parts = [_parts(value, pattern) for value in values]
    before, behind = max(first for first, _ in parts), max(second for _, second in parts)
    if behind > _LONG_SCALE:  # of computed numbers, whose digits are as many as the computer had
        return f"decimal({_MOST_DIGITS},{_MOST_SCALE})"
    scale = max(2, behind)
    digits = max(_DIGITS, before + scale)
    return f"decimal({digits},{scale})"


def _scale_doubts(values: list[str], pattern: re.Pattern[str]) -> tuple[str, ...]:
    scales = {_parts(value, pattern)[1] for value in values} - {0}
    if len(scales) <= 1 and max(scales, default=0) <= 2:  # noqa: PLR2004  cents
        return ()
    return (f"at most {max(scales)} digits behind the sign in the sample; values with more would be refused",)


def _text(values: list[str]) -> ValueType:
    numbers = sum(
        _ENGLISH_GROUPS.fullmatch(value) is not None or _COMMA.fullmatch(value) is not None for value in values
    )
    if _MOSTLY * len(values) <= numbers:
        return ValueType(
            "string", doubts=(f"{numbers} of {len(values)} distinct values are numbers, the rest is text",)
        )
    times = sum(guess_times([value]) is not None for value in values)
    if _MOSTLY * len(values) <= times:
        return ValueType("string", doubts=(f"{times} of {len(values)} distinct values are times, the rest is text",))
    return ValueType("string")
