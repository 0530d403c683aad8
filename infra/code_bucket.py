"""The bucket that builds are kept in: is it fit for code that handles keys, and what is in it."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from botocore.exceptions import ClientError

from infra.command import explain
from infra.errors import DeployError
from jobs.runtime.progress import tell

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class Place(NamedTuple):
    """The folder of a build in a bucket that this account owns."""

    bucket: str
    prefix: str
    account: str

    def key(self, name: str) -> str:
        """Return the key of the object called ``name``."""
        return f"{self.prefix}/{name}"

    def url(self, name: str, s3: S3Client) -> str:
        """Return the address by which CloudFormation reads a template from there."""
        # the bucket in the path, not in the host's name: dots in its name would not fit the certificate
        return f"{s3.meta.endpoint_url}/{self.bucket}/{self.key(name)}"


#: What S3 answers where a bucket has no such setting (Amazon S3 API reference, error responses).
_NEVER_MADE: Final = (
    "NoSuchBucketPolicy",
    "NoSuchPublicAccessBlockConfiguration",
    "ServerSideEncryptionConfigurationNotFoundError",
)


def build_prefix(commit: str) -> str:
    """Return the folder of a commit's builds."""
    return f"builds/{commit}"


def check_bucket(s3: S3Client, bucket: str, region: str, account: str) -> None:
    """Refuse a bucket that must not hold code; warn of what could be better.

    Raises DeployError where it is not there, is another account's, in another Region, or public: who can write to it
    can read every key that the jobs can.
    """
    try:
        head = s3.head_bucket(Bucket=bucket, ExpectedBucketOwner=account)
    except ClientError as error:
        raise DeployError(_missing(error, bucket, region)) from None
    found = head.get("BucketRegion") or head["ResponseMetadata"]["HTTPHeaders"].get("x-amz-bucket-region", region)
    if found != region:
        raise DeployError(
            f"s3://{bucket} is in {found}, the stack is to be in {region}: CloudFormation and Glue read code in "
            f"their own Region only; give a bucket there, or REGION={found}"
        )
    if _asked(s3.get_bucket_policy_status, bucket).get("PolicyStatus", {}).get("IsPublic"):
        raise DeployError(
            f"s3://{bucket} is public by its policy; code that reads keys cannot be kept there. Close it:\n"
            f"  aws s3api put-public-access-block --bucket {bucket} --public-access-block-configuration "
            "BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true"
        )
    for warning in _warnings(s3, bucket):
        tell(f"warning: {warning}")


def _missing(error: ClientError, bucket: str, region: str) -> str:
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if status == 404:  # noqa: PLR2004  not found
        where = "" if region == "us-east-1" else f" --create-bucket-configuration LocationConstraint={region}"
        return (
            f"there is no bucket {bucket}; make it (it keeps code only, one for all stacks of a Region):\n"
            f"  aws s3api create-bucket --bucket {bucket} --region {region}{where}\n"
            f"  aws s3api put-bucket-versioning --bucket {bucket} --versioning-configuration Status=Enabled"
        )
    if status in (400, 301):  # what HEAD answers for another Region, without a reason
        return f"s3://{bucket} is not in {region}; give a bucket there, or the bucket's Region: REGION=…"
    if status == 403:  # noqa: PLR2004  forbidden
        return (
            f"s3://{bucket} cannot be used: it is another account's, or you lack s3:ListBucket on it; "
            "give a bucket of the account that you are signed in to"
        )
    return f"s3://{bucket}: {explain(error)}"


