"""Change sets: made, shown to a person, executed or thrown away."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from infra.errors import DeployError

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

_EVERY_SECONDS: Final = 3.0
_EMPTY: Final = ("didn't contain changes", "No updates are to be performed")
_WORDS: Final = {"Add": "add", "Modify": "change", "Remove": "REMOVE", "Import": "import", "Dynamic": "perhaps"}
#: What it means when something that holds data or opens it is replaced or removed.
_MEANINGS: Final = {
    "AWS::S3::Bucket": "a new, empty bucket takes its place; deliveries, tables and loads' state stay in the old one",
    "AWS::KMS::Key": "a new key takes its place; what the old one encrypted opens with the old one alone, and a source "
    "that encrypts for it must get the new public key",
    "AWS::KMS::ReplicaKey": "a new key takes its place; what the old one encrypted opens with the old one alone",
    "AWS::SecretsManager::Secret": "a new secret takes its place with no value or another one; a new hash key makes "
    "other hashes of the same people, and no partner matches them",
    "AWS::Glue::Database": "a new, empty database takes its place; tables and their grants stay in the old one",
    "AWS::IAM::AccessKey": "the old access key stops working; who pushes with it must get the new one",
    "AWS::IAM::User": "a new user takes its place, with new credentials; who pushes as the old one is shut out",
    "AWS::SNS::Topic": "subscriptions are made anew; every e-mail address has to be confirmed again",
}


@dataclass(frozen=True)
class Change:
    """One line of a change set."""

    action: str
    name: str
    kind: str
    replacement: str
    policy: str
    causes: tuple[str, ...]

    @property
    def word(self) -> str:
        """What happens to the resource, in a word; in capitals where something is lost or made anew."""
        if self.action == "Modify" and self.replacement == "True":
            return "REPLACE"
        if self.action == "Modify" and self.replacement == "Conditional":
            return "change or REPLACE"
        return _WORDS.get(self.action, self.action)

    @property
    def is_loss(self) -> bool:
        """Whether the stack no longer has the very resource afterwards."""
        return self.word in ("REPLACE", "change or REPLACE", "REMOVE")


@dataclass(frozen=True)
class ChangeSet:
    """A change set that waits for its execution."""

    arn: str
    stack_arn: str
    changes: tuple[Change, ...]


def make_change_set(cloudformation: CloudFormationClient, request: Mapping[str, Any]) -> ChangeSet | None:
    """Make a change set and wait for it; return it, or None (and leave none) where nothing would change.

    ``request`` is what CreateChangeSet takes. Raises DeployError with CloudFormation's reason where it cannot be made.
    """
    made = cloudformation.create_change_set(**request)
    arn = made["Id"]
    while True:
        found = cloudformation.describe_change_set(ChangeSetName=arn)
        if found["Status"] == "CREATE_COMPLETE":
            return ChangeSet(arn, made["StackId"], tuple(_changes(cloudformation, arn)))
        if found["Status"] == "FAILED":
            reason = found.get("StatusReason", "no reason given")
            drop_change_set(cloudformation, arn, made["StackId"], is_new=request["ChangeSetType"] == "CREATE")
            if any(words in reason for words in _EMPTY):
                return None
            raise DeployError(f"CloudFormation cannot make the change set: {reason}")
        time.sleep(_EVERY_SECONDS)


def drop_change_set(cloudformation: CloudFormationClient, arn: str, stack_arn: str, *, is_new: bool) -> None:
    """Throw a change set away, and the empty shell of a stack that it was to create."""
    cloudformation.delete_change_set(ChangeSetName=arn)
    if is_new:
        cloudformation.delete_stack(StackName=stack_arn)


def _changes(cloudformation: CloudFormationClient, arn: str) -> list[Change]:
    found = []
    for page in cloudformation.get_paginator("describe_change_set").paginate(ChangeSetName=arn):
        for each in page["Changes"]:
            change = each["ResourceChange"]
            causes = {
                detail.get("Target", {}).get("Name") or detail.get("Target", {}).get("Attribute", "")
                for detail in change.get("Details", [])
                if detail.get("Target", {}).get("RequiresRecreation", "Never") != "Never"
            }
            found.append(
                Change(
                    change["Action"],
                    change["LogicalResourceId"],
                    change["ResourceType"],
                    change.get("Replacement", ""),
                    change.get("PolicyAction", ""),
                    tuple(sorted(causes)),
                )
            )
    return sorted(found, key=lambda change: (not change.is_loss, change.action, change.name))


def show(changes: tuple[Change, ...]) -> str:
    """Return a table of ``changes``, the dangerous ones first, and what these mean."""
    lines = [_line(change) for change in changes]
    lines += [f"\n  {change.word} {change.name}: {_meaning(change)}" for change in changes if change.is_loss]
    return "\n".join(lines)


def _line(change: Change) -> str:
    because = f"  because of {', '.join(change.causes)}" if change.is_loss and change.causes else ""
    return f"  {change.word:<18} {change.name:<34} {change.kind}{because}"


def _meaning(change: Change) -> str:
    kept = change.policy in ("Retain", "ReplaceAndRetain")
    what = "it leaves the stack" if change.action == "Remove" else _MEANINGS.get(change.kind, "it is made anew")
    if kept:
        return f"{what}. The old one is kept, outside the stack"
    if change.kind in _MEANINGS:
        return f"{what}. THE OLD ONE IS DELETED, with what it holds"
    return f"{what}; the old one is deleted"
