"""The demonstration on the protocols of AWS, all on this machine: python -m tests.demo.demo_aws --rows 50000

An account is made up: a landing and a curated bucket with versions, a hash key and an OpenPGP key as secrets, an
RSA key that KMS alone can use, a Glue catalog, a topic. The job runs on it as it does on AWS, Spark through S3A.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from tests.fixtures.aws_site import CURATED, DATABASE, LANDING, AwsSite, aws_site, hadoop_aws, is_about_packages
from tests.fixtures.aws_stand_in import Call

_PIPELINE = (
    *("connector", "root", "curated-root", "catalog-database", "hash-key", "envelope-key", "pgp-key"),
    *("pgp-passphrase", "topic", "quiet-seconds"),
)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=50_000, help="rows in the current files together")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder, aws_site(Path(folder)) as site:
        delivery = site.deliver(args.rows)
        print(f"delivered to s3://{LANDING}, encrypted:")
        for key in site.keys_below(LANDING, "landing/"):
            print(f"  {key}")
        print(f"\nspark-submit --packages {hadoop_aws()} jobs/pipeline.py \\")
        print(" \\\n".join(f"    --{name} {site.arguments[name]}" for name in _PIPELINE), end="\n\n", flush=True)
        site.aws.take_calls()
        show(site, "pipeline", *_PIPELINE)
        calls = site.aws.take_calls()
        print_catalog(site)
        print("\nasked of AWS:")
        for (service, operation), number in sorted(Counter(map(_kind, calls)).items()):
            print(f"  {number:>6,}  {service:<15} {operation}")
        print(f"  {len(site.kms.calls):>6,}  {'kms':<15} Decrypt")
        (message,) = site.messages()
        published = message["rows"]["published"]
        print(f"\nthe topic got one message: {published:,} rows of {message['rows']['read']:,} published")
        print("\nthe same command once more:")
        show(site, "pipeline", *_PIPELINE)
        if published != delivery.expected.distinct_emails:
            sys.exit(f"error: {delivery.expected.distinct_emails:,} rows were to be published")


def show(site: AwsSite, job: str, *names: str, **more: str) -> None:
    """Run a job and let it print; exit where it fails."""
    process = site.start(job, *names, more=more)
    assert process.stdout is not None
    for line in process.stdout:
        if not is_about_packages(line):
            print(line, end="", flush=True)
    _, errors = process.communicate()
    if process.returncode:
        sys.exit(errors)


def print_catalog(site: AwsSite) -> None:
    """Print the table as the Glue catalog has it, and how many objects it points to."""
    glue = site.client("glue")
    table: dict[str, Any] = glue.get_table(DatabaseName=DATABASE, Name="customer_profile")["Table"]
    partitions = glue.get_partitions(DatabaseName=DATABASE, TableName="customer_profile")["Partitions"]
    print(f"Glue table {DATABASE}.{table['Name']}, version {table['VersionId']}, {table['TableType']}")
    for partition in sorted(partitions, key=lambda each: each["Values"]):
        location = partition["StorageDescriptor"]["Location"]
        objects = len(site.keys_below(CURATED, location.removeprefix(f"s3://{CURATED}/")))
        print(f"  {'/'.join(partition['Values']):<4} {objects} objects right in {location}")


def _kind(call: Call) -> tuple[str, str]:
    return call.service, call.operation


if __name__ == "__main__":
    main()
