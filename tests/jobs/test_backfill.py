"""Backfills, as their user runs them: a plan, its review, its run, and what the tables are afterwards."""

from __future__ import annotations

import hashlib
import hmac
import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from jobs import backfill, janitor, pipeline, rollback
from jobs.runtime.args import parse_args
from jobs.runtime.errors import (
    ArgumentError,
    BackfillGoingOnError,
    BadFilesError,
    NothingToDoError,
    PlanOutdatedError,
    TooManyRejectsError,
)
from schemas.problems import SchemaError
from tests.jobs.own_source import Source
from tests.jobs.test_load_modes import (
    DELETES,
    EVENTS_CONNECTOR,
    EVENTS_TABLE,
    HEADER,
    profiles,
)

pytestmark = pytest.mark.usefixtures("spark")


def arguments(source: Source, *more: str) -> backfill.Args:
    return parse_args(
        backfill.Args,
        [
            f"--connector=file://{source.folder}/definitions/connectors/{source.name}.toml",
            f"--root=file://{source.root}",
            f"--hash-key=file:{source.folder}/hash.key",
            "--quiet-seconds=0",
            *more,
        ],
    )


def plan(source: Source, *more: str, name: str = "first") -> None:
    backfill.main(arguments(source, f"--plan={name}", "--reason=because of a test", *more))


def run(source: Source, *more: str, name: str = "first") -> None:
    backfill.main(arguments(source, f"--run={name}", *more))


def folder(source: Source, name: str = "first") -> Path:
    return source.root / "state" / source.name / f"backfill={name}"


def plan_of(source: Source, name: str = "first") -> dict[str, Any]:
    return tomllib.loads((folder(source, name) / "plan.toml").read_text())


def summary_of(source: Source, name: str = "first") -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder(source, name) / "finished.json").read_text())
    return document


def content(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key not in ("run_id", "loaded_at")} for row in rows]


def files_below(path: Path) -> list[str]:
    return sorted(each.relative_to(path).as_posix() for each in path.rglob("*") if each.is_file())


EVENTS = {
    "20240131_events.csv": "p1,open,1/30/2024 1:00:00 PM,a\np1,click,1/31/2024 11:59:59 PM,\n",
    "20240201_events.csv": "p1,click,1/31/2024 11:59:59 PM,\np3,open,2/1/2024 9:00:00 PM,b\n",
    "20240202_events.csv": "p4,open,2/2/2024 9:00:00 AM,\n",
    "20240302_events.csv": "p5,open,3/2/2024 9:00:00 AM,\np1,open,1/30/2024 1:00:00 PM,a\n",
}
PEOPLE = {
    "20240101_1.csv": "person,tier,country\na,gold,US\nb,silver,US\nc,gold,GB\n",
    "20240102_1.csv": "person,tier,country\nb,gold,US\nc,left,GB\n",
    "20240103_1.csv": "person,tier,country\nd,gold,FR\nb,platinum,FR\n",
}


def events(path: Path) -> Source:
    path.mkdir(exist_ok=True)
    return Source(path, EVENTS_CONNECTOR, {"events": EVENTS_TABLE})


def full_refresh(path: Path) -> Source:
    source = profiles(path, connector="")
    text = (path / "definitions" / "tables" / "profiles.toml").read_text()
    (path / "definitions" / "tables" / "profiles.toml").write_text(
        text.replace('load = "upsert"', 'load = "full_refresh"') + "\n[publication]\nmax_shrink = 1.0\n"
    )
    return source


KINDS = {
    "append": (events, "events", {name: HEADER + text for name, text in EVENTS.items()}),
    "upsert": (lambda path: profiles(path, connector=DELETES), "profiles", PEOPLE),
    "upsert by country": (lambda path: profiles(path, 'partitions = ["country"]'), "profiles", PEOPLE),
    "full refresh": (full_refresh, "profiles", PEOPLE),
}


def daily(path: Path, kind: str) -> tuple[Source, str]:
    """Load the deliveries of a kind one day after the other, as the daily job does."""
    make, table, deliveries = KINDS[kind]
    source = make(path)
    for name, text in deliveries.items():
        source.deliver(name, text)
    return source, table


