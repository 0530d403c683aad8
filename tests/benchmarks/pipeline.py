"""One encrypted export through the whole pipeline, beside two hand-written programs that start from the clear CSV."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import duckdb

from tests.benchmarks.adapters import pipeline_command, pipeline_environment, published_glob, read_steps
from tests.benchmarks.measure import PROJECT, FailedRunError, python_command, run_measured, table
from tests.fixtures.aep_delivery import Counts, encrypt_envelope, key_files, make_keys, write_profiles

_PEERS: Final = ("duckdb", "pandas")
_OURS: Final = "cleanroom-etl"
_INTERVAL: Final = 0.1


def run_pipeline(scratch: Path, sizes: list[int], repeat: int) -> list[dict[str, Any]]:
    """Measure every program for every size, print a table for each size, return the values."""
    results: list[dict[str, Any]] = []
    for rows in sizes:
        made = _measure_size(scratch / f"pipeline-{rows}", rows, repeat)
        _print(rows, made)
        results += made
    return results


def _measure_size(folder: Path, rows: int, repeat: int) -> list[dict[str, Any]]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    keys = make_keys(folder / "keys", seed=1)
    clear, envelope = folder / "clear.csv", folder / "envelope"
    counts = write_profiles(clear, rows, seed=rows)
    encrypt_envelope(clear, envelope, keys.rsa_public.read_bytes())
    results: list[dict[str, Any]] = []
    for number in range(repeat):
        results.append(_measure_ours(folder, counts, number))
        for peer in _PEERS:
            named = {"program": peer, "run": number}
            target = folder / peer
            arguments = (
                "--source",
                str(clear),
                "--target",
                str(target),
                "--hash-key",
                str(key_files(folder / "keys").hash_key),
            )
            command = python_command(f"tests.benchmarks.peer_{peer}", *arguments)
            results.append(named | _measure(command, {}, f"{target}/**/*.parquet", counts))
            shutil.rmtree(target, ignore_errors=True)
    shutil.rmtree(folder)
    return results


def _measure_ours(folder: Path, counts: Counts, number: int) -> dict[str, Any]:
    named: dict[str, Any] = {"program": _OURS, "run": number}
    if not (PROJECT / "jobs" / "pipeline.py").exists():
        return named | {"rows": counts.rows, "failed": "there is no jobs/pipeline.py"}
    root = folder / f"root-{number}"
    landing = root / "landing" / "aep_profiles"
    landing.mkdir(parents=True)
    # A hard link: the job archives, that is moves, what it finds in the landing folder.
    (landing / "amazon-s3_benchmark_20261121_120000.csv.encrypted").hardlink_to(folder / "envelope")
    command = pipeline_command(root, key_files(folder / "keys"))
    result = named | _measure(command, pipeline_environment(), root, counts)
    result["steps"] = [asdict(step) for step in read_steps(root)]
    shutil.rmtree(root, ignore_errors=True)
    return result


def _measure(command: list[str], environment: dict[str, str], written: str | Path, counts: Counts) -> dict[str, Any]:
    result: dict[str, Any] = {"rows": counts.rows}
    try:
        measured = run_measured(command, interval=_INTERVAL, environment=environment)
    except FailedRunError as error:
        return result | {"failed": str(error)}
    pattern = published_glob(written) if isinstance(written, Path) else written
    published, checksum = _check(pattern)
    return result | {
        "seconds": round(measured.seconds, 2),
        "rows_per_second": round(counts.rows / measured.seconds),
        "peak_mib": measured.peak_mib,
        "published": published,
        "as_expected": published == counts.distinct_emails,
        "email_checksum": checksum,
    }


def _check(pattern: str) -> tuple[int, str]:
    """Count what was written, and sum up the hashes of the e-mail addresses, which every program must agree on."""
    row = duckdb.execute(
        "select count(*), sum(('0x' || left(email, 12))::ubigint) from read_parquet(?)", [pattern]
    ).fetchone()
    return (int(row[0]), str(row[1])) if row else (0, "")


def _print(rows: int, results: list[dict[str, Any]]) -> None:
    print(f"\n{rows:,} rows; ours starts from the encrypted file, the peers from the clear one")
    done = [result for result in results if "failed" not in result]
    ours = min((result["seconds"] for result in done if result["program"] == _OURS), default=None)
    checksums = {result["email_checksum"] for result in done}
    lines = [
        (
            result["program"],
            f"{result['seconds']:.1f}",
            f"{result['rows_per_second']:,}",
            f"{result['peak_mib']:,}",
            f"{result['seconds'] / ours:.2f}" if ours else "-",
            f"{result['published']:,}{'' if result['as_expected'] else ' (unexpected)'}",
        )
        for result in done
    ]
    print(table(("program", "seconds", "rows/s", "peak MiB", "x ours", "published"), lines))
    if len(checksums) > 1:
        print("The e-mail addresses differ between programs!")
    for result in results:
        if "failed" in result:
            print(f"{result['program']} failed: {result['failed']}")
        if result.get("steps"):
            _print_steps(result["steps"])


def _print_steps(steps: list[dict[str, Any]]) -> None:
    print()
    lines = [
        (
            step["name"],
            f"{step['seconds']:.1f}",
            "-" if step["mb_per_second"] is None else f"{step['mb_per_second']:,.0f}",
            "-" if step["rows_per_second"] is None else f"{step['rows_per_second']:,}",
        )
        for step in steps
    ]
    print(table(("step", "seconds", "MB/s", "rows/s"), lines))
