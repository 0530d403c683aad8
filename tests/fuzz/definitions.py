"""Connector and table files: every problem is told, and what is accepted can be used."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from importlib import resources
from typing import Final

from schemas.connector import Connector, parse_connector, tables_of
from schemas.problems import SchemaError
from schemas.table import Table, parse_table
from tests.fuzz.target import Target, require
from transforms.streams.bad_file import BadFile
from transforms.streams.delimited import DelimitedText
from transforms.streams.header import source_names
from transforms.streams.nested import NameBook

_FILE_NAMES: Final = ("gold.csv", "a/b/Gold_20260101_120000.json", "x!y/z.CSV")


@functools.cache
def _packaged(folder: str) -> dict[str, str]:
    files = resources.files(f"schemas.{folder}").iterdir()
    return {each.name.removesuffix(".toml"): each.read_text() for each in files if each.name.endswith(".toml")}


@functools.cache
def _tables() -> dict[str, Table]:
    return {name: parse_table(text, name) for name, text in _packaged("tables").items()}


def parse(text: str) -> Connector | None:
    """Read a connector file as a job does; None where it is refused, with every problem on a line of its own."""
    try:
        named = tables_of(text, "fuzz.toml")
        standard = _tables()["customer_profile"]
        return parse_connector(text, "fuzz.toml", {name: _tables().get(name, standard) for name in named})
    except SchemaError as error:
        _check_problems(error)
        return None


def _check_problems(error: SchemaError) -> None:
    require("every problem names the file", holds=all(line.startswith("fuzz.toml: ") for line in error.problems))
    require("there is a problem", holds=bool(error.problems))


def run_connector(data: bytes) -> None:
    """Text that is accepted makes a connector that can read files."""
    connector = parse(data.decode(errors="ignore"))
    if connector is None:
        return
    if connector.delivery.snapshot is not None:
        re.compile(connector.delivery.snapshot)
    for name in _FILE_NAMES:
        connector.feed_of(name)
        connector.delivery.ignores(name)
    for feed in connector.feeds:
        found = source_names(feed, extras=True)
        if set(feed.format.types) - {"delimited"}:
            NameBook(found)
        if "delimited" in feed.format.types:
            _read_text(connector)


def _read_text(connector: Connector) -> None:
    """Whatever signs a format has, a file is read by them or refused."""
    for feed in connector.feeds:
        for name in _FILE_NAMES:
            try:
                text = DelimitedText(iter([b"id,email\n1,a\n"]), feed.format.for_file(name))
                if len(set(text.header)) == len(text.header):
                    list(text.batches({column: column for column in text.header}))
            except BadFile:
                pass


def run_table(data: bytes) -> None:
    """Text is a table, or every problem is told."""
    try:
        table = parse_table(data.decode(errors="ignore"), "fuzz.toml")
    except SchemaError as error:
        _check_problems(error)
    else:
        require("a table has columns", holds=bool(table.columns))


def _seeds(folder: str) -> Sequence[bytes]:
    return [re.sub(r"(?m)^#.*\n", "", text).encode() for text in _packaged(folder).values()]


TARGETS: Final = (
    Target("connector", run_connector, lambda: _seeds("connectors")),
    Target("table", run_table, lambda: _seeds("tables")),
)
