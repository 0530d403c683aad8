"""The jobs' roles: each is allowed the few actions without which its job fails.

AWS simulates the role's own policies, its boundary and the organisation's; policies of buckets, keys and secrets are
not simulated, so a Deny there shows only when the job runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from infra.checks.finding import Finding, Stack, guarded, not_checked, ok, problem, there
from infra.checks.glue_jobs import JOB_OUTPUTS

if TYPE_CHECKING:
    from mypy_boto3_iam.type_defs import ContextEntryTypeDef


class Need(NamedTuple):
    """An action on a resource that a job cannot do without, and the service that takes it on the job's behalf."""

    action: str
    resource: str
    via: str = ""


def needs_of(stack: Stack, output: str) -> list[Need]:
    """Return what the job named by ``output`` must be allowed. What a stack does not have, nobody needs to reach."""
    partition, region, account = stack.partition, stack.account.region, stack.account.number
    root, curated = (f"arn:{partition}:s3:::{stack.bucket(name)}" for name in ("Root", "CuratedRoot"))
    code = f"arn:{partition}:s3:::{stack.parameter('CodeBucket')}/{stack.parameter('CodePrefix')}/cleanroom_etl.zip"
    # its folders bear the connector's name, which is the last part of where the source delivers to
    connector = stack.output("LandingUri").rstrip("/").rpartition("/")[2]
    landing, raw, kept = (f"{root}/{folder}/{connector}/any" for folder in ("landing", "raw", "archive"))
    catalog, database = f"arn:{partition}:glue:{region}:{account}", stack.output("DatabaseName")
    # Glue asks for the permission on the table, on its database and on the catalog
    tables = [f"{catalog}:catalog", f"{catalog}:database/{database}", f"{catalog}:table/{database}/any"]
    data_key, pgp = stack.output("DataKeyArn"), stack.output("OpenPgpKeySecretArn")
    open_secrets = Need("kms:Decrypt", data_key, "secretsmanager")
    decrypt = [
        Need("s3:GetObject", landing),
        Need("s3:PutObject", raw),
        Need("kms:GenerateDataKey", data_key, "s3"),
        Need("kms:Decrypt", stack.output("EnvelopeKeyArn")),
        Need("secretsmanager:GetSecretValue", pgp),
        Need("secretsmanager:GetSecretValue", stack.output("OpenPgpPassphraseSecretArn")),
        *([open_secrets] if pgp else []),
    ]
    transform = [
        Need("s3:GetObject", raw),
        Need("s3:PutObject", f"{curated}/curated/any"),
        Need("secretsmanager:GetSecretValue", stack.output("HashKeySecretArn")),
        open_secrets,
        *(Need("glue:UpdateTable", arn) for arn in tables),
    ]
    archive = [
        Need("s3:PutObject", kept),
        Need("s3:DeleteObject", landing),
        Need("sns:Publish", stack.output("SuccessTopicArn")),
    ]
    by_job = {
        "DecryptJob": decrypt,
        "TransformJob": transform,
        "ArchiveJob": archive,
        "BackfillJob": [*decrypt, *transform, *archive],
        "JanitorJob": [
            Need("s3:DeleteObject", f"{curated}/curated/any"),
            *(Need("glue:GetTables", arn) for arn in tables),
        ],
        "ForgetJob": [
            *(need for need in transform if need.resource != raw),
            Need("s3:GetObject", f"{root}/state/any"),
            Need("s3:DeleteObjectVersion", raw),
            Need("s3:DeleteObjectVersion", f"{curated}/curated/any"),
        ],
    }
    needs = [Need("s3:GetObject", code), Need("kms:Decrypt", data_key, "s3"), *by_job[output]]
    return [need for need in dict.fromkeys(needs) if need.resource]


def check_roles(stack: Stack) -> Iterable[Finding]:
    """Each job's role is allowed what the job cannot do without."""
    for output in JOB_OUTPUTS:
        if name := stack.output(output):
            yield from guarded(f"role of {name}", partial(_role, stack, output, name))


def _role(stack: Stack, output: str, name: str) -> Iterator[Finding]:
    answer = there(stack.account.glue.get_job, JobName=name)
    if answer is None:  # told among the jobs
        return
    role = answer["Job"].get("Role", "")
    if not role.startswith("arn:"):
        role = f"arn:{stack.partition}:iam::{stack.account.number}:role/{role}"
    denied, unsure = [], []
    needs = needs_of(stack, output)
    for need in needs:
        decision, missing = _simulate(stack, role, need)
        if decision == "allowed":
            continue
        what = f"{need.action} on {need.resource}"
        if missing:
            unsure.append(f"{what} (depends on {', '.join(missing)})")
        else:
            denied.append(f"{what}{' (a policy denies it)' if decision == 'explicitDeny' else ''}")
    subject = f"role of {name}"
    if denied:
        yield problem(subject, f"is not allowed {'; '.join(denied)}", f"make deploy; see what was changed on {role}")
    if unsure:
        yield not_checked(
            subject, f"cannot be judged from outside: {'; '.join(unsure)}", "the job's first run shows it"
        )
    if not denied and not unsure:
        yield ok(subject, f"is allowed all of the {len(needs)} actions that were tried")


def _simulate(stack: Stack, role: str, need: Need) -> tuple[str, list[str]]:
    """Return AWS's decision, and the conditions that it could not know."""
    answer = stack.account.iam.simulate_principal_policy(
        PolicySourceArn=role,
        ActionNames=[need.action],
        ResourceArns=[need.resource],
        ContextEntries=_context(stack, need),
    )
    (result,) = answer["EvaluationResults"]
    return result["EvalDecision"], sorted(result.get("MissingContextValues", []))


def _context(stack: Stack, need: Need) -> list[ContextEntryTypeDef]:
    """Return what the request would carry when the job makes it."""
    values = {
        "aws:ResourceAccount": stack.account.number,
        "s3:ResourceAccount": stack.account.number,
        "aws:PrincipalAccount": stack.account.number,
    }
    if need.resource == stack.output("EnvelopeKeyArn"):
        values["kms:EncryptionAlgorithm"] = "RSAES_OAEP_SHA_256"
    if need.via:
        suffix = "amazonaws.com.cn" if stack.partition == "aws-cn" else "amazonaws.com"
        values["kms:ViaService"] = f"{need.via}.{stack.account.region}.{suffix}"
    found: list[ContextEntryTypeDef] = [
        {"ContextKeyName": name, "ContextKeyType": "string", "ContextKeyValues": [value]}
        for name, value in values.items()
    ]
    return [
        *found,
        {"ContextKeyName": "aws:SecureTransport", "ContextKeyType": "boolean", "ContextKeyValues": ["true"]},
    ]
