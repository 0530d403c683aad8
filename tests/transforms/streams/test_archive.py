"""Archives as the standard library writes them, and as nobody should: those are built here, byte by byte."""

from __future__ import annotations

import contextlib
import io
import random
import stat
import struct
import tarfile
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.delivery import ArchiveLimits
from tests.transforms.streams.pieces import CHUNK_SIZES, PROPERTY, pieces
from transforms.streams.archive_member import Member
from transforms.streams.bad_file import BadFile
from transforms.streams.chunks import CHUNK_SIZE
from transforms.streams.tar_archive import is_tar, tar_members
from transforms.streams.zip_archive import is_zip, zip_members

_LIMITS: Final = ArchiveLimits(members=20, clear_bytes=64 << 20, ratio=100)
_CSV: Final = b"id,name\n" + b"".join(b"%d,somebody\n" % number for number in range(60))
_NOISE: Final = random.Random(3).randbytes(3 * CHUNK_SIZE + 17)
_FILES: Final = {"a.csv": _CSV, "folder/b.csv": b"", "folder/c.bin": _NOISE[:1000]}
_METHODS: Final = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
_TAR_FORMATS: Final = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]

Files = dict[str, bytes]


def _contents(members: Iterator[Member]) -> Files:
    found = {}
    for member in members:
        data = b"".join(member.chunks)
        assert len(data) == member.size
        found[member.name] = data
    return found


def _unzip(data: bytes, limits: ArchiveLimits = _LIMITS) -> Files:
    return _contents(zip_members(io.BytesIO(data), limits))


def _untar(data: bytes, limits: ArchiveLimits = _LIMITS, size: int = 1000) -> Files:
    return _contents(tar_members(pieces(data, size), limits))


def _refused(read: Callable[[], object]) -> BadFile:
    with pytest.raises(BadFile) as caught:
        read()
    return caught.value


# --- zip, as the standard library writes it


class _Pipe(io.RawIOBase):
    """A target that cannot seek, so that sizes and checksums come behind the data."""

    def __init__(self) -> None:
        super().__init__()
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        self.data += memoryview(data)  # type: ignore[arg-type]  # whatever has a buffer
        return len(memoryview(data))  # type: ignore[arg-type]


def _zip(files: Files, method: int = zipfile.ZIP_DEFLATED, *, zip64: bool = False, comment: bytes = b"") -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for name, data in files.items():
            with archive.open(name, "w", force_zip64=zip64) as file:
                file.write(data)
        archive.comment = comment
    return made.getvalue()


@pytest.mark.parametrize("method", _METHODS)
@pytest.mark.parametrize("zip64", [False, True])
@pytest.mark.parametrize("comment", [b"", b"made by hand"])
def test_zip_files_come_back(method: int, zip64: bool, comment: bytes) -> None:  # noqa: FBT001  a case
    data = _zip(_FILES, method, zip64=zip64, comment=comment)
    assert is_zip(data[:4])
    assert _unzip(data) == _FILES


@pytest.mark.parametrize("method", _METHODS)
def test_zip_files_come_back_that_were_written_to_a_pipe(method: int) -> None:
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", method) as archive:
        for name, data in _FILES.items():
            archive.writestr(name, data)
    assert _unzip(bytes(pipe.data)) == _FILES


def test_zip_directories_beyond_32_bits_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 2)
    data = _zip(_FILES)
    assert b"PK\x06\x06" in data
    assert _unzip(data) == _FILES


def test_zip_folders_are_passed_over() -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.mkdir("folder")
        archive.writestr("folder/a.csv", _CSV)
        archive.writestr("other/", b"")
    assert _unzip(made.getvalue()) == {"folder/a.csv": _CSV}


@PROPERTY
@given(
    st.dictionaries(st.text("aé字b._- ", min_size=1).filter(lambda name: name.strip(".")), st.binary(), min_size=1),
    st.sampled_from(_METHODS),
)
def test_zip_gives_back_whatever_was_put_in(files: Files, method: int) -> None:
    assert _unzip(_zip(files, method), ArchiveLimits(len(files), 1 << 20, 1)) == files


@pytest.mark.parametrize("method", _METHODS)
def test_large_zip_members_come_in_bounded_chunks(method: int) -> None:
    (member,) = [
        (found.name, list(found.chunks)) for found in zip_members(io.BytesIO(_zip({"a": _NOISE}, method)), _LIMITS)
    ]
    assert b"".join(member[1]) == _NOISE
    assert max(map(len, member[1])) <= CHUNK_SIZE


@pytest.mark.parametrize("method", _METHODS)
def test_memory_does_not_grow_with_what_is_unpacked(method: int) -> None:
    data = _zip({"zeros": bytes(48 << 20)}, method)
    tracemalloc.start()
    try:
        (member,) = (
            sum(map(len, found.chunks)) for found in zip_members(io.BytesIO(data), ArchiveLimits(1, 1 << 30, 1_000_000))
        )
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert member == 48 << 20
    assert peak < 12 << 20


