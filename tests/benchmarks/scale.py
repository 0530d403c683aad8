"""Load and scale: how time, memory and spill grow with rows and files, and what skew does to them.

    python -m tests.benchmarks.scale --rows 1000000 5000000 10000000 --files 1 10 50 200 --skew-rows 1000000

Every size is one spark-submit of the whole pipeline in a fresh process with the same memory. Figures are kept in
tests/benchmarks/results/scale.json after each run, so that an aborted benchmark keeps what it has measured. The
delivery and all that the run wrote are deleted before the next.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import shutil
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np

from tests.benchmarks.adapters import pipeline_command, pipeline_environment, published_glob, read_steps
from tests.benchmarks.measure import PROJECT, FailedRunError, machine
from tests.benchmarks.scale_delivery import SKEWS, Skew, make_delivery
from tests.benchmarks.scale_watch import described, read_event_logs, watch
from tests.fixtures.key_files import Keys, key_files, make_keys

RESULTS: Final = PROJECT / "tests" / "benchmarks" / "results" / "scale.json"

_START_ROWS: Final = 1_000  # what such a run takes is the start, whatever the size
_SKEW_FILES: Final = 20
_SIZE_FILES: Final = 8
_SEED: Final = 20261122
_MIB: Final = 1 << 20
_MILLION: Final = 1_000_000

Run = dict[str, Any]


@dataclass(frozen=True)
class Scenario:
    """One run: ``kind`` is start, size, files or skew."""

    kind: str
    rows: int
    files: int
    skew: Skew = "even"


@dataclass(frozen=True)
class Settings:
    """What is the same for every run. ``driver_memory`` is the heap of Spark's driver, which is its executor too."""

    scratch: Path
    driver_memory: str = "2g"
    plain: bool = False


def scenarios(
    rows: Sequence[int], files: Sequence[int], skew_rows: int, files_rows: int, only: str | None
) -> Iterator[Scenario]:
    """Yield the runs in the order in which they are made, small ones first."""
    if only in (None, "sizes"):
        yield Scenario("start", _START_ROWS, 1)
        yield from (Scenario("size", count, _SIZE_FILES) for count in sorted(rows))
    if only in (None, "files"):
        yield from (Scenario("files", files_rows, count) for count in sorted(files))
    if only in (None, "skew"):
        yield from (Scenario("skew", skew_rows, _SKEW_FILES, skew) for skew in SKEWS)


def measure(scenario: Scenario, settings: Settings) -> Run:
    """Make the delivery, run the pipeline over it, check what it published, delete everything."""
    folder = settings.scratch / f"{scenario.kind}-{scenario.rows}-{scenario.files}-{scenario.skew}"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        keys = make_keys(folder / "keys", seed=1)
        root = folder / "root"
        made = make_delivery(
            root / "landing" / "aep_profiles",
            folder / "clear",
            scenario.rows,
            scenario.files,
            seed=_SEED,
            skew=scenario.skew,
            public_key=None if settings.plain else keys.rsa_public.read_bytes(),
        )
        shutil.rmtree(folder / "clear")
        run: Run = {**asdict(scenario), "delivery": asdict(made)}
        try:
            return run | _run(folder, root, settings) | _published(root, made.published)
        except FailedRunError as error:
            return run | {"failed": str(error)}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(folder: Path, root: Path, settings: Settings) -> Run:
    events = folder / "events"
    events.mkdir()
    command = spark_command(root, key_files(folder / "keys"), events, folder / "spark", settings.driver_memory)
    watched = watch(command, pipeline_environment(), folder)
    steps = {step.name: round(step.seconds, 2) for step in read_steps(root)}
    return described(watched, read_event_logs(events)) | {"steps": steps, "state_bytes": _state_bytes(root)}


def spark_command(root: Path, keys: Keys, events: Path, scratch: Path, driver_memory: str) -> list[str]:
    """Return the pipeline's command with a heap of its own, an event log, and a folder for what Spark spills."""
    program, *others = pipeline_command(root, keys)
    settings = {
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": events.resolve().as_uri(),
        "spark.eventLog.compress": "false",
        "spark.eventLog.rolling.enabled": "false",
        "spark.local.dir": str(scratch.resolve()),
    }
    more = [word for key, value in settings.items() for word in ("--conf", f"{key}={value}")]
    return [program, "--driver-memory", driver_memory, *more, *others]


