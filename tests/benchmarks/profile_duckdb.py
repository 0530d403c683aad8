"""The profile benchmark's simple fields in DuckDB: e-mail, both names, city, and postal codes of five digits.

Does what the uploader's rules say for these five columns; postal codes of CA, GB, IN and JP become null. Does not:
phones, addresses and states. Uses all cores; lower case is DuckDB's, not Python's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import duckdb

from tests.benchmarks.profile_passes import run_passes, worker_arguments

FIELDS_MADE: Final = ("email", "first_name", "last_name", "city", "postal_code")

_MACROS: Final = """
create or replace macro plain(value) as regexp_replace(lower(value), '[^a-z0-9]+', '', 'g');
create or replace macro kept_of_mail(value) as regexp_replace(lower(value), '[^\\pL\\pN_.@-]+', '', 'g');
create or replace macro checked_mail(value) as
    case when regexp_matches(value, '^[\\pL\\pN_.-]+@[\\pL\\pN_.-]') then value end;
create or replace macro without_umlauts(value) as
    replace(replace(replace(replace(replace(replace(lower(value),
        'ß', 'ss'), 'ä', 'ae'), 'ö', 'oe'), 'ü', 'ue'), 'ø', 'o'), 'æ', 'ae');
create or replace macro five(value) as left(regexp_replace(value, '[^0-9]+', '', 'g'), 5);
create or replace macro hashed(value) as sha256(nullif(value, ''));
"""


def statements(source: Path, target: Path) -> str:
    """Return the whole script."""
    return f"""
    {_MACROS}
    copy (
        select id,
            hashed(checked_mail(kept_of_mail(email))) as email,
            hashed(plain(without_umlauts(first_name))) as first_name,
            hashed(plain(without_umlauts(last_name))) as last_name,
            hashed(plain(city)) as city,
            hashed(case when country in ('US', 'DE', 'FR', 'ES', 'IT') and length(five(postal_code)) = 5
                then five(postal_code) end) as postal_code
        from read_parquet('{source}/*.parquet')
    ) to '{target}' (format parquet, compression snappy);
    """  # noqa: S608  the values are the benchmark's own


def main() -> None:
    source, target, passes = worker_arguments(__doc__)
    connection = duckdb.connect()
    run_passes(lambda: connection.execute(statements(source, target)), target, passes)


if __name__ == "__main__":
    main()
