"""Connector and table files as text: TOML in the manner of the packaged ones, with comments above what they concern."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

_WIDTH: Final = 118
_LONGEST_LIST: Final = 100

#: What an entry can hold.
Value = str | bool | int | float | tuple[str, ...] | Mapping[str, str]


@dataclass(frozen=True)
class Entry:
    """A key and its value; without a value there are only the comments. ``comments`` stand right above the key."""

    key: str
    value: Value | None
    comments: tuple[str, ...] = ()


@dataclass(frozen=True)
class Block:
    """A TOML table: its dotted ``name``, empty for the top of the file, its entries, and comments above all of it."""

    name: str
    entries: tuple[Entry, ...] = ()
    comments: tuple[str, ...] = ()


def definition_text(blocks: Iterable[Block]) -> str:
    """Return the TOML document of ``blocks``, one after the other; comments are wrapped, and keep to their lines."""
    return "\n".join("\n".join(_lines(block)) + "\n" for block in blocks)


def toml_text(text: str) -> str:
    """Return ``text`` as a TOML string, between apostrophes where that saves backslashes."""
    if ("\\" in text or '"' in text) and "'" not in text and text.isprintable():
        return f"'{text}'"
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _lines(block: Block) -> Iterable[str]:
    yield from _comments(block.comments)
    if block.name:
        yield f"[{block.name}]"
    width = max((len(entry.key) for entry in block.entries if entry.value is not None), default=0)
    for entry in block.entries:
        yield from _comments(entry.comments)
        if entry.value is not None:
            yield f"{entry.key:<{width}} = {_value(entry.value)}"


def _comments(comments: Iterable[str]) -> Iterable[str]:
    for comment in comments:
        for line in textwrap.wrap(" ".join(comment.split()), _WIDTH - len("# ")):
            yield f"# {line}"


def _value(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, str):
        return toml_text(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{toml_text(key)} = {toml_text(each)}" for key, each in value.items()) + " }"
    parts = [toml_text(each) for each in value]
    line = f"[{', '.join(parts)}]"
    if len(line) <= _LONGEST_LIST:
        return line
    return "[\n" + "".join(f"  {part},\n" for part in parts) + "]"
