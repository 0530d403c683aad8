from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transforms.streams.pieces import CHUNK_SIZES, PROPERTY, pieces
from transforms.streams import json_records, nested
from transforms.streams.bad_file import BadFile
from transforms.streams.delimited import BLOCK_SIZE
from transforms.streams.json_records import JsonRecords
from transforms.streams.records import UNREADABLE, Binding, SourceNames

_A = SourceNames({"a": ("a",)})


@dataclass(frozen=True)
class _Read:
    rows: list[dict[str, str | None]]
    numbers: list[int]
    refused: list[tuple[int, str]]
    binding: Binding


def _read(data: bytes, names: SourceNames = _A, size: int = 1 << 16) -> _Read:
    records = JsonRecords(pieces(data, size), names)
    batches = list(records.batches())
    for batch in batches:
        assert len(batch.numbers) == batch.rows.num_rows
        assert batch.rows.num_rows or batch.refused
        assert batch.rows.schema.names[: len(names.fields)] == list(names.fields)
        assert all(row.reason == UNREADABLE for row in batch.refused)
        batch.rows.validate(full=True)
    return _Read(
        [row for batch in batches for row in batch.rows.to_pylist()],
        [number for batch in batches for number in batch.numbers.to_pylist()],
        [(row.number, row.detail) for batch in batches for row in batch.refused],
        records.binding,
    )


def _refusal(data: bytes, names: SourceNames = _A, size: int = 1 << 16) -> BadFile:
    with pytest.raises(BadFile) as caught:
        _read(data, names, size)
    return caught.value


def _lines(*records: Any) -> bytes:
    return "\n".join(json.dumps(record, ensure_ascii=False) for record in records).encode()


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a":"1"}\n{"a":"2"}\n', ["1", "2"]),
        ('{"a":"1"}\n{"a":"2"}', ["1", "2"]),
        ('\n\r\n{"a":"1"}\r\n \t\r\n {"a":"2"} \r\n\n', ["1", "2"]),
        ('{"a":"\u2028\u0085\x7f"}\n', ["\u2028\u0085\x7f"]),
        ('{"a":"é 名前 😀"}\n', ["é 名前 😀"]),
        ('{"a":"\\u00e9 \\ud83d\\ude00 \\u0000 \\n"}\n', ["é 😀 \0 \n"]),
        ('{"a":1.10}\n{"a":-0}\n{"a":1e5}\n{"a":1E+2}\n{"a":5}', ["1.10", "-0", "1e5", "1E+2", "5"]),
        ('{"a":12345678901234567890123}\n{"a":"x"}', ["12345678901234567890123", "x"]),
        ('{"a":' + "7" * 5000 + "}", ["7" * 5000]),
        ('{"a":true}\n{"a":false}\n{"a":null}\n{"b":1}\n{}', ["true", "false", None, None, None]),
        ('{"a":"2024-01-31T12:00:00Z"}\n{"a":"01234"}', ["2024-01-31T12:00:00Z", "01234"]),
        ('{"a": {"x" : [1, 2.50, "é"]}}\n{"a":[]}\n{"a":"t"}', ['{"x":[1,2.50,"é"]}', "[]", "t"]),
        ('[{"a":"1"},{"a":"2"}]', ["1", "2"]),
        (' \n[\n {"a" : "1"} ,\n {"a":\n"2"}\n]\n', ["1", "2"]),
        ('{\n "a": "1"\n}\n{\n "a": 2\n}\n', ["1", "2"]),
        ('{}\n\n{} \n{\n "a": 1\n}', [None, None, "1"]),
        ("{}\n{}", [None, None]),
        ("{}{}\n", [None, None]),
        ('{"a":"1"}{"a":"2"} {"a":"3"}\n{"a":"4"}', ["1", "2", "3", "4"]),
        ("[]", []),
        (" [ ]\n", []),
    ],
)
def test_values_come_back_as_text(text: str, expected: list[str | None], size: int) -> None:
    read = _read(text.encode(), size=size)
    assert [row["a"] for row in read.rows] == expected
    assert read.numbers == list(range(1, 1 + len(expected)))
    assert read.refused == []


