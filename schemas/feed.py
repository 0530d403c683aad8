"""One kind of file of a source, and the table that it feeds."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from schemas import vocabulary
from schemas.file_format import Format, read_format, read_time_formats, read_zone
from schemas.problems import Section, nearest
from schemas.profile import find_profile, profiles
from schemas.table import Table

_COUNTRY: Final = re.compile(r"[A-Z]{2}")


@dataclass(frozen=True)
class Prehashed:
    """What the source says of values that it has hashed itself.

    ``algorithm`` and ``encoding`` are what they look like, ``profile`` the id of the profile that they were normalised
    by, ``phones`` the form of phone numbers (None of other kinds of values).
    """

    algorithm: str
    encoding: str
    profile: str
    phones: str | None


@dataclass(frozen=True)
class SourceColumn:
    """How one field of the table arrives: its header names, whether a file must have it, what its values mean.

    ``time_formats``, ``zone`` and ``decimal`` are as in ``Format``; ``epoch`` is the unit of times that are numbers.
    """

    field: str
    aliases: tuple[str, ...] = ()
    required: bool = False
    values: Mapping[str, str] = dataclasses.field(default_factory=dict)
    time_formats: tuple[str, ...] = ()
    zone: str = "UTC"
    decimal: str = "."
    epoch: str | None = None
    prehashed: Prehashed | None = None


@dataclass(frozen=True)
class Rejects:
    """Which rows are refused: no value, or a value its normaliser refuses, in these columns of the table."""

    missing: tuple[str, ...] = ()
    invalid: tuple[str, ...] = ()
    max_share: float = 0.1
    keep_values: bool = False


@dataclass(frozen=True)
class Dedup:
    """One row is kept for each distinct ``keys``: the first by ``order_by`` (``-`` for descending), then the latest."""

    keys: tuple[str, ...]
    order_by: tuple[tuple[str, bool], ...]


@dataclass(frozen=True)
class Deletes:
    """A row with one of ``values`` in ``field`` takes the row of its key out of the table."""

    field: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Feed:
    """One kind of file of a source.

    ``files`` are patterns of names (of objects below landing, or of members of an archive), none for every name.
    ``load`` is what a delivery means for the table. ``country`` is the one country of all rows; else ``country_field``
    names the field that tells a row's country (None: the first one that the table normalises as a country), and
    ``default_country`` is for rows that tell none.
    """

    name: str
    files: tuple[str, ...]
    table: str
    load: str
    country: str | None
    country_field: str | None
    default_country: str | None
    format: Format
    columns: tuple[SourceColumn, ...]
    rejects: Rejects
    dedup: Dedup
    deletes: Deletes | None = None

    def column(self, name: str) -> SourceColumn:
        """Return how the field ``name`` arrives; KeyError where this feed does not have it."""
        for column in self.columns:
            if column.field == name:
                return column
        raise KeyError(name)

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that this feed has, in order."""
        return tuple(column.field for column in self.columns)

    @property
    def merges(self) -> bool:
        """Whether rows of the table outlive a delivery, one for each key."""
        return self.load in MERGING

    def with_extra_fields(self, names: tuple[str, ...]) -> Feed:
        """Return the feed with text fields ``names`` more, for a table that takes whatever columns come."""
        more = tuple(SourceColumn(name) for name in names if name not in self.fields)
        return replace(self, columns=self.columns + more)


#: Load modes under which a row has to be compared with what the table has already.
MERGING: Final = ("append", "upsert")


@dataclass(frozen=True)
class FeedDefaults:
    """What the top of a connector file says for all of its feeds."""

    country: str | None = None
    country_field: str | None = None
    default_country: str | None = None
    format: Format = dataclasses.field(default_factory=Format)
    rejects: Rejects = Rejects()


def read_defaults(top: Section) -> FeedDefaults:
    """Read what several feeds share: countries, ``[format]`` and ``[rejects]`` at the top of the file."""
    return FeedDefaults(
        country=_country(top, "country", None),
        country_field=top.optional_text("country_field"),
        default_country=_country(top, "default_country", None),
        format=read_format(top.section("format"), Format()),
        rejects=_rejects(top.section("rejects"), None, Rejects()),
    )


