"""Arithmetic done by hand, on figures that are easy to reckon with, and the real ones against their sources."""

from __future__ import annotations

import json
import sys

import pytest

from infra.command import run_command
from infra.cost import (
    Args,
    Figures,
    break_even,
    glue_cost,
    lambda_cost,
    main,
    rates,
    read_figures,
    report,
    request_cost,
    rows_of,
)
from jobs.runtime.errors import ArgumentError
from tests.infra.repository import PROJECT

#: Small run: 10 s start, 40 s work; the four million rows more take 40 s more, on 2 cores.
EASY: Figures = {
    "measured": {
        "cores": 2,
        "small_rows": 1_000_000,
        "small_seconds": 50,
        "decrypt_seconds": 10,
        "transform_seconds": 28,
        "archive_seconds": 2,
        "large_rows": 5_000_000,
        "large_seconds": 90,
        "clear_bytes_per_row": 100,
    },
    "glue": {"dpu_hour": {"6.0": 0.30, "5.1": 0.45}, "minimum_seconds": 60, "vcpus_per_dpu": 4},
    "requests": {
        "put": 0.001,
        "get": 0.0001,
        "kms": 0.01,
        "part_bytes": 1_000_000,
        "fixed_puts": 10,
        "fixed_gets": 20,
        "fixed_kms": 5,
        "month_key": 1.0,
        "month_secret": 0.4,
    },
    "databrew": {
        "node_hour": 0.48,
        "nodes": 5,
        "minimum_seconds": 60,
        "vcpus_per_node": 4,
        "crawler_dpu_hour": 0.44,
        "crawler_seconds": 600,
        "crawler_dpus": 2,
        "lambda_gb_second": 0.00001,
        "lambda_gb": 10,
        "lambda_bytes_per_second": 10_000_000,
        "lambda_file_bytes": 1_000_000_000,
    },
}


def test_rates_are_those_of_the_two_runs() -> None:
    known = rates(EASY)
    assert known.start == 10
    assert known.warm_row == pytest.approx(20e-6)  # 40 s x 2 cores / 4,000,000
    assert known.cold_row == pytest.approx(80e-6)  # 40 s x 2 cores / 1,000,000
    assert known.cold == pytest.approx(30)  # 50 - 10 - 1,000,000 x 10 us
    assert known.shares == {"decrypt": 0.25, "transform": 0.7, "archive": 0.05}


@pytest.mark.parametrize(
    ("rows", "workers", "paid", "dpu_hours"),
    [
        # work = 30 s + rows x 20 us / 4; each job 10 s + its share of that
        pytest.param(1_000_000, 2, (60, 60, 60), 0.1, id="a small load pays three minutes"),
        pytest.param(26_000_000, 2, (60, 122, 60), 242 * 2 / 3600, id="only transform is longer than a minute"),
        pytest.param(194_000_000, 2, (260, 710, 60), 1030 * 2 / 3600, id="1,000 s of work"),
        pytest.param(194_000_000, 3, (138.75, 370.5, 60), 569.25 * 3 / 3600, id="two workers beside the driver"),
    ],
)
def test_a_load_pays_each_run_by_the_second_and_a_minute_at_least(
    rows: int, workers: int, paid: tuple[float, ...], dpu_hours: float
) -> None:
    cost = glue_cost(rows, "6.0", EASY, row=rates(EASY).warm_row, workers=workers)
    assert tuple(run.paid_seconds for run in cost.runs) == pytest.approx(paid)
    assert cost.dpu_hours == pytest.approx(dpu_hours)
    assert cost.compute == pytest.approx(dpu_hours * 0.30)
    assert cost.total == pytest.approx(dpu_hours * 0.30 + request_cost(rows, EASY))


def test_the_older_release_costs_more_for_the_same_hours() -> None:
    newer, older = (glue_cost(1_000_000, name, EASY, row=20e-6) for name in ("6.0", "5.1"))
    assert newer.dpu_hours == older.dpu_hours
    assert older.compute == pytest.approx(newer.compute * 1.5)


