"""The rules of rules.guard, held against the resources of a resolved template."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import guardpycfn

RULES: Final = Path(__file__).with_name("rules.guard")


@dataclass(frozen=True)
class Broken:
    """A rule that a resource breaks, and what it says of that."""

    rule: str
    resource: str
    said: str


def broken_rules(resources: Mapping[str, Any], rules: Path = RULES) -> list[Broken]:
    """Return every rule that a resource breaks. Raises ValueError for rules that cannot be read."""
    text = rules.read_text(encoding="utf-8")
    return [
        Broken(container["RuleCheck"]["name"], name, "; ".join(sorted(set(_said(record["children"])))))
        for name, resource in resources.items()  # one by one: no rule is about two of them
        for record in _record(name, resource, text)["children"]
        if (container := record["container"])["RuleCheck"]["status"] == "FAIL"
    ]


def rule_names(rules: Path = RULES) -> set[str]:
    """Return the names of all rules."""
    lines = rules.read_text(encoding="utf-8").splitlines()
    return {line.split()[1] for line in lines if line.startswith("rule ")}


def _record(name: str, resource: Any, rules: str) -> dict[str, Any]:
    # verbose: of the short form guardpycfn loses the beginning when it is long
    answer = guardpycfn.validate_with_guard(json.dumps({"Resources": {name: resource}}), rules, verbose=True)
    if not answer["success"]:
        raise ValueError(f"guard cannot check {name}: {answer['error']}")
    record: dict[str, Any] = answer["result"]
    return record


def _said(found: Any) -> Iterator[str]:
    """Yield the messages of the checks that have failed; those that passed have none in the record."""
    if isinstance(found, list):
        for each in found:
            yield from _said(each)
    elif isinstance(found, dict):
        said = found.get("custom_message")
        if said:
            yield " ".join(said.split())
        for each in found.values():
            yield from _said(each)
