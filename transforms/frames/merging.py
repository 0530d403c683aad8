"""Which row of a key counts, of those that the table has and those that a delivery brings.

Everything here looks at published values: clear personal data is gone by then. Nothing depends on the order in which
deliveries are loaded: an older one that comes late loses against what is newer, and a row that is there already changes
nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from schemas.feed import Feed
from schemas.table import Table
from transforms.frames.row_hash import digest_of, row_hash
from transforms.rows import ROW_ID

#: When a row was delivered, as a text that sorts by time (string).
DELIVERED: Final = "__delivered"
#: Whether a row takes its key out of the table (boolean).
DELETED: Final = "__is_deletion"
#: Digest of a row's key (binary).
KEY: Final = "__key"
#: Digest of a row (binary).
CONTENT: Final = "__content"

#: What a delivered row carries beside the table's columns until it is merged.
CARRIED: Final = (ROW_ID, DELIVERED, DELETED)

_ORDER: Final = "__order_of_"
_PLACE: Final = "__place"
_FILLED: Final = "__filled"
_PRESENT: Final = "__present_content"


def key_of(keys: Sequence[str]) -> Column:
    """Return the digest of the columns ``keys`` under the name that it has everywhere."""
    return F.unhex(digest_of(F.col(name) for name in keys)).alias(KEY)


def versions_of(rows: DataFrame, feed: Feed, table: Table) -> DataFrame:
    """Return what decides between rows of one key: KEY, CONTENT, how many values it has, the order columns.

    ``rows`` has the table's columns. Columns of ``CARRIED`` stay where they are there. Nulls in a key are equal.
    """
    carried = [name for name in CARRIED if name in rows.columns]
    filled = sum((F.col(column.name).isNotNull().cast("int") for column in table.columns), F.lit(0))
    return rows.select(
        key_of(feed.dedup.keys),
        F.unhex(row_hash(table)).alias(CONTENT),
        filled.alias(_FILLED),
        *(F.col(name).alias(_ORDER + name) for name, _ in feed.dedup.order_by),
        *carried,
    )


def contest(incoming: DataFrame, present: DataFrame, feed: Feed) -> DataFrame:
    """Put all versions of each key in order; the first one counts.

    Both frames come from ``versions_of`` and have all of ``CARRIED`` (``row_id`` is null in ``present``). Adds
    each version's place (int, from 1) and the content that the table shows for the key (null where none).

    The order is the feed's ``order_by``, nulls last. Then, for upsert, the later delivery and in it the later row; for
    append, where no row is better for being late, the one with more values, and then one of them that does not depend
    on who came first.
    """
    every = incoming.unionByName(present)
    order: list[Column] = [
        (F.desc_nulls_last if descending else F.asc_nulls_last)(_ORDER + name)
        for name, descending in feed.dedup.order_by
    ]
    if feed.load == "upsert":
        order += [F.desc_nulls_last(DELIVERED), F.desc_nulls_last(ROW_ID)]
    order += [F.desc(_FILLED), F.desc(CONTENT), F.asc_nulls_first(ROW_ID)]
    shown = F.when(F.col(ROW_ID).isNull() & ~F.col(DELETED), F.col(CONTENT))
    return every.withColumn(_PLACE, F.row_number().over(Window.partitionBy(KEY).orderBy(*order))).withColumn(
        _PRESENT, F.max(shown).over(Window.partitionBy(KEY))
    )


@dataclass(frozen=True)
class Verdict:
    """What ``contest`` has decided, as conditions on its frame."""

    #: A delivered row that enters the table.
    accepted: Column
    #: A delivered row that takes its key out of the table.
    deletes: Column
    #: A key whose present row goes, replaced or deleted.
    displaced: Column
    #: The version of a key that counts from now on.
    winner: Column


def verdict() -> Verdict:
    """Return the conditions. A row that says what the table says already is not accepted: nothing changes by it."""
    winner = F.col(_PLACE) == F.lit(1)
    comes = winner & F.col(ROW_ID).isNotNull()
    is_known = F.coalesce(F.col(_PRESENT) == F.col(CONTENT), F.lit(False))
    accepted = comes & ~F.col(DELETED) & ~is_known
    deletes = comes & F.col(DELETED)
    return Verdict(accepted, deletes, (accepted | deletes) & F.col(_PRESENT).isNotNull(), winner)


def version_columns(feed: Feed) -> tuple[str, ...]:
    """Return the columns by which a version is kept for later deliveries to be held against."""
    return (KEY, CONTENT, _FILLED, DELIVERED, DELETED, *(_ORDER + name for name, _ in feed.dedup.order_by))


def without(rows: DataFrame, displaced: DataFrame, keys: Sequence[str]) -> DataFrame:
    """Return the ``rows`` whose key (columns ``keys``) is not among those of ``displaced`` (column KEY)."""
    return rows.select("*", key_of(keys)).join(displaced.select(KEY), KEY, "left_anti").drop(KEY)
