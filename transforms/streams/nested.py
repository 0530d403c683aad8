"""Nested records to Arrow batches of strings, and the account of which names were met."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, Final

import pyarrow as pa

from schemas.names import clean_name
from schemas.value_path import LONGEST_NAME, Path, parse_path, text_of
from transforms.streams.bad_file import BadFile
from transforms.streams.name_tree import Node
from transforms.streams.records import UNREADABLE, Batch, Binding, RefusedRow, SourceNames, batch_of

#: Records made columns at once: so few are gone before the garbage collector has looked at them often.
SLICE: Final = 256
#: A batch is full with so many rows, refused ones included, or so many bytes.
_MOST_ROWS: Final = 1 << 15
_MOST_BYTES: Final = 4 << 20
#: Names of one kind that are kept. Where keys are data, as in maps, there is no end of them.
MOST_NAMES: Final = 1000
#: Objects within objects become columns of their own so far down; deeper ones stay JSON text.
_DEEPEST: Final = 16

_Record = dict[str, Any]
_EMPTY: Final[_Record] = {}


class NameBook:
    """Which names of a file are which field, as far as it has been read.

    ``root`` is where the names that fields ask for begin. Raises BadFile ``ambiguous_header`` where a name would become
    a column that is another's, or where there are too many names.
    """

    def __init__(self, names: SourceNames) -> None:
        """Take the names that the file may have; raises ValueError for one that is malformed."""
        self._names = names
        targets: dict[tuple[str, str], tuple[Path, str]] = {}
        for field, aliases in names.fields.items():
            for path in map(parse_path, aliases):
                targets.setdefault((path.prefix if path.get is None else path.text, field), (path, field))
        self.root = Node(list(targets.values()))
        self._columns: dict[str, str] = {}
        self._fields: set[str] = set()
        self._extras: dict[str, str] = {}
        self._taken = set(names.fields)
        self._objects: set[str] = set()
        self._ignored: dict[str, None] = {}

    def met(self, name: str, path: Path, field: str) -> None:
        """Note that ``path`` has found ``field`` under ``name``."""
        if len(self._columns) >= MOST_NAMES + len(self._names.fields):
            raise BadFile("ambiguous_header", f"the fields have more than {MOST_NAMES} spellings of their names")
        self._columns[name if path.get is None else path.text] = field
        self._fields.add(field)

    def extra_column(self, name: str) -> str | None:
        """Return the column of a name that no field asks for, None where it has none and is ignored."""
        column = self._extras.get(name)
        if column is None:
            column = clean_name(name) if self._names.extras and len(name) <= LONGEST_NAME else None
            if column is None:
                self.ignore(name)
                return None
            if column in self._taken:
                raise BadFile("ambiguous_header", f"two names would become the column {column}")
            self._taken.add(column)
            self._extras[name] = column
            self._limit_extras()
        return column

    def opens(self, name: str) -> bool:
        """Tell whether members of an object that no field asks for become columns of their own."""
        if not self._names.extras or len(name) > LONGEST_NAME or name.count(".") >= _DEEPEST:
            return False
        self._objects.add(name)
        self._limit_extras()
        return True

    def ignore(self, name: str) -> None:
        """Note a name that nobody asks for."""
        if len(self._ignored) < MOST_NAMES:
            self._ignored[name[:LONGEST_NAME].encode(errors="replace").decode()] = None

    def require(self) -> None:
        """Raise BadFile ``missing_column`` where no name was met for a field that is required."""
        missing = [field for field in self._names.required if field not in self._fields]
        if missing:
            raise BadFile("missing_column", f"no name for {', '.join(missing)}; {len(self._columns)} names are known")

    @property
    def binding(self) -> Binding:
        """What was met so far."""
        absent = tuple(field for field in self._names.fields if field not in self._fields)
        return Binding(dict(self._columns), dict(self._extras), tuple(self._ignored), absent)

    def _limit_extras(self) -> None:
        if len(self._extras) + len(self._objects) > MOST_NAMES:
            raise BadFile("ambiguous_header", f"more than {MOST_NAMES} names that no field asks for: are keys data?")


class NestedRows:
    """Makes batches of records that are dictionaries, column by column: names are looked up once a slice of records."""

    def __init__(self, names: SourceNames) -> None:
        """Take the names to look for; raises ValueError for one that is malformed."""
        self._fields = tuple(names.fields)
        self._extras = names.extras
        self._book = NameBook(names)
        self._rows = 0
        self._held_rows = 0
        self._held_bytes = 0
        self._slices: list[pa.Table] = []
        self._refused: list[RefusedRow] = []

    @property
    def binding(self) -> Binding:
        """Which names were bound so far."""
        return self._book.binding

    def add(self, records: list[_Record], numbers: list[int], refused: list[RefusedRow]) -> None:
        """Take about a SLICE of records with their numbers; rows whose text cannot be written join the refused ones.

        Raises BadFile ``ambiguous_header`` where two names mean one column, ``undecodable_text`` where bytes are not
        UTF-8.
        """
        self._rows += len(records)
        found: dict[str, list[Any]] = {}
        self._visit(records, self._book.root, "", found)
        wrong: dict[int, str] = {}
        arrays = {name: _texts(values, wrong) for name, values in found.items()}
        nothing = pa.nulls(len(records), pa.string())
        # A column of row numbers carries the number of rows where there are no fields.
        columns = {"": pa.array(numbers, pa.int64())} | dict.fromkeys(self._fields, nothing) | arrays
        rows = pa.table(columns)
        if wrong:
            rows = rows.filter(pa.array([at not in wrong for at in range(len(records))]))
            refused = refused + [RefusedRow(numbers[at], UNREADABLE, detail) for at, detail in wrong.items()]
        self._slices.append(rows)
        self._held_rows += len(numbers) + len(refused)
        self._held_bytes += rows.nbytes
        self._refused += sorted(refused, key=lambda row: row.number)

    @property
    def full(self) -> bool:
        """Whether what was added is enough for a batch."""
        return self._held_rows >= _MOST_ROWS or self._held_bytes >= _MOST_BYTES

    def take(self) -> Iterator[Batch]:
        """Yield a batch of what was added, none where that is nothing."""
        if self._slices:
            rows = pa.concat_tables(self._slices, promote_options="default").combine_chunks()
            (numbers,) = rows[""].chunks or [pa.array([], pa.int64())]
            columns = [rows[name].combine_chunks() for name in rows.column_names[1:]]
            batch = Batch(batch_of(columns, rows.column_names[1:], len(numbers)), numbers, tuple(self._refused))
            self._slices = []
            self._refused = []
            self._held_rows = self._held_bytes = 0
            yield batch

    def finish(self) -> None:
        """Raise BadFile ``missing_column`` where there were rows, but never a field that is required."""
        if self._rows:
            self._book.require()

    def _visit(self, records: list[_Record], node: Node | None, above: str, found: dict[str, list[Any]]) -> None:
        """Find the values of every key that a field or an extra column needs, and go on below."""
        for key in dict.fromkeys(itertools.chain.from_iterable(records)):
            name = above + key
            child = node.child(key) if node else None
            if child is None and not self._extras:
                self._book.ignore(name)
                continue
            values = [record.get(key) for record in records]
            asked = child is not None and bool(child.targets)
            if child is not None:
                for path, field in child.targets:
                    self._bind(name, path, field, values, found)
            opened = child is not None and child.leads
            if not asked:
                opened = self._leave(name, values, found, opened=opened)
            if opened:
                members = [value if isinstance(value, dict) else _EMPTY for value in values]
                self._visit(members, child, f"{name}.", found)

    def _bind(self, name: str, path: Path, field: str, values: list[Any], found: dict[str, list[Any]]) -> None:
        if path.get is not None:
            values = list(map(path.get, values))
            if all(value is None for value in values):
                return
        self._book.met(name, path, field)
        if (others := found.get(field)) is not None:
            pairs = list(zip(others, values, strict=True))
            if any(other is not None and value is not None for other, value in pairs):
                raise BadFile("ambiguous_header", f"two values of one record mean the field {field}")
            values = [value if other is None else other for other, value in pairs]
        found[field] = values

    def _leave(self, name: str, values: list[Any], found: dict[str, list[Any]], *, opened: bool) -> bool:
        """Make an extra column of what no field asks for, or ignore it; tell whether objects are to be opened."""
        if any(isinstance(value, dict) for value in values):
            opened = self._book.opens(name) or opened
        rest = [None if opened and isinstance(value, dict) else value for value in values]
        if any(value is not None for value in rest) and (column := self._book.extra_column(name)) is not None:
            found[column] = rest
        return opened


def _texts(values: list[Any], wrong: dict[int, str]) -> pa.StringArray:
    """Return the values as text, and note in ``wrong`` where there is none."""
    try:
        return pa.array(values, pa.string())
    except (TypeError, ValueError):  # not all of them are text, or some is no Unicode
        return pa.array([_text(value, at, wrong) for at, value in enumerate(values)], pa.string())


def _text(value: Any, at: int, wrong: dict[int, str]) -> str | None:
    try:
        text = text_of(value)
        if text is not None and not text.isascii():
            text.encode()
    except UnicodeEncodeError:
        wrong[at] = "half of a surrogate pair, which is no character"
    except UnicodeDecodeError:
        raise BadFile("undecodable_text", "bytes that are not UTF-8 in a column that a field asks for") from None
    except RecursionError:
        wrong[at] = "nested too deeply"
    else:
        return text
    return None
