"""States and provinces."""

from __future__ import annotations

from functools import cache
from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F

from schemas import reference
from transforms.columns.lookup import folded, folded_text, found
from transforms.columns.text import words

_KNOWN: Final = ("US", "CA")
_NEEDS_WORK: Final = "[^ -~]|  "  # white space that is not a single blank


@cache
def _codes() -> dict[str, str]:
    """Return the code of every spelling, the country's letters before it; names first: plain codes never get here."""
    data = reference.load("states")
    codes: dict[str, str] = {}
    for country in _KNOWN:
        for code, spellings in data[country].items():
            codes |= {country + folded_text(spelling): code for spelling in spellings}
    for country in _KNOWN:
        for code in data[country]:
            codes[country + code] = code
            codes[country + country + code] = code  # ISO 3166-2, such as US-NY
    return codes


@cache
def _plain_codes() -> tuple[str, ...]:
    """Return the codes as most values are already, the country's letters before them."""
    data = reference.load("states")
    return tuple(country + code for country in _KNOWN for code in data[country])


def normalize_state(value: Column, country: Column) -> Column:
    """Return the two-letter postal code in the US and Canada, elsewhere the text in upper case with single blanks.

    ``value`` is a code or a name (English; French too in Canada) with or without punctuation, ``country`` the ISO
    alpha-2 code. The codes are those of USPS Publication 28, military ones included, and of Canada Post. What is no
    state or province of those two is null; so are null and blank.
    """
    key = F.concat(country, value)
    code = F.when(key.isin(*_plain_codes()), value).otherwise(found(F.concat(country, folded(value)), _codes()))
    elsewhere = F.when(value.rlike(_NEEDS_WORK), words(F.upper(value))).otherwise(F.upper(value))
    return F.when(country.isin(*_KNOWN), code).otherwise(elsewhere)
