"""One feed's part of a run: from raw rows to the files of its table, merged with what the table has, and verified."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pyspark.sql import Column, DataFrame, Observation, SparkSession
from pyspark.sql import functions as F

from jobs.runtime.accounting import Accounting, FileAccount, check_rejects
from jobs.runtime.decode import Decoded, FileOutcome
from jobs.runtime.errors import StorageError, VerificationError, describe
from jobs.runtime.hash_keys import key_frame
from jobs.runtime.ledger import Run
from jobs.runtime.merge import LOADED_THROUGH, VERSION_KEYS, FileCounts, Merge, merge, newer_versions, partitions_after
from jobs.runtime.parts import Part
from jobs.runtime.progress import tell
from jobs.runtime.publication import making_of, present_table
from jobs.runtime.published_table import PublishedTable
from jobs.runtime.schema_change import check_same_hashes, schema_changes
from jobs.runtime.snapshots import delivered_at, snapshot_of
from jobs.runtime.standing_table import StandingTable
from jobs.runtime.suppression import Listed, PeopleList, listed_people
from jobs.runtime.table_files import rebalanced, write_table
from jobs.runtime.workspace import Workspace
from jobs.runtime.written import WrittenFile, check_values, fill_of, read_footers, rows_by_partition
from schemas.feed import Feed
from schemas.table import Table
from transforms.frames.audit import carried_for_audit, with_audit
from transforms.frames.conform import conform
from transforms.frames.dropping import DUPLICATE, SUPPRESSED, drop_rows, find_dropped_rows, rejected_rows
from transforms.frames.mapping import COUNTRY, cleansed, outputs, table_columns, with_values
from transforms.frames.match_readiness import match_readiness, measures
from transforms.frames.merging import CARRIED, DELETED, DELIVERED
from transforms.frames.normalise import with_reasons
from transforms.frames.pseudonymise import pseudonymise
from transforms.frames.suppression import People, find_listed_rows
from transforms.rows import LINEAGE, MEMBER_BITS, REASON, ROW_BITS, ROW_ID, SOURCE_FILE, SOURCE_ROW

_ORDINAL: Final = "__ordinal"
_INPUT_BYTES_A_TASK: Final = 256 << 20  # of Parquet; becomes up to 1 GB of hashes, which no codec makes smaller
_ROWS_A_SHUFFLE_TASK: Final = 2_000_000  # of a row id, a digest and the order columns


def is_good(outcome: FileOutcome, feed: Feed) -> bool:
    """Tell whether a file is one of the feed's, and was decoded."""
    return outcome.feed == feed.name and not outcome.reason


