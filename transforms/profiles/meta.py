"""Meta: its documentation, its Python business SDK, and its parameter builder, which differ."""

from __future__ import annotations

from functools import cache
from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F

from schemas import reference
from transforms.columns.country import normalize_country
from transforms.columns.lookup import found
from transforms.columns.phone import settle_by_library, settle_natively
from transforms.columns.state import normalize_state
from transforms.profiles import javascript_text
from transforms.profiles.python_text import SPACE
from transforms.profiles.rule import Function, Rule, Step, as_column, rule, step
from transforms.profiles.steps import (
    LOWER,
    NOTHING_LEFT,
    PUNCTUATION,
    STRIPPED,
    captured,
    deleted,
    matching,
    plainly,
)

#: Years that a birth date may have. The parameter builder ends with next year; rules have no clock.
_FIRST_YEAR: Final = 1800
_LAST_YEAR: Final = 2100
_LONGEST_NUMBER: Final = 9  # digits that surely fit an int
_HIGHEST_DAY: Final = 31
_HIGHEST_MONTH: Final = 12

_STRIPPED: Final = step("white space at the ends goes", plainly(javascript_text.strip))
_NO_PUNCTUATION: Final = "white space and ASCII punctuation go"


def already_hashed(value: Column) -> Column:
    """Return what Meta's libraries take for a hash, 64 or 32 hexadecimal digits, in lower case; else null."""
    shape = rf"^[{SPACE}]*+((?:[0-9a-fA-F]{{32}}){{1,2}})[{SPACE}]*+\z"
    return F.lower(F.get(F.regexp_extract_all(value, F.lit(shape), F.lit(1)), 0))


# --- birth dates and gender -------------------------------------------------------------------------------------------


def _numbers(value: Column, country: Column) -> Column:  # noqa: ARG001
    """Return the runs of digits."""
    return F.regexp_extract_all(value, F.lit("[0-9]+"), F.lit(0))


def _whole(digits: Column) -> Column:
    short = F.regexp_replace(digits, "^0+", "")
    return F.when(F.length(short) <= F.lit(_LONGEST_NUMBER), F.concat(F.lit("0"), short).cast("int")).otherwise(
        F.lit(10**_LONGEST_NUMBER)
    )


def _three_numbers(numbers: Column, country: Column) -> Column:  # noqa: ARG001
    """Return year, month and day, guessed: a number over 31 is the year, one over 12 the day, else month before day."""
    first, second, third = (_whole(F.get(numbers, at)) for at in range(3))
    day_at_most = F.lit(_HIGHEST_DAY)
    month_at_most = F.lit(_HIGHEST_MONTH)

    def guessed(year: Column, one: Column, other: Column) -> Column:
        """``one`` is the month unless it is too great for that."""
        is_day = one > month_at_most
        month = F.when(is_day, other).otherwise(one)
        day = F.when(is_day, one).otherwise(other)
        nothing = F.lit(None).cast("string")
        return F.struct(nothing.alias("digits"), year.alias("year"), month.alias("month"), day.alias("day"))

    return F.when(
        F.size(numbers) >= F.lit(3),
        F.when(first > day_at_most, guessed(first, second, third))
        .when(second > day_at_most, guessed(second, third, first))
        .otherwise(guessed(third, first, second)),
    ).when(
        (F.size(numbers) == F.lit(1)) & (F.length(F.get(numbers, 0)) == F.lit(8)),
        F.struct(F.get(numbers, 0).alias("digits"), *(F.lit(0).alias(name) for name in ("year", "month", "day"))),
    )


def _date_digits(date: Column, country: Column) -> Column:  # noqa: ARG001
    """Return YYYYMMDD; eight digits in a row are taken as they are, whatever date they make."""
    is_date = (
        date["year"].between(_FIRST_YEAR, _LAST_YEAR)
        & date["month"].between(1, _HIGHEST_MONTH)
        & date["day"].between(1, _HIGHEST_DAY)
    )
    formatted = F.format_string("%04d%02d%02d", date["year"], date["month"], date["day"])
    return F.coalesce(date["digits"], F.when(is_date, formatted))


_BIRTH_DATE: Final = rule(
    step(
        "YYYYMMDD: a number over 31 is the year, one over 12 the day, else the month stands before the day",
        _numbers,
        _three_numbers,
        _date_digits,
        reason="not_a_date",
    )
)


def gender_words() -> dict[str, str]:
    """Return the letter of every word for a gender."""
    genders: dict[str, list[str]] = reference.load("meta_words")["genders"]
    return {word: letter for letter, words in genders.items() for word in words}


