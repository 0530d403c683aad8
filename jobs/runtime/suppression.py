"""Lists of people: files or tables that name them by hashed or clear values, read as data and never shown.

A reference is the URI of a CSV file with a header, of a Parquet file, of a folder of Parquet files, or the name of one
of our tables in the catalog. Nothing of a list gets into arguments, plans, logs or messages: not its values, and not
its header either, for the first line of a file without one is a person.
"""

from __future__ import annotations

import csv
import functools
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.runtime.catalog import Catalog
from jobs.runtime.errors import ArgumentError, StorageError
from jobs.runtime.hash_keys import key_frame, key_id
from jobs.runtime.objects import ObjectInfo
from jobs.runtime.progress import tell
from jobs.runtime.published_rows import read_table
from jobs.runtime.published_table import PublishedTable
from jobs.runtime.ranged import open_ranged
from jobs.runtime.storage import Storage, open_storage
from schemas.connector import Connector
from schemas.feed import Feed
from schemas.table import Column, Table
from transforms.frames.suppression import (
    VALUES,
    comparable_columns,
    distinct_values,
    field_of,
    list_columns,
    listed_values,
)

_HEADER_BYTES: Final = 1 << 20
_PARQUET: Final = b"PAR1"
_DELIMITERS: Final = ",;\t|"


@dataclass(frozen=True)
class PeopleList:
    """One list. ``reference`` is how it was called, ``fingerprint`` tells one state of it from another.

    ``headers`` are its column names, by the delimiter that they were read with ("" where there is none to guess).
    """

    reference: str
    fingerprint: str
    headers: Mapping[str, tuple[str, ...]]
    uri: str = ""
    table: PublishedTable | None = field(default=None, compare=False)

    def header(self, feed: Feed, table: Table) -> tuple[str, tuple[str, ...]]:
        """Return the delimiter with which most columns mean something for the table, and the column names by it."""
        return max(self.headers.items(), key=lambda each: len(list_columns(each[1], feed, table).keys))

    def read(self, spark: SparkSession, delimiter: str, names: Sequence[str]) -> DataFrame:
        """Return the list's rows, all columns as text, called by their places."""
        if self.table is not None:
            frame = read_table(spark, self.table)
        elif delimiter:
            schema = ", ".join(f"`{field_of(place)}` string" for place in range(len(names)))
            options = {"header": "true", "sep": delimiter, "escape": '"', "encoding": "UTF-8"}
            return spark.read.schema(schema).options(**options).csv(self.uri)
        else:
            frame = spark.read.parquet(self.uri)
        columns = [frame[f"`{name}`"].cast("string").alias(field_of(place)) for place, name in enumerate(names)]
        return frame.select(*columns)


def open_lists(references: str, catalog: Catalog) -> tuple[PeopleList, ...]:
    """Find the lists, whose ``references`` are parted by commas; nothing but their headers is read yet.

    Raises ArgumentError for one that is not there, or has no header.
    """
    return tuple(_open(each.strip(), catalog) for each in references.split(",") if each.strip())


def fingerprint_of(lists: Sequence[PeopleList]) -> str:
    """Return one text that tells this state of the lists from any other; empty without lists."""
    return ",".join(sorted(each.fingerprint for each in lists))


def _open(reference: str, catalog: Catalog) -> PeopleList:
    if "://" not in reference:
        table = catalog.get(reference)
        if table is None or not table.run_id:
            raise ArgumentError(
                f"list {reference}: there is no such table of ours in {catalog.describe()}; a file or folder is given "
                "by its URI, file:///… or s3://…"
            )
        names = tuple(column.name for column in (*table.columns, *table.partition_keys))
        return PeopleList(reference, f"table {table.name} of run {table.run_id}", {"": names}, table=table)
    folder, _, name = reference.rstrip("/").rpartition("/")
    try:
        storage = open_storage(f"{folder}/")
        item = storage.find(name) if not reference.endswith("/") else None
        if item is not None:
            return _open_file(reference, storage, item)
        items = [each for each in storage.list(f"{name}/") if each.size]
        if not items:
            raise ArgumentError(f"list {reference} is not there, or is empty")
        if any(not each.key.endswith(".parquet") for each in items):
            raise ArgumentError(f"list {reference}: a folder must hold Parquet files alone; name a CSV file itself")
        headers = {"": _parquet_header(reference, storage, items[0])}
    except StorageError as error:
        raise ArgumentError(f"list {reference} cannot be read: {error}") from None
    return PeopleList(reference, _fingerprint(items), headers, uri=reference)


def _open_file(reference: str, storage: Storage, item: ObjectInfo) -> PeopleList:
    start = b""
    for chunk in storage.chunks(item):
        start += chunk
        if len(start) >= _HEADER_BYTES:
            break
    headers = (
        {"": _parquet_header(reference, storage, item)}
        if start.startswith(_PARQUET)
        else _csv_headers(reference, start[:_HEADER_BYTES])
    )
    return PeopleList(reference, _fingerprint([item]), headers, uri=reference)


def _fingerprint(items: Sequence[ObjectInfo]) -> str:
    """Tell states of a list apart by sizes and times: from a digest of its content a short one could be guessed."""
    state = json.dumps(sorted((each.key, each.size, each.modified) for each in items))
    return hashlib.sha256(state.encode()).hexdigest()


