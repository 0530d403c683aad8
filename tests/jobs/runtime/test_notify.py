from __future__ import annotations

import json

import boto3
import pytest

from jobs.runtime.errors import ArgumentError
from jobs.runtime.notify import check_topic, send
from tests.jobs.runtime.conftest import new_name

MESSAGE = {"run_id": "r1", "rows": {"read": 10, "published": 7}, "left_in_landing": []}


def test_one_message_a_run_with_counts(aws: str) -> None:
    del aws
    topic = boto3.client("sns").create_topic(Name=new_name("topic"))["TopicArn"]
    sqs = boto3.client("sqs")
    queue = sqs.create_queue(QueueName=new_name("queue"))["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    boto3.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    check_topic(topic)
    send(topic, "s" * 150, MESSAGE)
    received = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    assert len(received) == 1
    envelope = json.loads(received[0]["Body"])
    assert envelope["Subject"] == "s" * 100  # the most that SNS takes
    assert json.loads(envelope["Message"]) == MESSAGE


def test_without_a_topic_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr("boto3.client", refuse)
    check_topic(None)
    send(None, "subject", MESSAGE)


def test_a_topic_that_is_not_there_is_told_and_no_error(aws: str, capsys: pytest.CaptureFixture[str]) -> None:
    del aws
    topic = "arn:aws:sns:us-east-1:123456789012:absent"
    send(topic, "subject", MESSAGE)
    assert f"warning: the message to {topic} could not be sent: " in capsys.readouterr().out


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "topic",
        "arn:aws:sqs:us-east-1:123456789012:x",
        "arn:sns:x",
        "arn:aws:sns:",
        "arn:aws:sns:us-east-1:123:x",
        "arn:aws:sns:us-east-1:123456789012:x y",
    ],
)
def test_what_is_no_topic_is_refused_before_the_run(topic: str) -> None:
    with pytest.raises(ArgumentError, match="--topic"):
        check_topic(topic)


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov"])
def test_every_partition_has_topics(partition: str) -> None:
    check_topic(f"arn:{partition}:sns:eu-central-1:123456789012:my-topic_1")
