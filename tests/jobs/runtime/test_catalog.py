"""One table of behaviours for the catalogs, and what Glue's alone must do."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from jobs.runtime.catalog import Catalog, open_catalog
from jobs.runtime.configuration import load_configuration
from jobs.runtime.errors import CatalogConflictError, PipelineError
from jobs.runtime.file_catalog import FileCatalog
from jobs.runtime.glue_catalog import GlueCatalog, partition_input, storage_descriptor, table_input
from jobs.runtime.local_storage import LocalStorage
from jobs.runtime.published_table import PublishedColumn, PublishedPartition, PublishedTable, describe_table
from jobs.runtime.storage import open_storage
from tests.jobs.runtime.conftest import new_name


class WatchedGlue:
    """A client of Glue that notes the sizes of batches; ``stops_before`` ends a run at that operation."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.stops_before = ""
        self.batches: list[tuple[str, int]] = []

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(**parameters: Any) -> Any:
            if operation == self.stops_before:
                raise KeyboardInterrupt
            if operation.startswith("batch_"):
                (items,) = (value for value in parameters.values() if isinstance(value, list | tuple))
                self.batches.append((operation, len(items)))
            return getattr(self._client, operation)(**parameters)

        return call


@pytest.fixture(params=["file", "file-s3", "glue"])
def catalog(request: pytest.FixtureRequest, tmp_path: Path) -> Catalog:
    if request.param == "file":
        return FileCatalog(LocalStorage(tmp_path))
    if request.param == "file-s3":
        return FileCatalog(open_storage(f"s3://{request.getfixturevalue('bucket')}/base"))
    glue: Catalog = request.getfixturevalue("glue_catalog")
    return glue


@pytest.fixture
def glue(aws: str) -> WatchedGlue:
    del aws
    return WatchedGlue(boto3.client("glue"))


@pytest.fixture
def glue_catalog(glue: WatchedGlue) -> GlueCatalog:
    database = new_name("db")
    glue.create_database(DatabaseInput={"Name": database})
    return GlueCatalog(glue, database)  # type: ignore[arg-type]


def table(run: str, *values: str, partitioned: bool = True, **changes: Any) -> PublishedTable:
    location = f"s3://b/curated/t/{run}"
    made = PublishedTable(
        name="people",
        comment="Everybody",
        location=location,
        columns=(PublishedColumn("email", "string", "a hash"), PublishedColumn("age", "int", "")),
        partition_keys=(PublishedColumn("country", "string", "a code"),) if partitioned else (),
        partitions=tuple(
            PublishedPartition((value,), f"{location}/country={value}", 3 + at, "2026-11-21T12:00:00")
            for at, value in enumerate(values)
        ),
        parameters={"run_id": run, "row_count": "7"},
    )
    return dataclasses.replace(made, **changes)


def get(catalog: Catalog) -> PublishedTable:
    found = catalog.get("people")
    assert found is not None
    return found


def without_version(found: PublishedTable) -> PublishedTable:
    return dataclasses.replace(found, version="")


def test_what_is_not_there_is_none(catalog: Catalog) -> None:
    assert catalog.get("people") is None


def test_the_names_of_our_tables(catalog: Catalog) -> None:
    assert catalog.names() == []
    for name in ("people", "events", "a_third"):
        catalog.put(table("r1", name=name), "")
    assert catalog.names() == ["a_third", "events", "people"]


@pytest.mark.parametrize(
    "first", [table("r1", "CA", "US"), table("r1"), table("r1", partitioned=False)], ids=["two", "none", "flat"]
)
def test_a_table_is_created_as_it_was_given(catalog: Catalog, first: PublishedTable) -> None:
    catalog.put(first, "")
    found = get(catalog)
    assert without_version(found) == first
    assert found.version


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (["CA", "US"], ["CA", "US"]),
        (["CA"], ["CA", "DE", "US"]),
        (["CA", "DE", "US"], ["DE"]),
        (["CA", "DE"], ["DE", "US"]),
        (["CA"], []),
        ([], ["CA"]),
    ],
)
def test_a_switch_brings_partitions_to_what_they_shall_be(
    catalog: Catalog, before: list[str], after: list[str]
) -> None:
    catalog.put(table("r1", *before), "")
    catalog.put(table("r2", *after), get(catalog).version)
    assert without_version(get(catalog)) == table("r2", *after)


