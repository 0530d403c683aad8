"""What readers see while runs publish: whole runs only, and in Glue's catalog exactly when not.

    python -m tests.torture.readers

Readers loop: they look the table up in the catalog, read all of its rows with a program of their own (PyArrow, and
DuckDB in another process), and note what they saw. Each row tells the run that wrote it, so a mixture shows. What they
may see is known beforehand: the states that were published, in their order.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import itertools
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import boto3
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from jobs.runtime.errors import CatalogConflictError, PipelineError
from jobs.runtime.file_catalog import FileCatalog
from jobs.runtime.glue_catalog import GlueCatalog
from jobs.runtime.local_storage import LocalStorage
from jobs.runtime.published_table import PublishedColumn, PublishedPartition, PublishedTable
from tests.fixtures.aws_stand_in import aws_stand_in
from tests.torture.concurrency import Place, Tally
from tests.torture.figures import write_figures
from tests.torture.generations import TABLE, after
from tests.torture.interleaving import Stage

ROWS: Final = 5  # of a partition
_DAY: Final = 86_400.0
_PROJECT: Final = Path(__file__).resolve().parents[2]
_BATCH: Final = 100  # partitions that one call takes

#: What a reader saw: partition, run that wrote the rows, how many.
Seen = frozenset[tuple[str, str, int]]


# --- runs without Spark: files made here, published by the catalogs


@dataclass
class Publisher:
    """Publishes runs of a made-up table in ``catalog``. ``states`` are all that it has published, oldest first."""

    folder: Path
    catalog: FileCatalog | GlueCatalog
    partitions: int
    states: list[Seen] = field(default_factory=list)
    _last: dict[str, PublishedPartition] = field(default_factory=dict)

    def made(self, run: int, *, append: bool = False) -> tuple[PublishedTable, Seen]:
        """Write the files of a run, and return its table and the state that it is.

        A full refresh writes all partitions, and not always the same ones. An append leaves most as they are.
        """
        location = self.folder / f"run={run}"
        if not self.partitions:
            _write(location, "", run)
            table = self._described(run, location, {})
            return table, frozenset({("", str(run), ROWS)})
        values = [f"{number:03d}" for number in range(self.partitions) if append or (number + run) % 7]
        if append and run:
            values = [value for value in values if (int(value) + run) % 3 == 0] + [f"new{run:03d}"]
        written = {}
        for value in values:
            _write(location / f"part={value}", value, run)
            written[value] = PublishedPartition((value,), f"file://{location}/part={value}", ROWS)
        parts = {**self._last, **written} if append else written
        state = frozenset((value, part.location.split("run=")[1].split("/")[0], ROWS) for value, part in parts.items())
        return self._described(run, location, parts), state

    def _described(self, run: int, location: Path, parts: Mapping[str, PublishedPartition]) -> PublishedTable:
        keys = (PublishedColumn("part", "string", ""),) if self.partitions else ()
        ordered = tuple(parts[value] for value in sorted(parts))
        columns = (PublishedColumn("run", "string", ""),)
        return PublishedTable(
            TABLE, "", f"file://{location}", columns, keys, ordered, {"run_id": str(run), "load": "append"}
        )

    def publish(self, table: PublishedTable, state: Seen) -> None:
        """Switch the catalog's table."""
        present = self.catalog.get(TABLE)
        self.states.append(state)  # a reader may see it as soon as the call has begun
        self.catalog.put(table, present.version if present is not None else "")
        self._last = {partition.values[0]: partition for partition in table.partitions}

    def run(self, number: int, *, append: bool = False) -> PublishedTable:
        """Make and publish."""
        table, state = self.made(number, append=append)
        self.publish(table, state)
        return table


def _write(folder: Path, part: str, run: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"run": [str(run)] * ROWS, "of": [part] * ROWS}), folder / "rows.parquet")


def rows_at(location: str) -> Counter[tuple[str, str]]:
    """Count the rows in the files at a location, by partition and run."""
    found: Counter[tuple[str, str]] = Counter()
    for path in Path(location.removeprefix("file://")).glob("*.parquet"):
        table = pq.read_table(path, columns=["of", "run"], partitioning=None)
        found.update(zip(table["of"].to_pylist(), table["run"].to_pylist(), strict=True))
    return found


