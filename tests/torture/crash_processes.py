"""Crashes of whole processes: jobs as ``spark-submit`` runs them, killed at named calls with all that belongs to them.

    python -m tests.torture.crash_processes

The driver in Python, Java and Python's workers get SIGKILL at the same moment; the command is then run again here.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from tests.fixtures.key_files import make_keys
from tests.torture.crash import Bench, Tally, after_crash, evenly, make_bench, session, write_part
from tests.torture.crash_scenarios import UPSERT
from tests.torture.crash_site import FolderPlace
from tests.torture.faults import AFTER, BEFORE, KILL, Fault, Faults

_LAUNCHER = Path(__file__).with_name("crash_launcher.py")
_PROJECT = Path(__file__).resolve().parents[2]


def crash_process(bench: Bench, fault: Fault) -> list[str]:
    """Start the command as its user does, have it killed, run it again; return what is wrong."""
    bench.place.restore()
    bench.tried += 1
    faults = Faults(bench.notes / f"process-{bench.tried}", fault)
    faults.notes.mkdir(parents=True)
    for job in bench.command.jobs:
        ended = _submit(job, bench.command.argv(job), faults)
        if ended != 0:
            break
    if not faults.has_struck:
        return [f"{fault}: was not reached"]
    if ended not in (-signal.SIGKILL, 128 + signal.SIGKILL):
        return [f"{fault}: spark-submit was to be killed, and ended with {ended}"]
    return after_crash(bench, fault, faults, is_dead=True)


def _submit(job: str, argv: list[str], faults: Faults) -> int:
    fault = {**dataclasses.asdict(faults.fault or Fault("", 0, "", "")), "notes": str(faults.notes)}
    with tempfile.TemporaryDirectory() as scratch:
        variables = {
            **os.environ,
            "CRASH_FAULT": json.dumps(fault),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(_PROJECT),
            "PYSPARK_PYTHON": sys.executable,
            "PYSPARK_DRIVER_PYTHON": sys.executable,
            "SPARK_LOCAL_DIRS": scratch,
            "TMPDIR": scratch,
        }
        for name in ("PYSPARK_SUBMIT_ARGS", "PYSPARK_GATEWAY_PORT", "PYSPARK_GATEWAY_SECRET"):
            variables.pop(name, None)
        settings = ["--conf", "spark.sql.shuffle.partitions=2", "--conf", "spark.driver.bindAddress=127.0.0.1"]
        return subprocess.run(
            ["spark-submit", "--master", "local[2]", "--driver-memory", "1g", *settings, str(_LAUNCHER), job, *argv],
            env=variables,
            cwd=scratch,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        ).returncode


def crash_processes(bench: Bench, faults: Iterable[Fault]) -> Tally:
    """Kill one process after the other."""
    tally = Tally(list(bench.points))
    for fault in faults:
        found = crash_process(bench, fault)
        tally.add("crashes: spark-submit killed, Java and all")
        tally.add("reruns compared")
        tally.failures += found
        print(fault, *found, sep="\n  ", flush=True)
    return tally


def kills(bench: Bench, count: int | None = None) -> list[Fault]:
    """Return a kill at each named call, before and after by turns; ``count`` of them, evenly spread, if given."""
    every = [Fault(point, 1, (BEFORE, AFTER)[index % 2], KILL) for index, point in enumerate(bench.points)]
    return every if count is None else evenly(every, count)


def main() -> int:
    """Run this part of the suite."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", action="store_true", help="is what this part does anyway")
    parser.add_argument("--count", type=int, help="only so many, evenly spread")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        UPSERT.define(folder)
        session()
        keys = make_keys(folder / "keys")
        bench = make_bench(UPSERT, FolderPlace(folder, keys), keys, folder / "notes")
        return write_part(crash_processes(bench, kills(bench, given.count)), given.out)


if __name__ == "__main__":
    sys.exit(main())
