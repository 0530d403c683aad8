"""What the template makes of its parameters: buckets, keys, jobs, and what starts and tells of them."""

from __future__ import annotations

import dataclasses
import importlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from infra.cloudformation.resolve import TEMPLATE as TEMPLATE_FILE
from infra.cloudformation.resolve import Resolved, Site
from infra.cloudformation.scenarios import CODE, SCENARIOS
from jobs.runtime.args import parse_args
from tests.infra.permissions import allows, denies
from tests.infra.stacks import SCRIPTS, TEMPLATE, scenario, stack_of, statements

PROJECT = Path(__file__).resolve().parents[2]
STARTS = {"schedule": "defaults", "arrival": "arrival", "demand": "by hand"}
BUCKETS = {
    "LandingBucket": "LandingBucketPolicy",
    "CuratedBucket": "CuratedBucketPolicy",
    "LogBucket": "LogBucketPolicy",
}
CHANGED = SCENARIOS["keys that were changed"]
#: What whoever starts the job must say each time.
SAID_BY_HAND = {"ForgetJob": {"--people": "s3://acme-landing/lists/aep_profiles/people.csv", "--reason": "erasure"}}
#: What Glue adds to a job's arguments when a workflow starts it (AWS Glue developer guide, workflow run properties).
OF_GLUE = {
    "--JOB_NAME": "x",
    "--JOB_ID": "j_1",
    "--JOB_RUN_ID": "jr_1",
    "--WORKFLOW_NAME": "w",
    "--WORKFLOW_RUN_ID": "wr_1",
}


# ------------------------------------------------------------------------------------------------------- parameters


@pytest.mark.parametrize(
    ("name", "value", "is_taken"),
    [
        ("CodePrefix", "builds/20261122-1a2b3c", True),
        ("CodePrefix", "builds/20261122-1a2b3c/", False),
        ("CodePrefix", "20261122-1a2b3c", False),
        ("GlueVersion", "5.0", False),  # its boto3 has no conditional writes
        ("GlueVersion", "auto", False),
        ("ConnectorName", "AEP", False),
        ("ConnectorName", "aep/../sfmc", False),
        ("ConnectorFile", "s3://acme-code/definitions/connectors/loyalty.toml", True),
        ("ConnectorFile", "s3://acme-code/connectors/loyalty.toml", False),
        ("ConnectorFile", "file:///definitions/connectors/loyalty.toml", False),
        ("Schedule", "cron(15 2,14 ? * MON-FRI *)", True),
        ("Schedule", "rate(5 minutes)", False),  # Glue's triggers take cron alone
        ("Schedule", "0 0 * * *", False),
        ("BatchWindowSeconds", "901", False),
        ("BatchWindowSeconds", "0", False),
        ("EnvelopeKey", "alias/acme", False),
        ("PushPrincipal", "arn:aws:iam::999988887777:root", True),
        ("PushPrincipal", "arn:aws:iam::999988887777:user/exports/adobe", True),
        ("PushPrincipal", "*", False),
        ("PushExternalId", "x", False),
        ("PushExternalId", "x" * 1224, True),
        ("PushExternalId", "x" * 1225, False),
        ("PushExternalId", "two words", False),
        ("DatabaseName", "Clean-Room", False),
        ("NotificationEmail", "nobody", False),
        ("MaxWorkers", "1", False),  # the driver alone
    ],
)
def test_a_parameter_takes_what_can_work(name: str, value: str, *, is_taken: bool) -> None:
    if is_taken:
        stack_of(**{name: value})
        return
    with pytest.raises(ValueError, match=f"{name} cannot be"):
        stack_of(**{name: value})


