"""A database of AWS Glue's Data Catalog: request builders, which are pure, and a thin client."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from jobs.runtime.errors import CatalogConflictError, PipelineError, describe
from jobs.runtime.published_table import PublishedColumn, PublishedPartition, PublishedTable

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_glue.type_defs import StorageDescriptorTypeDef, TableInputTypeDef

_BATCH: Final = 100  # BatchCreatePartition and BatchUpdatePartition take at most so many
_DELETE_BATCH: Final = 25  # BatchDeletePartition
_READ_ATTEMPTS: Final = 10
_PREFIX: Final = "cleanroom_etl."  # of our table parameters


def storage_descriptor(table: PublishedTable, location: str) -> StorageDescriptorTypeDef:
    """Return the Glue storage descriptor of Parquet files in ``location``."""
    return {
        "Columns": [{"Name": column.name, "Type": column.type, "Comment": column.comment} for column in table.columns],
        "Location": location.rstrip("/") + "/",
        "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
        "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
        "SerdeInfo": {
            "SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
            "Parameters": {"serialization.format": "1"},
        },
    }


def table_input(table: PublishedTable, more: Mapping[str, str] | None = None) -> TableInputTypeDef:
    """Return the Glue request for ``table``; ``more`` are further parameters of ours, without prefix."""
    ours = {f"{_PREFIX}{name}": value for name, value in {**table.parameters, **(more or {})}.items()}
    return {
        "Name": table.name,
        "Description": table.comment,
        "TableType": "EXTERNAL_TABLE",  # Clean Rooms refuses a table without a type
        "PartitionKeys": [
            {"Name": key.name, "Type": key.type, "Comment": key.comment} for key in table.partition_keys
        ],  # Athena needs the list even where it is empty
        "StorageDescriptor": storage_descriptor(table, table.location),
        "Parameters": {"classification": "parquet", "EXTERNAL": "TRUE", "compressionType": "snappy", **ours},
    }


def partition_input(table: PublishedTable, partition: PublishedPartition) -> dict[str, Any]:
    """Return the Glue request for one partition, with the same columns as its table."""
    return {
        "Values": list(partition.values),
        "StorageDescriptor": storage_descriptor(table, partition.location),
        "Parameters": {
            "classification": "parquet",
            f"{_PREFIX}rows": str(partition.rows),
            f"{_PREFIX}delivered": partition.delivered,
        },
    }


def _batches(items: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))


class GlueCatalog:
    """A database of AWS Glue's Data Catalog.

    A table without partitions changes at once. Glue has no call that changes a table and its partitions together, so
    a partitioned one is claimed by compare-and-set first, then its partitions are brought to what they shall be, then
    the table itself; between the first and the last a reader may see partitions of both runs. A run that died between
    them finishes the same work when it is run again, and until then no other run can claim the table. A run that was
    stopped between them finds before its next batch that its claim is gone, and changes nothing more.

    The version of the table changes with the claim and with its end. So who reads the table, its partitions, and the
    table again, and finds one version without a claim, has the partitions of one run; ``get`` reads like that.
    """

    def __init__(self, client: GlueClient, database: str) -> None:
        self._client, self._database = client, database

    def describe(self) -> str:
        """Say where this catalog is."""
        return f"Glue database {self._database}"

    def _call(self, operation: str, **parameters: Any) -> Any:
        try:
            return getattr(self._client, operation)(DatabaseName=self._database, **parameters)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code in ("ConcurrentModificationException", "AlreadyExistsException"):
                raise CatalogConflictError(
                    f"the table was changed by somebody else since this run looked ({operation}); run again"
                ) from None
            if code == "EntityNotFoundException":
                raise _NotFoundError(f"{self.describe()}: {operation} found no such thing") from None
            if code == "AccessDeniedException":
                raise PipelineError(
                    f"{self.describe()}: access denied for {operation}. The job's role needs it on the database and "
                    "its tables; where Lake Formation governs the database, the role needs a grant there as well"
                ) from None
            raise PipelineError(f"{self.describe()}: {operation} failed: {describe(error)}") from None
        except BotoCoreError as error:
            raise PipelineError(f"{self.describe()}: {operation} failed: {describe(error)}") from None

    def names(self) -> list[str]:
        """List the tables of the database that have parameters of ours."""
        found: list[str] = []
        parameters: dict[str, Any] = {}
        while True:
            try:
                page = self._call("get_tables", **parameters)
            except _NotFoundError:
                return []  # there is no such database yet
            found += [
                table["Name"]
                for table in page["TableList"]
                if any(key.startswith(_PREFIX) for key in table.get("Parameters", {}))
            ]
            if not page.get("NextToken"):
                return sorted(found)
            parameters["NextToken"] = page["NextToken"]

    def get(self, name: str) -> PublishedTable | None:
        """Read the table and all its partitions, as they are at one moment; only a claimed one may be a mixture.

        Raises CatalogConflictError where it changes each time that it is read.
        """
        for _ in range(_READ_ATTEMPTS):
            found = self._table(name)
            if found is None:
                return None
            partitions = tuple(self._partitions(name)) if found.get("PartitionKeys") else ()
            again = self._table(name) if found.get("PartitionKeys") else found
            if again is not None and again.get("VersionId") == found.get("VersionId"):
                return self._published(name, found, partitions)
        raise CatalogConflictError(f"table {name} changes all the time; see who is at it, and try again later")

    def _table(self, name: str) -> Any:
        try:
            return self._call("get_table", Name=name)["Table"]
        except _NotFoundError:
            return None

    def _published(
        self, name: str, found: Mapping[str, Any], partitions: Iterable[PublishedPartition]
    ) -> PublishedTable:
        descriptor = found["StorageDescriptor"]
        return PublishedTable(
            name=name,
            comment=found.get("Description", ""),
            location=descriptor["Location"].rstrip("/"),
            columns=_columns(descriptor["Columns"]),
            partition_keys=_columns(found.get("PartitionKeys", [])),
            partitions=tuple(sorted(partitions, key=lambda partition: partition.values)),
            parameters={
                key.removeprefix(_PREFIX): value
                for key, value in found.get("Parameters", {}).items()
                if key.startswith(_PREFIX)
            },
            version=found.get("VersionId", ""),
        )

    def _partitions(self, name: str) -> Iterable[PublishedPartition]:
        parameters: dict[str, Any] = {"TableName": name, "ExcludeColumnSchema": True}
        while True:
            page = self._call("get_partitions", **parameters)
            for partition in page["Partitions"]:
                ours = partition.get("Parameters", {})
                yield PublishedPartition(
                    tuple(partition["Values"]),
                    partition["StorageDescriptor"]["Location"].rstrip("/"),
                    int(ours.get(f"{_PREFIX}rows", "0")),
                    ours.get(f"{_PREFIX}delivered", ""),
                )
            if not page.get("NextToken"):
                return
            parameters["NextToken"] = page["NextToken"]

    def put(self, table: PublishedTable, expected_version: str) -> None:
        """Create or switch the table; see the class for what readers see meanwhile."""
        run_id = table.run_id
        present = self.get(table.name)
        # A run that died while switching had set the table's columns already: then all partitions are set again.
        described = present.columns if present is not None and not present.claimed_by else None
        if present is None:
            if expected_version:
                raise CatalogConflictError(f"table {table.name} was deleted since this run looked; run again")
            self._create(table, run_id)
            if not table.partition_keys:
                return
            present = self.get(table.name)
        elif present.claimed_by not in ("", run_id):
            raise CatalogConflictError(
                f"run {present.claimed_by} is in the middle of publishing {table.name}; run it again first, or where "
                "jobs/rollback.py went back to it, that"
            )
        elif present.claimed_by != run_id:
            if present.version != expected_version:
                raise CatalogConflictError(
                    f"table {table.name} was changed by somebody else since this run looked; run again"
                )
            if not table.partition_keys:
                self._update(table, expected_version)
                return
            claimed = dataclasses.replace(present, columns=table.columns)
            self._call(
                "update_table",
                TableInput=table_input(claimed, {"switching_to": run_id}),
                VersionId=expected_version,
                SkipArchive=not _is_worth_a_version(table),
            )
            present = self.get(table.name)
        if present is None:
            raise CatalogConflictError(f"table {table.name} was deleted while this run published it; run again")
        self._switch_partitions(table, present, described)
        # The state that was claimed is of no use to anybody later.
        self._call("update_table", TableInput=table_input(table), VersionId=present.version, SkipArchive=True)

    def _create(self, table: PublishedTable, run_id: str) -> None:
        """Make the table: whole where it has no partitions, else claimed, showing no run before it has them."""
        request = table_input(table)
        if table.partition_keys:
            parameters = {"connector": table.parameters.get("connector", "")}
            request = table_input(dataclasses.replace(table, parameters=parameters), {"switching_to": run_id})
        try:
            self._call("create_table", TableInput=request)
        except _NotFoundError:
            self._create_database()
            self._call("create_table", TableInput=request)

    def _create_database(self) -> None:
        try:
            self._client.create_database(DatabaseInput={"Name": self._database})
        except ClientError as error:
            if error.response.get("Error", {}).get("Code", "") == "AlreadyExistsException":
                return  # somebody else made it just now
            raise PipelineError(
                f"{self.describe()} does not exist and cannot be made: {describe(error)}. Create it, or let the job's "
                "role do so (glue:CreateDatabase)"
            ) from None
        except BotoCoreError as error:
            raise PipelineError(f"{self.describe()} cannot be made: {describe(error)}") from None

    def _update(self, table: PublishedTable, version: str) -> None:
        self._call(
            "update_table",
            TableInput=table_input(table),
            VersionId=version,
            SkipArchive=not _is_worth_a_version(table),
        )

    def _switch_partitions(
        self, table: PublishedTable, present: PublishedTable, described: tuple[PublishedColumn, ...] | None
    ) -> None:
        """Make the partitions what they shall be; ``described`` are the columns that those there are described with."""
        wanted = {partition.values: partition for partition in table.partitions}
        there = {partition.values: partition for partition in present.partitions}
        create = [partition_input(table, wanted[values]) for values in wanted if values not in there]
        update = [
            {"PartitionValueList": list(values), "PartitionInput": partition_input(table, wanted[values])}
            for values in wanted
            if values in there and (there[values] != wanted[values] or table.columns != described)
        ]
        delete = [{"Values": list(values)} for values in there if values not in wanted]
        for batch in _batches(create, _BATCH):
            self._check_claim(table)
            self._done(self._call("batch_create_partition", TableName=table.name, PartitionInputList=batch))
        for batch in _batches(update, _BATCH):
            self._check_claim(table)
            self._done(self._call("batch_update_partition", TableName=table.name, Entries=batch))
        for batch in _batches(delete, _DELETE_BATCH):
            self._check_claim(table)
            self._done(self._call("batch_delete_partition", TableName=table.name, PartitionsToDelete=batch))

    def _check_claim(self, table: PublishedTable) -> None:
        """Raise CatalogConflictError where the table is not being switched to this run any more.

        Batches of partitions take no version. A run that slept could change what another one has published since.
        """
        present = self._table(table.name)
        if present is None or present.get("Parameters", {}).get(f"{_PREFIX}switching_to") != table.run_id:
            raise CatalogConflictError(
                f"table {table.name} was published by somebody else while run {table.run_id} was about to; run again"
            )

    def _done(self, answer: Mapping[str, Any]) -> None:
        errors = answer.get("Errors") or []
        if errors:
            code = errors[0].get("ErrorDetail", {}).get("ErrorCode", "")
            raise PipelineError(
                f"{self.describe()}: {len(errors)} partitions could not be switched ({code}); run again"
            )


def _is_worth_a_version(table: PublishedTable) -> bool:
    """Whether the catalog keeps the state before this one: not of tables that change often, for versions are limited.

    Going back does not need them: the ledger has what every run has published.
    """
    return table.parameters.get("load") == "full_refresh"


class _NotFoundError(PipelineError):
    pass


def _columns(columns: Iterable[Mapping[str, Any]]) -> tuple[PublishedColumn, ...]:
    return tuple(PublishedColumn(column["Name"], column["Type"], column.get("Comment", "")) for column in columns)
