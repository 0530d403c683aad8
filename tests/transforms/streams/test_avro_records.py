from __future__ import annotations

import datetime as dt
import io
import json
import zlib
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from uuid import UUID

import fastavro
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transforms.streams.pieces import CHUNK_SIZES, PROPERTY, pieces
from transforms.streams import avro_records
from transforms.streams.avro_records import AvroRecords
from transforms.streams.bad_file import BadFile
from transforms.streams.records import UNREADABLE, Binding, SourceNames
from transforms.streams.sniff import SNIFF_SIZE, sniff

_A = SourceNames({"a": ("a",)})
_SYNC = b"0123456789abcdef"


def _record(**fields: Any) -> dict[str, Any]:
    return {"type": "record", "name": "r", "fields": [{"name": name, "type": kind} for name, kind in fields.items()]}


def _file(schema: Any, records: list[Any], codec: str = "null", interval: int = 16000) -> bytes:
    file = io.BytesIO()
    fastavro.writer(file, schema, records, codec, interval, sync_marker=_SYNC)
    return file.getvalue()


def _recoded(data: bytes, codec: str) -> bytes:
    """Pack the only block of a file with another codec, which fastavro cannot write here."""
    at = data.index(_SYNC) + len(_SYNC)
    file = io.BufferedReader(io.BytesIO(data[at:]))
    count, block = avro_records._read_long(file), avro_records._read_sized(file)
    packed = pa.compress(block, codec=codec if codec != "zstandard" else "zstd", asbytes=True)
    if codec == "snappy":
        packed += zlib.crc32(block).to_bytes(4, "big")
    head = data[:at].replace(b"\x08null", bytes([len(codec) << 1]) + codec.encode())
    return head + avro_records._long(count) + avro_records._sized(packed) + _SYNC


def _read(data: bytes, names: SourceNames = _A, size: int = 1 << 16) -> list[dict[str, str | None]]:
    batches = list(AvroRecords(pieces(data, size), names).batches())
    rows = [row for batch in batches for row in batch.rows.to_pylist()]
    assert [number for batch in batches for number in batch.numbers.to_pylist()] == list(range(1, len(rows) + 1))
    return rows


