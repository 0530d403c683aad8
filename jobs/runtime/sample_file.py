"""The first rows of a sample file, whatever it is written and packed in, without reading all of it."""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from jobs.runtime.content import ARCHIVES, ENCRYPTIONS, Content, content_of
from jobs.runtime.errors import ArgumentError
from jobs.runtime.storage import open_storage
from schemas.delivery import ArchiveLimits
from schemas.file_format import Format
from schemas.names import normalize_header
from schemas.value_path import path_problem
from transforms.guessing.header_row import HeaderRow, guess_header_row
from transforms.guessing.layout import Layout, guess_layout
from transforms.guessing.text_code import TextCode, guess_text_code
from transforms.guessing.value_shapes import hides_email
from transforms.streams.archive_member import Member
from transforms.streams.avro_records import AvroRecords
from transforms.streams.bad_file import REASONS, BadFile
from transforms.streams.chunks import peek
from transforms.streams.delimited import DelimitedText
from transforms.streams.json_records import JsonRecords
from transforms.streams.parquet_records import ParquetRecords
from transforms.streams.records import Records, SourceNames
from transforms.streams.sniff import SNIFF_SIZE
from transforms.streams.tar_archive import tar_members
from transforms.streams.text_encoding import to_utf8
from transforms.streams.zip_archive import zip_members

