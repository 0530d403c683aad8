"""Personal data becomes hashes."""

from __future__ import annotations

from collections.abc import Iterable

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from schemas.feed import Feed
from schemas.table import Column, Table
from transforms.columns.hashing import hash_value, key_columns


def key_schema(names: Iterable[str]) -> str:
    """Return the schema of the one-row frame that carries the keys called ``names``, in their order."""
    return ", ".join(f"`{column}` binary" for name in names for column in key_columns(name))


def pseudonymise(frame: DataFrame, feed: Feed, table: Table, keys: DataFrame | None) -> DataFrame:
    """Replace the values of the table's hashed columns by their hashes; other columns stay as they are.

    ``keys`` is the one-row frame of ``key_schema(table.key_names)``, None where the table needs none. Values that the
    source has hashed itself stay. Null stays null.
    """
    keyed = frame if keys is None else frame.crossJoin(F.broadcast(keys))
    hashed = {column.name: column.hash for column in table.hashed_columns if not _is_prehashed(column, feed)}
    columns = [
        hash_value(F.col(name), output).alias(name) if (output := hashed.get(name)) is not None else F.col(name)
        for name in frame.columns
    ]
    return keyed.select(*columns)


def _is_prehashed(column: Column, feed: Feed) -> bool:
    return column.field in feed.fields and feed.column(column.field).prehashed is not None
