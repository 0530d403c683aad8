"""What a billion rows need on Glue, reckoned from what the scale benchmark has measured.

    python -m tests.benchmarks.scale_plan --rows 1000000000 --files 1000

Nothing here was measured on Glue. How much faster a vCPU of Glue is than a core of the machine that was measured is not
known; the reckoning takes them for equal, and ``--core-factor`` says otherwise.
"""

from __future__ import annotations

import argparse
import json
import math
import pickle
import sys
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from infra.cost import read_figures
from jobs.runtime.accounting import FileAccount
from jobs.runtime.decode import FileOutcome
from jobs.runtime.manifest import Entry
from jobs.runtime.parts import Part
from jobs.runtime.written import WrittenFile
from tests.benchmarks.measure import table
from tests.benchmarks.scale import RESULTS, fit_line, succeeded
from tests.fixtures.aep_people import FIELDS
from transforms.rows import MEMBER_BITS, ROW_BITS

_MILLION: Final = 1_000_000
_GB: Final = 1_000_000_000
_HOUR: Final = 3600
_SAMPLE: Final = 2_000
_PART_BYTES: Final = 128 << 20  # jobs.runtime.parts closes a part there
_ROWS_A_SHUFFLE_TASK: Final = 2_000_000  # jobs.runtime.feed_run
_TASK_BYTES: Final = 32 << 20  # jobs.runtime.decode gathers small files to so much
_MAX_RESULT: Final = 1 << 30  # spark.driver.maxResultSize, Spark's default
_NAME: Final = "amazon-s3_gold-members_20261121_120000_{}.csv.encrypted"


@dataclass(frozen=True)
class Worker:
    """A worker type of Glue: DPUs, vCPUs, GB of memory and of free disk (AWS Glue guide, "Worker types")."""

    name: str
    dpus: int
    vcpus: int
    memory: int
    disk: int


WORKERS: Final = (Worker("G.1X", 1, 4, 16, 44), Worker("G.2X", 2, 8, 32, 78))


@dataclass(frozen=True)
class Rates:
    """What the benchmark says of a row: core-seconds, and bytes. ``start`` is seconds a run."""

    start: float
    core_seconds: float
    shuffled: float
    spilled: float
    clear: float
    published: float
    file_bytes: float
    decrypt_core_seconds: float


def rates_of(document: dict[str, Any]) -> Rates:
    """Read the rates off the runs of several sizes. Raises ValueError where fewer than two sizes were measured."""
    sizes = succeeded(document["runs"], "size")
    if len(sizes) < 2:
        raise ValueError("two sizes at least must have been measured: make bench-scale")
    line = fit_line([run["rows"] for run in sizes], [run["seconds"] for run in sizes])
    largest = sizes[-1]
    rows, cores = largest["rows"], document["settings"]["cores"]
    return Rates(
        start=max(line.start, 0.0),
        core_seconds=line.second_row * cores,
        shuffled=largest["spark"]["shuffle_written"] / rows,
        spilled=largest["spark"]["disk_spilled"] / rows,
        clear=largest["delivery"]["clear_bytes"] / rows,
        published=largest["output"]["bytes"] / rows,
        file_bytes=largest["output"]["median"],
        decrypt_core_seconds=largest["steps"]["decrypt"] * cores / rows,
    )


@dataclass(frozen=True)
class Fleet:
    """A job with ``count`` workers, one of them Spark's driver; disk is GB of shuffle and spill on each other one."""

    worker: Worker
    count: int
    hours: float
    dpu_hours: float
    disk: float


def fleet(rates: Rates, rows: int, worker: Worker, count: int, core_factor: float = 1.0) -> Fleet:
    """Reckon a load on ``count`` workers; every core but the driver's works all the time, as it does with two."""
    cores = worker.vcpus * (count - 1)
    seconds = rates.start + rows * rates.core_seconds / core_factor / cores
    disk = rows * (rates.shuffled + rates.spilled) / (count - 1) / _GB
    return Fleet(worker, count, seconds / _HOUR, seconds / _HOUR * worker.dpus * count, disk)


@dataclass(frozen=True)
class Structure:
    """Something that the driver holds for each of many: bytes in memory, and as JSON, for one."""

    name: str
    memory: float
    document: float


def driver_structures() -> tuple[Structure, ...]:
    """Make the driver's own records by the thousand and measure what one takes."""
    counts = dict.fromkeys(FIELDS, 1_000_000)

    def outcome(number: int) -> FileOutcome:
        filled = {name: value + number for name, value in counts.items()}
        return FileOutcome(number, _NAME.format(number), 1 << 27, feed="aep_profiles", codec="envelope", filled=filled)

    makers: dict[str, Callable[[int], Any]] = {
        "file: manifest": lambda n: Entry(n, _NAME.format(n), 1 << 27, f"{n:032}", f"{n:032}", 1.7e9 + n, "data"),
        "file: outcome of decrypt": outcome,
        "file: account of rows": lambda n: FileAccount(_NAME.format(n), n, n, n, 0, {"missing_email": n}),
        "part of raw/": lambda n: Part("aep_profiles", f"raw/aep_profiles/run=20261122T115517Z-857e40/{n:060}", n, n),
        "published file": lambda n: WrittenFile(
            f"curated/{n:0160}", n, n, (f"{n}",), {k: n + v for k, v in counts.items()}
        ),
    }
    return tuple(Structure(name, *_sizes(make)) for name, make in makers.items())