#: Bytes that are looked at: of text, before it is split into rows.
SAMPLE_BYTES: Final = 1 << 20
_LIMITS: Final = ArchiveLimits(members=4095, clear_bytes=1 << 40, ratio=10_000)
_CALLED: Final = {"envelope": "an envelope", "openpgp": "OpenPGP"}
_JSON: Final = re.compile(r"\s*(?:\{|\[\s*[{\]])")
_KEY_OF_DATA: Final = re.compile(r"\+?[\d -]{4,}|[0-9a-fA-F-]{16,}")
_NOT_DATA: Final = re.compile(
    r"(?:^|/)(?:__MACOSX/|\.|_|thumbs\.db|read.?me|manifest|licen[cs]e)|\.(?:pdf|docx?|html?|md|xml|xsd|sql|png|jpe?g|"
    r"done|ok|md5|sha256|ctl|log)$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Sample:
    """The first rows of a file.

    ``type`` is a file type of the vocabulary, ``names`` are the columns' own names, or made-up ones where ``named`` is
    false. ``text_code``, ``layout`` and ``header`` are there for text, as far as it has them. ``archive`` is the kind
    of archive around the file, empty without one. ``left_out`` counts columns whose names no connector can or may have.
    """

    type: str
    names: tuple[str, ...]
    rows: tuple[tuple[str | None, ...], ...]
    named: bool = True
    text_code: TextCode | None = None
    layout: Layout | None = None
    header: HeaderRow | None = None
    archive: str = ""
    left_out: int = 0


def read_sample(uri: str, rows: int, *, header: bool | None = None) -> Sample:
    """Return the first ``rows`` rows of the file at ``uri``.

    ``header`` says whether text has a row of names, None to find out. Raises ArgumentError where the file is encrypted,
    empty, or nothing that is read here; StorageError where it cannot be read. No message holds a value.
    """
    try:
        with contextlib.ExitStack() as stack:
            content = _opened(uri, stack).inflated()
            if content.kind in ENCRYPTIONS:
                raise ArgumentError(
                    f"{uri} is encrypted ({_CALLED[ENCRYPTIONS[content.kind]]}); a clear sample is needed: "
                    "decrypt some rows where that is allowed, or write a few made-up ones in the same form"
                )
            if content.kind in ARCHIVES:
                kind = content.kind
                return replace(_sample(_member(content, stack), stack, rows, header=header), archive=kind)
            return _sample(content, stack, rows, header=header)
    except BadFile as problem:
        raise ArgumentError(f"{uri}: {problem.detail} ({REASONS[problem.reason].partition(';')[0]})") from None


def _opened(uri: str, stack: contextlib.ExitStack) -> Content:
    folder, _, name = uri.rpartition("/")
    storage = open_storage(f"{folder}/")
    found = storage.find(name)
    if found is None:
        raise ArgumentError(f"there is no file {uri}")
    open_chunks = functools.partial(storage.chunks, found)
    chunks = open_chunks(0)
    stack.callback(getattr(chunks, "close", lambda: None))
    return content_of(chunks, size=found.size, open_chunks=open_chunks)


def _member(content: Content, stack: contextlib.ExitStack) -> Content:
    """Return the first member of an archive that can be data."""
    members = (
        tar_members(content.chunks, _LIMITS)
        if content.kind == "tar"
        else zip_members(stack.enter_context(content.seekable()), _LIMITS)
    )
    stack.callback(getattr(members, "close", lambda: None))
    for member in members:
        found = _data_of(member)
        if found is not None:
            return found
    raise ArgumentError(f"the {content.kind} archive has no member that is text, Parquet or Avro")


def _data_of(member: Member) -> Content | None:
    if _NOT_DATA.search(member.name):
        return None
    try:
        content = content_of(member.chunks).inflated()
    except BadFile as problem:
        if problem.reason in ("empty_file", "unrecognised_content"):
            return None
        raise
    if content.kind in ENCRYPTIONS:
        raise ArgumentError(
            f"a member of the archive is encrypted ({_CALLED[ENCRYPTIONS[content.kind]]}); a clear sample is needed"
        )
    return content if content.kind in ("text", "parquet", "avro") else None


def _sample(content: Content, stack: contextlib.ExitStack, rows: int, *, header: bool | None) -> Sample:
    every = SourceNames({}, extras=True)
    if content.kind == "parquet":
        return _of_records(ParquetRecords(stack.enter_context(content.seekable()), every), "parquet", rows)
    if content.kind == "avro":
        return _of_records(AvroRecords(content.chunks, every), "avro", rows)
    if content.kind != "text":
        raise ArgumentError(f"inside its layers the file is {content.kind}, which is not read there")
    head, chunks = peek(content.chunks, SAMPLE_BYTES)
    code = guess_text_code(head)
    text = to_utf8(chunks, code.name)
    start, text = peek(text, SNIFF_SIZE)
    if _JSON.match(start.decode(errors="ignore")):
        sure = replace(code, doubt="") if code.name == "utf-8" else code  # which JSON is by its standard
        return replace(_of_records(JsonRecords(text, every), "json", rows), text_code=sure)
    return _of_text(text, code, rows, header=header)


def _of_records(records: Records, kind: str, rows: int) -> Sample:
    """Take rows of nested records; their names are paths of keys."""
    columns: dict[str, list[str | None]] = {}
    count = 0
    for batch in records.batches():
        size = min(batch.rows.num_rows, rows - count)
        for name in batch.rows.schema.names:
            values = columns.setdefault(name, [])
            values += [None] * (count - len(values)) + batch.rows.column(name).slice(0, size).to_pylist()
        count += size
        if count >= rows:
            break
    every = {column: path for path, column in records.binding.extras.items()}
    names = {column: path for column, path in every.items() if path_problem(path) is None and not _is_data(path)}
    if not names:
        raise ArgumentError("the file has no rows with names to tell")
    filled = [columns.get(column, []) + [None] * (count - len(columns.get(column, []))) for column in names]
    _check_names(tuple(names.values()))
    return Sample(kind, tuple(names.values()), tuple(zip(*filled, strict=True)), left_out=len(every) - len(names))


def _is_data(path: str) -> bool:
    """Tell a path with a key that is a value: of an object that is keyed by ids or addresses."""
    return hides_email([path]) > 0 or any(_KEY_OF_DATA.fullmatch(key) for key in path.split("."))


def _of_text(chunks: Iterator[bytes], code: TextCode, rows: int, *, header: bool | None) -> Sample:
    text, cut = _beginning(chunks)
    if not text.strip():
        raise BadFile("empty_file", "the clear text has no characters but blanks")
    if text[:4].lower() == b"sep=":
        raise BadFile("not_delimited_text", "the first line is Excel's mark sep=, which would be read as a row")
    layout = guess_layout(text.decode())
    found = _split(text, layout, rows + 1, cut=cut)
    told = guess_header_row([[value or "" for value in row] for row in found]) if header is None else HeaderRow(header)
    if told.found:
        names = tuple((name or "").strip() for name in found[0])
        if hides_email(names):
            raise ArgumentError("the first row has an e-mail address and cannot be a header; say --header no")
        _check_names(names)
        return Sample("delimited", names, tuple(found[1:]), True, code, layout, told)
    names = tuple(f"column_{number}" for number in range(1, len(found[0]) + 1))
    return Sample("delimited", names, tuple(found[:rows]), False, code, layout, told)


def _beginning(chunks: Iterator[bytes]) -> tuple[bytes, bool]:
    """Return whole lines from the beginning of UTF-8 text, and whether there is more."""
    head, rest = peek(chunks, SAMPLE_BYTES)
    cut = sum(len(chunk) for chunk, _ in zip(rest, range(2), strict=False)) > len(head)
    if not cut:
        return head, False
    end = head.rfind(b"\n") + 1
    if not end:
        raise BadFile("not_delimited_text", f"the first line is longer than {SAMPLE_BYTES >> 20} MiB")
    return head[:end], True


def _split(text: bytes, layout: Layout, rows: int, *, cut: bool) -> list[tuple[str | None, ...]]:
    """Split text into rows by the reader that the pipeline has."""
    form = Format(
        delimiter=layout.delimiter, quote=layout.quote, escape=layout.escape, escape_unquoted=layout.escape_unquoted
    )
    width = len(DelimitedText(iter([text]), form).header)
    columns = tuple(f"column_{number}" for number in range(1, width + 1))
    reader = DelimitedText(iter([text]), replace(form, header=False, columns=columns))
    found: list[tuple[str | None, ...]] = []
    refused = 0
    try:
        for batch in reader.batches({name: name for name in columns}):
            found += zip(*(column.to_pylist() for column in batch.rows.columns), strict=True)
            refused += len(batch.refused)
            if len(found) >= rows:
                break
    except BadFile:
        if not cut or len(found) <= 1:
            raise
        found.pop()  # the cut was within a quoted value, and the row it belongs to is not whole
    if refused > len(found):
        detail = f"{refused} rows have another number of values than the first one; is there text above the header?"
        raise BadFile("not_delimited_text", detail)
    return found[:rows]


def _check_names(names: Sequence[str]) -> None:
    """Refuse names that would bind to one column, by their positions alone: they may be data."""
    seen: dict[str, int] = {}
    for position, name in enumerate(names, 1):
        folded = normalize_header(name)
        if folded and seen.setdefault(folded, position) != position:
            raise ArgumentError(
                f"columns {seen[folded]} and {position} have names that differ in case and punctuation at most, and "
                "the pipeline refuses such files; rename one of them, or say --header no if there is no header"
            )
