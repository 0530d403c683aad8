"""Look for personal data that somebody forgot: what the values of any table's columns look like, with counts.

    spark-submit jobs/scan.py --path file:///data/events --format parquet
    spark-submit jobs/scan.py --root file:///data/acme --table sfmc_opens

Looked at are all rows, and the columns of all files by their names: text, whole numbers, and nested values as the JSON
they would be. Columns of other types are named as not looked at. The rows are read twice, to be counted and to be
looked at. The first line of a CSV file is its header and is no row, unless --no-header says that there is none. No
value is shown, only columns, counts and shares. Where something is found, the job exits with 1.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":  # spark-submit puts this folder first on the path; our packages are one level up
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import functools
import re
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from jobs.runtime.args import option
from jobs.runtime.catalog import open_catalog
from jobs.runtime.errors import ArgumentError, NothingToDoError, PipelineError, describe
from jobs.runtime.published_rows import read_table
from jobs.runtime.script import run_script
from jobs.runtime.session import open_session
from jobs.runtime.storage import open_storage
from schemas import reference, vocabulary
from schemas.problems import nearest
from transforms.columns.resemblance import KINDS
from transforms.frames.leak_guard import AT, Finding, Watched, findings, resemblances, watch

_ROWS: Final = "__rows"
_FILLED: Final = "__filled_"
#: What a column may be called in the output; anything else might be a value, in a file without header.
_NAME: Final = re.compile(r"[^\W\d][\w .:/()-]{0,63}")
_MANY_DIGITS: Final = re.compile(r"(?:\d\D{0,3}){6}")
#: CSV rows whose cells are not as many as their file's header has, as they stand in the file.
_UNEVEN: Final = "__uneven"
_UNEVEN_SHOWN: Final = "rows with more or fewer cells"
_FEWEST_DIGITS: Final = 9  # of anything that is looked for in numbers
_MOST_HEADERS: Final = 50  # each is a scan of its own in the plan
#: What Hadoop takes for a pattern in a path.
_PATTERN: Final = re.compile(r"[\[\]{}*?\\]")


class PersonalDataFoundError(PipelineError):
    """Columns hold values that look like personal data."""


@dataclass(frozen=True)
class Args:
    """The arguments of this job."""

    path: str | None = option("files to look at: a path or a URI, file:///… or s3://…", default=None)
    format: str = option("what they are written in", choices=("parquet", "csv", "json"), default="parquet")
    no_header: bool = option("the CSV files have no header", default=False)
    delimiter: str = option("between the cells of CSV files", default=",")
    root: str | None = option("URI that holds curated/ and state/, to look at a published table", default=None)
    curated_root: str | None = option("URI that holds curated/, where it is not below --root", default=None)
    table: str | None = option("the published table", default=None)
    catalog_database: str | None = option(
        "Glue database the table is in, instead of documents below --root", default=None
    )
    expected: str | None = option("what is no finding: column=kind, several with commas between", default=None)


def main(args: Args) -> None:
    """Run this job by itself."""
    expected = _expected(args.expected)
    if (args.path is None) == (args.table is None) or (args.table is not None and args.root is None):
        raise ArgumentError("say what to look at: --path, or --root and --table")
    spark = open_session("cleanroom-etl scan")
    frame = _files(spark, args) if args.path is not None else _published(spark, args)
    found, looked_at = _report(frame, expected)
    if found:
        columns = len({finding.column for finding in found})
        raise PersonalDataFoundError(
            f"{columns} of {looked_at} columns hold values that look like personal data: "
            f"{'; '.join(map(str, found))}. Hash them, leave them out, or say that they are expected: "
            f"--expected {found[0].column}={found[0].kind}"
        )


def _expected(text: str | None) -> dict[str, set[str]]:
    """Read ``column=kind,column=kind``."""
    expected: dict[str, set[str]] = {}
    for entry in (text or "").split(","):
        column, equals, kind = entry.strip().rpartition("=")
        if not entry.strip():
            continue
        if not equals or kind not in vocabulary.RESEMBLES:
            raise ArgumentError(f"--expected: {kind!r} is no kind{nearest(kind, vocabulary.RESEMBLES)}")
        expected.setdefault(column, set()).add(kind)
    return expected


def _files(spark: SparkSession, args: Args) -> DataFrame:
    """Read all files as text, but for Parquet's own types; partition values are text too.

    The columns are those that any of the files has. Raises PipelineError where there are no files, or where they cannot
    be looked at together.
    """
    spark.conf.set("spark.sql.sources.partitionColumnTypeInference.enabled", "false")
    # A row that has cells beyond the columns which are asked for is told only if no column is left out.
    spark.conf.set("spark.sql.csv.parser.columnPruning.enabled", "false")
    # As it is written, as Spark takes it: nothing in it is percent-encoded.
    path = str(args.path) if "://" in str(args.path) else f"file://{Path(str(args.path)).absolute()}"
    try:
        if args.format == "csv":
            return _csv_files(spark, args, path)
        if args.format == "json":
            return spark.read.options(primitivesAsString="true").json(path)
        return spark.read.options(mergeSchema="true").parquet(path)
    except AnalysisException as error:
        raise PipelineError(
            f"--path: there are no {args.format} files to read at {args.path}: {describe(error)}"
        ) from None
    except Exception as error:  # PySpark has no class for it and hands on Py4J's
        if "[CANNOT_MERGE_SCHEMAS]" not in str(error):
            raise
        raise PipelineError(
            f"--path: a column is of different types in the Parquet files at {args.path}: "
            "look at the files of each type by themselves"
        ) from None


def _csv_files(spark: SparkSession, args: Args, path: str) -> DataFrame:
    """Read each file by its own first line; rows of files with different headers are put together by name."""
    options = {"header": str(not args.no_header).lower(), "sep": args.delimiter, "multiLine": "true", "escape": '"'}
    groups: dict[tuple[str, ...], list[str]] = {}
    plain = ""
    for uri in spark.read.schema("cell string").csv(path).inputFiles():
        plain = urllib.parse.unquote(uri)
        file = _PATTERN.sub(r"\\\g<0>", plain)
        # Spark does not find a file with such a name again to take a header of several lines from it.
        columns = tuple(spark.read.options(**options | {"multiLine": str(file == plain).lower()}).csv(file).columns)
        if columns:  # an empty file has none
            groups.setdefault(columns, []).append(file)
        if len(groups) > _MOST_HEADERS:
            raise PipelineError(
                f"--path: the CSV files at {args.path} have more than {_MOST_HEADERS} different first lines. Where "
                "those are no headers: --no-header. Otherwise look at some of the files at a time"
            )
    if not groups:
        return spark.read.options(**options).csv(path)
    options["columnNameOfCorruptRecord"] = _UNEVEN
    if plain.partition(":")[2].lstrip("/") != path.partition(":")[2].strip("/"):  # it is no file itself
        start = _PATTERN.split(path)[0]
        options["basePath"] = path if start == path else start.rpartition("/")[0] + "/"  # of partition values
    frames = [
        spark.read.options(**options)
        .schema(T.StructType([T.StructField(name, T.StringType()) for name in (*columns, _UNEVEN)]))
        .csv(files)
        for columns, files in groups.items()
    ]
    together = functools.reduce(lambda one, other: one.unionByName(other, allowMissingColumns=True), frames)
    return together.select(*(_named(name) for name in together.columns if name != _UNEVEN), _UNEVEN)


def _published(spark: SparkSession, args: Args) -> DataFrame:
    storage = open_storage(str(args.root), args.curated_root)
    catalog = open_catalog(storage, args.catalog_database)
    table = catalog.get(str(args.table))
    if table is None:
        names = list(catalog.names())
        raise NothingToDoError(
            f"there is no table {args.table} in {catalog.describe()}{nearest(str(args.table), names)}"
        )
    return read_table(spark, table)


def _report(frame: DataFrame, expected: Mapping[str, set[str]]) -> tuple[list[Finding], int]:
    """Count, print a line a column; return what was found, and how many columns there are."""
    names = _shown_names([name for name in frame.columns if name != _UNEVEN])
    names += [_UNEVEN_SHOWN] * (_UNEVEN in frame.columns)
    if unknown := sorted(set(expected) - set(names)):
        raise ArgumentError(f"--expected: there is no column {unknown[0]}{nearest(unknown[0], names)}")
    plain = frame.toDF(*names).select(
        *(_as_text(field, name).alias(name) for field, name in zip(frame.schema.fields, names, strict=True))
    )
    filled = [F.count(_named(name)).alias(f"{_FILLED}{at}") for at, name in enumerate(names)]
    counted = plain.agg(F.count(F.lit(1)).alias(_ROWS), *filled).collect()[0].asDict()  # one row of counts
    if names[-1:] == [_UNEVEN_SHOWN] and not counted[f"{_FILLED}{len(names) - 1}"]:
        names.pop()
    watched: list[Watched] = []
    passed_over: dict[str, str] = {}
    for field in plain.select(*map(_named, names)).schema.fields:
        each = watch(field.name, field.dataType.simpleString(), expected.get(field.name, ()))
        if each is not None:
            watched.append(each)
        else:
            passed_over[field.name] = _why_not(field.dataType)
    seen = (
        {row[AT]: row.asDict() for row in resemblances(plain, watched).collect()} if watched else {}
    )  # a row a column
    found = findings(watched, seen)
    _print(names, counted, passed_over, found)
    return found, len(names)


def _named(name: str) -> Column:
    return F.col("`" + name.replace("`", "``") + "`")


def _as_text(field: T.StructField, name: str) -> Column:
    column = _named(name)
    if isinstance(field.dataType, T.StructType | T.ArrayType | T.MapType):
        return F.to_json(column)
    if isinstance(field.dataType, T.BinaryType | T.VarcharType | T.CharType):
        return column.cast("string")
    return column


def _why_not(kind: T.DataType) -> str:
    """Return why a column of this type is not looked at."""
    if isinstance(kind, T.StringType | T.IntegerType | T.LongType):
        return "(not looked at: all is expected)"
    if isinstance(kind, T.DoubleType | T.FloatType) or (isinstance(kind, T.DecimalType) and kind.scale):
        return "(not looked at: numbers with fractions)"
    of_none = T.BooleanType | T.DateType | T.TimestampType | T.TimestampNTZType | T.ByteType | T.ShortType
    if isinstance(kind, of_none) or (isinstance(kind, T.DecimalType) and kind.precision < _FEWEST_DIGITS):
        return "(not looked at: its type holds none)"
    return "(not looked at)"


def _shown_names(names: Sequence[str]) -> list[str]:
    """Return the names of columns as they are shown: by number where one might be a value, or comes twice."""
    given = set(reference.load("personal_names")["given"].split())
    fit = all(
        _NAME.fullmatch(name) and not _MANY_DIGITS.search(name) and given.isdisjoint(name.lower().split())
        for name in names
    )
    if fit and len({name.lower() for name in names}) == len(names):
        return list(names)
    print("columns are numbered: their names in the files might be values. For files without header: --no-header")
    return [f"column {number}" for number in range(1, len(names) + 1)]


def _print(
    names: Sequence[str], counted: Mapping[str, int], passed_over: Mapping[str, str], found: Sequence[Finding]
) -> None:
    rows = counted.get(_ROWS, 0)
    width = max(map(len, (*names, "column")))
    print(f"{rows:,} rows")
    print(f"{'column':<{width}}  {'values':>13}  {'nulls':>13}  looks like")
    for at, name in enumerate(names):
        filled = counted.get(f"{_FILLED}{at}", 0)
        kinds = [
            f"{KINDS[each.kind].says} {each.count:,} ({each.count / filled:.1%})"
            for each in found
            if each.column == name
        ]
        seen = ", ".join(kinds) or passed_over.get(name, "")
        print(f"{name:<{width}}  {filled:>13,}  {rows - filled:>13,}  {seen}".rstrip())


if __name__ == "__main__":
    run_script(Args, main)
