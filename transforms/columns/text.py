"""Text as it is: words that mean null, case, blanks between words.

Every function here takes *trimmed* text: decoding has taken the blanks off both ends (``streams.delimited.trimmed``),
where that costs next to nothing.
"""

from __future__ import annotations

from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F

from transforms.blanks import WHITE_SPACE

_VANISHING: Final = "\u200b\u2060\ufeff\u180e"  # joiners stay inside of words: Persian and Indic scripts need them
_JOINERS: Final = "\u200c\u200d"
_UNIFORM_FROM: Final = WHITE_SPACE + _VANISHING
_UNIFORM_TO: Final = " " * len(WHITE_SPACE)


def cleanse(value: Column, null_values: tuple[str, ...]) -> Column:
    """Return the text, null where it is empty or, letter for letter, one of ``null_values``; null stays null."""
    return F.when(~value.isin("", *null_values), value)


def words(value: Column, replaced: str = "", by: str = "") -> Column:
    """Return the text with single blanks between its words and none at its ends; null where nothing is left.

    Each character of ``replaced`` becomes the one of ``by`` at its place. White space is Unicode's; null stays null.
    """
    uniform = F.translate(value, replaced + _UNIFORM_FROM, by + _UNIFORM_TO)
    return filled(F.btrim(F.regexp_replace(uniform, " {2,}", " "), F.lit(" " + _JOINERS)))


def filled(value: Column) -> Column:
    """Return the text, null where it is empty; null stays null.

    The first match of anything at all is computed once where a comparison would compute ``value`` twice: Spark shares
    no work between the parts of a conditional expression.
    """
    return F.get(F.regexp_extract_all(value, F.lit("(?s)^.+"), F.lit(0)), 0)


def normalize_text(value: Column, country: Column) -> Column:  # noqa: ARG001  every normaliser takes both
    """Return the text as it is; null stays null. ``country`` is not needed."""
    return value


def normalize_lower(value: Column, country: Column) -> Column:  # noqa: ARG001  every normaliser takes both
    """Return the text in lower case (Unicode, root locale); null stays null. ``country`` is not needed."""
    return F.lower(value)
