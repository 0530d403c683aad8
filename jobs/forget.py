"""Forget people: take them out of the tables that a connector fills, and out of what its runs have left behind.

    spark-submit jobs/forget.py --connector aep_profiles --root file:///data/acme --hash-key file:/secure/hash.key \
        --people file:///secure/people.csv --reason "erasure request 4711"

The list names people as a suppression list does; a row is theirs when any column says so. Rows go from the connector's
tables, from the files of earlier runs, from rejects that keep values; clear parts and staged rows go altogether. Copies
in quarantine/ are as they were delivered and cannot be searched: --delete-quarantine deletes them all. Originals in
archive/ are never changed: the receipt names them. It counts by place, says what was not done, and holds no value. Who
is to stay out belongs on a suppression list as well, else the next delivery brings them back. The job may be killed at
any time; the same command goes on.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":  # spark-submit puts this folder first on the path; our packages are one level up
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import dataclasses
import datetime as dt
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from jobs.runtime.args import option
from jobs.runtime.errors import ArgumentError, LockedError, VerificationError
from jobs.runtime.forget_findings import (
    TEMPORARY,
    Target,
    count_leftovers,
    former_tables,
    search_kept_rejects,
    search_table,
    staged_folders,
    state_of,
    target_of,
)
from jobs.runtime.forget_receipt import Findings, receipt_of, summary_of
from jobs.runtime.forget_record import RECEIPT, ForgetRecord, open_record, records_of
from jobs.runtime.keys import read_hash_keys
from jobs.runtime.ledger import Run, all_runs, refuse_during_backfill
from jobs.runtime.lock import Lock, hold_lock
from jobs.runtime.merge import VERSION_KEYS, VERSIONS
from jobs.runtime.objects import ObjectInfo
from jobs.runtime.people_search import (
    folders_of_files,
    rejects_without,
)
from jobs.runtime.progress import progress, tell
from jobs.runtime.publication import (
    FED_BY,
    STANDS_UPON,
    check_base,
    making_of,
    present_table,
    seen_table,
    shows,
    switch,
)
from jobs.runtime.published_table import PublishedPartition, PublishedTable, describe_table
from jobs.runtime.ranged import open_ranged
from jobs.runtime.retention import folders_of
from jobs.runtime.script import run_script
from jobs.runtime.session import open_session
from jobs.runtime.standing_table import StandingTable
from jobs.runtime.storage import Storage
from jobs.runtime.suppression import PeopleList, check_lists, fingerprint_of, open_lists
from jobs.runtime.table_files import rebalanced, write_table
from jobs.runtime.workspace import Workspace, open_workspace
from jobs.runtime.written import read_footers, rows_by_partition


@dataclass(frozen=True)
class Args:
    """The arguments of this job."""

    connector: str = option("name of a packaged connector, or the URI of your own file")
    root: str = option("URI that holds landing/, raw/, curated/ and the rest: file:///… or s3://…")
    people: str = option("who is to be forgotten: URIs of CSV or Parquet, or names of tables; parted by commas")
    reason: str = option("why, for the receipt; name nobody here")
    hash_key: str | None = option(
        "the secret of the hashes that the tables were made with, as for transform", default=None
    )
    table: str | None = option("name or URI of a table file, instead of the connector's own table", default=None)
    catalog_database: str | None = option(
        "Glue database the tables are in, instead of documents below --root", default=None
    )
    curated_root: str | None = option("URI that holds curated/, where it is not below --root", default=None)
    delete_quarantine: bool = option("delete all copies in quarantine/, which cannot be searched", default=False)
    dry_run: bool = option("only say what would be done", default=False)


#: Where a file of rejects is written anew, and what the name of the new one says.
_SCRATCH: Final = "/forgetting-"
_WITHOUT: Final = "-without-"


class Forgetting:
    """One job at work. Its steps may each be done again; what they had found at first is what they go by."""

    def __init__(
        self, workspace: Workspace, args: Args, lists: Sequence[PeopleList], keys: Mapping[str, bytes], lock: Lock
    ) -> None:
        self._workspace, self._args, self._lists, self._keys, self._lock = workspace, args, lists, keys, lock
        self._storage, self._name = workspace.storage, workspace.connector.name
        self._targets: dict[str, Target] = {}
        self._notes: dict[str, dict[str, Any]] = {}
        self._record: ForgetRecord | None = None

    def run(self) -> dict[str, Any]:
        """Forget the people; return the receipt."""
        spark = open_session("cleanroom-etl forget")
        if not self._args.dry_run:
            begun = {
                "lists": fingerprint_of(self._lists),
                "latest": self._latest_run(),
                "at": self._storage.now(),
                "reason": self._args.reason,
            }
            self._record = open_record(self._storage, self._name, begun)
            attempt = self._record.begin_attempt()
            again = f", attempt {attempt}" if attempt > 1 else ""
            tell(f"forget {self._record.forget_id}: {self._name}{again}")
        with progress(spark, "forget"):
            for step in FINDING if self._args.dry_run else (*FINDING, *DOING):
                step(self, spark)
        return self._receipt()

    def _noted(self, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return what an earlier attempt noted, else what ``make`` finds now."""
        note = self._record.note(name) if self._record is not None else None
        if note is None:
            note = make() if self._record is None else self._record.write(name, make())
        self._notes[name] = note
        return note

    @property
    def _forget_id(self) -> str:
        """The id under which everything is noted and published; a dry run has none."""
        return self._record.forget_id if self._record is not None else ""

    @property
    def _run(self) -> Run:
        """The run under which tables are published without the people."""
        return Run(self._storage, self._name, self._forget_id)

    def _shows_it(self, present: PublishedTable | None) -> bool:
        return self._record is not None and shows(present, self._forget_id)

    def _latest_run(self) -> str:
        """Return the id of the latest run that has loaded something, of any connector."""
        forgotten = records_of(self._storage, self._name)
        return max((run_id for run_id in all_runs(self._storage) if run_id not in forgotten), default="")

    # --- what there is to do

    def find_in_tables(self, spark: SparkSession) -> None:
        """Search all files of the connector's tables, those of earlier runs and of dead attempts as well."""
        for feed in self._workspace.connector.feeds:
            target = target_of(spark, self._workspace, feed, self._lists, self._keys)
            self._targets[feed.name] = target
            search = functools.partial(search_table, spark, self._storage, target, self._forget_id)
            note = self._noted(_found(target.table.name), search)
            now = target.present.run_id if target.present is not None else ""
            if self._record is not None and now != note["base_run"] and not self._shows_it(target.present):
                tell(f"  table {target.table.name} has changed since it was searched; it is searched again")
                self._record.drop(_found(target.table.name))
                self._record.drop(f"written-{target.table.name}")
                self._noted(_found(target.table.name), search)

    def find_in_rejects(self, spark: SparkSession) -> None:
        """Search the values that rejects have kept."""
        search = functools.partial(search_kept_rejects, spark, self._storage, self._name, self._targets)
        self._noted("found-rejects", search)

    def find_leftovers(self, _: SparkSession) -> None:
        """Count what goes altogether, and what stays where it is."""
        notes, rejects = self._notes_by_feed(), self._notes["found-rejects"]
        count = functools.partial(count_leftovers, self._storage, self._name, self._targets, notes, rejects)
        self._noted("found-leftovers", count)

    def _notes_by_feed(self) -> dict[str, dict[str, Any]]:
        return {feed: self._notes[_found(target.table.name)] for feed, target in self._targets.items()}

    # --- what is done

    def publish_tables(self, spark: SparkSession) -> None:
        """Write the partitions that held the people anew, verify them, and switch each table."""
        run = self._run
        if run.entry("abandoned") is None:  # so no job takes it for a delivery that is to be finished
            run.abandon("forgets people; there is no delivery to load")
        for feed, target in self._targets.items():
            name = target.table.name
            note = self._notes_by_feed()[feed]
            if note["rows"]:
                made = self._noted(f"written-{name}", functools.partial(self._write, spark, target, note))
                _show(self._workspace, self._lock, run, made, note["base_run"])

    def _write(self, spark: SparkSession, target: Target, note: Mapping[str, Any]) -> dict[str, Any]:
        """Write what stays; return the table as it is to stand. A switch that dies half way goes on with the same."""
        table, present, storage = target.table, target.present, self._storage
        if present is None:
            raise VerificationError(f"table {table.name} is gone since it was searched; run again")
        run = self._run
        attempt = run.begin("transform")
        standing = StandingTable(spark, table, present, target.listed)
        if standing.struck_in(None) != note["rows"]:
            raise VerificationError(
                f"table {table.name}: {note['rows']:,} rows were found in its files, {standing.struck_in(None):,} in "
                "the table; nothing was published. Run again"
            )
        rows, kept = standing.rows(standing.struck_partitions if table.partitions else None)
        output = f"{self._workspace.curated(table.name, run.run_id)}attempt={attempt}/"
        write_table(rebalanced(spark, rows, table), table, storage.uri(output))
        storage.delete_folder_markers(output)
        written = read_footers(storage, output, table)
        counts = rows_by_partition(written)
        if sum(counts.values()) != kept:
            raise VerificationError(
                f"{storage.uri(output)} holds {sum(counts.values()):,} rows, but {kept:,} stay of table {table.name}; "
                "nothing was published"
            )
        places = {file.partition: storage.uri(file.key.rpartition("/")[0]) for file in written}
        stays = [each for each in present.partitions if each.values not in standing.struck_partitions]
        comes = [PublishedPartition(values, places[values], count) for values, count in counts.items()]
        before = {each.values: each.delivered for each in present.partitions}
        comes = [dataclasses.replace(each, delivered=before.get(each.values, "")) for each in comes]
        changes = {
            **making_of(table, target.keys),
            "run_id": run.run_id,
            "row_count": str(present.rows - note["rows"]),
            VERSIONS: self._versions(spark, standing, attempt),
            STANDS_UPON: present.parameters.get(STANDS_UPON, present.run_id),
            "previous_run": "",  # what there was before must not be shown again
            "previous_location": "",
        }
        partitions = [*stays, *comes] if table.partitions else []

        tell(f"  table {table.name}: {note['rows']:,} rows go, {present.rows - note['rows']:,} stay")
        parameters = {name: value for name, value in present.parameters.items() if name != "switching_to"} | changes
        return dataclasses.asdict(describe_table(table, storage.uri(output.rstrip("/")), partitions, parameters))

    def _versions(self, spark: SparkSession, standing: StandingTable, attempt: int) -> str:
        """Write what is known of the table's keys without those that go; return where, nothing for a table without."""
        parameters = standing.present.parameters if standing.present is not None else {}
        location = parameters.get(VERSIONS, "")
        if not location:
            return ""
        keys = parameters[VERSION_KEYS].split(",")
        folder = self._workspace.versions(standing.table.name, self._run.run_id)
        uri = self._storage.uri(f"{folder}attempt={attempt}")
        standing.without_versions(spark.read.parquet(location), keys).write.parquet(uri)
        return uri

    def drop_earlier_runs(self, _: SparkSession) -> None:
        """Delete what earlier runs and dead attempts had written of the people: no rollback can show them again.

        Nobody may have taken over while this job slept, so the lock is looked at before something is deleted.
        """
        for feed, target in self._targets.items():
            self._lock.check()
            note = self._notes_by_feed()[feed]
            doomed = {*note["earlier"], *note["unsearchable"], *note["folders"]}
            if not doomed:
                continue
            name = target.table.name
            present = present_table(self._workspace.catalog, name)
            needed = folders_of(self._storage, present) if present is not None else set()
            states = [
                state for known in all_runs(self._storage).values() if (state := state_of(known, name)) is not None
            ]
            clean = [state for state in states if not folders_of(self._storage, state) & doomed]
            needed = needed.union(*(folders_of(self._storage, state) for state in clean)) - doomed
            needed |= folders_of(self._storage, present) if present is not None else set()
            for folder in sorted(doomed - needed):
                self._storage.delete_prefix(f"{folder}/")
            own = f"curated/{name}/run={self._run.run_id}/"
            for area in ("versions", "curated"):
                for folder in folders_of_files(self._storage, f"{area}/{name}/"):
                    is_dead_attempt = f"{folder}/".startswith(own)
                    if folder not in needed and (area == "versions" or is_dead_attempt):
                        self._storage.delete_prefix(f"{folder}/")

    def rewrite_rejects(self, spark: SparkSession) -> None:
        """Write each file of rejects that has the people anew without them, then delete the old one."""
        for key, found in self._notes["found-rejects"]["files"].items():
            self._lock.check()
            people = self._targets[found["feed"]].people(spark)
            item = self._storage.find(key)
            stem = "/".join(key.split("/")[:3])
            scratch = f"{stem}{_SCRATCH}{self._run.run_id}/"
            self._storage.delete_prefix(scratch)
            if people is None or item is None:  # an earlier attempt has done it
                continue
            rejects_without(spark, self._storage, key, people).coalesce(1).write.parquet(
                self._storage.uri(scratch[:-1])
            )
            made = [each for each in self._storage.list(scratch) if each.key.endswith(".parquet")]
            stays = sum(_rows_of(self._storage, each) for each in made)
            if stays + found["rows"] != _rows_of(self._storage, item):
                raise VerificationError(f"{self._storage.uri(key)} was written anew with another number of rows")
            for each in made if stays else ():
                present = self._storage.find(each.key) or each
                self._storage.copy(present, f"{key.removesuffix('.parquet')}{_WITHOUT}{self._run.run_id}.parquet")
            self._storage.delete_prefix(key)
            self._storage.delete_prefix(scratch)

    def drop_leftovers(self, _: SparkSession) -> None:
        """Delete clear parts and staged rows, which no run needs any more, and, if asked to, quarantine."""
        self._lock.check()
        self._storage.delete_prefix(f"raw/{self._name}/")
        for prefix in staged_folders(self._storage, self._name, self._targets):
            self._storage.delete_prefix(prefix)
        if self._args.delete_quarantine:
            self._storage.delete_prefix(f"quarantine/{self._name}/")

    # --- what is told

    def _receipt(self) -> dict[str, Any]:
        receipt = receipt_of(
            Findings(
                connector=self._name,
                reason=self._args.reason,
                lists=fingerprint_of(self._lists).split(","),
                tables={self._targets[feed].table.name: note for feed, note in self._notes_by_feed().items()},
                rejects=self._notes["found-rejects"],
                leftovers=self._notes["found-leftovers"],
                delete_quarantine=self._args.delete_quarantine,
                unsearched=[each.table.name for each in self._targets.values() if each.listed is None],
                former=former_tables(self._storage, self._name, self._targets),
                others=self._other_connectors(),
            )
        )
        if self._record is None:
            return receipt
        done = {
            "forget": self._record.forget_id,
            "begun": _moment((self._record.note("begun") or {})["at"]),
            "finished": _moment(self._storage.now()),
            "attempts": _attempts(self._record),
        }
        return self._record.write(RECEIPT, {**done, **receipt})

    def _other_connectors(self) -> list[str]:
        tables = {target.table.name for target in self._targets.values()}
        runs = [known.run for known in all_runs(self._storage).values() if known.run.connector != self._name]
        return sorted(
            {run.connector for run in runs if tables & set((run.entry("publish") or {"tables": {}})["tables"])}
        )


