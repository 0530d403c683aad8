from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

_CODE = """
import os, signal, sys
from dataclasses import dataclass
from jobs.runtime.script import run_script
@dataclass(frozen=True)
class Args: pass
run_script(Args, lambda _: os.kill(os.getpid(), signal.SIGABRT))
"""


def test_a_job_that_is_aborted_leaves_no_core_file_with_its_memory(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _CODE],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, resource.getrlimit(resource.RLIMIT_CORE)[1:] * 2),  # noqa: PLW1509
    )
    assert process.wait() == -signal.SIGABRT
    assert list(tmp_path.iterdir()) == []
