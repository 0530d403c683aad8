"""Text encodings: everything becomes UTF-8 without a byte order mark, and nothing is ever replaced silently."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import Final

from transforms.streams.bad_file import BadFile
from transforms.streams.chunks import peek

_HEAD: Final = 16
_TWO_CHARACTERS: Final = 4


def to_utf8(chunks: Iterator[bytes], encoding: str = "utf-8") -> Iterator[bytes]:
    """Yield text as UTF-8.

    A byte order mark tells UTF-16 (either order) or UTF-8 and is dropped; without one the text is in ``encoding``.
    Raises BadFile("undecodable_text") with the offset of the first bytes that are not text in that encoding; what
    was yielded before is text but for a character that may be cut at the end.
    """
    head, chunks = peek(chunks, _HEAD)
    if head.startswith(codecs.BOM_UTF16_LE):
        return _recode(chunks, "utf-16-le", len(codecs.BOM_UTF16_LE))
    if head.startswith(codecs.BOM_UTF16_BE):
        return _recode(chunks, "utf-16-be", len(codecs.BOM_UTF16_BE))
    if head.startswith(codecs.BOM_UTF8):
        return _recode(chunks, "utf-8", len(codecs.BOM_UTF8))
    if _is_unmarked_utf16(head) and not encoding.startswith("utf-16"):
        raise BadFile("undecodable_text", "every second byte is zero: UTF-16 without a byte order mark")
    return _recode(chunks, encoding, 0)


def _is_unmarked_utf16(head: bytes) -> bool:
    """Tell UTF-16 that would pass for UTF-8 full of zeros, whose column names would even bind."""
    halves = head[::2], head[1::2]
    return len(head) >= _TWO_CHARACTERS and any(
        not any(zeros) and all(others) for zeros, others in (halves, halves[::-1])
    )


def _recode(chunks: Iterator[bytes], encoding: str, mark: int) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    is_utf8 = encoding == "utf-8"
    offset = 0
    pending = b""  # a character that is half-read
    for chunk in chunks:
        data = chunk[mark:] if mark else chunk
        offset, mark = offset + mark, 0
        if is_utf8 and not pending and data.isascii():
            offset += len(data)
            yield data
        else:
            try:
                text = decoder.decode(data)
            except UnicodeDecodeError as error:
                raise _undecodable(encoding, offset - len(pending) + error.start) from None
            pending = decoder.getstate()[0]
            offset += len(data)
            yield data if is_utf8 else text.encode()
    if pending:
        raise _undecodable(encoding, offset - len(pending))


def _undecodable(encoding: str, offset: int) -> BadFile:
    return BadFile("undecodable_text", f"not {encoding.upper()} near byte {offset} of the clear text")
