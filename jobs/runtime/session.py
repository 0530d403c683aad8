"""The one Spark session and its settings."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any, Final

from pyspark import SparkConf, SparkContext
from pyspark.sql import SparkSession

from jobs.runtime.errors import RuntimeEnvironmentError, describe
from jobs.runtime.progress import tell

_SETTINGS: Final = {
    # Same results everywhere: one time zone, and ANSI said aloud (Spark 3.5 has it off by default, 4 on).
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    # What no pattern fits is null: Spark 3.5 would fail where Spark 2 had taken it for a time.
    "spark.sql.legacy.timeParserPolicy": "CORRECTED",
    # Shuffle and spill files hold personal data.
    "spark.io.encryption.enabled": "true",
    "spark.io.encryption.keySizeBits": "256",
    # Clean Rooms reads Snappy everywhere; marker files have no place in a table's folder.
    "spark.sql.parquet.compression.codec": "snappy",
    "spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
    # A run writes to a folder of its own and is checked before it is published: no rename of the whole at the end.
    "spark.hadoop.mapreduce.fileoutputcommitter.algorithm.version": "2",
    # One open writer a partition value instead of a sort; the writers together stay within a part of the heap.
    "spark.sql.maxConcurrentOutputFileWriters": "300",
    "spark.hadoop.parquet.memory.pool.ratio": "0.4",
    # A generated method over the JIT's limit of 8,000 bytes would run interpreted.
    "spark.sql.codegen.hugeMethodLimit": "8000",
    # Without checksum files beside ours on a local disk.
    "spark.hadoop.fs.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",
    "spark.sql.adaptive.enabled": "true",
    # Large partitions are written in pieces of this size: Clean Rooms advises objects of 100 MB and more.
    "spark.sql.adaptive.advisoryPartitionSizeInBytes": "128m",
    "spark.ui.showConsoleProgress": "false",
    # PySpark 4 would note for every expression where in Python and in Java it was made: most of what a plan costs.
    "spark.python.sql.dataFrameDebugging.enabled": "false",
    "spark.sql.dataFrameQueryContext.enabled": "false",
}

#: PySpark 4 prints every failed query with its message, which may hold the value that failed.
_TALKATIVE_LOGGERS: Final = ("DataFrameQueryContextLogger", "SQLQueryContextLogger")

#: Languages in which Java maps letters in its own way (i and I in Turkish), so that hashes would differ.
_OTHER_CASES: Final = ("tr", "az", "lt")

# What --conf may still change.
_DEFAULTS: Final = {
    "spark.ui.enabled": "false",  # it listens on every interface, without a password
    # What is remembered for a UI, plans and figures of all their parts, would grow to hundreds of megabytes of heap.
    "spark.sql.ui.retainedExecutions": "20",
    "spark.ui.retainedJobs": "100",
    "spark.ui.retainedStages": "100",
    "spark.ui.retainedTasks": "10000",
}


def open_session(name: str) -> SparkSession:
    """Return the session of this process, with our settings.

    Python workers find our packages where this process found them, unless they came as a zip that Spark ships itself.
    Raises RuntimeEnvironmentError where Java's default locale has a case mapping of its own.
    """
    builder = SparkSession.builder.appName(name)
    SparkContext._ensure_initialized()  # noqa: SLF001  before there is a JVM, SparkConf does not know of --conf
    given = SparkConf()
    unset = {key: value for key, value in {**_DEFAULTS, **_region()}.items() if not given.contains(key)}
    for key, value in {**_SETTINGS, **unset}.items():
        builder = builder.config(key, value)
    packages = Path(__file__).resolve().parents[2]
    if packages.is_dir():
        builder = builder.config("spark.executorEnv.PYTHONPATH", str(packages))
    for logger in _TALKATIVE_LOGGERS:
        logging.getLogger(logger).setLevel(logging.CRITICAL)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    _check_locale(session)
    _let_glue_measure(session)
    return session


def _region() -> dict[str, str]:
    """Tell S3A the Region that the AWS clients are in: it takes one for granted where nobody says."""
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    return {"spark.hadoop.fs.s3a.endpoint.region": region} if region else {}


def _let_glue_measure(session: SparkSession) -> None:
    """Make a GlueContext where there is one, since Glue reports its own metrics only then. Nothing else needs it."""
    try:
        from awsglue.context import GlueContext  # noqa: PLC0415  only Glue has it
    except ImportError:
        return
    try:
        GlueContext(session.sparkContext)
    except Exception as error:  # noqa: BLE001  the package without the rest of Glue, or another release's
        tell(f"warning: Glue's own metrics are not reported: {describe(error)}")


def sibling_session(session: SparkSession) -> SparkSession:
    """Return a session beside this one, for work that goes on at the same time under settings of its own."""
    sibling = session.newSession()
    for key, value in _SETTINGS.items():
        if key.startswith("spark.sql."):
            sibling.conf.set(key, value)
    return sibling


def _check_locale(session: SparkSession) -> None:
    """See that upper and lower case are those of the root locale: Spark 3.5 asks Java for all but ASCII text."""
    java: Any = session.sparkContext._jvm  # noqa: SLF001  PySpark has no other way to ask
    language = java.java.util.Locale.getDefault().getLanguage()
    if language in _OTHER_CASES:
        raise RuntimeEnvironmentError(
            f"Java's default language is {language!r}, which maps letters in its own way: hashes would match nobody's. "
            "Start driver and executors with -Duser.language=en (spark.driver.extraJavaOptions, "
            "spark.executor.extraJavaOptions)"
        )
