"""Avro and Parquet files, as they are and put together from parts that fit."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq

from tests.fuzz.target import CANARY, Target, chunk_size, pieces, require
from tests.fuzz.texts import read
from transforms.streams.avro_records import AvroRecords
from transforms.streams.parquet_records import ParquetRecords
from transforms.streams.records import SourceNames

#: Arrow believes what the header of a Parquet page says of its size, which is 2 GiB at most; MiB.
MEMORY_OF_ARROW: Final = 5 << 10

_SYNC: Final = bytes(range(16))
_SCHEMA_KEY: Final = b"avro.schema"
_SOME_BYTES: Final = b"\x02\x04" + bytes(8)


def names(choice: int) -> SourceNames:
    """Return what to look for; one bit chooses whether further columns are wanted."""
    fields = {"id": ("id",), "email": ("email", "person.email"), "city": ("city", "homes[0].city")}
    return SourceNames(fields, extras=bool(choice & 1))


def avro_file(schema: bytes, body: bytes, count: int = 1) -> bytes:
    """Put an Avro file of one block together (Avro specification, "Object Container Files")."""
    header = [b"Obj\x01", _long(1), _long(len(_SCHEMA_KEY)), _SCHEMA_KEY, _long(len(schema)), schema, _long(0), _SYNC]
    return b"".join([*header, _long(count), _long(len(body)), body, _SYNC])


def _long(value: int) -> bytes:
    rest = value << 1
    written = bytearray()
    while rest > 0x7F:
        written.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([*written, rest])


def run_avro(data: bytes) -> None:
    """The first byte chooses the size of chunks and whether further columns are wanted."""
    if data:
        size = chunk_size(data[0] >> 1)
        read(lambda: AvroRecords(pieces(data[1:], size), names(data[0])))


def run_avro_parts(data: bytes) -> None:
    """A schema and, behind a NUL, records, in a container that is in order."""
    if len(data) > 2:
        schema, _, body = data[2:].partition(b"\0")
        file = avro_file(schema, body, data[1])
        read(lambda: AvroRecords(iter([file]), names(data[0])))


def run_parquet(data: bytes) -> None:
    """The first byte chooses whether further columns are wanted."""
    if data:
        found = read(lambda: ParquetRecords(io.BytesIO(data[1:]), names(data[0])))
        require("a Parquet file has rows, or a reason", holds=bool(found))


_RECORDS: Final = [
    {"id": 1, "email": f"{CANARY}@example.com", "homes": [{"city": "X"}, {"city": None}], "more": {"a": 1.5}},
    {"id": 2, "email": None, "homes": [], "more": {"b": -0.0}},
]
_SCHEMA: Final[dict[str, Any]] = {
    "type": "record",
    "name": "person",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "email", "type": ["null", "string"]},
        {
            "name": "homes",
            "type": {
                "type": "array",
                "items": {"type": "record", "name": "home", "fields": [{"name": "city", "type": ["null", "string"]}]},
            },
        },
        {"name": "more", "type": {"type": "map", "values": "double"}},
    ],
}
_FIELD_TYPES: Final[tuple[Any, ...]] = (
    "bytes",
    "boolean",
    "float",
    {"type": "enum", "name": "e", "symbols": ["A", "B"]},
    {"type": "fixed", "name": "f", "size": 2},
    {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
    {"type": "int", "logicalType": "date"},
    {"type": "long", "logicalType": "timestamp-micros"},
    {"type": "long", "logicalType": "time-micros"},
    {"type": "string", "logicalType": "uuid"},
    {"type": "array", "items": ["null", "int"]},
    ["null", {"type": "record", "name": "inner", "fields": [{"name": "x", "type": "int"}]}],
)


def one_field(kind: Any) -> bytes:
    """Return the schema of a record with one field, in JSON."""
    return json.dumps({"type": "record", "name": "r", "fields": [{"name": "email", "type": kind}]}).encode()


def _avro_seeds() -> Iterable[bytes]:
    for codec in ("null", "deflate"):
        target = io.BytesIO()
        fastavro.writer(target, _SCHEMA, _RECORDS, codec=codec, sync_marker=_SYNC)
        yield from (bytes([first]) + target.getvalue() for first in (0, 9, 22))


def _parquet_seeds() -> Iterable[bytes]:
    table = pa.table(
        {
            "id": pa.array([1, 2]),
            "email": pa.array([f"{CANARY}@example.com", None]).dictionary_encode(),
            "homes": pa.array([[{"city": "X"}], []]),
            "when": pa.array([0, 1], pa.timestamp("us", "UTC")),
            "price": pa.array([1, 2], pa.int64()).cast(pa.decimal128(21, 2)),
            "more": pa.array([[("a", 1.5)], []], pa.map_(pa.string(), pa.float64())),
        }
    )
    for options in ({"compression": "none"}, {"compression": "snappy", "store_schema": False}, {"version": "1.0"}):
        target = io.BytesIO()
        pq.write_table(table.select(["id", "email"]) if options.get("version") else table, target, **options)
        yield from (first + target.getvalue() for first in (b"\x00", b"\x01"))


def _avro_part_seeds() -> Sequence[bytes]:
    return [b"\x01\x01" + one_field(kind) + b"\0" + _SOME_BYTES for kind in _FIELD_TYPES]


TARGETS: Final = (
    Target("avro", run_avro, lambda: list(_avro_seeds())),
    Target("avro-parts", run_avro_parts, _avro_part_seeds),
    Target("parquet", run_parquet, lambda: list(_parquet_seeds()), MEMORY_OF_ARROW),
)
