"""Where a command works: the account and the Region that the person is signed in to."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import boto3

from jobs.runtime.errors import ArgumentError

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_lakeformation import LakeFormationClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sns import SNSClient

_STACK_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,127}")


@dataclass(frozen=True)
class Account:
    """An AWS account in a Region, the session that speaks to it, and its clients, each made once."""

    session: boto3.Session
    number: str
    region: str

    @cached_property
    def cloudformation(self) -> CloudFormationClient:
        """The client of CloudFormation."""
        return self.session.client("cloudformation")

    @cached_property
    def glue(self) -> GlueClient:
        """The client of the Data Catalog and the jobs."""
        return self.session.client("glue")

    @cached_property
    def iam(self) -> IAMClient:
        """The client of IAM."""
        return self.session.client("iam")

    @cached_property
    def kms(self) -> KMSClient:
        """The client of KMS."""
        return self.session.client("kms")

    @cached_property
    def lakeformation(self) -> LakeFormationClient:
        """The client of Lake Formation."""
        return self.session.client("lakeformation")

    @cached_property
    def s3(self) -> S3Client:
        """The client of S3."""
        return self.session.client("s3")

    @cached_property
    def secretsmanager(self) -> SecretsManagerClient:
        """The client of Secrets Manager."""
        return self.session.client("secretsmanager")

    @cached_property
    def sns(self) -> SNSClient:
        """The client of SNS."""
        return self.session.client("sns")


def open_session(region: str | None) -> boto3.Session:
    """Return a session in ``region``, or in the one that the environment names. Raises ArgumentError without any."""
    # boto3 asks for AWS_DEFAULT_REGION only; the other SDKs for AWS_REGION
    session = boto3.Session(region_name=region or os.environ.get("AWS_REGION"))
    if session.region_name is None:
        raise ArgumentError("no Region: give REGION=eu-central-1, or AWS_REGION in the environment")
    return session


def open_account(session: boto3.Session) -> Account:
    """Return the account that ``session`` is signed in to."""
    return Account(session, session.client("sts").get_caller_identity()["Account"], session.region_name)


def check_stack_name(name: str) -> None:
    """Raise ArgumentError for what cannot be the name of a stack."""
    if not _STACK_NAME.fullmatch(name):
        raise ArgumentError(f"--stack: {name!r} is no stack name: a letter, then letters, digits and hyphens")