def seen_at(locations: Sequence[tuple[str, str]]) -> Seen:
    """Read all locations (partition value, location); rows in another partition than they were written for are told."""
    found: Counter[tuple[str, str]] = Counter()
    for value, location in locations:
        for (part, run), rows in rows_at(location).items():
            found[part if part == value else f"{part} in {value}", run] += rows
    return frozenset((part, run, rows) for (part, run), rows in found.items())


def in_documents(path: Path) -> Seen:
    """Read the table as a reader of the file catalog does."""
    document = json.loads(path.read_text())
    parts = [(each["values"][0], each["location"]) for each in document["partitions"]]
    return seen_at(parts if document["partition_keys"] else [("", document["location"])])


@dataclass(frozen=True)
class GlueRead:
    """A read by way of Glue: rows, and what the table said before and after its partitions were listed."""

    seen: Seen
    before: Mapping[str, str]
    after: Mapping[str, str]

    @property
    def is_settled(self) -> bool:
        """Whether the table was not being switched: one version, and no claim."""
        return self.before["version"] == self.after["version"] and not self.before["switching_to"]


def in_glue(client: Any, database: str) -> GlueRead | None:
    """Read the table as an engine does that reads Glue's catalog: the table, its partitions, their files."""

    def look() -> tuple[dict[str, Any], dict[str, str]] | None:
        try:
            table = client.get_table(DatabaseName=database, Name=TABLE)["Table"]
        except client.exceptions.EntityNotFoundException:
            return None
        ours = {name: table["Parameters"].get(f"cleanroom_etl.{name}", "") for name in ("run_id", "switching_to")}
        return table, {**ours, "version": table["VersionId"]}

    looked = look()
    if looked is None:
        return None
    table, before = looked
    if not table["PartitionKeys"]:
        return GlueRead(seen_at([("", table["StorageDescriptor"]["Location"])]), before, before)
    pages = client.get_paginator("get_partitions").paginate(DatabaseName=database, TableName=TABLE)
    parts = [
        (each["Values"][0], each["StorageDescriptor"]["Location"]) for page in pages for each in page["Partitions"]
    ]
    again = look()
    return GlueRead(seen_at(parts), before, again[1] if again is not None else before)


#: Of fewer reads nothing can be said.
ENOUGH: Final = 10


class Watcher:
    """A thread that reads until it is told to stop. ``reads`` are what it saw, ``problem`` what broke it."""

    def __init__(self, read: Callable[[], Any]) -> None:
        self._read = read
        self._stop = threading.Event()
        self.reads: list[Any] = []
        self.problem = ""
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        try:
            while not self._stop.is_set():
                found = self._read()
                if found is not None:
                    self.reads.append(found)
        except Exception as error:  # noqa: BLE001  whatever a reader runs into counts
            self.problem = f"{type(error).__name__}: {error}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def go_on(runs: int, have_enough: Callable[[], bool]) -> Iterator[int]:
    """Count runs from 1, at least ``runs`` and until readers ``have_enough``: how fast they are says nothing."""
    for run in range(1, 20 * runs):
        if run >= runs and have_enough():
            return
        yield run


def follows(reads: Sequence[Any], states: Sequence[Any]) -> int:
    """Return how many reads are no published state, or one that was over already when another was seen."""
    at, wrong = 0, 0
    for read in reads:
        later = [number for number in range(at, len(states)) if states[number] == read]
        wrong += not later
        at = later[0] if later else at
    return wrong


