"""One delivered file to Parquet parts, in a Spark task: find out what it is, decrypt, inflate, decode, parse, write.

Memory is bounded by a few chunks, one block of the parser and one row group, whatever the size of the file.
"""

from __future__ import annotations

import contextlib
import functools
import json
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import IO, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from jobs.runtime.errors import (
    KeyUnavailableError,
    ObjectChangedError,
    PipelineError,
    StorageError,
    describe,
)
from jobs.runtime.keys import key_unwrapper, read_secret
from jobs.runtime.manifest import Entry
from jobs.runtime.openpgp import PgpKey, decrypt_openpgp
from jobs.runtime.storage import ObjectInfo, Storage, open_storage
from schemas.connector import Connector
from transforms.streams.bad_file import BadFile
from transforms.streams.chunks import OpenChunks, peek
from transforms.streams.delimited import Batch, DelimitedText, RaggedRow, trimmed
from transforms.streams.fernet_envelope import decrypt_envelope
from transforms.streams.gzip_stream import gunzip
from transforms.streams.header import bind_header
from transforms.streams.sniff import SNIFF_SIZE, sniff
from transforms.streams.text_encoding import to_utf8

ROW_ID: Final = "row_id"
SOURCE_FILE: Final = "source_file"
SOURCE_ROW: Final = "source_row"
#: Names of the parts' columns that are about the row, not from it. No field of a table may bear one.
LINEAGE: Final = (ROW_ID, SOURCE_FILE, SOURCE_ROW)

#: A row id is the file's place in the manifest and the row's number: later files and rows have greater ids.
ROW_BITS: Final = 40

_PART_BYTES: Final = 128 << 20
_ROW_GROUP_BYTES: Final = 16 << 20
_REJECTS_HELD: Final = 100_000
_OUTCOME: Final = "outcome string"

#: The reason of a rejected row whose number of values is not the header's.
RAGGED: Final = "ragged_row"

_REJECTED_ROW: Final = pa.schema(
    [
        pa.field(SOURCE_FILE, pa.string()),
        pa.field(SOURCE_ROW, pa.int64()),
        pa.field("reason", pa.string()),
        pa.field("detail", pa.string()),
    ]
)


@dataclass(frozen=True)
class KeyReferences:
    """Where the keys are; see ``jobs.runtime.keys``. None of these is a secret."""

    envelope_key: str | None = None
    pgp_key: str | None = None
    pgp_passphrase: str | None = None


@dataclass(frozen=True)
class DecodePlan:
    """What every task needs to know: store, connector, keys, and the folders to write to."""

    root: str
    connector: Connector
    keys: KeyReferences
    landing: str
    raw: str
    rejects: str


@dataclass(frozen=True)
class Part:
    """A Parquet part below the store's root."""

    key: str
    rows: int
    size: int


@dataclass(frozen=True)
class FileOutcome:
    """What became of one file.

    ``reason`` is empty where it was decoded, else a key of ``bad_file.REASONS``. ``rows`` are those in the parts,
    ``ragged`` those in the rejects. ``filled`` counts the values of each field that are not empty. Sizes in bytes.
    """

    ordinal: int
    name: str
    size: int
    codec: str = ""
    reason: str = ""
    detail: str = ""
    rows: int = 0
    ragged: int = 0
    clear_size: int = 0
    seconds: float = 0.0
    parts: tuple[Part, ...] = ()
    filled: Mapping[str, int] | None = None
    ignored_columns: tuple[str, ...] = ()
    absent_fields: tuple[str, ...] = ()

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> FileOutcome:
        """Read back the form that ``dataclasses.asdict`` makes, also after it has been JSON."""
        changed = {name: tuple(document[name]) for name in ("ignored_columns", "absent_fields")}
        return cls(**{**document, **changed, "parts": tuple(Part(**part) for part in document["parts"])})