def _csv_headers(reference: str, start: bytes) -> dict[str, tuple[str, ...]]:
    """Return the first line's cells by each delimiter that there may be."""
    line = start.removeprefix(b"\xef\xbb\xbf").partition(b"\n")[0].rstrip(b"\r")
    try:
        text = line.decode()
    except UnicodeDecodeError:
        text = ""
    if not text.strip() or "\0" in text:
        raise ArgumentError(f"list {reference}: is neither Parquet nor a CSV file in UTF-8 with a header")
    return {delimiter: tuple(next(csv.reader([text], delimiter=delimiter))) for delimiter in _DELIMITERS}


def _parquet_header(reference: str, storage: Storage, item: ObjectInfo) -> tuple[str, ...]:
    with open_ranged(functools.partial(storage.chunks, item), item.size) as file:
        try:
            return tuple(pq.read_schema(file).names)
        except (pa.ArrowInvalid, OSError):
            raise ArgumentError(f"list {reference}: is no whole Parquet file") from None


def check_lists(lists: Sequence[PeopleList], connector: Connector, tables: Mapping[str, Table]) -> None:
    """Raise ArgumentError where a list has no column that any of the tables (by their feeds) can be searched by."""
    for each in lists:
        pairs = [(feed, tables[feed.name]) for feed in connector.feeds]
        if not any(list_columns(each.header(feed, table)[1], feed, table).keys for feed, table in pairs):
            usable = {c.name: c.field for _, table in pairs for c in comparable_columns(table)}
            names = ", ".join(dict.fromkeys(name for pair in usable.items() for name in pair))
            raise ArgumentError(
                f"list {each.reference}: none of its columns is one that tells a person of connector {connector.name} "
                f"({names or 'it has none'}). Give it a header with these names"
            )


@dataclass(frozen=True)
class Listed:
    """Listed people, for one table: the digests that its rows are held against, and the columns that have some.

    ``people`` is how many rows of the lists name somebody, ``unusable`` how many have no value that could be used.
    """

    values: DataFrame
    columns: tuple[Column, ...]
    people: int
    unusable: int

    def release(self) -> None:
        """Let go of what was held in memory and on disk."""
        self.values.unpersist()


def _check_key(people: PeopleList, compared: Iterable[Column], keys: Mapping[str, bytes]) -> None:
    """Raise ArgumentError for a table whose hashes were made with another key: not one of them would match."""
    theirs = _fingerprints(people.table.parameters.get("hash_key_id", "")) if people.table is not None else set()
    used = {column.hash.key for column in compared if column.hash is not None and column.hash.keyed}
    ours = _fingerprints(key_id({name: keys[name] for name in sorted(used)}))
    if theirs and ours - theirs:
        raise ArgumentError(
            f"list {people.reference}: is hashed with another key than --hash-key, so nobody on it would be found. "
            "Give a list of clear values, or one that was hashed with this key; nothing was published or deleted"
        )


def _fingerprints(key_ids: str) -> set[str]:
    return {each.rpartition("=")[2] for each in key_ids.split(",")} - {""}


def listed_people(
    spark: SparkSession, lists: Sequence[PeopleList], feed: Feed, table: Table, keys: Mapping[str, bytes]
) -> Listed | None:
    """Read the lists as the table ``table`` that ``feed`` fills would publish their values.

    None where no list has a column that the table has. Raises ArgumentError for a list with such a column in which not
    one value can be used, with counts.
    """
    frames = []
    columns: dict[str, Column] = {}
    people = unusable = 0
    for each in lists:
        delimiter, header = each.header(feed, table)
        meaning = list_columns(header, feed, table)
        for name in meaning.passed_over:
            tell(f"  list {each.reference}: column {name} is passed over, for it does not tell one person")
        if not meaning.keys:
            tell(f"  list {each.reference}: has no column that table {table.name} can be searched by")
            continue
        _check_key(each, meaning.compared, keys)
        frame = each.read(spark, delimiter, header)
        values = listed_values(frame, meaning, feed, table, key_frame(spark, keys)).persist()
        frames.append(values)
        columns |= {column.name: column for column in meaning.compared}
        counted = values.agg(F.count(F.lit(1)).alias("rows"), F.count_if(F.size(VALUES) > F.lit(0)).alias("usable"))
        ((rows, usable),) = counted.collect()  # one row of counts
        if not rows:
            raise ArgumentError(
                f"list {each.reference}: it names nobody. Nothing was published or deleted: were its rows lost, "
                "everybody on it would be let in again. Leave it out as long as nobody is on it"
            )
        if not usable:
            names = ", ".join(column.name for column in meaning.compared)
            raise ArgumentError(
                f"list {each.reference}: of its {rows:,} rows none has a value for {names} that could be used: each is "
                "empty or normalises to nothing. Nothing was published or deleted. Look at the list's header and "
                "delimiter; national phone numbers need a country column"
            )
        people += usable
        unusable += rows - usable
    if not frames:
        return None
    found = distinct_values(functools.reduce(DataFrame.unionByName, frames)).persist()
    found.count()  # made once, here; what the joins see of it from now on is its true size
    for values in frames:
        values.unpersist()
    if unusable:
        tell(f"  lists: {unusable:,} of {people + unusable:,} rows have no value that table {table.name} could have")
    return Listed(found, tuple(columns.values()), people, unusable)
