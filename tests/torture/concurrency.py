"""Two at once, in every order that matters: what the table is in the end, and what the one that lost is told.

    python -m tests.torture.concurrency

A job is stopped at a call of its store, the other goes to its end, then the first goes on (see ``interleaving``). Each
time the table must be what one of the serial orders makes of it (``generations`` says what that is), whoever lost must
be told what to do in a sentence, and running again must bring whatever is not in the table yet.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from unittest import mock

from jobs import archive, backfill, decrypt, janitor, rollback, transform
from jobs.runtime import local_storage
from jobs.runtime.args import parse_args
from jobs.runtime.ledger import all_runs
from jobs.runtime.local_storage import LocalStorage
from tests.torture.figures import write_figures
from tests.torture.generations import MODES, NAME, TABLE, State, after, delivery, make_source, name_of, state_of
from tests.torture.interleaving import Call, Stage, Stop, at_change, every_change

_DAY: Final = 86_400.0
_OTHER: Final = "other"
_SMALL_CHUNK: Final = 40  # bytes
_SOME_CHANGES: Final = (4, 8, 10, 13)  # of a run: in decrypt, transform, publish, archive


@dataclass
class Tally:
    """What was tried, and what was not as it should be."""

    figures: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def check(self, is_right: object, what: str) -> None:
        self.figures["checks"] += 1
        if not is_right:
            self.failures.append(what)


class Place:
    """A folder with a source and its table, that can be put back to how it was."""

    def __init__(self, folder: Path, stage: Stage, mode: str, *, partitioned: bool = True) -> None:
        self.folder, self.stage, self.mode, self.partitioned = folder, stage, mode, partitioned
        self.source = make_source(folder, mode, partitioned=partitioned)
        self._kept: dict[str, float] = {}

    def loaded(self, *generations: int) -> Place:
        """Load deliveries, one run each, and keep how the place is then."""
        for generation in generations:
            self.land(generation)
            said = self.run_all(self.source.run)
            assert not said, said
        return self.keep()

    def keep(self) -> Place:
        """Keep how the place is."""
        shutil.rmtree(self.folder / "kept", ignore_errors=True)
        shutil.copytree(self.source.root, self.folder / "kept")
        self._kept = {"later": self.stage.later, "clock": self.source.clock}
        return self

    def put_back(self) -> None:
        """Make the place what it was when it was kept."""
        shutil.rmtree(self.source.root)
        shutil.copytree(self.folder / "kept", self.source.root)
        self.stage.later, self.source.clock = self._kept["later"], self._kept["clock"]

    def land(self, generation: int) -> None:
        self.source.land(name_of(generation), delivery(self.mode, generation))

    def run_all(self, work: Callable[[], None]) -> str:
        """Run a job to its end; return what its user is told where it fails."""
        self.stage.later += 2  # ids of runs sort by their seconds
        return self.stage.start(work).said

    @property
    def state(self) -> State:
        return state_of(self.source.rows(TABLE))

    @property
    def storage(self) -> LocalStorage:
        return LocalStorage(self.source.root)

    def rollback(self, *more: str) -> None:
        rollback.main(parse_args(rollback.Args, [f"--table={TABLE}", f"--root=file://{self.source.root}", *more]))

    def rollback_to_the_first(self) -> None:
        first = next(iter(all_runs(self.storage)))
        self.rollback(f"--to-run={first}")

    def janitor(self) -> None:
        janitor.main(parse_args(janitor.Args, [f"--root=file://{self.source.root}", "--keep-days=1"]))

    def step(self, job: str) -> Callable[[], None]:
        """Return one of the three jobs that a run is made of."""
        connector = f"--connector=file://{self.folder}/definitions/connectors/{NAME}.toml"
        words = [connector, f"--root=file://{self.source.root}"]
        if job == "decrypt":
            return lambda: decrypt.main(parse_args(decrypt.Args, [*words, "--quiet-seconds=0"]))
        if job == "transform":
            return lambda: transform.main(parse_args(transform.Args, words))
        return lambda: archive.main(parse_args(archive.Args, words))

    def backfill(self, *more: str) -> Callable[[], None]:
        words = [f"--connector=file://{self.folder}/definitions/connectors/{NAME}.toml", "--quiet-seconds=0", *more]
        return lambda: backfill.main(parse_args(backfill.Args, [f"--root=file://{self.source.root}", *words]))

    def archived(self) -> list[str]:
        """Return the names of the originals in the archive, a name for each time that it is there."""
        return sorted(path.name for path in (self.source.root / "archive").rglob("*.csv"))

    def landing(self) -> list[str]:
        return sorted(path.name for path in self.source.landing.rglob("*") if path.is_file())

    def unfinished(self) -> list[str]:
        return [run for run, known in all_runs(self.storage).items() if not known.is_over]


#: A sentence for the person on call has one of these in it.
_NEXT_STEPS: Final = ("again", "later", "--", "jobs/")


def is_clear(said: str) -> bool:
    """Tell whether what a user is told names what it is about and what to do, and is no stack trace."""
    lines = said.splitlines()
    names = (NAME, _OTHER, TABLE)
    return (
        said.startswith("error: ")
        and not any(line.startswith("  at ") for line in lines)
        and any(name in said for name in names)
        and any(step in said for step in _NEXT_STEPS)
    )


def _check_end(tally: Tally, place: Place, what: str, expected: Collection[State]) -> None:
    """See that the table is one of the expected, nothing is left undone by running again, and no lock is left."""
    tally.check(place.state in expected, f"{what}: the table is {place.state}, not one of {list(expected)}")
    tally.check(place.storage.find(f"state/{NAME}/lock.json") is None, f"{what}: a lock was left")


def _bring_the_rest(tally: Tally, place: Place, what: str, expected: State, deliveries: Sequence[int]) -> None:
    """Run again until there is nothing to do; then everything that was delivered must be in table and archive."""
    for _ in range(4):
        said = place.run_all(place.source.run)
        tally.check(not said, f"{what}: run again: {said}")
        if not place.unfinished() and not place.landing():
            break
    tally.check(place.state == expected, f"{what}: after running again the table is {place.state}, not {expected}")
    tally.check(not place.landing(), f"{what}: {place.landing()} are left in landing/")
    tally.check(not place.unfinished(), f"{what}: {len(place.unfinished())} runs are left unfinished")
    missing = {name_of(number) for number in deliveries} - set(place.archived())
    tally.check(not missing, f"{what}: {missing} are not in the archive")


# --- one of them holds the lock


def refused_while_held(tally: Tally, place: Place) -> None:
    """At each change that a run makes, start every other job: none gets in, each is told who is at work."""
    place.put_back()
    place.land(2)
    works = {
        "run": place.source.run,
        "decrypt": place.step("decrypt"),
        "transform": place.step("transform"),
        "archive": place.step("archive"),
        "rollback": place.rollback_to_the_first,
    }
    first = place.stage.start(place.source.run, every_change)
    first.go_on(every_change)  # past the lock itself
    while not first.over:
        where = first.stopped_at
        for name, work in works.items():
            said = place.stage.start(work).said
            what = f"{place.mode}: {name} while a run was about to {where}"
            tally.figures["interleavings"] += 1
            tally.check("another run of source is going on: process" in said, f"{what} was not refused: {said!r}")
            tally.check(is_clear(said), f"{what} was told: {said}")
        before = place.storage.list("curated/")
        keys = {item.key for item in before}
        tally.check(
            not place.stage.start(place.janitor).said, f"{place.mode}: janitor while a run was about to {where}"
        )
        tally.figures["interleavings"] += 1
        tally.check(keys == {item.key for item in place.storage.list("curated/")}, f"janitor deleted during {where}")
        first.go_on(every_change)
    tally.check(not first.said, f"{place.mode}: the run that held the lock: {first.said}")
    _check_end(tally, place, f"{place.mode}: a run that was not disturbed", [after(place.mode, [1, 2])])


# --- one of them has looked, and gets the lock after the other


@dataclass(frozen=True)
class Pair:
    """Two jobs: the first is stopped at each of its calls in turn while the second runs."""

    name: str
    first: Callable[[Place], Callable[[], None]]
    second: Callable[[Place], Callable[[], None]]


def _run(place: Place) -> Callable[[], None]:
    return place.source.run


def _rollback(place: Place) -> Callable[[], None]:
    return place.rollback


def _janitor(place: Place) -> Callable[[], None]:
    return place.janitor


def _rollback_to_the_first(place: Place) -> Callable[[], None]:
    return place.rollback_to_the_first


PAIRS: Final = (
    Pair("rollback to the first run, then janitor", _rollback_to_the_first, _janitor),
    Pair("janitor, then rollback to the first run", _janitor, _rollback_to_the_first),
    Pair("run, then run", _run, _run),
    Pair("rollback, then run", _rollback, _run),
    Pair("rollback, then rollback", _rollback, _rollback),
    Pair("rollback, then janitor", _rollback, _janitor),
    Pair("janitor, then run", _janitor, _run),
    Pair("janitor, then rollback", _janitor, _rollback),
    Pair("janitor, then janitor", _janitor, _janitor),
)


def in_turn(tally: Tally, place: Place, pair: Pair, *, every: int = 1) -> None:
    """Stop the first of a pair at every (``every``-th) call of its own, and let the second run to its end there.

    Deliveries 1 to 3 are loaded, 4 has landed, and a month has passed, so that the janitor has something to delete.
    """
    for number in itertools.count(every, every):
        place.put_back()
        place.stage.later += 30 * _DAY
        place.land(4)
        first = place.stage.start(pair.first(place), _at_call(number))
        if first.over:
            return
        where = first.stopped_at
        holds = place.storage.find(f"state/{NAME}/lock.json") is not None
        second = place.run_all(pair.second(place))
        first.go_on()
        what = f"{place.mode}: {pair.name}, at {where}"
        tally.figures["interleavings"] += 1
        for said in (first.said, second):
            tally.check(not said or is_clear(said), f"{what}: was told: {said}")
        is_janitor = pair.second is _janitor  # which goes on with the next table, and says so in its lines
        is_refused = "another run of source is going on" in second
        tally.check(is_refused == (holds and not is_janitor), f"{what}: the second was told {second!r}")
        tally.check(not (first.said and second), f"{what}: nobody won: {first.said} / {second}")
        _check_end(tally, place, what, _serial(place, pair, bool(first.said), bool(second)))
        said = place.run_all(place.source.run)
        tally.check(not said, f"{what}: run again: {said}")
        ends = [after(place.mode, each) for each in _ENDS]
        tally.check(place.state in ends, f"{what}: after running again the table is {place.state}")
        tally.check(not place.landing(), f"{what}: {place.landing()} are left in landing/")


#: What may be in the table in the end: a rollback may have come before or after the last delivery.
_ENDS: Final = ([1], [1, 2], [1, 2, 3], [1, 4], [1, 2, 4], [1, 2, 3, 4])


def _serial(place: Place, pair: Pair, first_lost: bool, second_lost: bool) -> list[State]:  # noqa: FBT001
    """Return what the serial orders of those of the pair that won make of the table."""
    won = [job for job, lost in ((pair.first, first_lost), (pair.second, second_lost)) if not lost]
    orders = [won, list(reversed(won))]
    return [after(place.mode, _loaded(order)) for order in orders]


def _loaded(order: Sequence[Callable[[Place], Callable[[], None]]]) -> list[int]:
    """Return the deliveries that are in the table after the jobs in that order: 1 to 3 were, 4 has landed."""
    history = [[1], [1, 2], [1, 2, 3]]
    landed = True
    for job in order:
        if job is _run and landed:
            history.append([*history[-1], 4])
            landed = False
        elif job is _rollback and len(history) > 1:
            history.pop()
        elif job is _rollback_to_the_first:
            history.append(history[0])
    return history[-1]


def _at_call(number: int) -> Stop:
    seen = 0

    def stop(_: Call) -> bool:
        nonlocal seen
        seen += 1
        return seen == number

    return stop


# --- a run that was stopped so long that another one took over


def overtaken(tally: Tally, place: Place, *, points: Collection[int] | None = None, more: bool = True) -> None:
    """Stop a run at each change until its lease is over and another has done its work; then it goes on.

    ``more``: yet another delivery was loaded by then. Whatever the run that wakes does, the table stays as it is.
    """
    for number in points or itertools.count(1):
        place.put_back()
        place.land(2)
        first = place.stage.start(place.source.run, at_change(number))
        if first.over:
            return
        where = first.stopped_at
        what = f"{place.mode}: a run that slept when it was about to {where}"
        place.stage.run_out()
        said = place.run_all(place.source.run)
        tally.check(not said, f"{what}: the one that took over: {said}")
        deliveries = [1, 2]
        if more:
            place.land(3)
            deliveries.append(3)
            said = place.run_all(place.source.run)
            tally.check(not said, f"{what}: the one after: {said}")
        catalog = place.source.catalog(TABLE)
        first.go_on()
        tally.figures["interleavings"] += 1
        tally.figures["runs that woke after they were taken over"] += 1
        is_over = where is not None and where.name == "delete" and where.key.endswith("lock.json")
        tally.check(not first.said or is_clear(first.said), f"{what}: was told: {first.said}")
        tally.check(is_over or first.said or number == 1, f"{what}: went on as if nothing were")
        tally.check(place.source.catalog(TABLE) == catalog, f"{what}: changed the table")
        _check_end(tally, place, what, [after(place.mode, deliveries)])
        _bring_the_rest(tally, place, what, after(place.mode, deliveries), deliveries)


SLEEPERS: Final = (
    Pair("rollback that slept, then janitor", _rollback, _janitor),
    Pair("janitor that slept, then rollback", _janitor, _rollback),
    Pair("rollback that slept, then run", _rollback, _run),
    Pair("janitor that slept, then run", _janitor, _run),
    Pair("rollback to the first run that slept, then janitor", _rollback_to_the_first, _janitor),
    Pair("janitor that slept, then rollback to the first run", _janitor, _rollback_to_the_first),
)


def overtaken_helper(tally: Tally, place: Place, pair: Pair) -> None:
    """Let a rollback or a janitor sleep at each change until another job has done its work under the same lock."""
    for number in itertools.count(2):
        place.put_back()
        place.stage.later += 30 * _DAY
        place.land(4)
        first = place.stage.start(pair.first(place), at_change(number))
        if first.over:
            return
        what = f"{place.mode}: {pair.name}, at {first.stopped_at}"
        place.stage.run_out()
        second = place.run_all(pair.second(place))
        # A run that a janitor had begun to delete cannot be shown again; nothing else goes wrong.
        is_safe = not second or "has begun to delete" in second
        tally.check(is_safe, f"{what}: the one that took over: {second}")
        first.go_on()
        tally.figures["interleavings"] += 1
        tally.figures["runs that woke after they were taken over"] += 1
        tally.check(not first.said or is_clear(first.said), f"{what}: was told: {first.said}")
        _check_end(tally, place, what, _serial(place, pair, bool(first.said), bool(second)))


# --- two connectors, one table


def two_connectors(tally: Tally, place: Place, *, points: Collection[int] | None = None) -> None:
    """Two connectors feed one table, under a lock each: stop the one at each change while the other publishes."""
    for number in points or itertools.count(2):
        place.put_back()
        other = make_source(place.folder, place.mode, partitioned=place.partitioned, name=_OTHER)
        place.land(2)
        other.clock = place.source.clock
        other.land(name_of(3), delivery(place.mode, 3))
        first = place.stage.start(place.source.run, at_change(number))
        if first.over:
            return
        where = first.stopped_at
        what = f"{place.mode}: a run of another connector, at {where}"
        said = place.run_all(other.run)
        tally.check(not said, f"{what}: was told: {said}")
        first.go_on()
        tally.figures["interleavings"] += 1
        tally.check(
            not first.said or is_clear(first.said), f"{what}: the one that was overtaken was told: {first.said}"
        )
        won = [after(place.mode, [1, 2, 3])]
        if place.mode == "full_refresh":  # each delivery is the table: whoever is last
            won.append(after(place.mode, [1, 2]))
        if first.said:
            won = [after(place.mode, [1, 3])]
        tally.check(place.state in won, f"{what}: the table is {place.state}")
        said = place.run_all(place.source.run)
        tally.check(not said, f"{what}: run again: {said}")
        last = [1, 2, 3] if place.mode != "full_refresh" or not first.said else [1, 2]
        ends = [after(place.mode, last), *([after(place.mode, [1, 2])] if place.mode == "full_refresh" else [])]
        tally.check(place.state in ends, f"{what}: after running again the table is {place.state}, not {ends}")
        tally.check(not place.landing(), f"{what}: {place.landing()} are left in landing/")


# --- the vendor


def overwritten(tally: Tally, place: Place, how: str, *, every: int = 1) -> None:
    """Let the vendor overwrite, delete or add to its delivery at each (``every``-th) call of the run that is about it.

    ``how``: ``renamed`` (a new file in its place), ``in_place``, ``deleted``, or ``late`` (another object lands). Files
    are read in chunks that are small enough for a delivery to have several.
    """
    with mock.patch.object(local_storage, "CHUNK_SIZE", _SMALL_CHUNK):
        _overwritten(tally, place, how, every)


def _overwritten(tally: Tally, place: Place, how: str, every: int) -> None:
    for number in itertools.count(every, every):
        place.put_back()
        place.land(2)
        first = place.stage.start(place.source.run, _at_landing(number))
        if first.over:
            return
        where = first.stopped_at
        what = f"{place.mode}: the delivery was {how} at {where}"
        lands = {"late": 3, "deleted": None}.get(how, 4)
        _vendor(place, how)
        first.go_on()
        tally.figures["interleavings"] += 1
        tally.figures["overwritten or added while a run read or archived"] += 1
        tally.check(not first.said or _is_about_files(first.said), f"{what}: was told: {first.said}")
        one_of = [after(place.mode, each) for each in ([1], [1, 2], *([[1, lands], [1, 2, lands]] if lands else []))]
        tally.check(place.state in one_of, f"{what}: the table is {place.state}, a mixture")
        _check_archive(tally, place, what)
        for _ in range(2):
            said = place.run_all(place.source.run)
            tally.check(not said, f"{what}: run again: {said}")
        if lands is not None:
            tally.check(str(lands) in place.state, f"{what}: what came last is not in the table: {place.state}")
        tally.check(not place.landing(), f"{what}: {place.landing()} are left in landing/")
        tally.check(not place.unfinished(), f"{what}: a run is left unfinished")
        _check_archive(tally, place, what)


def _vendor(place: Place, how: str) -> None:
    path = place.source.landing / name_of(2)
    place.source.clock += 60
    if how == "deleted":
        path.unlink(missing_ok=True)
        return
    if how == "late":
        place.land(3)
        return
    data = delivery(place.mode, 4).encode()
    if how == "renamed":
        beside = path.with_name("beside")
        beside.write_bytes(data)
        os.utime(beside, (place.source.clock, place.source.clock))
        beside.replace(path)
    else:
        path.write_bytes(data)
        os.utime(path, (place.source.clock, place.source.clock))


def _at_landing(number: int) -> Stop:
    """Stop at the run's call with that number, of those about what has landed."""
    seen = 0

    def stop(call: Call) -> bool:
        nonlocal seen
        seen += f"landing/{NAME}/" in call.key
        return seen == number

    return stop


