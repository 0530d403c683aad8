"""Delivered files to Parquet parts, in Spark tasks: find out what each is, decrypt, unpack, decode, parse, write.

Memory is bounded by a few chunks, one block of the parser and one row group, whatever the size of a file. Small files
share a task and its parts; a file that turns out bad leaves none.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import itertools
import json
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import IO, Any, Final, Self

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
from jobs.runtime.parts import FileParts, Part, TaskParts
from jobs.runtime.ranged import open_ranged
from jobs.runtime.scratch import SealedScratch
from jobs.runtime.storage import ObjectInfo, Storage, open_storage
from schemas.connector import Connector
from schemas.feed import Feed
from transforms.rows import LINEAGE, ROW_BITS, ROW_ID, SOURCE_FILE, SOURCE_ROW, unit_of
from transforms.streams.archive import ArchiveLimits, Member, tar_members, zip_members
from transforms.streams.avro_records import AvroRecords
from transforms.streams.bad_file import BadFile
from transforms.streams.chunks import OpenChunks, peek
from transforms.streams.delimited import DelimitedRecords, trimmed
from transforms.streams.fernet_envelope import decrypt_envelope
from transforms.streams.gzip_stream import gunzip
from transforms.streams.header import source_names
from transforms.streams.json_records import JsonRecords
from transforms.streams.parquet_records import ParquetRecords
from transforms.streams.records import Batch, Records, RefusedRow, SourceNames
from transforms.streams.sniff import SNIFF_SIZE, Kind, sniff
from transforms.streams.text_encoding import to_utf8

_TASK_BYTES: Final = 32 << 20  # of small files in one task
_TASK_FILES: Final = 2000
_REJECTS_HELD: Final = 100_000
_OUTCOME: Final = "outcome string"
_ENCRYPTIONS: Final = {"envelope": "envelope", "openpgp": "openpgp", "openpgp-armored": "openpgp"}

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
    """What every task needs to know: store, connector, keys, and the folders to write to.

    ``with_extras`` names the feeds whose tables take whatever columns come.
    """

    root: str
    connector: Connector
    keys: KeyReferences
    landing: str
    raw: str
    rejects: str
    with_extras: tuple[str, ...] = ()


@dataclass(frozen=True)
class FileOutcome:
    """What became of one file, or of one member of an archive (``name`` is then ``archive!member``).

    ``reason`` is empty where it was decoded, else a key of ``bad_file.REASONS``. ``rows`` are those in the parts,
    ``refused`` counts those in the rejects by reason. ``filled`` counts the values of each field that are not empty.
    Sizes in bytes.
    """

    ordinal: int
    name: str
    size: int
    member: int = 0
    feed: str = ""
    codec: str = ""
    reason: str = ""
    detail: str = ""
    rows: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)
    clear_size: int = 0
    seconds: float = 0.0
    filled: Mapping[str, int] = field(default_factory=dict)
    ignored_columns: tuple[str, ...] = ()
    absent_fields: tuple[str, ...] = ()

    @property
    def unit(self) -> int:
        """What the ids of its rows have in common."""
        return unit_of(self.ordinal, self.member)

    @property
    def delivered_rows(self) -> int:
        """The rows that came, those in the rejects included."""
        return self.rows + sum(self.refused.values())

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> FileOutcome:
        """Read back the form that ``dataclasses.asdict`` makes, also after it has been JSON."""
        changed = {name: tuple(document[name]) for name in ("ignored_columns", "absent_fields")}
        return cls(**{**document, **changed})


@dataclass(frozen=True)
class Decoded:
    """What became of all files of a run, in manifest order, and the parts that hold their rows."""

    files: tuple[FileOutcome, ...]
    parts: tuple[Part, ...]

    def to_document(self) -> dict[str, Any]:
        """Return a form that can become JSON."""
        return {"files": [asdict(each) for each in self.files], "parts": [asdict(each) for each in self.parts]}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Decoded:
        """Read that form back."""
        return cls(
            tuple(FileOutcome.from_document(each) for each in document["files"]),
            tuple(Part(**{**each, "extras": tuple(each["extras"])}) for each in document["parts"]),
        )


def decode_files(spark: SparkSession, plan: DecodePlan, entries: Sequence[Entry]) -> Decoded:
    """Decode the files: a large one in a Spark task of its own, small ones many to a task, the largest first."""
    tasks = share_out(entries, spark.sparkContext.defaultParallelism)

    def decode_partition(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        gc.freeze()  # else every collection walks all modules, which costs nested records 40 % of their time
        for batch in batches:
            outcomes = [json.dumps(decode_task(plan, tasks[index]).to_document()) for index in _indexes(batch)]
            yield pa.RecordBatch.from_pydict({"outcome": outcomes})

    if not tasks:
        return Decoded((), ())
    numbers = spark.range(0, len(tasks), 1, numPartitions=len(tasks))
    try:
        rows = numbers.mapInArrow(decode_partition, _OUTCOME).collect()  # a row a task
    except Exception as error:  # noqa: BLE001  Spark wraps whatever a task raised, message and all
        raise PipelineError(f"a task of decrypt failed: {describe(error)}; the executor's log has more") from None
    done = [Decoded.from_document(json.loads(row.outcome)) for row in rows]
    files = sorted((each for task in done for each in task.files), key=lambda each: each.unit)
    return Decoded(tuple(files), tuple(part for task in done for part in task.parts))


def _indexes(batch: pa.RecordBatch) -> list[int]:
    indexes: list[int] = batch.column(0).to_pylist()
    return indexes


def share_out(entries: Sequence[Entry], parallelism: int) -> list[list[Entry]]:
    """Share files out to tasks: largest first, small ones together, but no fewer tasks than can run at once."""
    total = sum(entry.size for entry in entries)
    most = min(_TASK_BYTES, max(1, total // max(1, parallelism)))
    tasks: list[list[Entry]] = []
    size = 0
    for entry in sorted(entries, key=lambda entry: -entry.size):
        if not tasks or size + entry.size > most or len(tasks[-1]) >= _TASK_FILES:
            tasks.append([])
            size = 0
        tasks[-1].append(entry)
        size += entry.size
    return tasks


def decode_task(plan: DecodePlan, entries: Sequence[Entry]) -> Decoded:
    """Decode the files of one task, one after the other."""
    storage = open_storage(plan.root)
    with TaskParts(storage, plan.raw) as task, _Rejects(storage, plan) as rejects:
        files = [outcome for entry in entries for outcome in _decode_file(storage, plan, entry, task, rejects)]
        rejects.finish()
        return Decoded(tuple(files), tuple(task.close()))


def _decode_file(
    storage: Storage, plan: DecodePlan, entry: Entry, task: TaskParts, rejects: _Rejects
) -> list[FileOutcome]:
    """Decode one file. A file that cannot be used is an outcome with a reason, and leaves no row behind."""
    began = time.monotonic()
    with FileParts(task) as parts, _RejectsOfFile(rejects) as refused:
        file = _File(storage, plan, entry, parts, refused)
        try:
            file.decode()
        except BadFile as problem:
            return [_bad(entry, problem)]
        except KeyUnavailableError as error:
            return [_bad(entry, BadFile("unreadable_object", str(error)))]
        except StorageError:  # of what is written: no fault of the file, and Spark may try again
            raise
        except Exception as error:  # noqa: BLE001  its message may hold data; Spark may try the task again
            raise PipelineError(f"{entry.name}: {describe(error)}") from None
        parts.keep()
        refused.keep()
    seconds = round(time.monotonic() - began, 3)
    return [replace(outcome, seconds=seconds) for outcome in file.outcomes]


def _bad(entry: Entry, problem: BadFile) -> FileOutcome:
    return FileOutcome(entry.ordinal, entry.name, entry.size, reason=problem.reason, detail=problem.detail)


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


@dataclass
class _Content:
    """Bytes of a file at some layer. ``open_chunks`` is there where they can be read again from any offset."""

    kind: Kind
    chunks: Iterator[bytes]
    layers: str
    size: int = 0
    open_chunks: OpenChunks | None = None

    @contextlib.contextmanager
    def seekable(self) -> Iterator[IO[bytes]]:
        """Open a file to jump around in: the object itself, or a sealed copy of what is inside its layers."""
        if self.open_chunks is not None:
            with open_ranged(self.open_chunks, self.size) as file:
                yield file
            return
        with contextlib.closing(SealedScratch()) as scratch:
            for chunk in self.chunks:
                scratch.write(chunk)
            with scratch.open() as file:
                yield file


class _File:
    """One delivered file on its way through its layers. After ``decode`` it has its outcomes."""

    def __init__(
        self, storage: Storage, plan: DecodePlan, entry: Entry, parts: FileParts, refused: _RejectsOfFile
    ) -> None:
        self._storage, self._plan, self._entry, self._parts, self._refused = storage, plan, entry, parts, refused
        self.outcomes: list[FileOutcome] = []

    def decode(self) -> None:
        """Take the layers off and read the rows. Raises BadFile."""
        content = self._clear_content()
        if content.kind in ("zip", "tar"):
            self._decode_archive(content)
            return
        feed = self._plan.connector.feed_of(self._entry.name)
        if feed is None:
            raise BadFile("unknown_name", "its name fits none of the connector's feeds")
        self._decode_records(feed, self._entry.name, 0, content)

    def _clear_content(self) -> _Content:
        """Take encryption and compression off, told by content."""
        source = self._entry.object_at(self._plan.landing + self._entry.name)
        open_chunks = functools.partial(_chunks, self._storage, source)
        head, chunks = peek(open_chunks(0), SNIFF_SIZE)
        kind = sniff(head)
        codec = _ENCRYPTIONS.get(kind, "plain")
        if codec not in self._plan.connector.delivery.codecs:
            raise BadFile("unrecognised_content", f"is {codec}, which the connector's codecs do not list")
        content = _Content(kind, chunks, codec, self._entry.size, open_chunks)
        if codec != "plain":
            clear = self._decrypted(codec, open_chunks)
            head, chunks = peek(clear, SNIFF_SIZE)
            content = _Content(sniff(head), chunks, codec)
        return self._accepted(_inflated(content))

    def _decrypted(self, codec: str, open_chunks: OpenChunks) -> Iterator[bytes]:
        keys = self._plan.keys
        if codec == "envelope":
            if keys.envelope_key is None:
                raise BadFile("missing_key", "it is an envelope; give --envelope-key")
            return decrypt_envelope(open_chunks, key_unwrapper(keys.envelope_key))
        if keys.pgp_key is None:
            raise BadFile("missing_key", "it is an OpenPGP message; give --pgp-key and --pgp-passphrase")
        passphrase = read_secret(keys.pgp_passphrase) if keys.pgp_passphrase else b""
        return decrypt_openpgp(open_chunks, PgpKey(read_secret(keys.pgp_key), passphrase))

    def _accepted(self, content: _Content) -> _Content:
        if content.kind in _ENCRYPTIONS or content.kind == "gzip":
            raise BadFile("unrecognised_content", f"inside its {content.layers} layer it is {content.kind}")
        if content.kind in ("zip", "tar") and content.kind not in self._plan.connector.delivery.archives:
            raise BadFile(
                "unrecognised_content", f"is a {content.kind} archive, which the connector's archives do not list"
            )
        return content

    def _decode_archive(self, content: _Content) -> None:
        limits = self._plan.connector.delivery.archive_limits
        most = ArchiveLimits(limits.members, limits.clear_bytes, limits.ratio)
        if content.kind == "tar":
            self._decode_members(tar_members(content.chunks, most), f"{content.layers}+tar")
            return
        with content.seekable() as file:
            self._decode_members(zip_members(file, most), f"{content.layers}+zip")

    def _decode_members(self, members: Iterator[Member], layers: str) -> None:
        for number, member in enumerate(members, 1):
            name = f"{self._entry.name}!{member.name}"
            if self._plan.connector.delivery.ignores(member.name):
                continue
            feed = self._plan.connector.feed_of(member.name)
            if feed is None:
                self.outcomes.append(
                    FileOutcome(
                        self._entry.ordinal,
                        name,
                        member.size,
                        number,
                        reason="unknown_member",
                        detail="its name fits none of the connector's feeds",
                    )
                )
                continue
            try:
                self._decode_records(feed, name, number, self._accepted(_content_of(member, layers)))
            except BadFile as problem:
                raise BadFile(problem.reason, f"member {number}, {member.name!r}: {problem.detail}") from None
        if not self.outcomes:
            raise BadFile("empty_archive", "it has no file but ignored ones")

    def _decode_records(self, feed: Feed, name: str, member: int, content: _Content) -> None:
        counted = _Counter()
        content.chunks = counted.count(content.chunks)
        rows = _Rows(self._entry.ordinal, member, name, feed)
        with _records(content, feed, name, extras=feed.name in self._plan.with_extras) as records:
            for batch in records.batches():
                self._refused.take(name, batch.refused)
                if batch.rows.num_rows:
                    self._parts.write(feed.name, (*LINEAGE, *feed.fields), rows.with_lineage(batch))
                rows.count_refused(batch.refused)
            binding = records.binding
        self.outcomes.append(
            FileOutcome(
                self._entry.ordinal,
                name,
                self._entry.size if member == 0 else counted.size,
                member,
                feed.name,
                content.layers,
                rows=rows.count,
                refused=rows.refused,
                clear_size=counted.size or content.size,
                filled=rows.filled,
                ignored_columns=binding.ignored,
                absent_fields=binding.absent,
            )
        )


def _content_of(member: Member, layers: str) -> _Content:
    head, chunks = peek(member.chunks, SNIFF_SIZE)
    content = _inflated(_Content(sniff(head), chunks, layers))
    if content.kind in ("zip", "tar"):
        raise BadFile("nested_archive", f"it is a {content.kind} archive itself")
    return content


def _inflated(content: _Content) -> _Content:
    if content.kind != "gzip":
        return content
    head, chunks = peek(gunzip(content.chunks), SNIFF_SIZE)
    return _Content(sniff(head), chunks, f"{content.layers}+gzip")


@contextlib.contextmanager
def _records(content: _Content, feed: Feed, name: str, *, extras: bool) -> Iterator[Records]:
    """Open the reader for what the content is."""
    names = source_names(feed, extras=extras)
    types = feed.format.types
    if content.kind in ("parquet", "avro"):
        if content.kind not in types:
            raise BadFile("unrecognised_content", f"is {content.kind}, which the connector's format.types do not list")
        content.layers += f"+{content.kind}"
        if content.kind == "avro":
            yield AvroRecords(content.chunks, names)
        else:
            with content.seekable() as file:
                yield ParquetRecords(file, names)
        return
    yield _text_records(content, feed, names, name)


def _text_records(content: _Content, feed: Feed, names: SourceNames, name: str) -> Records:
    types = feed.format.types
    text = to_utf8(content.chunks, feed.format.encoding)
    if "json" in types:
        head, text = _first_signs(text)
        if head[:1] in (b"{", b"[") or "delimited" not in types:
            content.layers += "+json"
            return JsonRecords(text, names)
    if "delimited" not in types:
        raise BadFile("unrecognised_content", f"is text, and the connector's format.types are {', '.join(types)}")
    return DelimitedRecords(text, feed.format.for_file(name), names)


def _first_signs(chunks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Return the first characters that are no blanks, and the whole text again."""
    head, chunks = peek(chunks, SNIFF_SIZE)
    return head.lstrip(), chunks


