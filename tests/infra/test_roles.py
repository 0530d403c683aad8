"""What the roles of a stack may do, and what they may not: a table, held against the template's policies."""

from __future__ import annotations

import json

import pytest

from infra.cloudformation.resolve import Resolved, Site, resolve
from infra.cloudformation.scenarios import SCENARIOS
from tests.infra.permissions import allows, statements_of
from tests.infra.stacks import TEMPLATE, scenario

JOB_ROLES = ("DecryptRole", "TransformRole", "ArchiveRole", "BackfillRole", "JanitorRole", "ForgetRole")
OF_ONE_STEP = ("DecryptRole", "TransformRole", "ArchiveRole")
VIA_S3 = {"kms:ViaService": "s3.eu-central-1.amazonaws.com"}
VIA_SECRETS = {"kms:ViaService": "secretsmanager.eu-central-1.amazonaws.com"}
VIA_SNS = {"kms:ViaService": "sns.eu-central-1.amazonaws.com"}
OAEP = {"kms:EncryptionAlgorithm": "RSAES_OAEP_SHA_256"}
GLUE = "arn:aws:glue:eu-central-1:111122223333"


def places(stack: Resolved) -> dict[str, str]:
    """Return what the tables below call things: ARNs of a stack for the connector loyalty_members."""
    return {
        "landing": f"arn:aws:s3:::{stack.outputs['Root'].removeprefix('s3://')}",
        "curated": f"arn:aws:s3:::{stack.outputs['CuratedRoot'].removeprefix('s3://')}",
        "code": "arn:aws:s3:::acme-code",
        "build": "arn:aws:s3:::acme-code/builds/20261122-1a2b3c",
        "data_key": stack.outputs["DataKeyArn"],
        "envelope_key": stack.outputs["EnvelopeKeyArn"],
        "hash_key": stack.outputs["HashKeySecretArn"],
        "pgp_key": stack.outputs["OpenPgpKeySecretArn"],
        "passphrase": stack.outputs["OpenPgpPassphraseSecretArn"],
        "access_key": stack.outputs["PushUserSecretArn"],
        "success": stack.outputs["SuccessTopicArn"],
        "failure": stack.outputs["FailureTopicArn"],
    }


