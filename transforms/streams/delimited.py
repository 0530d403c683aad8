"""Delimited text to Arrow batches of strings, with the number of every row."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from schemas.file_format import Format
from transforms.blanks import BLANKS
from transforms.streams.bad_file import BadFile
from transforms.streams.chunks import ChunkReader, peek
from transforms.streams.header import bind_header
from transforms.streams.quoting import double_quotes
from transforms.streams.records import RAGGED, Batch, Binding, RefusedRow, SourceNames, batch_of
from transforms.streams.stand_ins import StandIns

#: Bytes parsed at once. A row must fit into one block, so a quote that is never closed cannot eat the whole file.
BLOCK_SIZE: Final = 4 << 20
_HEADER_SIZE: Final = 1 << 20
_STAND_IN_QUOTE: Final = b"\x01"
_END: Final = "\x1a"


def trimmed(values: pa.StringArray) -> pa.StringArray:
    """Return the values without blanks (``transforms.blanks``) at both ends; null stays null."""
    return pc.utf8_trim(values, characters=BLANKS)


class DelimitedText:
    """A delimited file whose header has been read.

    ``header`` holds the names as they are written, or as the format gives them for a file without a header. Raises
    BadFile where there is none, or the first row has another number of values.
    """

    def __init__(self, chunks: Iterator[bytes], layout: Format) -> None:
        """Read the header of the UTF-8 text ``chunks``, written as ``layout`` says."""
        self._stand_ins = StandIns(layout)
        if self._stand_ins.needed:
            chunks = self._stand_ins.put_in(chunks)
        delimiter = self._stand_ins.delimiter
        quote = layout.quote.encode() or _STAND_IN_QUOTE
        if not layout.quote:
            chunks = _stand_in_quotes(chunks)
        if layout.escape != layout.quote and not layout.escape_unquoted:
            chunks = double_quotes(chunks, delimiter.encode(), quote, layout.escape.encode())
        head, self._chunks = peek(chunks, _HEADER_SIZE)
        self._layout = layout
        self._parsing: dict[str, Any] = {
            "delimiter": delimiter,
            "quote_char": quote.decode(),
            "double_quote": bool(layout.escape),
            "escape_char": False,
            "newlines_in_values": True,
        }
        self._parsed_names = self._read_first_row(head)
        self.header = layout.columns
        if layout.header:
            self.header = tuple(self._stand_ins.take_out(pa.array(self._parsed_names, pa.string())).to_pylist())
        elif len(self._parsed_names) != len(self.header):
            count = f"the first row has {len(self._parsed_names)} values"
            raise BadFile("column_count", f"{count}, the connector names {len(self.header)} columns")

    def _read_first_row(self, head: bytes) -> tuple[str, ...]:
        if not head.strip():
            raise BadFile("empty_file", "the clear text has no characters but blanks")
        options = csv.ParseOptions(**self._parsing, invalid_row_handler=lambda _: "skip")
        reading = csv.ReadOptions(use_threads=False, block_size=2 * _HEADER_SIZE)
        try:
            file = io.BytesIO(head + b"\n")  # a header that nothing follows would not be taken for one
            return tuple(csv.open_csv(file, read_options=reading, parse_options=options).schema.names)
        except (pa.ArrowInvalid, UnicodeDecodeError):
            raise BadFile("not_delimited_text", "no header row can be read") from None

    def batches(self, columns: Mapping[str, str]) -> Iterator[Batch]:
        """Yield the rows.

        ``columns`` maps names of the header to names of the batch's columns, which come in its order. Raises BadFile
        where the text cannot be parsed, at the end where a quote was never closed; the text of a row is never part of
        the message.
        """
        refused: list[RefusedRow] = []
        # One row too long behind the last one: where it is not met, an open quote has swallowed it and rows before it.
        last = _END + self._parsing["delimiter"] * len(self.header)
        complete = False

        def note(row: csv.InvalidRow) -> str:
            nonlocal complete
            if row.text == last:
                complete = True
            else:
                detail = f"{row.actual_columns} values where the header has {row.expected_columns}"
                refused.append(RefusedRow(row.number, RAGGED, detail))
            return "skip"

        numbers = _RowNumbers(2 if self._layout.header else 1)
        called = dict(zip(self.header, self._parsed_names if self._layout.header else self.header, strict=True))
        included = [called[name] for name in columns] or [called[self.header[0]]]  # none at all would mean every one
        chunks = itertools.chain(_without(last.encode(), self._chunks), (f"\n{last}\n".encode(),))
        try:
            reader = csv.open_csv(
                pa.PythonFile(io.BufferedReader(ChunkReader(chunks), BLOCK_SIZE), mode="r"),
                # With threads the parser does not know row numbers.
                read_options=csv.ReadOptions(
                    use_threads=False,
                    block_size=BLOCK_SIZE,
                    column_names=None if self._layout.header else list(self.header),
                ),
                parse_options=csv.ParseOptions(**self._parsing, invalid_row_handler=note),
                convert_options=csv.ConvertOptions(
                    column_types=dict.fromkeys(included, pa.string()),
                    include_columns=included,
                    strings_can_be_null=False,
                    check_utf8=False,  # the decoder before has made sure of it
                ),
            )
            while True:
                try:
                    rows = reader.read_next_batch()
                except StopIteration:
                    break
                met = tuple(refused)
                refused.clear()
                if rows.num_rows or met:
                    named = self._named(rows, list(columns.values()))
                    yield Batch(named, numbers.take(rows.num_rows, met), met)
        except pa.ArrowInvalid as error:
            raise _unparsable(error) from None
        if not complete:
            raise BadFile("not_delimited_text", "a quote is never closed")
        if refused:
            empty = batch_of([pa.array([], pa.string())] * len(columns), list(columns.values()), 0)
            yield Batch(empty, pa.array([], pa.int64()), tuple(refused))

    def _named(self, rows: pa.RecordBatch, fields: list[str]) -> pa.RecordBatch:
        values = rows.columns[: len(fields)]
        if self._stand_ins.needed:
            values = [self._stand_ins.take_out(column) for column in values]
        return batch_of(values, fields, rows.num_rows)


class DelimitedRecords:
    """The rows of a delimited file, bound by its header."""

    def __init__(self, chunks: Iterator[bytes], layout: Format, names: SourceNames) -> None:
        """Read and bind the header of the UTF-8 text ``chunks``; raises BadFile where it does not bind."""
        self._text = DelimitedText(chunks, layout)
        self._binding = bind_header(self._text.header, names)

    @property
    def binding(self) -> Binding:
        """Which names of the header were bound."""
        return self._binding

    def batches(self) -> Iterator[Batch]:
        """Yield the rows, the fields' columns first and those of the extras behind them."""
        return self._text.batches({**self._binding.columns, **self._binding.extras})


