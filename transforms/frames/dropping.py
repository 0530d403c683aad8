"""Which rows must not be published, found on the few columns that decide it: the wide rows are never shuffled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from schemas.connector import Connector
from schemas.table import Table
from transforms.frames.mapping import value_of, with_values

#: The reason of a row that another row of the same identity wins over.
DUPLICATE: Final = "duplicate"
REASON: Final = "reason"
ROW_ID: Final = "row_id"

_KEY: Final = "__key"
_RANK: Final = "__rank"
_BLOCK_BITS: Final = 6  # rows a bigint has a bit for
_BLOCK: Final = "__block"
_DROPPED_BITS: Final = "__dropped_bits"


def find_dropped_rows(frame: DataFrame, connector: Connector, table: Table) -> DataFrame:
    """Find the rows that are rejected or duplicates.

    ``frame`` comes from ``mapping.cleansed``. Returns ``row_id`` (bigint) and ``reason`` (string): ``missing_x`` or
    ``invalid_x`` for the first rule of the connector that refuses the row, else ``duplicate``. Of the rows with
    equal, not-null keys one is kept: the first by ``order_by``, nulls last, then the one with the greatest row id,
    so ties do not exist. Rejected rows take no part in that.
    """
    rules = connector.rejects
    ordering = [name for name, _ in connector.dedup.order_by]
    names = dict.fromkeys((*rules.invalid, *connector.dedup.keys, *ordering))
    narrow = with_values(frame, connector, table, names).withColumn(REASON, _reject_reason(connector, table))
    if not connector.dedup.keys:
        return narrow.where(F.col(REASON).isNotNull()).select(ROW_ID, REASON)
    digest = F.when(F.col(REASON).isNull(), _digest([F.col(value_of(name)) for name in connector.dedup.keys]))
    # A row without a key of its own gets one that no digest has the length of, so it is alone with it.
    key = F.coalesce(digest, F.col(ROW_ID).cast("string").cast("binary"))
    order = [
        (F.desc_nulls_last if descending else F.asc_nulls_last)(value_of(name))
        for name, descending in connector.dedup.order_by
    ]
    rank = F.row_number().over(Window.partitionBy(_KEY).orderBy(*order, F.desc(ROW_ID)))
    return (
        narrow.select(ROW_ID, REASON, *map(value_of, ordering), key.alias(_KEY))
        .withColumn(_RANK, rank)
        .where(F.col(REASON).isNotNull() | (F.col(_RANK) > F.lit(1)))
        .select(ROW_ID, F.coalesce(REASON, F.lit(DUPLICATE)).alias(REASON))
    )


def rejected_rows(frame: DataFrame, dropped: DataFrame, columns: Sequence[str]) -> DataFrame:
    """Return the ``columns`` of the rows that a rule refused, ``reason`` among them; duplicates are no rejects."""
    return frame.join(dropped.where(F.col(REASON) != F.lit(DUPLICATE)), ROW_ID).select(*columns)


def drop_rows(frame: DataFrame, dropped: DataFrame) -> DataFrame:
    """Drop the rows of ``dropped`` (column ``row_id``) from ``frame``.

    The ids travel to every task as one bit a row, sixty-four to a bigint: that is small enough to broadcast where a
    list of ids would not be, so the wide rows stay where they are.
    """
    position = F.col(ROW_ID).bitwiseAND(F.lit((1 << _BLOCK_BITS) - 1)).cast("int")
    bit = F.call_function("shiftleft", F.lit(1).cast("bigint"), position)
    bits = dropped.groupBy(F.shiftright(ROW_ID, _BLOCK_BITS).alias(_BLOCK)).agg(F.bit_or(bit).alias(_DROPPED_BITS))
    is_dropped = F.coalesce(F.getbit(_DROPPED_BITS, position), F.lit(0)) == F.lit(1)
    return (
        frame.withColumn(_BLOCK, F.shiftright(ROW_ID, _BLOCK_BITS))
        .join(F.broadcast(bits), _BLOCK, "left")
        .where(~is_dropped)
        .drop(_BLOCK, _DROPPED_BITS)
    )


def _reject_reason(connector: Connector, table: Table) -> Column:
    reason = F.lit(None).cast("string")
    for name in reversed(connector.rejects.invalid):
        is_invalid = F.col(table.column(name).field).isNotNull() & F.col(value_of(name)).isNull()
        reason = F.when(is_invalid, F.lit(f"invalid_{name}")).otherwise(reason)
    for name in reversed(connector.rejects.missing):
        reason = F.when(F.col(table.column(name).field).isNull(), F.lit(f"missing_{name}")).otherwise(reason)
    return reason


def _digest(keys: list[Column]) -> Column:
    """Return 32 bytes that are equal for equal keys alone; null where a key is null. No clear value is shuffled.

    Several keys are joined with their lengths before them, so that no two different rows of keys make one text.
    """
    texts = [key.cast("string") for key in keys]
    if len(texts) > 1:
        joined = F.concat(*(F.concat(F.length(text).cast("string"), F.lit(":"), text) for text in texts))
    else:
        joined = texts[0]
    return F.unhex(F.sha2(joined.cast("binary"), 256))
