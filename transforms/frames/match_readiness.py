"""How ready a table is to be matched: counts that are taken while its rows are written, never a pass of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, Final

from pyspark.sql import Column
from pyspark.sql import functions as F

from schemas.feed import Feed
from schemas.table import Column as TableColumn
from schemas.table import Table
from transforms.frames.mapping import COUNTRY, NAMED_COUNTRY, country_field, outputs, value_of
from transforms.frames.normalise import REASON_OF

_ROWS: Final = "rows"
_NAMED: Final = "country/named"
_UNKNOWN: Final = "country/unknown"
_WITH_COUNTRY: Final = "country/present"


def measures(feed: Feed, table: Table) -> list[Column]:
    """Return counts over a frame that ``with_values`` and ``with_reasons`` have made, each under a name of its own."""
    counts = [F.count(F.lit(1)).alias(_ROWS), F.count(F.col(COUNTRY)).alias(_WITH_COUNTRY)]
    field = country_field(feed, table)
    if field is not None:
        is_unknown = F.col(field).isNotNull() & F.col(NAMED_COUNTRY).isNull()
        counts += [F.count(F.col(NAMED_COUNTRY)).alias(_NAMED), F.count_if(is_unknown).alias(_UNKNOWN)]
    for output in outputs(feed, table):
        counts += [
            F.count(F.col(output.source)).alias(f"{output.name}/delivered"),
            F.count(F.col(output.name)).alias(f"{output.name}/valid"),
        ]
        reasons = (*output.rule.reasons, *(("unknown_country",) if output.rule.needs_country else ()))
        counts += [
            F.count_if(F.col(REASON_OF + output.name) == F.lit(reason)).alias(f"{output.name}/{reason}")
            for reason in dict.fromkeys(reasons)
        ]
    for column in _typed(feed, table):
        value = F.col(value_of(column.name))
        counts += [
            F.count(F.col(column.field)).alias(f"{value_of(column.name)}/delivered"),
            F.count(value).alias(f"{value_of(column.name)}/valid"),
        ]
    counts += [
        F.count_if(~F.col(value_of(one)).eqNullSafe(F.col(value_of(other)))).alias(f"{one}/{other}/differ")
        for one, other in _rivals(feed, table)
    ]
    return counts


def _typed(feed: Feed, table: Table) -> list[TableColumn]:
    """Return the columns that are not text: values that do not fit their type are null, and counted."""
    return [column for column in table.columns if column.type != "string" and column.field in feed.fields]


def _refusal_of(column: TableColumn) -> str:
    kind = column.type.partition("(")[0]
    return f"not_{'an' if kind == 'int' else 'a'}_{kind}"


def _rivals(feed: Feed, table: Table) -> Sequence[tuple[str, str]]:
    """Return pairs of columns that are made from one field by different rules."""
    columns = [column for column in table.columns if column.type == "string" and column.field in feed.fields]
    return [
        (one.name, other.name)
        for one, other in combinations(columns, 2)
        if one.field == other.field and (one.profile, one.normalize) != (other.profile, other.normalize)
    ]


def match_readiness(counted: Mapping[str, Any], feed: Feed, table: Table) -> dict[str, Any]:
    """Return what ``measures`` have counted as a document: rows, countries, each column, columns of one field."""
    rows = int(counted[_ROWS])
    columns = {}
    for output in outputs(feed, table):
        name = output.name.removeprefix(value_of(""))
        prefix = f"{output.name}/"
        found = {key.removeprefix(prefix): int(value) for key, value in counted.items() if key.startswith(prefix)}
        delivered, valid = found.pop("delivered"), found.pop("valid")
        source = feed.column(output.source)
        columns[name] = {
            "delivered": delivered,
            "valid": valid,
            "already_hashed": valid if source.prehashed is not None else 0,
            "invalid_by_reason": {reason: count for reason, count in sorted(found.items()) if count},
        }
    for column in _typed(feed, table):
        delivered = int(counted[f"{value_of(column.name)}/delivered"])
        valid = int(counted[f"{value_of(column.name)}/valid"])
        refused = {_refusal_of(column): delivered - valid} if delivered > valid else {}
        columns[column.name] = {
            "delivered": delivered,
            "valid": valid,
            "already_hashed": 0,
            "invalid_by_reason": refused,
        }
    differing = {f"{one} / {other}": int(counted[f"{one}/{other}/differ"]) for one, other in _rivals(feed, table)}
    return {
        "rows": rows,
        "countries": {
            "known": int(counted[_WITH_COUNTRY]),
            "named_by_the_row": int(counted.get(_NAMED, 0)),
            "named_but_unknown": int(counted.get(_UNKNOWN, 0)),
        },
        "columns": columns,
        "normalised_differently": differing,
    }
