"""Dictionaries of spellings, looked up without case, accents, blanks and punctuation."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F

from transforms.blanks import BLANKS

_ACCENTED: Final = "ÀÁÂÃÄÅÇÈÉÊËÌÍÎÏÑÒÓÔÕÖÙÚÛÜÝ"
_PLAIN: Final = "AAAAAACEEEEIIIINOOOOOUUUUY"
_DROPPED: Final = (
    BLANKS + ".,;:'\u2018\u2019\u02bc`\xb4-\u2010\u2011\u2012\u2013\u2014_/()[]&*\"\u201c\u201d\u201e\xab\xbb"
)
# Between the slots of a list, before a key, before its entry: no key and no entry has them.
_SLOT: Final = "\x03"
_KEY: Final = "\x02"
_ENTRY: Final = "\x01"
_SLOTS_AN_ENTRY: Final = 4
_FOLDING: Final = str.maketrans(_ACCENTED, _PLAIN, _DROPPED)


def folded(value: Column) -> Column:
    """Return the text as dictionaries are keyed: upper case, Latin accents off, no blanks and punctuation."""
    return F.translate(F.upper(value), _ACCENTED + _DROPPED, _PLAIN)


def folded_text(text: str) -> str:
    """Return the same for a text that is known now."""
    return text.upper().translate(_FOLDING)


def found(key: Column, entries: Mapping[str, str]) -> Column:
    """Return the entry of a key, null where there is none; as quick for a thousand entries as for one.

    A constant list has the entries in slots by their keys' CRC-32. Most keys that have no entry meet an empty slot, and
    the plan holds one text instead of a literal for each entry.
    """
    slots = [""] * (_SLOTS_AN_ENTRY * len(entries))
    for word, meaning in entries.items():
        slots[zlib.crc32(word.encode()) % len(slots)] += f"{_KEY}{word}{_ENTRY}{meaning}"
    number = F.pmod(F.crc32(key.cast("binary")), F.lit(len(slots))).cast("int")
    slot = F.get(F.split(F.lit(_SLOT.join(slots)), _SLOT), number)
    mark = F.concat(F.lit(_KEY), key, F.lit(_ENTRY))
    entry = F.substring_index(F.substr(slot, F.position(mark, slot) + F.length(mark)), _KEY, 1)
    return F.when((slot != F.lit("")) & F.contains(slot, mark), entry)


def replaced(word: Column, entries: Mapping[str, str]) -> Column:
    """Return the entry of a word, the word itself where there is none; null stays null."""
    return F.coalesce(found(word, entries), word)