def read_feed(name: str, section: Section, table: Table, defaults: FeedDefaults) -> Feed:
    """Read one feed against its table; ``section`` is ``[feeds.<name>]``, or the whole file where it is alone."""
    layout = read_format(section.section("format"), defaults.format)
    shared = defaults.country_field if defaults.country_field in table.fields else None
    feed = Feed(
        name=name,
        files=section.texts("files"),
        table=table.name,
        load=section.text("load", table.load, vocabulary.LOAD_MODES),
        country=_country(section, "country", defaults.country),
        country_field=section.optional_text("country_field") or shared,
        default_country=_country(section, "default_country", defaults.default_country),
        format=layout,
        columns=_columns(section, table, layout),
        rejects=_rejects(section.section("rejects"), table, defaults.rejects),
        dedup=_dedup(section, table),
        deletes=_deletes(section),
    )
    _check_feed(feed, table, section)
    return feed


def _country(section: Section, key: str, standard: str | None) -> str | None:
    code = section.optional_text(key)
    if code is not None and not _COUNTRY.fullmatch(code):
        section.problem(key, "must be an ISO 3166-1 alpha-2 code such as US")
    return code if code is not None else standard


def _columns(section: Section, table: Table, layout: Format) -> tuple[SourceColumn, ...]:
    """Read ``[columns]``; without it, or with ``fields = "all"``, every field of the table comes by its own name."""
    given = section.sections("columns")
    required = section.texts("required", (), table.fields)
    everything = section.text("fields", "listed" if given else "all", ("all", "listed"))
    columns = [_source_column(name, inner, table, layout, required) for name, inner in given.items()]
    if everything == "all":
        columns += [
            SourceColumn(
                name,
                required=name in required,
                time_formats=layout.time_formats,
                zone=layout.zone,
                decimal=layout.decimal,
            )
            for name in table.fields
            if name not in given
        ]
    return tuple(columns)


def _source_column(
    name: str, section: Section, table: Table, layout: Format, required: tuple[str, ...]
) -> SourceColumn:
    if name not in table.fields:
        section.problem("", f"no such field in table {table.name}{nearest(name, table.fields)}")
    column = SourceColumn(
        field=name,
        aliases=section.texts("aliases"),
        required=section.flag("required", default=name in required),
        values=section.mapping("values"),
        time_formats=read_time_formats(section, layout.time_formats),
        zone=read_zone(section, layout.zone),
        decimal=section.text("decimal", layout.decimal, vocabulary.DECIMAL_SIGNS),
        epoch=section.optional_text("epoch", vocabulary.EPOCHS),
        prehashed=_prehashed(section),
    )
    for target in (inner for inner in table.columns if inner.field == name):
        for key in ("time_formats", "zone", "epoch"):
            if section.has(key) and target.type not in ("date", "timestamp"):
                section.problem(
                    key, f"column {target.name} of table {table.name} is {target.type}, not a date or timestamp"
                )
        if column.prehashed is not None:
            _check_prehashed(section, column.prehashed, target.name, table)
    section.close()
    return column


def _prehashed(section: Section) -> Prehashed | None:
    if not section.has("prehashed"):
        return None
    inner = section.section("prehashed")
    if not section.is_table("prehashed"):
        return None
    name = inner.text("profile")
    try:
        profile = find_profile(name).id
    except KeyError as error:
        if name:
            inner.problem("profile", str(error.args[0]))
        profile = name
    prehashed = Prehashed(
        algorithm=inner.text("algorithm", choices=vocabulary.ALGORITHMS),
        encoding=inner.text("encoding", "hex", vocabulary.DELIVERED_ENCODINGS),
        profile=profile,
        phones=inner.optional_text("phones", vocabulary.PHONES),
    )
    inner.close()
    return prehashed


def _check_prehashed(section: Section, prehashed: Prehashed, target: str, table: Table) -> None:
    column = table.column(target)
    if column.hash is None:
        section.problem("prehashed", f"column {target} of table {table.name} is published in clear")
        return
    if prehashed.algorithm in vocabulary.ALGORITHMS and column.hash.algorithm != prehashed.algorithm:
        section.problem(
            "prehashed.algorithm",
            f"column {target} of table {table.name} is {column.hash.algorithm}; {prehashed.algorithm} would never "
            "match it",
        )
    if prehashed.profile in profiles() and column.profile != prehashed.profile:
        section.problem(
            "prehashed.profile",
            f"column {target} of table {table.name} is normalised by {column.profile}; values that {prehashed.profile} "
            "normalised before hashing need not match it",
        )
    if column.normalize == "phone":
        form = find_profile(column.profile).phones
        if prehashed.phones is None:
            section.problem(
                "prehashed.phones", f"missing: say how the numbers were written{nearest('', vocabulary.PHONES)}"
            )
        elif prehashed.phones != form:
            section.problem(
                "prehashed.phones",
                f"column {target} of table {table.name} has {form} numbers; hashes of {prehashed.phones} ones would "
                "never match it",
            )