# --- zip, by hand


@dataclass
class _Raw:
    """A member of a hand-made archive; ``local_*`` is what its own header says where it says something else."""

    name: bytes = b"a.csv"
    packed: bytes = _CSV
    size: int = len(_CSV)
    packed_size: int = -1
    checksum: int = zlib.crc32(_CSV)
    method: int = 0
    flags: int = 0
    attributes: int = 0
    extra: bytes = b""
    local_name: bytes | None = None
    local_method: int | None = None
    local_flags: int | None = None
    local_size: int | None = None
    local_packed_size: int | None = None
    local_checksum: int | None = None
    local_extra: bytes = b""
    at: int | None = None  # where the directory says that it is; there is no local header then

    def __post_init__(self) -> None:
        self.packed_size = len(self.packed) if self.packed_size < 0 else self.packed_size

    def local(self) -> bytes:
        name = self.name if self.local_name is None else self.local_name
        return (
            struct.pack(
                "<4s5H3I2H",
                b"PK\x03\x04",
                20,
                self.flags if self.local_flags is None else self.local_flags,
                self.method if self.local_method is None else self.local_method,
                0,
                0x21,
                self.checksum if self.local_checksum is None else self.local_checksum,
                self.packed_size if self.local_packed_size is None else self.local_packed_size,
                self.size if self.local_size is None else self.local_size,
                len(name),
                len(self.local_extra),
            )
            + name
            + self.local_extra
            + self.packed
        )

    def listed(self, at: int) -> bytes:
        return (
            struct.pack(
                "<4s6H3I5H2I",
                b"PK\x01\x02",
                0x0314,
                20,
                self.flags,
                self.method,
                0,
                0x21,
                self.checksum,
                self.packed_size,
                self.size,
                len(self.name),
                len(self.extra),
                0,
                0,
                0,
                self.attributes,
                at,
            )
            + self.name
            + self.extra
        )


def _by_hand(*members: _Raw, count: int | None = None) -> bytes:
    body, directory = b"", b""
    for member in members:
        directory += member.listed(len(body) if member.at is None else member.at)
        body += member.local() if member.at is None else b""
    number = len(members) if count is None else count
    return body + directory + struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, number, number, len(directory), len(body), 0)


def _deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def _unix(mode: int) -> int:
    return mode << 16


_UNSAFE_NAMES: Final = {
    "above": "../a.csv",
    "above inside": "folder/../../a.csv",
    "above at the end": "folder/..",
    "absolute": "/etc/passwd",
    "drive": "C:/a.csv",
    "drive with backslash": "C:\\a.csv",
    "relative to a drive": "c:a.csv",
    "share": "\\\\host\\a.csv",
    "backslash": "folder\\a.csv",
    "line feed": "a\n.csv",
    "escape": "a\x1b[2J.csv",
    "delete": "a\x7f.csv",
    "line separator": "a\u2028.csv",
    "the folder itself": ".",
}


def test_what_is_made_by_hand_is_a_zip_archive() -> None:
    packed = _deflated(_CSV)
    assert _unzip(_by_hand(_Raw(), _Raw(b"b.csv", packed, method=8))) == {"a.csv": _CSV, "b.csv": _CSV}


@pytest.mark.parametrize(
    "name",
    [*_UNSAFE_NAMES.values(), "", "a\x00.csv", "a.csv\x00../b", "/", "../", "folder/../", "C:/", "folder\\/", "a\n/"],
)
def test_zip_names_that_are_unsafe_are_refused(name: str) -> None:
    raw = _Raw(name.encode(), flags=0x800)
    bad = _refused(lambda: _unzip(_by_hand(_Raw(b"first.csv"), raw)))
    assert bad.reason == "unsafe_archive"
    assert bad.detail.startswith("member 2 has ")


@pytest.mark.parametrize("name", ["a.csv", "./a.csv", "..a.csv", "a..csv", "ab:c.csv", "folder/.../a", "naïve 字.csv"])
def test_zip_names_that_only_look_odd_are_read(name: str) -> None:
    assert _unzip(_by_hand(_Raw(name.encode(), flags=0x800))) == {name: _CSV}


def test_zip_names_of_old_are_read() -> None:
    assert _unzip(_by_hand(_Raw("é.csv".encode("cp437")))) == {"é.csv": _CSV}


