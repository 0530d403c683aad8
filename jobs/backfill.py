"""Load months of deliveries, or archived ones once more, unit by unit, by a plan that somebody has reviewed.

    spark-submit jobs/backfill.py --connector sfmc_tracking --root file:///data/acme --plan 2025 \
        --unit month --since 2025-01-01 --reason "first load of 2025"
    spark-submit jobs/backfill.py --connector sfmc_tracking --root file:///data/acme --run 2025 \
        --hash-key file:/secure/hash.key --envelope-key file:/secure/rsa.pem

--plan writes state/<connector>/backfill=<name>/plan.toml and loads nothing. --run takes its units through the very
steps of the daily jobs, and goes on where it stopped, however that was; with --dry-run it says what it would do. After
a change of profiles or of the hash key, --plan with --source archive makes a plan that builds the tables anew from the
originals and publishes them once, at the end. While a backfill is not finished the daily jobs of its connector refuse
to start; what lands stays in landing/. Without --plan and --run this is jobs/pipeline.py: all of landing/ as one unit.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":  # spark-submit puts this folder first on the path; our packages are one level up
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import dataclasses
import re
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from jobs import archive, decrypt, pipeline, transform
from jobs.runtime.args import option
from jobs.runtime.backfill_ledger import Backfill
from jobs.runtime.backfill_planning import dpu_hours, hash_key_ids, headline, shared_remarks, tell_plan
from jobs.runtime.backfill_publication import (
    check_not_claimed,
    made_tables,
    note_what_was_shown,
    shown_tables,
    switch_tables,
)
from jobs.runtime.backfill_rebuild import check_sole_source, check_whole, rebuild_remarks
from jobs.runtime.backfill_runs import UnitRuns, abandon
from jobs.runtime.backfill_summary import counts_of, message_of, span, tell_summary
from jobs.runtime.backfill_units import Found, Selection, runs_with_originals, units_in_archive, units_in_landing
from jobs.runtime.errors import (
    ArgumentError,
    BadFilesError,
    EmptyDeliveryError,
    NothingToDoError,
    PipelineError,
    PlanOutdatedError,
    TooManyRejectsError,
)
from jobs.runtime.hash_keys import key_id
from jobs.runtime.ledger import Run, refuse_during_backfill, unfinished_run
from jobs.runtime.lock import Lock, hold_lock
from jobs.runtime.notify import check_topic, send
from jobs.runtime.progress import tell
from jobs.runtime.publication import check_base, making_of, present_table, shows
from jobs.runtime.published_table import PublishedTable
from jobs.runtime.retention import folders_of
from jobs.runtime.script import run_script
from jobs.runtime.session import open_session
from jobs.runtime.suppression import PeopleList, fingerprint_of
from jobs.runtime.workspace import Workspace
from schemas.backfill_plan import MODES, ON_BAD_UNIT, PUBLICATIONS, SOURCES, UNITS, BackfillPlan, PlannedUnit
from schemas.table import Table

_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
#: What is the fault of a unit alone, whoever runs it and whenever: its files, its rows, or that they are gone.
_BAD_UNIT: Final = (BadFilesError, EmptyDeliveryError, PlanOutdatedError, TooManyRejectsError)

_OF_A_PLAN: Final = (
    "reason", "source", "mode", "publish", "unit", "since", "until", "pattern", "exclude", "parallel", "on_bad_unit",
    "allow_partial",
)  # fmt: skip


@dataclass(frozen=True)
class Args(pipeline.Args):
    """The arguments of this job: those of the pipeline, and what is planned or run."""

    plan: str | None = option("make a plan of this name, and load nothing", default=None)
    run: str | None = option("run the plan of this name, or go on with it", default=None)
    give_up: str | None = option("never go on with the begun backfill of this name", default=None)
    dry_run: bool = option("with --run: only say what would be loaded, and what it may cost", default=False)
    reason: str = option("of a new plan: why, for whoever reads the ledger", default="")
    source: str = option("of a new plan: what is loaded", choices=SOURCES, default="landing")
    mode: str | None = option("of a new plan: instead of load, or of rebuild from archive", choices=MODES, default=None)
    publish: str | None = option("of a new plan: when readers see it", choices=PUBLICATIONS, default=None)
    unit: str | None = option("of a new plan: what landing is divided by", choices=UNITS, default=None)
    since: str | None = option("of a new plan: first day (2025-01-31), as names tell it, else of arrival", default=None)
    until: str | None = option("of a new plan: last day", default=None)
    pattern: str = option("of a new plan: paths below landing, such as tracking/2025*", default="*")
    exclude: str | None = option("of a new plan: patterns to leave out, with commas between", default=None)
    parallel: int = option("of a new plan: units that are decrypted at the same time", default=2)
    on_bad_unit: str = option("of a new plan: where a unit cannot be used", choices=ON_BAD_UNIT, default="stop")
    allow_partial: bool = option("of a new plan: a rebuild may lack some of what was ever loaded", default=False)


def make_plan(workspace: Workspace, args: Args, name: str) -> None:
    """Write a plan for what is there now, and show it."""
    selection = _selection(args)
    mode = args.mode or ("rebuild" if args.source == "archive" else "load")
    archived = [run.run_id for run in runs_with_originals(workspace)]  # before units: what comes now is newer
    found = _find_units(workspace, args, selection, mode)
    if not found.units:
        raise NothingToDoError(f"there is nothing to load in {args.source}/; no plan was made")
    present = [present_table(workspace.catalog, table.name) for table in _tables(workspace)]
    plan = BackfillPlan(
        name=name,
        connector=workspace.connector.name,
        source=args.source,
        mode=mode,
        publish=args.publish or ("at_end" if mode == "rebuild" else "each_unit"),
        reason=args.reason,
        parallel=args.parallel,
        on_bad_unit=args.on_bad_unit,
        units=tuple(PlannedUnit(unit.name, len(unit.data), unit.size) for unit in found.units),
        hash_key_id=hash_key_ids(present),
        allow_partial=args.allow_partial,
    )
    problems = [f"{key}: {problem}" for key, problem in plan.problems()]
    if problems:
        raise ArgumentError("; ".join(problems))
    remarks = [*found.remarks, *shared_remarks(plan, present)]
    if mode == "rebuild":
        check_sole_source(plan.connector, present)
        check_whole(plan, found.units, _everything(workspace))
        remarks += rebuild_remarks(workspace, found.units, present)
    backfill = Backfill(workspace.storage, plan.connector, name)
    backfill.save_plan(plan, found.units, (headline(plan, selection.words), *remarks), archived)
    tell_plan(plan, remarks)
    tell(f"  about {dpu_hours(plan.size):,.2f} DPU-hours")
    tell(f"the plan is {backfill.plan_uri}: look at it, then run it with --run {name}")


def _selection(args: Args) -> Selection:
    for flag, day in (("--since", args.since), ("--until", args.until)):
        if day is not None and not _DAY.fullmatch(day):
            raise ArgumentError(f"{flag}: {day!r} is no day such as 2025-01-31")
    exclude = tuple(part.strip() for part in (args.exclude or "").split(",") if part.strip())
    return Selection(args.since or "", args.until or "", args.pattern, exclude)


def _find_units(workspace: Workspace, args: Args, selection: Selection, mode: str) -> Found:
    if args.source == "archive":
        if args.unit is not None:
            raise ArgumentError("--unit: what is in the archive is divided by the runs that have loaded it")
        return units_in_archive(workspace, selection, rebuild=mode == "rebuild")
    verdict = decrypt.wait_for_delivery(workspace, args)
    replaces = all(feed.load == "full_refresh" for feed in workspace.connector.feeds)
    unit = args.unit or ("all" if replaces else "day")
    return units_in_landing(workspace, verdict.data, verdict.markers, selection, unit)


def _everything(workspace: Workspace) -> Found:
    """Return all that a rebuild can be made from."""
    return units_in_archive(workspace, Selection(), rebuild=True)


class BackfillRun:
    """A plan that is run. Without ``keys`` it can only be told what is left of it."""

    def __init__(
        self,
        workspace: Workspace,
        args: Args,
        name: str,
        keys: Mapping[str, bytes] | None = None,
        suppression: Sequence[PeopleList] = (),
    ) -> None:
        self._workspace, self._args = workspace, args
        self._keys, self._suppression = keys, suppression
        self._backfill = Backfill(workspace.storage, workspace.connector.name, name)
        self._plan = self._backfill.plan()
        self._units = self._backfill.units(self._plan)
        self._unit_runs = UnitRuns(workspace, self._backfill, self._units, allow_older=args.allow_older)
        self._at_end = self._plan.publish == "at_end"
        #: Where units are loaded: into the tables, or into a catalog of the backfill's own.
        self._loading = dataclasses.replace(workspace, catalog=self._backfill.catalog) if self._at_end else workspace

    def tell_what_is_left(self) -> None:
        """Say what is still to be loaded, and what that may cost, or why it could not begin; nothing is changed."""
        self._check()
        left = [unit for index, unit in enumerate(self._units) if not self._is_settled(index)]
        names = {unit.name for unit in left}
        tell_plan(self._plan, (), {unit.name: "done" for unit in self._units if unit.name not in names})
        size = sum(unit.size for unit in left)
        objects = sum(len(unit.data) for unit in left)
        tell(
            f"left: {len(left):,} units, {objects:,} objects, {size / 1e6:,.1f} MB, about {dpu_hours(size):,.2f} "
            "DPU-hours; half or twice that, as your data are"
        )
        given = _key_id(self._keys) if self._keys is not None else "not given"
        tell(f"hash keys: the tables had {self._plan.hash_key_id or 'none'} when it was planned, --hash-key is {given}")

    def run(self, lock: Lock) -> dict[str, Any]:
        """Load the units that are left, publish, archive; return the summary."""
        self._begin(lock)
        self._load_units(lock)
        if self._at_end:
            self._publish(lock)
        summary = self._summary()
        self._backfill.finish(summary)
        return summary

    # --- beginning

    def _check(self) -> dict[str, PublishedTable | None]:
        """See whether it may begin or go on, and change nothing; return the tables as they stand."""
        workspace, plan, backfill = self._workspace, self._plan, self._backfill
        refuse_during_backfill(workspace.storage, plan.connector, but=plan.name)
        present = {table.name: present_table(workspace.catalog, table.name) for table in _tables(workspace)}
        if plan.mode == "rebuild" and backfill.switched is None:
            check_sole_source(plan.connector, present.values())
        if backfill.is_begun:
            self._check_keys()
            return present
        self._check_nothing_came_between()
        if plan.mode == "rebuild":
            check_whole(plan, self._units, _everything(workspace))
        return present

    def _check_keys(self) -> None:
        """Refuse to go on with another key than it was begun with: one person would have two hashes."""
        if self._keys is None or _key_id(self._keys) == self._backfill.keys:
            return
        raise ArgumentError(
            f"--hash-key: backfill {self._plan.name} was begun with {self._backfill.keys or 'no key'}, and this one is "
            f"{_key_id(self._keys) or 'none'}. Go on with the same, or give it up (--give-up {self._plan.name}) and "
            "plan again under another name"
        )

    def _begin(self, lock: Lock) -> None:
        workspace, plan, backfill = self._workspace, self._plan, self._backfill
        tables = {table.name: table for table in _tables(workspace)}
        present = self._check()
        lock.check()
        bases = {name: table.run_id for name, table in present.items() if table is not None}
        lists = fingerprint_of(self._suppression)
        backfill.begin(plan, bases, _key_id(self._keys), lists)
        if backfill.suppression != lists:
            tell("the suppression lists are not those that the backfill was begun with; units that are left take these")
        for name, table in present.items():
            is_new = backfill.catalog.get(name) is None
            if self._at_end and plan.mode == "load" and table is not None and is_new:
                check_base(table, name, f"{plan.name} (a backfill)", backfill.bases.get(name, ""))
                backfill.catalog.put(table, "")
            if plan.mode == "rebuild" and table is not None:
                self._tell_making(tables[name], table)

    def _check_nothing_came_between(self) -> None:
        connector, storage = self._plan.connector, self._workspace.storage
        waiting = unfinished_run(storage, connector)
        if waiting is not None:
            raise NothingToDoError(
                f"run {waiting.run_id} of {connector} is not finished; finish it first (jobs/pipeline.py)"
            )
        planned = self._backfill.archived
        newer = [run.run_id for run in runs_with_originals(self._workspace) if run.run_id not in planned]
        if newer and self._plan.mode == "rebuild":
            raise PlanOutdatedError(
                f"{len(newer):,} runs were archived since plan {self._plan.name} was made, {newer[0]} the first; the "
                "new tables would lack their rows. Make the plan again"
            )

    def _tell_making(self, table: Table, present: PublishedTable) -> None:
        """Say what of a table will be made otherwise than before: with another key, or by other profiles."""
        making = making_of(table, {name: (self._keys or {})[name] for name in table.key_names})
        for what in ("hash_key_id", "hashes", "profiles"):
            before = present.parameters.get(what, "")
            if before != making[what]:
                tell(f"table {table.name}: {what} was {before or 'none'}, becomes {making[what] or 'none'}")

    # --- the units

    def _load_units(self, lock: Lock) -> None:
        """Load unit after unit in their order, for each is merged with what those before have left; decrypt ahead."""
        left = [index for index in range(len(self._units)) if not self._is_settled(index)]
        upcoming = deque(left)
        ahead: deque[Future[Run]] = deque()
        began, done = time.monotonic(), 0
        total = sum(self._units[index].size for index in left)
        if left:
            open_session("cleanroom-etl backfill")  # before threads ask for one
        with ThreadPoolExecutor(self._plan.parallel) as pool:
            try:
                for number, index in enumerate(left, 1):
                    while upcoming and len(ahead) < self._plan.parallel:
                        ahead.append(self._start(pool, upcoming.popleft()))
                    unit = self._units[index]
                    tell(f"unit {unit.name} ({index + 1} of {len(self._units)})")
                    self._finish_unit(index, ahead.popleft(), lock)
                    done += unit.size
                    seconds = time.monotonic() - began
                    rest = seconds / done * (total - done) if done else 0.0
                    tell(
                        f"{number} of {len(left)} units done after {span(seconds)}, "
                        f"{(total - done) / 1e6:,.1f} MB left: about {span(rest)}"
                    )
            finally:
                for future in ahead:
                    future.cancel()

    def _finish_unit(self, index: int, decrypted: Future[Run], lock: Lock) -> None:
        """Bring a unit to its end, or leave it out where it cannot be used and the plan allows that."""
        unit = self._units[index]
        try:
            self._load(decrypted.result(), lock)
        except PipelineError as error:
            if self._plan.on_bad_unit != "skip" or not isinstance(error, _BAD_UNIT):
                raise type(error)(f"unit {unit.name}: {error}") from None
            self._skip(index, error, lock)

    def _load(self, run: Run, lock: Lock) -> None:
        before = made_tables(self._workspace, self._backfill) if self._at_end else {}
        transform.transform(self._loading, run, self._keys or {}, self._suppression)
        transform.publish(self._loading, run, lock, allow_shrink=self._args.allow_shrink)
        if self._at_end:
            self._workspace.storage.delete_prefix(self._workspace.raw(run.run_id))
            self._drop_replaced(before)
        else:
            archive.archive_run(self._workspace, run)

    def _drop_replaced(self, before: Mapping[str, PublishedTable]) -> None:
        """Delete what earlier units have written and this one has written anew: nobody has ever seen it."""
        storage = self._workspace.storage
        for name, table in made_tables(self._workspace, self._backfill).items():
            if name not in before:
                continue
            needed = folders_of(storage, table)
            shown = self._workspace.catalog.get(name)
            needed |= folders_of(storage, shown) if shown is not None else set()
            for folder in folders_of(storage, before[name]) - needed:
                if not any(each.startswith(f"{folder}/") for each in needed):
                    storage.delete_prefix(f"{folder}/")

    def _skip(self, index: int, error: PipelineError, lock: Lock) -> None:
        """Go on without a unit: its objects stay where they are. Its run is over before that is noted."""
        lock.check()
        run = self._backfill.run_of(index)
        if run is not None and run.is_started:
            abandon(self._workspace, run, "left out of a backfill")
        self._backfill.skip(index, f"{type(error).__name__}: {error}")
        tell(f"left out unit {self._units[index].name}: {error}")

    def _is_settled(self, index: int) -> bool:
        """Tell whether nothing is left to be loaded of the unit."""
        if self._backfill.skipped(index):
            return True
        run = self._backfill.run_of(index)
        return run is not None and run.entry("publish" if self._at_end else "archive") is not None

    def _start(self, pool: ThreadPoolExecutor, index: int) -> Future[Run]:
        """Begin to decrypt a unit; what keeps it from that is told when it is its turn."""
        try:
            run = self._unit_runs.run_of(index)
        except PipelineError as error:
            failed: Future[Run] = Future()
            failed.set_exception(error)
            return failed
        return pool.submit(self._decrypt, run)

    def _decrypt(self, run: Run) -> Run:
        decrypt.decrypt_run(self._workspace, run, self._args)
        return run

    # --- the end

    def _publish(self, lock: Lock) -> None:
        """Show what all units together have made, note in the ledger what was shown, and archive all of it."""
        lists = fingerprint_of(self._suppression)
        shown = switch_tables(self._workspace, self._backfill, lists, lock, allow_shrink=self._args.allow_shrink)
        for run in self._loaded():
            note_what_was_shown(self._workspace, run, shown)
        for run in self._loaded():
            if run.entry("archive") is None:
                archive.archive_run(self._workspace, run)

    def _loaded(self) -> Iterator[Run]:
        """Yield the runs of all units that were not left out."""
        for index in range(len(self._units)):
            run = self._backfill.run_of(index)
            if run is not None and not self._backfill.skipped(index):
                yield run

    def _summary(self) -> dict[str, Any]:
        """Return what became of each unit, in counts."""
        units = []
        for index, unit in enumerate(self._units):
            skipped = self._backfill.skipped(index)
            run = self._backfill.run_of(index)
            known = {"name": unit.name, "objects": len(unit.data), "bytes": unit.size}
            if skipped or run is None:
                units.append({**known, "state": "skipped", "reason": skipped})
                continue
            units.append({**known, "state": "loaded", "run_id": run.run_id, **counts_of(run)})
        return {
            "backfill": self._plan.name,
            "connector": self._plan.connector,
            "reason": self._plan.reason,
            "source": self._plan.source,
            "mode": self._plan.mode,
            "published": self._plan.publish,
            "at": self._workspace.storage.now(),
            "units": units,
        }


def _tables(workspace: Workspace) -> list[Table]:
    return list({table.name: table for table in workspace.tables.values()}.values())


def _key_id(keys: Mapping[str, bytes] | None) -> str:
    return key_id(dict(sorted((keys or {}).items())))


def run_plan(workspace: Workspace, args: Args, name: str) -> None:
    """Run a plan, or go on with it, and tell how it went."""
    keys = transform.read_keys(args, workspace.tables.values())
    lists = transform.read_lists(args, workspace)
    if Backfill(workspace.storage, workspace.connector.name, name).is_over:
        tell(f"nothing to do: backfill {name} is over; plan another one under another name")
        return
    with hold_lock(workspace.storage, workspace.connector.name) as lock:
        summary = BackfillRun(workspace, args, name, keys, lists).run(lock)
    tell_summary(summary)
    send(args.topic, f"cleanroom-etl: backfill {name} of {workspace.connector.name} done", message_of(summary))


def give_up(workspace: Workspace, name: str) -> None:
    """Never go on with a backfill: what readers see of it is archived, other runs of it that are not finished are over.

    Its plan may be gone or changed by now. Raises CatalogConflictError while a table is in the middle of its switch.
    """
    backfill = Backfill(workspace.storage, workspace.connector.name, name)
    if not backfill.is_begun or backfill.is_over:
        raise NothingToDoError(f"backfill {name} of {workspace.connector.name} is not going on")
    with hold_lock(workspace.storage, workspace.connector.name) as lock:
        runs = [run for run in backfill.runs if run.is_started]
        check_not_claimed(workspace, name, runs)
        at_end = backfill.begun_plan.publish == "at_end"
        shown = shown_tables(workspace, backfill) if at_end else {}
        for run in runs:
            if run.entry("archive") is not None:
                continue
            is_shown = _is_shown_at_end(run, shown) if at_end else _is_shown(workspace, run, lock)
            if at_end and run.entry("publish") is not None:
                note_what_was_shown(workspace, run, shown)
            if is_shown:
                archive.archive_run(workspace, run)
            else:
                abandon(workspace, run, "its backfill was given up")
        if shown:
            _tell_what_was_not_shown(workspace, backfill, shown)
        lock.check()
        backfill.give_up()
    tell(f"backfill {name} was given up; what it has published stays, and what it has not loaded is where it was")


def _is_shown(workspace: Workspace, run: Run, lock: Lock) -> bool:
    """Tell whether readers see the run; where it died before it had noted that, or among its tables, it is finished."""
    if run.entry("publish") is None:
        if not any(shows(workspace.catalog.get(table.name), run.run_id) for table in _tables(workspace)):
            return False
        transform.publish(workspace, run, lock, allow_shrink=True)
    return True


def _is_shown_at_end(run: Run, shown: Mapping[str, PublishedTable]) -> bool:
    """Tell whether rows of the run are in tables that were ``shown``."""
    return run.entry("publish") is not None and not shown.keys().isdisjoint(run.finished("transform")["tables"])


def _tell_what_was_not_shown(workspace: Workspace, backfill: Backfill, shown: Mapping[str, PublishedTable]) -> None:
    for name in made_tables(workspace, backfill).keys() - shown.keys():
        tell(f"table {name} does not show it: plan its rows from the originals (--source archive --mode load)")


def main(args: Args) -> None:
    """Run this job by itself."""
    _check_options(args)
    if args.plan is None and args.run is None and args.give_up is None:
        pipeline.main(args)
        return
    check_topic(args.topic)
    workspace = transform.workspace_of(args)
    if args.plan is not None:
        make_plan(workspace, args, args.plan)
    elif args.give_up is not None:
        give_up(workspace, args.give_up)
    elif args.run is not None and args.dry_run:
        keys = transform.read_keys(args, workspace.tables.values()) if args.hash_key is not None else None
        BackfillRun(workspace, args, args.run, keys).tell_what_is_left()
    elif args.run is not None:
        try:
            run_plan(workspace, args, args.run)
        except Exception as error:
            # The class alone: texts name files as their source has called them, and belong into the log.
            subject = f"cleanroom-etl: backfill {args.run} of {workspace.connector.name} stopped"
            send(args.topic, subject, {"error": type(error).__name__})
            raise


def _check_options(args: Args) -> None:
    """Raise ArgumentError for options that would be passed over: who gives them means something else."""
    asked = {"--plan": args.plan, "--run": args.run, "--give-up": args.give_up}
    given = [flag for flag, name in asked.items() if name is not None]
    if len(given) > 1:
        raise ArgumentError(f"{' and '.join(given)}: give one of them")
    if args.dry_run and args.run is None:
        raise ArgumentError("--dry-run: give it with --run, and the name of a plan")
    standard = {field.name: field.default for field in dataclasses.fields(args)}
    idle = [f"--{name.replace('_', '-')}" for name in _OF_A_PLAN if getattr(args, name) != standard[name]]
    if idle and args.plan is None:
        raise ArgumentError(f"{', '.join(idle)}: only of a new plan; give it with --plan, or change the plan's file")


if __name__ == "__main__":
    run_script(Args, main)
