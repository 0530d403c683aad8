from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pyarrow.parquet as pq
import pytest

from jobs.runtime.configuration import load_configuration
from jobs.runtime.decode import DecodePlan, KeyReferences, decode_task
from jobs.runtime.errors import LockedError, ObjectChangedError, StorageError
from jobs.runtime.file_catalog import FileCatalog
from jobs.runtime.local_storage import LocalStorage
from jobs.runtime.lock import LEASE_SECONDS, hold_lock
from jobs.runtime.manifest import DATA, Entry
from jobs.runtime.s3_storage import S3Storage
from jobs.runtime.storage import open_storage
from jobs.runtime.workspace import Workspace
from tests.fixtures.aws_stand_in import Call as AwsCall
from tests.fixtures.aws_stand_in import Fault, aws_stand_in
from tests.jobs.runtime import test_publishing
from tests.torture.concurrency import (
    PAIRS,
    SLEEPERS,
    Pair,
    Place,
    Tally,
    backfills,
    in_turn,
    is_clear,
    overtaken,
    overtaken_helper,
    overwritten,
    refused_while_held,
    two_connectors,
)
from tests.torture.generations import NAME, after, delivery, make_source, name_of
from tests.torture.interleaving import Stage, at

LOCK = f"state/{NAME}/lock.json"


@pytest.fixture
def stage() -> Iterator[Stage]:
    with Stage() as made:
        yield made


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path)


# --- the tool


def test_a_job_stops_at_the_call_that_was_named_and_goes_on_when_told(tmp_path: Path, stage: Stage) -> None:
    def work() -> None:
        storage = LocalStorage(tmp_path)
        storage.create("a/1", b"one")
        storage.create("b/2", b"two")

    job = stage.start(work, at("create", "b/"))
    assert str(job.stopped_at) == "create b/2"
    assert (tmp_path / "a/1").exists()
    assert not (tmp_path / "b/2").exists()
    job.go_on()
    assert (job.over, job.said) == (True, "")
    assert [str(call) for call in job.changes] == ["create a/1", "create b/2"]


def test_the_clock_of_the_store_can_be_turned_on(storage: LocalStorage, stage: Stage) -> None:
    before = storage.now()
    stage.later = 3_600
    assert storage.now() - before == pytest.approx(3_600, abs=60)


# --- the lock


def test_of_two_that_find_a_dead_lock_one_gets_it(storage: LocalStorage, stage: Stage) -> None:
    with hold_lock(storage, NAME):
        data = storage.read(LOCK)
    storage.create(LOCK, data)
    stage.run_out()
    inside: list[str] = []

    def taker(name: str) -> Callable[[], None]:
        def take() -> None:
            with hold_lock(LocalStorage(storage._folder), NAME):
                inside.append(name)

        return take

    first = stage.start(taker("first"), at("replace", LOCK))
    second = stage.start(taker("second"))
    first.go_on()
    assert (second.said, inside) == ("", ["second"])
    assert "changed hands just now; try again" in first.said
    assert is_clear(first.said)


@pytest.mark.parametrize("call", ["find", "read"])
def test_a_lock_that_is_released_while_it_is_looked_at_is_no_broken_store(
    storage: LocalStorage, stage: Stage, call: str
) -> None:
    def take() -> None:
        with hold_lock(LocalStorage(storage._folder), NAME):
            pass

    with hold_lock(storage, NAME):
        second = stage.start(take, at(call, LOCK))
        assert second.stopped_at is not None
    second.go_on()
    assert "changed hands just now; try again" in second.said


def test_who_lets_go_after_its_lease_was_over_leaves_the_new_holders_lock(storage: LocalStorage, stage: Stage) -> None:
    def work() -> None:
        with hold_lock(LocalStorage(storage._folder), NAME):
            pass

    first = stage.start(work, at("delete", LOCK))
    stage.run_out()
    with hold_lock(storage, NAME) as lock:
        first.go_on()
        lock.check()
    assert first.said == ""