@pytest.mark.parametrize(
    ("kind", "publish"),
    [
        pytest.param("append", "each_unit", marks=pytest.mark.long),
        ("upsert", "at_end"),
        ("upsert by country", "each_unit"),
        pytest.param("full refresh", "at_end", marks=pytest.mark.long),
    ],
)
def test_a_backfill_from_landing_makes_the_table_that_daily_runs_have_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, publish: str
) -> None:
    expected, table = daily(tmp_path / "daily", kind)
    make, _, deliveries = KINDS[kind]
    source = make(tmp_path / "backfill")
    for name, text in deliveries.items():
        source.land(name, text)
    plan(source, "--unit=day", f"--publish={publish}")
    assert not (source.root / "state" / "catalog").exists(), "a plan loads nothing"
    assert list(plan_of(source)["units"]) == [f"{name[:4]}-{name[4:6]}-{name[6:8]}" for name in deliveries]
    run(source)
    assert content(source.rows(table)) == content(expected.rows(table))
    assert files_below(source.landing) == files_below(source.root / "raw") == []
    archived = {
        Path(name).name: (source.root / "archive" / name).read_text() for name in files_below(source.root / "archive")
    }
    assert archived == deliveries
    states = [unit["state"] for unit in summary_of(source)["units"]]
    assert states == ["loaded"] * len(deliveries)
    capsys.readouterr()
    run(source)
    assert "nothing to do: backfill first is over" in capsys.readouterr().out
    source.deliver("20240401_events.csv" if kind == "append" else "20240401_1.csv", next(iter(deliveries.values())))


@pytest.mark.parametrize(
    "kind", ["append", *(pytest.param(kind, marks=pytest.mark.long) for kind in KINDS if kind != "append")]
)
def test_a_rebuild_from_the_archive_makes_the_table_with_another_key(tmp_path: Path, kind: str) -> None:
    source, table = daily(tmp_path / "site", kind)
    before = source.catalog(table)
    rows = source.rows(table)
    archived = files_below(source.root / "archive")
    key = b"another-key-of-the-tests-with-32-bytes"
    (source.folder / "hash.key").write_bytes(key)
    plan(source, "--source=archive", name="new-key")
    assert plan_of(source, "new-key")["hash_key_id"] == before["parameters"]["hash_key_id"]
    assert len(plan_of(source, "new-key")["units"]) == (1 if kind == "full refresh" else len(KINDS[kind][2]))
    run(source, name="new-key")
    after = source.catalog(table)
    assert after["parameters"]["hash_key_id"] != before["parameters"]["hash_key_id"]
    assert after["parameters"]["previous_hash_key_id"] == before["parameters"]["hash_key_id"]
    assert after["parameters"]["previous_run"] == before["parameters"]["run_id"]
    assert after["parameters"]["backfill"] == "new-key"
    renamed = {hashed(b"a-key-of-the-tests-with-32-bytes", each): hashed(key, each) for each in PERSONS}
    expected = [{**row, "person": renamed[row["person"]]} for row in rows]
    assert sorted(content(source.rows(table)), key=repr) == sorted(content(expected), key=repr)
    assert files_below(source.root / "archive") == archived, "originals stay as they are"
    rollback.main(parse_args(rollback.Args, [f"--table={table}", f"--root=file://{source.root}"]))
    assert source.rows(table) == rows
    rollback.main(
        parse_args(
            rollback.Args,
            [f"--table={table}", f"--root=file://{source.root}", f"--to-run={after['parameters']['run_id']}"],
        )
    )
    assert sorted(content(source.rows(table)), key=repr) == sorted(content(expected), key=repr)


PERSONS = ("a", "b", "c", "d", "p1", "p3", "p4", "p5")


def hashed(key: bytes, text: str) -> str:
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def test_readers_see_nothing_of_a_rebuild_before_its_end_and_no_state_in_between_can_be_shown(tmp_path: Path) -> None:
    source, table = daily(tmp_path / "site", "upsert")
    before, rows = source.catalog(table), source.rows(table)
    (source.folder / "hash.key").write_text("another-key-of-the-tests-with-32-bytes")
    plan(source, "--source=archive")
    broken = max((source.root / "archive").rglob("*.csv"))
    original = broken.read_bytes()
    broken.write_bytes(b"\x00\x01no table")
    with pytest.raises(BadFilesError, match="unit 2"):
        run(source)
    assert source.catalog(table) == before
    assert source.rows(table) == rows
    with pytest.raises(BackfillGoingOnError, match="--run first"):
        source.run()
    with pytest.raises(BackfillGoingOnError):
        rollback.main(parse_args(rollback.Args, [f"--table={table}", f"--root=file://{source.root}"]))
    broken.write_bytes(original)
    run(source)
    ids = [unit["run_id"] for unit in summary_of(source)["units"]]
    assert source.catalog(table)["parameters"]["run_id"] == ids[-1]
    with pytest.raises(NothingToDoError, match="did not publish"):
        rollback.main(
            parse_args(rollback.Args, [f"--table={table}", f"--root=file://{source.root}", f"--to-run={ids[0]}"])
        )
    unshown = [name for name in files_below(source.root / "curated") if any(each in name for each in ids[:-1])]
    assert unshown == [], "what was never shown is deleted"
    source.deliver("20240110_1.csv", "person,tier,country\nz,gold,US\n")
    assert source.catalog(table)["parameters"]["previous_hash_key_id"] == before["parameters"]["hash_key_id"]


