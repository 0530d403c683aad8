"""Amazon Marketing Cloud, as the AMC Uploader from AWS 3.0.15 (code at 0cbf8c1) and 3.0.11 prepare uploads.

The rules are those of its code, mistakes included: names lose accented letters, cities do not know umlauts, postal
codes keep their case, phone numbers are read without a country. Text is what Python 3 says it is.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F

from schemas import reference
from transforms.columns.lookup import found
from transforms.columns.phone import settle_by_library, settle_natively
from transforms.profiles import amc_address
from transforms.profiles.python_text import is_ascii, lower, upper, word_class
from transforms.profiles.rule import Rule, as_column, rule, step
from transforms.profiles.steps import LOWER, NOTHING_LEFT, deleted, known_country, matching, plainly

#: The countries that the uploader knows; any other one stops it.
COUNTRIES: Final = ("US", "GB", "JP", "IN", "IT", "ES", "CA", "DE", "FR")

_KNOWN: Final = known_country(COUNTRIES)
_UMLAUTS: Final = {"ß": "ss", "ä": "ae", "ö": "oe", "ü": "ue", "æ": "ae"}
_FIVE_DIGITS: Final = ("US", "DE", "FR", "ES", "IT")
_AS_IT_IS: Final = "="  # before a state that is no more than two characters long


def already_hashed(value: Column) -> Column:
    """Return a value that the uploader takes for a hash, which is 64 lower-case digits; null where it is none."""
    return F.get(F.regexp_extract_all(value, F.lit(r"^[0-9a-f]{64}(?=\n?\z)"), F.lit(0)), 0)


def _without_umlauts(value: Column) -> Column:
    replaced = F.translate(value, "ø", "o")
    for letter, letters in _UMLAUTS.items():
        replaced = F.replace(replaced, F.lit(letter), F.lit(letters))
    return F.when(is_ascii(value), value).otherwise(replaced)


_NAME: Final = rule(
    LOWER,
    step("ß ä ö ü ø æ become ss ae oe ue o ae", plainly(_without_umlauts)),
    step("all but a-z and 0-9 goes", deleted("[^a-z0-9]+")),
    NOTHING_LEFT,
)

_CITY: Final = rule(LOWER, step("all but a-z and 0-9 goes", deleted("[^a-z0-9]+")), NOTHING_LEFT)


def _email() -> Rule:
    word = word_class()
    # Java tests a long class entry by entry: ASCII is told at once.
    kept = rf"(?:[a-z0-9_.-]++|(?![\x00-\x7f])[{word}])"
    return rule(
        LOWER,
        step("all but letters, digits and _ . @ - goes", deleted(f"[^{word}.@-]+", "[^a-z0-9_.@-]+")),
        step(
            "must begin with word characters, @ and more word characters",
            as_column,
            matching(f"^{kept}++@{kept}"),
            reason="not_an_email",
        ),
    )


def _with_plus(value: Column) -> Column:
    return F.when(value.startswith("+"), value).otherwise(F.concat(F.lit("+"), value))


def _no_country() -> Column:
    return F.lit(None).cast("string")


_PHONE: Final = rule(
    step("a plus in front, unless it begins with one", plainly(_with_plus)),
    step(
        "must be a possible number for libphonenumber, without a country",
        lambda value, _: settle_natively(value, _no_country()),
        lambda value, _: settle_by_library(value, _no_country(), lenient=True),
        reason="not_a_phone",
    ),
    step("E.164 without the plus", lambda value, _: F.substring(value, 2, 32)),
    by_libphonenumber=True,
)


@cache
def _state_codes(country: str) -> dict[str, str]:
    data: dict[str, list[str]] = reference.load("amc_states").get(country, {})
    return {name: code for code, names in data.items() for name in names}


def _letters(value: Column, country: Column) -> Column:  # noqa: ARG001
    letters = F.regexp_replace(upper(value), "[^A-Z]+", "")
    return F.when(F.length(value) <= F.lit(2), F.concat(F.lit(_AS_IT_IS), letters)).otherwise(letters)


def _state_code(letters: Column, country: Column) -> Column:
    code = F.when(letters.startswith(_AS_IT_IS), F.substring(letters, 2, 8))
    for name in COUNTRIES:
        if codes := _state_codes(name):
            code = code.when(country == F.lit(name), found(letters, codes))
    return F.coalesce(code, F.substring(letters, 1, 2))


_STATE: Final = rule(
    _KNOWN,
    step(
        "upper case letters A-Z alone; a name in the country's list becomes its code, else the first two letters stay",
        _letters,
        _state_code,
    ),
    step("lower case", plainly(F.lower)),
    NOTHING_LEFT,
    needs_country=True,
    idempotent=False,
)


def _first(value: Column, dropped: str, pattern: str) -> Column:
    return F.get(F.regexp_extract_all(F.regexp_replace(value, dropped, ""), F.lit(pattern), F.lit(0)), 0)


def _postal_code(value: Column, country: Column) -> Column:
    letters = "[^0-9A-Za-z]+"
    british = F.substring(F.regexp_replace(value, letters, ""), 1, 7)
    shape = r"^[A-Za-z]{1,2}(?:[0-9]{2,3}|[0-9][A-Za-z][0-9])[A-Za-z]{2}$"
    return (
        F.when(country.isin(*_FIVE_DIGITS), _first(value, "[^0-9]+", "^[0-9]{5}"))
        .when(country == F.lit("GB"), F.get(F.regexp_extract_all(british, F.lit(shape), F.lit(0)), 0))
        .when(country == F.lit("CA"), _first(value, letters, "^(?:[A-Za-z][0-9]){3}"))
        .when(country == F.lit("JP"), _first(value, "[^0-9]+", "^[0-9]{7}"))
        .when(country == F.lit("IN"), _first(value, r"\P{Nd}+", r"^\p{Nd}{6}"))
    )


_POSTAL_CODE: Final = rule(
    _KNOWN,
    step(
        "US DE FR ES IT 5 digits, IN 6, JP 7, CA A1A1A1, GB its shapes; what is longer is cut, case stays",
        _postal_code,
        reason="not_a_postal_code",
    ),
    needs_country=True,
)


def _address(version: str) -> Rule:
    parted = "white space, brackets, ! , and c/o" + (" and ." if version == amc_address.LATEST else "")
    return rule(
        _KNOWN,
        step(f"upper case; words are parted by {parted}", amc_address.gaps(version)),
        step(
            "123-B becomes two words, #5 becomes # and 5 (of several in one line the last ones are passed over)",
            as_column,
            amc_address.tokens,
        ),
        step("words in the country's list are shortened", as_column, amc_address.shortened(version)),
        step("joined without blanks, lower case", amc_address.joined, plainly(lower)),
        NOTHING_LEFT,
        needs_country=True,
        idempotent=False,
    )


def _rules() -> dict[str, Rule]:
    return {
        "name": _NAME,
        "city": _CITY,
        "email": _email(),
        "phone": _PHONE,
        "state": _STATE,
        "postal_code": _POSTAL_CODE,
        "address": _address(amc_address.LATEST),
        "address_3_0_11": _address("3.0.11"),
    }


#: By the names that the profile files use, after ``amc_uploader.``.
RULES: Final[dict[str, Rule]] = _rules()
