"""Publishing in Glue's catalog, interrupted, contested and repeated: what tables show, and what the ledger notes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest

from jobs import archive, transform
from jobs.runtime.configuration import load_configuration
from jobs.runtime.errors import CatalogConflictError, PipelineError
from jobs.runtime.glue_catalog import GlueCatalog
from jobs.runtime.ledger import Run, start_run
from jobs.runtime.local_storage import LocalStorage
from jobs.runtime.lock import Lock, hold_lock
from jobs.runtime.manifest import Manifest
from jobs.runtime.published_table import PublishedTable
from jobs.runtime.workspace import Workspace
from tests.jobs.runtime.conftest import new_name

TABLE = "customer_profile"


class Interrupted:
    """A client of Glue; ``before`` and ``after`` name the operations at which the process dies."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.before = self.after = ""
        self.answers_with: Callable[[str], None] = lambda _: None

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(**parameters: Any) -> Any:
            if operation == self.before:
                raise KeyboardInterrupt
            answer = getattr(self._client, operation)(**parameters)
            if operation == self.after:
                raise KeyboardInterrupt
            self.answers_with(operation)
            return answer

        return call


class Site:
    def __init__(self, folder: Path, glue: Interrupted) -> None:
        self.glue = glue
        self.database = new_name("published")
        glue.create_database(DatabaseInput={"Name": self.database})
        connector, tables = load_configuration("aep_profiles", None)
        catalog = GlueCatalog(glue, self.database)  # type: ignore[arg-type]
        self.workspace = Workspace(connector, tables, LocalStorage(folder), catalog)

    def ran(self, run_id: str, base: str = "", attempt: int = 1) -> Run:
        """Return a run that has got past transform, with files of two partitions."""
        run = start_run(self.workspace.storage, Manifest(run_id, "aep_profiles", (), ()))
        run.finish("decrypt", {"seconds": 0.0, "attempt": 1, "files": [], "parts": []})
        folder = f"curated/{TABLE}/run={run_id}/attempt={attempt}"
        partitions = []
        for value in ("CA", "US"):
            self.workspace.storage.create(f"{folder}/country={value}/a.parquet", b"rows")
            location = self.workspace.storage.uri(f"{folder}/country={value}")
            partitions.append({"values": [value], "location": location, "rows": 5, "delivered": ""})
        entry = {
            "feed": "aep_profiles", "base_run": base, "rows": 10, "location": self.workspace.storage.uri(folder),
            "partitions": partitions, "columns": [], "making": {}, "phonenumbers": "", "versions": "",
            "version_keys": "", "loaded_through": "", "schema_changes": [],
        }  # fmt: skip
        run.finish("transform", {"attempt": attempt, "tables": {TABLE: entry}})
        return run

    def publish(self, run: Run) -> None:
        with hold_lock(self.workspace.storage, "aep_profiles") as lock:
            self.publish_under(run, lock)

    def publish_under(self, run: Run, lock: Lock) -> None:
        transform.publish(self.workspace, run, lock, allow_shrink=False)

    @property
    def table(self) -> PublishedTable:
        found = self.workspace.catalog.get(TABLE)
        assert found is not None
        return found

    def shown(self) -> tuple[str, list[str]]:
        return self.table.run_id, [partition.location.split("/run=")[1] for partition in self.table.partitions]


@pytest.fixture
def site(aws: str, tmp_path: Path) -> Site:
    del aws
    return Site(tmp_path, Interrupted(boto3.client("glue")))


STOPS = [
    ("before", "create_table"),
    ("after", "create_table"),
    ("before", "batch_create_partition"),
    ("after", "batch_create_partition"),
    ("before", "update_table"),
    ("after", "update_table"),
]
SHOWN = [f"r1/attempt=1/country={value}" for value in ("CA", "US")]


@pytest.mark.parametrize(("when", "operation"), STOPS)
def test_a_first_publication_that_dies_is_finished_by_the_same_command(site: Site, when: str, operation: str) -> None:
    run = site.ran("r1")
    setattr(site.glue, when, operation)
    with pytest.raises(KeyboardInterrupt):
        site.publish(run)
    site.glue.before = site.glue.after = ""
    assert run.entry("publish") is None
    site.publish(run)
    assert site.shown() == ("r1", SHOWN)
    assert not site.table.claimed_by
    noted = PublishedTable.from_document(run.finished("publish")["tables"][TABLE])
    assert (noted.run_id, noted.locations, noted.claimed_by) == ("r1", site.table.locations, "")
    site.publish(site.ran("r2", base="r1"))
    assert site.table.run_id == "r2"


def test_a_call_that_was_repeated_after_its_answer_was_lost_is_no_conflict(site: Site) -> None:
    site.publish(site.ran("r1"))
    run = site.ran("r2", base="r1")
    updates: list[str] = []

    def lose_the_last_answer(operation: str) -> None:
        updates.append(operation) if operation == "update_table" else None
        if operation == "update_table" and len(updates) == 2:
            raise CatalogConflictError("the repeated call finds the version changed, by itself")

    site.glue.answers_with = lose_the_last_answer
    site.publish(run)
    assert site.shown()[0] == "r2"
    assert run.finished("publish")["tables"][TABLE]["parameters"]["run_id"] == "r2"


def test_a_table_that_somebody_else_has_made_stays_as_it_is(site: Site) -> None:
    theirs = {"Name": TABLE, "StorageDescriptor": {"Columns": [], "Location": "s3://theirs/"}, "Parameters": {"a": "b"}}
    site.glue.create_table(DatabaseName=site.database, TableInput=theirs)
    with pytest.raises(PipelineError, match="was not made here; it stays as it is"):
        site.publish(site.ran("r1"))
    assert site.table.location == "s3://theirs"


def test_a_conflict_says_what_the_table_shows(site: Site) -> None:
    site.publish(site.ran("r1"))
    with pytest.raises(CatalogConflictError, match="shows run r1 by now, and run r2 was made for r0; it was"):
        site.publish(site.ran("r2", base="r0"))


def test_what_an_earlier_attempt_has_published_is_not_dropped_with_the_attempt(site: Site) -> None:
    run = site.ran("r1")
    site.publish(run)
    run.reopen("transform")  # as where another table of the run was overtaken, and all of them are made again
    entry = {"feed": "aep_profiles", "base_run": "r1", "rows": 10}
    run.finish("transform", {"attempt": 3, "tables": {TABLE: entry}})
    storage = site.workspace.storage
    storage.create(f"curated/{TABLE}/run=r1/attempt=2/country=US/half.parquet", b"rows")
    archive._drop_leftovers(site.workspace, run)
    left = [item.key for item in storage.list(f"curated/{TABLE}/")]
    assert left == [f"curated/{TABLE}/run={place}/a.parquet" for place in SHOWN]
