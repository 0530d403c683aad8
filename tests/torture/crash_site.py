"""Where a scenario is played: a folder or a bucket that is put back to the same state before every crash.

What comes of it is read without the jobs and without Spark: by pathlib or boto3, and pyarrow.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import pyarrow.parquet as pq

from jobs.runtime.args import parse_args
from tests.fixtures.key_files import Keys
from tests.torture.crash_scenarios import NAME, Scenario, delivered

_NOON: Final = 1_706_788_800.0  # 2024-02-01T12:00:00Z
#: What differs from run to run, in reports, catalogs and rows.
_OF_THE_RUN: Final = {
    "run_id", "previous_run", "previous_location", "location", "seconds", "steps", "rejects", "archive", "catalog",
    "query", "objects", "bytes", "version", "loaded_at", "at",
}  # fmt: skip
ARGUMENTS: Final = {
    "decrypt": ("connector", "root", "envelope-key", "quiet-seconds", "on-bad-file"),
    "transform": ("connector", "root", "curated-root", "catalog-database", "hash-key"),
    "archive": ("connector", "root", "curated-root", "topic"),
}
ARGUMENTS["pipeline"] = tuple(dict.fromkeys(name for names in ARGUMENTS.values() for name in names))
ARGUMENTS["backfill"] = (*ARGUMENTS["pipeline"], "plan", "run", "unit", "source", "reason")


class Place(Protocol):
    """A store with a catalog, as its readers see them."""

    @property
    def arguments(self) -> Mapping[str, str]:
        """The arguments of the jobs, by their names."""

    def land(self, files: Mapping[str, bytes]) -> None:
        """Push files to landing/, in their order."""

    def save(self) -> None:
        """Remember the present state."""

    def restore(self) -> None:
        """Put the state back that was remembered."""

    def objects(self) -> dict[str, bytes]:
        """Return all objects, by their keys below the root."""

    def write(self, key: str, data: bytes) -> None:
        """Write an object."""

    def tables(self) -> dict[str, dict[str, Any]]:
        """Return the tables of the catalog, in the form of the file catalog's documents."""

    def key_of(self, location: str) -> str:
        """Return the key of a location in the catalog."""

    def leftovers(self) -> list[str]:
        """Return what nobody can see, has bytes and should not be there."""


@dataclass
class FolderPlace:
    """A root of ``file://``."""

    folder: Path
    keys: Keys

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def arguments(self) -> Mapping[str, str]:
        return {
            "connector": f"file://{self.folder}/definitions/connectors/{NAME}.toml",
            "root": f"file://{self.root}",
            "hash-key": f"file:{self.keys.hash_key}",
            "envelope-key": f"file:{self.keys.rsa_private}",
            "quiet-seconds": "0",
            "on-bad-file": "quarantine",
        }

    def land(self, files: Mapping[str, bytes]) -> None:
        for minute, (name, data) in enumerate(files.items()):
            path = self.root / "landing" / NAME / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            os.utime(path, (_NOON + 60 * minute, _NOON + 60 * minute))

    def save(self) -> None:
        shutil.copytree(self.root, self.folder / "saved")

    def restore(self) -> None:
        shutil.rmtree(self.root)
        shutil.copytree(self.folder / "saved", self.root)

    def objects(self) -> dict[str, bytes]:
        found = (path for path in self.root.rglob("*") if path.is_file())
        names = {path.relative_to(self.root).as_posix(): path for path in found}
        return {name: path.read_bytes() for name, path in sorted(names.items()) if not name.startswith(".partial/")}

    def write(self, key: str, data: bytes) -> None:
        (self.root / key).write_bytes(data)

    def tables(self) -> dict[str, dict[str, Any]]:
        catalog = self.root / "state" / "catalog"
        return {path.stem: json.loads(path.read_text()) for path in sorted(catalog.glob("*.json"))}

    def key_of(self, location: str) -> str:
        return location.removeprefix(f"file://{self.root}/")

    def leftovers(self) -> list[str]:
        return [path.name for path in (self.root / ".partial").iterdir() if path.stat().st_size]