@pytest.mark.parametrize(
    ("line", "detail"),
    [
        ("secret", "not a JSON object"),
        ("1", "not a JSON object"),
        ('"secret"', "not a JSON object"),
        ("null", "not a JSON object"),
        ('[{"a":1}]', "not a JSON object"),
        ('{"a":1}]', "not a JSON object"),
        ('{"a":1},', "not a JSON object"),
        ('{"a":1},{"b":2}', "not a JSON object"),
        ('{"a":1}{"b":2}', "not a JSON object"),
        ('{"a":"secret', "not a JSON object"),
        ('{"a":[{}', "not a JSON object"),
        ("{}]}", "not a JSON object"),
        ("{'a':1}", "not a JSON object"),
        ('{"a":01}', "not a JSON object"),
        ('{"a":1,}', "not a JSON object"),
        ('{"a":"\t"}', "not a JSON object"),
        ("\ufeff{}", "not a JSON object"),
        ("\u00a0", "not a JSON object"),
        ('{"a":NaN}', "NaN and Infinity are not JSON"),
        ('{"b":[-Infinity]}', "NaN and Infinity are not JSON"),
        ('{"a":1,"a":2}', "an object has a key twice"),
        ('{"b":[{"secret":1,"secret":1}]}', "an object has a key twice"),
        ('{"a":"\\ud800"}', "half of a surrogate pair, which is no character"),
        ('{"a":["\\udfff"]}', "half of a surrogate pair, which is no character"),
        ('{"a":' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deeply"),
    ],
)
def test_a_line_that_is_no_object_is_refused(line: str, detail: str) -> None:
    read = _read(f'{{"a":"1"}}\n\n{line}\n{{"a":"2"}}\n{line}'.encode())
    assert [row["a"] for row in read.rows] == ["1", "2"]
    assert read.numbers == [1, 3]
    assert read.refused == [(2, detail), (4, detail)]


_FRAGMENTS = st.lists(
    st.sampled_from(["{", "}", "[", "]", '"a"', ":", ",", "1", '"', "{}", '{"a":1}', " ", "\\", "NaN", '{"a":[', "]}"]),
    max_size=8,
).map("".join)


@PROPERTY
@given(st.lists(_FRAGMENTS, max_size=12), CHUNK_SIZES)
def test_no_line_changes_what_another_one_is(lines: list[str], size: int) -> None:
    """Each line alone, behind a good one, is what it is among the others."""
    read = _read("\n".join(['{"a":"first"}', *lines]).encode(), size=size)
    number = 1
    for line in lines:
        if line.strip(" "):
            number += 1
            alone = _read(f'{{"a":"first"}}\n{line}'.encode())
            assert (number in read.numbers) == (alone.numbers == [1, 2])
            assert [detail for at, detail in read.refused if at == number] == [detail for _, detail in alone.refused]
    assert sorted(read.numbers + [at for at, _ in read.refused]) == list(range(1, number + 1))


_SCALARS = st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


def _written(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value)


@PROPERTY
@given(
    st.lists(st.dictionaries(st.sampled_from(["a", "b", "c d", "other"]), _SCALARS), min_size=1),
    st.sampled_from(["lines", "array", "indented", "objects"]),
    CHUNK_SIZES,
    st.randoms(use_true_random=False),
)
def test_what_python_writes_comes_back_in_any_form(
    records: list[dict[str, Any]], form: str, size: int, shuffler: random.Random
) -> None:
    shuffled = [dict(shuffler.sample(list(record.items()), len(record))) for record in records]
    indent = 1 if form in {"indented", "objects"} else None
    text = (
        json.dumps(shuffled, ensure_ascii=False, indent=indent)
        if form in {"array", "indented"}
        else "\n".join(json.dumps(record, ensure_ascii=False, indent=indent) for record in shuffled)
    )
    names = SourceNames({"x": ("A",), "y": ("b",), "z": ("c_d",)})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_records, "BLOCK_SIZE", 500)
        patch.setattr(json_records, "SLICE", 3)
        patch.setattr(nested, "_MOST_ROWS", 7)
        read = _read(text.encode(), names, size)
    assert read.rows == [
        {"x": _written(record.get("a")), "y": _written(record.get("b")), "z": _written(record.get("c d"))}
        for record in records
    ]
    assert read.numbers == list(range(1, len(records) + 1))