def test_a_switch_brings_columns_and_parameters(catalog: Catalog) -> None:
    for partitioned in (True, False):
        name = f"people{partitioned}".lower()
        catalog.put(table("r1", partitioned=partitioned, name=name), "")
        new = table(
            "r2",
            partitioned=partitioned,
            name=name,
            comment="Fewer",
            columns=(PublishedColumn("age", "bigint", "years"),),
            parameters={"run_id": "r2", "previous_run": "r1"},
        )
        present = catalog.get(name)
        assert present is not None
        catalog.put(new, present.version)
        found = catalog.get(name)
        assert found is not None
        assert without_version(found) == new


@pytest.mark.parametrize("partition", [PublishedPartition(("CA",), "s3://b/old/country=CA", 5, "2026-11-22"),
                                       PublishedPartition(("CA",), "s3://b/old/country=CA")])  # fmt: skip
def test_a_partition_knows_its_rows_and_when_they_were_delivered(
    catalog: Catalog, partition: PublishedPartition
) -> None:
    catalog.put(table("r1", "CA", "US"), "")
    catalog.put(table("r2", partitions=(partition,)), get(catalog).version)
    assert get(catalog).partitions == (partition,)
    # Another number of rows alone is a change too.
    more = dataclasses.replace(partition, rows=6)
    catalog.put(table("r3", partitions=(more,)), get(catalog).version)
    assert get(catalog).partitions == (more,)


@pytest.mark.parametrize("partitioned", [True, False])
def test_a_stale_version_changes_nothing(catalog: Catalog, *, partitioned: bool) -> None:
    catalog.put(table("r1", partitioned=partitioned), "")
    stale = get(catalog).version
    catalog.put(table("r2", partitioned=partitioned), stale)
    present = get(catalog)
    assert present.version != stale
    for version in (stale, ""):
        with pytest.raises(CatalogConflictError, match="changed by somebody else"):
            catalog.put(table("r3", partitioned=partitioned), version)
    assert get(catalog) == present


def test_a_table_that_was_deleted_meanwhile_is_a_conflict(catalog: Catalog) -> None:
    with pytest.raises(CatalogConflictError):
        catalog.put(table("r1"), "5")
    assert catalog.get("people") is None


def test_going_back_is_a_switch_like_any_other(catalog: Catalog) -> None:
    catalog.put(table("r1", "CA"), "")
    catalog.put(table("r2", "US"), get(catalog).version)
    catalog.put(table("r1", "CA"), get(catalog).version)
    assert without_version(get(catalog)) == table("r1", "CA")