LOGS = "arn:aws:logs:eu-central-1:111122223333:log-group:"
CONNECTOR = "decrypt transform archive backfill forget"
ALL = f"{CONNECTOR} janitor"
ALL_BUT_ARCHIVE = "decrypt transform backfill janitor forget"
ALL_BUT_DECRYPT = "transform archive backfill janitor forget"
DROPPERS = "decrypt archive backfill janitor forget"
#: Action, resource, what the request says besides, and which of the six job roles may.
CAN = [
    # the code, and definitions of one's own
    ("s3:GetObject", "{build}/cleanroom_etl.zip", {}, ALL),
    ("s3:GetObject", "{code}/builds/20250101-ffffff/cleanroom_etl.zip", {}, ""),
    ("s3:PutObject", "{build}/cleanroom_etl.zip", {}, ""),
    ("s3:GetObject", "{code}/definitions/connectors/loyalty_members.toml", {}, CONNECTOR),
    ("s3:PutObject", "{code}/definitions/connectors/loyalty_members.toml", {}, ""),
    # landing/: originals
    ("s3:GetObject", "{landing}/landing/loyalty_members/a.csv.gpg", {}, "decrypt archive backfill"),
    ("s3:GetObjectVersion", "{landing}/landing/loyalty_members/a.csv.gpg", {}, "decrypt archive backfill"),
    ("s3:DeleteObject", "{landing}/landing/loyalty_members/a.csv.gpg", {}, "archive backfill"),
    ("s3:DeleteObjectVersion", "{landing}/landing/loyalty_members/a.csv.gpg", {}, ""),
    ("s3:PutObject", "{landing}/landing/loyalty_members/a.csv.gpg", {}, ""),
    ("s3:GetObject", "{landing}/landing/aep_profiles/a.csv.gpg", {}, ""),
    ("s3:GetObject", "{landing}/landing/loyalty_members_2/a.csv.gpg", {}, ""),
    ("s3:ListBucket", "{landing}", {"s3:prefix": "landing/loyalty_members/"}, "decrypt archive backfill forget"),
    ("s3:ListBucket", "{landing}", {"s3:prefix": "landing/aep_profiles/"}, ""),
    ("s3:ListBucket", "{landing}", {"s3:prefix": "landing/"}, ""),
    ("s3:ListBucket", "{landing}", {"s3:prefix": ""}, ""),
    ("s3:ListBucket", "{landing}", {}, ""),
    # raw/: clear rows
    ("s3:PutObject", "{landing}/raw/loyalty_members/run=1/a.parquet", {}, "decrypt backfill"),
    ("s3:GetObject", "{landing}/raw/loyalty_members/run=1/a.parquet", {}, "transform backfill forget"),
    ("s3:DeleteObject", "{landing}/raw/loyalty_members/run=1/a.parquet", {}, "janitor"),
    ("s3:DeleteObjectVersion", "{landing}/raw/loyalty_members/run=1/a.parquet", {}, DROPPERS),
    ("s3:ListBucketVersions", "{landing}", {"s3:prefix": "raw/loyalty_members/run=1/"}, DROPPERS),
    ("s3:GetObject", "{landing}/raw/aep_profiles/run=1/a.parquet", {}, ""),
    ("s3:PutObject", "{landing}/raw/aep_profiles/run=1/a.parquet", {}, ""),
    ("s3:DeleteObject", "{landing}/raw/aep_profiles/run=1/a.parquet", {}, ""),
    ("s3:DeleteObjectVersion", "{landing}/raw/aep_profiles/run=1/a.parquet", {}, ""),
    ("s3:ListBucket", "{landing}", {"s3:prefix": "raw/loyalty_members/run=1/"}, ALL_BUT_ARCHIVE),
    ("s3:ListBucket", "{landing}", {"s3:prefix": "raw/aep_profiles/run=1/"}, ""),
    # rejects/ and quarantine/
    ("s3:PutObject", "{landing}/rejects/loyalty_members/run=1/a.parquet", {}, "decrypt transform backfill forget"),
    ("s3:GetObject", "{landing}/rejects/aep_profiles/run=1/a.parquet", {}, ""),
    ("s3:GetObjectVersion", "{landing}/rejects/loyalty_members/run=1/a.parquet", {}, "forget"),
    ("s3:GetObjectVersion", "{landing}/rejects/aep_profiles/run=1/a.parquet", {}, ""),
    ("s3:PutObject", "{landing}/quarantine/loyalty_members/run=1/a.csv", {}, "decrypt backfill"),
    ("s3:GetObject", "{landing}/quarantine/loyalty_members/run=1/a.csv", {}, ""),
    ("s3:DeleteObjectVersion", "{landing}/quarantine/loyalty_members/run=1/a.csv", {}, "forget"),
    ("s3:DeleteObjectVersion", "{landing}/quarantine/aep_profiles/run=1/a.csv", {}, ""),
    ("s3:ListBucketVersions", "{landing}", {"s3:prefix": "quarantine/loyalty_members/"}, "forget"),
    # staged/, versions/, curated/: by table
    ("s3:PutObject", "{landing}/staged/people/run=1/a.parquet", {}, "transform backfill forget"),
    ("s3:PutObject", "{landing}/versions/people/run=1/a.parquet", {}, "transform backfill forget"),
    ("s3:PutObject", "{curated}/curated/people/run=1/a.parquet", {}, "transform backfill forget"),
    ("s3:AbortMultipartUpload", "{curated}/curated/people/run=1/a.parquet", {}, "transform backfill forget"),
    ("s3:GetObject", "{curated}/curated/people/run=1/a.parquet", {}, "transform backfill janitor forget"),
    ("s3:DeleteObject", "{curated}/curated/people/run=1/a.parquet", {}, "transform backfill janitor forget"),
    ("s3:DeleteObjectVersion", "{curated}/curated/people/run=1/a.parquet", {}, ALL_BUT_DECRYPT),
    ("s3:PutObject", "{curated}/other/a.parquet", {}, ""),
    ("s3:PutObject", "{landing}/curated/people/run=1/a.parquet", {}, ""),
    ("s3:GetObject", "{curated}/curated", {}, "transform backfill forget"),  # Spark asks whether the folder is a file
    ("s3:ListBucket", "{curated}", {"s3:prefix": "curated/people/run=1/"}, "transform backfill janitor forget"),
    ("s3:ListBucket", "{curated}", {"s3:prefix": ""}, ""),
    # archive/
    ("s3:PutObject", "{landing}/archive/loyalty_members/run=1/a.csv.gpg", {}, "archive backfill"),
    ("s3:GetObjectVersion", "{landing}/archive/loyalty_members/run=1/a.csv.gpg", {}, "archive backfill"),
    ("s3:DeleteObject", "{landing}/archive/loyalty_members/run=1/a.csv.gpg", {}, ""),
    ("s3:PutObject", "{landing}/archive/aep_profiles/run=1/a.csv.gpg", {}, ""),
    ("s3:ListBucket", "{landing}", {"s3:prefix": "archive/loyalty_members/"}, "archive backfill forget"),
    # lists/: people who must not be in a table
    ("s3:GetObject", "{landing}/lists/loyalty_members/people.csv", {}, "transform backfill forget"),
    ("s3:GetObject", "{landing}/lists/aep_profiles/people.csv", {}, ""),
    ("s3:PutObject", "{landing}/lists/loyalty_members/people.csv", {}, ""),
    # state/: ledger and lock
    ("s3:PutObject", "{landing}/state/loyalty_members/lock.json", {}, ALL),
    ("s3:PutObject", "{landing}/state/loyalty_members/run=1/publish.json", {}, CONNECTOR),
    ("s3:PutObject", "{landing}/state/loyalty_members/deleted/1.json", {}, ALL),
    ("s3:PutObject", "{landing}/state/aep_profiles/deleted/1.json", {}, ""),
    ("s3:GetObject", "{landing}/state/aep_profiles/run=1/publish.json", {}, "janitor forget"),
    ("s3:PutObject", "{landing}/state/aep_profiles/run=1/publish.json", {}, ""),
    ("s3:ListBucket", "{landing}", {"s3:prefix": "state/loyalty_members/"}, ALL),
    ("s3:ListBucket", "{landing}", {"s3:prefix": "state/", "s3:max-keys": "1"}, ALL),
    ("s3:ListBucket", "{landing}", {"s3:prefix": "state/", "s3:max-keys": "1000"}, "janitor forget"),
    # keys and secrets
    ("kms:Decrypt", "{envelope_key}", OAEP, "decrypt backfill"),
    ("kms:Decrypt", "{envelope_key}", {"kms:EncryptionAlgorithm": "RSAES_OAEP_SHA_1"}, ""),
    ("kms:Encrypt", "{envelope_key}", OAEP, ""),
    ("secretsmanager:GetSecretValue", "{pgp_key}", {}, "decrypt backfill"),
    ("secretsmanager:GetSecretValue", "{passphrase}", {}, "decrypt backfill"),
    ("secretsmanager:GetSecretValue", "{hash_key}", {}, "transform backfill forget"),
    ("secretsmanager:PutSecretValue", "{hash_key}", {}, ""),
    ("secretsmanager:GetSecretValue", "{access_key}", {}, ""),
    ("kms:Decrypt", "{data_key}", VIA_SECRETS, "decrypt transform backfill forget"),
    ("kms:Decrypt", "{data_key}", VIA_S3, ALL),
    ("kms:Decrypt", "{data_key}", {}, ""),  # never by hand, always through a service
    ("kms:GenerateDataKey", "{data_key}", VIA_SNS, "archive backfill"),
    ("kms:ScheduleKeyDeletion", "{data_key}", {}, ""),
    # catalog
    ("glue:UpdateTable", f"{GLUE}:table/cleanroom_etl/people", {}, "transform backfill forget"),
    ("glue:BatchUpdatePartition", f"{GLUE}:table/cleanroom_etl/people", {}, "transform backfill forget"),
    ("glue:GetTable", f"{GLUE}:table/cleanroom_etl/people", {}, "transform backfill janitor forget"),
    ("glue:GetTables", f"{GLUE}:database/cleanroom_etl", {}, "janitor"),
    ("glue:DeleteTable", f"{GLUE}:table/cleanroom_etl/people", {}, ""),
    ("glue:CreateDatabase", f"{GLUE}:database/cleanroom_etl", {}, ""),
    ("glue:UpdateTable", f"{GLUE}:table/sales/people", {}, ""),
    # notifications, logs, metrics
    ("sns:Publish", "{success}", {}, "archive backfill"),
    ("sns:Publish", "{failure}", {}, ""),
    ("logs:PutLogEvents", f"{LOGS}/aws-glue/jobs/x-role/y/error:log-stream:jr_1", {}, ALL),
    ("logs:AssociateKmsKey", f"{LOGS}/aws-glue/jobs/x-role/y/error", {}, ALL),
    ("logs:PutLogEvents", f"{LOGS}/aws/lambda/x:log-stream:y", {}, ""),
    ("cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": "Glue"}, ALL),
    ("cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": "AWS/Billing"}, ""),
    ("iam:PassRole", "arn:aws:iam::111122223333:role/admin", {}, ""),
    ("sts:AssumeRole", "arn:aws:iam::111122223333:role/admin", {}, ""),
]  # fmt: skip


