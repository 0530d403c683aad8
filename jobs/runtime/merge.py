"""Bringing a delivery's rows together with those that the table has, by its load mode.

A run writes its own rows, pseudonymised, to staged/ first; then it is decided which of them count, on keys and digests
alone; then exactly the partitions that change are written anew, into the run's own folder. What a reader sees stays as
it is until the catalog is switched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.runtime.errors import CatalogConflictError
from jobs.runtime.published_table import PublishedPartition, PublishedTable
from jobs.runtime.standing_table import StandingTable
from schemas.feed import Dedup, Feed
from schemas.table import Table
from transforms.frames import merging
from transforms.frames.dropping import keep_rows
from transforms.frames.merging import DELETED, DELIVERED, KEY
from transforms.rows import ROW_BITS, ROW_ID

#: Table parameters that a later delivery is held against.
VERSIONS: Final = "versions"
VERSION_KEYS: Final = "version_keys"
LOADED_THROUGH: Final = "loaded_through"

_FILE_ID: Final = "file_id"


@dataclass(frozen=True)
class FileCounts:
    """What became of the staged rows of one file: they entered the table, or took a key out of it."""

    accepted: int
    deletes: int


@dataclass(frozen=True)
class Merge:
    """What a run has to write.

    ``rows`` are the new contents of the ``touched`` partitions, all of an unpartitioned table (None where nothing
    changes). ``kept`` is how many of them the table had before, ``displaced`` how many of its rows go, ``suppressed``
    how many more go because they are about listed people. ``delivered`` tells when a touched partition's rows were
    delivered, where that decides. ``versions`` has the state of all keys.
    """

    counts: Mapping[int, FileCounts]
    rows: DataFrame | None
    touched: frozenset[tuple[str, ...]]
    kept: int
    displaced: int
    delivered: Mapping[tuple[str, ...], str]
    versions: DataFrame | None
    held: DataFrame
    suppressed: int = 0

    def release(self) -> None:
        """Let go of what was held in memory and on disk to decide."""
        self.held.unpersist()

    @property
    def accepted(self) -> int:
        """How many of the delivery's rows enter the table."""
        return sum(each.accepted for each in self.counts.values())


def merge(staged: DataFrame, feed: Feed, standing: StandingTable) -> Merge:
    """Decide which of the ``staged`` rows count beside those of the table as it is ``standing``, and what to write.

    Rows of the table about listed people go, from whatever partition, as if they had never come.
    """
    if feed.load == "partition_overwrite":
        return _overwrite(staged, standing)
    if feed.load == "full_refresh":
        return _refresh_beside_upserts(staged, feed, standing)
    return _merge_by_key(staged, feed, standing)


def _merge_by_key(staged: DataFrame, feed: Feed, standing: StandingTable) -> Merge:
    table, present = standing.table, standing.present
    upsert = feed.load == "upsert"
    candidates = None if upsert else _values_of(staged, table)
    known = _versions(feed, standing, candidates)
    decided = merging.contest(_not_stale(merging.versions_of(staged, feed, table), present), known, feed).persist()
    says = merging.verdict()
    displaced = decided.where(says.displaced).select(KEY)
    counts, displaced_rows = _counts(decided)
    accepted = decided.where(says.accepted).select(ROW_ID)
    incoming = keep_rows(staged, accepted)
    touched = _values_of(incoming, table)
    if upsert and displaced_rows:  # under append they are in the partitions of the rows that replace them
        touched |= _values_of_displaced(standing.rows(None)[0], displaced, feed, table)
    touched |= standing.struck_partitions
    suppressed = standing.struck_in(None)
    changes = sum(each.accepted for each in counts.values()) + displaced_rows + suppressed > 0
    rows, kept = None, 0
    if changes or present is None:
        old, before = standing.rows(touched if table.partitions else None)
        kept = before - displaced_rows
        stays = merging.without(old, displaced, feed.dedup.keys) if displaced_rows else old
        rows = stays.unionByName(incoming.select(*stays.columns))
    winners = decided.where(says.winner).select(*merging.version_columns(feed)) if upsert else None
    return Merge(counts, rows, touched, kept, displaced_rows, {}, winners, decided, suppressed)


