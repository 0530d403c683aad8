"""Parquet parts of raw/: bounded in size and memory, shared by small files, and none of a file that turns out bad."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Final

import pyarrow as pa
import pyarrow.parquet as pq

from jobs.runtime.errors import PipelineError
from jobs.runtime.storage import Storage
from transforms.rows import SOURCE_FILE

_PART_BYTES: Final = 128 << 20
_ROW_GROUP_BYTES: Final = 16 << 20


@dataclass(frozen=True)
class Part:
    """A Parquet part below the store's root, with rows of one feed. ``extras`` are its columns beyond the fields."""

    feed: str
    key: str
    rows: int
    size: int
    extras: tuple[str, ...] = ()


class PartWriter:
    """Writes batches of one feed as parts of about 128 MB, in row groups of about 16 MB.

    A part ends where the columns of the batches change. Names of parts are new in every attempt.
    """

    def __init__(self, storage: Storage, folder: str, feed: str, fields: Sequence[str]) -> None:
        self._storage, self._feed = storage, feed
        self._prefix = f"{folder}{feed}/part-{secrets.token_hex(6)}"
        self._known = {*fields}
        self._outputs = contextlib.ExitStack()
        self._sink: IO[bytes] | None = None
        self._writer: pq.ParquetWriter | None = None
        self._schema = pa.schema([])
        self._held: list[pa.RecordBatch] = []
        self._rows = 0
        self._key = ""
        self.held_bytes = 0
        self.done: list[Part] = []

    def write(self, batch: pa.RecordBatch) -> None:
        """Take a batch."""
        if batch.schema != self._schema:
            self._close_part()
            self._schema = batch.schema
        self._held.append(batch)
        self.held_bytes += batch.nbytes
        if self.held_bytes >= _ROW_GROUP_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what is held as one row group."""
        if not self._held:
            return
        if self._writer is None:
            self._key = f"{self._prefix}-{len(self.done):04d}.parquet"
            self._outputs = contextlib.ExitStack()
            self._sink = self._outputs.enter_context(self._storage.open_output(self._key))
            self._writer = pq.ParquetWriter(
                self._sink, self._schema, compression="snappy", use_dictionary=[SOURCE_FILE]
            )
        table = pa.Table.from_batches(self._held, self._schema)
        self._held, self.held_bytes = [], 0
        self._writer.write_table(table, row_group_size=table.num_rows)
        self._rows += table.num_rows
        if self._sink is not None and self._sink.tell() >= _PART_BYTES:
            self._close_part()

    def close(self) -> list[Part]:
        """Finish the last part; return all."""
        self._close_part()
        return self.done

    def discard(self) -> None:
        """Delete what was written."""
        with contextlib.suppress(Exception):
            if self._writer is not None:
                self._writer.close()  # else it would try when it is collected, on an output that is closed
        with contextlib.suppress(Exception):
            # An error ends an output without making it visible.
            self._outputs.__exit__(PipelineError, PipelineError("not kept"), None)
        for part in self.done:
            self._storage.delete_prefix(part.key)
        self._held, self._writer, self.done = [], None, []

    def _close_part(self) -> None:
        self.flush()
        if self._writer is None or self._sink is None:
            return
        self._writer.close()
        size = self._sink.tell()
        self._outputs.close()
        extras = tuple(name for name in self._schema.names if name not in self._known)
        self.done.append(Part(self._feed, self._key, self._rows, size, extras))
        self._writer, self._sink, self._rows = None, None, 0


class TaskParts(contextlib.AbstractContextManager["TaskParts"]):
    """The parts of one task: those that its small files share, and those of its large ones. An error leaves none."""

    def __init__(self, storage: Storage, folder: str) -> None:
        self._storage, self._folder = storage, folder
        self._shared: dict[str, PartWriter] = {}
        self._done: list[Part] = []

    def writer(self, feed: str, fields: Sequence[str]) -> PartWriter:
        """Return a writer for a file of its own."""
        return PartWriter(self._storage, self._folder, feed, fields)

    def share(self, feed: str, fields: Sequence[str], batch: pa.RecordBatch) -> None:
        """Put a batch of a file that is known to be good beside those of other small files."""
        if feed not in self._shared:
            self._shared[feed] = self.writer(feed, fields)
        self._shared[feed].write(batch)
        while sum(writer.held_bytes for writer in self._shared.values()) >= _ROW_GROUP_BYTES:
            max(self._shared.values(), key=lambda writer: writer.held_bytes).flush()

    def add(self, parts: list[Part]) -> None:
        """Take over the parts of a large file that is known to be good."""
        self._done.extend(parts)

    def close(self) -> list[Part]:
        """Finish all parts and return them."""
        for writer in self._shared.values():
            self.add(writer.close())
        self._shared = {}
        return self._done

    def __exit__(self, kind: object, *_: object) -> None:
        """Delete everything where an error ends the task."""
        if kind is None:
            return
        for writer in self._shared.values():
            writer.discard()
        for part in self._done:
            with contextlib.suppress(Exception):
                self._storage.delete_prefix(part.key)


class FileParts(contextlib.AbstractContextManager["FileParts"]):
    """The rows of one delivered file, of one feed or, from an archive, several. Only ``keep`` lets them out.

    A small file is held in memory until then, a larger one writes parts of its own.
    """

    def __init__(self, task: TaskParts) -> None:
        self._task = task
        self._held: list[tuple[str, Sequence[str], pa.RecordBatch]] = []
        self._held_bytes = 0
        self._writers: dict[str, PartWriter] = {}
        self._kept = False

    def write(self, feed: str, fields: Sequence[str], batch: pa.RecordBatch) -> None:
        """Take a batch."""
        if self._writers or self._held_bytes + batch.nbytes > _ROW_GROUP_BYTES:
            for held in self._held:
                self._write_own(*held)
            self._held, self._held_bytes = [], 0
            self._write_own(feed, fields, batch)
        else:
            self._held.append((feed, fields, batch))
            self._held_bytes += batch.nbytes

    def _write_own(self, feed: str, fields: Sequence[str], batch: pa.RecordBatch) -> None:
        if feed not in self._writers:
            self._writers[feed] = self._task.writer(feed, fields)
        self._writers[feed].write(batch)
        while sum(writer.held_bytes for writer in self._writers.values()) >= _ROW_GROUP_BYTES:
            max(self._writers.values(), key=lambda writer: writer.held_bytes).flush()

    def keep(self) -> None:
        """The file is good: keep its rows."""
        for writer in self._writers.values():
            self._task.add(writer.close())
        for held in self._held:
            self._task.share(*held)
        self._held = []
        self._kept = True

    def __exit__(self, *_: object) -> None:
        """Delete what was written, unless it is kept."""
        if not self._kept:
            for writer in self._writers.values():
                writer.discard()
