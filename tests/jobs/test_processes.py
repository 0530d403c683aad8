"""The jobs as processes of their own: what a killed one leaves is finished by the same command."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.jobs.conftest import PIPELINE, Site
from tests.jobs.test_pipeline import files_below, published


@pytest.mark.long
@pytest.mark.parametrize("moment", ["decrypt.attempt-1.json", "transform.attempt-1.json"])
def test_a_killed_run_is_finished_by_the_same_command(site: Site, moment: str) -> None:
    delivery = site.deliver(400)
    process = site.submit("pipeline", *site.arguments(*PIPELINE))
    state = site.root / "state" / "aep_profiles"
    deadline = time.monotonic() + 240
    while not list(state.glob(f"run=*/{moment}")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert (state / "lock.json").exists()
    process = site.submit("pipeline", *site.arguments(*PIPELINE))
    _, err = process.communicate()
    assert process.returncode == 0, err
    assert Counter(row["country"] for row in published(site)) == delivery.expected.by_country
    assert files_below(site.root / "raw") == files_below(site.landing) == set()
    (run_folder,) = (site.root / "curated" / "customer_profile").iterdir()
    attempts = [path.name for path in run_folder.iterdir() if any(Path(path).rglob("*.parquet"))]
    assert len(attempts) == 1
