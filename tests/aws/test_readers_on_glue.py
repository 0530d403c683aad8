"""What readers of Glue's catalog see while runs publish: unpartitioned tables whole, partitioned ones as it says."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from jobs.runtime.errors import CatalogConflictError
from jobs.runtime.glue_catalog import GlueCatalog
from tests.aws.conftest import Members
from tests.fixtures.aws_site import DATABASE
from tests.torture.concurrency import Tally
from tests.torture.generations import TABLE
from tests.torture.readers import (
    ENOUGH,
    Glue,
    Watcher,
    glues,
    killed_between_batches,
    made_up_glue,
    publish_in_glue,
    steps_of_a_switch,
    woken_after_others,
)

MANY = 110  # partitions: two batches to update, or to create


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with made_up_glue() as made:
        yield made


def test_an_unpartitioned_table_is_one_run_in_every_read(client: Any, tmp_path: Path) -> None:
    tally = Tally()
    publish_in_glue(tally, glues(client, tmp_path, 0)(), 30)
    assert tally.failures == []
    assert tally.figures["reads by Glue, unpartitioned"] > ENOUGH


@pytest.mark.parametrize("append", [False, True])
def test_a_partitioned_table_is_one_run_in_every_read_without_a_claim(
    client: Any, tmp_path: Path, *, append: bool
) -> None:
    tally = Tally()
    publish_in_glue(tally, glues(client, tmp_path, 20)(), 12, append=append)
    assert tally.failures == []
    assert tally.figures["reads by Glue, partitioned, without a claim"] > ENOUGH
    assert tally.figures["reads by get()"] > ENOUGH


@pytest.mark.parametrize("append", [False, True])
def test_between_the_claim_and_its_end_each_partition_is_of_the_old_run_or_the_new(
    client: Any, tmp_path: Path, *, append: bool
) -> None:
    tally = Tally()
    steps_of_a_switch(tally, glues(client, tmp_path, MANY)(), append=append)
    assert tally.failures == []
    assert tally.figures["steps of switches looked at"] >= 8


@pytest.mark.parametrize("append", [False, True])
def test_a_mixture_that_a_killed_run_has_left_has_a_claim_and_goes_when_it_is_run_again(
    client: Any, tmp_path: Path, *, append: bool
) -> None:
    tally = Tally()
    killed_between_batches(tally, glues(client, tmp_path, 12), append=append)
    assert tally.failures == []
    assert tally.figures["mixtures left by kills, all with a claim"] > 0


@pytest.mark.parametrize("append", [False, True])
def test_a_run_that_slept_between_its_batches_changes_nothing_of_what_others_have_published(
    client: Any, tmp_path: Path, *, append: bool
) -> None:
    tally = Tally()
    woken_after_others(tally, glues(client, tmp_path, 12), append=append)
    assert tally.failures == []
    assert tally.figures["switches that woke after others"] >= 8


def test_a_table_is_not_read_while_its_partitions_are_of_another_moment(client: Any, tmp_path: Path) -> None:
    glue = glues(client, tmp_path, 12)()
    glue.publisher.run(0)
    read = GlueCatalog(_Switching(glue), glue.database).get(TABLE)  # type: ignore[arg-type]
    assert read is not None
    assert read.run_id == "1"
    assert {part.location.split("run=")[1].split("/")[0] for part in read.partitions} == {"1"}


def test_a_table_that_changes_with_every_look_is_told(client: Any, tmp_path: Path) -> None:
    glue = glues(client, tmp_path, 2)()
    glue.publisher.run(0)
    with pytest.raises(CatalogConflictError, match="table people changes all the time"):
        GlueCatalog(_Switching(glue, times=100), glue.database).get(TABLE)  # type: ignore[arg-type]


class _Switching:
    """A client in whose every listing of partitions another run is published, ``times`` times."""

    def __init__(self, glue: Glue, times: int = 1) -> None:
        self._glue, self._left, self._run = glue, times, 1

    def __getattr__(self, operation: str) -> Any:
        if operation == "get_partitions" and self._left:
            self._left -= 1
            self._glue.publisher.run(self._run)
            self._run += 1
        return getattr(self._glue.client, operation)


def _tiers(site: Any) -> tuple[Counter[str], bool]:
    """Read table members as an engine does; also tell whether it was not being switched."""
    glue, s3 = site.client("glue"), site.client("s3")

    def look() -> tuple[str, str]:
        table = glue.get_table(DatabaseName=DATABASE, Name="members")["Table"]
        return table["VersionId"], table["Parameters"].get("cleanroom_etl.switching_to", "")

    before = look()
    partitions = glue.get_partitions(DatabaseName=DATABASE, TableName="members")["Partitions"]
    after = look()
    found: Counter[str] = Counter()
    for partition in partitions:
        bucket, _, prefix = partition["StorageDescriptor"]["Location"].removeprefix("s3://").partition("/")
        for key in site.keys_below(bucket, prefix):
            data = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
            found.update(pq.read_table(io.BytesIO(data), columns=["tier"])["tier"].to_pylist())
    return found, before == after and not before[1]


def test_readers_see_whole_runs_while_the_jobs_publish(upserted: Members) -> None:
    site = upserted.site
    before = Counter(gold=1, iron=2)
    assert _tiers(site) == (before, True)
    with Watcher(lambda: _tiers(site)) as watcher:
        upserted.deliver({"20240103.csv": b"person,tier,country\na,silver,DE\nd,silver,FR\n"})
    assert watcher.problem == ""
    settled = [tiers for tiers, is_settled in watcher.reads if is_settled]
    new = Counter(silver=2, iron=2)
    assert all(tiers in (before, new) for tiers in settled)
    assert before in settled
    assert _tiers(site) == (new, True)