def gender(words: dict[str, str]) -> Rule:
    """Return the rule that knows ``words`` and their letters."""
    return rule(
        _STRIPPED,
        LOWER,
        step(
            "words become " + ", ".join(sorted(set(words.values()))),
            plainly(lambda value: found(value, words)),
            reason="not_a_gender",
        ),
    )


# --- documentation ----------------------------------------------------------------------------------------------------

NAME: Final = rule(LOWER, step(_NO_PUNCTUATION, deleted(rf"[{PUNCTUATION}{SPACE}\ufeff]+")), NOTHING_LEFT)


def _international_without_country(value: Column, country: Column) -> Column:
    """Take a number of a row without country for one that begins with a calling code."""
    international = F.concat(F.lit("+"), F.regexp_replace(value, r"^0+", ""))
    return F.when(country.isNull() & ~value.rlike("[+\uff0b]"), international).otherwise(value)


#: Digits with calling code, without a plus.
PHONE_DIGITS: Final = rule(
    step("without a country it begins with a calling code", _international_without_country),
    step(
        "must be a possible number for libphonenumber in the row's country",
        as_column,
        settle_natively,
        settle_by_library,
        reason="not_a_phone",
    ),
    step("E.164 without the plus", plainly(lambda value: F.substring(value, 2, 32))),
    needs_country=True,
    idempotent=False,
    by_libphonenumber=True,
)


def state(*countries: str) -> Rule:
    """Return the rule that makes codes of the names of states and provinces of these countries (US, CA)."""

    def code_or_name(value: Column, country: Column) -> Column:
        code = F.lower(normalize_state(value, country))
        return F.when(country.isin(*countries), F.coalesce(code, value)).otherwise(value)

    return rule(
        STRIPPED,
        step(f"names of states and provinces of {' and '.join(countries)} become codes", code_or_name),
        *NAME.steps,
        needs_country=True,
    )


def first_five(value: Column, country: Column) -> Column:
    """Return the first five characters of a value in the US, elsewhere the value."""
    return F.when(country == F.lit("US"), F.substring(value, 1, 5)).otherwise(value)


POSTAL_CODE: Final = rule(
    LOWER,
    step("white space and dashes go", deleted(f"[{SPACE}-]+")),
    step("in the US the first five characters", first_five),
    NOTHING_LEFT,
    needs_country=True,
)

COUNTRY: Final = rule(
    STRIPPED,
    step("the ISO code of a code or a name", normalize_country, reason="not_a_country"),
    step("lower case", plainly(F.lower)),
)

# --- SDK --------------------------------------------------------------------------------------------------------------


def _zeros_gone(value: Column) -> Column:
    return F.regexp_replace(value, r"^\+?0{0,2}", "")


def _international(value: Column) -> Column:
    again = _zeros_gone(value)
    number = F.get(F.regexp_extract_all(again, F.lit(r"^\p{Nd}{7,}\z"), F.lit(0)), 0)
    return F.when(again.startswith("0"), value).otherwise(number)


def _is_iso_code(value: Column) -> Column:
    codes = [code.lower() for code in reference.load("countries")["countries"]]
    return F.when(value.isin(*codes), value)


def _sdk_rules() -> dict[str, Rule]:
    start = (LOWER, STRIPPED)
    return {
        "sdk_lower": rule(*start, NOTHING_LEFT),
        "sdk_email": rule(
            *start,
            step(
                "must be an address of a-z 0-9 _ . + -",
                as_column,
                matching(r"^[a-z0-9_.+-]++@[a-z0-9-]++\.[a-z0-9.-]++\z"),
                reason="not_an_email",
            ),
        ),
        "sdk_phone": rule(
            *start,
            step("white space, dashes and round brackets go", deleted(rf"[{SPACE}()-]+")),
            step("a plus and up to two zeros in front go", plainly(_zeros_gone)),
            step(
                "must be seven digits or more, unless zeros are left in front",
                as_column,
                plainly(_international),
                reason="not_a_phone",
            ),
            idempotent=False,
        ),
        "sdk_place": rule(
            *start, step("digits, dots, dashes, brackets and blanks go", deleted(rf"[0-9.{SPACE}()-]+")), NOTHING_LEFT
        ),
        "sdk_postal_code": rule(
            *start,
            step("white space goes", deleted(f"[{SPACE}]+")),
            step("from the first dash on all goes", deleted("(?s)-.*")),
            NOTHING_LEFT,
        ),
        "sdk_country": rule(
            *start,
            step("all but a-z goes", deleted("[^a-z]+")),
            step("must be an ISO 3166-1 code", plainly(_is_iso_code), reason="not_a_country"),
        ),
        "sdk_first_five": rule(
            *start,
            step("the first five characters", plainly(lambda value: F.substring(value, 1, 5))),
            NOTHING_LEFT,
            idempotent=False,
        ),
        "sdk_initial": rule(
            *start, step("the first character", plainly(lambda value: F.substring(value, 1, 1))), NOTHING_LEFT
        ),
        "sdk_day": rule(*start, _two_digits("day", "3[01]|[12][0-9]|0?[1-9]")),
        "sdk_month": rule(*start, _two_digits("month", "1[0-2]|0?[1-9]")),
        "sdk_year": rule(*start, step("must be four digits", as_column, matching(r"^[0-9]{4}\z"), reason="not_a_date")),
    }


