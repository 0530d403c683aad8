"""Run a program and watch it: seconds, and the peak memory of all its processes together."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

#: The folder that holds jobs/, transforms/ and tests/.
PROJECT = Path(__file__).resolve().parents[2]

_LINES_SHOWN: Final = 6


@dataclass(frozen=True)
class Measured:
    """``peak_bytes`` is the largest sum of resident memory seen; pages that processes share are counted in each."""

    seconds: float
    peak_bytes: int
    output: str

    @property
    def peak_mib(self) -> int:
        """Peak memory in MiB."""
        return self.peak_bytes >> 20


class FailedRunError(RuntimeError):
    """A program under measurement failed; the message ends with what it said."""


def run_measured(
    command: Sequence[str],
    *,
    interval: float = 0.02,
    environment: Mapping[str, str] | None = None,
    discard: bool = False,
) -> Measured:
    """Run ``command`` in the project's folder, sampling its process tree every ``interval`` seconds.

    ``discard`` sends its output nowhere, for programs that print the data.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        started = time.perf_counter()
        process = psutil.Popen(
            list(command),
            cwd=PROJECT,
            stdout=subprocess.DEVNULL if discard else output,
            stderr=errors,
            env={**os.environ, **(environment or {})},
        )
        peak = 0
        while process.poll() is None:
            peak = max(peak, _resident(process))
            time.sleep(interval)
        seconds = time.perf_counter() - started
        output.seek(0)
        errors.seek(0)
        if process.returncode:
            said = (errors.read() + output.read()).decode(errors="replace").strip().splitlines()
            raise FailedRunError("\n".join([f"{command[0]} ended with {process.returncode}:", *said[-_LINES_SHOWN:]]))
        return Measured(seconds, peak, output.read().decode(errors="replace"))


def _resident(process: psutil.Process) -> int:
    total = 0
    with suppress(psutil.Error):
        for member in (process, *process.children(recursive=True)):
            with suppress(psutil.Error):
                total += member.memory_info().rss
    return total


def machine() -> dict[str, Any]:
    """Say what the numbers were measured on."""
    packages = ("pyspark", "pyarrow", "pandas", "numpy", "duckdb", "cryptography", "pybase64", "pysequoia")
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in packages},
    }


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text(encoding="utf-8").splitlines() if information.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def python_command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of ours in a fresh process."""
    return [sys.executable, "-m", module, *arguments]


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return an aligned text table; all but the first column are right-aligned."""
    cells = [list(header), *([str(value) for value in row] for row in rows)]
    widths = [max(len(row[at]) for row in cells) for at in range(len(header))]
    lines = [
        "  ".join(
            cell.rjust(width) if at else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])
