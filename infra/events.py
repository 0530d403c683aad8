"""The events of one change of a stack, told as they come, until it is over."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, Final

from infra.errors import DeployError
from infra.stack import StackState, find_stack
from jobs.runtime.progress import tell

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import StackEventTypeDef

_EVERY_SECONDS: Final = 5.0
_PATIENCE: Final = 12  # times a stack that rests is asked for the first event of its change
_CANCELLED: Final = "cancelled"  # what CloudFormation says of resources that fail because another one did


def follow(cloudformation: CloudFormationClient, arn: str, token: str) -> tuple[StackState | None, list[str]]:
    """Tell the events of the change that was started with ``token`` until the stack rests.

    Returns the stack as it is then (None: deleted), and what failed, the first failure first.
    """
    told: set[str] = set()
    failures: list[str] = []
    for asked in itertools.count(1):
        state = find_stack(cloudformation, arn)  # asked first: what follows has every event up to here
        for event in _new_events(cloudformation, arn, token, told):
            reason = event.get("ResourceStatusReason", "")
            failed = "FAILED" in event["ResourceStatus"]
            if failed and _CANCELLED not in reason.lower():
                failures.append(f"{event['LogicalResourceId']} ({event.get('ResourceType', '')}): {reason}")
            if failed or not event["ResourceStatus"].endswith("_IN_PROGRESS"):
                tell(_line(event, reason if failed else ""))
        if state is None or state.status == "DELETE_COMPLETE":
            return None, failures
        # right after a change was asked for a stack may still rest from the last one
        if not state.status.endswith("_IN_PROGRESS") and (told or asked >= _PATIENCE):
            return state, failures
        time.sleep(_EVERY_SECONDS)
    raise AssertionError("counting does not end")


def _new_events(cloudformation: CloudFormationClient, arn: str, token: str, told: set[str]) -> list[StackEventTypeDef]:
    """Return the events of the change that were not told yet, oldest first."""
    new: list[StackEventTypeDef] = []
    for page in cloudformation.get_paginator("describe_stack_events").paginate(StackName=arn):
        ours = [event for event in page["StackEvents"] if event.get("ClientRequestToken") == token]
        fresh = [event for event in ours if event["EventId"] not in told]
        new.extend(fresh)
        if len(fresh) < len(page["StackEvents"]):  # newest come first: what follows is older than what we have told
            break
    told.update(event["EventId"] for event in new)
    return new[::-1]


def _line(event: StackEventTypeDef, reason: str) -> str:
    when = f"{event['Timestamp']:%H:%M:%S}"
    what = f"{event['ResourceStatus']:<28} {event['LogicalResourceId']}  {event.get('ResourceType', '')}"
    return f"  {when}  {what}" + (f"\n            {reason}" if reason else "")


def raise_failure(state: StackState | None, what: str, name: str, failures: list[str]) -> None:
    """Raise DeployError that says what failed first."""
    status = f"it is now {state.status}" if state is not None else "it is gone"
    reasons = "\n  ".join(failures) or (state.reason if state is not None else "") or "see the stack's events"
    raise DeployError(f"{what} {name} failed; {status}:\n  {reasons}")
