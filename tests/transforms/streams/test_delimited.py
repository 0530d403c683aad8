from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.file_format import Format
from tests.transforms.streams.pieces import CHUNK_SIZES, PROPERTY, pieces
from transforms.streams import delimited
from transforms.streams.bad_file import BadFile
from transforms.streams.delimited import DelimitedRecords, DelimitedText
from transforms.streams.records import RAGGED, RefusedRow, SourceNames
from transforms.streams.text_encoding import to_utf8

_DOUBLED = Format()
_ESCAPED = Format(escape="\\")
_BARE = Format(quote="", escape="")


@dataclass(frozen=True)
class _Read:
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]
    numbers: list[int]
    ragged: list[tuple[int, str]]


def _read(
    data: bytes, layout: Format = _DOUBLED, size: int = 1 << 16, columns: Mapping[str, str] | None = None
) -> _Read:
    text = DelimitedText(pieces(data, size), layout)
    batches = list(text.batches({name: name for name in text.header} if columns is None else columns))
    for batch in batches:
        assert len(batch.numbers) == batch.rows.num_rows
        assert batch.rows.num_rows or batch.refused
    return _Read(
        text.header,
        [tuple(row.values()) for batch in batches for row in batch.rows.to_pylist()],
        [number for batch in batches for number in batch.numbers.to_pylist()],
        [(row.number, row.detail) for batch in batches for row in batch.refused],
    )


def _ragged(expected: int, actual: int) -> str:
    return f"{actual} values where the header has {expected}"


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
        (Format(delimiter=",", quote='"', escape="'"), 'a,b\n"say \'"hi\'"",it\'s\n', [('say "hi"', "it's")]),
        (Format(delimiter="\t", quote='"', escape='"'), 'a\tb\n1,2\t"3\t4"\n', [("1,2", "3\t4")]),
        (Format(delimiter=";", quote='"', escape='"'), 'a;b\n1,2;"3;4"\n', [("1,2", "3;4")]),
        (Format(delimiter="|", quote='"', escape='"'), 'a|b\n1,2|"3|4"\n', [("1,2", "3|4")]),
        (Format(delimiter=":", quote='"', escape='"'), 'a:b\n1,2:"3:4"\n', [("1,2", "3:4")]),
        (Format(delimiter="|", quote="'", escape="\\"), "a|b\n'it\\'s|'|\"2\"\n", [("it's|", '"2"')]),
        (_BARE, 'a,b\n"1","2"\n', [('"1"', '"2"')]),
        (_BARE, "a,b\n\0x,y\0,2\n", [("x,y", "2")]),
        (_BARE, "a,b\n\0x\ny\0,\0\r\n\0\n", [("x\ny", "\r\n")]),
        (_BARE, "\0a\0,b\n1,\0\0\n", [("1", "")]),
        (_BARE, "a,b\n\0x\\\\,y\0,\\\n", [("x\\\\,y", "\\")]),
        (Format(delimiter=",", quote="", escape="\\"), "a,b\n\0x\\\\,y\0,\\\\\n", [("x\\,y", "\\\\")]),
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
    assert read.ragged == [(number, _ragged(2, len(values))) for number, kind in enumerate(shape, 2) if kind == "x"]


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
    assert read.ragged == [(number, _ragged(2, count)) for number, (count, *_) in enumerate(rows, 2) if count != 2]
    assert sorted(read.numbers + [number for number, *_ in read.ragged]) == list(range(2, len(rows) + 2))


def test_ragged_rows_behind_the_last_good_one_come_too() -> None:
    batches = list(DelimitedText(iter([b"a,b\n1\n2\n"]), _DOUBLED).batches({"b": "x"}))
    assert [batch.rows.num_rows for batch in batches] == [0]
    assert batches[0].rows.schema.names == ["x"]
    assert batches[0].refused == (RefusedRow(2, RAGGED, _ragged(2, 1)), RefusedRow(3, RAGGED, _ragged(2, 1)))


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


# --- files without a header


