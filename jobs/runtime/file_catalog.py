"""A catalog of JSON documents beside the data."""

from __future__ import annotations

import json
from dataclasses import asdict

from jobs.runtime.errors import CatalogConflictError, ObjectChangedError, ObjectExistsError
from jobs.runtime.published_table import PublishedTable
from jobs.runtime.storage import Storage


class FileCatalog:
    """One JSON document a table in ``folder``; readers see a table with all its partitions change at once."""

    def __init__(self, storage: Storage, folder: str = "state/catalog") -> None:
        self._storage = storage
        self._folder = folder

    def describe(self) -> str:
        """Say where this catalog is."""
        return self._storage.uri(self._folder)

    def _key(self, name: str) -> str:
        return f"{self._folder}/{name}.json"

    def names(self) -> list[str]:
        """List the documents."""
        keys = (item.key for item in self._storage.list(f"{self._folder}/"))
        return sorted(key.rpartition("/")[2].removesuffix(".json") for key in keys if key.endswith(".json"))

    def get(self, name: str) -> PublishedTable | None:
        """Read the document; the version is its etag."""
        present = self._storage.find(self._key(name))
        if present is None:
            return None
        document = json.loads(self._storage.read(self._key(name)))
        after = self._storage.find(self._key(name))
        if after is None or after.etag != present.etag:
            return self.get(name)
        return PublishedTable.from_document({**document, "version": present.etag})

    def put(self, table: PublishedTable, expected_version: str) -> None:
        """Write the document conditionally."""
        document = asdict(table)
        del document["version"]
        data = json.dumps(document, indent=1).encode()
        try:
            if expected_version:
                self._storage.replace(self._key(table.name), data, expected_version)
            else:
                self._storage.create(self._key(table.name), data)
        except (ObjectExistsError, ObjectChangedError):
            raise CatalogConflictError(
                f"table {table.name} was changed by somebody else since this run looked; run again"
            ) from None
