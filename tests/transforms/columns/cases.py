"""How the tests of columns run many values through one plan."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F

from transforms.blanks import BLANKS

Normalizer = Callable[[Column, Column], Column]
Case = tuple[str | None, str | None, str | None]


def normalized(spark: SparkSession, normalize: Normalizer, rows: Iterable[Sequence[str | None]]) -> list[str | None]:
    """Return what becomes of (value, country) rows, in order, and assert that doing it twice changes nothing."""
    # Decoding trims, and cleansing makes empty text null, before any of them.
    trimmed = [((row[0] or "").strip(BLANKS) or None, row[1]) for row in rows]
    frame = spark.createDataFrame(trimmed, "value string, country string").coalesce(1)
    once = frame.withColumn("once", normalize(F.col("value"), F.col("country")))
    # The row number keeps the optimizer from merging both plans, as reading a published table back would.
    twice = once.withColumn("id", F.monotonically_increasing_id()).withColumn(
        "twice", normalize(F.col("once"), F.col("country"))
    )
    found = twice.orderBy("id").collect()
    assert [row.twice for row in found] == [row.once for row in found]
    assert "" not in [row.once for row in found]
    return [row.once for row in found]


def check(spark: SparkSession, normalize: Normalizer, cases: Sequence[Case]) -> None:
    """Assert that each (value, country, expected) holds; null and blank are among them always."""
    every = [*cases, (None, "US", None), (None, None, None), ("", "US", None), (" \u3000\ufeff\t", None, None)]
    found = normalized(spark, normalize, every)
    assert [(*case[:2], value) for case, value in zip(every, found, strict=True)] == list(every)
