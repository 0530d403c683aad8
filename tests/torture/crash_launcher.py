"""What ``spark-submit`` runs in place of a job that is to be killed: the fault is installed, then the job is run.

    spark-submit tests/torture/crash_launcher.py pipeline --connector=… --root=…

The fault is in the environment, ``CRASH_FAULT``, as JSON.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parents[2])

from jobs.runtime.script import run_script  # noqa: E402  as in the jobs
from tests.torture.faults import Fault, Faults, installed  # noqa: E402


def main() -> None:
    """Run the job that the first argument names, with the arguments after it."""
    given = json.loads(os.environ["CRASH_FAULT"])
    faults = Faults(Path(given.pop("notes")), Fault(**given), whole_session=True)
    faults.begin()
    del sys.argv[0]
    module: Any = __import__(f"jobs.{sys.argv[0]}", fromlist=["main"])
    with installed(faults):
        run_script(module.Args, module.main)


if __name__ == "__main__":
    main()
