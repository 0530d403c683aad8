"""The scale benchmark itself: its deliveries, the figures that it reads, and one small run of the whole."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.benchmarks.scale import Scenario, Settings, exponent, fit_line, keep, markdown, measure, scenarios, verdicts
from tests.benchmarks.scale_delivery import LARGE_FILE, SKEWS, Skew, count_clear, file_rows, make_delivery, write_clear
from tests.benchmarks.scale_plan import WORKERS, Rates, fleet, report
from tests.benchmarks.scale_watch import kind_of, task_totals, watch


@pytest.mark.parametrize(("rows", "files"), [(10, 1), (1_001, 7), (2_000, 200)])
@pytest.mark.parametrize("large", [False, True])
def test_every_row_is_in_one_file(rows: int, files: int, large: bool) -> None:  # noqa: FBT001  a case of the table
    assert sum(file_rows(rows, files, large=large)) == rows
    assert len(file_rows(rows, files, large=large)) == files


def test_the_large_file_is_as_large_as_said() -> None:
    first, *others = file_rows(11_900, 20, large=True)
    assert {first // other for other in others} == {LARGE_FILE}


def test_a_delivery_is_a_function_of_its_seed(tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        write_clear(tmp_path / name, 0, 3_000, seed=seed)
    one, again, other = ((tmp_path / name).read_bytes() for name in ("one", "again", "other"))
    assert one == again
    assert one != other


def test_rows_do_not_depend_on_how_they_are_split_into_files(tmp_path: Path) -> None:
    write_clear(tmp_path / "whole", 0, 2_000, seed=5)
    write_clear(tmp_path / "first", 0, 700, seed=5)
    write_clear(tmp_path / "second", 700, 1_300, seed=5)
    first, second = ((tmp_path / name).read_bytes() for name in ("first", "second"))
    assert (tmp_path / "whole").read_bytes() == first + second.split(b"\n", 1)[1]


def _made(folder: Path, skew: Skew) -> tuple[int, int, list[tuple[str, int]], list[tuple[str, int]]]:
    clear = folder / f"{skew}.csv"
    write_clear(clear, 0, 20_000, seed=3, skew=skew)
    grouped = "select {} as value, count(*) from clear where value is not null group by 1 order by 2 desc"
    with duckdb.connect() as database:
        database.read_csv(str(clear), all_varchar=True, quotechar='"', escapechar="\\").to_table("clear")
        addresses, countries = (
            database.execute(grouped.format(value)).fetchall()
            for value in ('lower(trim("personalEmail.address"))', 'upper(trim("homeAddress.country"))')
        )
        assert database.table("clear").columns[0] == "personID"
    return (*count_clear([clear], folder)[1:], addresses, countries)


def test_an_even_delivery_has_a_tenth_of_duplicates_some_rejects_and_no_dominant_country(tmp_path: Path) -> None:
    rejected, published, _, countries = _made(tmp_path, "even")
    assert 0.01 < rejected / 20_000 < 0.05
    assert 0.05 < 1 - published / (20_000 - rejected) < 0.15
    assert countries[0][1] / 20_000 < 0.5


def test_a_skewed_key_has_three_tenths_of_the_rows(tmp_path: Path) -> None:
    *_, addresses, _ = _made(tmp_path, "key")
    assert 0.28 < addresses[0][1] / 20_000 < 0.32


def test_a_skewed_partition_has_most_rows(tmp_path: Path) -> None:
    *_, countries = _made(tmp_path, "partition")
    assert countries[0][0] == "US"
    assert countries[0][1] / sum(count for _, count in countries) > 0.94


def test_clear_files_do_not_outlive_their_delivery(tmp_path: Path) -> None:
    delivery = make_delivery(tmp_path / "landing", tmp_path / "clear", 500, 3, seed=1, skew="even", public_key=None)
    assert delivery.files == len(list((tmp_path / "landing").iterdir())) == 3
    assert not list((tmp_path / "clear").glob("*.csv"))


def _task(spilled: int, seconds: int, reason: str = "Success") -> str:
    return json.dumps(
        {
            "Event": "SparkListenerTaskEnd",
            "Task End Reason": {"Reason": reason},
            "Task Metrics": {
                "Executor Run Time": seconds * 1000,
                "JVM GC Time": 500,
                "Memory Bytes Spilled": 2 * spilled,
                "Disk Bytes Spilled": spilled,
                "Shuffle Read Metrics": {"Remote Bytes Read": 1, "Local Bytes Read": 2},
                "Shuffle Write Metrics": {"Shuffle Bytes Written": 10},
            },
        },
        separators=(",", ":"),
    )


def test_tasks_of_an_event_log_are_added_up() -> None:
    lost = '{"Event":"SparkListenerTaskEnd","Task End Reason":{"Reason":"ExecutorLostFailure"}}'
    totals = task_totals(['{"Event":"SparkListenerLogStart"}', _task(7, 3), _task(5, 9, "ExceptionFailure"), lost])
    assert (totals.tasks, totals.failed_tasks) == (3, 2)
    assert (totals.disk_spilled, totals.memory_spilled) == (12, 24)
    assert (totals.shuffle_written, totals.shuffle_read) == (20, 6)
    assert (totals.run_seconds, totals.longest_task_seconds, totals.gc_seconds) == (12.0, 9.0, 1.0)


@pytest.mark.parametrize(
    ("name", "command", "kind"),
    [
        ("java", ["java", "-cp", "pyspark/jars"], "jvm"),
        ("python3.11", ["python3", "-m", "pyspark.daemon"], "worker"),
        ("python3", ["python3", "/venv/pyspark/python/pyspark/daemon.py"], "worker"),
        ("python3.11", ["python3", "jobs/pipeline.py"], "driver"),
        ("bash", ["bash", "spark-submit"], ""),
    ],
)
def test_processes_are_told_apart(name: str, command: list[str], kind: str) -> None:
    assert kind_of(name, command) == kind


def test_a_watched_process_shows_the_memory_that_it_held(tmp_path: Path) -> None:
    held = "import time; held = bytearray(b'x') * (200 << 20); time.sleep(1)"
    peaks = watch([sys.executable, "-c", held], dict(os.environ), tmp_path).peaks
    assert 200 << 20 < peaks.driver < 300 << 20
    assert peaks.jvm == peaks.workers == 0


def test_a_line_is_found_and_what_is_off_it_is_said() -> None:
    line = fit_line([1_000_000, 2_000_000, 4_000_000], [30.0, 50.0, 90.0])
    assert line.start == pytest.approx(10)
    assert line.second_row * 1_000_000 == pytest.approx(20)
    assert line.deviation < 1e-6
    assert fit_line([1, 2, 4], [30.0, 50.0, 200.0]).deviation > 0.1


@pytest.mark.parametrize("power", [1.0, 1.5, 2.0])
def test_the_exponent_leaves_the_start_out(power: float) -> None:
    rows = [1_000, 2_000, 8_000]
    assert exponent(rows, [12 + count**power for count in rows], 12) == pytest.approx(power)


def test_small_runs_come_first_and_only_those_asked_for() -> None:
    made = list(scenarios([5, 2], [3], 4, 6, None))
    assert [each.rows for each in made if each.kind == "size"] == [2, 5]
    assert [each.skew for each in made if each.kind == "skew"] == list(SKEWS)
    assert {each.kind for each in scenarios([5], [3], 4, 6, "files")} == {"files"}


def test_more_workers_are_quicker_and_hold_less_each() -> None:
    rates = Rates(60, 40e-6, 100, 20, 130, 400, 1e8, 5e-6)
    few, many = (fleet(rates, 10**9, WORKERS[0], count) for count in (11, 21))
    assert few.hours == pytest.approx((60 + 40_000 / 40) / 3600)
    assert few.dpu_hours == pytest.approx(few.hours * 11)
    assert few.disk == pytest.approx(12.0)
    assert many.hours < few.hours
    assert many.disk == pytest.approx(6.0)


def test_a_run_publishes_what_the_clear_files_say_and_is_kept(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "scratch", driver_memory="1g")
    run: dict[str, Any] = measure(Scenario("size", 2_000, 2), settings)
    assert run.get("failed") is None
    assert run["as_expected"], run["published"]
    assert min(run["peaks"][kind] for kind in ("driver", "jvm", "workers", "disk")) > 0
    assert run["spark"]["tasks"] > 0
    assert run["spark"]["shuffle_written"] > 0
    assert {"decrypt", "transform", "verify", "publish", "archive"} <= run["steps"].keys()
    assert not list(settings.scratch.iterdir())

    results = tmp_path / "scale.json"
    keep(results, run, settings)
    larger = {**run, "rows": 20_000, "seconds": run["seconds"] + 10}
    assert len(keep(results, larger, settings)) == 2
    assert len(keep(results, larger, settings)) == 2
    assert "2,000 rows, 2 files" in markdown([run])
    assert any("a million rows" in line for line in verdicts([run, larger]))
    assert any(line.startswith("WRONG") for line in verdicts([{**run, "as_expected": False}]))
    assert "20 x G.1X" in report(json.loads(results.read_text()), 10**9, 1_000, 1.0)
