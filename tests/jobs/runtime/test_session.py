from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

OPEN = "from jobs.runtime.session import open_session; open_session('locale')"


def test_a_turkish_java_is_refused_before_anything_is_hashed(project: Path) -> None:
    arguments = "--master local[1] --driver-java-options -Duser.language=tr pyspark-shell"
    environment = {**os.environ, "PYSPARK_SUBMIT_ARGS": arguments, "PYTHONPATH": str(project)}
    done = subprocess.run(
        [sys.executable, "-c", OPEN], capture_output=True, text=True, check=False, env=environment, cwd=project
    )
    assert done.returncode != 0
    assert "Java's default language is 'tr'" in done.stderr
    assert "-Duser.language=en" in done.stderr
