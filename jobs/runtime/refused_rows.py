"""Rows that cannot be read, on their way to the rejects: where they are and why, never what they hold."""

from __future__ import annotations

import contextlib
import itertools
import secrets
from collections.abc import Iterable
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.runtime.storage import Storage
from transforms.rows import REASON, SOURCE_FILE, SOURCE_ROW
from transforms.streams.records import RefusedRow

_ROWS_HELD: Final = 100_000
_SCHEMA: Final = pa.schema(
    [(SOURCE_FILE, pa.string()), (SOURCE_ROW, pa.int64()), (REASON, pa.string()), ("detail", pa.string())]
)


class TaskRefusedRows(contextlib.AbstractContextManager["TaskRefusedRows"]):
    """The refused rows of one task, in objects that its small files share. An error in the task leaves none."""

    def __init__(self, storage: Storage, folder: str) -> None:
        self._storage, self._folder = storage, folder
        self._token = secrets.token_hex(6)
        self._held: list[tuple[str, RefusedRow]] = []
        self._number = itertools.count()
        self._keys: list[str] = []

    def add(self, rows: list[tuple[str, RefusedRow]]) -> None:
        """Take the refused rows of a small file, to be written with those of others."""
        self._held.extend(rows)
        if len(self._held) >= _ROWS_HELD:
            self.finish()

    def finish(self) -> None:
        """Write what is held."""
        if self._held:
            self.write(self._held)
            self._held = []

    def write(self, rows: list[tuple[str, RefusedRow]]) -> str:
        """Write rows to an object of their own; return its key."""
        key = f"{self._folder}refused-{self._token}-{next(self._number):04d}.parquet"
        table = pa.Table.from_pydict(
            {
                SOURCE_FILE: [name for name, _ in rows],
                SOURCE_ROW: [row.number for _, row in rows],
                REASON: [row.reason for _, row in rows],
                "detail": [row.detail for _, row in rows],
            },
            schema=_SCHEMA,
        )
        with self._storage.open_output(key) as sink:
            pq.write_table(table, sink, compression="snappy")
        self._keys.append(key)
        return key

    @property
    def keys(self) -> tuple[str, ...]:
        """The objects that were written, and not deleted again."""
        return tuple(self._keys)

    def remove(self, key: str) -> None:
        """Delete an object that ``write`` has made."""
        self._storage.delete_prefix(key)
        self._keys.remove(key)

    def __exit__(self, kind: object, *_: object) -> None:
        """Delete everything where an error ends the task."""
        if kind is not None:
            for key in tuple(self._keys):
                self.remove(key)


class FileRefusedRows(contextlib.AbstractContextManager["FileRefusedRows"]):
    """The refused rows of one file. Only ``keep`` lets them out; memory holds a bounded number."""

    def __init__(self, task: TaskRefusedRows) -> None:
        self._task = task
        self._held: list[tuple[str, RefusedRow]] = []
        self._keys: list[str] = []
        self._kept = False

    def take(self, name: str, rows: Iterable[RefusedRow]) -> None:
        """Take refused rows of the file, or of its member, called ``name``."""
        self._held.extend((name, row) for row in rows)
        if len(self._held) >= _ROWS_HELD:
            self._keys.append(self._task.write(self._held))
            self._held = []

    def keep(self) -> None:
        """The file is good: keep its refused rows."""
        self._task.add(self._held)
        self._kept = True

    def __exit__(self, *_: object) -> None:
        """Delete what was written, unless it is kept."""
        if not self._kept:
            for key in self._keys:
                self._task.remove(key)
