"""Crashes on S3, Glue's catalog, KMS, Secrets Manager and SNS, played on this machine: buckets of their own."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from unittest import mock

from pyspark.sql import SparkSession

from jobs.runtime.session import open_session
from tests.fixtures.aws_site import AwsSite
from tests.torture.crash_scenarios import NAME

_PREFIX: Final = "cleanroom_etl."
_LANDING: Final = "crash-landing"
_CURATED: Final = "crash-curated"
_DATABASE: Final = "crash"


@dataclass
class BucketPlace:
    """A root of ``s3://`` whose curated/ is in another bucket, and a database of Glue."""

    folder: Path
    site: AwsSite
    _saved: dict[str, bytes] = field(default_factory=dict)
    _tables: list[tuple[dict[str, Any], list[dict[str, Any]]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._s3, self._glue = self.site.client("s3"), self.site.client("glue")
        self._topic = self.site.client("sns").create_topic(Name="crash")["TopicArn"]
        for bucket in (_LANDING, _CURATED):
            self._s3.create_bucket(Bucket=bucket)
            self._s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        with contextlib.suppress(self._glue.exceptions.AlreadyExistsException):
            self._glue.create_database(DatabaseInput={"Name": _DATABASE})
        self._put_back()  # a scenario before this one has left its own

    @property
    def arguments(self) -> Mapping[str, str]:
        return {
            "connector": f"file://{self.folder}/definitions/connectors/{NAME}.toml",
            "root": f"s3://{_LANDING}",
            "curated-root": f"s3://{_CURATED}",
            "catalog-database": _DATABASE,
            "hash-key": "secretsmanager:hash-key",
            "envelope-key": f"kms:{self.site.kms.arn}",
            "topic": self._topic,
            "quiet-seconds": "0",
            "on-bad-file": "quarantine",
        }

    def land(self, files: Mapping[str, bytes]) -> None:
        for name, data in files.items():
            self.write(f"landing/{NAME}/{name}", data)

    def write(self, key: str, data: bytes) -> None:
        self._s3.put_object(Bucket=_CURATED if key.startswith("curated/") else _LANDING, Key=key, Body=data)

    def save(self) -> None:
        self._saved = self.objects()
        self._tables = list(self._found())

    def restore(self) -> None:
        self._put_back()

    def _put_back(self) -> None:
        for bucket in (_LANDING, _CURATED):
            for page in self._s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
                doomed = [
                    {"Key": each["Key"], "VersionId": each["VersionId"]}
                    for each in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
                ]
                if doomed:
                    self._s3.delete_objects(Bucket=bucket, Delete={"Objects": doomed})
        for key, data in self._saved.items():
            self.write(key, data)
        for table, _ in self._found():
            self._glue.delete_table(DatabaseName=_DATABASE, Name=table["Name"])
        for table, partitions in self._tables:
            self._glue.create_table(DatabaseName=_DATABASE, TableInput=table)
            if partitions:
                self._glue.batch_create_partition(
                    DatabaseName=_DATABASE, TableName=table["Name"], PartitionInputList=partitions
                )

    def _found(self) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
        """Yield the tables with their partitions, in the form in which they are made."""
        given = ("Name", "Description", "TableType", "PartitionKeys", "StorageDescriptor", "Parameters")
        for table in self._glue.get_tables(DatabaseName=_DATABASE)["TableList"]:
            partitions = self._glue.get_partitions(DatabaseName=_DATABASE, TableName=table["Name"])["Partitions"]
            yield (
                {name: table[name] for name in given if name in table},
                [{name: each[name] for name in ("Values", "StorageDescriptor", "Parameters")} for each in partitions],
            )

    def objects(self) -> dict[str, bytes]:
        found = {}
        for bucket in (_LANDING, _CURATED):
            for key in self.site.keys_below(bucket):
                if not key.endswith("/"):
                    found[key] = self._s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        return dict(sorted(found.items()))

    def tables(self) -> dict[str, dict[str, Any]]:
        return {table["Name"]: _document(table, partitions) for table, partitions in self._found()}

    def key_of(self, location: str) -> str:
        return location.removeprefix("s3://").partition("/")[2]

    def leftovers(self) -> list[str]:
        found = [self._s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []) for bucket in (_LANDING, _CURATED)]
        clear = self._s3.list_object_versions(Bucket=_LANDING, Prefix="raw/").get("Versions", [])
        return [each["Key"] for each in [*found[0], *found[1], *clear]]


def _document(table: Mapping[str, Any], partitions: list[dict[str, Any]]) -> dict[str, Any]:
    def columns(given: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{"name": each["Name"], "type": each["Type"]} for each in given]

    return {
        "name": table["Name"],
        "columns": columns(table["StorageDescriptor"]["Columns"]),
        "location": table["StorageDescriptor"]["Location"],
        "partition_keys": columns(table["PartitionKeys"]),
        "partitions": sorted(
            (
                {
                    "values": each["Values"],
                    "location": each["StorageDescriptor"]["Location"],
                    "columns": columns(each["StorageDescriptor"]["Columns"]),
                    "parameters": each["Parameters"],
                }
                for each in partitions
            ),
            key=lambda each: str(each["values"]),
        ),
        "parameters": {
            name.removeprefix(_PREFIX): value for name, value in table["Parameters"].items() if name.startswith(_PREFIX)
        },
    }


@contextlib.contextmanager
def session_on(site: AwsSite) -> Iterator[SparkSession]:
    """Start Spark with S3A in this process, on the account; nothing else in it may have started Spark before."""
    words = [word for word in site.submit_command()[1:] if word != "local[2,4]"]
    words[words.index("--master") + 1 : words.index("--master") + 1] = ["local[2]"]
    # No script is submitted here, so Hadoop's own local file system, which buffers on disk, is not there before ours.
    words += ["--conf", "spark.hadoop.fs.s3a.fast.upload.buffer=bytebuffer"]
    more = "--conf spark.driver.host=127.0.0.1 --conf spark.sql.shuffle.partitions=2 pyspark-shell"
    variables = {
        **site.aws.variables,
        "AWS_ENDPOINT_URL_KMS": site.kms.endpoint,
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_SUBMIT_ARGS": f"{' '.join(words)} {more}",
    }
    with mock.patch.dict(os.environ, variables):
        session = open_session("crash on S3")
        try:
            yield session
        finally:
            session.stop()