#: The recipe: what is to be found, in this order, then what is to be done with it.
FINDING: tuple[Callable[[Forgetting, SparkSession], None], ...] = (
    Forgetting.find_in_tables,
    Forgetting.find_in_rejects,
    Forgetting.find_leftovers,
)
DOING: tuple[Callable[[Forgetting, SparkSession], None], ...] = (
    Forgetting.publish_tables,
    Forgetting.drop_earlier_runs,
    Forgetting.rewrite_rejects,
    Forgetting.drop_leftovers,
)


def finish_switches(workspace: Workspace, lock: Lock) -> None:
    """End switches in which a job of this kind died: what was to be shown is noted, and readers see two states.

    No run and no backfill can publish before that, so it comes before any is waited for.
    """
    storage, name = workspace.storage, workspace.connector.name
    for table in sorted({table.name for table in workspace.tables.values()}):
        seen = seen_table(workspace.catalog, table)
        if seen is None or not seen.claimed_by:
            continue
        record = ForgetRecord(storage, name, seen.claimed_by)
        made, found = record.note(f"written-{table}"), record.note(_found(table))
        if made is not None and found is not None:
            _show(workspace, lock, Run(storage, name, record.forget_id), made, found["base_run"])
            tell(
                f"table {table}: the switch in which forget {record.forget_id} died is finished. Where it has no "
                "receipt, earlier runs and rejects may still hold its people: run it again with its own list"
            )