def test_waiting_is_paid_by_the_first_job() -> None:
    cost = glue_cost(1_000_000, "6.0", EASY, row=20e-6, wait_seconds=100)
    assert [run.paid_seconds for run in cost.runs] == pytest.approx([118.75, 60, 60])  # 100 + 10 + 0.25 x 35


def test_requests_grow_with_parts() -> None:
    # 1,000,000 rows = 100 MB = 100 parts, three times: 310 puts, 320 gets, 5 of KMS
    assert request_cost(1_000_000, EASY) == pytest.approx(0.310 + 0.032 + 0.05)


def test_decrypting_in_a_function_costs_memory_by_time() -> None:
    assert lambda_cost(1_000_000, EASY) == pytest.approx(0.001)  # 100 MB / 10 MB/s x 10 GB x 0.00001


@pytest.mark.parametrize(
    ("ours", "crawler", "rows_per_second"),
    [
        # crawler 600 s x 2 x 0.44 / 3600 = 0.14667; function 0.001; a minute of 5 nodes 0.04
        pytest.param(0.18, True, None, id="below its floor no speed is enough"),
        pytest.param(0.2, True, 1_000_000 / ((0.2 - 0.001 - 600 * 2 * 0.44 / 3600) / (2.4 / 3600)), id="above it"),
        pytest.param(0.04, False, None, id="the shortest bill alone is more"),
        pytest.param(0.081, False, 1_000_000 / 120, id="two minutes of five nodes"),
    ],
)
def test_databrew_breaks_even_at_a_speed_or_never(ours: float, *, crawler: bool, rows_per_second: float | None) -> None:
    found = break_even(1_000_000, ours, EASY, crawler=crawler)
    assert found.fixed == pytest.approx(0.001 + (600 * 2 * 0.44 / 3600 if crawler else 0))
    assert found.floor == pytest.approx(found.fixed + 0.04)
    if rows_per_second is None:
        assert found.rows_per_second is None
    else:
        assert found.rows_per_second == pytest.approx(rows_per_second)
        assert found.per_vcpu == pytest.approx(rows_per_second / 20)


def test_the_figures_are_those_that_were_measured() -> None:
    results = json.loads((PROJECT / "tests/benchmarks/results/2026-11-22-pipeline.json").read_bytes())["results"]
    (run,) = (each for each in results if each["program"] == "cleanroom-etl" and each["rows"] == 1_000_000)
    steps = {step["name"]: step["seconds"] for step in run["steps"]}
    measured = read_figures()["measured"]
    assert measured["small_seconds"] == run["seconds"]
    assert measured["decrypt_seconds"] == steps["decrypt"]
    assert measured["transform_seconds"] == pytest.approx(steps["transform"] + steps["verify"] + steps["publish"])
    assert measured["archive_seconds"] == steps["archive"]


def test_the_report_tells_every_size_and_all_that_it_rests_on() -> None:
    text = report((1_000_000, 100_000_000), ("6.0", "5.1"), read_figures(), 2, 0)
    for expected in (
        "1,000,000  6.0     1.3 -   1.6  0.100 -  0.106   0.032 -   0.034",
        "at no speed",
        "Its throughput was not measured",
        "no figure comes from a run on AWS",
        "in files of 950 MB at most",
    ):
        assert expected in text
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize(
    ("text", "sizes"),
    [(None, (1_000_000, 10_000_000, 100_000_000)), ("5000", (5000,)), ("1_000, 2000 3", (1000, 2000, 3))],
)
def test_sizes_are_read(text: str | None, sizes: tuple[int, ...]) -> None:
    assert rows_of(text) == sizes


@pytest.mark.parametrize("text", ["many", "-5", "0", ",", "1.5e6", "²"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ArgumentError, match="is no number of rows"):
        rows_of(text)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--workers", "1"], "error: --workers: at least 2"),
        (["--wait-seconds=-1"], "error: --wait-seconds: cannot"),
        (["--glue", "4.0"], "error: --glue: '4.0' is not known"),
    ],
)
def test_bad_arguments_are_told(
    words: list[str], told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["cost", *words])
    assert run_command(Args, main, "infra.cost") == 1
    assert capsys.readouterr().err.startswith(told)