def _refusal(data: bytes, names: SourceNames = _A) -> BadFile:
    with pytest.raises(BadFile) as caught:
        _read(data, names)
    return caught.value


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("string", "é 😀", "é 😀"),
        ("string", "01234", "01234"),
        (["null", "string"], None, None),
        ("int", -5, "-5"),
        ("long", 2**63 - 1, "9223372036854775807"),
        ("double", 0.1, "0.1"),
        ("double", 12345.0, "12345"),
        ("boolean", True, "true"),
        ("bytes", "é".encode(), "é"),
        ({"type": "fixed", "name": "f", "size": 2}, b"ab", "ab"),
        ({"type": "enum", "name": "e", "symbols": ["X", "Y"]}, "Y", "Y"),
        ({"type": "int", "logicalType": "date"}, dt.date(2024, 1, 31), "2024-01-31"),
        (
            {"type": "long", "logicalType": "timestamp-millis"},
            dt.datetime(2024, 1, 31, 12, 0, 0, 120_000, dt.UTC),
            "2024-01-31T12:00:00.120000Z",
        ),
        (
            {"type": "long", "logicalType": "timestamp-micros"},
            dt.datetime(2024, 1, 31, 12, tzinfo=dt.UTC),
            "2024-01-31T12:00:00Z",
        ),
        (
            {"type": "long", "logicalType": "local-timestamp-micros"},
            dt.datetime(2024, 1, 31, 12),  # noqa: DTZ001  it is what has no zone
            "2024-01-31T12:00:00",
        ),
        ({"type": "long", "logicalType": "time-micros"}, dt.time(1, 2, 3), "01:02:03"),
        ({"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}, Decimal("1.10"), "1.10"),
        ({"type": "string", "logicalType": "uuid"}, UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ({"type": "array", "items": ["null", "long"]}, [1, None], "[1,null]"),
        ({"type": "map", "values": "string"}, {"k": "é"}, '{"k":"é"}'),
        (_record(x="long") | {"name": "inner"}, {"x": 1}, '{"x":1}'),
    ],
)
def test_every_type_becomes_text(kind: Any, value: Any, expected: str | None) -> None:
    assert _read(_file(_record(a=kind), [{"a": value}] * 2)) == [{"a": expected}] * 2


@pytest.mark.parametrize("codec", ["null", "deflate", "snappy", "zstandard"])
@pytest.mark.parametrize("size", [1, 7, 1 << 16])
def test_every_codec_is_read(codec: str, size: int) -> None:
    schema = _record(a="string", b="long")
    records = [{"a": f"text {number}", "b": number} for number in range(100)]
    data = _file(schema, records, codec) if codec in {"null", "deflate"} else _recoded(_file(schema, records), codec)
    names = SourceNames({"n": ("B",), "a": ("a",)})
    assert _read(data, names, size) == [{"n": str(record["b"]), "a": record["a"]} for record in records]


def test_names_are_found_in_nested_records() -> None:
    param = _record(key="string", value=_record(s=["null", "string"], i=["null", "long"]) | {"name": "v"})
    schema = _record(p={"type": "array", "items": param | {"name": "p"}}, person=_record(name="string") | {"name": "q"})
    value = {"p": [{"key": "x", "value": {"s": None, "i": 5}}], "person": {"name": "Zoë"}}
    names = SourceNames({"x": ("p[key=x].value.*",), "n": ("person.name",), "z": ("zip",)})
    records = AvroRecords(iter([_file(schema, [value])]), names)
    (batch,) = records.batches()
    assert batch.rows.to_pylist() == [{"x": "5", "n": "Zoë", "z": None}]
    assert records.binding == Binding({"p[key=x].value.*": "x", "person.name": "n"}, absent=("z",))


def test_what_is_no_record_is_refused() -> None:
    (batch,) = AvroRecords(iter([_file(["string", _record(a="string")], [{"a": "x"}, "y", {"a": "z"}])]), _A).batches()
    assert batch.rows.to_pylist() == [{"a": "x"}, {"a": "z"}]
    assert batch.numbers.to_pylist() == [1, 3]
    assert [(row.number, row.reason, row.detail) for row in batch.refused] == [(2, UNREADABLE, "not a record")]


def test_a_required_field_that_is_never_met_is_told() -> None:
    data = _file(_record(b="string"), [{"b": "x"}])
    assert _refusal(data, SourceNames({"a": ("a",)}, required=("a",))).reason == "missing_column"
    assert _read(_file(_record(b="string"), []), SourceNames({"a": ("a",)}, required=("a",))) == []


def test_bytes_that_are_not_text_are_refused_where_they_are_asked_for() -> None:
    data = _file(_record(a="bytes", b="string"), [{"a": b"\xff", "b": "x"}])
    assert _refusal(data).reason == "undecodable_text"
    assert _read(data, SourceNames({"b": ("b",)})) == [{"b": "x"}]


@PROPERTY
@given(
    st.lists(st.fixed_dictionaries({"a": st.none() | st.text(st.characters(exclude_categories=["Cs"]))}), max_size=40),
    st.sampled_from(["null", "deflate"]),
    st.sampled_from([1, 10, 16000]),
    CHUNK_SIZES,
)
def test_what_fastavro_writes_comes_back(records: list[dict[str, Any]], codec: str, interval: int, size: int) -> None:
    assert _read(_file(_record(a=["null", "string"]), records, codec, interval), size=size) == records


_WHOLE = _file(_record(a="string"), [{"a": f"secret {number}"} for number in range(20)])


@pytest.mark.parametrize("size", range(len(_WHOLE)))
def test_a_cut_file_is_damaged(size: int) -> None:
    if size == _WHOLE.index(_SYNC) + len(_SYNC):  # nothing tells that a block should follow
        assert _read(_WHOLE[:size]) == []
        return
    error = _refusal(_WHOLE[:size])
    assert error.reason == "damaged_file"
    assert "secret" not in str(error)
    assert error.__cause__ is None


@PROPERTY
@given(st.integers(0, len(_WHOLE) - 1), st.integers(0, 7))
def test_a_changed_bit_is_never_another_error(at: int, bit: int) -> None:
    changed = bytearray(_WHOLE)
    changed[at] ^= 1 << bit
    try:
        list(AvroRecords(iter([bytes(changed)]), _A).batches())
    except BadFile as error:
        assert error.reason in {"damaged_file", "undecodable_text"}  # noqa: PT017  it may also not matter


def _made(codec: str, *blocks: tuple[int, bytes]) -> bytes:
    """A file of blocks as they are."""
    meta = {"avro.codec": codec.encode(), "avro.schema": json.dumps(_record(a="string")).encode()}
    entries = b"".join(avro_records._sized(key.encode()) + avro_records._sized(value) for key, value in meta.items())
    head = b"Obj\x01" + avro_records._long(len(meta)) + entries + avro_records._long(0) + _SYNC
    return head + b"".join(avro_records._long(count) + avro_records._sized(block) + _SYNC for count, block in blocks)


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        (_made("lzma", (1, b"x")), "its codec is none of"),
        (_made("deflate", (1, b"\xff" * 9)), "a block cannot be unpacked"),
        (_made("snappy", (1, b"\x05xxxxxxxxxx")), "a block cannot be unpacked"),
        (_made("snappy", (1, pa.compress(b"\x02x", codec="snappy", asbytes=True) + b"0000")), "the checksum"),
        (_made("snappy", (1, b"\xff\xff\xff\xff\x0f0000")), "a block is larger than 16 MiB"),
        (_made("zstandard", (1, b"x" * 9)), "a block cannot be unpacked"),
        (_made("deflate", (1, zlib.compress(bytes(20 << 20), wbits=-15))), "a block is larger than 16 MiB"),
        (_made("null", (2, b"\x00")), "more records than bytes"),
        (_made("null", (1, b"\x02x")) + b"\x02\x04\x02x" + b"?" * 16, "does not end where it should"),
        (_made("null") + b"\xff" * 12, "more than 64 bits"),
        (_made("null") + b"\x02" + b"\xfe" * 5 + b"\x01", "a part is larger than 16 MiB"),
        (_made("null", (1, b"\x02")), "cannot be decoded"),
        (b"Obj\x01\x00" + _SYNC, "cannot be decoded"),
        (b"PAR1", "does not start as"),
    ],
)
def test_damage_is_told(data: bytes, detail: str) -> None:
    error = _refusal(data)
    assert error.reason == "damaged_file"
    assert detail in error.detail


@pytest.mark.parametrize("error", [OSError("said by the source"), BadFile("not_authentic", "said by the source")])
@pytest.mark.parametrize("at", [0, 2, 100, len(_WHOLE)])
def test_what_goes_wrong_in_the_source_is_passed_on(error: Exception, at: int) -> None:
    def source() -> Iterator[bytes]:
        yield from pieces(_WHOLE[:at], 10)
        raise error

    with pytest.raises(type(error), match="said by the source"):
        list(AvroRecords(source(), _A).batches())


def test_an_avro_file_is_told_by_its_start() -> None:
    assert sniff(_WHOLE[:SNIFF_SIZE]) == "avro"
    assert sniff(b"Obj") == "text"
    assert sniff(b"Obj,a\n") == "text"
