"""Reading a TOML document strictly: every problem is collected, with its key and the nearest valid name."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

_MOST_LISTED: Final = 12  # of valid names, where none is close


class SchemaError(ValueError):
    """A connector or table file that cannot be used; the message lists every problem, a line each."""

    def __init__(self, problems: Sequence[str]) -> None:
        """Keep the single problems and join them into one message."""
        self.problems = tuple(problems)
        super().__init__("\n".join(problems))


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return ``; did you mean X?`` for the closest valid name, else the valid names, else nothing."""
    names = sorted(valid)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; valid: {', '.join(names)}" if 0 < len(names) <= _MOST_LISTED else ""


class Problems:
    """The problems of one document, in the order they were found."""

    def __init__(self, origin: str) -> None:
        """Start an empty list for the document called ``origin`` (a file name or URI)."""
        self.origin = origin
        self.lines: list[str] = []

    def add(self, key: str, text: str) -> None:
        """Note that ``key`` (dotted path) has the problem ``text``."""
        self.lines.append(f"{self.origin}: {key}: {text}")

    def raise_if_any(self) -> None:
        """Raise SchemaError with all problems, if there are any."""
        if self.lines:
            raise SchemaError(self.lines)


_MISSING: Any = object()


class Section:
    """One TOML table being read. Each getter notes a wrong type or value and returns a usable stand-in."""

    def __init__(self, values: Mapping[str, Any], path: str, problems: Problems) -> None:
        """Wrap ``values`` found at the dotted ``path``."""
        self._values = values
        self._path = path
        self._problems = problems
        self._known: set[str] = set()

    def key(self, name: str) -> str:
        """Return the dotted path of ``name`` in this section."""
        return ".".join(part for part in (self._path, name) if part)

    def problem(self, name: str, text: str) -> None:
        """Note a problem with the key ``name`` of this section."""
        self._problems.add(self.key(name), text)

    def _get(self, name: str, kinds: tuple[type, ...], kind_name: str, default: Any) -> Any:
        self._known.add(name)
        value = self._values.get(name, _MISSING)
        if value is _MISSING:
            if default is _MISSING:
                self.problem(name, "missing")
                return kinds[0]()
            return default
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            self.problem(name, f"must be {kind_name}, not {type(value).__name__}")
            return kinds[0]() if default is _MISSING else default
        return value

    def has(self, name: str) -> bool:
        """Tell whether the key is there."""
        return name in self._values

    def is_table(self, name: str) -> bool:
        """Tell whether the key is there and a table."""
        return isinstance(self._values.get(name), dict)

    def text(self, name: str, default: str = _MISSING, choices: Iterable[str] | None = None) -> str:
        """Return a string; ``choices`` closes the list of what is allowed."""
        value: str = self._get(name, (str,), "a string", default)
        if choices is not None and name in self._values and isinstance(self._values[name], str):
            allowed = tuple(choices)
            if value not in allowed:
                self.problem(name, f"{value!r} is not known{nearest(value, allowed)}")
        return value

    def optional_text(self, name: str, choices: Iterable[str] | None = None) -> str | None:
        """Return a string, or None where the key is absent."""
        self._known.add(name)
        return self.text(name, choices=choices) if name in self._values else None

    def texts(self, name: str, default: tuple[str, ...] = (), choices: Iterable[str] | None = None) -> tuple[str, ...]:
        """Return a list of strings as a tuple."""
        values = self._get(name, (list,), "a list of strings", list(default))
        if not all(isinstance(value, str) for value in values):
            self.problem(name, "must be a list of strings")
            return default
        if choices is not None:
            allowed = tuple(choices)
            for value in values:
                if value not in allowed:
                    self.problem(name, f"{value!r} is not known{nearest(value, allowed)}")
        if len(set(values)) != len(values):
            self.problem(name, "holds the same entry twice")
        return tuple(values)

    def flag(self, name: str, default: bool) -> bool:  # noqa: FBT001  a TOML flag is a boolean
        """Return a boolean."""
        value: bool = self._get(name, (bool,), "true or false", default)
        return value

    def whole(self, name: str, default: int, lowest: int = 0) -> int:
        """Return a whole number of at least ``lowest``."""
        value: int = self._get(name, (int,), "a whole number", default)
        if value < lowest:
            self.problem(name, f"must be at least {lowest}")
        return value

    def share(self, name: str, default: float) -> float:
        """Return a share between 0 and 1."""
        value: float = self._get(name, (float, int), "a number from 0 to 1", default)
        if not 0 <= value <= 1:
            self.problem(name, "must be between 0 and 1")
            return default
        return float(value)

    def mapping(self, name: str) -> dict[str, str]:
        """Return a table of strings to strings."""
        values = self._get(name, (dict,), "a table of strings", {})
        if not all(isinstance(value, str) for value in values.values()):
            self.problem(name, "must map strings to strings")
            return {}
        return dict(values)

    def section(self, name: str) -> Section:
        """Return the sub-table ``name``; an empty one where it is absent."""
        return Section(self._get(name, (dict,), "a table", {}), self.key(name), self._problems)

    def sections(self, name: str) -> dict[str, Section]:
        """Return the sub-tables below ``name``, by their own names."""
        found: dict[str, Section] = {}
        for inner, value in self._get(name, (dict,), "a table of tables", {}).items():
            if isinstance(value, dict):
                found[inner] = Section(value, self.key(f"{name}.{inner}"), self._problems)
            else:
                self._problems.add(self.key(f"{name}.{inner}"), "must be a table")
        return found

    def close(self) -> None:
        """Note every key that no getter asked for."""
        for name in self._values:
            if name not in self._known:
                self.problem(name, f"unknown key{nearest(name, self._known)}")
