"""Which rows must not be published, found on the few columns that decide it: the wide rows are never shuffled."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import and_, or_
from typing import Final

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from schemas.feed import Feed
from schemas.table import Table
from transforms.frames.mapping import value_of, with_values
from transforms.frames.row_hash import digest_of
from transforms.rows import REASON, ROW_ID

#: The reason of a row without any value in its key, where the table's rows are told apart by it.
MISSING_KEY: Final = "missing_key"
#: The reason of a row that another row of the same identity wins over.
DUPLICATE: Final = "duplicate"
#: The reason of a row about a person who is on a suppression list.
SUPPRESSED: Final = "suppressed"

_KEY: Final = "__key"
_RANK: Final = "__rank"
_BLOCK_BITS: Final = 6  # rows a bigint has a bit for
_BLOCK: Final = "__block"
_BITS: Final = "__bits"
_IS_MARKED: Final = "__is_marked"


def find_dropped_rows(frame: DataFrame, feed: Feed, table: Table) -> DataFrame:
    """Find the rows that are rejected or duplicates.

    ``frame`` comes from ``mapping.cleansed``. Returns ``row_id`` (bigint) and ``reason`` (string): ``missing_x`` or
    ``invalid_x`` for the first rule of the connector that refuses the row, else ``duplicate``. Of the rows with
    equal keys one is kept: the first by ``order_by``, nulls last, then the one with the greatest row id, so ties do not
    exist. Rejected rows take no part in that.

    Where the table's own rows take part (append, upsert), keys are not looked at here but in ``merging``; but then a
    row needs a key: one that a rule refuses is ``invalid_x``, and without any value it is ``missing_key``.
    """
    rules = feed.rejects
    if feed.merges:
        names = dict.fromkeys((*rules.invalid, *feed.dedup.keys))
        judged = with_values(frame, feed, table, names).withColumn(REASON, _reject_reason(feed, table))
        return judged.where(F.col(REASON).isNotNull()).select(ROW_ID, REASON)
    ordering = [name for name, _ in feed.dedup.order_by]
    names = dict.fromkeys((*rules.invalid, *feed.dedup.keys, *ordering))
    narrow = with_values(frame, feed, table, names).withColumn(REASON, _reject_reason(feed, table))
    if not feed.dedup.keys:
        return narrow.where(F.col(REASON).isNotNull()).select(ROW_ID, REASON)
    values = [F.col(value_of(name)) for name in feed.dedup.keys]
    digest = F.when(F.col(REASON).isNull(), _digest(values, nulls_are_equal=feed.load == "partition_overwrite"))
    # A row without a key of its own gets one that no digest has the length of, so it is alone with it.
    key = F.coalesce(digest, F.col(ROW_ID).cast("string").cast("binary"))
    order = [
        (F.desc_nulls_last if descending else F.asc_nulls_last)(value_of(name))
        for name, descending in feed.dedup.order_by
    ]
    rank = F.row_number().over(Window.partitionBy(_KEY).orderBy(*order, F.desc(ROW_ID)))
    return (
        narrow.select(ROW_ID, REASON, *map(value_of, ordering), key.alias(_KEY))
        .withColumn(_RANK, rank)
        .where(F.col(REASON).isNotNull() | (F.col(_RANK) > F.lit(1)))
        .select(ROW_ID, F.coalesce(REASON, F.lit(DUPLICATE)).alias(REASON))
    )


def rejected_rows(frame: DataFrame, dropped: DataFrame, columns: Sequence[str]) -> DataFrame:
    """Return the ``columns`` of the rows that a rule refused, ``reason`` among them.

    Duplicates are no rejects, and of people on a suppression list nothing is kept.
    """
    return frame.join(dropped.where(~F.col(REASON).isin(DUPLICATE, SUPPRESSED)), ROW_ID).select(*columns)


def drop_rows(frame: DataFrame, dropped: DataFrame) -> DataFrame:
    """Drop the rows of ``dropped`` (column ``row_id``) from ``frame``."""
    return _marked(frame, dropped).where(~F.col(_IS_MARKED)).drop(_IS_MARKED)


def keep_rows(frame: DataFrame, kept: DataFrame) -> DataFrame:
    """Keep only those rows of ``frame`` that ``kept`` (column ``row_id``) names."""
    return _marked(frame, kept).where(_IS_MARKED).drop(_IS_MARKED)


def _marked(frame: DataFrame, marked: DataFrame) -> DataFrame:
    """Add whether ``marked`` names the row.

    The ids travel to every task as one bit a row, sixty-four to a bigint: that is small enough to broadcast where a
    list of ids would not be, so the wide rows stay where they are.
    """
    position = F.col(ROW_ID).bitwiseAND(F.lit((1 << _BLOCK_BITS) - 1)).cast("int")
    bit = F.call_function("shiftleft", F.lit(1).cast("bigint"), position)
    bits = marked.groupBy(F.shiftright(ROW_ID, _BLOCK_BITS).alias(_BLOCK)).agg(F.bit_or(bit).alias(_BITS))
    is_marked = F.coalesce(F.getbit(_BITS, position), F.lit(0)) == F.lit(1)
    return (
        frame.withColumn(_BLOCK, F.shiftright(ROW_ID, _BLOCK_BITS))
        .join(F.broadcast(bits), _BLOCK, "left")
        .withColumn(_IS_MARKED, is_marked)
        .drop(_BLOCK, _BITS)
    )


def _reject_reason(feed: Feed, table: Table) -> Column:
    reason = F.lit(None).cast("string")
    keys = feed.dedup.keys if feed.merges else ()
    if keys:
        has_none = reduce(and_, (F.col(value_of(name)).isNull() for name in keys))
        reason = F.when(has_none, F.lit(MISSING_KEY))
    for name in reversed(tuple(dict.fromkeys((*feed.rejects.invalid, *keys)))):
        is_invalid = F.col(table.column(name).field).isNotNull() & F.col(value_of(name)).isNull()
        reason = F.when(is_invalid, F.lit(f"invalid_{name}")).otherwise(reason)
    for name in reversed(feed.rejects.missing):
        reason = F.when(F.col(table.column(name).field).isNull(), F.lit(f"missing_{name}")).otherwise(reason)
    return reason


def _digest(keys: list[Column], *, nulls_are_equal: bool) -> Column:
    """Return 32 bytes that are equal for equal keys alone. No clear value is shuffled.

    It is null where a key is null: a person without an e-mail address is not the same as another one. Events have keys
    of many parts, some of which are often empty; where ``nulls_are_equal`` only a row without any part has no digest.
    """
    if nulls_are_equal:
        has_one = reduce(or_, (key.isNotNull() for key in keys))
        return F.when(has_one, F.unhex(digest_of(keys)))
    has_all = reduce(and_, (key.isNotNull() for key in keys))
    return F.when(has_all, F.unhex(digest_of(keys)))
