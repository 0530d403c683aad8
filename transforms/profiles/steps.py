"""Steps that several platforms share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F

from transforms.columns.phone import settle_by_library, settle_natively
from transforms.profiles import python_text
from transforms.profiles.rule import Function, Step, as_column, rule, step

#: What counts as punctuation on a keyboard: everything in ASCII that is no letter, digit or blank.
PUNCTUATION: Final = r"!-/:-@\[-`{-~"


def plainly(function: Callable[[Column], Column]) -> Function:
    """Return a function of a column alone as one of value and country."""
    return lambda value, _: function(value)


def deleted(pattern: str, in_ascii: str | None = None) -> Function:
    """Return a function that deletes what a Java expression matches.

    ``in_ascii`` is an expression that says the same of ASCII text, where Java decides by a table.
    """

    def apply(value: Column, country: Column) -> Column:  # noqa: ARG001
        everywhere = F.regexp_replace(value, pattern, "")
        if in_ascii is None:
            return everywhere
        return F.when(python_text.is_ascii(value), F.regexp_replace(value, in_ascii, "")).otherwise(everywhere)

    return apply


def matching(pattern: str) -> Function:
    """Return a function that keeps what a Java expression finds something in; wants a plain column (``as_column``)."""
    return lambda value, _: F.when(value.rlike(pattern), value)


def captured(pattern: str) -> Function:
    """Return a function that gives the first group of the first match, null where nothing matches."""
    return lambda value, _: F.get(F.regexp_extract_all(value, F.lit(pattern), F.lit(1)), 0)


STRIPPED: Final = step("white space at the ends goes", plainly(python_text.strip))
LOWER: Final = step("lower case", plainly(python_text.lower))
UPPER: Final = step("upper case", plainly(python_text.upper))
WITHOUT_BLANKS: Final = step("all white space goes", deleted(f"[{python_text.SPACE}]+"))
NOTHING_LEFT: Final = step(
    "nothing left is null", as_column, plainly(lambda value: F.when(value != F.lit(""), value)), reason="nothing_left"
)


def known_country(countries: tuple[str, ...]) -> Step:
    """Return a step that refuses rows of other countries."""
    return step(
        f"only rows of {' '.join(countries)}",
        lambda value, country: F.when(country.isin(*countries), value),
        reason="unknown_country",
    )


#: E.164 by libphonenumber in the row's country.
E164: Final = step(
    "must be a possible number for libphonenumber in the row's country; E.164 with +",
    settle_natively,
    settle_by_library,
    reason="not_a_phone",
)

#: A phone number in E.164 with a plus.
PHONE: Final = rule(E164, needs_country=True, by_libphonenumber=True)
