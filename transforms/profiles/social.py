"""Snap, Pinterest, TikTok, Adobe: platforms that ask for trimmed lower case, and phones in one of two forms."""

from __future__ import annotations

from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F

from transforms.profiles import meta
from transforms.profiles.rule import Rule, rule, step
from transforms.profiles.steps import LOWER, NOTHING_LEFT, PHONE, STRIPPED, WITHOUT_BLANKS, deleted, plainly


def _without_suffix(value: Column) -> Column:
    return F.regexp_replace(value, r"(?s)^([^@+]*)\+[^@]*@", "$1@")


_NO_GENDER: Final = ("n", "non-binary", "nonbinary", "non binary", "neutral")

#: By the names that the profile files use, after ``social.``.
RULES: Final[dict[str, Rule]] = {
    "email": rule(STRIPPED, LOWER, NOTHING_LEFT),
    "email_without_blanks": rule(WITHOUT_BLANKS, LOWER, NOTHING_LEFT),
    "email_without_suffix": rule(
        WITHOUT_BLANKS, LOWER, step("the +suffix before @ goes", plainly(_without_suffix)), NOTHING_LEFT
    ),
    "lower": rule(STRIPPED, LOWER, NOTHING_LEFT),
    "phone": PHONE,
    "phone_digits": meta.PHONE_DIGITS,
    "place": meta.NAME,
    "state": meta.state("US", "CA"),
    "postal_code": meta.POSTAL_CODE,
    "postal_digits": rule(
        step("digits alone", deleted("[^0-9]+")),
        step("in the US the first five", meta.first_five),
        NOTHING_LEFT,
        needs_country=True,
    ),
    "country": meta.COUNTRY,
    "gender": meta.gender(meta.gender_words()),
    "gender_or_none": meta.gender({**meta.gender_words(), **dict.fromkeys(_NO_GENDER, "n")}),
}
