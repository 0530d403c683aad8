"""The jobs on the S3 protocol: Python through boto3, Spark through S3A, the Glue catalog, secrets, KMS, a topic."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.aws.conftest import ARCHIVE, CHAIN, DECRYPT, JANITOR, PIPELINE, Loaded
from tests.fixtures.aws_site import CURATED, DATABASE, LANDING, AwsSite, is_about_packages
from tests.fixtures.aws_stand_in import Call, Fault


def table_of(site: AwsSite) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    glue = site.client("glue")
    table = glue.get_table(DatabaseName=DATABASE, Name="customer_profile")["Table"]
    partitions = glue.get_partitions(DatabaseName=DATABASE, TableName="customer_profile")["Partitions"]
    return table, partitions


def rows_of(site: AwsSite) -> pa.Table:
    """Read what a reader of the catalog reads: the files right in each partition's location, and nothing else."""
    s3 = site.client("s3")
    found = []
    for partition in table_of(site)[1]:
        bucket, _, prefix = partition["StorageDescriptor"]["Location"].removeprefix("s3://").partition("/")
        assert prefix.endswith("/")
        for key in site.keys_below(bucket, prefix):
            assert "/" not in key.removeprefix(prefix), f"{key} is not right in the partition's location"
            assert key.endswith(".snappy.parquet")
            data = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
            found.append(pq.read_table(pa.BufferReader(data), columns=["email"]))
    return pa.concat_tables(found)


def versions_below(site: AwsSite, prefix: str) -> list[str]:
    pages = site.client("s3").get_paginator("list_object_versions").paginate(Bucket=LANDING, Prefix=prefix)
    return [entry["Key"] for page in pages for entry in page.get("Versions", [])]


def test_a_delivery_becomes_a_table_of_the_catalog(loaded: Loaded) -> None:
    expected = loaded.delivery.expected
    rows = rows_of(loaded.site)
    assert rows.num_rows == expected.distinct_emails
    assert len(rows["email"].unique()) == expected.distinct_emails
    table, partitions = table_of(loaded.site)
    assert table["TableType"] == "EXTERNAL_TABLE"
    assert [key["Name"] for key in table["PartitionKeys"]] == ["country"]
    assert table["Parameters"]["cleanroom_etl.row_count"] == str(expected.distinct_emails)
    assert len(partitions) == len({partition["Values"][0] for partition in partitions}) > 1
    columns = table["StorageDescriptor"]["Columns"]
    assert all(partition["StorageDescriptor"]["Columns"] == columns for partition in partitions)


def test_clear_data_is_gone_for_good_and_originals_are_archived(loaded: Loaded) -> None:
    site = loaded.site
    assert versions_below(site, "raw/") == []
    assert versions_below(site, "staged/") == []
    assert site.keys_below(LANDING, "landing/") == []
    archived = {key.rpartition("/")[2] for key in site.keys_below(LANDING, "archive/")}
    assert {*loaded.delivery.files, *loaded.delivery.superseded} <= archived


def test_one_message_tells_how_it_went(loaded: Loaded) -> None:
    (message,) = loaded.messages
    expected = loaded.delivery.expected
    assert message["rows"]["published"] == expected.distinct_emails
    assert message["rows"]["read"] == expected.rows + expected.ragged


def test_the_summary_names_the_catalog_that_was_published_in(loaded: Loaded) -> None:
    assert f"tables in Glue database {DATABASE}" in loaded.printed["archive"]


def test_a_look_before_transform_is_done_changes_nothing(loaded: Loaded) -> None:
    assert "decrypt was done before" in loaded.printed["decrypt"]


def test_data_keys_are_opened_by_kms_alone_once_a_file(loaded: Loaded) -> None:
    asked = [call.parameters for call in loaded.calls["decrypt"] if call.service == "kms"]
    assert [call["EncryptionAlgorithm"] for call in asked] == ["RSAES_OAEP_SHA_256"] * len(asked)
    assert len(asked) == sum(1 for name in loaded.delivery.files if name.endswith(".encrypted"))


def test_with_nothing_new_every_job_ends_quickly_and_says_nothing_to_the_topic(loaded: Loaded) -> None:
    site = loaded.site
    site.messages()
    for job, names in CHAIN.items():
        site.aws.take_calls()
        printed = site.run(job, *names)
        assert printed.startswith("nothing to do: ")
        assert len(site.aws.take_calls()) < 20
    assert site.messages() == []


def test_the_table_can_be_asked(loaded: Loaded) -> None:
    site = loaded.site
    names = ("root", "curated-root", "catalog-database")
    question = "SELECT count(*) AS n, count(DISTINCT email) AS m FROM customer_profile"
    printed = site.run("query", *names, more={"sql": question})
    assert re.findall(r"\d+", printed) == [str(loaded.delivery.expected.distinct_emails)] * 2


