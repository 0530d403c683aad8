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
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import SparkSession

from jobs.runtime.content import ARCHIVES, ENCRYPTIONS, Content, content_of
from jobs.runtime.errors import (
    ArgumentError,
    KeyUnavailableError,
    ObjectChangedError,
    PipelineError,
    StorageError,
    describe,
)
from jobs.runtime.keys import (
    check_key_reference,
    check_secret_reference,
    key_unwrapper,
    read_secret,
    references_in,
)
from jobs.runtime.manifest import Entry
from jobs.runtime.objects import ObjectInfo
from jobs.runtime.openpgp import PgpKey, decrypt_with_any
from jobs.runtime.parts import FileParts, Part, TaskParts
from jobs.runtime.refused_rows import FileRefusedRows, TaskRefusedRows
from jobs.runtime.storage import Storage, open_storage
from schemas.connector import Connector
from schemas.feed import Feed
from transforms.rows import LINEAGE, ROW_BITS, ROW_ID, SOURCE_FILE, SOURCE_ROW, file_id_of
from transforms.streams.archive_member import Member
from transforms.streams.avro_records import AvroRecords
from transforms.streams.bad_file import BadFile
from transforms.streams.chunks import OpenChunks, peek
from transforms.streams.delimited import DelimitedRecords, trimmed
from transforms.streams.fernet_envelope import decrypt_envelope
from transforms.streams.header import names_to_tell, source_names
from transforms.streams.json_records import JsonRecords
from transforms.streams.parquet_records import ParquetRecords
from transforms.streams.records import Batch, Records, RefusedRow, SourceNames
from transforms.streams.sniff import SNIFF_SIZE
from transforms.streams.tar_archive import tar_members
from transforms.streams.text_encoding import to_utf8
from transforms.streams.zip_archive import zip_members

_TASK_BYTES: Final = 32 << 20  # of small files in one task
_TASK_FILES: Final = 2000
_OUTCOME: Final = "outcome string"


@dataclass(frozen=True)
class KeyReferences:
    """Where the keys are; see ``jobs.runtime.keys``. None of these is a secret.

    Each may be several, parted by commas: keys are tried in turn; there is one passphrase for all, or one for each.
    Raises KeyUnavailableError for what has not the form of a reference, ArgumentError where passphrases do not go with
    the keys.
    """

    envelope_key: str | None = None
    pgp_key: str | None = None
    pgp_passphrase: str | None = None

    def __post_init__(self) -> None:
        """See that each is a reference: a key by itself would stand in every task."""
        for reference in references_in(self.envelope_key) if self.envelope_key is not None else ():
            check_key_reference(reference)
        for option, text in (("--pgp-key", self.pgp_key), ("--pgp-passphrase", self.pgp_passphrase)):
            for reference in references_in(text) if text is not None else ():
                check_secret_reference(reference, option)
        self._pairs()

    def pgp_keys(self) -> Iterator[PgpKey]:
        """Yield the OpenPGP keys in their order. Each is read when it is asked for."""
        for key, passphrase in self._pairs():
            yield PgpKey(read_secret(key), read_secret(passphrase) if passphrase else b"")

    def _pairs(self) -> Sequence[tuple[str, str]]:
        keys = references_in(self.pgp_key) if self.pgp_key else ()
        passphrases = references_in(self.pgp_passphrase) if self.pgp_passphrase else ("",)
        if len(passphrases) not in (1, len(keys)):
            raise ArgumentError(
                f"--pgp-passphrase: give one for all {len(keys)} keys of --pgp-key, or one for each, in their order; "
                f"there are {len(passphrases)}"
            )
        return list(zip(keys, itertools.cycle(passphrases), strict=False))