@pytest.mark.parametrize("role", JOB_ROLES)
@pytest.mark.parametrize(("action", "resource", "context", "who"), CAN)
def test_a_job_can_do_its_work_and_nothing_else(
    role: str, action: str, resource: str, context: dict[str, str], who: str
) -> None:
    stack = scenario("everything")
    allowed = role.removesuffix("Role").lower() in who.split()
    assert allows(statements_of(stack, role), action, resource.format_map(places(stack)), context) is allowed


@pytest.mark.parametrize(("action", "resource", "context", "who"), CAN)
def test_a_backfill_can_do_what_its_three_steps_can(
    action: str, resource: str, context: dict[str, str], who: str
) -> None:
    del who
    stack = scenario("everything")
    place = resource.format_map(places(stack))
    steps = [allows(statements_of(stack, role), action, place, context) for role in OF_ONE_STEP]
    assert allows(statements_of(stack, "BackfillRole"), action, place, context) is any(steps)


@pytest.mark.parametrize(
    ("name", "action", "resource"),
    [
        ("OpenPGP", "kms:Decrypt", "arn:aws:kms:eu-central-1:111122223333:key/any"),
        ("defaults", "secretsmanager:GetSecretValue", "arn:aws:secretsmanager:eu-central-1:111122223333:secret:any"),
        ("defaults", "s3:GetObject", "arn:aws:s3:::acme-code/definitions/connectors/x.toml"),
    ],
)
def test_what_a_stack_does_not_use_its_decrypt_may_not_use(name: str, action: str, resource: str) -> None:
    assert not allows(statements_of(scenario(name), "DecryptRole"), action, resource, OAEP)


