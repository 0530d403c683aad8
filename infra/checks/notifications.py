"""The topics: somebody hears of a success, and above all of a failure."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from infra.checks.finding import Finding, Stack, guarded, ok, problem, there

_PENDING = "PendingConfirmation"


def check_topics(stack: Stack) -> Iterable[Finding]:
    """Both topics are there, and every e-mail address has said yes."""
    for output in ("SuccessTopicArn", "FailureTopicArn"):
        if arn := stack.output(output):
            name = f"topic {arn.rpartition(':')[2]}"
            yield from guarded(name, partial(_topic, stack, name, arn))


def _topic(stack: Stack, subject: str, arn: str) -> Iterable[Finding]:
    sns = stack.account.sns
    if there(sns.get_topic_attributes, TopicArn=arn) is None:
        yield problem(
            subject, "is not there", "make deploy does not make it again: delete the stack and deploy it anew"
        )
        return
    subscriptions = [
        each
        for page in sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=arn)
        for each in page["Subscriptions"]
    ]
    pending = [each.get("Endpoint", "") for each in subscriptions if each.get("SubscriptionArn") == _PENDING]
    for address in pending:
        text = f"{address} has not confirmed yet, and is told nothing"
        yield problem(subject, text, "click the link in the mail from AWS Notifications; after 3 days: subscribe anew")
    if not subscriptions and stack.parameter("NotificationEmail"):
        text = f"does not have {stack.parameter('NotificationEmail')} among its subscriptions"
        yield problem(subject, text, f"aws sns subscribe --topic-arn {arn} --protocol email --notification-endpoint …")
    elif not pending:
        yield ok(subject, f"is told to {len(subscriptions)}" if subscriptions else "nobody is subscribed")
