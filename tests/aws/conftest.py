"""One account for all tests here, with one delivery loaded job by job and every request recorded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.fixtures.aep_delivery import Delivery
from tests.fixtures.aws_site import DATABASE, AwsSite, aws_site
from tests.fixtures.aws_stand_in import Call

DECRYPT = ("connector", "root", "envelope-key", "pgp-key", "pgp-passphrase", "quiet-seconds")
TRANSFORM = ("connector", "root", "curated-root", "catalog-database", "hash-key")
ARCHIVE = ("connector", "root", "curated-root", "topic")
JANITOR = ("root", "curated-root", "catalog-database")
PIPELINE = tuple(dict.fromkeys((*DECRYPT, *TRANSFORM, *ARCHIVE)))
CHAIN = {"decrypt": DECRYPT, "transform": TRANSFORM, "archive": ARCHIVE}


@dataclass
class Loaded:
    """A delivery that was loaded by the three jobs: what they printed and what they asked of AWS."""

    site: AwsSite
    delivery: Delivery
    printed: dict[str, str] = field(default_factory=dict)
    calls: dict[str, list[Call]] = field(default_factory=dict)
    messages: list[dict[str, Any]] = field(default_factory=list)

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


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsSite]:
    with aws_site(tmp_path_factory.mktemp("aws")) as made:
        yield made


@pytest.fixture(scope="session")
def loaded(site: AwsSite) -> Loaded:
    site.client("glue").create_database(DatabaseInput={"Name": DATABASE})
    made = Loaded(site, site.deliver(3_000))
    for job, names in CHAIN.items():
        made.run(job, names)
    made.messages = list(site.messages())
    return made
