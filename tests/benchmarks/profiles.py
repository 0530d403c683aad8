"""Normalising and hashing by the rules of the AMC Uploader: ours beside the uploader's way and two shorter ways.

Same rows and columns for all, each in a process of its own: eight columns of made-up people in nine countries, from
Parquet to SHA-256 in hexadecimal digits in Parquet (Snappy). The uploader's way is measured on fewer rows, as its time
grows with their number and nothing else; its hashes are compared with ours cell by cell.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tests.benchmarks.measure import Measured, python_command, run_measured, table
from tests.benchmarks.profile_people import FIELDS, write_people

DEFAULT_ROWS: Final = 200_000

_MOST_ROWS_OF_UPLOADER: Final = 20_000
_WARM_PASSES: Final = 3
_PASSES_BY_COLUMN: Final = 5
_OURS: Final = "cleanroom-etl"
_UPLOADER: Final = "uploader's way"
_INTERVAL: Final = 0.05


@dataclass(frozen=True)
class _Program:
    name: str
    module: str
    most_rows: int | None = None
    passes: int = 1


_PROGRAMS: Final = (
    _Program(_OURS, "profile_spark"),
    _Program(f"{_OURS}, warm", "profile_spark", passes=_WARM_PASSES),
    _Program(_UPLOADER, "profile_uploader", most_rows=_MOST_ROWS_OF_UPLOADER),
    _Program("pandas, regex", "profile_regex"),
    _Program("DuckDB", "profile_duckdb"),
)


def run_profiles(scratch: Path, sizes: list[int], repeat: int) -> list[dict[str, Any]]:
    """Measure every program for every size, then our columns one by one; print tables, return the values."""
    results: list[dict[str, Any]] = []
    for rows in sizes:
        folder = scratch / f"profiles-{rows}"
        made = _measure_size(folder, rows, repeat)
        _print(rows, made)
        columns = _measure_columns(folder / "people", rows)
        results += [*made, *columns]
        shutil.rmtree(folder)
    return results


def _measure_size(folder: Path, rows: int, repeat: int) -> list[dict[str, Any]]:
    shutil.rmtree(folder, ignore_errors=True)
    people, fewer = folder / "people", folder / "fewer"
    write_people(people, rows)
    write_people(fewer, min(rows, _MOST_ROWS_OF_UPLOADER))
    results = []
    for number in range(repeat):
        for program in _PROGRAMS:
            source = fewer if program.most_rows else people
            target = folder / program.module
            arguments = ("--source", str(source), "--target", str(target), "--passes", str(program.passes))
            command = python_command(f"tests.benchmarks.{program.module}", *arguments)
            measured = run_measured(command, interval=_INTERVAL)
            results.append({"program": program.name, "run": number} | _values(measured, target))
        uploaders = _read(folder / "profile_uploader")
        for program, result in zip(_PROGRAMS, results[-len(_PROGRAMS) :], strict=True):
            result["differing_cells"] = differing_cells(_read(folder / program.module), uploaders)
    return results


def _values(measured: Measured, target: Path) -> dict[str, Any]:
    """Return what is to be known of a run; of several passes the first one does not count, and the quickest does."""
    written = _read(target)
    made = written.column_names[1:]
    cells = sum(written.num_rows - written[name].null_count for name in made)
    taken: list[tuple[float, float]] = json.loads(measured.output)["passes"]
    passes, cpu = [wall for wall, _ in taken], [busy for _, busy in taken]
    best = min(passes[1:] or passes)
    is_warm = len(passes) > 1
    seconds = best if is_warm else measured.seconds
    return {
        "rows": written.num_rows,
        "columns": made,
        "cells": cells,
        "seconds": round(measured.seconds, 2),
        "passes": [round(each, 3) for each in passes],
        "cpu_of_passes": [round(each, 3) for each in cpu],
        "rows_per_cpu_second": round(written.num_rows / min(cpu[1:] or cpu)),
        "rows_per_second": round(written.num_rows / seconds),
        "rows_per_second_of_best_pass": round(written.num_rows / best),
        "cells_per_second": round(cells / seconds),
        "peak_mib": measured.peak_mib,
    }


def _read(written: Path) -> pa.Table:
    return pq.read_table(written)


def differing_cells(one: pa.Table, other: pa.Table) -> dict[str, int]:
    """Return how many cells differ by column, in the rows (by id) and columns that both tables have."""
    names = [name for name in FIELDS if name in one.column_names and name in other.column_names]
    rows = one.join(other, "id", join_type="inner", right_suffix="_other")
    return {name: _count_differing(rows[name], rows[f"{name}_other"]) for name in names}


def _count_differing(one: pa.ChunkedArray, other: pa.ChunkedArray) -> int:
    both_null = pc.and_(pc.is_null(one), pc.is_null(other))
    same = pc.or_(both_null, pc.fill_null(pc.equal(one, other), fill_value=False))
    return int(len(one) - (pc.sum(same).as_py() or 0))


def _print(rows: int, results: list[dict[str, Any]]) -> None:
    print(f"\n{rows:,} rows, {len(FIELDS)} columns; {_UPLOADER} on the first {_MOST_ROWS_OF_UPLOADER:,} at most,")
    print("as its time is proportional to rows. rows/s, cells/s: of the whole process; warm: of the best later pass;")
    print("rows/CPU s: of the best pass alone, all cores together")
    uploader = max((result for result in results if result["program"] == _UPLOADER), key=_rate(warm=True))
    lines = []
    for result in results:
        is_warm = len(result["passes"]) > 1
        ratio = _rate(warm=is_warm)(result) / _rate(warm=is_warm)(uploader)
        lines.append(
            (
                result["program"],
                f"{result['rows']:,}",
                f"{len(result['columns'])}",
                f"{result['seconds']:.1f}",
                " ".join(f"{each:.2f}" for each in result["passes"]),
                f"{result['rows_per_second']:,}",
                f"{result['cells_per_second']:,}",
                f"{result['peak_mib']:,}",
                f"{result['rows_per_cpu_second']:,}",
                f"{ratio:.1f}",
                f"{result['rows_per_cpu_second'] / uploader['rows_per_cpu_second']:.1f}",
            )
        )
    header = ("program", "rows", "columns", "seconds", "of each pass", "rows/s", "cells/s", "peak MiB")
    print(table((*header, "rows/CPU s", "x uploader's", "by CPU"), lines))
    fewer = [result for result in results if len(result["columns"]) < len(FIELDS)]
    for name, made in {result["program"]: result["columns"] for result in fewer}.items():
        print(f"{name} makes {', '.join(made)} only")
    compared = min(result["rows"] for result in results)
    print(f"\ncells of {compared:,} rows that differ from those of the {_UPLOADER}; of ours 0 are expected")
    print(table(("program", *FIELDS), [_differences(result) for result in results if result["program"] != _UPLOADER]))


def _rate(*, warm: bool) -> Callable[[dict[str, Any]], float]:
    name = "rows_per_second_of_best_pass" if warm else "rows_per_second"
    return lambda result: float(result[name])


def _differences(result: dict[str, Any]) -> tuple[str, ...]:
    return (result["program"], *(str(result["differing_cells"].get(field, "-")) for field in FIELDS))


def _measure_columns(people: Path, rows: int) -> list[dict[str, Any]]:
    print(f"\nour columns one by one: read, normalise, hash, throw away; seconds per million rows, from {rows:,}")
    arguments = ("--source", str(people), "--passes", str(_PASSES_BY_COLUMN))
    measured = run_measured(python_command("tests.benchmarks.profile_columns", *arguments), interval=_INTERVAL)
    taken: dict[str, list[tuple[float, float]]] = json.loads(measured.output)
    results: list[dict[str, Any]] = [
        {
            "column": name,
            "rows": rows,
            "passes": [round(wall, 3) for wall, _ in passes],
            "cpu_of_passes": [round(busy, 3) for _, busy in passes],
        }
        for name, passes in taken.items()
    ]
    lines = []
    for result in results:
        walls, busy = result["passes"][1:], result["cpu_of_passes"][1:]
        seconds = (walls[0], min(walls), busy[0], min(busy))
        lines.append((result["column"], *(f"{each / rows * 1_000_000:.1f}" for each in seconds)))
    best = f"best of {_PASSES_BY_COLUMN - 1} warm"
    print(table(("column", "second pass", best, "CPU of second", "CPU of best"), lines))
    return results
