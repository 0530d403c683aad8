"""Gzip, zip and tar, held against the standard library: what ours accepts, it reads as the same bytes."""

from __future__ import annotations

import gzip
import io
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from typing import Final

from schemas.delivery import ArchiveLimits
from tests.fuzz.target import CANARY, Target, check_message, check_refusal, chunk_size, pieces, require
from transforms.streams.archive_member import Member
from transforms.streams.bad_file import REASONS, BadFile
from transforms.streams.chunks import CHUNK_SIZE
from transforms.streams.gzip_stream import gunzip
from transforms.streams.tar_archive import tar_members
from transforms.streams.zip_archive import zip_members
from transforms.streams.zip_packing import METHODS

_LIMITS: Final = ArchiveLimits(members=50, clear_bytes=4 << 20, ratio=50)
_CLEAR: Final = f"id,email\n1,{CANARY}\n".encode() * 3
_NAME: Final = re.compile(r"\('.*'\)|\(\".*\"\)")
_BLOCK: Final = 512
_CENTRAL: Final = b"PK\x01\x02"
_CENTRAL_SIZE: Final = 46
_LOCAL_SIZE: Final = 30

Files = list[tuple[str, bytes]]


def run_gzip(data: bytes) -> None:
    """The first byte says whether the rest is a gzip file, or deflated bytes to put a right checksum around."""
    if not data:
        return
    packed = data[1:] if data[0] & 1 else _gzip_around(data[1:])
    clear = b""
    try:
        for chunk in gunzip(pieces(packed, chunk_size(data[0] >> 1))):
            require("a chunk is bounded", holds=len(chunk) <= CHUNK_SIZE)
            clear += chunk
    except BadFile as problem:
        check_refusal(problem)
    else:
        require("the gzip module reads the same", holds=gzip.decompress(packed) == clear)


def _gzip_around(deflated: bytes) -> bytes:
    inflator = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        clear = inflator.decompress(deflated, 1 << 20)
    except zlib.error:
        return deflated
    head = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"
    packed = deflated[: len(deflated) - len(inflator.unused_data)]
    return head + packed + struct.pack("<II", zlib.crc32(clear), len(clear)) + inflator.unused_data


def _read(members: Iterable[Member]) -> Files | None:
    files: Files = []
    try:
        for member in members:
            content = b""
            for chunk in member.chunks:
                require("a chunk is bounded", holds=len(chunk) <= CHUNK_SIZE)
                content += chunk
            require("a member is as long as it said", holds=len(content) == member.size)
            files.append((member.name, content))
    except BadFile as problem:
        require(f"{problem.reason} is no reason", holds=problem.reason in REASONS)
        check_message(_NAME.sub("", problem.detail))  # the name of a member may be shown
        return None
    return files


def _check_limits(files: Files) -> None:
    require("limits hold", holds=len(files) <= _LIMITS.members)
    require("limits hold", holds=sum(len(content) for _, content in files) <= _LIMITS.clear_bytes)
    outside = [name for name, _ in files if name.startswith("/") or ".." in name.split("/")]
    require("no name leads outside", holds=not outside)


def run_zip(data: bytes) -> None:
    """The first byte says whether checksums and sizes are put right before the rest is read."""
    if not data:
        return
    archive = data[1:] if data[0] & 1 else _with_zip_sums(data[1:])
    files = _read(zip_members(io.BytesIO(archive), _LIMITS))
    if files is None:
        return
    _check_limits(files)
    with zipfile.ZipFile(io.BytesIO(archive)) as reference:
        try:
            theirs = {info.orig_filename: reference.read(info) for info in reference.infolist() if not info.is_dir()}
        except zipfile.BadZipFile:  # a flag of the local header says another encoding of the name than the directory
            return
    require("zipfile reads the same", holds=theirs == dict(files) and len(theirs) == len(files))