def _is_about_files(said: str) -> bool:
    return said.startswith("error: ") and "\n  at " not in said and name_of(2) in said and "again" in said


def _check_archive(tally: Tally, place: Place, what: str) -> None:
    """See that the archive holds, for each run, the very bytes that the run has loaded: rows tell their delivery."""
    for run, known in all_runs(place.storage).items():
        entry = known.run.entry("archive")
        if entry is None:
            continue
        data = [place.source.root / "archive" / NAME / f"run={run}" / each.name for each in known.run.manifest.data]
        archived = {path.read_text().splitlines()[1].split(",")[1] for path in data if path.exists()}
        loaded = {row["generation"] for row in _rows_of_run(place, run)}
        newest = {max(archived, key=int, default="")}
        tally.check(not archived or newest == loaded, f"{what}: run {run} has loaded {loaded} and archived {archived}")


def _rows_of_run(place: Place, run: str) -> list[dict[str, str]]:
    """Return the rows that a run has written of its own: those of generations that no earlier run had."""
    import duckdb  # noqa: PLC0415

    files = [str(path) for path in (place.source.root / "curated" / TABLE / f"run={run}").rglob("*.parquet")]
    if not files:
        return []
    with duckdb.connect() as connection:
        relation = connection.read_parquet(files, hive_partitioning=False)
        rows = [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]
    newest = max((row["generation"] for row in rows), key=int, default="")
    return [row for row in rows if row["generation"] == newest]


