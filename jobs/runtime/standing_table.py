"""A table as it stands, without its rows about listed people: they are taken for gone, whatever else is decided."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping, Sequence

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.runtime.published_rows import rows_of
from jobs.runtime.published_table import PublishedTable
from jobs.runtime.suppression import Listed
from schemas.table import Table
from transforms.frames import merging
from transforms.frames.merging import KEY
from transforms.frames.suppression import IS_LISTED, mark_listed, published_values


class StandingTable:
    """What the table of a run has ``present`` (None where it is not there yet), and whom ``listed`` takes out of it."""

    def __init__(
        self, spark: SparkSession, table: Table, present: PublishedTable | None, listed: Listed | None = None
    ) -> None:
        self.spark, self.table, self.present = spark, table, present
        self._listed = listed if present is not None else None

    @functools.cached_property
    def struck(self) -> Mapping[tuple[str, ...], int]:
        """How many rows go from each partition that has such rows, of an unpartitioned table under no values.

        Found in one pass over few columns.
        """
        if self._listed is None:
            return {}
        rows, _ = rows_of(self.spark, self.table, self.present, None)
        names = [F.col(name).cast("string").alias(name) for name in self.table.partitions]
        needed = dict.fromkeys((*self.table.partitions, *(column.name for column in self._listed.columns)))
        found = self._of_listed(rows.select(*needed)).groupBy(*names).agg(F.count(F.lit(1)).alias("rows"))
        counts = {tuple(row[name] for name in self.table.partitions): row.rows for row in found.collect()}
        return {values: rows for values, rows in counts.items() if rows}

    @property
    def struck_partitions(self) -> frozenset[tuple[str, ...]]:
        """The partitions that such rows go from; none of an unpartitioned table."""
        return frozenset(self.struck) if self.table.partitions else frozenset()

    def struck_in(self, values: Collection[tuple[str, ...]] | None) -> int:
        """Return how many rows go from the partitions ``values``, from all of them without."""
        return sum(rows for each, rows in self.struck.items() if values is None or each in values)

    def rows(self, values: Collection[tuple[str, ...]] | None) -> tuple[DataFrame, int]:
        """Return the rows that stay, of the partitions ``values`` alone where given, and their number."""
        rows, count = rows_of(self.spark, self.table, self.present, values)
        if not self.struck:
            return rows, count
        return self._marked(rows).where(~F.col(IS_LISTED)).drop(IS_LISTED), count - self.struck_in(values)

    def without_versions(self, versions: DataFrame, keys: Sequence[str]) -> DataFrame:
        """Forget the versions of rows that go: the same row would else count as known when it comes again."""
        if not self.struck:
            return versions
        values = self.struck_partitions if self.table.partitions else None
        rows, _ = rows_of(self.spark, self.table, self.present, values)
        return versions.join(self._of_listed(rows).select(merging.key_of(keys)), KEY, "left_anti")

    def _marked(self, rows: DataFrame) -> DataFrame:
        if self._listed is None:
            return rows.withColumn(IS_LISTED, F.lit(False))
        return mark_listed(rows, self._listed.values, published_values(self._listed.columns))

    def _of_listed(self, rows: DataFrame) -> DataFrame:
        return self._marked(rows).where(IS_LISTED).drop(IS_LISTED)
