"""Crash at every step: each named call of each job fails, stops or kills the process; then the same command runs again.

    python -m tests.torture.crash                       # in full; --parts FOLDER goes on where it was interrupted
    python -m tests.torture.crash --play file upsert    # one scenario

An undisturbed run lists the calls. Then, for every name, before and after its effect: the same landing folder, the
crash, a look at the table as a reader sees it, the same command once more, and everything that it leaves is compared
with what the undisturbed run has left. The kinds of crash take turns; ``--every`` makes all of them, at the first call
of each name and at the last.

A process that is killed is a fork of this one, which has Spark started: SIGKILL leaves it no time for anything. The
processes of ``spark-submit`` are killed as a whole, Java included, by ``crash_processes``; Spark's own processes by
``crash_executors``.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import dataclasses
import faulthandler
import io
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pyspark.sql import SparkSession

from jobs.runtime.session import open_session
from tests.fixtures.aws_site import aws_site
from tests.fixtures.key_files import Keys, make_keys
from tests.torture.crash_bucket import BucketPlace, session_on
from tests.torture.crash_scenarios import BACKFILL, FULL, JOB_BY_JOB, REBUILD, SCENARIOS, Scenario
from tests.torture.crash_site import Command, FolderPlace, Outcome, Place, bury, outcome_of, prepare
from tests.torture.faults import AFTER, BEFORE, ERROR, KILL, STOP, Fault, Faults, Stopped, installed
from tests.torture.figures import write_figures

KINDS: Final = (KILL, STOP, ERROR)
PLACES: Final = ("file", "s3")
_IN_WORDS: Final = {KILL: "killed", STOP: "stopped by an exception", ERROR: "a call failed"}
_WHERE_CRASHED: Final = {
    FULL.name: ("",),
    **dict.fromkeys(
        (BACKFILL.name, REBUILD.name), ("backfill.", "decrypt.decrypt_run", "transform.publish", "archive._move")
    ),
    JOB_BY_JOB.name: ("decrypt.main", "transform.main", "transform.publish", "archive.main", "archive.archive"),
}
_LONGEST: Final = 90.0  # seconds that a command on tens of rows may take
_OF_THE_PARENT: Final[list[Any]] = []  # kept, for a connection that is collected is shut down at both ends


@dataclass
class Bench:
    """A scenario, ready to be crashed: its place, command and what comes of it undisturbed."""

    scenario: Scenario
    place: Place
    command: Command
    notes: Path
    before: Outcome
    expected: Outcome
    calls: list[str]
    messages: int
    tried: int = 0
    switching: int = 0
    messages_lost: int = 0

    @property
    def points(self) -> dict[str, int]:
        """How often each named call is made, in the order of their first."""
        return dict(collections.Counter(self.calls))

    def faults(self, kinds: Sequence[str] = KINDS) -> Iterator[Fault]:
        """Yield every crash: of each name the first call and the last, before and after, of each kind."""
        for point, count in self.points.items():
            for number in sorted({1, count}):
                for moment in (BEFORE, AFTER):
                    for kind in kinds:
                        yield Fault(point, number, moment, kind)

    def faults_in_turn(self) -> Iterator[Fault]:
        """Yield, of each name, the first call, before and after, by kinds that take turns.

        Steps that no load mode changes are crashed under full refresh alone, and what jobs do for themselves where
        they are run one by one.
        """
        kinds = itertools.cycle(KINDS)
        for point in self.points:
            if point.startswith(_WHERE_CRASHED.get(self.scenario.name, ("transform.", "archive.", "backfill."))):
                for moment in (BEFORE, AFTER):
                    yield Fault(point, 1, moment, next(kinds))

    def faults_at(self, *texts: str, kinds: Sequence[str] = KINDS) -> list[Fault]:
        """Return the crashes at the first call of each name that holds one of ``texts``."""
        return [f for f in self.faults(kinds) if f.number == 1 and any(text in f.point for text in texts)]


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Keep what the jobs print."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


def make_bench(scenario: Scenario, place: Place, keys: Keys, notes: Path) -> Bench:
    """Run the scenario undisturbed, and list its calls."""
    command = prepare(scenario, place, keys.rsa_public.read_bytes(), quietly)
    before = outcome_of(place)
    faults = Faults(notes / "recorded")
    faults.begin()
    with quietly(), installed(faults):
        command.run()
    calls, messages = faults.calls(), _messages(faults)
    expected = outcome_of(place)
    place.restore()
    with quietly():
        command.run()
    differences = expected.differences(outcome_of(place))
    if differences:
        raise AssertionError(f"{scenario.name}: two undisturbed runs differ: {differences}")
    return Bench(scenario, place, command, notes, before, expected, calls, messages)


def _messages(faults: Faults) -> int:
    path = faults.notes / "messages"
    return len(path.read_text().splitlines()) if path.exists() else 0


def crash(bench: Bench, fault: Fault, spark: SparkSession) -> list[str]:
    """Crash there, look, run again, compare; return what is wrong."""
    bench.place.restore()
    bench.tried += 1
    faults = Faults(bench.notes / f"{bench.tried}", fault)
    faults.notes.mkdir(parents=True)
    if fault.kind == KILL:
        _run_in_fork(bench.command, faults, spark)
    else:
        _run_here(bench.command, faults)
    return after_crash(bench, fault, faults, is_dead=fault.kind == KILL)


def after_crash(bench: Bench, fault: Fault, faults: Faults, *, is_dead: bool) -> list[str]:
    """Look at the table, run the same command, and compare what it leaves; return what is wrong.

    Where the process did not die, a lock that it has left is made that of a dead one.
    """
    if not faults.has_struck:
        return [f"{bench.scenario.name}: {fault}: was not reached"]
    problems = _reader_problems(bench)
    if not is_dead:
        bury(bench.place)
    again = Faults(faults.notes / "again")
    again.begin()
    try:
        with quietly(), installed(again):
            bench.command.run()
    except Exception as error:  # noqa: BLE001  whatever it is, it is the finding
        problems.append(f"the same command failed: {type(error).__name__}: {error}")
    problems += bench.expected.differences(outcome_of(bench.place))
    bench.messages_lost += _messages(faults) + _messages(again) < bench.messages
    return [f"{bench.scenario.name}: {fault}: {problem}" for problem in problems]


def _reader_problems(bench: Bench) -> list[str]:
    """Compare each table as it is now with what it was and what it shall be."""
    if any(table["parameters"].get("switching_to") for table in bench.place.tables().values()):
        bench.switching += 1  # Glue cannot switch a table and its partitions in one call
        return []
    try:
        rows = outcome_of(bench.place).parts["rows"]
    except KeyError as error:
        return [f"a reader fails: {error}"]
    if bench.scenario.in_units:
        return []
    before, after = bench.before.parts["rows"], bench.expected.parts["rows"]
    return [
        f"a reader sees a state of {name} that is neither the old nor the new one"
        for name, seen in rows.items()
        if seen not in (before.get(name), after[name])
    ]


def _run_here(command: Command, faults: Faults) -> None:
    faults.begin()
    # What ends here is the finding of nobody: that it ended is the point.
    with quietly(), installed(faults), contextlib.suppress(Stopped, Exception):
        command.run()


def _run_in_fork(command: Command, faults: Faults, spark: SparkSession) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads, none of which the child needs
        child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            sink = os.open(os.devnull, os.O_WRONLY)
            os.dup2(sink, 1)
            os.dup2(sink, 2)
            with (faults.notes / "places").open("w") as places:
                faulthandler.dump_traceback_later(_LONGEST, file=places)  # where it is, should it never end
                _part_from_parent(spark)
                _run_here(command, faults)
        os._exit(0)
    status = _end_of(child, faults)
    if faults.has_struck and not (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL):
        raise AssertionError(f"the process was to be killed, and ended with {status}")
    spark.sparkContext.cancelAllJobs()  # Java lives on here; on a machine of its own it ends with the process
    while spark.sparkContext.statusTracker().getActiveJobsIds():
        time.sleep(0.01)


def _end_of(child: int, faults: Faults) -> int:
    """Wait for a fork to end; AssertionError, with the places where its threads are, where it does not."""
    until = time.monotonic() + _LONGEST + 10
    while time.monotonic() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    places = (faults.notes / "places").read_text()
    raise AssertionError(f"the process did not end in {_LONGEST} seconds; its threads were here:\n{places}")


def _part_from_parent(spark: SparkSession) -> None:
    """Talk to Java through connections of this process's own, and leave those of its parent as they are."""
    gateway: Any = spark.sparkContext._gateway
    client = gateway._gateway_client
    _OF_THE_PARENT.append((client.deque, client.thread_connection))
    client.deque, client.thread_connection = collections.deque(), threading.local()


