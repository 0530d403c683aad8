"""What the janitor deletes, and above all what it never does."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest

from jobs import janitor
from jobs.runtime.args import parse_args
from jobs.runtime.errors import ArgumentError
from jobs.runtime.file_catalog import FileCatalog
from jobs.runtime.ledger import Run, start_run
from jobs.runtime.local_storage import LocalStorage
from jobs.runtime.lock import hold_lock
from jobs.runtime.manifest import Manifest
from jobs.runtime.published_table import PublishedPartition, PublishedTable

NOW = dt.datetime.now(dt.UTC)


def run_id(days_ago: float) -> str:
    return f"{NOW - dt.timedelta(days=days_ago):%Y%m%dT%H%M%SZ}-aaaaaa"


class Site:
    """Runs and a table, made up; each file says its own key."""

    def __init__(self, folder: Path) -> None:
        self.storage = LocalStorage(folder)
        self.catalog = FileCatalog(self.storage)

    def ran(
        self,
        run: str,
        *states: str,
        connector: str = "crm",
        tables: Iterable[PublishedTable] = (),
        published: dt.datetime | None = None,
    ) -> Run:
        made = start_run(self.storage, Manifest(run, connector, (), ()))
        for state in states:
            entry = {"tables": {table.name: json.loads(json.dumps(vars_of(table))) for table in tables}}
            moment = {"at": published.timestamp()} if published is not None else {}
            made.finish(state, {**entry, **moment} if state == "publish" else {})
        return made

    def write(self, *keys: str) -> None:
        for key in keys:
            self.storage.create(key, key.encode())

    def table(self, run: str, *parts: tuple[str, str], previous: str = "", versions: str = "") -> PublishedTable:
        """Return table people of ``run``, with partitions of value and run."""
        partitions = tuple(
            PublishedPartition((value,), self.storage.uri(f"curated/people/run={of}/attempt=1/c={value}"), 1)
            for value, of in parts
        )
        parameters = {"run_id": run, "connector": "crm", "previous_run": previous, "row_count": "1"}
        if versions:
            parameters["versions"] = self.storage.uri(f"versions/people/run={versions}/attempt=1")
        location = self.storage.uri(f"curated/people/run={run}/attempt=1")
        return PublishedTable("people", "", location, (), (), partitions, parameters)

    def publish(self, table: PublishedTable) -> None:
        self.catalog.put(table, "")

    def clean(self, *more: str) -> None:
        janitor.main(parse_args(janitor.Args, ["--root", self.storage.root, *more]))

    @property
    def keys(self) -> list[str]:
        return [item.key for item in self.storage.list("") if not item.key.startswith("state/")]


def vars_of(table: PublishedTable) -> dict[str, object]:
    document = dict(vars(table))
    document["partitions"] = [vars(partition) for partition in table.partitions]
    return document


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


ALL = ("decrypt", "transform", "publish", "archive")


def test_what_a_table_has_shown_lately_stays_however_old_it_is(site: Site) -> None:
    long, fix, new = run_id(50), run_id(0.2), run_id(0.1)
    for run, before in ((run_id(60), ""), (long, run_id(60)), (fix, long), (new, fix)):
        site.ran(run, *ALL, tables=[site.table(run, previous=before)])
        site.write(f"curated/people/run={run}/attempt=1/a.parquet")
    site.publish(site.table(new, previous=fix))
    site.clean()  # the run of 50 days ago was shown until this morning
    assert site.keys == [f"curated/people/run={run}/attempt=1/a.parquet" for run in (long, fix, new)]


def test_when_a_run_was_published_counts_not_when_it_began(site: Site) -> None:
    waited, new = run_id(40), run_id(0.1)
    for run, published in ((run_id(50), None), (waited, NOW - dt.timedelta(days=2)), (run_id(30), None), (new, None)):
        site.ran(run, *ALL, tables=[site.table(run)], published=published)
        site.write(f"curated/people/run={run}/attempt=1/a.parquet")
    site.publish(site.table(new))
    site.clean()
    assert site.keys == [f"curated/people/run={run}/attempt=1/a.parquet" for run in (waited, run_id(30), new)]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"switching_to": "another run"}, "table people: left for the next time: somebody is switching it"),
        ({"location": "elsewhere"}, "table people: left for the next time: file:///elsewhere/x is not below"),
    ],
)
def test_a_table_that_cannot_be_judged_is_left_and_the_rest_is_done(
    site: Site, change: dict[str, str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_id(40)
    site.ran(run, *ALL)
    site.write(f"curated/people/run={run}/attempt=1/a.parquet", f"raw/crm/run={run}/part.parquet")
    table = site.table(run_id(1))
    if "location" in change:
        site.publish(dataclasses.replace(table, location="file:///elsewhere/x"))
    else:
        site.publish(dataclasses.replace(table, parameters={**table.parameters, **change}))
    site.clean()
    assert told in capsys.readouterr().out
    assert site.keys == [f"curated/people/run={run}/attempt=1/a.parquet"]


def test_one_connectors_tables_can_be_looked_at_alone(site: Site) -> None:
    run = run_id(40)
    site.ran(run, *ALL)
    site.ran(run_id(41), *ALL, connector="shop")
    site.publish(site.table(run_id(1)))
    keys = [f"curated/people/run={run}/attempt=1/a.parquet", f"raw/crm/run={run}/part.parquet"]
    site.write(*keys, f"raw/shop/run={run_id(41)}/part.parquet")
    site.clean("--connector", "shop")
    assert site.keys == keys
    site.clean("--connector", "crm")
    assert site.keys == []


def test_old_runs_go_and_what_the_table_points_to_stays(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    ids = [run_id(days) for days in (60, 50, 40, 30, 3, 1)]
    tables = [site.table(run, previous=before) for before, run in zip(["", *ids], ids, strict=False)]
    for run, table in zip(ids, tables, strict=True):
        site.ran(run, *ALL, tables=[table])
        site.write(f"curated/people/run={run}/attempt=1/a.parquet")
    site.publish(tables[3])  # as after a rollback: the table shows the run of 30 days ago
    site.clean("--dry-run")
    assert "would delete 2 objects" in capsys.readouterr().out
    assert len(site.keys) == 6
    site.clean()
    kept = [f"curated/people/run={run}/attempt=1/a.parquet" for run in ids[2:]]  # its previous run's, and young ones
    assert site.keys == kept
    assert "table people: deleted 2 objects" in capsys.readouterr().out


def test_a_partition_that_an_old_run_has_written_stays_while_the_table_shows_it(site: Site) -> None:
    old, older, new = run_id(40), run_id(50), run_id(20)
    for run in (older, old, new):
        site.ran(run, *ALL, tables=[site.table(run, ("CA", run))])
        site.write(*(f"curated/people/run={run}/attempt=1/c={value}/a.parquet" for value in ("CA", "DE", "US")))
    site.write(f"curated/people/run={old}/attempt=1/stray.parquet")
    site.publish(site.table(new, ("CA", new), ("DE", old), ("US", older)))
    site.clean()
    assert site.keys == [
        f"curated/people/run={older}/attempt=1/c=US/a.parquet",
        f"curated/people/run={old}/attempt=1/c=DE/a.parquet",
        f"curated/people/run={new}/attempt=1/c=CA/a.parquet",
    ]


def test_what_is_known_of_keys_stays_as_long_as_the_table_names_it(site: Site) -> None:
    old, new = run_id(40), run_id(20)
    for run in (old, new):
        site.ran(run, *ALL)
        site.write(f"curated/people/run={run}/attempt=1/a.parquet", f"versions/people/run={run}/attempt=1/v.parquet")
    site.publish(site.table(new, versions=old))
    site.clean()
    assert site.keys == [
        f"curated/people/run={new}/attempt=1/a.parquet",
        f"versions/people/run={old}/attempt=1/v.parquet",
    ]


@pytest.mark.parametrize(
    ("states", "days", "stays"),
    [
        (("decrypt", "transform"), 40, True),  # somebody may finish it
        (ALL, 1, True),  # a reader may be at it
        (("abandoned",), 40, False),
        (ALL, 40, False),
    ],
)
def test_only_runs_that_are_over_and_old_lose_their_files(
    site: Site, states: tuple[str, ...], days: float, *, stays: bool
) -> None:
    shown, run = run_id(0.1), run_id(days)
    site.ran(shown, *ALL)
    site.publish(site.table(shown))
    site.ran(run, *states)
    key = f"curated/people/run={run}/attempt=1/a.parquet"
    site.write(key, f"staged/people/run={run}/attempt=1/s.parquet")
    site.clean("--keep-days", "14")
    assert (key in site.keys) is stays
    assert any(key.startswith("staged/") for key in site.keys) is stays


def test_files_that_nobody_knows_are_left_alone(site: Site) -> None:
    site.ran(run_id(1), *ALL)
    site.publish(site.table(run_id(1)))
    keys = ["curated/other/run=x/a.parquet", f"curated/people/run={run_id(99)}/a.parquet", "curated/people/a.parquet",
            "raw/crm/run=unknown/part.parquet"]  # fmt: skip
    site.write(*keys)
    site.clean()
    assert sorted(site.keys) == sorted(keys)


@pytest.mark.parametrize(("states", "stays"), [(("decrypt",), True), (("abandoned",), False), (ALL, False)])
def test_clear_parts_go_with_the_run_that_needed_them(site: Site, states: tuple[str, ...], *, stays: bool) -> None:
    run = run_id(0.01)
    site.ran(run, *states)
    site.write(f"raw/crm/run={run}/attempt=1/part.parquet")
    site.clean()
    assert bool(site.keys) is stays


def test_a_table_whose_connector_is_at_work_is_left_for_the_next_time(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_id(40)
    site.ran(run, *ALL)
    site.publish(site.table(run_id(1)))
    site.write(f"curated/people/run={run}/attempt=1/a.parquet", f"raw/crm/run={run}/part.parquet")
    with hold_lock(site.storage, "crm"):
        site.clean()
    printed = capsys.readouterr().out
    assert "table people: left for the next time: another run of crm is going on" in printed
    assert "connector crm: left for the next time" in printed
    assert len(site.keys) == 2
    site.clean()
    assert site.keys == []


def test_nothing_is_kept_for_no_time_at_all(site: Site) -> None:
    with pytest.raises(ArgumentError, match="--keep-days"):
        site.clean("--keep-days", "0")


def test_an_empty_place_is_clean(site: Site, tmp_path: Path) -> None:
    site.clean()
    shutil.rmtree(tmp_path / ".partial", ignore_errors=True)
    assert site.keys == []
