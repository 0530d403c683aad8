from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.connector import Format
from tests.transforms.streams.pieces import CHUNK_SIZES, PROPERTY, pieces
from transforms.streams import delimited
from transforms.streams.bad_file import BadFile
from transforms.streams.delimited import DelimitedText, RaggedRow
from transforms.streams.text_encoding import to_utf8

_DOUBLED = Format(",", '"', '"', ())
_ESCAPED = Format(",", '"', "\\", ())
_BARE = Format(",", "", "", ())


@dataclass(frozen=True)
class _Read:
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]
    numbers: list[int]
    ragged: list[tuple[int, int, int]]


def _read(
    data: bytes, layout: Format = _DOUBLED, size: int = 1 << 16, columns: Mapping[str, str] | None = None
) -> _Read:
    text = DelimitedText(pieces(data, size), layout)
    batches = list(text.batches({name: name for name in text.header} if columns is None else columns))
    for batch in batches:
        assert len(batch.numbers) == batch.rows.num_rows
        assert batch.rows.num_rows or batch.ragged
    return _Read(
        text.header,
        [tuple(row.values()) for batch in batches for row in batch.rows.to_pylist()],
        [number for batch in batches for number in batch.numbers.to_pylist()],
        [(row.number, row.expected, row.actual) for batch in batches for row in batch.ragged],
    )


def _refusal(data: bytes, layout: Format = _DOUBLED, size: int = 1 << 16) -> BadFile:
    with pytest.raises(BadFile) as caught:
        _read(data, layout, size)
    return caught.value


