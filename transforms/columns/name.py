"""Names of people and places."""

from __future__ import annotations

from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F

from transforms.columns.text import words

#: Quotation marks, primes, accents and modifier letters that stand for an apostrophe.
APOSTROPHES: Final = "\u2018\u2019\u201b\u02bc\u02b9\u2032\xb4`\uff07"


def normalize_name(value: Column, country: Column) -> Column:  # noqa: ARG001
    """Return the name in lower case, single blanks between its words, every apostrophe as ``'``.

    ``value`` is a first, last or city name; accents and other punctuation stay. Null and blank become null.
    ``country`` is not needed. The rule is ours; Unicode says what is white space and lower case.
    """
    return words(F.lower(value), APOSTROPHES, "'" * len(APOSTROPHES))