def _two_digits(what: str, pattern: str) -> Step:
    return step(
        f"must be a {what}, becomes two digits",
        captured(rf"^({pattern})\z"),
        plainly(lambda value: F.lpad(value, 2, "0")),
        reason="not_a_date",
    )


# --- parameter builder ------------------------------------------------------------------------------------------------

_ATOM: Final = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]++"
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_LATIN: Final = step("all but ASCII letters and digits goes", deleted("[^a-zA-Z0-9]+"))


def _trimmed_code(name: str) -> Function:
    """Return a function that finds the code of a state or a country: whole, else the first one that it holds."""

    @cache
    def codes() -> dict[str, str]:
        data = reference.load("meta_words")
        return {**data["states"]["ca"], **data["states"]["us"]} if name == "states" else dict(data["countries"])

    def apply(value: Column, country: Column) -> Column:  # noqa: ARG001
        pairs = F.array(
            *(F.struct(F.lit(key).alias("name"), F.lit(code).alias("code")) for key, code in codes().items())
        )
        inside = F.get(F.filter(pairs, lambda pair: F.contains(value, pair["name"])), 0)["code"]
        return F.when(F.length(value) <= F.lit(2), value).otherwise(
            F.coalesce(found(value, codes()), inside, F.substring(value, 1, 2))
        )

    return apply


def _builder_rules() -> dict[str, Rule]:
    letters = step("all but a-z goes", deleted("[^a-z]+"))
    return {
        "builder_email": rule(
            LOWER,
            _STRIPPED,
            step(
                "must be an address: parts with single dots, @, a domain with a dot; ASCII alone",
                as_column,
                matching(rf"^{_ATOM}(?:\.{_ATOM})*+@(?:{_LABEL}\.)+{_LABEL}\z"),
                reason="not_an_email",
            ),
        ),
        "builder_name": rule(
            step(_NO_PUNCTUATION, deleted(f"[{PUNCTUATION}{javascript_text.SPACE}]+")), LOWER, NOTHING_LEFT
        ),
        "builder_phone": rule(
            step("digits alone", deleted("[^0-9]+")), step("zeros in front go", deleted("^0+")), NOTHING_LEFT
        ),
        "builder_city": rule(
            _LATIN,
            step("lower case", plainly(F.lower)),
            step("must begin with a letter", as_column, matching("^[a-z].*"), reason="not_a_name"),
        ),
        "builder_state": rule(
            LOWER,
            letters,
            step(
                "names of US states and Canadian provinces become codes, other text its first two letters",
                as_column,
                _trimmed_code("states"),
            ),
            NOTHING_LEFT,
        ),
        "builder_country": rule(
            LOWER,
            letters,
            step("names become codes, other text its first two letters", as_column, _trimmed_code("countries")),
            NOTHING_LEFT,
        ),
        "builder_postal_code": rule(
            LOWER,
            step("from the first dash on all goes", deleted("(?s)-.*")),
            _STRIPPED,
            step("must be two characters or more", as_column, matching(r"(?s)^..+"), reason="not_a_postal_code"),
        ),
    }


#: By the names that the profile files use, after ``meta.``.
RULES: Final[dict[str, Rule]] = {
    "email": rule(STRIPPED, LOWER, NOTHING_LEFT),
    "phone": PHONE_DIGITS,
    "name": NAME,
    "state": state("US"),
    "postal_code": POSTAL_CODE,
    "country": COUNTRY,
    "birth_date": _BIRTH_DATE,
    "gender": gender(gender_words()),
    **_sdk_rules(),
    **_builder_rules(),
}
