"""The profile benchmark's rows as a short pandas script normalises them: column-wise .str methods, and no library.

Phones are their digits, whatever they are; one map of street words, that of the US, serves all countries; states are
cut to two letters; postal codes lose what is no letter or digit and keep any length. So many hashes differ from the
uploader's. One core, everything in memory.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from typing import Any, Final

import pandas as pd

from tests.benchmarks.profile_passes import run_passes, worker_arguments
from tests.benchmarks.profile_people import FIELDS
from tests.benchmarks.profile_uploader import word_maps

Series = Any  # pandas publishes no types here

_UMLAUTS: Final = str.maketrans({"ß": "ss", "ä": "ae", "ö": "oe", "ü": "ue", "ø": "o", "æ": "ae"})


@cache
def _words() -> tuple[re.Pattern[str], dict[str, str]]:
    entries = {spelling: short for entry in word_maps("US") for spelling, short in entry.items() if spelling != short}
    spellings = "|".join(re.escape(spelling) for spelling in entries if spelling.isalpha())
    return re.compile(rf"\b(?:{spellings})\b"), entries


def _name(values: Series) -> Series:
    return values.str.lower().str.translate(_UMLAUTS).str.replace("[^a-z0-9]+", "", regex=True)


def _address(values: Series) -> Series:
    pattern, entries = _words()
    short = values.str.upper().str.replace(pattern, lambda word: entries[word[0]], regex=True)
    return short.str.replace("#", "NUMBER").str.replace(r"[\s,.!()\[\]{}-]+|\bC/O\b", "", regex=True).str.lower()


def normalized(people: pd.DataFrame) -> pd.DataFrame:
    """Return the id of every row and all fields, normalised, still clear."""
    return people[["id"]].assign(
        email=people["email"].str.lower().str.replace(r"[^\w.@-]+", "", regex=True),
        first_name=_name(people["first_name"]),
        last_name=_name(people["last_name"]),
        phone=people["phone"].str.replace("[^0-9]+", "", regex=True),
        address=_address(people["address"]),
        city=people["city"].str.lower().str.replace("[^a-z0-9]+", "", regex=True),
        state=people["state"].str.lower().str.replace("[^a-z]+", "", regex=True).str[:2],
        postal_code=people["postal_code"].str.replace("[^0-9A-Za-z]+", "", regex=True),
    )


def hashed(people: pd.DataFrame) -> pd.DataFrame:
    """Return the id of every row and the hashes of all fields."""
    frame = normalized(people)
    for field in FIELDS:
        values = frame[field].mask(frame[field] == "")
        frame[field] = values.map(lambda value: hashlib.sha256(value.encode()).hexdigest(), na_action="ignore")
    return frame


def main() -> None:
    source, target, passes = worker_arguments(__doc__)
    run_passes(lambda: hashed(pd.read_parquet(source)).to_parquet(target, index=False), target, passes)


if __name__ == "__main__":
    main()
