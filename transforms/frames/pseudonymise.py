"""Personal data becomes hashes."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from schemas.connector import Connector
from schemas.table import Column, Table
from transforms.columns.hashing import KEY_COLUMNS, hash_value


def pseudonymise(frame: DataFrame, connector: Connector, table: Table, key: DataFrame | None) -> DataFrame:
    """Replace the values of the table's hashed columns by their hashes; other columns stay as they are.

    ``key`` is the one-row frame of KEY_COLUMNS, None where the table needs none. Values that the source has hashed
    itself stay. Null stays null.
    """
    keyed = frame if key is None else frame.crossJoin(F.broadcast(key))
    hashed = {column.name: column for column in table.hashed_columns if not _is_prehashed(column, connector)}
    columns = [
        hash_value(F.col(name), hashed[name].hash).alias(name) if name in hashed else F.col(name)  # type: ignore[arg-type]
        for name in frame.columns
    ]
    return keyed.select(*columns).drop(*KEY_COLUMNS)


def _is_prehashed(column: Column, connector: Connector) -> bool:
    return column.field in connector.fields and connector.column(column.field).prehashed is not None
