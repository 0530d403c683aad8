"""What there is of listed people among a connector's things: notes with counts and places, on which others act."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from jobs.runtime.errors import VerificationError
from jobs.runtime.hash_keys import key_frame
from jobs.runtime.ledger import KnownRun, all_runs
from jobs.runtime.objects import ObjectInfo
from jobs.runtime.people_search import by_folder, folders_of_files, search_published, search_rejects
from jobs.runtime.publication import making_of, present_table
from jobs.runtime.published_table import PublishedTable
from jobs.runtime.ranged import open_ranged
from jobs.runtime.retention import folders_of
from jobs.runtime.schema_change import check_same_hashes, schema_changes
from jobs.runtime.storage import Storage
from jobs.runtime.suppression import Listed, PeopleList, listed_people
from jobs.runtime.workspace import Workspace
from schemas.feed import Feed
from schemas.table import Table
from transforms.frames.suppression import People
from transforms.rows import LINEAGE

#: Where tasks of Spark that died have left files: no reader looks there, this search included.
TEMPORARY: Final = "/_temporary/"


@dataclass(frozen=True)
class Target:
    """One table of the connector, and the people in its terms (None where the lists do not name any in them)."""

    feed: Feed
    table: Table
    present: PublishedTable | None
    keys: Mapping[str, bytes]
    listed: Listed | None

    def people(self, spark: SparkSession) -> People | None:
        """Return the listed people, to be looked for among delivered rows."""
        if self.listed is None:
            return None
        return People(self.listed.values, self.listed.columns, self.feed, self.table, key_frame(spark, self.keys))


def target_of(
    spark: SparkSession, workspace: Workspace, feed: Feed, lists: Sequence[PeopleList], keys: Mapping[str, bytes]
) -> Target:
    """Read the lists in the terms of the feed's table.

    Raises VerificationError where the table was made with another hash key or other rules: nobody would be found.
    """
    table = workspace.tables[feed.name]
    present = present_table(workspace.catalog, table.name)
    if table.extra is not None and present is not None:
        own = {column.name for column in table.data_columns + table.partition_columns}
        extras = tuple(each.name for each in present.columns if each.name not in own and each.name not in LINEAGE)
        table, feed = table.with_extra_columns(extras), feed.with_extra_fields(extras)
    own_keys = {name: key for name, key in keys.items() if name in table.key_names}
    schema_changes(present, table)
    try:
        check_same_hashes(present, table, making_of(table, own_keys))
    except VerificationError as error:
        raise VerificationError(
            f"people cannot be found in table {table.name} with this hash key and these definitions, so nothing "
            f"was deleted; give those that the table was made with ({error})"
        ) from None
    return Target(feed, table, present, own_keys, listed_people(spark, lists, feed, table, own_keys))


def search_table(spark: SparkSession, storage: Storage, target: Target, forget_id: str) -> dict[str, Any]:
    """Search all files of a table, those of earlier runs and of dead attempts as well, but for those of ``forget_id``.

    The note has the rows in what the table shows and the folders that they are in, those of ``earlier`` runs by folder,
    the folders of runs that cannot be searched, and the delivered files (``sources``) where the rows tell them.
    """
    name = target.table.name
    note: dict[str, Any] = {
        "base_run": target.present.run_id if target.present is not None else "",
        "searched_by": [],
        "people": 0,
        "unusable": 0,
        "rows": 0,
        "folders": [],
        "earlier": {},
        "unsearchable": [],
        "sources": [],
    }
    if target.listed is None:
        return note
    found = search_published(spark, storage, f"curated/{name}/", target.table, target.listed)
    own = f"curated/{name}/run={forget_id}/"
    counts = {key: rows for key, rows in by_folder(found.rows).items() if not f"{key}/".startswith(own)}
    shown = folders_of(storage, target.present) if target.present is not None else set()
    unsearchable = _unsearchable(storage, target, target.listed) - shown
    return note | {
        "searched_by": [column.name for column in target.listed.columns],
        "people": target.listed.people,
        "unusable": target.listed.unusable,
        "rows": sum(rows for key, rows in counts.items() if key in shown),
        "folders": sorted(key for key in counts if key in shown),
        "earlier": {key: rows for key, rows in sorted(counts.items()) if key not in shown},
        "unsearchable": sorted(unsearchable - counts.keys()),
        "sources": sorted(found.sources),
    }


def _unsearchable(storage: Storage, target: Target, listed: Listed) -> set[str]:
    """Return the folders in which nobody can be found.

    They are of runs that were made with another key or other rules, of those that are over and died before they told
    which, and of tasks that died in a run that is over.
    """
    now = making_of(target.table, target.keys)
    compared = [column.name for column in listed.columns]
    runs = all_runs(storage)
    other = {run_id for run_id, known in runs.items() if _is_made_otherwise(known, target.table.name, now, compared)}
    over = {run_id for run_id, known in runs.items() if known.is_over}
    prefix = f"curated/{target.table.name}/"
    unsearchable = set()
    for folder in folders_of_files(storage, prefix):
        run_id = folder.removeprefix(f"{prefix}run=").partition("/")[0]
        if run_id in other or (run_id in over and TEMPORARY in f"{folder}/"):
            unsearchable.add(folder)
    return unsearchable


def _is_made_otherwise(known: KnownRun, table: str, now: Mapping[str, str], compared: Sequence[str]) -> bool:
    making = _making(known, table)
    return known.is_over if making is None else _differs(making, now, compared)


def _making(known: KnownRun, table: str) -> Mapping[str, str] | None:
    """Return how a run has made the table's values; None where it did not, or died before it told."""
    state = state_of(known, table)
    if state is not None:
        return state.parameters
    entry = (known.run.entry("transform") or {"tables": {}})["tables"].get(table)
    making: Mapping[str, str] | None = entry["making"] if entry is not None else None
    return making


