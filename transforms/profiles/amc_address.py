"""Street addresses as the AMC Uploader reads them.

A line is parted into words, ``123-B`` and ``#5`` are taken apart, words of the country's list are shortened, and all
is joined. The uploader takes words apart while it walks over them and stops at the number of words it started with, so
that in a line with several such words the last ones escape: positions matter there, and such lines, which are few, are
walked word by word. All others need three expressions and a look-up.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F

from schemas import reference
from transforms.columns.lookup import replaced
from transforms.profiles.python_text import SPACE, is_ascii, numeric_class, upper, word_class
from transforms.profiles.rule import Function

LATEST: Final = "3.0.15"
_DEFAULT: Final = ("CA", "DE", "JP", "IN")
_OWN: Final = ("US", "GB", "FR", "ES", "IT")
_BLANK: Final = " "
_LETTERS_AND_POUND: Final = r"(?:([A-Z]++)#([0-9A-Z/-]*+)|#([0-9A-Z/-]++))"
_POUND: Final = rf"(?<![^ ])(?=[^ ]*#)[^ ]*?{_LETTERS_AND_POUND}[^ ]*+"


def _dash(start: str, end: str) -> str:
    """Return the expression of a word that a dash takes apart: a number, the word's only dash, and no number."""
    # Java tests a long class entry by entry: ASCII is told at once.
    number = rf"(?:[0-9]|(?![\x00-\x7f])[{numeric_class()}])"
    return rf"{start}({number}++)-(?!{number}++{end})([^ -]++){end}"


def gaps(version: str) -> Function:
    """Return a function: upper case, single blanks between the words."""
    word = f"[{word_class()}]"
    dot = "." if version == LATEST else ""
    marks = rf",!\[\]{{}}(){dot}"
    gap = rf"(?:[{SPACE}{marks}]|C(?<!{word}C)/O(?!{word}))+"
    usual_gap = rf"[\t-\r\x1c-\x20{marks}]+"

    def apply(value: Column, country: Column) -> Column:  # noqa: ARG001
        is_usual = is_ascii(value) & ~F.contains(F.upper(value), F.lit("C/O"))
        usual = F.regexp_replace(F.upper(value), usual_gap, _BLANK)
        return F.when(is_usual, usual).otherwise(F.regexp_replace(upper(value), gap, _BLANK))

    return apply


def tokens(text: Column, country: Column) -> Column:  # noqa: ARG001
    """Return the words, those with a dash or a pound sign taken apart; ``text`` has single blanks between its words."""
    dash = _dash("(?<![^ ])", "(?![^ ])")
    simple = F.regexp_replace(F.regexp_replace(text, dash, "$1 $2"), _POUND, "$1 # $2$3")
    is_plain = ~F.contains(text, F.lit("#")) & ~F.contains(text, F.lit("-"))
    return (
        F.when(is_plain, F.split(text, _BLANK))
        .when(text.rlike(f"#.*#|{dash}.*{dash}"), _walked(text))
        .otherwise(F.split(simple, _BLANK))
    )


def _walked(text: Column) -> Column:
    words = F.filter(F.split(text, _BLANK), lambda word: word != F.lit(""))
    parted = _once(words, lambda each: _taken_apart(each, _dash_pieces))
    return _once(parted, lambda each: _taken_apart(each, _pound_pieces))


def _once(value: Column, function: Callable[[Column], Column]) -> Column:
    """Apply a function that uses its argument many times: the variable of a lambda is computed once."""
    return F.get(F.transform(F.array(value), function), 0)


def _taken_apart(words: Column, pieces: Callable[[Column], Column]) -> Column:
    """Replace words by their pieces, as far as the position of a word is below the number of words at the start."""
    start = F.struct(F.slice(words, 1, 0).alias("done"), F.lit(0).alias("position"))

    def walk(state: Column, word: Column) -> Column:
        taken = pieces(word)
        is_reached = state["position"] < F.size(words)
        parts = F.when(is_reached, taken).otherwise(F.array(word))
        return F.struct(
            F.concat(state["done"], parts).alias("done"), (state["position"] + F.size(parts)).alias("position")
        )

    return F.aggregate(words, start, walk)["done"]


def _dash_pieces(word: Column) -> Column:
    dash = _dash("^", "$")
    halves = F.array(F.regexp_extract(word, dash, 1), F.regexp_extract(word, dash, 2))
    return F.when(word.rlike(dash), halves).otherwise(F.array(word))


def _pound_pieces(word: Column) -> Column:
    """Take a word apart at every pound sign that has something beside it; what else is in the word is lost.

    From the second one on the last piece so far is replaced, not the word.
    """
    found_parts = F.regexp_extract_all(word, F.lit("([A-Z]*+)#([0-9A-Z/-]*+)"), F.lit(0))
    parts = F.filter(found_parts, lambda part: part != F.lit("#"))

    def replace_last(done: Column, part: Column) -> Column:
        pieces = F.array(F.substring_index(part, "#", 1), F.lit("#"), F.regexp_replace(part, "^[^#]*#", ""))
        kept = F.slice(done, F.lit(1), F.size(done) - F.lit(1))
        return F.concat(kept, F.filter(pieces, lambda piece: piece != F.lit("")))

    return F.when(F.size(parts) > F.lit(0), F.aggregate(parts, F.array(word), replace_last)).otherwise(F.array(word))


@cache
def words_of(country: str, version: str) -> dict[str, str]:
    """Return what the words of a country become: spelling to short form, both in upper case."""
    data = reference.load("amc_words")
    own = country if country in _OWN else "default"
    tables = [data["common"], data[own]]
    if version != LATEST:
        tables.append(data.get("dotted", {}).get(own, {}))
    entries = {spelling: short for table in tables for short, spellings in table.items() for spelling in spellings}
    if version != LATEST:
        entries.pop("WEST", None)
    return {spelling: short for spelling, short in entries.items() if spelling != short}


def shortened(version: str) -> Function:
    """Return a function: every word that the row's country has in its list becomes its short form."""

    def apply(words: Column, country: Column) -> Column:
        def in_country(name: str) -> Column:
            entries = words_of(name, version)
            return F.transform(words, lambda word: replaced(word, entries))

        result = F.when(country == F.lit("US"), in_country("US"))
        for name in _OWN[1:]:
            result = result.when(country == F.lit(name), in_country(name))
        return result.otherwise(in_country(_DEFAULT[0]))

    return apply


def joined(words: Column, country: Column) -> Column:  # noqa: ARG001
    """Return the words as one."""
    return F.array_join(words, "")
