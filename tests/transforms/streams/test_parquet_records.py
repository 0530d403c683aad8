from __future__ import annotations

import datetime as dt
import io
import random
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transforms.streams.pieces import PROPERTY
from transforms.streams import parquet_records
from transforms.streams.bad_file import BadFile
from transforms.streams.parquet_records import ParquetRecords
from transforms.streams.records import Binding, SourceNames

_A = SourceNames({"a": ("a",)})


def _file(table: pa.Table, **options: Any) -> io.BytesIO:
    file = io.BytesIO()
    pq.write_table(table, file, **options)
    file.seek(0)
    return file


def _read(table: pa.Table, names: SourceNames = _A, **options: Any) -> list[dict[str, str | None]]:
    batches = list(ParquetRecords(_file(table, **options), names).batches())
    numbers = [number for batch in batches for number in batch.numbers.to_pylist()]
    assert numbers == list(range(1, table.num_rows + 1))
    for batch in batches:
        assert batch.rows.schema.names[: len(names.fields)] == list(names.fields)
        assert all(kind == pa.string() for kind in batch.rows.schema.types)
        batch.rows.validate(full=True)
    return [row for batch in batches for row in batch.rows.to_pylist()]


def _refusal(file: Any, names: SourceNames = _A) -> BadFile:
    with pytest.raises(BadFile) as caught:
        list(ParquetRecords(file, names).batches())
    return caught.value


_NOON = dt.datetime(2024, 1, 31, 12, 0, 0, 120_000, dt.UTC)


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (["é", "", "01234", "2024-01-31"], pa.string(), ["é", "", "01234", "2024-01-31"]),
        (["é", "x"], pa.large_string(), ["é", "x"]),
        (["é", "x", "é"], pa.dictionary(pa.int32(), pa.string()), ["é", "x", "é"]),
        (["é".encode(), b""], pa.binary(), ["é", ""]),
        ([b"ab"], pa.binary(2), ["ab"]),
        ([1, -1, 2**63 - 1], pa.int64(), ["1", "-1", "9223372036854775807"]),
        ([2**64 - 1], pa.uint64(), ["18446744073709551615"]),
        ([1.5, 0.1, 12345.0], pa.float64(), ["1.5", "0.1", "12345"]),
        ([0.1], pa.float32(), ["0.1"]),
        ([Decimal("1.10"), Decimal("-0.01")], pa.decimal128(9, 2), ["1.10", "-0.01"]),
        ([Decimal("0.000000001"), None], pa.decimal128(38, 9), ["0.000000001", None]),
        ([True, False], pa.bool_(), ["true", "false"]),
        ([dt.date(1970, 1, 1), dt.date(1899, 12, 31)], pa.date32(), ["1970-01-01", "1899-12-31"]),
        ([dt.time(1, 2, 3), dt.time(1, 2, 3, 4)], pa.time64("us"), ["01:02:03", "01:02:03.000004"]),
        ([dt.time(1, 2, 3, 4000)], pa.time32("ms"), ["01:02:03.004000"]),
        ([_NOON], pa.timestamp("us", "UTC"), ["2024-01-31T12:00:00.120000Z"]),
        ([_NOON], pa.timestamp("ms", "UTC"), ["2024-01-31T12:00:00.120000Z"]),
        ([_NOON], pa.timestamp("ns", "Asia/Tokyo"), ["2024-01-31T12:00:00.120000Z"]),
        ([_NOON.replace(tzinfo=None, microsecond=0)], pa.timestamp("us"), ["2024-01-31T12:00:00"]),
        ([-1], pa.timestamp("ns"), ["1969-12-31T23:59:59.999999"]),
        ([1, {}, None], pa.null(), None),
        ([[1, None], [], None], pa.list_(pa.int64()), ["[1,null]", "[]", None]),
        ([{"x": 1, "y": ["é"]}], pa.struct({"x": pa.int64(), "y": pa.list_(pa.string())}), ['{"x":1,"y":["é"]}']),
        ([[("k", 1)], []], pa.map_(pa.string(), pa.int64()), ['[{"key":"k","value":1}]', "[]"]),
        ([[_NOON]], pa.list_(pa.timestamp("us", "UTC")), ['["2024-01-31T12:00:00.120000Z"]']),
        ([[Decimal("1.10")]], pa.list_(pa.decimal128(9, 2)), ["[1.10]"]),
        ([b"\0" * 15 + b"\1"], pa.uuid(), ["00000000-0000-0000-0000-000000000001"]),
    ],
)
def test_every_type_becomes_text(values: list[Any], kind: pa.DataType, expected: list[str | None] | None) -> None:
    if expected is None:
        values, expected = [None, None], [None, None]
    column = pa.array([*values, None], kind)
    assert [row["a"] for row in _read(pa.table({"a": column}))] == [*expected, None]
    assert [row["a"] for row in _read(pa.table({"a": column}), store_schema=False)][-1] is None


