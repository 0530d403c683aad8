"""The resolver on small templates: functions as the CloudFormation user guide describes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from infra.cloudformation.resolve import Site, read_template, resolve

HEAD = """
Parameters:
  Name: {Type: String, Default: acme, AllowedPattern: '[a-z]+'}
  Size: {Type: Number, Default: 2, MinValue: 1, MaxValue: 3}
  Own: {Type: String, Default: 'yes', AllowedValues: ['yes', 'no']}
Rules:
  SmallOnes:
    RuleCondition: !Equals [!Ref Own, 'no']
    Assertions: [{Assert: !Contains [['1', '2'], !Ref Size], AssertDescription: too large}]
Conditions:
  IsOwn: !Equals [!Ref Own, 'yes']
  IsForeign: !Not [!Condition IsOwn]
  IsAcme: !And [!Condition IsOwn, !Equals [!Ref Name, acme]]
  IsEither: !Or [!Condition IsOwn, !Condition IsForeign]
Outputs: {}
Resources:
  Bucket: {Type: AWS::S3::Bucket, Condition: IsOwn}
  Topic:
    Type: AWS::SNS::Topic
    Properties:
"""


def properties(tmp_path: Path, body: str, site: Site | None = None, /, **given: str) -> Any:
    path = tmp_path / "template.yaml"
    path.write_text(f"{HEAD}      {body}\n")
    return resolve(read_template(path), given, site).properties("Topic")


@pytest.mark.parametrize(
    ("body", "given", "expected"),
    [
        ("A: !Ref Name", {}, "acme"),
        ("A: !Ref Size", {}, "2"),  # a number that is referred to is a text
        ("A: !Ref Bucket", {}, "stack-bucket-1a2b3c4d5e6f"),
        ("A: !GetAtt Bucket.Arn", {}, "arn:aws:s3:::stack-bucket-1a2b3c4d5e6f"),
        ("A: !Sub '${Name}/${AWS::Region}'", {}, "acme/eu-central-1"),
        ("A: !Sub '${Bucket.Arn}/*'", {}, "arn:aws:s3:::stack-bucket-1a2b3c4d5e6f/*"),
        ("A: !Sub ['${Own}-${Name}', {Own: !Ref Size}]", {}, "2-acme"),  # its own names come first
        ("A: !If [IsOwn, 1, 2]", {}, 1),
        ("A: !If [IsForeign, 1, 2]", {}, 2),
        ("A: !If [IsAcme, 1, 2]", {"Name": "other"}, 2),
        ("A: !If [IsEither, 1, 2]", {"Own": "no"}, 1),
        ("A: !If [IsOwn, x, !Ref Bucket]", {}, "x"),  # what is not taken is not looked at
        ("A: [1, !If [IsOwn, !Ref AWS::NoValue, 2], 3]", {}, [1, 3]),
        ("A: {B: !Ref AWS::NoValue, C: 1}", {}, {"C": 1}),
        ("A: {Condition: {StringEquals: {a: b}}}", {}, {"Condition": {"StringEquals": {"a": "b"}}}),
    ],
)
def test_functions(tmp_path: Path, body: str, given: dict[str, str], expected: Any) -> None:
    assert properties(tmp_path, body, Site(stack="stack"), **given) == {"A": expected}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"Nmae": "x"}, "no such parameters: Nmae"),
        ({"Name": "ACME"}, "Name cannot be 'ACME'"),
        ({"Size": "4"}, "Size cannot be '4'"),
        ({"Own": "maybe"}, "Own cannot be 'maybe'"),
    ],
)
def test_parameters_are_checked(tmp_path: Path, given: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        properties(tmp_path, "A: 1", **given)


@pytest.mark.parametrize("body", ["A: !ImportValue x", "A: !GetAtt Bucket.DomainName", "A: !GetAtt Topic.TopicName"])
def test_what_is_not_known_raises(tmp_path: Path, body: str) -> None:
    with pytest.raises(NotImplementedError):
        properties(tmp_path, body)


def test_nothing_refers_to_what_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Bucket is not made"):
        properties(tmp_path, "A: !Ref Bucket", Own="no")


@pytest.mark.parametrize(
    ("given", "broken"), [({}, []), ({"Own": "no"}, []), ({"Own": "no", "Size": "3"}, ["too large"])]
)
def test_rules_say_what_they_are_broken_by(tmp_path: Path, given: dict[str, str], broken: list[str]) -> None:
    path = tmp_path / "template.yaml"
    path.write_text(f"{HEAD}      A: 1\n")
    assert resolve(read_template(path), given).broken_rules == broken