class FeedRun:
    """What a run does for one feed. ``table`` is its table with all columns that it gets."""

    def __init__(
        self,
        spark: SparkSession,
        workspace: Workspace,
        run: Run,
        feed: Feed,
        *,
        decoded: Decoded,
        keys: Mapping[str, bytes],
        attempt: int,
        suppression: Sequence[PeopleList] = (),
    ) -> None:
        """Prepare the feed's part of ``run``; ``keys`` are the hash keys by name."""
        self._spark, self._workspace, self._run, self._attempt = spark, workspace, run, attempt
        self._files = [each for each in decoded.files if is_good(each, feed)]
        self._parts = [part for part in decoded.parts if part.feed == feed.name]
        table = workspace.tables[feed.name]
        self._present = present_table(workspace.catalog, table.name)
        extras = _extra_columns(table, feed, self._parts, self._present)
        self.table = table.with_extra_columns(extras) if extras else table
        self._feed = feed.with_extra_fields(extras)
        self._keys = {name: key for name, key in keys.items() if name in self.table.key_names}
        self._suppression = suppression
        self._held: list[DataFrame] = []  # on disk and in memory, until the delivery is written
        self._moments = _moments(workspace, run, feed)
        self._replaces = feed.load == "full_refresh" and not self._is_older_than_upserts()

    def _is_older_than_upserts(self) -> bool:
        """Tell whether another feed has changed rows of the table after this full export was taken."""
        return newer_versions(self._spark, self._present, self._loaded_through) is not None

    @property
    def _loaded_through(self) -> str:
        return max(self._moments.values(), default="")

    def transform(self) -> dict[str, Any]:
        """Write and verify; return what the ledger notes."""
        feed, table, run = self._feed, self.table, self._run
        changes = schema_changes(self._present, table)
        making = making_of(table, self._keys)
        if not self._replaces:  # rows of earlier runs stay
            check_same_hashes(self._present, table, making)
        rows = sum(each.rows for each in self._files)
        tell(f"run {run.run_id}: transforming {rows:,} rows into table {table.name}")
        began = time.monotonic()
        output = f"{self._workspace.curated(table.name, run.run_id)}attempt={self._attempt}/"
        counted = Observation("match readiness")
        source = cleansed(self._raw(), feed, table)
        listed = self._listed()
        dropped = self._dropped(source, listed).persist()
        try:
            accounting = _account(self._files, dropped)
            check_rejects(accounting, feed)
            if accounting.rejected > sum(sum(each.refused.values()) for each in self._files):
                self._write_rejects(source, dropped)
            published = self._published(source, dropped, counted)
            merged = None
            if self._replaces:
                self._write(published, output)
            else:
                merged, accounting = self._merge(published, accounting, output, listed)
        finally:
            dropped.unpersist()
            for held in self._held:
                held.unpersist()
        wrote = time.monotonic()
        try:
            written, distinct = self._verify(output, accounting, merged)
        except VerificationError as error:
            raise self._withdrawn(output, error) from None
        return {
            "seconds": wrote - began,
            "verify_seconds": time.monotonic() - wrote,
            "load": feed.load,
            "base_run": self._present.run_id if self._present is not None else "",
            **self._result(output, written, merged),
            "objects": len(written),
            "size": sum(file.size for file in written),
            "accounting": [dataclasses.asdict(each) for each in accounting.files],
            "fill": {column.name: fill_of(column, table, written, feed) for column in table.columns},
            "match_readiness": match_readiness(counted.get, feed, table) if rows else None,
            "distinct": distinct,
            "making": making,
            "schema_changes": changes,
            "columns": _described(table),
        }

    def _raw(self) -> DataFrame:
        """Read exactly the parts that the ledger names."""
        paths = [self._workspace.storage.uri(part.key) for part in self._parts]
        text = ", ".join(f"`{name}` string" for name in self._feed.fields)
        schema = f"{ROW_ID} bigint, {SOURCE_FILE} string, {SOURCE_ROW} bigint, {text}"
        rows = sum(each.rows for each in self._files)
        if not self._replaces and self._present is not None:
            rows += self._present.rows
        self._spark.conf.set("spark.sql.files.maxPartitionBytes", str(_INPUT_BYTES_A_TASK))
        self._spark.conf.set(
            "spark.sql.shuffle.partitions",
            max(self._spark.sparkContext.defaultParallelism, math.ceil(rows / _ROWS_A_SHUFFLE_TASK)),
        )
        return self._spark.read.schema(schema).parquet(*paths) if paths else self._spark.createDataFrame([], schema)

    def _listed(self) -> Listed | None:
        """Read the suppression lists; None where there are none, or none that the table can be searched by."""
        if not self._suppression:
            return None
        listed = listed_people(self._spark, self._suppression, self._feed, self.table, self._keys)
        if listed is not None:
            self._held.append(listed.values)
        return listed

    def _dropped(self, source: DataFrame, listed: Listed | None) -> DataFrame:
        """Find the rows that are not published. Those about listed people count as if they had never come.

        So they win over no other row of their key. A deletion of theirs still deletes.
        """
        feed, table = self._feed, self.table
        if listed is None:
            return find_dropped_rows(source, feed, table)
        theirs = source if feed.deletes is None else source.where(~self._is_deletion())
        people = People(listed.values, listed.columns, feed, table, key_frame(self._spark, self._keys))
        suppressed = find_listed_rows(theirs, people).persist()
        self._held.append(suppressed)
        others = drop_rows(source, suppressed)
        return find_dropped_rows(others, feed, table).unionByName(suppressed)

    def _is_deletion(self) -> Column:
        """Tell of a row of the source whether it takes its key out of the table."""
        deletes = self._feed.deletes
        if deletes is None:
            return F.lit(False)
        words = [F.lit(word.lower()) for word in deletes.values]
        return F.coalesce(F.lower(F.col(deletes.field)).isin(*words), F.lit(False))

    def _write_rejects(self, source: DataFrame, dropped: DataFrame) -> None:
        kept = self._feed.fields if self._feed.rejects.keep_values else ()
        located = rejected_rows(source, dropped, (SOURCE_FILE, SOURCE_ROW, REASON, *kept))
        folder = f"{self._workspace.rejects(self._run.run_id)}transform-{self._attempt}/{self._feed.name}"
        located.write.parquet(self._workspace.storage.uri(folder))

    def _published(self, source: DataFrame, dropped: DataFrame, counted: Observation) -> DataFrame:
        """Make the values that are published of all rows that are not dropped."""
        feed, table = self._feed, self.table
        carried = tuple(dict.fromkeys((*(() if self._replaces else CARRIED), *carried_for_audit(table))))
        frame = source.transform(drop_rows, dropped)
        if not self._replaces:
            frame = self._with_merge_columns(frame)
        return (
            frame.transform(with_values, feed, table)
            .transform(with_reasons, outputs(feed, table), COUNTRY)
            .observe(counted, *measures(feed, table))
            .transform(table_columns, feed, table, carried)
            .transform(pseudonymise, feed, table, key_frame(self._spark, self._keys))
            .transform(with_audit, table, self._run.run_id, self._run.started.isoformat())
            .transform(conform, table, () if self._replaces else CARRIED)
        )

    def _with_merge_columns(self, frame: DataFrame) -> DataFrame:
        """Add when each row was delivered, and whether it is a deletion."""
        moments = self._spark.createDataFrame(
            sorted(self._moments.items()), f"`{_ORDINAL}` bigint, `{DELIVERED}` string"
        )
        return (
            frame.withColumn(_ORDINAL, F.shiftright(ROW_ID, ROW_BITS + MEMBER_BITS))
            .join(F.broadcast(moments), _ORDINAL)
            .drop(_ORDINAL)
            .withColumn(DELETED, self._is_deletion())
        )

    def _merge(
        self, published: DataFrame, accounting: Accounting, output: str, listed: Listed | None
    ) -> tuple[Merge, Accounting]:
        """Stage the delivery's rows, decide which count, write what changes."""
        storage, name, run_id = self._workspace.storage, self.table.name, self._run.run_id
        staged = storage.uri(f"{self._workspace.staged(name, run_id)}attempt={self._attempt}")
        published.write.parquet(staged)
        standing = StandingTable(self._spark, self.table, self._present, listed)
        merged = merge(self._spark.read.parquet(staged), self._feed, standing)
        if merged.rows is not None:
            self._write(rebalanced(self._spark, merged.rows, self.table), output)
        if merged.versions is not None:
            merged.versions.write.parquet(self._versions_uri())
        merged.release()
        return merged, _merged_accounting(accounting, self._files, merged.counts)

    def _versions_uri(self) -> str:
        folder = self._workspace.versions(self.table.name, self._run.run_id)
        return self._workspace.storage.uri(f"{folder}attempt={self._attempt}")

    def _version_keys(self) -> str:
        if self._feed.load == "full_refresh" and self._present is not None:
            return self._present.parameters[VERSION_KEYS]
        return ",".join(self._feed.dedup.keys)

    def _write(self, frame: DataFrame, output: str) -> None:
        write_table(frame, self.table, self._workspace.storage.uri(output))

    def _verify(
        self, output: str, accounting: Accounting, merged: Merge | None
    ) -> tuple[list[WrittenFile], dict[str, int]]:
        self._workspace.storage.delete_folder_markers(output)
        written = read_footers(self._workspace.storage, output, self.table)
        rows = sum(file.rows for file in written)
        kept = merged.kept if merged is not None and merged.rows is not None else 0
        if rows != accounting.published + kept:
            raise VerificationError(
                f"{self._workspace.storage.uri(output)} holds {rows:,} rows, but {accounting.read:,} were read, "
                f"{accounting.rejected:,} rejected, {accounting.duplicates:,} duplicates dropped, "
                f"{accounting.suppressed:,} suppressed, {accounting.deletes:,} took a row out, and {kept:,} stay of "
                "the table; nothing was published"
            )
        uri = self._workspace.storage.uri(output)
        return written, check_values(self._spark, uri, self.table, self._keys, rows) if rows else {}

    def _withdrawn(self, output: str, error: VerificationError) -> VerificationError:
        """Delete what is refused, for it may be clear where only hashes belong; return the error that says so."""
        storage = self._workspace.storage
        try:
            storage.delete_prefix(output)
            staged = f"{self._workspace.staged(self.table.name, self._run.run_id)}attempt={self._attempt}/"
            for item in list(storage.list(staged)):
                storage.delete(item)
        except StorageError as trouble:
            return VerificationError(
                f"{error}. What was written could not be deleted ({describe(trouble)}): delete {storage.uri(output)}"
            )
        return error

    def _result(self, output: str, written: list[WrittenFile], merged: Merge | None) -> dict[str, Any]:
        """Return the table's location, partitions and rows after this run, and what changed."""
        storage = self._workspace.storage
        counts = rows_by_partition(written)
        folders = {file.partition: file.key.rpartition("/")[0] for file in written}
        locations = {values: (storage.uri(folders[values]), rows) for values, rows in sorted(counts.items())}
        location = storage.uri(output.rstrip("/"))
        untouched = merged is not None and merged.rows is None and self._present is not None
        if untouched and self._present is not None:
            location = self._present.location
        partitions: list[dict[str, Any]]
        if merged is None:
            partitions = [
                {"values": list(values), "location": place, "rows": rows, "delivered": ""}
                for values, (place, rows) in locations.items()
            ]
        else:
            partitions = partitions_after(merged, self._present, locations)
        rows = sum(counts.values())
        if self.table.partitions:
            rows = sum(each["rows"] for each in partitions)
        elif untouched and self._present is not None:
            rows = self._present.rows
        before = self._present.parameters if self._present is not None else {}
        has_versions = merged is not None and merged.versions is not None
        refreshed = self._feed.load == "full_refresh"
        return {
            "location": location,
            "partitions": partitions,
            "rows": rows,
            "written_rows": sum(counts.values()),
            "written_partitions": len(counts) if self.table.partitions else None,
            "displaced": merged.displaced if merged is not None else 0,
            "suppressed": merged.suppressed if merged is not None else 0,
            "versions": self._versions_uri() if has_versions else "",
            "version_keys": self._version_keys() if has_versions else "",
            "loaded_through": self._loaded_through if refreshed else before.get(LOADED_THROUGH, ""),
        }


