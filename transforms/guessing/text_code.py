"""Which encoding text is in."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from typing import Final

from transforms.streams.bad_file import BadFile

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
#: Control characters of text: white space, separators, and the U+0000 with which Spark's writer may quote.
_FOREIGN: Final = re.compile(rb"[\x02-\x08\x0b\x0e-\x1b\x7f]")
_MOST_FOREIGN: Final = 0.001
_MOST_ZEROS: Final = 0.01
_ZERO_SHARE: Final = 0.3  # of every second byte, in UTF-16 of languages with Latin letters
_HIGH_CONTROLS: Final = re.compile(rb"[\x80-\x9f]")
_NOT_IN_WINDOWS: Final = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")


@dataclass(frozen=True)
class TextCode:
    """An encoding of the vocabulary; ``doubt`` is empty where it is certain."""

    name: str
    doubt: str = ""


def guess_text_code(head: bytes) -> TextCode:
    """Return the encoding of text that begins with ``head``, whose last character may be cut.

    Raises BadFile("unrecognised_content") where it is no text.
    """
    for mark, name in _MARKS:
        if head.startswith(mark):
            return TextCode(name)
    if (wide := _unmarked_utf16(head)) is not None:
        return wide
    if len(_FOREIGN.findall(head)) > _MOST_FOREIGN * len(head) or head.count(0) > _MOST_ZEROS * len(head):
        raise BadFile("unrecognised_content", "it is binary: no text, and no file type that is read here")
    if head.isascii():
        return TextCode("utf-8", "the sample has nothing but ASCII characters, so any encoding would read it")
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return _of_one_byte(head)
    return TextCode("utf-8")


def _unmarked_utf16(head: bytes) -> TextCode | None:
    half = max(1, len(head) // 2)
    even, odd = head[::2].count(0) / half, head[1::2].count(0) / half
    if max(even, odd) < _ZERO_SHARE or min(even, odd) > _MOST_ZEROS:
        return None
    return TextCode("utf-16-le" if odd > even else "utf-16-be", "UTF-16 without a byte order mark, told by its zeros")


def _of_one_byte(head: bytes) -> TextCode:
    """Tell the two that differ from 0x80 to 0x9F alone: letters and signs in Windows, controls in ISO 8859-1."""
    if _NOT_IN_WINDOWS.search(head):
        if len(_HIGH_CONTROLS.findall(head)) > _MOST_FOREIGN * len(head):
            raise BadFile("unrecognised_content", "it is binary, or text in an encoding that is not read here")
        return TextCode("iso-8859-1", "not UTF-8, and with bytes that windows-1252 does not have; look at the accents")
    if _HIGH_CONTROLS.search(head):
        return TextCode("windows-1252", "not UTF-8; letters and signs are where windows-1252 has them")
    return TextCode("windows-1252", "not UTF-8; iso-8859-1 would read the sample alike; look at the accents")