def test_whatever_fails_after_the_lock_was_lost_says_so(storage: LocalStorage, stage: Stage) -> None:
    def work() -> None:
        with hold_lock(LocalStorage(storage._folder), NAME):
            LocalStorage(storage._folder).create("x", b"")
            raise ValueError("found things as they should not be")

    first = stage.start(work, at("create", "x"))
    stage.run_out()
    with hold_lock(storage, NAME):
        first.go_on()
    assert f"this run of {NAME} lost its lock to process {os.getpid()} on " in first.said
    assert is_clear(first.said)
    with pytest.raises(ValueError, match="keeps its name"), hold_lock(storage, NAME):
        raise ValueError("keeps its name")


def test_a_store_that_fails_is_not_taken_for_a_lost_lock(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> str:
        raise StorageError("busy")

    monkeypatch.setattr(LocalStorage, "replace", fails)
    with pytest.raises(KeyError), hold_lock(storage, NAME):
        raise KeyError


@pytest.mark.parametrize("hours", [-9, 9])
def test_a_lease_is_judged_by_the_stores_clock_alone(
    storage: LocalStorage, stage: Stage, hours: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.later = hours * 3_600
    with hold_lock(storage, NAME):
        machine = time.time()
        monkeypatch.setattr(time, "time", lambda: machine)  # the machine's clock stands still
        for passed in (0, LEASE_SECONDS / 2):
            stage.later = hours * 3_600 + passed
            with pytest.raises(LockedError, match="another run of source is going on"), hold_lock(storage, NAME):
                pass
        stage.later = hours * 3_600 + LEASE_SECONDS + 5
        with hold_lock(storage, NAME):
            pass


# --- a process that is stopped by the system, with a table to publish


class FileSite(test_publishing.Site):
    """Runs that have got past transform, with the file catalog."""

    def __init__(self, folder: Path) -> None:
        connector, tables = load_configuration("aep_profiles", None)
        storage = LocalStorage(folder)
        self.workspace = Workspace(connector, tables, storage, FileCatalog(storage))


_SLEEPER = """
import os, signal, sys
from pathlib import Path
from jobs.runtime import lock
from jobs.runtime.errors import failure_of
from jobs.runtime.ledger import named_run
from jobs.runtime.local_storage import LocalStorage
from tests.torture.test_concurrency import FileSite
lock.LEASE_SECONDS = 1.0
site, place = FileSite(Path(sys.argv[1])), sys.argv[2]
run = named_run(site.workspace.storage, "aep_profiles", "r2")
replace = LocalStorage.replace
def stops(storage, key, data, etag):
    if place in key:
        LocalStorage.replace = replace
        os.kill(os.getpid(), signal.SIGSTOP)
    return replace(storage, key, data, etag)
LocalStorage.replace = stops
print(failure_of(lambda: site.publish(run)))
"""


@pytest.mark.parametrize("place", ["lock.json", "catalog/"])
def test_a_process_that_was_stopped_until_its_lease_was_over_changes_nothing(
    tmp_path: Path, project: Path, place: str
) -> None:
    site = FileSite(tmp_path)
    site.publish(site.ran("r1"))
    site.ran("r2", base="r1")
    newest = site.ran("r3", base="r1")
    with subprocess.Popen(
        [sys.executable, "-c", _SLEEPER, str(tmp_path), place], stdout=subprocess.PIPE, text=True, cwd=project
    ) as process:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        storage = site.workspace.storage
        left = json.loads(storage.read("state/aep_profiles/lock.json"))["expires"] - storage.now()
        time.sleep(max(0.0, left) + 0.01)  # the lease runs out; nobody renews it
        with hold_lock(storage, "aep_profiles") as lock:
            site.publish_under(newest, lock)
            before = site.table
            os.kill(process.pid, signal.SIGCONT)
            said, _ = process.communicate(timeout=60)
            lock.check()
    assert f"error: this run of aep_profiles lost its lock to process {os.getpid()} on " in said
    assert "Run again when the other one is over" in said
    assert site.table == before
    assert site.table.run_id == "r3"


# --- what a source does to its files


@pytest.mark.parametrize("again", [True, False])
def test_a_file_that_is_replaced_as_it_is_deleted_stays(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch, *, again: bool
) -> None:
    storage.create("landing/x", b"loaded")
    loaded = storage.find("landing/x")
    assert loaded is not None
    find = LocalStorage.find

    def replaced_after_the_look(store: LocalStorage, key: str) -> Any:
        found = find(store, key)
        monkeypatch.setattr(LocalStorage, "find", find)
        beside = store._folder / "beside"
        beside.write_bytes(b"newer")
        beside.replace(store._folder / "landing/x")
        return found

    monkeypatch.setattr(LocalStorage, "find", replaced_after_the_look)
    if again:  # ... and once more while the newer one is put back
        link = os.link

        def link_after_another(source: Path, target: Path) -> None:
            Path(target).write_bytes(b"newest")
            link(source, target)

        monkeypatch.setattr(os, "link", link_after_another)
    with pytest.raises(ObjectChangedError, match="was replaced in the meantime"):
        storage.delete(loaded)
    assert storage.read("landing/x") == (b"newest" if again else b"newer")
    assert list((storage._folder / ".partial").glob("deleted-*")) == []


@pytest.mark.parametrize(("number", "said"), [(18, ""), (13, "Permission denied")])
def test_what_cannot_be_taken_aside_is_deleted_on_another_disk_alone(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch, number: int, said: str
) -> None:
    storage.create("landing/x", b"loaded")
    loaded = storage.find("landing/x")
    assert loaded is not None

    def refuses(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "rename", refuses)
    if said:
        with pytest.raises(StorageError, match=said):
            storage.delete(loaded)
    else:
        storage.delete(loaded)
    assert (storage.find("landing/x") is None) == (not said)


def test_a_file_that_is_gone_is_a_changed_one(storage: LocalStorage) -> None:
    storage.create("landing/x", b"loaded")
    loaded = storage.find("landing/x")
    assert loaded is not None
    storage.delete(loaded)
    storage.delete(loaded)
    with pytest.raises(ObjectChangedError, match="is gone"):
        list(storage.chunks(loaded))


@pytest.mark.parametrize("versioned", [True, False])
def test_an_object_of_s3_that_is_overwritten_while_it_is_read_is_one_version_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, versioned: bool
) -> None:
    source = make_source(tmp_path, "full_refresh")
    connector, _ = load_configuration(f"file://{source.folder}/definitions/connectors/{NAME}.toml", None)
    monkeypatch.setattr("jobs.runtime.s3_storage.CHUNK_SIZE", 40)
    bucket = f"acme-{versioned}".lower()
    with aws_stand_in() as aws:
        for name, value in aws.variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket=bucket)
        if versioned:
            s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        key = f"landing/{NAME}/{name_of(1)}"
        s3.put_object(Bucket=bucket, Key=key, Body=delivery("full_refresh", 1).encode())
        storage = open_storage(f"s3://{bucket}")
        found = storage.find(key)
        assert found is not None
        failed = S3Storage._failed
        begun: list[str] = []

        def overwritten_when_it_broke(*arguments: Any) -> int:
            begun.append(s3.put_object(Bucket=bucket, Key=key, Body=delivery("full_refresh", 4).encode())["ETag"])
            return failed(*arguments)

        def of_the_delivery(call: AwsCall) -> bool:
            return call.operation == "GetObject" and call.key == key

        monkeypatch.setattr(S3Storage, "_failed", overwritten_when_it_broke)
        aws.faults.append(Fault(of_the_delivery, "broken_body", 1))
        plan = DecodePlan(
            f"s3://{bucket}", connector, KeyReferences(None, None, None), f"landing/{NAME}/", "raw/", "rejects/"
        )
        entry = Entry(0, name_of(1), found.size, found.version, found.etag, found.modified, DATA)
        decoded = decode_task(plan, [entry])
        (file,) = decoded.files
        assert len(begun) == 1
        if not versioned:
            assert (file.reason, decoded.parts) == ("changed_while_read", ())
            return
        (part,) = decoded.parts
        (tmp_path / "part").write_bytes(storage.read(part.key))
        assert set(pq.read_table(tmp_path / "part")["generation"].to_pylist()) == {"1"}
        with pytest.raises(ObjectChangedError):  # so the newer one stays for the next run
            storage.delete(found)