def decode_files(spark: SparkSession, plan: DecodePlan, entries: Sequence[Entry]) -> list[FileOutcome]:
    """Decode each file in a Spark task of its own, the largest first; return the outcomes in manifest order."""
    ordered = sorted(entries, key=lambda entry: -entry.size)

    def decode_partition(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            outcomes = [json.dumps(asdict(decode_file(plan, ordered[index]))) for index in batch.column(0).to_pylist()]
            yield pa.RecordBatch.from_pydict({"outcome": outcomes})

    tasks = spark.range(0, len(ordered), 1, numPartitions=max(1, len(ordered)))
    try:
        rows = tasks.mapInArrow(decode_partition, _OUTCOME).collect()  # a row a file
    except Exception as error:  # noqa: BLE001  Spark wraps whatever a task raised, message and all
        raise PipelineError(f"a task of decrypt failed: {describe(error)}; the executor's log has more") from None
    return sorted(
        (FileOutcome.from_document(json.loads(row.outcome)) for row in rows), key=lambda outcome: outcome.ordinal
    )


def decode_file(plan: DecodePlan, entry: Entry) -> FileOutcome:
    """Decode one file. A file that cannot be used is an outcome with a reason, and leaves no part behind."""
    storage = open_storage(plan.root)
    began = time.monotonic()
    with _Parts(storage, plan, entry) as parts:
        try:
            codec, absent, ignored, size = _decode(storage, plan, entry, parts)
        except BadFile as problem:
            return _bad(entry, problem)
        except KeyUnavailableError as error:
            return _bad(entry, BadFile("unreadable_object", str(error)))
        except StorageError:  # of what is written: no fault of the file, and Spark may try again
            raise
        except Exception as error:  # noqa: BLE001  its message may hold data; Spark may try the task again
            raise PipelineError(f"{entry.name}: {describe(error)}") from None
        parts.keep()
    return FileOutcome(
        entry.ordinal,
        entry.name,
        entry.size,
        codec,
        rows=parts.rows,
        ragged=parts.ragged,
        clear_size=size,
        seconds=round(time.monotonic() - began, 3),
        parts=tuple(parts.done),
        filled=parts.filled,
        ignored_columns=ignored,
        absent_fields=absent,
    )


def _bad(entry: Entry, problem: BadFile) -> FileOutcome:
    return FileOutcome(entry.ordinal, entry.name, entry.size, reason=problem.reason, detail=problem.detail)


def _decode(
    storage: Storage, plan: DecodePlan, entry: Entry, parts: _Parts
) -> tuple[str, tuple[str, ...], tuple[str, ...], int]:
    source = entry.object_at(plan.landing + entry.name)
    open_chunks = functools.partial(_chunks, storage, source)
    counted = _Counter()
    codec, clear = _clear_chunks(open_chunks, plan)
    text = DelimitedText(to_utf8(counted.count(clear)), plan.connector.format)
    binding = bind_header(text.header, plan.connector)
    for batch in text.batches(binding.columns):
        parts.write(batch)
    return codec, binding.absent, binding.ignored, counted.size


def _chunks(storage: Storage, source: ObjectInfo, offset: int) -> Iterator[bytes]:
    """Yield the object's bytes; what keeps it from being read is the file's fault, unlike trouble with our output."""
    try:
        yield from storage.chunks(source, offset)
    except ObjectChangedError:
        raise BadFile("changed_while_read", "the object is not the one in the manifest any more") from None
    except StorageError as error:
        raise BadFile("unreadable_object", str(error)) from None


class _Counter:
    def __init__(self) -> None:
        self.size = 0

    def count(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self.size += len(chunk)
            yield chunk


def _clear_chunks(open_chunks: OpenChunks, plan: DecodePlan) -> tuple[str, Iterator[bytes]]:
    """Take the layers off, told by content: encryption first, then gzip. Return the codec's name and the clear text."""
    head, _ = peek(open_chunks(0), SNIFF_SIZE)
    kind = sniff(head)
    codec = {"envelope": "envelope", "openpgp": "openpgp", "openpgp-armored": "openpgp"}.get(kind, "plain")
    if codec not in plan.connector.delivery.codecs:
        raise BadFile("unrecognised_content", f"is {codec}, which the connector's codecs do not list")
    if codec == "envelope":
        if plan.keys.envelope_key is None:
            raise BadFile("missing_key", "it is an envelope; give --envelope-key")
        clear = decrypt_envelope(open_chunks, key_unwrapper(plan.keys.envelope_key))
    elif codec == "openpgp":
        clear = decrypt_openpgp(open_chunks, _pgp_key(plan.keys))
    else:
        clear = open_chunks(0)
    head, clear = peek(clear, SNIFF_SIZE)
    layers = codec
    if sniff(head) == "gzip":
        head, clear = peek(gunzip(clear), SNIFF_SIZE)
        layers += "+gzip"
    if sniff(head) != "text":
        raise BadFile("unrecognised_content", f"inside its {layers} layer it is {sniff(head)}, not text")
    return layers, clear


def _pgp_key(references: KeyReferences) -> PgpKey:
    if references.pgp_key is None:
        raise BadFile("missing_key", "it is an OpenPGP message; give --pgp-key and --pgp-passphrase")
    passphrase = read_secret(references.pgp_passphrase) if references.pgp_passphrase else b""
    return PgpKey(read_secret(references.pgp_key), passphrase)


class _Parts(contextlib.AbstractContextManager["_Parts"]):
    """Writes batches as Parquet parts of about 128 MB, in small row groups, and ragged rows as rejects.

    Part names are new in every attempt at a task, and only the parts of its outcome are ever read. Without ``keep``
    everything that was written is deleted again.
    """

    def __init__(self, storage: Storage, plan: DecodePlan, entry: Entry) -> None:
        self._storage, self._plan, self._entry = storage, plan, entry
        self._token = f"{entry.ordinal:05d}-{secrets.token_hex(4)}"
        self._fields = plan.connector.fields
        self._schema = pa.schema(
            [
                pa.field(ROW_ID, pa.int64()),
                pa.field(SOURCE_FILE, pa.dictionary(pa.int32(), pa.string())),
                pa.field(SOURCE_ROW, pa.int64()),
                *(pa.field(name, pa.string()) for name in self._fields),
            ]
        )
        self._outputs = contextlib.ExitStack()
        self._sink: IO[bytes] | None = None
        self._writer: pq.ParquetWriter | None = None
        self._held: list[pa.RecordBatch] = []
        self._held_bytes = 0
        self._part_rows = 0
        self._rejects: list[str] = []
        self._rejected: list[RaggedRow] = []
        self._kept = False
        self.rows = 0
        self.ragged = 0
        self.filled: dict[str, int] = dict.fromkeys(self._fields, 0)
        self.done: list[Part] = []

    def write(self, batch: Batch) -> None:
        """Take the rows and the ragged rows of one parsed block."""
        if batch.ragged:
            self._reject(batch.ragged)
        if not batch.rows.num_rows:
            return
        held = self._with_lineage(batch)
        self._held.append(held)
        self._held_bytes += held.nbytes
        self.rows += held.num_rows
        if self._held_bytes >= _ROW_GROUP_BYTES:
            self._write_row_group()

    def keep(self) -> None:
        """Finish the last part and keep all of them."""
        self._write_rejects()
        self._write_row_group()
        self._close_part()
        self._kept = True

    def __exit__(self, *_: object) -> None:
        """Delete what was written, unless it is to be kept."""
        if self._kept:
            return
        with contextlib.suppress(Exception):
            if self._writer is not None:
                self._writer.close()  # else it would try when it is collected, on an output that is closed
        with contextlib.suppress(Exception):
            # An error ends an output without making it visible.
            self._outputs.__exit__(PipelineError, PipelineError("not kept"), None)
        for key in [*(part.key for part in self.done), *self._rejects]:
            self._storage.delete_prefix(key)

    def _with_lineage(self, batch: Batch) -> pa.RecordBatch:
        count = batch.rows.num_rows
        row_ids = pc.add(batch.numbers, pa.scalar(self._entry.ordinal << ROW_BITS, pa.int64()))
        names = pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), count), pa.array([self._entry.name]))
        present = set(batch.rows.schema.names)
        values = []
        for name in self._fields:
            if name not in present:
                values.append(pa.nulls(count, pa.string()))
                continue
            column = trimmed(batch.rows.column(name))
            values.append(column)
            self.filled[name] += pc.sum(pc.greater(pc.binary_length(column), 0)).as_py() or 0
        return pa.RecordBatch.from_arrays([row_ids, names, batch.numbers, *values], schema=self._schema)

    def _write_row_group(self) -> None:
        if not self._held:
            return
        if self._writer is None:
            key = f"{self._plan.raw}part-{self._token}-{len(self.done):04d}.parquet"
            self._outputs = contextlib.ExitStack()
            self._sink = self._outputs.enter_context(self._storage.open_output(key))
            self._writer = pq.ParquetWriter(
                self._sink, self._schema, compression="snappy", use_dictionary=[SOURCE_FILE]
            )
            self._part_key = key
        table = pa.Table.from_batches(self._held, self._schema)
        self._held, self._held_bytes = [], 0
        self._writer.write_table(table, row_group_size=table.num_rows)
        self._part_rows += table.num_rows
        if self._sink is not None and self._sink.tell() >= _PART_BYTES:
            self._close_part()

    def _close_part(self) -> None:
        if self._writer is None or self._sink is None:
            return
        self._writer.close()
        size = self._sink.tell()
        self._outputs.close()
        self.done.append(Part(self._part_key, self._part_rows, size))
        self._writer, self._sink, self._part_rows = None, None, 0

    def _reject(self, ragged: tuple[RaggedRow, ...]) -> None:
        self.ragged += len(ragged)
        self._rejected.extend(ragged)
        if len(self._rejected) >= _REJECTS_HELD:
            self._write_rejects()

    def _write_rejects(self) -> None:
        if not self._rejected:
            return
        ragged, self._rejected = self._rejected, []
        key = f"{self._plan.rejects}ragged-{self._token}-{len(self._rejects):04d}.parquet"
        table = pa.Table.from_pydict(
            {
                SOURCE_FILE: [self._entry.name] * len(ragged),
                SOURCE_ROW: [row.number for row in ragged],
                "reason": [RAGGED] * len(ragged),
                "detail": [f"{row.actual} values where the header has {row.expected}" for row in ragged],
            },
            schema=_REJECTED_ROW,
        )
        with self._storage.open_output(key) as sink:
            pq.write_table(table, sink, compression="snappy")
        self._rejects.append(key)
