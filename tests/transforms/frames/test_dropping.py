from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession

from tests.transforms.frames.tables import RAW, people, raw_row
from transforms.frames.dropping import drop_rows, find_dropped_rows
from transforms.frames.mapping import cleansed

RULES = """
[rejects]
missing = ["email"]
invalid = ["email", "points"]
[dedup]
keys = ["email"]
"""


def dropped(frame: DataFrame, rules: str) -> dict[int, str]:
    table, connector = people(connector=rules)
    rows = find_dropped_rows(cleansed(frame, connector, table), connector, table).collect()
    assert len({row.row_id for row in rows}) == len(rows), "a row was dropped twice"
    return {row.row_id: row.reason for row in rows}


def test_rows_are_rejected_with_the_first_reason_and_later_rows_win(spark: SparkSession) -> None:
    rows = [
        raw_row(1, email="A@x.com"),  # row 4 is the same person
        raw_row(2, email=None),
        raw_row(3, email="nobody", points="many"),
        raw_row(4, email="a@X.com"),
        raw_row(5, email="a@x.com", points="many"),  # later still, but rejected, so it does not win
        raw_row(6, email="null", points="many"),
        raw_row(7, email="b@x.com"),
        raw_row((1 << 40) + 2, email="c@x.com"),
        raw_row(9, email="c@x.com"),  # an earlier file
    ]
    random.Random(1).shuffle(rows)
    assert dropped(spark.createDataFrame(rows, RAW), RULES) == {
        1: "duplicate",
        2: "missing_email",
        3: "invalid_email",
        5: "invalid_points",
        6: "missing_email",
        9: "duplicate",
    }


def test_the_order_columns_decide_before_the_row_number_and_nulls_come_last(spark: SparkSession) -> None:
    rows = [
        raw_row(1, email="a@x.com", seen="2026-11-02 10:00", points="1"),
        raw_row(2, email="a@x.com", seen="2026-11-01 10:00", points="9"),
        raw_row(3, email="a@x.com", seen="2026-11-02 10:00", points="2"),
        raw_row(4, email="a@x.com"),
    ]
    rules = '[dedup]\nkeys = ["email"]\norder_by = ["-seen", "points"]'
    assert dropped(spark.createDataFrame(rows, RAW), rules) == {2: "duplicate", 3: "duplicate", 4: "duplicate"}


def test_rows_without_a_key_are_no_duplicates(spark: SparkSession) -> None:
    rows = [raw_row(1, city="a"), raw_row(2, city="a"), raw_row(3, city="a", email="x@y.com")]
    assert dropped(spark.createDataFrame(rows, RAW), '[dedup]\nkeys = ["city", "email"]') == {}


def test_several_keys_are_never_taken_for_one_another(spark: SparkSession) -> None:
    rows = [
        raw_row(1, city="a1", country="US", email="a@x.com"),
        raw_row(2, city="a", country="US", email="1a@x.com"),
        raw_row(3, city="A1", country="CA", email="a@x.com"),
    ]
    assert dropped(spark.createDataFrame(rows, RAW), '[dedup]\nkeys = ["city", "email"]') == {1: "duplicate"}


def test_without_keys_nothing_is_a_duplicate(spark: SparkSession) -> None:
    rows = [raw_row(1, email="a@x.com"), raw_row(2, email="a@x.com"), raw_row(3)]
    assert dropped(spark.createDataFrame(rows, RAW), '[rejects]\nmissing = ["email"]') == {3: "missing_email"}


def test_dedup_does_not_depend_on_the_order_of_rows(spark: SparkSession) -> None:
    emails = st.sampled_from([None, "", "a@x.com", "A@X.com", "b@x.com", "c@", "d@x.com", "null"])

    @settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
    @given(st.lists(emails, min_size=20, max_size=60), st.randoms(use_true_random=False))
    def holds(values: list[str | None], chance: random.Random) -> None:
        rows = [raw_row(index, email=value) for index, value in enumerate(values, 1)]
        shuffled = rows.copy()
        chance.shuffle(shuffled)
        found = dropped(spark.createDataFrame(rows, RAW), RULES)
        assert dropped(spark.createDataFrame(shuffled, RAW).repartition(3), RULES) == found
        # A ten-line reference: the last row of each valid address is kept, nothing else.
        last = {value.lower(): index for index, value in enumerate(values, 1) if value and "@x" in value.lower()}
        assert set(range(1, len(values) + 1)) - set(found) == set(last.values())

    holds()


@pytest.mark.parametrize("gone", [[], [1], [64, 65, 127, 128], list(range(1, 301)), [(1 << 40) + 5]])
def test_exactly_the_named_rows_are_dropped(spark: SparkSession, gone: list[int]) -> None:
    ids = [*range(1, 301), *((1 << 40) + number for number in range(10))]
    frame = spark.createDataFrame([(row_id,) for row_id in ids], "row_id bigint")
    names = spark.createDataFrame([(row_id,) for row_id in gone], "row_id bigint")
    assert sorted(row.row_id for row in drop_rows(frame, names).collect()) == sorted(set(ids) - set(gone))
