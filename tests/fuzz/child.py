"""The process that fuzzes one target: ``python -m tests.fuzz.child NAME CORPUS [libFuzzer's options]``.

Atheris instruments what is imported below, so that libFuzzer sees which branches an input takes. Where it is not
installed (``pip install --group fuzz``), importing this module fails.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import atheris  # type: ignore[import-not-found,import-untyped,unused-ignore]

with atheris.instrument_imports(include=["jobs", "schemas", "transforms", "tests.fuzz", "tarfile", "zipfile"]):
    from tests.fuzz.table import TARGETS


def main() -> None:
    """Write the seeds into the corpus, then fuzz until an option ends it or something is found."""
    warnings.simplefilter("ignore")
    name, corpus = sys.argv[1:3]
    target = TARGETS[name]
    for number, seed in enumerate(target.seeds()):
        (Path(corpus) / f"seed-{number}").write_bytes(seed)
    atheris.Setup([sys.argv[0], corpus, *sys.argv[3:]], target.run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
