"""Delete a stack and keep its data: buckets, keys, secrets and the database stay, and how to remove them is told.

python -m infra.destroy --stack acme-cleanroom
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from infra.account import Account, check_stack_name, open_account, open_session
from infra.command import run_command
from infra.consent import ask
from infra.errors import DeployError
from infra.events import follow, raise_failure
from infra.stack import StackState, find_stack
from infra.template import read_template
from jobs.runtime.args import option
from jobs.runtime.progress import tell

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

#: How what is left is removed for good, by type; {id} is its name in AWS, {region} the Region.
_REMOVAL: Final = {
    "AWS::S3::Bucket": "empty it with all its versions (S3 console: Empty), then: aws s3 rb s3://{id}",
    "AWS::S3::BucketPolicy": "it goes with its bucket",
    "AWS::KMS::Key": "aws kms schedule-key-deletion --region {region} --key-id {id} --pending-window-in-days 30"
    "   (what it encrypted can never be read again)",
    "AWS::SecretsManager::Secret": "aws secretsmanager delete-secret --region {region} --secret-id {id} "
    "--recovery-window-in-days 30",
    "AWS::Glue::Database": "aws glue delete-database --region {region} --name {id}   (with all its tables)",
    "AWS::Logs::LogGroup": "aws logs delete-log-group --region {region} --log-group-name {id}",
    "AWS::SNS::Topic": "aws sns delete-topic --region {region} --topic-arn {id}",
    "AWS::IAM::User": "aws iam delete-user --user-name {id}   (its keys and policies first)",
    "AWS::IAM::Role": "aws iam delete-role --role-name {id}   (its policies first)",
}


@dataclass(frozen=True)
class Args:
    """The arguments of this command."""

    stack: str = option("name of the stack")
    region: str | None = option("the stack's Region (default: that of the environment)", default=None)
    yes: bool = option("delete it without asking for its name", default=False)


@dataclass(frozen=True)
class Held:
    """A resource that a stack has made: its name in the template, its type, its name in AWS, and whether it stays."""

    name: str
    kind: str
    id: str
    stays: bool

    def removal(self, region: str) -> str:
        """Return how a person removes it for good."""
        return _REMOVAL.get(self.kind, "remove it in the console").format(id=self.id, region=region)


def held_by(cloudformation: CloudFormationClient, state: StackState) -> list[Held]:
    """Return what the stack has made, what stays first."""
    body = cloudformation.get_template(StackName=state.arn, TemplateStage="Processed")["TemplateBody"]
    template = read_template(body, f"the template of {state.name}")
    found = []
    for page in cloudformation.get_paginator("list_stack_resources").paginate(StackName=state.arn):
        for each in page["StackResourceSummaries"]:
            name = each["LogicalResourceId"]
            if "PhysicalResourceId" in each and each["ResourceStatus"] != "DELETE_COMPLETE":
                stays = name in template.resources and template.resources[name].stays
                found.append(Held(name, each["ResourceType"], each["PhysicalResourceId"], stays))
    return sorted(found, key=lambda held: (not held.stays, held.kind, held.name))


def _table(held: Iterable[Held]) -> str:
    return "\n".join(f"  {each.kind:<30} {each.name:<30} {each.id}" for each in held) or "  nothing"


def destroy(args: Args, account: Account) -> None:
    """Delete the stack once a person agrees. Raises DeployError where it cannot be, or where its deletion fails."""
    cloudformation = account.cloudformation
    state = find_stack(cloudformation, args.stack)
    if state is None:
        raise DeployError(f"there is no stack {args.stack} in {account.region}, account {account.number}")
    if state.status.endswith("_IN_PROGRESS") and state.status != "REVIEW_IN_PROGRESS":
        raise DeployError(f"stack {args.stack} is {state.status}: somebody is changing it; try again when that is done")
    if state.protected:
        raise DeployError(
            f"stack {args.stack} is protected against deletion; lift that first if it is meant:\n  aws cloudformation "
            f"update-termination-protection --no-enable-termination-protection --stack-name {args.stack}"
        )
    # an empty shell, of a change set that was never executed, has no template to ask for
    held = [] if state.status == "REVIEW_IN_PROGRESS" else held_by(cloudformation, state)
    kept = [each for each in held if each.stays]
    gone = [each for each in held if not each.stays]
    tell(f"Stack {args.stack} in {account.region}. These stay, with all their data:\n\n{_table(kept)}\n")
    tell(f"These go:\n\n{_table(gone)}\n")
    if not ask("Type the stack's name to delete it:", args.stack, given=args.yes):
        raise DeployError(f"nothing was deleted: what you typed is not {args.stack}")
    token = uuid.uuid4().hex
    cloudformation.delete_stack(StackName=state.arn, ClientRequestToken=token)
    left, failures = follow(cloudformation, state.arn, token)
    if left is not None:
        raise_failure(left, "the deletion of", args.stack, failures)
    tell(f"\nstack {args.stack} is deleted")
    if kept:
        tell("\nWhat is left, and how to remove it for good:\n")
        for each in kept:
            tell(f"  {each.kind} {each.id}\n    {each.removal(account.region)}")


def main(args: Args) -> None:
    """Delete a stack of the account that the person is signed in to."""
    check_stack_name(args.stack)
    destroy(args, open_account(open_session(args.region)))


if __name__ == "__main__":
    sys.exit(run_command(Args, main, "infra.destroy"))
