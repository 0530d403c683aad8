"""From a source's text columns to the values of a table's columns: cleansed, typed, normalised; not yet hashed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Final

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from schemas.feed import Feed, Prehashed, SourceColumn
from schemas.profile import HOUSE, find_profile
from schemas.table import Column as TableColumn
from schemas.table import HashOutput, Table
from transforms.columns.country import normalize_country
from transforms.columns.hashing import declared_hash
from transforms.columns.text import cleanse
from transforms.columns.typed import typed
from transforms.frames.normalise import Output, with_normalized
from transforms.profiles.registry import rule_of
from transforms.profiles.rule import Rule, Step, rule, step
from transforms.profiles.steps import plainly

#: The row's country (ISO 3166-1 alpha-2, or null), which phones, states and postal codes depend on.
COUNTRY: Final = "__country"
#: The country that the row itself names, null where it names none or an unknown one.
NAMED_COUNTRY: Final = "__named_country"
_VALUE_OF: Final = "__value_of_"

#: Kinds of values that may be opaque, so that 64 hexadecimal digits are nothing strange.
_OPAQUE: Final = ("text", "lower", "hashed_email", "hashed_phone")

_UNDECLARED: Final[Step] = step(
    "64 hexadecimal digits are a hash that nobody declared",
    lambda value, _: F.when(~((F.length(value) == F.lit(64)) & value.rlike("^[0-9a-fA-F]{64}$")), value),
    reason="hash_not_declared",
)


def value_of(name: str) -> str:
    """Return the name of the column that holds the value of the table's column ``name`` until all are made."""
    return _VALUE_OF + name


def cleansed(raw: DataFrame, feed: Feed, table: Table) -> DataFrame:
    """Cleanse every field and find each row's country.

    ``raw`` has the connector's fields as trimmed text, and columns about the row, which stay. Empty text and the
    connector's null words become null, its ``values`` are translated. The country is the connector's one country if it
    has one; else what the row names, null where nobody knows such a country; else, where the row names none, the
    connector's default. All are columns of their own from here on: the steps after use them many times.
    """
    fields = {name: _cleansed(feed.column(name), feed) for name in feed.fields}
    frame = raw.withColumns(fields)
    field = country_field(feed, table)
    nothing = F.lit(None).cast("string")
    named = nothing if field is None else normalize_country(F.col(field), nothing)
    frame = frame.withColumn(NAMED_COUNTRY, named)
    if feed.country is not None:
        return frame.withColumn(COUNTRY, F.lit(feed.country))
    default = F.lit(feed.default_country).cast("string")
    if field is None:
        return frame.withColumn(COUNTRY, default)
    return frame.withColumn(COUNTRY, F.when(F.col(field).isNull(), default).otherwise(F.col(NAMED_COUNTRY)))


def _cleansed(source: SourceColumn, feed: Feed) -> Column:
    text = cleanse(F.col(source.field), feed.format.null_values)
    for word, meaning in source.values.items():
        text = F.when(text == F.lit(word), F.lit(meaning)).otherwise(text)
    return text


def country_field(feed: Feed, table: Table) -> str | None:
    """Return which field names a row's country: the connector's choice, else the table's first country; or None."""
    if feed.country_field is not None:
        return feed.country_field
    named = (column.field for column in table.columns if column.normalize == "country" and column.field in feed.fields)
    return next(named, None)


def outputs(feed: Feed, table: Table, names: Iterable[str] | None = None) -> tuple[Output, ...]:
    """Return what has to be normalised for the table's text columns ``names`` (all of them without) to have values."""
    columns = [table.column(name) for name in names] if names is not None else table.columns
    return tuple(
        Output(value_of(column.name), column.field, _rule(column, feed))
        for column in columns
        if column.type == "string" and column.field in feed.fields
    )


def _rule(column: TableColumn, feed: Feed) -> Rule:
    declared = feed.column(column.field).prehashed
    if declared is not None and column.hash is not None:
        return _declared(declared, column.hash)
    known = rule_of(find_profile(column.profile), column.normalize)
    if column.hash is None or column.normalize in _OPAQUE:
        return known
    return dataclasses.replace(known, steps=(_UNDECLARED, *known.steps))


def _declared(declared: Prehashed, output: HashOutput) -> Rule:
    return rule(
        step(
            f"a hash already: {declared.algorithm} in {declared.encoding}, as {output.encoding}",
            plainly(lambda value: declared_hash(value, declared.algorithm, declared.encoding, output.encoding)),
            reason="not_a_hash",
        )
    )


def with_values(frame: DataFrame, feed: Feed, table: Table, names: Iterable[str] | None = None) -> DataFrame:
    """Add the values of the table's columns ``names`` (all without) to a frame that ``cleansed`` has made.

    They are called ``value_of(name)``. A value that the column's type or rule refuses is null, and so is every value of
    a field that the source lacks. Hashing and defaults come later.
    """
    columns = [table.column(name) for name in names] if names is not None else list(table.columns)
    settled = {
        value_of(column.name): F.col(NAMED_COUNTRY) if _is_named_country(column, feed, table) else _typed(column, feed)
        for column in columns
        if column.type != "string" or column.field not in feed.fields or _is_named_country(column, feed, table)
    }
    wanted = outputs(feed, table, [column.name for column in columns])
    open_outputs = [output for output in wanted if output.name not in settled]
    return with_normalized(frame.withColumns(settled), open_outputs, COUNTRY)


def _is_named_country(column: TableColumn, feed: Feed, table: Table) -> bool:
    """Tell whether the column is the country that ``cleansed`` has found already."""
    is_ours = (column.normalize, find_profile(column.profile).name) == ("country", HOUSE)
    return is_ours and column.field == country_field(feed, table)


def _typed(column: TableColumn, feed: Feed) -> Column:
    if column.field not in feed.fields:
        return F.lit(None).cast(column.type)
    return typed(feed.column(column.field), column.type)


def table_columns(frame: DataFrame, feed: Feed, table: Table, carried: Sequence[str] = ()) -> DataFrame:
    """Select the table's columns, and the ``carried`` ones, from a frame that ``with_values`` has made; not yet hashed.

    In a column with ``empty = "hash"`` a delivered value that became null is the empty text from here on.
    """
    return frame.select(*carried, *(_selected(column, feed).alias(column.name) for column in table.columns))


def _selected(column: TableColumn, feed: Feed) -> Column:
    value = F.col(value_of(column.name))
    if column.hash is None or column.hash.empty != "hash" or column.field not in feed.fields:
        return value
    return F.coalesce(value, F.when(F.col(column.field).isNotNull(), F.lit("")))


def with_table_columns(frame: DataFrame, feed: Feed, table: Table) -> DataFrame:
    """Replace the columns of a frame that ``cleansed`` has made by the table's, not yet hashed."""
    return frame.transform(with_values, feed, table).transform(table_columns, feed, table)
