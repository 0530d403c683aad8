"""Point a table back to an earlier run.

    spark-submit jobs/rollback.py --table customer_profile --root file:///data/acme

No data moves: the catalog's table is switched to what the run before it, or the one named, had published. Rows that a
run has published stay in curated/ for that. Python alone runs this too; it needs no Spark.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":  # spark-submit puts this folder first on the path; our packages are one level up
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import dataclasses
from dataclasses import dataclass

from jobs.runtime.args import option
from jobs.runtime.catalog import open_catalog
from jobs.runtime.errors import NothingToDoError, VerificationError
from jobs.runtime.ledger import ROLLBACK, all_runs, is_deleted, refuse_during_backfill
from jobs.runtime.lock import hold_lock
from jobs.runtime.merge import VERSIONS
from jobs.runtime.progress import tell
from jobs.runtime.published_table import PublishedTable
from jobs.runtime.script import run_script
from jobs.runtime.storage import Storage, open_storage


@dataclass(frozen=True)
class Args:
    """The arguments of this job."""

    table: str = option("name of the table")
    root: str = option("URI that holds curated/ and state/: file:///… or s3://…")
    curated_root: str | None = option("URI that holds curated/, where it is not below --root", default=None)
    catalog_database: str | None = option(
        "Glue database the table is in, instead of documents below --root", default=None
    )
    to_run: str | None = option("the run to go back to, instead of the one before the present one", default=None)


def main(args: Args) -> None:
    """Run this job by itself."""
    storage = open_storage(args.root, args.curated_root)
    catalog = open_catalog(storage, args.catalog_database)
    present = catalog.get(args.table)
    if present is None or not present.run_id:
        raise NothingToDoError(f"there is no table {args.table} of ours in {catalog.describe()}")
    target = args.to_run or present.parameters.get("previous_run")
    if not target:
        raise NothingToDoError(f"run {present.run_id} is the first of table {args.table}; there is none before it")
    with hold_lock(storage, present.parameters["connector"]) as lock:
        refuse_during_backfill(storage, present.parameters["connector"])
        known = all_runs(storage).get(target)
        if known is None:
            raise NothingToDoError(f"there is no run {target} below {storage.uri('state')}")
        entry = known.run.finished("publish")
        if args.table not in entry["tables"]:
            raise NothingToDoError(f"run {target} did not publish table {args.table}")
        known.run.begin(ROLLBACK)  # from now on the janitor keeps what the run has published
        lock.check()
        if is_deleted(storage, target):
            raise VerificationError(
                f"the janitor has begun to delete what run {target} had published; go back to another with --to-run"
            )
        earlier = PublishedTable.from_document(entry["tables"][args.table])
        _check_data(storage, earlier)
        parameters = {**earlier.parameters, "rolled_back_from": present.run_id}
        catalog.put(dataclasses.replace(earlier, parameters=parameters), present.version)
    tell(f"table {args.table} shows run {target} again ({earlier.rows:,} rows), no longer {present.run_id}")


def _check_data(storage: Storage, table: PublishedTable) -> None:
    """See that every folder the table would point to still has files, and what is known of its keys is there."""
    for location in (*table.locations, *filter(None, [table.parameters.get(VERSIONS)])):
        prefix = storage.key_of(location) + "/"
        if next(storage.list(prefix), None) is None and table.rows:
            raise VerificationError(f"{location} has no files any more; go back to another run with --to-run")


if __name__ == "__main__":
    run_script(Args, main)
