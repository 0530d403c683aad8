"""One hash over a row as it is published: equal for equal rows alone, whatever run wrote them."""

from __future__ import annotations

from collections.abc import Iterable

from pyspark.sql import Column
from pyspark.sql import functions as F

from schemas.table import Table


def digest_of(columns: Iterable[Column]) -> Column:
    """Return SHA-256 (lower hex) over columns of any type; null is a value of its own, and so is the empty text.

    Each value has its length before it, so that no two different rows make one text.
    """
    texts = (column.cast("string") for column in columns)
    parts = (F.coalesce(F.concat(F.length(text).cast("string"), F.lit(":"), text), F.lit("-")) for text in texts)
    return F.sha2(F.concat(*parts).cast("binary"), 256)


def row_hash(table: Table) -> Column:
    """Return the hash of a row over the table's own columns; those about the row itself do not count."""
    return digest_of(F.col(column.name) for column in table.columns)