# --- jobs


def nothing_failed(tally: Tally, interleavings: int) -> None:
    assert tally.failures == []
    assert tally.figures["interleavings"] >= interleavings


@pytest.mark.usefixtures("spark")
def test_while_a_run_goes_on_no_other_job_gets_in(tmp_path: Path, stage: Stage) -> None:
    tally = Tally()
    refused_while_held(tally, Place(tmp_path, stage, "full_refresh").loaded(1))
    nothing_failed(tally, 90)


@pytest.mark.usefixtures("spark")
def test_two_jobs_of_one_connector_are_as_one_after_the_other(tmp_path: Path, stage: Stage) -> None:
    place = Place(tmp_path, stage, "full_refresh").loaded(1, 2, 3)
    tally = Tally()
    for pair in PAIRS:
        in_turn(tally, place, pair, every=31)
    nothing_failed(tally, 9)


@pytest.mark.usefixtures("spark")
@pytest.mark.parametrize("more", [pytest.param(True, marks=pytest.mark.long), False])
def test_a_run_that_wakes_after_it_was_taken_over_damages_nothing(tmp_path: Path, stage: Stage, *, more: bool) -> None:
    tally = Tally()
    place = Place(tmp_path, stage, "full_refresh").loaded(1)
    points = (4, 9, 12) if more else (6, 14)
    overtaken(tally, place, points=points, more=more)
    nothing_failed(tally, len(points))


