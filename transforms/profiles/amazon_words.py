"""What Amazon's server-side tag and the Entity Resolution library share: both apply the same tables of words.

The tag applies a table entry by entry, the library looks each word up once, which is the same: no entry of a table
makes a word that another entry of it has. Tables are in ``schemas/reference/amazon_words.toml``; "uk" is missing there
because both file the United Kingdom under it while its country code is "gb", so neither ever uses it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

from pyspark.sql import Column
from pyspark.sql import functions as F

from schemas import reference
from transforms.columns.lookup import found, replaced
from transforms.profiles.python_text import is_ascii
from transforms.profiles.rule import Function

EVENTS: Final = "events"
ENTITY_RESOLUTION: Final = "entity_resolution"
COUNTRIES: Final = ("US", "IT", "FR", "ES")

_SHARED_STATES: Final = ("us", "ca", "de", "fr", "it", "es")
_STATES_OF_THE_TAG: Final = ("mx", "br", "nl", "tr")
_DELIMITERS: Final = ",.[]/-"

Words = Mapping[str, str]


def _data() -> dict[str, Any]:
    return reference.load("amazon_words")


def _own(profile: str, *keys: str) -> dict[str, str]:
    """Return a table that only one of the two has; empty where it has none."""
    found_table: Any = _data().get(profile, {})
    for key in keys:
        found_table = found_table.get(key, {})
    return dict(found_table)


def special_characters(profile: str) -> dict[str, str]:
    """Return letters and what they become, in order."""
    return {**_own(profile, "special_characters"), **_data()["special_characters"]}


def calling_codes(profile: str) -> dict[str, str]:
    """Return the calling code of each country, by its code in upper case."""
    codes = {**_data()["calling_codes"], **_own(profile, "calling_codes")}
    return {country.upper(): code for country, code in codes.items()}


def countries(profile: str) -> dict[str, str]:
    """Return the code of each country by its name, both in lower case."""
    return {**_data()["countries"], **_own(profile, "countries")}


def state_names(profile: str) -> dict[str, str]:
    """Return the code of each state by its name, in the order in which they are replaced."""
    names: dict[str, str] = {}
    groups = _SHARED_STATES + (_STATES_OF_THE_TAG if profile == EVENTS else ())
    for group in groups:
        names |= _own(profile, "states", group)
        names |= _data()["states"].get(group, {})
    return names


def _table(profile: str, name: str) -> dict[str, str]:
    return {**_data()["words"].get(name, {}), **_own(profile, "words", name)}


def _effective(tables: Sequence[Words]) -> dict[str, str]:
    """Return what every word of the tables becomes when one table after the other is applied."""
    ends = {word: word for table in tables for word in table}
    for table in tables:
        ends = {word: table.get(end, end) for word, end in ends.items()}
    return {word: end for word, end in ends.items() if word != end}


@cache
def street_words(profile: str, country: str | None) -> dict[str, str]:
    """Return what the street words of a country become; None for a country without words of its own."""
    tables = [_table(profile, "default")]
    if country is not None:
        tables.append(_table(profile, country.lower()))
    return _effective(tables)


@cache
def direction_and_number_words() -> dict[str, str]:
    """Return what directions and words for "number" become."""
    return _effective([_data()["directions"], _data()["numbers"]])


def replaced_words(text: Column, entries: Words) -> Column:
    """Replace whole words between blanks."""
    words = F.transform(F.split(text, " "), lambda word: replaced(word, entries))
    return F.array_join(words, " ")


def replaced_street_words(profile: str, *, in_ascii: bool = False) -> Function:
    """Return a function that replaces street words: those of all countries, then the row's country's.

    ``in_ascii`` leaves accented letters out of what words become, where nothing but ASCII is kept afterwards.
    """

    def entries(country: str | None) -> dict[str, str]:
        known = street_words(profile, country)
        return {word: end.encode("ascii", "ignore").decode() for word, end in known.items()} if in_ascii else known

    def apply(text: Column, country: Column) -> Column:
        result = F.when(country == F.lit(COUNTRIES[0]), replaced_words(text, entries(COUNTRIES[0])))
        for name in COUNTRIES[1:]:
            result = result.when(country == F.lit(name), replaced_words(text, entries(name)))
        return result.otherwise(replaced_words(text, entries(None)))

    return apply


def without_delimiters(text: Column, country: Column) -> Column:  # noqa: ARG001
    """Put blanks for ``, . [ ] / -`` and the word number for ``#``."""
    return F.replace(F.translate(text, _DELIMITERS, " " * len(_DELIMITERS)), F.lit("#"), F.lit(" number "))


def replaced_special_characters(profile: str) -> Function:
    """Return a function that writes umlauts and the like in ASCII."""
    entries = special_characters(profile)

    def apply(text: Column, country: Column) -> Column:  # noqa: ARG001
        written = text
        for letter, letters in entries.items():
            written = F.replace(written, F.lit(letter), F.lit(letters))
        return F.when(is_ascii(text), text).otherwise(written)

    return apply


@cache
def _whole_states(profile: str) -> dict[str, str]:
    """Return what each name becomes when all names are replaced in order: West Virginia becomes westva."""
    names = state_names(profile)
    ends: dict[str, str] = {}
    for name in names:
        text = name
        for key, code in names.items():
            text = text.replace(key, code)
        ends[name] = text
    return ends


def replaced_states(profile: str) -> Function:
    """Return a function that replaces every name of a state wherever it stands in the text, in the order of the table.

    Whole names are looked up; other text that holds a name, which is rare, goes through the table.
    """
    names = state_names(profile)
    whole = _whole_states(profile)

    def apply(text: Column, country: Column) -> Column:  # noqa: ARG001
        pairs = [F.struct(F.lit(name).alias("name"), F.lit(code).alias("code")) for name, code in names.items()]
        walked = F.aggregate(F.array(*pairs), text, lambda state, pair: F.replace(state, pair["name"], pair["code"]))
        return F.when(F.length(text) <= F.lit(2), text).otherwise(F.coalesce(found(text, whole), walked))

    return apply


def with_calling_code(profile: str) -> Function:
    """Return a function that puts the country's calling code before digits that do not begin with it."""
    codes = calling_codes(profile)

    def apply(digits: Column, country: Column) -> Column:
        code = found(country, codes)
        return F.when(code.isNull() | digits.startswith(code), digits).otherwise(F.concat(code, digits))

    return apply
