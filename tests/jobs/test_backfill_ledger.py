"""What backfills refuse, note and leave: on runs that are written into the ledger step by step, so without Spark."""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from jobs import archive, backfill, decrypt, rollback, transform
from jobs.backfill import BackfillRun
from jobs.runtime.args import parse_args
from jobs.runtime.backfill_ledger import Backfill
from jobs.runtime.backfill_publication import as_published
from jobs.runtime.backfill_rebuild import rebuild_remarks, rolled_back
from jobs.runtime.backfill_runs import UnitRuns
from jobs.runtime.backfill_summary import tell_summary
from jobs.runtime.backfill_units import Selection, units_in_landing
from jobs.runtime.decode import Decoded, FileOutcome
from jobs.runtime.errors import (
    ArgumentError,
    BadFilesError,
    CatalogConflictError,
    EmptyDeliveryError,
    LockedError,
    NothingToDoError,
    PipelineError,
    PlanOutdatedError,
    TooManyRejectsError,
    UnreadableDeliveryError,
    VerificationError,
)
from jobs.runtime.ledger import Run, start_run
from jobs.runtime.lock import hold_lock
from jobs.runtime.manifest import DATA, Entry, Manifest
from jobs.runtime.publication import STANDS_UPON, published_table
from jobs.runtime.published_table import PublishedTable
from jobs.runtime.workspace import Workspace
from schemas.problems import SchemaError
from tests.jobs.own_source import Source
from tests.jobs.test_backfill import arguments, files_below, folder, full_refresh, plan, plan_of, run
from tests.jobs.test_load_modes import DELETES, profiles

NAMES = ("20240101_1.csv", "20240102_1.csv", "20240103_1.csv")
CSV = "person,tier,country\na,gold,US\n"
TABLE = "profiles"


class Site:
    """A source of profiles, and runs of it as the jobs leave them in ledger and catalog after each step."""

    def __init__(self, path: Path, make: Callable[[Path], Source] = lambda path: profiles(path, "", DELETES)) -> None:
        self.source = make(path / "site")
        self.workspace: Workspace = transform.workspace_of(arguments(self.source))
        self.storage = self.workspace.storage

    @property
    def shown(self) -> PublishedTable:
        found = self.workspace.catalog.get(TABLE)
        assert found is not None
        return found

    def show(self, **parameters: str) -> None:
        """Change parameters of the published table, as somebody else might."""
        table = self.shown
        changed = dataclasses.replace(table, parameters={**table.parameters, **parameters})
        self.workspace.catalog.put(changed, table.version)

    def land(self, *names: str) -> None:
        for name in names:
            self.source.land(name, CSV)

    def transformed(self, run_id: str, *names: str, base: str = "", suppression: str = "") -> Run:
        """Return a run of objects in landing/ that has got past transform."""
        source = self.source
        made = source.name, run_id
        found = [self.storage.find(f"{self.workspace.landing}{name}") for name in names]
        entries = tuple(
            Entry(place, name, item.size, item.version, item.etag, item.modified, DATA)
            for place, (name, item) in enumerate(zip(names, found, strict=True))
            if item is not None
        )
        run = start_run(self.storage, Manifest(run_id, source.name, entries, ()))
        feed = self.workspace.connector.feeds[0].name
        files = tuple(FileOutcome(each.ordinal, each.name, each.size, feed=feed, rows=1) for each in entries)
        run.finish("decrypt", {"seconds": 0.0, "attempt": run.begin("decrypt"), **Decoded(files, ()).to_document()})
        self.storage.create(f"{self.workspace.raw(run_id)}part.parquet", b"clear")
        key = f"{self.workspace.curated(TABLE, run_id)}attempt=1/a.parquet"
        self.storage.create(key, b"rows of " + repr(made).encode())
        entry = {
            "feed": feed, "base_run": base, "rows": 1, "location": self.storage.uri(key.rpartition("/")[0]),
            "partitions": [], "columns": [], "making": {"hash_key_id": "k1"}, "phonenumbers": "", "versions": "",
            "version_keys": "", "loaded_through": "", "schema_changes": [], "load": "upsert", "accounting": [],
            "displaced": 0, "fill": {}, "distinct": {}, "match_readiness": {}, "objects": 1, "size": 8,
            "written_rows": 1, "written_partitions": 1, "seconds": 0.0, "verify_seconds": 0.0,
        }  # fmt: skip
        attempt = run.begin("transform")
        run.finish("transform", {"attempt": attempt, "tables": {TABLE: entry}, "suppression": suppression})
        return run

    def publish(self, run: Run, workspace: Workspace | None = None) -> None:
        with hold_lock(self.storage, self.source.name) as lock:
            transform.publish(workspace or self.workspace, run, lock, allow_shrink=True)

    def loaded(self, *names: str) -> list[Run]:
        """Load objects one after the other, as daily runs do."""
        runs: list[Run] = []
        for day, name in enumerate(names, 1):
            self.land(name)
            made = self.transformed(f"202401{day:02}T000000Z-abcdef", name, base=runs[-1].run_id if runs else "")
            self.publish(made)
            archive.archive_run(self.workspace, made)
            runs.append(made)
        return runs

    def begun(self, *more: str, **changes: str) -> Backfill:
        """Plan what has landed, change the plan's file, and begin."""
        plan(self.source, *more)
        path = folder(self.source) / "plan.toml"
        text = path.read_text()
        for name, value in changes.items():
            text = "\n".join(f'{name} = "{value}"' if line.startswith(name) else line for line in text.split("\n"))
        path.write_text(text)
        with hold_lock(self.storage, self.source.name) as lock:
            self.backfill_run()._begin(lock)
        return Backfill(self.storage, self.source.name, "first")

    def backfill_run(self) -> BackfillRun:
        args = arguments(self.source)
        return BackfillRun(self.workspace, args, "first", transform.read_keys(args, self.workspace.tables.values()))

    def units_loaded(self, made: Backfill, *names: str, base: str = "", suppression: str = "") -> list[Run]:
        """Load units into the backfill's own catalog, so that only its publication is left."""
        own = dataclasses.replace(self.workspace, catalog=made.catalog)
        runs: list[Run] = []
        for index, name in enumerate(names):
            run_id = f"20240201T00000{index}Z-abcdef"
            made.note_run(index, run_id)
            before = runs[-1].run_id if runs else base
            runs.append(self.transformed(run_id, name, base=before, suppression=suppression))
            self.publish(runs[-1], own)
        return runs


