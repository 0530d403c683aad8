"""Clear bytes on a local disk that nobody can read there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from typing import IO, Final

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes

from jobs.runtime.ranged import open_ranged
from transforms.streams.chunks import CHUNK_SIZE

_BLOCK: Final = 16


class SealedScratch:
    """A temporary file without a name, encrypted (AES-256-CTR) under a key that is never stored.

    Whoever makes one closes it, or reads it back to its end.
    """

    def __init__(self) -> None:
        """Make an empty one in the system's folder for temporary files; OSError where that cannot be written."""
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  lives as long as this object
        self._key = algorithms.AES256(os.urandom(32))
        self._first_counter = int.from_bytes(os.urandom(_BLOCK), "big")
        self._encryptor = Cipher(self._key, self._mode(0)).encryptor()
        self._buffer = bytearray(CHUNK_SIZE + _BLOCK)
        self._size = 0

    def write(self, data: bytes | memoryview) -> None:
        """Append clear bytes; OSError where the disk is full."""
        for start in range(0, len(data), CHUNK_SIZE):
            made = self._encryptor.update_into(data[start : start + CHUNK_SIZE], self._buffer)
            self._file.write(memoryview(self._buffer)[:made])
            self._size += made

    def read_back(self) -> Iterator[bytes]:
        """Yield the clear bytes from the first on, at most CHUNK_SIZE at once, and close the file behind the last."""
        with self._file:
            self._file.flush()
            yield from self._chunks(0, self._size)

    def open(self) -> IO[bytes]:
        """Return a seekable, read-only file over the clear bytes written so far.

        There may be several, each with a position of its own. Closing one leaves the scratch file, which must stay
        open for as long as they are read.
        """
        self._file.flush()
        end = self._size
        return open_ranged(lambda offset: self._chunks(offset, end), end)

    def close(self) -> None:
        """Give the disk its space back. Closing twice is fine."""
        self._file.close()

    def _mode(self, block: int) -> modes.CTR:
        return modes.CTR(((self._first_counter + block) % (1 << 8 * _BLOCK)).to_bytes(_BLOCK, "big"))

    def _decryptor(self, offset: int) -> CipherContext:
        block, inside = divmod(offset, _BLOCK)
        decryptor = Cipher(self._key, self._mode(block)).decryptor()
        decryptor.update(bytes(inside))  # the key stream of a block starts at the block's first byte
        return decryptor

    def _chunks(self, offset: int, end: int) -> Iterator[bytes]:
        decryptor = self._decryptor(offset)
        position = offset
        # Not by the file's own position: several readers share the one descriptor.
        while sealed := os.pread(self._file.fileno(), min(CHUNK_SIZE, end - position), position):
            position += len(sealed)
            yield decryptor.update(sealed)
