"""What fuzzing has found, each as the smallest input that shows it, with what becomes of it now."""

from __future__ import annotations

import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pysequoia import ArmorKind, armor

from schemas.connector import parse_connector
from schemas.file_format import Format
from schemas.problems import SchemaError
from schemas.table import parse_table
from tests.fuzz import whole_files
from tests.fuzz.binary_records import avro_file, one_field
from tests.fuzz.texts import read
from transforms.streams.avro_records import AvroRecords
from transforms.streams.bad_file import BadFile
from transforms.streams.delimited import DelimitedRecords
from transforms.streams.parquet_records import ParquetRecords
from transforms.streams.records import SourceNames
from transforms.streams.sniff import sniff

_NAMES = SourceNames({"email": ("email",)}, extras=True)


@pytest.mark.parametrize("size", [1, 2, 5, 100])
@pytest.mark.parametrize(
    "rows", [b"1,2\n\x1a,,\n3,4\n", b'1,2\n\x1a,,\n3,"never closed\n4,5\n', b"\x1a,,", b'1,"\n\x1a,,\n"\n']
)
def test_a_row_like_the_mark_of_the_end_is_not_lost(rows: bytes, size: int) -> None:
    data = b"email,b\n" + rows
    chunks = [data[at : at + size] for at in range(0, len(data), size)]
    assert read(lambda: DelimitedRecords(iter(chunks), Format(), _NAMES)) == "not_delimited_text"


@pytest.mark.parametrize("rows", [b"1,\x1a\n", b"\x1a,2\n", b"1,2\n\x1a\n", b"\x1a,\n", b'1,"\x1a, ,"\n'])
def test_the_character_of_the_mark_is_text_elsewhere(rows: bytes) -> None:
    found = read(lambda: DelimitedRecords(iter([b"email,b\n" + rows]), Format(), _NAMES))
    assert not isinstance(found, str)


def _record(fields: list[Any], name: str = "r", **more: Any) -> bytes:
    named = [{"name": f"f{number}", "type": kind} for number, kind in enumerate(fields)]
    return json.dumps({"type": "record", "name": name, "fields": named, **more}).encode()


def _nested(depth: int) -> Any:
    return {"type": "array", "items": _nested(depth - 1)} if depth else "int"


def _laughs(count: int) -> list[Any]:
    """Records of two records of two records …, all of them of no bytes."""
    inner: Any = {"type": "record", "name": "r0", "fields": []}
    for number in range(1, count):
        fields = [{"name": "a", "type": inner}, {"name": "b", "type": f"r{number - 1}"}]
        inner = {"type": "record", "name": f"r{number}", "fields": fields}
    return [inner]


@pytest.mark.parametrize(
    ("schema", "body"),
    [
        (_record(["r"]), b""),  # without end, and a segmentation fault
        (_record([["null", "r"]]), b"\x02" * 60_000),
        (_record([{"type": "array", "items": "x.r"}], namespace="x"), b"\x02" * 60_000),
        (
            _record(
                [{"type": "map", "values": {"type": "record", "name": "s", "fields": [{"name": "a", "type": "r"}]}}]
            ),
            b"",
        ),
        (one_field({"type": "array", "items": "null"}), b"\xfe\xff\xff\xff\xff\xff\x7f\0"),  # 2 ** 48 nulls in 8 bytes
        (one_field({"type": "array", "items": {"type": "fixed", "name": "f", "size": 0}}), b"\xfe\xff\xff\xff\x0f\0"),
        (
            one_field({"type": "array", "items": {"type": "record", "name": "e", "fields": []}}),
            b"\xfe\xff\xff\xff\x0f\0",
        ),
        (_record(_laughs(40)), b"\0"),
        (one_field(_nested(70)), b"\x02" * 1000),
        (b'{"type":' * 5000, b""),
        (_record(["x"], __fastavro_parsed=True, __named_schemas={"x": {"type": "record", "name": "x"}}), b"\0"),
        (
            one_field({"type": "bytes", "logicalType": "decimal", "precision": 10**6, "scale": 999_999}),
            b"\x02\x01" * 99,
        ),
        (one_field("not_defined"), b"\0"),
    ],
)
def test_avro_without_bounds_is_refused(schema: bytes, body: bytes) -> None:
    assert read(lambda: AvroRecords(iter([avro_file(schema, body)]), _NAMES)) == "damaged_file"


