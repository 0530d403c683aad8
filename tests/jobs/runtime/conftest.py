"""AWS on this machine: storage, secrets, symmetric KMS, topics, the catalog."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import boto3
import pytest

from tests.fixtures.aws_stand_in import AwsStandIn, aws_stand_in

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def aws_server() -> Iterator[AwsStandIn]:
    with aws_stand_in() as server:
        yield server


@pytest.fixture(scope="session")
def aws_endpoint(aws_server: AwsStandIn) -> str:
    return aws_server.endpoint


@pytest.fixture(scope="session")
def aws_session() -> boto3.Session:
    """One session for all tests: it parses the service models once."""
    return boto3.Session(aws_access_key_id="fake", aws_secret_access_key="fake", region_name="us-east-1")


@pytest.fixture
def aws(aws_endpoint: str, aws_session: boto3.Session, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make every client of this test one of the server's, with credentials that open nothing else."""
    settings = {
        "AWS_ENDPOINT_URL": aws_endpoint,
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", aws_session)
    return aws_endpoint


def new_name(kind: str) -> str:
    """Return a name that no other test has."""
    return f"{kind}-{next(_NUMBERS)}"


@pytest.fixture
def bucket(aws: str) -> str:
    del aws
    name = new_name("bucket")
    boto3.client("s3").create_bucket(Bucket=name)
    return name
