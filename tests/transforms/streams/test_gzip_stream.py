from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transforms.streams.pieces import CHUNK_SIZES, PROPERTY, pieces
from transforms.streams.bad_file import BadFile
from transforms.streams.chunks import CHUNK_SIZE
from transforms.streams.gzip_stream import gunzip

_CLEAR = b"id,name\n" + b"".join(b"%d,somebody\n" % number for number in range(60))
_FIXED_HEADER = 10  # RFC 1952, 2.3: magic, method, flags, time, extra flags, system
_TRAILER = 8  # RFC 1952, 2.3: checksum and length


def _gunzip(data: bytes, size: int) -> bytes:
    return b"".join(gunzip(pieces(data, size)))


def _refusal(data: bytes, size: int) -> str:
    with pytest.raises(BadFile) as caught:
        _gunzip(data, size)
    return caught.value.reason


@PROPERTY
@given(st.lists(st.binary(max_size=300), min_size=1, max_size=4), CHUNK_SIZES)
def test_members_come_back_one_after_the_other(members: list[bytes], size: int) -> None:
    assert _gunzip(b"".join(map(gzip.compress, members)), size) == b"".join(members)


@pytest.mark.parametrize("size", [1, 4, 1000])
@pytest.mark.parametrize("padding", [b"", b"\x00", b"\x00" * 512])
def test_zeros_may_stand_between_and_behind_members(padding: bytes, size: int) -> None:
    data = gzip.compress(b"one") + padding + gzip.compress(b"") + padding + gzip.compress(b"two") + padding
    assert _gunzip(data, size) == b"onetwo"


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("before", [b"", gzip.compress(b"first")], ids=["only member", "second member"])
def test_a_cut_anywhere_is_refused(before: bytes, size: int) -> None:
    member = gzip.compress(_CLEAR)
    for end in range(1 if before else 0, len(member)):
        assert _refusal(before + member[:end], size) == "damaged_compression"


def test_a_changed_bit_is_refused_or_changes_nothing() -> None:
    member = gzip.compress(_CLEAR, mtime=0)
    refused = 0
    for at in range(_FIXED_HEADER, len(member)):
        for bit in range(8):
            changed = bytearray(member)
            changed[at] ^= 1 << bit
            try:
                clear = _gunzip(bytes(changed), 64)
            except BadFile:
                refused += 1
            else:  # the bits that fill up the last byte of deflate mean nothing
                assert clear == _CLEAR
                assert at == len(member) - _TRAILER - 1
    assert refused >= 8 * (len(member) - _FIXED_HEADER) - 7


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("garbage", [b"x", b"\x1f", b"\x1f\x8b", b"\x00x", b"id,name\n1,a\n", b"\x1f\x8b\x08garbage"])
def test_garbage_behind_the_last_member_is_refused(garbage: bytes, size: int) -> None:
    assert _refusal(gzip.compress(_CLEAR) + garbage, size) == "damaged_compression"


@pytest.mark.parametrize("data", [b"", b"\x00", b"not gzip at all", _CLEAR])
def test_what_is_not_gzip_is_refused(data: bytes) -> None:
    assert _refusal(data, 4) == "damaged_compression"


def test_a_bomb_comes_in_bounded_chunks() -> None:
    size = 100 << 20
    total = 0
    for chunk in gunzip(pieces(gzip.compress(bytes(size)), CHUNK_SIZE)):
        assert len(chunk) <= CHUNK_SIZE
        assert chunk.count(0) == len(chunk)
        total += len(chunk)
    assert total == size
