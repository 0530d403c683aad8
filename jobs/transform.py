"""Transform and publish a decrypted delivery: raw/ to curated/ and the catalog.

    spark-submit jobs/transform.py --connector aep_profiles --root file:///data/acme --hash-key file:/secure/hash.key

One Spark plan: map, cleanse, reject, drop duplicates, pseudonymise, conform, write Snappy Parquet partitioned as the
table says. Then what was written is verified (every row accounted for, every hash looked at), and the catalog's table
is switched to it. Leaves the run's entries "transform" and "publish" in the ledger.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":  # spark-submit puts this folder first on the path; our packages are one level up
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import dataclasses
import hashlib
import hmac
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as F

from jobs.runtime.accounting import Accounting, FileAccount, check_rejects
from jobs.runtime.args import option
from jobs.runtime.catalog import PublishedPartition, PublishedTable, describe_table
from jobs.runtime.decode import RAGGED, ROW_BITS, ROW_ID, SOURCE_FILE, SOURCE_ROW, FileOutcome
from jobs.runtime.errors import ArgumentError, NothingToDoError, RuntimeEnvironmentError, VerificationError
from jobs.runtime.keys import read_hash_keys
from jobs.runtime.ledger import Run, named_run, unfinished_run
from jobs.runtime.lock import Lock, hold_lock
from jobs.runtime.progress import progress, tell
from jobs.runtime.script import ConnectorArgs, run_script
from jobs.runtime.session import open_session
from jobs.runtime.workspace import Workspace, open_workspace
from jobs.runtime.written import WrittenFile, check_hashes, fill_of, read_footers, rows_by_partition
from schemas.table import DEFAULT_KEY, Table
from transforms.columns.hashing import key_row
from transforms.columns.phone_library import metadata_version
from transforms.frames.conform import conform
from transforms.frames.dropping import DUPLICATE, REASON, drop_rows, find_dropped_rows, rejected_rows
from transforms.frames.mapping import COUNTRY, cleansed, country_field, outputs, table_columns, with_values
from transforms.frames.match_readiness import match_readiness, measures
from transforms.frames.normalise import with_reasons
from transforms.frames.pseudonymise import key_schema, pseudonymise
from transforms.profiles.registry import uses_libphonenumber

_INPUT_BYTES_A_TASK: Final = 256 << 20  # of Parquet; becomes up to 1 GB of hashes, which no codec makes smaller
_ROWS_A_SHUFFLE_TASK: Final = 2_000_000  # of a row id, a digest and the order columns
_ROWS_A_FILE: Final = 3_000_000  # about 750 MB of the widest tables that we ship
_FORMAT_OPTIONS: Final = {"compression": "snappy", "maxRecordsPerFile": str(_ROWS_A_FILE)}


@dataclass(frozen=True)
class Args(ConnectorArgs):
    """The arguments of this job."""

    hash_key: str | None = option(
        "secret of the hashes: file:/… or secretsmanager:…; of several: name=file:/…,name=…", default=None
    )
    catalog_database: str | None = option(
        "Glue database to publish in, instead of documents below --root", default=None
    )
    allow_shrink: bool = option("publish even if the table loses more rows than its file allows", default=False)


def read_keys(args: Args, table: Table) -> dict[str, bytes]:
    """Return the hash keys that the table needs, by their names. Raises ArgumentError where one is missing."""
    if not table.key_names:
        return {}
    if args.hash_key is None:
        raise ArgumentError(f"missing --hash-key: table {table.name} has keyed hashes (file:/… or secretsmanager:…)")
    return read_hash_keys(args.hash_key, table.key_names)


def transform(workspace: Workspace, run: Run, keys: Mapping[str, bytes]) -> None:
    """Write what the run will publish, and verify it."""
    if run.entry("transform") is not None:
        tell(f"run {run.run_id}: transform was done before")
        return
    phonenumbers = _phonenumbers(workspace.table)
    files = [FileOutcome.from_document(each) for each in run.finished("decrypt")["files"]]
    good = [each for each in files if not each.reason]
    attempt = run.begin("transform")
    output = f"{workspace.curated(run.run_id)}attempt={attempt}/"
    rows = sum(each.rows for each in good)
    tell(f"run {run.run_id}: transforming {rows:,} rows into table {workspace.table.name}")
    spark = open_session("cleanroom-etl transform")
    began = time.monotonic()
    with progress(spark, "transform"):
        source = cleansed(_read_raw(spark, workspace, good), workspace.connector, workspace.table)
        dropped = find_dropped_rows(source, workspace.connector, workspace.table).persist()
        try:
            accounting = _account(good, dropped)
            check_rejects(accounting, workspace.connector)
            rejects = f"{workspace.rejects(run.run_id)}transform-{attempt}"
            kept = workspace.connector.fields if workspace.connector.rejects.keep_values else ()
            located = rejected_rows(source, dropped, (SOURCE_FILE, SOURCE_ROW, REASON, *kept))
            located.write.parquet(workspace.storage.uri(rejects))
            counted = Observation("match readiness")
            published = (
                source.transform(drop_rows, dropped)
                .transform(with_values, workspace.connector, workspace.table)
                .transform(with_reasons, outputs(workspace.connector, workspace.table), COUNTRY)
                .observe(counted, *measures(workspace.connector, workspace.table))
                .transform(table_columns, workspace.connector, workspace.table)
                .transform(pseudonymise, workspace.connector, workspace.table, _key_frame(spark, keys))
                .transform(conform, workspace.table)
            )
            _write(published, workspace.storage.uri(output), workspace.table)
        finally:
            dropped.unpersist()
    wrote = time.monotonic()
    written, distinct = _verify(spark, workspace, output, accounting, keys)
    run.finish(
        "transform",
        {
            "seconds": wrote - began,
            "verify_seconds": time.monotonic() - wrote,
            "attempt": attempt,
            "location": workspace.storage.uri(output.rstrip("/")),
            "partitions": [
                {"values": list(values), "location": _partition_uri(workspace, written, values), "rows": count}
                for values, count in sorted(rows_by_partition(written).items())
            ],
            "rows": accounting.published,
            "objects": len(written),
            "size": sum(file.size for file in written),
            "accounting": [dataclasses.asdict(each) for each in accounting.files],
            "fill": {
                c.name: fill_of(c, workspace.table, written, workspace.connector) for c in workspace.table.columns
            },
            "match_readiness": match_readiness(counted.get, workspace.connector, workspace.table) if rows else None,
            "distinct": distinct,
            "hash_key_id": ",".join(_key_id(name, key) for name, key in keys.items()),
            "phonenumbers": phonenumbers,
        },
    )


def publish(workspace: Workspace, run: Run, lock: Lock, *, allow_shrink: bool) -> None:
    """Switch the catalog's table to what the run has written, if nobody else changed the table meanwhile."""
    if run.entry("publish") is not None:
        tell(f"run {run.run_id}: publish was done before")
        return
    began = time.monotonic()
    entry = run.finished("transform")
    present = workspace.catalog.get(workspace.table.name)
    table = _table_of_run(workspace, run, entry, present)
    if present is None or present.parameters.get("run_id") != run.run_id:
        _check_shrink(workspace.table, run, present, entry["rows"], allow_shrink=allow_shrink)
        lock.check()
        workspace.catalog.put(table, present.version if present is not None else "")
    run.finish("publish", {"seconds": time.monotonic() - began, "table": dataclasses.asdict(table)})
    tell(f"run {run.run_id}: published {entry['rows']:,} rows as table {table.name} in {workspace.catalog.describe()}")