@dataclass
class Outcome:
    """What a reader, an auditor and the person on call can see; each part is compared by itself."""

    parts: dict[str, Any] = field(default_factory=dict)

    def differences(self, other: Outcome) -> list[str]:
        """Name the parts that differ, with the first of what is only here and only there."""
        return [
            f"{name}: {_difference(self.parts[name], other.parts[name])}"
            for name in self.parts
            if self.parts[name] != other.parts[name]
        ]


def _difference(here: Any, there: Any) -> str:
    if isinstance(here, dict) and isinstance(there, dict):
        names = [name for name in {**here, **there} if here.get(name) != there.get(name)]
        return "; ".join(f"{name}: {_difference(here.get(name), there.get(name))}" for name in names[:2])
    return f"{str(here)[:160]} became {str(there)[:160]}"


def rows_of(place: Place, objects: Mapping[str, bytes], table: Mapping[str, Any]) -> list[str]:
    """Read a table as a reader of the catalog does; KeyError where a folder that it names has no files."""
    names = [column["name"] for column in table["columns"] if column["name"] not in _OF_THE_RUN]
    places = [(each["location"], each["values"]) for each in table["partitions"]]
    if not table["partition_keys"]:
        places = [(table["location"], [])]
    found = []
    for location, values in places:
        prefix = f"{place.key_of(location.rstrip('/'))}/"
        own = [key for key in objects if key.startswith(prefix) and "/" not in key.removeprefix(prefix)]
        if not own:
            raise KeyError(f"{table['name']}: no file in {prefix}")
        for key in own:
            rows = pq.ParquetFile(io.BytesIO(objects[key])).read().to_pylist()
            found += [str([*(row.get(name) for name in names), *values]) for row in rows]
    return sorted(found)


def _parquet_rows(objects: Mapping[str, bytes], prefix: str, *names: str) -> list[str]:
    found = []
    for key, data in objects.items():
        if key.startswith(prefix) and key.endswith(".parquet"):
            rows = pq.ParquetFile(io.BytesIO(data)).read().to_pylist()
            found += [str([row.get(name) for name in names] if names else sorted(row.items(), key=str)) for row in rows]
    return sorted(found)


def _without_run(thing: Any) -> Any:
    if isinstance(thing, dict):
        return {name: _without_run(value) for name, value in thing.items() if name not in _OF_THE_RUN}
    if isinstance(thing, list):
        return [_without_run(each) for each in thing]
    return thing


def outcome_of(place: Place) -> Outcome:
    """Look at everything, without what must differ from run to run."""
    objects = place.objects()
    tables = place.tables()
    runs = _runs(objects)
    parts: dict[str, Any] = {}
    parts["rows"] = {name: rows_of(place, objects, table) for name, table in tables.items()}
    parts["catalog"] = {name: _described(place, objects, table) for name, table in tables.items()}
    names = ("source_file", "source_row", "reason")
    parts["rejects"] = [_parquet_rows(objects, f"rejects/{NAME}/run={run}/", *names) for run in runs]
    parts["ledger"] = [_steps(objects, run) for run in runs]
    prefix = f"state/{NAME}/backfill="
    parts["backfills"] = {
        key: None
        if key.endswith((".toml", "/switched.json")) or "/catalog/" in key  # tables, with the places of their files
        else _without_run(_document(objects, key))
        for key in objects
        if key.startswith(prefix)
    }
    parts["reports"] = [_without_run(_document(objects, f"state/{NAME}/run={run}/report.json")) for run in runs]
    for area in ("archive", "quarantine"):
        found = [
            {key: data for key, data in objects.items() if key.startswith(f"{area}/{NAME}/run={r}/")} for r in runs
        ]
        parts[area] = [
            {key.partition(f"run={run}/")[2]: hashlib.sha256(data).hexdigest() for key, data in each.items()}
            for run, each in zip(runs, found, strict=True)
        ]
    parts["left in landing, raw, staged"] = [
        key for key in objects if key.startswith(("landing/", "raw/", "staged/")) or "_temporary" in key
    ]
    parts["attempts that stay"] = {
        name: [len(_attempts(objects, f"{area}/{name}/run={run}/")) for area in ("curated", "versions") for run in runs]
        for name in tables
    }
    parts["lock is left"] = f"state/{NAME}/lock.json" in objects
    parts["hidden files are left"] = len(place.leftovers())
    return Outcome(parts)


