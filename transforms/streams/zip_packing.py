"""How the bytes of zip members are packed: stored, deflate, bzip2, LZMA; unpacked a bounded chunk at a time."""

from __future__ import annotations

import bz2
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from transforms.streams.chunks import CHUNK_SIZE

_LZMA_HEADER: Final = struct.Struct("<HHBI")  # version, length of the properties, literal and position bits, dictionary
_LZMA_PROPERTIES: Final = 5
_LZMA_DICTIONARY: Final = 1 << 26  # bytes of memory; the largest of the usual settings


class PackingError(ValueError):
    """Packed bytes that cannot be unpacked."""


def unpack(method: int, packed: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the clear bytes of a member, at most CHUNK_SIZE at once where the chunks of ``packed`` are no larger.

    Args:
        method: How it is packed, a key of METHODS.
        packed: The member's packed bytes; what this raises passes through.

    Raises:
        PackingError: The packed bytes are damaged, or go on behind their own end mark. That nothing is missing at
            their end is for the member's size and checksum to tell.
    """
    decoder = METHODS[method]()
    ended = False
    for chunk in packed:
        if ended:
            raise PackingError("goes on behind its end mark")
        data, more = chunk, True
        while more:
            try:
                clear = decoder.decompress(data, CHUNK_SIZE)
            except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError):  # bz2 raises OSError
                raise PackingError("cannot be unpacked") from None
            if decoder.unused_data:
                raise PackingError("goes on behind its end mark")
            if clear:
                yield clear
            ended = decoder.eof
            data, more = b"", not (ended or decoder.needs_input)


class _Decoder(Protocol):
    """What the standard library's decompressors of bzip2 and LZMA have in common."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Stored:
    eof = False
    needs_input = True
    unused_data = b""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        del max_length
        return data


class _Deflate:
    def __init__(self) -> None:
        self._inner = zlib.decompressobj(-zlib.MAX_WBITS)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        clear = self._inner.decompress(self._inner.unconsumed_tail + data, max_length)
        # A full chunk may have left clear bytes inside of zlib, even where all packed ones are consumed.
        self.needs_input = len(clear) < max_length and not self._inner.unconsumed_tail
        return clear


class _Lzma:
    def __init__(self) -> None:
        self._head = b""
        self._inner: lzma.LZMADecompressor | None = None

    @property
    def eof(self) -> bool:
        return self._inner is not None and self._inner.eof

    @property
    def needs_input(self) -> bool:
        return self._inner is None or self._inner.needs_input

    @property
    def unused_data(self) -> bytes:
        return b"" if self._inner is None else self._inner.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        if self._inner is None:
            self._head += data
            if len(self._head) < _LZMA_HEADER.size:
                return b""
            self._inner = _open_lzma(self._head)
            data = self._head[_LZMA_HEADER.size :]
        return self._inner.decompress(data, max_length)


def _open_lzma(head: bytes) -> lzma.LZMADecompressor:
    _, length, bits, dictionary = _LZMA_HEADER.unpack_from(head)
    if length != _LZMA_PROPERTIES or dictionary > _LZMA_DICTIONARY:
        raise ValueError("no LZMA that is read here")
    rest, literal_context = divmod(bits, 9)
    position, literal_position = divmod(rest, 5)
    settings = {"dict_size": max(dictionary, 4096), "lc": literal_context, "lp": literal_position, "pb": position}
    return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA1, **settings}])


#: How to unpack each method that is read here.
METHODS: Final[dict[int, Callable[[], _Decoder]]] = {
    zipfile.ZIP_STORED: _Stored,
    zipfile.ZIP_DEFLATED: _Deflate,
    zipfile.ZIP_BZIP2: bz2.BZ2Decompressor,
    zipfile.ZIP_LZMA: _Lzma,
}
