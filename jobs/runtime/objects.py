"""What tells one state of a stored object from another."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.runtime.errors import StorageError


@dataclass(frozen=True)
class ObjectInfo:
    """What identifies one state of an object.

    ``version`` is empty where the store has none, ``size`` is in bytes, ``modified`` in seconds since 1970 by the
    store's own clock.
    """

    key: str
    size: int
    version: str
    etag: str
    modified: float


def below(root: str, uri: str) -> str:
    """Return the key of ``uri`` below ``root``; StorageError where it is elsewhere."""
    if not uri.startswith(f"{root}/"):
        raise StorageError(f"{uri} is not below {root}")
    return uri.removeprefix(f"{root}/")
