"""What counts as blank at the ends of a value: Unicode's white space, and what takes no room."""

from __future__ import annotations

from typing import Final

#: White space of Unicode (property White_Space), and the separators that Python and Java count in.
WHITE_SPACE: Final = (
    "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680"
    "\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
#: Zero-width space, joiners, word joiner, byte order mark, Mongolian vowel separator.
ZERO_WIDTH: Final = "\u200b\u200c\u200d\u2060\ufeff\u180e"
BLANKS: Final = WHITE_SPACE + ZERO_WIDTH