@pytest.mark.parametrize(
    ("first", "second"),
    [("a.csv", "a.csv"), ("a.csv", "A.CSV"), ("a.csv", "./a.csv"), ("x/a", "x//a"), ("stra\u00dfe", "STRASSE"),
     ("\u00e9", "e\u0301")],
)  # fmt: skip
def test_two_files_of_one_name_are_refused(first: str, second: str) -> None:
    raws = [_Raw(name.encode(), flags=0x800) for name in (first, second)]
    assert _refused(lambda: _unzip(_by_hand(*raws))).reason == "unsafe_archive"
    assert _refused(lambda: _untar(_tar((first, _CSV), (second, _CSV)))).reason == "unsafe_archive"


_HOSTILE_ZIPS: Final[dict[str, tuple[str, bytes]]] = {
    "link": ("unsafe_archive", _by_hand(_Raw(attributes=_unix(stat.S_IFLNK | 0o777)))),
    "device": ("unsafe_archive", _by_hand(_Raw(attributes=_unix(stat.S_IFBLK | 0o777)))),
    "pipe": ("unsafe_archive", _by_hand(_Raw(attributes=_unix(stat.S_IFIFO | 0o777)))),
    "folder by its mode": ("unsafe_archive", _by_hand(_Raw(attributes=_unix(stat.S_IFDIR | 0o777)))),
    "folder by its attributes": ("unsafe_archive", _by_hand(_Raw(attributes=0x10))),
    "volume label": ("unsafe_archive", _by_hand(_Raw(attributes=0x08))),
    "file by its mode": ("unsafe_archive", _by_hand(_Raw(b"a/", b"", 0, attributes=_unix(stat.S_IFREG)))),
    "folder with content": ("unsafe_archive", _by_hand(_Raw(b"a/"))),
    "encrypted": ("encrypted_archive", _by_hand(_Raw(flags=1))),
    "strongly encrypted": ("encrypted_archive", _by_hand(_Raw(flags=0x40))),
    "encrypted directory": ("encrypted_archive", _by_hand(_Raw(flags=0x2000))),
    "encrypted by AES": ("encrypted_archive", _by_hand(_Raw(flags=1, method=99))),
    "encrypted by its own header": ("encrypted_archive", _by_hand(_Raw(local_flags=1))),
    "unknown method": ("unsafe_archive", _by_hand(_Raw(method=97))),
    "patch": ("unsafe_archive", _by_hand(_Raw(flags=0x20))),
    "from the future": ("damaged_archive", _by_hand(_Raw()).replace(b"\x14\x03\x14\x00", b"\x14\x03\xff\x00")),
    "listed twice": ("unsafe_archive", _by_hand(_Raw(), _Raw(b"b.csv", at=0))),
    "one inside another": ("unsafe_archive", _by_hand(_Raw(packed=_Raw(b"b.csv").local()), _Raw(b"b.csv", at=35))),
    "over the directory": ("unsafe_archive", _by_hand(_Raw(packed_size=len(_CSV) + 1))),
    "over the directory by its extra field": ("unsafe_archive", _by_hand(_Raw(packed=_CSV[:-50], packed_size=len(_CSV),
                                                                                local_extra=bytes(49)))),
    "longer than declared": ("damaged_archive", _by_hand(_Raw(size=10, checksum=zlib.crc32(_CSV[:10])))),
    "longer than declared, deflated": ("damaged_archive", _by_hand(_Raw(packed=_deflated(_CSV), method=8, size=10,
                                                                          checksum=zlib.crc32(_CSV[:10])))),
    "shorter than declared": ("damaged_archive", _by_hand(_Raw(size=len(_CSV) + 1))),
    "wrong checksum": ("damaged_archive", _by_hand(_Raw(checksum=1))),
    "bytes behind the packed ones": ("damaged_archive", _by_hand(_Raw(packed=_deflated(_CSV) + b"x", method=8))),
    "not deflate": ("damaged_archive", _by_hand(_Raw(method=8, packed=b"\xff" * 50))),
    "not bzip2": ("damaged_archive", _by_hand(_Raw(method=12))),
    "not LZMA": ("damaged_archive", _by_hand(_Raw(method=14))),
    "LZMA of 2 GiB": ("damaged_archive", _by_hand(_Raw(method=14, packed=struct.pack("<HHBI", 9, 5, 93, 1 << 31)))),
    "LZMA without a header": ("damaged_archive", _by_hand(_Raw(method=14, packed=b"\x09\x04\x05"))),
    "another name in its own header": ("damaged_archive", _by_hand(_Raw(local_name=b"b.csv"))),
    "another method in its own header": ("damaged_archive", _by_hand(_Raw(local_method=8))),
    "another size in its own header": ("damaged_archive", _by_hand(_Raw(local_size=1))),
    "another packed size in its own header": ("damaged_archive", _by_hand(_Raw(local_packed_size=1))),
    "another checksum in its own header": ("damaged_archive", _by_hand(_Raw(local_checksum=1))),
    "large sizes that are nowhere": ("damaged_archive", _by_hand(_Raw(local_size=0xFFFFFFFF,
                                                                        local_extra=b"\x07\x00\x01\x00x"))),
    "no zip64 where it should be": ("damaged_archive", _by_hand(_Raw(size=0xFFFFFFFF, extra=b"\x01\x00\x00\x00"))),
    "cut extra field": ("damaged_archive", _by_hand(_Raw(extra=b"\x01\x00\xff\x00"))),
    "name that is not UTF-8": ("damaged_archive", _by_hand(_Raw(b"\xff.csv", flags=0x800))),
    "more members than listed": ("damaged_archive", _by_hand(_Raw(), count=2)),
    "less members than listed": ("damaged_archive", _by_hand(_Raw(), _Raw(b"b.csv"), count=1)),
    "place before the start": ("damaged_archive", _by_hand(_Raw(at=5))),
    "something before the start": ("damaged_archive", b"#!/bin/sh\n" + _by_hand(_Raw())),
    "something behind the end": ("damaged_archive", _by_hand(_Raw()) + b"x"),
    "something long behind the end": ("damaged_archive", _by_hand(_Raw()) + bytes(70_000)),
    "nothing": ("damaged_archive", b""),
    "no zip": ("damaged_archive", _CSV),
    "only folders": ("empty_archive", _by_hand(_Raw(b"a/", b"", 0))),
    "no member": ("empty_archive", _by_hand()),
}  # fmt: skip


