"""Ask the published tables, as their catalog has them.

    spark-submit jobs/query.py --root file:///data/acme --sql "SELECT event_day, count(*) FROM sfmc_sent GROUP BY 1"

Every table of the catalog has its name in the query; without --sql they are listed with their rows. Only tables are
read, never what is still to be published. What a query shows is what the tables hold: hashes, and columns in clear.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":  # spark-submit puts this folder first on the path; our packages are one level up
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from dataclasses import dataclass

from jobs.runtime.args import option
from jobs.runtime.catalog import open_catalog
from jobs.runtime.errors import NothingToDoError
from jobs.runtime.progress import tell
from jobs.runtime.published_rows import read_table
from jobs.runtime.script import run_script
from jobs.runtime.session import open_session
from jobs.runtime.storage import open_storage


@dataclass(frozen=True)
class Args:
    """The arguments of this job."""

    root: str = option("URI that holds curated/ and state/: file:///… or s3://…")
    curated_root: str | None = option("URI that holds curated/, where it is not below --root", default=None)
    sql: str | None = option("what to ask; without it the tables are listed", default=None)
    rows: int = option("at most so many rows of the answer are shown", default=50)
    catalog_database: str | None = option(
        "Glue database the tables are in, instead of documents below --root", default=None
    )


def main(args: Args) -> None:
    """Run this job by itself."""
    storage = open_storage(args.root, args.curated_root)
    catalog = open_catalog(storage, args.catalog_database)
    tables = [table for name in catalog.names() if (table := catalog.get(name)) is not None]
    if not tables:
        raise NothingToDoError(f"there is no table in {catalog.describe()}")
    if args.sql is None:
        width = max(len(table.name) for table in tables)
        for table in tables:
            parts = f"{len(table.partitions):>4} partitions"
            switching = f" (run {table.claimed_by} is being published into it)" if table.claimed_by else ""
            print(f"{table.name:<{width}} {table.rows:>14,} rows in {parts}  {table.comment}{switching}")
        return
    spark = open_session("cleanroom-etl query")
    for table in tables:
        if table.claimed_by:
            tell(f"warning: run {table.claimed_by} is being published into {table.name}: rows of two runs may show")
        read_table(spark, table).createOrReplaceTempView(table.name)
    spark.sql(args.sql).show(args.rows, truncate=False)


if __name__ == "__main__":
    run_script(Args, main)