@pytest.mark.parametrize("block", range(8, 40))
@pytest.mark.parametrize("number", ["1.5", "1e5", "1E+5", "-1", "12345"])
def test_a_number_is_not_cut_where_the_held_text_ends(number: str, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_records, "BLOCK_SIZE", block)
    read = _read(f'[{{"a":1}},{number},{number} ,{{"a":2}},{number}]'.encode(), size=1)
    assert read.numbers == [1, 4]
    assert [at for at, _ in read.refused] == [2, 3, 5]


@pytest.mark.parametrize(
    "text",
    [
        '[{"a":"secret"},5,"secret",{"a":1,"a":1},{"a":NaN},[],{"a":"2"}]',
        '{\n"a":"1"}\n5 "secret" {"a":1,"a":1}{"a":NaN}[]{"a":"2"}',
    ],
)
@pytest.mark.parametrize("size", [1, 1000])
def test_elements_of_a_document_are_refused_like_lines(text: str, size: int) -> None:
    read = _read(text.encode(), size=size)
    assert read.numbers == [1, 7]
    assert [at for at, _ in read.refused] == [2, 3, 4, 5, 6]
    assert "secret" not in str(read.refused)


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("[", 2),
        ("[,]", 2),
        ('[{"a":1}', 9),
        ('[{"a":1},', 10),
        ('[{"a":1},]', 10),
        ('[{"a":1} {"a":2}]', 10),
        ('[{"a":1},{"a"', 14),
        ('[{"a":1}] secret', 11),
        ('[{"a":1}]]', 10),
        ('[{"a":1}]\n[{"a":1}]', 11),
        ('{\n"a":1\n}\n{"a":secret}', 16),
        ('{\n"a":1\n}\n,{}', 11),
        ('{\n"a":1\n}\n{"a":1', 17),
    ],
)
@pytest.mark.parametrize("size", [1, 1000])
def test_a_document_that_cannot_be_parsed_to_its_end_is_bad(text: str, near: int, size: int) -> None:
    error = _refusal(text.encode(), size=size)
    assert (error.reason, error.detail) == ("not_json", f"the text cannot be parsed near character {near}")


def test_a_document_that_is_nested_too_deeply_is_bad() -> None:
    assert "nested too deeply" in _refusal(b'[{"a":' + b"[" * 100_000).detail


@pytest.mark.parametrize("data", [b"", b" ", b"\n", b"\r\n\t\n"])
def test_text_of_blanks_is_an_empty_file(data: bytes) -> None:
    assert _refusal(data).reason == "empty_file"


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "<xml/>", '{"a":"secret', '"secret"', "[1,2]", '{\n"a": secret\n}'])
def test_where_no_line_is_an_object_the_file_is_no_json(text: str) -> None:
    error = _refusal(text.encode())
    assert error.reason == "not_json"
    assert "secret" not in str(error)
    assert error.__cause__ is None


def test_a_broken_first_line_is_not_taken_for_a_document() -> None:
    for line in ('{"a":', '{"a":1} x', '{"a":1},{"a":2}'):
        read = _read(f'{line}\n{{"a":"2"}}\n'.encode())
        assert (read.numbers, [at for at, _ in read.refused]) == ([2], [1])


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_line_may_be_as_long_as_a_block(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_records, "BLOCK_SIZE", 64)
    longest = b'{"a":"' + b"v" * 56 + b'"}'
    assert len(longest) == 64
    assert _read(b'{"a":1}\n' + longest + b"\n" + longest, size=size).numbers == [1, 2, 3]
    for data in (b" " + longest, b'{"a":1}\n' + longest + b" \n{}", b"{" * 65):
        error = _refusal(data, size=size)
        assert (error.reason, "a line is longer than" in error.detail) == ("not_json", True)


