"""A seekable file over chunks, against io.BytesIO over the same bytes; what it asks of the store is counted."""

from __future__ import annotations

import errno
import io
import os
import random
import zipfile
from collections.abc import Iterator
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.runtime.errors import ObjectChangedError, StorageError
from jobs.runtime.ranged import SKIP_SIZE, TAIL_SIZE, RangedFile, open_ranged
from transforms.streams.chunks import CHUNK_SIZE

_LARGE = random.Random(1).randbytes(3 << 20)
_SIZES = [0, 1, TAIL_SIZE - 1, TAIL_SIZE, TAIL_SIZE + 1, 200_000, len(_LARGE)]


class Source:
    """Counts how often it was opened, where, and how many of its iterators are still open."""

    def __init__(self, data: bytes, size: int = CHUNK_SIZE) -> None:
        self.data, self.size = data, size
        self.offsets: list[int] = []
        self.still_open = 0

    def __call__(self, offset: int) -> Iterator[bytes]:
        self.offsets.append(offset)
        return self._chunks(offset)

    def _chunks(self, offset: int) -> Iterator[bytes]:
        self.still_open += 1
        try:
            yield b""  # an empty chunk is not the end
            for start in range(offset, len(self.data), self.size):
                yield self.data[start : start + self.size]
        finally:
            self.still_open -= 1

    def open(self) -> IO[bytes]:
        return open_ranged(self, len(self.data))


_PLACES = st.one_of(st.integers(0, len(_LARGE) + 10), st.integers(0, 300))
_STEPS = st.one_of(
    st.tuples(st.just("set"), _PLACES),
    st.tuples(st.just("end"), st.integers(0, 2 * TAIL_SIZE)),
    st.tuples(st.just("on"), st.integers(0, SKIP_SIZE + 10)),
    st.tuples(st.just("read"), st.one_of(st.integers(0, 70), st.integers(0, 2 * CHUNK_SIZE))),
    st.tuples(st.just("rest"), st.just(0)),
)


def step(file: IO[bytes], size: int, what: str, number: int) -> tuple[int, bytes]:
    data = b""
    if what == "set":
        file.seek(number)
    elif what == "end":
        file.seek(-min(number, size), os.SEEK_END)
    elif what == "on":
        file.seek(number, os.SEEK_CUR)
    elif what == "read":
        data = file.read(number)
    else:
        data = file.read()
    return file.tell(), data


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(_SIZES), st.sampled_from([997, 1 << 16, CHUNK_SIZE]), st.lists(_STEPS, max_size=12))
def test_any_seeks_and_reads_are_those_of_a_file(size: int, chunk: int, steps: list[tuple[str, int]]) -> None:
    source = Source(_LARGE[:size], chunk)
    with source.open() as file, io.BytesIO(_LARGE[:size]) as expected:
        for what, number in steps:
            assert step(file, size, what, number) == step(expected, size, what, number)
    assert source.still_open == 0


@settings(deadline=None, max_examples=50)
@given(st.sampled_from(_SIZES), st.lists(st.tuples(_PLACES, st.integers(1, 1 << 17)), max_size=8))
def test_unbuffered_reads_return_a_part_of_what_is_there(size: int, reads: list[tuple[int, int]]) -> None:
    with RangedFile(Source(_LARGE[:size]), size) as file:
        for place, count in reads:
            file.seek(place)
            data = file.read(count)
            assert bool(data) == (place < size)
            assert data == _LARGE[:size][place : place + len(data)]
            assert file.tell() == place + len(data)


@pytest.mark.parametrize("size", _SIZES)
def test_a_file_read_on_is_opened_once_and_closed_at_its_end(size: int) -> None:
    source = Source(_LARGE[:size])
    with source.open() as file:
        assert b"".join(iter(lambda: file.read(10_000), b"")) == _LARGE[:size]
        assert source.offsets == ([0] if size else [])
        assert source.still_open == 0


def test_nothing_is_opened_before_the_first_read() -> None:
    source = Source(_LARGE)
    with source.open() as file:
        assert file.seek(0, os.SEEK_END) == len(_LARGE)
        file.seek(10)
        assert source.offsets == []


@pytest.mark.parametrize(
    ("first", "then", "opened"),
    [(0, SKIP_SIZE, [0]), (0, 2 * SKIP_SIZE, [0, 2 * SKIP_SIZE]), (SKIP_SIZE, 0, [SKIP_SIZE, 0])],
    ids=["a short way on", "a long way on", "back"],
)
def test_only_short_ways_on_are_read_over(first: int, then: int, opened: list[int]) -> None:
    source = Source(_LARGE)
    with RangedFile(source, len(_LARGE)) as file:
        for place in (first, then):
            file.seek(place)
            assert file.read(10) == _LARGE[place : place + 10]
    assert source.offsets == opened


