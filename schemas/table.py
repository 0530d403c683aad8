"""The model of a published table: ``schemas/tables/*.toml``."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Final

from pyspark.sql import types as T

from schemas import vocabulary
from schemas.names import name_problem
from schemas.problems import Problems, SchemaError, Section, nearest
from schemas.profile import HOUSE, Profile, find_profile

_SIMPLE_TYPES: Final[dict[str, T.DataType]] = {
    "string": T.StringType(),
    "boolean": T.BooleanType(),
    "smallint": T.ShortType(),
    "int": T.IntegerType(),
    "bigint": T.LongType(),
    "float": T.FloatType(),
    "date": T.DateType(),
    "timestamp": T.TimestampType(),
}
_DECIMAL: Final = re.compile(r"decimal\(([1-9]\d?),(\d|[1-9]\d)\)")
_DATE: Final = re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])")
_DECIMAL_DIGITS: Final = 38
_COMMENT_LIMIT: Final = 255  # Glue Data Catalog API: Column.Comment
_ALLOW_LIST_LIMIT: Final = 100  # AWS Clean Rooms quota: columns of a configured table

#: What the jobs themselves call columns of their frames: where a row comes from, and why it was refused.
RESERVED_FIELDS: Final = ("row_id", "source_file", "source_row", "reason")

_KEY_NAME: Final = re.compile("[a-z][a-z0-9_]*")

#: The key of a table that needs only one.
DEFAULT_KEY: Final = "default"

_TEXT_ONLY: Final = frozenset(vocabulary.NORMALIZERS) - {"text"}


@dataclass(frozen=True)
class HashOutput:
    """How a published column is hashed: algorithm and encoding, from the closed lists of the vocabulary.

    ``key`` names the key of a keyed algorithm. ``empty`` says what becomes of a value of which normalising leaves
    nothing: null, or ``hash``, the hash of the empty text.
    """

    algorithm: str
    encoding: str
    key: str = DEFAULT_KEY
    empty: str = "null"

    @property
    def keyed(self) -> bool:
        """Whether the algorithm needs the hash key."""
        return self.algorithm in vocabulary.KEYED_ALGORITHMS


@dataclass(frozen=True)
class Column:
    """A column of a published table.

    ``field`` is the name connectors deliver it under; several columns may share one. ``normalize`` is the kind of
    value, ``profile`` the id of the profile by whose rules it is normalised. ``hash`` is None for a column that is
    published in clear. ``default`` replaces null (partition columns must have one). ``resembles`` are kinds of personal
    data that its values may look like without being any, so that they do not stop a run.
    """

    name: str
    type: str
    comment: str
    field: str
    normalize: str
    profile: str
    personal_data: str | None
    hash: HashOutput | None
    default: str | None
    resembles: tuple[str, ...] = ()

    @property
    def spark_type(self) -> T.DataType:
        """The Spark type of the published values."""
        return spark_type(self.type)


@dataclass(frozen=True)
class ExtraColumns:
    """What becomes of columns that files bring beyond the table's own: text, hashed unless ``hash`` is None.

    ``resembles`` is that of a column, for each of them.
    """

    comment: str
    personal_data: str | None
    hash: HashOutput | None
    resembles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table of ours, as it stands in the catalog.

    ``partitions`` are names of columns. ``max_shrink`` is the share of its rows the table may lose from one run to
    the next before publication is refused. ``hash_of_nothing`` allows columns to hold the hash of the empty text.
    ``load`` is what a delivery means for the table where its connector says nothing else; ``keys`` make a row unique
    and ``order_by`` (``-`` for descending) says which of several rows of a key counts. ``audit`` names columns about
    the row itself. ``extra`` says what becomes of further columns, None where they are ignored.
    """

    name: str
    comment: str
    columns: tuple[Column, ...]
    partitions: tuple[str, ...]
    max_shrink: float
    hash_of_nothing: bool
    load: str = "full_refresh"
    keys: tuple[str, ...] = ()
    order_by: tuple[str, ...] = ()
    audit: tuple[str, ...] = ()
    extra: ExtraColumns | None = None

    @property
    def fields(self) -> tuple[str, ...]:
        """The distinct fields that connectors deliver, in order."""
        return tuple(dict.fromkeys(column.field for column in self.columns))

    @property
    def data_columns(self) -> tuple[Column, ...]:
        """The columns that are stored inside the files, those about the row last."""
        own = tuple(column for column in self.columns if column.name not in self.partitions)
        return own + tuple(AUDIT[name] for name in self.audit)

    @property
    def partition_columns(self) -> tuple[Column, ...]:
        """The columns that are stored as folders, in partition order."""
        return tuple(self.column(name) for name in self.partitions)

    @property
    def hashed_columns(self) -> tuple[Column, ...]:
        """The columns that are published as hashes."""
        return tuple(column for column in self.columns if column.hash is not None)

    @property
    def key_names(self) -> tuple[str, ...]:
        """The names of the keys that the columns are hashed with, in order."""
        names = (column.hash.key for column in self.columns if column.hash is not None and column.hash.keyed)
        return tuple(sorted(set(names)))

    @property
    def schema_hash(self) -> str:
        """SHA-256 over everything that decides what a value of this table means, in lower hex.

        What values may resemble is checked before they are published, and changes none: it is left out.
        """
        document = asdict(self)
        for entry in (*document["columns"], document["extra"] or {}):
            entry.pop("resembles", None)
        described = json.dumps(document, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(described.encode()).hexdigest()

    def column(self, name: str) -> Column:
        """Return the column ``name``; KeyError where there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    def with_extra_columns(self, names: Iterable[str]) -> Table:
        """Return the table with text columns ``names`` more, treated as ``extra`` says; ValueError without it."""
        if self.extra is None:
            raise ValueError(f"table {self.name} takes no extra columns")
        known = {column.name for column in self.columns}
        more = tuple(
            Column(
                name,
                "string",
                self.extra.comment,
                name,
                "text",
                find_profile(HOUSE).id,
                self.extra.personal_data,
                self.extra.hash,
                None,
                self.extra.resembles,
            )
            for name in names
            if name not in known
        )
        return replace(self, columns=self.columns + more)


def _audit_column(name: str, kind: str, comment: str) -> Column:
    return Column(name, kind, comment, "", "text", find_profile(HOUSE).id, None, None, None)


#: The columns about a row that a table may ask for.
AUDIT: Final = {
    column.name: column
    for column in (
        _audit_column("source_file", "string", "The delivered object, or the member of an archive, that had the row"),
        _audit_column("source_row", "bigint", "Number of the row in that file; a header is row 1"),
        _audit_column("run_id", "string", "The run that brought the row"),
        _audit_column("loaded_at", "timestamp", "When that run was started (UTC)"),
        _audit_column("row_hash", "string", "SHA-256 of the row as published, to see whether it has changed"),
    )
}


def spark_type(name: str) -> T.DataType:
    """Return the Spark type for a type name of a table file; ValueError for one that cannot be published."""
    if name in _SIMPLE_TYPES:
        return _SIMPLE_TYPES[name]
    match = _DECIMAL.fullmatch(name)
    if match and int(match[1]) <= _DECIMAL_DIGITS and int(match[2]) <= int(match[1]):
        return T.DecimalType(int(match[1]), int(match[2]))
    raise ValueError(name)


def parse_table(text: str, origin: str) -> Table:
    """Read a table file.

    ``text`` is the TOML, ``origin`` what to call it in messages. Raises SchemaError with every problem found.
    """
    problems = Problems(origin)
    document = parse_toml(text, problems)
    top = Section(document, "", problems)
    name = top.text("name")
    comment = top.text("comment")
    hashing = top.section("hash")
    standard = HashOutput(
        hashing.text("algorithm", "hmac-sha256", vocabulary.ALGORITHMS),
        hashing.text("encoding", "hex", vocabulary.ENCODINGS),
        _key_name(hashing, DEFAULT_KEY),
        hashing.text("empty", "null", vocabulary.EMPTY),
    )
    hashing.close()
    publication = top.section("publication")
    max_shrink = publication.share("max_shrink", 0.5)
    hash_of_nothing = publication.flag("hash_of_nothing", default=False)
    publication.close()
    columns = tuple(_column(inner, section, standard) for inner, section in top.sections("columns").items())
    names = [column.name for column in columns]
    partitions = top.texts("partitions")
    load = top.text("load", "full_refresh", vocabulary.LOAD_MODES)
    keys = top.texts("keys", choices=names)
    order_by = top.texts("order_by")
    audit = top.texts("audit", choices=vocabulary.AUDIT_COLUMNS)
    extra = _extra_columns(top.section("extra_columns"), standard) if top.has("extra_columns") else None
    top.close()
    if (wrong := name_problem(name)) is not None:
        problems.add("name", f"{name!r} {wrong}")
    table = Table(name, comment, columns, partitions, max_shrink, hash_of_nothing, load, keys, order_by, audit, extra)
    _check_table(table, problems)
    problems.raise_if_any()
    return table


def parse_toml(text: str, problems: Problems) -> dict[str, object]:
    """Return the TOML document; SchemaError where it is none."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise SchemaError([f"{problems.origin}: not valid TOML: nested too deeply"]) from None
    except ValueError as error:  # TOMLDecodeError is one; a number of more digits than Python reads is another
        raise SchemaError([f"{problems.origin}: not valid TOML: {error}"]) from None


def _column(name: str, section: Section, standard: HashOutput) -> Column:
    if (wrong := name_problem(name)) is not None:
        section.problem("", f"{name!r} {wrong}")
    type_name = section.text("type", "string")
    try:
        spark_type(type_name)
    except ValueError:
        section.problem(
            "type", f"{type_name!r} cannot be published{nearest(type_name, [*_SIMPLE_TYPES, 'decimal(p,s)'])}"
        )
        type_name = "string"
    comment = section.text("comment")
    if len(comment) > _COMMENT_LIMIT:
        section.problem("comment", f"is longer than the Data Catalog's {_COMMENT_LIMIT} characters")
    personal_data = section.optional_text("personal_data", vocabulary.PERSONAL_DATA)
    publish = section.text("publish", "hash" if personal_data else "clear", vocabulary.PUBLISH)
    hashed = publish == "hash"
    normalize = section.text("normalize", "text", vocabulary.NORMALIZERS)
    profile = _profile(section, normalize)
    output = _hash_output(section, standard, profile, normalize, hashed=hashed)
    default = section.optional_text("default")
    field = section.text("field", name)
    _check_field(field, name, section)
    resembles = _resembles(section, personal_data, hashed=hashed)
    if hashed and type_name != "string":
        section.problem("type", f"a hashed column is a string, not {type_name}")
    if normalize in _TEXT_ONLY and type_name != "string":
        section.problem("normalize", f"{normalize} makes text, but the type is {type_name}")
    if default is not None and hashed:
        section.problem("default", "a hashed column keeps its nulls: a default would make strangers match")
    elif default is not None and type_name == "date" and not _DATE.fullmatch(default):
        section.problem("default", f"{default!r} is no date such as 1970-01-01")
    elif default is not None and type_name not in ("string", "date"):
        section.problem("default", f"only a string or date column can have one, and this one is {type_name}")
    section.close()
    return Column(
        name,
        type_name,
        comment,
        field,
        normalize,
        profile.id,
        personal_data,
        output if hashed else None,
        default,
        resembles,
    )


def _resembles(section: Section, personal_data: str | None, *, hashed: bool) -> tuple[str, ...]:
    kinds = section.texts("resembles", choices=vocabulary.RESEMBLES)
    if kinds and (hashed or personal_data is not None):
        why = "hashed" if hashed else "declared to be personal data in clear"
        section.problem("resembles", f"says nothing: values that are {why} are not looked at")
    return kinds


def _extra_columns(section: Section, standard: HashOutput) -> ExtraColumns:
    personal_data = section.optional_text("personal_data", vocabulary.PERSONAL_DATA)
    hashed = section.text("publish", "hash", vocabulary.PUBLISH) == "hash"
    resembles = _resembles(section, personal_data, hashed=hashed)
    extra = ExtraColumns(section.text("comment"), personal_data, standard if hashed else None, resembles)
    section.close()
    return extra


def _profile(section: Section, normalize: str) -> Profile:
    name = section.text("profile", HOUSE)
    try:
        profile = find_profile(name)
    except KeyError as error:
        section.problem("profile", str(error.args[0]))
        return find_profile(HOUSE)
    if normalize in vocabulary.NORMALIZERS and normalize not in profile.fields:
        section.problem("normalize", f"{profile.id} has no rule for {normalize}{nearest(normalize, profile.fields)}")
    return profile


def _hash_output(
    section: Section, standard: HashOutput, profile: Profile, normalize: str, *, hashed: bool
) -> HashOutput:
    """Return how a column is hashed: as it says itself, else as its platform compares it, else as the table says."""
    field = profile.fields.get(normalize)
    algorithm, encoding = standard.algorithm, standard.encoding
    if profile.name != HOUSE and field is not None:
        if field.algorithm is None and hashed and section.optional_text("algorithm") is None:
            section.problem(
                "publish", f'{profile.id} compares {normalize} unhashed: say publish = "clear", or give an algorithm'
            )
        algorithm, encoding = field.algorithm or algorithm, field.encoding or encoding
    return HashOutput(
        section.text("algorithm", algorithm, vocabulary.ALGORITHMS),
        section.text("encoding", encoding, vocabulary.ENCODINGS),
        _key_name(section, standard.key),
        section.text("empty", standard.empty, vocabulary.EMPTY),
    )


def _key_name(section: Section, standard: str) -> str:
    name = section.text("key", standard)
    if not _KEY_NAME.fullmatch(name):
        section.problem("key", f"{name!r} must be lower-case letters, digits and _, for --hash-key names it")
    return name


def _check_field(field: str, column: str, section: Section) -> None:
    key = "field" if field != column else ""
    if field in RESERVED_FIELDS:
        section.problem(key, f"no field can be called {field}: the jobs have a column of that name themselves")
    elif field != column and (wrong := name_problem(field)) is not None:
        section.problem(key, f"{field!r} {wrong}")


def _check_table(table: Table, problems: Problems) -> None:
    names = [column.name for column in table.columns]
    if not names:
        problems.add("columns", "a table needs at least one column")
    if len(names) > _ALLOW_LIST_LIMIT:
        problems.add(
            "columns", f"AWS Clean Rooms allows {_ALLOW_LIST_LIMIT} columns a configured table, here are {len(names)}"
        )
    _check_empty(table, problems)
    _check_partitions(table, names, problems)
    for column_name in set(names) & set(table.audit):
        problems.add("audit", f"{column_name} is a column of this table already")
    for entry in table.order_by:
        if entry.removeprefix("-") not in names:
            problems.add("order_by", f"{entry!r} is no column of this table{nearest(entry.removeprefix('-'), names)}")


def _check_partitions(table: Table, names: list[str], problems: Problems) -> None:
    for partition in table.partitions:
        if partition not in names:
            problems.add("partitions", f"{partition!r} is no column of this table{nearest(partition, names)}")
            continue
        column = table.column(partition)
        if column.hash is not None:
            problems.add("partitions", f"{partition} is published as a hash and would make one folder a person")
        if column.type not in ("string", "date"):
            problems.add("partitions", f"{partition} must be a string or date column")
        if not column.default:
            problems.add(f"columns.{partition}.default", "missing: a partition column needs a value to stand for null")
    if table.columns and len(table.partitions) == len(table.columns):
        problems.add("partitions", "at least one column must be stored in the files")


def _check_empty(table: Table, problems: Problems) -> None:
    for column in table.columns:
        if column.hash is not None and column.hash.empty == "hash" and not table.hash_of_nothing:
            problems.add(
                f"columns.{column.name}.empty",
                "the hash of the empty text makes strangers match; a table that is to hold it all the same says "
                "publication.hash_of_nothing = true",
            )
