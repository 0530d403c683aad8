"""JSON lines, an array of objects, or objects one after the other, to Arrow batches of strings."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any, Final

from schemas.value_path import Number
from transforms.streams.bad_file import BadFile
from transforms.streams.chunks import peek
from transforms.streams.delimited import BLOCK_SIZE
from transforms.streams.nested import SLICE, NestedRows
from transforms.streams.records import UNREADABLE, Batch, Binding, RefusedRow, SourceNames

_BLANKS: Final = " \t\r\n"  # JSON's, which are fewer than Python's
_NO_BLANK: Final = re.compile(r"[^ \t\r\n]")
_EMPTY_LINES: Final = re.compile(r"\A(?:\{\}[ \t\r]*\n[ \t\r\n]*)+")
_NOT_AN_OBJECT: Final = "not a JSON object"
_TOO_DEEP: Final = "nested too deeply"


class _NotStrictError(ValueError):
    """Something that Python's parser would let pass."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _NotStrictError("an object has a key twice")
    return members


def _constant(_: str) -> None:
    raise _NotStrictError("NaN and Infinity are not JSON")


# pyarrow.json reads 880,000 profiles a second where this reads 180,000, but it guesses types and fails where they mix.
_decode: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=Number, parse_float=Number, parse_constant=_constant
).raw_decode
_decode_loosely: Final = json.JSONDecoder(parse_int=Number, parse_float=Number).raw_decode


class JsonRecords:
    """The records of a JSON file.

    Every line is an object, or the whole text is one array of objects or objects one after the other. Rows are numbered
    from 1: lines that are not blank, or elements. What is not one JSON object is a refused row; numbers keep the text
    that they were written with.
    """

    def __init__(self, chunks: Iterator[bytes], names: SourceNames) -> None:
        """Read the UTF-8 text ``chunks``; raises ValueError where one of the ``names`` is malformed."""
        self._chunks = chunks
        self._rows = NestedRows(names)

    @property
    def binding(self) -> Binding:
        """Which names were bound; complete only after the last batch."""
        return self._rows.binding

    def batches(self) -> Iterator[Batch]:
        """Yield the rows, about a block of text at a time.

        Raises BadFile: ``empty_file`` where there are only blanks, ``not_json`` where no line is an object, a line is
        longer than BLOCK_SIZE, or a text that is not lines cannot be parsed to its end, ``ambiguous_header`` where two
        names mean one column, and ``missing_column`` at the end where a required field was never met.
        """
        head, chunks = peek(self._chunks, BLOCK_SIZE)
        document = _is_document(head)
        found = _elements(chunks) if document else _lines(chunks)
        number = readable = 0
        for parsed in found:
            records: list[dict[str, Any]] = []
            numbers: list[int] = []
            refused: list[RefusedRow] = []
            for record in parsed:
                number += 1
                if isinstance(record, dict):
                    records.append(record)
                    numbers.append(number)
                else:
                    refused.append(RefusedRow(number, UNREADABLE, record))
            readable += len(records)
            self._rows.add(records, numbers, refused)
            if self._rows.full:
                yield from self._rows.take()
        yield from self._rows.take()
        if not number and not document:
            raise BadFile("empty_file", "the clear text has no characters but blanks")
        if number and not readable:
            raise BadFile("not_json", f"none of {number} lines or elements is a JSON object")
        self._rows.finish()


#: An object, or why there is none.
_Parsed = dict[str, Any] | str


def _lines(chunks: Iterator[bytes]) -> Iterator[list[_Parsed]]:
    for block in _blocks(chunks):
        lines = [line for raw in block.decode().split("\n") if (line := raw.strip(_BLANKS))]
        for start in range(0, len(lines), SLICE):
            yield [_parse_line(line) for line in lines[start : start + SLICE]]


def _parse_line(line: str) -> _Parsed:
    try:
        record, end = _decode(line)
    except json.JSONDecodeError:
        return _NOT_AN_OBJECT
    except _NotStrictError as error:
        return str(error)
    except RecursionError:
        return _TOO_DEEP
    return record if end == len(line) and isinstance(record, dict) else _NOT_AN_OBJECT