_NAMES = ("a", "b", "c")
_BY_POSITION = Format(header=False, columns=_NAMES)


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize(
    ("text", "rows", "ragged"),
    [
        ("1,2,3\n4,5,6\n", {1: ("1", "2", "3"), 2: ("4", "5", "6")}, {}),
        ("1,2,3", {1: ("1", "2", "3")}, {}),
        ('"x\ny","1,2",""\n', {1: ("x\ny", "1,2", "")}, {}),
        ("same,same,same\n", {1: ("same", "same", "same")}, {}),
        (",,\n1,2,3\n", {1: ("", "", ""), 2: ("1", "2", "3")}, {}),
        ("a,b,c\n1,2,3\n", {1: ("a", "b", "c"), 2: ("1", "2", "3")}, {}),  # a header would be a row as well
        ("1,2,3\n4,5\n6,7,8\n", {1: ("1", "2", "3"), 3: ("6", "7", "8")}, {2: 2}),
        ("1,2,3\n4,5\n6\n7,8,9,0\n", {1: ("1", "2", "3")}, {2: 2, 3: 1, 4: 4}),
        ("\n\n1,2,3\n\n4\n\n5,6,7\n", {1: ("1", "2", "3"), 3: ("5", "6", "7")}, {2: 1}),
    ],
)
def test_without_a_header_the_first_row_is_row_one(
    text: str, rows: dict[int, tuple[str, ...]], ragged: dict[int, int], size: int, block_size: int
) -> None:
    del block_size
    read = _read(text.encode(), _BY_POSITION, size)
    assert read.header == _NAMES
    assert dict(zip(read.numbers, read.rows, strict=True)) == rows
    assert read.ragged == [(number, _ragged(3, count)) for number, count in ragged.items()]


@pytest.mark.parametrize(
    ("text", "count"), [("1,2\n3,4,5\n", 2), ("secret\n", 1), ("1,2,3,4\n1,2,3\n", 4), ('"1,2,3"', 1)]
)
def test_a_first_row_of_another_length_is_another_kind_of_file(text: str, count: int) -> None:
    error = _refusal(text.encode(), _BY_POSITION, 2)
    assert error.reason == "column_count"
    assert error.detail == f"the first row has {count} values, the connector names 3 columns"


def test_without_a_header_columns_are_asked_for_by_their_given_names() -> None:
    assert _read(b"1,2,3\n", _BY_POSITION, columns={"c": "x", "a": "y"}).rows == [("3", "1")]


@pytest.mark.parametrize("layout", [_BY_POSITION, Format(header=False, columns=_NAMES, delimiter="¦")])
def test_an_empty_file_has_no_row_without_a_header_either(layout: Format) -> None:
    assert _refusal(b" \n\n", layout).reason == "empty_file"


# --- the quote modes of Commons CSV (Amperity's choice of them), by the rules of its documentation


_Value = str | int | None
_MODES = ["ALL", "ALL_NON_NULL", "MINIMAL", "NON_NUMERIC", "NONE"]


def _printed(value: _Value, mode: str, delimiter: str, escape: str) -> str:
    text = "" if value is None else str(value)
    special = any(sign in text for sign in (delimiter, '"', "\r", "\n", escape))
    quoted = {
        "ALL": True,
        "ALL_NON_NULL": value is not None,
        "MINIMAL": special,
        "NON_NUMERIC": isinstance(value, str),
    }
    if mode == "NONE":
        for sign in (escape, delimiter):
            text = text.replace(sign, escape + sign)
        return text.replace("\r", f"{escape}r").replace("\n", f"{escape}n")
    if not quoted[mode]:
        return text
    for sign in dict.fromkeys((escape, '"')):
        text = text.replace(sign, escape + sign)
    return f'"{text}"'


def _layout_of(mode: str, delimiter: str, escape: str) -> tuple[Format, str]:
    """Return what a connector says of a mode, and the escape that the writer then has."""
    if mode == "NONE":
        return Format(delimiter=delimiter, quote="", escape="\\", escape_unquoted=True), "\\"
    return Format(delimiter=delimiter, escape=escape), escape


@pytest.mark.parametrize(
    ("mode", "escape", "text"),
    [
        ("ALL", '"', '"id","a","b"\n"1","x ""y""","p,q"\n"2","","l\nm"\n'),
        ("ALL_NON_NULL", '"', '"id","a","b"\n"1","x ""y""","p,q"\n"2",,"l\nm"\n'),
        ("MINIMAL", '"', 'id,a,b\n1,"x ""y""","p,q"\n2,,"l\nm"\n'),
        ("NON_NUMERIC", '"', '"id","a","b"\n1,"x ""y""","p,q"\n2,,"l\nm"\n'),
        ("ALL", "\\", '"id","a","b"\n"1","x \\"y\\"","p,q"\n"2","","l\nm"\n'),
        ("ALL_NON_NULL", "\\", '"id","a","b"\n"1","x \\"y\\"","p,q"\n"2",,"l\nm"\n'),
        ("MINIMAL", "\\", 'id,a,b\n1,"x \\"y\\"","p,q"\n2,,"l\nm"\n'),
        ("NON_NUMERIC", "\\", '"id","a","b"\n1,"x \\"y\\"","p,q"\n2,,"l\nm"\n'),
        ("NONE", "\\", 'id,a,b\n1,x "y",p\\,q\n2,,l\\nm\n'),
    ],
)
def test_every_quote_mode_says_the_same(mode: str, escape: str, text: str) -> None:
    read = _read(text.encode(), _layout_of(mode, ",", escape)[0], 5)
    assert read.header == ("id", "a", "b")
    assert read.rows == [("1", 'x "y"', "p,q"), ("2", "", "l\nm")]


