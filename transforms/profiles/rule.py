"""A rule: the steps that bring one kind of value into the form that a platform hashes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import reduce
from typing import Final

from pyspark.sql import Column

#: From a value and its row's country (ISO 3166-1 alpha-2, or null) to the value's next form. Null becomes null.
Function = Callable[[Column, Column], Column]

#: Why a value became null, for counting. Every rule chooses from these.
REASONS: Final = (
    "hash_not_declared",
    "not_a_hash",
    "unknown_country",
    "not_an_email",
    "not_a_phone",
    "not_a_postal_code",
    "not_a_state",
    "not_a_country",
    "not_a_date",
    "not_a_gender",
    "not_a_name",
    "nothing_left",
)


@dataclass(frozen=True)
class Step:
    """One step of a rule.

    ``says`` tells a reader what it does. ``functions`` are applied one after the other; whoever runs the rule on many
    rows puts a column between them (they use their argument many times, or are Python functions). ``reason`` is why a
    value becomes null here; a step without one keeps every value.
    """

    says: str
    functions: tuple[Function, ...]
    reason: str | None = None


@dataclass(frozen=True)
class Rule:
    """Steps in order. Null stays null, and the result is never empty.

    ``needs_country`` tells that the result depends on the row's country, ``idempotent`` that the rule leaves its own
    results as they are, ``by_libphonenumber`` that they depend on the version of libphonenumber's metadata.
    """

    steps: tuple[Step, ...]
    needs_country: bool = False
    idempotent: bool = True
    by_libphonenumber: bool = False

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why this rule makes values null, in the order in which the steps do."""
        return tuple(dict.fromkeys(step.reason for step in self.steps if step.reason is not None))


def step(says: str, *functions: Function, reason: str | None = None) -> Step:
    """Return a step; see Step."""
    return Step(says, functions, reason)


def rule(*steps: Step, needs_country: bool = False, idempotent: bool = True, by_libphonenumber: bool = False) -> Rule:
    """Return a rule; see Rule."""
    return Rule(steps, needs_country, idempotent, by_libphonenumber)


def as_column(value: Column, country: Column) -> Column:  # noqa: ARG001
    """Put first into a step, so that the function behind it finds a plain column, computed once."""
    return value


def run(steps: Iterable[Step], value: Column, country: Column) -> Column:
    """Return ``value`` after ``steps``, as one expression: for few rows, and for reasons, which few rows have."""
    functions = (function for each in steps for function in each.functions)
    return reduce(lambda column, function: function(column, country), functions, value)
