"""Zip, from a file that can be read anywhere.

The standard library's zipfile reads the directory at the end. The members are read here: zipfile cuts what is longer
than the directory says, takes what is shorter, and unpacks bzip2 and LZMA without a bound.
"""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Final

from schemas.delivery import ArchiveLimits
from transforms.streams.archive_member import Content, Member, Place, Register
from transforms.streams.bad_file import BadFile
from transforms.streams.chunks import CHUNK_SIZE
from transforms.streams.zip_packing import METHODS, PackingError, unpack

_LOCAL_HEADER: Final = struct.Struct("<4s5H3I2H")
_LOCAL_MAGIC: Final = b"PK\x03\x04"
_END_RECORD: Final = struct.Struct("<4s4H2IH")
_END_MAGIC: Final = b"PK\x05\x06"
_COUNT_UNKNOWN: Final = 0xFFFF  # members, where the record of zip64 has their number
_SIZE_UNKNOWN: Final = 0xFFFFFFFF  # bytes, where the extra field of zip64 has them
_ZIP64_EXTRA: Final = 0x0001

_ENCRYPTED: Final = 0x0001 | 0x0040 | 0x2000  # by password, strongly, the directory too
_SIZES_BEHIND: Final = 0x0008  # the packer did not know sizes and checksum when it wrote the local header
_PATCH: Final = 0x0020
_UTF_8: Final = 0x0800
_NO_DOS_FILE: Final = 0x0008 | 0x0010  # volume label, folder

_DIRECTORY_SIZE: Final = 1 << 16  # bytes of the directory that are always allowed, and bytes for each member
_DIRECTORY_SIZE_OF_A_MEMBER: Final = 1 << 10

_DIRECTORY_ERRORS: Final = (
    zipfile.BadZipFile,
    struct.error,
    zlib.error,
    EOFError,
    OSError,
    OverflowError,
    RuntimeError,  # NotImplementedError is one
    ValueError,  # UnicodeDecodeError is one
)


def is_zip(head: bytes) -> bool:
    """Return whether a file that begins with ``head``, of 4 bytes or more, looks like a zip archive, empty or not."""
    return head.startswith((_LOCAL_MAGIC, _END_MAGIC))


def zip_members(file: IO[bytes], limits: ArchiveLimits) -> Iterator[Member]:
    """Yield the files of a zip archive in the order in which they stand there.

    The whole directory is checked before the first one. ``file`` is seekable, is read in chunks, and stays open; what
    it raises passes through.

    Raises BadFile: ``damaged_archive`` where the archive is cut, no zip, or a size or checksum is wrong,
    ``unsafe_archive`` for names outside of it, names that come twice, whatever is no file or folder, members that
    overlap and methods of packing that are not read here, ``encrypted_archive`` for a member with a password,
    ``archive_bomb`` over the limits, ``empty_archive`` without a file.
    """
    for entry in _entries(file, limits):
        content = Content(_content(file, entry))
        yield Member(entry.place.name, entry.size, content)
        content.finish()


@dataclass(frozen=True)
class _Entry:
    """A file by the directory: its local header starts at ``start``; something else does at ``end``."""

    place: Place
    raw_name: bytes
    method: int
    packed_size: int
    size: int
    checksum: int
    start: int
    end: int


def _entries(file: IO[bytes], limits: ArchiveLimits) -> list[_Entry]:
    size = file.seek(0, io.SEEK_END)
    infos, directory = _read_directory(file, size, limits)
    starts = [info.header_offset for info in infos]
    if starts and starts[0] != 0:  # else a cut archive that holds another one would be read as that one
        raise BadFile("damaged_archive", "the archive does not begin with its first member")
    register = Register(limits, size)
    ends = [*starts[1:], directory][: len(infos)]
    entries = [_entry(register, info, end) for info, end in zip(infos, ends, strict=True)]
    register.end()
    return [entry for entry, info in zip(entries, infos, strict=True) if not _is_folder(info)]


def _read_directory(file: IO[bytes], size: int, limits: ArchiveLimits) -> tuple[list[zipfile.ZipInfo], int]:
    """Return the members in the order of their places, and where the directory starts."""
    source = _Source(file, size, _DIRECTORY_SIZE + limits.members * _DIRECTORY_SIZE_OF_A_MEMBER)
    damaged = BadFile("damaged_archive", "the archive's directory is damaged or cut, or the file is no zip archive")
    try:
        with zipfile.ZipFile(source) as archive:
            infos, directory, comment = archive.infolist(), archive.start_dir, archive.comment
    except _DIRECTORY_ERRORS:
        raise (source.failure or damaged) from None
    if source.failure is not None:  # zipfile takes some for the end of the file
        raise source.failure
    start = size - _END_RECORD.size - len(comment)
    magic, _, _, _, count, _, _, comment_size = _END_RECORD.unpack(_read(file, start, _END_RECORD.size))
    if magic != _END_MAGIC or comment_size != len(comment):
        raise BadFile("damaged_archive", "there are bytes behind the archive's end")
    if count not in (len(infos) & _COUNT_UNKNOWN, _COUNT_UNKNOWN):
        raise BadFile("damaged_archive", f"the directory should have {count} members and has {len(infos)}")
    return sorted(infos, key=lambda info: info.header_offset), directory


def _read(file: IO[bytes], start: int, size: int) -> bytes:
    """Return ``size`` bytes from ``start``, fewer only at the end of the file."""
    file.seek(start)
    data = b""
    while len(data) < size and (more := file.read(size - len(data))):
        data += more
    return data


