"""What every reader of a file makes of it: batches of rows as text, whatever the file was written in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

import pyarrow as pa

#: The reason of a refused row whose number of values is not the header's.
RAGGED: Final = "ragged_row"
#: The reason of a refused row that is no record at all: a line that is not a JSON object, say.
UNREADABLE: Final = "unreadable_row"


@dataclass(frozen=True)
class RefusedRow:
    """A row that cannot be read. ``detail`` says why and never holds a value."""

    number: int
    reason: str
    detail: str


@dataclass(frozen=True)
class Batch:
    """Some rows of a file: ``rows`` as strings by field, their ``numbers``, and the refused rows met.

    Rows are numbered from 1, a header is one of them; empty lines do not count. A refused row may come a batch or more
    before its neighbours.
    """

    rows: pa.RecordBatch
    numbers: pa.Int64Array
    refused: tuple[RefusedRow, ...] = ()


def batch_of(columns: list[pa.StringArray], names: list[str], count: int) -> pa.RecordBatch:
    """Return ``count`` rows with the ``columns`` under their ``names``; of no columns Arrow would forget the rows."""
    if not names:
        return pa.RecordBatch.from_struct_array(pa.array([{}] * count, pa.struct([])))
    return pa.RecordBatch.from_arrays(columns, names)


@dataclass(frozen=True)
class SourceNames:
    """What a reader looks for: ``fields`` maps each field to the names it may have in a file.

    ``extras`` says that columns beyond those are wanted too, under their cleaned names.
    """

    fields: dict[str, tuple[str, ...]]
    required: tuple[str, ...] = ()
    extras: bool = False


@dataclass(frozen=True)
class Binding:
    """Which names of a file are which field.

    ``columns`` maps names in the file to fields, ``extras`` those that no field asks for to the cleaned names they get,
    ``ignored`` are names that nobody asks for, ``absent`` fields that the file does not have.
    """

    columns: dict[str, str] = field(default_factory=dict)
    extras: dict[str, str] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()


class Records(Protocol):
    """The rows of one file."""

    def batches(self) -> Iterator[Batch]:
        """Yield the rows; raises BadFile where the file cannot be read to its end."""

    @property
    def binding(self) -> Binding:
        """Which names were bound; complete only after the last batch."""
