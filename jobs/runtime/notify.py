"""One message a run to an SNS topic: names and counts, never values."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from jobs.runtime.errors import ArgumentError, describe
from jobs.runtime.progress import tell

_TOPIC: Final = re.compile(r"arn:[\w-]+:sns:[\w-]+:\d{12}:[\w-]+")
_SUBJECT_LIMIT: Final = 100  # Amazon SNS API reference, Publish


def check_topic(topic: str | None) -> None:
    """Raise ArgumentError where ``topic`` is no ARN of an SNS topic."""
    if topic is not None and not _TOPIC.fullmatch(topic):
        raise ArgumentError(f"--topic: {topic!r} is no ARN of an SNS topic (arn:aws:sns:region:account:name)")


def send(topic: str | None, subject: str, message: Mapping[str, Any]) -> None:
    """Publish ``message`` as JSON; a topic that cannot be reached is told, but the run has succeeded all the same."""
    if topic is None:
        return
    import boto3  # noqa: PLC0415  local runs need no AWS

    try:
        client = boto3.client("sns", region_name=topic.split(":")[3])
        client.publish(TopicArn=topic, Subject=subject[:_SUBJECT_LIMIT], Message=json.dumps(message, indent=1))
    except (ClientError, BotoCoreError) as error:
        tell(f"warning: the message to {topic} could not be sent: {describe(error)}")
