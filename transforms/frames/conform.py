"""The last step before writing: exactly the table's columns, in its order, with its types and defaults."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from schemas.table import Column as TableColumn
from schemas.table import Table


def conform(frame: DataFrame, table: Table) -> DataFrame:
    """Select the table's columns, data columns first and partition columns last, nulls replaced by defaults.

    Raises an AnalysisException where a column is absent or has another type than the table says.
    """
    ordered = table.data_columns + table.partition_columns
    schema = T.StructType([T.StructField(column.name, column.spark_type) for column in ordered])
    return frame.select(*(_with_default(column) for column in ordered)).to(schema)


def _with_default(column: TableColumn) -> Column:
    value = F.col(column.name)
    return value if column.default is None else F.coalesce(value, F.lit(column.default)).alias(column.name)
