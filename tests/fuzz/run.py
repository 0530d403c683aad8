"""Coverage-guided fuzzing of every target, one after the other: ``python -m tests.fuzz.run --seconds 60``.

Each target runs in a process of its own, so that a crash of native code is a finding too. Inputs that find something
are kept below ``--findings``, each with the log beside it: make them cases of ``test_findings.py``, and mend what is
wrong. Figures are written to ``results/``; the exit code is 1 where something was found.
"""

from __future__ import annotations

import argparse
import datetime as dt
import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from tests.fuzz.table import TARGETS

#: What one input may have: bytes, and seconds.
LARGEST_INPUT: Final = 64 << 10
_SECONDS_AN_INPUT: Final = 10
#: A target is started again after a finding, so often at most.
_MOST_FINDINGS: Final = 5
_RESULTS: Final = Path(__file__).parent / "results"
_PROGRESS: Final = re.compile(r"^#(\d+)\s.*?cov: (\d+) ft: (\d+) corp: (\d+)", re.MULTILINE)
_RAISED: Final = re.compile(r"=== Uncaught Python exception: ===\n(.*)")
_NATIVE: Final = re.compile(r"ERROR: libFuzzer: (.*)")
_PACKAGES: Final = ("atheris", "pyarrow", "fastavro", "cryptography", "pysequoia", "pybase64", "numpy")


@dataclass
class Figures:
    """What fuzzing one target came to. ``edges`` and ``features`` are libFuzzer's counts of what was covered."""

    target: str
    inputs: int = 0
    seconds: float = 0.0
    edges: int = 0
    features: int = 0
    corpus: int = 0
    findings: list[str] = field(default_factory=list)


def fuzz(name: str, seconds: int, findings: Path) -> Figures:
    """Fuzz one target for so many seconds; inputs that find something are kept below ``findings``."""
    figures = Figures(name)
    end = time.monotonic() + seconds
    kept = findings / name
    kept.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as corpus:
        while (left := round(end - time.monotonic())) > 0 and len(figures.findings) < _MOST_FINDINGS:
            _one_process(figures, corpus, kept, left)
    figures.seconds = round(seconds - max(0.0, end - time.monotonic()), 1)
    return figures


def _one_process(figures: Figures, corpus: str, kept: Path, seconds: int) -> None:
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={LARGEST_INPUT}",
        f"-timeout={_SECONDS_AN_INPUT}",
        f"-rss_limit_mb={TARGETS[figures.target].memory}",
        f"-artifact_prefix={kept}/",
        "-print_final_stats=1",
    ]
    command = [sys.executable, "-m", "tests.fuzz.child", figures.target, corpus, *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    said = done.stdout.decode(errors="replace")
    for inputs, edges, features, size in _PROGRESS.findall(said)[-1:]:
        figures.inputs += int(inputs)
        figures.edges, figures.features = max(figures.edges, int(edges)), max(figures.features, int(features))
        figures.corpus = max(figures.corpus, int(size))
    if done.returncode:
        raised = _RAISED.findall(said) or _NATIVE.findall(said) or [said[-500:]]
        figures.findings.append(raised[0])
        (kept / "log.txt").open("a").write(said[-20_000:])


def _table(every: Sequence[Figures]) -> str:
    lines = ["| target | inputs | seconds | edges | features | corpus | findings |", "| --- " + "| ---: " * 6 + "|"]
    lines += [
        f"| {one.target} | {one.inputs:,} | {one.seconds:,.0f} | {one.edges:,} | {one.features:,} | {one.corpus:,} "
        f"| {len(one.findings)} |"
        for one in every
    ]
    return "\n".join(lines)


def _write(folder: Path, every: Sequence[Figures]) -> None:
    """Write the figures of today; what other targets came to today stays."""
    folder.mkdir(parents=True, exist_ok=True)
    date = f"{dt.datetime.now(dt.UTC):%Y-%m-%d}"
    path = folder / f"{date}-fuzz.json"
    earlier = json.loads(path.read_text())["targets"] if path.exists() else []
    figures = {one["target"]: one for one in [*earlier, *map(asdict, every)]}
    document = {
        "suite": "fuzz",
        "date": date,
        "versions": {"python": platform.python_version()}
        | {name: importlib.metadata.version(name) for name in _PACKAGES},
        "machine": f"{os.cpu_count()} cores, one process at a time",
        "limits": {"bytes": LARGEST_INPUT, "seconds an input": _SECONDS_AN_INPUT},
        "targets": [figures[name] for name in TARGETS if name in figures],
    }
    path.write_text(json.dumps(document, indent=1) + "\n")


def main() -> int:
    """Fuzz what the arguments say, print the figures and write them down."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.run", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--target", action="append", choices=sorted(TARGETS), help="only this one; may come again")
    parser.add_argument("--findings", type=Path, default=Path("build/fuzz"), help="where crashing inputs are kept")
    parser.add_argument("--results", type=Path, default=_RESULTS, help="where the figures are written")
    options = parser.parse_args()
    every = []
    print("\n".join(_table([]).splitlines()))
    for name in options.target or TARGETS:
        every.append(fuzz(name, options.seconds, options.findings.resolve()))
        _write(options.results, every)
        print(_table(every[-1:]).splitlines()[-1], flush=True)
        for finding in every[-1].findings:
            print(f"  found: {finding}", flush=True)
    return 1 if any(one.findings for one in every) else 0


if __name__ == "__main__":
    sys.exit(main())