def publish_by_documents(tally: Tally, folder: Path, *, partitions: int, runs: int, append: bool = False) -> None:
    """Publish many runs in the file catalog, going back now and then, while two readers look."""
    catalog = FileCatalog(LocalStorage(folder))
    publisher = Publisher(folder / "curated", catalog, partitions)
    path = folder / "state" / "catalog" / f"{TABLE}.json"
    tables = [publisher.run(0, append=append)]
    with Watcher(lambda: in_documents(path)) as one, Watcher(lambda: in_documents(path)) as two:
        for run in go_on(runs, lambda: min(len(one.reads), len(two.reads)) > ENOUGH):
            tables.append(publisher.run(run, append=append))
            if run % 5 == 0:
                publisher.publish(tables[-3], publisher.states[-3])
    what = f"file catalog, {partitions} partitions{', appended' if append else ''}"
    for watcher in (one, two):
        wrong = follows(watcher.reads, publisher.states)
        tally.figures["reads by the file catalog"] += len(watcher.reads)
        tally.figures["mixtures seen by the file catalog"] += wrong
        tally.check(watcher.reads and not watcher.problem, f"{what}: a reader broke: {watcher.problem}")
        tally.check(not wrong, f"{what}: {wrong} of {len(watcher.reads)} reads were of no published state")
    tally.figures["publications in the file catalog"] += len(publisher.states)


# --- Glue's catalog


class Paced:
    """A client of Glue that calls ``between`` before each change and after it; it may raise, as a process dies."""

    def __init__(self, client: Any, between: Callable[[str], None]) -> None:
        self._client, self.between = client, between

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(**parameters: Any) -> Any:
            changes = operation.startswith(("batch_", "update_", "create_"))
            if changes:
                self.between(f"before {operation}")
            answer = getattr(self._client, operation)(**parameters)
            if changes:
                self.between(f"after {operation}")
            return answer

        return call


class Glue:
    """A database of the made-up Glue, with a publisher in it and a client for readers."""

    def __init__(self, client: Any, folder: Path, database: str, partitions: int) -> None:
        client.create_database(DatabaseInput={"Name": database})
        self.client, self.database = client, database
        self.paced = Paced(client, lambda _: None)
        self.publisher = Publisher(folder, GlueCatalog(self.paced, database), partitions)  # type: ignore[arg-type]

    def read(self) -> GlueRead:
        found = in_glue(self.client, self.database)
        assert found is not None
        return found


def publish_in_glue(tally: Tally, glue: Glue, runs: int, *, append: bool = False) -> None:
    """Publish runs in Glue's catalog while readers look."""
    partitions = glue.publisher.partitions
    glue.publisher.run(0, append=append)
    with (
        Watcher(lambda: in_glue(glue.client, glue.database)) as one,
        Watcher(lambda: glue.publisher.catalog.get(TABLE)) as two,
    ):
        for run in go_on(
            runs,
            lambda: (
                sum(read.is_settled for read in one.reads) > ENOUGH
                and sum(not table.claimed_by for table in two.reads) > ENOUGH
            ),
        ):
            glue.publisher.run(run, append=append)
    states = glue.publisher.states
    what = f"Glue, {partitions} partitions{', appended' if append else ''}"
    for watcher in (one, two):
        tally.check(watcher.reads and not watcher.problem, f"{what}: a reader broke: {watcher.problem}")
    mixed = [read for read in one.reads if read.seen not in states]
    settled = [read for read in one.reads if read.is_settled]
    kind = "partitioned" if partitions else "unpartitioned"
    tally.figures[f"reads by Glue, {kind}"] += len(one.reads)
    tally.figures[f"mixtures seen by Glue, {kind}, by who does not look at the claim"] += len(mixed)
    tally.figures[f"reads by Glue, {kind}, without a claim"] += len(settled)
    wrong = follows([read.seen for read in settled], states)
    tally.figures[f"mixtures seen by Glue, {kind}, without a claim"] += wrong
    tally.check(not wrong, f"{what}: {wrong} of {len(settled)} reads without a claim were of no published state")
    tally.check(partitions or not mixed, f"{what}: {len(mixed)} reads were of no published state")
    ours = [table for table in two.reads if not table.claimed_by]
    for table in ours:
        state = states[int(table.run_id)]
        runs_of = {(part.values[0], part.location.split("run=")[1].split("/")[0]) for part in table.partitions}
        whole = not partitions or runs_of == {(part, run) for part, run, _ in state}
        tally.check(whole, f"{what}: get() mixed run {table.run_id}")
    tally.figures["reads by get()"] += len(ours)
    tally.figures["publications in Glue"] += len(states)


