"""Names of people and places."""

from __future__ import annotations

from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F

from transforms.columns.text import words

#: Quotation marks, primes, accents and modifier letters that stand for an apostrophe.
APOSTROPHES: Final = "\u2018\u2019\u201b\u02bc\u02b9\u2032\xb4`\uff07"

#: Anything but plain ASCII, the one ASCII character among the apostrophes, and two blanks in a row.
_NEEDS_WORK: Final = r"[^ -_a-~]|  "


def normalize_name(value: Column, country: Column) -> Column:  # noqa: ARG001  every normaliser takes both
    """Return the name in lower case, single blanks between its words, every apostrophe as ``'``.

    ``value`` is a first, last or city name, trimmed; accents and other punctuation stay. Null and nothing but
    zero-width characters become null. ``country`` is not needed. The rule is ours; Unicode says what is white space
    and lower case.
    """
    lowered = F.lower(value)
    uniform = words(lowered, APOSTROPHES, "'" * len(APOSTROPHES))
    return F.when(value.rlike(_NEEDS_WORK), uniform).otherwise(lowered)