# --- backfills


def backfills(tally: Tally, place: Place, *, points: Collection[int] | None = None) -> None:
    """Stop a backfill of two deliveries at each change: nobody gets in; then it sleeps, and its like takes over."""
    place.put_back()
    for generation in (2, 3):
        place.land(generation)
    for name in ("one", "two"):
        said = place.run_all(place.backfill(f"--plan={name}", "--unit=day", "--reason=two at once"))
        tally.check(not said, f"{place.mode}: plan {name}: {said}")
    place.keep()
    expected = after(place.mode, [1, 2, 3])
    for number in points or itertools.count(2):
        place.put_back()
        first = place.stage.start(place.backfill("--run=one"), at_change(number))
        if first.over:
            return
        what = f"{place.mode}: a backfill at {first.stopped_at}"
        others = {
            "the same one": place.backfill("--run=one"),
            "another one": place.backfill("--run=two"),
            "a run": place.source.run,
            "a rollback": place.rollback_to_the_first,
        }
        for name, work in others.items():
            said = place.run_all(work)
            tally.figures["interleavings"] += 1
            tally.check("another run of source is going on" in said, f"{what}: {name} was not refused: {said!r}")
        place.stage.run_out()
        begun = place.storage.find(f"state/{NAME}/backfill=one/begun.json") is not None
        for name, work in list(others.items())[1:] if begun else ():
            said = place.run_all(work)
            tally.figures["interleavings"] += 1
            named = "backfill one of source was begun and is not finished" in said and "--run one" in said
            tally.check(named, f"{what}, which slept: {name} was not refused: {said!r}")
        said = place.run_all(place.backfill("--run=one"))
        tally.check(not said, f"{what}, which slept: the same one again: {said}")
        catalog = place.source.catalog(TABLE)
        first.go_on()
        tally.figures["interleavings"] += 1
        tally.figures["runs that woke after they were taken over"] += 1
        tally.check(not first.said or is_clear(first.said), f"{what}, which slept: was told: {first.said}")
        tally.check(place.source.catalog(TABLE) == catalog, f"{what}, which slept: changed the table")
        _check_end(tally, place, f"{what}, which slept", [expected])
        _bring_the_rest(tally, place, f"{what}, which slept", expected, [1, 2, 3])