@pytest.mark.parametrize("name", SCENARIOS)
def test_what_people_make_breaks_no_rule(name: str) -> None:
    assert scenario(name).broken_rules == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"LandingBucketName": "acme-landing"}, "name it in DataKeyArn"),
        ({"CuratedBucketName": "acme-curated"}, "name it in DataKeyArn"),
        ({"HashKeySecretArn": "arn:aws:secretsmanager:eu-central-1:111122223333:secret:a"}, "name it in DataKeyArn"),
        ({"FlowName": "sfmc"}, "Give Start = arrival"),
        ({"FlowName": "sfmc", "Start": "demand"}, "Give Start = arrival"),
        ({"PushPrincipal": "arn:aws:iam::999988887777:root"}, "Give PushExternalId"),
        ({"PushExternalId": "ours"}, "Give PushPrincipal"),
        ({"BackfillExecutionClass": "FLEX", "WorkerType": "R.2X"}, "G.1X and G.2X alone"),
        ({"EnvelopeKey": "none", "PreviousEnvelopeKey": CHANGED["PreviousEnvelopeKey"]}, "Give it as EnvelopeKey"),
        ({"PreviousOpenPgpKeySecretArn": CHANGED["PreviousOpenPgpKeySecretArn"]}, "is two secrets"),
        ({**CHANGED, "PreviousOpenPgpPassphraseSecretArn": ""}, "is two secrets"),
        ({**CHANGED, "OpenPgp": "no"}, "is two secrets"),
    ],
)
def test_combinations_that_cannot_work_are_refused(given: dict[str, str], said: str) -> None:
    (broken,) = stack_of(**given).broken_rules
    assert said in broken


def test_every_parameter_is_described_labelled_and_in_one_group() -> None:
    interface = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]
    grouped = [name for group in interface["ParameterGroups"] for name in group["Parameters"]]
    assert sorted(grouped) == sorted(TEMPLATE["Parameters"])
    assert interface["ParameterLabels"].keys() == TEMPLATE["Parameters"].keys()
    for name, parameter in TEMPLATE["Parameters"].items():
        assert parameter["Description"], name
        assert parameter.keys() & {"AllowedPattern", "AllowedValues", "MinValue"}, name


def test_every_output_is_described() -> None:
    assert all(output["Description"] for output in TEMPLATE["Outputs"].values())


def test_nothing_runs_in_the_stack_but_the_jobs() -> None:
    kinds = {each["Type"] for each in TEMPLATE["Resources"].values()}
    assert not {kind for kind in kinds if kind.startswith(("AWS::Lambda", "AWS::CloudFormation", "Custom::"))}
    assert "Transform" not in TEMPLATE


# ------------------------------------------------------------------------------------- what each combination makes


@pytest.mark.parametrize(
    ("name", "made", "not_made"),
    [
        (
            "defaults",
            "LandingBucket CuratedBucket LogBucket DataKey EnvelopeRsaKey HashKeySecret Database ScheduleTrigger",
            "ArrivalTrigger DemandTrigger ArrivalRule StartRole OpenPgpKeySecret PushRole PushPolicy SuccessByEmail",
        ),
        (
            "arrival",
            "ArrivalTrigger ArrivalRule SweepRule StartRole SuccessByEmail FailureByEmail",
            "ScheduleTrigger DemandTrigger FlowRule",
        ),
        ("by hand", "DemandTrigger", "ScheduleTrigger ArrivalTrigger ArrivalRule SweepRule"),
        ("a flow", "ArrivalTrigger FlowRule SweepRule", "ScheduleTrigger"),
        (
            "a second connector",
            "DecryptJob SuccessTopic EnvelopeRsaKey",
            "LandingBucket LandingBucketPolicy CuratedBucket LogBucket DataKey DataKeyAlias HashKeySecret Database",
        ),
        ("a landing bucket that exists", "CuratedBucket LogBucket HashKeySecret", "LandingBucket DataKey"),
        ("OpenPGP", "OpenPgpKeySecret OpenPgpPassphraseSecret", "EnvelopeRsaKey EnvelopeRsaKeyAlias"),
        ("an envelope key that exists", "DataKey", "EnvelopeRsaKey EnvelopeRsaKeyAlias"),
        ("a role pushes", "PushRole PushPolicy", "PushingUser PushingUserKey PushingUserSecret"),
        ("a user pushes", "PushingUser PushingUserKey PushingUserSecret PushPolicy", "PushRole"),
        ("everything", "PushRole PushingUser PushPolicy OpenPgpKeySecret FlowRule FailureByEmail", "ScheduleTrigger"),
    ],
)
def test_a_combination_makes_what_it_needs(name: str, made: str, not_made: str) -> None:
    resources = scenario(name).resources
    assert set(made.split()) <= resources.keys()
    assert not set(not_made.split()) & resources.keys()


