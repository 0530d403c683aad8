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


def with_country(raw: DataFrame, connector: Connector, table: Table) -> DataFrame:
    """Add the row's country, which phones, states and postal codes depend on, as columns of their own.

    It is the first column of the table that is normalised as a country, else the connector's default, else null.
    """
    named = _country_column(connector, table)
    value = F.lit(None).cast("string") if named is None else _value(named, connector, F.lit(None))
    return raw.withColumn(_NAMED_COUNTRY, value).withColumn(
        _COUNTRY, F.coalesce(_NAMED_COUNTRY, F.lit(connector.default_country))
    )


def _country_column(connector: Connector, table: Table) -> TableColumn | None:
    named = (column for column in table.columns if column.normalize == "country" and column.field in connector.fields)
    return next(named, None)


def table_value(column: TableColumn, connector: Connector, table: Table) -> Column:
    """Return a table column's value for a frame that ``with_country`` has made; null where the source lacks the field.

    A value that the column's type or normaliser refuses is null. Hashing and defaults come later.
    """
    if column.field not in connector.fields:
        return F.lit(None).cast(column.type)
    if column == _country_column(connector, table):
        return F.col(_NAMED_COUNTRY)
    return _value(column, connector, F.col(_COUNTRY))


def delivered_value(column: TableColumn, connector: Connector) -> Column:
    """Return what was delivered for a table column, cleansed: null only where there was nothing."""
    source = connector.column(column.field)
    return _cleansed(source, connector)


def with_table_columns(frame: DataFrame, connector: Connector, table: Table) -> DataFrame:
    """Replace the columns of a frame that ``with_country`` has made by the table's, not yet hashed."""
    return frame.select(*(table_value(column, connector, table).alias(column.name) for column in table.columns))


def _cleansed(source: SourceColumn, connector: Connector) -> Column:
    return cleanse(F.col(source.field), connector.format.null_values)


def _value(column: TableColumn, connector: Connector, country: Column) -> Column:
    source = connector.column(column.field)
    text = _cleansed(source, connector)
    for word, meaning in source.values.items():
        text = F.when(text == F.lit(word), F.lit(meaning)).otherwise(text)
    if source.prehashed is not None:
        return normalize_prehashed(text)
    if column.type == "string":
        return NORMALIZERS[column.normalize](text, country)
    if column.type in ("date", "timestamp") and source.date_format is not None:
        moment = F.try_to_timestamp(text, F.lit(source.date_format))
        return moment.cast(column.type)
    # Spark 3.5 has try_cast in SQL alone; the field's name is one of ours, and casting trims by itself.
    return F.expr(f"try_cast(`{source.field}` AS {column.type})")
