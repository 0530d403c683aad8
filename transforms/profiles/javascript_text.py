"""White space as JavaScript sees it: with the byte order mark, without the information separators and U+0085."""

from __future__ import annotations

from typing import Final

from pyspark.sql import Column
from pyspark.sql import functions as F

_SPACES: Final = (
    "\t\n\v\f\r \xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)

#: What ``\s`` means there, for a character class of Java.
SPACE: Final = r"\t\n\x0b\f\r \xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"


def strip(value: Column) -> Column:
    """Do what ``String.prototype.trim()`` does; null stays null."""
    return F.btrim(value, F.lit(_SPACES))