# Not on the made-up S3, which looks and puts in two steps, so that both may win; the real one does both in one.
@pytest.mark.parametrize("catalog", ["file", "glue"], indirect=True)
@pytest.mark.parametrize("partitioned", [True, False])
@pytest.mark.parametrize("create", [True, False])
def test_of_two_at_once_exactly_one_wins(catalog: Catalog, *, create: bool, partitioned: bool) -> None:
    version = ""
    if not create:
        catalog.put(table("r0", partitioned=partitioned), "")
        version = get(catalog).version
    barrier = threading.Barrier(2)
    wins: list[str] = []

    def publish(run: str) -> None:
        barrier.wait()
        try:
            catalog.put(table(run, partitioned=partitioned), version)
        except CatalogConflictError:
            return
        wins.append(run)

    threads = [threading.Thread(target=publish, args=(run,)) for run in ("r1", "r2")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(wins) == 1
    assert get(catalog).parameters["run_id"] == wins[0]


def test_a_document_comes_back() -> None:
    made = table("r1", "CA", "US")
    assert PublishedTable.from_document(json.loads(json.dumps(dataclasses.asdict(made)))) == made


def test_a_document_from_before_partitions_had_rows_comes_back() -> None:
    document = dataclasses.asdict(table("r1", "CA"))
    document["partitions"] = [{"values": ["CA"], "location": "s3://b/x"}]
    assert PublishedTable.from_document(document).partitions == (PublishedPartition(("CA",), "s3://b/x", 0, ""),)


def test_a_catalog_says_where_it_is(catalog: Catalog, tmp_path: Path) -> None:
    assert catalog.describe().startswith((f"file://{tmp_path}/state/catalog", "s3://bucket-", "Glue database db-"))


def test_the_catalog_is_chosen_by_the_database(aws: str, tmp_path: Path) -> None:
    del aws
    assert isinstance(open_catalog(LocalStorage(tmp_path), None), FileCatalog)
    assert open_catalog(LocalStorage(tmp_path), "people_db").describe() == "Glue database people_db"


# --- Glue alone


def test_more_partitions_than_a_batch_takes(glue: WatchedGlue, glue_catalog: GlueCatalog) -> None:
    values = [f"{number:03d}" for number in range(230)]
    glue_catalog.put(table("r1", *values), "")
    assert glue.batches == [("batch_create_partition", size) for size in (100, 100, 30)]
    glue.batches.clear()
    glue_catalog.put(table("r2", *values[:170]), get(glue_catalog).version)
    assert without_version(get(glue_catalog)) == table("r2", *values[:170])
    assert glue.batches == [
        *(("batch_update_partition", size) for size in (100, 70)),
        *(("batch_delete_partition", size) for size in (25, 25, 10)),
    ]


def names_of_partitions(glue: WatchedGlue, catalog: GlueCatalog) -> list[tuple[str, str]]:
    """Return how each partition describes its columns, which readers go by."""
    found = glue.get_partitions(DatabaseName=catalog._database, TableName="people")["Partitions"]
    return sorted(
        (partition["Values"][0], " ".join(column["Name"] for column in partition["StorageDescriptor"]["Columns"]))
        for partition in found
    )


WIDER = (*table("r1").columns, PublishedColumn("city", "string", ""))


def test_partitions_that_stay_are_left_alone(glue: WatchedGlue, glue_catalog: GlueCatalog) -> None:
    first = table("r1", "CA", "DE", "US")
    glue_catalog.put(first, "")
    glue.batches.clear()
    changed = dataclasses.replace(first.partitions[1], location="s3://b/curated/t/r2/country=DE")
    new = table("r2", partitions=(first.partitions[0], changed, first.partitions[2]))
    glue_catalog.put(new, get(glue_catalog).version)
    assert glue.batches == [("batch_update_partition", 1)]
    assert without_version(get(glue_catalog)) == new


def test_other_columns_of_the_table_are_other_columns_of_every_partition(
    glue: WatchedGlue, glue_catalog: GlueCatalog
) -> None:
    first = table("r1", "CA", "DE")
    glue_catalog.put(first, "")
    assert names_of_partitions(glue, glue_catalog) == [("CA", "email age"), ("DE", "email age")]
    new = table("r2", partitions=first.partitions, columns=WIDER)
    glue_catalog.put(new, get(glue_catalog).version)
    assert names_of_partitions(glue, glue_catalog) == [("CA", "email age city"), ("DE", "email age city")]
    assert without_version(get(glue_catalog)) == new


def test_after_an_interruption_every_partition_gets_the_new_columns_too(
    glue: WatchedGlue, glue_catalog: GlueCatalog
) -> None:
    first = table("r1", "CA", "DE")
    glue_catalog.put(first, "")
    new = table("r2", partitions=first.partitions, columns=WIDER)
    glue.stops_before = "batch_update_partition"
    with pytest.raises(KeyboardInterrupt):
        glue_catalog.put(new, get(glue_catalog).version)
    glue.stops_before = ""
    between = get(glue_catalog)
    assert between.columns == WIDER  # as the table says already, and its partitions do not
    assert names_of_partitions(glue, glue_catalog) == [("CA", "email age"), ("DE", "email age")]
    glue_catalog.put(new, between.version)
    assert names_of_partitions(glue, glue_catalog) == [("CA", "email age city"), ("DE", "email age city")]


def test_tables_of_others_are_not_ours(glue: WatchedGlue, glue_catalog: GlueCatalog) -> None:
    glue_catalog.put(table("r1"), "")
    for name, parameters in (("theirs", {"classification": "parquet"}), ("bare", {})):
        glue.create_table(DatabaseName=glue_catalog._database, TableInput={"Name": name, "Parameters": parameters})
    assert glue_catalog.names() == ["people"]


def test_partitions_that_others_made_have_no_rows_to_tell(glue: WatchedGlue, glue_catalog: GlueCatalog) -> None:
    made = table("r1", "CA")
    glue_catalog.put(made, "")
    request = partition_input(made, PublishedPartition(("XX",), "s3://b/theirs/country=XX"))
    for without in ({"Parameters": {"classification": "parquet"}}, {}):
        theirs = {key: value for key, value in request.items() if key != "Parameters"} | without
        glue.batch_create_partition(
            DatabaseName=glue_catalog._database, TableName="people", PartitionInputList=[theirs]
        )
        assert get(glue_catalog).partitions[1] == PublishedPartition(("XX",), "s3://b/theirs/country=XX", 0, "")
        glue.batch_delete_partition(
            DatabaseName=glue_catalog._database, TableName="people", PartitionsToDelete=[{"Values": ["XX"]}]
        )


@pytest.mark.parametrize(
    "operation", ["batch_create_partition", "batch_update_partition", "batch_delete_partition", "update_table"]
)
def test_an_interrupted_switch_is_finished_by_putting_again(
    glue: WatchedGlue, glue_catalog: GlueCatalog, operation: str
) -> None:
    glue_catalog.put(table("r1", "CA", "DE"), "")
    version = get(glue_catalog).version
    new = table("r2", "DE", "US")  # one to create, one to change, one to delete
    if operation == "update_table":
        update, times = glue._client.update_table, iter([False, True])

        def stops_the_second_time(**parameters: Any) -> Any:
            if next(times, False):
                raise KeyboardInterrupt
            return update(**parameters)

        glue._client.update_table = stops_the_second_time
    glue.stops_before = operation if operation != "update_table" else ""
    with pytest.raises(KeyboardInterrupt):
        glue_catalog.put(new, version)
    glue.stops_before = ""

    between = get(glue_catalog)
    assert between.parameters["switching_to"] == "r2"
    assert (between.parameters["run_id"], between.location) == ("r1", table("r1").location)
    for attempt in (version, between.version, ""):
        with pytest.raises(CatalogConflictError, match="run r2 is in the middle of publishing people"):
            glue_catalog.put(table("r3", "CA"), attempt)
    assert get(glue_catalog) == between

    glue_catalog.put(new, between.version)
    assert without_version(get(glue_catalog)) == new
    glue_catalog.put(table("r3", "CA"), get(glue_catalog).version)
    assert without_version(get(glue_catalog)) == table("r3", "CA")


def test_an_interrupted_creation_is_finished_by_putting_again(glue: WatchedGlue, glue_catalog: GlueCatalog) -> None:
    glue.stops_before = "batch_create_partition"
    with pytest.raises(KeyboardInterrupt):
        glue_catalog.put(table("r1", "CA"), "")
    glue.stops_before = ""
    glue_catalog.put(table("r1", "CA"), "")
    assert without_version(get(glue_catalog)) == table("r1", "CA")


def test_partitions_that_glue_refuses_stop_the_switch() -> None:
    catalog = GlueCatalog(None, "db")  # type: ignore[arg-type]
    catalog._done({"Errors": []})
    with pytest.raises(
        PipelineError, match=r"Glue database db: 2 partitions .*\(InternalServiceException\); run again"
    ):
        catalog._done({"Errors": [{"ErrorDetail": {"ErrorCode": "InternalServiceException"}}, {}]})


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            ClientError({"Error": {"Code": "AccessDeniedException", "Message": "secret"}}, "GetTable"),
            "Glue database db: access denied for get_table. The job's role .* where Lake Formation governs",
        ),
        (EndpointConnectionError(endpoint_url="http://secret"), "get_table failed: EndpointConnectionError"),
    ],
)
def test_what_aws_refuses_is_told_without_its_message(error: Exception, message: str) -> None:
    class Client:
        def get_table(self, **_: object) -> None:
            raise error

    with pytest.raises(PipelineError, match=message) as caught:
        GlueCatalog(Client(), "db").get("people")  # type: ignore[arg-type]
    assert "secret" not in str(caught.value)


