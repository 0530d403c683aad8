"""What the jobs themselves call columns of their frames: which row it is, where it comes from, why it was refused."""

from __future__ import annotations

from typing import Final

#: A row id is the file's place in the manifest, the member's place in an archive and the row's number: later files,
#: members and rows have greater ids.
ROW_ID: Final = "row_id"
MEMBER_BITS: Final = 12
ROW_BITS: Final = 32
#: So many files of one run have row ids that are positive 64-bit integers.
MOST_FILES: Final = 1 << (63 - MEMBER_BITS - ROW_BITS)

SOURCE_FILE: Final = "source_file"
SOURCE_ROW: Final = "source_row"
REASON: Final = "reason"

#: Names of columns that are about the row, not from it. No field of a table may bear one.
LINEAGE: Final = (ROW_ID, SOURCE_FILE, SOURCE_ROW)


def file_id_of(ordinal: int, member: int) -> int:
    """Return what the row ids of one file, or of one member of an archive, have in common: they shifted right."""
    return ordinal << MEMBER_BITS | member