def _blocks(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Cut the text at ends of lines into blocks of at most BLOCK_SIZE."""
    held: list[bytes] = []
    size = 0
    for chunk in chunks:
        held.append(chunk)
        size += len(chunk)
        if size > BLOCK_SIZE:
            text = b"".join(held)
            start = 0
            while len(text) - start > BLOCK_SIZE:
                end = text.rfind(b"\n", start, start + BLOCK_SIZE + 1)
                if end < 0:
                    raise BadFile("not_json", f"a line is longer than {BLOCK_SIZE >> 20} MiB")
                yield text[start:end]
                start = end + 1
            held = [text[start:]]
            size = len(held[0])
    yield b"".join(held)


def _is_document(head: bytes) -> bool:
    """Tell an array, and objects one after the other, from lines: the first object does not end where its line does."""
    text = head.decode(errors="ignore").lstrip(_BLANKS)  # the last character may be cut
    if text.startswith("["):
        return True
    text = _EMPTY_LINES.sub("", text, count=1)  # even where objects are written over several lines, {} is one
    try:
        _, end = _decode_loosely(text)
    except (ValueError, RecursionError):
        return False
    rest, _, _ = text[end:].partition("\n")
    return "\n" in text[:end] or rest.lstrip(_BLANKS).startswith("{")


def _elements(chunks: Iterator[bytes]) -> Iterator[list[_Parsed]]:
    document = _Document(chunks)
    parsed: list[_Parsed] = []
    start = 0
    for element in document.elements():
        parsed.append(element)
        if len(parsed) == SLICE or document.position - start >= BLOCK_SIZE:
            yield parsed
            parsed = []
            start = document.position
    if parsed:
        yield parsed


class _Document:
    """Text that is one array, or values one after the other; a value must fit into BLOCK_SIZE."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._text = ""
        self._at = 0
        self._before = 0  # characters that are no longer held

    @property
    def position(self) -> int:
        return self._before + self._at

    def elements(self) -> Iterator[_Parsed]:
        array = self._next() == "["
        closing = "]" if array else ""
        self._at += array
        first = True
        while (following := self._next()) != closing:
            if array and not first:
                if following != ",":
                    raise self._unparsable(self._at)
                self._at += 1
                self._next()
            yield self._value()
            first = False
        self._at += array
        if self._next():
            raise self._unparsable(self._at)

    def _next(self) -> str:
        """Skip blanks and return the character behind them, which stays; nothing at the end."""
        while (found := _NO_BLANK.search(self._text, self._at)) is None:
            self._at = len(self._text)
            if not self._fill():
                return ""
        self._at = found.start()
        return found[0]

    def _value(self) -> _Parsed:
        while True:
            try:
                value, end = self._decode()
            except json.JSONDecodeError as error:
                if self._fill():
                    continue
                raise self._unparsable(error.pos) from None
            except RecursionError:
                raise BadFile("not_json", f"{_TOO_DEEP} from character {self.position + 1} on") from None
            # A number may go on behind the held text; of 1.5, 1e5 and 1e+5 the parser takes 1 where the rest is cut.
            if end + len("e+") < len(self._text) or not self._fill():
                self._at = end
                return value

    def _decode(self) -> tuple[_Parsed, int]:
        try:
            value, end = _decode(self._text, self._at)
        except _NotStrictError as error:
            return str(error), _decode_loosely(self._text, self._at)[1]
        return value if isinstance(value, dict) else _NOT_AN_OBJECT, end

    def _fill(self) -> bool:
        """Hold text up to BLOCK_SIZE; tell whether there was more."""
        rest = self._text[self._at :]
        more: list[str] = []
        size = len(rest)
        while size < BLOCK_SIZE and (chunk := next(self._chunks, None)) is not None:
            more.append(self._decoder.decode(chunk))
            size += len(more[-1])
        if size == len(rest):
            return False
        self._before += self._at
        self._text = "".join((rest, *more))
        self._at = 0
        return True

    def _unparsable(self, at: int) -> BadFile:
        return BadFile("not_json", f"the text cannot be parsed near character {self._before + at + 1}")