def _sizes(make: Callable[[int], Any]) -> tuple[float, float]:
    tracemalloc.start()
    held = [make(number) for number in range(1_000, 1_000 + _SAMPLE)]
    memory = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    document = len(json.dumps([asdict(each) for each in held], indent=1))
    return memory / _SAMPLE, document / _SAMPLE


def task_list_bytes() -> float:
    """Return what one delivered file adds to the closure of decrypt, which every task gets whole."""
    entries = [[Entry(n, _NAME.format(n), 1 << 27, f"{n:032}", f"{n:032}", 1.7e9 + n, "data")] for n in range(_SAMPLE)]
    return len(pickle.dumps(entries)) / _SAMPLE


def breaking_points(rates: Rates, rows: int, structures: Sequence[Structure]) -> list[tuple[str, str]]:
    """Return what is bounded, and where its bound is; the nearest to ``rows`` first where it is about rows."""
    outcome = next(each for each in structures if each.name == "file: outcome of decrypt")
    longest = (1 << ROW_BITS) * rates.decrypt_core_seconds / _HOUR
    found = [
        ("rows of one file (bits of a row id)", f"{1 << ROW_BITS:,}; one core would decrypt it for {longest:,.1f} h"),
        ("files of one run (bits of a row id)", f"{1 << (63 - ROW_BITS - MEMBER_BITS):,}"),
        ("files of one run (maxResultSize 1 GiB)", f"{_MAX_RESULT / outcome.document:,.0f}"),
        ("a file decrypted in one hour by one core", f"{_HOUR / rates.decrypt_core_seconds:,.0f} rows"),
    ]
    for worker in WORKERS:
        per_worker = worker.disk * _GB / max(rates.shuffled + rates.spilled, 1e-9)
        needed = math.ceil(rows / per_worker) + 1
        found.append((f"rows a {worker.name} (its disk)", f"{per_worker:,.0f}; so {needed} workers at least"))
    return found


def report(document: dict[str, Any], rows: int, files: int, core_factor: float) -> str:
    """Return the plan as text."""
    rates, prices = rates_of(document), read_figures()["glue"]["dpu_hour"]
    sizes = succeeded(document["runs"], "size")
    largest = sizes[-1]["rows"]
    fleets = [fleet(rates, rows, worker, count, core_factor) for worker in WORKERS for count in (10, 20, 50)]
    lines = [
        (
            f"{rows:,} rows in {files:,} files, from runs of {sizes[0]['rows']:,} to {largest:,} rows on "
            f"{document['settings']['cores']} cores ({document['machine']['processor']})"
        ),
        f"extrapolated {rows / largest:,.0f} times; a vCPU of Glue taken for {core_factor:g} of these cores",
        "",
        (
            f"{rates.core_seconds * _MILLION:.1f} core-seconds a million rows; {rates.shuffled:.0f} bytes shuffled and "
            f"{rates.spilled:.0f} spilled a row"
        ),
        "",
        table(
            ("workers", "hours", "DPU-hours", *(f"$ on {name}" for name in prices), "GB shuffled a worker", "of disk"),
            [
                (
                    f"{each.count} x {each.worker.name}",
                    f"{each.hours:.2f}",
                    f"{each.dpu_hours:.1f}",
                    *(f"{each.dpu_hours * price:.2f}" for price in prices.values()),
                    f"{each.disk:.1f}",
                    f"{each.disk / each.worker.disk:.0%}",
                )
                for each in fleets
            ],
        ),
        "",
    ]
    structures = driver_structures()
    parts = max(files, math.ceil(rows * rates.clear / _PART_BYTES))
    outputs = math.ceil(rows * rates.published / max(rates.file_bytes, 1))
    many = {"file": files, "part": parts, "published": outputs}
    held = [(each, many[each.name.split(":")[0].split(" ")[0]]) for each in structures]
    lines += [
        table(
            ("held by the driver for each", "how many", "bytes", "JSON bytes", "MB", "JSON MB"),
            [
                (
                    each.name,
                    f"{count:,}",
                    f"{each.memory:,.0f}",
                    f"{each.document:,.0f}",
                    f"{each.memory * count / _MILLION:,.1f}",
                    f"{each.document * count / _MILLION:,.1f}",
                )
                for each, count in held
            ],
        ),
        (
            f"closure of decrypt: {task_list_bytes() * files / _MILLION:,.2f} MB, sent to and read by each of "
            f"{min(files, max(1, math.ceil(rows * rates.clear / _TASK_BYTES))):,} tasks"
        ),
        (
            f"{math.ceil(rows / _ROWS_A_SHUFFLE_TASK):,} shuffle partitions, "
            f"{rows * rates.shuffled / _GB:,.0f} GB shuffled, "
            f"{rows * rates.published / _GB:,.0f} GB published"
        ),
        "",
        table(("what breaks", "where"), breaking_points(rates, rows, structures)),
    ]
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the plan; return 1 where too little was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000_000)
    parser.add_argument("--files", type=int, default=1_000)
    parser.add_argument(
        "--core-factor", type=float, default=1.0, help="speed of a vCPU of Glue, a measured core being 1"
    )
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args(argv)
    if not args.results.exists():
        print(f"there is no {args.results}: make bench-scale makes it")
        return 1
    document = json.loads(args.results.read_text(encoding="utf-8"))
    print(report(document, args.rows, args.files, args.core_factor))
    return 0


if __name__ == "__main__":
    sys.exit(main())
