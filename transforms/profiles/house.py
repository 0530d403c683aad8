"""Our own rules, each in a module of ``transforms.columns``."""

from __future__ import annotations

from typing import Final

from transforms.columns.address import normalize_address
from transforms.columns.country import normalize_country
from transforms.columns.email import normalize_email
from transforms.columns.name import normalize_name
from transforms.columns.postal_code import normalize_postal_code
from transforms.columns.state import normalize_state
from transforms.columns.text import normalize_lower, normalize_text
from transforms.profiles.rule import Rule, rule, step
from transforms.profiles.steps import PHONE

#: By the names that the profile files use, after ``house.``. They take text that decoding has trimmed.
RULES: Final[dict[str, Rule]] = {
    "text": rule(step("as it is", normalize_text)),
    "lower": rule(step("lower case", normalize_lower)),
    "name": rule(
        step("lower case, single blanks, one kind of apostrophe; accents stay", normalize_name, reason="nothing_left")
    ),
    "address": rule(step("lower case, blanks for . , # ; :, single blanks", normalize_address, reason="nothing_left")),
    "email": rule(
        step("lower case; must be an address as in RFC 5321 and 6531", normalize_email, reason="not_an_email")
    ),
    "phone": PHONE,
    "postal_code": rule(
        step(
            "US five digits, CA and GB their shapes, elsewhere letters and digits in upper case",
            normalize_postal_code,
            reason="not_a_postal_code",
        ),
        needs_country=True,
    ),
    "state": rule(
        step("US and CA the postal code, elsewhere upper case", normalize_state, reason="not_a_state"),
        needs_country=True,
    ),
    "country": rule(step("ISO 3166-1 alpha-2 of a code or a name", normalize_country, reason="not_a_country")),
}