@pytest.mark.parametrize("name", SCENARIOS)
def test_outputs_are_those_that_the_parameters_make(name: str) -> None:
    stack = scenario(name)
    optional = {
        "EnvelopeKeyArn": SCENARIOS[name].get("EnvelopeKey") != "none",
        "OpenPgpKeySecretArn": "OpenPgpKeySecret" in stack.resources,
        "OpenPgpPassphraseSecretArn": "OpenPgpPassphraseSecret" in stack.resources,
        "PushRoleArn": "PushRole" in stack.resources,
        "PushUserName": "PushingUser" in stack.resources,
        "PushUserSecretArn": "PushingUserSecret" in stack.resources,
    }
    always = {output for output, declared in TEMPLATE["Outputs"].items() if "Condition" not in declared}
    assert stack.outputs.keys() == always | {output for output, is_there in optional.items() if is_there}


def test_a_second_stack_takes_the_outputs_of_the_first() -> None:
    first = scenario("defaults")
    second = stack_of(
        LandingBucketName=first.outputs["Root"].removeprefix("s3://"),
        CuratedBucketName=first.outputs["CuratedRoot"].removeprefix("s3://"),
        DataKeyArn=first.outputs["DataKeyArn"],
        HashKeySecretArn=first.outputs["HashKeySecretArn"],
        DatabaseName=first.outputs["DatabaseName"],
        CreateDatabase="no",
        ConnectorName="sfmc_tracking",
    )
    assert second.broken_rules == []
    shared = ("Root", "CuratedRoot", "DataKeyArn", "HashKeySecretArn", "DatabaseName")
    assert {name: second.outputs[name] for name in shared} == {name: first.outputs[name] for name in shared}
    assert second.outputs["LandingUri"] == f"{first.outputs['Root']}/landing/sfmc_tracking/"


@pytest.mark.parametrize(
    ("partition", "region", "suffix"),
    [("aws-cn", "cn-north-1", "amazonaws.com.cn"), ("aws-us-gov", "us-gov-west-1", "amazonaws.com")],
)
def test_other_partitions_are_named_throughout(partition: str, region: str, suffix: str) -> None:
    stack = stack_of(Site(partition=partition, region=region), OpenPgp="yes", Start="arrival", PushUser="yes")
    text = json.dumps([stack.resources, stack.outputs])
    assert "arn:aws:" not in text
    assert f"arn:{partition}:" in text
    used = set(re.findall(r'"(?:s3|secretsmanager|sns|logs)\.[a-z0-9.-]+"', text))
    assert used == {f'"{service}.{region}.{suffix}"' for service in ("s3", "secretsmanager", "sns", "logs")}


TAGGED = {
    "AWS::S3::Bucket", "AWS::KMS::Key", "AWS::SecretsManager::Secret", "AWS::SNS::Topic", "AWS::Events::Rule",
    "AWS::IAM::Role", "AWS::IAM::User", "AWS::Glue::Job", "AWS::Glue::Workflow", "AWS::Glue::Trigger",
}  # fmt: skip


@pytest.mark.parametrize("name", ["everything", "by hand", "defaults"])
def test_whatever_can_have_tags_says_whose_it_is(name: str) -> None:
    stack = scenario(name)
    for resource, each in stack.resources.items():
        if each["Type"] not in TAGGED:
            continue
        tags = each["Properties"]["Tags"]
        tags = tags if isinstance(tags, dict) else {tag["Key"]: tag["Value"] for tag in tags}
        assert tags["Project"] == "cleanroom-etl", resource
        assert tags["Stack"] == stack.site.stack, resource
        assert tags["Connector"] == SCENARIOS[name].get("ConnectorName", "aep_profiles"), resource
        job = re.fullmatch("(Decrypt|Transform|Archive|Backfill|Janitor|Forget)(Job|Role)", resource)
        assert tags.get("Job") == (job[1].lower() if job else None), resource


# ---------------------------------------------------------------------------------------------------- buckets, keys


TLS = {"aws:SecureTransport": "true", "s3:TlsVersion": "1.3"}
KEY_HEADER = "s3:x-amz-server-side-encryption-aws-kms-key-id"


@pytest.mark.parametrize("bucket", BUCKETS)
@pytest.mark.parametrize(
    ("context", "is_denied"),
    [
        (TLS, False),
        ({**TLS, "s3:TlsVersion": "1.2"}, False),
        ({**TLS, "s3:TlsVersion": "1.1"}, True),
        ({"aws:SecureTransport": "false"}, True),
        ({}, False),  # a service of AWS that has neither, such as access logs
    ],
)
@pytest.mark.parametrize("action", ["s3:GetObject", "s3:PutObject", "s3:ListBucket"])
def test_a_bucket_talks_tls_alone(bucket: str, context: dict[str, str], action: str, *, is_denied: bool) -> None:
    stack = scenario("defaults")
    arn = f"arn:aws:s3:::{stack.refs[bucket]}"
    resource = arn if action == "s3:ListBucket" else f"{arn}/landing/aep_profiles/a.csv"
    policy = stack.properties(BUCKETS[bucket])["PolicyDocument"]["Statement"]
    assert denies(policy, action, resource, context) is is_denied


