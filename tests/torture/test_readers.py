from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.runtime.file_catalog import FileCatalog
from jobs.runtime.ledger import all_runs, start_run
from jobs.runtime.local_storage import LocalStorage
from jobs.runtime.manifest import Manifest
from jobs.runtime.published_table import PublishedTable
from jobs.runtime.retention import needed_folders
from tests.torture.concurrency import Tally
from tests.torture.generations import TABLE, delivery, state_of
from tests.torture.interleaving import Stage
from tests.torture.readers import ENOUGH, Publisher, Watcher, follows, in_documents, publish_by_documents, real_runs


@pytest.mark.parametrize(("partitions", "append"), [(0, False), (12, False), (12, True)])
def test_readers_of_the_file_catalog_see_whole_runs_alone(tmp_path: Path, partitions: int, *, append: bool) -> None:
    tally = Tally()
    publish_by_documents(tally, tmp_path, partitions=partitions, runs=60, append=append)
    assert tally.failures == []
    assert tally.figures["reads by the file catalog"] > 2 * ENOUGH


def test_a_mixture_would_be_seen(tmp_path: Path) -> None:
    publisher = Publisher(tmp_path / "curated", FileCatalog(LocalStorage(tmp_path)), 4)
    first, second = publisher.run(0), publisher.run(1)
    shared = {part.values for part in first.partitions} & {part.values for part in second.partitions}
    parts = [part for part in second.partitions if part.values not in shared]
    old = [part for part in first.partitions if part.values in shared]
    mixed = dataclasses.replace(second, partitions=tuple(sorted([*parts, *old], key=lambda part: part.values)))
    seen = in_documents(tmp_path / "state" / "catalog" / f"{TABLE}.json")
    assert seen == publisher.states[-1]
    publisher.publish(mixed, seen)
    assert in_documents(tmp_path / "state" / "catalog" / f"{TABLE}.json") not in publisher.states


@pytest.mark.parametrize(
    ("reads", "wrong"), [("aabbc", 0), ("ac", 0), ("abac", 0), ("acb", 1), ("abx", 1), ("aba", 0), ("aaaca", 0)]
)
def test_what_readers_saw_is_held_against_what_was_published_in_its_order(reads: str, wrong: int) -> None:
    assert follows(reads, "abaca") == wrong


def test_a_reader_that_breaks_is_told(tmp_path: Path) -> None:
    with Watcher(lambda: in_documents(tmp_path / "none.json")) as watcher:
        deadline = time.monotonic() + 30
        while not watcher.problem and time.monotonic() < deadline:
            time.sleep(0.01)
    assert watcher.problem.startswith("FileNotFoundError: ")
    assert watcher.reads == []


def test_rows_of_two_deliveries_fit_no_state() -> None:
    rows = [line.split(",") for line in (delivery("upsert", 1) + delivery("upsert", 2)).splitlines()]
    named = [dict(zip(("id", "generation", "part"), row, strict=True)) for row in rows if row[0] != "id"]
    with pytest.raises(AssertionError):
        state_of(named)


_NOW = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)
_KEPT = dt.timedelta(days=14)


def _shown_and_kept(folder: Path, events: Sequence[tuple[float, int]]) -> tuple[set[str], set[str]]:
    """Play a table's history: (days ago, run to go back to, or -1 for a new run), oldest first.

    Return the folders that readers may have in their hands who looked the table up in the last two weeks, and those
    that the janitor keeps.
    """
    storage = LocalStorage(folder)
    tables: list[PublishedTable] = []
    shown: list[tuple[dt.datetime, PublishedTable]] = []
    for days, target in events:
        at = _NOW - dt.timedelta(days=days)
        before = shown[-1][1].run_id if shown else ""
        if target >= 0 and tables:
            earlier = tables[target % len(tables)]
            table = dataclasses.replace(earlier, parameters={**earlier.parameters, "rolled_back_from": before})
            note = f"state/crm/run={earlier.run_id}/rollback.attempt-{len(shown)}.json"
            storage.create(note, json.dumps({"at": at.timestamp()}).encode())
        else:
            run = f"{at:%Y%m%dT%H%M%SZ}-{len(tables):06x}"
            parameters = {"run_id": run, "previous_run": before, "row_count": "1"}
            location = storage.uri(f"curated/people/run={run}/attempt=1")
            table = PublishedTable("people", "", location, (), (), (), parameters)
            made = start_run(storage, Manifest(run, "crm", (), ()))
            made.finish("publish", {"at": at.timestamp(), "tables": {"people": dataclasses.asdict(table)}})
            tables.append(table)
        shown.append((at, table))
    since = _NOW - _KEPT
    lately = [table for (_, table), (until, _) in itertools.pairwise([*shown, (_NOW, shown[-1][1])]) if until >= since]
    kept = needed_folders(storage, shown[-1][1], all_runs(storage), since)
    return {storage.key_of(table.location) for table in lately}, kept


@settings(max_examples=40, deadline=None)
@given(days=st.lists(st.floats(0.01, 60), min_size=1, max_size=8, unique_by=round))
def test_the_janitor_keeps_what_a_reader_may_have_looked_up_in_the_days_it_keeps(days: list[float]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        in_hands, kept = _shown_and_kept(Path(folder), [(ago, -1) for ago in sorted(days, reverse=True)])
    assert in_hands <= kept


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([(50, -1), (40, -1), (30, -1), (20, 0), (2, -1), (1, -1)], id="shown until a run of yesterday"),
        pytest.param([(50, -1), (40, -1), (30, -1), (20, -1), (3, 2), (2, 1), (1, 0)], id="three steps back"),
    ],
)
def test_the_janitor_keeps_what_rollbacks_have_shown_in_the_days_it_keeps(
    tmp_path: Path, events: list[tuple[float, int]]
) -> None:
    in_hands, kept = _shown_and_kept(tmp_path, events)
    assert in_hands <= kept


@pytest.mark.usefixtures("spark")
@pytest.mark.parametrize(("mode", "partitioned"), [("full_refresh", False), ("full_refresh", True), ("upsert", True)])
def test_readers_see_whole_runs_while_jobs_publish(tmp_path: Path, mode: str, *, partitioned: bool) -> None:
    tally = Tally()
    with Stage() as stage:
        real_runs(tally, tmp_path, stage, mode, partitioned=partitioned, runs=4)
    assert tally.failures == []
    assert tally.figures["reads by the file catalog"] > 10
