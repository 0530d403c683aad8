"""The evaluator against cases of the IAM user guide ("Policy evaluation logic", "IAM JSON policy elements")."""

from __future__ import annotations

from typing import Any

import pytest

from infra.cloudformation.resolve import Resolved, Site
from tests.infra.permissions import allows, denies, statements_of

BUCKET = "arn:aws:s3:::amzn-s3-demo-bucket"
QUEUE = "arn:aws:sqs:us-east-1:111122223333:queue"


def allow(action: str | list[str], resource: str | list[str] = "*", **condition: Any) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    return {**statement, "Condition": condition} if condition else statement


def deny(action: str | list[str], resource: str | list[str] = "*", **condition: Any) -> dict[str, Any]:
    return {**allow(action, resource, **condition), "Effect": "Deny"}


@pytest.mark.parametrize(
    ("statements", "action", "resource", "allowed"),
    [
        ([], "s3:GetObject", f"{BUCKET}/a", False),  # what nobody allows is denied
        ([allow("s3:GetObject", f"{BUCKET}/*")], "s3:GetObject", f"{BUCKET}/a/b", True),
        ([allow("s3:GetObject", f"{BUCKET}/*")], "s3:GetObject", BUCKET, False),
        ([allow("s3:GetObject", f"{BUCKET}/*")], "s3:PutObject", f"{BUCKET}/a", False),
        ([allow("S3:getobject")], "s3:GetObject", f"{BUCKET}/a", True),  # actions have no case
        ([allow("s3:GetObject", f"{BUCKET}/A")], "s3:GetObject", f"{BUCKET}/a", False),  # resources have
        ([allow("s3:Get*")], "s3:GetObjectVersion", f"{BUCKET}/a", True),
        ([allow("s3:GetObject", f"{BUCKET}/?.csv")], "s3:GetObject", f"{BUCKET}/a.csv", True),
        ([allow("s3:GetObject", f"{BUCKET}/?.csv")], "s3:GetObject", f"{BUCKET}/aa.csv", False),
        ([allow("s3:GetObject", f"{BUCKET}/[ab]")], "s3:GetObject", f"{BUCKET}/a", False),
        ([allow(["s3:ListBucket", "s3:GetObject"], [BUCKET, f"{BUCKET}/*"])], "s3:ListBucket", BUCKET, True),
        ([allow("s3:*"), deny("s3:DeleteObject")], "s3:DeleteObject", f"{BUCKET}/a", False),  # a deny wins
        ([deny("s3:DeleteObject"), allow("s3:*")], "s3:GetObject", f"{BUCKET}/a", True),
    ],
)
def test_actions_and_resources(statements: list[dict[str, Any]], action: str, resource: str, *, allowed: bool) -> None:
    assert allows(statements, action, resource) is allowed


@pytest.mark.parametrize(
    ("condition", "context", "holds"),
    [
        ({"StringEquals": {"aws:PrincipalTag/job": "iamuser-admin"}}, {"aws:PrincipalTag/job": "iamuser-admin"}, True),
        ({"StringEquals": {"aws:PrincipalTag/job": "iamuser-admin"}}, {"aws:principaltag/JOB": "iamuser-admin"}, True),
        ({"StringEquals": {"aws:PrincipalTag/job": "iamuser-admin"}}, {"aws:PrincipalTag/job": "IAMuser-admin"}, False),
        ({"StringEquals": {"aws:PrincipalTag/job": "iamuser-admin"}}, {}, False),
        ({"StringEquals": {"s3:prefix": ["", "home/"]}}, {"s3:prefix": "home/"}, True),  # values are alternatives
        ({"StringEquals": {"s3:prefix": ["", "home/"]}}, {"s3:prefix": "home/bob"}, False),
        ({"StringNotEquals": {"s3:prefix": ["a", "b"]}}, {"s3:prefix": "c"}, True),
        ({"StringNotEquals": {"s3:prefix": ["a", "b"]}}, {"s3:prefix": "b"}, False),  # of a negated one, none may be it
        ({"StringNotEquals": {"s3:prefix": "a"}}, {}, True),  # a missing key is not equal
        ({"StringNotEqualsIfExists": {"ec2:InstanceType": "t1"}}, {}, True),
        ({"StringNotEqualsIfExists": {"ec2:InstanceType": "t1"}}, {"ec2:InstanceType": "t2"}, True),
        ({"StringNotEqualsIfExists": {"ec2:InstanceType": "t1"}}, {"ec2:InstanceType": "t1"}, False),
        ({"StringEqualsIfExists": {"ec2:InstanceType": "t1"}}, {}, True),
        ({"StringLike": {"s3:prefix": "home/*"}}, {"s3:prefix": "home/bob/a"}, True),
        ({"StringLike": {"s3:prefix": "home/*"}}, {"s3:prefix": "home"}, False),
        ({"StringLike": {"s3:prefix": "home/*"}}, {}, False),
        ({"Null": {"aws:TokenIssueTime": "true"}}, {}, True),
        ({"Null": {"aws:TokenIssueTime": "true"}}, {"aws:TokenIssueTime": "2026-11-22T00:00:00Z"}, False),
        ({"Null": {"aws:TokenIssueTime": "false"}}, {"aws:TokenIssueTime": "2026-11-22T00:00:00Z"}, True),
        ({"Null": {"aws:TokenIssueTime": "false"}}, {}, False),
        ({"Bool": {"aws:SecureTransport": "false"}}, {"aws:SecureTransport": "false"}, True),
        ({"Bool": {"aws:SecureTransport": "false"}}, {"aws:SecureTransport": "true"}, False),
        ({"Bool": {"aws:SecureTransport": "false"}}, {}, False),
        ({"NumericLessThan": {"s3:TlsVersion": "1.2"}}, {"s3:TlsVersion": "1.1"}, True),
        ({"NumericLessThan": {"s3:TlsVersion": "1.2"}}, {"s3:TlsVersion": "1.2"}, False),
        ({"NumericEquals": {"s3:max-keys": "10"}}, {"s3:max-keys": "10"}, True),
        ({"NumericEquals": {"s3:max-keys": "10"}}, {"s3:max-keys": "1000"}, False),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:sqs:*:111122223333:*"}}, {"aws:SourceArn": QUEUE}, True),
        ({"ArnEquals": {"aws:SourceArn": "arn:aws:sqs:*:111122223333:queue"}}, {"aws:SourceArn": QUEUE}, True),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:sqs:*:queue"}}, {"aws:SourceArn": QUEUE}, False),  # part by part
        # all operators and all keys have to hold
        ({"StringEquals": {"a": "1"}, "Bool": {"b": "true"}}, {"a": "1", "b": "true"}, True),
        ({"StringEquals": {"a": "1"}, "Bool": {"b": "true"}}, {"a": "1", "b": "false"}, False),
        ({"StringEquals": {"a": "1", "b": "2"}}, {"a": "1", "b": "3"}, False),
    ],
)
def test_conditions(condition: dict[str, Any], context: dict[str, str], *, holds: bool) -> None:
    assert allows([allow("s3:ListBucket", BUCKET, **condition)], "s3:ListBucket", BUCKET, context) is holds