@pytest.mark.parametrize("bucket", ["LandingBucket", "CuratedBucket"])
@pytest.mark.parametrize(
    ("name", "key", "is_denied"),
    [
        ("defaults", None, False),  # a source that leaves encryption to the bucket
        ("defaults", "{data_key}", False),
        ("defaults", "arn:aws:kms:eu-central-1:111122223333:key/another", True),
        ("defaults", "arn:aws:kms:eu-central-1:999988887777:key/of-the-source", True),
        ("buckets of its own under a key that exists", "{data_key}", False),
        ("buckets of its own under a key that exists", "arn:aws:kms:eu-central-1:111122223333:key/another", True),
    ],
)
def test_nobody_writes_under_another_key(bucket: str, name: str, key: str | None, *, is_denied: bool) -> None:
    stack = scenario(name)
    context = dict(TLS)
    if key is not None:
        context[KEY_HEADER] = key.format(data_key=stack.outputs["DataKeyArn"])
    policy = stack.properties(BUCKETS[bucket])["PolicyDocument"]["Statement"]
    assert denies(policy, "s3:PutObject", f"arn:aws:s3:::{stack.refs[bucket]}/a", context) is is_denied


def lifecycle(stack: Resolved, bucket: str) -> dict[str, dict[str, Any]]:
    rules = stack.properties(bucket)["LifecycleConfiguration"]["Rules"]
    assert all(rule["Status"] == "Enabled" for rule in rules)
    return {rule["Id"]: rule for rule in rules}


def test_clear_rows_do_not_outlive_their_days() -> None:
    rules = lifecycle(stack_of(RawDays="2", NoncurrentDays="30"), "LandingBucket")
    for name, prefix in (("clear-rows", "raw/"), ("staged-rows", "staged/")):
        assert rules[name]["Prefix"] == prefix
        assert rules[name]["ExpirationInDays"] == "2"
        assert rules[name]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 1}
    expiring = {rule.get("Prefix") for rule in rules.values() if "ExpirationInDays" in rule}
    assert expiring == {"raw/", "staged/", "rejects/"}  # landing/, archive/, quarantine/ and state/ stay


def test_originals_expire_where_somebody_says_so() -> None:
    rules = lifecycle(stack_of(OriginalsDays="400", RejectsDays="10"), "LandingBucket")
    days = {rule["Prefix"]: rule["ExpirationInDays"] for rule in rules.values() if "ExpirationInDays" in rule}
    assert days == {"raw/": "3", "staged/": "3", "rejects/": "10", "archive/": "400", "quarantine/": "400"}


