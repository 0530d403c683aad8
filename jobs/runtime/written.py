"""What a run has written, read back: counts from the footers of its files, and a look at every published value."""

from __future__ import annotations

import concurrent.futures
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from jobs.runtime.errors import VerificationError
from jobs.runtime.objects import ObjectInfo
from jobs.runtime.storage import Storage
from schemas.feed import Feed
from schemas.table import Column, Table
from transforms.columns.hashing import HEX_DIGITS, base64_pattern, digest_bytes, hash_of_nothing
from transforms.frames.leak_guard import AT, Finding, findings, one_in, resemblances, watched_columns

_TAIL: Final = 64 << 10
_FOOTER_END: Final = 8  # length and magic
_READERS: Final = 16
_DISTINCT: Final = "__distinct_"
_DISTINCT_ERROR: Final = 0.02
_NOTHING: Final = "__hash_of_nothing_"


@dataclass(frozen=True)
class WrittenFile:
    """A Parquet file of a table: its key, bytes, rows, partition values, and how many nulls each column has."""

    key: str
    size: int
    rows: int
    partition: tuple[str, ...]
    nulls: dict[str, int]


def read_footers(storage: Storage, prefix: str, table: Table) -> list[WrittenFile]:
    """Read the footer of every file below ``prefix``.

    Raises VerificationError for anything there that is no Parquet file with exactly the table's columns and types.
    """
    items = [item for item in storage.list(prefix) if item.size or item.key.endswith(".parquet")]
    with concurrent.futures.ThreadPoolExecutor(_READERS) as pool:
        return list(pool.map(lambda item: _read_footer(storage, prefix, item, table), items))


def _read_footer(storage: Storage, prefix: str, item: ObjectInfo, table: Table) -> WrittenFile:
    folders = item.key.removeprefix(prefix).split("/")[:-1]
    keys = [folder.partition("=")[0] for folder in folders]
    if keys != list(table.partitions) or not item.key.endswith(".parquet"):
        raise VerificationError(f"{storage.uri(item.key)} does not belong into table {table.name}")
    metadata = _metadata(storage, item)
    schema = metadata.schema.to_arrow_schema()
    wanted = {column.name: column.type for column in table.data_columns}
    if {field.name: _type_name(field.type) for field in schema} != {
        name: _plain(kind) for name, kind in wanted.items()
    }:
        raise VerificationError(f"{storage.uri(item.key)} does not have the columns of table {table.name}")
    nulls = dict.fromkeys(wanted, 0)
    groups = (metadata.row_group(number) for number in range(metadata.num_row_groups))
    for group in (group for group in groups if group.num_rows):  # an empty one has no statistics
        for index, name in enumerate(schema.names):
            statistics = group.column(index).statistics
            if statistics is None or not statistics.has_null_count:
                raise VerificationError(f"{storage.uri(item.key)} has no statistics for column {name}")
            nulls[name] += statistics.null_count
    values = tuple(urllib.parse.unquote(folder.partition("=")[2]) for folder in folders)
    return WrittenFile(item.key, item.size, metadata.num_rows, values, nulls)


def _metadata(storage: Storage, item: ObjectInfo) -> pq.FileMetaData:
    """Read a footer with one or two small reads from the end, wherever the file is."""
    tail = b"".join(storage.chunks(item, max(0, item.size - _TAIL)))
    needed = int.from_bytes(tail[-_FOOTER_END:-4], "little") + _FOOTER_END
    if needed > len(tail) and needed <= item.size:
        tail = b"".join(storage.chunks(item, item.size - needed))
    try:
        return pq.read_metadata(pa.BufferReader(tail))
    except (pa.ArrowInvalid, OSError):
        raise VerificationError(f"{storage.uri(item.key)} is no whole Parquet file") from None


def _type_name(kind: pa.DataType) -> str:
    return "timestamp" if pa.types.is_timestamp(kind) else str(kind)


def _plain(type_name: str) -> str:
    """Return how Arrow calls a type of ours."""
    names = {"boolean": "bool", "smallint": "int16", "int": "int32", "bigint": "int64", "date": "date32[day]"}
    if type_name.startswith("decimal"):
        return "decimal128" + type_name.removeprefix("decimal").replace(",", ", ")
    return names.get(type_name, type_name)


