"""What a backfill can load, divided into units: objects in landing/, or originals that earlier runs have archived."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from jobs.runtime.decode import Decoded
from jobs.runtime.errors import ArgumentError
from jobs.runtime.ledger import Run, archived_runs
from jobs.runtime.manifest import DATA, MARKER, Entry, Manifest
from jobs.runtime.objects import ObjectInfo
from jobs.runtime.publication import STANDS_UPON
from jobs.runtime.snapshots import delivered_at
from jobs.runtime.workspace import Workspace
from schemas.delivery import Delivery
from transforms.streams.bad_file import REPORTED_ONLY

_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_LENGTH: Final = {"year": 4, "month": 7, "day": 10}
_REPLACING: Final = ("full_refresh", "partition_overwrite")
_PARTS_OF_DELIVERIES: Final = ("folder", "object")


@dataclass(frozen=True)
class Selection:
    """Which objects are wanted: by day (both ends included), and by patterns of their paths below landing/.

    The day is the one that the name tells by the connector's pattern, else that of arrival (UTC).
    """

    since: str = ""
    until: str = ""
    pattern: str = "*"
    exclude: tuple[str, ...] = ()

    def takes(self, name: str, modified: float, delivery: Delivery) -> bool:
        """Tell whether the object called ``name``, which arrived at ``modified``, is wanted."""
        day = day_of(name, modified, delivery)
        return (
            (not self.since or day >= self.since)
            and (not self.until or day <= self.until)
            and fnmatch.fnmatchcase(name, self.pattern)
            and not any(fnmatch.fnmatchcase(name, each) for each in self.exclude)
        )

    @property
    def words(self) -> str:
        """The selection as a line for a person; empty where everything is wanted."""
        parts = (
            f"since {self.since}" if self.since else "",
            f"until {self.until}" if self.until else "",
            f"like {self.pattern}" if self.pattern != "*" else "",
            f"without {', '.join(self.exclude)}" if self.exclude else "",
        )
        return ", ".join(part for part in parts if part)


@dataclass(frozen=True)
class Unit:
    """What is loaded together. ``kept_in`` is where its objects are, if they are originals in the archive."""

    name: str
    entries: tuple[Entry, ...]
    kept_in: str = ""

    @property
    def size(self) -> int:
        """The bytes of its data as they are stored."""
        return sum(entry.size for entry in self.data)

    @property
    def data(self) -> tuple[Entry, ...]:
        """The entries that are loaded."""
        return tuple(entry for entry in self.entries if entry.role == DATA)

    def to_document(self) -> dict[str, Any]:
        """Return the unit as a document."""
        return asdict(self)

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Unit:
        """Read a unit back."""
        entries = tuple(Entry(**entry) for entry in document["entries"])
        return cls(document["name"], entries, document["kept_in"])


@dataclass
class Found:
    """The units there are, in the order of delivery, and what the person who reviews them should know.

    ``gone`` is how many originals are not in the archive any more.
    """

    units: list[Unit] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    gone: int = 0


def day_of(name: str, modified: float, delivery: Delivery) -> str:
    """Return the day (UTC, ISO 8601) that the name tells by the connector's pattern, else that of arrival."""
    told, _, arrived = delivered_at(name, modified, delivery).rpartition(" ")
    return next(text[:10] for text in (told, arrived) if _DAY.match(text))


def units_in_landing(
    workspace: Workspace, data: Sequence[ObjectInfo], markers: Iterable[ObjectInfo], selection: Selection, unit: str
) -> Found:
    """Divide the ``selection`` of a delivery in landing/ by ``unit``, one of ``schemas.backfill_plan.UNITS``.

    A marker goes with the last unit that has data in its folder or below; it stays where data stay there which were
    not selected. Raises ArgumentError for a division that would take a delivery apart which replaces what there was.
    """
    delivery = workspace.connector.delivery
    replacing = any(feed.load in _REPLACING for feed in workspace.connector.feeds)
    if replacing and unit in _PARTS_OF_DELIVERIES:
        raise ArgumentError(
            f"--unit {unit}: each unit of {workspace.connector.name} replaces what there was, so an export of several "
            "objects must not be divided; divide by all, year, month or day"
        )
    named = [(item.key.removeprefix(workspace.landing), item) for item in data]
    wanted = [(name, item) for name, item in named if selection.takes(name, item.modified, delivery)]
    wanted.sort(key=lambda pair: (delivered_at(pair[0], pair[1].modified, delivery), pair[0]))
    taken = {name for name, _ in wanted}
    staying = [name for name, _ in named if name not in taken]
    groups: dict[str, list[Entry]] = {}
    for name, item in wanted:
        groups.setdefault(_unit_of(name, item.modified, delivery, unit), []).append(_entry(name, item, DATA))
    for item in markers:
        name = item.key.removeprefix(workspace.landing)
        below = name.removesuffix(name.rpartition("/")[2])
        if any(each.startswith(below) for each in staying):
            continue
        for entries in reversed(groups.values()):
            if any(entry.name.startswith(below) for entry in entries):
                entries.append(_entry(name, item, MARKER))
                break
    found = Found([Unit(name, _numbered(entries)) for name, entries in groups.items()])
    if staying:
        found.remarks.append(f"{len(staying):,} other objects stay in landing/, markers of their folders with them.")
    if replacing and unit in _LENGTH and len(found.units) > 1:
        found.remarks.append(
            "Each unit replaces what there was: see that no export has objects of two units, as one that was pushed "
            f"around midnight (UTC) has; of those only what belongs to the later {unit} would stay."
        )
    return found


