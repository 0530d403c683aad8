"""Avro object container files to Arrow batches of strings."""

from __future__ import annotations

import io
import itertools
import zlib
from collections.abc import Iterator
from typing import Any, Final

import fastavro
import pyarrow as pa

from transforms.streams.avro_schema import check_schema
from transforms.streams.bad_file import BadFile
from transforms.streams.chunks import CHUNK_SIZE, ChunkReader
from transforms.streams.nested import SLICE, NestedRows
from transforms.streams.records import UNREADABLE, Batch, Binding, RefusedRow, SourceNames

_MAGIC: Final = b"Obj\x01"
_SYNC_SIZE: Final = 16
_HEADER_KEYS: Final = (b"avro.codec", b"avro.schema")
_CHECKSUM_SIZE: Final = 4
_LONGEST_VARINT: Final = 10
#: Bytes of a block or a header at most, unpacked: writers make blocks of 16 KB to a few MB.
_LARGEST: Final = 16 << 20


class AvroRecords:
    """The records of an Avro object container file, numbered from 1."""

    def __init__(self, chunks: Iterator[bytes], names: SourceNames) -> None:
        """Read the bytes of the file, ``chunks``; raises ValueError where one of the ``names`` is malformed."""
        self._chunks = chunks
        self._rows = NestedRows(names)
        self._raised: Exception | None = None

    @property
    def binding(self) -> Binding:
        """Which names were bound; complete only after the last batch."""
        return self._rows.binding

    def batches(self) -> Iterator[Batch]:
        """Yield the rows.

        Raises BadFile: ``damaged_file``, also for a codec that is not null, deflate, snappy or zstandard,
        ``undecodable_text`` where bytes are not UTF-8, ``ambiguous_header`` where two names mean one column, and
        ``missing_column`` at the end where a required field was never met. What the source raises is passed on.
        """
        elements = self._elements()
        number = 0
        while parsed := list(itertools.islice(elements, SLICE)):
            numbered = list(enumerate(parsed, number + 1))
            records = [record for record in parsed if isinstance(record, dict)]
            numbers = [at for at, record in numbered if isinstance(record, dict)]
            refused = [RefusedRow(at, UNREADABLE, "not a record") for at, one in numbered if not isinstance(one, dict)]
            number += len(parsed)
            self._rows.add(records, numbers, refused)
            if self._rows.full:
                yield from self._rows.take()
        yield from self._rows.take()
        self._rows.finish()

    def _elements(self) -> Iterator[Any]:
        try:
            plain = _unpacked(io.BufferedReader(ChunkReader(self._source()), CHUNK_SIZE))
            yield from fastavro.reader(io.BufferedReader(ChunkReader(plain), CHUNK_SIZE))
        except BadFile:
            raise
        except Exception:  # noqa: BLE001  fastavro raises whatever damaged bytes lead it to
            if self._raised is not None:
                raise self._raised from None
            raise BadFile("damaged_file", "the Avro file cannot be decoded") from None

    def _source(self) -> Iterator[bytes]:
        try:
            yield from self._chunks
        except Exception as error:
            self._raised = error
            raise


def _unpacked(file: io.BufferedReader) -> Iterator[bytes]:
    """Yield the file with its blocks unpacked and checked: fastavro sets no limit to them and knows fewer codecs.

    The layout is that of the Avro specification, "Object Container Files".
    """
    if _exactly(file, len(_MAGIC)) != _MAGIC:
        raise _damaged("it does not start as an Avro file does")
    header = _header(file)
    codec = header.get(b"avro.codec", b"null")
    schema = header.get(b"avro.schema", b"")
    check_schema(schema)
    sync = _exactly(file, _SYNC_SIZE)
    yield b"".join((_MAGIC, _long(1), _sized(b"avro.schema"), _sized(schema), _long(0), sync))
    while file.peek(1):
        count = _read_long(file)
        packed = _read_sized(file)
        if _exactly(file, _SYNC_SIZE) != sync:
            raise _damaged("a block does not end where it should")
        block = _unpack(codec, packed)
        if not 0 <= count <= len(block):  # records of no bytes at all could be without end
            raise _damaged("a block has more records than bytes")
        yield b"".join((_long(count), _sized(block), sync))


def _header(file: io.BufferedIOBase) -> dict[bytes, bytes]:
    header: dict[bytes, bytes] = {}
    while count := _read_long(file):
        if count < 0:
            _read_long(file)  # the size of the entries, for readers that skip them
        for _ in range(abs(count)):
            key, value = _read_sized(file), _read_sized(file)
            if key in _HEADER_KEYS:
                header[key] = value
    return header


def _unpack(codec: bytes, packed: bytes) -> bytes:
    try:
        match codec:
            case b"null":
                block = packed
            case b"deflate":
                block = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, _LARGEST + 1)
            case b"zstandard":
                block = pa.CompressedInputStream(pa.BufferReader(packed), "zstd").read(_LARGEST + 1)
            case b"snappy":
                block = _unpack_snappy(packed)
            case _:
                raise _damaged("its codec is none of null, deflate, snappy and zstandard")
    except (zlib.error, pa.ArrowException, OSError):
        raise _damaged("a block cannot be unpacked") from None
    if len(block) > _LARGEST:
        raise _damaged(f"a block is larger than {_LARGEST >> 20} MiB")
    return block


def _unpack_snappy(packed: bytes) -> bytes:
    data, checksum = packed[:-_CHECKSUM_SIZE], packed[-_CHECKSUM_SIZE:]
    size = _varint(io.BytesIO(data))
    if size > _LARGEST:
        raise _damaged(f"a block is larger than {_LARGEST >> 20} MiB")
    block: bytes = pa.decompress(data, decompressed_size=size, codec="snappy", asbytes=True)
    if zlib.crc32(block) != int.from_bytes(checksum, "big"):
        raise _damaged("the checksum of a block is wrong")
    return block


def _read_sized(file: io.BufferedIOBase) -> bytes:
    size = _read_long(file)
    if not 0 <= size <= _LARGEST:
        raise _damaged(f"a part is larger than {_LARGEST >> 20} MiB")
    return _exactly(file, size)


def _read_long(file: io.BufferedIOBase) -> int:
    value = _varint(file)
    return value >> 1 ^ -(value & 1)


def _varint(file: io.BufferedIOBase) -> int:
    value = 0
    for at in range(_LONGEST_VARINT):
        byte = _exactly(file, 1)[0]
        value |= (byte & 0x7F) << 7 * at
        if byte < 0x80:  # noqa: PLR2004  the bit that says that the number goes on
            return value
    raise _damaged("a number has more than 64 bits")


def _exactly(file: io.BufferedIOBase, size: int) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise _damaged("it was cut")
    return data


def _sized(data: bytes) -> bytes:
    return _long(len(data)) + data


def _long(value: int) -> bytes:
    """Write a number that is not negative."""
    rest = value << 1
    written = bytearray()
    while rest > 0x7F:  # noqa: PLR2004  the bits that fit into a byte
        written.append(rest & 0x7F | 0x80)
        rest >>= 7
    written.append(rest)
    return bytes(written)


def _damaged(detail: str) -> BadFile:
    return BadFile("damaged_file", f"the Avro file: {detail}")
