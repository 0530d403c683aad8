"""How fast phones are read: python -m tests.benchmarks.phones --rows 1000000

The tables with the library behind them, beside the library alone for every row, and the parts of it: numbers of 41
countries in the ways that people write them, made up once, read from Parquet, results thrown away, a warm session.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.runtime.session import open_session
from tests.benchmarks.measure import PROJECT, table
from tests.transforms.columns.phone_equality import REGIONS, usual_rows
from transforms.columns.phone import UNSETTLED, settle_by_library, settle_natively

_WARM_UPS: Final = 2
_SUBMIT: Final = (
    "--master local[2] --driver-memory 2g --conf spark.driver.host=127.0.0.1 --conf spark.driver.bindAddress=127.0.0.1 "
    "pyspark-shell"
)


def settled(frame: DataFrame) -> DataFrame:
    """Return the frame with what the tables make of its numbers."""
    return frame.withColumn("settled", settle_natively(F.col("value"), F.col("country")))


def through_library(frame: DataFrame) -> DataFrame:
    """Return the phones of a frame whose column ``settled`` leaves some of them open."""
    return frame.select(settle_by_library(F.col("settled"), F.col("country")).alias("phone"))


def unsettled(frame: DataFrame) -> DataFrame:
    """Return the frame with every number left open."""
    return frame.withColumn("settled", F.concat(F.lit(UNSETTLED), "value"))


WAYS: Final[dict[str, Callable[[DataFrame], DataFrame]]] = {
    "reading the file": lambda frame: frame,
    "tables alone": lambda frame: settled(frame).select("settled"),
    "tables, then library": lambda frame: through_library(settled(frame)),
    "library alone": lambda frame: through_library(unsettled(frame)),
}


def run_phones(scratch: Path, rows: int, repeat: int) -> list[dict[str, Any]]:
    """Measure every way ``repeat`` times in turn, print the table, return the values."""
    path = scratch / f"phones-{rows}.parquet"
    count = _write_once(path, rows)
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["PYSPARK_SUBMIT_ARGS"] = _SUBMIT
    spark = open_session("phones")
    frame = spark.read.parquet(str(path))
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    for turn in range(_WARM_UPS + repeat):
        for way, make in WAYS.items():
            started = time.perf_counter()
            make(frame).write.format("noop").mode("overwrite").save()
            if turn >= _WARM_UPS:
                seconds[way].append(time.perf_counter() - started)
    left = settled(frame).where(F.startswith("settled", F.lit(UNSETTLED))).count()
    version = spark.version
    spark.stop()
    print(f"\n{count:,} numbers of {len(REGIONS)} countries, Spark {version}; {left / count:.2%} left to the library")
    lines = [
        (way, f"{count / statistics.median(taken):,.0f}", " ".join(f"{each:.2f}" for each in taken))
        for way, taken in seconds.items()
    ]
    print(table(("way", "numbers/s", "seconds of each run"), lines))
    return [
        {"way": way, "run": number, "rows": count, "left": left, "seconds": round(each, 3), "spark": version}
        for way, taken in seconds.items()
        for number, each in enumerate(taken)
    ]


def _write_once(path: Path, rows: int) -> int:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        made = list(usual_rows(-(-rows // len(REGIONS))))
        random.Random(1).shuffle(made)  # neighbours in a file are rarely neighbours on the map
        columns = {"value": [row.value for row in made[:rows]], "country": [row.country for row in made[:rows]]}
        pq.write_table(pa.table(columns), path, row_group_size=max(1, rows // 8))
    return int(pq.read_metadata(path).num_rows)


def main(argv: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=3, help="times that each way is measured")
    parser.add_argument("--scratch", type=Path, default=PROJECT / "build" / "bench")
    args = parser.parse_args(argv)
    run_phones(args.scratch.resolve(), args.rows, args.repeat)


if __name__ == "__main__":
    main()
