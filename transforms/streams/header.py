"""Which column of a file is which field: by name, never by position."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from schemas.connector import Connector, normalize_header
from transforms.streams.bad_file import BadFile


@dataclass(frozen=True)
class Binding:
    """``columns`` maps header names to fields; ``ignored`` are names no field asks for, ``absent`` fields not there."""

    columns: dict[str, str]
    ignored: tuple[str, ...]
    absent: tuple[str, ...]


def bind_header(header: tuple[str, ...], connector: Connector) -> Binding:
    """Bind the names of a file's header to the connector's fields, whatever their order, case and punctuation.

    Raises BadFile: ``ambiguous_header`` where two names differ in case only or mean one field, ``missing_column``
    where a required field is absent, or no name is known: then the first row may be data, and is not to be noted.
    """
    folded = [name.strip().casefold() for name in header]
    times = Counter(folded)
    # By position, never by name: where a file has no header, the names are the values of its first row.
    twice = [str(position) for position, name in enumerate(folded, 1) if times[name] > 1]
    if twice:
        raise BadFile("ambiguous_header", f"columns {', '.join(twice)} have names that differ in case at most")
    fields = {
        normalize_header(alias): column.field
        for column in connector.columns
        for alias in (column.field, *column.aliases)
    }
    columns: dict[str, str] = {}
    ignored: list[str] = []
    for name in header:
        field = fields.get(normalize_header(name))
        if field is None:
            ignored.append(name)
        elif field in columns.values():
            raise BadFile("ambiguous_header", f"two columns mean the field {field}")
        else:
            columns[name] = field
    absent = tuple(column.field for column in connector.columns if column.field not in columns.values())
    required = [field for field in absent if connector.column(field).required]
    if required:
        raise BadFile(
            "missing_column",
            f"no column for {', '.join(required)}; the header has {len(header)} columns, {len(columns)} of them known",
        )
    if not columns:
        raise BadFile("missing_column", f"none of the header's {len(header)} columns is known; has the file a header?")
    return Binding(columns, tuple(ignored), absent)
