"""Connector and table files made of guesses, each doubt right above the line that it concerns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from jobs.runtime.sample_file import Sample
from schemas.definition_text import Block, Entry, definition_text
from transforms.guessing.columns import ColumnGuess, SampleGuess

#: Columns of a configured table of AWS Clean Rooms.
MOST_COLUMNS: Final = 100
_NEED_COUNTRY: Final = ("phone", "postal_code", "state")


def doubts_of(column: ColumnGuess) -> tuple[str, ...]:
    """Return all doubts about a column."""
    return (*column.doubts, *column.type_doubts)


def connector_draft(name: str, sample: Sample, guess: SampleGuess) -> str:
    """Return the text of the connector file."""
    columns = guess.columns[:MOST_COLUMNS]
    blocks = [
        Block(
            "",
            (
                Entry("name", name),
                Entry("comment", f"{name}: {sample.type} files"),
                Entry("table", name),
                Entry("load", "full_refresh", ("full_refresh: a delivery is the whole table. Else append or upsert",)),
                *_country(columns, guess),
            ),
            (
                f"A draft made from a sample of {guess.rows:,} rows.",
                "Read every line marked doubt, settle it, and take the mark out.",
            ),
        ),
        Block("delivery", tuple(_delivery(sample))),
        Block("format", tuple(_format(sample, guess))),
        *(_source_column(column, sample, guess) for column in columns),
        *_keys(guess, columns),
    ]
    return definition_text(_with_end(blocks, sample, guess))


def table_draft(name: str, sample: Sample, guess: SampleGuess) -> str:
    """Return the text of the table file."""
    blocks = [
        Block(
            "",
            (Entry("name", name), Entry("comment", f"{name}; personal data as keyed hashes")),
            ('A draft made from a sample. Columns with personal_data are hashed unless they say publish = "clear".',),
        ),
        Block("hash", (Entry("algorithm", "hmac-sha256"), Entry("encoding", "hex"))),
        *(_table_column(column) for column in guess.columns[:MOST_COLUMNS]),
    ]
    return definition_text(_with_end(blocks, sample, guess))


def _doubts(doubts: Iterable[str]) -> tuple[str, ...]:
    return tuple(f"doubt: {doubt}" for doubt in doubts if doubt)


def _country(columns: Iterable[ColumnGuess], guess: SampleGuess) -> Iterator[Entry]:
    kinds = {column.normalize for column in columns}
    if not kinds.intersection(_NEED_COUNTRY) and guess.country is None:
        return
    doubts = [guess.country_doubt]
    if guess.country is None:
        doubts = [
            'no country is known: phones, states and postal codes of rows without one need default_country = "XX"'
        ]
    elif "country" not in kinds:
        doubts.append("no column names a row's country: this one holds for all rows")
    yield Entry("default_country", guess.country, _doubts(doubts))


def _delivery(sample: Sample) -> Iterator[Entry]:
    yield Entry(
        "ready", "quiet_period", _doubts(("without a marker or manifest a delivery is whole when nothing moves",))
    )
    yield Entry("quiet_seconds", 60)
    yield Entry("codecs", ("plain", "openpgp", "envelope"))
    if sample.archive:
        other = "the first suitable member was looked at; members of another kind need feeds of their own, or ignore"
        yield Entry("archives", (sample.archive,), _doubts((other,)))


def _format(sample: Sample, guess: SampleGuess) -> Iterator[Entry]:
    yield Entry("types", (sample.type,))
    if sample.text_code is not None:
        yield Entry("encoding", sample.text_code.name, _doubts((sample.text_code.doubt,)))
    if sample.layout is not None and sample.header is not None:
        doubts = sample.layout.doubts
        yield Entry("header", sample.header.found, _doubts((sample.header.doubt,)))
        if not sample.named:
            yield Entry("columns", sample.names, ("Give the columns their true names here, and below",))
        yield Entry("delimiter", sample.layout.delimiter, _of(doubts, "delimiter"))
        yield Entry("quote", sample.layout.quote, _of(doubts, "quote"))
        if sample.layout.quote:
            yield Entry("escape", sample.layout.escape, _of(doubts, "escape"))
        if sample.layout.escape_unquoted:
            yield Entry("escape_unquoted", True)
    if guess.nulls:
        words = [f"{word}: {doubt}" for word, doubt in guess.nulls.items() if doubt]
        yield Entry("null_values", tuple(guess.nulls), _doubts(words))
    if guess.decimal != ".":
        yield Entry("decimal", guess.decimal)
    if any(column.type == "timestamp" and column.values.times and not column.values.times.with_offset
           for column in guess.columns):  # fmt: skip
        yield Entry("zone", "UTC", _doubts(("times without an offset are taken for UTC",)))


def _of(doubts: Mapping[str, str], key: str) -> tuple[str, ...]:
    return _doubts((doubts.get(key, ""),))


def _source_column(column: ColumnGuess, sample: Sample, guess: SampleGuess) -> Block:
    entries = []
    if sample.named and column.source != column.name:
        entries.append(Entry("aliases", (column.source,)))
    if column.name in guess.keys[:1]:
        entries.append(Entry("required", True))
    values = column.values
    if column.type in ("date", "timestamp"):
        if values.epoch is not None:
            entries.append(Entry("epoch", values.epoch, _doubts(column.type_doubts)))
        elif values.times is not None and values.times.formats:
            entries.append(Entry("time_formats", values.times.formats, _doubts(column.type_doubts)))
    if column.type.startswith(("decimal", "bigint", "float")) and values.decimal not in (None, guess.decimal):
        entries.append(Entry("decimal", values.decimal))
    if values.words:
        entries.append(Entry("values", dict(values.words)))
    return Block(f"columns.{column.name}", tuple(entries))


def _keys(guess: SampleGuess, columns: Iterable[ColumnGuess]) -> Iterator[Block]:
    names = {column.name for column in columns}
    keys = [key for key in guess.keys if key in names]
    if not keys:
        doubt = "no id and no e-mail address is in each row of the sample once: without keys all rows are kept"
        yield Block("dedup", (Entry("keys", None, _doubts((doubt,))),))
        return
    yield Block("rejects", (Entry("missing", (keys[0],)),))
    others = f"; so do {', '.join(keys[1:])}" if keys[1:] else ""
    doubt = f"each row of the sample ({guess.rows:,}) has a value of its own here{others}"
    yield Block("dedup", (Entry("keys", (keys[0],), _doubts((doubt,))),))


def _table_column(column: ColumnGuess) -> Block:
    entries = [Entry("comment", _comment(column))]
    doubts = _doubts(column.doubts)
    if column.type != "string" or column.type_doubts:
        entries.append(Entry("type", column.type, _doubts(column.type_doubts)))
    if column.kind is not None:
        entries.append(Entry("personal_data", column.kind.personal_data, doubts))
        entries.append(Entry("normalize", column.normalize))
    if not column.hashed and (column.kind is not None or doubts):
        entries.append(Entry("publish", "clear", doubts if column.kind is None else ()))
    return Block(f"columns.{column.name}", tuple(entries))


def _comment(column: ColumnGuess) -> str:
    if column.kind is None:
        return "As delivered" if column.type == "string" else f"As delivered, as {column.type}"
    return f"{'Hash of the ' if column.hashed else 'The '}{column.kind.says}"


def _with_end(blocks: list[Block], sample: Sample, guess: SampleGuess) -> list[Block]:
    """Say behind the last block which columns were left out."""
    comments = []
    rest = guess.columns[MOST_COLUMNS:]
    if rest:
        names = ", ".join(column.name for column in rest)
        comments.append(f"left out, for AWS Clean Rooms allows {MOST_COLUMNS} columns: {names}")
    if guess.unnamed:
        places = ", ".join(map(str, guess.unnamed))
        comments.append(f"left out, for their names have no letter or digit: columns {places} of the file")
    if sample.left_out:
        comments.append(
            f"left out, for their names are values or have brackets that cannot be written: {sample.left_out} columns"
        )
    return [*blocks, Block("", (), tuple(comments))] if comments else blocks
