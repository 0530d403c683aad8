"""The same table by a hand-written pandas script, from the clear CSV.

Does: null words; trimming; names, addresses, cities, postal codes, states (US, Canada), countries (the five of the
benchmark's data) and e-mail addresses normalised as the table's comments say; rows without a valid e-mail address
left out; the last row of an e-mail address wins; HMAC-SHA-256 of the same eight columns; Snappy Parquet by country.
Phone numbers: by digits, for North American ones and those written internationally; national numbers of other
countries become null.
Pandas takes a backslash in an unquoted value for an escape where Spark does not, so those are doubled beforehand.
Does not: what peer_duckdb does not. It uses one core and holds the whole table.
"""

from __future__ import annotations

import hmac
import io
import re
import shutil
from typing import Any

import pandas as pd

from tests.benchmarks.peer_rules import CLEAR, COLUMNS, COUNTRIES, EMAIL, HASHED, STATES, arguments

Series = Any  # pandas publishes no types here

#: In Spark's dialect a backslash in a quoted value always precedes a quote or a backslash.
LONE_BACKSLASH = re.compile(rb"(?<!\\)\\(?![\\\"])")

_NORTH_AMERICA = ("US", "CA", "ZZ")


def clean(values: Series) -> Series:
    """Trim; blanks and the word null become missing."""
    values = values.str.strip(" \t\r\n")
    return values.mask(values.isin(["", "null"]))


def single_blanks(values: Series) -> Series:
    """Collapse white space."""
    values = values.str.replace(r"\s+", " ", regex=True).str.strip()
    return values.mask(values == "")


def address(values: Series) -> Series:
    """Lower case, no punctuation, single blanks."""
    return single_blanks(values.str.lower().str.replace(r"[^\w\s]+|_+", " ", regex=True))


def phone(values: Series, country: Series) -> Series:
    """International and North American numbers to E.164; all others become missing."""
    digits = values.str.replace("(0)", "", regex=False).str.replace(r"[^0-9]", "", regex=True)
    plain = values.str.replace(r"(?:ext|x).*", "", regex=True).str.replace(r"[^0-9]", "", regex=True)
    american = plain.str.fullmatch(r"1?[2-9][0-9]{2}[2-9][0-9]{6}", na=False) & country.isin(_NORTH_AMERICA)
    national = ("+1" + plain.str[-10:]).where(american)
    with_zeros = values.str.startswith("00", na=False) & (digits.str.len() > 10)
    result = national.mask(with_zeros, "+" + digits.str[2:])
    return result.mask(values.str.startswith("+", na=False), "+" + digits)


def normalise(frame: pd.DataFrame) -> pd.DataFrame:
    """Bring every column into its published form, still clear."""
    frame = frame.assign(email=frame["email"].str.lower())
    frame = frame[frame["email"].str.fullmatch(EMAIL, na=False)].drop_duplicates("email", keep="last")
    country = frame["country"].str.upper().map(COUNTRIES).fillna("ZZ")
    state = frame["state"].str.upper()
    codes = state.map(STATES).where(country.isin(_NORTH_AMERICA))
    digits = frame["zip"].str.match(r"[0-9]{5}", na=False) & country.isin(["US", "ZZ"])
    other_zip = frame["zip"].str.replace(r"[\s-]", "", regex=True).str.upper()
    return frame.assign(
        first_name=single_blanks(frame["first_name"].str.lower()),
        last_name=single_blanks(frame["last_name"].str.lower()),
        city=single_blanks(frame["city"].str.lower()),
        address_1=address(frame["address_1"]),
        address_2=address(frame["address_2"]),
        state=codes.fillna(state),
        zip=other_zip.mask(digits, frame["zip"].str[:5]),
        phone=phone(frame["phone"], country),
        loyalty_member_status=frame["loyalty_member_status"].str.lower(),
        segmentation_status=frame["segmentation_status"].str.lower().replace("existing", "realized"),
        country=country,
    )


def main() -> None:
    source, target, key = arguments(__doc__)
    content = io.BytesIO(LONE_BACKSLASH.sub(rb"\\\\", source.read_bytes()))
    frame = pd.read_csv(content, dtype=str, keep_default_na=False, escapechar="\\", doublequote=False)
    frame = normalise(frame.rename(columns=COLUMNS).apply(clean))
    for column in HASHED:
        frame[column] = frame[column].map(
            lambda value: hmac.digest(key, value.encode(), "sha256").hex(), na_action="ignore"
        )
    shutil.rmtree(target, ignore_errors=True)
    frame[[*HASHED, *CLEAR]].to_parquet(target, partition_cols=["country"], compression="snappy", index=False)


if __name__ == "__main__":
    main()
