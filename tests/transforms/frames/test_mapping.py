from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib

import pytest
from chispa import assert_df_equality
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from tests.transforms.frames.tables import RAW, people, raw_row
from transforms.frames.conform import conform
from transforms.frames.mapping import (
    COUNTRY,
    NAMED_COUNTRY,
    cleansed,
    country_field,
    outputs,
    value_of,
    with_table_columns,
    with_values,
)


def test_values_are_cleansed_typed_and_normalised_and_what_does_not_fit_is_null(spark: SparkSession) -> None:
    table, connector = people()
    moment = dt.datetime(2026, 11, 21, 13, 5)  # noqa: DTZ001  the session's zone is UTC
    cases = [
        (raw_row(1, email="A@X.com", city="Gotham", points="7", seen="2026-11-21 13:05", country="usa"),
         ("a@x.com", "new york", 7, moment, "US")),
        (raw_row(2, email="null", city="", points="7.5x", seen="2026-02-30 13:05", country="Nowhere"),
         (None, None, None, None, "ZZ")),
        (raw_row(3, email="not an address", city="null", points="99999999999", seen="yesterday", country=""),
         (None, None, None, None, "ZZ")),
        (raw_row(4), (None, None, None, None, "ZZ")),
        (raw_row(5, city="gotham", points="-12"), (None, "gotham", -12, None, "ZZ")),
    ]  # fmt: skip
    raw = spark.createDataFrame([row for row, _ in cases], RAW)
    found = raw.transform(cleansed, connector, table).transform(with_table_columns, connector, table)
    expected = spark.createDataFrame(
        [row for _, row in cases], "email string, city string, points int, seen timestamp, country string"
    )
    assert_df_equality(conform(found, table), expected, ignore_nullable=True)


def test_a_field_that_the_source_does_not_have_is_null(spark: SparkSession) -> None:
    table, connector = people()
    fewer = [column for column in connector.columns if column.field not in ("city", "seen")]
    without = type(connector)(**{**vars(connector), "columns": tuple(fewer)})
    raw = spark.createDataFrame([raw_row(1, email="a@x.com", points="3")], RAW)
    found = raw.transform(cleansed, without, table).transform(with_table_columns, without, table)
    assert found.select("city", "seen", "points").collect() == [(None, None, 3)]


def test_the_partition_columns_come_last_and_their_nulls_get_the_default(spark: SparkSession) -> None:
    table, _ = people(table='partitions = ["country"]')
    frame = spark.createDataFrame([(None, "c@x.com")], "country string, email string").select(
        "country",
        "email",
        F.lit(None).cast("timestamp").alias("seen"),
        F.lit(1).alias("points"),
        F.lit("x").alias("city"),
    )
    found = conform(frame, table)
    assert found.columns == ["email", "city", "points", "seen", "country"]
    assert found.collect()[0]["country"] == "ZZ"


# --- the row's country

# What rows say in the country field and in the city field.
PLACES = [("usa", "Deutschland"), ("Utopia", "FRA"), (None, "Atlantis"), ("null", None), ("DE", "")]


@pytest.mark.parametrize(
    ("settings", "named", "known"),
    [
        # An unknown country is nowhere: the default is for rows that say nothing.
        ({"default_country": "GB"}, ["US", None, None, None, "DE"], ["US", None, "GB", "GB", "DE"]),
        ({"default_country": None}, ["US", None, None, None, "DE"], ["US", None, None, None, "DE"]),
        ({"default_country": None, "country": "FR"}, ["US", None, None, None, "DE"], ["FR"] * 5),
        ({"default_country": "GB", "country_field": "city"},
         ["DE", "FR", None, None, None], ["DE", "FR", None, "GB", "GB"]),
        ({"default_country": None, "country_field": "city", "country": "JP"},
         ["DE", "FR", None, None, None], ["JP"] * 5),
    ],
)  # fmt: skip
def test_a_rows_country_is_the_sources_or_what_the_row_names_or_the_default(
    spark: SparkSession, settings: dict[str, str | None], named: list[str | None], known: list[str | None]
) -> None:
    table, connector = people()
    connector = dataclasses.replace(connector, **settings)  # type: ignore[arg-type]  # cases of one type
    rows = [raw_row(number, country=country, city=city) for number, (country, city) in enumerate(PLACES)]
    frame = spark.createDataFrame(rows, RAW).coalesce(1).transform(cleansed, connector, table)
    found = frame.select(NAMED_COUNTRY, COUNTRY).collect()
    assert [row[0] for row in found] == named
    assert [row[1] for row in found] == known


