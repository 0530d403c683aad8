"""AWS Entity Resolution, as its published normalisation library does it (code at 3a32f1d)."""

from __future__ import annotations

import sys
import unicodedata
from functools import cache
from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F

from transforms.columns.phone_library import UNSETTLED
from transforms.columns.phone_national import national_number_if_valid
from transforms.profiles import amazon_words as words
from transforms.profiles.amazon_words import ENTITY_RESOLUTION
from transforms.profiles.python_text import is_ascii
from transforms.profiles.rule import Rule, as_column, rule, step
from transforms.profiles.steps import LOWER, NOTHING_LEFT, deleted, plainly

_ASCII: Final = 0x80


@cache
def _accented() -> tuple[str, str]:
    """Return characters whose canonical decomposition (NFD) holds an ASCII character, and those characters."""
    pairs = []
    for code in range(_ASCII, sys.maxunicode + 1):
        plain = [each for each in unicodedata.normalize("NFD", chr(code)) if ord(each) < _ASCII]
        if plain:
            pairs.append((chr(code), plain[0]))
    return "".join(pair[0] for pair in pairs), "".join(pair[1] for pair in pairs)


def _without_accents(value: Column) -> Column:
    """Do what the library's å to aa and NFD do to text of which only ASCII is kept afterwards."""
    folded = F.translate(F.replace(value, F.lit("å"), F.lit("aa")), *_accented())
    return F.when(is_ascii(value), value).otherwise(folded)


def _inside_brackets(value: Column) -> Column:
    inside = F.get(F.regexp_extract_all(value, F.lit("(?s)<([^>]*)>"), F.lit(1)), 0)
    return F.when(F.contains(value, F.lit("<")), F.coalesce(inside, value)).otherwise(value)


_PLAIN_US_NUMBER: Final = "^1?[2-9][0-9]{9}$"


def _domestic(digits: Column, country: Column) -> Column:
    """Leave to libphonenumber what it decides: US numbers of unusual form, and rows of no country."""
    is_plain = (country == F.lit("US")) & digits.rlike(_PLAIN_US_NUMBER)
    is_decided_by_library = country.isNull() | ((country == F.lit("US")) & ~is_plain)
    return F.when(is_decided_by_library, F.concat(F.lit(UNSETTLED), digits)).otherwise(digits)


def _national_number(digits: Column, country: Column) -> Column:  # noqa: ARG001
    is_open = digits.startswith(UNSETTLED)
    plain = F.substring(digits, 2, 1 << 20)
    national = national_number_if_valid(F.when(is_open, plain), F.lit("US"))
    return F.when(is_open, F.coalesce(national, plain)).otherwise(digits)


_STRIPPED: Final = step(
    "control characters and blanks at the ends go",
    plainly(lambda value: F.btrim(value, F.lit("".join(map(chr, range(0x21)))))),
)
_ACCENTS: Final = step("å becomes aa, accents go (NFD)", as_column, plainly(_without_accents))
_ALPHANUMERIC: Final = step("all but a-z and 0-9 goes", deleted("[^a-zA-Z0-9]+"))
_SPECIAL: Final = step("umlauts in ASCII", as_column, words.replaced_special_characters(ENTITY_RESOLUTION))


def _address() -> Rule:
    street_words = words.replaced_street_words(ENTITY_RESOLUTION)
    return rule(
        _STRIPPED,
        LOWER,
        step("street words are shortened, default list, then the country's", as_column, street_words),
        step("blanks for , . [ ] / - and the word number for #", words.without_delimiters),
        step(
            "directions and words for number",
            lambda text, _: words.replaced_words(text, words.direction_and_number_words()),
        ),
        _SPECIAL,
        # The library takes accents off first; a word that has one is in no list either way.
        step("street words once more", as_column, words.replaced_street_words(ENTITY_RESOLUTION, in_ascii=True)),
        _ACCENTS,
        _ALPHANUMERIC,
        NOTHING_LEFT,
        needs_country=True,
        idempotent=False,
    )


#: By the names that the profile files use, after ``aws_entity_resolution.``.
RULES: Final[dict[str, Rule]] = {
    "email": rule(
        _STRIPPED,
        LOWER,
        _ACCENTS,
        step("of text with <…> what is inside of the first", as_column, plainly(_inside_brackets)),
        step("white space goes", deleted(r"\s+")),
        step("(at) becomes @", plainly(lambda value: F.replace(value, F.lit("(at)"), F.lit("@")))),
        step("all but ASCII letters, digits and _ . @ - goes", deleted(r"[^a-zA-Z0-9_.@-]+")),
        NOTHING_LEFT,
    ),
    "name": rule(_STRIPPED, LOWER, _ACCENTS, step("all but a-z goes", deleted("[^a-zA-Z]+")), NOTHING_LEFT),
    "city": rule(_STRIPPED, LOWER, _ACCENTS, _ALPHANUMERIC, NOTHING_LEFT),
    "phone": rule(
        step("digits alone", deleted("[^0-9]+")),
        NOTHING_LEFT,
        step(
            "of US numbers, and without a country, the national number if libphonenumber finds them valid",
            _domestic,
            _national_number,
        ),
        step("zeros in front go", plainly(lambda value: F.regexp_replace(value, "^0+(?=[1-9])", ""))),
        step(
            "the country's calling code in front, unless it is there",
            as_column,
            words.with_calling_code(ENTITY_RESOLUTION),
        ),
        needs_country=True,
        by_libphonenumber=True,
    ),
    "address": _address(),
    "state": rule(
        _STRIPPED,
        LOWER,
        _SPECIAL,
        _ACCENTS,
        _ALPHANUMERIC,
        step(
            "names of states anywhere in it become codes, in the order of one list",
            as_column,
            words.replaced_states(ENTITY_RESOLUTION),
        ),
        NOTHING_LEFT,
        idempotent=False,
    ),
    "postal_code": rule(
        _STRIPPED, LOWER, step("from the first dash on all goes", deleted("(?s)-.*")), _ALPHANUMERIC, NOTHING_LEFT
    ),
    "country": rule(
        _STRIPPED,
        LOWER,
        _ACCENTS,
        _ALPHANUMERIC,
        step(
            "names become codes", plainly(lambda text: words.replaced_words(text, words.countries(ENTITY_RESOLUTION)))
        ),
        NOTHING_LEFT,
    ),
}