def newer_versions(spark: SparkSession, present: PublishedTable | None, moment: str) -> DataFrame | None:
    """Return what upserts have brought since a full export that was delivered at ``moment``; None where nothing."""
    location = present.parameters.get(VERSIONS, "") if present is not None else ""
    if not location:
        return None
    newer = spark.read.parquet(location).where(F.col(DELIVERED) > F.lit(moment))
    return newer if newer.limit(1).count() else None


def _refresh_beside_upserts(staged: DataFrame, feed: Feed, standing: StandingTable) -> Merge:
    """Let a full export replace all but what upserts have changed after it was taken."""
    table, present = standing.table, standing.present
    keys = tuple(present.parameters.get(VERSION_KEYS, "").split(",")) if present is not None else ()
    keyed = replace(feed, load="upsert", dedup=Dedup(keys, ()))
    moment = staged.agg(F.max(DELIVERED)).collect()[0][0]  # one row
    newer = newer_versions(standing.spark, present, moment or "")
    if newer is None:
        raise CatalogConflictError(f"table {table.name} was changed by somebody else since this run looked; run again")
    known = standing.without_versions(newer, keys).withColumn(ROW_ID, F.lit(None).cast("bigint"))
    decided = merging.contest(merging.versions_of(staged, keyed, table), known, keyed).persist()
    says = merging.verdict()
    comes = decided.where(says.winner & F.col(ROW_ID).isNotNull())
    counts = {
        row[_FILE_ID]: FileCounts(row.accepted, 0)
        for row in comes.groupBy(F.shiftright(ROW_ID, ROW_BITS).alias(_FILE_ID))
        .agg(F.count(F.lit(1)).alias("accepted"))
        .collect()  # a row a file
    }
    stays = decided.where(says.winner & F.col(ROW_ID).isNull() & ~F.col(DELETED)).select(KEY)
    old, before = standing.rows(None)
    kept = old.select("*", merging.key_of(keys)).join(stays, KEY, "left_semi").drop(KEY)
    rows = kept.unionByName(keep_rows(staged, comes.select(ROW_ID)).select(*kept.columns))
    touched = frozenset(each.values for each in present.partitions) if present is not None else frozenset()
    winners = decided.where(says.winner).select(*merging.version_columns(keyed))
    kept_rows = stays.count()  # of the keys that upserts have changed since: few
    suppressed = standing.struck_in(None)
    return Merge(counts, rows, touched, kept_rows, before - kept_rows, {}, winners, decided, suppressed)


def _overwrite(staged: DataFrame, standing: StandingTable) -> Merge:
    """Let the newest delivery of each partition replace it; an older one than is there already counts for nothing."""
    table, present = standing.table, standing.present
    newest = {
        tuple(str(row[name]) for name in table.partitions): row[DELIVERED]
        for row in staged.groupBy(*table.partitions)
        .agg(F.max(DELIVERED).alias(DELIVERED))
        .collect()  # a row a partition
    }
    there = {each.values: each.delivered for each in present.partitions} if present is not None else {}
    winning = {values: moment for values, moment in newest.items() if moment >= there.get(values, "")}
    names = ", ".join(f"`{name}` string" for name in table.partitions)
    wanted = standing.spark.createDataFrame(
        [(*values, moment) for values, moment in winning.items()], f"{names}, `{DELIVERED}` string"
    )
    keyed = staged.select(ROW_ID, DELIVERED, *(F.col(name).cast("string").alias(name) for name in table.partitions))
    accepted = keyed.join(F.broadcast(wanted), [*table.partitions, DELIVERED], "left_semi").select(ROW_ID).persist()
    rows = keep_rows(staged, accepted)
    counts = {
        row[_FILE_ID]: FileCounts(row.accepted, 0)
        for row in accepted.groupBy(F.shiftright(ROW_ID, ROW_BITS).alias(_FILE_ID))
        .agg(F.count(F.lit(1)).alias("accepted"))
        .collect()  # a row a file
    }
    displaced = sum(each.rows for each in present.partitions if each.values in winning) if present is not None else 0
    columns = [column.name for column in table.data_columns + table.partition_columns]
    wanted_rows = rows.select(*columns) if winning or present is None else None
    others = standing.struck_partitions - winning.keys()
    kept = 0
    if others:
        stays, kept = standing.rows(others)
        stays = stays.select(*columns)
        wanted_rows = stays if wanted_rows is None else wanted_rows.unionByName(stays)
        winning |= {values: there[values] for values in others}
    return Merge(
        counts, wanted_rows, frozenset(winning), kept, displaced, winning, None, accepted, standing.struck_in(others)
    )