def test_a_source_without_a_country_field_has_its_default(spark: SparkSession) -> None:
    table, connector = people()
    fewer = tuple(column for column in connector.columns if column.field != "country")
    without = dataclasses.replace(connector, columns=fewer)
    assert country_field(connector, table) == "country"
    assert country_field(without, table) is None
    frame = spark.createDataFrame([raw_row(1)], RAW).transform(cleansed, without, table)
    assert frame.select(NAMED_COUNTRY, COUNTRY).collect() == [(None, "US")]


def test_the_published_country_is_what_the_row_names_and_not_the_default(spark: SparkSession) -> None:
    table, connector = people()
    rows = [raw_row(number, country=country) for number, (country, _) in enumerate(PLACES)]
    frame = spark.createDataFrame(rows, RAW).coalesce(1)
    found = frame.transform(cleansed, connector, table).transform(with_table_columns, connector, table)
    assert [row.country for row in found.collect()] == ["US", None, None, None, "DE"]


# --- hashes that nobody declared

HEX = hashlib.sha256(b"a@x.com").hexdigest()


def test_a_hash_among_the_values_is_null_unless_it_was_declared_or_the_value_may_be_anything(
    spark: SparkSession,
) -> None:
    more = """
        [columns.opaque]
        comment = "x"
        field = "email"
        publish = "hash"
        [columns.lowered]
        comment = "x"
        field = "email"
        normalize = "lower"
        publish = "hash"
        [columns.clear_name]
        comment = "x"
        field = "email"
        normalize = "name"
        [columns.uid2]
        comment = "x"
        field = "email"
        normalize = "hashed_email"
        profile = "uid2"
        algorithm = "sha256"
        publish = "hash"
        [columns.snap]
        comment = "x"
        field = "email"
        normalize = "email"
        profile = "snap"
        publish = "hash"
        """
    table, connector = people(email=more)
    values = [HEX, HEX.upper(), HEX[:-1], f"{HEX}0"]
    rows = [raw_row(number, email=value) for number, value in enumerate(values)]
    frame = spark.createDataFrame(rows, RAW).coalesce(1)
    found = frame.transform(cleansed, connector, table).transform(with_table_columns, connector, table).collect()
    assert [row.email for row in found] == [None] * 4
    assert [row.snap for row in found] == [None, None, HEX[:-1], f"{HEX}0"]  # snap takes any text for an address
    assert [row.opaque for row in found] == values
    assert [row.lowered for row in found] == [value.lower() for value in values]
    assert [row.clear_name for row in found] == [value.lower() for value in values]  # published in clear
    assert [row.uid2 is None for row in found] == [False, False, True, True]


def test_in_a_column_that_hashes_nothing_what_is_refused_becomes_the_empty_text(spark: SparkSession) -> None:
    table, connector = people(
        table="[publication]\nhash_of_nothing = true", email='profile = "amc"\nempty = "hash"\nencoding = "hex"'
    )
    values = ["A@x.com", "+++", HEX, "null", None]
    rows = [raw_row(number, email=value) for number, value in enumerate(values)]
    frame = spark.createDataFrame(rows, RAW).coalesce(1)
    found = frame.transform(cleansed, connector, table).transform(with_table_columns, connector, table)
    assert [row.email for row in found.collect()] == ["a@x.com", "", "", None, None]


def test_some_columns_can_be_made_without_the_others(spark: SparkSession) -> None:
    table, connector = people()
    assert [output.name for output in outputs(connector, table)] == [
        value_of(name) for name in ("email", "city", "country")
    ]
    assert [output.name for output in outputs(connector, table, ["city", "points"])] == [value_of("city")]
    frame = spark.createDataFrame([raw_row(1, email="A@x.com", points="3", country="usa")], RAW)
    made = frame.transform(cleansed, connector, table).transform(with_values, connector, table, ["points", "country"])
    assert [name for name in made.columns if name.startswith(value_of(""))] == [value_of("points"), value_of("country")]
    assert made.select(value_of("points"), value_of("country"), "email").collect() == [(3, "US", "A@x.com")]
