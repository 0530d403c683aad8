"""Look at a sample file and write a connector and a table file for its like.

    python -m jobs.new_connector --file sample.csv --name loyalty_members --out definitions/ --country DE

It reads the beginning of the file, in whatever it is packed, and guesses how it is written, the type of each column,
and which of them hold personal data. What is not certain stands in the files as a comment: ``# doubt: …``; what looks
personal, or might be, is hashed. No value of the sample gets into the files or the output. Python alone runs this.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":  # spark-submit puts this folder first on the path; our packages are one level up
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from jobs.runtime.args import option
from jobs.runtime.configuration import load_configuration
from jobs.runtime.drafts import MOST_COLUMNS, connector_draft, doubts_of, table_draft
from jobs.runtime.errors import ArgumentError
from jobs.runtime.progress import tell
from jobs.runtime.sample_file import Sample, read_sample
from jobs.runtime.script import run_script
from jobs.runtime.storage import Storage, open_storage
from schemas.connector import parse_connector
from schemas.names import name_problem
from schemas.table import parse_table
from transforms.guessing.columns import ColumnGuess, SampleGuess, guess_columns

_COUNTRY: Final = re.compile(r"[A-Z]{2}")


@dataclass(frozen=True)
class Args:
    """The arguments of this job."""

    file: str = option("the sample: a path or a URI, file:///… or s3://…; not encrypted")
    name: str = option("name of the new connector and of its table, such as loyalty_members")
    out: str = option("folder or URI that gets connectors/<name>.toml and tables/<name>.toml")
    country: str | None = option("country of rows that name none, ISO 3166-1 alpha-2, such as DE", default=None)
    rows: int = option("how many rows to look at", default=2000)
    header: str | None = option(
        "whether the first row has the names, instead of a guess", default=None, choices=("yes", "no")
    )
    overwrite: bool = option("write over files that are there already", default=False)


def main(args: Args) -> None:
    """Run this job by itself."""
    _check(args)
    out = _uri(args.out).rstrip("/")
    storage = open_storage(out)
    keys = {"connectors": f"connectors/{args.name}.toml", "tables": f"tables/{args.name}.toml"}
    _refuse_overwriting(storage, keys, args)

    sample = read_sample(_uri(args.file), args.rows, header=None if args.header is None else args.header == "yes")
    guess = guess_columns(sample.names, sample.rows, named=sample.named, country=args.country)
    if not guess.columns:
        raise ArgumentError(f"{args.file} has no column with a letter or digit in its name")

    texts = {"tables": table_draft(args.name, sample, guess), "connectors": connector_draft(args.name, sample, guess)}
    table = parse_table(texts["tables"], storage.uri(keys["tables"]))
    parse_connector(texts["connectors"], storage.uri(keys["connectors"]), {table.name: table})
    for kind, text in texts.items():
        with storage.open_output(keys[kind]) as file:
            file.write(text.encode())

    uri = storage.uri(keys["connectors"])
    load_configuration(uri, None)
    tell("\n".join(report(args, sample, guess, uri)))


def _check(args: Args) -> None:
    if (wrong := name_problem(args.name)) is not None:
        raise ArgumentError(f"--name: {args.name!r} {wrong}")
    if args.country is not None and not _COUNTRY.fullmatch(args.country):
        raise ArgumentError("--country: must be an ISO 3166-1 alpha-2 code such as US")
    if args.rows < 1:
        raise ArgumentError("--rows: must be at least 1")


def _uri(text: str) -> str:
    return text if "://" in text else f"file://{Path(text).resolve()}"


def _refuse_overwriting(storage: Storage, keys: Mapping[str, str], args: Args) -> None:
    found = [storage.uri(key) for key in keys.values() if storage.find(key) is not None]
    if found and not args.overwrite:
        raise ArgumentError(f"{' and '.join(found)} there already; give another --name, or --overwrite")


def report(args: Args, sample: Sample, guess: SampleGuess, uri: str) -> Iterator[str]:
    """Yield what was found as lines: never a value, only names, counts and formats."""
    packed = f", in a {sample.archive} archive" if sample.archive else ""
    yield f"{guess.rows:,} rows of {sample.type}{packed}: {len(guess.columns)} columns"
    rows = [("column", "type", "class", "published as", "doubts"), *map(_row, guess.columns[:MOST_COLUMNS])]
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]) - 1)]
    for row in rows:
        cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False))
        yield "  ".join((*cells, row[-1])).rstrip()
    if len(guess.columns) > MOST_COLUMNS:
        yield f"{len(guess.columns) - MOST_COLUMNS} more columns were left out: AWS Clean Rooms allows {MOST_COLUMNS}"
    yield f"wrote {uri} and its table. Settle their doubts, then put files to landing and run the pipeline:"
    copy = "aws s3 cp" if args.file.startswith("s3:") else "cp"
    yield f"  {copy} {shlex.quote(args.file)} ROOT/landing/{args.name}/"
    yield f"  spark-submit jobs/pipeline.py --connector {uri} --root file://ROOT --hash-key file:hash.key"


def _row(column: ColumnGuess) -> tuple[str, str, str, str, str]:
    kind = column.kind.personal_data if column.kind is not None else "-"
    return column.name, column.type, kind, "hash" if column.hashed else "clear", "; ".join(doubts_of(column)) or "-"


if __name__ == "__main__":
    run_script(Args, main)