def check_values(spark: SparkSession, uri: str, table: Table, keys: Mapping[str, bytes], rows: int) -> dict[str, int]:
    """Look at the published values of ``rows`` rows.

    Raises VerificationError with columns and counts where a column that must hold hashes holds anything else, or where
    one that is published in clear without being declared to holds what looks like personal data. A hash has its
    algorithm's length and alphabet and is not the hash of an empty text (unless its column says so).
    Returns about how many distinct hashes each column has, to 2 %.
    """
    hashed = [column for column in table.hashed_columns if column.name not in table.partitions]
    watched = watched_columns(table)
    if not hashed and not watched:
        return {}
    frame = spark.read.schema(_schema(table)).parquet(uri)
    distinct = _check_hashes(spark, frame, hashed, keys) if hashed else {}
    if watched:  # other columns than those: of Parquet files each column is read once all the same
        sample = one_in(rows)
        counted = {row[AT]: row.asDict() for row in resemblances(frame, watched, sample).collect()}  # a row a column
        _refuse_leaks(findings(watched, counted, sample), table)
    return distinct


def _check_hashes(
    spark: SparkSession, frame: DataFrame, hashed: Sequence[Column], keys: Mapping[str, bytes]
) -> dict[str, int]:
    # Not as literals, which stand in plans and in the event log: of a salted hash it is the digest of the key itself.
    nothing = {
        _NOTHING + column.name: hash_of_nothing(column.hash, keys.get(column.hash.key))
        for column in hashed
        if column.hash is not None and column.hash.empty != "hash"
    }
    if nothing:
        schema = ", ".join(f"`{name}` string" for name in nothing)
        frame = frame.crossJoin(F.broadcast(spark.createDataFrame([tuple(nothing.values())], schema)))
    counts = [_count_foreign(column) for column in hashed]
    distinct = [
        F.approx_count_distinct(column.name, _DISTINCT_ERROR).alias(_DISTINCT + column.name) for column in hashed
    ]
    row = frame.agg(*counts, *distinct).collect()[0]  # one row of counts
    found = {column.name: row[column.name] for column in hashed if row[column.name]}
    if found:
        described = ", ".join(f"{name}: {count:,} values" for name, count in found.items())
        raise VerificationError(
            f"columns that must hold hashes alone hold something else ({described}); nothing was published"
        )
    return {column.name: row[_DISTINCT + column.name] for column in hashed}


def _schema(table: Table) -> T.StructType:
    """Return the table's columns; partition values are text, for as a number ``+1`` and ``01`` would be one."""
    stored = [T.StructField(column.name, column.spark_type) for column in table.data_columns]
    return T.StructType([*stored, *(T.StructField(name, T.StringType()) for name in table.partitions)])


def _refuse_leaks(found: Sequence[Finding], table: Table) -> None:
    if not found:
        return
    described = ", ".join(map(str, found))
    advice = "Hash the column (personal_data = …), leave it out, or declare"
    if any(finding.column in table.audit for finding in found):
        advice = "Rename the files, or leave source_file out of audit. " + advice
    raise VerificationError(
        f"table {table.name}: {described}; nothing was published. {advice} in its table file that such values are "
        f'expected there (resembles = ["{found[0].kind}"])'
    )


def _count_foreign(column: Column) -> SparkColumn:
    if column.hash is None:
        raise ValueError(column.name)
    value = F.col(column.name)
    size = digest_bytes(column.hash.algorithm)
    pattern = rf"^[{HEX_DIGITS['hex']}]{{{2 * size}}}\z" if column.hash.encoding == "hex" else base64_pattern(size)
    is_foreign = ~value.rlike(pattern)
    if column.hash.empty != "hash":
        is_foreign |= value == F.col(_NOTHING + column.name)
    return F.count_if(value.isNotNull() & is_foreign).alias(column.name)


def rows_by_partition(files: Sequence[WrittenFile]) -> dict[tuple[str, ...], int]:
    """Return how many rows each partition has."""
    counts: dict[tuple[str, ...], int] = {}
    for file in files:
        counts[file.partition] = counts.get(file.partition, 0) + file.rows
    return counts


def fill_of(column: Column, table: Table, files: Sequence[WrittenFile], feed: Feed) -> float | None:
    """Return the share of rows that have a value in ``column``; None for a table without rows.

    A partition column's default counts as no value.
    """
    rows = sum(file.rows for file in files)
    if not rows or column.field not in feed.fields:
        return None if not rows else 0.0
    if column.name in table.partitions:
        at = table.partitions.index(column.name)
        return sum(file.rows for file in files if file.partition[at] != column.default) / rows
    return 1 - sum(file.nulls[column.name] for file in files) / rows
