"""Lines for the person who waits."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Final

from pyspark.sql import SparkSession

_EVERY_SECONDS: Final = 10.0


def tell(text: str) -> None:
    """Print a line at once. ``text`` never holds a value from the data."""
    print(text, flush=True)


@contextlib.contextmanager
def progress(spark: SparkSession, step: str) -> Iterator[None]:
    """Say now and then how many tasks of the running Spark stages are done, while the body works."""
    stop = threading.Event()
    tracker = spark.sparkContext.statusTracker()
    began = time.monotonic()

    def watch() -> None:
        while not stop.wait(_EVERY_SECONDS):
            stages = [
                info for stage in tracker.getActiveStageIds() if (info := tracker.getStageInfo(stage)) is not None
            ]
            total = sum(info.numTasks for info in stages)
            done = sum(info.numCompletedTasks for info in stages)
            if total:
                tell(f"  {step}: {done} of {total} tasks done after {time.monotonic() - began:.0f} s")

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
