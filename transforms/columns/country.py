"""Countries."""

from __future__ import annotations

from functools import cache

from pyspark.sql import Column
from pyspark.sql import functions as F

from schemas import reference
from transforms.columns.lookup import folded, folded_text, found


@cache
def _codes() -> dict[str, str]:
    """Return the alpha-2 code of every spelling: usual ones first, then the other codes, then the other names."""
    data = reference.load("countries")
    codes: dict[str, str] = {}
    for code in data["frequent"]:
        codes |= dict.fromkeys(map(folded_text, (code, *data["countries"][code])), code)
    for code in data["countries"]:
        codes.setdefault(code, code)
    for code, spellings in data["countries"].items():
        for spelling in spellings:
            codes.setdefault(folded_text(spelling), code)
    return codes


def normalize_country(value: Column, country: Column) -> Column:  # noqa: ARG001
    """Return the alpha-2 code of ISO 3166-1, null where the country is not known.

    ``value`` is an alpha-2 or alpha-3 code or a name, in English, in the country's own language or as people write it,
    in any case, with or without punctuation. Null stays null. ``country`` is not needed.
    """
    # Most values are codes already: hashed once, nothing to fold.
    return F.when(value.isin(*reference.load("countries")["countries"]), value).otherwise(
        found(folded(value), _codes())
    )
