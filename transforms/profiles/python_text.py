"""Text as Python sees it, for rules whose reference is a Python program: white space, word characters, case.

Java and Spark agree with CPython on all but letters that are newer than the Unicode version of one of them, listed in
``schemas/reference/python_text.toml``, and on where a Greek sigma is the last letter of a word. Null stays null.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F

from schemas import reference
from transforms.blanks import WHITE_SPACE

#: What ``\\s`` of Python's ``re`` and ``str.strip()`` mean, for a character class of Java.
SPACE: Final = r"\s\x1c-\x1f\x85\p{Z}"

_SIGMA: Final = "\u03a3"
_FINAL_SIGMA: Final = "\u03c2"
_SMALL_SIGMA: Final = "\u03c3"
_MOST_IGNORED: Final = 16  # looking back needs an end: nobody writes more accents in a row


def _listed(name: str) -> str:
    """Return code points of the reference file for a character class of Java."""
    pairs: list[list[int]] = reference.load("python_text")[name]
    return "".join(f"\\x{{{first:x}}}-\\x{{{last:x}}}" for first, last in pairs)


@cache
def word_class() -> str:
    r"""Return what ``\w`` of Python's ``re`` means, for a character class of Java."""
    return r"a-zA-Z0-9_\p{L}\p{N}" + _listed("word")


@cache
def numeric_class() -> str:
    """Return what ``str.isnumeric()`` means, for a character class of Java."""
    return r"0-9\p{N}" + _listed("numeric")


@cache
def _final_sigma() -> str:
    """Return the expression of a sigma that ends a word: behind a letter, not before one, marks passed over."""
    cased, ignored = f"[{_listed('cased')}]", f"[{_listed('case_ignorable')}]"
    return rf"(?<={cased}{ignored}{{0,{_MOST_IGNORED}}}){_SIGMA}(?!{ignored}*+{cased})"


def strip(value: Column) -> Column:
    """Do what ``str.strip()`` does."""
    return F.btrim(value, F.lit(WHITE_SPACE))


def is_ascii(value: Column) -> Column:
    """Tell whether a text is all ASCII, by its numbers of characters and bytes: no regular expression is as quick."""
    return F.length(value) == F.octet_length(value)


def lower(value: Column) -> Column:
    """Do what ``str.lower()`` does."""
    final = F.translate(F.regexp_replace(value, _final_sigma(), _FINAL_SIGMA), _SIGMA, _SMALL_SIGMA)
    other = F.lower(F.when(F.contains(value, F.lit(_SIGMA)), final).otherwise(value))
    return F.when(is_ascii(value), F.lower(value)).otherwise(F.translate(other, *_newer("lower")))


def upper(value: Column) -> Column:
    """Do what ``str.upper()`` does: German sharp s becomes two letters, ligatures fall apart."""
    return F.when(is_ascii(value), F.upper(value)).otherwise(F.translate(F.upper(value), *_newer("upper")))


@cache
def _newer(case: str) -> tuple[str, str]:
    """Return letters that only some Sparks map, and what they become."""
    newer = {letter: other for letter, other in reference.load("python_text")[case].items() if letter != other}
    return "".join(newer), "".join(newer.values())