def steps_of_a_switch(tally: Tally, glue: Glue, *, append: bool = False) -> None:
    """Read at every step of one switch: which states are seen, and what the table's parameters say then."""
    partitions = glue.publisher.partitions
    what = f"Glue, {partitions} partitions, a step of a switch"
    glue.publisher.run(0, append=append)
    table, new = glue.publisher.made(1, append=append)
    old = glue.publisher.states[0]
    reads: list[tuple[str, GlueRead]] = []
    glue.paced.between = lambda where: reads.append((where, glue.read()))
    glue.publisher.publish(table, new)
    glue.paced.between = lambda _: None
    tally.figures["steps of switches looked at"] += len(reads)
    moved: set[tuple[str, str, int]] = set()
    for number, (where, read) in enumerate(reads):
        first, last = number == 0, number == len(reads) - 1
        says = (read.before["run_id"], read.before["switching_to"])
        expected = ("0", "") if first else ("1", "") if last else ("0", "1")
        tally.check(says == expected, f"{what}: {where} the table says {says}, not {expected}")
        tally.check(read.seen <= old | new, f"{what}: {where} rows were seen that neither run has")
        names = [part for part, _, _ in read.seen]
        tally.check(len(names) == len(set(names)), f"{what}: {where} a partition was of two runs")
        both = {part for part, _, _ in old & new}
        there = {part for part, _, _ in read.seen}
        kept = {part for part, _, _ in old} & {part for part, _, _ in new}
        tally.check(kept | both <= there, f"{what}: {where} a partition that both runs have was not there")
        tally.check(moved <= read.seen, f"{what}: {where} a partition went back to the run before")
        moved |= read.seen & (new - old)
    tally.check(reads[0][1].seen == old, f"{what}: before the claim the table was not the old one")
    tally.check(reads[-1][1].seen == new, f"{what}: after the switch the table is not the new one")


class Died(BaseException):
    """The process was killed."""


class Killer:
    """Kills a switch at its ``step``-th step."""

    def __init__(self, step: int) -> None:
        self._left = step

    def __call__(self, _: str) -> None:
        self._left -= 1
        if not self._left:
            raise Died


def killed_between_batches(tally: Tally, make: Callable[[], Glue], *, append: bool = False) -> None:
    """Kill a switch at every step; what readers see then, that nobody else gets in, and that running again mends it."""
    for step in itertools.count(1):
        glue = make()
        publisher = glue.publisher
        publisher.run(0, append=append)
        old = publisher.states[0]
        table, new = publisher.made(1, append=append)
        stranger, _ = publisher.made(2, append=append)
        present = publisher.catalog.get(TABLE)
        assert present is not None
        glue.paced.between = Killer(step)
        try:
            publisher.catalog.put(table, present.version)
        except Died:
            pass
        else:
            return
        finally:
            glue.paced.between = lambda _: None
        what = f"Glue, {publisher.partitions} partitions, killed at step {step}"
        read = glue.read()
        is_mixed = read.seen not in (old, new)
        tally.figures["switches killed"] += 1
        tally.figures["mixtures left by kills, all with a claim"] += is_mixed
        tally.check(not is_mixed or read.before["switching_to"] == "1", f"{what}: a mixture without a claim")
        seen = publisher.catalog.get(TABLE)
        assert seen is not None
        if seen.claimed_by:
            tally.check(_is_refused(publisher, stranger, seen.version), f"{what}: another run got in")
        publisher.catalog.put(table, seen.version)
        read = glue.read()
        tally.check((read.seen, read.before["switching_to"]) == (new, ""), f"{what}: run again, it is still mixed")


def _is_refused(publisher: Publisher, table: PublishedTable, version: str) -> bool:
    try:
        publisher.catalog.put(table, version)
    except CatalogConflictError as error:
        return "run 1 is in the middle of publishing people; run it again first" in str(error)
    return False


