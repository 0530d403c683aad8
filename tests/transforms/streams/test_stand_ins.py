"""Delimiters of several bytes, and escapes without quotes. Commons CSV's rules are written down here once more."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.file_format import Format
from tests.transforms.streams.pieces import CHUNK_SIZES, PROPERTY, pieces
from transforms.streams.bad_file import BadFile
from transforms.streams.delimited import DelimitedText
from transforms.streams.stand_ins import StandIns

Rows = list[tuple[str, str, str]]

_DELIMITERS = [",", "|", "\t", "¦", "§", "→"]
_WIDE = ["¦", "§", "→"]
_NONE = Format(quote="", escape="\\", escape_unquoted=True)

# Signs that mean something, their first bytes in other letters (© begins as ¦ does, † as → does), and anything else.
_SIGNS = st.sampled_from([*_DELIMITERS, "\\", "r", "n", "\r", "\n", '"', "'", " ", "©", "†", "⇒"])
_ANY = st.characters(exclude_characters="\0\x01\x1c\x1d\x1e\x1f", exclude_categories=["Cs"])
_CELLS = st.text(st.one_of(_SIGNS, _ANY), max_size=8)
_ROWS = st.lists(st.tuples(_CELLS, _CELLS, _CELLS), max_size=8)


def _read(text: str, layout: Format, size: int) -> Rows:
    read = DelimitedText(pieces(text.encode(), size), layout)
    assert read.header == ("a", "b", "c")
    batches = list(read.batches({name: name for name in read.header}))
    assert [row for batch in batches for row in batch.refused] == []
    return [(row["a"], row["b"], row["c"]) for batch in batches for row in batch.rows.to_pylist()]


def _escaped(value: str, delimiter: str, escape: str, *, raw_breaks: bool) -> str:
    """Write a value as Commons CSV does without quotes.

    An escape stands before the delimiter and before itself. Line breaks become an escape and a letter; other writers
    leave the break itself behind the escape.
    """
    written = ""
    for sign in value:
        if sign in (delimiter, escape):
            written += escape + sign
        elif sign in "\r\n":
            written += escape + (sign if raw_breaks else {"\r": "r", "\n": "n"}[sign])
        else:
            written += sign
    return written


@pytest.mark.parametrize(
    ("layout", "delimiter", "needed"),
    [
        (Format(), ",", False),
        (Format(delimiter="\t", escape="\\"), "\t", False),
        (Format(delimiter="¦"), "\x1f", True),
        (Format(delimiter="→", quote="", escape=""), "\x1f", True),
        (_NONE, ",", True),
        (Format(delimiter="§", quote="", escape="\\", escape_unquoted=True), "\x1f", True),
    ],
)
def test_stand_ins_are_for_what_the_parser_cannot_take(layout: Format, delimiter: str, *, needed: bool) -> None:
    stand_ins = StandIns(layout)
    assert (stand_ins.delimiter, stand_ins.needed) == (delimiter, needed)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 1000])
@pytest.mark.parametrize("delimiter", _WIDE)
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a¦b¦c\n1¦2¦3\n", [("1", "2", "3")]),
        ("a¦b¦c\n¦¦\n", [("", "", "")]),
        ('"a"¦"b"¦"c"\n"1¦2"¦"¦"¦"¦¦"\n', [("1¦2", "¦", "¦¦")]),
        ('a¦b¦c\n"x\n¦y"¦"say ""¦"""¦z\n', [("x\n¦y", 'say "¦"', "z")]),
        ("a¦b¦c\n©¦†¦é\n", [("©", "†", "é")]),  # other letters that begin as a delimiter does
        ("a¦b¦c\n1,2¦3;4¦5|6\n", [("1,2", "3;4", "5|6")]),
        ("a¦b¦c\n1¦2¦", [("1", "2", "")]),
    ],
)
def test_a_delimiter_may_have_several_bytes(text: str, expected: Rows, delimiter: str, size: int) -> None:
    wanted = [(a.replace("¦", delimiter), b.replace("¦", delimiter), c.replace("¦", delimiter)) for a, b, c in expected]
    assert _read(text.replace("¦", delimiter), Format(delimiter=delimiter), size) == wanted


@PROPERTY
@given(_ROWS, st.sampled_from(_WIDE), CHUNK_SIZES)
def test_what_python_writes_with_any_delimiter_comes_back(rows: Rows, delimiter: str, size: int) -> None:
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=delimiter, lineterminator="\r\n").writerows([("a", "b", "c"), *rows])
    assert _read(file.getvalue(), Format(delimiter=delimiter), size) == rows


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("plain", "plain"),
        ("5 Dock\\, Bonn", "5 Dock, Bonn"),
        ("C:\\\\new", "C:\\new"),  # not a line break
        ("C:\\\\\\n", "C:\\\n"),
        ("\\\\\\\\", "\\\\"),
        ("\\\\\\,", "\\,"),
        ("one\\ntwo", "one\ntwo"),
        ("one\\r\\ntwo", "one\r\ntwo"),
        ("one\\\ntwo", "one\ntwo"),
        ("one\\\r\\\ntwo", "one\r\ntwo"),
        ('5" pipe', '5" pipe'),
        ('"quoted"', '"quoted"'),  # a quote is a letter here
        ('\\"quoted\\"', '"quoted"'),
        ("", ""),
        (" \\, ", " , "),
        ("Zoë→\\,名", "Zoë→,名"),
    ],
)
def test_an_escape_without_quotes(written: str, value: str, size: int) -> None:
    text = f"a,b,c\n{written},x,{written}\ny,{written},z\n"
    assert _read(text, _NONE, size) == [(value, "x", value), ("y", value, "z")]


