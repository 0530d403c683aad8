from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.runtime.errors import NothingToDoError, ObjectExistsError
from jobs.runtime.ledger import STEPS, Run, latest_run, named_run, new_run_id, start_run, unfinished_run
from jobs.runtime.local_storage import LocalStorage
from jobs.runtime.manifest import DATA, Entry, Manifest


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path)


def manifest(run_id: str, connector: str = "acme") -> Manifest:
    return Manifest(run_id, connector, (Entry(0, "x.csv", 1, "", "e", 2.5, DATA),), ("a note",))


def finish_all(run: Run) -> None:
    for step in STEPS:
        run.finish(step, {})


def test_a_run_id_says_when_and_is_new_each_time() -> None:
    first, second = new_run_id(1795262400.9), new_run_id(1795262400.9)
    assert first.startswith("20261121T120000Z-")  # date -ud @1795262400
    assert first != second


@given(st.floats(0, 4e9), st.floats(0, 4e9))
def test_run_ids_sort_by_time(one: float, other: float) -> None:
    if int(one) < int(other):
        assert new_run_id(one) < new_run_id(other)


def test_a_manifest_is_frozen(storage: LocalStorage) -> None:
    run = start_run(storage, manifest("r1"))
    assert run.manifest == manifest("r1")
    with pytest.raises(ObjectExistsError):
        start_run(storage, manifest("r1"))


def test_a_step_is_noted_once(storage: LocalStorage) -> None:
    run = start_run(storage, manifest("r1"))
    assert run.entry("decrypt") is None
    with pytest.raises(NothingToDoError, match="run r1 of acme has not finished decrypt"):
        run.finished("decrypt")
    run.finish("decrypt", {"rows": 3, "name": "Zoë"})
    assert run.entry("decrypt") == run.finished("decrypt") == {"rows": 3, "name": "Zoë"}
    with pytest.raises(ObjectExistsError):
        run.finish("decrypt", {"rows": 4})
    assert run.finished("decrypt")["rows"] == 3


def test_a_step_that_was_taken_back_is_noted_anew(storage: LocalStorage) -> None:
    run = start_run(storage, manifest("r1"))
    run.reopen("transform")  # it was never finished: nothing to take back
    run.begin("transform")
    run.finish("decrypt", {"rows": 1})
    run.finish("transform", {"rows": 3})
    assert run.next_step == "publish"
    run.reopen("transform")
    assert run.entry("transform") is None
    assert (run.next_step, run.finished("decrypt")) == ("transform", {"rows": 1})
    assert run.begin("transform") == 2  # attempts stay counted
    run.finish("transform", {"rows": 4})
    assert run.finished("transform") == {"rows": 4}


@given(st.integers(0, 4_000_000_000))
def test_a_run_knows_when_it_was_started(seconds: int) -> None:
    run = Run(LocalStorage(Path("/nowhere")), "acme", new_run_id(seconds + 0.7))
    assert run.started == dt.datetime.fromtimestamp(seconds, dt.UTC)


def test_the_start_of_a_run_is_in_its_name() -> None:
    run = Run(LocalStorage(Path("/nowhere")), "acme", "20261121T120000Z-1a2b3c")
    assert run.started.isoformat() == "2026-11-21T12:00:00+00:00"


def test_attempts_are_counted_for_each_step(storage: LocalStorage) -> None:
    run = start_run(storage, manifest("r1"))
    assert [run.begin("decrypt"), run.begin("decrypt"), run.begin("transform"), run.begin("decrypt")] == [1, 2, 1, 3]
    assert run.next_step == "decrypt"  # an attempt finishes nothing


def test_the_next_step_is_the_first_unfinished_one(storage: LocalStorage) -> None:
    run = start_run(storage, manifest("r1"))
    seen = []
    while (step := run.next_step) is not None:
        seen.append(step)
        run.finish(step, {})
    assert seen == ["decrypt", "transform", "publish", "archive"]


def test_the_oldest_unfinished_run_comes_first(storage: LocalStorage) -> None:
    assert unfinished_run(storage, "acme") is None
    assert latest_run(storage, "acme") is None
    runs = [start_run(storage, manifest(run_id)) for run_id in ("r3", "r1", "r2")]
    start_run(storage, manifest("r0", "acme2"))  # another connector, whose name starts alike
    finish_all(runs[1])
    found = unfinished_run(storage, "acme")
    assert found is not None
    assert (found.run_id, found.connector) == ("r2", "acme")
    found.abandon("for a test")
    again = unfinished_run(storage, "acme")
    assert again is not None
    assert again.run_id == "r3"
    finish_all(again)
    assert unfinished_run(storage, "acme") is None
    latest = latest_run(storage, "acme")
    assert latest is not None
    assert latest.run_id == "r3"


def test_a_folder_without_a_manifest_is_no_run(storage: LocalStorage) -> None:
    storage.create("state/acme/run=r1/decrypt.attempt-1.json", b"{}")
    assert unfinished_run(storage, "acme") is None


def test_an_abandoned_run_is_not_complete(storage: LocalStorage) -> None:
    run = start_run(storage, manifest("r1"))
    run.abandon("landing changed")
    assert latest_run(storage, "acme") is None
    assert run.entry("abandoned") == {"reason": "landing changed"}


def test_a_run_is_found_by_its_name(storage: LocalStorage) -> None:
    start_run(storage, manifest("r1"))
    assert named_run(storage, "acme", "r1").manifest == manifest("r1")
    with pytest.raises(NothingToDoError, match="there is no run r2 of acme"):
        named_run(storage, "acme", "r2")