@pytest.mark.parametrize("bucket", ["LandingBucket", "CuratedBucket"])
def test_what_was_deleted_is_gone_after_its_days(bucket: str) -> None:
    rules = lifecycle(stack_of(NoncurrentDays="30"), bucket)
    assert rules["earlier-versions"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": "30"}
    assert rules["broken-uploads"]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    assert rules["empty-delete-markers"]["ExpiredObjectDeleteMarker"] is True


def test_buckets_have_no_name_that_a_new_stack_would_find_taken() -> None:
    assert all("BucketName" not in each for each in scenario("defaults").of_type("AWS::S3::Bucket").values())


def test_arrivals_reach_eventbridge() -> None:
    notifications = scenario("defaults").properties("LandingBucket")["NotificationConfiguration"]
    assert notifications == {"EventBridgeConfiguration": {"EventBridgeEnabled": True}}


OF_LOGS = "kms:EncryptionContext:aws:logs:arn"
OF_MESSAGES = "kms:EncryptionContext:aws:sns:topicArn"
LOG_GROUP = "arn:aws:logs:eu-central-1:111122223333:log-group:"


@pytest.mark.parametrize(
    ("sid", "principal", "context", "allowed"),
    [
        ("LogsOfTheJobs", "logs", {OF_LOGS: f"{LOG_GROUP}/aws-glue/jobs/x-role/y/error"}, True),
        ("LogsOfTheJobs", "logs", {OF_LOGS: f"{LOG_GROUP}/aws/lambda/x"}, False),
        ("LogsOfTheJobs", "logs", {}, False),
        ("FailuresToTopics", "events", {OF_MESSAGES: "arn:aws:sns:eu-central-1:111122223333:topic"}, True),
        ("FailuresToTopics", "events", {OF_MESSAGES: "arn:aws:sns:eu-central-1:999988887777:topic"}, False),
        ("FailuresToTopics", "events", {}, False),
    ],
)
def test_services_use_the_data_key_for_what_is_ours(
    sid: str, principal: str, context: dict[str, str], *, allowed: bool
) -> None:
    statement = statements(scenario("defaults").properties("DataKey")["KeyPolicy"])[sid]
    assert statement["Principal"]["Service"].startswith(f"{principal}.")
    assert allows([statement], "kms:GenerateDataKey", "*", context) is allowed


def test_the_envelope_key_is_what_sources_can_wrap_for() -> None:
    key = scenario("defaults").properties("EnvelopeRsaKey")
    assert (key["KeySpec"], key["KeyUsage"]) == ("RSA_2048", "ENCRYPT_DECRYPT")


def test_secrets_are_made_by_secrets_manager_or_put_by_a_person() -> None:
    stack = scenario("everything")
    assert stack.properties("HashKeySecret")["GenerateSecretString"] == {
        "PasswordLength": 64,
        "ExcludePunctuation": True,
    }
    for name in ("OpenPgpKeySecret", "OpenPgpPassphraseSecret"):
        assert not stack.properties(name).keys() & {"SecretString", "GenerateSecretString"}


def test_an_access_key_is_in_its_secret_and_nowhere_else() -> None:
    stack = scenario("a user pushes")
    secret = json.loads(stack.properties("PushingUserSecret")["SecretString"])
    assert secret.keys() == {"AccessKeyId", "SecretAccessKey"}
    rest = {name: each for name, each in stack.resources.items() if name != "PushingUserSecret"}
    assert secret["SecretAccessKey"] not in json.dumps([rest, stack.outputs])


# -------------------------------------------------------------------------------------------------------------- jobs


def arguments(stack: Resolved, job: str) -> dict[str, str]:
    found: dict[str, str] = stack.properties(job)["DefaultArguments"]
    return found


def args_class(job: str) -> type[Any]:
    found: type[Any] = importlib.import_module(f"jobs.{SCRIPTS[job]}").Args
    return found


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("job", SCRIPTS)
def test_a_job_understands_its_arguments(name: str, job: str) -> None:
    given = arguments(scenario(name), job) | OF_GLUE | SAID_BY_HAND.get(job, {})
    words = [f"{argument}={value}" for argument, value in given.items()]
    assert parse_args(args_class(job), words).root == scenario(name).outputs["Root"]


@pytest.mark.parametrize("job", SCRIPTS)
def test_a_job_understands_its_arguments_with_names_and_values_apart(job: str) -> None:
    given = arguments(scenario("everything"), job) | OF_GLUE | SAID_BY_HAND.get(job, {})
    words = [word for pair in given.items() for word in pair]
    assert "--no-index" in words  # a value, though it looks like a name
    assert parse_args(args_class(job), words).root == scenario("everything").outputs["Root"]


@pytest.mark.parametrize(
    ("job", "given"),
    [
        ("DecryptJob", "connector root envelope_key pgp_key pgp_passphrase"),
        ("TransformJob", "connector root curated_root hash_key suppression_list catalog_database"),
        ("ArchiveJob", "connector root curated_root topic"),
        (
            "BackfillJob",
            (
                "connector root curated_root envelope_key pgp_key pgp_passphrase hash_key suppression_list "
                "catalog_database topic"
            ),
        ),
        ("JanitorJob", "root curated_root catalog_database connector keep_days"),
        ("ForgetJob", "connector root curated_root hash_key catalog_database"),
    ],
)
def test_a_job_gets_what_the_stack_knows(job: str, given: str) -> None:
    fields = {field.name for field in dataclasses.fields(args_class(job))}
    names = {name.removeprefix("--").replace("-", "_") for name in arguments(scenario("everything"), job)}
    assert names & fields == set(given.split())


@pytest.mark.parametrize("job", ["DecryptJob", "BackfillJob"])
def test_deliveries_for_the_keys_before_are_opened_too(job: str) -> None:
    stack, parameters = scenario("keys that were changed"), SCENARIOS["keys that were changed"]
    given = arguments(stack, job)
    assert given["--envelope-key"] == f"kms:{parameters['EnvelopeKey']},kms:{parameters['PreviousEnvelopeKey']}"
    for name, output, parameter in (
        ("--pgp-key", "OpenPgpKeySecretArn", "PreviousOpenPgpKeySecretArn"),
        ("--pgp-passphrase", "OpenPgpPassphraseSecretArn", "PreviousOpenPgpPassphraseSecretArn"),
    ):
        places = (stack.outputs[output], parameters[parameter])
        assert given[name] == ",".join(f"secretsmanager:{place}" for place in places)


@pytest.mark.parametrize("job", SCRIPTS)
def test_a_job_runs_a_script_of_the_build(job: str) -> None:
    command = scenario("defaults").properties(job)["Command"]
    script = command["ScriptLocation"].removeprefix(f"s3://{CODE['CodeBucket']}/{CODE['CodePrefix']}/")
    assert (PROJECT / script).is_file()
    assert (command["Name"], command["PythonVersion"]) == ("glueetl", "3")


@pytest.mark.parametrize(("name", "release"), [("defaults", "6.0"), ("Glue 5.1", "5.1")])
@pytest.mark.parametrize("job", SCRIPTS)
def test_a_job_gets_the_modules_of_its_release(name: str, release: str, job: str) -> None:
    properties, given = scenario(name).properties(job), arguments(scenario(name), job)
    build = "s3://acme-code/builds/20261122-1a2b3c"
    assert properties["GlueVersion"] == release
    assert given["--additional-python-modules"] == f"{build}/glue-{release}.gluewheels.zip"
    assert given["--python-modules-installer-option"] == "--no-index"
    assert given["--extra-py-files"] == f"{build}/cleanroom_etl.zip"


@pytest.mark.parametrize("job", SCRIPTS)
def test_a_job_shows_nothing_of_its_rows(job: str) -> None:
    given = arguments(scenario("everything"), job)
    assert not given.keys() & {"--enable-spark-ui", "--spark-event-logs-path", "--enable-job-insights"}
    assert given["--job-bookmark-option"] == "job-bookmark-disable"
    assert given["--conf"] == "spark.hadoop.fs.s3a.endpoint.region=eu-central-1"


@pytest.mark.parametrize(
    ("job", "workers", "retries", "timeout"),
    [
        ("DecryptJob", ("G.2X", "12"), 1, "90"),
        ("TransformJob", ("G.2X", "12"), 1, "90"),
        ("ArchiveJob", ("G.1X", 2), 1, "90"),
        ("BackfillJob", ("G.2X", "40"), 0, 1440),
        ("JanitorJob", ("G.1X", 2), 1, "90"),
        ("ForgetJob", ("G.2X", "40"), 0, 1440),
    ],
)
def test_a_job_has_its_limits(job: str, workers: tuple[str, str | int], retries: int, timeout: str | int) -> None:
    stack = stack_of(WorkerType="G.2X", MaxWorkers="12", BackfillMaxWorkers="40", TimeoutMinutes="90")
    properties = stack.properties(job)
    assert (properties["WorkerType"], properties["NumberOfWorkers"]) == workers
    assert (properties["MaxRetries"], properties["Timeout"]) == (retries, timeout)
    assert properties["ExecutionProperty"] == {"MaxConcurrentRuns": 1}
    assert properties.get("JobRunQueuingEnabled", False) is (retries == 0)  # Glue queues no job that it retries
    assert properties["SecurityConfiguration"] == stack.site.stack
    assert properties["DefaultArguments"]["--enable-auto-scaling"] == "true"


@pytest.mark.parametrize(("name", "execution"), [("defaults", "STANDARD"), ("a cheap backfill", "FLEX")])
def test_only_a_backfill_may_wait_for_cheap_workers(name: str, execution: str) -> None:
    classes = {job: scenario(name).properties(job).get("ExecutionClass", "STANDARD") for job in SCRIPTS}
    assert classes == {**dict.fromkeys(SCRIPTS, "STANDARD"), "BackfillJob": execution}


@pytest.mark.parametrize("name", ["defaults", "a second connector"])
def test_everything_that_jobs_write_is_under_the_data_key(name: str) -> None:
    stack = scenario(name)
    encryption = stack.properties("JobEncryption")["EncryptionConfiguration"]
    key = stack.outputs["DataKeyArn"]
    assert encryption == {
        "S3Encryptions": [{"S3EncryptionMode": "SSE-KMS", "KmsKeyArn": key}],
        "CloudWatchEncryption": {"CloudWatchEncryptionMode": "SSE-KMS", "KmsKeyArn": key},
        "JobBookmarksEncryption": {"JobBookmarksEncryptionMode": "CSE-KMS", "KmsKeyArn": key},
    }


# ---------------------------------------------------------------------------------------------------------- workflow


def triggers(stack: Resolved) -> dict[str, dict[str, Any]]:
    found = stack.of_type("AWS::Glue::Trigger")
    return {name: each for name, each in found.items() if each.get("WorkflowName") == stack.refs["Workflow"]}


@pytest.mark.parametrize(("start", "kind"), [("schedule", "SCHEDULED"), ("arrival", "EVENT"), ("demand", "ON_DEMAND")])
def test_a_workflow_has_one_start(start: str, kind: str) -> None:
    stack = scenario(STARTS[start])
    starting = [each for each in triggers(stack).values() if each["Type"] != "CONDITIONAL"]
    assert [each["Type"] for each in starting] == [kind]
    assert starting[0]["Actions"] == [{"JobName": stack.refs["DecryptJob"]}]
    assert stack.properties("Workflow")["MaxConcurrentRuns"] == 1


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_job_starts_when_the_one_before_has_succeeded(name: str) -> None:
    stack = scenario(name)
    for trigger, before, after in (
        ("TransformTrigger", "DecryptJob", "TransformJob"),
        ("ArchiveTrigger", "TransformJob", "ArchiveJob"),
    ):
        properties = stack.properties(trigger)
        condition = {"JobName": stack.refs[before], "State": "SUCCEEDED", "LogicalOperator": "EQUALS"}
        assert properties["Predicate"] == {"Logical": "AND", "Conditions": [condition]}
        assert properties["Actions"] == [{"JobName": stack.refs[after]}]


@pytest.mark.parametrize("name", SCENARIOS)
def test_triggers_that_can_be_are_active_from_the_beginning(name: str) -> None:
    for trigger, each in scenario(name).of_type("AWS::Glue::Trigger").items():
        assert each.get("StartOnCreation", False) is (each["Type"] in ("SCHEDULED", "CONDITIONAL")), trigger


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_triggers_of_a_workflow_are_made_one_after_the_other(name: str) -> None:
    stack = scenario(name)
    own = triggers(stack)
    after = {trigger: [each for each in stack.resources[trigger]["DependsOn"] if each in own] for trigger in own}
    chain = ["TransformTrigger"]
    while following := [trigger for trigger in own if after[trigger] == [chain[-1]]]:
        chain += following
    assert chain[:2] == ["TransformTrigger", "ArchiveTrigger"]
    assert len(chain) == len(own) == 3


def test_another_start_is_another_workflow_with_triggers_of_its_own() -> None:
    stacks = [scenario(name) for name in STARTS.values()]
    workflows = {stack.refs["Workflow"] for stack in stacks}
    names = [each["Name"] for stack in stacks for each in triggers(stack).values()]
    assert len(workflows) == len(stacks)
    assert len(names) == len(set(names)) == 9


def test_the_janitor_comes_once_a_week_whatever_the_workflow_does() -> None:
    properties = scenario("by hand").properties("JanitorTrigger")
    assert "WorkflowName" not in properties
    assert (properties["Type"], properties["Schedule"]) == ("SCHEDULED", "cron(30 3 ? * SUN *)")


def test_arrivals_are_gathered_before_a_run_starts() -> None:
    properties = stack_of(Start="arrival", BatchWindowSeconds="600").properties("ArrivalTrigger")
    assert properties["EventBatchingCondition"] == {"BatchSize": 100, "BatchWindow": "600"}


def test_what_arrives_for_the_connector_starts_a_run() -> None:
    stack = stack_of(Start="arrival", ConnectorName="sfmc_tracking")
    pattern = stack.properties("ArrivalRule")["EventPattern"]
    assert pattern["source"] == ["aws.s3"]
    assert pattern["detail-type"] == ["Object Created"]
    assert pattern["detail"] == {
        "bucket": {"name": [stack.refs["LandingBucket"]]},
        "object": {"key": [{"prefix": "landing/sfmc_tracking/"}]},
    }


def test_the_schedule_sweeps_up_what_no_event_told_of() -> None:
    stack = stack_of(Start="arrival", Schedule="cron(0 6 * * ? *)")
    assert stack.properties("SweepRule")["ScheduleExpression"] == "cron(0 6 * * ? *)"


def test_the_successful_end_of_a_flow_starts_a_run() -> None:
    pattern = scenario("a flow").properties("FlowRule")["EventPattern"]
    assert pattern == {
        "source": ["aws.appflow"],
        "detail-type": ["AppFlow End Flow Run Report"],
        "detail": {"flow-name": ["sfmc-to-s3"], "status": ["Execution Successful"]},
    }


@pytest.mark.parametrize("rule", ["ArrivalRule", "SweepRule", "FlowRule"])
def test_a_rule_notifies_the_workflow_as_a_role_that_can_do_nothing_else(rule: str) -> None:
    stack = scenario("a flow")
    (target,) = stack.properties(rule)["Targets"]
    workflow = f"arn:aws:glue:eu-central-1:111122223333:workflow/{stack.refs['Workflow']}"
    assert (target["Arn"], target["RoleArn"]) == (
        workflow,
        stack.site.arn("iam", f"role/{stack.refs['StartRole']}", regional=False),
    )
    (policy,) = stack.properties("StartRole")["Policies"]
    assert [(each["Action"], each["Resource"]) for each in policy["PolicyDocument"]["Statement"]] == [
        ("glue:NotifyEvent", workflow)
    ]


# ----------------------------------------------------------------------------------------------------- notifications


def test_whatever_is_not_a_success_is_told_of() -> None:
    stack = scenario("defaults")
    pattern = stack.properties("FailureRule")["EventPattern"]
    assert pattern["source"] == ["aws.glue"]
    assert pattern["detail-type"] == ["Glue Job State Change"]
    assert set(pattern["detail"]["jobName"]) == {stack.refs[job] for job in SCRIPTS}
    assert set(pattern["detail"]["state"]) == {"FAILED", "TIMEOUT", "STOPPED", "ERROR"}


def test_a_failure_is_told_without_the_exceptions_text() -> None:
    job, canary = "acme-profiles-decrypt", "CANARY jane@example.com"
    detail = {"jobName": job, "severity": "ERROR", "state": "FAILED", "jobRunId": "jr_0f4e", "message": canary}
    (target,) = scenario("defaults").properties("FailureRule")["Targets"]
    text = target["InputTransformer"]["InputTemplate"]
    for name, path in target["InputTransformer"]["InputPathsMap"].items():
        assert path.startswith("$.detail.")
        text = text.replace(f"<{name}>", detail[path.removeprefix("$.detail.")])
    lines = [json.loads(line) for line in text.splitlines()]  # EventBridge takes one text in quotes a line
    assert "CANARY" not in text
    assert "<" not in text
    assert "acme-profiles-decrypt ended with the state FAILED (run jr_0f4e)" in lines[0]
    assert any("What next" in line for line in lines)


@pytest.mark.parametrize("topic", ["SuccessTopic", "FailureTopic"])
def test_topics_take_messages_over_tls_alone(topic: str) -> None:
    stack = scenario("defaults")
    policy = stack.properties(f"{topic}Policy")["PolicyDocument"]["Statement"]
    arn = stack.refs[topic]
    assert denies(policy, "sns:Publish", arn, {"aws:SecureTransport": "false"})
    assert not denies(policy, "sns:Publish", arn, {"aws:SecureTransport": "true"})


def test_eventbridge_may_tell_of_failures_and_nobody_else() -> None:
    """No condition stands in its way: by its user guide ("Amazon SNS permissions") it fulfils none."""
    stack = scenario("defaults")
    policy = stack.properties("FailureTopicPolicy")["PolicyDocument"]["Statement"]
    assert allows(policy, "sns:Publish", stack.refs["FailureTopic"], {"aws:SecureTransport": "true"})
    principals = [each["Principal"] for each in policy if each["Effect"] == "Allow"]
    assert principals == [{"Service": "events.amazonaws.com"}]


def test_both_topics_tell_the_address() -> None:
    found = scenario("arrival").of_type("AWS::SNS::Subscription").values()
    assert {(each["TopicArn"], each["Protocol"], each["Endpoint"]) for each in found} == {
        (scenario("arrival").refs[topic], "email", "data@example.com") for topic in ("SuccessTopic", "FailureTopic")
    }


def test_the_file_is_small_enough_for_s3_and_deploys_from_there() -> None:
    size = TEMPLATE_FILE.stat().st_size
    assert size < 1_000_000  # CloudFormation user guide, quotas: a template that is in S3