def _state_bytes(root: Path) -> dict[str, int]:
    runs = sorted((root / "state" / "aep_profiles").glob("run=*/*.json"))
    return {path.name: path.stat().st_size for path in runs}


def _published(root: Path, expected: int) -> Run:
    """Look at what was published with another program: rows, distinct addresses, sizes of files in bytes."""
    pattern = published_glob(root)
    row = duckdb.execute(
        "select count(*), count(distinct email), count(email) from read_parquet(?)", [pattern]
    ).fetchone()
    rows, distinct, filled = row or (0, 0, 0)
    sizes = [path.stat().st_size for path in Path(pattern.removesuffix("/**/*.parquet")).rglob("*.parquet")]
    return {
        "published": rows,
        "as_expected": rows == distinct == filled == expected,
        "output": {
            "files": len(sizes),
            "bytes": sum(sizes),
            "min": min(sizes, default=0),
            "median": int(statistics.median(sizes or [0])),
            "max": max(sizes, default=0),
        },
    }


def keep(path: Path, run: Run, settings: Settings) -> list[Run]:
    """Put a run into the results in place of an older one of the same scenario; return all."""
    document = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"runs": []}
    runs = [each for each in document["runs"] if _identity(each) != _identity(run)] + [run]
    document = {
        "made": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "settings": {"driver_memory": settings.driver_memory, "plain": settings.plain, "cores": 2},
        "runs": runs,
    }
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return runs


def _identity(run: Run) -> tuple[Any, ...]:
    return tuple(run[name] for name in ("kind", "rows", "files", "skew"))


@dataclass(frozen=True)
class Line:
    """Seconds as ``start`` + ``second_row`` x rows; ``deviation`` is the largest share by which a size is off it."""

    start: float
    second_row: float
    deviation: float


def fit_line(rows: Sequence[int], seconds: Sequence[float]) -> Line:
    """Fit a line, every size with the same weight whatever its seconds."""
    weights = 1 / np.asarray(seconds)
    second_row, start = np.polyfit(rows, seconds, 1, w=weights)
    off = [abs(start + second_row * count - took) / took for count, took in zip(rows, seconds, strict=True)]
    return Line(float(start), float(second_row), float(max(off)))


def exponent(rows: Sequence[int], seconds: Sequence[float], start: float) -> float:
    """Return the power of rows that time grows with, the start left out: 1 is linear."""
    return float(np.polyfit(np.log(rows), np.log([took - start for took in seconds]), 1)[0])


def succeeded(runs: Sequence[Run], kind: str) -> list[Run]:
    """Return the runs of a kind that did not fail, by rows and files."""
    return sorted((r for r in runs if r["kind"] == kind and "failed" not in r), key=lambda r: (r["rows"], r["files"]))


def verdicts(runs: Sequence[Run]) -> list[str]:
    """Say what the figures prove, and what failed."""
    said = [f"FAILED: {_name(run)}: {run['failed']}" for run in runs if "failed" in run]
    said += [
        f"WRONG: {_name(run)}: {run['published']:,} rows published, {run['delivery']['published']:,} expected"
        for run in runs
        if "failed" not in run and not run["as_expected"]
    ]
    sizes, starts = succeeded(runs, "size"), succeeded(runs, "start")
    if len(sizes) >= 2:
        rows, seconds = [run["rows"] for run in sizes], [run["seconds"] for run in sizes]
        line = fit_line(rows, seconds)
        said.append(
            f"time = {line.start:.1f} s + {line.second_row * _MILLION:.1f} s a million rows; off by "
            f"{line.deviation:.0%} at most"
        )
        if starts and min(seconds) > starts[0]["seconds"]:
            power = exponent(rows, seconds, starts[0]["seconds"])
            said.append(
                f"time grows with rows to the power of {power:.2f}, the start's {starts[0]['seconds']:.0f} s aside"
            )
        for kind in ("jvm", "driver", "workers", "largest_worker"):
            ratio = _ratio(sizes[-1]["peaks"][kind], sizes[0]["peaks"][kind])
            times = sizes[-1]["rows"] / sizes[0]["rows"]
            said.append(f"peak memory of {kind.replace('_', ' ')}: x {ratio:.2f} for {times:g} times the rows")
    return said + _skew_verdicts(succeeded(runs, "skew")) + _files_verdicts(succeeded(runs, "files"))