def test_one_line_without_end_does_not_fill_the_memory() -> None:
    taken = 0

    def source() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield b'{"a":1,' * 50_000

    for start in (b"", b"[", b"{\n"):
        taken = 0
        records = JsonRecords((chunk for some in (iter([start]), source()) for chunk in some), _A)
        with pytest.raises(BadFile, match="not_json"):
            list(records.batches())
        assert taken < 50


@pytest.mark.parametrize(
    ("records", "names", "rows"),
    [
        ([{"Person": {"first_name": "x"}}], {"f": ("person.firstName",)}, [{"f": "x"}]),
        ([{"person.firstName": "x"}], {"f": ("person.firstName",)}, [{"f": "x"}]),
        ([{"person": {"name": {"first": 1}}}], {"p": ("person",), "f": ("person.name.first",)}, None),
        ([{"p": {"a": 1}}, {"p": 5}, {"p": None}, {}], {"f": ("p.a",)}, [{"f": "1"}] + [{"f": None}] * 3),
        ([{"id": 1}, {"ID": 2}, {"key": 3}], {"f": ("id", "key")}, [{"f": "1"}, {"f": "2"}, {"f": "3"}]),
        ([{"id": None, "key": 3}, {"id": 4, "key": None}], {"f": ("id", "key")}, [{"f": "3"}, {"f": "4"}]),
        (
            [{"i": [{"k": "a", "v": 1}, {"k": "b", "v": True}]}, {"i": []}, {"i": 5}],
            {"a": ("i[k=a].v",), "b": ("i[k=b].v",), "all": ("i[].v",), "json": ("i",)},
            [
                {"a": "1", "b": "true", "all": "[1,true]", "json": '[{"k":"a","v":1},{"k":"b","v":true}]'},
                {"a": None, "b": None, "all": None, "json": "[]"},
                {"a": None, "b": None, "all": None, "json": "5"},
            ],
        ),
        ([{"a": 1}, {"a": 2}], {}, [{}, {}]),
    ],
)
def test_names_are_found_in_nested_records(
    records: list[Any], names: dict[str, tuple[str, ...]], rows: list[dict[str, str | None]] | None
) -> None:
    expected = rows if rows is not None else [{"p": '{"name":{"first":1}}', "f": "1"}]
    assert _read(_lines(*records), SourceNames(names)).rows == expected


@pytest.mark.parametrize(
    ("record", "names"),
    [
        ({"personID": 1, "customerID": 2}, {"id": ("personID", "customerID")}),
        ({"id": 1, "ID": 1}, {"id": ("id",)}),
        ({"person": {"id": 1}, "person.id": 1}, {"id": ("person.id",)}),
        ({"l": [{"k": "a"}], "k": 1}, {"id": ("l[0].k", "k")}),
    ],
)
def test_two_values_of_one_record_cannot_mean_one_field(record: Any, names: dict[str, tuple[str, ...]]) -> None:
    error = _refusal(_lines({}, record), SourceNames(names))
    assert (error.reason, error.detail) == ("ambiguous_header", "two values of one record mean the field id")


def test_the_binding_tells_what_was_met() -> None:
    names = SourceNames({"f": ("p.first", "first"), "n": ("l[key=x].v",), "m": ("l[key=y].v",), "z": ("zip",)})
    read = _read(
        _lines(
            {"P": {"First": 1, "loud": 2}, "l": [{"key": "x", "v": 1}]}, {"first": 2, "other": {"x": 1}, "zip": None}
        ),
        names,
    )
    assert read.binding == Binding(
        columns={"P.First": "f", "first": "f", "l[key=x].v": "n", "zip": "z"},
        ignored=("P.loud", "other"),
        absent=("m",),
    )


def test_a_required_field_that_is_never_met_is_told_after_the_last_batch() -> None:
    records = JsonRecords(iter([b'{"b":1}\n{"b":2}']), SourceNames({"a": ("a",), "c": ("c",)}, required=("a",)))
    batches = records.batches()
    assert next(batches).numbers.to_pylist() == [1, 2]
    with pytest.raises(BadFile, match="missing_column: no name for a;"):
        next(batches)
    assert _read(b"[]", SourceNames({"a": ("a",)}, required=("a",))).rows == []


