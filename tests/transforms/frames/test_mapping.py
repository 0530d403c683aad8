from __future__ import annotations

import datetime as dt

from chispa import assert_df_equality
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from tests.transforms.frames.tables import RAW, people, raw_row
from transforms.frames.conform import conform
from transforms.frames.mapping import cleansed, with_table_columns


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
