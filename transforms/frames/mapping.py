"""From a source's text columns to the values of a table's columns: cleansed, typed, normalised; not yet hashed."""

from __future__ import annotations

from typing import Final

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from schemas.connector import Connector, SourceColumn
from schemas.table import Column as TableColumn
from schemas.table import Table
from transforms.columns.hashing import normalize_prehashed
from transforms.columns.registry import NORMALIZERS
from transforms.columns.text import cleanse

_NAMED_COUNTRY: Final = "__named_country"
_COUNTRY: Final = "__country"


def cleansed(raw: DataFrame, connector: Connector, table: Table) -> DataFrame:
    """Cleanse every field and find each row's country, which phones, states and postal codes depend on.

    ``raw`` has the connector's fields as trimmed text, and columns about the row, which stay. Empty text and the
    connector's null words become null, its ``values`` are translated. The country is the first column of the table
    that is normalised as one, else the connector's default, else null. All are columns of their own from here on:
    the steps after use them many times.
    """
    fields = {name: _cleansed(connector.column(name), connector) for name in connector.fields}
    frame = raw.withColumns(fields)
    named = _country_column(connector, table)
    country = F.lit(None).cast("string") if named is None else _value(named, connector, F.lit(None))
    return frame.withColumn(_NAMED_COUNTRY, country).withColumn(
        _COUNTRY, F.coalesce(_NAMED_COUNTRY, F.lit(connector.default_country))
    )


def _cleansed(source: SourceColumn, connector: Connector) -> Column:
    text = cleanse(F.col(source.field), connector.format.null_values)
    for word, meaning in source.values.items():
        text = F.when(text == F.lit(word), F.lit(meaning)).otherwise(text)
    return text


def _country_column(connector: Connector, table: Table) -> TableColumn | None:
    named = (column for column in table.columns if column.normalize == "country" and column.field in connector.fields)
    return next(named, None)


def table_value(column: TableColumn, connector: Connector, table: Table) -> Column:
    """Return a table column's value for a frame that ``cleansed`` has made; null where the source lacks the field.

    A value that the column's type or normaliser refuses is null. Hashing and defaults come later.
    """
    if column.field not in connector.fields:
        return F.lit(None).cast(column.type)
    if column == _country_column(connector, table):
        return F.col(_NAMED_COUNTRY)
    return _value(column, connector, F.col(_COUNTRY))


def with_table_columns(frame: DataFrame, connector: Connector, table: Table) -> DataFrame:
    """Replace the columns of a frame that ``cleansed`` has made by the table's, not yet hashed."""
    return frame.select(*(table_value(column, connector, table).alias(column.name) for column in table.columns))


def _value(column: TableColumn, connector: Connector, country: Column) -> Column:
    source = connector.column(column.field)
    text = F.col(source.field)
    if source.prehashed is not None:
        return normalize_prehashed(text)
    if column.type == "string":
        return NORMALIZERS[column.normalize](text, country)
    if column.type in ("date", "timestamp") and source.date_format is not None:
        return F.try_to_timestamp(text, F.lit(source.date_format)).cast(column.type)
    # Spark 3.5 has try_cast in SQL alone; the field's name is one of ours.
    return F.expr(f"try_cast(`{source.field}` AS {column.type})")