@pytest.fixture(params=[16, 64, 4 << 20], ids="block of {}".format)
def block_size(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(delimited, "BLOCK_SIZE", request.param)
    return int(request.param)


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize(
    ("layout", "text", "expected"),
    [
        (_DOUBLED, "a,b\n1,2\n", [("1", "2")]),
        (_DOUBLED, "a,b\n1,2", [("1", "2")]),
        (_DOUBLED, "a,b\r\n1,2\r\n3,4", [("1", "2"), ("3", "4")]),
        (_DOUBLED, "a,b\r1,2\r3,4\r", [("1", "2"), ("3", "4")]),
        (_DOUBLED, "a,b\n\n1,2\n\r\n\n3,4\n\n\n", [("1", "2"), ("3", "4")]),
        (_DOUBLED, "\n\na,b\n1,2\n", [("1", "2")]),
        (_DOUBLED, 'a,b\n"1","say ""hi"""\n', [("1", 'say "hi"')]),
        (_DOUBLED, 'a,b\n"","""\n', None),
        (_DOUBLED, 'a,b\n"",""""\n', [("", '"')]),
        (_DOUBLED, 'a,b\n,\n,""\n', [("", ""), ("", "")]),
        (_DOUBLED, 'a,b\n"x\ny\r\nz","p,q"\n', [("x\ny\r\nz", "p,q")]),
        (_DOUBLED, 'a,b\nx\\,"y\\"\n', [("x\\", "y\\")]),
        (_DOUBLED, "a,b\n x , y \n", [(" x ", " y ")]),
        (_DOUBLED, "a,b\n01234,NULL\n", [("01234", "NULL")]),
        (_DOUBLED, "a,b\ntrue,2024-01-31\n", [("true", "2024-01-31")]),
        (_DOUBLED, 'a,b\n5" pipe,x\n', [('5" pipe', "x")]),
        (_ESCAPED, 'a,b\n"say \\"hi\\"","x\\\\"\n5 Dock\\,y\n', [('say "hi"', "x\\"), ("5 Dock\\", "y")]),
        (Format(",", '"', "'", ()), 'a,b\n"say \'"hi\'"",it\'s\n', [('say "hi"', "it's")]),
        (Format("\t", '"', '"', ()), 'a\tb\n1,2\t"3\t4"\n', [("1,2", "3\t4")]),
        (Format(";", '"', '"', ()), 'a;b\n1,2;"3;4"\n', [("1,2", "3;4")]),
        (Format("|", '"', '"', ()), 'a|b\n1,2|"3|4"\n', [("1,2", "3|4")]),
        (Format(":", '"', '"', ()), 'a:b\n1,2:"3:4"\n', [("1,2", "3:4")]),
        (Format("|", "'", "\\", ()), "a|b\n'it\\'s|'|\"2\"\n", [("it's|", '"2"')]),
        (_BARE, 'a,b\n"1","2"\n', [('"1"', '"2"')]),
        (_BARE, "a,b\n\0x,y\0,2\n", [("x,y", "2")]),
        (_BARE, "a,b\n\0x\ny\0,\0\r\n\0\n", [("x\ny", "\r\n")]),
        (_BARE, "\0a\0,b\n1,\0\0\n", [("1", "")]),
        (_BARE, "a,b\n\0x\\\\,y\0,\\\n", [("x\\\\,y", "\\")]),
        (Format(",", "", "\\", ()), "a,b\n\0x\\\\,y\0,\\\\\n", [("x\\,y", "\\\\")]),
        (_DOUBLED, "a,b\nZoë,名前\n😀,\u2028\n", [("Zoë", "名前"), ("😀", "\u2028")]),
    ],
)
def test_values_come_back_as_text(
    layout: Format, text: str, expected: list[tuple[str, ...]] | None, size: int, block_size: int
) -> None:
    del block_size
    if expected is None:
        assert _refusal(text.encode(), layout, size).reason == "not_delimited_text"
        return
    read = _read(text.encode(), layout, size)
    assert read.header == ("a", "b")
    assert read.rows == expected
    assert read.numbers == list(range(2, 2 + len(expected)))
    assert read.ragged == []


_CELLS = st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"]), max_size=8)


@PROPERTY
@given(st.lists(st.tuples(_CELLS, _CELLS, _CELLS), max_size=12), CHUNK_SIZES, st.sampled_from(["\n", "\r\n"]))
def test_what_python_writes_comes_back(rows: list[tuple[str, str, str]], size: int, end: str) -> None:
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator=end)
    writer.writerow(["a", "b", "c"])
    writer.writerows(rows)
    read = _read(file.getvalue().encode(), _DOUBLED, size)
    assert read.rows == rows
    assert read.numbers == list(range(2, 2 + len(rows)))


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
@pytest.mark.parametrize("header", [("a",), ("a", "b"), ("a b", "Größe", "名前")])
def test_a_header_alone_has_no_rows(header: tuple[str, ...], end: str) -> None:
    read = _read((",".join(header) + end).encode())
    assert read == _Read(header, [], [], [])


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ('"a,b",c\n1,2\n', ("a,b", "c")),
        ('"a\nb",c\n1,2\n', ("a\nb", "c")),
        ('"say ""a""",c\n1,2\n', ('say "a"', "c")),
        ("a,a,\n1,2,3\n", ("a", "a", "")),
        ("person.name.firstName, email \n1,2\n", ("person.name.firstName", " email ")),
        ("Größe,Ж,名前,😀\n1,2,3,4\n", ("Größe", "Ж", "名前", "😀")),
    ],
)
def test_names_of_the_header_are_as_they_are_written(text: str, header: tuple[str, ...]) -> None:
    assert DelimitedText(pieces(text.encode(), 3), _DOUBLED).header == header


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("layout", [_DOUBLED, _ESCAPED, _BARE])
def test_a_byte_order_mark_is_no_part_of_the_first_name(layout: Format, encoding: str) -> None:
    data = "Größe,b\n1,é\n".encode(encoding)
    text = DelimitedText(to_utf8(pieces(data, 3)), layout)
    (batch,) = text.batches({"Größe": "size", "b": "b"})
    assert text.header == ("Größe", "b")
    assert batch.rows.to_pylist() == [{"size": "1", "b": "é"}]