def _described(table: Table) -> list[dict[str, str]]:
    """Return how each column is published, for the report: a table may have more columns than its file names."""
    return [
        {
            "name": column.name,
            "published_as": "clear" if column.hash is None else f"{column.hash.algorithm}/{column.hash.encoding}",
            "profile": column.profile,
            "field": column.field,
        }
        for column in table.columns
    ]


def _extra_columns(table: Table, feed: Feed, parts: Sequence[Part], present: PublishedTable | None) -> tuple[str, ...]:
    """Return the columns beyond its file's that the table gets: those it has already, and those that have come."""
    if table.extra is None:
        return ()
    own = {column.name for column in table.data_columns + table.partition_columns}
    there = [column.name for column in present.columns] if present is not None and feed.merges else []
    came = sorted({name for part in parts for name in part.extras})
    return tuple(dict.fromkeys(name for name in (*there, *came) if name not in own and name not in LINEAGE))


def _moments(workspace: Workspace, run: Run, feed: Feed) -> dict[int, str]:
    """Return when each object of the run was delivered, as texts that sort by time.

    Where a delivery replaces partitions, the time that names tell counts alone, for the shards of one export arrive one
    after the other; those whose names tell none are of one export, the run's newest.
    """
    delivery = workspace.connector.delivery
    moments = {entry.ordinal: delivered_at(entry.name, entry.modified, delivery) for entry in run.manifest.data}
    if feed.load != "partition_overwrite":
        return moments
    newest = max((moment.rpartition(" ")[2] for moment in moments.values()), default="")
    told = {entry.ordinal: snapshot_of(entry.name, delivery) for entry in run.manifest.data}
    return {ordinal: snapshot.time if snapshot is not None else newest for ordinal, snapshot in told.items()}


