"""What a check has found, and the stack that it looks at."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from infra.account import Account
from infra.command import explain
from infra.stack import StackState
from jobs.runtime.errors import describe

_Answer = TypeVar("_Answer")
_NOT_THERE = frozenset(
    [
        *("404", "NoSuchBucket", "NoSuchKey"),  # S3's, without a body and with one
        *("EntityNotFoundException", "NoSuchEntity", "NotFound", "NotFoundException", "ResourceNotFoundException"),
    ]
)


class Verdict(enum.Enum):
    """How something stands; what could not be looked at is not called well."""

    OK = "ok"
    PROBLEM = "problem"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: how it stands, and what to do where it does not stand well."""

    verdict: Verdict
    subject: str
    text: str
    remedy: str = ""


def ok(subject: str, text: str) -> Finding:
    """Return a finding that all is well with ``subject``."""
    return Finding(Verdict.OK, subject, text)


def problem(subject: str, text: str, remedy: str) -> Finding:
    """Return a finding that ``subject`` is not as it must be, and what mends it."""
    return Finding(Verdict.PROBLEM, subject, text, remedy)


def not_checked(subject: str, text: str, remedy: str = "") -> Finding:
    """Return a finding that nothing can be said of ``subject``."""
    return Finding(Verdict.NOT_CHECKED, subject, text, remedy)


@dataclass(frozen=True)
class Stack:
    """A deployed stack: its account, its state, and the names in AWS of what it has made, by type."""

    account: Account
    state: StackState
    made: dict[str, tuple[str, ...]]

    @property
    def partition(self) -> str:
        """The part of AWS that the stack is in: aws, aws-cn, aws-us-gov."""
        return self.state.arn.split(":")[1]

    def output(self, name: str) -> str:
        """Return an output, or an empty text where the stack has none of that name."""
        return self.state.outputs.get(name, "")

    def parameter(self, name: str) -> str:
        """Return a parameter, or an empty text where the stack has none of that name."""
        return self.state.parameters.get(name, "")

    def bucket(self, output: str) -> str:
        """Return the bucket of an output of the form s3://bucket/…, or an empty text."""
        return split_uri(self.output(output))[0]


def split_uri(uri: str) -> tuple[str, str]:
    """Return bucket and key of an s3:// address; two empty texts for anything else."""
    if not uri.startswith("s3://"):
        return "", ""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


Check = Callable[[Stack], Iterable[Finding]]


def guarded(subject: str, look: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """Pass on what ``look`` finds; whatever stops it becomes a finding too."""
    try:
        yield from look()
    except (ClientError, BotoCoreError) as error:
        yield not_checked(subject, f"could not be checked: {explain(error)}")
    except Exception as error:  # noqa: BLE001  one check must not keep the others from running
        yield not_checked(subject, f"could not be checked: {describe(error)}")


def there(call: Callable[..., _Answer], **request: Any) -> _Answer | None:
    """Return the answer of an AWS call, or None where AWS says that there is no such thing."""
    try:
        return call(**request)
    except ClientError as error:
        if error.response["Error"]["Code"] in _NOT_THERE:
            return None
        raise
