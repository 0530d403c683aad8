from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from jobs.runtime import lock as module
from jobs.runtime.errors import LockedError, StorageError
from jobs.runtime.local_storage import LocalStorage
from jobs.runtime.lock import LEASE_SECONDS, hold_lock

KEY = "state/acme/lock.json"


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path)


def put_lock(storage: LocalStorage, **changes: Any) -> None:
    """Leave the lock of another run."""
    holder = {"token": "other", "host": "elsewhere", "process": 4711, "process_started": "1"}
    document = {**holder, "expires": storage.now() + 100, **changes}
    storage.create(KEY, json.dumps(document).encode())


def test_a_held_lock_says_whose_it_is(storage: LocalStorage) -> None:
    with hold_lock(storage, "acme"):
        document = json.loads(storage.read(KEY))
        assert document["host"] == platform.node()
        assert document["process"] == os.getpid()
        assert document["expires"] == pytest.approx(storage.now() + LEASE_SECONDS, abs=5)


def test_a_second_holder_is_refused_and_told_who_has_it(storage: LocalStorage) -> None:
    with hold_lock(storage, "acme"), pytest.raises(LockedError) as caught, hold_lock(storage, "acme"):
        pass
    text = str(caught.value)
    assert f"process {os.getpid()} on {platform.node()}" in text
    assert "acme" in text
    assert "expires in 1" in text  # 120 seconds or a few less


def test_each_connector_has_a_lock_of_its_own(storage: LocalStorage) -> None:
    with hold_lock(storage, "acme"), hold_lock(storage, "other"):
        assert storage.find("state/other/lock.json") is not None


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_a_lock_is_released_however_its_holder_ends(storage: LocalStorage, error: type[BaseException] | None) -> None:
    threads = threading.active_count()
    try:
        with hold_lock(storage, "acme"):
            if error is not None:
                raise error
    except (ValueError, KeyboardInterrupt):
        pass
    assert storage.find(KEY) is None
    assert threading.active_count() == threads
    with hold_lock(storage, "acme"):
        pass


@pytest.mark.parametrize("left", [-1, -3600])
def test_an_expired_lock_is_taken_over(storage: LocalStorage, left: float) -> None:
    put_lock(storage, expires=storage.now() + left)
    with hold_lock(storage, "acme") as lock:
        lock.check()
        assert json.loads(storage.read(KEY))["process"] == os.getpid()


def test_a_lease_of_another_machine_is_respected_to_its_end(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LOOK_SECONDS", 0.05)
    expires = storage.now() + 0.6
    put_lock(storage, expires=expires, process=os.getpid())
    with hold_lock(storage, "acme"):  # whoever had it was killed
        assert storage.now() >= expires


def test_a_process_that_has_ended_and_was_not_waited_for_holds_nothing(storage: LocalStorage) -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        started = module._process_start(process.pid)
        assert started
        process.kill()
        while module._process_start(process.pid):  # it is there, as a zombie, until somebody waits for it
            time.sleep(0.01)
        assert Path(f"/proc/{process.pid}").exists()
        put_lock(storage, host=platform.node(), process=process.pid, process_started=started)
        with hold_lock(storage, "acme"):
            pass


@pytest.mark.parametrize("released", [True, False])
def test_a_holder_on_another_machine_that_lives_is_not_waited_for_long(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch, *, released: bool
) -> None:
    put_lock(storage, expires=storage.now() + 600)

    def look_again(_: float) -> None:
        present = storage.find(KEY)
        assert present is not None
        if released:
            storage.delete(present)
        else:
            storage.replace(KEY, storage.read(KEY) + b" ", present.etag)  # it renews its lease

    monkeypatch.setattr("jobs.runtime.lock.time.sleep", look_again)
    with pytest.raises(LockedError, match=r"process .* on elsewhere"), hold_lock(storage, "acme"):
        pass


def test_the_lock_of_a_process_that_died_here_is_taken_over(storage: LocalStorage, tmp_path: Path) -> None:
    program = (
        "import os, sys, pathlib\n"
        "from jobs.runtime.lock import hold_lock\n"
        "from jobs.runtime.local_storage import LocalStorage\n"
        "with hold_lock(LocalStorage(pathlib.Path(sys.argv[1])), 'acme'):\n"
        "    os._exit(9)\n"
    )
    root = Path(__file__).parents[3]
    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False, cwd=root)
    assert ended.returncode == 9
    dead = json.loads(storage.read(KEY))
    assert dead["expires"] > storage.now() + 60
    with hold_lock(storage, "acme") as lock:
        lock.check()
        assert json.loads(storage.read(KEY))["process"] == os.getpid() != dead["process"]


def test_a_new_process_with_the_number_of_a_dead_one_does_not_hold_its_lock(storage: LocalStorage) -> None:
    put_lock(storage, host=platform.node(), process=os.getpid(), process_started="1")
    with hold_lock(storage, "acme") as lock:
        lock.check()


def test_a_living_process_of_this_machine_keeps_its_lock(storage: LocalStorage) -> None:
    started = Path(f"/proc/{os.getpid()}/stat").read_text().rpartition(")")[2].split()[19]
    put_lock(storage, host=platform.node(), process=os.getpid(), process_started=started)
    with pytest.raises(LockedError), hold_lock(storage, "acme"):
        pass


def take_over(storage: LocalStorage) -> None:
    present = storage.find(KEY)
    assert present is not None
    storage.delete(present)
    put_lock(storage)


def test_a_lost_lease_stops_the_run(storage: LocalStorage) -> None:
    with hold_lock(storage, "acme") as lock:
        lock.check()
        take_over(storage)
        for _ in range(2):  # and it stays lost
            with pytest.raises(LockedError, match="lost its lock"):
                lock.check()
    assert json.loads(storage.read(KEY))["token"] == "other"  # not ours to release


def test_a_lock_that_somebody_deleted_is_lost(storage: LocalStorage) -> None:
    with hold_lock(storage, "acme") as lock:
        present = storage.find(KEY)
        assert present is not None
        storage.delete(present)
        with pytest.raises(LockedError, match="lost its lock"):
            lock.check()
    assert storage.find(KEY) is None


def test_a_put_that_was_answered_too_late_is_not_taken_for_another_run(storage: LocalStorage) -> None:
    with hold_lock(storage, "acme") as lock:
        present = storage.find(KEY)
        assert present is not None
        storage.replace(KEY, storage.read(KEY), present.etag)  # it arrived, but its answer did not
        lock.check()
        lock.check()
    assert storage.find(KEY) is None


def test_a_lease_is_renewed_in_the_background(storage: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RENEW_SECONDS", 0.01)
    with hold_lock(storage, "acme") as lock:
        first = json.loads(storage.read(KEY))["expires"]
        deadline = time.monotonic() + 10
        while json.loads(storage.read(KEY))["expires"] == first and time.monotonic() < deadline:
            time.sleep(0.01)
        assert json.loads(storage.read(KEY))["expires"] > first
        lock.check()
    assert storage.find(KEY) is None


def test_a_store_that_fails_for_a_moment_does_not_lose_the_lock(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> str:
        raise StorageError("busy")

    with hold_lock(storage, "acme") as lock:
        with monkeypatch.context() as patch:
            patch.setattr(LocalStorage, "replace", fails)
            with pytest.raises(StorageError, match="busy"):
                lock.check()
        lock.check()