@pytest.mark.parametrize(("reason", "data"), _HOSTILE_ZIPS.values(), ids=_HOSTILE_ZIPS)
def test_a_zip_archive_is_refused_that(reason: str, data: bytes) -> None:
    bad = _refused(lambda: _unzip(data))
    assert bad.reason == reason
    assert "somebody" not in bad.detail


def test_the_directory_is_checked_to_its_end_before_the_first_member() -> None:
    members = zip_members(io.BytesIO(_by_hand(_Raw(), _Raw(b"../b"))), _LIMITS)
    assert _refused(lambda: next(members)).reason == "unsafe_archive"


def test_members_that_share_their_packed_bytes_are_refused() -> None:
    kernel = _deflated(bytes(1 << 20))
    body = b""
    listed: list[tuple[_Raw, int]] = []
    for number in reversed(range(10)):  # each local header is quoted, as a stored block, by the one before it
        quote = b"" if not body else struct.pack("<BHH", 0, 35, 0xFFFF ^ 35)
        packed = quote + (body or kernel)
        clear = zlib.decompressobj(-15).decompress(packed)
        raw = _Raw(b"%05d" % number, packed, len(clear), checksum=zlib.crc32(clear), method=8)
        listed.insert(0, (raw, len(raw.local())))
        body = raw.local()
    directory = b"".join(raw.listed(len(body) - size) for raw, size in listed)
    data = body + directory + struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 10, 10, len(directory), len(body), 0)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert sum(info.file_size for info in archive.infolist()) > 10 << 20
    assert _refused(lambda: _unzip(data)).reason == "unsafe_archive"


@pytest.mark.parametrize("method", _METHODS)
def test_a_changed_byte_in_a_zip_member_is_refused_or_changes_nothing(method: int) -> None:
    data = bytearray(_zip(_FILES, method))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        directory = archive.start_dir
    refused = 0
    for place in range(directory):
        for mask in (0x01, 0x10, 0xFF):
            data[place] ^= mask
            try:
                assert _unzip(bytes(data)) == _FILES
            except BadFile:
                refused += 1
            data[place] ^= mask
    assert refused > 2 * directory


def test_a_changed_byte_in_a_zip_directory_raises_nothing_but_bad_file() -> None:
    data = bytearray(_zip(_FILES, zip64=True, comment=b"made by hand"))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        directory = archive.start_dir
    for place in range(directory, len(data)):
        for mask in (0x01, 0x02, 0x10, 0x80, 0xFF):
            data[place] ^= mask
            with contextlib.suppress(BadFile):
                assert sorted(_unzip(bytes(data)).values()) == sorted(_FILES.values())
            data[place] ^= mask


def test_a_zip_archive_cut_anywhere_is_refused() -> None:
    inner = _zip({"inner.csv": _CSV}, zipfile.ZIP_STORED)  # whose end is found where the outer one is cut behind it
    data = _zip({"a.zip": inner, **_FILES}, zipfile.ZIP_STORED)
    for end in range(len(data)):
        _refused(lambda: _unzip(data[:end]))  # noqa: B023  called at once


@PROPERTY
@given(st.binary(max_size=200), st.sampled_from([b"", b"PK\x03\x04", _by_hand(_Raw())]), st.binary(max_size=60))
def test_bytes_that_are_no_zip_raise_nothing_but_bad_file(before: bytes, middle: bytes, behind: bytes) -> None:
    data = before + middle + behind
    try:
        assert _unzip(data) == {"a.csv": _CSV}
    except BadFile:
        assert data != _by_hand(_Raw())


