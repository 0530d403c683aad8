"""Text to typed values: what each type takes, and what it refuses rather than change."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from pyspark.sql import SparkSession

from schemas.feed import SourceColumn
from transforms.columns.typed import typed


def read(spark: SparkSession, texts: list[str | None], type_name: str, **source: Any) -> list[Any]:
    frame = spark.createDataFrame([(number, text) for number, text in enumerate(texts)], "n int, v string")
    rows = frame.select("n", typed(SourceColumn("v", **source), type_name).alias("v")).orderBy("n").collect()
    return [row.v for row in rows]


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


CASES: list[tuple[str, dict[str, Any], dict[str | None, Any]]] = [
    ("boolean", {}, {
        "true": True, "T": True, "Yes": True, "y": True, "1": True, "FALSE": False, "f": False, "no": False, "0": False,
        "2": None, "wahr": None, "": None, None: None, "true ": None,
    }),
    ("int", {}, {
        "12": 12, "-7": -7, "+7": 7, "007": 7, "12.0": 12, "12.": 12, "12.5": None, "2147483647": 2147483647,
        "2147483648": None, "1e3": None, "1,000": None, "12x": None, "0x1F": None, "=1+1": None, "٣": None,
    }),
    ("smallint", {}, {"32767": 32767, "32768": None}),
    ("bigint", {}, {"9223372036854775807": 9223372036854775807, "9223372036854775808": None}),
    ("bigint", {"decimal": ","}, {"1.234.567": 1234567, "1234567": 1234567, "1.23": None, "12,0": 12, "12,5": None}),
    ("decimal(5,2)", {}, {
        "1.5": Decimal("1.50"), "1.230": Decimal("1.23"), "1.239": None, "999.99": Decimal("999.99"), "1000": None,
        "-0.01": Decimal("-0.01"), ".5": Decimal("0.50"), "1e2": Decimal("100.00"), "1.5e-2": None, "1,5": None,
        "NaN": None, "Infinity": None, "12d": None, "": None, ".": None,
    }),
    ("decimal(10,2)", {"decimal": ","}, {
        "1.234,56": Decimal("1234.56"), "1234,5": Decimal("1234.50"), "12": Decimal("12.00"), "1.23,4": None,
        "1,234.56": None, "1.234": Decimal("1234.00"), "-1.234,56": Decimal("-1234.56"), ",": None, "": None,
    }),
    ("float", {}, {
        "1.5": 1.5, "-2": -2.0, "1e2": 100.0, "1e39": None, "1d": None, "1f": None, "NaN": None, "Infinity": None,
        "0x1p3": None,
    }),
    ("date", {}, {
        "2024-02-29": dt.date(2024, 2, 29), "2023-02-29": None, "2024-2-9": None, "2024": None, "2024-02": None,
        "2024-01-31Tx": None, "2024-01-31T23:59:59Z": dt.date(2024, 1, 31), "today": None, "31.12.2024": None,
        "0001-01-01": dt.date(1, 1, 1),
    }),
    ("date", {"time_formats": ("d.M.yyyy", "yyyyMMdd")}, {
        "1.2.2024": dt.date(2024, 2, 1), "31.12.2024": dt.date(2024, 12, 31), "31.02.2024": None,
        "20240131": dt.date(2024, 1, 31), "2024-01-31": None, "1.2.2024x": None,
    }),
    ("timestamp", {}, {
        "2024-01-31T12:00:00Z": utc("2024-01-31 12:00:00"), "2024-01-31 12:00:00 UTC": utc("2024-01-31 12:00:00"),
        "2024-01-31 12:00:00.123456 UTC": utc("2024-01-31 12:00:00.123456"),
        "2024-01-31T12:00:00+02:00": utc("2024-01-31 10:00:00"), "2024-01-31T12:00:00+0200": utc("2024-01-31 10:00:00"),
        "2024-01-31T12:00:00-06": utc("2024-01-31 18:00:00"), "2018-04-26T15:52:25+00:00": utc("2018-04-26 15:52:25"),
        "2021-03-10 10:03:08": utc("2021-03-10 10:03:08"), "2024-01-31": utc("2024-01-31"),
        "2024-01-31T25:00:00": None, "2024-13-31T12:00:00": None, "12:00": None, "1706702400": None, "now": None,
        "2024-01-31T12:00:00 Europe/Berlin": None,
    }),
    ("timestamp", {"zone": "Europe/Berlin"}, {
        "2024-07-01T12:00:00": utc("2024-07-01 10:00:00"), "2024-01-01 12:00:00": utc("2024-01-01 11:00:00"),
        "2024-07-01T12:00:00Z": utc("2024-07-01 12:00:00"), "2024-07-01T12:00:00+02:00": utc("2024-07-01 10:00:00"),
    }),
    ("timestamp", {"zone": "-06:00", "time_formats": ("M/d/yyyy h:mm:ss a", "M/d/yyyy h:mm:ss.SSS a", "M/d/yyyy")}, {
        "1/31/2024 11:59:59 PM": utc("2024-02-01 05:59:59"), "7/4/2024 12:00:00 AM": utc("2024-07-04 06:00:00"),
        "3/10/2024 2:30:00 AM": utc("2024-03-10 08:30:00"),  # a time that US clocks skipped
        "1/31/2024 11:59:59.250 PM": utc("2024-02-01 05:59:59.250000"), "1/31/2024": utc("2024-01-31 06:00:00"),
        "1/31/2024 11:59:59 pm": utc("2024-02-01 05:59:59"), "13/32/2024 1:00:00 PM": None,
        "1/31/2024 11:59:59": None, "1/31/2024 13:00:00 PM": None,
        "1/31/2024 11:59:59\u202fPM": utc("2024-02-01 05:59:59"),
    }),
    ("timestamp", {"zone": "-06:00", "time_formats": ("yyyy-MM-dd'T'HH:mm:ssXXX",)}, {
        "2024-01-31T12:00:00+01:00": utc("2024-01-31 11:00:00"),  # its own offset counts
    }),
    ("timestamp", {"epoch": "seconds"}, {"1706745599": utc("2024-01-31 23:59:59"), "1706745599.5": None, "x": None}),
    ("timestamp", {"epoch": "milliseconds"}, {"1706745599999": utc("2024-01-31 23:59:59.999000")}),
    ("timestamp", {"epoch": "microseconds"}, {
        "1706745599999999": utc("2024-01-31 23:59:59.999999"), "-1": utc("1969-12-31 23:59:59.999999"),
        "99999999999999999999": None,
    }),
    ("date", {"epoch": "microseconds"}, {"1706745599999999": dt.date(2024, 1, 31)}),
]  # fmt: skip


@pytest.mark.parametrize(("type_name", "source", "cases"), CASES, ids=lambda value: str(value)[:60])
def test_text_is_read_by_the_rules_of_its_type(
    spark: SparkSession, type_name: str, source: dict[str, Any], cases: dict[str | None, Any]
) -> None:
    assert dict(zip(cases, read(spark, list(cases), type_name, **source), strict=True)) == cases
