"""What values look like: e-mail addresses, phone numbers, account numbers, hashes."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from typing import Final

_EMAIL: Final = re.compile(r"[^\s@,;<>\"]+@[^\s@,;<>\"]+\.[^\W\d_]{2,24}")
_EMAIL_INSIDE: Final = re.compile(r"[^\s@,;<>\"]@[^\s@,;<>\"]+\.[^\W\d_]{2,24}")
_PHONE: Final = re.compile(r"(?:\+|00)?\(?\d[\d ()./\u2010-\u2013-]{5,22}(?: ?(?:x|ext\.?) ?\d{1,6})?", re.IGNORECASE)
_PHONE_SIGNS: Final = re.compile(r"[+ ()/-]|^0")
_PHONE_INSIDE: Final = re.compile(r"(?<![\w.])(?:\+|0)?\(?\d[\d ()/-]{7,}\d(?![\w.])")
_ISO_DATE_INSIDE: Final = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2})?)?")
_SSN: Final = re.compile(r"\d{3}-\d{2}-\d{4}")
_UUID: Final = re.compile(r"\{?[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\}?", re.IGNORECASE)
_IBAN: Final = re.compile(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}")
_CARD: Final = re.compile(r"\d{13,19}")
_GAPS: Final = re.compile(r"[ -]")
_HEX: Final = re.compile(r"[0-9a-fA-F]+")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]{43}=")
_HASHES: Final = {64: "SHA-256", 40: "SHA-1", 32: "MD5"}
_PHONE_DIGITS: Final = range(7, 16)


def _is_phone(value: str) -> bool:
    digits = sum(map(str.isdigit, value))
    return digits in _PHONE_DIGITS and _PHONE.fullmatch(value) is not None and not _SSN.fullmatch(value)


def _is_ip(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return "." in value or ":" in value


def _is_iban(value: str) -> bool:
    """Check an account number's digits (ISO 13616: the remainder by 97 is 1)."""
    joined = value.replace(" ", "").upper()
    if not _IBAN.fullmatch(joined):
        return False
    turned = joined[4:] + joined[:4]
    return int("".join(str(int(character, 36)) for character in turned)) % 97 == 1


def _is_card(value: str) -> bool:
    """Check a card number's digits by Luhn's sum (ISO/IEC 7812)."""
    digits = _GAPS.sub("", value)
    if not _CARD.fullmatch(digits):
        return False
    doubled = [int(digit) * (2 if at % 2 else 1) for at, digit in enumerate(reversed(digits))]
    return sum(number // 10 + number % 10 for number in doubled) % 10 == 0


_TESTS: Final[dict[str, Callable[[str], bool]]] = {
    "email": lambda value: _EMAIL.fullmatch(value) is not None,
    "ip": _is_ip,
    "uuid": lambda value: _UUID.fullmatch(value) is not None,
    "iban": _is_iban,
    "card": _is_card,
    "ssn": lambda value: _SSN.fullmatch(value) is not None,
    "phone": _is_phone,
}


def share(values: Sequence[str], shape: str) -> float:
    """Return the share of ``values`` that look like ``shape``: email, ip, uuid, iban, card, ssn or phone."""
    test = _TESTS[shape]
    return sum(map(test, values)) / len(values) if values else 0.0


def has_phone_signs(values: Sequence[str]) -> bool:
    """Tell whether most values have what tells phone numbers from other numbers: a plus, gaps, a zero in front."""
    return sum(_PHONE_SIGNS.search(value) is not None for value in values) * 2 > len(values)


def hash_of(values: Sequence[str]) -> str | None:
    """Return which hash all ``values`` look like (SHA-256, SHA-1 or MD5, in hexadecimal or base64), or None."""
    lengths = {len(value) for value in values}
    if len(lengths) != 1:
        return None
    if all(_BASE64.fullmatch(value) for value in values):
        return "SHA-256 in base64"
    if all(_HEX.fullmatch(value) for value in values) and any(not value.isdigit() for value in values):
        return _HASHES.get(lengths.pop())
    return None


def hides_email(values: Sequence[str]) -> int:
    """Return how many values have an e-mail address somewhere inside."""
    return sum(_EMAIL_INSIDE.search(value) is not None for value in values)


def hides_phone(values: Sequence[str]) -> int:
    """Return how many values have something like a phone number inside."""
    return sum(_PHONE_INSIDE.search(_ISO_DATE_INSIDE.sub(" ", value)) is not None for value in values)
