"""What is counted while rows are written: why values do not match, never which ones."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pyspark.sql import Observation, SparkSession

from schemas.connector import parse_connector
from schemas.feed import Feed
from schemas.table import Table, parse_table
from transforms.frames.mapping import COUNTRY, cleansed, outputs, table_columns, with_values
from transforms.frames.match_readiness import match_readiness, measures
from transforms.frames.normalise import with_reasons

TABLE = """
name = "people"
comment = "x"
[columns.email]
comment = "ours"
personal_data = "email"
normalize = "email"
[columns.email_uid2]
comment = "another rule for the same field"
field = "email"
personal_data = "email"
normalize = "email"
profile = "uid2"
[columns.email_again]
comment = "the same rule, another hash"
field = "email"
personal_data = "email"
normalize = "email"
encoding = "base64"
[columns.phone]
comment = "needs a country"
personal_data = "phone"
normalize = "phone"
[columns.first_name]
comment = "x"
personal_data = "name"
normalize = "first_name"
profile = "amc"
[columns.zip]
comment = "hashed by the source"
personal_data = "postal_code"
normalize = "postal_code"
algorithm = "sha256"
[columns.id]
comment = "opaque"
publish = "hash"
[columns.points]
comment = "no text"
type = "int"
[columns.absent]
comment = "the source has no such field"
publish = "hash"
[columns.country]
comment = "x"
normalize = "country"
"""
SOURCE = """
name = "people_source"
comment = "x"
table = "people"
{country}
[format]
null_values = ["null"]
[columns.email]
[columns.phone]
[columns.first_name]
[columns.zip]
prehashed = {{ algorithm = "sha256", encoding = "any-hex", profile = "cleanroom-etl" }}
[columns.id]
[columns.points]
[columns.country]
"""
FIELDS = ("email", "phone", "first_name", "zip", "id", "points", "country")
HEX = "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8"

# Made up so that nothing in a row may stand in a document of counts.
ROWS: list[dict[str, str]] = [
    {"email": "Jane.Doe@gmail.com", "phone": "(206) 555-0177", "country": "usa", "zip": HEX, "id": HEX, "points": "7"},
    {"email": "zaphro@canary.example", "phone": "(206) 555-0188", "first_name": "Zaphrodelia", "zip": HEX.upper()},
    {"email": "not an address", "phone": "12", "country": "US", "first_name": "정", "zip": "98177"},
    {"email": HEX, "phone": HEX, "country": "US", "first_name": HEX.upper(), "id": "canary-1"},
    {"email": "null", "phone": "020 7946 0958", "country": "Utopia"},
    {"email": "@", "phone": "+44 20 7946 0958", "country": "Utopia", "zip": HEX[:-1], "points": "many"},
    {},
]
COLUMNS: dict[str, dict[str, Any]] = {
    "points": {"delivered": 2, "valid": 1, "already_hashed": 0, "invalid_by_reason": {"not_an_int": 1}},
    "email": {"delivered": 5, "valid": 2, "already_hashed": 0,
              "invalid_by_reason": {"hash_not_declared": 1, "not_an_email": 2}},
    "email_uid2": {"delivered": 5, "valid": 2, "already_hashed": 0,
                   "invalid_by_reason": {"hash_not_declared": 1, "not_an_email": 2}},
    "email_again": {"delivered": 5, "valid": 2, "already_hashed": 0,
                    "invalid_by_reason": {"hash_not_declared": 1, "not_an_email": 2}},
    "phone": {"delivered": 6, "valid": 3, "already_hashed": 0,
              "invalid_by_reason": {"hash_not_declared": 1, "not_a_phone": 1, "unknown_country": 1}},
    "first_name": {"delivered": 3, "valid": 1, "already_hashed": 0,
                   "invalid_by_reason": {"hash_not_declared": 1, "nothing_left": 1}},
    "zip": {"delivered": 4, "valid": 2, "already_hashed": 2, "invalid_by_reason": {"not_a_hash": 2}},
    "id": {"delivered": 2, "valid": 2, "already_hashed": 0, "invalid_by_reason": {}},
    "country": {"delivered": 5, "valid": 3, "already_hashed": 0, "invalid_by_reason": {"not_a_country": 2}},
}  # fmt: skip


def people(country: str) -> tuple[Table, Feed]:
    table = parse_table(TABLE, "people.toml")
    return table, parse_connector(SOURCE.format(country=country), "people_source.toml", {table.name: table}).feeds[0]


def counted(
    spark: SparkSession, country: str, partitions: int = 2, rows: list[dict[str, str]] = ROWS
) -> dict[str, Any]:
    """Count as transform does: on the way to what is written."""
    table, connector = people(country)
    schema = ", ".join(f"{name} string" for name in FIELDS)
    raw = spark.createDataFrame([tuple(row.get(name) for name in FIELDS) for row in rows], schema)
    found = Observation("match readiness")
    written = (
        raw.repartition(partitions)
        .transform(cleansed, connector, table)
        .transform(with_values, connector, table)
        .transform(with_reasons, outputs(connector, table), COUNTRY)
        .observe(found, *measures(connector, table))
        .transform(table_columns, connector, table)
    )
    assert written.columns == [column.name for column in table.columns]
    assert len(written.collect()) == len(rows)
    return match_readiness(found.get, connector, table)


@pytest.mark.parametrize("partitions", [1, 3, 7])
def test_what_is_counted_does_not_depend_on_the_partitions(spark: SparkSession, partitions: int) -> None:
    found = counted(spark, 'default_country = "US"', partitions)
    assert found == {
        "rows": 7,
        "countries": {"known": 5, "named_by_the_row": 3, "named_but_unknown": 2},
        "columns": COLUMNS,
        # Only the dot of the Gmail address; a column of the same rule is not compared.
        "normalised_differently": {"email / email_uid2": 1, "email_uid2 / email_again": 1},
    }
    for each in found["columns"].values():  # no value is counted twice, none is lost
        assert each["delivered"] == each["valid"] + sum(each["invalid_by_reason"].values())
    text = json.dumps(found).lower()
    for row in ROWS:
        for name, value in row.items():
            assert len(value) < 4 or value.lower() not in text, name


@pytest.mark.parametrize(
    ("country", "countries", "phones"),
    [
        # Nobody says where a row is from: national numbers cannot be read.
        ("", {"known": 3, "named_by_the_row": 3, "named_but_unknown": 2},
         {"hash_not_declared": 1, "not_a_phone": 1, "unknown_country": 2}),
        # One country for all goes before what rows say.
        ('country = "GB"', {"known": 7, "named_by_the_row": 3, "named_but_unknown": 2},
         {"hash_not_declared": 1, "not_a_phone": 1}),
        # Another field tells it: the phone column, of all.
        ('country_field = "id"', {"known": 0, "named_by_the_row": 0, "named_but_unknown": 2},
         {"hash_not_declared": 1, "not_a_phone": 0, "unknown_country": 4}),
    ],
)  # fmt: skip
def test_where_countries_come_from_is_counted(
    spark: SparkSession, country: str, countries: dict[str, int], phones: dict[str, int]
) -> None:
    found = counted(spark, country)
    assert found["countries"] == countries
    assert found["columns"]["phone"]["invalid_by_reason"] == {name: count for name, count in phones.items() if count}


def test_a_table_without_rows_or_text_can_be_counted(spark: SparkSession) -> None:
    found = counted(spark, "", rows=[])
    assert found["rows"] == 0
    assert found["countries"] == {"known": 0, "named_by_the_row": 0, "named_but_unknown": 0}
    assert {name: each["delivered"] for name, each in found["columns"].items()} == dict.fromkeys(COLUMNS, 0)
    assert found["normalised_differently"] == {"email / email_uid2": 0, "email_uid2 / email_again": 0}
