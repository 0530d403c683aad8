"""Two jobs in an exact order: one stops at a call of its store, others run to their end, then the first goes on.

A job runs on a thread of its own. Every store that it opens belongs to it, so that what its helping threads call counts
as its own. While it is stopped, all of its calls wait. Files are decoded on the job's thread instead of in Spark's
workers, so that reading them can be stopped too. The store's clock can be turned on.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

from jobs import decrypt
from jobs.runtime import lock
from jobs.runtime.decode import Decoded, DecodePlan, decode_task
from jobs.runtime.errors import failure_of
from jobs.runtime.local_storage import LocalStorage
from jobs.runtime.manifest import Entry
from jobs.runtime.objects import ObjectInfo

#: Calls that change something; the others look.
CHANGES: Final = ("create", "replace", "open_output", "copy", "delete", "delete_prefix")
LOOKS: Final = ("list", "find", "read", "chunks", "now")
_PATIENCE: Final = 120.0  # seconds that a job may take to its next stop
_MANY_LEASES: Final = 10_000.0


@dataclass(frozen=True)
class Call:
    """A call of the store: its name, and the key or prefix that it is about."""

    name: str
    key: str

    @property
    def changes(self) -> bool:
        return self.name in CHANGES

    def __str__(self) -> str:
        return f"{self.name} {self.key}".strip()


Stop = Callable[[Call], bool]


def at(name: str, *within: str, nth: int = 1) -> Stop:
    """Stop at the ``nth`` call called ``name`` whose key has all of ``within`` in it."""
    seen = 0

    def stop(call: Call) -> bool:
        nonlocal seen
        seen += call.name == name and all(each in call.key for each in within)
        return seen == nth

    return stop


def at_change(number: int) -> Stop:
    """Stop at the change with that number, from 1."""
    seen = 0

    def stop(call: Call) -> bool:
        nonlocal seen
        seen += call.changes
        return seen == number

    return stop


def every_change(call: Call) -> bool:
    """Stop at each change."""
    return call.changes


@dataclass
class Job:
    """A job on the stage. ``said`` is what its user is told where it failed, empty where it did not."""

    work: Callable[[], None]
    stop: Stop | None = None
    calls: list[Call] = field(default_factory=list)
    said: str = ""
    over: bool = False
    stopped_at: Call | None = None
    _moved: threading.Condition = field(default_factory=threading.Condition)

    def reach(self, call: Call) -> None:
        """Note a call, and wait where the job is stopped, or stops here."""
        with self._moved:
            self.calls.append(call)
            if self.stopped_at is None and self.stop is not None and self.stop(call):
                self.stopped_at = call
                self._moved.notify_all()
            while self.stopped_at is not None:
                self._moved.wait()

    def wait(self) -> Job:
        """Wait until the job stops or is over."""
        with self._moved:
            if not self._moved.wait_for(lambda: self.over or self.stopped_at is not None, _PATIENCE):
                raise TimeoutError(f"the job neither stopped nor ended; its last call: {self.calls[-1:]}")
        return self

    def go_on(self, stop: Stop | None = None) -> Job:
        """Let the job go on to its next stop, or its end."""
        with self._moved:
            self.stop, self.stopped_at = stop, None
            self._moved.notify_all()
        return self.wait()

    def run(self) -> None:
        """Do the work; the thread's part."""
        try:
            self.said = failure_of(self.work)
        finally:
            with self._moved:
                self.over, self.stopped_at = True, None
                self._moved.notify_all()

    @property
    def changes(self) -> list[Call]:
        return [call for call in self.calls if call.changes]


class Stage:
    """Where jobs are run; a context. ``later`` is what the store's clock is ahead of the machine's, in seconds."""

    def __init__(self) -> None:
        self.later = 0.0
        self.jobs: list[Job] = []
        self._here = threading.local()
        self._undo = contextlib.ExitStack()

    def start(self, work: Callable[[], None], stop: Stop | None = None) -> Job:
        """Start a job; come back when it has stopped or is over."""
        job = Job(work, stop)
        self.jobs.append(job)

        def run() -> None:
            self._here.job = job
            job.run()

        threading.Thread(target=run, daemon=True).start()
        return job.wait()

    def run_out(self) -> None:
        """Let every lease run out that is not renewed from now on."""
        self.later += _MANY_LEASES

    def __enter__(self) -> Self:
        self._replace(lock, "_RENEW_SECONDS", 1e6)  # a process that is stopped renews nothing
        self._replace(decrypt, "decode_files", _decode_here)
        opened = LocalStorage.__init__

        def open_as_the_jobs_own(storage: LocalStorage, *arguments: Any, **named: Any) -> None:
            storage.__dict__["of_job"] = getattr(self._here, "job", None)
            opened(storage, *arguments, **named)

        self._replace(LocalStorage, "__init__", open_as_the_jobs_own)
        for name in (*CHANGES, *LOOKS):
            self._replace(LocalStorage, name, self._watched(name, getattr(LocalStorage, name)))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        for job in self.jobs:  # no thread is left behind, whatever a test thinks of it
            while not job.over:
                job.go_on()
        self._undo.close()

    def _replace(self, owner: Any, name: str, value: Any) -> None:
        self._undo.callback(setattr, owner, name, getattr(owner, name))
        setattr(owner, name, value)

    def _watched(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def call(storage: LocalStorage, *arguments: Any, **named: Any) -> Any:
            job = storage.__dict__.get("of_job")
            if job is not None:
                job.reach(Call(name, _key(arguments)))
            answer = method(storage, *arguments, **named)
            if name == "now":
                return answer + self.later
            if name == "chunks" and job is not None:
                return _chunk_by_chunk(job, arguments[0].key, answer)
            return answer

        return call


def _key(arguments: Sequence[Any]) -> str:
    first = arguments[0] if arguments else ""
    return first.key if isinstance(first, ObjectInfo) else str(first)


def _chunk_by_chunk(job: Job, key: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        job.reach(Call("after a chunk of", key))
        yield chunk


def _decode_here(_: object, plan: DecodePlan, entries: Sequence[Entry]) -> Decoded:
    return decode_task(plan, entries) if entries else Decoded((), ())
