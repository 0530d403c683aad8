"""The profile benchmark's rows as the AMC Uploader 3.0.15 does its work: pandas, and a Python function for every cell.

Restated, not copied: as in the uploader every cell is looked at twice for being a hash already, then normalised, then
hashed; phones go to libphonenumber one by one; an address is parted by seven expressions in turn, and each of its
words is held against every one of the country's maps of one entry, hundreds in the US, in order. The uploader takes one
country a run, so rows are grouped by country here.
Differs: an empty result becomes null, where the uploader hashes the empty text; Parquet instead of CSV or JSON.
Leaves out what makes the uploader slower: a line of log for every address and expression, objects for every gap, its
service calls. Does not: keep rejects or their reasons, deduplicate, verify what it wrote, bound its memory, use more
than one core.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from functools import cache, partial
from typing import Any, Final

import pandas as pd
import phonenumbers

from schemas.reference import load
from tests.benchmarks.profile_passes import run_passes, worker_arguments
from tests.benchmarks.profile_people import FIELDS

_GAPS: Final = (r"(?:\s?,\s?)+", r"\bC/O\b", "!", r"[\[{(]", r"[\]})]", r"\s+", r"\.")
_POUND: Final = re.compile("([A-Z]*)#([0-9A-Z/-]*)")
_HASH: Final = re.compile("[0-9a-f]{64}$")
_UMLAUTS: Final = {"ß": "ss", "ä": "ae", "ö": "oe", "ü": "ue", "ø": "o", "æ": "ae"}
_OWN_WORDS: Final = ("US", "GB", "FR", "ES", "IT")
_FIVE_DIGITS: Final = ("[^0-9]", 5, "[0-9]{5}")
_POSTAL_CODES: Final = {
    "CA": ("[^0-9A-Za-z]", 6, "(?:[A-Za-z][0-9]){3}$"),
    "GB": ("[^0-9A-Za-z]", 7, "[A-Za-z]{1,2}(?:[0-9]{2,3}|[0-9][A-Za-z][0-9])[A-Za-z]{2}$"),
    "IN": (r"[^\d]", 6, r"\d{6}"),
    "JP": ("[^0-9]", 7, "[0-9]{7}"),
}

Normalize = Callable[[str], str]


def _email(value: str) -> str:
    kept = re.sub(r"[^\w.@-]", "", value.lower())
    return kept if re.match(r"[\w.-]+@[\w.-]", kept) else ""


def _name(value: str) -> str:
    lowered = value.lower()
    for letter, letters in _UMLAUTS.items():
        lowered = lowered.replace(letter, letters)
    return re.sub("[^a-z0-9]", "", lowered)


def _city(value: str) -> str:
    return re.sub("[^a-z0-9]", "", value.lower())


def _phone(value: str) -> str:
    try:
        number = phonenumbers.parse(value if value.startswith("+") else "+" + value, None)
    except phonenumbers.NumberParseException:
        return ""
    if not phonenumbers.is_possible_number(number):
        return ""
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)).replace("+", "")


@cache
def _state_codes(country: str) -> dict[str, str]:
    return {name: code for code, names in load("amc_states").get(country, {}).items() for name in names}


def _state(value: str, country: str) -> str:
    letters = re.sub("[^A-Z]", "", value.upper())
    code = _state_codes(country).get(letters)
    return (code or (letters[:2] if len(value) > 2 else letters)).lower()


def _postal_code(value: str, country: str) -> str:
    dropped, length, shape = _POSTAL_CODES.get(country, _FIVE_DIGITS)
    code = re.sub(dropped, "", value)[:length]
    return code if re.match(shape, code) else ""


def _tokens(address: str) -> list[str]:
    """Part the line by each expression in turn, within what the earlier ones left."""
    gaps = [address.strip().upper()]
    for delimiter in _GAPS:
        gaps = [part for gap in gaps for part in re.split(delimiter, gap)]
    return [gap for gap in gaps if gap]


def _part_dashes(tokens: list[str]) -> None:
    for at in range(len(tokens)):
        left, _, right = tokens[at].rpartition("-")
        if left.isnumeric() and right and not right.isnumeric():
            tokens[at : at + 1] = [left, right]


def _part_pounds(tokens: list[str]) -> None:
    for start in range(len(tokens)):
        at = start
        for letters, rest in _POUND.findall(tokens[start]):
            if letters or rest:
                parts = [part for part in (letters, "#", rest) if part]
                tokens[at : at + 1] = parts
                at += len(parts) - 1


@cache
def word_maps(country: str) -> list[dict[str, str]]:
    """Return the country's list of maps with one entry each: the spellings, and the short forms by themselves."""
    tables = load("amc_words")
    both = (tables["common"], tables[country if country in _OWN_WORDS else "default"])
    pairs = [(spelling, short) for table in both for short, spellings in table.items() for spelling in spellings]
    spelled = {spelling for spelling, _ in pairs}
    pairs += [(short, short) for table in both for short in table if short not in spelled]
    return [{spelling: short} for spelling, short in pairs]


def _address(value: str, country: str) -> str:
    tokens = _tokens(value)
    _part_dashes(tokens)
    _part_pounds(tokens)
    maps = word_maps(country)
    for at, word in enumerate(tokens):
        for entry in maps:
            if word in entry:
                tokens[at] = entry[word]
    return "".join(tokens).lower()


def normalizers(country: str) -> dict[str, Normalize]:
    """Return what is done to every field in one country."""
    return {
        "email": _email,
        "first_name": _name,
        "last_name": _name,
        "phone": _phone,
        "address": partial(_address, country=country),
        "city": _city,
        "state": partial(_state, country=country),
        "postal_code": partial(_postal_code, country=country),
    }


def _is_left(value: Any) -> bool:
    return bool(pd.isna(value)) or _HASH.match(value) is not None


def hashed(people: pd.DataFrame) -> pd.DataFrame:
    """Return the id of every row and the hashes of all fields; rows of a country stand together."""

    def normalized(value: Any, normalize: Normalize) -> Any:
        return value if _is_left(value) else (normalize(value) or None)

    def digest(value: Any) -> Any:
        return value if _is_left(value) else hashlib.sha256(value.encode()).hexdigest()

    parts = []
    for country, group in people.groupby("country", sort=False):
        part = group[["id"]].copy()
        for field, normalize in normalizers(str(country)).items():
            part[field] = group[field].apply(normalized, normalize=normalize).apply(digest)
        parts.append(part)
    return pd.concat(parts)[["id", *FIELDS]]


def main() -> None:
    source, target, passes = worker_arguments(__doc__)
    run_passes(lambda: hashed(pd.read_parquet(source)).to_parquet(target, index=False), target, passes)


if __name__ == "__main__":
    main()
