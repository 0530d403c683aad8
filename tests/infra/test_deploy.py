from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest

from infra import deploy as deploying
from infra.account import check_stack_name, open_session
from infra.build import PROJECT, build_folder
from infra.change_set import Change, show
from infra.code_bucket import Place, build_prefix, check_bucket, read_build, upload
from infra.command import run_command
from infra.commit import Commit
from infra.consent import ask
from infra.deploy import Args, built_files, deploy, pairs
from infra.errors import DeployError
from infra.release import glue_release
from infra.stack import StackState, refuse_stuck
from infra.template import check_names, choose_parameters, read_template
from jobs.runtime.errors import ArgumentError
from tests.infra.fake_aws import ACCOUNT, REGION, FakeAws, Refusal
from tests.infra.repository import TEMPLATE, commit_all, put_build, small_repository

RELEASE = glue_release("6.0")
STACK_ARN = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/acme/1"
SET_ARN = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:changeSet/deploy/1"
NO_STACK = Refusal("ValidationError", "Stack with id acme does not exist")


# --- what the person gives


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (None, {}),
        ("A=1 B=two", {"A": "1", "B": "two"}),
        ("Schedule='cron(0 3 * * ? *)' A=", {"Schedule": "cron(0 3 * * ? *)", "A": ""}),
        ("Role=arn:aws:iam::1:role/x=y", {"Role": "arn:aws:iam::1:role/x=y"}),
    ],
)
def test_pairs_are_split_as_a_shell_would(text: str | None, found: dict[str, str]) -> None:
    assert pairs(text, "--parameters") == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A", "'A' is not of the form Name=value"),
        ("=1", "'=1' is not of the form"),
        ("Schedule=cron(0 3 * * ? *)", "'3' is not of the form Name=value; put quotes around"),
        ("A='1", "No closing quotation"),
        ("A=1 A=2", "A is given twice"),
    ],
)
def test_what_is_no_pair_is_refused(text: str, message: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        pairs(text, "--parameters")
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["", "9acme", "acme_x", "a" * 129, "--x"])
def test_what_is_no_stack_name_is_refused(name: str) -> None:
    with pytest.raises(ArgumentError, match="is no stack name"):
        check_stack_name(name)


def test_the_region_is_the_given_one_or_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    with pytest.raises(ArgumentError, match="no Region: give REGION="):
        open_session(None)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert open_session(None).region_name == "eu-west-1"
    assert open_session("eu-central-1").region_name == "eu-central-1"


