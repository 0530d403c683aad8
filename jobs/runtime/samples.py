"""Small CSV files that people write by hand: rows with the line that each begins in."""

from __future__ import annotations

import csv
import io

from jobs.runtime.errors import ArgumentError
from jobs.runtime.storage import read_uri


def read_text(uri: str) -> str:
    """Return the text of a file, without a byte order mark. Raises ArgumentError where it is not UTF-8."""
    try:
        return read_uri(uri).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ArgumentError(f"{uri} is not UTF-8 text") from None


def read_rows(text: str) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Return the names of the columns, and every row with its line; blank lines are none.

    Raises ArgumentError with the line for a row that has not as many cells as there are columns, or is no CSV.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] = []
    rows: list[tuple[int, dict[str, str]]] = []
    line = 1
    try:
        for cells in reader:
            if cells and not header:
                header = cells
            elif cells and len(cells) != len(header):
                raise ArgumentError(f"line {line} has {len(cells)} cells, not the {len(header)} of the first line")
            elif cells:
                rows.append((line, dict(zip(header, cells, strict=True))))
            line = reader.line_num + 1
    except csv.Error as error:
        raise ArgumentError(f"line {line} is no CSV: {error}") from None
    return header, rows
