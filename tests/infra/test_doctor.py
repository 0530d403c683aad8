"""A table: what AWS answers, and what the doctor makes of it. Everything else is as in a stack that is well."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from infra import doctor
from infra.checks.finding import Finding, Stack, Verdict, guarded
from infra.checks.roles import needs_of
from infra.checks.whole_stack import check_outputs
from infra.command import run_command
from infra.doctor import Args, examine, look_at, main, raise_for, show
from infra.errors import DoctorError
from infra.stack import StackState, find_stack
from infra.template import _Loader, read_template
from tests.infra.fake_aws import ACCOUNT, REGION, FakeAws, Refusal
from tests.infra.repository import PROJECT

ARN = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/acme/1"
NOW = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
DATA_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/data"
RSA_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/rsa"
SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}"
JOBS = ("Decrypt", "Transform", "Archive", "Backfill", "Janitor", "Forget")
OUTPUTS = {
    "Root": "s3://acme-landing",
    "CuratedRoot": "s3://acme-curated",
    "LandingUri": "s3://acme-landing/landing/aep_profiles/",
    "DatabaseName": "cleanroom",
    "WorkflowName": "acme-arrival",
    **{f"{job}Job": f"acme-{job.lower()}" for job in JOBS},
    "DataKeyArn": DATA_KEY,
    "EnvelopeKeyArn": RSA_KEY,
    "HashKeySecretArn": f"{SECRET}:hash",
    "OpenPgpKeySecretArn": f"{SECRET}:pgp",
    "OpenPgpPassphraseSecretArn": f"{SECRET}:passphrase",
    "SuccessTopicArn": f"{TOPIC}:success",
    "FailureTopicArn": f"{TOPIC}:failure",
}
PARAMETERS = {
    "CodeBucket": "code",
    "CodePrefix": "builds/abc",
    "GlueVersion": "6.0",
    "Start": "arrival",
    "NotificationEmail": "oncall@example.com",
    "ConnectorFile": "s3://code/definitions/connectors/own.toml",
}
TRIGGERS = {"acme-start": ("EVENT", "CREATED"), "acme-transform": ("CONDITIONAL", "ACTIVATED")}
EVERYBODY = {"Principal": {"DataLakePrincipalIdentifier": "IAM_ALLOWED_PRINCIPALS"}, "Permissions": ["ALL"]}
CLOSED = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)


def described(status: str = "CREATE_COMPLETE", **changed: str) -> dict[str, Any]:
    return {
        "Stacks": [
            {
                "StackName": "acme",
                "StackId": ARN,
                "CreationTime": NOW,
                "StackStatus": status,
                "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in OUTPUTS.items()],
                "Parameters": [
                    {"ParameterKey": key, "ParameterValue": value} for key, value in (PARAMETERS | changed).items()
                ],
            }
        ]
    }


def trigger(request: Mapping[str, Any]) -> dict[str, Any]:
    kind, state = TRIGGERS[request["Name"]]
    return {"Trigger": {"Name": request["Name"], "Type": kind, "State": state}}


def job(request: Mapping[str, Any], **changed: Any) -> dict[str, Any]:
    arguments = {
        "--extra-py-files": "s3://code/builds/abc/cleanroom_etl.zip",
        "--additional-python-modules": "s3://code/builds/abc/glue-6.0.gluewheels.zip",
        "--python-modules-installer-option": "--no-index",
    }
    return {
        "Job": {
            "Name": request["JobName"],
            "Role": f"arn:aws:iam::{ACCOUNT}:role/{request['JobName']}",
            "GlueVersion": "6.0",
            "Command": {"ScriptLocation": "s3://code/builds/abc/jobs/x.py"},
            "DefaultArguments": arguments,
            **changed,
        }
    }


def key(request: Mapping[str, Any], **changed: Any) -> dict[str, Any]:
    is_rsa = request["KeyId"] == RSA_KEY
    about = {
        "KeyId": request["KeyId"],
        "Enabled": True,
        "KeyState": "Enabled",
        "KeyUsage": "ENCRYPT_DECRYPT",
        "KeySpec": "RSA_2048" if is_rsa else "SYMMETRIC_DEFAULT",
        "EncryptionAlgorithms": ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"] if is_rsa else ["SYMMETRIC_DEFAULT"],
    }
    return {"KeyMetadata": {**about, **changed}}


def encrypted(by: str | None) -> dict[str, Any]:
    rule = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": by} if by else {"SSEAlgorithm": "AES256"}
    return {"ServerSideEncryptionConfiguration": {"Rules": [{"ApplyServerSideEncryptionByDefault": rule}]}}


def decided(request: Mapping[str, Any], decision: str = "allowed", missing: tuple[str, ...] = ()) -> dict[str, Any]:
    (action,) = request["ActionNames"]
    result = {"EvalActionName": action, "EvalDecision": decision, "MissingContextValues": list(missing)}
    return {"EvaluationResults": [result]}


def subscribed(arn: str) -> dict[str, Any]:
    return {"Subscriptions": [{"SubscriptionArn": arn, "Endpoint": "oncall@example.com", "Protocol": "email"}]}


def database(**changed: Any) -> dict[str, Any]:
    return {"Database": {"Name": "cleanroom", "CreateTableDefaultPermissions": [EVERYBODY], **changed}}


WELL: dict[str, Any] = {
    "sts.GetCallerIdentity": {"Account": ACCOUNT},
    "cloudformation.DescribeStacks": described(),
    "cloudformation.ListStackResources": {
        "StackResourceSummaries": [
            {
                "LogicalResourceId": name.replace("-", ""),
                "PhysicalResourceId": name,
                "ResourceType": "AWS::Glue::Trigger",
                "ResourceStatus": "CREATE_COMPLETE",
                "LastUpdatedTimestamp": NOW,
            }
            for name in TRIGGERS
        ]
    },
    "glue.GetWorkflow": {"Workflow": {"Name": "acme-arrival", "LastRun": {"Status": "COMPLETED"}}},
    "glue.GetTrigger": trigger,
    "glue.GetJob": job,
    "glue.GetDatabase": database(),
    "iam.SimulatePrincipalPolicy": decided,
    "kms.DescribeKey": key,
    "secretsmanager.DescribeSecret": {"VersionIdsToStages": {"1" * 32: ["AWSPREVIOUS"], "2" * 32: ["AWSCURRENT"]}},
    "s3.HeadObject": {},
    "s3.HeadBucket": {"BucketRegion": REGION},
    "s3.GetBucketVersioning": {"Status": "Enabled"},
    "s3.GetBucketEncryption": encrypted(DATA_KEY),
    "s3.GetPublicAccessBlock": {"PublicAccessBlockConfiguration": CLOSED},
    "s3.GetBucketNotificationConfiguration": {"EventBridgeConfiguration": {}},
    "lakeformation.ListResources": {"ResourceInfoList": [{"ResourceArn": "arn:aws:s3:::acme-curated-of-another"}]},
    "sns.GetTopicAttributes": {"Attributes": {}},
    "sns.ListSubscriptionsByTopic": subscribed(f"{TOPIC}:failure:1"),
}
GONE = Refusal("EntityNotFoundException")
DENIED = Refusal("AccessDeniedException", "no identity-based policy allows it")


def diagnosis(answers: dict[str, Any]) -> tuple[FakeAws, list[Finding]]:
    aws = FakeAws(WELL | answers)
    account = aws.account
    state = find_stack(account.session.client("cloudformation"), "acme")
    assert state is not None
    return aws, examine(look_at(account, state))


@pytest.fixture(scope="module")
def of_the_well() -> list[Finding]:
    aws, findings = diagnosis({})
    assert not aws.unknown
    return findings


def test_a_stack_that_is_well_is_called_well(of_the_well: list[Finding], capsys: pytest.CaptureFixture[str]) -> None:
    assert {finding.verdict for finding in of_the_well} == {Verdict.OK}
    raise_for(of_the_well, accept_unchecked=False)
    assert "all is well" in capsys.readouterr().out
    text = show(of_the_well)
    assert "trigger acme-start: EVENT, CREATED, as it is for life" in text
    assert "hash key: has a value, which was not read; that it has 16 bytes or more, only a job's run can tell" in text


def test_no_secret_is_ever_read_and_nothing_is_changed() -> None:
    aws, _ = diagnosis({})
    verbs = ("Get", "List", "Describe", "Head", "Simulate")
    assert all(name.partition(".")[2].startswith(verbs) for name, _ in aws.calls)
    assert not aws.requests("secretsmanager.GetSecretValue")


ILL: dict[str, tuple[dict[str, Any], str, str]] = {
    "an update that was undone": (
        {"cloudformation.DescribeStacks": described("UPDATE_ROLLBACK_COMPLETE")},
        "stack acme: its last update failed and was undone",
        "make deploy again",
    ),
    "a creation that failed": (
        {"cloudformation.DescribeStacks": described("ROLLBACK_COMPLETE")},
        "stack acme: ROLLBACK_COMPLETE",
        "make deploy",
    ),
    "no workflow": ({"glue.GetWorkflow": GONE}, "workflow: there is no workflow acme-arrival", "make deploy"),
    "a trigger that sleeps": (
        {"glue.GetTrigger": lambda r: {"Trigger": {**trigger(r)["Trigger"], "State": "CREATED"}}},
        "trigger acme-transform: CONDITIONAL, and CREATED: it starts nothing",
        "aws glue start-trigger --name acme-transform",
    ),
    "a trigger that is gone": (
        {"glue.GetTrigger": lambda r: GONE if r["Name"] == "acme-start" else trigger(r)},
        "trigger acme-start: is not there any more",
        "rename it",
    ),
    "no triggers": (
        {"cloudformation.ListStackResources": {"StackResourceSummaries": []}},
        "triggers: the stack has no trigger",
        "make deploy",
    ),
    "a job that is gone": ({"glue.GetJob": GONE}, "job acme-decrypt: is not there", "deploy it again"),
    "a job on no release": (
        {"glue.GetJob": lambda r: {"Job": {k: v for k, v in job(r)["Job"].items() if k != "GlueVersion"}}},
        "job acme-decrypt: has no Glue version of its own",
        "make deploy",
    ),
    "a job on another release": (
        {"glue.GetJob": lambda r: job(r, GlueVersion="5.1")},
        "job acme-decrypt: runs on Glue 5.1, the stack says 6.0",
        "make deploy GLUE=6.0",
    ),
    "a script that is gone": (
        {"s3.HeadObject": lambda r: Refusal("404", status=404) if r["Key"].endswith(".py") else {}},
        "job acme-decrypt: its script s3://code/builds/abc/jobs/x.py is not there",
        "make deploy",
    ),
    "wheels that are gone": (
        {"s3.HeadObject": lambda r: Refusal("404", status=404) if "wheels" in r["Key"] else {}},
        "its wheels s3://code/builds/abc/glue-6.0.gluewheels.zip is not there",
        "make deploy",
    ),
    "a job that may use the internet": (
        {
            "glue.GetJob": lambda r: job(
                r, DefaultArguments={"--extra-py-files": "s3://a/b", "--additional-python-modules": "s3://a/c"}
            )
        },
        "may fetch packages from the internet",
        "make deploy",
    ),
    "a job without wheels": (
        {"glue.GetJob": lambda r: job(r, DefaultArguments={"--extra-py-files": "s3://a/b"})},
        "job acme-decrypt: names no wheels",
        "make deploy",
    ),
    "a role that may not": (
        {
            "iam.SimulatePrincipalPolicy": lambda r: (
                decided(r, "implicitDeny") if "sns" in r["ActionNames"][0] else decided(r)
            )
        },
        f"role of acme-archive: is not allowed sns:Publish on {TOPIC}:success",
        f"arn:aws:iam::{ACCOUNT}:role/acme-archive",
    ),
    "a role that is denied": (
        {"iam.SimulatePrincipalPolicy": lambda r: decided(r, "explicitDeny")},
        "(a policy denies it)",
        "make deploy",
    ),
    "a key that is gone": (
        {"kms.DescribeKey": Refusal("NotFoundException")},
        f"data key: {DATA_KEY} is not there",
        "what it encrypted is lost",
    ),
    "a key that is switched off": (
        {"kms.DescribeKey": lambda r: key(r, Enabled=False, KeyState="Disabled")},
        "envelope key: is Disabled",
        f"aws kms enable-key --key-id {RSA_KEY}",
    ),
    "a key that was there before and is switched off": (
        {
            "cloudformation.DescribeStacks": described(PreviousEnvelopeKey=f"{RSA_KEY}-old"),
            "kms.DescribeKey": lambda r: key(r, Enabled=False, KeyState="Disabled"),
        },
        "previous envelope key: is Disabled",
        f"aws kms enable-key --key-id {RSA_KEY}-old",
    ),
    "a secret of the key before that has no value": (
        {
            "cloudformation.DescribeStacks": described(PreviousOpenPgpKeySecretArn=f"{SECRET}:old"),
            "secretsmanager.DescribeSecret": {"ARN": SECRET, "VersionIdsToStages": {}},
        },
        "previous OpenPGP key: has no value yet",
        f"aws secretsmanager put-secret-value --secret-id {SECRET}:old",
    ),
    "a key that is about to go": (
        {"kms.DescribeKey": lambda r: key(r, Enabled=False, KeyState="PendingDeletion", DeletionDate=NOW)},
        "data key: is to be DELETED on 2026-11-22",
        "aws kms cancel-key-deletion",
    ),
    "a data key of the wrong kind": (
        {"kms.DescribeKey": lambda r: key(r, KeySpec="RSA_2048")},
        "data key: is a RSA_2048; S3 encrypts with SYMMETRIC_DEFAULT keys only",
        "deploy with a key of that kind",
    ),
    "an envelope key of the wrong kind": (
        {"kms.DescribeKey": lambda r: key(r, KeySpec="SYMMETRIC_DEFAULT")},
        "envelope key: is a SYMMETRIC_DEFAULT",
        "public part",
    ),
    "an envelope key for signing": (
        {"kms.DescribeKey": lambda r: key(r, KeyUsage="SIGN_VERIFY")},
        "envelope key: is for SIGN_VERIFY, not for encryption",
        "deploy with a key",
    ),
    "a secret without a value": (
        {"secretsmanager.DescribeSecret": {"VersionIdsToStages": {}}},
        "OpenPGP key: has no value yet",
        f"aws secretsmanager put-secret-value --secret-id {SECRET}:pgp --secret-string file://",
    ),
    "a secret that is about to go": (
        {"secretsmanager.DescribeSecret": {"DeletedDate": NOW}},
        "hash key: is to be deleted (2026-11-22)",
        "aws secretsmanager restore-secret",
    ),
    "a secret that is gone": (
        {"secretsmanager.DescribeSecret": Refusal("ResourceNotFoundException")},
        f"hash key: there is no secret {SECRET}:hash",
        "deploy with a secret that is there",
    ),
    "a bucket that is gone": (
        {"s3.HeadBucket": Refusal("404", status=404)},
        "bucket acme-landing: is not there",
        "restore it",
    ),
    "a bucket elsewhere": (
        {"s3.HeadBucket": {"BucketRegion": "us-east-1"}},
        "bucket acme-curated: is in us-east-1, not in eu-central-1",
        "a bucket of this Region",
    ),
    "a bucket without versions": (
        {"s3.GetBucketVersioning": {}},
        "bucket acme-landing: is not versioned",
        "aws s3api put-bucket-versioning --bucket acme-landing",
    ),
    "a bucket without a key": (
        {"s3.GetBucketEncryption": encrypted(None)},
        "bucket acme-landing: does not encrypt with a key of KMS",
        "make deploy",
    ),
    "a bucket with another key": (
        {"s3.GetBucketEncryption": encrypted(RSA_KEY)},
        f"bucket acme-landing: encrypts with {RSA_KEY}, not with the stack's data key",
        "make deploy",
    ),
    "a bucket that could be opened": (
        {"s3.GetPublicAccessBlock": {"PublicAccessBlockConfiguration": CLOSED | {"BlockPublicPolicy": False}}},
        "bucket acme-curated: could be made public",
        "aws s3api put-public-access-block --bucket acme-curated",
    ),
    "a bucket that nobody closed": (
        {"s3.GetPublicAccessBlock": Refusal("NoSuchPublicAccessBlockConfiguration", status=404)},
        "bucket acme-landing: could be made public",
        "aws s3api put-public-access-block",
    ),
    "arrivals that nobody is told of": (
        {"s3.GetBucketNotificationConfiguration": {}},
        "bucket acme-landing: does not tell EventBridge of arrivals",
        "put-bucket-notification-configuration --bucket acme-landing",
    ),
    "no database": (
        {"glue.GetDatabase": GONE},
        "database cleanroom: is not in the Data Catalog of eu-central-1",
        "aws glue create-database",
    ),
    "a database of another account": (
        {"glue.GetDatabase": database(TargetDatabase={"CatalogId": "1", "DatabaseName": "x"})},
        "database cleanroom: is a link to another database",
        "use a real one",
    ),
    "a database under Lake Formation": (
        {"glue.GetDatabase": database(CreateTableDefaultPermissions=[])},
        "database cleanroom: gives new tables to Lake Formation",
        "aws glue update-database --name cleanroom",
    ),
    "data under Lake Formation": (
        {"lakeformation.ListResources": {"ResourceInfoList": [{"ResourceArn": "arn:aws:s3:::acme-curated/curated"}]}},
        "is registered with Lake Formation (arn:aws:s3:::acme-curated/curated): Clean Rooms refuses",
        "aws lakeformation deregister-resource --resource-arn arn:aws:s3:::acme-curated/curated",
    ),
    "data under Lake Formation, told on the second page": (
        {
            "lakeformation.ListResources": lambda r: (
                {"ResourceInfoList": [{"ResourceArn": "arn:aws:s3:::acme-curated"}]}
                if "NextToken" in r
                else {"ResourceInfoList": [], "NextToken": "more"}
            )
        },
        "is registered with Lake Formation (arn:aws:s3:::acme-curated)",
        "deregister-resource",
    ),
    "an address that was never confirmed": (
        {"sns.ListSubscriptionsByTopic": subscribed("PendingConfirmation")},
        "topic failure: oncall@example.com has not confirmed yet",
        "click the link in the mail",
    ),
    "nobody who is told": (
        {"sns.ListSubscriptionsByTopic": {"Subscriptions": []}},
        "topic success: does not have oncall@example.com among its subscriptions",
        "aws sns subscribe",
    ),
    "a topic that is gone": (
        {"sns.GetTopicAttributes": Refusal("NotFound", status=404)},
        "topic success: is not there",
        "deploy it anew",
    ),
    "a connector file that is gone": (
        {"s3.HeadObject": lambda r: Refusal("404", status=404) if r["Key"].endswith(".toml") else {}},
        "connector: s3://code/definitions/connectors/own.toml is not there",
        "aws s3 cp",
    ),
    "a connector file that is none": (
        {"cloudformation.DescribeStacks": described(ConnectorFile="own.toml")},
        "connector: own.toml is no s3:// address",
        "ConnectorFile=s3://",
    ),
}


@pytest.mark.parametrize(("answers", "told", "remedy"), ILL.values(), ids=ILL)
def test_what_is_ill_is_told_with_its_remedy(answers: dict[str, Any], told: str, remedy: str) -> None:
    aws, findings = diagnosis(answers)
    assert not aws.unknown
    problems = [finding for finding in findings if finding.verdict is Verdict.PROBLEM]
    matching = [finding for finding in problems if told in f"{finding.subject}: {finding.text}"]
    assert matching, show(findings)
    assert remedy in matching[0].remedy
    with pytest.raises(DoctorError):
        raise_for(findings, accept_unchecked=True)


UNSEEN: dict[str, tuple[str, str]] = {
    "glue.GetTrigger": ("trigger acme-start", "GetTrigger: AccessDeniedException"),
    "glue.GetJob": ("job acme-decrypt", "GetJob: AccessDeniedException"),
    "iam.SimulatePrincipalPolicy": ("role of acme-janitor", "SimulatePrincipalPolicy: AccessDeniedException"),
    "kms.DescribeKey": ("envelope key", "DescribeKey: AccessDeniedException"),
    "secretsmanager.DescribeSecret": ("hash key", "DescribeSecret: AccessDeniedException"),
    "s3.GetBucketEncryption": ("bucket acme-curated", "GetBucketEncryption: AccessDeniedException"),
    "glue.GetDatabase": ("database", "GetDatabase: AccessDeniedException"),
    "lakeformation.ListResources": ("Lake Formation", "ListResources: AccessDeniedException"),
    "sns.ListSubscriptionsByTopic": ("topic failure", "ListSubscriptionsByTopic: AccessDeniedException"),
    "glue.GetWorkflow": ("workflow", "GetWorkflow: AccessDeniedException"),
}


@pytest.mark.parametrize(("call", "subject", "told"), [(call, *rest) for call, rest in UNSEEN.items()], ids=UNSEEN)
def test_what_may_not_be_looked_at_is_not_called_well(
    call: str, subject: str, told: str, of_the_well: list[Finding]
) -> None:
    _, findings = diagnosis({call: DENIED})
    unseen = [finding for finding in findings if finding.verdict is Verdict.NOT_CHECKED]
    assert any(finding.subject == subject and told in finding.text for finding in unseen), show(findings)
    assert not [finding for finding in findings if finding.verdict is Verdict.PROBLEM]
    seen = {finding.subject for finding in findings if finding.verdict is Verdict.OK}
    assert len(seen) >= len(of_the_well) - 2 * len(JOBS) - 1  # the others were looked at all the same
    with pytest.raises(DoctorError, match=r"0 problems, \d+ not checked"):
        raise_for(findings, accept_unchecked=False)
    raise_for(findings, accept_unchecked=True)


def test_a_condition_that_aws_could_not_know_is_not_called_a_problem() -> None:
    answer = {"iam.SimulatePrincipalPolicy": lambda r: decided(r, "implicitDeny", ("aws:SourceVpce",))}
    _, findings = diagnosis(answer)
    role = next(finding for finding in findings if finding.subject == "role of acme-decrypt")
    assert role.verdict is Verdict.NOT_CHECKED
    assert "depends on aws:SourceVpce" in role.text


def test_arrivals_matter_only_to_a_stack_that_starts_by_them() -> None:
    quiet = {"s3.GetBucketNotificationConfiguration": {}, "cloudformation.DescribeStacks": described(Start="schedule")}
    _, findings = diagnosis(quiet)
    assert {finding.verdict for finding in findings} == {Verdict.OK}


def test_a_check_that_breaks_keeps_what_it_has_found_and_hides_messages() -> None:
    def broken() -> Any:
        yield Finding(Verdict.OK, "first", "")
        raise ValueError("jane@example.com")

    first, second = guarded("it", broken)
    assert first.verdict is Verdict.OK
    assert second.verdict is Verdict.NOT_CHECKED
    assert "jane" not in second.text


# --- against the template


def test_roles_are_asked_for_what_the_template_gives_them() -> None:
    """Every action that the doctor tries stands in a policy of that very role."""
    template = PROJECT / "infra/cloudformation/cleanroom-etl.yaml"
    resources = _resources(template.read_text(encoding="utf-8"))
    stack = Stack(FakeAws({}).account, _state(), {})
    for name in JOBS:
        role = {"Ref": f"{name}Role"}
        given: set[str] = set()
        for each in resources.values():
            if each["Type"] in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy") and role in _roles(each):
                given |= _actions(each["Properties"]["PolicyDocument"])
        asked = {need.action for need in needs_of(stack, f"{name}Job")}
        assert asked <= given, name


def test_the_outputs_that_are_looked_for_are_those_of_the_template() -> None:
    document = _document((PROJECT / "infra/cloudformation/cleanroom-etl.yaml").read_text(encoding="utf-8"))
    always = {name for name, output in document["Outputs"].items() if "Condition" not in output}
    stack = Stack(FakeAws({}).account, _state(dict.fromkeys(always, "x")), {})
    assert not list(check_outputs(stack))
    (finding,) = check_outputs(Stack(FakeAws({}).account, _state({}), {}))
    assert set(finding.text.partition(":")[0].removeprefix("has no output ").split(", ")) == always


def test_parameters_that_are_looked_at_are_those_of_the_template() -> None:
    text = (PROJECT / "infra/cloudformation/cleanroom-etl.yaml").read_text(encoding="utf-8")
    assert set(PARAMETERS) <= set(read_template(text, "x").parameters)


def _state(outputs: dict[str, str] | None = None) -> StackState:
    known = OUTPUTS if outputs is None else outputs
    return StackState("acme", ARN, "CREATE_COMPLETE", "", protected=False, parameters=PARAMETERS, outputs=known)


def _document(text: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.load(text, Loader=_Loader)  # noqa: S506  a SafeLoader
    return document


def _resources(text: str) -> dict[str, Any]:
    resources: dict[str, Any] = _document(text)["Resources"]
    return resources


def _roles(policy: dict[str, Any]) -> list[dict[str, str]]:
    roles = policy["Properties"].get("Roles", [])
    return [each for each in roles if "Ref" in each] if isinstance(roles, list) else []


def _actions(document: dict[str, Any]) -> set[str]:
    found: set[str] = set()
    for statement in document["Statement"]:
        # a statement that a condition chooses: [condition, statement, nothing]
        chosen = statement.get("If", [None, statement])[1]
        actions = chosen["Action"]
        found |= {actions} if isinstance(actions, str) else set(actions)
    return found


# --- the command


@pytest.mark.parametrize(
    ("answers", "more", "status", "told"),
    [
        pytest.param({}, [], 0, "", id="well"),
        pytest.param({"kms.DescribeKey": DENIED}, [], 1, "error: 0 problems, 2 not checked", id="not seen"),
        pytest.param({"kms.DescribeKey": DENIED}, ["--accept-unchecked"], 0, "", id="not seen, and that is accepted"),
        pytest.param({"glue.GetWorkflow": GONE}, ["--accept-unchecked"], 1, "error: 1 problems", id="ill"),
        pytest.param(
            {"cloudformation.DescribeStacks": Refusal("ValidationError", "Stack with id acme does not exist")},
            [],
            1,
            "error: there is no stack acme in eu-central-1",
            id="no stack",
        ),
    ],
)
def test_the_status_says_whether_all_is_well(  # noqa: PLR0917  a table of four, and two fixtures
    answers: dict[str, Any],
    more: list[str],
    status: int,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    aws = FakeAws(WELL | answers)
    monkeypatch.setattr(doctor, "open_session", lambda _region: None)
    monkeypatch.setattr(doctor, "open_account", lambda _session: aws.account)
    monkeypatch.setattr(sys, "argv", ["doctor", "--stack", "acme", *more])
    assert run_command(Args, main, "infra.doctor") == status
    assert capsys.readouterr().err.startswith(told)
