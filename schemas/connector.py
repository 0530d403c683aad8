"""The model of a source: ``schemas/connectors/*.toml``."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass

from schemas.delivery import Delivery, read_delivery
from schemas.feed import Feed, FeedDefaults, read_defaults, read_feed
from schemas.names import name_problem, normalize_header
from schemas.problems import Problems, Section
from schemas.table import Table, parse_toml
from schemas.value_path import path_problem


@dataclass(frozen=True)
class Connector:
    """A source of ours: how it delivers, and what kinds of files a delivery has.

    Where there is one feed it takes every file; where there are several, each takes the names that its patterns say.
    """

    name: str
    comment: str
    delivery: Delivery
    feeds: tuple[Feed, ...]

    def feed(self, name: str) -> Feed:
        """Return the feed called ``name``; KeyError where there is none."""
        for feed in self.feeds:
            if feed.name == name:
                return feed
        raise KeyError(name)

    def feed_of(self, name: str) -> Feed | None:
        """Return the feed that takes a file of this name, None where there is none.

        ``name`` is a path; a pattern without a slash is held against its last part, whatever their case.
        """
        path = name.casefold()
        last = path.rpartition("/")[2]
        for feed in self.feeds:
            if not feed.files:
                return feed
            for pattern in feed.files:
                if fnmatch.fnmatchcase(path if "/" in pattern else last, pattern.casefold()):
                    return feed
        return None


def tables_of(text: str, origin: str) -> tuple[str, ...]:
    """Return which tables a connector file feeds, before the rest of it is read."""
    problems = Problems(origin)
    top = Section(parse_toml(text, problems), "", problems)
    sections = list(top.sections("feeds").values()) if top.has("feeds") else [top]
    names = tuple(dict.fromkeys(section.text("table") for section in sections))
    problems.raise_if_any()
    return names


def parse_connector(text: str, origin: str, tables: Mapping[str, Table]) -> Connector:
    """Read a connector file against the tables it feeds.

    ``text`` is the TOML, ``origin`` what to call it in messages, ``tables`` has every table under the name that the
    file calls it by. Raises SchemaError with every problem found.
    """
    problems = Problems(origin)
    top = Section(parse_toml(text, problems), "", problems)
    name = top.text("name")
    if (wrong := name_problem(name)) is not None:
        problems.add("name", f"{name!r} {wrong}")
    comment = top.text("comment")
    delivery = read_delivery(top.section("delivery"))
    defaults = read_defaults(top) if top.has("feeds") else FeedDefaults()
    sections = top.sections("feeds") if top.has("feeds") else {name: top}
    feeds = []
    for inner, section in sections.items():
        called = section.text("table")
        if called not in tables:
            section.problem("table", f"this connector feeds {called!r}, but was not read against it")
            problems.raise_if_any()
        feeds.append(read_feed(inner, section, tables[called], defaults))
        if section is not top:
            if (wrong := name_problem(inner)) is not None:
                section.problem("", f"{inner!r} {wrong}")
            section.close()
    top.close()
    connector = Connector(name, comment, delivery, tuple(feeds))
    for feed, section in zip(connector.feeds, sections.values(), strict=False):
        _check_names(feed, section)
    _check_feeds(connector, problems)
    problems.raise_if_any()
    return connector


def _check_names(feed: Feed, section: Section) -> None:
    owners: dict[str, str] = {}
    for column in feed.columns:
        key = f"columns.{column.field}.aliases"
        for alias in (column.field, *column.aliases):
            folded = alias if "[" in alias else normalize_header(alias)
            if not folded:
                section.problem(key, "an alias needs a letter or a digit")
            elif feed.format.types != ("delimited",) and (wrong := path_problem(alias)) is not None:
                section.problem(key, wrong)
            elif owners.setdefault(folded, column.field) != column.field:
                section.problem(key, f"{folded!r} also names {owners[folded]}")


def _check_feeds(connector: Connector, problems: Problems) -> None:
    if len(connector.feeds) > 1:
        for feed in connector.feeds:
            if not feed.files:
                problems.add(f"feeds.{feed.name}.files", "missing: which names of files this feed takes")
    fed = [feed.table for feed in connector.feeds]
    for table in sorted({name for name in fed if fed.count(name) > 1}):
        problems.add("feeds", f"two feeds fill table {table}: give one of them both patterns, or a table of its own")
