"""How archives, many small files and appending scale: beside unzip, and in what is read, asked and written."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any, Final

from tests.benchmarks.measure import FailedRunError, python_command, run_measured, table
from tests.fixtures.amperity_delivery import Dialect, drawn_rows, write_delimited
from tests.fixtures.sfmc_delivery import Extract, Style, World, write_extract, write_zip

_MEMBERS: Final = ("Sent", "Opens", "Clicks")
_BLOCK_EVENTS: Final = 60_000
_ROWS_A_FILE: Final = 100


def run_sources(scratch: Path, mebibytes: int, files: int, events: int) -> list[dict[str, Any]]:
    """Measure all three, print tables, return the values."""
    scratch.mkdir(parents=True, exist_ok=True)
    key = scratch / "hash.key"
    key.write_text("a-key-of-the-benchmark-32-bytes!")
    return [*_archive(scratch, mebibytes), _small_files(scratch, files, key), *_append(scratch, events, key)]


def _archive(scratch: Path, mebibytes: int) -> list[dict[str, Any]]:
    source = scratch / f"20240131_{mebibytes}.zip"
    if not source.exists():
        _write_events(source, mebibytes << 20)
    root = scratch / "unpack"
    shutil.rmtree(root, ignore_errors=True)
    ours = run_measured(python_command("tests.benchmarks.source_worker", "unpack", str(source), str(root)))
    found = json.loads(ours.output)
    shutil.rmtree(root, ignore_errors=True)
    size = found["clear_bytes"]
    results = [
        {"what": "archive", "way": "ours: check, unpack, parse, write Parquet", "seconds": found["seconds"]}
        | {"mb_per_second": size / found["seconds"] / 1e6, "peak_mib": ours.peak_mib, "rows": found["rows"]}
    ]
    if shutil.which("unzip"):
        peer = run_measured(["bash", "-c", f"unzip -p '{source}' | wc -l"])
        way = "unzip -p | wc -l"
    else:
        peer = run_measured(python_command("zipfile", "-t", str(source)))
        way = "python -m zipfile -t (no unzip here)"
    results.append(
        {"what": "archive", "way": way, "seconds": peer.seconds, "mb_per_second": size / peer.seconds / 1e6}
        | {"peak_mib": peer.peak_mib, "rows": None}
    )
    print(f"\nA zip of {source.stat().st_size / 1e6:,.0f} MB with {size / 1e6:,.0f} MB of events")
    lines = [
        (each["way"], f"{each['seconds']:.1f}", f"{each['mb_per_second']:,.0f}", f"{each['peak_mib']:,}")
        for each in results
    ]
    print(table(("way", "seconds", "MB/s of clear text", "peak MiB"), lines))
    return results


def _write_events(target: Path, size: int) -> None:
    """Write a zip of about ``size`` clear bytes, by whole copies of a block far longer than what deflate sees."""
    world = World(3, _BLOCK_EVENTS, days=2)
    style = Style()
    block = target.with_suffix(".block")
    with block.open("wb") as file:
        write_extract(world, Extract(block.name, world.first, world.first, members=_MEMBERS, style=style), file)
    with zipfile.ZipFile(block) as archive:
        texts = {name: archive.read(name) for name in archive.namelist()}
    copies = max(1, size // sum(map(len, texts.values())))

    def chunks(text: bytes) -> Any:
        header, _, body = text.partition(b"\r\n")
        yield header + b"\r\n"
        for _ in range(copies):
            yield body

    part = target.with_suffix(".part")
    with part.open("wb") as file:
        write_zip(file, ((name, chunks(text)) for name, text in texts.items()), zip64=True)
    part.rename(target)
    block.unlink()


def _small_files(scratch: Path, files: int, key: Path) -> dict[str, Any]:
    root = scratch / "small"
    shutil.rmtree(root, ignore_errors=True)
    landing = root / "landing" / "amperity_customer_360" / "customers"
    landing.mkdir(parents=True)
    for number in range(files):
        rows = (each.row for each in drawn_rows("amperity_customer_360", number * _ROWS_A_FILE, _ROWS_A_FILE, seed=1))
        write_delimited(landing / f"{number + 1:07}.csv", "amperity_customer_360", rows, Dialect())
    (landing.parent / ".DONE").touch()
    measured = run_measured(
        python_command("tests.benchmarks.source_worker", "load", str(root), "amperity_customer_360", str(key))
    )
    found = json.loads(measured.output)
    print(f"\n{found['files']:,} files of {_ROWS_A_FILE} rows in one run")
    steps = [(name, f"{seconds:.1f}") for name, seconds in found["steps"].items()]
    print(table(("step", "seconds"), [*steps, ("all, with start-up", f"{measured.seconds:.1f}")]))
    print(f"Spark tasks: {found['spark_tasks']}; calls of the store: {found['calls']}; peak {measured.peak_mib:,} MiB")
    shutil.rmtree(root, ignore_errors=True)
    return {"what": "small files", "peak_mib": measured.peak_mib, **found}


def _append(scratch: Path, events: int, key: Path) -> list[dict[str, Any]]:
    root = scratch / "append"
    shutil.rmtree(root, ignore_errors=True)
    landing = root / "landing" / "sfmc_tracking"
    landing.mkdir(parents=True)
    world = World(3, events, days=91)
    last = world.first + dt.timedelta(days=90)
    deliveries = {
        "90 days": Extract("20240101_Backfill.zip", world.first, last - dt.timedelta(days=1), members=("Sent",)),
        "one day": Extract("20240401_Extract.zip", last, last, members=("Sent",)),
    }
    results: list[dict[str, Any]] = []
    for what, extract in deliveries.items():
        with (landing / extract.name).open("wb") as file:
            write_extract(world, extract, file)
        command = python_command("tests.benchmarks.source_worker", "load", str(root), "sfmc_tracking", str(key))
        try:
            measured = run_measured(command)
        except FailedRunError as error:
            return [*results, {"what": f"append {what}", "failed": str(error)}]
        found = json.loads(measured.output)
        sent = found["tables"]["sfmc_sent"]
        results.append({"what": f"append {what}", "peak_mib": measured.peak_mib, **found, "sent": sent})
    print("\nAppending to a table with a partition a day")
    lines = [
        (
            each["what"],
            f"{each['rows']:,}",
            f"{each['sent']['rows']:,}",
            f"{each['sent']['written_rows']:,}",
            f"{each['sent']['written_partitions']} of {each['sent']['partitions']}",
            f"{each['sent']['bytes'] / 1e6:,.1f}",
            f"{each['seconds']:.1f}",
        )
        for each in results
    ]
    header = (
        "delivery",
        "rows read",
        "rows of the table",
        "rows written",
        "partitions written",
        "MB written",
        "seconds",
    )
    print(table(header, lines))
    shutil.rmtree(root, ignore_errors=True)
    return results
