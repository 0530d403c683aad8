"""A Spark program under watch: seconds, disk, memory of driver, JVM and workers apart, and its tasks' figures."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

import psutil

from tests.benchmarks.measure import PROJECT, FailedRunError

_INTERVAL: Final = 0.25  # seconds
_DISK_EVERY: Final = 8  # samples
_LINES_SHOWN: Final = 8
_TASK_END: Final = '{"Event":"SparkListenerTaskEnd"'


@dataclass
class Peaks:
    """The largest memory of each kind of process and of the folder watched, in bytes.

    Driver and JVM: resident, as the kernel has kept it. Workers are forked from one daemon: the sum of all, and the
    largest one, of proportional memory, in which a page that n processes share counts one n-th.
    """

    driver: int = 0
    jvm: int = 0
    workers: int = 0
    largest_worker: int = 0
    disk: int = 0


@dataclass
class TaskTotals:
    """Sums over all tasks of an application: bytes, seconds. ``longest_task_seconds`` is of one task."""

    tasks: int = 0
    failed_tasks: int = 0
    memory_spilled: int = 0
    disk_spilled: int = 0
    shuffle_written: int = 0
    shuffle_read: int = 0
    gc_seconds: float = 0.0
    run_seconds: float = 0.0
    longest_task_seconds: float = 0.0

    def __add__(self, other: TaskTotals) -> TaskTotals:
        """Return the totals of two applications."""
        sums = {each.name: getattr(self, each.name) + getattr(other, each.name) for each in fields(self)}
        longest = max(self.longest_task_seconds, other.longest_task_seconds)
        return TaskTotals(**{**sums, "longest_task_seconds": longest})

    def add(self, event: Mapping[str, Any]) -> None:
        """Take the end of one task."""
        self.tasks += 1
        self.failed_tasks += event["Task End Reason"]["Reason"] != "Success"
        metrics = event.get("Task Metrics")
        if not metrics:
            return
        reads = metrics["Shuffle Read Metrics"]
        seconds = metrics["Executor Run Time"] / 1000
        self.memory_spilled += metrics["Memory Bytes Spilled"]
        self.disk_spilled += metrics["Disk Bytes Spilled"]
        self.shuffle_written += metrics["Shuffle Write Metrics"]["Shuffle Bytes Written"]
        self.shuffle_read += reads["Remote Bytes Read"] + reads["Local Bytes Read"]
        self.gc_seconds += metrics["JVM GC Time"] / 1000
        self.run_seconds += seconds
        self.longest_task_seconds = max(self.longest_task_seconds, seconds)


@dataclass(frozen=True)
class Watched:
    """A run that succeeded."""

    seconds: float
    peaks: Peaks


def watch(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> Watched:
    """Run ``command`` in the project's folder; ``folder`` is where it puts all that it writes.

    Raises FailedRunError with the end of what it said.
    """
    peaks, samples = Peaks(), 0
    with tempfile.TemporaryFile() as output:
        began = time.perf_counter()
        process = psutil.Popen(
            list(command), cwd=PROJECT, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **environment}
        )
        while process.poll() is None:
            _sample(process, peaks)
            if samples % _DISK_EVERY == 0:
                peaks.disk = max(peaks.disk, disk_bytes(folder))
            samples += 1
            time.sleep(_INTERVAL)
        seconds = time.perf_counter() - began
        if process.returncode:
            output.seek(0)
            said = output.read().decode(errors="replace").strip().splitlines()
            raise FailedRunError("\n".join([f"{command[0]} ended with {process.returncode}:", *said[-_LINES_SHOWN:]]))
    return Watched(seconds, peaks)


def disk_bytes(folder: Path) -> int:
    """Return the bytes of all files below ``folder``; some may vanish meanwhile."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += (Path(place) / name).stat().st_size
    return total


def _sample(process: psutil.Process, peaks: Peaks) -> None:
    workers: list[int] = []
    with suppress(psutil.Error):
        for member in (process, *process.children(recursive=True)):
            with suppress(psutil.Error, OSError):
                kind = kind_of(member.name(), member.cmdline())
                if kind == "worker":
                    workers.append(kib(Path(f"/proc/{member.pid}/smaps_rollup"), "Pss"))
                elif kind:
                    setattr(peaks, kind, max(getattr(peaks, kind), kib(Path(f"/proc/{member.pid}/status"), "VmHWM")))
    peaks.workers = max(peaks.workers, sum(workers))
    peaks.largest_worker = max(peaks.largest_worker, *workers, 0)


def kind_of(name: str, command: Sequence[str]) -> str:
    """Tell what a process of a Spark application is: jvm, driver, worker, or nothing of these."""
    if name == "java":
        return "jvm"
    if any("pyspark" in word and "daemon" in word for word in command):
        return "worker"
    return "driver" if name.startswith("python") else ""


def kib(path: Path, label: str) -> int:
    """Return a figure of a file below /proc, which gives it in KiB, as bytes; 0 where it is not there."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{label}:"):
            return int(line.split()[1]) << 10
    return 0


def task_totals(lines: Iterable[str]) -> TaskTotals:
    """Add up the tasks of an event log, line by line."""
    totals = TaskTotals()
    for line in lines:
        if line.startswith(_TASK_END):
            totals.add(json.loads(line))
    return totals


def read_event_logs(folder: Path) -> TaskTotals:
    """Add up the tasks of all event logs below ``folder``. Raises FileNotFoundError where there is none."""
    logs = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    if not logs:
        raise FileNotFoundError(f"no event log in {folder}")
    sums = TaskTotals()
    for path in logs:
        with path.open(encoding="utf-8") as lines:
            sums += task_totals(lines)
    return sums


def described(watched: Watched, totals: TaskTotals) -> dict[str, Any]:
    """Return all of it for JSON: bytes and seconds."""
    return {
        "seconds": round(watched.seconds, 2),
        "peaks": asdict(watched.peaks),
        "spark": {
            name: round(value, 2) if isinstance(value, float) else value for name, value in asdict(totals).items()
        },
    }
