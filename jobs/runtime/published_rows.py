"""Reading a published table as its catalog has it: its partitions may lie in the folders of several runs."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as T

from jobs.runtime.published_table import PublishedPartition, PublishedTable
from schemas.table import Table, spark_type


def rows_of(
    spark: SparkSession, table: Table, present: PublishedTable | None, values: Iterable[tuple[str, ...]] | None
) -> tuple[DataFrame, int]:
    """Return the rows of the table as it stands, of the partitions ``values`` alone where given, and their number.

    Columns that are new to the table are null in its older files.
    """
    ordered = table.data_columns + table.partition_columns
    schema = T.StructType([T.StructField(column.name, column.spark_type) for column in ordered])
    if present is None:
        return spark.createDataFrame([], schema), 0
    if not table.partitions:
        return spark.read.schema(schema).parquet(present.location), present.rows
    wanted = None if values is None else frozenset(values)
    parts = [each for each in present.partitions if wanted is None or each.values in wanted]
    return _read(spark, schema, parts, len(table.partitions)), sum(each.rows for each in parts)


def read_table(spark: SparkSession, present: PublishedTable) -> DataFrame:
    """Return all rows of a table, with the columns and types that its catalog has."""
    columns = present.columns + present.partition_keys
    schema = T.StructType([T.StructField(column.name, spark_type(column.type)) for column in columns])
    if not present.partition_keys:
        return spark.read.schema(schema).parquet(present.location)
    return _read(spark, schema, present.partitions, len(present.partition_keys))


def _read(spark: SparkSession, schema: T.StructType, parts: Iterable[PublishedPartition], depth: int) -> DataFrame:
    frames = [
        spark.read.schema(schema).option("basePath", base).parquet(*(each.location for each in group))
        for base, group in _by_base(parts, depth)
    ]
    rows = spark.createDataFrame([], schema)
    for frame in frames:
        rows = rows.unionByName(frame)
    return rows


def _by_base(parts: Iterable[PublishedPartition], depth: int) -> Iterable[tuple[str, list[PublishedPartition]]]:
    """Group partitions by the folder that a run has written them below."""

    def base(part: PublishedPartition) -> str:
        return part.location.rsplit("/", depth)[0]

    for folder, group in itertools.groupby(sorted(parts, key=base), base):
        yield folder, list(group)