class _Rows:
    """Adds to rows where they come from, and counts them."""

    def __init__(self, ordinal: int, member: int, name: str, feed: Feed) -> None:
        self._first_id = unit_of(ordinal, member) << ROW_BITS
        self._name = name
        self._fields = feed.fields
        self.count = 0
        self.refused: dict[str, int] = {}
        self.filled: dict[str, int] = dict.fromkeys(feed.fields, 0)

    def with_lineage(self, batch: Batch) -> pa.RecordBatch:
        """Return the rows with their ids, the file's name and their numbers, every field, and the extras."""
        count = batch.rows.num_rows
        row_ids = pc.add(batch.numbers, pa.scalar(self._first_id, pa.int64()))
        names = pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), count), pa.array([self._name]))
        present = batch.rows.schema.names
        columns: dict[str, pa.Array] = {ROW_ID: row_ids, SOURCE_FILE: names, SOURCE_ROW: batch.numbers}
        for name in itertools.chain(self._fields, (name for name in present if name not in self.filled)):
            columns[name] = trimmed(batch.rows.column(name)) if name in present else pa.nulls(count, pa.string())
        for name in self._fields:
            self.filled[name] += pc.sum(pc.greater(pc.binary_length(columns[name]), 0)).as_py() or 0
        self.count += count
        return pa.RecordBatch.from_pydict(columns)

    def count_refused(self, refused: Iterable[RefusedRow]) -> None:
        for row in refused:
            self.refused[row.reason] = self.refused.get(row.reason, 0) + 1


