"""Gzip, member after member, a chunk at a time."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final

from transforms.streams.bad_file import BadFile
from transforms.streams.chunks import CHUNK_SIZE

_GZIP_ONLY: Final = 16 + zlib.MAX_WBITS


def gunzip(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the inflated bytes of one or more gzip members (RFC 1952), at most CHUNK_SIZE at once.

    Raises BadFile("damaged_compression") for a wrong checksum, a cut member, or bytes behind the last one.
    """
    inflator = zlib.decompressobj(_GZIP_ONLY)
    for chunk in chunks:
        data = chunk
        while data:
            if inflator.eof:
                data = data.lstrip(b"\x00")  # tape-style padding is allowed between and behind members
                if not data:
                    break
                inflator = zlib.decompressobj(_GZIP_ONLY)
            try:
                made = inflator.decompress(data, CHUNK_SIZE)
            except zlib.error:
                raise BadFile("damaged_compression", "the gzip data or its checksum is wrong") from None
            if made:
                yield made
            data = inflator.unused_data if inflator.eof else inflator.unconsumed_tail
    if not inflator.eof:
        raise BadFile("damaged_compression", "the gzip data ends in the middle")