def _with_zip_sums(archive: bytes) -> bytes:
    """Put the size and checksum of each deflated or stored member right, so that changes reach what is behind them."""
    made = bytearray(archive)
    at = archive.find(_CENTRAL)
    while 0 <= at <= len(archive) - _CENTRAL_SIZE:
        (method,) = struct.unpack_from("<H", archive, at + 10)
        (packed_size,) = struct.unpack_from("<I", archive, at + 20)
        (start,) = struct.unpack_from("<I", archive, at + 42)
        if start + _LOCAL_SIZE <= len(archive):
            names = sum(struct.unpack_from("<2H", archive, start + 26))
            packed = archive[start + _LOCAL_SIZE + names :][:packed_size]
            clear = packed
            if method == zipfile.ZIP_DEFLATED:
                try:
                    clear = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, 1 << 20)
                except zlib.error:
                    clear = b""
            sums = struct.pack("<3I", zlib.crc32(clear), packed_size, len(clear))
            made[at + 16 : at + 28] = sums
            made[start + 14 : start + 26] = sums
        at = archive.find(_CENTRAL, at + 1)
    return bytes(made)


def run_tar(data: bytes) -> None:
    """The first byte says whether checksums of headers are put right before the rest is read, and how it is cut."""
    if not data:
        return
    archive = data[1:] if data[0] & 1 else _with_tar_sums(data[1:])
    files = _read(tar_members(pieces(archive, chunk_size(data[0] >> 1)), _LIMITS))
    if files is None:
        return
    _check_limits(files)
    theirs: Files = []
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as reference:
        for info in reference:
            if info.isfile():
                content = reference.extractfile(info)
                theirs.append((info.name, content.read() if content else b""))
    require("tarfile reads the same", holds=theirs == files)


def _with_tar_sums(archive: bytes) -> bytes:
    made = bytearray(archive)
    at = 0
    while at + _BLOCK <= len(made) and any(made[at : at + _BLOCK]):
        made[at + 148 : at + 156] = b" " * 8
        made[at + 148 : at + 156] = b"%06o\x00 " % sum(made[at : at + _BLOCK])
        try:
            size = tarfile.TarInfo.frombuf(bytes(made[at : at + _BLOCK]), "utf-8", "surrogateescape").size
        except tarfile.HeaderError:
            break
        at += _BLOCK + max(0, size) + -size % _BLOCK
    return bytes(made)


def _zip_of(method: int, *, stream: bool = False) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(_Unseekable(target) if stream else target, "w", method) as archive:
        archive.writestr("gold.csv", _CLEAR)
        archive.writestr("folder/", b"")
        archive.writestr("folder/Ünï.csv", _CLEAR * 2)
        archive.comment = b"made here"
    return target.getvalue()


class _Unseekable(io.RawIOBase):
    """A target that zipfile cannot seek in: it then writes sizes behind the members."""

    def __init__(self, target: io.BytesIO) -> None:
        super().__init__()
        self._target = target

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        return self._target.write(data)  # type: ignore[arg-type]


def _tar_of(kind: int) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=kind, pax_headers={"comment": "made here"}) as archive:
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name in ("gold.csv", "folder/silver.csv", "folder/" + "l" * (90 if kind == tarfile.USTAR_FORMAT else 120)):
            info = tarfile.TarInfo(name)
            info.size = len(_CLEAR)
            archive.addfile(info, io.BytesIO(_CLEAR))
    whole = target.getvalue()
    ended = len(whole.rstrip(b"\0"))
    return whole[: ended + -ended % _BLOCK + 2 * _BLOCK]  # without most of the padding


def _gzip_seeds() -> Sequence[bytes]:
    whole = gzip.compress(_CLEAR, mtime=0)
    raw = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    deflated = raw.compress(_CLEAR) + raw.flush()
    files = [whole, whole + whole, whole + b"\0" * 20]
    return [*(bytes([first]) + file for file in files for first in (1, 7)), b"\x00" + deflated, b"\x00\x03\x00"]


def _zip_seeds() -> Sequence[bytes]:
    made = [_zip_of(method) for method in METHODS]
    made.append(_zip_of(zipfile.ZIP_DEFLATED, stream=True))
    return [first + archive for archive in made for first in (b"\x00", b"\x01")]


def _tar_seeds() -> Sequence[bytes]:
    made = [_tar_of(kind) for kind in (tarfile.USTAR_FORMAT, tarfile.PAX_FORMAT, tarfile.GNU_FORMAT)]
    return [first + archive for archive in made for first in (b"\x00", b"\x01", b"\x08")]


TARGETS: Final = (
    Target("gzip", run_gzip, _gzip_seeds),
    Target("zip", run_zip, _zip_seeds),
    Target("tar", run_tar, _tar_seeds),
)
