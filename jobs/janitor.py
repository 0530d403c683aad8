"""Delete what runs have left behind and no table needs any more.

    spark-submit jobs/janitor.py --root file:///data/acme --keep-days 14

Of each table: the files of runs that are over and older than --keep-days, unless the table points to them, has done so
since then, or did before its last run. Of each connector: clear parts in raw/ that a run which is over has left. Runs
that are not finished, and files of runs that the ledger does not know, are never touched. Python alone runs this too.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":  # spark-submit puts this folder first on the path; our packages are one level up
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import contextlib
import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from jobs.runtime.args import option
from jobs.runtime.catalog import Catalog, open_catalog
from jobs.runtime.errors import ArgumentError, CatalogConflictError, LockedError, StorageError
from jobs.runtime.ledger import KnownRun, all_runs, note_deleted
from jobs.runtime.lock import Lock, hold_lock
from jobs.runtime.objects import ObjectInfo
from jobs.runtime.progress import tell
from jobs.runtime.published_table import PublishedTable
from jobs.runtime.retention import is_old, needed_folders, unneeded
from jobs.runtime.script import run_script
from jobs.runtime.storage import Storage, open_storage


@dataclass(frozen=True)
class Args:
    """The arguments of this job."""

    root: str = option("URI that holds raw/, state/ and the rest: file:///… or s3://…")
    curated_root: str | None = option("URI that holds curated/, where it is not below --root", default=None)
    catalog_database: str | None = option(
        "Glue database the tables are in, instead of documents below --root", default=None
    )
    connector: str | None = option("look at the tables and clear parts of this one alone", default=None)
    keep_days: int = option("what a table has shown in so many days can be rolled back to", default=14)
    dry_run: bool = option("only say what would be deleted", default=False)


def main(args: Args) -> None:
    """Run this job by itself."""
    if args.keep_days < 1:
        raise ArgumentError("--keep-days: must be at least 1, for somebody may be reading what was there a moment ago")
    storage = open_storage(args.root, args.curated_root)
    catalog = open_catalog(storage, args.catalog_database)
    since = dt.datetime.fromtimestamp(storage.now(), dt.UTC) - dt.timedelta(days=args.keep_days)
    for name in catalog.names():
        table = catalog.get(name)
        if table is not None and table.is_ours and args.connector in (None, table.parameters["connector"]):
            with _unless_in_use(f"table {name}"), hold_lock(storage, table.parameters["connector"]) as lock:
                _clean_table(storage, _settled(catalog, table), since, None if args.dry_run else lock)
    for connector in sorted({known.run.connector for known in all_runs(storage).values()}):
        if args.connector in (None, connector):
            with _unless_in_use(f"connector {connector}"), hold_lock(storage, connector) as lock:
                _clean_raw(storage, connector, None if args.dry_run else lock)


@contextlib.contextmanager
def _unless_in_use(what: str) -> Iterator[None]:
    """Leave ``what`` alone where it is locked, being switched, or lies elsewhere, and go on with the rest."""
    try:
        yield
    except (LockedError, CatalogConflictError, StorageError) as error:
        tell(f"{what}: left for the next time: {error}")


def _settled(catalog: Catalog, seen: PublishedTable) -> PublishedTable:
    """Return the table as it stands under the lock. Raises CatalogConflictError where it is being switched."""
    table = catalog.get(seen.name)
    if table is None or table.claimed_by or table.parameters.get("connector") != seen.parameters["connector"]:
        raise CatalogConflictError("somebody is switching it")
    return table


def _clean_table(storage: Storage, table: PublishedTable, since: dt.datetime, lock: Lock | None) -> None:
    """Delete old files of a table's runs, and what is known of keys from before; the lock keeps rollbacks away.

    Each run is noted before anything of it is deleted, so that no rollback goes back to it, not even one that comes
    while this process sleeps.
    """
    runs = all_runs(storage)
    needed = needed_folders(storage, table, runs, since)
    doomed: list[ObjectInfo] = []
    for area in ("curated", "versions"):
        prefix = f"{area}/{table.name}/"
        doomed += unneeded(storage.list(prefix), prefix, needed, runs, since)
    staged = f"staged/{table.name}/"
    if lock is not None:
        for run_id in sorted({_run_of(item.key) for item in doomed}):
            lock.check()
            note_deleted(storage, table.parameters["connector"], run_id)
    doomed += [item for item in storage.list(staged) if is_old(item.key.removeprefix(staged), runs, since)]
    _delete(storage, doomed, needed, f"table {table.name}", lock)


def _run_of(key: str) -> str:
    """Return the run that a key below ``<area>/<table>/run=<id>/`` is of."""
    return key.split("/")[2].removeprefix("run=")


def _clean_raw(storage: Storage, connector: str, lock: Lock | None) -> None:
    """Delete clear parts that a run which is over has left: they have no use, however young."""
    runs: Mapping[str, KnownRun] = all_runs(storage)
    prefix = f"raw/{connector}/"
    now = dt.datetime.fromtimestamp(storage.now(), dt.UTC) + dt.timedelta(seconds=1)
    doomed = [item for item in storage.list(prefix) if is_old(item.key.removeprefix(prefix), runs, now)]
    _delete(storage, doomed, set(), f"connector {connector}", lock)


def _delete(storage: Storage, doomed: Sequence[ObjectInfo], needed: set[str], owner: str, lock: Lock | None) -> None:
    """Delete whole folders at once, but for those that have a needed one below them; without a lock say so alone."""
    folders: dict[str, list[ObjectInfo]] = {}
    for item in doomed:
        folders.setdefault(f"{item.key.rpartition('/')[0]}/", []).append(item)
    for folder, items in folders.items():
        if lock is None:
            break
        lock.check()
        if any(name.startswith(folder) for name in needed):
            for item in items:
                storage.delete(item)
        else:
            storage.delete_prefix(folder)
    size = sum(item.size for item in doomed)
    would = "would delete" if lock is None else "deleted"
    tell(f"{owner}: {would} {len(doomed):,} objects, {size / 1e6:,.1f} MB, in {len(folders):,} folders")


if __name__ == "__main__":
    run_script(Args, main)
