"""Postal codes."""

from __future__ import annotations

from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F

from transforms.columns.text import BLANKS, trimmed

_HYPHENS: Final = "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212"
_GAPS: Final = BLANKS + _HYPHENS
_GAP: Final = f"[{BLANKS}\\-{_HYPHENS[1:]}]"
_ZIP_COUNTRIES: Final = "US|PR|GU|VI|AS|MP"  # the territories that ISO 3166-1 lists by themselves use ZIP codes too
_CA_LETTER: Final = "[ABCEGHJ-NPRSTV-Z]"

# By the two letters of the country before the code; what is looked behind and ahead is left out.
_CODE: Final = "|".join(
    (
        rf"(?<=^(?:{_ZIP_COUNTRIES}))[0-9]{{5}}(?=(?:{_GAP}?[0-9]{{4}})?$)",
        rf"(?<=^CA)[ABCEGHJ-NPRSTVXY][0-9]{_CA_LETTER}{_GAP}?[0-9]{_CA_LETTER}[0-9]$",
        rf"(?<=^GB)(?:[A-PR-UWYZ][A-HK-Y]?[0-9][A-Z0-9]?{_GAP}*[0-9][ABD-HJLNP-UW-Z]{{2}}|GIR{_GAP}*0AA)$",
        rf"(?<=^(?!{_ZIP_COUNTRIES}|CA|GB)..)[A-Z0-9](?:{_GAP}*[A-Z0-9]){{1,9}}$",
    )
)


def normalize_postal_code(value: Column, country: Column) -> Column:
    """Return the postal code as its country compares it, or null where it is none.

    ``value`` is a code as written, ``country`` the ISO alpha-2 code. US (and its territories): five digits of a ZIP or
    ZIP+4 code (USPS Publication 28), never padded. CA: ``A1A1A1`` (Canada Post). GB: the outward and inward part
    without blank (Royal Mail). Elsewhere, and where the country is null: upper case, without blanks and hyphens, 2 to
    10 letters and digits (as in UPU S42). Null stays null.
    """
    text = F.concat(F.coalesce(country, F.lit("ZZ")), F.upper(trimmed(value)))
    return F.translate(F.get(F.regexp_extract_all(text, F.lit(_CODE), F.lit(0)), 0), _GAPS, "")
