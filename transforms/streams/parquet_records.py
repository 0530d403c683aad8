"""Parquet to Arrow batches of strings."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, Final, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from schemas.value_path import Getter, text_of
from transforms.streams.bad_file import BadFile
from transforms.streams.name_tree import Node
from transforms.streams.nested import NameBook
from transforms.streams.records import Batch, Binding, SourceNames, batch_of

#: Rows decoded at once.
_ROWS: Final = 1 << 14
_BUFFER_SIZE: Final = 1 << 20
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class _Column:
    """A value to read: the names of the fields that lead to it, what to get out of it, and the column it becomes."""

    path: tuple[str, ...]
    get: Getter | None
    name: str


class ParquetRecords:
    """The rows of a Parquet file, numbered from 1. ``binding`` is complete from the start."""

    def __init__(self, file: IO[bytes], names: SourceNames) -> None:
        """Read the schema of ``file``, which can seek, and bind its columns.

        Raises BadFile: ``damaged_file``, ``ambiguous_header`` where two columns have one name or mean one field,
        ``missing_column`` where a required field is absent; ValueError where one of the ``names`` is malformed. What
        ``file`` raises is passed on.
        """
        self._source = _Source(file)
        self._names = names
        self._book = NameBook(names)
        self._columns: dict[str, list[_Column]] = {field: [] for field in names.fields}
        with self._source.reading():
            self._file = pq.ParquetFile(
                pa.PythonFile(self._source, mode="r"),
                buffer_size=_BUFFER_SIZE,  # without it a whole column of a row group is read at once
                pre_buffer=False,
                page_checksum_verification=True,
            )
            schema = self._file.schema_arrow
        self._bind(list(schema), self._book.root, ())
        self._book.require()

    @property
    def binding(self) -> Binding:
        """Which columns are bound to which fields; nested ones by their path."""
        return self._book.binding

    def batches(self) -> Iterator[Batch]:
        """Yield the rows.

        Raises BadFile: ``damaged_file``, ``undecodable_text`` where text or bytes are not UTF-8, ``ambiguous_header``
        where two names find a value for one field. What the file raises is passed on.
        """
        wanted = sorted({".".join(column.path) for columns in self._columns.values() for column in columns})
        first = 1
        with self._source.reading():
            batches = self._file.iter_batches(batch_size=_ROWS, columns=wanted, use_threads=False)
        while True:
            with self._source.reading():
                rows = next(batches, None)
            if rows is None:
                return
            arrays = [self._array(rows, name, columns) for name, columns in self._columns.items()]
            numbers = pa.array(range(first, first + rows.num_rows), pa.int64())
            yield Batch(batch_of(arrays, list(self._columns), rows.num_rows), numbers)
            first += rows.num_rows

    def _bind(self, fields: list[pa.Field], node: Node | None, above: tuple[str, ...]) -> None:
        twice = [name for name, times in Counter(field.name for field in fields).items() if times > 1]
        if twice:
            raise BadFile("ambiguous_header", f"{len(twice)} names stand for more than one column")
        for field in fields:
            path = (*above, field.name)
            name = ".".join(path)
            child = node.child(field.name) if node else None
            for target, column in child.targets if child else ():
                self._book.met(name, target, column)
                if target.get is None and any(other.get is None for other in self._columns[column]):
                    raise BadFile("ambiguous_header", f"two columns mean the field {column}")
                self._columns[column].append(_Column(path, target.get, column))
            asked = child is not None and bool(child.targets)
            is_object = pa.types.is_struct(field.type)
            opened = is_object and ((child is not None and child.leads) or (not asked and self._book.opens(name)))
            if opened:
                self._bind(list(field.type), child, path)
            elif not asked and (extra := self._book.extra_column(name)) is not None:
                self._columns[extra] = [_Column(path, None, extra)]

    def _array(self, rows: pa.RecordBatch, field: str, columns: list[_Column]) -> pa.StringArray:
        found = pa.nulls(rows.num_rows, pa.string())
        for column in columns:
            values = _values(rows, column)
            if pc.any(pc.and_(found.is_valid(), values.is_valid())).as_py():
                raise BadFile("ambiguous_header", f"two values of one row mean the field {field}")
            found = pc.coalesce(found, values)
        return found


class _Source(io.RawIOBase):
    """Reads a file for Arrow, and remembers what it raised: Arrow may make another error of it."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._file = file
        self._raised: Exception | None = None

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Take what Arrow raises for a damaged file, but not what the file itself raised."""
        try:
            yield
        except Exception as error:
            if self._raised is not None:
                raise self._raised from None
            if isinstance(error, pa.ArrowException | OSError | UnicodeDecodeError):
                raise BadFile("damaged_file", "the Parquet file cannot be decoded") from None
            raise

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        return self._remember(lambda: self._file.read(-1 if size is None else size))

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._remember(lambda: self._file.seek(offset, whence))

    def tell(self) -> int:
        return self._remember(self._file.tell)

    def _remember(self, action: Callable[[], _Result]) -> _Result:
        try:
            return action()
        except Exception as error:
            self._raised = error
            raise


def _values(rows: pa.RecordBatch, column: _Column) -> pa.StringArray:
    values = rows.column(column.path[0])
    for name in column.path[1:]:
        values = pc.struct_field(values, name)
    try:
        if column.get is not None or pa.types.is_nested(values.type):
            get = column.get or (lambda value: value)
            return pa.array([text_of(get(value)) for value in _plain(values)], pa.string())
        return _text(values)
    except (UnicodeDecodeError, pa.ArrowInvalid):
        raise BadFile("undecodable_text", f"a value of the field {column.name} is not UTF-8") from None
    except (pa.ArrowException, OverflowError, ValueError, LookupError):  # a zone that pytz does not know: KeyError
        detail = (
            f"a value of the field {column.name} is none of its dictionary, or no date or time, or of no known zone"
        )
        raise BadFile("damaged_file", detail) from None


def _plain(values: pa.Array) -> list[Any]:
    """Return dictionaries and lists; a map is a list of objects with ``key`` and ``value``."""
    return [_without_maps(value) for value in values.to_pylist()] if _has_map(values.type) else values.to_pylist()


def _has_map(kind: pa.DataType) -> bool:
    if pa.types.is_map(kind):
        return True
    return any(_has_map(kind.field(at).type) for at in range(kind.num_fields))


def _without_maps(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_maps(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_without_maps(element) for element in value]
    if isinstance(value, tuple):
        return {"key": _without_maps(value[0]), "value": _without_maps(value[1])}
    return value


def _text(values: pa.Array) -> pa.StringArray:
    """Return a column as text; raises ArrowInvalid where it is not UTF-8."""
    kind = values.type
    if pa.types.is_dictionary(kind):
        return _text(values.dictionary_decode())
    if isinstance(kind, pa.BaseExtensionType) and not isinstance(kind, pa.UuidType):
        return _text(values.storage)
    if pa.types.is_temporal(kind):
        return _checked(_temporal(values))
    text = None if isinstance(kind, pa.UuidType) else values.cast(pa.string())
    if text is None or (pa.types.is_decimal(kind) and pc.any(pc.match_substring(text, "E")).as_py()):
        text = pa.array([text_of(value) for value in values.to_pylist()], pa.string())  # Arrow writes 1E-9
    text.validate(full=True)  # Parquet's text is whatever bytes were written
    return text


def _temporal(values: pa.Array) -> pa.StringArray:
    if pa.types.is_timestamp(values.type):
        return _moments(values)
    return _seconds(values) if pa.types.is_time(values.type) else values.cast(pa.string())


def _checked(text: pa.StringArray) -> pa.StringArray:
    """Return dates and times as they are; raises OverflowError for the words that Arrow writes where there is none."""
    if pc.any(pc.starts_with(text, pattern="<")).as_py():
        raise OverflowError
    return text


def _moments(values: pa.TimestampArray) -> pa.StringArray:
    """Return time stamps in ISO form: as they are where they have no zone, in UTC with a ``Z`` where they have one."""
    utc = values.view(pa.int64()).view(pa.timestamp(values.type.unit))
    text = pc.replace_substring(_seconds(utc), " ", "T", max_replacements=1)
    return pc.binary_join_element_wise(text, "Z", "") if values.type.tz else text


def _seconds(values: pa.Array) -> pa.StringArray:
    """Return times with six decimal places, or none where they are zero, as Python writes them."""
    text = values.cast(pa.string())
    text = pc.replace_substring_regex(text, r"(\.\d{3})$", r"\1000")
    text = pc.replace_substring_regex(text, r"(\.\d{6})\d{3}$", r"\1")
    return pc.replace_substring_regex(text, r"\.000000$", "")