# --- all of it


def places(folder: Path, stage: Stage, *generations: int, modes: Sequence[str] = MODES) -> list[Place]:
    """Make a place for each load mode with those deliveries loaded."""
    return [Place(folder / mode, stage, mode).loaded(*generations) for mode in modes]


def main() -> int:
    """Run the suite in full: full refreshes at every point, the modes that merge, whose runs take long, at some."""
    from jobs.runtime.session import open_session  # noqa: PLC0415
    from tests import conftest  # noqa: PLC0415

    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["PYSPARK_SUBMIT_ARGS"] = conftest._SUBMIT
    open_session("concurrency")
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder, Stage() as stage, contextlib.redirect_stdout(io.StringIO()):
        for place in places(Path(folder) / "one", stage, 1):
            quick = place.mode == "full_refresh"
            refused_while_held(tally, place)
            overtaken(tally, place, points=None if quick else _SOME_CHANGES)
            two_connectors(tally, place, points=None if quick else _SOME_CHANGES)
            for how in ("renamed", "in_place", "deleted", "late"):
                overwritten(tally, place, how, every=1 if quick else 7)
        for place in places(Path(folder) / "three", stage, 1, 2, 3, modes=("full_refresh", "append")):
            for pair in PAIRS:
                in_turn(tally, place, pair, every=3 if place.mode == "full_refresh" else 17)
            for pair in SLEEPERS:
                overtaken_helper(tally, place, pair)
        for place in places(Path(folder) / "backfills", stage, 1, modes=("append", "upsert")):
            backfills(tally, place, points=range(2, 40, 3))
    return write_figures("concurrency", tally.figures, tally.failures)


if __name__ == "__main__":
    sys.exit(main())
