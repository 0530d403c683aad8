"""The sealed scratch file, against io.BytesIO over what was written to it."""

from __future__ import annotations

import contextlib
import io
import os
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.runtime.scratch import SealedScratch
from transforms.streams.chunks import CHUNK_SIZE

_DATA = random.Random(2).randbytes(2 * CHUNK_SIZE + 12_345)
_BLOCK = 16
_SIZES = st.one_of(st.integers(0, 5 * _BLOCK), st.integers(0, len(_DATA)))
_PLACES = st.one_of(st.integers(0, 6 * _BLOCK), st.integers(0, len(_DATA) + 1))


@settings(deadline=None, max_examples=150)
@given(
    st.lists(_SIZES, max_size=3),
    st.lists(st.tuples(_PLACES, st.one_of(_SIZES, st.integers(0, 3 * _BLOCK))), max_size=8),
)
def test_any_seeks_and_reads_are_those_of_a_file(writes: list[int], reads: list[tuple[int, int]]) -> None:
    with contextlib.closing(SealedScratch()) as scratch:
        for size in writes:
            scratch.write(_DATA[:size])
        clear = b"".join(_DATA[:size] for size in writes)
        with scratch.open() as file, io.BytesIO(clear) as expected:
            assert file.seek(0, os.SEEK_END) == len(clear)
            file.seek(0)
            for place, size in reads:
                assert file.read(size) == expected.read(size)
                assert file.seek(place) == expected.seek(place)
            assert file.read() == expected.read()
        assert b"".join(scratch.read_back()) == clear


@pytest.mark.parametrize("counter", [b"\xff" * 16, b"\x00" * 15 + b"\xff", b"\x00" * 8 + b"\xff" * 8])
def test_the_counter_of_blocks_may_run_over(counter: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.runtime.scratch.os.urandom", lambda size: counter if size == _BLOCK else bytes(size))
    with contextlib.closing(SealedScratch()) as scratch:
        scratch.write(_DATA)
        with scratch.open() as file:
            for place in (2 * CHUNK_SIZE + 5, 16, 15, 17, 32, 0):
                file.seek(place)
                assert file.read(100) == _DATA[place : place + 100]


def test_several_files_have_positions_of_their_own_and_see_what_was_there_when_opened() -> None:
    with contextlib.closing(SealedScratch()) as scratch:
        scratch.write(_DATA[:100])
        with scratch.open() as first:
            scratch.write(_DATA[100:])
            with scratch.open() as second:
                assert (first.read(40), second.read(10)) == (_DATA[:40], _DATA[:10])
                assert (first.read(), second.read()) == (_DATA[40:100], _DATA[10:])
        assert b"".join(scratch.read_back()) == _DATA


def test_closing_a_file_leaves_the_scratch() -> None:
    with contextlib.closing(SealedScratch()) as scratch:
        scratch.write(memoryview(b"clear"))
        for _ in range(2):
            with scratch.open() as file:
                assert file.read() == b"clear"
                assert not file.writable()


def test_reading_back_comes_in_bounded_chunks_and_closes_the_scratch() -> None:
    scratch = SealedScratch()
    scratch.write(_DATA)
    chunks = list(scratch.read_back())
    assert b"".join(chunks) == _DATA
    assert max(map(len, chunks)) == CHUNK_SIZE
    with pytest.raises(ValueError, match="closed"):
        scratch.open()
    scratch.close()


def test_what_is_on_disk_is_not_the_clear_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "scratch"
    monkeypatch.setattr("jobs.runtime.scratch.tempfile.TemporaryFile", lambda: path.open("w+b"))
    clear = b"zoe.canary@example.com\n" * 10_000
    with contextlib.closing(SealedScratch()) as scratch:
        scratch.write(clear)
        with scratch.open() as file:
            assert file.read() == clear
        sealed = path.read_bytes()
    with contextlib.closing(SealedScratch()) as another:
        another.write(clear)
        with another.open():
            other_key = path.read_bytes()
    assert len(sealed) == len(clear)
    assert b"canary" not in sealed
    assert len(set(sealed)) == 256
    assert len({sealed[start : start + _BLOCK] for start in range(0, len(sealed) - _BLOCK, _BLOCK)}) > 14_000
    assert sealed != other_key


def test_the_file_has_no_name_and_is_gone_when_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    scratch = SealedScratch()
    scratch.write(_DATA)
    assert list(tmp_path.iterdir()) == []
    held = len(list(Path("/proc/self/fd").iterdir()))
    scratch.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == held - 1
