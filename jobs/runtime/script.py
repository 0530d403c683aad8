"""What every job does around its work: the arguments that all have, help, and errors told to a person."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from jobs.runtime.args import option, parse_args, usage
from jobs.runtime.errors import exit_code_of

_Args = TypeVar("_Args")


@dataclass(frozen=True)
class ConnectorArgs:
    """The arguments of every job that works on a connector."""

    connector: str = option("name of a packaged connector, or the URI of your own file")
    root: str = option("URI that holds landing/, raw/, curated/ and the rest: file:///… or s3://…")
    table: str | None = option("name or URI of a table file, instead of the connector's own table", default=None)
    run_id: str | None = option("work on this run instead of the next one", default=None)


def run_script(kind: type[_Args], main: Callable[[_Args], None]) -> int:
    """Run ``main`` with the arguments ``kind`` from the command line; return the exit status of the process."""
    if "--help" in sys.argv[1:]:
        print(usage(kind, sys.argv[0]))
        return 0
    return exit_code_of(lambda: main(parse_args(kind, sys.argv[1:])))
