"""How a source writes its files, and the values in them."""

from __future__ import annotations

import fnmatch
import re
import zoneinfo
from dataclasses import dataclass, replace
from typing import Final

from schemas import vocabulary
from schemas.problems import Section, nearest

_REGION: Final = re.compile(r"[A-Za-z_]+(/[A-Za-z0-9_+-]+)+")
_OFFSET: Final = re.compile(r"[+-](0\d|1[0-4]):[0-5]\d")
#: Letters of Spark's datetime patterns that can be parsed, anything between apostrophes, and signs.
_TIME_FORMAT: Final = re.compile(r"(?:[GyMLdDEahHkKmsSVzOXxZ]|'[^']*'|[^A-Za-z'])+")


@dataclass(frozen=True)
class Format:
    """How files are written, and what their values mean.

    ``types`` are the kinds of files that may come. Of delimited text: ``escape`` equals ``quote`` where a quote is
    doubled. ``quote`` is empty where quotes are switched off: Spark's writer then puts U+0000 around a value that needs
    it, and still escapes inside, so ``escape`` may be given too. ``escape_unquoted`` says that the escape also stands
    before delimiters and line breaks of values without quotes (Apache Commons CSV). Without ``header`` the file's
    columns are called ``columns``, in that order.

    Files whose names match ``tab_files`` have tabs for delimiters, whatever the others have.

    Of values: ``null_values`` are words that mean no value, ``time_formats`` the patterns (Spark's) that times are
    written by, ISO 8601 without any; ``zone`` is where a time without an offset was taken; ``decimal`` is the sign
    before the fraction of a number.
    """

    types: tuple[str, ...] = ("delimited",)
    encoding: str = "utf-8"
    header: bool = True
    columns: tuple[str, ...] = ()
    delimiter: str = ","
    tab_files: tuple[str, ...] = ()
    quote: str = '"'
    escape: str = '"'
    escape_unquoted: bool = False
    null_values: tuple[str, ...] = ()
    time_formats: tuple[str, ...] = ()
    zone: str = "UTC"
    decimal: str = "."

    def for_file(self, name: str) -> Format:
        """Return the format of the file called ``name``."""
        last = name.casefold().rpartition("/")[2].rpartition("!")[2]
        if any(fnmatch.fnmatchcase(last, pattern.casefold()) for pattern in self.tab_files):
            return replace(self, delimiter="\t")
        return self


def read_format(section: Section, standard: Format) -> Format:
    """Read a section ``[format]``; what it leaves out is as in ``standard``. Problems are noted in the section."""
    quote = section.text("quote", standard.quote)
    doubled = quote if standard.escape == standard.quote else standard.escape
    result = Format(
        types=section.texts("types", standard.types, vocabulary.FILE_TYPES),
        encoding=section.text("encoding", standard.encoding, vocabulary.TEXT_ENCODINGS),
        header=section.flag("header", standard.header),
        columns=section.texts("columns", standard.columns),
        delimiter=section.text("delimiter", standard.delimiter),
        tab_files=section.texts("tab_files", standard.tab_files),
        quote=quote,
        escape=section.text("escape", doubled),
        escape_unquoted=section.flag("escape_unquoted", standard.escape_unquoted),
        null_values=section.texts("null_values", standard.null_values),
        time_formats=read_time_formats(section, standard.time_formats),
        zone=read_zone(section, standard.zone),
        decimal=section.text("decimal", standard.decimal, vocabulary.DECIMAL_SIGNS),
    )
    _check_signs(section, result)
    if not result.types:
        section.problem("types", f"must name at least one{nearest('', vocabulary.FILE_TYPES)}")
    if result.header and result.columns:
        section.problem("columns", "has no meaning with a header; say header = false")
    if not result.header and not result.columns:
        section.problem("columns", "missing: without a header the names of the columns, in their order, must be given")
    if not all(re.search(r"[^\W_]", name) for name in result.columns):
        section.problem("columns", "each name needs a letter or a digit")
    section.close()
    return result


def _check_signs(section: Section, layout: Format) -> None:
    for key, value in (("quote", layout.quote), ("escape", layout.escape)):
        if len(value) > 1 or not value.isascii() or value in ("\r", "\n", "\x00"):
            section.problem(key, "must be one ASCII character, no line break and no NUL, or empty")
    if len(layout.delimiter) != 1 or layout.delimiter in "\r\n\x00\x1a":
        section.problem("delimiter", "must be one character, no line break")
    if layout.quote and not layout.escape:
        section.problem("escape", "must not be empty: name the escape character, or leave it out for doubled quotes")
    if layout.delimiter in (layout.quote, layout.escape):
        section.problem("delimiter", "must differ from quote and escape")
    if layout.escape_unquoted and (not layout.escape or layout.escape == layout.quote):
        section.problem("escape_unquoted", "needs an escape character that is not the quote")


def read_time_formats(section: Section, standard: tuple[str, ...]) -> tuple[str, ...]:
    """Read the key ``time_formats`` of a section."""
    formats = section.texts("time_formats", standard)
    for pattern in formats if section.has("time_formats") else ():
        if not _TIME_FORMAT.fullmatch(pattern):
            section.problem("time_formats", f"{pattern!r} is no pattern that Spark can read times by")
    return formats


def _is_region(zone: str) -> bool:
    known = zoneinfo.available_timezones()  # none on a system without the time zone database; Java has its own
    return zone == "UTC" or (zone in known if known else _REGION.fullmatch(zone) is not None)


def read_zone(section: Section, standard: str) -> str:
    """Read the key ``zone`` of a section: an offset such as -06:00, or a region such as Europe/Berlin."""
    zone = section.text("zone", standard)
    if section.has("zone") and not _OFFSET.fullmatch(zone) and not _is_region(zone):
        section.problem("zone", f"{zone!r} is neither an offset such as -06:00 nor a region such as Europe/Berlin")
    return zone