def _show(workspace: Workspace, lock: Lock, run: Run, made: Mapping[str, Any], base: str) -> None:
    """Point a table to what was ``made`` for ``run``, unless it shows that already, and note it in the ledger."""
    catalog, table = workspace.catalog, PublishedTable.from_document(made)
    seen = seen_table(catalog, table.name)
    if not shows(seen, run.run_id):
        lock.check()
        check_base(seen, table.name, run.run_id, base)
        switch(catalog, table.name, run.run_id, lambda _: table, base=base, before=seen)
    shown = {table.name: dataclasses.asdict(table)}
    entry = run.entry("publish")
    if entry is None:
        at, here = workspace.storage.now(), catalog.describe()
        run.finish("publish", {"seconds": 0.0, "at": at, "tables": shown, "catalog": here})
    else:
        run.amend("publish", {**entry, "tables": {**entry["tables"], **shown}})


def drop_scratch(workspace: Workspace, lock: Lock) -> None:
    """Delete rejects that were to take the place of others which are still there, and what dead tasks have left."""
    keys = {item.key for item in workspace.storage.list(f"rejects/{workspace.connector.name}/")}
    for key in sorted(keys):
        if _SCRATCH in key or TEMPORARY in key or f"{key.rpartition(_WITHOUT)[0]}.parquet" in keys - {key}:
            lock.check()
            workspace.storage.delete_prefix(key)


