"""What the benchmark of sources runs in processes of its own; prints one JSON line."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyspark import SparkContext

from jobs import pipeline
from jobs.runtime.args import parse_args
from jobs.runtime.configuration import load_configuration
from jobs.runtime.decode import DecodePlan, KeyReferences, decode_task
from jobs.runtime.local_storage import LocalStorage
from jobs.runtime.manifest import DATA, Entry
from jobs.runtime.storage import open_storage


def unpack(source: Path, root: Path) -> dict[str, Any]:
    """Decode one archive as a task does: check it, unpack, parse, write Parquet parts."""
    connector, _ = load_configuration("sfmc_tracking", None)
    storage = open_storage(f"file://{root}")
    target = root / "landing" / source.name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.hardlink_to(source)
    found = storage.find(f"landing/{source.name}")
    if found is None:
        raise FileNotFoundError(target)
    entry = Entry(0, source.name, found.size, "", found.etag, found.modified, DATA)
    plan = DecodePlan(f"file://{root}", connector, KeyReferences(), "landing/", "raw/", "rejects/")
    began = time.perf_counter()
    decoded = decode_task(plan, [entry])
    seconds = time.perf_counter() - began
    return {
        "seconds": seconds,
        "rows": sum(each.rows for each in decoded.files),
        "clear_bytes": sum(each.clear_size for each in decoded.files),
        "reasons": [each.reason for each in decoded.files if each.reason],
    }


def load(root: Path, connector: str, key: Path) -> dict[str, Any]:
    """Run the pipeline and count what it asks of the store and of Spark."""
    calls: Counter[str] = Counter()

    def counted(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            calls[name] += 1
            return method(*arguments, **named)

        return call

    for name in ("list", "find", "copy", "delete"):
        setattr(LocalStorage, name, counted(name, getattr(LocalStorage, name)))
    arguments = [f"--connector={connector}", f"--root=file://{root}", f"--hash-key=file:{key}", "--quiet-seconds=0"]
    began = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        pipeline.main(parse_args(pipeline.Args, arguments))
    seconds = time.perf_counter() - began
    path = max((root / "state" / connector).glob("run=*/report.json"), key=lambda each: each.stat().st_mtime)
    report = json.loads(path.read_text())
    return {
        "seconds": seconds,
        "steps": {name: step["seconds"] for name, step in report["steps"].items()},
        "rows": report["rows"]["read"],
        "files": len(report["files"]),
        "calls": dict(calls),
        "spark_tasks": _tasks(),
        "tables": {
            name: {key: table[key] for key in ("rows", "bytes", "written_rows", "written_partitions", "partitions")}
            for name, table in report["tables"].items()
        },
    }


def _tasks() -> int:
    context: Any = SparkContext._active_spark_context
    executors = context._jsc.sc().statusStore().executorList(True)
    return sum(int(executors.apply(at).totalTasks()) for at in range(executors.size()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way", choices=("unpack", "load"))
    parser.add_argument("arguments", nargs="+")
    args = parser.parse_args()
    if args.way == "unpack":
        source, root = map(Path, args.arguments)
        print(json.dumps(unpack(source, root)))
    else:
        root, connector, key = args.arguments
        print(json.dumps(load(Path(root), connector, Path(key))))


if __name__ == "__main__":
    main()
