"""Control characters that stand in for what the CSV parser cannot take, put in before parsing and taken out after.

The parser knows delimiters of one byte alone, and no escape before a delimiter without quotes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from schemas.file_format import Format
from transforms.streams.bad_file import BadFile

#: What may be put in: control characters that no text of ours has a use for.
_START, _FILE, _GROUP, _RECORD, _UNIT = b"\x01", b"\x1c", b"\x1d", b"\x1e", b"\x1f"
_SEPARATORS: Final = re.compile(b"[\x1c-\x1f]")
_SEPARATORS_AND_START: Final = re.compile(b"[\x01\x1c-\x1f]")


class StandIns:
    """The stand-ins of one format. ``delimiter`` is what the parser is told; ``needed`` tells whether there are any."""

    def __init__(self, layout: Format) -> None:
        """Choose stand-ins for what ``layout`` has."""
        delimiter = layout.delimiter.encode()
        self.delimiter = layout.delimiter
        self._swaps: list[tuple[bytes, bytes]] = []  # text, stand-in
        self._escape = layout.escape.encode() if layout.escape_unquoted else b""
        if len(delimiter) > 1:
            self.delimiter = _UNIT.decode()
            self._swaps = [(delimiter, _UNIT)]
        self._meanings = {
            delimiter: _FILE,
            delimiter[:1]: _FILE if len(delimiter) == 1 else delimiter[:1],
            self._escape: self._escape,
            b"n": _GROUP,
            b"\n": _GROUP,
            b"r": _RECORD,
            b"\r": _RECORD,
        }
        self._restored = [(_FILE, delimiter), (_GROUP, b"\n"), (_RECORD, b"\r")] if self._escape else []
        self._restored += [(stand_in, text) for text, stand_in in self._swaps]
        self._own = _SEPARATORS
        if self._escape and layout.quote:  # an escaped quote opens and closes nothing
            self._own = _SEPARATORS_AND_START
            self._meanings[layout.quote.encode()] = _START
            self._restored.append((_START, layout.quote.encode()))

    @property
    def needed(self) -> bool:
        """Whether the format has anything to stand in for."""
        return bool(self._restored)

    def put_in(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Yield the UTF-8 text with stand-ins. Raises BadFile where the text has such characters of its own."""
        held = b""
        for chunk in chunks:
            if found := self._own.search(chunk):
                raise BadFile("not_delimited_text", f"the text holds the control character U+{found[0][0]:04X}")
            data = held + chunk
            cut = self._safe_end(data)
            data, held = data[:cut], data[cut:]
            if data:
                yield self._replace(data)
        if held:
            yield self._replace(held)

    def _safe_end(self, data: bytes) -> int:
        """Return where ``data`` can be cut without parting a delimiter, or an escape from what follows it."""
        end = len(data)
        for text, _ in self._swaps:
            for size in range(1, len(text)):
                if data.endswith(text[:size]):
                    end = len(data) - size
        if self._escape:
            run = end - len(data[:end].rstrip(self._escape))
            end -= run % 2
        return end

    def _replace(self, data: bytes) -> bytes:
        if self._escape and self._escape in data:
            escape = re.escape(self._escape)
            longest = re.escape(max(self._meanings, key=len))
            data = re.sub(escape + b"(" + longest + b"|.)", self._meaning, data, flags=re.DOTALL)
        for text, stand_in in self._swaps:
            data = data.replace(text, stand_in)
        return data

    def _meaning(self, found: re.Match[bytes]) -> bytes:
        return self._meanings.get(found[1], found[1])

    def take_out(self, values: pa.StringArray) -> pa.StringArray:
        """Return parsed values with the text that the stand-ins were put in for."""
        for stand_in, text in self._restored:
            values = pc.replace_substring(values, pattern=stand_in.decode(), replacement=text.decode())
        return values
