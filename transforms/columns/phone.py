"""Phone numbers in E.164 form, exactly as libphonenumber reads them: most by look-up tables, the rest by itself.

Two stages, so that Python sees only what the tables leave open, and Spark computes the tables' part once:
``settle_natively`` makes a column, which the caller gives a name in its frame; ``settle_by_library`` takes that column.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F

from schemas import reference
from transforms.columns.phone_library import UNSETTLED, metadata_version, reading, settle_by_library, tables_version

__all__ = ["UNSETTLED", "metadata_version", "normalize_phone", "settle_by_library", "settle_natively"]

_ZEROS: Final = "\uff10\u0660\u06f0"  # full-width, Arabic-Indic, extended Arabic-Indic
# What the library lets stand between digits; white space other than this ends a number for it.
_PUNCTUATION: Final = (
    " \xa0\xad\u200b\u2060\u3000-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u30fc\uff0d.\uff0e()\uff08\uff09/\uff0f"
)
_DIGITS: Final = "0123456789"
_FOREIGN: Final = "".join(chr(ord(zero) + digit) for zero in _ZEROS for digit in range(10)) + "\uff0b" + _PUNCTUATION
_ASCII: Final = _DIGITS * len(_ZEROS) + "+"  # what has no counterpart is left out
_NO_COUNTRY: Final = "ZZ"
_LETTERS: Final = 26
_REGIONS: Final = _LETTERS * _LETTERS
_UNUSED: Final = "-"  # no number starts with it
_ROWS_WIDTH: Final = 19
_FIRST_PATTERN: Final = 0x100
_NORTH_AMERICAN: Final = r"[ .-]?)?\(?([2-9][0-9]{2})\)?[ .-]?([2-9][0-9]{2})[ .-]?([0-9]{4})\z"
_LONGEST_TEXT: Final = 250  # the library reads no more
# Behind the mark a digit is needed: no library finds a number without. U+0660 is the first one beyond ASCII.
_DIGIT: Final = r"0-9\u0660-\x{10FFFF}"
_ANSWER: Final = rf"(?s)^(?:\+[0-9]+|\{UNSETTLED}[^{_DIGIT}]*+.+)"
_STARTS: Final = ",".join(map(str, range(1, 11)))


@cache
def _calling_codes() -> str:
    """Return what stands before a number's national part, by index: ``GB44`` of a region, ``44`` of a first 442."""
    data = reference.load("phone_regions")
    entries = [_UNUSED] * (_REGIONS + 1000)
    for region, (code, _, _, _) in data["regions"].items():
        entries[_index_of(region)] = f"{region}{code}"
    for code in data["calling_codes"]:
        for number in range(10 ** (3 - len(code))):
            entries[_REGIONS + int(code) * 10 ** (3 - len(code)) + number] = code
    return ",".join(entries)


@cache
def _rows() -> str:
    """Return the names of the rows by the same index: first with the calling code, then without."""
    data = reference.load("phone_regions")
    entries = [""] * (_REGIONS + 1000)
    for region, (_, _, own, main) in data["regions"].items():
        # The region's two letters stand before the number, hence two more places.
        entries[_index_of(region)] = ".." + own.ljust(_ROWS_WIDTH - 2, ".") + ".." + main
    for code, table in data["calling_codes"].items():
        for number in range(10 ** (3 - len(code))):
            entries[_REGIONS + int(code) * 10 ** (3 - len(code)) + number] = table
    return ",".join(entries)


def _index_of(region: str) -> int:
    return (ord(region[0]) - 65) * _LETTERS + ord(region[1]) - 65


def _alternatives(regions: list[str]) -> str:
    """Return an expression for a list of two-letter codes that looks at each letter once."""
    seconds: dict[str, str] = {}
    for region in sorted(regions):
        seconds[region[0]] = seconds.get(region[0], "") + region[1]
    return "|".join(f"{first}[{letters}]" for first, letters in seconds.items())


@cache
def _shape() -> str:
    """Return the expression whose group is a number's digits, after its region's letters unless it is international."""
    regions: dict[str, tuple[str, str, str, str]] = reference.load("phone_regions")["regions"]
    by_prefix: dict[str, list[str]] = {}
    for region, (_, prefix, _, _) in regions.items():
        if prefix:
            by_prefix.setdefault(prefix, []).append(region)
    abroad = "|".join(f"(?:{_alternatives(names)}){prefix}" for prefix, names in sorted(by_prefix.items()))
    nanp = _alternatives([region for region, (code, _, _, _) in regions.items() if code == "1"])
    return (
        # Only + and the first digits of an international prefix are worth a look at the list; no way back once taken.
        rf"^(?>[A-Z]{{2}}\+(?=[0-9])|(?=..[0189])(?:{abroad})(?=[0-9])|(?=[A-Z]{{2}}[0-9]))"
        # North American numbers: the library decides where area code or exchange starts with 0 or 1.
        rf"(?!(?:1|(?:{nanp})1?+)(?![2-9][0-9]{{2}}[2-9]))"
        r"((?:[A-Z]{2})?+[0-9]{5,17})\z"
    )


