"""Postal codes."""

from __future__ import annotations

from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F

from transforms.blanks import BLANKS

_HYPHENS: Final = "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212"
_GAPS: Final = BLANKS + _HYPHENS
_GAP: Final = f"[{BLANKS}\\-{_HYPHENS[1:]}]"
_ZIP_COUNTRIES: Final = ("US", "PR", "GU", "VI", "AS", "MP")  # territories that ISO 3166-1 lists have ZIP codes too
_ZIP: Final = rf"^[0-9]{{5}}(?:{_GAP}?[0-9]{{4}})?$"
_CA_LETTER: Final = "[ABCEGHJ-NPRSTV-Z]"
_CANADIAN: Final = rf"^[ABCEGHJ-NPRSTVXY][0-9]{_CA_LETTER}{_GAP}?[0-9]{_CA_LETTER}[0-9]$"
_BRITISH: Final = rf"^(?:[A-PR-UWYZ][A-HK-Y]?[0-9][A-Z0-9]?{_GAP}*[0-9][ABD-HJLNP-UW-Z]{{2}}|GIR{_GAP}*0AA)$"
_OTHER: Final = rf"^[A-Z0-9](?:{_GAP}*[A-Z0-9]){{1,9}}$"


def normalize_postal_code(value: Column, country: Column) -> Column:
    """Return the postal code as its country compares it, or null where it is none.

    ``value`` is a code as written, trimmed; ``country`` the ISO alpha-2 code. US (and its territories): five digits of
    a ZIP or ZIP+4 code (USPS Publication 28), never padded. CA: ``A1A1A1`` (Canada Post). GB: the outward and inward
    part without blank (Royal Mail). Elsewhere, and where the country is null: upper case, without blanks and hyphens,
    2 to 10 letters and digits (as in UPU S42). Null stays null.
    """
    upper = F.upper(value)
    joined = F.translate(upper, _GAPS, "")
    is_zip_country = country.isin(*_ZIP_COUNTRIES)
    is_ours = (
        F.when(country == F.lit("CA"), upper.rlike(_CANADIAN))
        .when(country == F.lit("GB"), upper.rlike(_BRITISH))
        .otherwise(upper.rlike(_OTHER))
    )
    return F.when(is_zip_country & value.rlike(_ZIP), F.substring(value, 1, 5)).when(
        F.coalesce(~is_zip_country, F.lit(True)) & is_ours, joined
    )
