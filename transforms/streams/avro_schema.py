"""What the schema of an Avro file may be, before a decoder goes by it.

fastavro follows a schema without a bound: a record within itself overflows the stack and ends the process, and values
that take no bytes can be without end in a few of them. Names are resolved as in the Avro specification, "Names".
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from transforms.streams.bad_file import BadFile

_DEEPEST: Final = 64
#: Types that one record may have in it, those of a named type again wherever it is used.
_MOST_TYPES: Final = 1 << 16
_MOST_DIGITS: Final = 100  # of a decimal; as text each value has that many. Others have 76 at most
_PRIMITIVES: Final = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})
_PARSED: Final = "__fastavro_parsed"  # with it fastavro would take a schema as it is, unchecked


@dataclass(frozen=True)
class _Shape:
    """A type: how many ``types`` it has in it, itself included, and whether its values are ``empty`` of bytes."""

    types: int = 1
    empty: bool = False


def check_schema(text: bytes) -> None:
    """Raise BadFile ``damaged_file`` where the schema is no JSON, or nothing that can be read in bounded memory.

    That is so of a record within itself, of types nested deeper than 64, of more than 65,536 of them, of decimals with
    more than 100 digits, and of arrays whose elements take no bytes. Other mistakes are left to the decoder.
    """
    try:
        _Schema().shape(json.loads(text), "", 0)
    except BadFile:
        raise
    except (ValueError, RecursionError):
        raise BadFile("damaged_file", "the Avro file cannot be decoded: its schema is no JSON") from None


class _Schema:
    def __init__(self) -> None:
        self._named: dict[str, _Shape] = {}
        self._open: set[str] = set()

    def shape(self, schema: Any, namespace: str, depth: int) -> _Shape:
        """Return what the type ``schema`` is like; names without a dot are of ``namespace``."""
        if depth > _DEEPEST:
            raise _refused(f"nested deeper than {_DEEPEST} types")
        if isinstance(schema, str):
            return _Shape(empty=schema == "null") if schema in _PRIMITIVES else self._of_name(schema, namespace)
        if isinstance(schema, list):
            return _sum([self.shape(branch, namespace, depth + 1) for branch in schema])
        return self._of_object(schema, namespace, depth) if isinstance(schema, dict) else _Shape()

    def _of_object(self, schema: dict[str, Any], namespace: str, depth: int) -> _Shape:
        if _PARSED in schema:
            raise _refused("a mark that it was checked before")
        if isinstance(digits := schema.get("precision"), int) and digits > _MOST_DIGITS:
            raise _refused(f"decimals of more than {_MOST_DIGITS} digits")
        kind = schema.get("type")
        if kind in ("record", "error"):
            return self._record(schema, namespace, depth)
        if kind in ("enum", "fixed"):
            shape = _Shape(empty=kind == "fixed" and not schema.get("size"))
            self._named[_full_name(schema, namespace)] = shape
            return shape
        if kind not in ("array", "map"):
            return self.shape(kind, namespace, depth + 1)
        inner = self.shape(schema.get("items" if kind == "array" else "values"), namespace, depth + 1)
        if inner.empty and kind == "array":
            raise _refused("an array of elements that take no bytes")
        return _sum([inner])

    def _of_name(self, name: str, namespace: str) -> _Shape:
        full = name if "." in name or not namespace else f"{namespace}.{name}"
        if full in self._open:
            raise _refused("a record within itself")
        if full not in self._named:
            raise _refused("a type that it does not define")
        return self._named[full]

    def _record(self, schema: dict[str, Any], namespace: str, depth: int) -> _Shape:
        full = _full_name(schema, namespace)
        fields = schema.get("fields", [])
        if not isinstance(fields, list) or full in self._open | self._named.keys():
            raise _refused("a record without fields, or a name twice")
        self._open.add(full)
        inner = full.rpartition(".")[0]
        members = [
            self.shape(field.get("type") if isinstance(field, dict) else None, inner, depth + 1) for field in fields
        ]
        self._open.remove(full)
        self._named[full] = _sum(members, empty=all(member.empty for member in members))
        return self._named[full]


def _sum(inner: list[_Shape], *, empty: bool = False) -> _Shape:
    types = 1 + sum(shape.types for shape in inner)
    if types > _MOST_TYPES:
        raise _refused(f"more than {_MOST_TYPES} types")
    return _Shape(types, empty)


def _full_name(schema: dict[str, Any], namespace: str) -> str:
    name, namespace = str(schema.get("name", "")), str(schema.get("namespace", namespace))
    return name if "." in name or not namespace else f"{namespace}.{name}"


def _refused(what: str) -> BadFile:
    return BadFile("damaged_file", f"the Avro file: its schema has {what}, which is not read here")
