"""What every command of this room does around its work: help, arguments, and one clear line for what goes wrong."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from infra.errors import DeployError
from jobs.runtime.args import parse_args, usage
from jobs.runtime.errors import exit_code_of

_Args = TypeVar("_Args")


def run_command(kind: type[_Args], main: Callable[[_Args], None], module: str) -> int:
    """Run ``main`` with the arguments ``kind`` from the command line; return the exit status of the process.

    ``module`` is what the help calls the command: ``python -m <module>``.
    """
    if "--help" in sys.argv[1:]:
        # the jobs' help names the program that starts jobs; this one is started by Python
        print(usage(kind, f"python -m {module}").replace("spark-submit ", "", 1))
        return 0
    try:
        return exit_code_of(lambda: _told(main, kind))
    except KeyboardInterrupt:
        print("error: stopped by you; what AWS has begun goes on there", file=sys.stderr)
        return 130


def _told(main: Callable[[_Args], None], kind: type[_Args]) -> None:
    try:
        main(parse_args(kind, sys.argv[1:]))
    except (ClientError, BotoCoreError) as error:  # no data passes through here: AWS's own message is the best one
        raise DeployError(explain(error)) from None


def explain(error: ClientError | BotoCoreError) -> str:
    """Return what AWS said, on which call, with what to do where that is known."""
    if not isinstance(error, ClientError):
        return f"{error}{_REMEDIES.get(type(error).__name__, '')}"
    code = error.response.get("Error", {}).get("Code", "")
    said = error.response.get("Error", {}).get("Message", "")
    return f"{error.operation_name}: {code}: {said}{_REMEDIES.get(code, '')}"


_REMEDIES = {
    "NoCredentialsError": ": sign in first (aws sso login, or AWS_PROFILE=…)",
    "NoRegionError": ": say which Region: REGION=eu-central-1, or AWS_REGION in the environment",
    "ExpiredToken": ": sign in again (aws sso login)",
    "ExpiredTokenException": ": sign in again (aws sso login)",
    "AccessDenied": ": the identity you are signed in with lacks that permission",
    "AccessDeniedException": ": the identity you are signed in with lacks that permission",
}