def state_of(known: KnownRun, table: str) -> PublishedTable | None:
    """Return the table as a run has published it; None where it did not."""
    entry = (known.run.entry("publish") or {"tables": {}})["tables"]
    return PublishedTable.from_document(entry[table]) if table in entry else None


def _differs(before: Mapping[str, str], now: Mapping[str, str], columns: Sequence[str]) -> bool:
    """Tell whether a value of one of the ``columns`` had become another text."""
    if before.get("hash_key_id", "") != now["hash_key_id"]:
        return True
    for name in ("hashes", "profiles"):
        was, is_now = (dict(each.partition("=")[::2] for each in of.get(name, "").split(",")) for of in (before, now))
        if any(column in was.keys() | is_now.keys() and was.get(column) != is_now.get(column) for column in columns):
            return True
    return False


def search_kept_rejects(
    spark: SparkSession, storage: Storage, connector: str, targets: Mapping[str, Target]
) -> dict[str, Any]:
    """Search the values that rejects have kept, feed by feed (``targets``).

    The note has the rows of each file with its feed, the delivered files, folders of feeds that nobody knows, and the
    files that lack a field which people are found by (``partial``).
    """
    prefix = f"rejects/{connector}/"
    folders = [folder for folder in folders_of_files(storage, prefix) if TEMPORARY not in f"{folder}/"]
    files: dict[str, dict[str, Any]] = {}
    sources: set[str] = set()
    partial: list[str] = []
    for feed, target in targets.items():
        people = target.people(spark)
        theirs = [folder for folder in folders if _feed_of_rejects(folder) == feed]
        if people is None or not theirs:
            continue
        found = search_rejects(spark, storage, prefix, theirs, people)
        files |= {key: {"feed": feed, "rows": rows} for key, rows in found.rows.items()}
        sources |= found.sources
        partial += _without_fields(storage, prefix, theirs, people)
    known = {*targets, ""}
    unknown = [folder for folder in folders if _feed_of_rejects(folder) not in known]
    return {"files": files, "sources": sorted(sources), "unknown": unknown, "partial": sorted(partial)}