def test_hunting_at_the_end_costs_one_request() -> None:
    source = Source(_LARGE)
    with source.open() as file:
        for distance in (22, 65_000, 1, TAIL_SIZE, 8):
            file.seek(-distance, os.SEEK_END)
            assert file.read() == _LARGE[-distance:]
    assert source.offsets == [len(_LARGE) - TAIL_SIZE]


def test_a_zip_archive_costs_two_requests() -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for number in range(20):
            archive.writestr(f"{number}.bin", _LARGE[: 100_000 + number])
    source = Source(made.getvalue())
    with source.open() as file, zipfile.ZipFile(file) as archive:
        for number in range(20):
            assert archive.read(f"{number}.bin") == _LARGE[: 100_000 + number]
    assert source.offsets == [len(source.data) - TAIL_SIZE, 0]


def test_a_parquet_file_costs_few_requests() -> None:
    table = pa.table({"number": pa.array(range(300_000)), "text": pa.array([str(n) for n in range(300_000)])})
    made = io.BytesIO()
    pq.write_table(table, made, compression="none")
    source = Source(made.getvalue())
    with source.open() as file:
        assert pq.ParquetFile(file).read().equals(table)
    assert source.offsets[0] == len(source.data) - TAIL_SIZE
    assert len(source.offsets) <= 5


@pytest.mark.parametrize("place", [0, len(_LARGE) - 10])
def test_errors_of_the_source_pass_and_close_it(place: int) -> None:
    source = Source(_LARGE)

    def breaks(offset: int) -> Iterator[bytes]:
        if len(source.offsets) == 0:
            yield from source(offset)
        raise ObjectChangedError("replaced")

    with open_ranged(breaks, len(_LARGE)) as file:
        file.seek(place)
        with pytest.raises(ObjectChangedError):
            file.read(len(_LARGE))
    assert source.still_open == 0


@pytest.mark.parametrize(("size", "word"), [(len(_LARGE) + 1, "ended"), (len(_LARGE) - 1, "goes on")])
def test_a_source_of_another_size_is_an_error(size: int, word: str) -> None:
    source = Source(_LARGE)
    with open_ranged(source, size) as file, pytest.raises(StorageError, match=word):
        file.read()
    assert source.still_open == 0


def test_after_an_error_the_same_place_can_be_read_again() -> None:
    source = Source(_LARGE)

    def breaks_once(offset: int) -> Iterator[bytes]:
        if not source.offsets:
            source.offsets.append(offset)
            raise StorageError("busy")
        yield from source(offset)

    with RangedFile(breaks_once, len(_LARGE)) as file:
        file.seek(-10, os.SEEK_END)
        with pytest.raises(StorageError, match="busy"):
            file.read(10)
        assert file.read(10) == _LARGE[-10:]


def test_the_source_is_read_behind_its_last_byte() -> None:
    ended: list[bool] = []

    def checks(offset: int) -> Iterator[bytes]:
        yield _LARGE[offset:]
        ended.append(True)

    with open_ranged(checks, len(_LARGE)) as file:
        file.read()
    assert ended == [True]


def test_plain_iterators_will_do() -> None:
    with open_ranged(lambda offset: iter([_LARGE[offset:]]), len(_LARGE)) as file:
        assert file.read(10) == _LARGE[:10]


def test_closing_closes_the_iterator_and_ends_reading() -> None:
    source = Source(_LARGE)
    file = RangedFile(source, len(_LARGE))
    file.read(10)
    assert source.still_open == 1
    file.close()
    file.close()
    assert source.still_open == 0
    with pytest.raises(ValueError, match="closed"):
        file.read(1)
    with pytest.raises(ValueError, match="closed"):
        file.seek(0)


def test_it_is_for_reading_and_seeking_alone() -> None:
    with open_ranged(Source(_LARGE), len(_LARGE)) as file:
        assert (file.readable(), file.seekable(), file.writable()) == (True, True, False)


@pytest.mark.parametrize(("offset", "whence"), [(-1, os.SEEK_SET), (-len(_LARGE) - 1, os.SEEK_END), (0, 9)])
def test_a_place_that_there_is_not_is_an_error(offset: int, whence: int) -> None:
    with RangedFile(Source(_LARGE), len(_LARGE)) as file, pytest.raises(OSError, match=os.strerror(errno.EINVAL)):
        file.seek(offset, whence)
