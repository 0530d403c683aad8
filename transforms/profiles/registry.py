"""The rule behind every name that the profile files use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pyspark.sql import Column

from schemas.profile import Profile, find_profile
from transforms.profiles import (
    amazon_events,
    amc_uploader,
    aws_entity_resolution,
    google,
    house,
    liveramp,
    meta,
    social,
    uid2,
)
from transforms.profiles.rule import Rule

_MODULES: Final = (
    amazon_events,
    amc_uploader,
    aws_entity_resolution,
    google,
    house,
    liveramp,
    meta,
    social,
    uid2,
)

#: By ``module.rule``.
RULES: Final[dict[str, Rule]] = {
    f"{module.__name__.rpartition('.')[2]}.{name}": rule for module in _MODULES for name, rule in module.RULES.items()
}

#: How some platforms tell hashes among the values, by the names that the profile files use.
ALREADY_HASHED: Final[dict[str, Callable[[Column], Column]]] = {
    "amc_uploader.already_hashed": amc_uploader.already_hashed,
    "amazon_events.already_hashed": amazon_events.already_hashed,
    "meta.already_hashed": meta.already_hashed,
}


def rule_of(profile: Profile, field: str) -> Rule:
    """Return the rule of a profile for one kind of value; KeyError where it has none."""
    return RULES[profile.fields[field].rule]


def uses_libphonenumber(profile: str, field: str) -> bool:
    """Tell whether a profile (by id) reads values of this kind with libphonenumber's metadata."""
    return rule_of(find_profile(profile), field).by_libphonenumber
