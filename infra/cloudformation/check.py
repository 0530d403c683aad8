"""Check the template without AWS: cfn-lint, checkov, parliament, and the rules of our own.

    make check-template

Says every finding in a line and ends with 1 where there is one. What a tool finds and we have a reason for stands in
ACCEPTED; an entry that no tool finds any more is a finding as well.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import parliament

from infra.cloudformation.guard import broken_rules
from infra.cloudformation.resolve import TEMPLATE, Resolved, read_template, resolve
from infra.cloudformation.scenarios import SCENARIOS

#: Characters that a role's inline policies together may have (IAM user guide, quotas); whitespace is not counted.
_INLINE_LIMIT: Final = 10_240
_MANAGED_LIMIT: Final = 6_144
_KEY_POLICIES: Final = ("DataKey", "EnvelopeRsaKey")
_BUCKET_POLICIES: Final = ("LogBucketPolicy", "LandingBucketPolicy", "CuratedBucketPolicy")


@dataclass(frozen=True)
class Finding:
    """What a tool has found: its own name for it, in which resource, and what it says."""

    tool: str
    code: str
    resource: str
    text: str

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.tool}: {self.resource}: {self.code}: {self.text}"


@dataclass(frozen=True)
class Accepted:
    """A finding that stays: what it is, in which resources, and why. ``about`` is a part of what the tool says."""

    tool: str
    code: str
    resources: tuple[str, ...]
    reason: str
    about: str = ""

    def covers(self, finding: Finding) -> bool:
        """Tell whether this is about ``finding``."""
        return (
            (self.tool, self.code) == (finding.tool, finding.code)
            and finding.resource in self.resources
            and self.about in finding.text
        )


ACCEPTED: Final = (
    Accepted("checkov", "CKV_AWS_18", ("LogBucket",), "access logs of the bucket of access logs would log themselves"),
    Accepted(
        "parliament",
        "RESOURCE_STAR",
        _KEY_POLICIES,
        "in a key's policy * is the key itself (AWS KMS developer guide, key policies)",
    ),
    Accepted(
        "parliament",
        "MISMATCHED_TYPE",
        ("DataKey",),
        "the encryption contexts of CloudWatch Logs and SNS are ARNs, and their guides compare them as such",
        about="ArnLike requires a value of type Arn but given String",
    ),
    Accepted(
        "parliament",
        "MISMATCHED_TYPE",
        _BUCKET_POLICIES,
        "1.2 is a number for IAM (Amazon S3 user guide, s3:TlsVersion), and none for parliament",
        about="s3:TlsVersion",
    ),
    Accepted(
        "parliament",
        "UNKNOWN_CONDITION_FOR_ACTION",
        _BUCKET_POLICIES,
        "s3:* has two actions that no request to a bucket makes and that know no TLS version",
        about="s3:TlsVersion",
    ),
    Accepted(
        "parliament",
        "MISMATCHED_TYPE_BUT_USABLE",
        ("LandingBucketPolicy", "CuratedBucketPolicy"),
        "the key is compared as a text, for it must be that very one",
    ),
)


def cfn_lint() -> Iterator[Finding]:
    """Yield what cfn-lint finds, advice included."""
    command = [_program("cfn-lint"), "--format", "json", "--include-checks", "I", "--", str(TEMPLATE)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    for each in json.loads(answer.stdout or "[]"):
        path = [str(part) for part in each["Location"]["Path"] or ()]
        yield Finding("cfn-lint", each["Rule"]["Id"], "/".join(path[1:2]) or "template", each["Message"])
    if answer.stderr:
        yield Finding("cfn-lint", "error", "template", answer.stderr.strip())


def checkov() -> Iterator[Finding]:
    """Yield the checks of checkov that fail."""
    command = [_program("checkov"), "--file", str(TEMPLATE), "--framework", "cloudformation"]
    command += ["--skip-download", "--output", "json", "--quiet"]
    answer = json.loads(subprocess.run(command, capture_output=True, text=True, check=False).stdout)
    if not answer["summary"]["passed"] or answer["summary"]["parsing_errors"]:
        yield Finding("checkov", "error", "template", "it has checked nothing")
    for each in answer["results"]["failed_checks"]:
        yield Finding("checkov", each["check_id"], each["resource"].rpartition(".")[2], each["check_name"])


def _program(name: str) -> str:
    """Return a program of the environment that this one runs in."""
    return str(Path(sys.executable).with_name(name))


def policies(stack: Resolved) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every policy of a stack with its resource; a trust policy is about the role that it is of."""
    for name in stack.resources:
        properties = stack.properties(name)
        for document in (
            properties.get("PolicyDocument"),
            properties.get("KeyPolicy"),
            *(each["PolicyDocument"] for each in properties.get("Policies", ())),
        ):
            if document:
                yield name, document
        if trust := properties.get("AssumeRolePolicyDocument"):
            itself = stack.site.arn("iam", f"role/{stack.refs[name]}", regional=False)
            yield name, {**trust, "Statement": [{**each, "Resource": itself} for each in trust["Statement"]]}


def parliament_says(stack: Resolved) -> Iterator[Finding]:
    """Yield what parliament finds in the policies of a stack."""
    for name, document in policies(stack):
        for each in parliament.analyze_policy_string(json.dumps(document)).findings:
            yield Finding("parliament", each.issue, name, str(each.detail))


def sizes(stack: Resolved) -> Iterator[Finding]:
    """Yield the roles and policies that IAM would refuse for their length."""
    inline = stack.of_type("AWS::IAM::Policy")
    for name in stack.of_type("AWS::IAM::Role"):
        own = [each["PolicyDocument"] for each in inline.values() if stack.refs[name] in each["Roles"]]
        if (size := sum(map(_length, own))) > _INLINE_LIMIT:
            yield Finding("sizes", "inline", name, f"{size} characters of inline policies")
    for name, each in stack.of_type("AWS::IAM::ManagedPolicy").items():
        if (size := _length(each["PolicyDocument"])) > _MANAGED_LIMIT:
            yield Finding("sizes", "managed", name, f"{size} characters")


def _length(document: Any) -> int:
    return len(json.dumps(document, separators=(",", ":")))


def own_rules(stack: Resolved) -> Iterator[Finding]:
    """Yield the rules of rules.guard that a stack breaks."""
    for broken in broken_rules(stack.resources):
        yield Finding("guard", broken.rule, broken.resource, broken.said)


def findings() -> list[Finding]:
    """Return what all tools find, each thing once."""
    template = read_template()
    found = {each: None for tool in (cfn_lint, checkov) for each in tool()}
    for parameters in SCENARIOS.values():
        stack = resolve(template, parameters)
        for check in (parliament_says, sizes, own_rules):
            found.update(dict.fromkeys(check(stack)))
    return list(found)


def main() -> int:
    """Print the findings; return the exit status."""
    found = findings()
    open_findings = [each for each in found if not any(entry.covers(each) for entry in ACCEPTED)]
    stale = [entry for entry in ACCEPTED if not any(entry.covers(each) for each in found)]
    for each in open_findings:
        print(each)
    for entry in stale:
        print(f"ACCEPTED: {entry.tool} does not find {entry.code} in {', '.join(entry.resources)} any more; remove it")
    if open_findings or stale:
        return 1
    print(
        f"{TEMPLATE.name}: nothing found by cfn-lint, checkov, parliament and rules.guard, "
        f"for {len(SCENARIOS)} combinations of parameters, but what is accepted for {len(ACCEPTED)} reasons"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