# --- limits


def _many(count: int, size: int) -> Files:
    return {f"{number}.bin": _NOISE[:size] for number in range(count)}


@pytest.mark.parametrize(
    ("limits", "passed"),
    [
        (ArchiveLimits(3, 300, 1), False),
        (ArchiveLimits(2, 300, 1), True),
        (ArchiveLimits(3, 299, 1), True),
    ],
)
def test_archives_may_have_so_many_members_and_bytes(limits: ArchiveLimits, passed: bool) -> None:  # noqa: FBT001  a case
    files = _many(3, 100)
    reads: list[Callable[[], Files]] = [
        lambda: _unzip(_zip(files), limits),
        lambda: _untar(_tar(*files.items()), limits),
    ]
    for read in reads:
        if passed:
            assert _refused(read).reason == "archive_bomb"
        else:
            assert read() == files


@pytest.mark.parametrize(("size", "reason"), [((16 << 20) - 1, ""), ((16 << 20) + 1, "archive_bomb")])
def test_the_ratio_counts_from_16_mib_on(size: int, reason: str) -> None:
    data = _zip({"a": bytes(size)})
    if reason:
        assert _refused(lambda: _unzip(data)).reason == reason
        assert _unzip(data, ArchiveLimits(1, size, 2_000)) == {"a": bytes(size)}
    else:
        assert _unzip(data) == {"a": bytes(size)}


def test_a_directory_for_far_more_members_than_allowed_is_not_even_read() -> None:
    raws = [_Raw(b"%d" % number, b"", 0, at=0) for number in range(3_000)]
    bad = _refused(lambda: _unzip(_by_hand(*raws)))
    assert (bad.reason, "directory" in bad.detail) == ("archive_bomb", True)


# --- reading in order


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_member_that_nobody_reads_is_checked_all_the_same(kind: str) -> None:
    def members(data: bytes) -> Iterator[Member]:
        return zip_members(io.BytesIO(data), _LIMITS) if kind == "zip" else tar_members(pieces(data, 1000), _LIMITS)

    files = {"a.bin": _NOISE, "b.csv": _CSV}
    good = _zip(files) if kind == "zip" else _tar(*files.items())
    assert [member.name for member in members(good)] == list(files)
    found = members(good)
    next(next(found).chunks)
    assert b"".join(next(found).chunks) == _CSV
    bad = _by_hand(_Raw(checksum=1), _Raw(b"b.csv")) if kind == "zip" else _tar(("a.csv", _CSV))[:600]
    found = members(bad)
    next(found)
    assert _refused(lambda: next(found)).reason == "damaged_archive"


def test_a_member_cannot_be_read_when_the_next_was_asked_for() -> None:
    first, second = zip_members(io.BytesIO(_zip({"a": _NOISE, "b": _CSV})), _LIMITS)
    for member in (first, second):
        with pytest.raises(RuntimeError, match="next one"):
            next(member.chunks)


def test_an_error_that_was_swallowed_comes_again() -> None:
    members = zip_members(io.BytesIO(_by_hand(_Raw(checksum=1), _Raw(b"b.csv"))), _LIMITS)
    first = next(members)
    for read in (lambda: list(first.chunks), lambda: list(first.chunks), lambda: [next(members)]):
        assert _refused(read).reason == "damaged_archive"


class _SourceError(OSError):
    pass


class _Breaking(io.BytesIO):
    """A file that fails at its n-th read."""

    def __init__(self, data: bytes, reads: int) -> None:
        super().__init__(data)
        self.reads = reads

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads -= 1
        if self.reads < 0:
            raise _SourceError
        assert size is not None
        assert 0 <= size <= 1 << 20
        return super().read(size)


def test_errors_of_the_file_pass_as_they_are() -> None:
    data = _zip(_FILES)
    reads = 0
    while True:
        file = _Breaking(data, reads)
        try:
            assert _contents(zip_members(file, _LIMITS)) == _FILES
        except _SourceError:
            reads += 1
        else:
            break
    assert reads > 8


@pytest.mark.parametrize("error", [_SourceError(), BadFile("not_authentic", "cut"), ValueError(), EOFError()])
def test_errors_of_the_chunks_pass_as_they_are(error: Exception) -> None:
    data = _tar(*_FILES.items())

    def breaks(whole: int) -> Iterator[bytes]:
        yield from pieces(data[:whole], 512)
        raise error

    for whole in range(0, len(data) + 1, 512):
        with pytest.raises(type(error)) as caught:
            _contents(tar_members(breaks(whole), _LIMITS))
        assert caught.value is error


