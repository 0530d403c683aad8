"""The roles of the template against what the jobs really ask of AWS: everything asked is allowed, and nothing more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from infra.cloudformation.resolve import Resolved, Site, read_template, resolve
from tests.aws.conftest import CHAIN, CODE, JANITOR, Loaded, Members, Recorded
from tests.aws.requirements import ACCOUNT, REGION, Names, Need, needs_of
from tests.fixtures.aws_site import CURATED, DATABASE, LANDING
from tests.infra.permissions import allows, statements_of

DATA_KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
HASH_KEY = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:hash-key-AbCdEf"
ROLES = {
    "decrypt": "DecryptRole",
    "transform": "TransformRole",
    "archive": "ArchiveRole",
    "pipeline": "BackfillRole",
    "backfill": "BackfillRole",
    "janitor": "JanitorRole",
    "forget": "ForgetRole",
}
#: Statements that roles of several jobs have.
SHARED = {"ReadDefinitions", "ListDefinitions"}
OLD = "20260101T000000Z-0000aa"

#: What is allowed and not asked for here, and why it must be allowed all the same.
ASKED_ELSEWHERE = {
    "ReadCode": "Glue itself fetches the code",
    "ListCode": "Glue itself fetches the code",
    "WriteLogs": "Glue itself writes logs",
    "WriteMetrics": "Glue itself writes metrics",
    "FindOpenUploads": "Glue's own committer of Spark's files looks for uploads",
    "s3:AbortMultipartUpload": "an upload is given up only where it fails",
    "s3:GetObjectTagging": "a bucket without versions",
    "AskForFiles": "the janitor asks for a file alone only where a folder that is needed lies below its own",
    "DropOldRuns:s3:DeleteObject": "and deletes it alone then",
    "KeepOriginals:s3:GetObject": "a run that is repeated looks whether an original was moved before",
    "KeepOriginals:s3:GetObjectVersion": "a backfill reads what was archived; archive has the statement too",
    "ListDefinitions": "S3 says that a file is missing only to those who may list it",
    "ListOriginals": "S3 says that an original is missing only to those who may list it",
    "glue:GetDatabase": "Spark and Glue look the database up",
}


def stack(loaded: Recorded, connector: str) -> Resolved:
    given = {
        "CodeBucket": CODE,
        "CodePrefix": "builds/x",
        "ConnectorName": connector,
        "LandingBucketName": LANDING,
        "CuratedBucketName": CURATED,
        "DataKeyArn": DATA_KEY,
        "HashKeySecretArn": HASH_KEY,
        "EnvelopeKey": loaded.site.kms.arn,
        "OpenPgp": "yes",
        "DatabaseName": DATABASE,
        "CreateDatabase": "no",
    }
    if connector != "aep_profiles":
        given["ConnectorFile"] = f"s3://{CODE}/definitions/connectors/{connector}.toml"
    return resolve(read_template(), given, Site("acme", ACCOUNT, REGION))


def needs(loaded: Recorded, made: Resolved, job: str) -> list[Need]:
    secrets = {
        "hash-key": HASH_KEY,
        "pgp-key": made.refs["OpenPgpKeySecret"],
        "pgp-passphrase": made.refs["OpenPgpPassphraseSecret"],
    }
    names = Names(DATA_KEY, secrets)
    found = [need for call in loaded.calls[job] for need in needs_of(call, names)]
    topic = [need for need in found if need.action == "sns:Publish"]
    return [need for need in found if need not in topic] + [
        Need("sns:Publish", made.refs["SuccessTopic"]) for _ in topic
    ]  # the stack's topic has another name than that of the tests


@pytest.fixture(scope="session")
def cleaned(loaded: Loaded) -> Loaded:
    """An old run's leftovers, in every place where runs leave some, and the janitor after it."""
    s3 = loaded.site.client("s3")
    for name in ("manifest.json", "archive.json"):
        s3.put_object(Bucket=LANDING, Key=f"state/aep_profiles/run={OLD}/{name}", Body=b"{}")
    for area in ("staged/customer_profile", "versions/customer_profile", "raw/aep_profiles"):
        s3.put_object(Bucket=LANDING, Key=f"{area}/run={OLD}/attempt=1/x.parquet", Body=b"x")
    s3.put_object(Bucket=CURATED, Key=f"curated/customer_profile/run={OLD}/attempt=1/x.parquet", Body=b"x")
    loaded.run("janitor", JANITOR, keep_days="7")
    left = [key for bucket in (LANDING, CURATED) for key in loaded.site.keys_below(bucket) if OLD in key]
    assert [key for key in left if not key.startswith("state/")] == []
    return loaded


