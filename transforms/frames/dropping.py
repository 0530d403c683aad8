"""Which rows must not be published, found on the few columns that decide it: the wide rows are never shuffled."""

from __future__ import annotations

from typing import Final

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from schemas.connector import Connector
from schemas.table import Table
from transforms.frames.mapping import delivered_value, table_value

#: The reason of a row that another row of the same identity wins over.
DUPLICATE: Final = "duplicate"
REASON: Final = "reason"
ROW_ID: Final = "row_id"

_KEY: Final = "__key"
_BLOCK_BITS: Final = 6  # rows a bigint has a bit for
_BLOCK: Final = "__block"
_DROPPED_BITS: Final = "__dropped_bits"


def find_dropped_rows(frame: DataFrame, connector: Connector, table: Table) -> DataFrame:
    """Find the rows that are rejected or duplicates.

    ``frame`` comes from ``mapping.with_country``. Returns ``row_id`` (bigint) and ``reason`` (string): ``missing_x`` or
    ``invalid_x`` for the first rule of the connector that refuses the row, else ``duplicate``. Of the rows with
    equal, not-null keys one is kept: the first by ``order_by``, nulls last, then the one with the greatest row id,
    so ties do not exist. Rejected rows take no part in that.
    """
    reason = _reject_reason(connector, table)
    keys = [table_value(table.column(name), connector, table) for name in connector.dedup.keys]
    ordering = {
        f"__order_{index}": table_value(table.column(name), connector, table)
        for index, (name, _) in enumerate(connector.dedup.order_by)
    }
    narrow = frame.select(
        ROW_ID,
        reason.alias(REASON),
        (_digest(keys) if keys else F.lit(None).cast("binary")).alias(_KEY),
        *(value.alias(name) for name, value in ordering.items()),
    )
    rejected = narrow.where(F.col(REASON).isNotNull()).select(ROW_ID, REASON)
    if not keys:
        return rejected
    order = [
        (F.desc_nulls_last if descending else F.asc_nulls_last)(name)
        for name, (_, descending) in zip(ordering, connector.dedup.order_by, strict=True)
    ]
    rank = F.row_number().over(Window.partitionBy(_KEY).orderBy(*order, F.desc(ROW_ID)))
    losers = (
        narrow.where(F.col(REASON).isNull() & F.col(_KEY).isNotNull())
        .select(ROW_ID, _KEY, *ordering)
        .withColumn("__rank", rank)
        .where(F.col("__rank") > F.lit(1))
        .select(ROW_ID, F.lit(DUPLICATE).alias(REASON))
    )
    return rejected.unionByName(losers)


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
        column = table.column(name)
        is_invalid = delivered_value(column, connector).isNotNull() & table_value(column, connector, table).isNull()
        reason = F.when(is_invalid, F.lit(f"invalid_{name}")).otherwise(reason)
    for name in reversed(connector.rejects.missing):
        is_missing = delivered_value(table.column(name), connector).isNull()
        reason = F.when(is_missing, F.lit(f"missing_{name}")).otherwise(reason)
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
