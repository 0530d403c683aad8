from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transforms.streams.pieces import PROPERTY
from transforms.streams.bad_file import REASONS, BadFile
from transforms.streams.chunks import ChunkReader, peek

_CHUNKS = st.lists(st.binary(max_size=20), max_size=20)


@PROPERTY
@given(_CHUNKS, st.integers(1, 50))
def test_a_reader_gives_the_bytes_of_its_chunks_however_they_are_asked_for(chunks: list[bytes], size: int) -> None:
    reader = io.BufferedReader(ChunkReader(iter(chunks)), 8)
    parts = list(iter(lambda: reader.read(size), b""))
    assert b"".join(parts) == b"".join(chunks)
    assert all(len(part) == size for part in parts[:-1])


def test_a_reader_is_not_at_its_end_where_a_chunk_is_empty() -> None:
    assert ChunkReader(iter([b"", b"a", b"", b"", b"b", b""])).readall() == b"ab"


def test_a_reader_passes_on_what_goes_wrong_in_its_source() -> None:
    def source() -> list[bytes]:
        raise BadFile("not_authentic", "said by the source")

    reader = io.BufferedReader(ChunkReader(chunk for _ in range(1) for chunk in source()))
    with pytest.raises(BadFile, match="said by the source"):
        reader.read()


@PROPERTY
@given(_CHUNKS, st.integers(1, 60))
def test_peeking_loses_nothing(chunks: list[bytes], size: int) -> None:
    whole = b"".join(chunks)
    head, again = peek(iter(chunks), size)
    assert head == whole[:size]
    assert b"".join(again) == whole


def test_peeking_reads_no_further_than_it_must() -> None:
    source = iter([b"ab", b"cd", b"ef"])
    assert peek(source, 3)[0] == b"abc"
    assert list(source) == [b"ef"]


def test_a_bad_file_has_a_known_reason_and_says_it() -> None:
    error = BadFile("wrong_key", "another key")
    assert (error.reason, error.detail, str(error)) == ("wrong_key", "another key", "wrong_key: another key")
    assert all(REASONS.values())
    with pytest.raises(KeyError):
        BadFile("no_such_reason", "")
