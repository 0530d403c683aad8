"""What belongs to a run: which objects, in which state. Frozen once, never changed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Final

from jobs.runtime.objects import ObjectInfo
from jobs.runtime.snapshots import delivered_at
from schemas.delivery import Delivery

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
    """The objects of one run. ``notes`` say what was noticed about the delivery.

    ``kept_in`` is the prefix of the objects where they are originals in archive/ that stay there; empty for a delivery
    in landing/.
    """

    run_id: str
    connector: str
    entries: tuple[Entry, ...]
    notes: tuple[str, ...]
    kept_in: str = ""

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
        notes, kept_in = tuple(document["notes"]), document.get("kept_in", "")
        return cls(document["run_id"], document["connector"], entries, notes, kept_in)


def in_delivery_order(items: Iterable[ObjectInfo], landing: str, delivery: Delivery) -> list[ObjectInfo]:
    """Sort as delivered: by the time that names tell, by arrival, then by name (``x_2`` before ``x_10``)."""
    return sorted(
        items,
        key=lambda item: (
            delivered_at(item.key.removeprefix(landing), item.modified, delivery),
            _natural(item.key),
        ),
    )


def _natural(name: str) -> list[tuple[int, int, str]]:
    stem = re.sub(r"(\.[A-Za-z]+)+$", "", name)  # x before x_2, whatever their endings
    pieces = [(1, int(piece), "") if piece.isdecimal() else (0, 0, piece) for piece in re.split(r"(\d+)", stem)]
    return [*pieces, (0, 0, name)]
