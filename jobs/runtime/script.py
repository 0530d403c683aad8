"""What every job does around its work: the arguments that all have, help, and errors told to a person."""

from __future__ import annotations

import contextlib
import os
import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from jobs.runtime.args import option, parse_args, usage
from jobs.runtime.errors import failure_of

_Args = TypeVar("_Args")


@dataclass(frozen=True)
class ConnectorArgs:
    """The arguments of every job that works on a connector."""

    connector: str = option("name of a packaged connector, or the URI of your own file")
    root: str = option("URI that holds landing/, raw/, curated/ and the rest: file:///… or s3://…")
    table: str | None = option("name or URI of a table file, instead of the connector's own table", default=None)
    run_id: str | None = option("work on this run instead of the next one", default=None)


def run_script(kind: type[_Args], main: Callable[[_Args], None]) -> None:
    """Run ``main`` with the arguments ``kind`` from the command line, or show the help.

    Where it fails, the process exits with 1 and the failure as its last words, which Glue shows as the run's error.
    Where it succeeds it just returns, for not every runner takes an exit, even one with status 0, for a success.
    """
    if "--help" in sys.argv[1:]:
        print(usage(kind, sys.argv[0]))
        return
    forbid_core_files()
    failure = failure_of(lambda: main(parse_args(kind, sys.argv[1:])))
    if failure:
        raise SystemExit(failure)


def forbid_core_files() -> None:
    """Keep what dies of a fault from leaving its memory on the disk: it holds keys and clear data.

    That is this process, the JVM of spark-submit that has started it, and whatever either of them starts from now on.
    """
    with contextlib.suppress(OSError, ValueError):
        _, most = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (0, most))
    with contextlib.suppress(OSError, ValueError, AttributeError):  # Linux alone lets us do that to another process
        parent = os.getppid()
        if Path(f"/proc/{parent}/comm").read_text().strip() == "java":
            _, most = resource.prlimit(parent, resource.RLIMIT_CORE)
            resource.prlimit(parent, resource.RLIMIT_CORE, (0, most))
