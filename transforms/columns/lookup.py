"""Dictionaries of spellings, looked up without case, accents, blanks and punctuation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F

from transforms.blanks import BLANKS

_ACCENTED: Final = "ÀÁÂÃÄÅÇÈÉÊËÌÍÎÏÑÒÓÔÕÖÙÚÛÜÝ"
_PLAIN: Final = "AAAAAACEEEEIIIINOOOOOUUUUY"
_DROPPED: Final = BLANKS + ".,;:'\u2018\u2019\u02bc`\xb4-\u2010\u2011\u2012\u2013\u2014_/()[]&*"
_FOLDING: Final = str.maketrans(_ACCENTED, _PLAIN, _DROPPED)


def folded(value: Column) -> Column:
    """Return the text as dictionaries are keyed: upper case, Latin accents off, no blanks and punctuation."""
    return F.translate(F.upper(value), _ACCENTED + _DROPPED, _PLAIN)


def folded_text(text: str) -> str:
    """Return the same for a text that is known now."""
    return text.upper().translate(_FOLDING)


def found(key: Column, entries: Mapping[str, str]) -> Column:
    """Return the entry of a key, null where there is none. The map is searched from its start: frequent keys first."""
    # Two texts instead of a literal for each entry: planning is ten times as quick, the folded constant the same.
    keys, values = (F.split(F.lit(",".join(side)), ",") for side in (entries, entries.values()))
    return F.element_at(F.map_from_arrays(keys, values), key)
