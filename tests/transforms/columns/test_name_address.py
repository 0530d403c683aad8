# ruff: noqa: E501, RUF001 -- a table of cases reads best in few lines
from __future__ import annotations

from pyspark.sql import SparkSession

from tests.transforms.columns.cases import Case, check
from transforms.columns.address import normalize_address
from transforms.columns.name import normalize_name

NAMES: list[Case] = [
    (" Mary   ANN ", None, "mary ann"), ("O\u2019Neil", "US", "o'neil"), ("O`Neil", "US", "o'neil"), ("José", None, "josé"),
    ("Jean-Luc", None, "jean-luc"), ("Dr. Smith", None, "dr. smith"), ("a\u00a0\tb\u3000\u3000c", None, "a b c"), ("정", None, "정"),
    ("a \u200b b", None, "a b"), ("\u200c x \u200d", None, "x"), ("نا\u200cمه", None, "نا\u200cمه"), ("'", None, "'"), ("🙂  🙂", None, "🙂 🙂"),
]  # fmt: skip
ADDRESSES: list[Case] = [
    ("123 N. Main Street, Apt #4B", "US", "123 n main street apt 4b"), ("12/14 Elm & 3rd", None, "12/14 elm & 3rd"),
    ("500 O'Neil Blvd.", None, "500 o'neil blvd"), ("12-34 Oak;Ave:", None, "12-34 oak ave"), ("Hauptstraße 5", "DE", "hauptstraße 5"),
    (".,#;:", None, None), (" . ", None, None), ("\u200c.\u200d", None, None), ("a\r\nb", None, "a b"), ("x" * 5000, None, "x" * 5000),
]  # fmt: skip


def test_names(spark: SparkSession) -> None:
    check(spark, normalize_name, NAMES)


def test_addresses(spark: SparkSession) -> None:
    check(spark, normalize_address, ADDRESSES)
