"""Where one connector's things are: the folders below the root, its catalog, and its definition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jobs.runtime.catalog import Catalog, open_catalog
from jobs.runtime.configuration import load_configuration
from jobs.runtime.errors import ArgumentError
from jobs.runtime.manifest import Manifest
from jobs.runtime.storage import Storage, open_storage
from schemas.connector import Connector
from schemas.table import Table


@dataclass(frozen=True)
class Workspace:
    """A connector with its tables (by the names of its feeds), store and catalog."""

    connector: Connector
    tables: Mapping[str, Table]
    storage: Storage
    catalog: Catalog

    @property
    def landing(self) -> str:
        """The prefix that the source pushes to."""
        return f"landing/{self.connector.name}/"

    def source(self, manifest: Manifest) -> str:
        """The prefix that a run reads from: landing/, or where originals are kept that are loaded once more."""
        return manifest.kept_in or self.landing

    @property
    def state(self) -> str:
        """The prefix of the connector's ledger."""
        return f"state/{self.connector.name}/"

    def raw(self, run_id: str) -> str:
        """The prefix of a run's clear parts."""
        return f"raw/{self.connector.name}/run={run_id}/"

    def curated(self, table: str, run_id: str) -> str:
        """The prefix of what a run publishes of a table."""
        return f"curated/{table}/run={run_id}/"

    def staged(self, table: str, run_id: str) -> str:
        """The prefix of a run's rows, pseudonymised, before they are merged into their table."""
        return f"staged/{table}/run={run_id}/"

    def versions(self, table: str, run_id: str) -> str:
        """The prefix of what a run knows of the keys of a table that is merged: the version of each, and deletions."""
        return f"versions/{table}/run={run_id}/"

    def rejects(self, run_id: str) -> str:
        """The prefix of the rows that a run refused."""
        return f"rejects/{self.connector.name}/run={run_id}/"

    def quarantine(self, run_id: str) -> str:
        """The prefix of the files that a run refused."""
        return f"quarantine/{self.connector.name}/run={run_id}/"

    def archive(self, run_id: str) -> str:
        """The prefix that a run's originals go to."""
        return f"archive/{self.connector.name}/run={run_id}/"


def open_workspace(
    connector: str,
    table: str | None,
    root: str,
    *,
    curated_root: str | None = None,
    catalog_database: str | None = None,
) -> Workspace:
    """Read the definitions and open store and catalog; every problem is found before Spark starts.

    ``curated_root`` is where curated/ is, if not below ``root``.

    Raises SchemaError and ArgumentError.
    """
    source, tables = load_configuration(connector, table)
    for name, uri in (("--root", root), ("--curated-root", curated_root)):
        if uri is not None and not uri.startswith(("file://", "s3://")):
            raise ArgumentError(f"{name}: {uri!r} is no URI; give file:///folder or s3://bucket/prefix")
    storage = open_storage(root, curated_root)
    return Workspace(source, tables, storage, open_catalog(storage, catalog_database))