@pytest.mark.parametrize("data", [b"", b" ", b"\n", b"\r\n\r\n", b" \t\n"])
def test_text_of_blanks_is_an_empty_file(data: bytes) -> None:
    assert _refusal(data).reason == "empty_file"


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"c": "x", "a": "y"}, [{"x": "3", "y": "1"}, {"x": "6", "y": "4"}]),
        ({"b": "b"}, [{"b": "2"}, {"b": "5"}]),
        ({"a": "b", "b": "a"}, [{"b": "1", "a": "2"}, {"b": "4", "a": "5"}]),
        ({}, [{}, {}]),
    ],
)
def test_columns_are_bound_by_name_in_the_order_asked_for(
    columns: dict[str, str], expected: list[dict[str, str]]
) -> None:
    (batch,) = DelimitedText(iter([b"a,b,c\n1,2,3\n4,5,6\n"]), _DOUBLED).batches(columns)
    assert batch.rows.schema.names == list(columns.values())
    assert batch.rows.to_pylist() == expected
    assert batch.numbers.to_pylist() == [2, 3]


def test_rows_are_counted_where_no_column_is_asked_for(block_size: int) -> None:
    del block_size
    read = _read(b"a,b\n" + b"1,2\n" * 50 + b"x,y\n" * 50, columns={})
    assert (read.rows, read.numbers) == ([()] * 100, list(range(2, 102)))


def test_names_that_stand_twice_do_not_matter_where_nobody_asks_for_them() -> None:
    assert _read(b"a,x,x,\n1,2,3,4\n", columns={"a": "a"}).rows == [("1",)]


@pytest.mark.parametrize(
    "shape",
    [
        "x",
        "xg",
        "gx",
        "gxg",
        "xgx",
        "gxxg",
        "xxxx",
        "gggg",
        "xxgxxgxx",
        "g" * 40 + "x" + "g" * 40,
        "x" * 40 + "g" + "x" * 40,
        "gx" * 50,
        "ggxxx" * 30,
        "x" * 200,
    ],
)
@pytest.mark.parametrize("wrong", ["only one", "one,two,three", ",,,,,,", '"a,b"', '"l\nm",b,c'])
def test_ragged_rows_are_told_and_the_others_keep_their_numbers(wrong: str, shape: str, block_size: int) -> None:
    del block_size
    lines = [f"{number},v" if kind == "g" else wrong for number, kind in enumerate(shape, 2)]
    read = _read(("a,b\n" + "\n".join(lines) + "\n").encode(), size=7)
    (values,) = csv.reader(io.StringIO(wrong, newline=""))
    assert read.rows == [(str(number), "v") for number in read.numbers]
    assert read.numbers == [number for number, kind in enumerate(shape, 2) if kind == "g"]
    assert read.ragged == [(number, 2, len(values)) for number, kind in enumerate(shape, 2) if kind == "x"]


@PROPERTY
@given(
    st.lists(st.tuples(st.integers(1, 4), st.sampled_from(["v", '"q,\n"', "é" * 5]), st.booleans()), max_size=60),
    st.sampled_from([48, 64, 100, 4 << 20]),
    CHUNK_SIZES,
)
def test_no_row_is_lost_or_counted_twice(rows: list[tuple[int, str, bool]], block: int, size: int) -> None:
    # A value each row of one column would make an empty line where it is empty: these are never empty.
    data = "a,b\n" + "".join(",".join([value] * count) + "\n" * (1 + blank) for count, value, blank in rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delimited, "BLOCK_SIZE", block)
        read = _read(data.encode(), size=size)
    assert read.numbers == [number for number, (count, *_) in enumerate(rows, 2) if count == 2]
    assert read.ragged == [(number, 2, count) for number, (count, *_) in enumerate(rows, 2) if count != 2]
    assert sorted(read.numbers + [number for number, *_ in read.ragged]) == list(range(2, len(rows) + 2))


