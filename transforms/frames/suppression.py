"""Which rows are about people on a list: told by digests of published values, never by a clear value.

A list has a column or several, named as columns of the table or as fields of its source. Its values become what the
table would publish of them, by the very same steps. A row is about a listed person when any one of its columns says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_
from typing import Final

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from schemas.feed import Feed, SourceColumn
from schemas.names import normalize_header
from schemas.table import Column as TableColumn
from schemas.table import Table
from transforms.blanks import BLANKS
from transforms.columns.hashing import declared_hash
from transforms.frames.dropping import SUPPRESSED
from transforms.frames.mapping import cleansed, country_field, table_columns, with_values
from transforms.frames.pseudonymise import pseudonymise
from transforms.rows import REASON, ROW_ID

#: Kinds of personal data that are one person's alone: a list of names or postal codes would hit strangers.
ONE_PERSONS_OWN: Final = ("identifier", "email", "phone", "device_id")

#: The table's column that a listed value belongs to (string), and the value's digest (binary).
COLUMN: Final = "listed_column"
DIGEST: Final = "listed_digest"
#: The values of one row of a list (array of COLUMN and DIGEST).
VALUES: Final = "listed_values"
#: Whether a row is about a listed person (boolean).
IS_LISTED: Final = "__is_listed"

_FIELD: Final = "__field_"
_COUNTRY_FIELD: Final = "__country_of_list"
_KEY: Final = "__listed_key_"
_FLAG: Final = "__listed_flag_"


@dataclass(frozen=True)
class ListColumns:
    """What the columns of a list, by their places, mean for a table.

    ``keys`` has the table's columns that each is compared with, ``country`` the place of the column that tells a row's
    country (None where there is none), ``passed_over`` the names of columns that do not tell one person.
    """

    keys: Mapping[int, tuple[TableColumn, ...]]
    country: int | None
    passed_over: tuple[str, ...]

    @property
    def compared(self) -> tuple[TableColumn, ...]:
        """The table's columns that decide, each once."""
        return tuple({column.name: column for columns in self.keys.values() for column in columns}.values())


def field_of(place: int) -> str:
    """Return what the frame of a list calls its column at ``place``: its own name may be anything, a value even."""
    return f"{_FIELD}{place}"


def comparable_columns(table: Table) -> tuple[TableColumn, ...]:
    """Return the table's columns that a list may name people by."""
    return tuple(
        column
        for column in table.columns
        if column.personal_data in ONE_PERSONS_OWN and column.name not in table.partitions
    )


def list_columns(header: Sequence[str], feed: Feed, table: Table) -> ListColumns:
    """Find what each column of a list means for the table, by its name, whatever its case and punctuation.

    A name that is a column's and a field's means the column and all columns that are made from the field.
    """
    place_of = country_field(feed, table)
    countries = {normalize_header(column.name) for column in table.columns if column.field == place_of} - {""}
    if place_of is not None:
        countries.add(normalize_header(place_of))
    allowed = {column.name for column in comparable_columns(table)}
    keys: dict[int, tuple[TableColumn, ...]] = {}
    country = None
    passed_over = []
    for place, name in enumerate(normalize_header(each) for each in header):
        named = [
            column
            for column in table.columns
            if name and name in (normalize_header(column.name), normalize_header(column.field))
        ]
        if name in countries:
            country = place
        elif found := tuple(column for column in named if column.name in allowed):
            keys[place] = found
        else:
            passed_over += [column.name for column in named[:1]]
    return ListColumns(keys, country, tuple(dict.fromkeys(passed_over)))


def listed_values(
    frame: DataFrame, columns: ListColumns, feed: Feed, table: Table, keys: DataFrame | None
) -> DataFrame:
    """Return, for each row of a list, the digests of what the table would publish of its values (VALUES).

    ``frame`` has the list's text columns by ``field_of``; ``keys`` is the one-row frame of the hash keys. A value with
    the form of a hash of its column's algorithm, in hexadecimal digits of any case or in base64, counts as the hash;
    what the column's rule makes of it counts as well, for an id may look like that. A value that the rule refuses
    counts for nothing.
    """
    pairs = [(place, column) for place, found in columns.keys.items() for column in found]
    own = Table(
        name=table.name,
        comment="",
        columns=tuple(_of_list(column, number, place) for number, (place, column) in enumerate(pairs)),
        partitions=(),
        max_shrink=0.0,
        hash_of_nothing=False,
    )
    fields = tuple(field_of(place) for place in columns.keys)
    sources = [_source(found, feed, field_of(place)) for place, found in columns.keys.items()]
    trimmed = {name: F.btrim(F.col(name), F.lit(BLANKS)) for name in fields}  # as deliveries are
    country = None
    if columns.country is not None:
        country = _COUNTRY_FIELD
        told = country_field(feed, table)
        known = feed.column(told) if told is not None and told in feed.fields else SourceColumn(country)
        sources.append(replace(known, field=country, aliases=()))
        trimmed[country] = F.btrim(F.col(field_of(columns.country)), F.lit(BLANKS))
    theirs = replace(feed, columns=tuple(sources), country_field=country)
    made = (
        frame.withColumns(trimmed)
        .transform(cleansed, theirs, own)
        .transform(with_values, theirs, own)
        .transform(table_columns, theirs, own, fields)
        .transform(pseudonymise, theirs, own, keys)
    )
    found = [
        F.struct(F.lit(column.name).alias(COLUMN), _digest(value).alias(DIGEST))
        for number, (place, column) in enumerate(pairs)
        for value in (F.col(f"{_KEY}{number}"), *_as_hash(F.col(field_of(place)), column))
    ]
    return made.select(F.filter(F.array(*found), lambda each: each[DIGEST].isNotNull()).alias(VALUES))


