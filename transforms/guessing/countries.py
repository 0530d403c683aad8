"""Countries that values tell of."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Final

from schemas import reference

_INTERNATIONAL: Final = re.compile(r"(?:\+|00)\s*([1-9][\d ()./-]*)")
_LONGEST_CODE: Final = 3
_MOSTLY: Final = 0.8
_MONTHS_FIRST: Final = frozenset({"US", "PR", "GU", "AS", "VI", "MP", "PH", "PW", "FM", "MH"})


@cache
def _spellings() -> frozenset[str]:
    countries = reference.load("countries")["countries"]
    names = {spelling for code, spellings in countries.items() for spelling in (code, *spellings)}
    return frozenset(name.casefold() for name in names)


@cache
def _calling_codes() -> dict[str, str]:
    """Return the country of each calling code; of several, the one that is asked for most, or the first."""
    regions = reference.load("phone_regions")["regions"]
    frequent = reference.load("countries")["frequent"]
    codes: dict[str, str] = {}
    for region in [*(each for each in frequent if each in regions), *regions]:
        codes.setdefault(regions[region][0], region)
    return codes


def country_share(values: Sequence[str]) -> float:
    """Return the share of ``values`` that name a country."""
    return sum(value.casefold() in _spellings() for value in values) / len(values) if values else 0.0


def country_of_phones(values: Sequence[str]) -> str | None:
    """Return the country whose calling code most international phone numbers among ``values`` have, or None."""
    found: Counter[str] = Counter()
    for value in values:
        match = _INTERNATIONAL.match(value)
        digits = re.sub(r"\D", "", match[1]) if match else ""
        code = next((digits[:size] for size in range(1, _LONGEST_CODE + 1) if digits[:size] in _calling_codes()), None)
        if code is not None:
            found[_calling_codes()[code]] += 1
    if not found:
        return None
    country, times = found.most_common(1)[0]
    return country if times >= _MOSTLY * found.total() else None


def writes_days_first(country: str | None) -> bool | None:
    """Return whether a country writes days before months; None where no country is known."""
    return None if country is None else country not in _MONTHS_FIRST