class Every:
    """Picks every n-th call of some operations."""

    def __init__(self, number: int, *operations: str) -> None:
        self._number, self._operations, self._seen = number, operations, 0

    def __call__(self, call: Call) -> bool:
        if call.service != "s3" or call.operation not in self._operations:
            return False
        self._seen += 1
        return self._seen % self._number == 0


def test_a_busy_s3_that_breaks_off_loses_nothing(loaded: Loaded) -> None:
    site = loaded.site
    site.messages()
    before = table_of(site)[0]["Parameters"]["cleanroom_etl.run_id"]
    delivery = site.deliver(2_000, seed=8)
    busy = Fault(Every(13, "GetObject", "PutObject", "ListObjects", "HeadObject", "DeleteObject"), "slow_down", 10_000)
    failing = Fault(Every(19, "PutObject", "UploadPart", "GetObject"), "error", 10_000)
    # S3A does not repeat what it reads by ranges, and Spark tries a task four times.
    broken = Fault(Every(37, "GetObject"), "broken_body", 10_000)
    site.aws.faults[:] = [busy, failing, broken]
    try:
        site.run("pipeline", *PIPELINE, more={"allow-shrink": "true"})
    finally:
        site.aws.faults.clear()
    assert rows_of(site).num_rows == delivery.expected.distinct_emails
    assert versions_below(site, "raw/") == []
    (message,) = site.messages()
    assert message["rows"]["published"] == delivery.expected.distinct_emails
    assert 10_000 - busy.times > 10
    assert 10_000 - broken.times > 1

    # ... and the run before is still there to go back to.
    site.run("rollback", "root", "curated-root", "catalog-database", more={"table": "customer_profile"})
    assert table_of(site)[0]["Parameters"]["cleanroom_etl.run_id"] == before
    assert rows_of(site).num_rows == loaded.delivery.expected.distinct_emails
    loaded.run("janitor", JANITOR)
    assert rows_of(site).num_rows == loaded.delivery.expected.distinct_emails


def ends(processes: Sequence[subprocess.Popen[str]]) -> list[tuple[int, str]]:
    """Return the status and the words of each; spark-submit puts a script's errors on its own standard output."""
    printed = ["".join(process.communicate(timeout=300)) for process in processes]
    return list(zip([process.returncode for process in processes], printed, strict=True))


def test_a_storm_of_starts_is_one_run(loaded: Loaded) -> None:
    site = loaded.site
    site.deliver(500, seed=9)
    more = {"ready": "quiet_period", "quiet-seconds": "8"}
    processes = [site.start("decrypt", *DECRYPT, more=more) for _ in range(2)]
    results = sorted(ends(processes))
    assert [code for code, _ in results] == [0, 1]
    assert "decrypted" in results[0][1]
    assert "error: another run of aep_profiles is going on" in results[1][1]
    notes = site.keys_below(LANDING, "state/aep_profiles/run=")
    runs = {key.rpartition("/")[0] for key in notes}
    assert len([run for run in runs if f"{run}/archive.json" not in notes]) == 1

    # What lands while it waits belongs to the run; what lands later, with its event lost, to the next sweep.
    site.run("transform", *CHAIN["transform"], more={"allow-shrink": "true"})
    site.run("archive", *ARCHIVE)
    assert site.keys_below(LANDING, "landing/") == []


def test_a_delivery_that_is_still_coming_is_waited_for(loaded: Loaded) -> None:
    site = loaded.site
    s3 = site.client("s3")
    site.deliver(300, seed=10)
    first = set(site.keys_below(LANDING, "landing/"))
    process = site.start("decrypt", *DECRYPT, more={"ready": "quiet_period", "quiet-seconds": "15"})
    assert process.stdout is not None
    first_words = next(line for line in process.stdout if not is_about_packages(line))
    assert "without a new object" in first_words
    late = "landing/aep_profiles/late one, 100% + more: ü_20261121_120000.csv"
    s3.put_object(Bucket=LANDING, Key=late, Body=b"")
    ((code, printed),) = ends([process])
    assert code == 1, printed  # for it is empty, and named
    assert "late one, 100% + more: ü_20261121_120000.csv" in printed
    assert set(site.keys_below(LANDING, "landing/")) == {*first, late}
    quarantined = site.keys_below(LANDING, "quarantine/")
    assert any(key.endswith("late one, 100% + more: ü_20261121_120000.csv.reason.json") for key in quarantined)


@pytest.mark.parametrize("bucket", [LANDING, CURATED])
def test_nothing_half_written_is_left(loaded: Loaded, bucket: str) -> None:
    uploads = loaded.site.client("s3").list_multipart_uploads(Bucket=bucket).get("Uploads", [])
    assert uploads == []
    assert [key for key in loaded.site.keys_below(bucket) if "_temporary" in key or key.endswith("/")] == []