def test_a_database_that_is_missing_is_made(aws: str) -> None:
    del aws
    catalog = GlueCatalog(boto3.client("glue"), new_name("missing"))
    assert (catalog.names(), catalog.get("people")) == ([], None)
    catalog.put(table("r1", "CA"), "")
    assert without_version(get(catalog)) == table("r1", "CA")
    assert catalog.names() == ["people"]


@pytest.mark.parametrize(
    ("code", "message"),
    [("AccessDeniedException", "glue:CreateDatabase"), ("AlreadyExistsException", "found no such thing")],
)
def test_a_database_that_cannot_be_made_is_told(code: str, message: str) -> None:
    calls: list[str] = []

    def refusal(code: str, operation: str) -> ClientError:
        return ClientError({"Error": {"Code": code, "Message": "secret"}}, operation)

    class Client:
        def get_table(self, **_: object) -> None:
            raise refusal("EntityNotFoundException", "GetTable")

        def create_table(self, **_: object) -> None:
            calls.append("table")
            raise refusal("EntityNotFoundException", "CreateTable")

        def create_database(self, **_: object) -> None:
            calls.append("database")
            raise refusal(code, "CreateDatabase")

    with pytest.raises(PipelineError, match=message) as caught:
        GlueCatalog(Client(), "db").put(table("r1"), "")  # type: ignore[arg-type]
    assert "secret" not in str(caught.value)
    assert calls == (["table", "database"] if "Access" in code else ["table", "database", "table"])


