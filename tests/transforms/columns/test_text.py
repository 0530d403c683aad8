from __future__ import annotations

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from tests.transforms.columns.cases import Case, check
from transforms.blanks import BLANKS
from transforms.columns.text import cleanse, normalize_lower, normalize_text

COMMON: list[Case] = [(f"{blank}x {blank}y{blank}", None, f"x {blank}y") for blank in BLANKS]


def test_text_is_trimmed_only(spark: SparkSession) -> None:
    check(
        spark, normalize_text, [*COMMON, ("  Ab  C ", "US", "Ab  C"), ("🙂 ", None, "🙂"), ("e\u0301", None, "e\u0301")]
    )


def test_lower(spark: SparkSession) -> None:
    check(spark, normalize_lower, [*COMMON, (" GOLD ", None, "gold"), ("ÀÉß", None, "àéß"), ("ΩД", None, "ωд")])


def test_cleanse_nulls_blanks_and_exact_null_words(spark: SparkSession) -> None:
    rows = [
        ("NULL", None),
        ("N/A", None),
        ("null", "null"),
        ("", None),
        (None, None),
        ("x", "x"),
    ]
    frame = spark.createDataFrame(rows, "value string, expected string")
    found = frame.select("expected", cleanse(F.col("value"), ("NULL", "N/A")).alias("found")).collect()
    assert [row.found for row in found] == [row.expected for row in found]


def test_cleanse_without_null_words(spark: SparkSession) -> None:
    frame = spark.createDataFrame([("NULL",), ("",), (None,)], "value string")
    assert [row[0] for row in frame.select(cleanse(F.col("value"), ())).collect()] == ["NULL", None, None]