def _of_list(column: TableColumn, number: int, place: int) -> TableColumn:
    output = replace(column.hash, empty="null") if column.hash is not None else None
    return replace(column, name=f"{_KEY}{number}", field=field_of(place), default=None, hash=output)


def _source(columns: Sequence[TableColumn], feed: Feed, name: str) -> SourceColumn:
    """Return how a list writes a field: as the source does, but clear where the source delivers hashes."""
    field = next((column.field for column in columns if column.field in feed.fields), None)
    known = feed.column(field) if field is not None else SourceColumn(name)
    return replace(known, field=name, aliases=(), required=False, prehashed=None)


def _as_hash(value: Column, column: TableColumn) -> tuple[Column, ...]:
    if column.hash is None:
        return ()
    algorithm, encoding = column.hash.algorithm, column.hash.encoding
    return tuple(declared_hash(value, algorithm, form, encoding) for form in ("any-hex", "base64"))


def _digest(value: Column) -> Column:
    return F.unhex(F.sha2(value.cast("string").cast("binary"), 256))


def distinct_values(values: DataFrame) -> DataFrame:
    """Return each COLUMN and DIGEST of frames that ``listed_values`` has made, once."""
    return values.select(F.explode(VALUES).alias(VALUES)).select(f"{VALUES}.*").distinct()


def mark_listed(rows: DataFrame, listed: DataFrame, values: Mapping[str, Column]) -> DataFrame:
    """Add IS_LISTED to ``rows``: whether any of their ``values``, published ones by column, is among the ``listed``.

    ``listed`` comes from ``distinct_values``, so that no row is doubled.
    """
    frame = rows
    flags = []
    for number, (name, value) in enumerate(values.items()):
        key, flag = f"{_KEY}{number}", f"{_FLAG}{number}"
        theirs = listed.where(F.col(COLUMN) == F.lit(name)).select(F.col(DIGEST).alias(key), F.lit(True).alias(flag))
        frame = frame.withColumn(key, _digest(value)).join(theirs, key, "left").drop(key)
        flags.append(flag)
    is_listed = reduce(or_, (F.coalesce(F.col(flag), F.lit(False)) for flag in flags), F.lit(False))
    return frame.withColumn(IS_LISTED, is_listed).drop(*flags)


@dataclass(frozen=True)
class People:
    """Listed people, for one feed and its table: ``listed`` comes from ``distinct_values``, ``columns`` are compared.

    ``keys`` is the one-row frame of the hash keys, None where the table needs none.
    """

    listed: DataFrame
    columns: Sequence[TableColumn]
    feed: Feed
    table: Table
    keys: DataFrame | None


def mark_delivered(source: DataFrame, people: People, carried: Sequence[str]) -> DataFrame:
    """Return the ``carried`` columns of delivered rows and IS_LISTED; of the rest only the compared ones are made.

    ``source`` comes from ``mapping.cleansed``.
    """
    feed = people.feed
    compared = [column for column in people.columns if column.field in feed.fields]
    named = {column.name: f"{_FIELD}{number}" for number, column in enumerate(compared)}
    own = replace(people.table, columns=tuple(replace(each, name=named[each.name]) for each in compared), audit=())
    narrow = (
        source.transform(with_values, feed, own)
        .transform(table_columns, feed, own, carried)
        .transform(pseudonymise, feed, own, people.keys)
    )
    marked = mark_listed(narrow, people.listed, {name: F.col(made) for name, made in named.items()})
    return marked.select(*carried, IS_LISTED)


def find_listed_rows(source: DataFrame, people: People) -> DataFrame:
    """Return ``row_id`` and the ``reason`` suppressed of the delivered rows that are about listed people."""
    marked = mark_delivered(source, people, (ROW_ID,))
    return marked.where(IS_LISTED).select(ROW_ID, F.lit(SUPPRESSED).alias(REASON))


def published_values(columns: Sequence[TableColumn]) -> dict[str, Column]:
    """Return the values of a published table's columns, as ``mark_listed`` wants them."""
    return {column.name: F.col(column.name) for column in columns}