def _warnings(s3: S3Client, bucket: str) -> list[str]:
    found = []
    if _asked(s3.get_bucket_versioning, bucket).get("Status") != "Enabled":
        found.append(
            f"s3://{bucket} is not versioned: whoever overwrites a build leaves no trace. "
            f"aws s3api put-bucket-versioning --bucket {bucket} --versioning-configuration Status=Enabled"
        )
    encryption = _asked(s3.get_bucket_encryption, bucket).get("ServerSideEncryptionConfiguration", {})
    if not encryption:
        found.append(f"s3://{bucket} shows no default encryption (every bucket made since 2023 has it)")
    keys = [rule.get("ApplyServerSideEncryptionByDefault", {}) for rule in encryption.get("Rules", [])]
    if any(key.get("SSEAlgorithm", "").startswith("aws:kms") and key.get("KMSMasterKeyID") for key in keys):
        found.append(
            f"s3://{bucket} encrypts with a key of its own, which the jobs' roles may not use: they fail at once, "
            "unless it is the stack's data key. A bucket with S3's own keys (SSE-S3) will do for code"
        )
    block = _asked(s3.get_public_access_block, bucket).get("PublicAccessBlockConfiguration", {})
    if not block or not all(block.values()):
        found.append(
            f"s3://{bucket} has no full public access block: aws s3api put-public-access-block --bucket {bucket} "
            "--public-access-block-configuration "
            "BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true"
        )
    return found


def _asked(call: Callable[..., Any], bucket: str) -> Mapping[str, Any]:
    """Return the answer, or nothing where that setting was never made. What may not be read is told."""
    try:
        answer: Mapping[str, Any] = call(Bucket=bucket)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code", "") not in _NEVER_MADE:
            tell(f"warning: s3://{bucket} could not be looked at: {explain(error)}")
        return {}
    return answer


def upload(s3: S3Client, place: Place, files: Mapping[str, bytes]) -> list[str]:
    """Put ``files`` there, by name, skipping what is there with the same SHA-256; return the names that were sent.

    Raises DeployError where an object of that commit has other content: stacks may be running from it.
    """
    sent = []
    for name, content in files.items():
        digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
        there = _digest_of(s3, place, name)
        if there == digest:
            continue
        if there is not None:
            raise DeployError(
                f"s3://{place.bucket}/{place.key(name)} is there with other content, although it is the same commit; "
                "find out who changed it (the bucket's versions), then delete it and deploy again"
            )
        s3.put_object(
            Bucket=place.bucket,
            Key=place.key(name),
            Body=content,
            ChecksumAlgorithm="SHA256",
            ChecksumSHA256=digest,  # S3 refuses what arrives otherwise, and tells it when asked
            ExpectedBucketOwner=place.account,
        )
        sent.append(name)
    return sent


def _digest_of(s3: S3Client, place: Place, name: str) -> str | None:
    """Return the SHA-256 of an object, as S3 has checked it; an empty text where it has none, None without object."""
    try:
        head = s3.head_object(
            Bucket=place.bucket, Key=place.key(name), ChecksumMode="ENABLED", ExpectedBucketOwner=place.account
        )
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:  # noqa: PLR2004  not found
            return None
        raise
    return head.get("ChecksumSHA256", "")


def read_build(s3: S3Client, place: Place, build_name: str) -> dict[str, str]:
    """Return the SHA-256 of every file of a build that was uploaded before, by name, once all are seen to be there.

    Raises DeployError where the build is not there, or not whole.
    """
    try:
        answer = s3.get_object(Bucket=place.bucket, Key=place.key(build_name), ExpectedBucketOwner=place.account)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
            raise DeployError(
                f"s3://{place.bucket}/{place.key(build_name)} is not there: that commit was never deployed from this "
                "bucket for this Glue release; check it out and run make deploy without COMMIT"
            ) from None
        raise
    files: dict[str, str] = json.loads(answer["Body"].read())["files"]
    wrong = [
        name
        for name, digest in files.items()
        if _digest_of(s3, place, name) != base64.b64encode(bytes.fromhex(digest)).decode()
    ]
    if wrong:
        raise DeployError(
            f"the build in s3://{place.bucket}/{place.prefix} is not as it was made: {', '.join(wrong)} missing or "
            "changed; check that commit out and deploy it again"
        )
    return files


def read_text(s3: S3Client, place: Place, name: str) -> str:
    """Return the text of an object of a build."""
    answer = s3.get_object(Bucket=place.bucket, Key=place.key(name), ExpectedBucketOwner=place.account)
    return answer["Body"].read().decode()
