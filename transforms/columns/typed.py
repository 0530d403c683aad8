r"""Text to typed values, strictly: what is not clearly a value of the type is null, never something near it.

Spark's own casts are more lenient than is safe here: ``2024-01-31Tx`` is a date to them, ``1d`` a number, 1.239 becomes
1.24 in a decimal of two digits. So each type has a form that the text must have first.
"""

from __future__ import annotations

import re
from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F

from schemas.feed import SourceColumn

_TRUE: Final = ("true", "t", "yes", "y", "1")
_FALSE: Final = ("false", "f", "no", "n", "0")
_INTEGERS: Final = ("smallint", "int", "bigint")
_NUMBER: Final = r"^[+-]?([0-9]+(\\.[0-9]*)?|\\.[0-9]+)([eE][+-]?[0-9]{1,3})?$"
_GROUPED: Final = r"^[+-]?([0-9]{1,3}(\\.[0-9]{3})+|[0-9]*)(,[0-9]*)?$"
_ISO_TIME: Final = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\\.[0-9]{1,9})?)?( ?(Z|UTC|[+-][0-9]{2}(:?[0-9]{2})?))?)?$"
)
_HAS_OFFSET: Final = r"[T ].*(Z|UTC|[+-][0-9]{2}(:?[0-9]{2})?)$"
_OFFSETS: Final = (  # as Spark's cast wants them
    (r" ?(Z|UTC)$", "Z"),
    (r"([T ][0-9:.]+) ?([+-][0-9]{2})$", "$1$2:00"),
    (r"([T ][0-9:.]+) ?([+-][0-9]{2}):?([0-9]{2})$", "$1$2:$3"),
)
_EPOCHS: Final = {
    "seconds": (r"^-?[0-9]{1,11}$", "timestamp_seconds"),
    "milliseconds": (r"^-?[0-9]{1,14}$", "timestamp_millis"),
    "microseconds": (r"^-?[0-9]{1,17}$", "timestamp_micros"),
}
#: Letters of datetime patterns that stand for an offset or a zone.
_ZONE_LETTERS: Final = re.compile(r"[VzOXxZ]")


def typed(source: SourceColumn, type_name: str) -> Column:
    """Return the text column ``source.field`` as a value of the table type ``type_name`` (not string).

    Null where the text is not written as the type, or does not fit it: a fraction in an integer, more digits than a
    decimal has. Times without an offset were taken in ``source.zone``; the result is UTC.
    """
    text = f"`{source.field}`"
    if type_name == "boolean":
        return F.expr(_boolean(text))
    if type_name in ("date", "timestamp"):
        return F.expr(f"cast({_time(text, source)} AS {type_name})")
    if source.decimal == ",":
        text = rf"if({text} RLIKE '{_GROUPED}', replace(replace({text}, '.', ''), ',', '.'), NULL)"
    text = f"if({text} RLIKE '{_NUMBER}', {text}, NULL)"
    if type_name in _INTEGERS:
        return F.expr(rf"try_cast(regexp_replace({text}, '\\.0*$', '') AS {type_name})")
    value = f"try_cast({text} AS {type_name})"
    if type_name == "float":
        return F.expr(f"nullif(nullif({value}, float('Infinity')), float('-Infinity'))")
    return F.expr(_decimal(text, value, int(type_name.rstrip(")").partition(",")[2])))


def _boolean(text: str) -> str:
    word = f"lower({text})"
    yes, no = (", ".join(f"'{each}'" for each in words) for words in (_TRUE, _FALSE))
    return f"CASE WHEN {word} IN ({yes}) THEN true WHEN {word} IN ({no}) THEN false END"


def _decimal(text: str, value: str, scale: int) -> str:
    """Refuse what would be rounded: more digits behind the point than the type has, zeros at the end aside."""
    plain = rf"^[+-]?[0-9]*(\\.[0-9]{{0,{scale}}}0*)?$"
    exact = f"try_cast({text} AS decimal(38,18))"
    return f"CASE WHEN {text} RLIKE '{plain}' OR cast({value} AS decimal(38,18)) = {exact} THEN {value} END"


def _time(text: str, source: SourceColumn) -> str:
    if source.epoch is not None:
        form, function = _EPOCHS[source.epoch]
        return f"{function}(try_cast(if({text} RLIKE '{form}', {text}, NULL) AS bigint))"
    if not source.time_formats:
        return _iso_time(text, source.zone)
    # Newer Java libraries write a narrow blank between time and AM or PM.
    written = f"translate({text}, '\u202f\u00a0', '  ')"
    tries = []
    for pattern in source.time_formats:
        moment = f"try_to_timestamp({written}, {_quoted(pattern)})"
        tells_zone = _ZONE_LETTERS.search(re.sub(r"'[^']*'", "", pattern)) is not None
        tries.append(moment if tells_zone else _in_utc(moment, source.zone))
    return f"coalesce({', '.join(tries)})" if len(tries) > 1 else tries[0]


def _iso_time(text: str, zone: str) -> str:
    """Read ISO 8601, and what BigQuery prints: a blank for the T, UTC for the Z."""
    written = f"if({text} RLIKE '{_ISO_TIME}', {text}, NULL)"
    for found, replacement in _OFFSETS:
        written = f"regexp_replace({written}, '{found}', '{replacement}')"
    moment = f"try_cast({written} AS timestamp)"
    return moment if zone == "UTC" else f"if({text} RLIKE '{_HAS_OFFSET}', {moment}, {_in_utc(moment, zone)})"


def _in_utc(moment: str, zone: str) -> str:
    return moment if zone == "UTC" else f"to_utc_timestamp({moment}, '{zone}')"


def _quoted(pattern: str) -> str:
    escaped = pattern.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
