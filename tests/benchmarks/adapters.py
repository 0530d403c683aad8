"""The few places where the benchmarks touch the jobs' interfaces; when those change, change this file only."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.runtime.openpgp import PgpKey, decrypt_openpgp
from tests.fixtures.aep_delivery import Keys
from transforms.streams.chunks import CHUNK_SIZE, OpenChunks


@dataclass(frozen=True)
class Step:
    """A step of a run, as the run's report tells it."""

    name: str
    seconds: float
    rows_per_second: int | None
    mb_per_second: float | None


def open_chunks_of(source: Path) -> OpenChunks:
    """Return how the codecs read a local file: from any offset, a chunk at a time."""

    def open_chunks(offset: int) -> Iterator[bytes]:
        with source.open("rb") as file:
            file.seek(offset)
            while chunk := file.read(CHUNK_SIZE):
                yield chunk

    return open_chunks


def openpgp_clear_size(source: Path, keys: Keys) -> int:
    """Decrypt an OpenPGP file the way the jobs do, read all of its clear text, and return its length."""
    key = PgpKey(keys.pgp_secret.read_bytes(), keys.pgp_passphrase.read_bytes())
    return sum(map(len, decrypt_openpgp(open_chunks_of(source), key)))


def pipeline_command(root: Path, keys: Keys) -> list[str]:
    """Return the command that takes the delivery under ``root`` to the published table."""
    return [
        *(_spark_submit(), "--master", "local[2]", "jobs/pipeline.py"),
        *("--connector", "aep_profiles", "--root", root.resolve().as_uri()),
        *("--hash-key", f"file:{keys.hash_key.resolve()}", "--envelope-key", f"file:{keys.rsa_private.resolve()}"),
        *("--quiet-seconds", "0"),
    ]


def pipeline_environment() -> dict[str, str]:
    """Return what the command needs: workers with the driver's Python."""
    return {"PYSPARK_PYTHON": sys.executable, "PYSPARK_DRIVER_PYTHON": sys.executable}


def _spark_submit() -> str:
    beside = Path(sys.executable).parent / "spark-submit"
    found = str(beside) if beside.exists() else shutil.which("spark-submit")
    if not found:
        raise FileNotFoundError("spark-submit is neither beside this Python nor on the path")
    return found


def read_steps(root: Path) -> list[Step]:
    """Read the steps of the newest run under ``root`` from its report."""
    reports = sorted((root / "state" / "aep_profiles").glob("run=*/report.json"))
    if not reports:
        return []
    report: dict[str, Any] = json.loads(reports[-1].read_text(encoding="utf-8"))
    return [
        Step(name, float(step["seconds"]), step.get("rows_per_second"), step.get("mb_per_second"))
        for name, step in report["steps"].items()
    ]


def published_glob(root: Path) -> str:
    """Return the pattern of the published table's Parquet files."""
    document = json.loads((root / "state" / "catalog" / "customer_profile.json").read_text(encoding="utf-8"))
    return f"{str(document['location']).removeprefix('file://').rstrip('/')}/**/*.parquet"
