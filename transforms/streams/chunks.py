"""How bytes travel: iterators of chunks, so that memory never grows with the file."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

#: Bytes a chunk. Small enough for the processor's caches: larger ones cost page faults.
CHUNK_SIZE: Final = 1 << 19

#: Opens a source at a byte offset. A codec that must look twice (first authenticate, then decrypt) opens it twice.
OpenChunks = Callable[[int], Iterator[bytes]]


class ChunkReader(io.RawIOBase):
    """A read-only binary file over an iterator of chunks, for readers that want a file."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        """Read from ``chunks``; empty chunks are skipped."""
        super().__init__()
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, target: WriteableBuffer) -> int:
        """Fill ``target`` as far as one chunk goes; 0 at the end."""
        view = memoryview(target).cast("B")
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        taken = min(len(view), len(self._rest))
        view[:taken] = self._rest[:taken]
        self._rest = self._rest[taken:]
        return taken


def peek(chunks: Iterator[bytes], size: int) -> tuple[bytes, Iterator[bytes]]:
    """Return the first ``size`` bytes (fewer where the source ends) and an iterator that still starts with them."""
    held: list[bytes] = []
    total = 0
    for chunk in chunks:
        held.append(chunk)
        total += len(chunk)
        if total >= size:
            break
    head = b"".join(held)

    def again() -> Iterator[bytes]:
        if head:
            yield head
        yield from chunks

    return head[:size], again()