def _account(files: Sequence[FileOutcome], dropped: DataFrame) -> Accounting:
    """Count what becomes of every file's rows; this also materialises ``dropped``."""
    file_id = F.shiftright(ROW_ID, ROW_BITS).alias("file_id")
    counts: dict[int, dict[str, int]] = {}
    for row in (
        dropped.groupBy(file_id, REASON).agg(F.count(F.lit(1)).alias("rows")).collect()
    ):  # a row a file and reason
        counts.setdefault(row.file_id, {})[row[REASON]] = row.rows
    accounts = []
    for each in files:
        reasons = counts.get(each.file_id, {})
        duplicates, suppressed = reasons.pop(DUPLICATE, 0), reasons.pop(SUPPRESSED, 0)
        for reason, refused in each.refused.items():
            reasons[reason] = reasons.get(reason, 0) + refused
        published = each.delivered_rows - duplicates - suppressed - sum(reasons.values())
        rejected = dict(sorted(reasons.items()))
        accounts.append(FileAccount(each.name, each.delivered_rows, published, duplicates, 0, rejected, suppressed))
    return Accounting(tuple(accounts))


def _merged_accounting(
    accounting: Accounting, files: Sequence[FileOutcome], counts: Mapping[int, FileCounts]
) -> Accounting:
    """Tell of the rows that were staged which entered the table, which took a row out, and which changed nothing."""
    accounts = []
    for account, file in zip(accounting.files, files, strict=True):
        found = counts.get(file.file_id, FileCounts(0, 0))
        duplicates = account.duplicates + account.published - found.accepted - found.deletes
        accounts.append(
            dataclasses.replace(account, published=found.accepted, duplicates=duplicates, deletes=found.deletes)
        )
    return Accounting(tuple(accounts))
