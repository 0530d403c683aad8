"""Faults at named calls of the jobs: of storage, catalog, keys, notification and Spark's writers.

Every call has a name made of the step of a job that made it, what it does and on what, without run ids, numbers of
attempts and random parts: ``archive._move: storage.copy landing/source/*``. A fault strikes at one call of one name,
before or after its effect. It is installed from outside, by replacing the factories that the jobs call; tasks of
decrypt install it in their own processes.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import inspect
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final
from unittest import mock

import boto3
from botocore.exceptions import ClientError, ConnectionClosedError
from pyspark import SparkContext
from pyspark.sql.readwriter import DataFrameWriter

import jobs.runtime.catalog
import jobs.runtime.decode
import jobs.runtime.keys
import jobs.runtime.notify
import jobs.runtime.storage
from jobs.runtime.catalog import Catalog
from jobs.runtime.errors import KeyUnavailableError, PipelineError, StorageError
from jobs.runtime.objects import ObjectInfo
from jobs.runtime.published_table import PublishedTable
from jobs.runtime.storage import Storage

BEFORE: Final = "before"
AFTER: Final = "after"
KILL: Final = "kill"  # SIGKILL: nothing is tidied up
STOP: Final = "stop"  # an exception that no handler swallows, and that tidies up on its way
ERROR: Final = "error"  # the call fails as its service fails
WORKER: Final = "worker"  # SIGKILL of the Python worker alone that made the call
EXECUTOR: Final = "executor"  # SIGKILL of the executor whose worker made the call; of the driver, of any one
SLOW: Final = "slow"  # the call takes so long that Spark starts the task a second time

_JOBS: Final = Path(jobs.runtime.storage.__file__).parents[1]
_IN_TASK: Final = "decode_task"
_SLOW_SECONDS: Final = 15.0
_VARIABLE: Final = (
    (re.compile(r"run=[^/]+"), "run=*"),
    (re.compile(r"attempt=\d+"), "attempt=*"),
    (re.compile(r"attempt-\d+"), "attempt-*"),
    (re.compile(r"/(decrypt|transform)-\d+"), r"/\1-*"),
    (re.compile(r"(part|refused)-[^/]+"), r"\1-*"),
    (re.compile(r"((?:landing|archive|quarantine)/[^/]+/(?:run=\*/)?)(.+?)(\.reason\.json)?$"), r"\1*\3"),
)


class Stopped(BaseException):
    """The process is stopped here; no handler of errors may take it for one."""


@dataclass(frozen=True)
class Fault:
    """What is to happen at the call number ``number`` (from 1) of the name ``point``."""

    point: str
    number: int
    moment: str
    kind: str

    def __str__(self) -> str:
        return f"{self.kind} {self.moment} {self.point} (call {self.number})"


@dataclass(frozen=True)
class Faults:
    """A fault, or none, and the folder in which all processes of one command note their calls."""

    notes: Path
    fault: Fault | None = None
    whole_session: bool = False

    def begin(self) -> None:
        """Note that this process is the driver."""
        self.notes.mkdir(parents=True, exist_ok=True)
        (self.notes / "driver").write_text(str(os.getpid()))

    @property
    def has_struck(self) -> bool:
        """Whether the fault has happened."""
        return (self.notes / "struck").exists()

    def calls(self) -> list[str]:
        """Return the names of the calls in their order."""
        path = self.notes / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def note(self, name: str, text: str) -> None:
        """Append a line, which processes do at the same time."""
        descriptor = os.open(self.notes / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(descriptor, f"{text}\n".encode())
        os.close(descriptor)

    def call(self, what: str, key: str, work: Callable[[], Any], error: Callable[[], Exception]) -> Any:
        """Do ``work``, or let the fault strike before or after it."""
        step = _step()
        if step is None:
            return work()
        point = f"{step}: {what} {named(key)}".rstrip()
        if self.fault is None:
            self.note("calls", point)
            return work()
        strikes = point == self.fault.point and self._number(point) == self.fault.number
        if strikes and self.fault.moment == BEFORE:
            self._strike(error)
        try:
            return work()
        finally:  # an answer that something is not there is one too
            if strikes and self.fault.moment == AFTER:
                self._strike(error)

    def _number(self, point: str) -> int:
        """Count this call, whichever process it is in."""
        digest, number = hashlib.sha256(point.encode()).hexdigest()[:16], 1
        while True:
            try:
                os.close(os.open(self.notes / f"{digest}-{number}", os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                number += 1
            else:
                return number

    def _strike(self, error: Callable[[], Exception]) -> None:
        (self.notes / "struck").touch()
        kind = self.fault.kind if self.fault is not None else ""
        if kind == ERROR:
            raise error()
        if kind == STOP:
            raise Stopped
        if kind == SLOW:
            time.sleep(_SLOW_SECONDS)
            return
        if kind == EXECUTOR:
            kill_executor()
            return
        if self.whole_session:
            kill_session()
        if kind != WORKER:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int((self.notes / "driver").read_text()), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)


def kill_executor() -> None:
    """Kill the executor that this process works for, or, in the driver, the first one that it has."""
    context = SparkContext._active_spark_context
    if context is None:
        os.kill(_parent_of(os.getppid()), signal.SIGKILL)  # worker, its daemon, the executor
        os.kill(os.getpid(), signal.SIGKILL)
        return
    mark = f"--app-id\0{context.applicationId}\0".encode()
    for folder in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        with contextlib.suppress(OSError):
            if mark in (folder / "cmdline").read_bytes():
                os.kill(int(folder.name), signal.SIGKILL)
                return
    raise AssertionError("there is no executor to kill")


def _parent_of(process: int) -> int:
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def kill_session() -> None:
    """Kill every process of this session, Java and Python's workers included, this one last."""
    session = os.getsid(0)
    for folder in Path("/proc").glob("[0-9]*"):
        process = int(folder.name)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if process != os.getpid() and os.getsid(process) == session:
                os.kill(process, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def named(key: str) -> str:
    """Return a key without what differs from run to run and from file to file."""
    for pattern, text in _VARIABLE:
        key = pattern.sub(text, key)
    return key


def _step() -> str | None:
    """Return the function of a job, or else of a thread that the runtime started, that is at work.

    None for the thread that only keeps the lock: when it calls depends on the clock.
    """
    frame, thread = inspect.currentframe(), None
    while frame is not None:
        code, path = frame.f_code, Path(frame.f_code.co_filename)
        function = f"{path.stem}.{code.co_qualname.partition('.<locals>')[0]}"
        if path.parent == _JOBS:
            return function
        if code.co_name == _IN_TASK:
            return f"decrypt.{_IN_TASK}"
        if path.parent == _JOBS / "runtime":
            thread = function
        frame = frame.f_back
    return None if thread == "lock.Lock._renew_until_stopped" else thread


class FaultyStorage:
    """A store whose calls may fail."""

    def __init__(self, inner: Storage, faults: Faults) -> None:
        self._inner, self._faults = inner, faults
        self.root = inner.root

    def _call(self, what: str, key: str, work: Callable[[], Any]) -> Any:
        return self._faults.call(f"storage.{what}", key, work, lambda: StorageError(f"{key}: made up: {what} failed"))

    def uri(self, key: str) -> str:
        return self._inner.uri(key)

    def key_of(self, uri: str) -> str:
        return self._inner.key_of(uri)

    def now(self) -> float:
        return self._inner.now()

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        return iter(self._call("list", prefix, lambda: list(self._inner.list(prefix))))

    def find(self, key: str) -> ObjectInfo | None:
        return self._call("find", key, lambda: self._inner.find(key))  # type: ignore[no-any-return]

    def chunks(self, item: ObjectInfo, offset: int = 0) -> Iterator[bytes]:
        chunks = self._inner.chunks(item, offset)
        first = self._call("chunks", item.key, lambda: next(chunks, None))  # after: amid the object
        if first is not None:
            yield first
            yield from chunks

    def read(self, key: str) -> bytes:
        return self._call("read", key, lambda: self._inner.read(key))  # type: ignore[no-any-return]

    def create(self, key: str, data: bytes) -> str:
        return self._call("create", key, lambda: self._inner.create(key, data))  # type: ignore[no-any-return]

    def replace(self, key: str, data: bytes, etag: str) -> str:
        return self._call("replace", key, lambda: self._inner.replace(key, data, etag))  # type: ignore[no-any-return]

    @contextlib.contextmanager
    def open_output(self, key: str) -> Iterator[IO[bytes]]:
        opened = contextlib.ExitStack()
        file = self._call("open_output", key, lambda: opened.enter_context(self._inner.open_output(key)))
        with opened:
            yield file
            # Everything is written, and nobody can see it yet; or it is there, and the writer does not know.
            self._call("close_output", key, opened.close)

    def copy(self, item: ObjectInfo, target: str) -> None:
        self._call("copy", target, lambda: self._inner.copy(item, target))

    def delete(self, item: ObjectInfo) -> None:
        self._call("delete", item.key, lambda: self._inner.delete(item))

    def delete_prefix(self, prefix: str) -> int:
        return self._call("delete_prefix", prefix, lambda: self._inner.delete_prefix(prefix))  # type: ignore[no-any-return]

    def delete_folder_markers(self, prefix: str) -> None:
        self._call("delete_folder_markers", prefix, lambda: self._inner.delete_folder_markers(prefix))


class FaultyCatalog:
    """A catalog whose calls may fail."""

    def __init__(self, inner: Catalog, faults: Faults) -> None:
        self._inner, self._faults = inner, faults

    def _call(self, what: str, name: str, work: Callable[[], Any]) -> Any:
        return self._faults.call(f"catalog.{what}", name, work, lambda: PipelineError(f"{name}: made up"))

    def describe(self) -> str:
        return self._inner.describe()

    def names(self) -> list[str]:
        return self._call("names", "", self._inner.names)  # type: ignore[no-any-return]

    def get(self, name: str) -> PublishedTable | None:
        return self._call("get", name, lambda: self._inner.get(name))  # type: ignore[no-any-return]

    def put(self, table: PublishedTable, expected_version: str) -> None:
        self._call("put", table.name, lambda: self._inner.put(table, expected_version))


class FaultyClient:
    """A client of AWS whose calls may fail: refused before their effect, their answer lost after it."""

    def __init__(self, inner: Any, service: str, faults: Faults) -> None:
        self._inner, self._service, self._faults = inner, service, faults

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        if name.startswith("_") or name in ("meta", "exceptions", "close", "get_paginator", "can_paginate"):
            return method

        @functools.wraps(method)
        def call(*args: Any, **parameters: Any) -> Any:
            subject = _subject(name, args, parameters)
            return self._faults.call(
                f"{self._service}.{name}", subject, lambda: method(*args, **parameters), lambda: self._error(name)
            )

        return call

    def _error(self, operation: str) -> Exception:
        if self._faults.fault is not None and self._faults.fault.moment == AFTER:
            return ConnectionClosedError(endpoint_url="made up")
        answer = {"Error": {"Code": "ServiceUnavailable", "Message": "made up"}}
        return ClientError(answer, "".join(word.title() for word in operation.split("_")))  # type: ignore[arg-type]


def _subject(operation: str, args: Sequence[Any], parameters: Mapping[str, Any]) -> str:
    if operation == "copy":
        return str(args[2])
    for name in ("Key", "Prefix", "Name", "TableName", "SecretId", "TopicArn"):
        if name in parameters:
            return str(parameters[name])
    if "TableInput" in parameters:
        return str(parameters["TableInput"]["Name"])
    deleted = parameters.get("Delete", {}).get("Objects")
    return deleted[0]["Key"].rpartition("/")[0] if deleted else ""


@dataclass(frozen=True)
class FaultyDecode:
    """Decodes the files of a task in a worker of Spark, with the fault installed there."""

    faults: Faults

    def __call__(self, plan: Any, entries: Any) -> Any:
        jobs.runtime.keys._load_rsa.cache_clear()  # a worker of an earlier command may have it already
        jobs.runtime.keys._unwrap_with_kms.cache_clear()
        with installed(self.faults):
            return _decode_task(plan, entries)


_decode_task: Final = jobs.runtime.decode.decode_task
_client: Final = boto3.client
_parquet: Final = DataFrameWriter.parquet


@contextlib.contextmanager
def installed(faults: Faults) -> Iterator[None]:
    """Let the jobs of this process, and the tasks that they start, make their calls through ``faults``."""
    on_aws = "AWS_ENDPOINT_URL" in os.environ
    replaced = [_faulty_send(faults), *([] if on_aws else _faulty_factories(faults))]
    with contextlib.ExitStack() as patches:
        for original, replacement in replaced:
            for module, name in _places_of(original):
                patches.enter_context(mock.patch.object(module, name, replacement))
        if on_aws:
            patches.enter_context(mock.patch.object(boto3, "client", _faulty_clients(faults)))
        patches.enter_context(mock.patch.object(DataFrameWriter, "parquet", _faulty_writer(faults)))
        if jobs.runtime.decode.decode_task is _decode_task:
            patches.enter_context(mock.patch.object(jobs.runtime.decode, "decode_task", FaultyDecode(faults)))
        yield


def _faulty_send(faults: Faults) -> tuple[Any, Any]:
    original = jobs.runtime.notify.send

    def send(topic: str | None, subject: str, message: Mapping[str, Any]) -> None:
        def work() -> None:
            faults.note("messages", json.dumps({"subject": subject}))
            original(topic, subject, message)

        faults.call("notify.send", "", work, lambda: ConnectionError("made up"))

    return original, send


def _faulty_factories(faults: Faults) -> list[tuple[Any, Any]]:
    """Return what opens stores and catalogs and reads keys, with what takes its place where nothing is on AWS."""
    store_of, catalog_of = jobs.runtime.storage._open, jobs.runtime.catalog.open_catalog
    keys = [getattr(jobs.runtime.keys, name) for name in _KEY_CALLS]
    return [
        (store_of, lambda root: FaultyStorage(store_of(root), faults)),
        (catalog_of, lambda store, database: FaultyCatalog(catalog_of(store, database), faults)),
        *((function, _key_call(faults, function)) for function in keys),
    ]


def _faulty_clients(faults: Faults) -> Callable[..., Any]:
    def client(service: str, *args: Any, **more: Any) -> Any:
        return FaultyClient(_client(service, *args, **more), service, faults)  # type: ignore[call-overload]

    return client


def _faulty_writer(faults: Faults) -> Callable[..., None]:
    def parquet(writer: DataFrameWriter, path: str, *args: Any, **more: Any) -> None:
        key = "/".join(path.rstrip("/").split("/")[-4:])
        faults.call("spark.write", key, lambda: _parquet(writer, path, *args, **more), lambda: RuntimeError("made up"))

    return parquet


_KEY_CALLS: Final = ("read_secret", "read_hash_keys", "_unwrap_with_rsa")


def _key_call(faults: Faults, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any) -> Any:
        name = function.__name__.removeprefix("_")
        return faults.call(f"keys.{name}", "", lambda: function(*args), lambda: KeyUnavailableError("made up"))

    return call


def _places_of(thing: Any) -> Iterator[tuple[Any, str]]:
    """Find the modules of the jobs that know ``thing``, and the name that each has for it."""
    for name, module in list(sys.modules.items()):
        if name == "jobs" or name.startswith("jobs."):
            for attribute, value in list(vars(module).items()):
                if value is thing:
                    yield module, attribute
