"""A crash at some of the requests to AWS, and the same command once more; ``tests.torture.crash`` does it at all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession

from tests.fixtures.aws_site import AwsSite
from tests.torture.crash import Bench, crash, make_bench
from tests.torture.crash_bucket import BucketPlace, session_on
from tests.torture.crash_scenarios import APPEND
from tests.torture.faults import AFTER, BEFORE, ERROR, KILL, STOP, Fault


@pytest.fixture(scope="module")
def spark(site: AwsSite) -> Iterator[SparkSession]:
    with session_on(site) as session:
        yield session


@pytest.fixture(scope="module")
def append(site: AwsSite, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    assert spark.sparkContext.master == "local[2]"
    folder = tmp_path_factory.mktemp("append")
    APPEND.define(folder)
    return make_bench(APPEND, BucketPlace(folder, site), site.keys, folder / "notes")


@pytest.mark.parametrize(
    ("text", "moment", "kind"),
    [
        ("s3.put_object state/source/run=*/decrypt.json", BEFORE, KILL),
        pytest.param("s3.put_object state/source/run=*/transform.json", AFTER, ERROR, marks=pytest.mark.long),
        ("glue.update_table events", AFTER, KILL),  # the table is claimed, its partitions are the old ones
        pytest.param("glue.batch_create_partition events", AFTER, ERROR, marks=pytest.mark.long),
        ("glue.batch_update_partition events", AFTER, KILL),
        pytest.param("s3.put_object state/source/run=*/publish.json", BEFORE, KILL, marks=pytest.mark.long),
        ("archive._move: s3.copy", AFTER, STOP),
        ("s3.delete_objects raw/", BEFORE, KILL),
    ],
)
def test_the_same_command_finishes_what_a_crash_has_left(
    append: Bench, spark: SparkSession, text: str, moment: str, kind: str
) -> None:
    point = next((point for point in append.points if text in point), None)
    assert point is not None, f"no call is named {text}; these are: {sorted(append.points)}"
    assert crash(append, Fault(point, 1, moment, kind), spark) == []