@cache
def _north_america() -> tuple[str, ...]:
    regions = reference.load("phone_regions")["regions"]
    return tuple(region for region, (code, _, _, _) in regions.items() if code == "1")


@cache
def _patterns() -> str:
    """Return the rows: how many characters to leave out, by the next two digits."""
    return ",".join(reference.load("phone_regions")["patterns"])


def _listed(entries: str, index: Column) -> Column:
    """Return an entry of a constant list, null outside of it: one step, where a map would be searched."""
    return F.get(F.split(F.lit(entries), ","), index)


def normalize_phone(value: Column, country: Column) -> Column:
    """Return the number in E.164 form with ``+``, or null where libphonenumber finds no possible number.

    ``value`` is a number as people write it; ``country`` (ISO alpha-2) is where it would be dialled, null where that is
    unknown. Both stages in one: for small frames, as every row travels to Python here. Spark would compute the first
    stage many times if the second looked at it as it does at a column.
    """
    return reading()(settle_natively(value, country), country)


def settle_natively(value: Column, country: Column, *, own_code: bool = False) -> Column:
    """Return the number in E.164 form with ``+`` where the tables tell, else ``UNSETTLED`` and the value as it came.

    ``value`` and ``country`` as for ``normalize_phone``. Null for null, and for text without any digit, where the
    library finds no number either. The rules are ITU-T E.164 and the numbering plans as libphonenumber knows them:
    possible, not necessarily assigned. Where the installed library is of another version than the tables, all is left
    to it. With ``own_code``, as in ``settle_by_library``, so is what begins with the country's own calling code and no
    ``+``.

    Raises ImportError where the library is not installed.
    """
    if metadata_version() != tables_version():
        return F.concat(F.lit(UNSETTLED), value)
    # Most numbers of North America are written in a handful of ways that one expression settles. The tables see the
    # others, and stand outside of any condition, for inside of one Spark would compute what they share many times.
    # With the own calling code or without, a number of North America reads the same.
    pattern = r"^(?:\+?1" + _NORTH_AMERICAN
    is_usual = country.isin(*_north_america()) & value.rlike(pattern)
    usual = F.when(is_usual, F.regexp_replace(value, pattern, "+1$1$2$3"))
    remaining = F.when(is_usual | (F.length(value) > _LONGEST_TEXT), F.lit(None)).otherwise(value)
    answer = F.concat_ws("", usual, _by_tables(remaining, country, own_code=own_code))
    # The expression takes the answer, else mark and value, else nothing: a comparison would compute the answer twice.
    return F.get(F.regexp_extract_all(F.concat(answer, F.lit(UNSETTLED), value), F.lit(_ANSWER), F.lit(0)), 0)


def _by_tables(value: Column, country: Column, *, own_code: bool) -> Column:
    """Return the number in E.164 form by looking its parts up; null where the tables do not tell."""
    digits = F.translate(value, _FOREIGN, _ASCII)
    # A country that is no two letters could borrow letters from the value.
    region = F.when(F.length(country) == F.lit(2), country).otherwise(_NO_COUNTRY)
    # One expression checks and splits; '' where it does not match runs through the lists to null.
    number = F.regexp_extract(F.concat(region, digits), _shape(), 1)
    abroad = number < F.lit("A")
    index = F.when(abroad, F.rpad(F.substring(number, 1, 3), 3, "0").cast("int") + _REGIONS).otherwise(
        F.ascii(number) * _LETTERS + F.ascii(F.substring(number, 2, 1)) - 65 * (_LETTERS + 1)
    )
    code = _listed(_calling_codes(), index)
    coded = F.startswith(number, code)
    # The number's length names a row, two more digits its entry.
    place = F.length(number) + F.when(coded, 0).otherwise(_ROWS_WIDTH)
    if own_code:
        place = F.when(abroad | ~coded, place)
    row = F.substr(_listed(_rows(), index), place, F.lit(1))
    start = F.when(coded, F.length(code)).otherwise(2) + 1
    lead = F.rpad(F.substr(number, start, F.lit(2)), 2, "0").cast("int")
    entry = F.substr(_listed(_patterns(), F.ascii(row) - _FIRST_PATTERN), lead + 1, F.lit(1))
    # '-' lies outside of the list, and so becomes null.
    national = F.substr(number, _listed(_STARTS, F.ascii(entry) - ord("0")))
    return F.concat(F.lit("+"), F.substr(code, F.when(abroad, 1).otherwise(3)), national)