def _read_raw(spark: SparkSession, workspace: Workspace, files: list[FileOutcome]) -> DataFrame:
    """Read exactly the parts that the ledger names."""
    paths = [workspace.storage.uri(part.key) for each in files for part in each.parts]
    text = ", ".join(f"`{name}` string" for name in workspace.connector.fields)
    schema = f"{ROW_ID} bigint, {SOURCE_FILE} string, {SOURCE_ROW} bigint, {text}"
    rows = sum(each.rows for each in files)
    spark.conf.set("spark.sql.files.maxPartitionBytes", str(_INPUT_BYTES_A_TASK))
    spark.conf.set(
        "spark.sql.shuffle.partitions",
        max(spark.sparkContext.defaultParallelism, math.ceil(rows / _ROWS_A_SHUFFLE_TASK)),
    )
    return spark.read.schema(schema).parquet(*paths) if paths else spark.createDataFrame([], schema)


def _key_frame(spark: SparkSession, keys: Mapping[str, bytes]) -> DataFrame | None:
    """Make the one-row frame that carries the keys: as data they stand in no plan, no log and no UI."""
    if not keys:
        return None
    row = tuple(part for key in keys.values() for part in key_row(key))
    return spark.createDataFrame([row], key_schema(keys))


def _key_id(name: str, key: bytes) -> str:
    """Return a name for the key that tells nothing about it, so that two runs can be seen to have had the same one."""
    fingerprint = hmac.new(key, b"cleanroom-etl key id", hashlib.sha256).hexdigest()[:16]
    return fingerprint if name == DEFAULT_KEY else f"{name}={fingerprint}"


def _phonenumbers(table: Table) -> str:
    """Return the version of the metadata that phone numbers are read with; empty where there are none.

    Raises RuntimeEnvironmentError where it is needed and not installed.
    """
    if not any(uses_libphonenumber(c.profile, c.normalize) for c in table.columns):
        return ""
    try:
        return metadata_version()
    except ImportError as error:
        raise RuntimeEnvironmentError(str(error)) from None


