"""Where readers look a table up: AWS Glue's Data Catalog, or JSON documents in the same form beside the data.

Publishing is a compare-and-set: it succeeds only on the version that was read, so two runs can never both believe that
theirs is the table. Nothing here reads or moves data.
"""

from __future__ import annotations

from typing import Protocol

from jobs.runtime.file_catalog import FileCatalog
from jobs.runtime.glue_catalog import GlueCatalog
from jobs.runtime.published_table import PublishedTable
from jobs.runtime.storage import Storage


class Catalog(Protocol):
    """What the jobs need of a catalog."""

    def describe(self) -> str:
        """Say where this catalog is, for messages."""

    def names(self) -> list[str]:
        """Return the names of our tables, sorted."""

    def get(self, name: str) -> PublishedTable | None:
        """Return the table with its partitions and version, or None."""

    def put(self, table: PublishedTable, expected_version: str) -> None:
        """Create the table (``expected_version`` empty) or make it what is given, if it still has that version.

        CatalogConflictError where it has another one. Calling it again after it was interrupted finishes the work.
        """


def open_catalog(storage: Storage, database: str | None) -> Catalog:
    """Open the Glue database called ``database``, or, without one, the documents beside the data."""
    if database is None:
        return FileCatalog(storage)
    import boto3  # noqa: PLC0415  local runs need no AWS

    return GlueCatalog(boto3.client("glue"), database)
