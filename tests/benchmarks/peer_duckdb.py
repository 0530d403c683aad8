"""The same table by a hand-written DuckDB script, from the clear CSV.

Does: null words; trimming; names, addresses, cities, postal codes, states (US, Canada), countries (the five of the
benchmark's data) and e-mail addresses normalised as the table's comments say; rows without a valid e-mail address
left out; the last row of an e-mail address wins; HMAC-SHA-256 of the same eight columns; Snappy Parquet by country.
Phone numbers: by digits, for North American ones and those written internationally; national numbers of other
countries become null. A few letters (the Turkish İ) get a lower case that differs from Python's and Java's.
Does not: decrypt, check the file's text, find columns under other names, keep rejects with their reasons, validate
phone numbers by numbering plans, know all countries, bound its memory, verify what it wrote, publish, or survive a
failure half-way.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Final

import duckdb

from tests.benchmarks.peer_rules import CLEAR, COLUMNS, COUNTRIES, EMAIL, HASHED, STATES, arguments

_BLOCK: Final = 64  # of SHA-256

_MACROS: Final = """
create macro clean(value) as nullif(nullif(trim(value, e' \\t\\r\\n'), ''), 'null');
create macro single_blanks(value) as nullif(trim(regexp_replace(value, '\\s+', ' ', 'g')), '');
create macro name_of(value) as single_blanks(lower(value));
create macro address_of(value) as single_blanks(regexp_replace(lower(value), '[\\pP\\pS]+', ' ', 'g'));
create macro digits(value) as regexp_replace(value, '[^0-9]', '', 'g');
create macro american(value) as case
    when regexp_full_match(value, '1?[2-9][0-9]{2}[2-9][0-9]{6}') then '+1' || right(value, 10) end;
create macro phone_of(value, country) as case
    when value like '+%' then '+' || digits(replace(value, '(0)', ''))
    when value like '00%' and length(digits(value)) > 10 then '+' || substr(digits(value), 3)
    when country in ('US', 'CA', 'ZZ') then american(digits(regexp_replace(value, '(ext|x).*', ''))) end;
create macro zip_of(value, country) as case
    when country in ('US', 'ZZ') and regexp_matches(value, '^[0-9]{5}') then left(value, 5)
    else upper(regexp_replace(value, '[\\s-]', '', 'g')) end;
"""


def hmac_macro(key: bytes) -> str:
    """Return SQL that defines ``hmac(value)`` as RFC 2104 builds it; DuckDB has SHA-256 only."""
    block = (hashlib.sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
    inner, outer = (bytes(byte ^ pad for byte in block).hex() for pad in (0x36, 0x5C))
    hashed = f"sha256(unhex('{outer}') || unhex(sha256(unhex('{inner}') || encode(value))))"
    return f"create macro hmac(value) as {hashed};"


def statements(source: Path, target: Path, key: bytes) -> str:
    """Return the whole script."""
    fields = ", ".join(f'clean("{name}") as {field}' for name, field in COLUMNS.items())
    hashed = ", ".join(f"hmac({field}) as {field}" for field in HASHED)
    return f"""
    {_MACROS}
    {hmac_macro(key)}
    create table states as select unnest({list(STATES)}) as state_name, unnest({list(STATES.values())}) as code;
    create table countries as
        select unnest({list(COUNTRIES)}) as country_name, unnest({list(COUNTRIES.values())}) as code;
    copy (
        with source as (
            select row_number() over () as number, {fields}
            from read_csv('{source}', all_varchar = true, header = true, delim = ',', quote = '"', escape = '\\')
        ), known as (
            select source.* replace (lower(email) as email, coalesce(countries.code, 'ZZ') as country)
            from source left join countries on upper(source.country) = countries.country_name
        ), latest as (
            select * from known where regexp_full_match(email, '{EMAIL.replace("'", "''")}')
            qualify row_number() over (partition by email order by number desc) = 1
        ), normal as (
            select
                customer_id, email, country,
                name_of(first_name) as first_name, name_of(last_name) as last_name, name_of(city) as city,
                address_of(address_1) as address_1, address_of(address_2) as address_2,
                coalesce(case when country in ('US', 'CA', 'ZZ') then states.code end, upper(state)) as state,
                zip_of(zip, country) as zip, phone_of(phone, country) as phone,
                lower(loyalty_member_status) as loyalty_member_status,
                replace(lower(segmentation_status), 'existing', 'realized') as segmentation_status
            from latest left join states on upper(latest.state) = states.state_name
        )
        select {hashed}, {", ".join(CLEAR)} from normal
    ) to '{target}' (format parquet, compression snappy, partition_by (country));
    """  # noqa: S608  the values are the benchmark's own


def main() -> None:
    source, target, key = arguments(__doc__)
    shutil.rmtree(target, ignore_errors=True)
    duckdb.connect().execute(statements(source, target, key))


if __name__ == "__main__":
    main()
