"""What a rebuild would lose, or bring back: its tables are replaced by what its units make, and by nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jobs.runtime.backfill_units import Found, Unit
from jobs.runtime.errors import ArgumentError, NothingToDoError
from jobs.runtime.ledger import Run, archived_runs, rollbacks_of
from jobs.runtime.publication import FED_BY
from jobs.runtime.published_table import PublishedTable
from jobs.runtime.workspace import Workspace
from schemas.backfill_plan import BackfillPlan


def other_feeders(connector: str, tables: Iterable[PublishedTable | None]) -> dict[str, list[str]]:
    """Return which connectors other than ``connector`` have fed the tables, by their names."""
    there = [table for table in tables if table is not None]
    fed = {table.name: table.parameters.get(FED_BY, table.parameters.get("connector", "")) for table in there}
    others = {name: sorted(set(names.split(",")) - {connector, ""}) for name, names in sorted(fed.items())}
    return {name: names for name, names in others.items() if names}


def check_sole_source(connector: str, tables: Iterable[PublishedTable | None]) -> None:
    """Raise NothingToDoError where a table has rows of another connector too: a rebuild would lose them."""
    others = other_feeders(connector, tables)
    if others:
        described = ", ".join(f"{name} by {' and '.join(names)}" for name, names in others.items())
        raise NothingToDoError(
            f"other connectors feed these tables too ({described}), and a rebuild from what {connector} has delivered "
            "would lose their rows. Load a new full export with the new key or profile instead, or rebuild into a "
            "table of another name (--table). A rebuild that was begun is ended with --give-up"
        )


def check_whole(plan: BackfillPlan, units: Iterable[Unit], everything: Found) -> None:
    """Raise ArgumentError where a rebuild would lack something of what was ever loaded, unless the plan allows that.

    ``everything`` is what there is in the archive, without any selection.
    """
    if plan.mode != "rebuild" or plan.allow_partial:
        return
    chosen = {unit.kept_in + entry.name for unit in units for entry in unit.data}
    there = [unit.kept_in + entry.name for unit in everything.units for entry in unit.data]
    left = [name for name in there if name not in chosen]
    lost = []
    if left:
        lost.append(
            f"{len(left):,} of {len(there):,} originals in the archive are not in the plan, {left[0]} the first"
        )
    if everything.gone:
        lost.append(f"{everything.gone:,} originals are not in the archive any more")
    if lost:
        raise ArgumentError(
            f"plan {plan.name} would replace the tables without all that was loaded: {'; '.join(lost)}. Plan all of it "
            "(no --since, --until, --pattern, --exclude; no unit taken out), or load into the tables as they stand "
            "(--mode load). If the rest shall be lost: --allow-partial, or allow_partial = true in the plan"
        )


def rebuild_remarks(workspace: Workspace, units: Sequence[Unit], present: Iterable[PublishedTable | None]) -> list[str]:
    """Return what somebody should know who reviews a rebuild: what comes back, and which tables stay as they are."""
    storage, connector = workspace.storage, workspace.connector.name
    planned = {unit.name for unit in units}
    rollbacks = rollbacks_of(storage, connector)
    published = {run.run_id: run.finished("publish") for run in archived_runs(storage, connector)} if rollbacks else {}
    remarks = []
    for name, runs in rolled_back(published, rollbacks).items():
        back = [run for run in runs if run in planned]
        if back:
            remarks.append(
                f"Table {name} was rolled back from {len(back):,} of these runs ({', '.join(back[:3])}"
                f"{', …' if len(back) > len(back[:3]) else ''}): what they had loaded comes back. Where that must not "
                "be, take their units out and write allow_partial = true."
            )
    names = {table.name for table in present if table is not None}
    idle = sorted(names - _fed_tables(workspace, planned))
    return remarks + [f"Table {name} stays as it is: no unit has data for it." for name in idle]


def rolled_back(
    published: Mapping[str, Mapping[str, Any]], rollbacks: Mapping[str, Sequence[float]]
) -> dict[str, list[str]]:
    """Return for each table the runs that it does not stand upon, for it was rolled back from them.

    ``published`` are the runs' entries of their publication, ``rollbacks`` when rollbacks to runs were begun. The
    ledger does not tell which table of a run was rolled back, so all that it had published are taken to have been.
    """
    events = [(entry["at"], run, False) for run, entry in published.items()]
    events += [(at, run, True) for run, times in rollbacks.items() for at in times if run in published]
    stands: dict[str, dict[str, frozenset[str]]] = {}
    shown: dict[str, str] = {}
    for _, run, is_rollback in sorted(events):
        for name in published[run]["tables"]:
            upon = stands.setdefault(name, {})
            if not is_rollback:
                upon[run] = upon.get(shown.get(name, ""), frozenset()) | {run}
            shown[name] = run
    lost = {name: [run for run in upon if run not in upon[shown[name]]] for name, upon in stands.items()}
    return {name: runs for name, runs in lost.items() if runs}


def _fed_tables(workspace: Workspace, runs: Iterable[str]) -> set[str]:
    """Return the tables that the originals of the runs have rows for."""
    known = (Run(workspace.storage, workspace.connector.name, run).finished("decrypt")["files"] for run in runs)
    return {workspace.tables[each["feed"]].name for files in known for each in files if not each["reason"]}