def every(
    loaded: Loaded, upserted: Members, rebuilt: Members, forgotten: Members
) -> Iterator[tuple[Resolved, str, list[Need]]]:
    made = stack(loaded, "aep_profiles")
    for job in (*CHAIN, "janitor"):
        yield made, job, needs(loaded, made, job)
    for job, members in {"pipeline": upserted, "backfill": rebuilt, "forget": forgotten}.items():
        made = stack(members, members.source)
        yield made, job, needs(members, made, job)


def test_everything_that_a_job_asks_for_is_allowed(
    loaded: Loaded, upserted: Members, rebuilt: Members, forgotten: Members, cleaned: Loaded
) -> None:
    del cleaned
    for made, job, wanted in every(loaded, upserted, rebuilt, forgotten):
        statements = statements_of(made, ROLES[job])
        refused = {
            (need.action, need.resource, *need.context.items())
            for need in wanted
            if not allows(statements, need.action, need.resource, need.context)
        }
        assert not refused, f"{job} may not:\n" + "\n".join(map(str, sorted(refused)))
        assert len(wanted) > 20


def grants(made: Resolved, role: str) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for statement in statements_of(made, role):
        actions = statement["Action"]
        for action in [actions] if isinstance(actions, str) else actions:
            yield statement["Sid"], action, {**statement, "Action": action}


def test_everything_that_is_allowed_is_asked_for(
    loaded: Loaded, upserted: Members, rebuilt: Members, forgotten: Members, cleaned: Loaded
) -> None:
    """Of every statement, each action is used by some job whose role has it, or there is a reason why not here."""
    del cleaned
    used: set[tuple[str, str]] = set()
    granted: set[tuple[str, str]] = set()
    of_archive = {sid for sid, _, _ in grants(stack(loaded, "aep_profiles"), ROLES["archive"])}
    for made, job, wanted in every(loaded, upserted, rebuilt, forgotten):
        for sid, action, statement in grants(made, ROLES[job]):
            granted.add((sid, action))
            if job in ("pipeline", "backfill", "forget") and sid in of_archive and sid not in SHARED:
                continue  # what Spark asks for in the same job must not count for archive, which has no Spark
            if any(allows([statement], need.action, need.resource, need.context) for need in wanted):
                used.add((sid, action))
    unused = {
        (sid, action) for sid, action in granted - used if not {sid, action, f"{sid}:{action}"} & ASKED_ELSEWHERE.keys()
    }
    assert not unused, "allowed, and never asked for:\n" + "\n".join(map(str, sorted(unused)))
    excused = {name for sid, action in granted - used for name in (sid, action, f"{sid}:{action}")}
    assert ASKED_ELSEWHERE.keys() <= excused, "an excuse for what is used after all"


@pytest.mark.parametrize("job", [*CHAIN, "janitor"])
def test_another_stacks_role_would_not_do(loaded: Loaded, cleaned: Loaded, job: str) -> None:
    """The comparison can fail: no job's needs are met by the role of any other."""
    del cleaned
    made = stack(loaded, "aep_profiles")
    wanted = needs(loaded, made, job)
    for other in {*CHAIN, "janitor"} - {job}:
        statements = statements_of(made, ROLES[other])
        assert not all(allows(statements, need.action, need.resource, need.context) for need in wanted), other