def test_old_time_stamps_of_96_bits_are_read() -> None:
    table = pa.table({"a": pa.array([_NOON], pa.timestamp("us"))})
    assert _read(table, use_deprecated_int96_timestamps=True) == [{"a": "2024-01-31T12:00:00.120000"}]


_PERSON = pa.struct({"name": pa.struct({"First Name": pa.string(), "last": pa.string()}), "age": pa.int8()})
_PEOPLE = [{"name": {"First Name": "Zoë", "last": "x"}, "age": 7}, {"name": None, "age": 8}, None]
_EVENTS = [
    [{"key": "page", "value": {"string_value": "/x", "int_value": None}}, {"key": "id", "value": {"int_value": 5}}],
    [],
    None,
]
_EVENT = pa.struct({"key": pa.string(), "value": pa.struct({"string_value": pa.string(), "int_value": pa.int64()})})


def _nested() -> pa.Table:
    return pa.table(
        {
            "Person": pa.array(_PEOPLE, _PERSON),
            "event_params": pa.array(_EVENTS, pa.list_(_EVENT)),
            "attributes": pa.array([[("x", "1"), ("y", "2")], [], None], pa.map_(pa.string(), pa.string())),
            "person_email": ["e", None, "f"],
            "more": pa.array(
                [{"m": [("k", [("q", 1)])]}] * 3, pa.struct({"m": pa.map_(pa.string(), pa.map_("str", "i4"))})
            ),
        }
    )


def test_names_are_found_in_nested_columns() -> None:
    names = {
        "first": ("person.name.firstName",),
        "age": ("person_age",),
        "email": ("person.email",),
        "page": ("event_params[key=page].value.*",),
        "id": ("event_params[key=id].value.*", "person_id"),
        "x": ("attributes[key=x].value",),
        "deep": ("more.m[key=k].value[key=q].value",),
        "gone": ("zip",),
    }
    records = ParquetRecords(_file(_nested()), SourceNames(names))
    assert records.binding == Binding(
        columns={
            "Person.name.First Name": "first",
            "Person.age": "age",
            "event_params[key=page].value.*": "page",
            "event_params[key=id].value.*": "id",
            "attributes[key=x].value": "x",
            "person_email": "email",
            "more.m[key=k].value[key=q].value": "deep",
        },
        ignored=("Person.name.last",),
        absent=("gone",),
    )
    (batch,) = records.batches()
    nothing = dict.fromkeys(names)
    assert batch.rows.to_pylist() == [
        nothing | {"first": "Zoë", "age": "7", "email": "e", "page": "/x", "id": "5", "x": "1", "deep": "1"},
        nothing | {"age": "8", "deep": "1"},
        nothing | {"email": "f", "deep": "1"},
    ]


def test_dots_may_be_part_of_a_name() -> None:
    table = pa.table({"person.email": ["e"], "person": pa.array([{"name.last": "x", "name": "y"}])})
    names = SourceNames({"email": ("person.email",), "last": ("person.name.last",)})
    assert _read(table, names) == [{"email": "e", "last": "x"}]


def test_extra_columns_get_clean_names() -> None:
    table = _nested().select(["Person", "attributes", "person_email"])
    names = SourceNames({"email": ("person_email",)}, extras=True)
    assert _read(table, names)[0] == {
        "email": "e",
        "person_name_first_name": "Zoë",
        "person_name_last": "x",
        "person_age": "7",
        "attributes": '[{"key":"x","value":"1"},{"key":"y","value":"2"}]',
    }
    assert ParquetRecords(_file(table), names).binding.extras["Person.name.First Name"] == "person_name_first_name"


@pytest.mark.parametrize(
    ("table", "names"),
    [
        (pa.table([[1], [2]], ["a", "a"]), _A),
        (pa.table([[1], [2]], ["a", "A"]), _A),
        (pa.table({"x": [1], "y": [1]}), SourceNames({"a": ("x", "y")})),
        (pa.table({"l": [[1]], "y": [1]}), SourceNames({"a": ("l[0]", "y")})),
        (pa.table({"client id": [1], "ClientID": [1]}), SourceNames({}, extras=True)),
    ],
)
def test_two_columns_cannot_mean_one(table: pa.Table, names: SourceNames) -> None:
    assert _refusal(_file(table), names).reason == "ambiguous_header"


