"""An object of the store as a seekable file, for readers that hunt: zip directories, Parquet footers."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Final

from jobs.runtime.errors import StorageError
from transforms.streams.chunks import CHUNK_SIZE, OpenChunks

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

#: A seek forward by less than this reads on: that costs less than another request.
SKIP_SIZE: Final = 1 << 20

#: Bytes at the end that are kept once one of them was read: directories and footers are looked for there.
TAIL_SIZE: Final = 1 << 16


def open_ranged(open_chunks: OpenChunks, size: int) -> IO[bytes]:
    """Return a buffered, seekable, read-only file over an object of ``size`` bytes.

    Reading raises whatever the source raises, unchanged, and StorageError where the source ends before ``size``.
    """
    return io.BufferedReader(RangedFile(open_chunks, size), CHUNK_SIZE)


class RangedFile(io.RawIOBase):
    """A seekable, read-only file over a source that opens at any offset.

    Reading on continues the open iterator, so a file read from its start to its end is opened once.
    """

    def __init__(self, open_chunks: OpenChunks, size: int) -> None:
        """Read the ``size`` bytes that ``open_chunks(0)`` yields. Nothing is opened before the first read."""
        super().__init__()
        self._open_chunks = open_chunks
        self._size = size
        self._position = 0
        self._tail_start = max(0, size - TAIL_SIZE)
        self._tail: bytes | None = None
        self._cursor: _Cursor | None = None

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move without reading and return the new position; OSError (EINVAL) for one before the start."""
        self._check_open()
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}.get(whence)
        if base is None or base + offset < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self._position = base + offset
        return self._position

    def readinto(self, target: WriteableBuffer) -> int:
        """Fill ``target`` as far as one chunk goes; 0 at the end.

        Raises whatever the source raises, and StorageError where it ends too early.
        """
        self._check_open()
        view = memoryview(target).cast("B")
        if self._position >= self._size:
            return 0
        if self._position >= self._tail_start:
            held = self._position - self._tail_start
            data: bytes | memoryview = memoryview(self._load_tail())[held : held + len(view)]
        else:
            data = self._take(min(len(view), self._tail_start - self._position))
        view[: len(data)] = data
        self._position += len(data)
        return len(data)

    def close(self) -> None:
        """Close the open iterator too."""
        self._drop_cursor()
        self._tail = None
        super().close()

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("the file is closed")

    def _load_tail(self) -> bytes:
        if self._tail is None:
            wanted, self._position = self._position, self._tail_start
            tail = bytearray()
            try:
                while self._position < self._size:
                    piece = self._take(self._size - self._position)
                    tail += piece
                    self._position += len(piece)
                self._finish()
            finally:
                self._position = wanted
            self._tail = bytes(tail)
        return self._tail

    def _take(self, size: int) -> memoryview:
        cursor = self._cursor
        if cursor is None or not cursor.position <= self._position < cursor.position + SKIP_SIZE:
            self._drop_cursor()
            cursor = _Cursor(self._open_chunks(self._position), self._position)
        self._cursor = None  # what raises is not read on
        try:
            while cursor.position < self._position:
                cursor.take(self._position - cursor.position)
            data = cursor.take(size)
        except BaseException:
            cursor.close()
            raise
        self._cursor = cursor
        return data

    def _finish(self) -> None:
        # A source may check behind its last byte that it was not changed meanwhile.
        cursor, self._cursor = self._cursor, None
        if cursor is not None:
            try:
                cursor.finish()
            finally:
                cursor.close()

    def _drop_cursor(self) -> None:
        cursor, self._cursor = self._cursor, None
        if cursor is not None:
            cursor.close()


class _Cursor:
    """An open iterator and how far it was read."""

    def __init__(self, chunks: Iterator[bytes], position: int) -> None:
        self.position = position
        self._chunks = chunks
        self._rest = memoryview(b"")

    def take(self, size: int) -> memoryview:
        """Return at least one and at most ``size`` bytes."""
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                raise StorageError(f"the object ended at byte {self.position}, before the size that its store gave")
            self._rest = memoryview(chunk)
        data, self._rest = self._rest[:size], self._rest[size:]
        self.position += len(data)
        return data

    def finish(self) -> None:
        if self._rest or next((chunk for chunk in self._chunks if chunk), None) is not None:
            raise StorageError(f"the object goes on behind byte {self.position}, the size that its store gave")

    def close(self) -> None:
        close = getattr(self._chunks, "close", None)
        if close is not None:
            close()
