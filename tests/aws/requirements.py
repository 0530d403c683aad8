"""What a request asks of IAM: actions, resources and condition keys, by the Service Authorization Reference.

What S3 asks of KMS for a request on an encrypted object is never a request that is seen here, and is added.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from tests.fixtures.aws_stand_in import Call

ACCOUNT: Final = "123456789012"
REGION: Final = "us-east-1"
_DELETED: Final = re.compile(r"<Object>(.*?)</Object>", re.DOTALL)
_WRITES: Final = ("PutObject", "UploadPart", "CreateMultipartUpload", "CompleteMultipartUpload")


@dataclass(frozen=True)
class Need:
    """An action on a resource, in a context."""

    action: str
    resource: str
    context: dict[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Names:
    """ARNs that requests name otherwise: of secrets by their names, and of the data key, which none names."""

    data_key: str
    secrets: dict[str, str]


def needs_of(call: Call, names: Names) -> Iterator[Need]:
    """Yield what the role of a job that makes this call must be allowed."""
    if call.service == "s3":
        yield from _s3(call, names)
    elif call.service == "glue":
        yield from _glue(call)
    elif call.service == "secretsmanager":
        yield Need(f"secretsmanager:{call.operation}", names.secrets[call.parameters["SecretId"]])
        yield _kms("Decrypt", names, "secretsmanager")
    elif call.service == "kms":
        context = {"kms:EncryptionAlgorithm": call.parameters["EncryptionAlgorithm"]}
        yield Need(f"kms:{call.operation}", call.parameters["KeyId"], context)
    elif call.service == "sns":
        yield Need(f"sns:{call.operation}", call.parameters["TopicArn"])
        for action in ("GenerateDataKey", "Decrypt"):
            yield _kms(action, names, "sns")
    else:
        raise NotImplementedError(call)


def _s3(call: Call, names: Names) -> Iterator[Need]:
    bucket = f"arn:aws:s3:::{call.bucket}"
    key = f"{bucket}/{call.key}"
    if call.operation in ("ListObjects", "ListObjectVersions"):
        action = "s3:ListBucket" if call.operation == "ListObjects" else "s3:ListBucketVersions"
        context = {"s3:prefix": call.prefix, **({"s3:max-keys": call.max_keys} if call.max_keys else {})}
        yield Need(action, bucket, context)
    elif call.operation in ("GetObject", "HeadObject"):
        yield Need("s3:GetObjectVersion" if call.version else "s3:GetObject", key)
        yield _kms("Decrypt", names, "s3")
    elif call.operation in _WRITES:
        yield Need("s3:PutObject", key)
        yield _kms("GenerateDataKey", names, "s3")
        if call.operation != "PutObject":  # KMS asks for both where an object is written in parts
            yield _kms("Decrypt", names, "s3")
        if call.source:
            version = "Version" if call.source_version else ""
            yield Need(f"s3:GetObject{version}", f"arn:aws:s3:::{call.source}")
            yield _kms("Decrypt", names, "s3")
            if "/landing/" in call.source:  # a copy takes tags along, and only a source's objects may have some
                yield Need(f"s3:GetObject{version}Tagging", f"arn:aws:s3:::{call.source}")
                yield Need("s3:PutObjectTagging", key)
    elif call.operation in ("DeleteObject", "AbortMultipartUpload"):
        yield Need(f"s3:{call.operation}", key)
    elif call.operation == "DeleteObjects":
        for entry in _DELETED.findall(call.parameters["body"]):
            name = re.search(r"<Key>(.*?)</Key>", entry, re.DOTALL)
            assert name is not None
            action = "s3:DeleteObjectVersion" if "<VersionId>" in entry else "s3:DeleteObject"
            yield Need(action, f"{bucket}/{name[1]}")
    else:
        raise NotImplementedError(call)


def _glue(call: Call) -> Iterator[Need]:
    def arn(resource: str) -> str:
        return f"arn:aws:glue:{REGION}:{ACCOUNT}:{resource}"

    parameters = call.parameters
    database = parameters["DatabaseName"]
    table = parameters.get("Name") or parameters.get("TableName") or parameters.get("TableInput", {}).get("Name") or "*"
    for resource in ("catalog", f"database/{database}", f"table/{database}/{table}"):
        yield Need(f"glue:{call.operation}", arn(resource))


def _kms(action: str, names: Names, service: str) -> Need:
    return Need(f"kms:{action}", names.data_key, {"kms:ViaService": f"{service}.{REGION}.amazonaws.com"})
