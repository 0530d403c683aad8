"""What is known of a backfill: ``state/<connector>/backfill=<name>/`` with its plan, objects, and the run of each unit.

Like the ledger of runs: small files that are written once. The plan alone may be changed, until the backfill is begun.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from jobs.runtime.backfill_units import Unit
from jobs.runtime.errors import NothingToDoError, ObjectExistsError, PlanOutdatedError, StorageError
from jobs.runtime.file_catalog import FileCatalog
from jobs.runtime.ledger import BACKFILL, BEGUN, FINISHED, GIVEN_UP, Run
from jobs.runtime.published_table import PublishedTable
from jobs.runtime.storage import Storage
from schemas.backfill_plan import BackfillPlan, parse_plan, plan_text

_PLAN: Final = "plan.toml"
_BEGUN_PLAN: Final = "begun-plan.toml"
_OBJECTS: Final = "objects.json"
_SWITCHED: Final = "switched.json"
_CHANGEABLE: Final = ("parallel", "on_bad_unit", "reason", "allow_partial")
_UNIT_RUN: Final = re.compile(r"unit-(\d+)\.run-\d+\.json")


class Backfill:
    """One backfill's part of the ledger."""

    def __init__(self, storage: Storage, connector: str, name: str) -> None:
        self._storage, self._connector, self.name = storage, connector, name
        self._folder = f"state/{connector}/{BACKFILL}{name}/"

    @property
    def catalog(self) -> FileCatalog:
        """The catalog of its own that units are loaded into which are published at the end."""
        return FileCatalog(self._storage, f"{self._folder}catalog")

    @property
    def plan_uri(self) -> str:
        """Where its plan is."""
        return self._storage.uri(self._folder + _PLAN)

    # --- the plan

    def save_plan(
        self, plan: BackfillPlan, units: Sequence[Unit], remarks: tuple[str, ...], archived: Sequence[str]
    ) -> None:
        """Write a plan with the objects of its units, over one that nobody has changed and that was not begun.

        ``archived`` are the runs whose originals were in the archive when it was made. Raises NothingToDoError where
        the plan that is there must stay.
        """
        if self.is_begun:
            raise NothingToDoError(f"backfill {self.name} was begun already; give the new plan another name")
        present = _digest(self._storage.read(self._folder + _PLAN)) if self._has(_PLAN) else ""
        if present and present not in self._planned().get("plans", []):
            raise NothingToDoError(
                f"{self.plan_uri} was changed by hand since it was made, and stays as it is; give the new plan another "
                "name, or delete that file first"
            )
        text = plan_text(plan, remarks).encode()
        plans = [_digest(text), present]  # the one before too, should this one never be written
        document = {"units": [unit.to_document() for unit in units], "archived": list(archived), "plans": plans}
        self._write(_OBJECTS, json.dumps(document).encode())
        self._write(_PLAN, text)

    def _write(self, name: str, data: bytes) -> None:
        with self._storage.open_output(self._folder + name) as file:
            file.write(data)

    def plan(self) -> BackfillPlan:
        """Return the plan as it stands.

        Raises NothingToDoError where there is none, SchemaError for one that cannot be used, PlanOutdatedError where
        more was changed since the backfill was begun than what may be.
        """
        plan = self._parsed(_PLAN)
        if plan is None:
            raise NothingToDoError(
                f"there is no plan {self.name} for {self._connector}; make one with --plan {self.name}"
            )
        if plan.name != self.name or plan.connector != self._connector:
            raise PlanOutdatedError(
                f"{self.plan_uri} is the plan of backfill {plan.name} of {plan.connector}; it was put at another place"
            )
        if self.is_begun and _fixed(self.begun_plan) != _fixed(plan):
            raise PlanOutdatedError(
                f"{self.plan_uri} was changed since the backfill was begun with "
                f"{self._storage.uri(self._folder + _BEGUN_PLAN)}: only {', '.join(_CHANGEABLE)} may be. Put the rest "
                f"back, or give it up (--give-up {self.name}) and plan what is left under another name"
            )
        return plan

    @property
    def begun_plan(self) -> BackfillPlan:
        """The plan as it was when the backfill was begun. Raises NothingToDoError where it was not."""
        plan = self._parsed(_BEGUN_PLAN)
        if plan is None:
            raise NothingToDoError(f"backfill {self.name} of {self._connector} was not begun")
        return plan

    def _parsed(self, name: str) -> BackfillPlan | None:
        key = self._folder + name
        if self._storage.find(key) is None:
            return None
        return parse_plan(self._storage.read(key).decode("utf-8", "replace"), self._storage.uri(key))

    def units(self, plan: BackfillPlan) -> list[Unit]:
        """Return the units of the plan with their objects. Raises PlanOutdatedError where they do not fit the plan."""
        known = {unit["name"]: Unit.from_document(unit) for unit in self._planned()["units"]}
        for planned in plan.units:
            unit = known.get(planned.name)
            if unit is None or (len(unit.data), unit.size) != (planned.objects, planned.size):
                raise PlanOutdatedError(
                    f"{self.plan_uri}: unit {planned.name} is not as it was planned; units may be taken out, not "
                    "changed. Make the plan again"
                )
        return [known[planned.name] for planned in plan.units]

    @property
    def archived(self) -> frozenset[str]:
        """The runs whose originals were in the archive when the plan was made."""
        return frozenset(self._planned()["archived"])

    def _planned(self) -> dict[str, Any]:
        try:
            document: dict[str, Any] = json.loads(self._storage.read(self._folder + _OBJECTS))
        except StorageError:
            return {"units": [], "archived": []}
        return document

    # --- what was done

    @property
    def is_begun(self) -> bool:
        """Whether it was begun."""
        return self._has(BEGUN)

    @property
    def is_over(self) -> bool:
        """Whether it was finished or given up."""
        return self._has(FINISHED) or self._has(GIVEN_UP)

    def _has(self, name: str) -> bool:
        return self._storage.find(self._folder + name) is not None

    def begin(self, plan: BackfillPlan, bases: Mapping[str, str], keys: str, suppression: str) -> None:
        """Note that it begins, and which run each table shows now; a second note changes nothing.

        ``keys`` and ``suppression`` are the fingerprints of the hash keys and of the lists of people.
        """
        if self.is_begun:
            return
        self._write(_BEGUN_PLAN, plan_text(plan, ()).encode())  # over that of a beginning which died
        known = {"tables": dict(bases), "hash_key_id": keys, "suppression": suppression}
        self._note(BEGUN, _document({"at": self._storage.now(), **known}))

    @property
    def bases(self) -> dict[str, str]:
        """The run that each table showed when it was begun."""
        tables: dict[str, str] = self._begun["tables"]
        return tables

    @property
    def keys(self) -> str:
        """The fingerprints of the hash keys that it was begun with."""
        return str(self._begun["hash_key_id"])

    @property
    def suppression(self) -> str:
        """The fingerprint of the lists of people that it was begun with."""
        return str(self._begun["suppression"])

    @property
    def _begun(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self._storage.read(self._folder + BEGUN))
        return document

    def note_switched(self, tables: Mapping[str, PublishedTable]) -> None:
        """Note that readers see what all units have made: the tables as they were shown."""
        document = {"at": self._storage.now(), "tables": {name: asdict(table) for name, table in tables.items()}}
        self._note(_SWITCHED, _document(document))

    @property
    def switched(self) -> dict[str, PublishedTable] | None:
        """The tables as they were shown once all of them were, whatever they show by now; None before that."""
        if not self._has(_SWITCHED):
            return None
        tables = json.loads(self._storage.read(self._folder + _SWITCHED))["tables"]
        return {name: PublishedTable.from_document(table) for name, table in tables.items()}

    def note_run(self, unit: int, run_id: str) -> None:
        """Note that the unit (its place in the plan) is loaded by this run from now on."""
        number = len(self._runs(unit)) + 1
        self._storage.create(self._key(unit, f"run-{number}"), _document({"run_id": run_id}))

    def run_of(self, unit: int) -> Run | None:
        """Return the run that loads the unit, None where there is none so far."""
        keys = self._runs(unit)
        if not keys:
            return None
        run_id = json.loads(self._storage.read(keys[-1]))["run_id"]
        return Run(self._storage, self._connector, run_id)

    @property
    def runs(self) -> list[Run]:
        """The last run of each unit that has one, in the order of units, whatever became of the plan."""
        names = (item.key.removeprefix(self._folder) for item in self._storage.list(f"{self._folder}unit-"))
        units = sorted({int(match[1]) - 1 for match in map(_UNIT_RUN.fullmatch, names) if match})
        return [run for run in map(self.run_of, units) if run is not None]

    def _runs(self, unit: int) -> list[str]:
        prefix = self._key(unit, "run-").removesuffix(".json")
        keys = (item.key for item in self._storage.list(prefix))
        return sorted(keys, key=lambda key: int(key.removeprefix(prefix).removesuffix(".json")))

    def skip(self, unit: int, reason: str) -> None:
        """Note that the backfill goes on without the unit."""
        self._note(self._key(unit, "skipped").removeprefix(self._folder), _document({"reason": reason}))

    def skipped(self, unit: int) -> str:
        """Return why the unit was left out; empty where it was not."""
        key = self._key(unit, "skipped")
        if self._storage.find(key) is None:
            return ""
        return str(json.loads(self._storage.read(key))["reason"])

    def _key(self, unit: int, what: str) -> str:
        return f"{self._folder}unit-{unit + 1:05}.{what}.json"

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Note that all of it is done."""
        self._note(FINISHED, _document(dict(summary)))

    def give_up(self) -> None:
        """Note that it will not be gone on with."""
        self._note(GIVEN_UP, _document({"at": self._storage.now()}))

    def _note(self, name: str, data: bytes) -> None:
        try:
            self._storage.create(self._folder + name, data)
        except ObjectExistsError:
            return


def _document(entry: dict[str, Any]) -> bytes:
    return json.dumps(entry, indent=1, sort_keys=True).encode()


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def _fixed(plan: BackfillPlan) -> dict[str, Any]:
    return {name: value for name, value in vars(plan).items() if name not in _CHANGEABLE}