class _RowNumbers:
    """Numbers the rows that are left when refused ones are taken out."""

    def __init__(self, first: int) -> None:
        self._next = first
        self._skipped = np.empty(0, dtype=np.int64)

    def take(self, count: int, refused: tuple[RefusedRow, ...]) -> pa.Int64Array:
        if refused:
            more = np.fromiter((row.number for row in refused), dtype=np.int64, count=len(refused))
            self._skipped = np.concatenate([self._skipped, more])
        candidates = np.arange(self._next, self._next + count + len(self._skipped), dtype=np.int64)
        keep = np.ones(len(candidates), dtype=np.bool_)
        keep[self._skipped[self._skipped < self._next + len(candidates)] - self._next] = False
        taken = candidates[keep][:count]
        if count:
            self._next = int(taken[-1]) + 1
        ahead = self._skipped[np.searchsorted(self._skipped, self._next) :]
        gaps = np.flatnonzero(ahead != self._next + np.arange(len(ahead)))
        adjacent = int(gaps[0]) if len(gaps) else len(ahead)  # skipped right behind the last row: settled as well
        self._next += adjacent
        self._skipped = ahead[adjacent:]
        return pa.array(taken)


def _stand_in_quotes(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Replace U+0000, with which Spark's writer quotes when quotes are switched off, by a quote the parser can take."""
    for chunk in chunks:
        if _STAND_IN_QUOTE in chunk:
            raise BadFile("not_delimited_text", "the text holds the control character U+0001")
        yield chunk.replace(b"\x00", _STAND_IN_QUOTE)


def _without(mark: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Refuse text that holds the mark of its own end: a row would be taken for the end, and lost."""
    reach = len(mark) - 1
    before = b""
    for chunk in chunks:
        begun = mark[:1] in before or mark[:1] in chunk  # a single byte is found ten times as fast
        if begun and (mark in chunk or mark in before + chunk[:reach]):
            detail = f"the text holds the control character U+001A with {reach} delimiters behind it"
            raise BadFile("not_delimited_text", detail)
        yield chunk
        before = (before + chunk[-reach:])[-reach:]


def _unparsable(error: pa.ArrowInvalid) -> BadFile:
    if "straddling" in str(error):
        return BadFile("not_delimited_text", f"a row is longer than {BLOCK_SIZE >> 20} MiB, or a quote is never closed")
    return BadFile("not_delimited_text", "the rows cannot be split into values")
