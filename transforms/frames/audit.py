"""The columns about a row that a table may ask for."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from schemas.table import Table
from transforms.frames.row_hash import row_hash
from transforms.rows import SOURCE_FILE, SOURCE_ROW


def carried_for_audit(table: Table) -> tuple[str, ...]:
    """Return which columns about the row must still be there when ``with_audit`` is called."""
    return tuple(name for name in (SOURCE_FILE, SOURCE_ROW) if name in table.audit)


def with_audit(frame: DataFrame, table: Table, run_id: str, loaded_at: str) -> DataFrame:
    """Add the table's audit columns to published values; ``loaded_at`` is when the run was started (UTC, ISO 8601)."""
    made = {
        "run_id": F.lit(run_id),
        "loaded_at": F.lit(loaded_at).cast("timestamp"),
        "row_hash": row_hash(table),
    }
    return frame.withColumns({name: made[name] for name in table.audit if name in made})
