"""One run at a time for a connector: a small object, put conditionally, that expires unless its holder renews it."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import secrets
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from jobs.runtime.errors import LockedError, ObjectChangedError, ObjectExistsError, StorageError, describe
from jobs.runtime.objects import ObjectInfo
from jobs.runtime.progress import tell
from jobs.runtime.storage import Storage

LEASE_SECONDS: Final = 120.0
_RENEW_SECONDS: Final = 30.0
_LOOK_SECONDS: Final = 5.0


class Lock:
    """A held lock. ``check`` before anything that only its holder may do."""

    def __init__(self, storage: Storage, connector: str, holder: dict[str, Any], etag: str) -> None:
        self._storage, self._connector, self._holder, self._etag = storage, connector, holder, etag
        self._key = _key(connector)
        self._stop = threading.Event()
        self._mutex = threading.Lock()
        self._lost = False
        self._thread = threading.Thread(target=self._renew_until_stopped, daemon=True)

    def check(self) -> None:
        """Renew the lease; LockedError where somebody else has taken it over."""
        with self._mutex:
            if self._lost:
                raise self._loss()
            try:
                document = _document(self._holder, self._storage.now())
                self._etag = self._storage.replace(self._key, document, self._etag)
            except ObjectChangedError:
                self._etag = self._own_etag()
                if not self._etag:
                    self._lost = True
                    raise self._loss() from None

    def _loss(self) -> LockedError:
        _, other = _state(self._storage, self._key)
        taker = f"process {other['process']} on {other['host']}" if other else "another run, which is over by now"
        return LockedError(
            f"this run of {self._connector} lost its lock to {taker}: it had not renewed it for {LEASE_SECONDS:.0f} "
            "seconds, as where a process or its machine was stopped. It ends before it changes anything more. Run "
            "again when the other one is over: what is left to do is done then"
        )

    def _own_etag(self) -> str:
        """Return the lock's etag where it is still ours: a put that was answered too late was repeated, and refused."""
        present, other = _state(self._storage, self._key)
        return present.etag if present is not None and other.get("token") == self._holder["token"] else ""

    def _renew_until_stopped(self) -> None:
        while not self._stop.wait(_RENEW_SECONDS):
            try:
                self.check()
            except (LockedError, StorageError):
                continue  # the next check tells the run
            except Exception as error:  # noqa: BLE001  a thread would print it, message and all
                tell(f"warning: the lock could not be renewed: {describe(error)}")

    def start(self) -> None:
        """Begin to renew the lease in the background."""
        self._thread.start()

    def release(self) -> None:
        """Let the lock go."""
        self._stop.set()
        self._thread.join()
        with contextlib.suppress(StorageError):
            present = self._storage.find(self._key)
            if present is not None and present.etag == self._etag:
                self._storage.delete(present)


@contextlib.contextmanager
def hold_lock(storage: Storage, connector: str) -> Iterator[Lock]:
    """Hold the connector's lock.

    Raises LockedError, with who holds it and until when, where another run has it. A lock whose lease is over, or
    whose holder was a process of this machine that is dead, is taken over. What fails because it was taken over from
    this run is a LockedError too.
    """
    key = _key(connector)
    holder = {
        "token": secrets.token_hex(8),
        "host": platform.node(),
        "process": os.getpid(),
        "process_started": _process_start(os.getpid()),
    }
    lock = Lock(storage, connector, holder, _acquire(storage, key, holder, connector))
    lock.start()
    try:
        yield lock
    except LockedError:
        raise
    except Exception:
        # What a run finds that was overtaken, files gone or steps done, says nothing to anybody.
        with contextlib.suppress(StorageError):
            lock.check()
        raise
    finally:
        lock.release()


def _key(connector: str) -> str:
    return f"state/{connector}/lock.json"


def _state(storage: Storage, key: str) -> tuple[ObjectInfo | None, dict[str, Any]]:
    """Return the lock as it is, and what it says; None and nothing where there is none."""
    while (present := storage.find(key)) is not None:
        try:
            return present, json.loads(storage.read(key))
        except StorageError:
            now = storage.find(key)
            if now is not None and now.etag == present.etag:
                raise  # it is there, and cannot be read; else it was released between the two
    return None, {}


def _acquire(storage: Storage, key: str, holder: dict[str, Any], connector: str) -> str:
    document = _document(holder, storage.now())
    try:
        return storage.create(key, document)
    except ObjectExistsError:
        present, other = _state(storage, key)
        if present is None:
            raise LockedError(f"the lock of {connector} changed hands just now; try again") from None
        if other["token"] == holder["token"]:
            return present.etag  # our own put, answered too late and repeated
        if other["expires"] > storage.now() and not _is_dead(other) and not _falls_silent(storage, present, other):
            left = other["expires"] - storage.now()
            raise LockedError(
                f"another run of {connector} is going on: process {other['process']} on {other['host']}, "
                f"whose lock expires in {left:.0f} seconds unless it renews it; try again later"
            ) from None
        try:
            return storage.replace(key, document, present.etag)
        except ObjectChangedError:
            raise LockedError(f"the lock of {connector} changed hands just now; try again") from None


def _document(holder: dict[str, Any], now: float) -> bytes:
    return json.dumps({**holder, "expires": now + LEASE_SECONDS}).encode()


def _falls_silent(storage: Storage, present: ObjectInfo, other: dict[str, Any]) -> bool:
    """Wait for a holder on another machine until it renews its lease, or has not: a killed one never does.

    A job that is started again after it was killed would otherwise find its own lock and give up.
    """
    if other["host"] == platform.node():
        return False  # this machine knows its processes
    while other["expires"] > storage.now():
        time.sleep(_LOOK_SECONDS)
        now = storage.find(present.key)
        if now is None or now.etag != present.etag:
            return False
    return True


def _is_dead(other: dict[str, Any]) -> bool:
    """Whether the holder was a process of this machine that does not run any more."""
    if other["host"] != platform.node() or not Path("/proc/self/stat").exists():
        return False
    return bool(_process_start(other["process"]) != other["process_started"])


def _process_start(process: int) -> str:
    """Return when a process of this machine started, which tells it from a later one with its number.

    Nothing of one that is gone, or has ended and only waits for its parent to take notice (proc(5), states Z and X).
    """
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return "" if fields[0] in "ZX" else fields[19]
    except (OSError, IndexError):
        return ""