class Sleeper:
    """Stops a switch at its ``step``-th step until others have finished it and published the next run."""

    def __init__(self, glue: Glue, table: PublishedTable, state: Seen, step: int, *, append: bool) -> None:
        self._glue, self._table, self._state, self._step, self._append = glue, table, state, step, append
        self.passed: list[str] = []

    def __call__(self, where: str) -> None:
        self.passed.append(where)
        if len(self.passed) != self._step + 1:
            return
        publisher, twin = self._glue.publisher, GlueCatalog(self._glue.client, self._glue.database)
        others = dataclasses.replace(publisher, catalog=twin)  # with the same list of states
        others.publish(self._table, self._state)  # the same run, by who took the lock over
        others.run(2, append=self._append)


def woken_after_others(tally: Tally, make: Callable[[], Glue], *, append: bool = False) -> None:
    """Stop a switch at every step until others have finished it and published the next run; then it wakes.

    The one thing that nothing can keep from being done is the call that was about to be sent: batches of partitions
    take no version. A sleep that begins there is told apart; it can spoil that batch until the next full publication.
    """
    for step in itertools.count():
        glue = make()
        publisher = glue.publisher
        publisher.run(0, append=append)
        table, state = publisher.made(1, append=append)
        present = publisher.catalog.get(TABLE)
        assert present is not None
        glue.paced.between = sleeper = Sleeper(glue, table, state, step, append=append)
        said = ""
        try:
            publisher.catalog.put(table, present.version)
        except PipelineError as error:
            said = str(error)
        finally:
            glue.paced.between = lambda _: None
        if len(sleeper.passed) <= step:
            return
        where = sleeper.passed[step]
        what = f"Glue, {publisher.partitions} partitions, slept {where} (step {step + 1})"
        read = glue.read()
        tally.figures["switches that woke after others"] += 1
        is_last = step + 1 == len(sleeper.passed) and where == "after update_table"
        tally.check("run again" in said or (is_last and not said), f"{what}: was told {said!r}")
        says = (read.before["run_id"], read.before["switching_to"])
        tally.check(says == ("2", ""), f"{what}: the table says {says}")
        if where.startswith("before batch"):
            spoiled = len(read.seen ^ publisher.states[-1])
            tally.figures["of them in the midst of sending a batch"] += 1
            tally.check(spoiled <= 2 * _BATCH, f"{what}: more than the one batch was changed")
        else:
            tally.check(read.seen == publisher.states[-1], f"{what}: changed the table")
        publisher.run(3)
        tally.check(glue.read().seen == publisher.states[-1], f"{what}: the next publication did not mend it")


@contextlib.contextmanager
def made_up_glue() -> Iterator[Any]:
    """Serve Glue on this machine; yields a client."""
    with aws_stand_in() as aws:
        yield boto3.client(
            "glue",
            endpoint_url=aws.endpoint,
            region_name="us-east-1",
            aws_access_key_id="made-up",
            aws_secret_access_key="made-up",
        )


def glues(client: Any, folder: Path, partitions: int) -> Callable[..., Glue]:
    """Return what makes a new database each time that it is called, for tables of so many partitions."""
    numbers = itertools.count()

    def make(count: int = partitions) -> Glue:
        name = f"{folder.name.lower()}_{next(numbers)}"
        return Glue(client, folder / name, name, count)

    return make


def all_of_glue(tally: Tally, client: Any, folder: Path, *, runs: int, partitions: int) -> None:
    """Everything about Glue's catalog."""
    make = glues(client, folder, partitions)
    publish_in_glue(tally, make(0), runs * 3)
    for append in (False, True):
        publish_in_glue(tally, make(), runs, append=append)
        steps_of_a_switch(tally, make(), append=append)
        killed_between_batches(tally, make, append=append)
        woken_after_others(tally, make, append=append)


# --- real runs, in the file catalog


def state_in(path: Path) -> dict[str, int]:
    """Read a table of ``generations`` by DuckDB, as a reader of the file catalog does."""
    document = json.loads(path.read_text())
    parts = [each["location"] for each in document["partitions"]] if document["partition_keys"] else None
    files = [
        str(file)
        for location in (parts if parts is not None else [document["location"]])
        for file in sorted(Path(location.removeprefix("file://")).glob("*.parquet"))
    ]
    if not files:
        return {}
    with duckdb.connect() as connection:
        relation = connection.read_parquet(files, hive_partitioning=False)
        rows = relation.aggregate("generation, count(*) AS n", "generation").fetchall()
    return {str(generation): int(count) for generation, count in rows}


