"""Transform and publish a decrypted delivery: raw/ to curated/ and the catalog.

    spark-submit jobs/transform.py --connector aep_profiles --root file:///data/acme --hash-key file:/secure/hash.key

One Spark plan for each table that the delivery feeds: map, cleanse, reject, drop duplicates, pseudonymise, conform, and
by the table's load mode merge with what is there; write Snappy Parquet partitioned as the table says. Then what was
written is verified (every row accounted for, every hash looked at), and the catalog's tables are switched to it. Leaves
the run's entries "transform" and "publish" in the ledger.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":  # spark-submit puts this folder first on the path; our packages are one level up
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import dataclasses
import functools
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from jobs.runtime.args import option
from jobs.runtime.decode import Decoded
from jobs.runtime.errors import ArgumentError, RuntimeEnvironmentError
from jobs.runtime.feed_run import FeedRun, is_good
from jobs.runtime.keys import read_hash_keys
from jobs.runtime.ledger import Run, run_to_work_on
from jobs.runtime.lock import Lock, hold_lock
from jobs.runtime.progress import progress, tell
from jobs.runtime.publication import check_base, check_shrink, published_table, seen_table, shows, switch
from jobs.runtime.published_table import PublishedTable
from jobs.runtime.script import ConnectorArgs, run_script
from jobs.runtime.session import open_session, sibling_session
from jobs.runtime.suppression import PeopleList, check_lists, fingerprint_of, open_lists
from jobs.runtime.workspace import Workspace, open_workspace
from schemas.feed import Feed
from schemas.table import Table
from transforms.columns.phone_library import metadata_version
from transforms.profiles.registry import uses_libphonenumber

_FEEDS_AT_ONCE: Final = 4  # tables that are made at the same time: small ones leave cores idle between their stages


@dataclass(frozen=True)
class Args(ConnectorArgs):
    """The arguments of this job."""

    hash_key: str | None = option(
        "secret of the hashes: file:/… or secretsmanager:…; of several: name=file:/…,name=…", default=None
    )
    catalog_database: str | None = option(
        "Glue database to publish in, instead of documents below --root", default=None
    )
    curated_root: str | None = option("URI that holds curated/, where it is not below --root", default=None)
    suppression_list: str | None = option(
        "people who must not be published: URIs of CSV or Parquet, or names of tables; parted by commas", default=None
    )
    allow_shrink: bool = option("publish even if the table loses more rows than its file allows", default=False)


def workspace_of(args: Args) -> Workspace:
    """Open the workspace that the arguments name, its catalog included."""
    return open_workspace(
        args.connector,
        args.table,
        args.root,
        curated_root=args.curated_root,
        catalog_database=args.catalog_database,
    )


def read_keys(args: Args, tables: Iterable[Table]) -> dict[str, bytes]:
    """Return the hash keys that the tables need, by their names. Raises ArgumentError where one is missing."""
    keyed = [table for table in tables if table.key_names]
    if not keyed:
        return {}
    if args.hash_key is None:
        raise ArgumentError(f"missing --hash-key: table {keyed[0].name} has keyed hashes (file:/… or secretsmanager:…)")
    names = sorted({name for table in keyed for name in table.key_names})
    return read_hash_keys(args.hash_key, names)


def read_lists(args: Args, workspace: Workspace) -> tuple[PeopleList, ...]:
    """Return the suppression lists that the arguments name. Raises ArgumentError for one that cannot be used."""
    lists = open_lists(args.suppression_list or "", workspace.catalog)
    check_lists(lists, workspace.connector, workspace.tables)
    return lists


def transform(
    workspace: Workspace, run: Run, keys: Mapping[str, bytes], suppression: Sequence[PeopleList] = ()
) -> None:
    """Write what the run will publish, table by table, and verify it; nothing of people on ``suppression`` lists."""
    done = run.entry("transform")
    if done is not None and not _is_overtaken(workspace, run, done, fingerprint_of(suppression)):
        tell(f"run {run.run_id}: transform was done before")
        return
    if done is not None:
        tell(f"run {run.run_id}: a table or a suppression list has changed since transform was done; it is done again")
        run.reopen("transform")
    decoded = Decoded.from_document(run.finished("decrypt"))
    attempt = run.begin("transform")
    fed = [feed for feed in workspace.connector.feeds if any(is_good(each, feed) for each in decoded.files)]
    phonenumbers = _phonenumbers(workspace.tables[feed.name] for feed in fed)
    tables: dict[str, Any] = {}
    if fed:
        spark = open_session("cleanroom-etl transform")

        def transform_feed(feed: Feed) -> tuple[str, dict[str, Any]]:
            session = spark if len(fed) == 1 else sibling_session(spark)
            task = FeedRun(
                session, workspace, run, feed, decoded=decoded, keys=keys, attempt=attempt, suppression=suppression
            )
            return task.table.name, {**task.transform(), "feed": feed.name, "phonenumbers": phonenumbers}

        with progress(spark, "transform"), ThreadPoolExecutor(_FEEDS_AT_ONCE) as pool:
            tables = dict(pool.map(transform_feed, fed))
    for number in range(1, attempt):  # what they had rejected was rejected once more since
        workspace.storage.delete_prefix(f"{workspace.rejects(run.run_id)}transform-{number}/")
    run.finish("transform", {"attempt": attempt, "tables": tables, "suppression": fingerprint_of(suppression)})


def _is_overtaken(workspace: Workspace, run: Run, done: Mapping[str, Any], suppression: str) -> bool:
    """Tell whether what is to be published was made too early.

    Rows of another run would be lost where it was merged with an older state of a table; people would be published who
    are on the lists by now. ``suppression`` is the fingerprint of the lists.
    """
    if run.entry("publish") is not None:
        return False
    if suppression != done.get("suppression", ""):
        if not any(_is_switched(workspace.catalog.get(name), run.run_id) for name in done["tables"]):
            return True
        tell(
            f"run {run.run_id}: its suppression list has changed since it began to show its tables. It shows them all "
            "as they were made; who has come onto the list goes with the next run, or with jobs/forget.py"
        )
    for name, entry in done["tables"].items():
        present = workspace.catalog.get(name)
        now = present.run_id if present is not None else ""
        if now not in (entry["base_run"], run.run_id):
            return True
    return False


def _is_switched(present: PublishedTable | None, run_id: str) -> bool:
    """Tell whether a table shows the run, or partly so: then nothing of it can be made anew."""
    return present is not None and run_id in (present.run_id, present.claimed_by)


def publish(workspace: Workspace, run: Run, lock: Lock, *, allow_shrink: bool) -> None:
    """Switch the catalog's tables to what the run has written, if nobody else changed them meanwhile."""
    if run.entry("publish") is not None:
        tell(f"run {run.run_id}: publish was done before")
        return
    began = time.monotonic()
    tables = {}
    entries = run.finished("transform")["tables"]
    present = {name: seen_table(workspace.catalog, name) for name in entries}
    waiting = {name: entry for name, entry in entries.items() if not shows(present[name], run.run_id)}
    for name, entry in waiting.items():  # all or none, as far as can be told before
        check_base(present[name], name, run.run_id, entry["base_run"])
        check_shrink(
            workspace.tables[entry["feed"]], run.run_id, present[name], entry["rows"], allow_shrink=allow_shrink
        )
    for name, entry in entries.items():
        before = present[name]
        if name in waiting:
            lock.check()
            make = functools.partial(_table_of, workspace, run, entry)
            tables[name] = dataclasses.asdict(
                switch(workspace.catalog, name, run.run_id, make, base=entry["base_run"], before=before)
            )
        elif before is not None:  # a run that died had got so far
            tables[name] = dataclasses.asdict(before)
        tell(f"run {run.run_id}: published table {name} with {entry['rows']:,} rows in {workspace.catalog.describe()}")
    entry = {"seconds": time.monotonic() - began, "at": workspace.storage.now(), "tables": tables}
    run.finish("publish", {**entry, "catalog": workspace.catalog.describe()})


