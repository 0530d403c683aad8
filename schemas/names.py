"""The rules for names that AWS Clean Rooms and the Glue Data Catalog accept without quoting.

Sources: AWS Clean Rooms user guide, "Naming guidelines" and "Reserved words" of its SQL reference; the Data
Catalog folds names to lower case. We ask for the part of those rules that needs no quoting anywhere.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_PATTERN: Final = re.compile(r"[a-z][a-z0-9_]{0,126}")

_LONGEST: Final = 127
_WORD_BORDER: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")

_FORBIDDEN_PREFIXES: Final = tuple("padb_ pg_ stcs_ stl_ stll_ stv_ svcs_ svl_ svv_ sys_ systable_".split())  # noqa: SIM905  a word list

_SYSTEM_COLUMNS: Final = frozenset("oid tableoid xmin cmin xmax cmax ctid".split())  # noqa: SIM905  a word list

_RESERVED_WORDS: Final = frozenset(
    """
    aes128 aes256 all allowoverwrite analyse analyze and any array as asc authorization az64 backup between binary
    blanksasnull both bytedict case cast check collate column constraint create credentials cross current_date
    current_time current_timestamp current_user current_user_id default deferrable deflate defrag delta delta32k
    desc disable distinct do else emptyasnull enable encode encrypt encryption end except explicit false for foreign
    freeze from full globaldict256 globaldict64k grant group gzip having identity ignore ilike in initially inner
    intersect interval into is isnull join language leading left like limit localtime localtimestamp luns lzo lzop
    minus mostly16 mostly32 mostly8 natural new not notnull null nulls off offline offset oid old on only open or
    order outer overlaps parallel partition percent permissions pivot placing primary raw readratio recover
    references rejectlog resort respect restore right select session_user similar snapshot some sysdate system table
    tag tdes text255 text32k then timestamp to top trailing true truncatecolumns union unique unnest unpivot user
    using verbose wallet when where with without
    """.split()  # noqa: SIM905  a word list
)


def name_problem(name: str) -> str | None:
    """Return why ``name`` cannot be a table or column name, or None where it can."""
    if not _PATTERN.fullmatch(name):
        return "must be lower-case letters, digits and underscores, start with a letter, at most 127 characters"
    if name in _SYSTEM_COLUMNS:
        return "is a system column and can never be used in AWS Clean Rooms"
    if name in _RESERVED_WORDS:
        return f"is a reserved word in AWS Clean Rooms; call it {name}_value or the like"
    for prefix in _FORBIDDEN_PREFIXES:
        if name.startswith(prefix):
            return f"starts with {prefix}, which AWS Clean Rooms forbids"
    return None


def normalize_header(name: str) -> str:
    """Return a header cell without case and punctuation: ``homeAddress.city`` and ``homeaddress_city`` agree."""
    return re.sub(r"[\W_]+", "", name).casefold()


def clean_name(text: str) -> str | None:
    """Return a column name made of ``text`` that needs no quoting, or None where no letter or digit is left of it.

    ``ClientID`` and ``client id`` become ``client_id``, ``Größe`` becomes ``grosse``, ``1st`` becomes ``c_1st``.
    """
    decomposed = unicodedata.normalize("NFKD", text)
    letters = "".join(character for character in decomposed if not unicodedata.combining(character))
    name = re.sub(r"[^a-z0-9]+", "_", _WORD_BORDER.sub("_", letters).casefold()).strip("_")
    if not name:
        return None
    if name[0].isdigit() or name.startswith(_FORBIDDEN_PREFIXES):
        name = f"c_{name}"
    if name in _RESERVED_WORDS or name in _SYSTEM_COLUMNS:
        name = f"{name}_value"
    return name[:_LONGEST].rstrip("_")
