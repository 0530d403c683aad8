"""The targets under hypothesis, whose changes of the seeds no coverage guides; and proof that they can fail."""

from __future__ import annotations

import base64
import gzip
import io
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import archives, arguments, binary_records, definitions, envelope, openpgp, texts, whole_files
from tests.fuzz.table import TARGETS
from tests.fuzz.target import CANARY, BrokenLawError
from transforms.streams.avro_records import AvroRecords
from transforms.streams.bad_file import BadFile
from transforms.streams.parquet_records import ParquetRecords
from transforms.streams.tar_archive import tar_members
from transforms.streams.zip_archive import zip_members

#: Those that take tens of milliseconds an input get fewer.
_EXAMPLES = {"openpgp": 5, "openpgp-key": 5, "connector": 20, "delivery": 20, "sample": 30}

Change = tuple[int, int, bytes]
_CHANGES = st.lists(
    st.tuples(
        st.integers(0, 1 << 16),
        st.sampled_from([0, 0, 1, 1, 2, 4, 8, 100, 1000]),
        st.one_of(
            st.binary(max_size=8), st.sampled_from([b"\0" * 8, b"\xff" * 8, b'"', b"\r\n", b"]", b"..", b"[" * 99])
        ),
    ),
    max_size=4,
)


def _changed(seed: bytes, changes: list[Change]) -> bytes:
    """Put bytes in the places of others."""
    for place, length, new in changes:
        at = place % (len(seed) + 1)
        seed = seed[:at] + new + seed[at + length :]
    return seed


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_and_nothing_find_nothing(name: str) -> None:
    _run_seeds(name)
    TARGETS[name].run(b"")
    TARGETS[name].run(b"\0")


def _run_seeds(name: str) -> None:
    for seed in TARGETS[name].seeds():
        TARGETS[name].run(seed)


@pytest.mark.parametrize("name", TARGETS)
def test_changed_seeds_find_nothing(name: str) -> None:
    seeds = st.sampled_from(TARGETS[name].seeds())

    @settings(deadline=None, max_examples=_EXAMPLES.get(name, 60), suppress_health_check=[HealthCheck.too_slow])
    @given(seeds, _CHANGES)
    def holds(seed: bytes, changes: list[Change]) -> None:
        with warnings.catch_warnings():  # Python's re has some about patterns of connector files
            warnings.simplefilter("ignore", FutureWarning)
            TARGETS[name].run(_changed(seed, changes))

    holds()


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=300))
@pytest.mark.parametrize("name", sorted(TARGETS.keys() - _EXAMPLES.keys()))
def test_any_bytes_find_nothing(name: str, data: bytes) -> None:
    TARGETS[name].run(data)


def test_seeds_reach_the_end_of_the_code() -> None:
    """A seed that is refused at the door would leave all behind it unseen."""
    assert {outcome.reason for seed in whole_files._seeds() for outcome in whole_files.decode(seed)} == {""}
    for seed in archives._tar_seeds():
        assert archives._read(tar_members(iter([seed[1:]]), archives._LIMITS))
    for seed in archives._zip_seeds():
        assert archives._read(zip_members(io.BytesIO(seed[1:]), archives._LIMITS))
    for seed in binary_records._avro_seeds():
        found = texts.read(lambda data=seed: AvroRecords(iter([data[1:]]), binary_records.names(1)))  # type: ignore[misc]
        assert sorted(found[0]) == [1, 2]
    for seed in binary_records._parquet_seeds():
        found = texts.read(lambda data=seed: ParquetRecords(io.BytesIO(data[1:]), binary_records.names(1)))  # type: ignore[misc]
        assert sorted(found[0]) == [1, 2]
    for seed in definitions._seeds("connectors"):
        assert definitions.parse(seed.decode()) is not None
    for seed in openpgp._seeds():
        assert openpgp.decrypt(seed, openpgp._key()[0]) == (0, openpgp._CLEAR)


def _released_early(open_chunks: Callable[[int], Iterator[bytes]], _: Any) -> Iterator[bytes]:
    token = b"".join(open_chunks(4 + 56))
    yield base64.urlsafe_b64decode(token + b"=" * (-len(token) % 4))


def _showing_values(*_: Any) -> Any:
    raise BadFile("not_delimited_text", f"near {CANARY}@example.com")


@pytest.mark.parametrize(
    ("name", "module", "function", "broken"),
    [
        ("envelope", envelope, "decrypt_envelope", _released_early),
        ("envelope-one-change", envelope, "decrypt_envelope", _released_early),
        ("envelope-authentic", envelope, "decrypt_envelope", _released_early),
        ("gzip", archives, "gunzip", lambda chunks: iter([gzip.decompress(b"".join(chunks))[:-1]])),
        ("encoding", texts, "to_utf8", lambda chunks, _: iter([b"".join(chunks).decode(errors="replace").encode()])),
        ("delimited", texts, "DelimitedRecords", _showing_values),
        ("json", texts, "to_utf8", lambda chunks: (chunk for chunk in chunks if len(chunk) > 1)),
        ("connector", definitions, "NameBook", _showing_values),
        ("arguments", arguments, "written_out", lambda _: ["--connector=another", "--root=file:///x", "--table=x"]),
    ],
)
def test_what_is_wrong_is_found(
    monkeypatch: pytest.MonkeyPatch, name: str, module: Any, function: str, broken: Any
) -> None:
    monkeypatch.setattr(module, function, broken)
    with pytest.raises((BrokenLawError, BadFile)):
        _run_seeds(name)
