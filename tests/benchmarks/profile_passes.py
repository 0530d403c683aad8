"""What the workers of the profile benchmark share: their command line, their clocks, and what they print.

Beside the seconds that go by there are those of the processor, of this process and all that it has started: they change
little where other programs want the same cores.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil


class Taken(NamedTuple):
    """What a piece of work took: seconds on the wall, and of all cores together."""

    wall: float
    cpu: float


def worker_arguments(description: str | None) -> tuple[Path, Path, int]:
    """Read a worker's command line: the file of people, the folder or file to write, how often to do it."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, required=True, help="folder of Parquet files by profile_people")
    parser.add_argument("--target", type=Path, required=True, help="where the hashes go, as Parquet")
    parser.add_argument("--passes", type=int, default=1, help="times that everything is done")
    args = parser.parse_args()
    return args.source, args.target, args.passes


def take(work: Callable[[], object]) -> Taken:
    """Do the work and say what it took."""
    started, busy = time.perf_counter(), _busy()
    work()
    return Taken(time.perf_counter() - started, _busy() - busy)


def _busy() -> float:
    me = psutil.Process()
    total = 0.0
    for process in (me, *me.children(recursive=True)):
        with suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def run_passes(work: Callable[[], object], target: Path, passes: int) -> None:
    """Do the work again and again, into an empty place each time, and print what each pass took."""
    passes_taken = []
    for _ in range(passes):
        if target.is_dir():
            shutil.rmtree(target)
        target.unlink(missing_ok=True)
        passes_taken.append(take(work))
    print(json.dumps({"passes": passes_taken}))