def test_extra_columns_get_clean_names() -> None:
    read = _read(
        _lines({"a": 1, "ClientID": 2, "home": {"Zip": "3", "geo": {"lat": 1.5}}, "tags": ["x"], "名前": 1}, {"a": 2}),
        SourceNames({"a": ("a",)}, extras=True),
    )
    assert read.rows == [
        {"a": "1", "client_id": "2", "home_zip": "3", "home_geo_lat": "1.5", "tags": '["x"]'},
        {"a": "2", "client_id": None, "home_zip": None, "home_geo_lat": None, "tags": None},
    ]
    extras = {"ClientID": "client_id", "home.Zip": "home_zip", "home.geo.lat": "home_geo_lat", "tags": "tags"}
    assert read.binding == Binding({"a": "a"}, extras, ("名前",))


def test_a_later_batch_may_have_other_extra_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_records, "SLICE", 1)
    monkeypatch.setattr(nested, "_MOST_ROWS", 2)
    data = _lines({"x": 1}, {"y": 2}, {"z": 3}, {"a": 4})
    assert _read(data, SourceNames({"a": ("a",)}, extras=True)).rows == [
        {"a": None, "x": "1", "y": None},
        {"a": None, "x": None, "y": "2"},
        {"a": None, "z": "3"},
        {"a": "4", "z": None},
    ]


@pytest.mark.parametrize(
    "records",
    [
        [{"client id": 1}, {"clientId": 2}],
        [{"A!": {"b": 1}, "a.b": 1}],
        [{"field": 1}],
        [{f"k{number}": 1 for number in range(1001)}],
        [{f"k{number}": {"x": {}} for number in range(1001)}],
    ],
)
def test_extra_columns_that_would_mix_or_never_end_are_refused(records: list[Any]) -> None:
    names = SourceNames({"field": ("other",)}, extras=True)
    assert _refusal(_lines(*records), names).reason == "ambiguous_header"


def test_extra_objects_deeper_than_a_limit_stay_text() -> None:
    record: Any = 1
    for _ in range(40):
        record = {"k": record}
    (row,) = _read(_lines(record), SourceNames({}, extras=True)).rows
    ((name, text),) = row.items()
    assert name == "_".join("k" * 17)
    assert str(text).startswith('{"k":{"k"')


def test_keys_that_are_data_do_not_fill_the_memory() -> None:
    records = ({f"key {at}-{number}" + "x" * 300: 1 for number in range(50)} for at in range(100))
    ignored = _read(_lines(*records)).binding.ignored
    assert len(ignored) == 1000
    assert max(map(len, ignored)) == 256


def test_ignored_names_can_be_written() -> None:
    assert _read(b'{"\\ud800x":1}').binding.ignored == ("?x",)


def test_many_spellings_of_a_name_are_refused() -> None:
    records = ({mark * times + "a": 1} for mark in "_-+*!" for times in range(250))
    assert _refusal(_lines(*records)).detail == "the fields have more than 1000 spellings of their names"


def test_rows_of_many_blocks_keep_their_numbers() -> None:
    count = 150_000
    data = b"".join(b'{"a":"%d","b":"%s"}\n' % (at, b"x" * 30) if at % 1000 else b"{\n" for at in range(1, count + 1))
    assert len(data) > BLOCK_SIZE
    read = _read(data, size=1 << 19)
    assert [int(str(row["a"])) for row in read.rows] == read.numbers
    assert [at for at, _ in read.refused] == list(range(1000, count + 1, 1000))


@pytest.mark.parametrize("start", [b'{"a":1}\n', b"[", b"{\n"])
def test_what_goes_wrong_in_the_source_is_passed_on(start: bytes) -> None:
    def source() -> Iterator[bytes]:
        yield start
        raise BadFile("not_authentic", "said by the source")

    with pytest.raises(BadFile, match="said by the source"):
        list(JsonRecords(source(), _A).batches())


def test_a_malformed_name_is_an_error_of_the_connector() -> None:
    with pytest.raises(ValueError, match="cannot be read from character"):
        JsonRecords(iter([]), SourceNames({"a": ("a[",)}))
