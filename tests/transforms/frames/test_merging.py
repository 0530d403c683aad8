"""Which row of a key counts: held against a few lines of Python that say the same."""

from __future__ import annotations

import random
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from schemas.connector import parse_connector
from schemas.feed import Feed
from schemas.table import Table, parse_table
from transforms.frames.merging import (
    CARRIED,
    CONTENT,
    DELETED,
    DELIVERED,
    KEY,
    contest,
    key_of,
    verdict,
    version_columns,
    versions_of,
    without,
)
from transforms.frames.row_hash import digest_of
from transforms.rows import ROW_ID

TABLE = """
name = "t"
comment = "t"
keys = ["one", "two"]
{order}
[columns.one]
comment = "x"
[columns.two]
comment = "x"
[columns.tier]
comment = "x"
[columns.points]
comment = "x"
type = "int"
"""
SCHEMA = "one string, two string, tier string, points int"


def definitions(load: str, order: str = "") -> tuple[Table, Feed]:
    table = parse_table(TABLE.format(order=order), "t")
    (feed,) = parse_connector(f'name = "s"\ncomment = "s"\ntable = "t"\nload = "{load}"', "s", {"t": table}).feeds
    return table, feed


def frames(
    spark: SparkSession, feed: Feed, table: Table, incoming: list[tuple[Any, ...]], present: list[tuple[Any, ...]]
) -> DataFrame:
    """Both lists have the table's columns, row id (None in present), delivered, deleted."""
    schema = f"{SCHEMA}, {ROW_ID} bigint, {DELIVERED} string, {DELETED} boolean"
    return contest(
        versions_of(spark.createDataFrame(incoming, schema), feed, table),
        versions_of(spark.createDataFrame(present, schema), feed, table),
        feed,
    )


def accepted(decided: DataFrame) -> set[int]:
    return {row[ROW_ID] for row in decided.where(verdict().accepted).collect()}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("order", ["", 'order_by = ["-points"]'])
def test_an_upserts_winner_is_the_one_that_a_few_lines_of_python_find(
    spark: SparkSession, seed: int, order: str
) -> None:
    table, feed = definitions("upsert", order)
    drawn = random.Random(seed)

    def row(row_id: int | None, delivered: str) -> tuple[Any, ...]:
        key = (drawn.choice(["a", "b", None]), drawn.choice(["x", "y", None, ""]))
        values = (drawn.choice(["gold", None]), drawn.choice([1, 2, None]))
        return (*key, *values, row_id, delivered, drawn.random() < 0.2)

    incoming = [row(number, f"2024-01-0{drawn.randrange(1, 6)}") for number in range(60)]
    present = list(
        {each[:2]: each for each in (row(None, f"2024-01-0{drawn.randrange(1, 6)}") for _ in range(20))}.values()
    )

    def rank(each: tuple[Any, ...]) -> tuple[Any, ...]:
        points = (each[3] is not None, each[3] or 0) if order else ()
        return (*points, each[5], each[4] is not None, each[4] if each[4] is not None else 0)

    expected, deleting, going = set(), set(), 0
    for key in {each[:2] for each in incoming + present}:
        best = max((each for each in incoming + present if each[:2] == key), key=rank)
        shown = next((each for each in present if each[:2] == key and not each[6]), None)
        if best[4] is None:
            continue
        if best[6]:
            deleting.add(best[4])
        elif shown is None or shown[:4] != best[:4]:
            expected.add(best[4])
        going += shown is not None and (best[6] or shown[:4] != best[:4])
    decided = frames(spark, feed, table, incoming, present).persist()
    assert accepted(decided) == expected
    assert {each[ROW_ID] for each in decided.where(verdict().deletes).collect()} == deleting
    assert decided.where(verdict().displaced).count() == going
    assert decided.where(verdict().winner).select(KEY).distinct().count() == len({e[:2] for e in incoming + present})
    assert set(version_columns(feed)) <= set(decided.columns)


def test_an_appended_row_counts_once_whatever_came_first(spark: SparkSession) -> None:
    table, feed = definitions("append")
    full, poor, other = ("a", "x", "gold", 1), ("a", "x", None, 1), ("a", "x", "blue", 1)
    outcomes = set()
    for first, second in ((full, poor), (poor, full), (full, other), (other, full)):
        carried = (7, "2024-01-01", False)
        decided = frames(spark, feed, table, [(*second, *carried)], [(*first, None, None, False)])
        outcomes.add((frozenset({first, second}), second if accepted(decided) else first))
    assert len(outcomes) == 2  # of each pair one row, the same in both orders
    assert (frozenset({full, poor}), full) in outcomes


def test_a_row_that_is_there_already_is_not_accepted(spark: SparkSession) -> None:
    for load in ("append", "upsert"):
        table, feed = definitions(load)
        row = ("a", None, "gold", None)
        decided = frames(spark, feed, table, [(*row, 1, "2024-01-02", False)], [(*row, None, "2024-01-01", False)])
        assert accepted(decided) == set()
        assert decided.where(verdict().displaced).count() == 0


def test_rows_stay_whose_keys_are_not_displaced(spark: SparkSession) -> None:
    rows = spark.createDataFrame([("a", None, "1", 1), ("a", "", "2", 2), (None, "a", "3", 3)], SCHEMA)
    displaced = rows.where(F.col("two").isNull()).select(key_of(["one", "two"]))
    kept = without(rows, displaced, ["one", "two"])
    assert [row.tier for row in kept.orderBy("tier").collect()] == ["2", "3"]
    assert kept.columns == rows.columns


@pytest.mark.parametrize(
    ("one", "other"),
    [(("a", "b"), ("ab", "")), (("a", None), ("a", "")), ((None, "a"), ("a", None)), (("1:a", "b"), ("1", "a1:b"))],
)
def test_different_rows_have_different_digests(
    spark: SparkSession, one: tuple[Any, ...], other: tuple[Any, ...]
) -> None:
    frame = spark.createDataFrame([one, other], "a string, b string")
    digests = [row[0] for row in frame.select(digest_of([F.col("a"), F.col("b")])).collect()]
    assert len(set(digests)) == 2


def test_what_is_carried_is_told_apart_from_the_row(spark: SparkSession) -> None:
    table, feed = definitions("upsert")
    rows = [("a", "x", "gold", 1, 1, "2024-01-01", False), ("a", "x", "gold", 1, 2, "2024-01-02", True)]
    found = versions_of(
        spark.createDataFrame(rows, f"{SCHEMA}, {ROW_ID} bigint, {DELIVERED} string, {DELETED} boolean"), feed, table
    ).collect()
    assert len({bytes(row[CONTENT]) for row in found}) == 1
    assert set(CARRIED) <= set(found[0].asDict())
