"""One account for all tests here, with one delivery loaded job by job and every request recorded."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
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
FORGET = ("root", "curated-root", "catalog-database", "hash-key")
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
        made.client("glue").create_database(DatabaseInput={"Name": DATABASE})
        yield made


@pytest.fixture(scope="session")
def loaded(site: AwsSite) -> Loaded:
    site.messages()  # those of other runs
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
    (note,) = (key for key in site.keys_below(LANDING, "state/aep_profiles/") if key.endswith("/decrypt.json"))
    run = note.split("/")[2]
    s3.put_object(Bucket=LANDING, Key=note.replace("decrypt.json", "transform.attempt-1.json"), Body=b"{}")
    s3.put_object(Bucket=CURATED, Key=f"curated/customer_profile/{run}/attempt=1/country=US/half.parquet", Body=b"PAR1")
    s3.put_object(Bucket=LANDING, Key=f"rejects/aep_profiles/{run}/transform-1/half.parquet", Body=b"PAR1")


MEMBERS_TABLE = """
name = "{source}"
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
MEMBERS_CONNECTOR = """
name = "{source}"
comment = "A source of one's own"
table = "{source}"
[delivery]
ready = "quiet_period"
snapshot = '(?P<snapshot>\\d{{8}})\\.csv'
keep = "all"
[rejects]
missing = ["tier"]
max_share = 0.5
keep_values = true
"""


@dataclass
class Members(Recorded):
    """A source of one's own, whose definitions are on S3, and whose table has its name."""

    source: str = field(kw_only=True)

    def load(self) -> None:
        """Load two deliveries, and with the second a file that is broken."""
        definitions = {"connectors": MEMBERS_CONNECTOR, "tables": MEMBERS_TABLE}
        for folder, text in definitions.items():
            key = f"definitions/{folder}/{self.source}.toml"
            self._put(CODE, key, text.format(source=self.source).encode())
        self.deliver({"20240101.csv": b"person,tier,country\na,gold,US\nb,gold,DE\n"})
        self.deliver({
            "20240102.csv": b"person,tier,country\nb,iron,US\nc,iron,FR\nb,,FR\n",  # nobody is left in DE
            "20240102 broken.csv.gz": b"\x1f\x8b\x08broken",
        })  # fmt: skip

    def deliver(self, files: Mapping[str, bytes]) -> None:
        """Put files into landing/ and run the pipeline."""
        for name, data in files.items():
            self._put(LANDING, f"landing/{self.source}/{name}", data)
        self.go("pipeline")

    def go(self, job: str, **more: str) -> None:
        """Run a job with this source's connector."""
        encrypted = ("connector", "envelope-key", "pgp-key", "pgp-passphrase")
        names = FORGET if job == "forget" else tuple(name for name in PIPELINE if name not in encrypted)
        bad = {"delete_quarantine": "true"} if job == "forget" else {"on_bad_file": "quarantine"}
        self.run(job, names, connector=f"s3://{CODE}/definitions/connectors/{self.source}.toml", **bad, **more)

    def _put(self, bucket: str, key: str, data: bytes) -> None:
        self.site.client("s3").put_object(Bucket=bucket, Key=key, Body=data)


@pytest.fixture(scope="session")
def code(site: AwsSite) -> AwsSite:
    """The account with a bucket for definitions."""
    site.client("s3").create_bucket(Bucket=CODE)
    return site


@pytest.fixture(scope="session")
def upserted(code: AwsSite) -> Members:
    """A source that is upserted."""
    made = Members(code, source="members")
    made.load()
    return made


@pytest.fixture(scope="session")
def rebuilt(code: AwsSite) -> Members:
    """Another, whose table was built anew from its originals with another hash key."""
    made = Members(code, source="rebuilt")
    made.load()
    with _another_key(made.site):
        made.go("backfill", plan="new-key", source="archive", reason="the key was rotated")
        made.go("backfill", run="new-key")
    return made


@pytest.fixture(scope="session")
def forgotten(code: AwsSite) -> Members:
    """Another, one of whose people was forgotten, in the table and in all that runs left."""
    made = Members(code, source="forgotten")
    made.load()
    people = "lists/forgotten/people.csv"
    for key, data in ((people, b"person\nb\n"), ("raw/forgotten/run=dead/part.parquet", b"PAR1")):
        made.site.client("s3").put_object(Bucket=LANDING, Key=key, Body=data)
    made.go("forget", people=f"s3://{LANDING}/{people}", reason="erasure request")
    return made


@contextlib.contextmanager
def _another_key(site: AwsSite) -> Iterator[None]:
    """Put another hash key in the place of the one that all other tests have."""
    secrets = site.client("secretsmanager")
    before = secrets.get_secret_value(SecretId="hash-key")["SecretString"]
    secrets.put_secret_value(SecretId="hash-key", SecretString="another-key-of-the-tests-with-32-bytes")
    try:
        yield
    finally:
        secrets.put_secret_value(SecretId="hash-key", SecretString=before)
