"""E-mail addresses."""

from __future__ import annotations

from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F

from transforms.columns.text import trimmed

_ATOM: Final = r"[^@.,;:<>()\[\]\"\\\p{Z}\p{Cc}\p{Cf}]++"
_LABEL: Final = r"(?!-)[\p{L}\p{M}0-9-]{1,63}+(?<!-)"

# Lengths first, which bounds everything after; possessive throughout, so that nothing is ever tried twice.
_ADDRESS: Final = (
    r"^(?=[^@]{1,64}+@)(?=.{1,254}+\z)"
    rf"{_ATOM}(?:\.{_ATOM})*+@(?:{_LABEL}\.)++(?![0-9]++\z){_LABEL}\z"
)


def normalize_email(value: Column, country: Column) -> Column:  # noqa: ARG001
    """Return the address trimmed and in lower case, or null where it is none.

    ``value`` is one bare address; null stays null. The shape is that of RFC 5321 with the Unicode of RFC 6531, less
    quoted local parts and address literals: local part to 64 characters, all to 254, at least two labels of letters,
    digits and inner hyphens, the last not all digits. Dots and ``+tag`` stay. ``country`` is not needed.
    """
    # No match is an empty list, and its first entry null: one evaluation where a condition would take two.
    return F.get(F.regexp_extract_all(F.lower(trimmed(value)), F.lit(_ADDRESS), F.lit(0)), 0)
