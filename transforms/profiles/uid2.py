"""UID2, EUID and The Trade Desk: the client libraries' e-mail rule, phone numbers in E.164."""

from __future__ import annotations

from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F

from transforms.columns.phone import settle_by_library, settle_natively
from transforms.profiles.python_text import is_ascii
from transforms.profiles.rule import Rule, as_column, rule, step
from transforms.profiles.steps import captured, matching, plainly

_UPPER: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_GMAIL: Final = "@gmail.com"
_E164: Final = r"^\+[0-9]{10,15}\z"


def _lower_ascii(value: Column) -> Column:
    return F.when(is_ascii(value), F.lower(value)).otherwise(F.translate(value, _UPPER, _UPPER.lower()))


def _without_gmail_variations(value: Column, country: Column) -> Column:  # noqa: ARG001
    user = F.regexp_replace(F.substring_index(value, "@", 1), r"(?s)\+.*|\.", "")
    return F.when(~value.endswith(_GMAIL), value).when(user != F.lit(""), F.concat(user, F.lit(_GMAIL)))


def _settled(value: Column, country: Column) -> Column:
    """Let pass what is in E.164 already, whatever it is the number of: the operators check no more than the shape."""
    return F.when(value.rlike(_E164), value).otherwise(settle_natively(value, country, own_code=True))


def _by_library(settled: Column, country: Column) -> Column:
    return settle_by_library(settled, country, own_code=True)


def _hash_in_base64(value: Column) -> Column:
    from_hex = F.base64(F.unhex(F.when(value.rlike(r"^[0-9a-fA-F]{64}\z"), value)))
    return F.coalesce(from_hex, F.get(F.regexp_extract_all(value, F.lit(r"^[A-Za-z0-9+/]{43}=\z"), F.lit(0)), 0))


#: By the names that the profile files use, after ``uid2.``.
RULES: Final[dict[str, Rule]] = {
    "email": rule(
        step(
            "blanks (U+0020) at the ends go; must be a user, one @ and a domain",
            captured("(?s)^ *+([^@ ][^@]*@[^@]*[^@ ]) *\\z"),
            reason="not_an_email",
        ),
        step("A-Z in lower case", plainly(_lower_ascii)),
        step(
            "at gmail.com dots and the +suffix of the user go",
            as_column,
            _without_gmail_variations,
            reason="not_an_email",
        ),
    ),
    "phone": rule(
        step(
            "+ and 10 to 15 digits pass; others become E.164 by libphonenumber in the row's country",
            _settled,
            _by_library,
            reason="not_a_phone",
        ),
        step("must be + and 10 to 15 digits", as_column, matching(_E164), reason="not_a_phone"),
        needs_country=True,
        by_libphonenumber=True,
    ),
    "strict_phone": rule(step("must be + and 10 to 15 digits", as_column, matching(_E164), reason="not_a_phone")),
    "hashed": rule(
        step(
            "64 hexadecimal digits in any case, or 44 characters of base64, as base64",
            plainly(_hash_in_base64),
            reason="not_a_hash",
        )
    ),
}
