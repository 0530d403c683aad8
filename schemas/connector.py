"""The model of a source: ``schemas/connectors/*.toml``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from schemas import vocabulary
from schemas.names import name_problem
from schemas.problems import Problems, Section, nearest
from schemas.profile import find_profile, profiles
from schemas.table import Table, _parse_toml

_COUNTRY: Final = re.compile(r"[A-Z]{2}")
_DELIMITERS: Final = (",", "\t", ";", "|", ":")


@dataclass(frozen=True)
class Delivery:
    """Which objects make one delivery, and when it is whole.

    ``ready`` names the rule. ``quiet_seconds`` is how long nothing may have changed, ``max_wait_seconds`` how long
    to wait at most. ``snapshot`` is a regular expression over object names with a group ``snapshot`` (and others, such
    as ``audience``): of several full exports of one audience only the one with the greatest ``snapshot`` is loaded.
    """

    ready: str
    quiet_seconds: int
    max_wait_seconds: int
    vendor_manifest: str
    done_marker: str
    ignore: tuple[str, ...]
    codecs: tuple[str, ...]
    snapshot: str | None


@dataclass(frozen=True)
class Format:
    """How a delimited file is written.

    ``escape`` equals ``quote`` where a quote is doubled. ``quote`` is empty where quotes are switched off: Spark's
    writer then puts U+0000 around a value that needs it, and still escapes inside, so ``escape`` may be given too.
    """

    delimiter: str
    quote: str
    escape: str
    null_values: tuple[str, ...]


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
    """How one field of the table arrives: its header names, whether a file must have it, what its values mean."""

    field: str
    aliases: tuple[str, ...]
    required: bool
    values: dict[str, str]
    date_format: str | None
    prehashed: Prehashed | None


@dataclass(frozen=True)
class Rejects:
    """Which rows are refused: no value, or a value its normaliser refuses, in these columns of the table."""

    missing: tuple[str, ...]
    invalid: tuple[str, ...]
    max_share: float
    keep_values: bool


@dataclass(frozen=True)
class Dedup:
    """One row is kept for each distinct ``keys``: the first by ``order_by`` (``-`` for descending), then the latest."""

    keys: tuple[str, ...]
    order_by: tuple[tuple[str, bool], ...]


@dataclass(frozen=True)
class Connector:
    """A source of ours.

    ``country`` is the one country of all its rows; else ``country_field`` names the field that tells a row's country
    (None: the first one that the table normalises as a country), and ``default_country`` is for rows that tell none.
    """

    name: str
    comment: str
    table: str
    load: str
    country: str | None
    country_field: str | None
    default_country: str | None
    delivery: Delivery
    format: Format
    columns: tuple[SourceColumn, ...]
    rejects: Rejects
    dedup: Dedup

    def column(self, field: str) -> SourceColumn:
        """Return how ``field`` arrives; KeyError where this source does not have it."""
        for column in self.columns:
            if column.field == field:
                return column
        raise KeyError(field)

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that this source has, in order."""
        return tuple(column.field for column in self.columns)


def normalize_header(name: str) -> str:
    """Return a header cell without case and punctuation: ``homeAddress.city`` and ``homeaddress_city`` agree."""
    return re.sub(r"[\W_]+", "", name).casefold()


def table_name_of(text: str, origin: str) -> str:
    """Return which table a connector file feeds, before the rest of it is read."""
    problems = Problems(origin)
    name = Section(_parse_toml(text, problems), "", problems).text("table")
    problems.raise_if_any()
    return name


def parse_connector(text: str, origin: str, table: Table) -> Connector:
    """Read a connector file against the table it feeds.

    ``text`` is the TOML, ``origin`` what to call it in messages. Raises SchemaError with every problem found.
    """
    problems = Problems(origin)
    top = Section(_parse_toml(text, problems), "", problems)
    name = top.text("name")
    if (wrong := name_problem(name)) is not None:
        problems.add("name", f"{name!r} {wrong}")
    connector = Connector(
        name=name,
        comment=top.text("comment"),
        table=top.text("table"),
        load=top.text("load", "full_refresh", vocabulary.LOAD_MODES),
        country=_country(top, "country"),
        country_field=top.optional_text("country_field"),
        default_country=_country(top, "default_country"),
        delivery=_delivery(top.section("delivery")),
        format=_format(top.section("format")),
        columns=tuple(_source_column(field, inner, table) for field, inner in top.sections("columns").items()),
        rejects=_rejects(top.section("rejects"), table),
        dedup=_dedup(top.section("dedup"), table),
    )
    top.close()
    _check_connector(connector, table, problems)
    problems.raise_if_any()
    return connector


def _country(section: Section, key: str) -> str | None:
    code = section.optional_text(key)
    if code is not None and not _COUNTRY.fullmatch(code):
        section.problem(key, "must be an ISO 3166-1 alpha-2 code such as US")
    return code