@pytest.mark.parametrize(
    ("kinds", "body", "row"),
    [
        ([{"type": "record", "name": "a", "fields": []}, "a"], b"\0", {}),
        (
            [{"type": "fixed", "name": "x.f", "size": 1}, {"type": "array", "items": "x.f"}],
            b"a\x02b\0",
            {"f0": "a", "f1": '["b"]'},
        ),
        ([{"type": "array", "items": ["null", "int"]}], b"\x02\0\0", {}),
        (
            [{"type": "bytes", "logicalType": "decimal", "precision": 76, "scale": 38}],
            b"\x02\x01",
            {"f0": f"0.{1:038}"},
        ),
        ([_nested(20)], b"\x02" * 20 + b"\x0a" + b"\0" * 20, {"f0": f"{'[' * 20}5{']' * 20}"}),
    ],
)
def test_avro_that_has_bounds_is_read(kinds: list[Any], body: bytes, row: dict[str, str]) -> None:
    found = read(lambda: AvroRecords(iter([avro_file(_record(kinds), body)]), _NAMES))
    assert not isinstance(found, str)
    assert {name: value for name, value in found[0][1].items() if value not in (None, "[null]")} == row


def _parquet(column: pa.Array) -> Any:
    target = io.BytesIO()
    pq.write_table(pa.table({"email": column}), target)
    return read(lambda: ParquetRecords(target, _NAMES))


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        # Arrow writes "<value out of range: …>", which would have been published.
        (-(2**62), pa.timestamp("us")),
        (2**62, pa.timestamp("us", "UTC")),
        (2**31 - 1, pa.date32()),
        (86_400_000 * 10**8, pa.date64()),
        (2**40, pa.time64("us")),
        (-1, pa.time32("ms")),
        # Errors of unknown kinds, which ended the task.
        ([2**31 - 1], pa.list_(pa.date32())),
        ([2**62], pa.list_(pa.timestamp("us"))),
        ([("a", 2**62)], pa.map_(pa.string(), pa.timestamp("us"))),
        ([5], pa.list_(pa.timestamp("us", "Nowhere/Atall"))),
    ],
)
def test_a_time_that_is_none_is_damage(value: Any, kind: pa.DataType) -> None:
    assert _parquet(pa.array([value], kind)) == "damaged_file"


def test_an_index_outside_of_its_dictionary_is_damage() -> None:
    indexes = pa.array([0, 3], pa.int32())
    assert _parquet(pa.DictionaryArray.from_arrays(indexes, pa.array(["abc"]), safe=False)) == "damaged_file"


_SCALARS = st.sampled_from(
    [
        *(pa.int8(), pa.uint64(), pa.float16(), pa.float64(), pa.bool_(), pa.null(), pa.duration("us")),
        *(pa.string(), pa.large_string(), pa.binary(), pa.binary(3), pa.decimal128(38, 9), pa.decimal256(76, 0)),
        *(pa.date32(), pa.date64(), pa.time32("s"), pa.time64("ns"), pa.timestamp("s"), pa.timestamp("ns", "UTC")),
        pa.timestamp("us", "Nowhere/Atall"),
    ]
)
_TYPES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        inner.map(pa.list_),
        st.lists(inner, min_size=1, max_size=2).map(
            lambda kinds: pa.struct([(f"m{n}", k) for n, k in enumerate(kinds)])
        ),
        inner.map(lambda kind: pa.map_(pa.string(), kind)),
    ),
    max_leaves=3,
)