def _not_stale(versions: DataFrame, present: PublishedTable | None) -> DataFrame:
    """Leave out what was delivered before the full export that the table was last made of."""
    through = present.parameters.get(LOADED_THROUGH, "") if present is not None else ""
    return versions.where(F.col(DELIVERED) >= F.lit(through)) if through else versions


def _counts(decided: DataFrame) -> tuple[dict[int, FileCounts], int]:
    says = merging.verdict()
    counts: dict[int, FileCounts] = {}
    displaced = 0
    for row in (
        decided.groupBy(F.shiftright(ROW_ID, ROW_BITS).alias(_FILE_ID))
        .agg(
            F.count_if(says.accepted).alias("accepted"),
            F.count_if(says.deletes).alias("deletes"),
            F.count_if(says.displaced).alias("displaced"),
        )
        .collect()  # a row a file
    ):
        displaced += row.displaced
        if row[_FILE_ID] is not None:
            counts[row[_FILE_ID]] = FileCounts(row.accepted, row.deletes)
    return counts, displaced


def _values_of(rows: DataFrame, table: Table) -> frozenset[tuple[str, ...]]:
    """Return the partitions that rows are in, as the catalog writes their values; none for an unpartitioned table."""
    if not table.partitions:
        return frozenset()
    names = [F.col(name).cast("string").alias(name) for name in table.partitions]
    return frozenset(tuple(row) for row in rows.select(*names).distinct().collect())  # a row a partition


def _values_of_displaced(old: DataFrame, displaced: DataFrame, feed: Feed, table: Table) -> frozenset[tuple[str, ...]]:
    """Return the partitions of the rows of ``old`` that go."""
    keyed = old.select(merging.key_of(feed.dedup.keys), *table.partitions)
    return _values_of(keyed.join(displaced, KEY, "left_semi"), table)


def _versions(feed: Feed, standing: StandingTable, candidates: frozenset[tuple[str, ...]] | None) -> DataFrame:
    """Return what is known of the table's keys: kept by the last upsert, else taken from the rows themselves."""
    table, present = standing.table, standing.present
    location = present.parameters.get(VERSIONS, "") if present is not None else ""
    if feed.load == "upsert" and location:
        known = standing.without_versions(standing.spark.read.parquet(location), feed.dedup.keys)
    else:
        rows, _ = standing.rows(candidates if table.partitions else None)
        through = present.parameters.get(LOADED_THROUGH, "") if present is not None else ""
        known = merging.versions_of(rows, feed, table).select(
            "*", F.lit(through).alias(DELIVERED), F.lit(False).alias(DELETED)
        )
    return known.withColumn(ROW_ID, F.lit(None).cast("bigint"))


def partitions_after(
    merged: Merge, present: PublishedTable | None, written: Mapping[tuple[str, ...], tuple[str, int]]
) -> list[dict[str, Any]]:
    """Return the table's partitions as they shall be: those ``written`` (location, rows), and the untouched ones."""
    stays = [
        PublishedPartition(each.values, each.location, each.rows, each.delivered)
        for each in (present.partitions if present is not None else ())
        if each.values not in merged.touched
    ]
    comes = [
        PublishedPartition(values, location, rows, merged.delivered.get(values, ""))
        for values, (location, rows) in written.items()
    ]
    return [vars(each) for each in sorted(stays + comes, key=lambda each: each.values)]
