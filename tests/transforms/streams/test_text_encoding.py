from __future__ import annotations

import codecs

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.transforms.streams.pieces import CHUNK_SIZES, PROPERTY, pieces
from transforms.streams.bad_file import BadFile
from transforms.streams.text_encoding import to_utf8

_MARKS = {"utf-8": codecs.BOM_UTF8, "utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}
_LEAD = "more than is looked at first, "
_TEXT = "id,Größe,名前,😀\n1,é,ß,\U0010ffff\n"


def _to_utf8(data: bytes, size: int, encoding: str = "utf-8") -> bytes:
    return b"".join(to_utf8(pieces(data, size), encoding))


def _refusal(data: bytes, size: int, encoding: str = "utf-8") -> str:
    with pytest.raises(BadFile) as caught:
        _to_utf8(data, size, encoding)
    assert caught.value.reason == "undecodable_text"
    return caught.value.detail


@PROPERTY
@given(st.text(max_size=60), st.sampled_from(sorted(_MARKS)), CHUNK_SIZES)
def test_marked_text_becomes_utf8_without_the_mark(text: str, encoding: str, size: int) -> None:
    for whole in (text, _LEAD + text):
        assert _to_utf8(_MARKS[encoding] + whole.encode(encoding), size) == whole.encode()


@PROPERTY
@given(st.text(st.characters(exclude_characters="\0\ufeff", exclude_categories=["Cs"]), max_size=60), CHUNK_SIZES)
def test_unmarked_utf8_stays_as_it_is(text: str, size: int) -> None:
    for whole in (text, _LEAD + text):
        assert _to_utf8(whole.encode(), size) == whole.encode()


@pytest.mark.parametrize("encoding", sorted(_MARKS))
def test_characters_may_be_split_anywhere(encoding: str) -> None:
    data = _MARKS[encoding] + (_LEAD + _TEXT).encode(encoding)
    for size in range(1, len(data) + 1):
        assert _to_utf8(data, size) == (_LEAD + _TEXT).encode()


def test_a_mark_inside_the_text_stays() -> None:
    assert _to_utf8(b"a\xef\xbb\xbfb", 2) == "a\ufeffb".encode()


@pytest.mark.parametrize(("data", "expected"), [(b"", b""), *((mark, b"") for mark in _MARKS.values()), (b"a", b"a")])
def test_nothing_but_a_mark_is_empty_text(data: bytes, expected: bytes) -> None:
    assert _to_utf8(data, 1) == expected


@PROPERTY
@given(st.binary(max_size=40), st.sampled_from(["", *sorted(_MARKS)]), st.sampled_from(["", _LEAD]), CHUNK_SIZES)
def test_bytes_that_python_refuses_are_refused_at_the_same_place(
    some: bytes, marked: str, lead: str, size: int
) -> None:
    mark = _MARKS.get(marked, b"")
    rest = lead.encode(marked or "utf-8") + some
    assume(mark or (not rest.startswith(tuple(_MARKS.values())) and b"\0" not in rest))
    wrong_at = None
    try:
        expected = rest.decode(marked or "utf-8").encode()
    except UnicodeDecodeError as error:
        wrong_at = len(mark) + error.start
    if wrong_at is None:
        assert _to_utf8(mark + rest, size) == expected
    else:
        assert f"near byte {wrong_at} of" in _refusal(mark + rest, size)


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize(
    ("data", "offset"),
    [
        (b"id,name\n1,Jos\xe9\n", 13),  # Latin-1
        (b"id,name\n1,Jos\xc3", 13),  # cut inside a character
        (b"\xe9", 0),
        (b"a" * 5000 + b"\x80", 5000),
        (b"\xc3\xa9\xc3\xa9\xf0\x9f\x98a", 4),
        (b"\xed\xa0\x80", 0),  # a surrogate in UTF-8
        (b"\xc0\x80", 0),  # an overlong zero
        (b"\xef\xbb\xbfab\xff", 5),
        (b"\xff\xfea\x00\x00\xd8b\x00", 4),  # a high surrogate alone
        (b"\xff\xfea\x00\x00\xdcb\x00", 4),  # a low surrogate alone
        (b"\xfe\xff\x00a\xd8\x00\x00b", 4),
        (b"\xff\xfea\x00\x00\xd8", 4),  # a high surrogate at the end
        (b"\xff\xfea\x00b", 4),  # an odd number of bytes
        (b"\xfe\xff\x00a\x00", 4),
    ],
)
def test_what_is_not_text_is_refused_with_its_offset(data: bytes, offset: int, size: int) -> None:
    assert f"near byte {offset} of" in _refusal(data, size)
    name, mark = next(((name, mark) for name, mark in _MARKS.items() if data.startswith(mark)), ("utf-8", b""))
    lead = mark + _LEAD.encode(name)
    assert f"near byte {len(lead) - len(mark) + offset} of" in _refusal(lead + data[len(mark) :], size)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", ["a,b", "email,phone\n", "email,phone\na@example.com,é\n"])
def test_utf16_without_a_mark_does_not_pass_for_utf8(text: str, encoding: str) -> None:
    assert "without a byte order mark" in _refusal(text.encode(encoding), 3)


@pytest.mark.parametrize("text", [b"\0a,b\0,c\n", b"a,\0b,c\0\n", b"\0\0\0\0\0", b"a\0", b"\0a\0,\0bc\0\n1,2\n"])
def test_zeros_that_are_quotes_stay(text: bytes) -> None:
    assert _to_utf8(text, 2) == text


# --- where the source says what it writes


#: Bytes of windows-1252 that stand for nothing (Unicode's table CP1252.TXT).
_UNDEFINED = [0x81, 0x8D, 0x8F, 0x90, 0x9D]


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize(
    ("encoding", "data", "expected"),
    [
        ("iso-8859-1", b"Jos\xe9,K\xf6ln\n", "José,Köln\n"),
        ("iso-8859-1", b"\x80\x93\n", "\u0080\u0093\n"),  # controls, no euro and no quote
        ("windows-1252", b"\x80 5,\x93Zo\xeb\x94\n", "€ 5,“Zoë”\n"),
        ("windows-1252", b"\xc3\xa9\n", "Ã©\n"),  # UTF-8 that is called something else
        ("utf-16-le", b"a\0,\0\xe9\0\n\0", "a,é\n"),
        ("utf-16-be", b"\0a\0,\0\xe9\0\n", "a,é\n"),
        ("utf-16-le", b"=\xd8\x00\xde", "😀"),
        ("utf-8", b"Jos\xc3\xa9\n", "José\n"),
    ],
)
def test_text_is_in_the_encoding_that_was_named(encoding: str, data: bytes, expected: str, size: int) -> None:
    assert _to_utf8(data, size, encoding) == expected.encode()
    assert _to_utf8(_LEAD.encode(encoding) + data, size, encoding) == (_LEAD + expected).encode()


@PROPERTY
@given(st.binary(max_size=60), CHUNK_SIZES)
def test_every_byte_is_a_letter_of_latin_1(data: bytes, size: int) -> None:
    expected = "".join(map(chr, data)).encode()
    if data.startswith(tuple(_MARKS.values())) or (len(data) > 3 and 0 in data[:16]):
        data, expected = b"x" * 16 + data, b"x" * 16 + expected
    assert _to_utf8(data, size, "iso-8859-1") == expected


@pytest.mark.parametrize("size", [1, 5, 1000])
@pytest.mark.parametrize("wrong", _UNDEFINED)
def test_a_byte_that_stands_for_nothing_is_refused_with_its_offset(wrong: int, size: int) -> None:
    data = "id,na\xefve\n".encode("cp1252") + bytes([wrong]) + b"x\n"
    assert _refusal(data, size, "windows-1252") == "not WINDOWS-1252 near byte 9 of the clear text"
    assert "near byte 3000 of" in _refusal(b"a" * 3000 + bytes([wrong]), size, "windows-1252")


def test_every_other_byte_of_windows_1252_stands_for_something() -> None:
    data = b"x" * 16 + bytes(byte for byte in range(256) if byte not in _UNDEFINED)
    assert len(_to_utf8(data, 7, "windows-1252").decode()) == len(data)


@PROPERTY
@given(st.text(st.characters(exclude_characters="\ufeff", exclude_categories=["Cs"]), max_size=60), CHUNK_SIZES)
def test_utf_16_needs_no_mark_where_it_is_named(text: str, size: int) -> None:
    for encoding in ("utf-16-le", "utf-16-be"):
        data = text.encode(encoding)
        assume(not data.startswith(tuple(_MARKS.values())))  # letters that would say otherwise
        assert _to_utf8(data, size, encoding) == text.encode()


@pytest.mark.parametrize(
    ("data", "offset"), [(b"a\0b", 2), (b"a\0\x00\xd8b\0", 2), (b"a\0\x00\xdcb\0", 2), (b"a\0\x00\xd8", 2)]
)
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_what_is_not_utf_16_is_refused_with_its_offset(data: bytes, offset: int, size: int) -> None:
    assert _refusal(data, size, "utf-16-le") == f"not UTF-16-LE near byte {offset} of the clear text"


@pytest.mark.parametrize("named", ["utf-8", "utf-16-le", "utf-16-be", "iso-8859-1", "windows-1252"])
@pytest.mark.parametrize("marked", sorted(_MARKS))
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_mark_counts_for_more_than_the_name(marked: str, named: str, size: int) -> None:
    assert _to_utf8(_MARKS[marked] + _TEXT.encode(marked), size, named) == _TEXT.encode()


@pytest.mark.parametrize("named", ["utf-8", "iso-8859-1", "windows-1252"])
def test_utf_16_without_a_mark_passes_for_no_other_encoding(named: str) -> None:
    assert "without a byte order mark" in _refusal("email,phone\n".encode("utf-16-le"), 3, named)
