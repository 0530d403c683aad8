r"""From quotes that are escaped with a character (as Spark and so Adobe write them) to quotes that are doubled.

Adobe's CSV comes from Spark's writer: inside a quoted value a quote is ``\"`` and the escape itself ``\\``, while in
an unquoted value a backslash is a backslash. No fast CSV parser knows that difference (they unescape unquoted values
too, and ``5 Dock\,`` would swallow its neighbour), so quoted values are rewritten to RFC 4180 before parsing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np


def double_quotes(chunks: Iterator[bytes], delimiter: bytes, quote: bytes, escape: bytes) -> Iterator[bytes]:
    """Yield the same delimited text with every quoted value in RFC 4180 form.

    ``delimiter``, ``quote`` and ``escape`` are one byte each, quote and escape differ. A quote opens a value only at
    its start; elsewhere it is text. An escape before anything but a quote or an escape is text.
    """
    rewriter = _Rewriter(delimiter, quote, escape)
    for chunk in chunks:
        yield rewriter.feed(chunk)
    yield rewriter.finish()


class _Rewriter:
    def __init__(self, delimiter: bytes, quote: bytes, escape: bytes) -> None:
        inner = b"[^" + re.escape(quote) + re.escape(escape) + b"]*"
        self._body = re.compile(inner + b"(?:" + re.escape(escape) + b"." + inner + b")*", re.DOTALL)
        self._escaped = re.compile(re.escape(escape) + b"([" + re.escape(quote) + re.escape(escape) + b"])")
        self._quote, self._escape = quote, escape
        self._replacement = {quote: quote * 2, escape: escape}
        self._starts = frozenset(delimiter + b"\r\n")
        self._is_edge = np.isin(np.arange(256), list(self._starts))
        self._before = b"\n"  # the last byte that was fed
        self._inside = False
        self._held = b""

    def feed(self, chunk: bytes) -> bytes:
        data = self._held + chunk if self._held else chunk
        self._held = b""
        if data.endswith(self._escape) and (len(data) - len(data.rstrip(self._escape))) % 2:
            data, self._held = data[:-1], self._escape  # what it escapes is in the next chunk
        if not data:
            return b""
        result: bytes | None = data
        if self._quote in data or (self._inside and self._escape in data):
            result = self._rewrite_regular(data)
        if result is None:
            result = self._rewrite(data)
        self._before = data[-1:]
        return result

    def finish(self) -> bytes:
        return self._held

    def _rewrite_regular(self, data: bytes) -> bytes | None:
        """Rewrite ``data`` at once; None where a quote stands where none belongs, and each value must be looked at.

        The last run of escapes in ``data`` is even, so every odd run has a byte behind it.
        """
        codes = np.frombuffer(data, dtype=np.uint8)
        is_quote = codes == self._quote[0]
        escapes = np.flatnonzero(codes == self._escape[0]) if self._escape in data else np.empty(0, dtype=np.intp)
        gaps = np.flatnonzero(np.diff(escapes) != 1)
        starts = escapes[np.concatenate(([0], gaps + 1))] if len(escapes) else escapes
        ends = escapes[np.concatenate((gaps, [-1]))] + 1 if len(escapes) else escapes
        lengths = ends - starts
        escapes_quote = np.zeros(len(starts), dtype=np.bool_)
        odd = lengths % 2 == 1
        escapes_quote[odd] = is_quote[ends[odd]]
        is_quote[ends[escapes_quote]] = False

        quotes = np.flatnonzero(is_quote)
        first = int(self._inside)
        opening, closing = quotes[first::2], quotes[1 - first :: 2]
        before = codes[opening - 1]
        if len(opening) and opening[0] == 0:
            before[0] = self._before[0]
        after = codes[closing[closing < len(data) - 1] + 1]
        if not (self._is_edge[before].all() and self._is_edge[after].all()):
            return None
        self._inside = bool((len(quotes) + first) % 2)

        within = (np.searchsorted(quotes, starts) + first) % 2 == 1
        if not within.any():
            return data
        pairs = lengths[within] // 2
        offsets = np.cumsum(pairs) - pairs
        keep = np.ones(len(codes), dtype=np.bool_)
        keep[np.repeat(starts[within] - offsets, pairs) + np.arange(pairs.sum())] = False
        made = codes.copy()
        made[ends[within & escapes_quote] - 1] = self._quote[0]
        return made[keep].tobytes()

    def _rewrite(self, data: bytes) -> bytes:
        out: list[bytes] = []
        position = 0
        while position < len(data):
            if self._inside:
                match = self._body.match(data, position)
                end = match.end() if match else position
                out.append(self._escaped.sub(lambda found: self._replacement[found[1]], data[position:end]))
                if end < len(data):
                    out.append(self._quote)
                    self._inside = False
                    end += 1
            else:
                end = self._next_opening(data, position)
                out.append(data[position:end])
            position = end
        return b"".join(out)

    def _next_opening(self, data: bytes, position: int) -> int:
        """Return where the text of the next quoted value starts, else the end of ``data``."""
        found = data.find(self._quote, position)
        while found >= 0:
            before = data[found - 1] if found else self._before[0]
            if before in self._starts:
                self._inside = True
                return found + 1
            found = data.find(self._quote, found + 1)
        return len(data)