def _unit_of(name: str, modified: float, delivery: Delivery, unit: str) -> str:
    if unit in _LENGTH:
        return day_of(name, modified, delivery)[: _LENGTH[unit]]
    if unit == "folder":
        return name.rpartition("/")[0] or "."
    return name if unit == "object" else "all"


def _entry(name: str, item: ObjectInfo, role: str) -> Entry:
    return Entry(0, name, item.size, item.version, item.etag, item.modified, role)


def _numbered(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    return tuple(replace(entry, ordinal=ordinal) for ordinal, entry in enumerate(entries))


def units_in_archive(workspace: Workspace, selection: Selection, *, rebuild: bool) -> Found:
    """Return a unit for each run whose originals are in the archive, with the times at which they had arrived.

    Where a ``rebuild`` is of tables that each delivery replaces, the last runs that fed them are enough: what a table
    was rolled back from is not among them.
    """
    found = Found()
    connector = workspace.connector
    archived = runs_with_originals(workspace)
    if rebuild and all(feed.load == "full_refresh" for feed in connector.feeds):
        back = _rolled_back_to(workspace)
        found.remarks += [
            f"The table of feed {feed} was rolled back to run {run}: later ones are left out."
            for feed, run in back.items()
        ]
        needed = _last_of_each_feed(archived, back)
        if len(needed) < len(archived):
            found.remarks.append(
                f"{len(archived) - len(needed):,} other runs are left out, for each delivery replaces its table."
            )
        archived = needed
    for run in archived:
        unit = _archived_unit(workspace, run, run.manifest, selection, found)
        if unit.data:
            found.units.append(unit)
    return found


def runs_with_originals(workspace: Workspace) -> list[Run]:
    """Return the connector's runs that have put originals into the archive, oldest first."""
    runs = archived_runs(workspace.storage, workspace.connector.name)
    return [run for run in runs if not run.manifest.kept_in]


def _rolled_back_to(workspace: Workspace) -> dict[str, str]:
    """Return the runs that tables show, by the feeds that fill them, where they were rolled back and stayed so."""
    tables = {feed.name: workspace.catalog.get(workspace.tables[feed.name].name) for feed in workspace.connector.feeds}
    return {
        name: table.parameters.get(STANDS_UPON, table.run_id)
        for name, table in tables.items()
        if table is not None and table.parameters.get("rolled_back_from")
    }


def _last_of_each_feed(runs: Sequence[Run], until: Mapping[str, str]) -> list[Run]:
    """Return the last run of each feed, no later than the run that ``until`` names for it."""
    covered: set[str] = set()
    needed: list[Run] = []
    for run in reversed(runs):
        feeds = {str(each["feed"]) for each in run.finished("decrypt")["files"] if not each["reason"]}
        feeds = {feed for feed in feeds if run.run_id <= until.get(feed, run.run_id)}
        if feeds - covered:
            needed.insert(0, run)
            covered |= feeds
    return needed


def _archived_unit(workspace: Workspace, run: Run, manifest: Manifest, selection: Selection, found: Found) -> Unit:
    prefix = workspace.archive(run.run_id)
    present = {item.key.removeprefix(prefix): item for item in workspace.storage.list(prefix)}
    refused = {
        each.ordinal
        for each in Decoded.from_document(run.finished("decrypt")).files
        if each.reason and each.reason not in REPORTED_ONLY
    }
    wanted = [
        entry
        for entry in manifest.data
        if entry.ordinal not in refused and selection.takes(entry.name, entry.modified, workspace.connector.delivery)
    ]
    gone = [entry.name for entry in wanted if entry.name not in present]
    found.gone += len(gone)
    if gone:
        found.remarks.append(
            f"Run {run.run_id}: {len(gone):,} of its {len(wanted):,} objects are not in the archive any more, "
            f"{gone[0]} among them: their rows are lost to this backfill."
        )
    entries = [
        replace(entry, size=item.size, version=item.version, etag=item.etag)
        for entry in wanted
        if (item := present.get(entry.name)) is not None
    ]
    return Unit(run.run_id, _numbered(entries), prefix)
