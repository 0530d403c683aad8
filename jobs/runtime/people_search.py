"""In which files listed people are: counts a file, for published tables and for rejects that keep values."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from jobs.runtime.errors import VerificationError
from jobs.runtime.storage import Storage
from jobs.runtime.suppression import Listed
from schemas.table import Table
from transforms.frames.mapping import cleansed
from transforms.frames.suppression import IS_LISTED, People, mark_delivered, mark_listed, published_values
from transforms.rows import SOURCE_FILE

_PLACE: Final = "__place"
_ROW: Final = "__row"
_FILES: Final = {"recursiveFileLookup": "true", "pathGlobFilter": "*.parquet"}


@dataclass(frozen=True)
class Found:
    """How many rows about listed people each file has, by its key, and which delivered files they came from.

    ``sources`` is empty where the rows do not tell.
    """

    rows: Mapping[str, int] = field(default_factory=dict)
    sources: frozenset[str] = frozenset()


def search_published(spark: SparkSession, storage: Storage, prefix: str, table: Table, listed: Listed) -> Found:
    """Search every Parquet file below ``prefix``, whatever run has written it, in one pass over few columns."""
    names = dict.fromkeys(column.name for column in listed.columns)
    told = (SOURCE_FILE,) if SOURCE_FILE in table.audit else ()
    types = {column.name: column.spark_type for column in table.data_columns}
    schema = T.StructType([T.StructField(name, types[name]) for name in (*names, *told)])
    if not any(item.key.endswith(".parquet") for item in storage.list(prefix)):
        return Found()
    rows = _read(spark, storage, schema, [prefix])
    return _counted(storage, prefix, mark_listed(rows, listed.values, published_values(listed.columns)), told)


def search_rejects(spark: SparkSession, storage: Storage, prefix: str, folders: Sequence[str], people: People) -> Found:
    """Search rejects, which hold what was delivered in clear, in the ``folders`` of one feed below ``prefix``."""
    schema = T.StructType([T.StructField(name, T.StringType()) for name in (SOURCE_FILE, *people.feed.fields)])
    rows = _read(spark, storage, schema, folders)
    source = rows.transform(cleansed, people.feed, people.table)
    return _counted(storage, prefix, mark_delivered(source, people, (_PLACE, SOURCE_FILE)), (SOURCE_FILE,))


def rejects_without(spark: SparkSession, storage: Storage, key: str, people: People) -> DataFrame:
    """Return the rows of one file of rejects that are not about listed people, with all of its columns."""
    rows = spark.read.parquet(storage.uri(key))
    absent = {name: F.lit(None).cast("string") for name in people.feed.fields if name not in rows.columns}
    source = rows.select("*", F.struct(*rows.columns).alias(_ROW)).withColumns(absent)
    marked = mark_delivered(source.transform(cleansed, people.feed, people.table), people, (_ROW,))
    return marked.where(~F.col(IS_LISTED)).select(f"{_ROW}.*")


def _read(spark: SparkSession, storage: Storage, schema: T.StructType, folders: Sequence[str]) -> DataFrame:
    uris = [storage.uri(folder.rstrip("/")) for folder in folders]
    return spark.read.schema(schema).options(**_FILES).parquet(*uris).withColumn(_PLACE, F.input_file_name())


def _counted(storage: Storage, prefix: str, marked: DataFrame, told: Sequence[str]) -> Found:
    by: list[Column] = [F.col(name) for name in (_PLACE, *told)]
    found = marked.where(IS_LISTED).groupBy(*by).agg(F.count(F.lit(1)).alias("rows")).collect()  # a row a file
    keys = {_place(storage.uri(item.key)): item.key for item in storage.list(prefix)}
    rows: dict[str, int] = {}
    for row in found:
        key = keys.get(_place(urllib.parse.unquote(row[_PLACE])))
        if key is None:
            raise VerificationError(f"a file below {storage.uri(prefix)} went away while it was searched; run again")
        rows[key] = rows.get(key, 0) + row.rows
    return Found(rows, frozenset(row[SOURCE_FILE] for row in found if told and row[SOURCE_FILE]))


def _place(uri: str) -> str:
    """Return a URI without its scheme: Spark writes ``file:/x`` and ``file:///x``, ``s3a`` and ``s3``."""
    return re.sub(r"^\w+:/+", "", uri)


def by_folder(rows: Mapping[str, int]) -> dict[str, int]:
    """Return the counts of files added up by the folder that they are in, without a slash at its end."""
    counts: dict[str, int] = {}
    for key, count in rows.items():
        folder = key.rpartition("/")[0]
        counts[folder] = counts.get(folder, 0) + count
    return counts


def folders_of_files(storage: Storage, prefix: str, suffix: str = ".parquet") -> Iterable[str]:
    """Return the folders below ``prefix`` that files are in, without a slash at their end, each once."""
    keys = (item.key for item in storage.list(prefix))
    return dict.fromkeys(key.rpartition("/")[0] for key in keys if key.endswith(suffix))