@pytest.mark.parametrize("role", JOB_ROLES)
def test_the_keys_before_are_for_those_who_decrypt(role: str) -> None:
    found, given = statements_of(scenario("keys that were changed"), role), SCENARIOS["keys that were changed"]
    decrypts = role in ("DecryptRole", "BackfillRole")
    assert allows(found, "kms:Decrypt", given["PreviousEnvelopeKey"], OAEP) is decrypts
    for name in ("PreviousOpenPgpKeySecretArn", "PreviousOpenPgpPassphraseSecretArn"):
        assert allows(found, "secretsmanager:GetSecretValue", given[name]) is decrypts


def test_a_second_connector_reads_the_shared_bucket_but_not_the_first_ones_folder() -> None:
    found = statements_of(scenario("a second connector"), "DecryptRole")
    assert allows(found, "s3:GetObject", "arn:aws:s3:::acme-landing/landing/aep_incremental/a.csv")
    assert not allows(found, "s3:GetObject", "arn:aws:s3:::acme-landing/landing/aep_profiles/a.csv")


@pytest.mark.parametrize("role", ["PushRole", "PushingUser"])
@pytest.mark.parametrize(
    ("action", "resource", "context", "allowed"),
    [
        ("s3:PutObject", "{landing}/landing/loyalty_members/2026/a.csv.gpg", {}, True),
        ("s3:AbortMultipartUpload", "{landing}/landing/loyalty_members/a.csv.gpg", {}, True),
        ("s3:ListMultipartUploadParts", "{landing}/landing/loyalty_members/a.csv.gpg", {}, True),
        ("s3:GetObject", "{landing}/landing/loyalty_members/a.csv.gpg", {}, True),
        ("s3:DeleteObject", "{landing}/landing/loyalty_members/a.csv.gpg", {}, True),
        ("s3:DeleteObjectVersion", "{landing}/landing/loyalty_members/a.csv.gpg", {}, False),
        ("s3:GetObjectVersion", "{landing}/landing/loyalty_members/a.csv.gpg", {}, False),
        ("s3:ListBucket", "{landing}", {"s3:prefix": "landing/loyalty_members/"}, True),
        ("s3:ListBucket", "{landing}", {"s3:prefix": "landing/"}, False),
        ("s3:ListBucket", "{landing}", {}, False),
        ("s3:GetBucketLocation", "{landing}", {}, True),
        ("s3:PutObject", "{landing}/landing/aep_profiles/a.csv.gpg", {}, False),
        ("s3:GetObject", "{landing}/landing/aep_profiles/a.csv.gpg", {}, False),
        ("s3:PutObject", "{landing}/state/loyalty_members/lock.json", {}, False),
        ("s3:GetObject", "{landing}/raw/loyalty_members/run=1/a.parquet", {}, False),
        ("s3:GetObject", "{curated}/curated/people/run=1/a.parquet", {}, False),
        ("kms:GenerateDataKey", "{data_key}", VIA_S3, True),
        ("kms:Decrypt", "{data_key}", VIA_S3, True),  # for uploads in parts
        ("kms:Decrypt", "{data_key}", VIA_SECRETS, False),
        ("kms:Decrypt", "{envelope_key}", OAEP, False),
        ("secretsmanager:GetSecretValue", "{access_key}", {}, False),
        ("iam:CreateAccessKey", "arn:aws:iam::111122223333:user/any", {}, False),
    ],
)
def test_a_source_can_deliver_and_nothing_else(
    role: str, action: str, resource: str, context: dict[str, str], *, allowed: bool
) -> None:
    stack = scenario("everything")
    assert allows(statements_of(stack, role), action, resource.format_map(places(stack)), context) is allowed


