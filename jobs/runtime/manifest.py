"""What belongs to a run: which objects, in which state. Frozen once, never changed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from jobs.runtime.storage import ObjectInfo

DATA: Final = "data"  # to be decrypted and loaded
MARKER: Final = "marker"  # says that the delivery is whole; goes to the archive with it
SUPERSEDED: Final = "superseded"  # an older full export of the same audience; archived, not loaded


@dataclass(frozen=True)
class Entry:
    """One object of a delivery. ``name`` is its key below the connector's landing folder; ``ordinal`` its place."""

    ordinal: int
    name: str
    size: int
    version: str
    etag: str
    modified: float
    role: str

    def object_at(self, key: str) -> ObjectInfo:
        """Return the state that was frozen, as an object at ``key``."""
        return ObjectInfo(key, self.size, self.version, self.etag, self.modified)


@dataclass(frozen=True)
class Manifest:
    """The objects of one run. ``notes`` say what was noticed about the delivery."""

    run_id: str
    connector: str
    entries: tuple[Entry, ...]
    notes: tuple[str, ...]

    @property
    def data(self) -> tuple[Entry, ...]:
        """The entries to load."""
        return tuple(entry for entry in self.entries if entry.role == DATA)

    def to_json(self) -> bytes:
        """Return the manifest as a JSON document."""
        return json.dumps(asdict(self), indent=1).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Manifest:
        """Read a manifest back."""
        document = json.loads(text)
        entries = tuple(Entry(**entry) for entry in document["entries"])
        return cls(document["run_id"], document["connector"], entries, tuple(document["notes"]))


def select_snapshots(names: Iterable[ObjectInfo], pattern: str | None) -> tuple[list[ObjectInfo], list[ObjectInfo]]:
    """Split data objects into those to load and those that a newer full export of the same audience supersedes.

    ``pattern`` (see ``schemas.connector.Delivery``) is matched against the whole object name without its folder. An
    object that it does not match stands for itself. Exports are ordered by the text of their ``snapshot`` group where
    all are of one length, else by when they arrived.
    """
    if pattern is None:
        return list(names), []
    audiences: dict[tuple[str, ...], dict[str, list[ObjectInfo]]] = {}
    kept: list[ObjectInfo] = []
    for item in names:
        folder, _, name = item.key.rpartition("/")
        match = re.fullmatch(pattern, name)
        if match is None:
            kept.append(item)
            continue
        others = (text or "" for group, text in sorted(match.groupdict().items()) if group != "snapshot")
        audiences.setdefault((folder, *others), {}).setdefault(match["snapshot"] or "", []).append(item)
    superseded: list[ObjectInfo] = []
    for snapshots in audiences.values():
        newest = _newest(snapshots)
        for snapshot, items in snapshots.items():
            (kept if snapshot == newest else superseded).extend(items)
    return kept, superseded


def _newest(snapshots: dict[str, list[ObjectInfo]]) -> str:
    if len({len(snapshot) for snapshot in snapshots}) == 1:
        return max(snapshots)
    return max(snapshots, key=lambda snapshot: max(item.modified for item in snapshots[snapshot]))


def in_delivery_order(items: Sequence[ObjectInfo]) -> list[ObjectInfo]:
    """Sort as delivered: by time of arrival, then by name with numbers as numbers (``x_2`` before ``x_10``)."""
    return sorted(items, key=lambda item: (item.modified, _natural(item.key)))


def _natural(name: str) -> list[tuple[int, int, str]]:
    stem = re.sub(r"(\.[A-Za-z]+)+$", "", name)  # x before x_2, whatever their endings
    pieces = [(1, int(piece), "") if piece.isdecimal() else (0, 0, piece) for piece in re.split(r"(\d+)", stem)]
    return [*pieces, (0, 0, name)]