def read_in_a_loop(path: Path, stop: Path) -> None:
    """Be a reader in a process of its own: print each state that is seen, until the file ``stop`` is there."""
    while not stop.exists():
        print(json.dumps(state_in(path)), flush=True)


@contextlib.contextmanager
def reader_process(path: Path, stop: Path) -> Iterator[list[dict[str, int]]]:
    """Start that reader; what it has seen is in the list at the end."""
    command = [sys.executable, "-m", "tests.torture.readers", "--read", str(path), str(stop)]
    seen: list[dict[str, int]] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=_PROJECT) as process:
        try:
            assert process.stdout is not None
            seen.append(json.loads(process.stdout.readline()))  # it is at work
            yield seen
        finally:
            stop.touch()
            rest, _ = process.communicate(timeout=60)
            seen += [json.loads(line) for line in rest.splitlines()]
            assert process.returncode == 0


def real_runs(tally: Tally, folder: Path, stage: Stage, mode: str, *, partitioned: bool, runs: int) -> None:
    """Load deliveries by the jobs, going back once, with a janitor at the end, while readers in two processes look."""
    place = Place(folder, stage, mode, partitioned=partitioned).loaded(1)
    what = f"{mode}, {'partitioned' if partitioned else 'unpartitioned'}"
    path = place.source.root / "state" / "catalog" / f"{TABLE}.json"
    states = [after(mode, [1])]
    loaded = [1]

    def did(work: Callable[[], None]) -> None:
        states.append(after(mode, loaded))  # seen as soon as the switch is made, which is before the job ends
        said = place.run_all(work)
        tally.check(not said, f"{what}: {said}")

    with reader_process(path, folder / "stop") as elsewhere, Watcher(lambda: state_in(path)) as here:
        for generation in range(2, runs + 1):
            place.land(generation)
            loaded.append(generation)
            did(place.source.run)
            if generation == runs // 2 + 1:
                loaded.pop()
                did(place.rollback)
        place.stage.later += 20 * _DAY
        did(place.janitor)
    tally.check(place.state == states[-1], f"{what}: in the end the table is {place.state}")
    tally.check(not here.problem, f"{what}: a reader broke: {here.problem}")
    for reads in (here.reads, elsewhere):
        wrong = follows(reads, states)
        tally.figures["reads by the file catalog"] += len(reads)
        tally.figures["of them while real runs published"] += len(reads)
        tally.figures["mixtures seen by the file catalog"] += wrong
        tally.check(reads and not wrong, f"{what}: {wrong} of {len(reads)} reads were of no published state")
    tally.figures["real runs"] += runs


REAL: Final = (
    ("full_refresh", False),
    ("full_refresh", True),
    ("append", True),
    ("upsert", True),
    ("upsert", False),
    ("partition_overwrite", True),
)


def main() -> int:
    """Run the suite in full."""
    from jobs.runtime.session import open_session  # noqa: PLC0415
    from tests import conftest  # noqa: PLC0415

    tally = Tally()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for partitions, append in ((0, False), (30, False), (30, True)):
            publish_by_documents(
                tally, folder / f"{partitions}{append}", partitions=partitions, runs=300, append=append
            )
        with made_up_glue() as client:
            all_of_glue(tally, client, folder / "glue", runs=12, partitions=110)
        os.environ["PYSPARK_PYTHON"] = sys.executable
        os.environ["PYSPARK_SUBMIT_ARGS"] = conftest._SUBMIT
        open_session("readers")
        with Stage() as stage, contextlib.redirect_stdout(io.StringIO()):
            for mode, partitioned in REAL:
                real_runs(tally, folder / f"{mode}{partitioned}", stage, mode, partitioned=partitioned, runs=8)
    return write_figures("readers", tally.figures, tally.failures)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--read"]:
        read_in_a_loop(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        sys.exit(main())
