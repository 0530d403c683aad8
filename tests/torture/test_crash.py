"""A crash at some of the named calls of each step, and the same command once more; ``crash`` does it at all of them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from tests.fixtures.key_files import make_keys
from tests.torture.crash import Bench, crash, make_bench
from tests.torture.crash_executors import WORKERS
from tests.torture.crash_processes import crash_process
from tests.torture.crash_scenarios import TWO_TABLES, UPSERT, Scenario
from tests.torture.crash_site import FolderPlace, outcome_of
from tests.torture.faults import AFTER, BEFORE, ERROR, KILL, STOP, Fault


def bench_of(scenario: Scenario, folder: Path) -> Bench:
    scenario.define(folder)
    keys = make_keys(folder / "keys")
    return make_bench(scenario, FolderPlace(folder, keys), keys, folder / "notes")


@pytest.fixture(scope="module")
def upsert(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    assert spark.sparkContext.master == "local[2]"
    bench = bench_of(UPSERT, tmp_path_factory.mktemp("upsert"))
    yield bench
    shutil.rmtree(bench.notes)


@pytest.fixture(scope="module")
def two_tables(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    assert spark.sparkContext.master == "local[2]"
    return bench_of(TWO_TABLES, tmp_path_factory.mktemp("two"))


def fault_at(bench: Bench, text: str, moment: str, kind: str) -> Fault:
    """Return the fault at the first call of the one name, or the first of several, that holds ``text``."""
    point = next((point for point in bench.points if text in point), None)
    assert point is not None, f"no call is named {text}; these are: {sorted(bench.points)}"
    return Fault(point, 1, moment, kind)


@pytest.mark.parametrize(
    ("text", "moment", "kind"),
    [
        ("storage.create state/source/run=*/manifest.json", AFTER, KILL),
        ("decode_task: storage.close_output raw/", BEFORE, KILL),
        ("decode_task: storage.close_output raw/", AFTER, ERROR),
        ("decode_task: storage.chunks", AFTER, ERROR),
        ("storage.create state/source/run=*/decrypt.json", BEFORE, KILL),
        ("spark.write staged/", AFTER, KILL),
        ("storage.create state/source/run=*/transform.json", BEFORE, STOP),
        ("transform.publish: catalog.put", AFTER, KILL),
        ("storage.create state/source/run=*/publish.json", BEFORE, STOP),
        ("archive._move: storage.copy", AFTER, STOP),
        ("archive._move: storage.delete", AFTER, KILL),
        ("storage.create state/source/run=*/archive.json", BEFORE, ERROR),
    ],
)
def test_the_same_command_finishes_what_a_crash_has_left(
    upsert: Bench, spark: SparkSession, text: str, moment: str, kind: str
) -> None:
    assert crash(upsert, fault_at(upsert, text, moment, kind), spark) == []


@pytest.mark.parametrize(("number", "moment"), [(1, AFTER), (2, BEFORE)])
def test_a_crash_between_two_tables_leaves_both_whole(
    two_tables: Bench, spark: SparkSession, number: int, moment: str
) -> None:
    (first, second) = (point for point in two_tables.points if point.startswith("transform.publish: catalog.put"))
    assert crash(two_tables, Fault((first, second)[number - 1], 1, moment, KILL), spark) == []


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        pytest.param("decode_task: storage.open_output raw/", AFTER, marks=pytest.mark.long),
        ("transform.publish: catalog.put", BEFORE),
    ],
)
def test_a_job_whose_processes_are_all_killed_is_finished_by_the_same_command(
    upsert: Bench, text: str, moment: str
) -> None:
    assert crash_process(upsert, fault_at(upsert, text, moment, KILL)) == []


def test_what_lost_workers_have_written_is_never_read(tmp_path: Path) -> None:
    out = tmp_path / "lost.json"
    command = [sys.executable, "-m", "tests.torture.crash_executors", "--master", WORKERS, "--out", str(out)]
    ended = subprocess.run(
        [*command, "--count", "2"], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert json.loads(out.read_text())["counts"] == {"losses: a Python worker killed": 2}


@pytest.mark.parametrize(
    ("area", "part"),
    [
        ("curated/", "rows"),
        ("rejects/", "rejects"),
        ("archive/", "archive"),
        ("quarantine/", "quarantine"),
        ("versions/", "catalog"),
        ("state/source/run=", "ledger"),
    ],
)
def test_the_comparison_finds_what_is_there_twice(upsert: Bench, area: str, part: str) -> None:
    upsert.place.restore()
    upsert.command.run()
    assert upsert.expected.differences(outcome_of(upsert.place)) == []
    key = next(key for key in reversed(upsert.place.objects()) if key.startswith(area))
    folder, _, name = key.rpartition("/")
    upsert.place.write(f"{folder}/again-{name}", upsert.place.objects()[key])
    found = upsert.expected.differences(outcome_of(upsert.place))
    assert [each.partition(":")[0] for each in found] == [part]