@pytest.fixture(autouse=True)
def no_spark(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail at once where something is about to be loaded that should have been refused."""

    def refuse(_: str) -> None:
        raise AssertionError

    monkeypatch.setattr(backfill, "open_session", refuse)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def give_up(site: Site) -> None:
    backfill.main(arguments(site.source, "--give-up=first"))


# --- what a unit is left out for


@pytest.mark.parametrize("on_bad_file", ["stop", "quarantine"])
@pytest.mark.parametrize("reason", ["missing_key", "changed_while_read", "unreadable_object"])
def test_what_is_no_fault_of_a_file_is_told_apart(site: Site, reason: str, on_bad_file: str) -> None:
    site.land(*NAMES[:2])
    made = site.transformed("r1", *NAMES[:2])
    bad = [FileOutcome(0, NAMES[0], 1, reason="not_json"), FileOutcome(1, NAMES[1], 1, reason=reason)]
    with pytest.raises(UnreadableDeliveryError, match=f"{NAMES[1]}: {reason}"):
        decrypt._quarantine(site.workspace, made, bad, on_bad_file)
    with pytest.raises(BadFilesError, match="not_json"):
        decrypt._quarantine(site.workspace, made, bad[:1], "stop")


@pytest.mark.parametrize(
    ("error", "is_left_out"),
    [
        (BadFilesError, True),
        (EmptyDeliveryError, True),
        (TooManyRejectsError, True),
        (PlanOutdatedError, True),
        (UnreadableDeliveryError, False),
        (VerificationError, False),
        (CatalogConflictError, False),
    ],
)
def test_a_unit_is_left_out_for_its_own_faults_alone(site: Site, error: type[PipelineError], is_left_out: bool) -> None:  # noqa: FBT001
    site.land(*NAMES[:2])
    made = site.begun("--unit=day", on_bad_unit="skip")
    made.note_run(0, "r1")
    failed: Future[Run] = Future()
    failed.set_exception(error("two reasons:\n  one: a"))
    with hold_lock(site.storage, "source") as lock:
        if is_left_out:
            site.backfill_run()._finish_unit(0, failed, lock)
        else:
            with pytest.raises(error, match="unit 2024-01-01: two reasons"):
                site.backfill_run()._finish_unit(0, failed, lock)
    assert made.skipped(0) == (f"{error.__name__}: two reasons:\n  one: a" if is_left_out else "")


def test_the_summary_says_all_of_why_a_unit_was_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    left = {
        "name": "u",
        "objects": 1,
        "bytes": 2,
        "state": "skipped",
        "reason": "BadFilesError: a: b\n  c.csv: not_json",
    }
    tell_summary({"backfill": "first", "connector": "source", "units": [left]})
    told = capsys.readouterr().out
    assert "BadFilesError: a: b" in told
    assert "c.csv: not_json" in told


def test_who_has_lost_the_lock_leaves_no_unit_out(site: Site) -> None:
    site.land(NAMES[0])
    made = site.begun("--unit=day", on_bad_unit="skip")
    made.note_run(0, "r1")
    loaded = site.transformed("r1", NAMES[0])
    failed: Future[Run] = Future()
    failed.set_exception(BadFilesError("of a sleeper"))
    path = site.source.root / "state" / "source" / "lock.json"
    with hold_lock(site.storage, "source") as lock:
        path.write_text(json.dumps({**json.loads(path.read_text()), "token": "another"}))
        with pytest.raises(LockedError):
            site.backfill_run()._finish_unit(0, failed, lock)
    assert not made.skipped(0)
    assert not loaded.is_abandoned


def test_a_run_that_was_given_up_is_never_loaded_and_leaves_nothing_in_clear(site: Site) -> None:
    site.land(NAMES[0])
    made = site.begun("--unit=day")
    made.note_run(0, "r1")
    dead = site.transformed("r1", NAMES[0])
    dead.abandon("as where the process died before it had noted that the unit is left out")
    work = site.backfill_run()
    again = work._unit_runs.run_of(0)
    assert again.run_id != "r1"
    assert made.run_of(0).run_id == again.run_id  # type: ignore[union-attr]
    assert not list(site.storage.list(site.workspace.raw("r1")))


# --- giving up


@pytest.mark.parametrize("has_noted", [True, False])
def test_what_readers_see_is_archived_when_a_backfill_is_given_up(site: Site, has_noted: bool) -> None:  # noqa: FBT001
    site.land(*NAMES)
    made = site.begun("--unit=day")
    runs = []
    for index, name in enumerate(NAMES[:2]):
        made.note_run(index, f"r{index}")
        runs.append(site.transformed(f"r{index}", name))
    site.publish(runs[0])
    if not has_noted:
        runs[0].reopen("publish")  # as where the process died right after it had switched the table
    give_up(site)
    assert runs[0].next_step is None
    assert not runs[0].is_abandoned
    assert runs[1].is_abandoned
    assert files_below(site.source.landing) == [*NAMES[1:]]
    assert files_below(site.source.root / "archive") == [f"source/run=r0/{NAMES[0]}"]
    assert files_below(site.source.root / "raw") == []
    assert site.shown.run_id == "r0"


@pytest.mark.parametrize("when", ["all of it noted", "switched", "loaded"])
def test_what_was_published_at_the_end_is_archived_when_it_is_given_up(site: Site, when: str) -> None:
    site.land(*NAMES)
    made = site.begun("--unit=day", "--publish=at_end")
    runs = site.units_loaded(made, *NAMES)
    if when != "loaded":
        table = as_published(made.catalog.get(TABLE), None, backfill="first")  # type: ignore[arg-type]
        site.workspace.catalog.put(table, "")
        if when == "all of it noted":
            made.note_switched({TABLE: table})
            site.show(run_id="of another connector", fed_by="other,source")
    give_up(site)
    if when == "loaded":
        assert all(each.is_abandoned for each in runs)
        assert files_below(site.source.landing) == [*NAMES]
        return
    assert [each.next_step for each in runs] == [None] * 3
    assert files_below(site.source.landing) == files_below(site.source.root / "raw") == []
    assert [list(each.finished("publish")["tables"]) for each in runs] == [[], [], [TABLE]]


@pytest.mark.parametrize("publish", ["each_unit", "at_end"])
def test_a_backfill_is_not_given_up_in_the_middle_of_a_switch(site: Site, publish: str) -> None:
    site.loaded(NAMES[0])
    site.land(*NAMES[1:])
    made = site.begun("--unit=day", f"--publish={publish}")
    base = site.shown.run_id
    if publish == "at_end":
        claimant = site.units_loaded(made, *NAMES[1:], base=base)[-1]
    else:
        made.note_run(0, "r1")
        claimant = site.transformed("r1", NAMES[1], base=base)
    site.show(switching_to=claimant.run_id)
    with pytest.raises(CatalogConflictError, match="Go on with --run first"):
        give_up(site)
    assert not claimant.is_abandoned
    assert not made.is_over
    site.show(switching_to="")
    give_up(site)
    assert claimant.is_abandoned


@pytest.mark.parametrize("text", [None, "not [ TOML", 'name = "another"'])
def test_a_backfill_is_given_up_whatever_became_of_its_plan(site: Site, text: str | None) -> None:
    site.land(*NAMES)
    made = site.begun("--unit=day")
    path = folder(site.source) / "plan.toml"
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises((NothingToDoError, SchemaError, PlanOutdatedError)):
        run(site.source)
    give_up(site)
    assert made.is_over


def test_a_beginning_that_died_does_not_pin_the_plan(site: Site) -> None:
    site.land(*NAMES)
    plan(site.source, "--unit=day")
    path = folder(site.source) / "plan.toml"
    (folder(site.source) / "begun-plan.toml").write_text(path.read_text())  # and the process died
    path.write_text(path.read_text().replace('"each_unit"', '"at_end"'))
    with hold_lock(site.storage, "source") as lock:
        site.backfill_run()._begin(lock)
    assert Backfill(site.storage, "source", "first").begun_plan.publish == "at_end"


# --- rebuilds


def rebuild(site: Site, *more: str) -> None:
    plan(site.source, "--source=archive", *more)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--since=2024-01-02",), r"1 of 3 originals in the archive are not in the plan"),
        (("--exclude=20240103*",), r"1 of 3 originals"),
        (("--on-bad-unit=skip",), r"a rebuild without a unit loses its rows"),
    ],
)
def test_a_rebuild_of_less_than_all_must_be_meant(site: Site, more: tuple[str, ...], message: str) -> None:
    site.loaded(*NAMES)
    with pytest.raises(ArgumentError, match=message):
        rebuild(site, *more)
    rebuild(site, *more, "--allow-partial")
    assert plan_of(site.source)["allow_partial"] is True


def test_a_rebuild_without_originals_that_are_gone_must_be_meant(site: Site) -> None:
    runs = site.loaded(*NAMES)
    site.storage.delete_prefix(site.workspace.archive(runs[1].run_id))
    with pytest.raises(ArgumentError, match="1 originals are not in the archive any more"):
        rebuild(site)
    rebuild(site, "--allow-partial")
    assert [*plan_of(site.source)["units"]] == [runs[0].run_id, runs[2].run_id]


def without_a_unit(text: str) -> str:
    units = text.split("\n[units.")
    return "\n[units.".join([units[0], *units[2:]])


@pytest.mark.parametrize(
    ("planned", "change"),
    [
        ((), without_a_unit),
        (("--mode=load", "--since=2024-01-02"), lambda text: text.replace('"load"', '"rebuild"')),
    ],
)
def test_a_plan_that_was_changed_is_held_against_the_archive_before_it_begins(
    site: Site, planned: tuple[str, ...], change: Callable[[str], str]
) -> None:
    site.loaded(*NAMES)
    rebuild(site, "--publish=at_end", *planned)
    path = folder(site.source) / "plan.toml"
    text = change(path.read_text())
    path.write_text(text)
    for more in ((), ("--dry-run",)):
        with pytest.raises(ArgumentError, match="1 of 3 originals"):
            run(site.source, *more)
    assert not (folder(site.source) / "begun.json").exists()
    allowed = text.replace("allow_partial = false", "allow_partial = true")
    path.write_text(allowed if allowed != text else f"allow_partial = true\n{text}")
    run(site.source, "--dry-run")
    assert tomllib.loads(path.read_text())["allow_partial"] is True


def test_a_rebuild_begins_only_while_nobody_else_feeds_its_tables(site: Site) -> None:
    site.loaded(*NAMES)
    rebuild(site)
    site.show(fed_by="other,source")
    with pytest.raises(NothingToDoError, match="profiles by other"):
        run(site.source)
    assert not (folder(site.source) / "begun.json").exists()


def test_a_run_that_is_archived_while_a_rebuild_is_planned_is_not_forgotten(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.loaded(*NAMES)
    site.land("20240104_1.csv")
    late = site.transformed("20240104T000000Z-abcdef", "20240104_1.csv", base=site.shown.run_id)
    find = backfill._find_units

    def find_and_archive(*given: Any) -> Any:
        found = find(*given)
        site.publish(late)
        archive.archive_run(site.workspace, late)
        return found

    monkeypatch.setattr(backfill, "_find_units", find_and_archive)
    rebuild(site, "--allow-partial")
    with pytest.raises(PlanOutdatedError, match=f"1 runs were archived since plan first was made, {late.run_id}"):
        run(site.source)


Times = dict[str, list[float]]


@pytest.mark.parametrize(
    ("rollbacks", "lost"),
    [
        ({}, {}),
        ({"r1": [3.5]}, {"t": ["r2", "r3"]}),
        ({"r1": [3.5], "r3": [3.6]}, {}),
        ({"r2": [2.5]}, {}),
        ({"r3": [4.5]}, {"t": ["r4"]}),
        ({"r1": [2.5], "r3": [4.5]}, {"t": ["r2", "r4"]}),
        ({"not of ours": [2.5]}, {}),
    ],
)
def test_the_ledger_tells_what_a_table_does_not_stand_upon(rollbacks: Times, lost: dict[str, list[str]]) -> None:
    published = {f"r{number}": {"at": float(number), "tables": {"t": {}}} for number in range(1, 5)}
    published["other"] = {"at": 9.0, "tables": {"u": {}}}
    if rollbacks and max(map(max, rollbacks.values())) < 4:
        del published["r4"]
    assert rolled_back(published, rollbacks) == lost


def test_a_rebuild_says_what_comes_back_and_what_stays(site: Site) -> None:
    runs = site.loaded(*NAMES)
    runs[0].begin("rollback")
    rebuild(site)
    head = (folder(site.source) / "plan.toml").read_text().split("[units")[0].replace("\n# ", " ")
    assert f"Table profiles was rolled back from 2 of these runs ({runs[1].run_id}, {runs[2].run_id})" in head
    assert rebuild_remarks(site.workspace, [], [site.shown]) == [
        "Table profiles stays as it is: no unit has data for it."
    ]


def test_a_rebuild_of_a_replaced_table_is_made_of_what_it_was_rolled_back_to(tmp_path: Path) -> None:
    site = Site(tmp_path, full_refresh)
    runs = site.loaded(*NAMES)
    rebuild(site)
    assert [*plan_of(site.source)["units"]] == [runs[2].run_id]
    rollback.main(parse_args(rollback.Args, [f"--table={TABLE}", f"--root=file://{site.source.root}"]))
    rebuild(site)
    assert [*plan_of(site.source)["units"]] == [runs[1].run_id]
    assert f"was rolled back to run {runs[1].run_id}: later ones" in (folder(site.source) / "plan.toml").read_text()
    shown = site.shown
    forgotten = {**shown.parameters, "run_id": "29990101T000000Z-aaaaaa", STANDS_UPON: runs[1].run_id}
    site.workspace.catalog.put(dataclasses.replace(shown, parameters=forgotten), shown.version)
    rebuild(site)
    assert [*plan_of(site.source)["units"]] == [runs[1].run_id]


# --- keys, lists, other connectors


def test_a_backfill_goes_on_with_the_key_that_it_was_begun_with(site: Site) -> None:
    site.land(*NAMES)
    site.begun("--unit=day")
    (site.source.folder / "hash.key").write_text("another-key-of-the-tests-with-32-bytes")
    for more in ((), ("--dry-run",)):
        with pytest.raises(ArgumentError, match=r"was begun with [0-9a-f]{16}, and this one is [0-9a-f]{16}"):
            run(site.source, *more)
    assert "another-key" not in (folder(site.source) / "begun.json").read_text()


def test_nothing_is_published_that_has_not_seen_the_present_lists(site: Site) -> None:
    site.land(*NAMES)
    made = site.begun("--unit=day", "--publish=at_end")
    runs = site.units_loaded(made, *NAMES)
    people = site.source.folder / "people.csv"
    people.write_text("person\nz\n")
    with pytest.raises(VerificationError, match=r"suppression lists are not those.*--give-up first"):
        run(site.source, f"--suppression-list=file://{people}")
    assert site.workspace.catalog.get(TABLE) is None
    run(site.source)
    assert site.shown.run_id == runs[-1].run_id


def test_a_table_that_somebody_else_has_published_meanwhile_stays_and_the_advice_helps(site: Site) -> None:
    site.loaded(NAMES[0])
    site.land(*NAMES[1:])
    made = site.begun("--unit=day", "--publish=at_end")
    site.units_loaded(made, *NAMES[1:], base=site.shown.run_id)
    site.show(run_id="of another connector", fed_by="other,source")
    with pytest.raises(CatalogConflictError, match="Give it up \\(--give-up first\\) and plan again") as told:
        run(site.source)
    assert "merged anew" not in str(told.value)
    assert site.shown.run_id == "of another connector"
    give_up(site)
    assert files_below(site.source.landing) == [*NAMES[1:]]


def test_a_switch_that_was_done_is_not_held_against_what_others_have_published_since(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.land(*NAMES)
    made = site.begun("--unit=day", "--publish=at_end")
    runs = site.units_loaded(made, *NAMES)
    with monkeypatch.context() as patched:
        patched.setattr(archive, "archive_run", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run(site.source)
    for each in runs:  # as where it died before it had noted anything of what was shown
        each.amend("publish", {**each.finished("publish"), "catalog": "its own"})
    site.show(run_id="of another connector", fed_by="other,source")
    run(site.source)
    assert (folder(site.source) / "finished.json").exists()
    assert [list(each.finished("publish")["tables"]) for each in runs] == [[], [], [TABLE]]
    assert site.shown.run_id == "of another connector"


@pytest.mark.parametrize(("publish", "is_told"), [("at_end", True), ("each_unit", False)])
def test_a_plan_tells_of_other_connectors_that_could_get_in_between(
    site: Site,
    publish: str,
    is_told: bool,  # noqa: FBT001
    capsys: pytest.CaptureFixture[str],
) -> None:
    site.loaded(NAMES[0])
    site.show(fed_by="other,source")
    site.land(NAMES[1])
    plan(site.source, f"--publish={publish}")
    assert ("Other connectors feed these tables too (profiles by other)" in capsys.readouterr().out) == is_told


# --- arguments and plans


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--dry-run"], "--dry-run: give it with --run"),
        (["--dry-run", "--give-up=first"], "--dry-run: give it with --run"),
        (["--dry-run", "--plan=first", "--reason=x"], "--dry-run: give it with --run"),
        (["--since=2024-01-01"], "--since: only of a new plan"),
        (["--run=first", "--unit=day", "--parallel=4"], "--unit, --parallel: only of a new plan"),
        (["--give-up=first", "--allow-partial"], "--allow-partial: only of a new plan"),
    ],
)
def test_options_that_would_be_passed_over_are_refused(site: Site, more: list[str], message: str) -> None:
    site.land(*NAMES)
    before = files_below(site.source.root)
    with pytest.raises(ArgumentError, match=message):
        backfill.main(arguments(site.source, *more))
    assert files_below(site.source.root) == before


def test_a_plan_that_was_changed_by_hand_is_not_written_over(site: Site) -> None:
    site.land(*NAMES)
    plan(site.source, "--unit=day")
    plan(site.source, "--unit=month")
    path = folder(site.source) / "plan.toml"
    text = path.read_text().replace('"stop"', '"skip"')
    path.write_text(text)
    with pytest.raises(NothingToDoError, match="changed by hand"):
        plan(site.source, "--unit=day")
    assert path.read_text() == text
    path.unlink()
    plan(site.source, "--unit=day")
    assert len(plan_of(site.source)["units"]) == 3


def test_a_dry_run_looks_whether_it_could_begin_and_writes_nothing(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.loaded(NAMES[0])
    site.land(*NAMES[1:])
    plan(site.source, "--unit=day")
    before = files_below(site.source.root)
    capsys.readouterr()
    run(site.source, "--dry-run")
    told = capsys.readouterr().out
    assert "left: 2 units" in told
    # HMAC-SHA-256 of "cleanroom-etl key id" with the key of own_source, by openssl dgst -mac
    assert "hash keys: the tables had k1 when it was planned, --hash-key is c0d0366919baeb0a" in told
    assert files_below(site.source.root) == before
    site.transformed("r9", NAMES[1])
    with pytest.raises(NothingToDoError, match="run r9 of source is not finished"):
        run(site.source, "--dry-run")


# --- units and their runs


@pytest.mark.parametrize("unit", ["object", "folder"])
def test_an_export_that_replaces_a_table_is_not_divided(tmp_path: Path, unit: str) -> None:
    site = Site(tmp_path, full_refresh)
    site.land(*NAMES)
    with pytest.raises(ArgumentError, match=f"--unit {unit}: each unit of source replaces"):
        plan(site.source, f"--unit={unit}")
    plan(site.source, "--unit=day")
    assert "pushed around midnight" in (folder(site.source) / "plan.toml").read_text().replace("\n# ", " ")


@pytest.mark.parametrize(
    ("since", "markers"), [("", ["2024-01-02", "2024-01-03", "2024-01-03"]), ("2024-01-02", ["2024-01-03"])]
)
def test_a_marker_stays_where_data_of_its_folder_stay(site: Site, since: str, markers: Sequence[str]) -> None:
    site.land("a/20240101_1.csv", "a/20240102_1.csv", "b/20240103_1.csv", "a/x.DONE", "b/x.DONE", "x.DONE")
    items = list(site.storage.list(site.workspace.landing))
    data = [item for item in items if item.key.endswith(".csv")]
    found = units_in_landing(
        site.workspace, data, [item for item in items if item not in data], Selection(since=since), "day"
    )
    taken = [unit.name for unit in found.units for entry in unit.entries if entry.role == "marker"]
    assert taken == markers


def test_objects_that_were_replaced_since_they_were_planned_are_told(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.land(*NAMES)
    site.begun("--unit=all")
    site.land(NAMES[1])
    capsys.readouterr()
    site.backfill_run()._unit_runs.run_of(0)
    assert f"unit all: 1 of 3 objects were replaced since it was planned, {NAMES[1]} among" in capsys.readouterr().out


def test_ids_of_runs_sort_like_their_units(site: Site) -> None:
    site.land(*(f"202401{day:02}_1.csv" for day in range(1, 9)))
    made = site.begun("--unit=day")
    runs = UnitRuns(site.workspace, made, made.units(made.plan()), allow_older=False)
    ids = [runs.run_of(index).run_id for index in range(8)]
    assert ids == sorted(ids)
    site.land("20240103_1.csv")  # mended: its unit gets a new run, and so do those after it, in their order
    mended = [runs.run_of(index).run_id for index in range(8)]
    assert mended[:2] == ids[:2]
    assert mended[2] != ids[2]
    assert mended == sorted(mended)
    assert [runs.run_of(index).run_id for index in range(8)] == mended


# --- which keys a table had before


@pytest.mark.parametrize(
    ("keys", "previous"),
    [
        (["k1"], ""),
        (["k1", "k1"], ""),
        (["k1", "k2"], "k1"),
        (["k1", "k2", "k2", "k2"], "k1"),
        (["k1", "k2", "k3", "k3"], "k2"),
    ],
)
def test_a_table_names_the_key_that_its_key_has_replaced(site: Site, keys: Sequence[str], previous: str) -> None:
    ((feed,), (table,)) = site.workspace.connector.feeds, {*site.workspace.tables.values()}
    entry = {
        "rows": 1, "location": "file:///x", "partitions": [], "phonenumbers": "", "versions": "", "version_keys": "",
        "loaded_through": "", "schema_changes": [],
    }  # fmt: skip
    daily: PublishedTable | None = None
    for place, key in enumerate(keys):
        made = {**entry, "making": {"hash_key_id": key}}
        daily = published_table(table, feed, made, daily, connector="source", run_id=f"r{place}")
    assert daily is not None
    assert daily.parameters["previous_hash_key_id"] == previous
    before = published_table(
        table, feed, {**entry, "making": {"hash_key_id": keys[0]}}, None, connector="source", run_id="r"
    )
    rebuilt = as_published(dataclasses.replace(daily, parameters={"hash_key_id": "k9"}), before, backfill="first")
    assert rebuilt.parameters["previous_hash_key_id"] == keys[0]
    after = published_table(
        table, feed, {**entry, "making": {"hash_key_id": "k9"}}, rebuilt, connector="source", run_id="after"
    )
    assert after.parameters["previous_hash_key_id"] == keys[0]
