"""Waiting until a delivery is whole: three rules behind one interface, of which a connector names its source's."""

from __future__ import annotations

import fnmatch
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from jobs.runtime.errors import DeliveryIncompleteError
from jobs.runtime.objects import ObjectInfo
from schemas.delivery import Delivery

_POLL_SECONDS: Final = 10.0


@dataclass(frozen=True)
class Verdict:
    """What a rule says of a listing: the ``data`` and ``markers`` of the delivery, and what it still waits ``for``."""

    data: tuple[ObjectInfo, ...]
    markers: tuple[ObjectInfo, ...]
    waiting_for: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Listing:
    """The landing folder at one moment: objects by kind, the store's time, and how to read a small object."""

    data: tuple[ObjectInfo, ...]
    vendor_manifests: tuple[ObjectInfo, ...]
    done_markers: tuple[ObjectInfo, ...]
    now: float
    read: Callable[[str], bytes]

    @property
    def markers(self) -> tuple[ObjectInfo, ...]:
        """Everything that is about the delivery, not in it."""
        return self.vendor_manifests + self.done_markers


def classify(
    items: Sequence[ObjectInfo],
    delivery: Delivery,
    now: float,
    read: Callable[[str], bytes],
    landing: str = "",
) -> Listing:
    """Sort a listing of objects below ``landing`` by the connector's patterns."""
    data: list[ObjectInfo] = []
    manifests: list[ObjectInfo] = []
    markers: list[ObjectInfo] = []
    for item in items:
        name = item.key.rpartition("/")[2]
        if fnmatch.fnmatchcase(name, delivery.vendor_manifest):
            manifests.append(item)
        elif fnmatch.fnmatchcase(name, delivery.done_marker):
            markers.append(item)
        elif not delivery.ignores(item.key.removeprefix(landing)):
            data.append(item)
    return Listing(tuple(data), tuple(manifests), tuple(markers), now, read)


def quiet_period(listing: Listing, delivery: Delivery) -> Verdict:
    """Whole when nothing has arrived for the connector's ``quiet_seconds``, by the store's own clock."""
    newest = max((item.modified for item in listing.data + listing.markers), default=listing.now)
    left = delivery.quiet_seconds - (listing.now - newest)
    waiting = f"{left:.0f} more seconds without a new object" if listing.data and left > 0 else ""
    return Verdict(listing.data, listing.markers, waiting)


def done_marker(listing: Listing, delivery: Delivery) -> Verdict:
    """Whole when the source has written its marker, which it does last.

    A marker speaks for its own folder and those below, and for what arrived no later than itself; whatever is
    newer belongs to the next delivery.
    """
    covered = [
        item
        for item in listing.data
        if any(
            item.key.startswith(_folder(marker.key)) and item.modified <= marker.modified
            for marker in listing.done_markers
        )
    ]
    waiting = "" if listing.done_markers or not listing.data else f"a marker {delivery.done_marker}"
    return Verdict(tuple(covered), listing.markers if covered or not listing.data else (), waiting)


def vendor_manifest(listing: Listing, delivery: Delivery) -> Verdict:
    """Whole when every object that a manifest of the source names is there; others belong to the next delivery.

    Adobe's form: ``{"exportResults": [{"name": …, "size": …}, …]}``. It is not known whether the size is that of the
    encrypted object, so a difference is noted, not waited for. An object may have an ending more than the manifest
    says (``.gpg``, ``.gz``).
    """
    if listing.data and not listing.vendor_manifests:
        return Verdict((), (), f"a manifest {delivery.vendor_manifest}")
    data: dict[str, ObjectInfo] = {}
    missing: list[str] = []
    notes: list[str] = []
    for manifest in listing.vendor_manifests:
        folder = _folder(manifest.key)
        for name, size in _named_objects(listing.read(manifest.key), manifest.key, missing):
            found = _find(listing.data, folder + name)
            if found is None:
                missing.append(name)
                continue
            data[found.key] = found
            if size is not None and size != found.size:
                notes.append(f"{found.key}: the manifest says {size} bytes, the object has {found.size}")
    return Verdict(tuple(data.values()), listing.vendor_manifests, ", ".join(missing), tuple(notes))


def _folder(key: str) -> str:
    return key[: key.rfind("/") + 1]


def _find(items: Sequence[ObjectInfo], key: str) -> ObjectInfo | None:
    exact = [item for item in items if item.key == key]
    longer = [item for item in items if item.key.startswith(key + ".")]
    return next(iter(exact + longer), None)


def _named_objects(text: bytes, key: str, problems: list[str]) -> list[tuple[str, int | None]]:
    try:
        results: Any = json.loads(text)["exportResults"]
        return [(str(entry["name"]), entry.get("size")) for entry in results]
    except (ValueError, KeyError, TypeError, AttributeError):
        problems.append(f"{key} in a readable form")
        return []


RULES: Final[dict[str, Callable[[Listing, Delivery], Verdict]]] = {
    "vendor_manifest": vendor_manifest,
    "done_marker": done_marker,
    "quiet_period": quiet_period,
}


def wait_until_whole(
    look: Callable[[], Listing],
    delivery: Delivery,
    *,
    tell: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
) -> Verdict:
    """Look until the connector's rule says that the delivery is whole; at once where there is no data at all.

    ``look`` lists the landing folder, ``tell`` takes a line for the user. Raises DeliveryIncompleteError after the
    connector's ``max_wait_seconds``.
    """
    rule = RULES[delivery.ready]
    listing = look()
    began = listing.now
    while True:
        verdict = rule(listing, delivery)
        if not verdict.waiting_for:
            return verdict
        waited = listing.now - began
        if waited >= delivery.max_wait_seconds:
            raise DeliveryIncompleteError(
                f"the delivery was not whole after {waited:.0f} seconds ({delivery.ready}): still waiting for "
                f"{verdict.waiting_for}; ask the source, or change the rule with --ready"
            )
        tell(f"waiting for {verdict.waiting_for}")
        sleep(min(_POLL_SECONDS, max(0.05, delivery.quiet_seconds / 4)))
        listing = look()