@PROPERTY
@given(
    rows=_ROWS,
    delimiter=st.sampled_from(_DELIMITERS),
    escape=st.sampled_from(["\\", "'", "~"]),
    end=st.sampled_from(["\n", "\r\n"]),
    raw_breaks=st.booleans(),
    size=CHUNK_SIZES,
)
def test_what_is_written_without_quotes_comes_back(
    rows: Rows, delimiter: str, escape: str, end: str, *, raw_breaks: bool, size: int
) -> None:
    lines = [delimiter.join("abc")]
    lines += [
        delimiter.join(_escaped(value, delimiter, escape, raw_breaks=raw_breaks) for value in row) for row in rows
    ]
    layout = Format(delimiter=delimiter, quote="", escape=escape, escape_unquoted=True)
    assert _read("".join(line + end for line in lines), layout, size) == rows


@PROPERTY
@given(_ROWS, st.sampled_from(_DELIMITERS), CHUNK_SIZES)
def test_what_python_writes_without_quotes_comes_back(rows: Rows, delimiter: str, size: int) -> None:
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_NONE, escapechar="\\", lineterminator="\r\n")
    writer.writerows([("a", "b", "c"), *rows])
    layout = Format(delimiter=delimiter, quote="", escape="\\", escape_unquoted=True)
    assert _read(file.getvalue(), layout, size) == rows


@PROPERTY
@given(_ROWS, st.lists(st.booleans(), min_size=3, max_size=3), st.sampled_from(_DELIMITERS), CHUNK_SIZES)
def test_some_values_may_be_quoted_where_others_are_escaped(
    rows: Rows, quoted: list[bool], delimiter: str, size: int
) -> None:
    def written(value: str, *, quote: bool) -> str:
        if quote:
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        return _escaped(value, delimiter, "\\", raw_breaks=False).replace('"', '\\"')

    lines = [delimiter.join("abc")]
    lines += [delimiter.join(written(value, quote=is_one) for value, is_one in zip(row, quoted, strict=True))
              for row in rows]  # fmt: skip
    layout = Format(delimiter=delimiter, escape="\\", escape_unquoted=True)
    assert _read("".join(line + "\n" for line in lines), layout, size) == rows


@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize("sign", ["\x1c", "\x1d", "\x1e", "\x1f"])
@pytest.mark.parametrize("layout", [Format(delimiter="¦"), _NONE, Format(escape="\\", escape_unquoted=True)])
@pytest.mark.parametrize("text", ["{}a¦b\n1¦2\n", "a¦b\n1¦secret{}\n", 'a¦b\n1¦"secret{}"\n', "a¦b\n1¦2{}"])
def test_text_with_control_characters_of_its_own_is_refused(text: str, layout: Format, sign: str, size: int) -> None:
    with pytest.raises(BadFile) as caught:
        list(DelimitedText(pieces(text.replace("¦", layout.delimiter).format(sign).encode(), size), layout).batches({}))
    assert caught.value.reason == "not_delimited_text"
    assert f"U+00{ord(sign):02X}" in caught.value.detail
    assert "secret" not in caught.value.detail


@pytest.mark.parametrize("sign", ["\x1c", "\x1d", "\x1e", "\x1f", "\x01"])
@pytest.mark.parametrize("layout", [Format(), Format(escape="\\"), Format(delimiter="\t")])
def test_where_nothing_stands_in_control_characters_are_text(layout: Format, sign: str) -> None:
    text = "a,b,c\nx{0},{0},{0}y\n".replace(",", layout.delimiter).format(sign)
    assert _read(text, layout, 7) == [(f"x{sign}", sign, f"{sign}y")]


def test_an_escaped_quote_needs_a_character_more() -> None:
    assert _read("a¦b¦c\n1¦\x01¦3\n", Format(delimiter="¦"), 5) == [("1", "\x01", "3")]
    with pytest.raises(BadFile, match=r"U\+0001"):
        _read("a,b,c\n1,\x01,3\n", Format(escape="\\", escape_unquoted=True), 5)


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("a¦b\n", ("a", "b")),
        ('"a¦b"¦c\n1¦2\n', ("a¦b", "c")),
        ("Größe¦名前\n", ("Größe", "名前")),
    ],
)
def test_names_of_the_header_have_what_was_stood_in_for(text: str, header: tuple[str, ...]) -> None:
    assert DelimitedText(pieces(text.encode(), 2), Format(delimiter="¦")).header == header


def test_names_of_the_header_may_be_escaped() -> None:
    assert DelimitedText(pieces(b"a\\,b,c\\nd\n1,2\n", 2), _NONE).header == ("a,b", "c\nd")


def test_an_escape_at_the_very_end_is_text() -> None:
    assert _read("a,b,c\n1,2,3\\", _NONE, 1) == [("1", "2", "3\\")]
