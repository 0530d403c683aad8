"""Amazon Ads Events API and Ads Data Manager, as Amazon's server-side tag prepares match keys (code at 0007fc78)."""

from __future__ import annotations

from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F

from transforms.profiles import amazon_words as words
from transforms.profiles import javascript_text
from transforms.profiles.amazon_words import EVENTS
from transforms.profiles.rule import Rule, as_column, rule, step
from transforms.profiles.steps import LOWER, NOTHING_LEFT, deleted, plainly

_STRIPPED: Final = step("white space at the ends goes", plainly(javascript_text.strip))
_ALPHANUMERIC: Final = step("all but a-z and 0-9 goes", deleted("[^a-z0-9]+"))


def already_hashed(value: Column) -> Column:
    """Return what the tag takes for a hash, 64 hexadecimal digits between white space, in lower case; else null."""
    return F.lower(F.get(F.regexp_extract_all(value, F.lit(r"^\s*+([0-9a-fA-F]{64})\s*+\z"), F.lit(1)), 0))


def _address() -> Rule:
    return rule(
        _STRIPPED,
        LOWER,
        step(
            "street words are shortened, default list, then the country's",
            as_column,
            words.replaced_street_words(EVENTS),
        ),
        step("blanks for , . [ ] / - and the word number for #", words.without_delimiters),
        step(
            "directions and words for number",
            lambda text, _: words.replaced_words(text, words.direction_and_number_words()),
        ),
        step("accented vowels and umlauts in ASCII", as_column, words.replaced_special_characters(EVENTS)),
        step("street words once more", as_column, words.replaced_street_words(EVENTS)),
        _ALPHANUMERIC,
        NOTHING_LEFT,
        needs_country=True,
        idempotent=False,
    )


#: By the names that the profile files use, after ``amazon_events.``.
RULES: Final[dict[str, Rule]] = {
    "email": rule(_STRIPPED, LOWER, step("all but a-z 0-9 . @ _ - goes", deleted(r"[^a-z0-9.@_-]+")), NOTHING_LEFT),
    "name": rule(_STRIPPED, LOWER, step("all but a-z goes", deleted("[^a-z]+")), NOTHING_LEFT),
    "city": rule(_STRIPPED, LOWER, _ALPHANUMERIC, NOTHING_LEFT),
    "phone": rule(
        step("digits alone", deleted("[^0-9]+")),
        NOTHING_LEFT,
        step("zeros in front go", plainly(lambda value: F.regexp_replace(value, "^0+(?=.)", ""))),
        step("the country's calling code in front, unless it is there", as_column, words.with_calling_code(EVENTS)),
        needs_country=True,
    ),
    "address": _address(),
    "state": rule(
        _STRIPPED,
        LOWER,
        step("accented vowels and umlauts in ASCII", as_column, words.replaced_special_characters(EVENTS)),
        _ALPHANUMERIC,
        step(
            "names of states anywhere in it become codes, in the order of one list",
            as_column,
            words.replaced_states(EVENTS),
        ),
        step("the first two characters", plainly(lambda value: F.substring(value, 1, 2))),
        NOTHING_LEFT,
    ),
    "postal_code": rule(
        _STRIPPED,
        LOWER,
        step("from the first dash on all goes", deleted("(?s)-.*")),
        _ALPHANUMERIC,
        NOTHING_LEFT,
    ),
    "country": rule(
        _STRIPPED,
        LOWER,
        _ALPHANUMERIC,
        step("names become codes", plainly(lambda text: words.replaced_words(text, words.countries(EVENTS)))),
        NOTHING_LEFT,
    ),
    "mobile_ad_id": rule(_STRIPPED, NOTHING_LEFT),
}
