"""The last step before writing: exactly the table's columns, in its order, with its types and defaults."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from schemas.table import Column as TableColumn
from schemas.table import Table


def conform(frame: DataFrame, table: Table, carried: Sequence[str] = ()) -> DataFrame:
    """Select the table's columns, data columns first and partition columns last, nulls replaced by defaults.

    The ``carried`` columns come before them, as they are.

    Raises an AnalysisException where a column is absent or has another type than the table says.
    """
    ordered = table.data_columns + table.partition_columns
    fields = [frame.schema[name] for name in carried] + [T.StructField(each.name, each.spark_type) for each in ordered]
    return frame.select(*carried, *(_with_default(column) for column in ordered)).to(T.StructType(fields))


def _with_default(column: TableColumn) -> Column:
    value = F.col(column.name)
    if column.default is None:
        return value
    return F.coalesce(value, F.lit(column.default).cast(column.type)).alias(column.name)
