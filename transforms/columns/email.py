"""E-mail addresses."""

from __future__ import annotations

from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F

# Possessive throughout, so that nothing is ever tried twice and hostile text costs no more than other text.
_ATOM: Final = r"[^@.,;:<>()\[\]\"\\\p{Z}\p{Cc}\p{Cf}]++"
_LABEL: Final = r"(?!-)[\p{L}\p{M}0-9-]{1,63}+(?<!-)"
_ADDRESS: Final = (
    r"^(?=[^@]{1,64}+@)(?=.{1,254}+\z)"
    rf"{_ATOM}(?:\.{_ATOM})*+@(?:{_LABEL}\.)++(?![0-9]++\z){_LABEL}\z"
)

# The same in ASCII, where most addresses are, with classes that a table decides.
_ASCII_ATOM: Final = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]++"
_ASCII_LABEL: Final = r"(?!-)[a-z0-9-]{1,63}+(?<!-)"
_ASCII_ADDRESS: Final = rf"^{_ASCII_ATOM}(?:\.{_ASCII_ATOM})*+@(?:{_ASCII_LABEL}\.)++(?![0-9]++\z){_ASCII_LABEL}\z"
_LONGEST_LOCAL: Final = 64
_LONGEST: Final = 254


def normalize_email(value: Column, country: Column) -> Column:  # noqa: ARG001  every normaliser takes both
    """Return the address in lower case, or null where it is none.

    ``value`` is one bare address, trimmed; null stays null. The shape is that of RFC 5321 with the Unicode of RFC 6531,
    less quoted local parts and address literals: local part to 64 characters, all to 254, at least two labels of
    letters, digits and inner hyphens, the last not all digits. Dots and ``+tag`` stay. ``country`` is not needed.
    """
    lowered = F.lower(value)
    is_plain = (
        lowered.rlike(_ASCII_ADDRESS)
        & (F.instr(lowered, "@") <= F.lit(_LONGEST_LOCAL + 1))
        & (F.octet_length(lowered) <= F.lit(_LONGEST))
    )
    return F.when(is_plain | lowered.rlike(_ADDRESS), lowered)