def _found(table: str) -> str:
    return f"found-{table}"


def _rows_of(storage: Storage, item: ObjectInfo) -> int:
    with open_ranged(functools.partial(storage.chunks, item), item.size) as file:
        return int(pq.read_metadata(file).num_rows)


def _moment(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="seconds")


def _attempts(record: ForgetRecord) -> int:
    number = 0
    while record.note(f"attempt-{number + 1}") is not None:
        number += 1
    return number


def main(args: Args) -> None:
    """Run this job by itself."""
    workspace = open_workspace(
        args.connector, args.table, args.root, curated_root=args.curated_root, catalog_database=args.catalog_database
    )
    names = sorted({name for table in workspace.tables.values() for name in table.key_names})
    if names and args.hash_key is None:
        raise ArgumentError("missing --hash-key: people are found by the hashes that the tables were made with")
    keys = read_hash_keys(args.hash_key, names) if args.hash_key is not None and names else {}
    lists = open_lists(args.people, workspace.catalog)
    check_lists(lists, workspace.connector, workspace.tables)
    name = workspace.connector.name
    with hold_lock(workspace.storage, name) as lock:
        _check_catalog(workspace)
        if not args.dry_run:
            finish_switches(workspace, lock)
        refuse_during_backfill(workspace.storage, name)
        if not args.dry_run:
            _refuse_beside_unfinished(workspace)
            drop_scratch(workspace, lock)
        receipt = Forgetting(workspace, args, lists, keys, lock).run()
    tell(summary_of(receipt))
    if "forget" in receipt:
        tell(f"  receipt {workspace.storage.uri(workspace.state)}forget={receipt['forget']}/receipt.json")


