"""Finding names in nested data: a tree of keys, each of which is looked up by its spelling once."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.names import normalize_header
from schemas.value_path import LONGEST_NAME, Path


class Node:
    """A place in nested data: ``targets`` are the names that mean it and their fields, ``leads`` tells of names below.

    Every key is looked up by its spelling once, and then found in a dictionary.
    """

    __slots__ = ("_below", "_children", "_prefix", "leads", "targets")

    def __init__(self, targets: Sequence[tuple[Path, str]], prefix: str = "") -> None:
        """Take the names to look for and their fields; the keys that lead here have made up ``prefix`` of them."""
        self.targets = [target for target in targets if target[0].prefix == prefix]
        self._below = [target for target in targets if target[0].prefix != prefix]
        self.leads = bool(self._below)
        self._prefix = prefix
        self._children: dict[str, Node] = {}

    def child(self, key: str) -> Node | None:
        """Return the place that ``key`` leads to, None where no name needs it. The first use of a key is the slow one.

        A key without letters and digits leads nowhere, so that no data is deeper than the names.
        """
        child = self._children.get(key)
        if child is None and len(key) <= LONGEST_NAME:
            agreed = normalize_header(key)
            prefix = self._prefix + agreed
            further = [target for target in self._below if target[0].prefix.startswith(prefix)] if agreed else []
            if further:
                child = self._children[key] = Node(further, prefix)
        return child
