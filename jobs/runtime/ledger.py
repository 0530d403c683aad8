"""What each run did, step by step: small JSON files that are written once. They are what makes a rerun safe.

A run is a folder ``state/<connector>/run=<id>/`` with its manifest, one entry a finished step, and one file an
attempt. A step writes its entry last, so an entry means that all of the step is done.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import secrets
from dataclasses import dataclass
from typing import Any, Final

from jobs.runtime.errors import NothingToDoError, ObjectExistsError, StorageError
from jobs.runtime.manifest import Manifest
from jobs.runtime.storage import Storage

STEPS: Final = ("decrypt", "transform", "publish", "archive")
_ABANDONED: Final = "abandoned"
_MOMENT: Final = "%Y%m%dT%H%M%SZ"
_OVER: Final = {"archive.json", f"{_ABANDONED}.json"}  # a run with one of these is never taken up again
_RUN_FILE: Final = re.compile(r"state/(?P<connector>[^/]+)/run=(?P<run>[^/]+)/(?P<name>[^/]+)")


def new_run_id(now: float) -> str:
    """Return an id that sorts by time: ``20261121T120000Z-1a2b3c``."""
    moment = dt.datetime.fromtimestamp(now, dt.UTC)
    return f"{moment:{_MOMENT}}-{secrets.token_hex(3)}"


class Run:
    """One run's part of the ledger."""

    def __init__(self, storage: Storage, connector: str, run_id: str) -> None:
        self.storage = storage
        self.connector = connector
        self.run_id = run_id
        self._folder = f"state/{connector}/run={run_id}/"

    def key(self, name: str) -> str:
        """Return the key of one of the run's files."""
        return self._folder + name

    @property
    def manifest(self) -> Manifest:
        """The run's frozen manifest."""
        return Manifest.from_json(self.storage.read(self.key("manifest.json")))

    def entry(self, step: str) -> dict[str, Any] | None:
        """Return what the finished ``step`` noted, or None where it is not finished."""
        key = self.key(f"{step}.json")
        if self.storage.find(key) is None:
            return None
        document: dict[str, Any] = json.loads(self.storage.read(key))
        return document

    def finished(self, step: str) -> dict[str, Any]:
        """Return what the ``step`` noted; NothingToDoError where it is not finished."""
        entry = self.entry(step)
        if entry is None:
            raise NothingToDoError(f"run {self.run_id} of {self.connector} has not finished {step}; run that job first")
        return entry

    def finish(self, step: str, entry: dict[str, Any]) -> None:
        """Note that all of ``step`` is done. A second note of the same step is refused by the store."""
        self.storage.create(self.key(f"{step}.json"), _document(entry))

    def reopen(self, step: str) -> None:
        """Take the note of a finished ``step`` back, for what it was done upon has changed."""
        present = self.storage.find(self.key(f"{step}.json"))
        if present is not None:
            self.storage.delete(present)

    @property
    def started(self) -> dt.datetime:
        """When the run was started, by its id (UTC)."""
        return dt.datetime.strptime(self.run_id.partition("-")[0], _MOMENT).replace(tzinfo=dt.UTC)

    def begin(self, step: str) -> int:
        """Count a new attempt at ``step``; return its number, from 1."""
        number = 1
        while True:
            try:
                self.storage.create(self.key(f"{step}.attempt-{number}.json"), _document({"at": self.storage.now()}))
            except ObjectExistsError:
                number += 1
            else:
                return number

    def has_begun(self, step: str) -> bool:
        """Tell whether there was an attempt at ``step``."""
        return self.storage.find(self.key(f"{step}.attempt-1.json")) is not None

    def abandon(self, reason: str) -> None:
        """Give the run up for good; its objects, where they are still there, go to a new one."""
        self.finish(_ABANDONED, {"reason": reason})

    @property
    def next_step(self) -> str | None:
        """The first step that is not finished, None where the run is complete."""
        for step in STEPS:
            if self.entry(step) is None:
                return step
        return None


def _document(entry: dict[str, Any]) -> bytes:
    return json.dumps(entry, indent=1, sort_keys=True).encode()


def start_run(storage: Storage, manifest: Manifest) -> Run:
    """Freeze the manifest of a new run."""
    run = Run(storage, manifest.connector, manifest.run_id)
    storage.create(run.key("manifest.json"), manifest.to_json())
    return run


def unfinished_run(storage: Storage, connector: str) -> Run | None:
    """Return the oldest run that is neither complete nor given up."""
    for run_id, names in _runs(storage, connector).items():
        if "manifest.json" in names and not names & _OVER:
            return Run(storage, connector, run_id)
    return None


def latest_run(storage: Storage, connector: str) -> Run | None:
    """Return the newest complete run."""
    done = [run_id for run_id, names in _runs(storage, connector).items() if "archive.json" in names]
    return Run(storage, connector, done[-1]) if done else None


def named_run(storage: Storage, connector: str, run_id: str) -> Run:
    """Return the run called ``run_id``; NothingToDoError where there is none."""
    run = Run(storage, connector, run_id)
    try:
        _ = run.manifest
    except StorageError:
        raise NothingToDoError(f"there is no run {run_id} of {connector}") from None
    return run


@dataclass(frozen=True)
class KnownRun:
    """A run of some connector, and whether there is nothing left to do in it."""

    run: Run
    is_over: bool


def all_runs(storage: Storage) -> dict[str, KnownRun]:
    """Return the runs of all connectors by their ids, oldest first."""
    files: dict[tuple[str, str], set[str]] = {}
    for item in storage.list("state/"):
        match = _RUN_FILE.fullmatch(item.key)
        if match is not None:
            files.setdefault((match["run"], match["connector"]), set()).add(match["name"])
    return {
        run_id: KnownRun(Run(storage, connector, run_id), bool(names & _OVER))
        for (run_id, connector), names in sorted(files.items())
    }


def _runs(storage: Storage, connector: str) -> dict[str, set[str]]:
    """Return the names of each run's files, oldest run first."""
    runs: dict[str, set[str]] = {}
    prefix = f"state/{connector}/run="
    for item in storage.list(prefix):
        run_id, _, name = item.key.removeprefix(prefix).partition("/")
        runs.setdefault(run_id, set()).add(name)
    return dict(sorted(runs.items()))