def _delivery(section: Section) -> Delivery:
    delivery = Delivery(
        ready=section.text("ready", "quiet_period", vocabulary.READY_RULES),
        quiet_seconds=section.whole("quiet_seconds", 60),
        max_wait_seconds=section.whole("max_wait_seconds", 3600),
        vendor_manifest=section.text("vendor_manifest", "manifest-*.json"),
        done_marker=section.text("done_marker", "*.DONE"),
        ignore=section.texts("ignore"),
        codecs=section.texts("codecs", vocabulary.CODECS, vocabulary.CODECS),
        snapshot=section.optional_text("snapshot"),
    )
    if not delivery.codecs:
        section.problem("codecs", f"must name at least one{nearest('', vocabulary.CODECS)}")
    if delivery.snapshot is not None:
        try:
            groups = re.compile(delivery.snapshot).groupindex
        except re.error as error:
            section.problem("snapshot", f"is no regular expression: {error}")
        else:
            if "snapshot" not in groups:
                section.problem(
                    "snapshot", "needs a group (?P<snapshot>…) around the part that tells the export's time"
                )
    section.close()
    return delivery


def _format(section: Section) -> Format:
    quote = section.text("quote", '"')
    result = Format(
        delimiter=section.text("delimiter", ",", _DELIMITERS),
        quote=quote,
        escape=section.text("escape", quote),
        null_values=section.texts("null_values"),
    )
    for key, value in (("quote", result.quote), ("escape", result.escape)):
        if len(value) > 1 or not value.isascii() or value in ("\r", "\n"):
            section.problem(key, "must be one ASCII character, no line break, or empty")
    if result.quote and not result.escape:
        section.problem("escape", "must not be empty: name the escape character, or leave it out for doubled quotes")
    if result.delimiter in (result.quote, result.escape):
        section.problem("delimiter", "must differ from quote and escape")
    section.close()
    return result


def _source_column(field: str, section: Section, table: Table) -> SourceColumn:
    if field not in table.fields:
        section.problem("", f"no such field in table {table.name}{nearest(field, table.fields)}")
    column = SourceColumn(
        field=field,
        aliases=section.texts("aliases"),
        required=section.flag("required", default=False),
        values=section.mapping("values"),
        date_format=section.optional_text("date_format"),
        prehashed=_prehashed(section),
    )
    for target in (inner for inner in table.columns if inner.field == field):
        if column.date_format is not None and target.type not in ("date", "timestamp"):
            section.problem(
                "date_format", f"column {target.name} of table {table.name} is {target.type}, not a date or timestamp"
            )
        if column.values and target.type != "string":
            section.problem(
                "values", f"column {target.name} of table {table.name} is {target.type}; only text is translated"
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


def _rejects(section: Section, table: Table) -> Rejects:
    names = tuple(column.name for column in table.columns)
    rejects = Rejects(
        missing=section.texts("missing", choices=names),
        invalid=section.texts("invalid", choices=names),
        max_share=section.share("max_share", 0.1),
        keep_values=section.flag("keep_values", default=False),
    )
    section.close()
    return rejects


def _dedup(section: Section, table: Table) -> Dedup:
    names = {column.name for column in table.columns}
    keys = section.texts("keys", choices=names)
    order: list[tuple[str, bool]] = []
    for entry in section.texts("order_by"):
        column = entry.removeprefix("-")
        if column not in names:
            section.problem("order_by", f"{column!r} is not known{nearest(column, names)}")
        order.append((column, entry.startswith("-")))
    if order and not keys:
        section.problem("order_by", "has no meaning without keys")
    section.close()
    return Dedup(keys, tuple(order))


def _check_connector(connector: Connector, table: Table, problems: Problems) -> None:
    if connector.table != table.name:
        problems.add("table", f"this connector feeds {connector.table!r}, but was read against table {table.name!r}")
    if not connector.columns:
        problems.add("columns", "a connector needs at least one column")
    owners: dict[str, str] = {}
    for column in connector.columns:
        for alias in dict.fromkeys(map(normalize_header, (column.field, *column.aliases))):
            if not alias:
                problems.add(f"columns.{column.field}.aliases", "an alias needs a letter or a digit")
                continue
            if alias in owners and owners[alias] != column.field:
                problems.add(f"columns.{column.field}.aliases", f"{alias!r} also names {owners[alias]}")
            owners[alias] = column.field
    _check_country(connector, problems)
    used = {
        "rejects.missing": connector.rejects.missing,
        "rejects.invalid": connector.rejects.invalid,
        "dedup.keys": connector.dedup.keys,
        "dedup.order_by": tuple(name for name, _ in connector.dedup.order_by),
    }
    known = {column.name: column for column in table.columns}
    for key, names in used.items():
        for name in names:
            if name in known and known[name].field not in connector.fields:
                problems.add(key, f"{name} needs the field {known[name].field}, which [columns] does not have")


def _check_country(connector: Connector, problems: Problems) -> None:
    if connector.country_field is not None and connector.country_field not in connector.fields:
        problems.add(
            "country_field",
            f"{connector.country_field!r} is no field of this connector"
            f"{nearest(connector.country_field, connector.fields)}",
        )
    if connector.country is not None and connector.default_country is not None:
        problems.add("default_country", "has no meaning beside country, which holds for all rows")