class _Rejects:
    """Writes refused rows to the rejects: where they are, never what they hold. An error in the task leaves none."""

    def __init__(self, storage: Storage, plan: DecodePlan) -> None:
        self._storage, self._folder = storage, plan.rejects
        self._token = secrets.token_hex(6)
        self._held: list[tuple[str, RefusedRow]] = []
        self._number = itertools.count()
        self._keys: list[str] = []

    def __enter__(self) -> Self:
        return self

    def add(self, rows: list[tuple[str, RefusedRow]]) -> None:
        """Take the refused rows of a small file, to be written with those of others."""
        self._held.extend(rows)
        if len(self._held) >= _REJECTS_HELD:
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
                "reason": [row.reason for _, row in rows],
                "detail": [row.detail for _, row in rows],
            },
            schema=_REJECTED_ROW,
        )
        with self._storage.open_output(key) as sink:
            pq.write_table(table, sink, compression="snappy")
        self._keys.append(key)
        return key

    def remove(self, key: str) -> None:
        """Delete an object that ``write`` has made."""
        self._storage.delete_prefix(key)

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            for key in self._keys:
                self.remove(key)


class _RejectsOfFile:
    """The refused rows of one file. Only ``keep`` lets them out; memory holds a bounded number."""

    def __init__(self, rejects: _Rejects) -> None:
        self._rejects = rejects
        self._held: list[tuple[str, RefusedRow]] = []
        self._keys: list[str] = []
        self._kept = False

    def __enter__(self) -> Self:
        return self

    def take(self, name: str, rows: Iterable[RefusedRow]) -> None:
        """Take refused rows of the file, or of its member, called ``name``."""
        self._held.extend((name, row) for row in rows)
        if len(self._held) >= _REJECTS_HELD:
            self._keys.append(self._rejects.write(self._held))
            self._held = []

    def keep(self) -> None:
        """The file is good: keep its refused rows."""
        self._rejects.add(self._held)
        self._kept = True

    def __exit__(self, *_: object) -> None:
        if not self._kept:
            for key in self._keys:
                self._rejects.remove(key)
