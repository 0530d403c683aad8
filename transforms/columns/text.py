"""Text as it is: white space at the ends, words that mean null, case."""

from __future__ import annotations

from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F

#: White space of Unicode (property White_Space) ...
WHITE_SPACE: Final = (
    "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680"
    "\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
#: ... and what takes no room: zero-width space, joiners, word joiner, byte-order mark, Mongolian vowel separator.
ZERO_WIDTH: Final = "\u200b\u200c\u200d\u2060\ufeff\u180e"
BLANKS: Final = WHITE_SPACE + ZERO_WIDTH

_VANISHING: Final = "\u200b\u2060\ufeff\u180e"  # joiners stay inside of words: Persian and Indic scripts need them
_JOINERS: Final = "\u200c\u200d"
_UNIFORM_FROM: Final = WHITE_SPACE + _VANISHING
_UNIFORM_TO: Final = " " * len(WHITE_SPACE)


def trimmed(value: Column) -> Column:
    """Return the text without white space and zero-width characters at both ends; null stays null, all blank is ''."""
    return F.btrim(value, F.lit(BLANKS))


def kept(value: Column, condition: Column) -> Column:
    """Return the text where the condition holds, else null; null stays null.

    A concatenation, because Spark evaluates both of its sides always, and therefore what they share once. It would
    compute ``value`` twice in ``when(condition(value), value)``.
    """
    return F.concat(value, F.when(condition, F.lit("")))


def filled(value: Column) -> Column:
    """Return the text, null where it is empty; null stays null."""
    return kept(value, value != F.lit(""))


def words(value: Column, also: str = "", by: str = "") -> Column:
    """Return the text with single blanks between its words and none at its ends; null where nothing is left.

    Each character of ``also`` becomes the one of ``by`` at its place. White space is Unicode's; null stays null.
    """
    text = F.translate(value, also + _UNIFORM_FROM, by + _UNIFORM_TO)
    # A regular expression only where there is something for it to do.
    single = F.when(text.contains("  "), F.regexp_replace(text, " {2,}", " ")).otherwise(text)
    return filled(F.btrim(single, F.lit(" " + _JOINERS)))


def cleanse(value: Column, null_values: tuple[str, ...]) -> Column:
    """Return the trimmed text, null where it is empty or, letter for letter, one of ``null_values``.

    ``value`` is text as delivered; null stays null. The rule is ours: Unicode's White_Space and zero-width characters,
    at the ends only.
    """
    text = trimmed(value)
    return kept(text, ~text.isin("", *null_values))


def normalize_text(value: Column, country: Column) -> Column:  # noqa: ARG001
    """Return the trimmed text as it is; empty and null become null. ``country`` is not needed. The rule is ours."""
    return filled(trimmed(value))


def normalize_lower(value: Column, country: Column) -> Column:  # noqa: ARG001
    """Return the trimmed text in lower case (Unicode, root locale).

    Empty and null become null. ``country`` is not needed.
    """
    return filled(F.lower(trimmed(value)))
