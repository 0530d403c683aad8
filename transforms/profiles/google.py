"""Google Data Manager and Google Ads."""

from __future__ import annotations

from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F

from transforms.profiles.python_text import SPACE, word_class
from transforms.profiles.rule import Function, Rule, Step, as_column, rule, step
from transforms.profiles.steps import LOWER, NOTHING_LEFT, PHONE, STRIPPED, UPPER, WITHOUT_BLANKS, deleted, matching

_GMAIL: Final = r"(?s)@(?:gmail|googlemail)\.com\z"
_ADDRESS: Final = r"(?s)^[^@]+@[^@]+\z"


def _gmail_user(dropped: str) -> Function:
    """Return a function that deletes what ``dropped`` matches from the user part of Gmail addresses."""

    def apply(value: Column, country: Column) -> Column:  # noqa: ARG001
        user = F.regexp_replace(F.substring_index(value, "@", 1), dropped, "")
        changed = F.when(user != F.lit(""), F.concat_ws("@", user, F.substring_index(value, "@", -1)))
        return F.when(value.rlike(_GMAIL), changed).otherwise(value)

    return apply


_IS_ADDRESS: Final = step("must be a user, one @ and a domain", as_column, matching(_ADDRESS), reason="not_an_email")
_DOTS: Final = step(
    "at gmail.com and googlemail.com dots of the user go", as_column, _gmail_user(r"\."), reason="not_an_email"
)
_DOTS_AND_SUFFIX: Final = step(
    "at gmail.com and googlemail.com dots and the +suffix of the user go",
    as_column,
    _gmail_user(r"(?s)\+.*|\."),
    reason="not_an_email",
)


def _with_plus(value: Column, country: Column) -> Column:  # noqa: ARG001
    return F.concat(F.lit("+"), value)


_NO_PUNCTUATION: Final[Step] = step("punctuation and symbols go", deleted(f"[^{word_class()}{SPACE}]+|_+"))

_NOT_BLANK: Final = step(
    "nothing but blanks is null", as_column, matching(f"(?s)^.*[^{SPACE}].*"), reason="nothing_left"
)

#: By the names that the profile files use, after ``google.``.
RULES: Final[dict[str, Rule]] = {
    "email_2025": rule(
        STRIPPED,
        LOWER,
        step(
            "must be a user, one @ and a domain, no white space",
            as_column,
            matching(rf"^[^@{SPACE}]+@[^@{SPACE}]+\z"),
            reason="not_an_email",
        ),
        _DOTS,
    ),
    "email_2026": rule(WITHOUT_BLANKS, LOWER, _IS_ADDRESS, _DOTS_AND_SUFFIX),
    "email_without_gmail_dots": rule(STRIPPED, LOWER, _IS_ADDRESS, _DOTS),
    "lower": rule(STRIPPED, LOWER, NOTHING_LEFT),
    "name": rule(STRIPPED, LOWER, NOTHING_LEFT),
    "name_without_blanks": rule(STRIPPED, LOWER, WITHOUT_BLANKS, NOTHING_LEFT),
    "without_punctuation": rule(STRIPPED, LOWER, _NO_PUNCTUATION, _NOT_BLANK, idempotent=False),
    "digits": rule(
        step("digits alone", deleted(r"\P{Nd}+")),
        NOTHING_LEFT,
        step("a plus in front", _with_plus),
    ),
    "phone": PHONE,
    "trimmed": rule(STRIPPED, NOTHING_LEFT),
    "country": rule(
        STRIPPED, UPPER, step("must be two characters", as_column, matching(r"(?s)^..\z"), reason="not_a_country")
    ),
}
