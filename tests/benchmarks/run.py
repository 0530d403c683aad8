"""Measure: python -m tests.benchmarks.run --rows 1000000 2000000 5000000 [--only codec|pipeline|profiles|sources]

Prints tables and writes every single measurement to tests/benchmarks/results/<date>-<name>.json.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from tests.benchmarks.codec import run_codec
from tests.benchmarks.measure import PROJECT, machine, table
from tests.benchmarks.pipeline import run_pipeline
from tests.benchmarks.profiles import DEFAULT_ROWS, run_profiles
from tests.benchmarks.sources import run_sources

_RESULTS: Final = PROJECT / "tests" / "benchmarks" / "results"


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", help="of the pipeline, or of the profiles where only those run")
    parser.add_argument("--codec-mib", type=int, default=1024, help="MiB of clear text in the encrypted files")
    parser.add_argument("--only", choices=("codec", "pipeline", "profiles", "sources"))
    parser.add_argument("--files", type=int, default=10_000, help="small files of 100 rows in one run")
    parser.add_argument("--events", type=int, default=900_000, help="events of the 90 days that one is appended to")
    parser.add_argument("--repeat", type=int, default=1, help="times that each measurement is made")
    parser.add_argument("--scratch", type=Path, default=PROJECT / "build" / "bench")
    args = parser.parse_args(argv)
    scratch: Path = args.scratch.resolve()
    profile_rows = args.rows if args.only == "profiles" and args.rows else [DEFAULT_ROWS]
    runs: dict[str, Callable[[], list[dict[str, Any]]]] = {
        "codec": lambda: run_codec(scratch, args.codec_mib, args.repeat),
        "pipeline": lambda: run_pipeline(scratch, args.rows or [1_000_000, 2_000_000, 5_000_000], args.repeat),
        "profiles": lambda: run_profiles(scratch, profile_rows, args.repeat),
        "sources": lambda: run_sources(scratch / "sources", args.codec_mib, args.files, args.events),
    }
    facts = machine()
    print(table(("machine", ""), [(name, value) for name, value in facts.items() if not isinstance(value, dict)]))
    for name, run in runs.items():
        if args.only in (None, name):
            _write(name, facts, run())


def _write(name: str, facts: dict[str, Any], results: list[dict[str, Any]]) -> None:
    now = dt.datetime.now(dt.UTC)
    _RESULTS.mkdir(exist_ok=True)
    path = _RESULTS / f"{now:%Y-%m-%d}-{name}.json"
    document = {"made": now.isoformat(timespec="seconds"), "machine": facts, "results": results}
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    print(f"\nwritten: {path.relative_to(PROJECT)}")


if __name__ == "__main__":
    main()
