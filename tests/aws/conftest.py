"""One account for all tests here, with one delivery loaded job by job and every request recorded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.fixtures.aep_delivery import Delivery
from tests.fixtures.aws_site import CURATED, DATABASE, LANDING, AwsSite, aws_site
from tests.fixtures.aws_stand_in import Call

CODE = "acme-code"
DECRYPT = ("connector", "root", "envelope-key", "pgp-key", "pgp-passphrase", "quiet-seconds")
TRANSFORM = ("connector", "root", "curated-root", "catalog-database", "hash-key")
ARCHIVE = ("connector", "root", "curated-root", "topic")
JANITOR = ("connector", "root", "curated-root", "catalog-database")
PIPELINE = tuple(dict.fromkeys((*DECRYPT, *TRANSFORM, *ARCHIVE)))
CHAIN = {"decrypt": DECRYPT, "transform": TRANSFORM, "archive": ARCHIVE}


@dataclass
class Recorded:
    """Jobs that were run: what each printed, and what each asked of AWS."""

    site: AwsSite
    printed: dict[str, str] = field(default_factory=dict)
    calls: dict[str, list[Call]] = field(default_factory=dict)

    def run(self, job: str, names: tuple[str, ...], **more: str) -> str:
        """Run a job, and note what it printed and asked."""
        self.site.aws.take_calls()
        self.site.kms.calls.clear()
        options = {name.replace("_", "-"): value for name, value in more.items()}
        self.printed[job] = self.site.run(job, *names, more=options)
        asked = self.calls.setdefault(job, [])
        asked += self.site.aws.take_calls()
        asked += [Call("kms", str(call["operation"]), parameters=call) for call in self.site.kms.calls]
        return self.printed[job]


@dataclass
class Loaded(Recorded):
    """A delivery that was loaded by the three jobs, and the messages about it."""

    delivery: Delivery = field(kw_only=True)
    messages: list[dict[str, Any]] = field(default_factory=list)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsSite]:
    with aws_site(tmp_path_factory.mktemp("aws")) as made:
        yield made


@pytest.fixture(scope="session")
def loaded(site: AwsSite) -> Loaded:
    site.client("glue").create_database(DatabaseInput={"Name": DATABASE})
    made = Loaded(site, delivery=site.deliver(3_000))
    for job, names in CHAIN.items():
        if job == "transform":
            made.run("decrypt", DECRYPT)  # as the workflow does after transform has failed
            _crash(site)
        made.run(job, names)
    made.messages = list(site.messages())
    return made


def _crash(site: AwsSite) -> None:
    """Leave behind what an attempt at transform leaves that was killed."""
    s3 = site.client("s3")
    (note,) = (key for key in site.keys_below(LANDING, "state/") if key.endswith("/decrypt.json"))
    run = note.split("/")[2]
    s3.put_object(Bucket=LANDING, Key=note.replace("decrypt.json", "transform.attempt-1.json"), Body=b"{}")
    s3.put_object(Bucket=CURATED, Key=f"curated/customer_profile/{run}/attempt=1/country=US/half.parquet", Body=b"PAR1")


UPSERT_TABLE = """
name = "members"
comment = "Members"
load = "upsert"
keys = ["person"]
partitions = ["country"]
[columns.person]
comment = "Hash of the person's id"
personal_data = "identifier"
[columns.tier]
comment = "Tier"
[columns.country]
comment = "Country"
normalize = "country"
default = "ZZ"
"""
UPSERT_CONNECTOR = """
name = "members"
comment = "A source of one's own"
table = "members"
[delivery]
ready = "quiet_period"
snapshot = '(?P<snapshot>\\d{8})\\.csv'
keep = "all"
"""


@pytest.fixture(scope="session")
def upserted(site: AwsSite) -> Recorded:
    """A source of one's own, whose definitions are on S3: two deliveries, and with the second a file that is broken."""
    s3 = site.client("s3")
    s3.create_bucket(Bucket=CODE)
    s3.put_object(Bucket=CODE, Key="definitions/connectors/members.toml", Body=UPSERT_CONNECTOR.encode())
    s3.put_object(Bucket=CODE, Key="definitions/tables/members.toml", Body=UPSERT_TABLE.encode())
    made = Recorded(site)
    names = tuple(name for name in PIPELINE if name not in ("connector", "envelope-key", "pgp-key", "pgp-passphrase"))
    connector = f"s3://{CODE}/definitions/connectors/members.toml"
    first = {"20240101.csv": b"person,tier,country\na,gold,US\nb,gold,DE\n"}
    second = {
        "20240102.csv": b"person,tier,country\nb,iron,US\nc,iron,FR\n",  # nobody is left in DE
        "20240102 broken.csv.gz": b"\x1f\x8b\x08broken",
    }
    for files in (first, second):
        for name, data in files.items():
            s3.put_object(Bucket=LANDING, Key=f"landing/members/{name}", Body=data)
        made.run("pipeline", names, connector=connector, on_bad_file="quarantine")
    return made