@pytest.mark.parametrize("partitioned", [True, False])
@pytest.mark.parametrize(("load", "kept"), [("full_refresh", 4), ("append", 1), ("upsert", 1)])
def test_tables_that_change_often_leave_no_versions_behind(
    glue: WatchedGlue, glue_catalog: GlueCatalog, load: str, kept: int, *, partitioned: bool
) -> None:
    values = ("CA",) if partitioned else ()
    for number in range(4):
        parameters = {"run_id": f"r{number}", "load": load}
        version = get(glue_catalog).version if number else ""
        glue_catalog.put(table(f"r{number}", *values, partitioned=partitioned, parameters=parameters), version)
    versions = glue.get_table_versions(DatabaseName=glue_catalog._database, TableName="people")["TableVersions"]
    assert len(versions) == kept


def test_the_table_request() -> None:
    assert table_input(table("r1", "CA"), {"switching_to": "r1"}) == {
        "Name": "people",
        "Description": "Everybody",
        "TableType": "EXTERNAL_TABLE",
        "PartitionKeys": [{"Name": "country", "Type": "string", "Comment": "a code"}],
        "StorageDescriptor": {
            "Columns": [
                {"Name": "email", "Type": "string", "Comment": "a hash"},
                {"Name": "age", "Type": "int", "Comment": ""},
            ],
            "Location": "s3://b/curated/t/r1/",
            "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
            "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
            "SerdeInfo": {
                "SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
                "Parameters": {"serialization.format": "1"},
            },
        },
        "Parameters": {
            "classification": "parquet",
            "EXTERNAL": "TRUE",
            "compressionType": "snappy",
            "cleanroom_etl.run_id": "r1",
            "cleanroom_etl.row_count": "7",
            "cleanroom_etl.switching_to": "r1",
        },
    }
    assert table_input(table("r1", partitioned=False))["PartitionKeys"] == []  # Athena needs the list


def test_the_partition_request() -> None:
    made = table("r1", "CA")
    descriptor = storage_descriptor(made, "s3://b/curated/t/r1/country=CA")
    assert descriptor["Location"] == "s3://b/curated/t/r1/country=CA/"
    assert partition_input(made, made.partitions[0]) == {
        "Values": ["CA"],
        "StorageDescriptor": descriptor,
        "Parameters": {
            "classification": "parquet",
            "cleanroom_etl.rows": "3",
            "cleanroom_etl.delivered": "2026-11-21T12:00:00",
        },
    }


def test_the_packaged_table_is_described() -> None:
    _, tables = load_configuration("aep_profiles", None)
    partitions = [
        PublishedPartition(("US",), "s3://b/x/country=US"),
        PublishedPartition(("CA",), "s3://b/x/country=CA"),
    ]
    made = describe_table(tables["aep_profiles"], "s3://b/x", partitions, {"run_id": "r1"})
    assert [column.name for column in made.partition_keys] == ["country"]
    assert "country" not in [column.name for column in made.columns]
    assert len(made.columns) == 12
    assert [partition.values for partition in made.partitions] == [("CA",), ("US",)]
    assert all(column.comment for column in made.columns)
