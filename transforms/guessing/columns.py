"""All columns of a sample: their names in the table, types, personal data, and what makes rows unique."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from schemas.names import clean_name, name_problem, normalize_header
from schemas.table import RESERVED_FIELDS
from transforms.blanks import BLANKS
from transforms.guessing.column_names import Kind, is_flag_name, is_time_name
from transforms.guessing.countries import country_of_phones, writes_days_first
from transforms.guessing.personal_data import Judgement, judge
from transforms.guessing.value_types import ValueType, guess_type, null_words

_LONGEST_NAME: Final = 127
_UNIQUE_ROWS: Final = 2


@dataclass(frozen=True)
class ColumnGuess:
    """A column: ``source`` is its name in the file, ``name`` that in the table.

    ``type`` and ``normalize`` are words of table files; a hashed column is a string whatever ``values`` says.
    ``unique`` tells that each row of the sample has a value of its own. ``doubts`` are about what it is and how it is
    published, ``type_doubts`` about its type and how times and numbers are written.
    """

    source: str
    name: str
    type: str
    normalize: str
    hashed: bool
    values: ValueType
    kind: Kind | None = None
    unique: bool = False
    may_be_key: bool = False
    doubts: tuple[str, ...] = ()
    type_doubts: tuple[str, ...] = ()


@dataclass(frozen=True)
class SampleGuess:
    """What a sample's columns are, and what holds for all of them.

    ``nulls`` are words for no value with a doubt each, or an empty text. ``unnamed`` are positions of columns whose
    names have no letter or digit. ``decimal`` is the sign most columns have before a fraction.
    """

    columns: tuple[ColumnGuess, ...]
    rows: int
    nulls: Mapping[str, str] = field(default_factory=dict)
    unnamed: tuple[int, ...] = ()
    decimal: str = "."
    country: str | None = None
    country_doubt: str = ""
    keys: tuple[str, ...] = ()


def guess_columns(
    names: Sequence[str], rows: Sequence[Sequence[str | None]], *, named: bool = True, country: str | None = None
) -> SampleGuess:
    """Return what the columns of a sample are.

    Args:
        names: the names in the file, or made-up ones.
        rows: the values, one for each name.
        named: whether the names are the file's own.
        country: the country of the rows, by its ISO alpha-2 code, where it is known.
    """
    texts = [[(row[at] or "").strip(BLANKS) for row in rows] for at in range(len(names))]
    nulls = null_words(Counter(text for column in texts for text in column if text))
    present = [[text for text in column if text and text not in nulls] for column in texts]
    types = [_typed(name, values, named=named) for name, values in zip(names, present, strict=True)]
    found, told = (country, "") if country is not None else _country(names, present, types, named=named)
    types = _settled(names, present, types, writes_days_first(found), named=named)
    judgements = [
        judge(name, values, kind, named=named) for name, values, kind in zip(names, present, types, strict=True)
    ]
    cleaned = table_names(names)
    unnamed = tuple(at for at, name in enumerate(cleaned, 1) if name is None)
    columns = tuple(
        _column(source, name, kind, judgement, unique=_is_unique(values, len(rows)))
        for source, name, kind, judgement, values in zip(names, cleaned, types, judgements, present, strict=True)
        if name is not None
    )
    return SampleGuess(
        columns,
        len(rows),
        nulls,
        unnamed,
        _usual_decimal(types),
        found,
        told,
        _keys(columns),
    )


def table_names(names: Sequence[str]) -> list[str | None]:
    """Return a column name for each name of a file, None for one without a letter or digit.

    No two are alike, and none is what another column of the file is called: both would bind to one column.
    """
    folded = [normalize_header(name) for name in names]
    owners = Counter(folded)
    taken: set[str] = set()
    made: list[str | None] = []
    for name, own in zip(names, folded, strict=True):
        cleaned = clean_name(name)
        if cleaned in RESERVED_FIELDS:
            cleaned = f"{cleaned}_value"
        if cleaned is None or not own:
            made.append(None)
            continue
        candidate, number = cleaned, 1
        while (
            name_problem(candidate)
            or normalize_header(candidate) in taken
            or (normalize_header(candidate) != own and owners[normalize_header(candidate)])
        ):
            number += 1
            candidate = f"{cleaned[: _LONGEST_NAME - 8]}_{number}"
        taken.add(normalize_header(candidate))
        made.append(candidate)
    return made


def _country(
    names: Sequence[str], values: list[list[str]], types: list[ValueType], *, named: bool
) -> tuple[str | None, str]:
    """Return the country of rows that name none as phone numbers tell it, and how it was told."""
    phones: list[str] = []
    for name, column, kind in zip(names, values, types, strict=True):
        found = judge(name, column, kind, named=named).kind
        phones += column if found is not None and found.name == "phone" else []
    told = country_of_phones(phones)
    return told, "told by the calling codes of phone numbers" if told else ""


def _typed(
    name: str, values: list[str], *, named: bool, decimal: str | None = None, day_first: bool | None = None
) -> ValueType:
    is_time, is_flag = named and is_time_name(name), named and is_flag_name(name)
    return guess_type(values, is_time=is_time, is_flag=is_flag, decimal=decimal, day_first=day_first)


def _settled(
    names: Sequence[str],
    values: list[list[str]],
    types: list[ValueType],
    hint: bool | None,  # noqa: FBT001  three states
    *,
    named: bool,
) -> list[ValueType]:
    """Guess again what is open in one column, as other columns of the file have it, or else the country (``hint``)."""
    orders = {
        kind.times.day_first
        for kind in types
        if kind.times is not None and kind.times.day_first is not None and "." not in kind.times.formats[0]
    }
    signs = {kind.decimal for kind in types if kind.decimal and not kind.open_groups}
    sign = signs.pop() if len(signs) == 1 else None
    order = orders.pop() if len(orders) == 1 else hint
    return [
        _typed(name, column, named=named, decimal=sign, day_first=order)
        if kind.open_groups or (kind.times is not None and kind.times.open_order)
        else kind
        for name, column, kind in zip(names, values, types, strict=True)
    ]


def _column(source: str, name: str, kind: ValueType, judgement: Judgement, *, unique: bool) -> ColumnGuess:
    hashed = judgement.kind is not None and not judgement.clear
    text_only = hashed or judgement.kind is not None  # what a profile normalises is text
    return ColumnGuess(
        source,
        name,
        "string" if text_only else kind.type,
        judgement.kind.normalize if judgement.kind else "text",
        hashed,
        dataclasses.replace(kind, words={}) if text_only else kind,
        judgement.kind,
        unique,
        judgement.keys,
        judgement.doubts,
        () if text_only else kind.doubts,
    )


def _is_unique(values: Sequence[str], rows: int) -> bool:
    return rows >= _UNIQUE_ROWS and len(values) == rows == len(set(values))


def _keys(columns: Sequence[ColumnGuess]) -> tuple[str, ...]:
    """Return columns that may make a row unique: ids of persons first, then e-mail addresses, then other ids."""
    order = ("person_id", "email")
    able = [column for column in columns if column.unique and column.may_be_key and column.kind is not None]
    ranked = sorted(able, key=lambda each: order.index(each.kind.name) if each.kind and each.kind.name in order else 2)
    return tuple(column.name for column in ranked)


def _usual_decimal(types: Sequence[ValueType]) -> str:
    signs = Counter(kind.decimal for kind in types if kind.decimal)
    return "," if signs[","] > signs["."] else "."