@pytest.mark.long
@pytest.mark.usefixtures("spark")
@pytest.mark.parametrize("pair", SLEEPERS, ids=lambda pair: pair.name)
def test_a_rollback_or_janitor_that_wakes_after_it_was_taken_over_damages_nothing(
    tmp_path: Path, stage: Stage, pair: Pair
) -> None:
    tally = Tally()
    overtaken_helper(tally, Place(tmp_path, stage, "full_refresh").loaded(1, 2, 3), pair)
    nothing_failed(tally, 2)


@pytest.mark.usefixtures("spark")
def test_two_backfills_are_one_after_the_other_and_a_begun_one_keeps_others_out(tmp_path: Path, stage: Stage) -> None:
    tally = Tally()
    backfills(tally, Place(tmp_path, stage, "append").loaded(1), points=(12,))
    nothing_failed(tally, 8)


@pytest.mark.usefixtures("spark")
@pytest.mark.parametrize(("mode", "points"), [("append", (9,)), ("full_refresh", (8, 10))])
def test_two_connectors_of_one_table_lose_nothing(
    tmp_path: Path, stage: Stage, mode: str, points: tuple[int, ...]
) -> None:
    tally = Tally()
    two_connectors(tally, Place(tmp_path, stage, mode).loaded(1), points=points)
    nothing_failed(tally, len(points))


@pytest.mark.usefixtures("spark")
@pytest.mark.parametrize("how", ["renamed", "in_place", "deleted", "late"])
def test_what_a_source_does_while_a_run_is_at_its_files_is_no_mixture(tmp_path: Path, stage: Stage, how: str) -> None:
    tally = Tally()
    overwritten(tally, Place(tmp_path, stage, "full_refresh").loaded(1), how, every=8)
    nothing_failed(tally, 1)


@pytest.mark.usefixtures("spark")
@pytest.mark.parametrize("hours", [-30, 30])
def test_a_store_whose_clock_is_wrong_has_right_tables(tmp_path: Path, stage: Stage, hours: int) -> None:
    stage.later = hours * 3_600
    place = Place(tmp_path, stage, "upsert").loaded(1, 2)
    assert place.state == after("upsert", [1, 2])


@pytest.mark.usefixtures("spark")
def test_an_object_from_the_future_is_waited_for_and_told(tmp_path: Path, stage: Stage) -> None:
    place = Place(tmp_path, stage, "full_refresh").loaded(1)
    place.source.clock = place.storage.now() + 7_200
    place.land(2)
    said = place.run_all(lambda: place.source.run("--max-wait-seconds=0"))
    assert "the delivery was not whole after 0 seconds (quiet_period): still waiting for 7" in said
    assert place.state == after("full_refresh", [1])
    stage.later += 7_300
    assert place.run_all(place.source.run) == ""
    assert place.state == after("full_refresh", [2])
