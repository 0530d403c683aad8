"""The runs by which the units of a backfill are loaded: a unit has one at a time, over the objects as they are now."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from typing import Final

from jobs.runtime.backfill_ledger import Backfill
from jobs.runtime.backfill_units import Unit
from jobs.runtime.delivered_objects import entries_of, present_states
from jobs.runtime.errors import PlanOutdatedError
from jobs.runtime.ledger import Run, new_run_id, start_run
from jobs.runtime.manifest import MARKER, Entry, Manifest
from jobs.runtime.progress import tell
from jobs.runtime.workspace import Workspace

_NEXT_TRY: Final = 0.05  # seconds; ids tell seconds


def abandon(workspace: Workspace, run: Run, reason: str) -> None:
    """Give a run up for good, its clear parts with it."""
    if run.is_started:
        run.abandon(reason)
    workspace.storage.delete_prefix(workspace.raw(run.run_id))


class UnitRuns:
    """Finds or starts the runs of ``units``. Their ids sort like the units, for ids tell which run is the newest."""

    def __init__(self, workspace: Workspace, backfill: Backfill, units: Sequence[Unit], *, allow_older: bool) -> None:
        self._workspace, self._backfill = workspace, backfill
        self._units, self._allow_older = units, allow_older

    def run_of(self, index: int) -> Run:
        """Return the run that loads the unit at ``index``: the one that it has, or a new one where that is of no use.

        It is not, where it was given up, where a unit before has a later one, or where objects were replaced before it
        was decrypted. Raises PlanOutdatedError where objects are gone.
        """
        unit, run = self._units[index], self._backfill.run_of(index)
        if run is not None and run.has_begun("transform") and not run.is_abandoned:
            return run
        before = self._id_before(index)
        if run is not None and (run.is_abandoned or run.run_id < before):
            abandon(self._workspace, run, "a unit before it has a later run")
            run = None
        if run is not None and run.entry("decrypt") is not None:
            return run
        entries = self._entries(unit)
        if run is not None and run.is_started:
            if run.manifest.entries == entries:
                return run
            tell(f"run {run.run_id}: given up, for objects of unit {unit.name} were replaced since")
            abandon(self._workspace, run, "objects were replaced before decrypt was done")
            run = None
        storage, connector = self._workspace.storage, self._workspace.connector.name
        if run is None:
            run = Run(storage, connector, self._new_id(before))
            self._backfill.note_run(index, run.run_id)
        notes = (f"unit {unit.name} of backfill {self._backfill.name}",)
        return start_run(storage, Manifest(run.run_id, connector, entries, notes, unit.kept_in))

    def _id_before(self, index: int) -> str:
        """Return the id of the run of the nearest unit before this one that has a run; empty where there is none."""
        runs = (self._backfill.run_of(each) for each in range(index - 1, -1, -1))
        return next((run.run_id for run in runs if run is not None), "")

    def _new_id(self, before: str) -> str:
        """Return a new id that sorts after ``before``; made in the same second, chance would decide."""
        storage = self._workspace.storage
        second = before.partition("-")[0]
        while (run_id := new_run_id(storage.now())) < before and run_id.partition("-")[0] == second:
            time.sleep(_NEXT_TRY)
        return run_id

    def _entries(self, unit: Unit) -> tuple[Entry, ...]:
        """Return the objects of a unit in their present states. Raises PlanOutdatedError where some are gone."""
        storage = self._workspace.storage
        source = unit.kept_in or self._workspace.landing
        present = present_states(storage, (source + entry.name for entry in unit.entries))
        gone = [entry.name for entry in unit.data if source + entry.name not in present]
        if gone:
            raise PlanOutdatedError(
                f"{len(gone):,} of {len(unit.data):,} objects are gone from {storage.uri(source)} "
                f"since plan {self._backfill.name} was made, {gone[0]} among them; plan what is left under another name"
            )
        there = [(entry, present[source + entry.name]) for entry in unit.entries if source + entry.name in present]
        replaced = [entry.name for entry, now in there if entry.etag != now.etag]
        if replaced:
            tell(
                f"unit {unit.name}: {len(replaced):,} of {len(unit.entries):,} objects were replaced since it was "
                f"planned, {replaced[0]} among them; they are loaded as they are now"
            )
        if unit.kept_in:
            return tuple(
                dataclasses.replace(entry, size=now.size, version=now.version, etag=now.etag) for entry, now in there
            )
        return entries_of(
            self._workspace,
            [now for entry, now in there if entry.role != MARKER],
            [now for entry, now in there if entry.role == MARKER],
            allow_older=self._allow_older,
        )