@pytest.mark.parametrize("publish", ["each_unit", pytest.param("at_end", marks=pytest.mark.long)])
def test_a_bad_unit_stops_or_is_left_out_as_the_plan_says(tmp_path: Path, publish: str) -> None:
    source = events(tmp_path / "site")
    deliveries = {name: HEADER + text for name, text in EVENTS.items()}
    deliveries["20240201_events.csv"] = HEADER + "p,open,no time,\n" * 3
    for name, text in deliveries.items():
        source.land(name, text)
    plan(source, f"--publish={publish}", "--parallel=3")
    with pytest.raises(TooManyRejectsError, match="unit 2024-02-01: "):
        run(source)
    seen = source.root / "state" / "catalog" / "events.json"
    assert seen.exists() == (publish == "each_unit")
    path = folder(source) / "plan.toml"
    path.write_text(path.read_text().replace('on_bad_unit = "stop"', 'on_bad_unit = "skip"'))
    run(source)
    units = {unit["name"]: unit["state"] for unit in summary_of(source)["units"]}
    assert units == {
        "2024-01-31": "loaded", "2024-02-01": "skipped", "2024-02-02": "loaded", "2024-03-02": "loaded"
    }  # fmt: skip
    assert files_below(source.landing) == ["20240201_events.csv"]
    assert files_below(source.root / "raw") == []
    assert len(source.rows("events")) == 4


def test_a_mended_object_is_taken_and_one_that_is_gone_is_told(tmp_path: Path) -> None:
    source = events(tmp_path / "site")
    for name, text in EVENTS.items():
        source.land(name, HEADER + text)
    source.land("20240202_events.csv", b"\x00\x01no table")
    plan(source, "--parallel=1")
    with pytest.raises(BadFilesError, match="unit 2024-02-02"):
        run(source)
    source.land("20240202_events.csv", HEADER + EVENTS["20240202_events.csv"])
    gone = source.landing / "20240302_events.csv"
    text = gone.read_text()
    gone.unlink()
    with pytest.raises(PlanOutdatedError, match="unit 2024-03-02: 1 of 1 objects are gone"):
        run(source)
    source.land("20240302_events.csv", text)
    run(source)
    assert len(source.rows("events")) == 5
    assert sum(unit["read"] for unit in summary_of(source)["units"]) == 7


