"""Writing a table's files."""

from __future__ import annotations

from typing import Final

from pyspark.sql import DataFrame, SparkSession

from schemas.table import Table

_ROWS_A_FILE: Final = 3_000_000  # about 750 MB of the widest tables that we ship
_FORMAT_OPTIONS: Final = {"compression": "snappy", "maxRecordsPerFile": str(_ROWS_A_FILE)}


def write_table(frame: DataFrame, table: Table, uri: str) -> None:
    """Write the table's files below ``uri``. Hashes never repeat, so dictionaries of them would be built in vain."""
    writer = frame.write.options(**_FORMAT_OPTIONS)
    for column in table.hashed_columns:
        writer = writer.option(f"parquet.enable.dictionary#{column.name}", "false")
    (writer.partitionBy(*table.partitions) if table.partitions else writer).parquet(uri)


def rebalanced(spark: SparkSession, rows: DataFrame, table: Table) -> DataFrame:
    """Bring rows of a partition together, so that it gets few files; a large one still has several tasks."""
    columns = ", ".join(f"`{name}`" for name in table.partitions)
    hint = f"REBALANCE({columns})" if columns else "REBALANCE"
    return spark.sql(f"SELECT /*+ {hint} */ * FROM {{rows}}", rows=rows)  # noqa: S608  names are our own
