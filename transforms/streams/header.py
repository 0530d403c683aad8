"""Which column of a file is which field: by name, never by position."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from schemas.feed import Feed
from schemas.names import clean_name, normalize_header
from transforms.streams.bad_file import BadFile
from transforms.streams.records import Binding, SourceNames

_SHORTEST_NUMBER: Final = 7  # digits of a phone number without its area


def source_names(feed: Feed, *, extras: bool) -> SourceNames:
    """Return what a reader has to look for in the files of ``feed``; ``extras`` where the table takes more columns."""
    return SourceNames(
        fields={column.field: (column.field, *column.aliases) for column in feed.columns},
        required=tuple(column.field for column in feed.columns if column.required),
        extras=extras,
    )


def bind_header(header: tuple[str, ...], names: SourceNames) -> Binding:
    """Bind the names of a file's header to fields, whatever their order, case and punctuation.

    Raises BadFile: ``ambiguous_header`` where two names differ in case only or mean one field, ``missing_column``
    where a required field is absent, or no name is known: then the first row may be data, and is not to be noted.
    """
    folded = [name.strip().casefold() for name in header]
    times = Counter(folded)
    # By position, never by name: where a file has no header, the names are the values of its first row.
    twice = [str(position) for position, name in enumerate(folded, 1) if times[name] > 1]
    if twice:
        raise BadFile("ambiguous_header", f"columns {', '.join(twice)} have names that differ in case at most")
    fields = {normalize_header(alias): field for field, aliases in names.fields.items() for alias in aliases}
    columns: dict[str, str] = {}
    unknown: list[str] = []
    for name in header:
        field = fields.get(normalize_header(name))
        if field is None:
            unknown.append(name)
        elif field in columns.values():
            raise BadFile("ambiguous_header", f"two columns mean the field {field}")
        else:
            columns[name] = field
    absent = tuple(field for field in names.fields if field not in columns.values())
    required = [field for field in absent if field in names.required]
    if required:
        raise BadFile(
            "missing_column",
            f"no column for {', '.join(required)}; the header has {len(header)} columns, {len(columns)} of them known",
        )
    if not columns:
        raise BadFile("missing_column", f"none of the header's {len(header)} columns is known; has the file a header?")
    extras = _extras(unknown, names) if names.extras else {}
    return Binding(columns, extras, tuple(name for name in unknown if name not in extras), absent)


def names_to_tell(names: Iterable[str]) -> tuple[str, ...]:
    """Return names of columns as reports may show them: those that are values of somebody are only counted.

    The first row of a file without a header may be bound all the same, where one of its values is a field's name; and
    JSON may have values for keys. An e-mail address or a long number is no name.
    """
    told = []
    hidden = 0
    for name in names:
        number = sum(character.isdigit() for character in name) >= _SHORTEST_NUMBER
        if "@" in name or (number and not any(character.isalpha() for character in name)):
            hidden += 1
        else:
            told.append(name)
    return (*told, *([f"({hidden} that look like values)"] if hidden else []))


def _extras(unknown: list[str], names: SourceNames) -> dict[str, str]:
    """Give each further column its cleaned name; one without a letter or digit has none and is ignored."""
    extras: dict[str, str] = {}
    for name in unknown:
        cleaned = clean_name(name)
        if cleaned is None:
            continue
        if cleaned in names.fields or cleaned in extras.values():
            raise BadFile("ambiguous_header", f"two columns would be called {cleaned}")
        extras[name] = cleaned
    return extras