def test_objects_are_chosen_by_day_pattern_and_exclusion(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = events(tmp_path / "site")
    for name, text in EVENTS.items():
        source.land(name, HEADER + text)
    plan(source, "--since=2024-02-01", "--until=2024-02-29", "--exclude=*0202*,*.tmp", "--pattern=2024*")
    assert list(plan_of(source)["units"]) == ["2024-02-01"]
    plan(source, "--unit=month", "--publish=at_end")
    assert {name: unit["objects"] for name, unit in plan_of(source)["units"].items()} == {
        "2024-01": 1, "2024-02": 2, "2024-03": 1
    }  # fmt: skip
    capsys.readouterr()
    run(source, "--dry-run")
    told = capsys.readouterr().out
    assert "left: 3 units, 4 objects" in told
    assert "DPU-hours" in told
    assert not (folder(source) / "begun.json").exists(), "a dry run begins nothing"
    with pytest.raises(NothingToDoError, match="nothing to load"):
        plan(source, "--since=2030-01-01")


def test_a_unit_may_be_taken_out_of_the_plan_but_not_changed(tmp_path: Path) -> None:
    source = events(tmp_path / "site")
    for name, text in EVENTS.items():
        source.land(name, HEADER + text)
    plan(source)
    path = folder(source) / "plan.toml"
    text = path.read_text()
    path.write_text(text.replace("objects = 1", "objects = 2", 1))
    with pytest.raises(PlanOutdatedError, match="unit 2024-01-31 is not as it was planned"):
        run(source)
    head, _, tail = text.partition('[units."2024-02-02"]')
    path.write_text(head + tail[tail.index("[units.") :])
    (source.landing / "20240302_events.csv").write_bytes(b"\x00\x01no table")
    with pytest.raises(BadFilesError):
        run(source)
    begun = path.read_text()
    path.write_text(text)
    with pytest.raises(PlanOutdatedError, match="was changed since"):
        run(source)
    path.write_text(begun.replace("parallel    = 2", "parallel    = 1"))
    source.land("20240302_events.csv", HEADER + EVENTS["20240302_events.csv"])
    run(source)
    assert files_below(source.landing) == ["20240202_events.csv"]


@pytest.mark.parametrize(
    ("more", "error", "message"),
    [
        (["--plan=x", "--run=y"], ArgumentError, "--plan and --run: give one of them"),
        (["--plan=Big", "--reason=x"], ArgumentError, "name: must be lower-case"),
        (["--plan=x"], ArgumentError, "reason: says nothing"),
        (["--plan=x", "--reason=x", "--since=yesterday"], ArgumentError, "no day such as"),
        (["--plan=x", "--reason=x", "--mode=rebuild"], ArgumentError, "a rebuild starts from what the archive has"),
        (["--plan=x", "--reason=x", "--parallel=0"], ArgumentError, "parallel: must be between"),
        (["--plan=x", "--reason=x", "--unit=week"], ArgumentError, "'week' is not known"),
        (["--plan=x", "--reason=x", "--source=archive"], NothingToDoError, "nothing to load in archive/"),
        (["--plan=x", "--reason=x", "--source=archive", "--unit=day"], ArgumentError, "divided by the runs"),
        (["--run=none"], NothingToDoError, "there is no plan none"),
        (["--give-up=none"], NothingToDoError, "not going on"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, more: list[str], error: type[Exception], message: str) -> None:
    source = events(tmp_path / "site")
    source.land("20240131_events.csv", HEADER + EVENTS["20240131_events.csv"])
    with pytest.raises(error, match=message):
        backfill.main(arguments(source, *more))


def test_a_plan_that_cannot_be_read_is_told_with_every_problem(tmp_path: Path) -> None:
    source = events(tmp_path / "site")
    source.land("20240131_events.csv", HEADER + EVENTS["20240131_events.csv"])
    plan(source)
    path = folder(source) / "plan.toml"
    path.write_text(path.read_text().replace("on_bad_unit", "on_bad_units").replace('"load"', '"loads"'))
    with pytest.raises(SchemaError, match="did you mean load") as told:
        run(source)
    assert "did you mean on_bad_unit" in str(told.value)


def test_a_given_up_backfill_lets_the_daily_job_go_on(tmp_path: Path) -> None:
    source = events(tmp_path / "site")
    for name, text in EVENTS.items():
        source.land(name, HEADER + text)
    source.land("20240202_events.csv", b"\x00\x01no table")
    plan(source, "--publish=at_end")
    with pytest.raises(BadFilesError):
        run(source)
    source.land("20240202_events.csv", HEADER + EVENTS["20240202_events.csv"])
    backfill.main(arguments(source, "--give-up=first"))
    source.run()
    assert len(source.rows("events")) == 5
    assert files_below(source.landing) == files_below(source.root / "raw") == []
    run(source)  # says that there is nothing to do
    assert files_below(source.landing) == []
    janitor.main(parse_args(janitor.Args, [f"--root=file://{source.root}", "--keep-days=1"]))
    assert len(source.rows("events")) == 5


def test_a_rebuild_refuses_what_it_would_lose(tmp_path: Path) -> None:
    source, _ = daily(tmp_path / "site", "append")
    plan(source, "--source=archive")
    source.deliver("20240501_events.csv", HEADER + "p9,open,5/1/2024 1:00:00 PM,\n")
    with pytest.raises(PlanOutdatedError, match="1 runs were archived since"):
        run(source)
    other = Source(
        source.folder, EVENTS_CONNECTOR.replace('name = "source"', 'name = "other"'), {"events": EVENTS_TABLE}, "other"
    )
    other.deliver("20240601_events.csv", HEADER + "p9,click,5/1/2024 1:00:00 PM,\n")
    with pytest.raises(NothingToDoError, match="events by other"):
        plan(source, "--source=archive")


def test_without_plan_and_run_it_is_the_pipeline(tmp_path: Path) -> None:
    source = events(tmp_path / "site")
    source.land("20240131_events.csv", HEADER + EVENTS["20240131_events.csv"])
    backfill.main(arguments(source))
    assert len(source.rows("events")) == 2
    assert issubclass(backfill.Args, pipeline.Args)