def _without_fields(storage: Storage, prefix: str, folders: Sequence[str], people: People) -> Iterator[str]:
    """Return the keys of files of rejects that lack a field of the columns by which ``people`` are found."""
    wanted = {column.field for column in people.columns if column.field in people.feed.fields}
    for item in storage.list(prefix):
        if item.key.endswith(".parquet") and item.key.rpartition("/")[0] in folders:
            with open_ranged(functools.partial(storage.chunks, item), item.size) as file:
                if wanted - set(pq.read_schema(file).names):
                    yield item.key


def _feed_of_rejects(folder: str) -> str:
    """Return the feed of ``rejects/<connector>/run=<id>/transform-<n>/<feed>``; nothing where no values are kept."""
    parts = folder.split("/")
    return parts[4] if parts[3:4] and parts[3].startswith("transform-") and parts[4:] else ""


def former_tables(storage: Storage, connector: str, targets: Mapping[str, Target]) -> list[str]:
    """Return the tables that runs of the connector have filled, and it does not any more, of which files are left."""
    now = {target.table.name for target in targets.values()}
    filled: set[str] = set()
    for known in all_runs(storage).values():
        if known.run.connector == connector:
            for step in ("transform", "publish"):
                filled |= (known.run.entry(step) or {"tables": {}})["tables"].keys()
    return sorted(name for name in filled - now if any(True for _ in storage.list(f"curated/{name}/")))


def count_leftovers(
    storage: Storage,
    connector: str,
    targets: Mapping[str, Target],
    notes: Mapping[str, Mapping[str, Any]],
    rejects: Mapping[str, Any],
) -> dict[str, Any]:
    """Count what goes altogether and what stays where it is; name the originals in archive/ that held the people.

    ``notes`` are those of the tables by feed. Where rows of a table do not tell their file, all originals may have.
    """
    archive = f"archive/{connector}/"
    sources = {name for note in (*notes.values(), rejects) for name in note["sources"]}
    told = {piece for name in sources for piece in _objects_named(name)}
    silent = any(
        (note["rows"] or note["earlier"]) and "source_file" not in targets[feed].table.audit
        for feed, note in notes.items()
    )
    kept = [item.key.removeprefix(archive) for item in storage.list(archive)]
    named = [key for key in kept if silent or key.partition("/")[2] in told]
    return {
        "raw": _count(storage.list(f"raw/{connector}/")),
        "staged": _count(
            item for prefix in staged_folders(storage, connector, targets) for item in storage.list(prefix)
        ),
        "quarantine": _count(storage.list(f"quarantine/{connector}/")),
        "landing": _count(storage.list(f"landing/{connector}/")),
        "archive": {"objects": named, "others": len(kept) - len(named), "by_source_file": not silent},
    }


def staged_folders(storage: Storage, connector: str, targets: Mapping[str, Target]) -> list[str]:
    """Return the prefixes of staged rows that no run needs: those of this connector, and of runs that are over."""
    prefixes = []
    runs = all_runs(storage)
    for target in targets.values():
        prefix = f"staged/{target.table.name}/run="
        for run_id in {item.key.removeprefix(prefix).partition("/")[0] for item in storage.list(prefix)}:
            known = runs.get(run_id)
            if known is None or known.is_over or known.run.connector == connector:
                prefixes.append(f"{prefix}{run_id}/")
    return sorted(prefixes)


def _objects_named(source_file: str) -> list[str]:
    """Return the names of objects that a row's ``source_file`` may mean: itself, or the archive that it was in."""
    pieces = source_file.split("!")
    return ["!".join(pieces[:number]) for number in range(1, len(pieces) + 1)]


def _count(items: Iterable[ObjectInfo]) -> dict[str, int]:
    sizes = [item.size for item in items]
    return {"objects": len(sizes), "bytes": sum(sizes)}