def _check_catalog(workspace: Workspace) -> None:
    """Raise ArgumentError where runs have published the tables in another catalog.

    All that this catalog does not show would be taken for earlier runs, and deleted.
    """
    here = workspace.catalog.describe()
    newest: dict[str, str] = {}
    for known in all_runs(workspace.storage).values():
        entry = known.run.entry("publish") or {"tables": {}}
        newest |= dict.fromkeys(entry["tables"], entry.get("catalog", here))
    for table in sorted({table.name for table in workspace.tables.values()}):
        if newest.get(table, here) != here:
            raise ArgumentError(
                f"table {table} is published in {newest[table]}, and this command looks into {here}: give the same "
                "--catalog-database and --curated-root as the daily jobs; nothing was deleted"
            )


def _refuse_beside_unfinished(workspace: Workspace) -> None:
    """Raise LockedError where a run has read the people already and is still to be published.

    So has, perhaps, one of another connector that has fed one of the tables before and has not told what it makes.
    """
    storage, name = workspace.storage, workspace.connector.name
    tables = {table.name for table in workspace.tables.values()}
    present = (present_table(workspace.catalog, table) for table in sorted(tables))
    feeders = {each for table in present if table is not None for each in table.parameters.get(FED_BY, "").split(",")}
    waiting = [known.run for known in all_runs(storage).values() if not known.is_over]
    for run in waiting:
        made = run.entry("transform")
        is_of_table = bool(tables & set(made["tables"])) if made is not None else run.connector in feeders
        if run.connector == name or is_of_table:
            raise LockedError(
                f"run {run.run_id} of {run.connector} is not finished, and would bring back whom it has read already. "
                "Finish it first, with the same people as its --suppression-list; nothing was deleted"
            )


if __name__ == "__main__":
    run_script(Args, main)