def _skew_verdicts(runs: Sequence[Run]) -> list[str]:
    even = {run["rows"]: run for run in runs if run["skew"] == "even"}
    return [
        f"skewed {run['skew']}, {run['rows']:,} rows: "
        f"time x {_ratio(run['seconds'], even[run['rows']]['seconds']):.2f}, "
        f"memory x {_ratio(_memory(run), _memory(even[run['rows']])):.2f}, longest task "
        f"{run['spark']['longest_task_seconds']:.1f} s (even: "
        f"{even[run['rows']]['spark']['longest_task_seconds']:.1f} s)"
        for run in runs
        if run["skew"] != "even" and run["rows"] in even
    ]


def _files_verdicts(runs: Sequence[Run]) -> list[str]:
    if len(runs) < 2:
        return []
    first, last = runs[0], runs[-1]
    return [
        (
            f"{last['files']} files instead of {first['files']}: "
            f"time x {_ratio(last['seconds'], first['seconds']):.2f}, "
            f"memory x {_ratio(_memory(last), _memory(first)):.2f}"
        )
    ]


def _memory(run: Run) -> int:
    return int(sum(run["peaks"][kind] for kind in ("jvm", "driver", "workers")))


def _ratio(one: float, other: float) -> float:
    return one / other if other else 1.0


def _name(run: Run) -> str:
    skew = f", skewed {run['skew']}" if run["skew"] != "even" else ""
    return f"{run['rows']:,} rows, {run['files']} files{skew}"


def markdown(runs: Sequence[Run]) -> str:
    """Return all runs as a table for a README."""
    header = (
        *("run", "seconds", "rows/s", "decrypt", "transform", "verify", "JVM MiB", "driver MiB", "workers MiB"),
        *("largest worker", "spilled MiB", "shuffled MiB", "GC s", "disk GiB", "out MB (min/median/max)"),
    )
    lines = [f"| {' | '.join(header)} |", f"| --- |{' ---: |' * (len(header) - 1)}"]
    kinds = ("start", "size", "files", "skew")
    for run in (run for kind in kinds for run in succeeded(runs, kind)):
        peaks, spark, out, steps = run["peaks"], run["spark"], run["output"], run["steps"]
        cells = [
            _name(run),
            f"{run['seconds']:.0f}",
            f"{run['rows'] / run['seconds']:,.0f}",
            *(f"{steps.get(step, 0):.1f}" for step in ("decrypt", "transform", "verify")),
            *(f"{peaks[kind] / _MIB:,.0f}" for kind in ("jvm", "driver", "workers", "largest_worker")),
            f"{spark['disk_spilled'] / _MIB:,.0f}",
            f"{spark['shuffle_written'] / _MIB:,.0f}",
            f"{spark['gc_seconds']:.1f}",
            f"{peaks['disk'] / 2**30:.1f}",
            f"{out['min'] / 1e6:.1f} / {out['median'] / 1e6:.1f} / {out['max'] / 1e6:.1f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark; return 1 where a run failed or published anything but what was expected."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 5_000_000, 10_000_000])
    parser.add_argument("--files", type=int, nargs="+", default=[1, 10, 50, 200])
    parser.add_argument("--files-rows", type=int, default=1_000_000, help="rows of the runs with --files files")
    parser.add_argument("--skew-rows", type=int, default=1_000_000)
    parser.add_argument("--only", choices=("sizes", "files", "skew"))
    parser.add_argument("--driver-memory", default="2g", help="heap, the same for every run")
    parser.add_argument("--plain", action="store_true", help="deliver clear files, to leave decryption out")
    parser.add_argument("--scratch", type=Path, default=PROJECT / "build" / "bench-scale")
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args(argv)
    settings = Settings(args.scratch.resolve(), args.driver_memory, args.plain)
    made: list[Run] = []
    for scenario in scenarios(args.rows, args.files, args.skew_rows, args.files_rows, args.only):
        run = measure(scenario, settings)
        keep(args.results, run, settings)
        made.append(run)
        took = run.get("failed") or f"{run['seconds']:.1f} s, {'as' if run['as_expected'] else 'NOT as'} expected"
        print(f"{scenario.kind}: {_name(run)}: {took}", flush=True)
    print("", markdown(made), "", *verdicts(made), sep="\n")
    return 1 if any(not run.get("as_expected") for run in made) else 0


if __name__ == "__main__":
    sys.exit(main())
