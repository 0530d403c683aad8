"""A CloudFormation stack as it is: where it stands, its parameters, its outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from infra.errors import DeployError

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient


@dataclass(frozen=True)
class StackState:
    """A stack that is there."""

    name: str
    arn: str
    status: str
    reason: str
    protected: bool
    parameters: Mapping[str, str]
    outputs: Mapping[str, str]


def find_stack(cloudformation: CloudFormationClient, name: str) -> StackState | None:
    """Return the stack called ``name`` (or with that ARN), or None."""
    try:
        (stack,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if "does not exist" in error.response["Error"].get("Message", ""):
            return None
        raise
    return StackState(
        stack["StackName"],
        stack.get("StackId", ""),
        stack["StackStatus"],
        stack.get("StackStatusReason", ""),
        stack.get("EnableTerminationProtection", False),
        # of a parameter that is looked up, the stack keeps where and what was found
        {each["ParameterKey"]: each.get("ParameterValue", "") for each in stack.get("Parameters", [])},
        {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])},
    )


#: What to do about a stack that no change set can be made for.
_STUCK = {
    "ROLLBACK_COMPLETE": "its creation failed and was undone; delete what is left of it, then deploy again:\n"
    "  aws cloudformation delete-stack --stack-name {name}",
    "ROLLBACK_FAILED": "its creation failed and could not be undone; delete it: make destroy STACK={name}",
    "CREATE_FAILED": "its creation failed; delete it: make destroy STACK={name}",
    "DELETE_FAILED": "its deletion failed; mend what stopped it (the stack's events), then make destroy STACK={name}",
    "UPDATE_FAILED": "its update failed and was not undone; undo it, then deploy again:\n"
    "  aws cloudformation rollback-stack --stack-name {name}",
    "UPDATE_ROLLBACK_FAILED": "an update failed and could not be undone; mend what stopped it (the stack's events say "
    "what), then\n  aws cloudformation continue-update-rollback --stack-name {name}\n  and deploy again",
    "REVIEW_IN_PROGRESS": "it is an empty shell of a change set that was never executed; remove the shell, then deploy "
    "again:\n  aws cloudformation delete-stack --stack-name {name}",
}


def refuse_stuck(state: StackState | None) -> None:
    """Raise DeployError, with the way out, for a stack that cannot be changed as it stands."""
    if state is None:
        return
    if state.status in _STUCK:
        raise DeployError(f"stack {state.name} is {state.status}: {_STUCK[state.status].format(name=state.name)}")
    if state.status.endswith("_IN_PROGRESS"):
        raise DeployError(f"stack {state.name} is {state.status}: somebody is changing it; try again when that is done")