def test_a_required_column_must_be_there() -> None:
    with pytest.raises(BadFile, match="missing_column: no name for b;"):
        ParquetRecords(_file(pa.table({"a": [1]})), SourceNames({"a": ("a",), "b": ("b",)}, required=("a", "b")))


def test_rows_are_counted_where_no_column_is_asked_for() -> None:
    assert _read(pa.table({"x": [1, 2]}), SourceNames({})) == [{}, {}]
    assert _read(pa.table({"x": [1, 2]}), _A) == [{"a": None}, {"a": None}]
    assert _read(pa.table({"a": pa.array([], pa.string())})) == []


@pytest.mark.parametrize("kind", [pa.binary(), pa.string(), pa.list_(pa.binary())])
def test_bytes_that_are_not_text_are_refused(kind: pa.DataType) -> None:
    if pa.types.is_string(kind):
        column = pa.array([b"\xff"], pa.binary()).view(pa.string())
    else:
        column = pa.array([[b"\xff"] if pa.types.is_list(kind) else b"\xff"], kind)
    error = _refusal(_file(pa.table({"a": column})))
    assert (error.reason, error.detail) == ("undecodable_text", "a value of the field a is not UTF-8")


def test_rows_of_many_batches_and_groups_keep_their_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_records, "_ROWS", 7)
    values = [str(number) for number in range(100)]
    assert [row["a"] for row in _read(pa.table({"a": values}), row_group_size=30)] == values


_WHOLE = _file(pa.table({"a": ["x", "y"] * 500, "b": range(1000)}), write_page_checksum=True).getvalue()


@pytest.mark.parametrize("size", [0, 1, 4, 12, 100, len(_WHOLE) // 2, len(_WHOLE) - 5, len(_WHOLE) - 1])
def test_a_cut_file_is_damaged(size: int) -> None:
    assert _refusal(io.BytesIO(_WHOLE[:size])).reason == "damaged_file"


@pytest.mark.parametrize("data", [b"PAR1" + b"x" * 100 + b"PAR1", _WHOLE[:-4] + b"PARE", b"secret" * 100])
def test_something_else_is_damaged(data: bytes) -> None:
    error = _refusal(io.BytesIO(data))
    assert (error.reason, error.detail) == ("damaged_file", "the Parquet file cannot be decoded")
    assert error.__cause__ is None


def test_a_changed_page_is_damaged() -> None:
    whole = _file(pa.table({"a": ["a text"] * 9}), compression="none", use_dictionary=False, write_page_checksum=True)
    changed = whole.getvalue().replace(b"\x06\0\0\0a text", b"\x06\0\0\0A text", 1)
    assert _refusal(io.BytesIO(changed)).reason == "damaged_file"


@PROPERTY
@given(st.integers(0, len(_WHOLE) - 1), st.integers(0, 7))
def test_a_changed_bit_is_never_another_error(at: int, bit: int) -> None:
    changed = bytearray(_WHOLE)
    changed[at] ^= 1 << bit
    try:
        list(ParquetRecords(io.BytesIO(changed), _A).batches())
    except BadFile as error:
        assert error.reason in {"damaged_file", "undecodable_text"}  # noqa: PT017  it may also not matter


@PROPERTY
@given(st.lists(st.none() | st.text(st.characters(exclude_categories=["Cs"])), max_size=30), st.integers(1, 10))
def test_text_comes_back(values: list[str | None], group: int) -> None:
    table = pa.table({"a": pa.array(values, pa.string()), "b": range(len(values))})
    shuffled = table.select(random.Random(group).sample(["a", "b"], 2))
    assert [row["a"] for row in _read(shuffled, row_group_size=group)] == values


@pytest.mark.parametrize("error", [OSError("said by the source"), BadFile("not_authentic", "said by the source")])
@pytest.mark.parametrize("reads", [0, 1, 2])
def test_what_goes_wrong_in_the_source_is_passed_on(error: Exception, reads: int) -> None:
    class Failing(io.BytesIO):
        left = reads

        def read(self, size: int | None = -1) -> bytes:
            if not self.left:
                raise error
            self.left -= 1
            return super().read(size)

    with pytest.raises(type(error), match="said by the source"):
        list(ParquetRecords(Failing(_WHOLE), SourceNames({"a": ("a",), "b": ("b",)})).batches())
