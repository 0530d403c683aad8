"""The plan of a backfill: what is loaded, in which units, and how. A person reviews it before it is run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from schemas.definition_text import Block, Entry, Value, definition_text, toml_text
from schemas.problems import Problems, Section
from schemas.table import parse_toml

#: Where the objects are: pushed by the source, or originals that were loaded before.
SOURCES: Final = ("landing", "archive")

#: Whether units are loaded into the tables as they stand, or into new ones that replace them.
MODES: Final = ("load", "rebuild")

#: When readers see what was loaded.
PUBLICATIONS: Final = ("each_unit", "at_end")

#: What happens where a unit's files or rows cannot be used.
ON_BAD_UNIT: Final = ("stop", "skip")

#: What the objects of landing are divided by. Originals in the archive are divided into the runs that loaded them.
UNITS: Final = ("all", "year", "month", "day", "folder", "object")

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_MOST_PARALLEL: Final = 64


@dataclass(frozen=True)
class PlannedUnit:
    """What is loaded together: its name, how many objects it has, and their bytes as they are stored."""

    name: str
    objects: int
    size: int


@dataclass(frozen=True)
class BackfillPlan:
    """A plan, as its file says.

    ``name`` tells backfills of a connector apart. ``source``, ``mode``, ``publish`` and ``on_bad_unit`` are of the
    closed lists above; ``parallel`` is how many units are decrypted at the same time. ``hash_key_id`` names the keys
    that the tables were hashed with when the plan was made, by their fingerprints. Units are run in their order.
    ``allow_partial`` lets a rebuild go without some of what was ever loaded.
    """

    name: str
    connector: str
    source: str
    mode: str
    publish: str
    reason: str
    parallel: int
    on_bad_unit: str
    units: tuple[PlannedUnit, ...]
    hash_key_id: str = ""
    allow_partial: bool = False

    @property
    def objects(self) -> int:
        """How many objects all units have."""
        return sum(unit.objects for unit in self.units)

    @property
    def size(self) -> int:
        """The bytes of all units."""
        return sum(unit.size for unit in self.units)

    def problems(self) -> list[tuple[str, str]]:
        """Return what is wrong with the plan, as keys with a text."""
        found = []
        if not is_backfill_name(self.name):
            found.append(("name", "must be lower-case letters, digits, - and _, 63 at most, and begin with no sign"))
        if not self.reason.strip():
            found.append(("reason", "says nothing; whoever reads the ledger will want to know why"))
        if not 1 <= self.parallel <= _MOST_PARALLEL:
            found.append(("parallel", f"must be between 1 and {_MOST_PARALLEL}"))
        if self.mode == "rebuild" and self.publish != "at_end":
            found.append(("publish", "a rebuild is published at_end: before that, the new tables lack rows"))
        if self.mode == "rebuild" and self.source == "landing":
            found.append(("mode", "a rebuild starts from what the archive has: landing/ alone would lose the rest"))
        if self.mode == "rebuild" and self.on_bad_unit == "skip" and not self.allow_partial:
            found.append(("on_bad_unit", "a rebuild without a unit loses its rows: stop, or allow_partial = true"))
        if not self.units:
            found.append(("units", "there is none"))
        return found


def is_backfill_name(name: str) -> bool:
    """Tell whether a backfill can be called ``name``, which is part of keys of its ledger."""
    return _NAME.fullmatch(name) is not None


def parse_plan(text: str, origin: str) -> BackfillPlan:
    """Read a plan file; ``origin`` is what to call it. Raises SchemaError with every problem found."""
    problems = Problems(origin)
    top = Section(parse_toml(text, problems), "", problems)
    units = []
    for name, section in top.sections("units").items():
        units.append(PlannedUnit(name, section.whole("objects", 0), section.whole("bytes", 0)))
        section.close()
    plan = BackfillPlan(
        name=top.text("name"),
        connector=top.text("connector"),
        source=top.text("source", choices=SOURCES),
        mode=top.text("mode", choices=MODES),
        publish=top.text("publish", choices=PUBLICATIONS),
        reason=top.text("reason"),
        parallel=top.whole("parallel", 1, 1),
        on_bad_unit=top.text("on_bad_unit", "stop", ON_BAD_UNIT),
        units=tuple(units),
        hash_key_id=top.text("hash_key_id", ""),
        allow_partial=top.flag("allow_partial", default=False),
    )
    top.close()
    for key, problem in plan.problems():
        problems.add(key, problem)
    problems.raise_if_any()
    return plan


def plan_text(plan: BackfillPlan, remarks: tuple[str, ...]) -> str:
    """Return the plan as a TOML document; ``remarks`` stand above it as comments."""
    partial = plan.allow_partial if plan.mode == "rebuild" or plan.allow_partial else ""
    settings: tuple[tuple[str, Value, str], ...] = (
        ("name", plan.name, ""),
        ("connector", plan.connector, ""),
        ("reason", plan.reason, ""),
        ("source", plan.source, ""),
        ("mode", plan.mode, "load: into the tables as they stand; rebuild: into new ones, which replace them"),
        ("publish", plan.publish, "each_unit, or at_end: readers see nothing of it before all units are loaded"),
        ("parallel", plan.parallel, "units that are decrypted at the same time; they are loaded in their order"),
        ("on_bad_unit", plan.on_bad_unit, "stop, or skip: go on without it, and leave its objects where they are"),
        ("allow_partial", partial, "true: the new tables may lack what is not in this plan, or was left out"),
        ("hash_key_id", plan.hash_key_id, "of the key that the tables are hashed with now"),
    )
    entries = tuple(Entry(key, value, (comment,) if comment else ()) for key, value, comment in settings if value != "")
    blocks = [Block("", entries, remarks)]
    for index, unit in enumerate(plan.units):
        about = ("Units, in the order in which they are loaded. Take out what shall not be.",) if index == 0 else ()
        numbers = (Entry("objects", unit.objects), Entry("bytes", unit.size))
        blocks.append(Block(f"units.{toml_text(unit.name)}", numbers, about))
    return definition_text(blocks)
