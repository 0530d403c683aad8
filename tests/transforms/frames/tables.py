"""Small tables and connectors for the tests of frames."""

from __future__ import annotations

from schemas.connector import parse_connector
from schemas.feed import Feed
from schemas.table import Table, parse_table

_TABLE = """
name = "people"
comment = "people"
{more}
[columns.email]
comment = "e-mail"
personal_data = "email"
normalize = "email"
{email}
[columns.city]
comment = "city"
normalize = "name"
[columns.points]
comment = "points"
type = "int"
[columns.seen]
comment = "last seen"
type = "timestamp"
[columns.country]
comment = "country"
normalize = "country"
default = "ZZ"
"""

_CONNECTOR = """
name = "people_source"
comment = "people"
table = "people"
default_country = "US"
[format]
null_values = ["null"]
[columns.email]
{email}
[columns.city]
values = {{ Gotham = "New York" }}
[columns.points]
[columns.seen]
time_formats = ["yyyy-MM-dd HH:mm"]
[columns.country]
{more}
"""


def people(table: str = "", email: str = "", connector: str = "", source_email: str = "") -> tuple[Table, Feed]:
    """Return a table and its connector, with further lines of TOML where the arguments say."""
    parsed = parse_table(_TABLE.format(more=table, email=email), "people.toml")
    return parsed, parse_connector(
        _CONNECTOR.format(more=connector, email=source_email), "people_source.toml", {parsed.name: parsed}
    ).feeds[0]


FIELDS = ("email", "city", "points", "seen", "country")
RAW = "row_id bigint, source_file string, source_row bigint, " + ", ".join(f"{name} string" for name in FIELDS)


def raw_row(row_id: int, **fields: str | None) -> tuple[object, ...]:
    """Return one raw row with the fields that matter."""
    return (row_id, "f.csv", row_id, *(fields.get(name) for name in FIELDS))
