from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fixtures.aep_delivery import Delivery, Keys, make_keys, write_delivery

PROJECT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Site:
    """A company's folder with its keys, and the jobs run on it as their user runs them."""

    root: Path
    keys: Keys
    scratch: Path

    @property
    def landing(self) -> Path:
        return self.root / "landing" / "aep_profiles"

    def deliver(self, rows: int, *, seed: int = 7, **more: object) -> Delivery:
        self.landing.mkdir(parents=True, exist_ok=True)
        return write_delivery(self.landing, self.keys, rows=rows, seed=seed, **more)  # type: ignore[arg-type]

    def arguments(self, *names: str) -> list[str]:
        every = {
            "connector": "aep_profiles",
            "root": f"file://{self.root}",
            "hash-key": f"file:{self.keys.hash_key}",
            "envelope-key": f"file:{self.keys.rsa_private}",
            "pgp-key": f"file:{self.keys.pgp_secret}",
            "pgp-passphrase": f"file:{self.keys.pgp_passphrase}",
            "quiet-seconds": "0",
            "table": "customer_profile",
        }
        return [word for name in names for word in (f"--{name}", every[name])]

    def submit(self, job: str, *more: str, conf: dict[str, str] | None = None) -> subprocess.Popen[str]:
        """Start a job in a process of its own, as its user would, with its temporary files in ``scratch``."""
        self.scratch.mkdir(exist_ok=True)
        settings = [word for key, value in (conf or {}).items() for word in ("--conf", f"{key}={value}")]
        command = ["spark-submit", "--master", "local[2]", "--driver-memory", "1g", *settings]
        variables = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYSPARK_PYTHON": sys.executable,
            "PYSPARK_DRIVER_PYTHON": sys.executable,
            "SPARK_LOCAL_DIRS": str(self.scratch),
            "TMPDIR": str(self.scratch),
        }
        variables.pop("PYSPARK_SUBMIT_ARGS", None)
        return subprocess.Popen(
            [*command, str(PROJECT / "jobs" / f"{job}.py"), *more],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=variables,
            cwd=self.scratch,
            start_new_session=True,
        )


PIPELINE = ("connector", "root", "hash-key", "envelope-key", "pgp-key", "pgp-passphrase", "quiet-seconds")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "acme", make_keys(tmp_path / "keys"), tmp_path / "scratch")
