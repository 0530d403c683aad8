"""Show a published table of the file catalog: python -m tests.demo.show_table --root .demo/root --table <name>"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlparse

import pyarrow as pa
import pyarrow.parquet as pq

_HASH: Final = re.compile(r"[0-9a-f]{64}|[A-Za-z0-9+/]{43}=")
_SHOWN: Final = 9  # characters of a hash
_WIDTH: Final = 18


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="the root that the pipeline ran with")
    parser.add_argument("--table", default="customer_profile")
    parser.add_argument("--rows", type=int, default=6)
    args = parser.parse_args(argv)
    document = args.root / "state" / "catalog" / f"{args.table}.json"
    if not document.exists():
        parser.error(f"{args.table} has not been published under {args.root}: there is no {document}")
    print("\n".join(describe(json.loads(document.read_text(encoding="utf-8")), args.table, args.rows)))


def describe(table: dict[str, Any], name: str, rows: int) -> Iterator[str]:
    """Yield the lines to print for a table of the file catalog."""
    partitions = table.get("partitions") or [{"values": [], "location": table["location"]}]
    files = {"/".join(map(str, part["values"])): _parquet_files(part["location"]) for part in partitions}
    counts = {values: sum(pq.read_metadata(file).num_rows for file in found) for values, found in files.items()}
    yield f"{name}: {sum(counts.values()):,} rows at {table['location']}"
    yield ""
    yield from _sample(files, rows)
    yield ""
    largest = sorted(counts.items(), key=lambda item: -item[1])
    yield from aligned(
        [("partition", "rows"), *((values or "(none)", f"{count:,}") for values, count in largest)], right={1}
    )


def _sample(files: dict[str, list[Path]], rows: int) -> Iterator[str]:
    """Take a row or two of each partition, so that the few rows shown differ."""
    each = max(1, -(-rows // max(1, len(files))))
    lines: list[tuple[str, ...]] = []
    header: tuple[str, ...] = ()
    for values, found in files.items():
        if not found or len(lines) >= rows:
            continue
        batch = next(pq.ParquetFile(found[0]).iter_batches(batch_size=each), pa.RecordBatch.from_pylist([]))
        header = (*batch.schema.names, "partition")
        lines += [(*map(_short, row.values()), values) for row in batch.to_pylist()]
    # A wide table is turned on its side: a column a line.
    wide = [header, *lines[:rows]]
    yield from aligned(list(zip(*wide, strict=True)))


def _short(value: object) -> str:
    if value is None:
        return "-"
    text = str(value)
    if _HASH.fullmatch(text):
        return f"{text[:_SHOWN]}…"
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"


def aligned(rows: Sequence[Sequence[str]], right: Iterable[int] = ()) -> Iterator[str]:
    """Yield the rows as lines with aligned columns."""
    right = set(right)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.rjust(width) if at in right else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def _parquet_files(location: str) -> list[Path]:
    parsed = urlparse(location)
    folder = Path(unquote(parsed.path)) if parsed.scheme == "file" else Path(location)
    return sorted(folder.rglob("*.parquet"))


if __name__ == "__main__":
    main()