def _bits(kind: pa.DataType, data: st.DataObject, count: int) -> pa.Array:
    """Make a column of a type of whatever bits."""
    if pa.types.is_struct(kind):
        return pa.StructArray.from_arrays([_bits(field.type, data, count) for field in kind], fields=list(kind))
    if pa.types.is_list(kind):
        return pa.ListArray.from_arrays(
            pa.array([0, *[count] * count], pa.int32()), _bits(kind.value_type, data, count)
        )
    if pa.types.is_map(kind):
        keys = pa.array([f"k{number}" for number in range(count)])
        return pa.MapArray.from_arrays([0, *[count] * count], keys, _bits(kind.item_type, data, count))
    if pa.types.is_null(kind):
        return pa.nulls(count)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or kind == pa.binary():
        return pa.array(data.draw(st.lists(st.text(max_size=5), min_size=count, max_size=count))).cast(kind)
    width = max(1, kind.bit_width // 8)
    raw = data.draw(st.binary(min_size=width * count, max_size=width * count))
    return pa.Array.from_buffers(kind, count, [None, pa.py_buffer(raw)])


@settings(deadline=None, max_examples=150)
@given(_TYPES, st.data())
def test_parquet_of_any_type_and_bits_is_read_or_damaged(kind: pa.DataType, data: st.DataObject) -> None:
    found = _parquet(_bits(kind, data, 2))
    assert found in ("damaged_file", "undecodable_text") or list(found[0]) == [1, 2]
    assert "out of range" not in str(found)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('name = "people"', f"x = {'[' * 5000}", "nested too deeply"),
        ('name = "people"', f"x = {'9' * 5000}", "digits"),
        ("[delivery]", "[delivery]\nsnapshot = 'a{99999999999}(?P<snapshot>b)'", "no regular expression"),
        ("[delivery]", f"[delivery]\nsnapshot = '{'(' * 3000}(?P<snapshot>b){')' * 3000}'", "no regular expression"),
        ("[format]", f"[rejects]\nmax_share = 1{'0' * 400}\n[format]", "must be between 0 and 1"),
        ('"person.email"', '"a]"', "closes a bracket that is not open"),
        ('"person.email"', f'"{"a" * 300}"', "at most 256 characters"),
        (r"escape = '\'", r'quote = "\u0000"', "no NUL"),
    ],
)
def test_a_connector_file_has_a_problem_and_no_crash(old: str, new: str, problem: str) -> None:
    text = whole_files._CONNECTOR.replace(old, new, 1)
    with pytest.raises(SchemaError, match=problem) as caught:
        parse_connector(text, "fuzz.toml", {"people": parse_table(whole_files._TABLE, "people")})
    assert str(caught.value).startswith("fuzz.toml: ")


_LITERAL = b"\xcb\x0ab\x00\x00\x00\x00\x00EVIL"
_MARKER = b"\xca\x03PGP"


@pytest.mark.parametrize(
    "packets",
    [
        _MARKER + _LITERAL,
        _MARKER * 3 + _LITERAL,
        b"\xa8\x03PGP" + _LITERAL,
        b"\xca\xff\x00\x00\x00\x03PGP" + _LITERAL,
        _MARKER,
        _MARKER + b"\xc8\x05\x00" + b"abcd",
        armor(_LITERAL, ArmorKind.Message).encode(),
        armor(_LITERAL, ArmorKind.Message).encode().replace(b"\n\n", b"\r\nVersion: 1\r\n \r\n", 1),
        armor(_MARKER + _LITERAL, ArmorKind.Message).encode(),
        b"-----BEGIN PGP MESSAGE-----\n",
    ],
)
def test_an_openpgp_message_in_clear_is_not_taken_for_a_decrypted_one(packets: bytes) -> None:
    with pytest.raises(BadFile, match="not encrypted"):
        sniff(packets)
