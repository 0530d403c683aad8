"""Every rule of rules.guard passes as the template is, and fails where something is taken from it."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from infra.cloudformation.guard import broken_rules, rule_names
from infra.cloudformation.scenarios import SCENARIOS
from tests.infra.stacks import scenario

ALL_OF_S3 = {"Sid": "All", "Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::x"}
OTHER_THAN = {"Sid": "Rest", "Effect": "Allow", "NotAction": "iam:PassRole", "Resource": "arn:aws:s3:::x"}

#: What is done to a resource of a stack with everything in it: the path, the new value (None takes it away), the rule.
BREAKING = [
    ("LogBucket Properties BucketEncryption", None, "buckets_are_encrypted"),
    (
        "CuratedBucket Properties BucketEncryption ServerSideEncryptionConfiguration",
        [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}],
        "buckets_of_data_have_our_key",
    ),
    ("LandingBucket Properties PublicAccessBlockConfiguration", None, "buckets_are_private"),
    (
        "CuratedBucket Properties PublicAccessBlockConfiguration RestrictPublicBuckets",
        False,
        "buckets_are_private",
    ),
    ("LandingBucket Properties OwnershipControls", None, "buckets_are_private"),
    ("LogBucket Properties VersioningConfiguration", None, "buckets_are_versioned"),
    ("LandingBucket Properties VersioningConfiguration Status", "Suspended", "buckets_are_versioned"),
    ("CuratedBucket DeletionPolicy", "Delete", "what_holds_data_outlives_the_stack"),
    ("CuratedBucket UpdateReplacePolicy", None, "what_holds_data_outlives_the_stack"),
    ("DataKey DeletionPolicy", None, "what_opens_data_outlives_the_stack"),
    ("EnvelopeRsaKey UpdateReplacePolicy", "Delete", "what_opens_data_outlives_the_stack"),
    ("Database DeletionPolicy", None, "the_catalog_outlives_the_stack"),
    ("DecryptPolicy Properties PolicyDocument Statement 0 Action", "s3:*", "no_star_in_actions"),
    ("DecryptPolicy Properties PolicyDocument Statement 1 Action", ["s3:GetObject", "s3:Put*"], "no_star_in_actions"),
    ("EveryJobPolicy Properties PolicyDocument Statement 0", OTHER_THAN, "no_star_in_actions"),
    ("LandingBucketPolicy Properties PolicyDocument Statement 0", ALL_OF_S3, "no_star_in_actions"),
    ("FailureTopicPolicy Properties PolicyDocument Statement 0 Action", "sns:*", "no_star_in_actions"),
    ("StartRole Properties Policies 0 PolicyDocument Statement 0 Action", "glue:*", "no_star_in_actions_of_roles"),
    ("TransformPolicy Properties PolicyDocument Statement 0 Resource", "*", "no_star_for_resources"),
    ("ArchivePolicy Properties PolicyDocument Statement 0 Resource", ["arn:aws:s3:::*"], "no_star_for_resources"),
    ("EveryJobPolicy Properties PolicyDocument Statement 2 Resource", "*", "no_star_for_resources"),
    ("StartRole Properties Policies 0 PolicyDocument Statement 0 Resource", "*", "no_star_for_resources_of_roles"),
    ("JanitorJob Properties SecurityConfiguration", None, "jobs_are_encrypted"),
    ("DecryptJob Properties GlueVersion", None, "jobs_name_their_release"),
    ("DecryptJob Properties GlueVersion", "5.0", "jobs_name_their_release"),
    ("ArchiveJob Properties Timeout", None, "jobs_end"),
    ("TransformJob Properties DefaultArguments --hash-key", "0123456789abcdef", "jobs_get_references_not_secrets"),
    ("DecryptJob Properties DefaultArguments --envelope-key", "file:/rsa.pem", "jobs_get_references_not_secrets"),
    ("DecryptJob Properties DefaultArguments --pgp-key", "-----BEGIN PGP", "jobs_get_references_not_secrets"),
    ("BackfillJob Properties DefaultArguments --pgp-passphrase", "open sesame", "jobs_get_references_not_secrets"),
    (
        "ArchiveJob Properties DefaultArguments --topic",
        "{{resolve:secretsmanager:topic}}",
        "jobs_get_references_not_secrets",
    ),
    ("DecryptJob Properties DefaultArguments --enable-spark-ui", "true", "jobs_show_no_rows"),
    ("TransformJob Properties DefaultArguments --enable-job-insights", "true", "jobs_show_no_rows"),
    ("SuccessTopic Properties KmsMasterKeyId", None, "topics_have_our_key"),
    ("FailureTopic Properties KmsMasterKeyId", "alias/aws/sns", "topics_have_our_key"),
    ("HashKeySecret Properties KmsKeyId", None, "secrets_have_our_key"),
    ("OpenPgpKeySecret Properties KmsKeyId", "alias/aws/secretsmanager", "secrets_have_our_key"),
    ("FailureRule Properties Targets 0 InputTransformer", None, "failures_forward_no_message"),
    (
        "FailureRule Properties Targets 0 InputTransformer InputPathsMap why",
        "$.detail.message",
        "failures_forward_no_message",
    ),
    ("FailureRule Properties Targets 0 InputTransformer InputPathsMap all", "$.detail", "failures_forward_no_message"),
    (
        "FailureRule Properties Targets 0 InputTransformer InputTemplate",
        '"<aws.events.event.json>"',
        "failures_forward_no_message",
    ),
]


def changed(resources: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    copied = copy.deepcopy(resources)
    *way, last = [int(part) if part.isdigit() else part for part in path.split()]
    place: Any = copied
    for part in way:
        place = place[part]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return copied


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_template_breaks_no_rule(name: str) -> None:
    assert broken_rules(scenario(name).resources) == []


@pytest.mark.parametrize(("path", "value", "rule"), BREAKING)
def test_a_rule_fails_where_it_should(path: str, value: Any, rule: str) -> None:
    (broken,) = broken_rules(changed(scenario("everything").resources, path, value))
    assert (broken.rule, broken.resource) == (rule, path.partition(" ")[0])
    assert broken.said


def test_every_rule_can_fail() -> None:
    assert {rule for _, _, rule in BREAKING} == rule_names()
