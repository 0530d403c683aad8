"""A person's yes, before something is changed."""

from __future__ import annotations

import sys

from infra.errors import DeployError


def ask(question: str, expected: str, *, given: bool) -> bool:
    """Return whether the person answers ``expected``; True at once where the yes was ``given`` on the command line.

    Raises DeployError where nobody is there to be asked.
    """
    if given:
        return True
    if not sys.stdin.isatty():
        raise DeployError(f"nobody is at a terminal to be asked ({question}): say YES=1 (--yes) if that is meant")
    try:
        return input(f"{question} ").strip() == expected
    except EOFError:
        return False