def _rejects(section: Section, table: Table | None, standard: Rejects) -> Rejects:
    """Read ``[rejects]``; names of columns are looked up in ``table`` where there is one."""
    names = tuple(column.name for column in table.columns) if table is not None else None
    rejects = Rejects(
        missing=section.texts("missing", standard.missing, names),
        invalid=section.texts("invalid", standard.invalid, names),
        max_share=section.share("max_share", standard.max_share),
        keep_values=section.flag("keep_values", default=standard.keep_values),
    )
    section.close()
    return rejects


def _dedup(section: Section, table: Table) -> Dedup:
    """Read ``[dedup]``; without it the table's own keys and order count."""
    inner = section.section("dedup")
    names = {column.name for column in table.columns}
    keys = inner.texts("keys", table.keys, names)
    order = []
    for entry in inner.texts("order_by", table.order_by):
        column = entry.removeprefix("-")
        if column not in names:
            inner.problem("order_by", f"{column!r} is not known{nearest(column, names)}")
        order.append((column, entry.startswith("-")))
    if order and not keys:
        inner.problem("order_by", "has no meaning without keys")
    inner.close()
    return Dedup(keys, tuple(order))


def _deletes(section: Section) -> Deletes | None:
    if not section.has("deletes"):
        return None
    inner = section.section("deletes")
    deletes = Deletes(inner.text("field"), inner.texts("values"))
    if not deletes.values:
        inner.problem("values", "missing: the words that mark a row as deleted")
    inner.close()
    return deletes


def _check_feed(feed: Feed, table: Table, section: Section) -> None:
    if not feed.columns:
        section.problem("columns", "a feed needs at least one column")
    if feed.country_field is not None and feed.country_field not in feed.fields:
        section.problem(
            "country_field",
            f"{feed.country_field!r} is no field of this feed{nearest(feed.country_field, feed.fields)}",
        )
    if feed.country is not None and feed.default_country is not None:
        section.problem("default_country", "has no meaning beside country, which holds for all rows")
    if feed.deletes is not None and feed.deletes.field not in feed.fields:
        section.problem(
            "deletes.field",
            f"{feed.deletes.field!r} is no field of this feed{nearest(feed.deletes.field, feed.fields)}",
        )
    used = {
        "rejects.missing": feed.rejects.missing,
        "rejects.invalid": feed.rejects.invalid,
        "dedup.keys": feed.dedup.keys,
        "dedup.order_by": tuple(name for name, _ in feed.dedup.order_by),
    }
    known = {column.name: column for column in table.columns}
    for key, names in used.items():
        for name in names:
            if name in known and known[name].field not in feed.fields:
                section.problem(key, f"{name} needs the field {known[name].field}, which [columns] does not have")
    _check_load(feed, table, section)


def _check_load(feed: Feed, table: Table, section: Section) -> None:
    known = {column.name: column for column in table.columns}
    if feed.merges and not feed.dedup.keys:
        section.problem(
            "load", f"{feed.load} needs a key: say which columns make one row, keys of the table or dedup.keys"
        )
    if feed.load == "partition_overwrite" and not table.partitions:
        section.problem("load", f"partition_overwrite needs a table with partitions, and {table.name} has none")
    if feed.load == "append":
        owned = {known[key].field for key in feed.dedup.keys if key in known}
        for name in table.partitions:
            if name in known and known[name].field not in owned:
                section.problem(
                    "load",
                    f"partition {name} is not made of a key column: a row and its duplicate could be in two partitions",
                )
    if feed.deletes is not None and feed.load != "upsert":
        section.problem("deletes", f"has no meaning with load {feed.load}; only upsert takes rows out")
    if feed.merges:
        for name, _ in feed.dedup.order_by:
            if name in known and known[name].hash is not None:
                section.problem("dedup.order_by", f"{name} is published as a hash, which has no order")
