"""Whether the first row of a file names its columns.

A row that is taken for a header by mistake would put somebody's data into a connector file: so it takes evidence to be
one, and without evidence it is a row like the others.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from transforms.guessing.column_names import is_flag_name, is_time_name, kinds_by_name
from transforms.guessing.value_shapes import hides_email, share
from transforms.guessing.value_types import guess_type, null_words

#: How programs write names. People may be called McDonald, so a capital in front is none of it.
_NAMELIKE: Final = re.compile(r"[^\W\d]\w*_\w+|[a-z]+[A-Z]\w*|[a-z]\w*\.\w+")
_DIGITS: Final = re.compile(r"\d")
_MOST_DIGITS: Final = 5
_LONGEST: Final = 64
_MANY, _FEW_DISTINCT = 20, 10
_TYPED_ROWS: Final = 10
_SHARE: Final = 4  # of the columns one in so many must speak for it
_LOOKED_AT: Final = 100


@dataclass(frozen=True)
class HeaderRow:
    """Whether there is a header; ``doubt`` is empty where that is certain."""

    found: bool
    doubt: str = ""


def guess_header_row(rows: Sequence[Sequence[str]]) -> HeaderRow:
    """Return whether the first of ``rows``, which are all of one length, is a header."""
    first, below = rows[0], rows[1:]
    columns = [[row[at] for row in below if row[at]] for at in range(len(first))]
    folded = [cell.strip().casefold() for cell in first if cell.strip()]
    if not folded or len(set(folded)) < len(folded):
        return HeaderRow(False, "the first row has cells that are alike or empty, which no header may have")
    if any(map(_is_data, map(str.strip, first))):
        return HeaderRow(False)
    evidence = sum(_evidence(cell, column) for cell, column in zip(first, columns, strict=True))
    needed = max(min(2, len(first)), -(-len(first) // _SHARE))
    if evidence >= needed:
        sure = evidence * 2 >= len(first)
        return HeaderRow(True, "" if sure else f"{evidence} of {len(first)} cells of the first row speak for a header")
    return HeaderRow(
        False, "nothing tells that the first row names the columns; if it does, make this again with --header yes"
    )


def _is_data(cell: str) -> bool:
    if not cell:
        return False
    if len(cell) > _LONGEST or len(_DIGITS.findall(cell)) > _MOST_DIGITS:
        return True
    return hides_email([cell]) > 0 or share([cell], "ip") > 0 or guess_type([cell]).type not in ("string", "boolean")


def _evidence(cell: str, column: Sequence[str]) -> int:
    """Return how much a cell looks like the name of the column below it."""
    text = cell.strip()
    folded = text.casefold()
    if not text or null_words({text: 1}) or any(value.strip().casefold() == folded for value in column):
        return 0
    typed = bool(column) and guess_type(column).type != "string" and guess_type([text]).type == "string"
    distinct = len(set(column))
    if typed and len(column) >= _TYPED_ROWS:
        return 2
    of_few = len(column) >= _MANY and distinct * _FEW_DISTINCT <= len(column)
    # A column of such words, of logins say, may begin with one.
    stands_out = _is_name(text) and not any(map(_is_name, column[:_LOOKED_AT]))
    return int(typed or of_few or stands_out)


def _is_name(text: str) -> bool:
    """Tell whether a text is a word for a column, or written like one."""
    known = next(kinds_by_name(text), None) is not None or is_time_name(text) or is_flag_name(text)
    return known or _NAMELIKE.fullmatch(text) is not None