def _table_of(
    workspace: Workspace, run: Run, entry: Mapping[str, Any], present: PublishedTable | None
) -> PublishedTable:
    feed = workspace.connector.feed(entry["feed"])
    own = workspace.tables[feed.name]
    known = {column.name for column in own.columns}
    extras = [column["name"] for column in entry["columns"] if column["name"] not in known]
    table = own.with_extra_columns(extras) if extras else own
    return published_table(table, feed, entry, present, connector=workspace.connector.name, run_id=run.run_id)


def _phonenumbers(tables: Iterable[Table]) -> str:
    """Return the version of the metadata that phone numbers are read with; empty where there are none.

    Raises RuntimeEnvironmentError where it is needed and not installed.
    """
    if not any(uses_libphonenumber(c.profile, c.normalize) for table in tables for c in table.columns):
        return ""
    try:
        return metadata_version()
    except ImportError as error:
        raise RuntimeEnvironmentError(str(error)) from None


def main(args: Args) -> None:
    """Run this job by itself."""
    workspace = workspace_of(args)
    keys = read_keys(args, workspace.tables.values())
    lists = read_lists(args, workspace)
    name = workspace.connector.name
    with hold_lock(workspace.storage, name) as lock:
        run = run_to_work_on(workspace.storage, name, args.run_id)
        if run is None:
            tell(f"nothing to do: no run of {name} waits for transform; jobs/decrypt.py starts one")
            return
        transform(workspace, run, keys, lists)
        publish(workspace, run, lock, allow_shrink=args.allow_shrink)


if __name__ == "__main__":
    run_script(Args, main)
