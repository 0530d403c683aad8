"""Which of the things that runs have left behind nobody needs any more. Decisions only; nothing is deleted here."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping

from jobs.runtime.ledger import KnownRun
from jobs.runtime.merge import VERSIONS
from jobs.runtime.objects import ObjectInfo
from jobs.runtime.published_table import PublishedTable
from jobs.runtime.storage import Storage


def needed_folders(
    storage: Storage, present: PublishedTable, runs: Mapping[str, KnownRun], since: dt.datetime
) -> set[str]:
    """Return the folders, as keys, that a table points to, or may be pointed back to.

    That is what it shows now, what its previous run has published, and whatever it has shown after ``since``: all that
    was published or gone back to since then, and the last before that. Raises StorageError where the table's files
    are elsewhere.
    """
    states = [present]
    last: tuple[float, PublishedTable] | None = None
    for run_id, known in runs.items():
        entry = known.run.entry("publish") or {"tables": {}}
        if present.name not in entry["tables"]:
            continue
        state = PublishedTable.from_document(entry["tables"][present.name])
        at = max([entry.get("at", known.run.started.timestamp()), *known.rollbacks])
        if run_id == present.parameters.get("previous_run") or at >= since.timestamp():
            states.append(state)
        elif last is None or at > last[0]:
            last = (at, state)
    if last is not None:
        states.append(last[1])
    return set().union(*(folders_of(storage, state) for state in states))


def folders_of(storage: Storage, table: PublishedTable) -> set[str]:
    """Return the folders, as keys, that hold a table's files and what is known of its keys."""
    locations = {*table.locations, *filter(None, [table.parameters.get(VERSIONS)])}
    return {storage.key_of(location.rstrip("/")) for location in locations}


def unneeded(
    items: Iterable[ObjectInfo], prefix: str, needed: set[str], runs: Mapping[str, KnownRun], since: dt.datetime
) -> list[ObjectInfo]:
    """Return the objects below ``prefix``, a table's folder of runs, that may go.

    Those of runs that are known, over and older than ``since``, and in no ``needed`` folder or one below it.
    """
    return [
        item for item in items if is_old(item.key.removeprefix(prefix), runs, since) and not _is_below(item.key, needed)
    ]


def is_old(name: str, runs: Mapping[str, KnownRun], since: dt.datetime) -> bool:
    """Tell of ``run=<id>/…`` whether the run is known, over, and was started before ``since``."""
    known = runs.get(name.partition("/")[0].removeprefix("run="))
    return known is not None and known.is_over and known.run.started < since


def _is_below(key: str, folders: set[str]) -> bool:
    while key:
        key = key.rpartition("/")[0]
        if key in folders:
            return True
    return False
