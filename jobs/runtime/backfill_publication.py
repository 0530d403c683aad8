"""Publishing what all units of a backfill have made together, once, and noting in the ledger what readers have seen."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping

from jobs.runtime.backfill_ledger import Backfill
from jobs.runtime.errors import CatalogConflictError, VerificationError
from jobs.runtime.ledger import Run
from jobs.runtime.lock import Lock
from jobs.runtime.progress import tell
from jobs.runtime.publication import check_base, check_shrink, previous_key_id, seen_table, shows, switch
from jobs.runtime.published_table import PublishedTable
from jobs.runtime.workspace import Workspace


def made_tables(workspace: Workspace, backfill: Backfill) -> dict[str, PublishedTable]:
    """Return the tables that units have made anew in the backfill's own catalog, as they have left them so far."""
    names = {table.name for table in workspace.tables.values()}
    made = {name: backfill.catalog.get(name) for name in sorted(names)}
    bases = backfill.bases
    return {name: table for name, table in made.items() if table is not None and table.run_id != bases.get(name)}


def switch_tables(
    workspace: Workspace, backfill: Backfill, suppression: str, lock: Lock, *, allow_shrink: bool
) -> dict[str, PublishedTable]:
    """Switch all tables to what the units have made, unless that was done before; return them as they were shown.

    ``suppression`` is the fingerprint of the lists of people as they are now. Raises CatalogConflictError where a
    table is not as it was when the backfill was begun, VerificationError where it would shrink or show listed people.
    """
    done = backfill.switched
    if done is not None:
        return done
    tables = {table.name: table for table in workspace.tables.values()}
    bases, new = backfill.bases, made_tables(workspace, backfill)
    present = {name: seen_table(workspace.catalog, name) for name in new}
    waiting = {name: table for name, table in new.items() if not shows(present[name], table.run_id)}
    advice = (
        f"Somebody else has published it since backfill {backfill.name} was begun, and these rows would be lost. Give "
        f"it up (--give-up {backfill.name}) and plan again under another name"
    )
    for name, table in waiting.items():  # all or none, as far as can be told before
        check_base(present[name], name, table.run_id, bases.get(name, ""), advice=advice)
        check_shrink(tables[name], table.run_id, present[name], table.rows, allow_shrink=allow_shrink)
        _check_lists(workspace, backfill, table, suppression)
    shown = {name: table for name, table in present.items() if table is not None and name not in waiting}
    for name, table in waiting.items():
        lock.check()
        make = functools.partial(as_published, table, backfill=backfill.name)
        base = bases.get(name, "")
        shown[name] = switch(workspace.catalog, name, table.run_id, make, base=base, before=present[name])
    for name, table in new.items():
        tell(f"published table {name} with {table.rows:,} rows in {workspace.catalog.describe()}")
    backfill.note_switched(shown)
    return shown


def _check_lists(workspace: Workspace, backfill: Backfill, table: PublishedTable, suppression: str) -> None:
    """Refuse a table whose last unit, which strikes listed people from all of it, has not seen the present lists."""
    run = Run(workspace.storage, workspace.connector.name, table.run_id)
    if run.finished("transform").get("suppression", "") != suppression:
        raise VerificationError(
            f"table {table.name}: the suppression lists are not those that its last unit was loaded with, and people "
            "who are on them by now would be published; nothing was published. Run again with those lists, or give it "
            f"up (--give-up {backfill.name}) and plan again under another name"
        )


def as_published(made: PublishedTable, before: PublishedTable | None, *, backfill: str) -> PublishedTable:
    """Return a table as readers are to see it: what comes before it is what they have seen before."""
    earlier = before.parameters if before is not None else {}
    parameters = {
        **made.parameters,
        "backfill": backfill,
        "previous_run": earlier.get("run_id", ""),
        "previous_location": before.location if before is not None else "",
        "previous_hash_key_id": previous_key_id(earlier, made.parameters.get("hash_key_id", "")),
    }
    return dataclasses.replace(made, parameters=parameters, version="")


def shown_tables(workspace: Workspace, backfill: Backfill) -> dict[str, PublishedTable]:
    """Return the tables that readers have seen as all units have made them, also where only some were switched."""
    done = backfill.switched
    if done is not None:
        return done
    made = made_tables(workspace, backfill)
    present = {name: seen_table(workspace.catalog, name) for name in made}
    return {name: table for name, table in present.items() if table is not None and shows(table, made[name].run_id)}


def note_what_was_shown(workspace: Workspace, run: Run, shown: Mapping[str, PublishedTable]) -> None:
    """Let the run's entry tell of the tables that readers saw by it alone: what was in between was never shown."""
    entry = run.finished("publish")
    tables = {name: dataclasses.asdict(table) for name, table in shown.items() if table.run_id == run.run_id}
    catalog = workspace.catalog.describe()
    if entry["tables"].keys() != tables.keys() or entry["catalog"] != catalog:
        run.amend("publish", {**entry, "tables": tables, "catalog": catalog, "at": workspace.storage.now()})


def check_not_claimed(workspace: Workspace, name: str, runs: Iterable[Run]) -> None:
    """Raise CatalogConflictError where a table is being switched to one of the ``runs`` of the backfill ``name``.

    Nobody else could ever finish that, and readers see partitions of two runs until it is.
    """
    ids = {run.run_id for run in runs}
    for table in sorted({table.name for table in workspace.tables.values()}):
        present = workspace.catalog.get(table)
        if present is not None and present.claimed_by in ids:
            raise CatalogConflictError(
                f"table {table} is in the middle of being switched to run {present.claimed_by}. Go on with --run "
                f"{name} until that is done; it can be given up then"
            )
