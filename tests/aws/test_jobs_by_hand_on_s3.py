"""What a person starts, on S3 and the Glue catalog: a rebuild with another key, and forgetting people."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.aws.conftest import Members
from tests.fixtures.aws_site import CURATED, DATABASE, LANDING, AwsSite

NEW_KEY = b"another-key-of-the-tests-with-32-bytes"


def hashed(person: str, key: bytes) -> str:
    return hmac.new(key, person.encode(), hashlib.sha256).hexdigest()


def published(made: Members) -> dict[str, tuple[str, str]]:
    """Return tier and country of each person, as a reader of the catalog sees them."""
    site = made.site
    found = {}
    partitions = site.client("glue").get_partitions(DatabaseName=DATABASE, TableName=made.source)["Partitions"]
    for partition in partitions:
        bucket, _, prefix = partition["StorageDescriptor"]["Location"].removeprefix("s3://").partition("/")
        for key in site.keys_below(bucket, prefix):
            for row in rows_of(site, bucket, key, ["person", "tier"]):
                found[row["person"]] = (row["tier"], partition["Values"][0])
    return found


def rows_of(site: AwsSite, bucket: str, key: str, columns: list[str] | None = None) -> list[dict[str, Any]]:
    data = site.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    rows: list[dict[str, Any]] = pq.read_table(pa.BufferReader(data), columns=columns).to_pylist()
    return rows


def test_a_table_is_built_anew_from_the_archive_with_another_key(rebuilt: Members) -> None:
    site = rebuilt.site
    table = site.client("glue").get_table(DatabaseName=DATABASE, Name="rebuilt")["Table"]
    own = {name.removeprefix("cleanroom_etl."): value for name, value in table["Parameters"].items()}
    assert own["backfill"] == "new-key"
    assert own["hash_key_id"] != own["previous_hash_key_id"]
    a, b, c = (hashed(person, NEW_KEY) for person in "abc")
    assert published(rebuilt) == {a: ("gold", "US"), b: ("iron", "US"), c: ("iron", "FR")}
    archived = [key.rpartition("/")[2] for key in site.keys_below(LANDING, "archive/rebuilt/")]
    assert sorted(archived) == ["20240101.csv", "20240102.csv"]
    assert site.keys_below(LANDING, "raw/rebuilt/") == []


def test_a_person_is_forgotten_in_every_bucket_but_the_archive(forgotten: Members) -> None:
    site = forgotten.site
    a, b, c = (hashed(person, site.keys.hash_key.read_bytes()) for person in "abc")
    assert published(forgotten) == {a: ("gold", "US"), c: ("iron", "FR")}
    left = [key for key in site.keys_below(CURATED, "curated/forgotten/") if key.endswith(".parquet")]
    assert left
    assert all(row["person"] != b for key in left for row in rows_of(site, CURATED, key))
    for area in ("raw", "quarantine", "staged"):
        assert site.keys_below(LANDING, f"{area}/forgotten/") == []
    assert site.keys_below(LANDING, "rejects/forgotten/") == []  # they were all theirs
    assert len(site.keys_below(LANDING, "archive/forgotten/")) == 2
    assert "receipt s3://" in forgotten.printed["forget"]
