"""Names of nested values, as connector files write them, and what they find in plain dictionaries and lists.

``person.name.firstName`` is every path of keys that agrees with it but for case and punctuation. Brackets reach into
lists: ``params[key=page].value.*``, ``items[].id``, ``items[0].id``.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any, Final

from schemas.names import normalize_header

#: Characters of the longest key or path that a name can find: longer keys are data.
LONGEST_NAME: Final = 256

Getter = Callable[[Any], Any]

_STEP: Final = re.compile(r"\[([^\[\]]*)\]|\.([^.\[\]]+)")
_POSITION: Final = re.compile(r"[0-9]{1,6}")


class Number(str):
    """A number as it was written: text, but without quotes where it stands in JSON."""

    __slots__ = ()


@dataclass(frozen=True)
class Path:
    """A name, parsed: ``text`` as it was written, ``prefix`` the normalised path of keys up to the first bracket.

    ``get`` takes the value that stands there to the value that is named; None where the name has no brackets.
    """

    text: str
    prefix: str
    get: Getter | None = None


def parse_path(text: str) -> Path:
    """Parse a name; raises ValueError, which says what is wrong with it.

    Only after a bracket does ``.*`` mean something: the first member of an object that is not null. ``[key=text]`` is
    the first object of a list whose ``key`` is ``text``, ``[0]`` an element, ``[]`` the list of what the rest finds in
    each element. What is not there is None, and so is a list in which nothing is found.
    """
    opening = text.find("[")
    keys, brackets = (text, "") if opening < 0 else (text[:opening], text[opening:])
    if "]" in keys:
        raise ValueError(f"{text!r} closes a bracket that is not open")
    prefix = normalize_header(keys)
    if not prefix or len(keys) > LONGEST_NAME:
        raise ValueError(f"{text!r} must start with a key of letters or digits, at most {LONGEST_NAME} characters")
    if not brackets:
        return Path(text, prefix)
    if keys.endswith("."):
        raise ValueError(f"{text!r} has a dot before a bracket")
    steps = []
    at = 0
    while at < len(brackets):
        step = _STEP.match(brackets, at)
        if step is None:
            raise ValueError(f"{text!r} cannot be read from character {opening + at + 1} on")
        steps.append(_member(text, step[2]) if step[1] is None else _selector(text, step[1]))
        at = step.end()
    get: Getter = _itself
    for build in reversed(steps):
        get = build(get)
    return Path(text, prefix, get)


def path_problem(text: str) -> str | None:
    """Return why ``text`` cannot be the name of a nested value, or None where it can."""
    try:
        parse_path(text)
    except ValueError as error:
        return str(error)
    return None


def _itself(value: Any) -> Any:
    return value


def _selector(text: str, inside: str) -> Callable[[Getter], Getter]:
    key, equals, wanted = inside.partition("=")
    if not inside:
        return _each
    if _POSITION.fullmatch(inside):
        return functools.partial(_at, int(inside))
    if equals and normalize_header(key):
        return functools.partial(_where, key, wanted)
    raise ValueError(f"{text!r}: [{inside}] is neither [], nor a position, nor [key=text]")


def _member(text: str, name: str) -> Callable[[Getter], Getter]:
    if name == "*":
        return _any_member
    if "*" in name or not normalize_header(name):
        raise ValueError(f"{text!r}: .{name} is neither a key of letters or digits, nor .*")
    return functools.partial(_of_key, name)


def _each(rest: Getter) -> Getter:
    def get(value: Any) -> Any:
        found = [rest(element) for element in value] if isinstance(value, list) else []
        return found if any(one is not None for one in found) else None

    return get


def _at(position: int, rest: Getter) -> Getter:
    def get(value: Any) -> Any:
        return rest(value[position]) if isinstance(value, list) and position < len(value) else None

    return get


def _where(key: str, wanted: str, rest: Getter) -> Getter:
    key_of = _of_key(key, _itself)
    written = (wanted, wanted.encode())

    def get(value: Any) -> Any:
        for element in value if isinstance(value, list) else ():
            found = key_of(element)
            if found in written or (isinstance(found, bool | int | float | Decimal) and text_of(found) == wanted):
                return rest(element)
        return None

    return get


def _any_member(rest: Getter) -> Getter:
    def get(value: Any) -> Any:
        members = value.values() if isinstance(value, dict) else ()
        return rest(next((member for member in members if member is not None), None))

    return get


def _of_key(name: str, rest: Getter) -> Getter:
    agreed = normalize_header(name)

    def get(value: Any) -> Any:
        if not isinstance(value, dict):
            return None
        if name in value:
            return rest(value[name])
        for key in value:
            if len(key) <= LONGEST_NAME and _normalized(key) == agreed:
                return rest(value[key])
        return None

    return get


_normalized = functools.lru_cache(maxsize=4096)(normalize_header)


def text_of(value: Any) -> str | None:
    """Return a value as text: lists and objects as compact JSON, times in ISO form, with a ``Z`` where they are UTC.

    Raises UnicodeDecodeError for bytes that are not UTF-8, RecursionError for what is nested too deeply.
    """
    return _WRITERS.get(type(value), _other)(value)


def _other(value: Any) -> str:
    return _iso(value) if hasattr(value, "isoformat") else str(value)


def _iso(value: Any) -> str:
    """Return a date, a time or both in ISO form."""
    offset = value.utcoffset() if hasattr(value, "utcoffset") else None
    if offset is None:
        return str(value.isoformat())
    return f"{(value.replace(tzinfo=None) - offset).isoformat()}Z"


def _json(value: Any) -> str:
    """Write compact JSON; the json module would put quotes around a Number."""
    if isinstance(value, dict):
        return "{" + ",".join([f"{encode_basestring(key)}:{_json(member)}" for key, member in value.items()]) + "}"
    if isinstance(value, list):
        return "[" + ",".join([_json(element) for element in value]) + "]"
    if value is None or value != value:  # noqa: PLR0124  JSON has no NaN
        return "null"
    text = str(text_of(value))
    return text if isinstance(value, bool | int | float | Decimal | Number) else encode_basestring(text)


_WRITERS: Final[dict[type, Callable[[Any], str | None]]] = {
    type(None): _itself,
    str: _itself,
    Number: _itself,
    bool: lambda value: "true" if value else "false",
    float: lambda value: repr(value).removesuffix(".0"),
    Decimal: lambda value: format(value, "f"),
    bytes: bytes.decode,
    dict: _json,
    list: _json,
}
