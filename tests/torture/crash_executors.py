"""Spark's own processes are lost while a command goes on: it comes to its end all the same, and reads nothing twice.

    python -m tests.torture.crash_executors --master 'local[2,4]'               # Python workers
    python -m tests.torture.crash_executors --master 'local-cluster[2,1,1024]'  # executors, and tasks run twice

Nothing is run again here: Spark tries its tasks again, and what the lost attempts have written must count for nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.fixtures.key_files import make_keys
from tests.torture.crash import Bench, Tally, make_bench, quietly, session, write_part
from tests.torture.crash_scenarios import UPSERT, Scenario
from tests.torture.crash_site import FolderPlace, outcome_of
from tests.torture.faults import AFTER, BEFORE, ERROR, EXECUTOR, SLOW, WORKER, Fault, Faults, installed

WORKERS = "local[2,4]"
EXECUTORS = "local-cluster[2,1,1024]"
_SPECULATION = {
    "spark.speculation": "true",
    "spark.speculation.interval": "100ms",
    "spark.speculation.multiplier": "1.5",
    "spark.speculation.quantile": "0.1",
    "spark.speculation.minTaskRuntime": "1s",
}
_IN_WORDS = {
    WORKER: "a Python worker killed",
    ERROR: "a task failed and was tried again",
    EXECUTOR: "an executor killed",
    SLOW: "a task run twice at the same time",
}


def losses(bench: Bench, master: str) -> Iterator[Fault]:
    """Yield what is to be lost under ``master``: at each call in a task of decrypt, and before Spark writes."""
    in_tasks = sorted((p for p in bench.points if ".decode_task: storage." in p), key=lambda p: "close_output" not in p)
    writes = [point for point in in_tasks if "output" in point]
    for point in in_tasks:  # first where something is there, and nobody knows
        for moment in (AFTER, BEFORE):
            yield Fault(point, 1, moment, WORKER if master == WORKERS else EXECUTOR)
    if master == WORKERS:
        yield from (Fault(point, 1, moment, ERROR) for point in writes for moment in (BEFORE, AFTER))
        return
    yield from (Fault(point, 1, BEFORE, EXECUTOR) for point in bench.points if "spark.write" in point)
    yield from (Fault(point, 1, moment, SLOW) for point in writes if "close" in point for moment in (BEFORE, AFTER))


def lose(bench: Bench, fault: Fault) -> list[str]:
    """Run the command once while something is lost; return what differs from the undisturbed run."""
    bench.place.restore()
    bench.tried += 1
    faults = Faults(bench.notes / f"lost-{bench.tried}", fault)
    faults.begin()
    try:
        with quietly(), installed(faults):
            bench.command.run()
    except Exception as error:  # noqa: BLE001  whatever it is, it is the finding
        return [f"{fault}: the command failed: {type(error).__name__}: {error}"]
    if not faults.has_struck:
        return [f"{fault}: was not reached"]
    return [f"{fault}: {problem}" for problem in bench.expected.differences(outcome_of(bench.place))]


def lose_all(bench: Bench, faults: Iterable[Fault]) -> Tally:
    """Lose one after the other."""
    tally = Tally(list(bench.points))
    for fault in faults:
        found = lose(bench, fault)
        tally.add(f"losses: {_IN_WORDS[fault.kind]}")
        tally.failures += found
        print(fault, *found, sep="\n  ", flush=True)
    return tally


@contextlib.contextmanager
def bench_under(master: str, scenario: Scenario = UPSERT) -> Iterator[Bench]:
    """Start Spark under ``master`` in this process, which may not have started one before."""
    settings = {
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.shuffle.partitions": "2",
        **({} if master == WORKERS else _SPECULATION),
    }
    words = [word for name, value in settings.items() for word in ("--conf", f"{name}={value}")]
    os.environ["PYSPARK_SUBMIT_ARGS"] = f"--master {master} --driver-memory 1g {' '.join(words)} pyspark-shell"
    spark = session()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scenario.define(folder)
        keys = make_keys(folder / "keys")
        yield make_bench(scenario, FolderPlace(folder, keys), keys, folder / "notes")
    spark.stop()


def main() -> int:
    """Run this part of the suite."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--master", choices=(WORKERS, EXECUTORS), required=True)
    parser.add_argument("--every", action="store_true", help="is what this part does anyway")
    parser.add_argument("--count", type=int, help="only the first so many")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    with bench_under(given.master) as bench:
        return write_part(lose_all(bench, itertools.islice(losses(bench, given.master), given.count)), given.out)


if __name__ == "__main__":
    sys.exit(main())
