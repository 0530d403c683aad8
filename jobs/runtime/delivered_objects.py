"""From objects that a source has pushed to the entries of a manifest: states, roles, order."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Iterable
from typing import Final

from jobs.runtime.ledger import latest_run
from jobs.runtime.manifest import DATA, MARKER, SUPERSEDED, Entry, in_delivery_order
from jobs.runtime.objects import ObjectInfo
from jobs.runtime.snapshots import select_snapshots
from jobs.runtime.storage import Storage
from jobs.runtime.workspace import Workspace

_LOOKERS: Final = 32  # objects asked about at the same time


def present_states(storage: Storage, keys: Iterable[str]) -> dict[str, ObjectInfo]:
    """Return the states of objects by key, for a listing does not tell versions; those that are gone are left out."""
    with concurrent.futures.ThreadPoolExecutor(_LOOKERS) as pool:
        return {item.key: item for item in pool.map(storage.find, keys) if item is not None}


def entries_of(
    workspace: Workspace, data: Iterable[ObjectInfo], markers: Iterable[ObjectInfo], *, allow_older: bool
) -> tuple[Entry, ...]:
    """Give every object of a delivery in landing/ its role and its place: data first, in the order of delivery.

    An export that is older than one of its audience that was loaded before is superseded, unless ``allow_older``.
    """
    delivery = workspace.connector.delivery
    last = latest_run(workspace.storage, workspace.connector.name)
    loaded = last.finished("archive").get("snapshots", {}) if last is not None and not allow_older else {}
    kept, superseded = select_snapshots(data, workspace.landing, delivery, loaded)
    roles = (
        [(item, DATA) for item in in_delivery_order(kept, workspace.landing, delivery)]
        + [(item, SUPERSEDED) for item in superseded]
        + [(item, MARKER) for item in markers]
    )
    return tuple(
        Entry(
            ordinal, item.key.removeprefix(workspace.landing), item.size, item.version, item.etag, item.modified, role
        )
        for ordinal, (item, role) in enumerate(roles)
    )
