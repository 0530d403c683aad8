"""What each run did, step by step: small JSON files that are written once. They are what makes a rerun safe.

A run is a folder ``state/<connector>/run=<id>/`` with its manifest, one entry a finished step, and one file an
attempt. A step writes its entry last, so an entry means that all of the step is done.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import re
import secrets
from dataclasses import dataclass
from typing import Any, Final

from jobs.runtime.errors import ArgumentError, BackfillGoingOnError, NothingToDoError, ObjectExistsError, StorageError
from jobs.runtime.manifest import Manifest
from jobs.runtime.storage import Storage
from transforms.rows import MOST_FILES

STEPS: Final = ("decrypt", "transform", "publish", "archive")
ROLLBACK: Final = "rollback"
_ABANDONED: Final = "abandoned"
_MOMENT: Final = "%Y%m%dT%H%M%SZ"
_OVER: Final = {"archive.json", f"{_ABANDONED}.json"}  # a run with one of these is never taken up again
BACKFILL: Final = "backfill="  # begins the name of a backfill's folder, beside those of runs
BEGUN, FINISHED, GIVEN_UP = "begun.json", "finished.json", "given-up.json"
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
    def is_started(self) -> bool:
        """Whether its manifest is frozen."""
        return self.storage.find(self.key("manifest.json")) is not None

    @property
    def is_abandoned(self) -> bool:
        """Whether it was given up."""
        return self.entry(_ABANDONED) is not None

    @property
    def report(self) -> dict[str, Any]:
        """The report of a run that was archived."""
        document: dict[str, Any] = json.loads(self.storage.read(self.key("report.json")))
        return document

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

    def amend(self, step: str, entry: dict[str, Any]) -> None:
        """Replace the note of a finished ``step``: what it says was not all that happened."""
        present = self.storage.find(self.key(f"{step}.json"))
        if present is None:
            raise NothingToDoError(f"run {self.run_id} of {self.connector} has not finished {step}")
        self.storage.replace(present.key, _document(entry), present.etag)

    def has_begun(self, step: str) -> bool:
        """Tell whether there was an attempt at ``step``."""
        return self.storage.find(self.key(f"{step}.attempt-1.json")) is not None

    def abandon(self, reason: str) -> None:
        """Give the run up for good; its objects, where they are still there, go to a new one."""
        if not self.is_abandoned:
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
    """Freeze the manifest of a new run. Raises ArgumentError for more objects than row ids have room for."""
    if len(manifest.entries) > MOST_FILES:
        raise ArgumentError(
            f"{len(manifest.entries):,} objects are more than the {MOST_FILES:,} that one run takes; load them in "
            "units (jobs/backfill.py --plan …)"
        )
    run = Run(storage, manifest.connector, manifest.run_id)
    storage.create(run.key("manifest.json"), manifest.to_json())
    return run


def unfinished_run(storage: Storage, connector: str) -> Run | None:
    """Return the oldest run that is neither complete nor given up."""
    for run_id, names in _runs(storage, connector).items():
        if "manifest.json" in names and not names & _OVER:
            return Run(storage, connector, run_id)
    return None


def run_to_work_on(storage: Storage, connector: str, run_id: str | None) -> Run | None:
    """Return the run that was asked for, or else the unfinished one, None where there is none.

    Raises NothingToDoError for a run that is not there, and BackfillGoingOnError during a backfill: its runs are its
    own business, and what others load meanwhile would be missing from what it publishes.
    """
    refuse_during_backfill(storage, connector)
    return named_run(storage, connector, run_id) if run_id is not None else unfinished_run(storage, connector)


def refuse_during_backfill(storage: Storage, connector: str, but: str = "") -> None:
    """Raise BackfillGoingOnError where a backfill of the connector was begun, and neither finished nor given up.

    ``but`` is the name of one that does not count.
    """
    names: dict[str, set[str]] = {}
    prefix = f"state/{connector}/{BACKFILL}"
    for item in storage.list(prefix):
        backfill, _, name = item.key.removeprefix(prefix).partition("/")
        names.setdefault(backfill, set()).add(name)
    for backfill, files in names.items():
        if backfill != but and BEGUN in files and not files & {FINISHED, GIVEN_UP}:
            raise BackfillGoingOnError(
                f"backfill {backfill} of {connector} was begun and is not finished; what lands meanwhile stays in "
                f"landing/. Go on with it (jobs/backfill.py --run {backfill}), or give it up (--give-up {backfill})"
            )


def latest_run(storage: Storage, connector: str) -> Run | None:
    """Return the newest complete run."""
    done = archived_runs(storage, connector)
    return done[-1] if done else None


def named_run(storage: Storage, connector: str, run_id: str) -> Run:
    """Return the run called ``run_id``; NothingToDoError where there is none."""
    run = Run(storage, connector, run_id)
    try:
        _ = run.manifest
    except StorageError:
        raise NothingToDoError(f"there is no run {run_id} of {connector}") from None
    return run


def archived_runs(storage: Storage, connector: str) -> list[Run]:
    """Return the connector's complete runs, oldest first."""
    return [Run(storage, connector, run) for run, names in _runs(storage, connector).items() if "archive.json" in names]


@dataclass(frozen=True)
class KnownRun:
    """A run of some connector, whether there is nothing left to do in it, and the names of its files in the ledger."""

    run: Run
    is_over: bool
    names: frozenset[str] = frozenset()

    @property
    def rollbacks(self) -> list[float]:
        """When rollbacks to the run were begun, in seconds since 1970."""
        files = sorted(name for name in self.names if name.startswith(f"{ROLLBACK}.attempt-"))
        return [float(json.loads(self.run.storage.read(self.run.key(name)))["at"]) for name in files]


def all_runs(storage: Storage) -> dict[str, KnownRun]:
    """Return the runs of all connectors by their ids, oldest first."""
    files: dict[tuple[str, str], set[str]] = {}
    for item in storage.list("state/"):
        match = _RUN_FILE.fullmatch(item.key)
        if match is not None:
            files.setdefault((match["run"], match["connector"]), set()).add(match["name"])
    return {
        run_id: KnownRun(Run(storage, connector, run_id), bool(names & _OVER), frozenset(names))
        for (run_id, connector), names in sorted(files.items())
    }


def rollbacks_of(storage: Storage, connector: str) -> dict[str, list[float]]:
    """Return when rollbacks to runs of the connector were begun, in seconds since 1970, by the runs' ids."""
    known = {
        run_id: KnownRun(Run(storage, connector, run_id), bool(names & _OVER), frozenset(names))
        for run_id, names in _runs(storage, connector).items()
    }
    return {run_id: each.rollbacks for run_id, each in known.items() if each.rollbacks}


def note_deleted(storage: Storage, connector: str, run_id: str) -> None:
    """Note, for whoever holds the lock of ``connector``, that what the run had published begins to be deleted."""
    with contextlib.suppress(ObjectExistsError):
        storage.create(f"state/{connector}/deleted/{run_id}.json", _document({"at": storage.now()}))


def is_deleted(storage: Storage, run_id: str) -> bool:
    """Tell whether somebody has begun to delete what the run had published."""
    return any(item.key.endswith(f"/deleted/{run_id}.json") for item in storage.list("state/"))


def _runs(storage: Storage, connector: str) -> dict[str, set[str]]:
    """Return the names of each run's files, oldest run first."""
    runs: dict[str, set[str]] = {}
    prefix = f"state/{connector}/run="
    for item in storage.list(prefix):
        run_id, _, name = item.key.removeprefix(prefix).partition("/")
        runs.setdefault(run_id, set()).add(name)
    return dict(sorted(runs.items()))
