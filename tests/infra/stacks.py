"""The template as CloudFormation would resolve it, for tests."""

from __future__ import annotations

import functools
from typing import Any

from infra.cloudformation.resolve import Resolved, Site, read_template, resolve
from infra.cloudformation.scenarios import CODE, SCENARIOS

TEMPLATE = read_template()
#: The jobs by their resources, and the scripts that they run.
SCRIPTS = {
    "DecryptJob": "decrypt",
    "TransformJob": "transform",
    "ArchiveJob": "archive",
    "BackfillJob": "backfill",
    "JanitorJob": "janitor",
    "ForgetJob": "forget",
}


@functools.cache
def scenario(name: str) -> Resolved:
    return resolve(TEMPLATE, SCENARIOS[name])


def stack_of(site: Site | None = None, /, **given: str) -> Resolved:
    return resolve(TEMPLATE, {**CODE, **given}, site)


def statements(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the statements of a policy by their Sid, all of which are named."""
    return {each["Sid"]: each for each in document["Statement"]}