@dataclass(frozen=True)
class DecodePlan:
    """What every task needs to know: store, connector, keys, the prefix to read from and those to write to.

    ``with_extras`` names the feeds whose tables take whatever columns come.
    """

    root: str
    connector: Connector
    keys: KeyReferences
    source: str
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
    def file_id(self) -> int:
        """What the ids of its rows have in common."""
        return file_id_of(self.ordinal, self.member)

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
    """What became of all files of a run, in manifest order, the parts that hold their rows, and the objects of rejects.

    What a task has written that died before it could tell is in neither.
    """

    files: tuple[FileOutcome, ...]
    parts: tuple[Part, ...]
    refused: tuple[str, ...] = ()

    def to_document(self) -> dict[str, Any]:
        """Return a form that can become JSON."""
        return {
            "files": [asdict(each) for each in self.files],
            "parts": [asdict(each) for each in self.parts],
            "refused": list(self.refused),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Decoded:
        """Read that form back."""
        return cls(
            tuple(FileOutcome.from_document(each) for each in document["files"]),
            tuple(Part(**{**each, "extras": tuple(each["extras"])}) for each in document["parts"]),
            tuple(document.get("refused", ())),
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
    files = sorted((each for task in done for each in task.files), key=lambda each: each.file_id)
    parts = tuple(part for task in done for part in task.parts)
    return Decoded(tuple(files), parts, tuple(key for task in done for key in task.refused))


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
    with TaskParts(storage, plan.raw) as task, TaskRefusedRows(storage, plan.rejects) as rejects:
        files = [outcome for entry in entries for outcome in _decode_file(storage, plan, entry, task, rejects)]
        rejects.finish()
        return Decoded(tuple(files), tuple(task.close()), rejects.keys)


def _decode_file(
    storage: Storage, plan: DecodePlan, entry: Entry, task: TaskParts, rejects: TaskRefusedRows
) -> list[FileOutcome]:
    """Decode one file. A file that cannot be used is an outcome with a reason, and leaves no row behind."""
    began = time.monotonic()
    with FileParts(task) as parts, FileRefusedRows(rejects) as refused:
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


class _File:
    """One delivered file on its way through its layers. After ``decode`` it has its outcomes."""

    def __init__(
        self, storage: Storage, plan: DecodePlan, entry: Entry, parts: FileParts, refused: FileRefusedRows
    ) -> None:
        self._storage, self._plan, self._entry, self._parts, self._refused = storage, plan, entry, parts, refused
        self.outcomes: list[FileOutcome] = []

    def decode(self) -> None:
        """Take the layers off and read the rows. Raises BadFile."""
        content = self._clear_content()
        if content.kind in ARCHIVES:
            self._decode_archive(content)
            return
        feed = self._plan.connector.feed_of(self._entry.name)
        if feed is None:
            raise BadFile("unknown_name", "its name fits none of the connector's feeds")
        self._decode_records(feed, self._entry.name, 0, content)

    def _clear_content(self) -> Content:
        """Take encryption and compression off, told by content."""
        source = self._entry.object_at(self._plan.source + self._entry.name)
        open_chunks = functools.partial(_chunks, self._storage, source)
        content = content_of(open_chunks(0), size=self._entry.size, open_chunks=open_chunks)
        content.layers = codec = ENCRYPTIONS.get(content.kind, "plain")
        if codec not in self._plan.connector.delivery.codecs:
            raise BadFile("unrecognised_content", f"is {codec}, which the connector's codecs do not list")
        if codec != "plain":
            content = content_of(self._decrypted(codec, open_chunks), codec)
        return self._accepted(content.inflated())

    def _decrypted(self, codec: str, open_chunks: OpenChunks) -> Iterator[bytes]:
        keys = self._plan.keys
        if codec == "envelope":
            if keys.envelope_key is None:
                raise BadFile("missing_key", "it is an envelope; give --envelope-key")
            return decrypt_envelope(open_chunks, key_unwrapper(keys.envelope_key))
        if keys.pgp_key is None:
            raise BadFile("missing_key", "it is an OpenPGP message; give --pgp-key and --pgp-passphrase")
        return decrypt_with_any(open_chunks, keys.pgp_keys())

    def _accepted(self, content: Content) -> Content:
        if content.kind in ENCRYPTIONS or content.kind == "gzip":
            raise BadFile("unrecognised_content", f"inside its {content.layers} layer it is {content.kind}")
        if content.kind in ARCHIVES and content.kind not in self._plan.connector.delivery.archives:
            raise BadFile(
                "unrecognised_content", f"is a {content.kind} archive, which the connector's archives do not list"
            )
        return content

    def _decode_archive(self, content: Content) -> None:
        limits = self._plan.connector.delivery.archive_limits
        if content.kind == "tar":
            self._decode_members(tar_members(content.chunks, limits), f"{content.layers}+tar")
            return
        with content.seekable() as file:
            self._decode_members(zip_members(file, limits), f"{content.layers}+zip")

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
                self._decode_records(feed, name, number, self._accepted(_inside(member, layers)))
            except BadFile as problem:
                raise BadFile(problem.reason, f"member {number}, {member.name!r}: {problem.detail}") from None
        if not self.outcomes:
            raise BadFile("empty_archive", "it has no file but ignored ones")

    def _decode_records(self, feed: Feed, name: str, member: int, content: Content) -> None:
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
                ignored_columns=names_to_tell(binding.ignored),
                absent_fields=binding.absent,
            )
        )


def _inside(member: Member, layers: str) -> Content:
    content = content_of(member.chunks, layers).inflated()
    if content.kind in ARCHIVES:
        raise BadFile("nested_archive", f"it is a {content.kind} archive itself")
    return content


@contextlib.contextmanager
def _records(content: Content, feed: Feed, name: str, *, extras: bool) -> Iterator[Records]:
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


def _text_records(content: Content, feed: Feed, names: SourceNames, name: str) -> Records:
    types = feed.format.types
    text = to_utf8(content.chunks, feed.format.encoding)
    if "json" in types:
        head, text = peek(text, SNIFF_SIZE)
        if head.lstrip()[:1] in (b"{", b"[") or "delimited" not in types:
            content.layers += "+json"
            return JsonRecords(text, names)
    if "delimited" not in types:
        raise BadFile("unrecognised_content", f"is text, and the connector's format.types are {', '.join(types)}")
    return DelimitedRecords(text, feed.format.for_file(name), names)


class _Rows:
    """Adds to rows where they come from, and counts them."""

    def __init__(self, ordinal: int, member: int, name: str, feed: Feed) -> None:
        self._first_id = file_id_of(ordinal, member) << ROW_BITS
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
