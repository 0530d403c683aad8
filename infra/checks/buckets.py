"""The buckets: in this Region, versioned, encrypted with the stack's key, closed to the public, telling of arrivals."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from infra.checks.finding import Finding, Stack, guarded, ok, problem, there

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def check_buckets(stack: Stack) -> Iterable[Finding]:
    """Both buckets are as the template makes them."""
    for output in ("Root", "CuratedRoot"):
        if name := stack.bucket(output):
            yield from guarded(f"bucket {name}", partial(_bucket, stack, name))


def _bucket(stack: Stack, name: str) -> Iterable[Finding]:
    s3, subject = stack.account.s3, f"bucket {name}"
    head = there(s3.head_bucket, Bucket=name)
    if head is None:
        yield problem(
            subject, "is not there", "its data is gone; restore it under that name, or deploy with another one"
        )
        return
    problems = [*_place(stack, name, head.get("BucketRegion")), *_safety(stack, s3, name)]
    if stack.parameter("Start") == "arrival" and name == stack.bucket("Root"):
        problems += _events(s3, name)
    yield from problems
    if not problems:
        yield ok(subject, "in this Region, versioned, encrypted with the stack's key, closed to the public")


def _place(stack: Stack, name: str, found: str | None) -> Iterable[Finding]:
    if found is not None and found != stack.account.region:
        text = f"is in {found}, not in {stack.account.region}: jobs, tables and Clean Rooms need one Region"
        yield problem(f"bucket {name}", text, "deploy with a bucket of this Region")


def _safety(stack: Stack, s3: S3Client, name: str) -> Iterable[Finding]:
    subject = f"bucket {name}"
    if s3.get_bucket_versioning(Bucket=name).get("Status") != "Enabled":
        enable = f"aws s3api put-bucket-versioning --bucket {name} --versioning-configuration Status=Enabled"
        yield problem(subject, "is not versioned: what is overwritten or deleted by mistake is lost", enable)
    key = _key_of(s3, name)
    if key is None:
        yield problem(subject, "does not encrypt with a key of KMS", "make deploy")
    elif (wanted := stack.output("DataKeyArn")) and not _is_key(key, wanted):
        yield problem(subject, f"encrypts with {key}, not with the stack's data key", "make deploy")
    block = _block_of(s3, name)
    if not block or not all(block.values()):
        close = (
            f"aws s3api put-public-access-block --bucket {name} --public-access-block-configuration "
            "BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true"
        )
        yield problem(subject, "could be made public: its public access block is not complete", close)


def _key_of(s3: S3Client, name: str) -> str | None:
    try:
        rules = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ServerSideEncryptionConfigurationNotFoundError":
            return None
        raise
    defaults = [rule.get("ApplyServerSideEncryptionByDefault", {}) for rule in rules]
    return next(
        (each.get("KMSMasterKeyID", "aws/s3") for each in defaults if "kms" in each.get("SSEAlgorithm", "")), None
    )


def _is_key(found: str, wanted: str) -> bool:
    """Tell whether a key that a bucket names, by ARN or id, is the wanted one."""
    return found == wanted or wanted.endswith(f"/{found}")


def _block_of(s3: S3Client, name: str) -> dict[str, bool]:
    try:
        return dict(s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"])  # type: ignore[arg-type]
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchPublicAccessBlockConfiguration":
            return {}
        raise


def _events(s3: S3Client, name: str) -> Iterable[Finding]:
    if "EventBridgeConfiguration" not in s3.get_bucket_notification_configuration(Bucket=name):
        turn_on = (
            f"aws s3api put-bucket-notification-configuration --bucket {name} "
            "--notification-configuration '{\"EventBridgeConfiguration\": {}}'   (it replaces other notifications)"
        )
        yield problem(f"bucket {name}", "does not tell EventBridge of arrivals: Start=arrival starts nothing", turn_on)