@dataclass
class Tally:
    """What was done, for the figures, and what was wrong."""

    points: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def add(self, label: str, number: int = 1) -> None:
        """Count."""
        self.counts[label] = self.counts.get(label, 0) + number


def session() -> SparkSession:
    """Start a small session, as the suite's."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ.setdefault(
        "PYSPARK_SUBMIT_ARGS",
        "--master local[2] --driver-memory 1g --conf spark.driver.host=127.0.0.1 "
        "--conf spark.driver.bindAddress=127.0.0.1 --conf spark.sql.shuffle.partitions=2 pyspark-shell",
    )
    return open_session("crash")


def crash_all(bench: Bench, faults: Iterable[Fault], spark: SparkSession, seconds: float) -> Tally:
    """Make the crashes one after the other, as many as the time is enough for."""
    tally = Tally(list(bench.points))
    until = time.monotonic() + seconds
    for fault in faults:
        began = time.monotonic()
        if began > until:
            tally.add("crashes left out, for the time was over")
            continue
        found = crash(bench, fault, spark)
        spark.catalog.clearCache()  # what a stopped command had cached
        tally.add(f"crashes: {_IN_WORDS[fault.kind]}")
        tally.add("reruns compared")
        tally.failures += found
        print(f"{time.monotonic() - began:5.1f} s {fault}", *found, sep="\n  ", flush=True)
    tally.counts["seen while Glue switched partitions"] = bench.switching
    tally.counts["messages lost"] = bench.messages_lost
    return tally


def play(where: str, scenario: Scenario, *, every: bool, count: int | None, seconds: float) -> Tally:
    """Crash one scenario everywhere."""
    with contextlib.ExitStack() as stack:
        folder, account = (Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in range(2))
        scenario.define(folder)
        if where == "s3":
            site = stack.enter_context(aws_site(account / "site"))
            spark, keys = stack.enter_context(session_on(site)), site.keys
            place: Place = BucketPlace(folder, site)
        else:
            spark, keys = session(), make_keys(account / "keys")
            place = FolderPlace(folder, keys)
        bench = make_bench(scenario, place, keys, account / "notes")
        faults = list(bench.faults() if every else bench.faults_in_turn())
        return crash_all(bench, faults if count is None else evenly(faults, count), spark, seconds)


def evenly(faults: Sequence[Fault], count: int) -> list[Fault]:
    """Return ``count`` of the faults, evenly spread over all."""
    return [faults[index * len(faults) // count] for index in range(min(count, len(faults)))]


def _parts() -> dict[str, list[str]]:
    """Return the arguments of each part of the whole: each has a process, and a Spark, of its own."""
    made = {f"{where} {name}": ["tests.torture.crash", "--play", where, name] for where in PLACES for name in SCENARIOS}
    return {
        **made,
        "processes": ["tests.torture.crash_processes"],
        "workers lost": ["tests.torture.crash_executors", "--master", "local[2,4]"],
        "executors lost": ["tests.torture.crash_executors", "--master", "local-cluster[2,1,1024]"],
    }


def main() -> int:
    """Run the suite, or one part of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--play", nargs=2, metavar=("PLACE", "SCENARIO"), help="one scenario: file or s3, and its name")
    parser.add_argument("--every", action="store_true", help="every kind of crash, at first calls and last ones")
    parser.add_argument("--out", type=Path, help="with --play: write what was done to this file")
    parser.add_argument("--count", type=int, help="with --play: only so many crashes, evenly spread")
    parser.add_argument("--seconds", type=float, default=86_400.0, help="with --play: begin no crash after that time")
    parser.add_argument("--parts", type=Path, help="keep each part's result here, and do not run again what is there")
    given = parser.parse_args()
    if given.play:
        where, name = given.play
        return write_part(
            play(where, SCENARIOS[name], every=given.every, count=given.count, seconds=given.seconds), given.out
        )
    with tempfile.TemporaryDirectory() as folder:
        results = given.parts or Path(folder)
        results.mkdir(parents=True, exist_ok=True)
        whole, points = Tally(), set()
        for label, words in _parts().items():
            path = results / f"{label.replace(' ', '-')}.json"
            every = ["--every"] if given.every else []
            if not path.exists():
                subprocess.run([sys.executable, "-m", *words, *every, "--out", str(path)], check=False)
            if not path.exists():
                whole.failures.append(f"{label}: the part did not come to its end")
                continue
            part = Tally(**json.loads(path.read_text()))
            points |= set(part.points)
            whole.failures += [f"{label}: {failure}" for failure in part.failures]
            for counted, number in part.counts.items():
                whole.add(counted, number)
    return write_figures("crash", {"points named": len(points), **whole.counts}, whole.failures)


def write_part(tally: Tally, out: Path | None) -> int:
    """Tell what was done, and keep it for the whole."""
    document = json.dumps(dataclasses.asdict(tally), indent=1)
    if out is not None:
        out.write_text(document)
    for label, number in tally.counts.items():
        print(f"  {label}: {number}")
    print(f"  {len(tally.failures)} failures")
    return 1 if tally.failures else 0


if __name__ == "__main__":
    sys.exit(main())
