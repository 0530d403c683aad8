"""LiveRamp: phone numbers of North America without calling code; Apple's device ids in upper case."""

from __future__ import annotations

from typing import Final

from transforms.profiles.rule import Rule, rule, step
from transforms.profiles.steps import E164, NOTHING_LEFT, STRIPPED, UPPER, captured

#: By the names that the profile files use, after ``liveramp.``.
RULES: Final[dict[str, Rule]] = {
    "phone": rule(
        E164,
        step(
            "ten digits without the calling code 1, others null", captured(r"^\+1([0-9]{10})\z"), reason="not_a_phone"
        ),
        needs_country=True,
        idempotent=False,
        by_libphonenumber=True,
    ),
    "raw": rule(NOTHING_LEFT),
    "upper": rule(STRIPPED, UPPER, NOTHING_LEFT),
}
