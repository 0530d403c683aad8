"""What the names of exports tell: which audience, and when it was taken."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from jobs.runtime.objects import ObjectInfo
from schemas.delivery import Delivery

_PARTS: Final = ("year", "month", "day", "hour", "minute", "second")
_UNIX_SECONDS, _UNIX_MILLISECONDS = 10, 13
_NUMBER_WIDTH: Final = 30
_FORMS: Final = {
    8: "%Y%m%d",
    12: "%Y%m%d%H%M",
    14: "%Y%m%d%H%M%S",
    17: "%Y%m%d%H%M%S%f",
    20: "%Y%m%d%H%M%S%f",
}
_YEARS: Final = range(1970, 2100)  # a number that would be a time of another year is a serial number


@dataclass(frozen=True)
class Snapshot:
    """One export: the ``audience`` it is of, and the ``time`` that its name tells, as a text that sorts by time."""

    audience: str
    time: str


def snapshot_of(name: str, delivery: Delivery) -> Snapshot | None:
    """Return what ``name`` (a path below landing) tells by the connector's pattern; None where it tells no time."""
    pattern = delivery.snapshot
    if pattern is None:
        return None
    folder, _, last = name.rpartition("/")
    match = re.fullmatch(pattern, name if "/" in pattern else last)
    if match is None:
        return None
    groups = match.groupdict()
    others = [text or "" for group, text in sorted(groups.items()) if group not in ("snapshot", *_PARTS)]
    if "/" not in pattern:
        others.insert(0, folder)
    if groups.get("snapshot") is not None:
        time = _sortable(groups["snapshot"])
    else:
        time = _sortable("".join(text.zfill(2) for part in _PARTS if (text := groups.get(part))))
    return Snapshot("\n".join(others), time) if time else None


def _sortable(text: str) -> str:
    """Return a time in ISO 8601 where the text has one of the usual forms, a number to its width, else the text."""
    digits = re.sub(r"[-_:T .Z]", "", text)
    if not digits.isascii() or not digits.isdecimal():
        return text
    moment = _moment(digits)
    if moment is None or moment.year not in _YEARS:
        return digits.zfill(_NUMBER_WIDTH)  # a serial number, then
    return moment.isoformat(timespec="milliseconds")


def _moment(digits: str) -> dt.datetime | None:
    if len(digits) == _UNIX_SECONDS:
        return dt.datetime.fromtimestamp(int(digits), dt.UTC)
    if len(digits) == _UNIX_MILLISECONDS:
        return dt.datetime.fromtimestamp(int(digits) / 1000, dt.UTC)
    try:
        return dt.datetime.strptime(digits, _FORMS[len(digits)]).replace(tzinfo=dt.UTC)
    except (KeyError, ValueError):
        return None


def delivered_at(name: str, modified: float, delivery: Delivery) -> str:
    """Return a text by which deliveries sort: the time that the name tells, then when the object arrived."""
    arrived = dt.datetime.fromtimestamp(modified, dt.UTC).isoformat(timespec="milliseconds")
    snapshot = snapshot_of(name, delivery)
    return f"{snapshot.time} {arrived}" if snapshot is not None else f"{arrived} {arrived}"


def select_snapshots(
    items: Iterable[ObjectInfo], landing: str, delivery: Delivery, loaded: Mapping[str, str]
) -> tuple[list[ObjectInfo], list[ObjectInfo]]:
    """Split data objects into those to load and those that a newer full export of the same audience supersedes.

    ``landing`` is the prefix of their names. ``loaded`` has the time of the newest export of each audience that an
    earlier run has loaded: what is older is superseded too. An object whose name tells nothing stands for itself.
    """
    if delivery.snapshot is None or delivery.keep == "all":
        return list(items), []
    told = [(item, snapshot_of(item.key.removeprefix(landing), delivery)) for item in items]
    newest = dict(loaded)
    for _, snapshot in told:
        if snapshot is not None:
            newest[snapshot.audience] = max(snapshot.time, newest.get(snapshot.audience, ""))
    kept = [item for item, snapshot in told if snapshot is None or snapshot.time >= newest[snapshot.audience]]
    superseded = [item for item, snapshot in told if snapshot is not None and snapshot.time < newest[snapshot.audience]]
    return kept, superseded


def newest_snapshots(names: Iterable[str], delivery: Delivery, loaded: Mapping[str, str]) -> dict[str, str]:
    """Return the newest time of each audience among ``names`` and what was loaded before."""
    newest = dict(loaded)
    for name in names:
        snapshot = snapshot_of(name, delivery)
        if snapshot is not None:
            newest[snapshot.audience] = max(snapshot.time, newest.get(snapshot.audience, ""))
    return newest
