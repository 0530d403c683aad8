"""A source of a test's own: connector and table files, deliveries with a clock of their own, and what was published."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from jobs import pipeline
from jobs.runtime.args import parse_args

_NOON = 1_706_788_800.0  # 2024-02-01T12:00:00Z


@dataclass
class Source:
    """One connector below ``folder``. ``tables`` are TOML texts by name."""

    folder: Path
    connector: str
    tables: Mapping[str, str]
    name: str = "source"
    more: list[str] = field(default_factory=list)
    clock: float = _NOON

    def __post_init__(self) -> None:
        for kind, name, text in (
            ("connectors", self.name, self.connector),
            *(("tables", name, text) for name, text in self.tables.items()),
        ):
            path = self.folder / "definitions" / kind / f"{name}.toml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        key = self.folder / "hash.key"
        key.write_text("a-key-of-the-tests-with-32-bytes")

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def landing(self) -> Path:
        return self.root / "landing" / self.name

    def land(self, name: str, data: str | bytes) -> None:
        """Put an object into landing, a minute after the one before."""
        path = self.landing / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        self.clock += 60
        os.utime(path, (self.clock, self.clock))

    def run(self, *more: str) -> None:
        """Run the pipeline as its user would."""
        arguments = [
            f"--connector=file://{self.folder}/definitions/connectors/{self.name}.toml",
            f"--root=file://{self.root}",
            f"--hash-key=file:{self.folder}/hash.key",
            "--quiet-seconds=0",
            *self.more,
            *more,
        ]
        pipeline.main(parse_args(pipeline.Args, arguments))

    def deliver(self, name: str, data: str | bytes) -> None:
        """Land one object and run."""
        self.land(name, data)
        self.run()

    def catalog(self, table: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.root / "state" / "catalog" / f"{table}.json").read_text())
        return document

    def report(self) -> dict[str, Any]:
        """Return the newest run's report."""
        path = max((self.root / "state" / self.name).glob("run=*/report.json"), key=lambda each: each.stat().st_mtime)
        document: dict[str, Any] = json.loads(path.read_text())
        return document

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Read a table as a reader would, through the catalog, with another program."""
        return published_rows(self.catalog(table))


def published_rows(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of a table from its catalog document, sorted; columns that a file lacks are None."""
    names = [column["name"] for column in document["columns"]]
    keys = [key["name"] for key in document["partition_keys"]]
    places = [(each["location"], each["values"]) for each in document["partitions"]] if keys else None
    found = []
    with duckdb.connect() as connection:
        for location, values in places or [(document["location"], [])]:
            files = sorted(str(path) for path in Path(location.removeprefix("file://")).glob("*.parquet"))
            if files:
                relation = connection.read_parquet(files, union_by_name=True, hive_partitioning=False)
                for row in relation.fetchall():
                    made = dict(zip(relation.columns, row, strict=True))
                    found.append({name: made.get(name) for name in names} | dict(zip(keys, values, strict=True)))
    return sorted(found, key=repr)