def test_the_push_role_is_for_one_principal_with_the_external_id() -> None:
    (statement,) = scenario("a role pushes").properties("PushRole")["AssumeRolePolicyDocument"]["Statement"]
    given = SCENARIOS["a role pushes"]
    assert statement["Principal"] == {"AWS": given["PushPrincipal"]}
    assert statement["Condition"] == {"StringEquals": {"sts:ExternalId": given["PushExternalId"]}}


@pytest.mark.parametrize("role", JOB_ROLES)
def test_only_glue_is_a_job(role: str) -> None:
    (statement,) = scenario("defaults").properties(role)["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "glue.amazonaws.com"}


def test_every_statement_is_named_once_in_its_policy() -> None:
    for name, each in scenario("everything").of_type("AWS::IAM::Policy").items():
        sids = [statement["Sid"] for statement in each["PolicyDocument"]["Statement"]]
        assert len(sids) == len(set(sids)), name


@pytest.mark.parametrize("role", JOB_ROLES)
def test_policies_are_short_enough_for_iam_where_names_are_long(role: str) -> None:
    site = Site(stack="a" * 40, partition="aws-us-gov", region="us-gov-west-1")
    connector = "c" * 48
    own = {"ConnectorName": connector, "ConnectorFile": f"s3://acme-code/definitions/connectors/{connector}.toml"}
    stack = resolve(TEMPLATE, {**SCENARIOS["everything"], **own, "CodeBucket": "b" * 63}, site)
    attached = [
        each["PolicyDocument"]
        for each in stack.of_type("AWS::IAM::Policy").values()
        if stack.refs[role] in each["Roles"]
    ]
    # IAM user guide, quotas: 10,240 characters in all inline policies of a role, whitespace not counted
    assert sum(len(json.dumps(document, separators=(",", ":"))) for document in attached) <= 10_240
