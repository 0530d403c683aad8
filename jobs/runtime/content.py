"""What is inside a file, layer by layer: what each layer is, told by content, and ways to read it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Final

from jobs.runtime.ranged import open_ranged
from jobs.runtime.scratch import SealedScratch
from transforms.streams.chunks import OpenChunks, peek
from transforms.streams.gzip_stream import gunzip
from transforms.streams.sniff import SNIFF_SIZE, Kind, sniff

#: What content may be encrypted with, by what a connector's ``codecs`` call it.
ENCRYPTIONS: Final[dict[Kind, str]] = {"envelope": "envelope", "openpgp": "openpgp", "openpgp-armored": "openpgp"}
#: What holds several files.
ARCHIVES: Final = ("zip", "tar")


@dataclass
class Content:
    """Bytes of a file at some layer.

    ``layers`` names those that were taken off. ``open_chunks`` is there where the bytes, ``size`` of them, can be read
    again from any offset, which is so of a stored object alone.
    """

    kind: Kind
    chunks: Iterator[bytes]
    layers: str = ""
    size: int = 0
    open_chunks: OpenChunks | None = None

    def inflated(self) -> Content:
        """Return what is inside of gzip, or else this. Raises BadFile where that is nothing known."""
        if self.kind != "gzip":
            return self
        return content_of(gunzip(self.chunks), f"{self.layers}+gzip")

    @contextlib.contextmanager
    def seekable(self) -> Iterator[IO[bytes]]:
        """Open a file to jump around in: the object itself, or a sealed copy of what is inside its layers."""
        if self.open_chunks is not None:
            with open_ranged(self.open_chunks, self.size) as file:
                yield file
            return
        with contextlib.closing(SealedScratch()) as scratch:
            for chunk in self.chunks:
                scratch.write(chunk)
            with scratch.open() as file:
                yield file


def content_of(
    chunks: Iterator[bytes], layers: str = "", *, size: int = 0, open_chunks: OpenChunks | None = None
) -> Content:
    """Find out what ``chunks`` are, by their beginning. Raises BadFile where they are nothing known, or nothing."""
    head, again = peek(chunks, SNIFF_SIZE)
    return Content(sniff(head), again, layers, size, open_chunks)