def _runs(objects: Mapping[str, bytes]) -> list[str]:
    """Return the runs, in the order of what they load: those of a backfill may begin in the same second."""
    found = {match[1] for key in objects if (match := re.match(rf"state/{NAME}/run=([^/]+)/", key))}

    def loaded(run: str) -> str:
        manifest = _document(objects, f"state/{NAME}/run={run}/manifest.json") or {"entries": []}
        return str(sorted(entry["name"] for entry in manifest["entries"]))

    return sorted(sorted(found), key=loaded)


def _described(place: Place, objects: Mapping[str, bytes], table: Mapping[str, Any]) -> Any:
    parameters = dict(table["parameters"])
    versions = parameters.pop("versions", "")
    known = _parquet_rows(objects, f"{place.key_of(versions)}/") if versions else []
    return _without_run({**table, "parameters": parameters, "known keys": known})


def _document(objects: Mapping[str, bytes], key: str) -> Any:
    return json.loads(objects[key]) if key in objects else None


def _steps(objects: Mapping[str, bytes], run: str) -> list[str]:
    prefix = f"state/{NAME}/run={run}/"
    names = (key.removeprefix(prefix) for key in objects if key.startswith(prefix))
    return sorted(name for name in names if not re.search(r"\.attempt-\d+\.json$", name))


def _attempts(objects: Mapping[str, bytes], prefix: str) -> set[str]:
    return {key.removeprefix(prefix).partition("/")[0] for key in objects if key.startswith(prefix)}


@dataclass
class Command:
    """What is run, and run again after a crash: jobs one after the other, each as its user starts it."""

    jobs: tuple[str, ...]
    arguments: Mapping[str, str]

    def argv(self, job: str) -> list[str]:
        """Return the arguments of one job."""
        return argv_of(job, self.arguments)

    def run(self) -> None:
        """Run the jobs in this process, from the first one on: those that are done say so."""
        for job in self.jobs:
            run_job(job, self.argv(job))


def argv_of(job: str, arguments: Mapping[str, str]) -> list[str]:
    """Return those of the arguments that a job takes."""
    return [f"--{name}={arguments[name]}" for name in ARGUMENTS[job] if name in arguments]


def run_job(job: str, argv: list[str]) -> None:
    """Run one job in this process."""
    module: Any = __import__(f"jobs.{job}", fromlist=["main"])
    module.main(parse_args(module.Args, argv))


def bury(place: Place) -> None:
    """Let a lock that a stopped command has left be one of a process that has died, for this one lives on."""
    key = f"state/{NAME}/lock.json"
    data = place.objects().get(key)
    if data is not None:
        document = json.loads(data)
        place.write(key, json.dumps({**document, "process_started": "before"}).encode())


def prepare(scenario: Scenario, place: Place, public_key: bytes, quietly: Callable[..., Any]) -> Command:
    """Load the first delivery, land the second, and remember that state."""
    place.land(delivered(scenario.first, public_key))
    with quietly():
        run_job("pipeline", argv_of("pipeline", place.arguments))
    place.land(delivered(scenario.second, public_key))
    for job, more in scenario.setup:
        with quietly():
            run_job(job, argv_of(job, {**place.arguments, **more}))
    place.save()
    return Command(scenario.jobs, {**place.arguments, **scenario.more})