def test_parameters_that_say_the_build_are_not_the_persons(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--stack", "acme", "--bucket", "b", "--parameters", "GlueVersion=5.1"]
    monkeypatch.setattr(sys, "argv", ["deploy", *words])
    assert run_command(Args, deploying.main, "infra.deploy") == 1
    assert capsys.readouterr().err == "error: --parameters: GlueVersion: set by BUCKET, COMMIT and GLUE\n"


# --- the template


def test_what_is_given_is_taken_and_the_rest_kept_or_defaulted() -> None:
    template = read_template(TEMPLATE, "x")
    given = {"ConnectorName": "aep_profiles", "CodeBucket": "b", "CodePrefix": "p"}
    new = choose_parameters(template, given, None)
    assert {each["ParameterKey"]: each.get("ParameterValue") for each in new} == given
    previous = {"Start": "arrival", "ConnectorName": "old", "Gone": "x"}
    kept = choose_parameters(template, given, previous)
    assert {each["ParameterKey"] for each in kept if each.get("UsePreviousValue")} == {"Start"}
    assert {each["ParameterKey"]: each["ParameterValue"] for each in kept if "ParameterValue" in each} == given


def test_a_new_stack_is_told_every_parameter_that_it_lacks() -> None:
    with pytest.raises(DeployError, match=r"CodePrefix has no default.*\n +ConnectorName .*: Which source$"):
        choose_parameters(read_template(TEMPLATE, "x"), {"CodeBucket": "b"}, None)


def test_names_and_values_are_held_against_the_template() -> None:
    with pytest.raises(DeployError) as caught:
        check_names(read_template(TEMPLATE, "x"), {"Conector": "x", "Start": "arival", "CreateDatabase": "true"})
    assert "there is no parameter Conector; did you mean ConnectorName?" in str(caught.value)
    assert "Start cannot be 'arival'; did you mean arrival?" in str(caught.value)
    assert "CreateDatabase" not in str(caught.value)


@pytest.mark.parametrize("body", ["[1, 2", "Parameters: {}", "just text", "Resources: !!python/object:os.system {}"])
def test_what_is_no_template_is_refused(body: str) -> None:
    with pytest.raises(DeployError, match=r"^x is (not YAML|no CloudFormation template)"):
        read_template(body, "x")


def test_the_template_of_this_checkout_can_be_read() -> None:
    template = read_template((PROJECT / "infra/cloudformation/cleanroom-etl.yaml").read_text(encoding="utf-8"), "x")
    assert {"CodeBucket", "CodePrefix", "GlueVersion", "ConnectorName"} <= set(template.parameters)
    kept = {each.kind for each in template.resources.values() if each.stays}
    assert {"AWS::S3::Bucket", "AWS::KMS::Key", "AWS::SecretsManager::Secret", "AWS::Glue::Database"} <= kept


# --- the bucket of the builds


@pytest.mark.parametrize(
    ("answers", "refused", "warned"),
    [
        pytest.param({}, None, [], id="as it should be"),
        pytest.param(
            {"s3.HeadBucket": Refusal("404", status=404)}, "there is no bucket code; make it", [], id="absent"
        ),
        pytest.param({"s3.HeadBucket": Refusal("403", status=403)}, "it is another account's", [], id="not ours"),
        pytest.param(
            {"s3.HeadBucket": Refusal("301", status=301)}, "is not in eu-central-1", [], id="elsewhere, untold"
        ),
        pytest.param({"s3.HeadBucket": {"BucketRegion": "us-east-1"}}, "REGION=us-east-1", [], id="another Region"),
        pytest.param({"s3.GetBucketPolicyStatus": {"PolicyStatus": {"IsPublic": True}}}, "is public", [], id="public"),
        pytest.param({"s3.GetBucketVersioning": {}}, None, ["is not versioned"], id="not versioned"),
        pytest.param(
            {"s3.GetPublicAccessBlock": Refusal("NoSuchPublicAccessBlockConfiguration", status=404)},
            None,
            ["no full public access block"],
            id="not closed",
        ),
        pytest.param(
            {"s3.GetBucketEncryption": Refusal("ServerSideEncryptionConfigurationNotFoundError", status=404)},
            None,
            ["no default encryption"],
            id="not encrypted",
        ),
    ],
)
def test_a_bucket_for_code_is_looked_at_first(
    answers: dict[str, Any], refused: str | None, warned: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    closed = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    well: dict[str, Any] = {
        "s3.HeadBucket": {"BucketRegion": REGION},
        "s3.GetBucketPolicyStatus": Refusal("NoSuchBucketPolicy", status=404),
        "s3.GetBucketVersioning": {"Status": "Enabled"},
        "s3.GetBucketEncryption": {"ServerSideEncryptionConfiguration": {"Rules": [rule]}},
        "s3.GetPublicAccessBlock": {"PublicAccessBlockConfiguration": dict.fromkeys(closed, True)},
    }
    aws = FakeAws(well | answers)
    s3 = aws.account.session.client("s3")
    if refused:
        with pytest.raises(DeployError) as caught:
            check_bucket(s3, "code", REGION, ACCOUNT)
        assert refused in str(caught.value)
    else:
        check_bucket(s3, "code", REGION, ACCOUNT)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(warned)
    assert all(part in line for part, line in zip(warned, lines, strict=True))
    assert aws.requests("s3.HeadBucket") == [{"Bucket": "code", "ExpectedBucketOwner": ACCOUNT}]


def test_what_is_there_is_not_sent_again(code_bucket: str) -> None:
    s3, place = boto3.client("s3"), Place(code_bucket, build_prefix("abc"), ACCOUNT)
    files = {"cleanroom_etl.zip": b"code", "jobs/load.py": b"script"}
    assert upload(s3, place, files) == list(files)
    assert upload(s3, place, files) == []
    assert upload(s3, place, {**files, "more": b"x"}) == ["more"]
    head = s3.head_object(Bucket=code_bucket, Key="builds/abc/jobs/load.py", ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"] == base64.b64encode(hashlib.sha256(b"script").digest()).decode()


@pytest.mark.parametrize("options", [{"ChecksumAlgorithm": "SHA256"}, {}], ids=["other content", "put by other means"])
def test_a_build_that_somebody_has_changed_is_not_overwritten(code_bucket: str, options: dict[str, Any]) -> None:
    s3, place = boto3.client("s3"), Place(code_bucket, build_prefix("abc"), ACCOUNT)
    s3.put_object(Bucket=code_bucket, Key="builds/abc/x", Body=b"changed", **options)
    with pytest.raises(DeployError, match="is there with other content, although it is the same commit"):
        upload(s3, place, {"x": b"ours"})


def test_an_older_build_must_be_there_whole_and_unchanged(code_bucket: str) -> None:
    s3, place = boto3.client("s3"), Place(code_bucket, build_prefix("abc"), ACCOUNT)
    with pytest.raises(DeployError, match=r"builds/abc/glue-6\.0\.build\.json is not there: that commit was never"):
        read_build(s3, place, RELEASE.build_name)
    digests = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("a", "b", "c")}
    listed = json.dumps({"files": digests}).encode()
    upload(s3, place, {RELEASE.build_name: listed, "a": b"a", "b": b"not b"})
    with pytest.raises(DeployError, match="is not as it was made: b, c missing or changed"):
        read_build(s3, place, RELEASE.build_name)
    s3.delete_object(Bucket=code_bucket, Key="builds/abc/b")
    upload(s3, place, {"b": b"b", "c": b"c"})
    assert read_build(s3, place, RELEASE.build_name) == digests


def test_a_build_that_is_there_is_not_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = small_repository(tmp_path)
    files = put_build(commit, RELEASE)
    folder = build_folder(RELEASE, tmp_path)
    built: list[Commit] = []

    def rebuild(commit: Commit, _release: object, _folder: Path) -> list[str]:
        built.append(commit)
        put_build(commit, RELEASE)
        return ["it works"]

    monkeypatch.setattr(deploying, "build", rebuild)
    assert built_files(commit, RELEASE, folder) == files
    assert not built
    (folder / "jobs/load.py").write_text("changed", encoding="utf-8")
    assert built_files(commit, RELEASE, folder) == files
    (tmp_path / "jobs/load.py").write_text("another commit", encoding="utf-8")
    newer = commit_all(tmp_path)
    assert built_files(newer, RELEASE, folder)["jobs/load.py"] == b"another commit"
    assert built == [commit, newer]


# --- change sets


CHANGES = {
    "a new thing": (Change("Add", "A", "AWS::Glue::Job", "", "", ()), ["  add "], ["THE OLD ONE"]),
    "a change": (Change("Modify", "A", "AWS::Glue::Job", "False", "", ()), ["  change "], ["REPLACE"]),
    "a bucket replaced": (
        Change("Modify", "Landing", "AWS::S3::Bucket", "True", "ReplaceAndRetain", ("BucketName",)),
        ["  REPLACE ", "because of BucketName", "a new, empty bucket", "The old one is kept, outside the stack"],
        ["DELETED"],
    ),
    "a key replaced and lost": (
        Change("Modify", "Key", "AWS::KMS::Key", "True", "ReplaceAndDelete", ()),
        ["  REPLACE ", "opens with the old one alone", "THE OLD ONE IS DELETED"],
        [],
    ),
    "a secret perhaps replaced": (
        Change("Modify", "S", "AWS::SecretsManager::Secret", "Conditional", "", ()),
        ["  change or REPLACE ", "no partner matches them"],
        [],
    ),
    "a bucket removed and kept": (
        Change("Remove", "Old", "AWS::S3::Bucket", "", "Retain", ()),
        ["  REMOVE ", "it leaves the stack. The old one is kept"],
        ["DELETED"],
    ),
    "a trigger replaced": (
        Change("Modify", "T", "AWS::Glue::Trigger", "True", "", ()),
        ["  REPLACE ", "it is made anew; the old one is deleted"],
        [],
    ),
}


@pytest.mark.parametrize(("change", "told", "untold"), CHANGES.values(), ids=CHANGES)
def test_a_change_says_what_it_means(change: Change, told: list[str], untold: list[str]) -> None:
    text = show((change,))
    assert all(part in text for part in told), text
    assert not any(part in text for part in untold), text


# --- states that no change can start from


@pytest.mark.parametrize(
    ("status", "way_out"),
    [
        ("ROLLBACK_COMPLETE", "aws cloudformation delete-stack --stack-name acme"),
        ("ROLLBACK_FAILED", "make destroy STACK=acme"),
        ("CREATE_FAILED", "make destroy STACK=acme"),
        ("DELETE_FAILED", "make destroy STACK=acme"),
        ("UPDATE_FAILED", "aws cloudformation rollback-stack --stack-name acme"),
        ("UPDATE_ROLLBACK_FAILED", "aws cloudformation continue-update-rollback --stack-name acme"),
        ("REVIEW_IN_PROGRESS", "aws cloudformation delete-stack --stack-name acme"),
        ("UPDATE_IN_PROGRESS", "somebody is changing it"),
        ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "somebody is changing it"),
    ],
)
def test_a_stuck_stack_says_the_way_out(status: str, way_out: str) -> None:
    with pytest.raises(DeployError) as caught:
        refuse_stuck(StackState("acme", STACK_ARN, status, "", protected=False, parameters={}, outputs={}))
    assert str(caught.value).startswith(f"stack acme is {status}: ")
    assert way_out in str(caught.value)


@pytest.mark.parametrize(
    "status", ["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE"]
)
def test_a_resting_stack_can_be_changed(status: str) -> None:
    refuse_stuck(StackState("acme", STACK_ARN, status, "", protected=False, parameters={}, outputs={}))
    refuse_stuck(None)


# --- consent


def test_nobody_to_ask_is_a_no_and_says_how_to_say_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    with pytest.raises(DeployError, match="say YES=1"):
        ask("Sure?", "yes", given=False)
    assert ask("Sure?", "yes", given=True)


@pytest.mark.parametrize(
    ("answer", "agreed"), [("yes", True), (" yes ", True), ("y", False), ("", False), (None, False)]
)
def test_only_the_expected_word_is_a_yes(answer: str | None, *, agreed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def typed(_prompt: str) -> str:
        if answer is None:
            raise EOFError
        return answer

    monkeypatch.setattr("sys.stdin", type("Terminal", (), {"isatty": lambda _self: True})())
    monkeypatch.setattr("builtins.input", typed)
    assert ask("Sure?", "yes", given=False) is agreed


# --- the whole way


def stack(status: str, **more: Any) -> dict[str, Any]:
    about = {"StackName": "acme", "StackId": STACK_ARN, "CreationTime": dt.datetime.now(dt.UTC)}
    return {"Stacks": [{**about, "StackStatus": status, **more}]}


def change_set(status: str, **more: Any) -> dict[str, Any]:
    return {"Status": status, "ChangeSetId": SET_ARN, "StackId": STACK_ARN, **more}


ADDED = {
    "Changes": [
        {
            "Type": "Resource",
            "ResourceChange": {"Action": "Add", "LogicalResourceId": "Topic", "ResourceType": "AWS::SNS::Topic"},
        }
    ]
}
DONE = stack("CREATE_COMPLETE", Outputs=[{"OutputKey": "Root", "OutputValue": "s3://landing"}])


class Events:
    """Events of the change that was executed, told with its token, and one of an earlier change."""

    def __init__(self, *events: tuple[str, str, str]) -> None:
        self.events = events

    def __call__(self, aws: FakeAws) -> dict[str, Any]:
        (executed,) = aws.requests("cloudformation.ExecuteChangeSet")
        token = executed["ClientRequestToken"]
        told = [("Earlier", "CREATE_FAILED", "long ago", "other"), *((*each, token) for each in self.events)]
        return {
            "StackEvents": [
                {
                    "StackId": STACK_ARN,
                    "EventId": f"{number}",
                    "StackName": "acme",
                    "LogicalResourceId": name,
                    "ResourceType": "AWS::SNS::Topic",
                    "Timestamp": dt.datetime(2026, 11, 22, 12, 0, number, tzinfo=dt.UTC),
                    "ResourceStatus": status,
                    "ResourceStatusReason": reason,
                    "ClientRequestToken": own,
                }
                for number, (name, status, reason, own) in reversed(list(enumerate(told)))
            ]
        }


def cloud(events: Events, **answers: Any) -> FakeAws:
    """Return an AWS whose S3 is moto's, and whose CloudFormation answers as it does when all goes well."""
    aws = FakeAws({}, real=frozenset({"s3"}))
    aws.answers = {
        "cloudformation.DescribeStacks": [NO_STACK, stack("CREATE_IN_PROGRESS"), DONE],
        "cloudformation.GetTemplateSummary": {"Capabilities": ["CAPABILITY_IAM"]},
        "cloudformation.CreateChangeSet": {"Id": SET_ARN, "StackId": STACK_ARN},
        "cloudformation.DescribeChangeSet": [change_set("CREATE_IN_PROGRESS"), change_set("CREATE_COMPLETE", **ADDED)],
        "cloudformation.ExecuteChangeSet": {},
        "cloudformation.DescribeStackEvents": lambda _request: events(aws),
        "cloudformation.DeleteChangeSet": {},
        "cloudformation.DeleteStack": {},
        **{f"cloudformation.{name}": answer for name, answer in answers.items()},
    }
    return aws


GOOD = Events(("Topic", "CREATE_IN_PROGRESS", ""), ("Topic", "CREATE_COMPLETE", ""), ("acme", "CREATE_COMPLETE", ""))


def arguments(bucket: str, **more: Any) -> Args:
    return dataclasses.replace(Args("acme", bucket, parameters="ConnectorName=aep_profiles", yes=True), **more)


def test_a_new_stack_is_made_from_the_uploaded_build(
    tmp_path: Path, code_bucket: str, capsys: pytest.CaptureFixture[str]
) -> None:
    commit = small_repository(tmp_path)
    files = put_build(commit, RELEASE)
    aws = cloud(GOOD)
    deploy(arguments(code_bucket, tags="team=data"), aws.account, tmp_path)
    (request,) = aws.requests("cloudformation.CreateChangeSet")
    assert request["ChangeSetType"] == "CREATE"
    assert request["TemplateURL"].endswith(f"{code_bucket}/builds/{commit.sha}/cleanroom-etl.yaml")
    assert request["Capabilities"] == ["CAPABILITY_IAM"]
    assert request["Tags"] == [{"Key": "team", "Value": "data"}]
    assert {each["ParameterKey"]: each["ParameterValue"] for each in request["Parameters"]} == {
        "CodeBucket": code_bucket,
        "CodePrefix": f"builds/{commit.sha}",
        "GlueVersion": "6.0",
        "ConnectorName": "aep_profiles",
    }
    listed = boto3.client("s3").list_objects_v2(Bucket=code_bucket)["Contents"]
    assert {each["Key"] for each in listed} == {f"builds/{commit.sha}/{name}" for name in files}
    out = capsys.readouterr().out
    assert "add                Topic" in out
    assert "CREATE_COMPLETE              Topic" in out
    assert "Earlier" not in out
    assert "Root                       s3://landing" in out
    assert out.endswith("next: make doctor STACK=acme\n")
    assert not aws.requests("cloudformation.DeleteChangeSet")
    assert not aws.unknown


def test_an_update_keeps_what_is_not_given_and_the_glue_release(tmp_path: Path, code_bucket: str) -> None:
    commit = small_repository(tmp_path, {"infra/locks/glue-5.1.txt": ""})
    put_build(commit, glue_release("5.1"))
    known = {"GlueVersion": "5.1", "ConnectorName": "amperity", "Start": "arrival", "CodePrefix": "builds/old"}
    pairs_of = [{"ParameterKey": key, "ParameterValue": value} for key, value in known.items()]
    updated = stack("UPDATE_COMPLETE", Parameters=pairs_of)
    aws = cloud(GOOD, DescribeStacks=[updated, stack("UPDATE_IN_PROGRESS"), updated])
    deploy(arguments(code_bucket, parameters=None), aws.account, tmp_path)
    (request,) = aws.requests("cloudformation.CreateChangeSet")
    assert request["ChangeSetType"] == "UPDATE"
    assert "Tags" not in request
    parameters = {each["ParameterKey"]: each for each in request["Parameters"]}
    assert {name for name, each in parameters.items() if each.get("UsePreviousValue")} == {"ConnectorName", "Start"}
    assert parameters["GlueVersion"]["ParameterValue"] == "5.1"
    assert parameters["CodePrefix"]["ParameterValue"] == f"builds/{commit.sha}"


def test_a_stack_that_still_rests_from_its_last_change_is_not_taken_for_done(tmp_path: Path, code_bucket: str) -> None:
    put_build(small_repository(tmp_path), RELEASE)
    aws = cloud(GOOD, DescribeStacks=[DONE, DONE, DONE, stack("UPDATE_IN_PROGRESS"), stack("UPDATE_ROLLBACK_COMPLETE")])
    told = aws.answers["cloudformation.DescribeStackEvents"]
    aws.answers["cloudformation.DescribeStackEvents"] = [{"StackEvents": []}, {"StackEvents": []}, told]
    with pytest.raises(DeployError, match="UPDATE_ROLLBACK_COMPLETE"):
        deploy(arguments(code_bucket), aws.account, tmp_path)


@pytest.mark.parametrize(
    "reason",
    [
        "The submitted information didn't contain changes. Submit different information.",
        "No updates are to be performed.",
    ],
)
def test_nothing_to_change_is_a_success_that_leaves_nothing(
    tmp_path: Path, code_bucket: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    put_build(small_repository(tmp_path), RELEASE)
    aws = cloud(GOOD, DescribeStacks=DONE, DescribeChangeSet=change_set("FAILED", StatusReason=reason))
    deploy(arguments(code_bucket), aws.account, tmp_path)
    assert aws.requests("cloudformation.DeleteChangeSet") == [{"ChangeSetName": SET_ARN}]
    assert not aws.requests("cloudformation.ExecuteChangeSet")
    assert not aws.requests("cloudformation.DeleteStack")
    assert "nothing to change" in capsys.readouterr().out


def test_a_change_set_that_cannot_be_made_tells_why_and_leaves_no_shell(tmp_path: Path, code_bucket: str) -> None:
    put_build(small_repository(tmp_path), RELEASE)
    aws = cloud(GOOD, DescribeChangeSet=change_set("FAILED", StatusReason="Rule PushRole failed"))
    with pytest.raises(DeployError, match="cannot make the change set: Rule PushRole failed"):
        deploy(arguments(code_bucket), aws.account, tmp_path)
    assert aws.requests("cloudformation.DeleteStack") == [{"StackName": STACK_ARN}]


@pytest.mark.parametrize("is_new", [True, False])
def test_who_does_not_agree_changes_nothing_and_leaves_nothing(
    tmp_path: Path, code_bucket: str, *, is_new: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    put_build(small_repository(tmp_path), RELEASE)
    aws = cloud(GOOD) if is_new else cloud(GOOD, DescribeStacks=DONE)
    with pytest.raises(DeployError, match="nobody is at a terminal"):
        deploy(arguments(code_bucket, yes=False), aws.account, tmp_path)
    assert aws.requests("cloudformation.DeleteChangeSet") == [{"ChangeSetName": SET_ARN}]
    assert len(aws.requests("cloudformation.DeleteStack")) == is_new
    assert not aws.requests("cloudformation.ExecuteChangeSet")


def test_a_failed_creation_tells_what_failed_first(tmp_path: Path, code_bucket: str) -> None:
    put_build(small_repository(tmp_path), RELEASE)
    events = Events(
        ("Topic", "CREATE_FAILED", "no such key"),
        ("Other", "CREATE_FAILED", "Resource creation cancelled"),
        ("acme", "ROLLBACK_COMPLETE", ""),
    )
    states = [NO_STACK, stack("ROLLBACK_IN_PROGRESS"), stack("ROLLBACK_COMPLETE")]
    with pytest.raises(DeployError) as caught:
        deploy(arguments(code_bucket), cloud(events, DescribeStacks=states).account, tmp_path)
    assert str(caught.value) == (
        "the creation of acme failed; it is now ROLLBACK_COMPLETE:\n  Topic (AWS::SNS::Topic): no such key"
    )


def test_an_older_commit_is_deployed_again_without_building(tmp_path: Path, code_bucket: str) -> None:
    older = small_repository(tmp_path)
    files = put_build(older, RELEASE)
    upload(boto3.client("s3"), Place(code_bucket, build_prefix(older.sha), ACCOUNT), files)
    (tmp_path / "jobs/load.py").write_text("newer", encoding="utf-8")  # and not even committed
    aws = cloud(GOOD)
    deploy(arguments(code_bucket, commit=older.sha[:10]), aws.account, tmp_path)
    (request,) = aws.requests("cloudformation.CreateChangeSet")
    assert {"ParameterKey": "CodePrefix", "ParameterValue": f"builds/{older.sha}"} in request["Parameters"]


def test_a_commit_that_was_never_deployed_is_told(tmp_path: Path, code_bucket: str) -> None:
    small_repository(tmp_path)
    with pytest.raises(ArgumentError, match="'0123abc' is no commit of this clone"):
        deploy(arguments(code_bucket, commit="0123abc"), cloud(GOOD).account, tmp_path)
    with pytest.raises(DeployError, match="was never deployed from this bucket"):
        deploy(arguments(code_bucket, commit="a" * 40), cloud(GOOD).account, tmp_path)


def test_a_typo_is_told_before_aws_is_asked(tmp_path: Path) -> None:
    small_repository(tmp_path)
    aws = cloud(GOOD)
    with pytest.raises(DeployError, match="no parameter Shedule; did you mean Schedule"):
        deploy(arguments("code", parameters="Shedule=x"), aws.account, tmp_path)
    assert not aws.calls


def test_a_commit_without_a_template_cannot_be_deployed(tmp_path: Path) -> None:
    small_repository(tmp_path)
    (tmp_path / "infra/cloudformation/cleanroom-etl.yaml").unlink()
    commit_all(tmp_path)
    with pytest.raises(DeployError, match="there is nothing to deploy"):
        deploy(arguments("code"), cloud(GOOD).account, tmp_path)