_TEXT = st.text(st.characters(exclude_characters="\0\x01\x1c\x1d\x1e\x1f", exclude_categories=["Cs"]), max_size=8)
_MARKED = st.text(st.sampled_from('\\",|¦\t\r\nrn x'), max_size=8)
_VALUES = st.one_of(st.none(), st.integers(), _TEXT, _MARKED)


@PROPERTY
@given(
    rows=st.lists(st.tuples(_VALUES, _VALUES, _VALUES), max_size=8),
    mode=st.sampled_from(_MODES),
    delimiter=st.sampled_from([",", "|", "\t", "¦"]),
    escape=st.sampled_from(['"', "\\"]),
    end=st.sampled_from(["\n", "\r\n"]),
    size=CHUNK_SIZES,
)
def test_every_quote_mode_comes_back(
    rows: list[tuple[_Value, _Value, _Value]], *, mode: str, delimiter: str, escape: str, end: str, size: int
) -> None:
    layout, escape = _layout_of(mode, delimiter, escape)
    lines = [_NAMES, *rows]
    text = "".join(delimiter.join(_printed(value, mode, delimiter, escape) for value in line) + end for line in lines)
    read = _read(text.encode(), layout, size)
    assert read.header == _NAMES
    assert read.rows == [tuple("" if value is None else str(value) for value in row) for row in rows]
    assert read.numbers == list(range(2, len(rows) + 2))


@pytest.mark.parametrize(
    ("name", "delimiter"),
    [
        ("Sent.txt", "\t"),
        ("SENT.TXT", "\t"),
        ("folder.csv/Sent.txt", "\t"),
        ("extract.zip!Sent.txt", "\t"),
        ("extract.txt!Sent.csv", ";"),
        ("extract.txt/Sent.csv", ";"),
        ("Sent.csv", ";"),
        ("Sent.txt.gz", ";"),
        ("tabs-1", "\t"),
        ("extract.zip!in/tabs-1", "\t"),
        ("extract.zip!Tabs-2", "\t"),
    ],
)
def test_files_of_some_names_have_tabs(name: str, delimiter: str) -> None:
    layout = Format(delimiter=";", escape="\\", tab_files=("*.txt", "Tabs-?")).for_file(name)
    assert (layout.delimiter, layout.escape) == (delimiter, "\\")
    assert _read(f"a{delimiter}b\n1{delimiter}2\n".encode(), layout).rows == [("1", "2")]


# --- bound by its header


@pytest.mark.parametrize(
    ("extras", "expected", "ignored"),
    [
        (False, [{"mail": "a@x.de", "town": "Bonn"}, {"mail": "b@x.de", "town": ""}], ("Loyalty ID", "--", "x¦y")),
        (
            True,
            [
                {"mail": "a@x.de", "town": "Bonn", "loyalty_id": "7", "x_y": "p"},
                {"mail": "b@x.de", "town": "", "loyalty_id": "8¦9", "x_y": "q"},
            ],
            ("--",),
        ),
    ],
)
def test_columns_that_no_field_asks_for_come_behind_the_fields(
    expected: list[dict[str, str]], ignored: tuple[str, ...], *, extras: bool
) -> None:
    text = 'Loyalty ID¦Town¦--¦E-Mail¦"x¦y"\n7¦Bonn¦-¦a@x.de¦p\n"8¦9"¦¦-¦b@x.de¦q\n'
    names = SourceNames({"mail": ("mail", "e_mail"), "town": ("town",), "street": ("street",)}, ("mail",), extras)
    records = DelimitedRecords(pieces(text.encode(), 3), Format(delimiter="¦"), names)
    rows = [row for batch in records.batches() for row in batch.rows.to_pylist()]
    # By name, for the fields come in the file's order.
    assert rows == expected
    assert list(rows[0])[2:] == list(expected[0])[2:]
    assert records.binding.ignored == ignored
    assert records.binding.absent == ("street",)


def test_columns_without_a_header_are_bound_by_their_given_names() -> None:
    layout = Format(header=False, columns=("E-Mail", "Loyalty ID"))
    records = DelimitedRecords(pieces(b"a@x.de,7\n", 3), layout, SourceNames({"mail": ("e_mail",)}, extras=True))
    assert [row for batch in records.batches() for row in batch.rows.to_pylist()] == [
        {"mail": "a@x.de", "loyalty_id": "7"}
    ]