def _account(files: list[FileOutcome], dropped: DataFrame) -> Accounting:
    """Count what becomes of every file's rows; this also materialises ``dropped``."""
    ordinal = F.shiftright(ROW_ID, ROW_BITS).alias("ordinal")
    counts: dict[int, dict[str, int]] = {}
    for row in (
        dropped.groupBy(ordinal, REASON).agg(F.count(F.lit(1)).alias("rows")).collect()
    ):  # a row a file and reason
        counts.setdefault(row.ordinal, {})[row[REASON]] = row.rows
    accounts = []
    for each in files:
        reasons = counts.get(each.ordinal, {})
        duplicates = reasons.pop(DUPLICATE, 0)
        if each.ragged:
            reasons[RAGGED] = each.ragged
        published = each.rows + each.ragged - duplicates - sum(reasons.values())
        accounts.append(
            FileAccount(each.name, each.rows + each.ragged, published, duplicates, dict(sorted(reasons.items())))
        )
    return Accounting(tuple(accounts))


def _write(frame: DataFrame, uri: str, table: Table) -> None:
    """Write the table's files. Hashes never repeat, so dictionaries of them would be built in vain."""
    writer = frame.write.options(**_FORMAT_OPTIONS)
    for column in table.hashed_columns:
        writer = writer.option(f"parquet.enable.dictionary#{column.name}", "false")
    (writer.partitionBy(*table.partitions) if table.partitions else writer).parquet(uri)


def _verify(
    spark: SparkSession, workspace: Workspace, output: str, accounting: Accounting, keys: Mapping[str, bytes]
) -> tuple[list[WrittenFile], dict[str, int]]:
    written = read_footers(workspace.storage, output, workspace.table)
    rows = sum(file.rows for file in written)
    if rows != accounting.published:
        raise VerificationError(
            f"{workspace.storage.uri(output)} holds {rows:,} rows, but {accounting.read:,} were read, "
            f"{accounting.rejected:,} rejected and {accounting.duplicates:,} duplicates dropped; nothing was published"
        )
    distinct = check_hashes(spark, workspace.storage.uri(output), workspace.table, keys) if rows else {}
    return written, distinct


def _partition_uri(workspace: Workspace, written: list[WrittenFile], values: tuple[str, ...]) -> str:
    key = next(file.key for file in written if file.partition == values)
    return workspace.storage.uri(key.rpartition("/")[0])


def _table_of_run(
    workspace: Workspace, run: Run, entry: dict[str, Any], present: PublishedTable | None
) -> PublishedTable:
    table = workspace.table
    before = dict(present.parameters) if present is not None else {}
    parameters = {
        "run_id": run.run_id,
        "connector": workspace.connector.name,
        "row_count": str(entry["rows"]),
        "schema_hash": table.schema_hash,
        "profiles": ",".join(f"{c.name}={c.profile}:{c.normalize}" for c in table.columns if c.type == "string"),
        "hashes": ",".join(
            f"{c.name}={c.hash.algorithm}/{c.hash.encoding}" + (f"/{c.hash.key}" if c.hash.keyed else "")
            for c in table.hashed_columns
            if c.hash is not None
        ),
        "hash_key_id": entry["hash_key_id"],
        "phonenumbers": entry["phonenumbers"],
        "country_source": _country_source(workspace),
        "previous_run": before.get("run_id", ""),
        "previous_location": present.location if present is not None else "",
    }
    partitions = [PublishedPartition(tuple(each["values"]), each["location"]) for each in entry["partitions"]]
    return describe_table(table, entry["location"], partitions if table.partitions else (), parameters)


def _country_source(workspace: Workspace) -> str:
    """Say where a row's country came from, which decides what a national phone number or a postal code means."""
    connector = workspace.connector
    if connector.country is not None:
        return f"always {connector.country}"
    field = country_field(connector, workspace.table)
    default = f"default {connector.default_country}" if connector.default_country is not None else ""
    return ", ".join(part for part in (f"field {field}" if field is not None else "", default) if part) or "none"


def _check_shrink(table: Table, run: Run, present: PublishedTable | None, rows: int, *, allow_shrink: bool) -> None:
    before = int(present.parameters.get("row_count", "0")) if present is not None else 0
    if rows < before * (1 - table.max_shrink) and not allow_shrink:
        raise VerificationError(
            f"run {run.run_id} would shrink table {table.name} from {before:,} to {rows:,} rows, by more than the "
            f"{table.max_shrink:.0%} that its file allows; nothing was published. Ask the source whether the delivery "
            "is whole; if it is right, run again with --allow-shrink"
        )


def main(args: Args) -> None:
    """Run this job by itself."""
    workspace = open_workspace(args.connector, args.table, args.root, args.catalog_database)
    keys = read_keys(args, workspace.table)
    name = workspace.connector.name
    with hold_lock(workspace.storage, name) as lock:
        run = (
            named_run(workspace.storage, name, args.run_id) if args.run_id else unfinished_run(workspace.storage, name)
        )
        if run is None:
            raise NothingToDoError(f"no run of {name} waits for transform; run jobs/decrypt.py first")
        transform(workspace, run, keys)
        publish(workspace, run, lock, allow_shrink=args.allow_shrink)


if __name__ == "__main__":
    sys.exit(run_script(Args, main))
