"""Tar, read once from its first byte to its last.

The standard library's tarfile parses single header blocks here, no more: on a whole archive it keeps every member,
reads extended headers of any size into memory, and takes an archive that was cut between members for a whole one.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Final

from schemas.delivery import ArchiveLimits
from transforms.streams.archive_member import Content, Member, Place, Register
from transforms.streams.bad_file import BadFile
from transforms.streams.chunks import CHUNK_SIZE, ChunkReader

_BLOCK: Final = 512
_ZEROS: Final = bytes(_BLOCK)
_EXTENDED_SIZE: Final = 1 << 20  # bytes of one extended header: names, and attributes that nobody asks for
_EXTENDED_COUNT: Final = 8  # extended headers of one member; real ones have three at most
_PADDING: Final = 16 << 20  # zeros behind the end; tapes have records of a few MiB at most

_FILE_TYPES: Final = frozenset({tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE})
_LINK_TYPES: Final = frozenset({tarfile.SYMTYPE, tarfile.LNKTYPE})
_PAX_TYPES: Final = frozenset({tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE})
_EXTENDED_TYPES: Final = _PAX_TYPES | {tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK}
_OF_ONE_MEMBER: Final = frozenset({b"path", b"size", b"linkpath"})


def is_tar(head: bytes) -> bool:
    """Return whether a file that begins with ``head``, of 512 bytes or more, begins with the header of a tar member.

    The header's checksum decides. The word ``ustar`` is no help: archives older than it have none.
    """
    try:
        tarfile.TarInfo.frombuf(head[:_BLOCK], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def tar_members(chunks: Iterator[bytes], limits: ArchiveLimits) -> Iterator[Member]:
    """Yield the files of a tar archive (v7, ustar, pax, GNU) in their order; ``chunks`` is read to its end.

    A stream shows its members one after the other, so a later one may be refused when earlier ones were read: with
    BadFile, the caller must throw all of them away. ``limits.ratio`` does not apply: nothing is packed.

    Raises BadFile: ``damaged_archive`` where the archive is cut, no tar, or has bytes behind its end,
    ``unsafe_archive`` for names outside of it, names that come twice, and whatever is no file or folder,
    ``archive_bomb`` over the limits, ``empty_archive`` without a file.
    """
    source: IO[bytes] = io.BufferedReader(ChunkReader(chunks), CHUNK_SIZE)
    register = Register(limits)
    while (header := _next_header(source, register.next_place())) is not None:
        folder = header.type == tarfile.DIRTYPE
        place = register.enter(header.name, header.size, folder=folder)
        _check_type(header, place)
        if not folder:
            content = Content(_content(source, header.size, place))
            yield Member(header.name, header.size, content)
            content.finish()
    _check_end(source)
    register.end()


def _read(source: IO[bytes], size: int, place: Place) -> bytes:
    data = source.read(size)
    if len(data) < size:
        raise place.bad("damaged_archive", "is missing or cut: the archive ends in the middle")
    return data


def _next_header(source: IO[bytes], place: Place) -> tarfile.TarInfo | None:
    """Return the header of the next member with what extended headers say of it, or None at the end."""
    said = _Said()
    for extended in range(_EXTENDED_COUNT + 1):
        block = _read(source, _BLOCK, place)
        if block == _ZEROS and not extended:
            return None
        try:
            header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError:
            raise place.bad("damaged_archive", "has a damaged header, or the file is no tar archive") from None
        if header.size < 0:
            raise place.bad("damaged_archive", "has a size below 0")
        if header.type not in _EXTENDED_TYPES:
            header.name = header.name if said.name is None else said.name
            header.size = header.size if said.size is None else said.size
            return header
        _hear(said, header.type, _extended_body(source, header.size, place), place)
    raise place.bad("unsafe_archive", f"has more than {_EXTENDED_COUNT} extended headers")


@dataclass
class _Said:
    """What extended headers say of the member that follows them."""

    name: str | None = None
    size: int | None = None


def _hear(said: _Said, kind: bytes, body: bytes, place: Place) -> None:
    if kind == tarfile.GNUTYPE_LONGLINK:
        return  # the link that follows is refused
    if kind == tarfile.GNUTYPE_LONGNAME:
        said.name = _text(body.partition(b"\x00")[0], place)
        return
    records = _pax_records(body, place)
    if any(key.startswith(b"GNU.sparse.") for key in records):
        raise place.bad("unsafe_archive", "is a sparse file")
    if kind == tarfile.XGLTYPE:
        if records.keys() & _OF_ONE_MEMBER:
            raise place.bad("unsafe_archive", "follows a header that gives all members one name or size")
        return
    if b"path" in records:
        said.name = _text(records[b"path"], place)
    if b"size" in records:
        said.size = _number(records[b"size"], place)


def _extended_body(source: IO[bytes], size: int, place: Place) -> bytes:
    if size > _EXTENDED_SIZE:
        raise place.bad("unsafe_archive", f"has an extended header of more than {_EXTENDED_SIZE} bytes")
    return _read(source, size + -size % _BLOCK, place)[:size]


def _pax_records(body: bytes, place: Place) -> dict[bytes, bytes]:
    """Return the records of a pax header: each is its length, a space, ``key=value`` and a line feed."""
    records: dict[bytes, bytes] = {}
    start = 0
    while start < len(body):
        length = body[start : start + 8].partition(b" ")[0]
        end = start + int(length) if length.isdigit() else start
        record = body[start + len(length) + 1 : end]
        key, equals, value = record[:-1].partition(b"=")
        if not record.endswith(b"\n") or not equals or end > len(body):
            raise place.bad("damaged_archive", "has a damaged extended header")
        records[key] = value
        start = end
    return records


def _text(name: bytes, place: Place) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:
        raise place.bad("unsafe_archive", "has a name that is not Unicode") from None


def _number(size: bytes, place: Place) -> int:
    if not size.isdigit() or len(size) > len(str(1 << 64)):
        raise place.bad("damaged_archive", "has an extended header with a wrong size")
    return int(size)


def _check_type(header: tarfile.TarInfo, place: Place) -> None:
    if header.type in _LINK_TYPES:
        raise place.bad("unsafe_archive", "is a link")
    if header.type == tarfile.GNUTYPE_SPARSE:
        raise place.bad("unsafe_archive", "is a sparse file")
    if header.type not in _FILE_TYPES | {tarfile.DIRTYPE}:
        raise place.bad("unsafe_archive", "is neither a file nor a folder")
    if header.type == tarfile.DIRTYPE and header.size:
        raise place.bad("unsafe_archive", "is a folder with content")


def _content(source: IO[bytes], size: int, place: Place) -> Iterator[bytes]:
    for start in range(0, size, CHUNK_SIZE):
        yield _read(source, min(CHUNK_SIZE, size - start), place)
    _read(source, -size % _BLOCK, place)


def _check_end(source: IO[bytes]) -> None:
    """Read the second block of zeros, without which the archive may be cut, and all that is behind it."""
    if source.read(_BLOCK) != _ZEROS:
        raise BadFile("damaged_archive", "the archive's end mark is missing or cut")
    padding = 0
    while data := source.read(CHUNK_SIZE):
        padding += len(data)
        if data.count(0) < len(data):
            raise BadFile("damaged_archive", "there are bytes behind the archive's end")
        if padding > _PADDING:
            raise BadFile("archive_bomb", f"there are more than {_PADDING} zeros behind the archive's end")