def test_a_deny_whose_condition_does_not_hold_denies_nothing() -> None:
    only_tls = deny("s3:*", "*", Bool={"aws:SecureTransport": "false"})
    assert denies([only_tls], "s3:GetObject", f"{BUCKET}/a", {"aws:SecureTransport": "false"})
    assert not denies([only_tls], "s3:GetObject", f"{BUCKET}/a", {"aws:SecureTransport": "true"})


def test_a_deny_with_a_negated_operator_denies_requests_without_the_key() -> None:
    # "the request is still denied even if the condition key is not present" (IAM user guide, ...IfExists)
    other_than = deny("ec2:RunInstances", "*", StringNotEqualsIfExists={"ec2:InstanceType": "t1.micro"})
    assert denies([other_than], "ec2:RunInstances", "*", {})
    assert not denies([other_than], "ec2:RunInstances", "*", {"ec2:InstanceType": "t1.micro"})


@pytest.mark.parametrize(
    "statement",
    [
        allow("s3:GetObject", "*", DateLessThan={"aws:CurrentTime": "2026-01-01"}),
        {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"},
        allow("s3:GetObject", f"{BUCKET}/${{aws:username}}/*"),
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", "NotPrincipal": {"AWS": "*"}},
    ],
    ids=["operator", "not action", "variable", "not principal"],
)
def test_what_is_not_known_raises(statement: dict[str, Any]) -> None:
    with pytest.raises(NotImplementedError):
        allows([statement], "s3:GetObject", f"{BUCKET}/a", {"aws:CurrentTime": "2025-01-01"})


def policy(action: str) -> dict[str, Any]:
    return {"Statement": [allow(action)]}


def test_statements_are_those_of_all_policies_of_a_role() -> None:
    inline = {"Policies": [{"PolicyName": "own", "PolicyDocument": policy("a:Own")}], "ManagedPolicyArns": ["arn-1"]}
    attached = {"PolicyName": "p", "Roles": ["role-1"], "PolicyDocument": policy("a:Attached")}
    managed = {"Roles": ["role-1"], "PolicyDocument": policy("a:Managed")}
    other = {"PolicyName": "p", "Roles": ["role-2"], "PolicyDocument": policy("a:Other")}
    resources = {
        "Role": {"Type": "AWS::IAM::Role", "Properties": inline},
        "Attached": {"Type": "AWS::IAM::Policy", "Properties": attached},
        "Managed": {"Type": "AWS::IAM::ManagedPolicy", "Properties": managed},
        "Named": {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": policy("a:Named")}},
        "Other": {"Type": "AWS::IAM::Policy", "Properties": other},
    }
    refs = {"Role": "role-1", "Attached": "x", "Managed": "arn-2", "Named": "arn-1", "Other": "y"}
    found = statements_of(Resolved(Site(), resources, {}, refs), "Role")
    assert [each["Action"] for each in found] == ["a:Own", "a:Attached", "a:Managed", "a:Named"]
