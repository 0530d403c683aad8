"""Look at everything that a deployed stack needs, and say what is not well and what mends it.

    python -m infra.doctor --stack acme-cleanroom

Exits with 1 where anything is a problem, and also where something could not be checked: what nobody has seen is not
called well. --accept-unchecked lets the latter pass, for identities that may not look at everything. Secrets are never
read, nothing is changed.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Final

from infra.account import Account, check_stack_name, open_account, open_session
from infra.checks.buckets import check_buckets
from infra.checks.catalog import check_database, check_registration
from infra.checks.connector import check_connector
from infra.checks.finding import Check, Finding, Stack, Verdict, guarded
from infra.checks.glue_jobs import check_jobs
from infra.checks.keys import check_keys, check_secrets
from infra.checks.notifications import check_topics
from infra.checks.roles import check_roles
from infra.checks.whole_stack import check_outputs, check_status
from infra.checks.workflow import check_triggers, check_workflow
from infra.command import run_command
from infra.errors import DeployError, DoctorError
from infra.stack import StackState, find_stack
from jobs.runtime.args import option
from jobs.runtime.progress import tell

#: Every check, in the order in which a person reads them.
CHECKS: Final[dict[str, Check]] = {
    "stack": check_status,
    "outputs": check_outputs,
    "workflow": check_workflow,
    "triggers": check_triggers,
    "jobs": check_jobs,
    "roles": check_roles,
    "keys": check_keys,
    "secrets": check_secrets,
    "buckets": check_buckets,
    "database": check_database,
    "Lake Formation": check_registration,
    "notifications": check_topics,
    "connector": check_connector,
}


@dataclass(frozen=True)
class Args:
    """The arguments of this command."""

    stack: str = option("name of the stack")
    region: str | None = option("the stack's Region (default: that of the environment)", default=None)
    accept_unchecked: bool = option("do not fail for what could not be checked", default=False)


def look_at(account: Account, state: StackState) -> Stack:
    """Return the stack with the names of what it has made."""
    made: dict[str, list[str]] = defaultdict(list)
    pages = account.cloudformation.get_paginator("list_stack_resources")
    for page in pages.paginate(StackName=state.arn):
        for each in page["StackResourceSummaries"]:
            if "PhysicalResourceId" in each and each["ResourceStatus"] != "DELETE_COMPLETE":
                made[each["ResourceType"]].append(each["PhysicalResourceId"])
    return Stack(account, state, {kind: tuple(sorted(names)) for kind, names in made.items()})


def examine(stack: Stack) -> list[Finding]:
    """Run every check; none keeps another from running."""
    return [finding for name, check in CHECKS.items() for finding in guarded(name, partial(check, stack))]


def show(findings: Iterable[Finding]) -> str:
    """Return the findings as lines, each problem with what mends it."""
    lines = []
    for finding in findings:
        lines.append(f"  {finding.verdict.value:<12} {finding.subject}: {finding.text}")
        lines += [f"               → {line}" for line in finding.remedy.splitlines()]
    return "\n".join(lines)


def raise_for(findings: Iterable[Finding], *, accept_unchecked: bool) -> None:
    """Raise DoctorError where not all is well."""
    counts = Counter(finding.verdict for finding in findings)
    bad = counts[Verdict.PROBLEM] + (0 if accept_unchecked else counts[Verdict.NOT_CHECKED])
    if bad:
        raise DoctorError(
            f"{counts[Verdict.PROBLEM]} problems, {counts[Verdict.NOT_CHECKED]} not checked, {counts[Verdict.OK]} ok"
        )
    tell(f"\nall is well: {counts[Verdict.OK]} ok, {counts[Verdict.NOT_CHECKED]} not checked")


def main(args: Args) -> None:
    """Examine a stack of the account that the person is signed in to."""
    check_stack_name(args.stack)
    account = open_account(open_session(args.region))
    state = find_stack(account.cloudformation, args.stack)
    if state is None:
        raise DeployError(f"there is no stack {args.stack} in {account.region}, account {account.number}: make deploy")
    findings = examine(look_at(account, state))
    tell(show(findings))
    raise_for(findings, accept_unchecked=args.accept_unchecked)


if __name__ == "__main__":
    sys.exit(run_command(Args, main, "infra.doctor"))
