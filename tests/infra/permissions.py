"""What a list of policy statements lets somebody do, as IAM evaluates it; for tests of the template's policies.

Principals are not looked at: the statements are those that are about one already. What is not known here raises.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from infra.cloudformation.resolve import Resolved

Statement = Mapping[str, Any]
Context = Mapping[str, str]


def allows(statements: Iterable[Statement], action: str, resource: str, context: Context | None = None) -> bool:
    """Tell whether the statements allow the action: one has to, and none may deny it."""
    effects = _effects(statements, action, resource, context or {})
    return "Allow" in effects and "Deny" not in effects


def denies(statements: Iterable[Statement], action: str, resource: str, context: Context | None = None) -> bool:
    """Tell whether a statement denies the action, whoever may allow it."""
    return "Deny" in _effects(statements, action, resource, context or {})


def statements_of(stack: Resolved, name: str) -> list[Statement]:
    """Return all statements about a role or user: inline, of policies that name it, of policies that it names."""
    properties, ref = stack.properties(name), stack.refs[name]
    documents = [each["PolicyDocument"] for each in properties.get("Policies", ())]
    for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
        for policy, each in stack.of_type(kind).items():
            is_attached = ref in (*each.get("Roles", ()), *each.get("Users", ()))
            if is_attached or stack.refs[policy] in properties.get("ManagedPolicyArns", ()):
                documents.append(each["PolicyDocument"])
    return [statement for document in documents for statement in document["Statement"]]


def _effects(statements: Iterable[Statement], action: str, resource: str, context: Context) -> set[str]:
    return {each["Effect"] for each in statements if _applies(each, action, resource, context)}


def _applies(statement: Statement, action: str, resource: str, context: Context) -> bool:
    unknown = statement.keys() - {"Sid", "Effect", "Principal", "Action", "Resource", "Condition"}
    if unknown:
        raise NotImplementedError(f"{', '.join(sorted(unknown))} in a statement")
    return (
        any(_is_like(action.lower(), pattern.lower()) for pattern in _list(statement["Action"]))
        and any(_is_like(resource, pattern) for pattern in _list(statement["Resource"]))
        and all(
            _holds(operator, key, _list(wanted), context)
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    )


def _holds(operator: str, key: str, wanted: list[str], context: Context) -> bool:
    """Tell whether one condition holds. Of a key that the request does not have, negation and IfExists do."""
    values = {name.lower(): value for name, value in context.items()}
    if operator == "Null":
        return [str(key.lower() not in values).lower()] == wanted
    kind = operator.removesuffix("IfExists")
    if kind not in _OPERATORS:
        raise NotImplementedError(operator)
    compare, is_negated = _OPERATORS[kind]
    if key.lower() not in values:
        return is_negated or operator != kind
    return any(compare(values[key.lower()], each) for each in wanted) != is_negated


def _is_like(value: str, pattern: str) -> bool:
    """Compare with * for any text and ? for any character; brackets have no meaning."""
    if "${" in pattern:
        raise NotImplementedError(f"policy variables: {pattern}")
    return re.fullmatch(fnmatch.translate(pattern.replace("[", "[[]")), value) is not None


def _is_like_arn(value: str, pattern: str) -> bool:
    """Compare ARNs part by part, so that a star does not reach over a colon, but in the last part."""
    parts, patterns = value.split(":", 5), pattern.split(":", 5)
    return len(parts) == len(patterns) and all(map(_is_like, parts, patterns))


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


#: How each operator compares the request's value with the policy's, and whether it is negated.
_OPERATORS: dict[str, tuple[Callable[[str, str], bool], bool]] = {
    "StringEquals": (lambda value, wanted: value == wanted, False),
    "StringNotEquals": (lambda value, wanted: value == wanted, True),
    "StringLike": (_is_like, False),
    "ArnEquals": (_is_like_arn, False),  # IAM user guide: ArnEquals and ArnLike behave identically
    "ArnLike": (_is_like_arn, False),
    "Bool": (lambda value, wanted: value.lower() == wanted.lower(), False),
    "NumericEquals": (lambda value, wanted: float(value) == float(wanted), False),
    "NumericLessThan": (lambda value, wanted: float(value) < float(wanted), False),
}
