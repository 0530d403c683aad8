from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from infra.destroy import Args, Held, destroy
from infra.errors import DeployError
from tests.infra.fake_aws import ACCOUNT, REGION, FakeAws, Refusal
from tests.infra.repository import TEMPLATE

ARN = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/acme/1"
NOW = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)


def stack(status: str, **more: Any) -> dict[str, Any]:
    return {"Stacks": [{"StackName": "acme", "StackId": ARN, "CreationTime": NOW, "StackStatus": status, **more}]}


def resource(name: str, kind: str, identity: str | None, status: str = "CREATE_COMPLETE") -> dict[str, Any]:
    return {
        "LogicalResourceId": name,
        "ResourceType": kind,
        "ResourceStatus": status,
        "LastUpdatedTimestamp": NOW,
        **({"PhysicalResourceId": identity} if identity else {}),
    }


RESOURCES = [
    resource("Landing", "AWS::S3::Bucket", "acme-landing"),
    resource("Topic", "AWS::SNS::Topic", "arn:topic"),
    resource("Never", "AWS::SNS::Topic", None, "CREATE_FAILED"),
    resource("Gone", "AWS::SNS::Topic", "arn:gone", "DELETE_COMPLETE"),
]


def cloud(*states: Any, events: list[tuple[str, str]] | None = None, body: Any = TEMPLATE) -> FakeAws:
    aws = FakeAws({})

    def told(_request: object) -> dict[str, Any]:
        (deleted,) = aws.requests("cloudformation.DeleteStack")
        return {
            "StackEvents": [
                {
                    "StackId": ARN,
                    "StackName": "acme",
                    "EventId": status,
                    "LogicalResourceId": "Landing",
                    "ResourceType": "AWS::S3::Bucket",
                    "Timestamp": NOW,
                    "ResourceStatus": status,
                    "ResourceStatusReason": reason,
                    "ClientRequestToken": deleted["ClientRequestToken"],
                }
                for status, reason in events or []
            ]
        }

    aws.answers = {
        "cloudformation.DescribeStacks": list(states),
        "cloudformation.GetTemplate": {"TemplateBody": body},
        "cloudformation.ListStackResources": {"StackResourceSummaries": RESOURCES},
        "cloudformation.DeleteStack": {},
        "cloudformation.DescribeStackEvents": told,
    }
    return aws


def test_what_stays_and_what_goes_is_told_before_and_how_to_remove_it_after(
    capsys: pytest.CaptureFixture[str],
) -> None:
    aws = cloud(stack("CREATE_COMPLETE"), stack("DELETE_IN_PROGRESS"), stack("DELETE_COMPLETE"))
    destroy(Args("acme", yes=True), aws.account)
    before, _, after = capsys.readouterr().out.partition("stack acme is deleted")
    stays, _, goes = before.partition("These go:")
    assert "acme-landing" in stays
    assert "arn:topic" in goes
    assert "arn:gone" not in before
    assert "aws s3 rb s3://acme-landing" in after
    assert "arn:topic" not in after
    assert [request["StackName"] for request in aws.requests("cloudformation.DeleteStack")] == [ARN]
    assert not aws.unknown


def test_the_shell_of_a_change_set_has_nothing_and_goes() -> None:
    aws = cloud(stack("REVIEW_IN_PROGRESS"), stack("DELETE_COMPLETE"))
    destroy(Args("acme", yes=True), aws.account)
    assert not aws.requests("cloudformation.GetTemplate")
    assert aws.requests("cloudformation.DeleteStack")


def test_a_deletion_that_fails_tells_why() -> None:
    states = [stack("UPDATE_COMPLETE"), stack("DELETE_IN_PROGRESS"), stack("DELETE_FAILED")]
    aws = cloud(*states, events=[("DELETE_FAILED", "The bucket you tried to delete is not empty")])
    with pytest.raises(DeployError, match=r"it is now DELETE_FAILED:\n  Landing .*is not empty"):
        destroy(Args("acme", yes=True), aws.account)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (Refusal("ValidationError", "Stack with id acme does not exist"), "there is no stack acme in eu-central-1"),
        (stack("UPDATE_IN_PROGRESS"), "somebody is changing it"),
        (stack("CREATE_COMPLETE", EnableTerminationProtection=True), "--no-enable-termination-protection"),
    ],
)
def test_what_cannot_be_deleted_is_left_alone(state: Any, message: str) -> None:
    aws = cloud(state)
    with pytest.raises(DeployError, match=message):
        destroy(Args("acme", yes=True), aws.account)
    assert not aws.requests("cloudformation.DeleteStack")


@pytest.mark.parametrize(("typed", "deleted"), [("acme", True), ("yes", False), ("ACME", False)])
def test_only_the_name_of_the_stack_deletes_it(typed: str, *, deleted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", type("Terminal", (), {"isatty": lambda _self: True})())
    monkeypatch.setattr("builtins.input", lambda _prompt: typed)
    aws = cloud(stack("CREATE_COMPLETE"), stack("DELETE_COMPLETE"))
    if deleted:
        destroy(Args("acme"), aws.account)
    else:
        with pytest.raises(DeployError, match="nothing was deleted"):
            destroy(Args("acme"), aws.account)
    assert bool(aws.requests("cloudformation.DeleteStack")) is deleted


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        ("AWS::KMS::Key", "aws kms schedule-key-deletion --region eu-central-1 --key-id it"),
        ("AWS::SecretsManager::Secret", "aws secretsmanager delete-secret --region eu-central-1 --secret-id it"),
        ("AWS::Glue::Database", "aws glue delete-database --region eu-central-1 --name it"),
        ("AWS::Unheard::Of", "remove it in the console"),
    ],
)
def test_each_kind_says_how_it_is_removed(kind: str, part: str) -> None:
    assert part in Held("X", kind, "it", stays=True).removal(REGION)