def test_ragged_rows_behind_the_last_good_one_come_too() -> None:
    batches = list(DelimitedText(iter([b"a,b\n1\n2\n"]), _DOUBLED).batches({"b": "x"}))
    assert [batch.rows.num_rows for batch in batches] == [0]
    assert batches[0].rows.schema.names == ["x"]
    assert batches[0].ragged == (RaggedRow(2, 2, 1), RaggedRow(3, 2, 1))


def test_rows_of_many_blocks_keep_their_numbers() -> None:
    count = 600_000
    data = b"a,b\n" + b"".join(b"%d,x\n" % at if at % 1000 else b"%d\n" % at for at in range(2, count + 2))
    read = _read(data, size=1 << 19, columns={"a": "a"})
    assert len(data) > delimited.BLOCK_SIZE
    assert [int(row[0]) for row in read.rows] == read.numbers
    assert [number for number, *_ in read.ragged] == list(range(1000, count + 2, 1000))


@pytest.mark.parametrize("layout", [_DOUBLED, _ESCAPED])
@pytest.mark.parametrize("last", ['3,"secret', '3,"secret\n4,x\n5,y\n', '3,"secret\\', '"secret\n4,x\n', '3,"\n'])
def test_a_quote_that_is_never_closed_fails_a_short_file(last: str, layout: Format) -> None:
    error = _refusal(f"a,b\n1,2\n{last}".encode(), layout, 3)
    assert (error.reason, error.detail) == ("not_delimited_text", "a quote is never closed")


@pytest.mark.parametrize("layout", [_DOUBLED, _ESCAPED])
@pytest.mark.parametrize("head", [b'a,b\n1,"secret', b'a,"b\n1,secret'], ids=["row", "header"])
def test_a_quote_that_is_never_closed_does_not_eat_a_large_file(head: bytes, layout: Format) -> None:
    taken = 0

    def source() -> Iterator[bytes]:
        nonlocal taken
        yield head
        for _ in range(4000):
            taken += 1
            yield b"1,secret\n" * 30_000

    with pytest.raises(BadFile) as caught:
        list(DelimitedText(source(), layout).batches({"a": "a"}))
    assert caught.value.reason == "not_delimited_text"
    # The parser reads ahead in the background, about ten blocks: far from the 1 GB that there is.
    assert taken < math.ceil(40 * delimited.BLOCK_SIZE / 270_000)


@pytest.mark.parametrize(
    ("data", "layout"),
    [
        (b'a,b\n1,"secret\n' + b"secret,secret\n" * 50, _DOUBLED),
        (b'"a,b\nsecret,secret\n', _DOUBLED),
        (b"a,b\n\x01secret,secret\n", _BARE),
        (b'a,b\n"' + b"secret" * 50 + b'",2\n', _DOUBLED),
    ],
)
def test_the_text_of_rows_is_never_told(data: bytes, layout: Format, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "BLOCK_SIZE", 64)
    error = _refusal(data, layout)
    assert error.reason == "not_delimited_text"
    assert "secret" not in str(error)
    assert error.__cause__ is None


def test_a_row_may_be_as_long_as_a_block_and_no_longer_than_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "BLOCK_SIZE", 1 << 10)
    value = "v" * 900
    assert _read(f"a,b\n{value},1\n{value},2\n".encode()).rows == [(value, "1"), (value, "2")]
    assert "a row is longer than" in _refusal(f"a,b\n1,2\n{value * 3},2\n".encode()).detail


@pytest.mark.parametrize("at", [2, 5_000_000])
def test_what_goes_wrong_in_the_source_is_passed_on(at: int) -> None:
    def source() -> Iterator[bytes]:
        yield from pieces(b"a,b\n" + b"1,2\n" * (at // 4), 1 << 19)
        raise BadFile("not_authentic", "said by the source")

    with pytest.raises(BadFile, match="said by the source"):
        list(DelimitedText(source(), _DOUBLED).batches({"a": "a"}))