@pytest.mark.parametrize(
    ("name", "shown"),
    [("a.csv", "member 2 ('a.csv') "), ("x" * 200, f"member 2 ('{'x' * 80}') "), ("a\n.csv", "member 2 has"),
     ("../a", "member 2 has"), ("a\u202egnp.csv", "member 2 is")],
)  # fmt: skip
def test_a_message_shows_harmless_names_alone(name: str, shown: str) -> None:
    raw = _Raw(name.encode(), flags=0x800, attributes=_unix(stat.S_IFLNK))
    assert _refused(lambda: _unzip(_by_hand(_Raw(b"first"), raw))).detail.startswith(shown)


# --- tar


def _tar(*members: tuple[str, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=form) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return made.getvalue()


_END: Final = bytes(1024)


@dataclass
class _Block:
    """A hand-made tar header and what follows it."""

    name: bytes = b"a.csv"
    kind: bytes = b"0"
    body: bytes = b""
    size: int | None = None
    magic: bytes = b"ustar\x0000"
    number: Callable[[int], bytes] = field(default=lambda size: b"%011o\x00" % size)

    def __bytes__(self) -> bytes:
        size = self.number(len(self.body) if self.size is None else self.size)
        block = bytearray(512)
        block[:100] = self.name.ljust(100, b"\x00")
        block[100:124] = b"0000644\x000000000\x000000000\x00"
        block[124:136] = size
        block[136:148] = b"00000000000\x00"
        block[148:156] = b" " * 8
        block[156:157] = self.kind
        block[257:265] = self.magic
        block[148:156] = b"%06o\x00 " % sum(block)
        return bytes(block) + self.body + bytes(-len(self.body) % 512)


def _tar_by_hand(*blocks: _Block) -> bytes:
    return b"".join(map(bytes, blocks)) + _END


def _pax(**records: bytes) -> bytes:
    made = b""
    for key, value in records.items():
        record = b" " + key.replace("_", ".").encode() + b"=" + value + b"\n"
        length = len(record)
        while len(str(length)) + len(record) != length:
            length = len(str(length)) + len(record)
        made += str(length).encode() + record
    return made


@pytest.mark.parametrize("form", _TAR_FORMATS)
@pytest.mark.parametrize("size", [1, 511, 512, 10_240, CHUNK_SIZE])
def test_tar_files_come_back(form: int, size: int) -> None:
    data = _tar(*_FILES.items(), form=form)
    assert is_tar(data[:512])
    assert _untar(data, size=size) == _FILES


@PROPERTY
@given(
    st.dictionaries(st.text("aé字b._- ", min_size=1).filter(lambda name: name.strip(".")), st.binary(max_size=2000),
                    min_size=1),
    st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
    CHUNK_SIZES,
)  # fmt: skip
def test_tar_gives_back_whatever_was_put_in(files: Files, form: int, size: int) -> None:
    data = _tar(*files.items(), form=form)
    assert _untar(data, ArchiveLimits(len(files), 1 << 20, 1), size) == files


@pytest.mark.parametrize("form", _TAR_FORMATS)
def test_long_tar_names_come_back(form: int) -> None:
    name = "/".join(["folder" * 10] * 2) + "/a.csv"
    assert _untar(_tar((name, _CSV), form=form)) == {name: _CSV}


def test_large_tar_members_come_in_bounded_chunks() -> None:
    ((name, chunks),) = [
        (member.name, list(member.chunks)) for member in tar_members(iter([_tar(("a", _NOISE))]), _LIMITS)
    ]
    assert (name, b"".join(chunks)) == ("a", _NOISE)
    assert max(map(len, chunks)) == CHUNK_SIZE


_GOOD_TARS: Final[dict[str, bytes]] = {
    "v7": _tar_by_hand(_Block(body=_CSV, kind=b"\x00", magic=bytes(8))),
    "v7 with a folder": _tar_by_hand(_Block(b"x/", b"\x00", magic=bytes(8)), _Block(body=_CSV)),
    "folder": _tar_by_hand(_Block(b"x/", b"5"), _Block(body=_CSV)),
    "the folder itself": _tar_by_hand(_Block(b"./", b"5"), _Block(body=_CSV)),
    "contiguous": _tar_by_hand(_Block(body=_CSV, kind=b"7")),
    "size in base 256": _tar_by_hand(_Block(body=_CSV, number=lambda size: b"\x80" + size.to_bytes(11, "big"))),
    "size in pax": _tar_by_hand(_Block(kind=b"x", body=_pax(size=b"%d" % len(_CSV))), _Block(body=_CSV, size=0)),
    "attributes": _tar_by_hand(_Block(kind=b"x", body=_pax(LIBARCHIVE_xattr=bytes(range(256)))), _Block(body=_CSV)),
    "comment for all": _tar_by_hand(_Block(kind=b"g", body=_pax(comment=b"1234abcd")), _Block(body=_CSV)),
    "name and a comment": _tar_by_hand(
        _Block(kind=b"L", body=b"a.csv\x00"), _Block(kind=b"x", body=_pax(comment=b"x")), _Block(b"z", body=_CSV)
    ),
    "no padding": _tar_by_hand(_Block(body=_CSV)),
    "much padding": _tar_by_hand(_Block(body=_CSV)) + bytes(1 << 20),
}


@pytest.mark.parametrize("data", _GOOD_TARS.values(), ids=_GOOD_TARS)
def test_a_tar_archive_is_read_with(data: bytes) -> None:
    assert is_tar(data[:512])
    assert _untar(data) == {"a.csv": _CSV}


_HOSTILE_TARS: Final[dict[str, tuple[str, bytes]]] = {
    "link": ("unsafe_archive", _tar_by_hand(_Block(kind=b"2"))),
    "hard link": ("unsafe_archive", _tar_by_hand(_Block(body=_CSV), _Block(b"b.csv", b"1"))),
    "link with a long target": ("unsafe_archive", _tar_by_hand(_Block(kind=b"K", body=b"/" * 200), _Block(kind=b"2"))),
    "character device": ("unsafe_archive", _tar_by_hand(_Block(kind=b"3"))),
    "block device": ("unsafe_archive", _tar_by_hand(_Block(kind=b"4"))),
    "pipe": ("unsafe_archive", _tar_by_hand(_Block(kind=b"6"))),
    "unknown kind": ("unsafe_archive", _tar_by_hand(_Block(kind=b"Z"))),
    "part of a set": ("unsafe_archive", _tar_by_hand(_Block(kind=b"M", body=_CSV))),
    "sparse": ("unsafe_archive", _tar_by_hand(_Block(kind=b"S", body=_CSV))),
    "sparse by pax": ("unsafe_archive", _tar_by_hand(_Block(kind=b"x", body=_pax(GNU_sparse_major=b"1")),
                                                     _Block(body=_CSV))),
    "folder with content": ("unsafe_archive", _tar_by_hand(_Block(b"x", b"5", _CSV))),
    "file named as a folder": ("unsafe_archive", _tar_by_hand(_Block(b"x/", b"0", _CSV))),
    "no name": ("unsafe_archive", _tar_by_hand(_Block(b"", body=_CSV))),
    "the root": ("unsafe_archive", _tar_by_hand(_Block(b"/", b"5"))),
    "name that is not UTF-8": ("unsafe_archive", _tar_by_hand(_Block(b"\xff", body=_CSV))),
    "pax name that is not UTF-8": ("unsafe_archive", _tar_by_hand(_Block(kind=b"x", body=_pax(path=b"\xff")),
                                                                  _Block(body=_CSV))),
    "long name that is not UTF-8": ("unsafe_archive", _tar_by_hand(_Block(kind=b"L", body=b"\xff\x00"),
                                                                   _Block(body=_CSV))),
    "unsafe pax name": ("unsafe_archive", _tar_by_hand(_Block(kind=b"x", body=_pax(path=b"../b")), _Block(body=_CSV))),
    "unsafe long name": ("unsafe_archive", _tar_by_hand(_Block(kind=b"L", body=b"/b\x00"), _Block(body=_CSV))),
    "one name for all": ("unsafe_archive", _tar_by_hand(_Block(kind=b"g", body=_pax(path=b"b")), _Block(body=_CSV))),
    "one size for all": ("unsafe_archive", _tar_by_hand(_Block(kind=b"g", body=_pax(size=b"9")), _Block(body=_CSV))),
    "extended headers without end": ("unsafe_archive", _tar_by_hand(*[_Block(kind=b"x", body=_pax(a=b"b"))] * 9)),
    "extended header without end": ("unsafe_archive", _tar_by_hand(_Block(kind=b"x", size=8 << 30))),
    "pax size that is none": ("damaged_archive", _tar_by_hand(_Block(kind=b"x", body=_pax(size=b"-1")), _Block())),
    "pax size without end": ("damaged_archive", _tar_by_hand(_Block(kind=b"x", body=_pax(size=b"9" * 99)), _Block())),
    "pax without a length": ("damaged_archive", _tar_by_hand(_Block(kind=b"x", body=b"path=b\n"), _Block())),
    "pax with a length of 0": ("damaged_archive", _tar_by_hand(_Block(kind=b"x", body=b"0 path=b\n"), _Block())),
    "pax with a long length": ("damaged_archive", _tar_by_hand(_Block(kind=b"x", body=b"99 path=b\n"), _Block())),
    "pax without a value": ("damaged_archive", _tar_by_hand(_Block(kind=b"x", body=b"7 path\n"), _Block())),
    "pax without a line feed": ("damaged_archive", _tar_by_hand(_Block(kind=b"x", body=b"9 path=bc"), _Block())),
    "pax before the end": ("damaged_archive", _tar_by_hand(_Block(body=_CSV), _Block(kind=b"x", body=_pax(a=b"b")))),
    "negative size": ("damaged_archive", _tar_by_hand(_Block(number=lambda _: b"\xff" * 12))),
    "size that is no number": ("damaged_archive", _tar_by_hand(_Block(number=lambda _: b"x" * 12))),
    "huge size": ("archive_bomb", _tar_by_hand(_Block(number=lambda _: b"\x80" + b"\xff" * 11))),
    "one block of zeros at its end": ("damaged_archive", bytes(_Block(body=_CSV)) + bytes(512)),
    "no zeros at its end": ("damaged_archive", bytes(_Block(body=_CSV))),
    "one block of zeros in between": ("damaged_archive", bytes(_Block(body=_CSV)) + bytes(512) + _tar(("b", _CSV))),
    "another one behind its end": ("damaged_archive", _tar(("a", _CSV)) + _tar(("b", _CSV))),
    "zeros without end": ("archive_bomb", _tar(("a", _CSV)) + bytes(17 << 20)),
    "nothing": ("damaged_archive", b""),
    "no tar": ("damaged_archive", _CSV),
    "only folders": ("empty_archive", _tar_by_hand(_Block(b"x/", b"5"))),
    "only zeros": ("empty_archive", bytes(10_240)),
}  # fmt: skip


@pytest.mark.parametrize(("reason", "data"), _HOSTILE_TARS.values(), ids=_HOSTILE_TARS)
def test_a_tar_archive_is_refused_with(reason: str, data: bytes) -> None:
    bad = _refused(lambda: _untar(data, size=CHUNK_SIZE))
    assert bad.reason == reason
    assert "somebody" not in bad.detail


@pytest.mark.parametrize("name", _UNSAFE_NAMES.values(), ids=_UNSAFE_NAMES)
@pytest.mark.parametrize("form", _TAR_FORMATS)
def test_tar_names_that_are_unsafe_are_refused(name: str, form: int) -> None:
    bad = _refused(lambda: _untar(_tar(("first.csv", _CSV), (name, _CSV), form=form)))
    assert bad.reason == "unsafe_archive"
    assert bad.detail.startswith("member 2 has ")


@pytest.mark.parametrize("form", _TAR_FORMATS)
def test_a_tar_archive_cut_anywhere_is_refused(form: int) -> None:
    data = _tar(*_FILES.items(), ("x/" + "long" * 24, _CSV), form=form)
    whole = len(data.rstrip(b"\x00"))
    whole += -whole % 512 + 1024
    for end in range(whole):
        assert _refused(lambda: _untar(data[:end])).reason == "damaged_archive"  # noqa: B023  called at once
    assert len(_untar(data[:whole])) == 4


def test_a_changed_byte_in_a_tar_header_raises_nothing_but_bad_file() -> None:
    data = bytearray(_tar(("x/" + "long" * 24 + "é", _CSV)))
    for place in range(1600):
        for mask in (0x01, 0x10, 0xFF):
            data[place] ^= mask
            try:
                found = _untar(bytes(data))
            except BadFile:
                pass
            else:  # tar has no checksums but those of its header blocks
                assert all(len(each) == len(_CSV) for each in found.values())
            data[place] ^= mask


@PROPERTY
@given(st.binary(max_size=2000), st.sampled_from([b"x", b"L", b"g", b"K", b"X"]))
def test_any_extended_header_raises_nothing_but_bad_file(body: bytes, kind: bytes) -> None:
    try:
        found = _untar(_tar_by_hand(_Block(kind=kind, body=body), _Block(body=_CSV)))
    except BadFile:
        return
    assert list(found.values()) == [_CSV]


# --- telling them apart


@pytest.mark.parametrize(
    ("head", "is_one", "is_other"),
    [
        (_zip(_FILES)[:512], True, False),
        (_by_hand(), True, False),
        (b"PK\x03\x04", True, False),
        (b"PK\x03", False, False),
        (b"PK\x07\x08", False, False),
        (_tar(("a", b""))[:512], False, True),
        (_GOOD_TARS["v7"][:512], False, True),
        (_tar(("a", b""))[:511], False, False),
        (b"b" + _tar(("a", b""))[1:512], False, False),
        (bytes(512), False, False),
        (_CSV[:512], False, False),
        (b"", False, False),
    ],
)
def test_archives_are_known_by_their_heads(head: bytes, is_one: bool, is_other: bool) -> None:  # noqa: FBT001  cases
    assert (is_zip(head), is_tar(head)) == (is_one, is_other)
