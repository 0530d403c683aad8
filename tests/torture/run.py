"""Break it on purpose, everywhere, in full: crashes, interleavings, readers, leaks, fuzzing. `make torture` runs this.

python -m tests.torture.run [crash] [concurrency] [readers] [leaks] [fuzz]
"""

from __future__ import annotations

import subprocess
import sys
import time

from tests.torture.figures import RESULTS

SUITES = {
    "crash": ["tests.torture.crash"],
    "concurrency": ["tests.torture.concurrency"],
    "readers": ["tests.torture.readers"],
    "leaks": ["tests.torture.leaks"],
    "fuzz": ["tests.fuzz.run", "--seconds", "60"],
}


def main(names: list[str]) -> int:
    """Run the suites called ``names``, all of them where none is; return 1 where one of them has failed."""
    failed = []
    for name in names or SUITES:
        began = time.monotonic()
        code = subprocess.run([sys.executable, "-m", *SUITES[name]], check=False).returncode
        print(
            f"{name}: {'failed' if code else 'held'} after {(time.monotonic() - began) / 60:.1f} minutes\n", flush=True
        )
        if code:
            failed.append(name)
    print(f"figures: {RESULTS}")
    print(f"failed: {', '.join(failed)}" if failed else "all suites held")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