class _Source:
    """The file as zipfile sees it: never read whole, and its errors are not lost among zipfile's own."""

    def __init__(self, file: IO[bytes], size: int, bound: int) -> None:
        self._file, self._size, self._bound = file, size, bound
        self._position = 0
        self.failure: BaseException | None = None

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if position < 0:
            raise OSError("before the start")
        self._position = position
        return position

    def tell(self) -> int:
        return self._position

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._size - self._position)
        wanted = left if size < 0 else min(size, left)
        if wanted > self._bound:
            self.failure = BadFile("archive_bomb", "the directory is larger than the members allowed can need")
            raise self.failure
        try:
            data = _read(self._file, self._position, wanted)
        except BaseException as error:
            self.failure = error
            raise
        self._position += len(data)
        return data


def _is_folder(info: zipfile.ZipInfo) -> bool:
    return info.orig_filename.endswith("/")  # unlike ``filename``, this is not cut at a NUL


def _entry(register: Register, info: zipfile.ZipInfo, end: int) -> _Entry:
    folder = _is_folder(info)
    name = info.orig_filename
    place = register.enter(name, info.file_size, folder=folder)
    if info.flag_bits & _ENCRYPTED:
        raise place.bad("encrypted_archive", "is encrypted")
    mode = info.external_attr >> 16  # of Unix; 0 where another system made the archive
    expected = stat.S_IFDIR if folder else stat.S_IFREG
    if stat.S_IFMT(mode) not in (0, expected) or (info.external_attr & _NO_DOS_FILE and not folder):
        raise place.bad("unsafe_archive", "is neither a file nor a folder: a link, or its name says otherwise")
    if folder and info.file_size:
        raise place.bad("unsafe_archive", "is a folder with content")
    if info.compress_type not in METHODS or info.flag_bits & _PATCH:
        raise place.bad("unsafe_archive", f"is packed by method {info.compress_type}, which is not read here")
    raw_name = name.encode("utf-8" if info.flag_bits & _UTF_8 else "cp437")  # the two that zipfile decodes
    if info.header_offset + _LOCAL_HEADER.size + len(raw_name) + info.compress_size > end:
        raise place.bad("unsafe_archive", "overlaps what follows it")
    return _Entry(
        place, raw_name, info.compress_type, info.compress_size, info.file_size, info.CRC, info.header_offset, end
    )


def _content(file: IO[bytes], entry: _Entry) -> Iterator[bytes]:
    """Yield the clear bytes; raises BadFile where they are not as long as declared, or of another checksum."""
    size, checksum = 0, 0
    try:
        for chunk in unpack(entry.method, _packed(file, entry)):
            size += len(chunk)
            if size > entry.size:
                raise entry.place.bad("damaged_archive", "is longer than the directory says")
            checksum = zlib.crc32(chunk, checksum)
            yield chunk
    except PackingError as error:
        raise entry.place.bad("damaged_archive", str(error)) from None
    if size < entry.size:
        raise entry.place.bad("damaged_archive", "is shorter than the directory says")
    if checksum != entry.checksum:
        raise entry.place.bad("damaged_archive", "has another checksum than the directory says")


def _packed(file: IO[bytes], entry: _Entry) -> Iterator[bytes]:
    start = _check_local_header(file, entry)
    left = entry.packed_size
    while left:
        chunk = _read(file, start, min(CHUNK_SIZE, left))
        if not chunk:
            raise entry.place.bad("damaged_archive", "is cut")
        yield chunk
        start += len(chunk)
        left -= len(chunk)


def _check_local_header(file: IO[bytes], entry: _Entry) -> int:
    """Return where the packed bytes start; raises BadFile where the local header contradicts the directory."""
    header = _read(file, entry.start, _LOCAL_HEADER.size)
    if len(header) < _LOCAL_HEADER.size or not header.startswith(_LOCAL_MAGIC):
        raise entry.place.bad("damaged_archive", "is not where the directory says")
    _, _, flags, method, _, _, checksum, packed_size, size, name_size, extra_size = _LOCAL_HEADER.unpack(header)
    names = _read(file, entry.start + _LOCAL_HEADER.size, name_size + extra_size)
    start: int = entry.start + _LOCAL_HEADER.size + name_size + extra_size
    if flags & _ENCRYPTED:
        raise entry.place.bad("encrypted_archive", "is encrypted")
    if start + entry.packed_size > entry.end:
        raise entry.place.bad("unsafe_archive", "overlaps what follows it")
    size, packed_size = _zip64_sizes(names[name_size:], size, packed_size)
    known = (size, packed_size, checksum) == (entry.size, entry.packed_size, entry.checksum)
    if names[:name_size] != entry.raw_name or method != entry.method or not (known or flags & _SIZES_BEHIND):
        raise entry.place.bad("damaged_archive", "differs between its own header and the directory")
    return start


def _zip64_sizes(extra: bytes, size: int, packed_size: int) -> tuple[int, int]:
    """Return both sizes of a local header, from its extra field of zip64 where they do not fit into their own."""
    if _SIZE_UNKNOWN not in (size, packed_size):
        return size, packed_size
    while len(extra) >= struct.calcsize("<2H"):
        kind, length = struct.unpack_from("<2H", extra)
        body, extra = extra[4 : 4 + length], extra[4 + length :]
        if kind == _ZIP64_EXTRA and len(body) >= struct.calcsize("<2Q"):
            return struct.unpack_from("<2Q", body)
    return size, packed_size
